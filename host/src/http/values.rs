//! A bound on what a JSON text becomes once it is parsed. Ten megabytes of empty objects in a list would become a gigabyte of memory, so
//! brackets and commas are counted before anything is built of them.

use crate::error::{Error, Result};

/// Bytes of memory that the values of one body may take, texts not counted: those are bounded with the body.
const MOST: usize = 32 * 1024 * 1024;
/// Texts that cannot reach that.
const HARMLESS: usize = 48 * 1024;
/// What the first field of an object costs, the first item of a list, and each further one.
const OBJECT: usize = 640;
const LIST: usize = 128;
const ITEM: usize = 56;

/// `text` must be JSON already.
pub fn bounded_values(text: &[u8]) -> Result<()> {
    if text.len() > HARMLESS && memory(text) > MOST {
        return Err(Error::Invalid("The body has too many lists, objects and values in it".into()));
    }
    Ok(())
}

fn memory(text: &[u8]) -> usize {
    let (mut memory, mut in_text, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => memory += OBJECT,
            b'[' if !in_text => memory += LIST,
            b',' if !in_text => memory += ITEM,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_would_become_huge_are_refused() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        for (item, count) in [("{\"\":0}", 1_000_000), ("[0]", 1_000_000), ("0", 1_000_000)] {
            assert!(bounded_values(list(item, count).as_bytes()).is_err(), "{item}");
        }
        for (item, count) in
            [("{\"\":0}", 10_000), ("0", 100_000), ("\"01a1fe0d-be23-76e7-9b23-440ad354ad90\"", 100_000)]
        {
            assert!(bounded_values(list(item, count).as_bytes()).is_ok(), "{item}");
        }
    }

    #[test]
    fn what_stands_within_texts_counts_nothing() {
        assert_eq!(memory(br#""[{,\"[{,\\""#), 0);
        assert_eq!(memory(br#"{"a\\":[1,2],"b":"}{"}"#), OBJECT + LIST + 2 * ITEM);
        assert!(bounded_values(format!("\"{}\"", "[{,".repeat(3_000_000)).as_bytes()).is_ok());
    }
}
