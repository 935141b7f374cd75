//! Bounds of text fields. Lengths count characters; NUL never gets in.

use crate::error::{Error, Result};

/// `text` is between `least` and `most` characters long, else the error says `wrong`.
pub fn bounded(text: &str, least: usize, most: usize, wrong: &str) -> Result<()> {
    let length = text.chars().take(most + 1).count();
    if length < least || length > most { Err(Error::Invalid(wrong.into())) } else { no_nul(text, wrong) }
}

/// Who made something, as they say; `anonymous` if they do not.
pub fn creator(given: Option<String>) -> Result<String> {
    let given = given.filter(|by| !by.trim().is_empty()).unwrap_or_else(|| "anonymous".into());
    bounded(&given, 1, 100, "created_by must be at most 100 characters").map(|()| given)
}

pub fn no_nul(text: &str, wrong: &str) -> Result<()> {
    if text.contains('\0') { Err(Error::Invalid(format!("{wrong} (it has a NUL character)"))) } else { Ok(()) }
}

/// Metadata is any JSON, 64 KiB at most when written out. Whoever wraps a message must still be within the depth that readers take.
pub fn bounded_metadata(metadata: &serde_json::Value) -> Result<()> {
    const MOST: usize = 64 * 1024;
    const DEEPEST: usize = 100;
    if depth(metadata) > DEEPEST {
        return Err(Error::Invalid(format!("metadata must be nested at most {DEEPEST} levels deep")));
    }
    let text = metadata.to_string();
    if text.len() > MOST {
        return Err(Error::Invalid("metadata must be at most 64 KiB when written as JSON".into()));
    }
    Ok(())
}

/// The parser has bounded it already.
fn depth(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
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
