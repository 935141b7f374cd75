//! How a question is written and an answer read: the part in which agents differ. `wire.rs` does what they have in common.

mod http;
mod openai;

use crate::conversation::Question;
use crate::settings::{Kind, Settings};
pub(crate) use http::{Body as HttpBody, Http};
pub(crate) use openai::OpenAi;
use plugin_api::{Error, Result};
use reqwest::Url;
use serde_json::Value;

/// What an answer that makes no sense looks like. Never with the answer itself: this text ends in logs.
pub(crate) type Garbled = String;

/// How an answer is read.
pub(crate) trait Reader: Send + Sync {
    /// One event of a streamed answer; `[DONE]` is read before.
    fn piece(&self, data: &str) -> Result<Piece, Garbled>;

    /// An answer that came whole.
    fn whole(&self, body: &[u8]) -> Result<String, Garbled>;
}

/// One way of asking an agent in a single request.
pub(crate) trait Dialect: Reader {
    /// The question as JSON.
    fn body(&self, question: &Question<'_>) -> Result<Vec<u8>>;

    /// Whether the answer is sure to be a stream, so that a server which stays silent is already late.
    fn is_stream(&self) -> bool;

    /// The settings that a 404 is about.
    fn address_settings(&self) -> &'static str;
}

/// What one event of a stream brings.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub text: String,
    /// Which message of the answer the text belongs to, where an answer may have several.
    pub part: Option<String>,
    /// The agent is at work: it said something, or thinks aloud.
    pub alive: bool,
    /// The answer is whole, whether or not `[DONE]` follows.
    pub finished: bool,
}

/// The dialect of the settings, and where its questions go.
pub(crate) fn of(settings: &Settings, root: Url) -> (Box<dyn Dialect>, Url) {
    match settings.backend {
        Kind::Openai => (Box::new(OpenAi::new(settings)), OpenAi::address(root)),
        Kind::Echo | Kind::Http | Kind::Letta | Kind::Command => (Box::new(Http), root),
    }
}

/// The setting `url`, as far as it is the same for all.
pub(crate) fn root(settings: &Settings) -> Result<Url> {
    let example = "something like \"http://127.0.0.1:11434\" is needed";
    let text = settings.url.as_deref().unwrap_or_default();
    let url: Url = text.parse().map_err(|error| Error::new(format!("url: {error}; {example}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::new(format!("url: only http and https can be asked; {example}")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::new("url: a name or password cannot stand in the address; put the key into api_key"));
    }
    Ok(url)
}

/// An error that an agent reports inside an answer: `{"error": "…"}` or `{"error": {"message": "…"}}`.
pub(crate) fn reported_error(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let text = error.as_str().or_else(|| error["message"].as_str()).unwrap_or("without a text");
    Some(short(text))
}

/// A foreign text, made fit for one line of a log.
pub(crate) fn short(text: &str) -> String {
    let line = text.chars().take(200).map(|letter| if letter.is_control() { ' ' } else { letter });
    line.collect::<String>().trim().into()
}
