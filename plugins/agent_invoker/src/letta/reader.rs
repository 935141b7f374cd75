//! Reads what a Letta server says: messages of several kinds, of which the agent's words to people are one.

use crate::dialect::{Garbled, Piece, Reader, reported_error, short};
use serde_json::Value;

pub(crate) struct LettaReader;

impl Reader for LettaReader {
    fn piece(&self, data: &str) -> Result<Piece, Garbled> {
        let event: Value = serde_json::from_str(data).map_err(|_| "an event is no JSON".to_owned())?;
        match kind(&event) {
            "assistant_message" => {
                let text = words(&event);
                let part = event["id"].as_str().map(Into::into);
                Ok(Piece { alive: !text.is_empty(), text, part, finished: false })
            }
            "error_message" => {
                let text = ["message", "detail", "error_type"].iter().find_map(|key| event[*key].as_str());
                Err(format!("the server reports an error: {}", short(text.unwrap_or("without a text"))))
            }
            "stop_reason" => stopped(event["stop_reason"].as_str().unwrap_or_default()),
            // Signs of life of the connection, not of the agent; figures; the question itself.
            "ping" | "usage_statistics" | "user_message" | "system_message" => Ok(Piece::default()),
            // It thinks, or uses a tool.
            kind if !kind.is_empty() => Ok(Piece { alive: true, ..Piece::default() }),
            _ => match reported_error(&event) {
                Some(error) => Err(format!("the server reports an error: {error}")),
                None => Ok(Piece::default()),
            },
        }
    }

    /// A server that does not stream answers with all its messages.
    fn whole(&self, body: &[u8]) -> Result<String, Garbled> {
        let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
        if let Some(error) = reported_error(&value) {
            return Err(format!("the server reports an error: {error}"));
        }
        let messages = value["messages"].as_array().ok_or("the answer has no messages")?;
        if let Some(reason) = value["stop_reason"]["stop_reason"].as_str() {
            stopped(reason)?;
        }
        Ok(answer(messages.iter()))
    }
}

/// The reasons that leave an answer are told from those that leave none.
fn stopped(reason: &str) -> Result<Piece, Garbled> {
    match reason {
        "requires_approval" => Err("the agent waits for somebody's approval of a tool; give it on the server".into()),
        "error"
        | "llm_api_error"
        | "invalid_llm_response"
        | "invalid_tool_call"
        | "max_tokens_exceeded"
        | "cancelled"
        | "insufficient_credits"
        | "context_window_overflow_in_system_prompt" => Err(format!("the server ended the turn: {reason}")),
        _ => Ok(Piece { finished: true, ..Piece::default() }),
    }
}

pub(super) fn kind(message: &Value) -> &str {
    message["message_type"].as_str().unwrap_or_default()
}

/// What the agent said to people, of messages in their order.
pub(super) fn answer<'a>(messages: impl Iterator<Item = &'a Value>) -> String {
    let said = messages.filter(|message| kind(message) == "assistant_message").map(words);
    said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A text, or a list of parts.
fn words(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn piece(event: &Value) -> Piece {
        LettaReader.piece(&event.to_string()).unwrap()
    }

    #[test]
    fn piece_is_the_agents_words_as_text_or_in_parts() {
        for content in [json!("hi"), json!([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}])] {
            let said = piece(&json!({"message_type": "assistant_message", "id": "m-1", "content": content}));
            assert_eq!(said, Piece { text: "hi".into(), part: Some("m-1".into()), alive: true, finished: false });
        }
    }

    #[test]
    fn piece_tells_a_living_connection_from_a_living_agent() {
        for (kind, alive) in
            [("ping", false), ("usage_statistics", false), ("reasoning_message", true), ("tool_call_message", true)]
        {
            assert_eq!(
                piece(&json!({"message_type": kind, "reasoning": "hm"})),
                Piece { alive, ..Piece::default() },
                "{kind}"
            );
        }
    }

    #[test]
    fn piece_at_the_end_says_how_it_ended() {
        let stop = |reason: &str| json!({"message_type": "stop_reason", "stop_reason": reason});
        assert!(piece(&stop("end_turn")).finished && piece(&stop("max_steps")).finished);
        for reason in ["llm_api_error", "cancelled", "requires_approval"] {
            assert!(LettaReader.piece(&stop(reason).to_string()).is_err(), "{reason}");
        }
        let error = json!({"message_type": "error_message", "error_type": "llm", "message": "no model"});
        assert!(LettaReader.piece(&error.to_string()).unwrap_err().contains("no model"));
    }

    #[test]
    fn whole_answer_is_all_that_the_agent_said() {
        let body = json!({"messages": [
            {"message_type": "assistant_message", "content": "Let me look."},
            {"message_type": "tool_call_message"},
            {"message_type": "assistant_message", "content": "It is open."},
        ], "stop_reason": {"message_type": "stop_reason", "stop_reason": "end_turn"}});
        assert_eq!(LettaReader.whole(body.to_string().as_bytes()), Ok("Let me look.\n\nIt is open.".into()));
        assert!(LettaReader.whole(br#"{"detail": "x"}"#).is_err());
    }
}
