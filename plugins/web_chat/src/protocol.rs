//! The words of the bridge's API: what its answers look like, read as leniently as bridges differ. Ids come as numbers or as text, fields
//! may be missing, and a row that cannot be read must not cost the others.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Around every answer. An error has `error` and `code` in place of `data`.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    #[serde(default)]
    pub success: Option<bool>,
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<Value>,
    #[serde(default)]
    pub code: Option<Value>,
    #[serde(default)]
    pub timestamp: Option<Value>,
}

/// An id or a time: text, or a number that becomes its digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Word(pub String);

impl Word {
    /// As a number, if it is one: ids are compared by it.
    pub(crate) fn number(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!("expected text or a number, not {}", kind(&other)))),
        }
    }
}

impl Serialize for Word {
    /// As the number that it is, if it is one: some bridges insist on it.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.number() {
            Some(number) if number.to_string() == self.0 => serializer.serialize_i64(number),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

/// Never the value itself: it may be what a visitor wrote.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
    }
}

/// `inbox`: what it returns counts as taken, so its rows stay raw until each was tried.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Inbox {
    pub messages: Vec<Box<RawValue>>,
    #[serde(default)]
    pub pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Pagination {
    #[serde(default, deserialize_with = "lenient_bool")]
    pub has_more: Option<bool>,
}

/// A message of a visitor. `session_messages` leaves out the uid and has it in the session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Row {
    pub id: Word,
    #[serde(default)]
    pub session_id: Option<Word>,
    pub message: String,
    #[serde(default)]
    pub timestamp: Option<Word>,
    #[serde(default)]
    pub uid: Option<Word>,
}

/// `sessions`
#[derive(Debug, Deserialize)]
pub(crate) struct Sessions {
    pub sessions: Vec<Box<RawValue>>,
    #[serde(default)]
    pub pagination: Pagination,
}

/// Bridges that are not PHP name two of its fields differently.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Session {
    #[serde(alias = "session_id")]
    pub id: Word,
    #[serde(default)]
    pub uid: Option<Word>,
    #[serde(default, alias = "last_activity")]
    pub last_active: Option<Word>,
    #[serde(default)]
    message_count: Option<Word>,
    #[serde(default)]
    response_count: Option<Word>,
}

impl Session {
    /// Somebody opened the page and wrote nothing.
    pub(crate) fn is_silent(&self) -> bool {
        let none = |count: &Option<Word>| count.as_ref().and_then(Word::number) == Some(0);
        none(&self.message_count) && none(&self.response_count)
    }
}

/// `session_messages`
#[derive(Debug, Deserialize)]
pub(crate) struct SessionMessages {
    #[serde(default)]
    pub messages: Vec<Box<RawValue>>,
    #[serde(default)]
    pub responses: Vec<Answered>,
}

/// An answer as the bridge has stored it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Answered {
    pub id: Word,
    #[serde(default)]
    pub response: String,
    #[serde(default)]
    pub timestamp: Option<Word>,
}

/// What goes to `outbox`.
#[derive(Debug, Serialize)]
pub(crate) struct Outgoing<'a> {
    pub session_id: &'a str,
    pub response: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<&'a Word>,
}

/// And what comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Receipt {
    pub response_id: Option<Word>,
}

fn lenient_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(yes) => Some(yes),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_numbers_or_text() {
        let row = |id: Value| serde_json::from_value::<Row>(json!({"id": id, "session_id": "s", "message": "m"}));
        assert_eq!(row(json!(12)).unwrap(), row(json!("12")).unwrap());
        for wrong in [json!(null), json!([1]), json!({}), json!(true)] {
            let error = row(wrong).unwrap_err().to_string();
            assert!(error.starts_with("expected text or a number"), "{error}");
        }
    }

    #[test]
    fn id_goes_back_as_the_number_that_it_is() {
        let sent = |word: &str| serde_json::to_string(&Word(word.into())).unwrap();
        assert_eq!([sent("12"), sent("012"), sent("m-1")], ["12", "\"012\"", "\"m-1\""]);
    }

    #[test]
    fn has_more_is_no_unless_said() {
        let has_more = |pagination: Value| {
            let inbox: Inbox = serde_json::from_value(json!({"messages": [], "pagination": pagination})).unwrap();
            inbox.pagination.has_more
        };
        assert_eq!([has_more(json!({"has_more": true})), has_more(json!({"has_more": 1}))], [Some(true); 2]);
        assert_eq!([has_more(json!({})), has_more(json!({"has_more": "?"}))], [None; 2]);
    }

    #[test]
    fn session_is_read_in_both_dialects() {
        let php: Session = serde_json::from_value(
            json!({"id": "s1", "uid": null, "last_active": "2026-01-01 00:00:00", "message_count": "0", "response_count": 0}),
        )
        .unwrap();
        assert!(php.is_silent() && php.uid.is_none());
        let python: Session =
            serde_json::from_value(json!({"session_id": "s1", "last_activity": "2026-01-01 00:00:00"})).unwrap();
        assert_eq!((python.id, python.last_active), (php.id, php.last_active));
    }
}
