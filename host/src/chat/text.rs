//! Bounds of text fields. Lengths count characters; NUL never gets in.

use crate::error::{Error, Result};

/// `text` is between `least` and `most` characters long, else the error says `wrong`.
pub fn bounded(text: &str, least: usize, most: usize, wrong: &str) -> Result<()> {
    let length = text.chars().take(most + 1).count();
    if length < least || length > most { Err(Error::Invalid(wrong.into())) } else { no_nul(text, wrong) }
}

fn no_nul(text: &str, wrong: &str) -> Result<()> {
    if text.contains('\0') { Err(Error::Invalid(format!("{wrong} (it has a NUL character)"))) } else { Ok(()) }
}

/// Metadata is any JSON, 64 KiB at most when written out.
pub fn bounded_metadata(metadata: &serde_json::Value) -> Result<()> {
    const MOST: usize = 64 * 1024;
    let text = metadata.to_string();
    if text.len() > MOST {
        return Err(Error::Invalid("metadata must be at most 64 KiB when written as JSON".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_counts_characters_not_bytes() {
        assert!(bounded(&"é".repeat(10), 1, 10, "x").is_ok());
        assert!(bounded(&"é".repeat(11), 1, 10, "x").is_err());
        assert!(bounded("", 1, 10, "x").is_err());
        assert!(bounded("a\0b", 1, 10, "x").is_err());
    }
}
