//! Words of a text as the search index sees them: runs of letters and digits, in small letters, without accents, cut to their stems.

use super::stem::stem;
use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};
use std::ops::Range;

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// In small letters, without accents.
    pub plain: String,
    pub stem: String,
}

impl Word {
    /// Whether another word can have this stem: stems keep the first letter.
    pub fn begins_like(&self, plain: &str) -> bool {
        plain.as_bytes().first() == self.stem.as_bytes().first()
    }
}

/// All words of a text.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    each_word(text, |_, plain| {
        let mut stemmed = plain.to_owned();
        stem(&mut stemmed);
        found.push(Word { plain: plain.to_owned(), stem: stemmed });
    });
    found
}

/// Calls `visit` with the place of each word and its small letters.
pub fn each_word(text: &str, mut visit: impl FnMut(Range<usize>, &str)) {
    let (mut plain, mut begin) = (String::new(), None);
    for (place, letter) in text.char_indices() {
        let inside = if begin.is_some() { is_word(letter) || is_accent(letter) } else { is_word(letter) };
        if inside {
            begin.get_or_insert(place);
            fold(letter, &mut plain);
        } else if let Some(begin) = begin.take() {
            visit(begin..place, &plain);
            plain.clear();
        }
    }
    if let Some(begin) = begin {
        visit(begin..text.len(), &plain);
    }
}

pub fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
}

/// A sign that changes the letter before it.
pub fn is_accent(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

fn fold(letter: char, into: &mut String) {
    if letter.is_ascii() {
        into.push(letter.to_ascii_lowercase());
        return;
    }
    for mut letter in letter.to_lowercase() {
        while let Decomposed::Expansion(base, sign) = CanonicalDecompositionBorrowed::new().decompose(letter) {
            if !is_accent(sign) {
                break;
            }
            letter = base;
        }
        if !is_accent(letter) {
            into.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_placed() {
        let mut found = Vec::new();
        each_word("Über-Größe: cafe\u{301}s, 日本語 42!", |place, word| found.push((place, word.to_owned())));
        let words: Vec<&str> = found.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["uber", "große", "cafes", "日本語", "42"]);
        assert_eq!(found[0].0, 0..5);
        assert_eq!(super::words("Running")[0].stem, "run");
    }
}
