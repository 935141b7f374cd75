//! Speaks HTTP with the bridge: keys, time-outs, bounds, and what an answer means. Redirects are not followed, so no key ever reaches an
//! address that the operator did not write down.

use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::{Envelope, Inbox, Outgoing, Receipt, SessionMessages, Sessions};
use crate::time;
use jiff::Timestamp;
use plugin_api::{Result, Secret};
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Once;
use std::time::{Duration, Instant};

/// Bytes of an answer. The largest honest one, a long session with all its texts, is far below.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// A connection is there within this time, or the bridge cannot be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions are asked for in pages of this size, the largest that bridges give.
pub(crate) const SESSIONS_PAGE: usize = 100;
/// Characters kept of what the bridge says about an error.
const LONGEST_WHY: usize = 200;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Url,
    api_key: Secret,
    admin_key: Option<Secret>,
}

/// What the bridge answered, and when by its own clock.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub data: T,
    /// Not later than the moment at which the bridge began to read its store.
    pub asked_at: Option<Timestamp>,
}

impl Client {
    pub(crate) fn new(config: &Config, host_version: &str) -> Result<Self> {
        install_crypto();
        let http = reqwest::Client::builder()
            .user_agent(user_agent(&config.plugin_name, host_version))
            .redirect(Policy::none())
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(CONNECT_TIMEOUT))
            .build()?;
        let (endpoint, api_key, admin_key) =
            (config.endpoint.clone(), config.api_key.clone(), config.admin_key.clone());
        Ok(Self { http, endpoint, api_key, admin_key })
    }

    pub(crate) fn has_admin_key(&self) -> bool {
        self.admin_key.is_some()
    }

    /// Takes up to `limit` messages out of the inbox: they are marked as processed there before the answer is on its way. None with 0.
    pub(crate) async fn inbox(&self, limit: u32) -> Result<Answer<Inbox>, Failure> {
        let query = [("action", "inbox"), ("limit", &limit.to_string()), ("offset", "0")];
        self.send(self.http.get(self.endpoint.clone()).query(&query), &self.api_key).await
    }

    /// Posts an answer, or a part of one.
    pub(crate) async fn outbox(&self, outgoing: &Outgoing<'_>, idempotency_key: &str) -> Result<Receipt, Failure> {
        let request = self.http.post(self.endpoint.clone()).query(&[("action", "outbox")]).json(outgoing);
        let request = request.header(IDEMPOTENCY_KEY, idempotency_key);
        Ok(self.send(request, &self.api_key).await?.data)
    }

    /// A page of all sessions that the bridge still has, also of those that it counts as inactive.
    pub(crate) async fn sessions(&self, offset: usize) -> Result<Answer<Sessions>, Failure> {
        let (limit, offset) = (SESSIONS_PAGE.to_string(), offset.to_string());
        self.admin(&[("action", "sessions"), ("active", "false"), ("limit", &limit), ("offset", &offset)]).await
    }

    /// All that was said in a session; `None` if the bridge no longer has it.
    pub(crate) async fn session_messages(&self, session: &str) -> Result<Option<SessionMessages>, Failure> {
        let answer = self.admin(&[("action", "session_messages"), ("session_id", session)]).await;
        match answer {
            Ok(answer) => Ok(Some(answer.data)),
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn admin<T: DeserializeOwned>(&self, query: &[(&str, &str)]) -> Result<Answer<T>, Failure> {
        // Without that key nobody asks; an empty one would be refused, which says the same.
        let key = self.admin_key.clone().unwrap_or_default();
        self.send(self.http.get(self.endpoint.clone()).query(query), &key).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder, key: &Secret) -> Result<Answer<T>, Failure> {
        let begun = Instant::now();
        let response = request.bearer_auth(key.expose()).send().await.map_err(not_answered)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await;
        if !status.is_success() {
            // The status says enough, whatever became of the body.
            return Err(refused(status.as_u16(), &headers, &body.unwrap_or_default()));
        }
        let body = body?;
        let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| Failure::Garbled(error.to_string()))?;
        if envelope.success == Some(false) {
            let code = envelope.code.as_ref().and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(refused(code.filter(|code| *code >= 400).unwrap_or(500), &headers, &body));
        }
        let asked_at = clock(&envelope, &headers)
            .and_then(|time| time.checked_sub(jiff::SignedDuration::try_from(begun.elapsed()).ok()?).ok());
        let data = envelope.data.ok_or_else(|| Failure::Garbled("there is no `data` in it".into()))?;
        let data = serde_json::from_str(data.get()).map_err(|error| Failure::Garbled(format!("`data`: {error}")))?;
        Ok(Answer { data, asked_at })
    }
}

/// The operator's name for the plugin may have characters that a header cannot have.
fn user_agent(plugin_name: &str, host_version: &str) -> String {
    let token = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    format!("{}/{host_version} (Arcuate)", plugin_name.chars().map(token).collect::<String>())
}

/// Once per library: reqwest finds the provider by itself. Another one that is there already will do.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// The time of the answer by the bridge's own clock. Its envelope is the bridge itself speaking, but some write local time without a zone;
/// `Date` may be a proxy's, and has a zone.
fn clock(envelope: &Envelope, headers: &HeaderMap) -> Option<Timestamp> {
    let written = envelope.timestamp.as_ref().and_then(Value::as_str).unwrap_or_default();
    let date = || time::http_date(headers.get(DATE)?.to_str().ok()?);
    time::with_offset(written).or_else(date).or_else(|| time::parse(written))
}

fn not_answered(error: reqwest::Error) -> Failure {
    let (unreachable, timeout) = (error.is_connect() || error.is_builder(), error.is_timeout());
    // Without its address: the query would only make the same trouble look different each time.
    let why = plugin_api::Error::from(error.without_url()).to_string();
    match (unreachable, timeout) {
        (true, _) => Failure::Unreachable(why),
        (false, true) => Failure::Lost("none came within `timeout`".into()),
        (false, false) => Failure::Lost(why),
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(not_answered)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Failure::Garbled(format!("it is longer than {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn refused(status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let said =
        serde_json::from_slice::<Envelope>(body).ok().and_then(|envelope| Some(envelope.error?.as_str()?.to_owned()));
    let why = match header(LOCATION).filter(|_| (300..400).contains(&status)) {
        Some(location) => format!("redirects to {location}"),
        None => said.unwrap_or_else(|| {
            StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("no reason given").into()
        }),
    };
    let why = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_WHY).collect();
    Failure::Refused {
        status,
        why,
        retry_after: header(RETRY_AFTER).and_then(|value| time::retry_after(value, header(DATE))),
    }
}
