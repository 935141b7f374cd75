//! Where a byte of a text stands: its line and column, from 1, in characters. A mark at the start of each line and
//! every few hundred characters keeps the search short even when a whole file is one line.

/// Characters between two marks within a long line.
const STRIDE: u32 = 256;

struct Mark {
    offset: usize,
    line: u32,
    column: u32,
}

pub(super) struct Lines<'t> {
    text: &'t str,
    marks: Vec<Mark>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        // A byte order mark is no character that an editor shows or counts.
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut marks = vec![Mark { offset: start, line: 1, column: 1 }];
        let (mut line, mut column) = (1, 1);
        for (offset, character) in text[start..].char_indices() {
            let next = start + offset + character.len_utf8();
            if character == '\n' {
                (line, column) = (line + 1, 1);
                marks.push(Mark { offset: next, line, column });
            } else {
                column += 1;
                if column % STRIDE == 1 {
                    marks.push(Mark { offset: next, line, column });
                }
            }
        }
        Self { text, marks }
    }

    /// Line and column of the character that holds the byte at `offset`; beyond the end, those of the end.
    pub(super) fn at(&self, offset: usize) -> (u32, u32) {
        let offset = self.text.floor_char_boundary(offset);
        let next = self.marks.partition_point(|mark| mark.offset <= offset);
        let Some(mark) = next.checked_sub(1).map(|index| &self.marks[index]) else {
            return (1, 1);
        };
        let characters = self.text[mark.offset..offset].chars().count();
        (mark.line, mark.column + characters as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn at_counts_characters_not_bytes() {
        let lines = Lines::new("é = 1\r\n日本 = 2\n");
        assert_eq!(lines.at(0), (1, 1));
        assert_eq!(lines.at(1), (1, 1), "inside a character is that character");
        assert_eq!(lines.at(5), (1, 5));
        assert_eq!(lines.at("é = 1\r\n日本 ".len()), (2, 4));
        assert_eq!(lines.at(10_000), (3, 1));
    }

    #[test]
    fn at_does_not_count_a_byte_order_mark() {
        assert_eq!(Lines::new("\u{feff}a = 1").at(7), (1, 5));
        assert_eq!(Lines::new("\u{feff}a = 1").at(0), (1, 1));
    }

    proptest! {
        #[test]
        fn at_agrees_with_a_plain_count(text in "(?s)([a-z=é日🦀\r\n\t]|.){0,600}", offset in 0usize..3000) {
            let boundary = text.floor_char_boundary(offset);
            let before = text[..boundary].strip_prefix('\u{feff}').unwrap_or(&text[..boundary]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            prop_assert_eq!(Lines::new(&text).at(offset), (line as u32, column as u32));
        }

        #[test]
        fn at_is_right_in_one_very_long_line(before in 0usize..2000) {
            let text = "ä".repeat(2000);
            prop_assert_eq!(Lines::new(&text).at(before * 2), (1, before as u32 + 1));
        }
    }
}
