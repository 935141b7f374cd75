//! Text that came out of a plugin, made fit for a log line, a status and a terminal: one line, bounded, without characters that act on
//! whoever displays it.

use std::time::Duration;

/// At most about `most` bytes of `text`; what would end the line, move the cursor or turn the direction of writing is shown as an escape.
pub(super) fn clean(text: &str, most: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(most));
    for character in text.trim_end().chars() {
        if clean.len() >= most {
            clean.push('…');
            break;
        }
        if acts(character) { clean.extend(character.escape_default()) } else { clean.push(character) }
    }
    clean
}

/// Control characters, line separators, and the marks that reorder what stands around them.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `0.4 s`, `2 s`, `10 min`.
pub(super) fn spoken(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 120.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds >= 9.95 => format!("{seconds:.0} s"),
        seconds if seconds >= 0.095 => format!("{} s", (seconds * 10.0).round() / 10.0),
        seconds => format!("{:.0} ms", seconds * 1000.0),
    }
}

/// `1 thread`, `2 threads`.
pub(super) fn threads(count: u32) -> String {
    if count == 1 { "1 thread".into() } else { format!("{count} threads") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_leaves_ordinary_text_alone() {
        assert_eq!(clean("Grüße, 世界\n", 100), "Grüße, 世界");
    }

    #[test]
    fn clean_shows_what_would_act() {
        assert_eq!(clean("a\nb\u{1b}[31mc\u{202e}d\u{0}", 100), "a\\nb\\u{1b}[31mc\\u{202e}d\\u{0}");
    }

    #[test]
    fn clean_cuts_between_characters() {
        assert_eq!(clean("äöü", 3), "äö…");
    }

    #[test]
    fn spoken_is_short() {
        let spoken = |millis| spoken(Duration::from_millis(millis));
        assert_eq!([0, 20, 400, 2_000, 9_990].map(spoken), ["0 ms", "20 ms", "0.4 s", "2 s", "10 s"]);
        assert_eq!([90_000, 600_000].map(spoken), ["90 s", "10 min"]);
    }
}
