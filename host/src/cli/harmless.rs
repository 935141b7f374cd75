//! Text from outside, made fit for a terminal: names, errors and payloads are other people's, and a terminal obeys what it reads.

use serde_json::Value;
use std::fmt::Write as _;

/// On one line, and without characters that move the cursor, colour, hide or reorder: those are shown as escapes.
pub(super) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            // One space for a line's end and the indent behind it.
            space if space.is_whitespace() => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            acting if acts(acting) => line.extend(acting.escape_unicode()),
            other => line.push(other),
        }
    }
    line
}

/// JSON on one line. What `line` would escape is escaped here too, in JSON's own way, so that its meaning stays.
pub(super) fn json(value: &Value) -> String {
    escaped(&value.to_string())
}

/// The same for JSON that is text already: some lines, each an object.
pub(super) fn json_lines(text: &str) -> String {
    escaped(text)
}

/// The same over several lines, for people.
pub(super) fn pretty(value: &Value) -> String {
    escaped(&format!("{value:#}"))
}

/// Only inside JSON's texts can such characters stand. The line ends of `pretty` are its own.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// Control characters, line separators, marks that turn the direction of writing, and what nobody can see. Joiners stay: scripts and
/// emoji need them.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_shows_what_a_terminal_would_obey() {
        assert_eq!(line("a\u{1b}[31mb\u{9b}2J\u{7}"), "a\\u{1b}[31mb\\u{9b}2J\\u{7}");
        assert_eq!(line("moc.\u{202e}elgoog"), "moc.\\u{202e}elgoog");
        assert_eq!(line("  first\r\n   second\tthird\n"), "first second third");
        assert_eq!(line("Zoë 👨‍👩‍👧 日本 עברית"), "Zoë 👨‍👩‍👧 日本 עברית");
    }

    #[test]
    fn pretty_keeps_its_lines() {
        assert_eq!(pretty(&serde_json::json!({ "a": "\n\u{85}" })), "{\n  \"a\": \"\\n\\u0085\"\n}");
    }

    proptest! {
        #[test]
        fn json_means_the_same_and_acts_on_nobody(text in "(?s)(.|[\u{80}-\u{9f}\u{2028}-\u{202e}\u{e0001}\u{7f}]){0,40}") {
            let value = Value::from(text);
            let shown = json(&value);
            prop_assert!(!shown.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }

        #[test]
        fn line_is_one_line(text in "(?s).{0,60}") {
            prop_assert!(!line(&text).chars().any(acts));
        }
    }
}
