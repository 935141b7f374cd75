//! One question over the network, from the request to the answer's last byte, within its times.

use crate::answer::Answer;
use crate::conversation::Question;
use crate::dialect::{self, Dialect, Garbled};
use crate::failure::Failure;
use crate::refusal::{self, Remedies};
use crate::settings::{Kind, Settings};
use crate::signature::Signer;
use crate::{client, stream};
use futures_util::StreamExt;
use plugin_api::{Host, Job, Result, Secret};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response, Url};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Of an answer that is no stream. 256 KiB of text, each letter escaped, fit in.
const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// An agent behind HTTP.
pub(crate) struct Remote {
    host: Host,
    client: Client,
    address: Url,
    dialect: Box<dyn Dialect>,
    signer: Option<Signer>,
    timeout: Duration,
    first_token_timeout: Duration,
    remedies: Remedies,
    secrets: [Secret; 2],
}

impl Remote {
    pub(crate) fn new(settings: &Settings, host: Host) -> Result<Self> {
        let (dialect, address) = dialect::of(settings, dialect::root(settings)?);
        let signed = settings.backend == Kind::Http && !settings.secret.is_empty();
        Ok(Self {
            client: client::build(settings, &address, host.version())?,
            signer: if signed { Some(Signer::new(&settings.secret)?) } else { None },
            timeout: settings.timeout()?,
            first_token_timeout: settings.first_token_timeout()?,
            remedies: remedies(settings, &*dialect),
            secrets: [settings.api_key.clone(), settings.secret.clone()],
            host,
            address,
            dialect,
        })
    }

    /// The answer, whole; while it grows it is shown in the room.
    pub(crate) async fn ask(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        match timeout(self.timeout, self.exchange(job, question)).await {
            Ok(answered) => answered.map_err(|failure| failure.masked(&self.secrets)),
            Err(_) => Err(Failure::uncertain(format!(
                "the agent took longer than {} s for its answer (setting timeout)",
                self.timeout.as_secs_f64()
            ))),
        }
    }

    async fn exchange(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        let request = self.request(question)?;
        let asked_at = Instant::now();
        let response = self.send(request, asked_at).await?;
        if !response.status().is_success() {
            return Err(refusal::read(response, self.remedies).await);
        }
        let answer = match is_event_stream(&response) {
            true => {
                let begun = if self.dialect.is_stream() { asked_at } else { Instant::now() };
                let late = (begun + self.first_token_timeout, self.late());
                stream::read(response, &*self.dialect, late, &self.host, job).await?
            }
            false => self.whole(response).await?,
        };
        answer.into_text().ok_or(Failure::Empty)
    }

    fn request(&self, question: &Question<'_>) -> Result<RequestBuilder, Failure> {
        let body = self.dialect.body(question).map_err(|error| Failure::Rejected {
            why: format!("the question cannot be written: {error}"),
            status: None,
        })?;
        let mut request = self.client.post(self.address.clone()).header("idempotency-key", question.job_id);
        if let Some(signer) = &self.signer {
            for (name, value) in signer.headers(question.job_id, &body) {
                request = request.header(name, value);
            }
        }
        Ok(request.body(body))
    }

    /// The headers of the answer. Where a stream was ordered, a server that is silent until the first token's time is late already.
    async fn send(&self, request: RequestBuilder, asked_at: Instant) -> Result<Response, Failure> {
        let sent = match self.dialect.is_stream() {
            true => timeout_at(asked_at + self.first_token_timeout, request.send()).await.map_err(|_| self.late())?,
            false => request.send().await,
        };
        sent.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: reqwest::Error) -> Failure {
        let unsent = error.is_connect() || error.is_builder();
        // Without the address: a key may stand in its query.
        let text = plugin_api::Error::from(error.without_url());
        let place = format!(
            "{}:{}",
            self.address.host_str().unwrap_or_default(),
            self.address.port_or_known_default().unwrap_or_default()
        );
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

    async fn whole(&self, response: Response) -> Result<Answer, Failure> {
        let mut frames = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|_| Failure::uncertain("the answer was cut off"))?;
            if body.len() + frame.len() > BODY_LIMIT {
                return Err(Failure::uncertain("the answer does not end: more than 2 MiB came"));
            }
            body.extend_from_slice(&frame);
        }
        let text = self.dialect.whole(&body).map_err(garbled)?;
        Ok(Answer::of(&text))
    }
}

/// An answer with status 200 that makes no sense.
pub(crate) fn garbled(what: Garbled) -> Failure {
    Failure::uncertain(format!("the agent took the question, but {what}"))
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

fn remedies(settings: &Settings, dialect: &dyn Dialect) -> Remedies {
    let proof = match (settings.api_key.is_empty(), settings.secret.is_empty()) {
        (false, true) => Some("api_key"),
        (true, false) => Some("secret"),
        (false, false) => Some("api_key and secret"),
        (true, true) => None,
    };
    Remedies { address: dialect.address_settings(), proof }
}
