//! The backend `http`, for programs written for this host: a question with everything that is known about the turn, an answer that is
//! `{"reply": "…"}` or a stream of `{"delta": "…"}`.

use super::{Dialect, Garbled, Piece, Reader, reported_error};
use crate::conversation::{Line, Question};
use plugin_api::{Result, User};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) struct Http;

/// A question with everything that is known about its turn. Local programs get the same.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    job_id: &'a str,
    conversation: &'a str,
    user: &'a User,
    message: &'a str,
    history: &'a [Line],
}

impl<'a> Body<'a> {
    pub(crate) fn of(question: &Question<'a>) -> Self {
        Self {
            job_id: question.job_id,
            conversation: &question.turn.conversation_id,
            user: &question.turn.user,
            message: question.prompt,
            history: question.history,
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    reply: String,
}

impl Reader for Http {
    fn piece(&self, data: &str) -> Result<Piece, Garbled> {
        let value: Value = serde_json::from_str(data).map_err(|_| "an event is no JSON".to_owned())?;
        if let Some(error) = reported_error(&value) {
            return Err(format!("the agent reports an error: {error}"));
        }
        // Other events are the agent's own affair.
        let text = value["delta"].as_str().unwrap_or_default().to_owned();
        Ok(Piece { alive: !text.is_empty(), text, ..Piece::default() })
    }

    fn whole(&self, body: &[u8]) -> Result<String, Garbled> {
        if let Ok(Whole { reply }) = serde_json::from_slice(body) {
            return Ok(reply);
        }
        let error = serde_json::from_slice(body).ok().and_then(|value| reported_error(&value));
        Err(match error {
            Some(error) => format!("the agent reports an error: {error}"),
            None => "the answer is no {\"reply\": \"…\"}".into(),
        })
    }
}

impl Dialect for Http {
    fn body(&self, question: &Question<'_>) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Body::of(question))?)
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn address_settings(&self) -> &'static str {
        "url"
    }
}
