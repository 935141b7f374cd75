//! An event as one line for people: its number, its time, its room by name, what it is and what it says.

use crate::cli::client::Client;
use crate::cli::columns::{cut, padded, width};
use crate::cli::harmless;
use crate::cli::view::{View, encoded, field};
use crate::clock;
use crate::error::Error;
use serde_json::Value;
use std::collections::HashMap;

/// Rooms whose names are remembered.
const REMEMBERED: usize = 1000;
/// Columns that a room's name may take, and that events' names take.
const ROOM: usize = 16;
/// Columns that there are for words on the narrowest terminal.
const FEWEST: usize = 10;
/// Columns of a terminal where nothing stands in line.
const NARROW: u16 = 72;
/// Where an event has its time, in this order.
const TIMES: [&str; 4] = ["created_at", "timestamp", "updated_at", "time"];
/// What says most of an event, in this order.
const WORDS: [&str; 10] =
    ["content", "delta", "emoji", "filename", "text", "display_name", "name", "reason", "message_id", "id"];

/// Makes lines, and remembers rooms' names for them.
pub(super) struct Lines<'v> {
    view: &'v View,
    rooms: HashMap<String, String>,
}

#[derive(Clone, Copy)]
enum Ink {
    Faint,
    Room,
    Event,
    Bad,
}

impl Ink {
    /// As ANSI numbers it.
    fn code(self) -> u8 {
        match self {
            Self::Faint => 2,
            Self::Room => 36,
            Self::Event => 33,
            Self::Bad => 31,
        }
    }
}

impl<'v> Lines<'v> {
    pub(super) fn new(view: &'v View) -> Self {
        Self { view, rooms: HashMap::new() }
    }

    pub(super) async fn line(&mut self, host: &Client, event: &str, seq: Option<i64>, data: &Value) -> String {
        let room = self.room(host, data).await;
        self.composed(event, seq, &room, data)
    }

    fn composed(&self, event: &str, seq: Option<i64>, room: &str, data: &Value) -> String {
        let number = seq.map_or_else(|| "-".into(), |seq| seq.to_string());
        let (time, event, room) = (time(data), harmless::line(event), cut(&harmless::line(room), ROOM));
        // In line with each other, unless that leaves no room for what is said.
        let is_narrow = self.view.width.is_some_and(|width| width < NARROW);
        let in_line = |text: &str| if is_narrow { text.to_owned() } else { padded(text, ROOM) };
        let (room, padded_event) = (in_line(&room), in_line(&event));
        let head = width(&format!("{number:>8} {time} {room} {padded_event} "));
        let words = harmless::line(&words(data));
        let words = match self.view.width {
            Some(width) => cut(&words, usize::from(width).saturating_sub(head).max(FEWEST)),
            None => words,
        };
        let ink = if event.contains("deleted") || event.contains("disabled") { Ink::Bad } else { Ink::Event };
        let line = format!(
            "{} {} {} {} {words}",
            self.paint(&format!("{number:>8}"), Ink::Faint),
            self.paint(&time, Ink::Faint),
            self.paint(&room, Ink::Room),
            self.paint(&padded_event, ink),
        );
        format!("{}\n", line.trim_end())
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        if self.view.colour { format!("\x1b[{}m{text}\x1b[0m", ink.code()) } else { text.into() }
    }

    /// Its name; the start of its id where that cannot be had.
    async fn room(&mut self, host: &Client, data: &Value) -> String {
        let id = field(data, "room_id");
        if id.is_empty() {
            return "-".into();
        }
        if let Some(known) = self.rooms.get(&id) {
            return known.clone();
        }
        let name = match host.get_at(&format!("/api/v1/rooms/{}", encoded(&id))).await {
            Ok(room) => Some(field(&room, "name")).filter(|name| !name.is_empty()),
            Err(Error::NotFound(_)) => None,
            // The next event may find it.
            Err(_) => return start(&id),
        };
        if self.rooms.len() >= REMEMBERED {
            self.rooms.clear();
        }
        let name = name.unwrap_or_else(|| start(&id));
        self.rooms.insert(id, name.clone());
        name
    }
}

fn start(id: &str) -> String {
    id.chars().take(8).collect()
}

/// `12:00:00`, in UTC; of an event without a time it is now.
fn time(data: &Value) -> String {
    let told = TIMES.iter().find_map(|name| clock::parse(data[*name].as_str()?));
    let whole = clock::format(told.unwrap_or_else(clock::now));
    whole.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or_default().into()
}

/// `ada: Hello`
fn words(data: &Value) -> String {
    let what = WORDS.iter().map(|name| field(data, name)).find(|word| !word.is_empty()).unwrap_or_default();
    match field(data, "sender") {
        sender if sender.is_empty() => what,
        sender if what.is_empty() => sender,
        sender => format!("{sender}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn line_says_who_said_what_and_obeys_nobody() {
        let view = View::of(false, Some(80), false);
        let data = json!({ "sender": "ada\u{1b}[2J", "content": "one\ntwo 日本語 and more words", "created_at": "2026-01-31T12:00:00.5Z" });
        let line = Lines::new(&view).composed("message", Some(7), "kitchen", &data);
        assert_eq!(line, "       7 12:00:00 kitchen          message          ada\\u{1b}[2J: one two 日本…\n");
        let narrow = View::of(false, Some(60), false);
        let line = Lines::new(&narrow).composed("message", Some(7), "台所と食堂と居間と庭", &data);
        assert_eq!(line, "       7 12:00:00 台所と食堂と居… message ada\\u{1b}[2J: one…\n");
        assert_eq!(width(line.trim_end()), 60);
        assert_eq!(
            Lines::new(&view).composed("typing", None, "-", &json!({ "sender": "ada" })).matches('\n').count(),
            1
        );
    }

    #[test]
    fn colours_are_for_terminals() {
        let view = View::of(false, Some(80), true);
        let line = Lines::new(&view).composed("message_deleted", Some(7), "kitchen", &json!({}));
        assert!(line.contains("\x1b[36mkitchen") && line.contains("\x1b[31mmessage_deleted"), "{line:?}");
    }
}
