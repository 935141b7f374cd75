//! Lines from somebody who may send anything: an endless line is read to its end, but not kept.

use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// As long as the host takes a message. Characters, of at most four bytes each.
pub(crate) const LONGEST: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Text(String),
    TooLong,
}

pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    kept: Vec<u8>,
    too_long: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), kept: Vec::new(), too_long: false }
    }

    /// The next line, without its end. None when there are no more; a last line without an end is one too.
    ///
    /// Cancelling it loses nothing: what was read is kept for the next call.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                let rest = self.too_long || !self.kept.is_empty();
                return Ok(rest.then(|| self.take()));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let fits = part.len().min(LONGEST * 4 - self.kept.len());
            self.kept.extend_from_slice(&part[..fits]);
            self.too_long |= fits < part.len();
            let used = end.map_or(part.len(), |at| at + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        let kept = std::mem::take(&mut self.kept);
        // Arrow keys and the like send control characters; nobody means them.
        let text = String::from_utf8_lossy(&kept).replace(|letter: char| letter.is_control() && letter != '\t', "");
        match std::mem::take(&mut self.too_long) || text.chars().count() > LONGEST {
            true => Line::TooLong,
            false => Line::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    /// What comes out when the bytes come in these portions.
    async fn lines(portions: Vec<Vec<u8>>) -> Vec<Line> {
        let (mut writer, reader) = tokio::io::duplex(16);
        let writing = async move {
            for portion in portions {
                writer.write_all(&portion).await.unwrap();
            }
        };
        let reading = async {
            let (mut lines, mut read) = (Lines::new(reader), Vec::new());
            while let Some(line) = lines.next().await.unwrap() {
                read.push(line);
            }
            read
        };
        tokio::join!(writing, reading).1
    }

    fn text(text: &str) -> Line {
        Line::Text(text.into())
    }

    #[tokio::test]
    async fn lines_lose_their_ends_and_control_characters() {
        let read = lines(vec![b"ada\r\n\nhi\x1b[A\xff\nrest".to_vec()]).await;
        assert_eq!(read, [text("ada"), text(""), text("hi[A\u{fffd}"), text("rest")]);
    }

    #[tokio::test]
    async fn line_that_is_too_long_is_told_and_the_next_one_read() {
        let four_bytes = "😀";
        for (long, fits) in [
            (four_bytes.repeat(LONGEST), true),
            (four_bytes.repeat(LONGEST + 1), false),
            ("x".repeat(LONGEST + 1), false),
        ] {
            let read = lines(vec![format!("{long}\nhi\n").into()]).await;
            assert_eq!(read, [if fits { text(&long) } else { Line::TooLong }, text("hi")]);
        }
    }

    proptest! {
        #[test]
        fn portions_of_any_size_give_the_same_lines(portions in proptest::collection::vec("[a-zé\n]{0,40}", 0..6)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let whole = portions.concat();
            let expected: Vec<_> = whole.lines().map(text).collect();
            let portions = portions.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(runtime.block_on(lines(portions)), expected);
        }
    }
}
