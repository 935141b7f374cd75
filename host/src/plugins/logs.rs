//! What plugins log, written again as lines of the host: under the instance's name, bounded in size and number, and without characters
//! that act on a terminal.

use super::text::clean;
use plugin_api::types::LogRecord;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Level;
use tracing::field::display;

const LONGEST_MESSAGE: usize = 8 * 1024;
const LONGEST_FIELDS: usize = 4 * 1024;
const LONGEST_NAME: usize = 128;
const MOST_SPANS: usize = 8;
/// A longer record is not even parsed.
const LONGEST_RECORD: usize = 256 * 1024;
/// More is a flood, and a flood of one plugin must not drown what the others say.
const LINES_PER_SECOND: u32 = 1000;
const SECOND: Duration = Duration::from_secs(1);

/// So many lines a second, and no more.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    began: Instant,
    lines: u32,
}

impl Pace {
    pub(super) fn new(most: u32) -> Self {
        Self { most, began: Instant::now(), lines: 0 }
    }

    /// Counts one more; how many there are in this second by now.
    fn count(&mut self) -> u32 {
        if self.began.elapsed() >= SECOND {
            *self = Self::new(self.most);
        }
        self.lines = self.lines.saturating_add(1);
        self.lines
    }

    pub(super) fn admits(&mut self) -> bool {
        self.count() <= self.most
    }
}

/// The log of one instance.
#[derive(Debug)]
pub(super) struct Relay {
    instance: String,
    pace: Mutex<Pace>,
}

impl Relay {
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.into(), pace: Mutex::new(Pace::new(LINES_PER_SECOND)) }
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Writes one record as a line, `level` being 1 for an error to 5 for a trace.
    pub(super) fn line(&self, level: u32, record: &[u8]) {
        if !self.admits() {
            return;
        }
        let record = if record.len() > LONGEST_RECORD { None } else { serde_json::from_slice(record).ok() };
        let record = record.unwrap_or_else(|| LogRecord {
            message: "a log line that is too long or cannot be read is left out".into(),
            ..LogRecord::default()
        });
        self.write(level, &record);
    }

    fn admits(&self) -> bool {
        let lines = self.pace.lock().unwrap_or_else(PoisonError::into_inner).count();
        if lines == LINES_PER_SECOND + 1 {
            let instance = &self.instance;
            tracing::warn!(
                plugin.name = %instance,
                "plugin {instance}: more than {LINES_PER_SECOND} log lines in a second; the rest of this second is left out"
            );
        }
        lines <= LINES_PER_SECOND
    }

    fn write(&self, level: u32, record: &LogRecord) {
        let message = clean(&record.message, LONGEST_MESSAGE);
        let target = clean(&record.target, LONGEST_NAME);
        let target = (!target.is_empty()).then(|| display(target));
        let fields = (!record.fields.is_empty()).then(|| display(fields(&record.fields)));
        let spans = (!record.spans.is_empty()).then(|| display(spans(record)));
        // The level of an event is part of its place in the code.
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: "arcuate::plugin",
                    $level,
                    plugin.name = %self.instance,
                    plugin.target = target,
                    plugin.spans = spans,
                    plugin.fields = fields,
                    "{message}"
                )
            };
        }
        match level {
            0 | 1 => emit!(Level::ERROR),
            2 => emit!(Level::WARN),
            3 => emit!(Level::INFO),
            4 => emit!(Level::DEBUG),
            _ => emit!(Level::TRACE),
        }
    }
}

/// `poll{session=7}:post`, outermost first; of too many the innermost, which say more.
fn spans(record: &LogRecord) -> String {
    let first = record.spans.len().saturating_sub(MOST_SPANS);
    let mut text = if first > 0 { "…".to_owned() } else { String::new() };
    for span in &record.spans[first..] {
        if !text.is_empty() {
            text.push(':');
        }
        text += &clean(&span.name, LONGEST_NAME);
        if !span.fields.is_empty() {
            let _ = write!(text, "{{{}}}", fields(&span.fields));
        }
    }
    text
}

/// `room=lobby tries=3`; texts with spaces in quotes.
fn fields(fields: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if text.len() >= LONGEST_FIELDS {
            text.push_str(" …");
            break;
        }
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{}={}", clean(name, LONGEST_NAME), shown(value, LONGEST_FIELDS - text.len()));
    }
    text
}

fn shown(value: &Value, most: usize) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => clean(text, most),
        value => clean(&value.to_string(), most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::types::Span;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn fields_are_bounded_and_harmless() {
        assert_eq!(fields(&map(json!({"a": 1, "b": "x y", "c": "\u{1b}[2J"}))), "a=1 b=\"x y\" c=\\u{1b}[2J");
        let long = map(json!({"a": "x".repeat(100_000), "b": "y".repeat(100_000), "c": 1}));
        assert!(fields(&long).len() < LONGEST_FIELDS + 100);
    }

    #[test]
    fn spans_keep_the_innermost() {
        let span = |number: usize| Span { name: format!("s{number}"), fields: map(json!({"n": number})) };
        let record = LogRecord { spans: (0..10).map(span).collect(), ..LogRecord::default() };
        assert!(spans(&record).starts_with("…:s2{n=2}:s3{n=3}") && spans(&record).ends_with(":s9{n=9}"));
    }

    #[test]
    fn flood_is_cut_off_within_its_second() {
        let relay = Relay::new("loud");
        let admitted = (0..5 * LINES_PER_SECOND).filter(|_| relay.admits()).count() as u32;
        // A slow machine may have begun another second meanwhile.
        assert!((LINES_PER_SECOND..4 * LINES_PER_SECOND).contains(&admitted), "{admitted} lines");
    }
}
