//! An HTTP client as a test wants it: what was asked and what was answered are in every failure.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Once;
use std::time::Duration;

/// Longer than anything should take, so that a hang is a failure and not a wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Talks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// Something to be asked; awaiting it asks.
#[derive(Debug)]
pub struct Asked {
    request: RequestBuilder,
    text: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    asked: String,
}

impl Client {
    /// `base`: scheme, host and port.
    pub fn new(base: &str) -> Self {
        install_crypto();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            // Servers of these tests come and go on the same port.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .expect("an HTTP client");
        Self { http, base: base.into(), token: None }
    }

    /// The same server with this bearer token on every request.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Keeps connections, for many requests in a row.
    #[must_use]
    pub fn keeping_connections(self) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().expect("an HTTP client");
        Self { http, ..self }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn ask(&self, method: Method, path: &str) -> Asked {
        let request = self.http.request(method.clone(), self.url(path));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Asked { request, text: format!("{method} {path}") }
    }

    pub fn get(&self, path: &str) -> Asked {
        self.ask(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Asked {
        self.ask(Method::POST, path).json(body)
    }

    /// An endless answer, from its head on. `headers`: names and values.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        self.send_endless(path, headers).await.unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    /// The same; None where nobody answers.
    pub async fn try_open(&self, path: &str, headers: &[(&str, &str)]) -> Option<reqwest::Response> {
        self.send_endless(path, headers).await.ok()
    }

    async fn send_endless(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
        let endless = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let request = endless.get(self.url(path));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
    }
}

impl Asked {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.text.push_str(&format!(" ({name}: {value})"));
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        Self { request: self.request.header(name, value), ..self }
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.text.push_str(&format!(" {}", cut(&String::from_utf8_lossy(&body), 300)));
        Self { request: self.request.body(body), ..self }
    }

    /// An error is the connection's: the server is not there, or ended in the middle.
    pub async fn attempt(self) -> Result<Answer, reqwest::Error> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await?, asked: self.text })
    }
}

impl IntoFuture for Asked {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let text = self.text.clone();
            self.attempt().await.unwrap_or_else(|error| panic!("{text}: {error:?}"))
        })
    }
}

impl Answer {
    /// The body of a success.
    pub fn ok(&self) -> Value {
        self.is(StatusCode::OK.as_u16())
    }

    /// The body of an answer with this status.
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.json()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// Refused with this status and, in the chat API's envelope, this text in its error.
    pub fn refused(&self, status: u16, text: &str) {
        let body = self.is(status);
        let error = body["error"].as_str().unwrap_or_else(|| panic!("no `error`: {self}"));
        assert!(error.contains(text), "expected `{text}` in the error: {self}");
    }

    /// The `data` of a success of the bridge API.
    pub fn data(&self) -> Value {
        let body = self.ok();
        assert_eq!(body["success"], true, "{self}");
        assert!(body["timestamp"].is_string() && body["message"].is_string(), "the envelope is incomplete: {self}");
        body["data"].clone()
    }

    /// Refused in the bridge API's envelope.
    pub fn failed(&self, status: u16, text: &str) {
        let body = self.is(status);
        let envelope = (&body["success"], &body["code"], body["timestamp"].is_string());
        assert_eq!(envelope, (&false.into(), &status.into(), true), "{self}");
        let error = body["error"].as_str().unwrap_or_else(|| panic!("no `error`: {self}"));
        assert!(error.contains(text), "expected `{text}` in the error: {self}");
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  was answered {} {}", self.asked, self.status, cut(&self.text, 2000))
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.into(),
    }
}

/// reqwest is built without a provider of its own, so that plugins can choose one.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
