//! What agents behind HTTP have in common: a request, within its times, and its answer, streamed or whole. Who asks what is for `remote.rs`
//! and `letta.rs`.

use crate::answer::Answer;
use crate::dialect::{Garbled, Reader};
use crate::failure::Failure;
use crate::refusal::{self, Remedies};
use crate::settings::Settings;
use crate::{client, stream};
use futures_util::StreamExt;
use plugin_api::{Host, Job, Result, Secret};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Of an answer that is no stream. 256 KiB of text, each letter escaped, fit in.
const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// Of a small call beside a turn: nothing is thought about there.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// A server that can be asked.
pub(crate) struct Wire {
    host: Host,
    client: Client,
    /// Host and port, for texts.
    place: String,
    first_token_timeout: Duration,
    call_timeout: Duration,
    remedies: Remedies,
    secrets: [Secret; 2],
}

impl Wire {
    /// `address_settings`: those that a 404 is about.
    pub(crate) fn new(settings: &Settings, url: &Url, address_settings: &'static str, host: Host) -> Result<Self> {
        let (name, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        Ok(Self {
            client: client::build(settings, url, host.version())?,
            place: format!("{name}:{port}"),
            first_token_timeout: settings.first_token_timeout()?,
            call_timeout: settings.timeout()?.min(LONGEST_CALL),
            remedies: Remedies { address: address_settings, proof: proof(settings) },
            secrets: [settings.api_key.clone(), settings.secret.clone()],
            host,
        })
    }

    /// A request of this job; every one carries its key.
    pub(crate) fn request(&self, method: Method, url: Url, job_id: &str) -> RequestBuilder {
        self.client.request(method, url).header("idempotency-key", job_id)
    }

    /// Asks, and reads the answer to its end. `is_stream`: the answer is sure to be one, so that a server which stays silent until the
    /// first token's time is late already.
    pub(crate) async fn ask(
        &self,
        request: RequestBuilder,
        reader: &dyn Reader,
        is_stream: bool,
        job: &Job,
    ) -> Result<String, Failure> {
        let asked_at = Instant::now();
        let response = match is_stream {
            true => timeout_at(asked_at + self.first_token_timeout, request.send()).await.map_err(|_| self.late())?,
            false => request.send().await,
        };
        let response = response.map_err(|error| self.broken(error))?;
        if !response.status().is_success() {
            return Err(refusal::read(response, self.remedies).await);
        }
        let answer = match is_event_stream(&response) {
            true => {
                let begun = if is_stream { asked_at } else { Instant::now() };
                let late = (begun + self.first_token_timeout, self.late());
                stream::read(response, reader, late, &self.host, job).await?
            }
            false => {
                let body = body(response).await?;
                Answer::of(&reader.whole(&body).map_err(garbled)?)
            }
        };
        answer.into_text().ok_or(Failure::Empty)
    }

    /// A small call beside a turn, and the body of its answer. `what` says what for. Doing it again is always harmless, so that whatever
    /// breaks counts as refused.
    pub(crate) async fn call(&self, what: &str, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let refused = |why: String| Failure::Refused { why, status: None, after: None };
        let called = timeout(self.call_timeout, async {
            let response = request.send().await.map_err(|error| self.broken(error))?;
            if !response.status().is_success() {
                return Err(refusal::read(response, self.remedies).await);
            }
            body(response).await
        });
        let failure = match called.await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(Failure::Uncertain { why })) => refused(format!("{what}: {why}")),
            Ok(Err(failure)) => failure.about(what),
            Err(_) => {
                refused(format!("{what}: no answer from {} within {} s", self.place, self.call_timeout.as_secs_f64()))
            }
        };
        Err(self.masked(failure))
    }

    pub(crate) fn masked(&self, failure: Failure) -> Failure {
        failure.masked(&self.secrets)
    }

    fn broken(&self, error: reqwest::Error) -> Failure {
        let unsent = error.is_connect() || error.is_builder();
        // Without the address: a key may stand in its query.
        let text = plugin_api::Error::from(error.without_url());
        let place = &self.place;
        match unsent {
            true => Failure::Refused {
                why: format!("the agent at {place} cannot be reached: {text}"),
                status: None,
                after: None,
            },
            false => Failure::uncertain(format!("the connection to {place} broke before an answer: {text}")),
        }
    }

    fn late(&self) -> Failure {
        let seconds = self.first_token_timeout.as_secs_f64();
        Failure::uncertain(format!("no word of the answer came within {seconds} s (setting first_token_timeout)"))
    }
}

/// What an answer that took the whole of `timeout` is told as.
pub(crate) fn too_long(timeout: Duration) -> Failure {
    Failure::uncertain(format!(
        "the agent took longer than {} s for its answer (setting timeout)",
        timeout.as_secs_f64()
    ))
}

/// An answer with status 200 that makes no sense.
pub(crate) fn garbled(what: Garbled) -> Failure {
    Failure::uncertain(format!("the agent took the question, but {what}"))
}

async fn body(response: Response) -> Result<Vec<u8>, Failure> {
    let mut frames = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| Failure::uncertain("the answer was cut off"))?;
        if body.len() + frame.len() > BODY_LIMIT {
            return Err(Failure::uncertain("the answer does not end: more than 2 MiB came"));
        }
        body.extend_from_slice(&frame);
    }
    Ok(body)
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

/// The settings that prove who asks.
fn proof(settings: &Settings) -> Option<&'static str> {
    match (settings.api_key.is_empty(), settings.secret.is_empty()) {
        (false, true) => Some("api_key"),
        (true, false) => Some("secret"),
        (false, false) => Some("api_key and secret"),
        (true, true) => None,
    }
}
