//! An answer while it grows, bounded as the host bounds it: what is beyond 256 KiB is cut, with a note in the place of the rest.

/// As much as the host takes for one message.
const LONGEST: usize = 256 * 1024;
const NOTE: &str = "\n\n[The answer was longer than 256 KiB; the rest was cut.]";

#[derive(Debug, Default)]
pub(crate) struct Answer {
    text: String,
    cut: bool,
}

impl Answer {
    /// An answer that came in one piece.
    pub(crate) fn of(text: &str) -> Self {
        let mut answer = Self::default();
        answer.push(text);
        answer
    }

    /// Takes what still fits, and says how much of `text` that was.
    pub(crate) fn push<'a>(&mut self, text: &'a str) -> &'a str {
        let room = match self.cut {
            true => 0,
            false => LONGEST - self.text.len(),
        };
        let taken = &text[..text.floor_char_boundary(room)];
        self.text.push_str(taken);
        self.cut |= taken.len() < text.len();
        taken
    }

    /// Nothing more fits.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// None if nothing was said.
    pub(crate) fn into_text(mut self) -> Option<String> {
        if self.text.trim().is_empty() {
            return None;
        }
        if self.cut {
            self.text.truncate(self.text.floor_char_boundary(LONGEST - NOTE.len()));
            self.text.push_str(NOTE);
        }
        Some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_that_fits_is_whole() {
        let text = "é".repeat(LONGEST / 2);
        assert_eq!(Answer::of(&text).into_text(), Some(text));
    }

    #[test]
    fn answer_that_is_too_long_is_cut_between_characters_with_a_note() {
        let mut answer = Answer::of(&"x".repeat(LONGEST - 1));
        assert_eq!(answer.push("éa"), "");
        assert_eq!(answer.push("a"), "", "nothing goes in behind a gap");
        assert!(answer.is_cut());
        let text = answer.into_text().unwrap();
        assert!(text.len() <= LONGEST && text.ends_with(NOTE));
    }

    #[test]
    fn answer_of_blanks_is_none() {
        assert_eq!(Answer::of(" \n").into_text(), None);
    }
}
