//! How an export looks in each of its formats, a piece at a time.

use crate::error::{Error, Result};
use crate::store::Message;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Markdown,
    Csv,
}

impl Format {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "markdown" => Some(Self::Markdown),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markdown => "md",
            Self::Csv => "csv",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// What stands before the messages.
#[derive(Debug, Serialize)]
pub struct Head {
    pub room_id: String,
    pub room_name: String,
    pub exported_at: String,
    pub filters: Map<String, Value>,
}

/// A message in JSON.
#[derive(Serialize)]
struct Exported<'a> {
    seq: i64,
    sender: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_type: Option<&'a str>,
    content: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

/// Writes the pieces of one document.
pub struct Writer {
    format: Format,
    with_metadata: bool,
    /// Messages so far.
    count: u64,
    /// Of the message before, for the headings of days.
    day: String,
}

impl Writer {
    pub fn new(format: Format, with_metadata: bool) -> Self {
        Self { format, with_metadata, count: 0, day: String::new() }
    }

    pub fn begin(&self, head: &Head) -> Vec<u8> {
        match self.format {
            Format::Json => {
                let mut json = serde_json::to_string(head).unwrap_or_default();
                json.pop();
                (json + ",\"messages\":[").into_bytes()
            }
            Format::Markdown => format!("# #{}\n", one_line(&head.room_name)).into_bytes(),
            Format::Csv => {
                let metadata = if self.with_metadata { ",metadata" } else { "" };
                format!("seq,sender,sender_type,content,created_at,edited_at,reply_to,pinned_at{metadata}\n")
                    .into_bytes()
            }
        }
    }

    pub fn messages(&mut self, messages: &[Message]) -> Result<Vec<u8>> {
        match self.format {
            Format::Json => self.json(messages),
            Format::Markdown => Ok(self.markdown(messages).into_bytes()),
            Format::Csv => self.csv(messages),
        }
    }

    pub fn end(&self) -> Vec<u8> {
        match self.format {
            Format::Json => format!("],\"message_count\":{}}}", self.count).into_bytes(),
            Format::Markdown | Format::Csv => Vec::new(),
        }
    }

    fn json(&mut self, messages: &[Message]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for message in messages {
            if self.count > 0 {
                bytes.push(b',');
            }
            self.count += 1;
            let exported = Exported {
                seq: message.seq,
                sender: &message.sender,
                sender_type: message.sender_type.as_deref(),
                content: &message.content,
                created_at: &message.created_at,
                edited_at: message.edited_at.as_deref(),
                reply_to: message.reply_to.map(|id| id.to_string()),
                pinned_at: message.pinned_at.as_deref(),
                metadata: self.with_metadata.then_some(&*message.metadata),
            };
            serde_json::to_writer(&mut bytes, &exported).map_err(failed)?;
        }
        Ok(bytes)
    }

    fn csv(&mut self, messages: &[Message]) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for message in messages {
            let (seq, reply_to) = (message.seq.to_string(), message.reply_to.map(|id| id.to_string()));
            let mut fields = vec![
                seq.as_str(),
                &message.sender,
                message.sender_type.as_deref().unwrap_or_default(),
                &message.content,
                &message.created_at,
                message.edited_at.as_deref().unwrap_or_default(),
                reply_to.as_deref().unwrap_or_default(),
                message.pinned_at.as_deref().unwrap_or_default(),
            ];
            fields.extend(self.with_metadata.then_some(message.metadata.get()));
            writer.write_record(fields).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }

    fn markdown(&mut self, messages: &[Message]) -> String {
        let mut text = String::new();
        for message in messages {
            let (day, time) = message.created_at.split_once('T').unwrap_or((&message.created_at, ""));
            if day != self.day {
                self.day = day.into();
                let _ = write!(text, "\n## {day}\n");
            }
            let kind = match message.sender_type.as_deref() {
                Some("agent") => " 🤖",
                Some("human") => " 👤",
                _ => "",
            };
            let (time, sender) = (time.get(..8).unwrap_or(time), one_line(&message.sender));
            let _ = write!(text, "\n**[{time}] {sender}{kind}**");
            text += if message.pinned_at.is_some() { " 📌" } else { "" };
            text += if message.edited_at.is_some() { " *(edited)*" } else { "" };
            if let Some(id) = message.reply_to {
                let _ = write!(text, " ↩ {id}");
            }
            let _ = write!(text, "\n\n{}\n", message.content);
            if self.with_metadata && message.metadata.get() != "{}" {
                // JSON has no raw newlines, so that no fence can end early.
                let _ = write!(text, "\n```json\n{}\n```\n", message.metadata.get());
            }
        }
        text
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("an export: {error}"))
}
