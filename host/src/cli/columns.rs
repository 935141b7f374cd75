//! How many columns of a terminal a text takes: some characters take two, and some none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const CUT: char = '…';

pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// With a `…` where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.into();
    }
    let mut left = most.saturating_sub(1);
    let fits = |character: &char| {
        let needed = character.width().unwrap_or_default();
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    };
    text.chars().take_while(fits).chain([CUT]).collect()
}

/// With spaces behind it, up to so many columns.
pub(super) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// On as many lines as it takes, two spaces between the words; each line but the first stands under the second column.
pub(super) fn packed(words: &[String], columns: usize) -> String {
    const GAP: &str = "  ";
    let (mut text, mut taken) = (String::new(), 0);
    for word in words.iter().filter(|word| !word.is_empty()) {
        let needed = width(word);
        if taken > 0 && taken + GAP.len() + needed > columns {
            text.push('\n');
            taken = 0;
        }
        if !text.is_empty() {
            text += GAP;
            taken += GAP.len();
        }
        text += word;
        taken += needed;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_two_columns_is_counted_as_two() {
        assert_eq!([width("ada"), width("日本"), width("e\u{301}")], [3, 4, 1]);
        assert_eq!(
            (cut("日本語", 6), cut("日本語", 5), cut("日本語", 4)),
            ("日本語".into(), "日本…".into(), "日…".into())
        );
        assert_eq!((padded("日本", 6), padded("日本", 3)), ("日本  ".into(), "日本".into()));
    }

    #[test]
    fn packed_breaks_between_words_alone() {
        let words = ["0123456789", "failed", "", "14s", "assistant"].map(str::to_owned);
        assert_eq!(packed(&words, 12), "0123456789\n  failed\n  14s\n  assistant\n");
        assert_eq!(packed(&words, 20), "0123456789  failed\n  14s  assistant\n");
        assert_eq!(packed(&words, 3), "0123456789\n  failed\n  14s\n  assistant\n");
    }
}
