//! Cuts an answer into parts that the bridge takes: each within its bound after escaping, at the end of a paragraph if there is one, else
//! of a sentence or line, else of a word, and never inside a character.

use crate::entities::escaped_len;

/// The bridge's bound for a text, in bytes after escaping.
pub(crate) const BOUND: usize = 10_000;

/// Put behind a lone "0", which the bridge's PHP takes for nothing (`empty("0")`): a zero-width space, which no trim removes and nobody sees.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// The parts in their order; none for a text that is blank, which the bridge would refuse. Only white space at the cuts is lost, and NUL,
/// which no such bridge takes.
pub(crate) fn split(text: &str) -> Vec<String> {
    let text = text.replace('\0', "");
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while let Some(end) = end_within_bound(rest) {
        // With the white space behind it, which is dropped at a cut: so a paragraph that just fits is seen to end there.
        let blank = rest[end..].len() - rest[end..].trim_start().len();
        let cut = best_cut(&rest[..end + blank]);
        let (part, after) = rest.split_at(cut);
        parts.push(part.trim_end());
        rest = after.trim_start();
    }
    parts.push(rest);
    parts.into_iter().filter(|part| !is_blank(part)).map(sayable).collect()
}

/// What the bridge takes for nothing.
fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || character.is_control())
}

fn sayable(part: &str) -> String {
    let mut part = part.to_owned();
    if part.trim() == "0" {
        part.push(ZERO_WIDTH_SPACE);
    }
    part
}

/// Where the text leaves the bound, if it does.
fn end_within_bound(text: &str) -> Option<usize> {
    let mut escaped = 0;
    let mut leaves = text.char_indices().filter(|(_, character)| {
        escaped += escaped_len(*character);
        escaped > BOUND
    });
    leaves.next().map(|(index, _)| index)
}

/// The last good place to cut at, or the end. A part never gets empty by it: a place at the very beginning is none.
fn best_cut(window: &str) -> usize {
    let start = window.len() - window.trim_start().len();
    let cuts = [last_paragraph_end(window), last_sentence_end(window), window.rfind(char::is_whitespace)];
    cuts.into_iter().flatten().find(|cut| *cut > start).unwrap_or(window.len())
}

/// Before an empty line.
fn last_paragraph_end(window: &str) -> Option<usize> {
    let ends = window.rmatch_indices('\n').map(|(index, _)| index);
    ends.map(|index| (index, &window[index + 1..])).find_map(|(index, after)| {
        let line = after.split('\n').next().unwrap_or_default();
        (after.len() > line.len() && line.trim().is_empty()).then_some(index)
    })
}

/// Behind a full stop and the like, or at the end of a line.
fn last_sentence_end(window: &str) -> Option<usize> {
    let mut places = window.char_indices().rev().peekable();
    while let Some((index, character)) = places.next() {
        let ends_here = match character {
            '\n' => true,
            // Such scripts put no blank behind a sentence.
            '。' | '！' | '？' => return Some(index + character.len_utf8()),
            _ => {
                character.is_whitespace()
                    && places.peek().is_some_and(|(_, before)| matches!(before, '.' | '!' | '?' | '…' | ':'))
            }
        };
        if ends_here {
            return Some(index);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> usize {
        text.chars().map(escaped_len).sum()
    }

    /// `length` bytes of words.
    fn words(length: usize) -> String {
        "word ".repeat(length / 5 + 1)[..length].to_owned()
    }

    #[test]
    fn text_within_the_bound_stays_as_it_is() {
        for text in ["hello", "  indented\n\n", &"x".repeat(BOUND), &"é".repeat(BOUND / 2), &"'".repeat(BOUND / 6)] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn bound_counts_bytes_after_escaping() {
        let just_fits = format!("{}.\n\nmore. And more", words(BOUND - 1));
        assert_eq!(split(&just_fits), [just_fits[..BOUND].trim(), "more. And more"]);
        let quotes = "\"".repeat(BOUND / 6 + 1);
        let parts = split(&quotes);
        assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [BOUND / 6, 1]);
        assert_eq!(split(&"&".repeat(BOUND / 5 + 1)).len(), 2);
        assert_eq!(split(&"<".repeat(BOUND / 4 + 1)).len(), 2);
    }

    #[test]
    fn paragraphs_are_kept_whole_before_sentences() {
        let (first, second) = (words(3_000), format!("{}. {}", words(4_000), words(4_999)));
        let text = format!("{}\n \n{second}", first.trim());
        assert_eq!(split(&text), [first.trim(), &second]);
    }

    #[test]
    fn sentences_are_kept_whole_before_words() {
        let (first, second) = (format!("{}!", words(6_000).trim()), words(6_000));
        assert_eq!(split(&format!("{first} {second}")), [first.as_str(), second.as_str()]);
        let (first, second) = (words(6_000), words(6_000));
        assert_eq!(split(&format!("{}\n{second}", first.trim())), [first.trim(), second.as_str()]);
        let sentence = format!("{}。", "字".repeat(3_000));
        assert_eq!(split(&sentence.repeat(2)), [sentence.as_str(), sentence.as_str()]);
    }

    #[test]
    fn words_are_kept_whole_before_characters() {
        let parts = split(&words(25_000));
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.split(' ').all(|word| word == "word" || word.is_empty())));
    }

    #[test]
    fn endless_word_is_cut_between_characters() {
        let text = "👋".repeat(BOUND / 4 * 2 + 1);
        let parts = split(&text);
        assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [BOUND, BOUND, 4]);
        assert_eq!(parts.concat(), text);
    }

    #[test]
    fn zero_gets_a_companion_that_nobody_sees() {
        assert_eq!(split("0"), ["0\u{200b}"]);
        assert_eq!(split(" 0\n"), [" 0\n\u{200b}"]);
        assert_eq!(split("00"), ["00"]);
        assert_eq!(split(&format!("{}\n\n0", "x".repeat(BOUND)))[1], "0\u{200b}");
    }

    #[test]
    fn blank_text_has_no_parts() {
        for text in ["", " \n\t", "\u{a0}\u{2003}", "\0", "\u{1}\u{2}", &" ".repeat(3 * BOUND)] {
            assert!(split(text).is_empty(), "{text:?}");
        }
        let far_apart = format!("a{}b", " ".repeat(3 * BOUND));
        assert_eq!(split(&far_apart), ["a", "b"]);
        assert_eq!(split("a\0b"), ["ab"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn parts_are_within_the_bound_and_lose_nothing_but_blanks(
            pieces in prop::collection::vec(("([&<>\"'0.!?\n 字é👋。]|[a-z]|\r\n){0,40}", 1..400_usize), 0..8)
        ) {
            let text: String = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
            let parts = split(&text);
            for part in &parts {
                prop_assert!(escaped(part) <= BOUND);
                prop_assert!(!is_blank(part) && part.trim() != "0");
            }
            let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ZERO_WIDTH_SPACE).collect::<String>();
            prop_assert_eq!(visible(&parts.concat()), visible(&text));
        }

        #[test]
        fn parts_are_not_small_for_long(pieces in prop::collection::vec(("[a-z]{1,30}[ .\n]{1,3}", 1..200_usize), 1..40)) {
            let text: String = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
            let sizes: Vec<_> = split(&text).iter().map(|part| escaped(part)).collect();
            // A cut is the last of its kind in its window, so the next one there is of a worse kind, and there are four kinds.
            for neighbours in sizes.windows(5) {
                let white_space = 4 * 3;
                prop_assert!(neighbours[..4].iter().sum::<usize>() + white_space > BOUND, "{:?}", sizes);
            }
        }
    }
}
