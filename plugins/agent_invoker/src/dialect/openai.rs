//! The backend `openai`: chat completions (platform.openai.com/docs/api-reference/chat), as many servers speak them.

use super::{Dialect, Garbled, Piece, Reader, reported_error};
use crate::conversation::{Line, Question, Role};
use crate::settings::Settings;
use plugin_api::Result;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

const PATH: &str = "/chat/completions";

pub(crate) struct OpenAi {
    model: String,
    system_prompt: String,
    stream: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Line>,
    stream: bool,
}

impl OpenAi {
    pub(crate) fn new(settings: &Settings) -> Self {
        let Settings { model, system_prompt, stream, .. } = settings.clone();
        Self { model, system_prompt, stream }
    }

    /// The server's root, the root with `/v1`, or the whole address.
    pub(crate) fn address(mut root: Url) -> Url {
        let path = root.path().trim_end_matches('/');
        let path = match path {
            whole if whole.ends_with(PATH) => whole.to_owned(),
            versioned if versioned.ends_with("/v1") => format!("{versioned}{PATH}"),
            bare => format!("{bare}/v1{PATH}"),
        };
        root.set_path(&path);
        root
    }

    /// Many models want the roles to alternate, beginning with a user's: neighbours are joined, and an answer whose question lies too far
    /// back to be sent is left out.
    fn messages(&self, question: &Question<'_>) -> Vec<Line> {
        let asked = Line::new(Role::User, question.prompt);
        let said = question.history.iter().skip_while(|line| line.role == Role::Assistant);
        let mut messages: Vec<Line> = Vec::with_capacity(question.history.len() + 2);
        if !self.system_prompt.is_empty() {
            messages.push(Line::new(Role::System, &self.system_prompt));
        }
        for line in said.chain([&asked]) {
            match messages.last_mut() {
                Some(last) if last.role == line.role => last.content.extend(["\n\n", line.content.as_str()]),
                _ => messages.push(line.clone()),
            }
        }
        messages
    }
}

impl Reader for OpenAi {
    fn piece(&self, data: &str) -> Result<Piece, Garbled> {
        let chunk: Value = serde_json::from_str(data).map_err(|_| "an event is no JSON".to_owned())?;
        if let Some(error) = reported_error(&chunk) {
            return Err(format!("the server reports an error: {error}"));
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        let text = content(delta).unwrap_or_default().to_owned();
        // Models that think first stream their thoughts apart from the answer, for minutes perhaps.
        let thinks =
            ["reasoning_content", "reasoning"].iter().any(|key| delta[*key].as_str().is_some_and(|s| !s.is_empty()));
        let finished = !choice["finish_reason"].is_null();
        Ok(Piece { alive: thinks || !text.is_empty(), text, finished, part: None })
    }

    fn whole(&self, body: &[u8]) -> Result<String, Garbled> {
        let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
        if let Some(error) = reported_error(&value) {
            return Err(format!("the server reports an error: {error}"));
        }
        match &value["choices"][0]["message"] {
            Value::Object(_) => Ok(content(&value["choices"][0]["message"]).unwrap_or_default().into()),
            _ => Err("the answer has no choices[0].message".into()),
        }
    }
}

impl Dialect for OpenAi {
    fn body(&self, question: &Question<'_>) -> Result<Vec<u8>> {
        let messages = self.messages(question);
        Ok(serde_json::to_vec(&Body { model: &self.model, messages, stream: self.stream })?)
    }

    fn is_stream(&self) -> bool {
        self.stream
    }

    fn address_settings(&self) -> &'static str {
        "url and model"
    }
}

/// A refusal is said in a field of its own, and is an answer all the same.
fn content(message: &Value) -> Option<&str> {
    let said = message["content"].as_str().filter(|text| !text.is_empty());
    said.or_else(|| message["refusal"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::FakeHost;
    use plugin_api::{Turn, Work};
    use serde_json::json;

    fn turn() -> Turn {
        let Work::AgentTurn(turn) = FakeHost::new("assistant").turn("now").work else { unreachable!() };
        *turn
    }

    fn messages(system_prompt: &str, history: &[Line]) -> Value {
        let settings = Settings { system_prompt: system_prompt.into(), ..Settings::default() };
        let question = Question { job_id: "1", turn: &turn(), prompt: "now", history };
        serde_json::to_value(OpenAi::new(&settings).messages(&question)).unwrap()
    }

    #[test]
    fn address_understands_root_version_and_whole() {
        for (url, expected) in [
            ("http://h:1", "http://h:1/v1/chat/completions"),
            ("http://h:1/", "http://h:1/v1/chat/completions"),
            ("http://h:1/v1", "http://h:1/v1/chat/completions"),
            ("https://h/api/v1/", "https://h/api/v1/chat/completions"),
            ("https://h/openai?version=2", "https://h/openai/v1/chat/completions?version=2"),
            ("http://h/v1/chat/completions", "http://h/v1/chat/completions"),
        ] {
            assert_eq!(OpenAi::address(url.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn messages_alternate_and_neighbours_are_joined() {
        use Role::{Assistant, User};
        let history = [
            Line::new(Assistant, "lost its question"),
            Line::new(User, "a"),
            Line::new(User, "b"),
            Line::new(Assistant, "c"),
            Line::new(Assistant, "d"),
            Line::new(User, "e"),
        ];
        let expected = json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "a\n\nb"},
            {"role": "assistant", "content": "c\n\nd"},
            {"role": "user", "content": "e\n\nnow"},
        ]);
        assert_eq!(messages("be kind", &history), expected);
    }

    #[test]
    fn messages_without_system_prompt_and_history_are_the_prompt() {
        assert_eq!(messages("", &[]), json!([{"role": "user", "content": "now"}]));
    }

    #[test]
    fn piece_tells_words_thoughts_and_the_end_apart() {
        let piece = |delta: Value, reason: Value| {
            let chunk = json!({"choices": [{"delta": delta, "finish_reason": reason}]});
            OpenAi::new(&Settings::default()).piece(&chunk.to_string()).unwrap()
        };
        let none = Value::Null;
        assert_eq!(piece(json!({"role": "assistant", "content": ""}), none.clone()), Piece::default());
        assert!(piece(json!({"reasoning_content": "hm"}), none.clone()).alive);
        assert_eq!(piece(json!({"content": "hi"}), none), Piece { text: "hi".into(), alive: true, ..Piece::default() });
        assert!(piece(json!({}), json!("stop")).finished);
    }

    #[test]
    fn piece_without_choices_is_nothing() {
        let openai = OpenAi::new(&Settings::default());
        assert_eq!(openai.piece(r#"{"choices": [], "usage": {"total_tokens": 3}}"#), Ok(Piece::default()));
        assert!(openai.piece(r#"{"error": {"message": "overloaded"}}"#).unwrap_err().contains("overloaded"));
    }
}
