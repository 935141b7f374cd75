//! A reader of server-sent events (WHATWG HTML, "Event stream interpretation") for bytes that arrive in any portions. What it keeps of an
//! unfinished event is bounded, so an endless line costs the sender its connection and us no memory.

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Of the `event:` line; mostly empty.
    pub name: String,
    pub data: String,
}

/// An event is longer than the reader's limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Sse {
    limit: usize,
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// The last byte was CR: an LF right behind it ends no second line.
    after_cr: bool,
    /// A byte order mark may still come.
    at_start: bool,
}

impl Sse {
    /// `limit`: bytes of one event.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), name: String::new(), data: None, after_cr: false, at_start: true }
    }

    /// The events that `bytes` completes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.hold(&bytes[..at])?;
            events.extend(self.end_line());
            let behind = &bytes[at + 1..];
            let cr = bytes[at] == b'\r';
            self.after_cr = cr && behind.is_empty();
            bytes = if cr { behind.strip_prefix(b"\n").unwrap_or(behind) } else { behind };
        }
        self.hold(bytes)?;
        Ok(events)
    }

    /// The stream has ended. The standard drops an event without its empty line; many small servers forget that line after the last one, so
    /// it is given. Whether the stream was whole is for the protocol above to say.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        self.end_line();
        self.end_event()
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held + bytes.len() > self.limit {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("event", _) => self.name = value.into(),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", None) => self.data = Some(value.into()),
            // Comments have an empty name; `id` and `retry` are for readers that come back.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take().filter(|data| !data.is_empty())?;
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(portions: &[&[u8]]) -> Vec<(String, String)> {
        let mut sse = Sse::new(1000);
        let mut events: Vec<_> = portions.iter().flat_map(|portion| sse.feed(portion).unwrap()).collect();
        events.extend(sse.finish());
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn data(text: &str) -> (String, String) {
        (String::new(), text.into())
    }

    #[test]
    fn stream_as_in_the_standard_is_read() {
        let stream = ": a comment\n\ndata: first event\nid: 1\n\ndata:second\ndata: event\n\ndata\n\nevent: named\ndata:  third\n\n";
        let expected = vec![data("first event"), data("second\nevent"), ("named".into(), " third".into())];
        assert_eq!(read(&[stream.as_bytes()]), expected);
    }

    #[test]
    fn line_ends_of_every_kind_are_read() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = format!("\u{feff}data: a{end}{end}data: b{end}data: c{end}{end}");
            assert_eq!(read(&[stream.as_bytes()]), vec![data("a"), data("b\nc")], "{end:?}");
        }
    }

    #[test]
    fn last_event_without_its_empty_line_is_given() {
        assert_eq!(read(&[b"data: a\n\ndata: [DONE]"]), vec![data("a"), data("[DONE]")]);
    }

    #[test]
    fn endless_event_is_refused() {
        assert_eq!(Sse::new(10).feed(&[b'a'; 11]), Err(TooLong));
        let mut sse = Sse::new(10);
        let lines = std::iter::repeat_with(|| sse.feed(b"data: 1\n"));
        assert!(lines.take(20).any(|fed| fed == Err(TooLong)), "many short lines of one event");
    }

    proptest! {
        #[test]
        fn portions_of_any_size_give_the_same_events(
            stream in "(data: ?[a-zé]{0,5}|event: x|: ping|id|\r|\n|\r\n|\n\n|\u{feff}){0,30}",
            cuts in proptest::collection::vec(0usize..200, 0..20),
        ) {
            let whole = stream.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= whole.len()).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let portions: Vec<_> = cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&portions), read(&[whole]));
        }

        #[test]
        fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Sse::new(50).feed(&bytes);
        }
    }
}
