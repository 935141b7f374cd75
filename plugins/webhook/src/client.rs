//! One post, from the check of its address to the status of its answer.

use crate::networks::{Networks, Refused};
use crate::outcome::Failure;
use crate::signature;
use futures_util::StreamExt;
use plugin_api::{Error, Result, Webhook};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// Many servers close an idle connection after five seconds, so be earlier.
const IDLE: Duration = Duration::from_secs(4);
/// Of an answer's body, which nobody reads: only so much that a short one leaves its connection usable.
const BODY_LIMIT: usize = 4 * 1024;
const BODY_TIME: Duration = Duration::from_millis(500);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

/// The HTTP clients of one instance.
pub(crate) struct Client {
    networks: Networks,
    agent: String,
    connect_timeout: Duration,
    plain: reqwest::Client,
    /// Made at the first use, as it reads the system's certificates.
    secure: OnceLock<Result<reqwest::Client, String>>,
}

impl Client {
    pub(crate) fn new(networks: Networks, version: &str, timeout: Duration) -> Result<Self> {
        // Another plugin of this kind may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (agent, connect_timeout) = (format!("Arcuate/{version}"), LONGEST_CONNECT.min(timeout));
        // Works on machines without any certificates.
        let plain = builder(&networks, &agent, connect_timeout).tls_certs_only([]).build().map_err(Error::from)?;
        Ok(Self { networks, agent, connect_timeout, plain, secure: OnceLock::new() })
    }

    pub(crate) async fn post(&self, job_id: &str, webhook: &Webhook) -> Result<Answer, Failure> {
        let url =
            Url::parse(&webhook.url).map_err(|error| Failure::Hopeless(format!("the endpoint's URL: {error}")))?;
        if let Some(address) = literal(&url) {
            // A name is checked when it is looked up; an address is not looked up.
            self.networks.check(address).map_err(|refused| Failure::Hopeless(refused.to_string()))?;
        }
        let client = if url.scheme() == "http" { &self.plain } else { self.secure()? };
        let request = headers(client.post(url), job_id, webhook).body(webhook.body.clone());
        let response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let _ = tokio::time::timeout(BODY_TIME, skip(response)).await;
        Ok(Answer { status, headers })
    }

    fn secure(&self) -> Result<&reqwest::Client, Failure> {
        let build = || builder(&self.networks, &self.agent, self.connect_timeout).https_only(true).build();
        let client = self.secure.get_or_init(|| build().map_err(|error| Error::from(error).to_string()));
        client.as_ref().map_err(|why| Failure::Passing(format!("https cannot be spoken from here: {why}")))
    }
}

fn builder(networks: &Networks, agent: &str, connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(agent)
        .redirect(Policy::none())
        // A proxy would look names up by itself, unchecked.
        .no_proxy()
        .dns_resolver(Arc::new(networks.clone()))
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
}

fn headers(request: RequestBuilder, job_id: &str, webhook: &Webhook) -> RequestBuilder {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .header("x-chat-event", &webhook.event)
        .header("x-chat-webhook-id", &webhook.webhook_id)
        .header("idempotency-key", job_id)
        .header("webhook-id", job_id)
        .header("webhook-timestamp", now);
    match webhook.secret.as_deref().filter(|secret| !secret.is_empty()) {
        Some(secret) => request
            .header("x-chat-signature", signature::chat(secret, &webhook.body))
            .header("webhook-signature", signature::standard(secret, job_id, now, &webhook.body)),
        None => request,
    }
}

/// The address that stands in the URL in place of a name; decimal, octal and hexadecimal forms are read by the URL's parser.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Reads what little there is.
async fn skip(response: Response) {
    let (mut frames, mut bytes) = (response.bytes_stream(), 0);
    while let Some(Ok(frame)) = frames.next().await {
        bytes += frame.len();
        if bytes > BODY_LIMIT {
            return;
        }
    }
}

fn broken(error: reqwest::Error) -> Failure {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = cause {
        if let Some(Refused(why)) = inner.downcast_ref() {
            return Failure::Hopeless(why.clone());
        }
        cause = inner.source();
    }
    let unsent = error.is_connect() || error.is_builder();
    // Without the address: a token may stand in its query.
    let text = Error::from(error.without_url());
    match unsent {
        true => Failure::Passing(format!("the endpoint cannot be reached: {text}")),
        false => Failure::Uncertain(format!("the connection broke before an answer: {text}")),
    }
}
