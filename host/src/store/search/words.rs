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
    each_word(
        text,
        |_| true,
        |_, _, plain| {
            let mut stemmed = plain.to_owned();
            stem(&mut stemmed);
            found.push(Word { plain: plain.to_owned(), stem: stemmed });
        },
    );
    found
}

/// Calls `visit` with number, place and small letters of each word, and gives how many there are. Those that begin with a letter of ASCII
/// for which `begins` says no are counted only: most words of a text are none of the query's.
pub fn each_word(text: &str, begins: impl Fn(u8) -> bool, mut visit: impl FnMut(usize, Range<usize>, &str)) -> usize {
    let (bytes, mut plain, mut at, mut number) = (text.as_bytes(), String::new(), 0, 0);
    while let Some(first) = letter(text, at) {
        if !is_word(first) {
            at += first.len_utf8();
            continue;
        }
        let (begin, visited) = (at, !first.is_ascii() || begins((first as u8).to_ascii_lowercase()));
        if !visited {
            at += bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        }
        while let Some(next) = letter(text, at).filter(|next| is_word(*next) || is_accent(*next)) {
            if visited {
                fold(next, &mut plain);
            }
            at += next.len_utf8();
        }
        if visited {
            visit(number, begin..at, &plain);
            plain.clear();
        }
        number += 1;
    }
    number
}

/// The one that begins at a byte.
fn letter(text: &str, at: usize) -> Option<char> {
    match *text.as_bytes().get(at)? {
        letter if letter.is_ascii() => Some(char::from(letter)),
        _ => text[at..].chars().next(),
    }
}

pub fn is_word(letter: char) -> bool {
    // What is said first is the same, and faster.
    letter.is_ascii_alphanumeric() || letter.is_alphanumeric()
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
        let visit = |_, place, word: &str| found.push((place, word.to_owned()));
        assert_eq!(each_word("Über-Größe: cafe\u{301}s, 日本語 42!", |_| true, visit), 5);
        let words: Vec<&str> = found.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["uber", "große", "cafes", "日本語", "42"]);
        assert_eq!(found[0].0, 0..5);
        assert_eq!(super::words("Running")[0].stem, "run");
    }

    #[test]
    fn words_with_other_first_letters_are_counted_only() {
        let mut found = Vec::new();
        let count = each_word(
            "Soup, Ünder a sea",
            |first| first == b's',
            |number, _, word| {
                found.push((number, word.to_owned()));
            },
        );
        let expected = [(0, "soup"), (1, "under"), (3, "sea")].map(|(number, word)| (number, word.to_owned()));
        assert_eq!((found, count), (expected.to_vec(), 4));
    }
}
