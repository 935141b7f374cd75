//! What is asked of a Letta server: addresses and bodies, as the published client sends them.

use crate::failure::Failure;
use crate::wire::Wire;
use reqwest::{Method, RequestBuilder, Url};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Of the published client whose requests these are.
const CLIENT_VERSION: &str = "1.6.5";
/// Messages per page of what was said.
const PAGE: &str = "100";

pub(crate) struct Server {
    pub wire: Wire,
    root: Url,
    agent: String,
    /// How long the agent may say nothing.
    pub silence: Duration,
}

/// Where a turn is asked and found again.
#[derive(Debug)]
pub(crate) enum Thread {
    /// The agent's one line of messages, which all people share.
    OfAgent,
    Conversation(String),
}

/// A question.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub otid: &'a str,
    pub content: &'a str,
    /// The identity of who asks.
    pub sender_id: Option<&'a str>,
    pub stream_tokens: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    messages: [Message<'a>; 1],
    streaming: bool,
    background: bool,
    include_pings: bool,
    stream_tokens: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    otid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_id: Option<&'a str>,
}

impl Server {
    pub(crate) fn new(wire: Wire, root: Url, agent: String, silence: Duration) -> Self {
        Self { wire, root, agent, silence }
    }

    /// The setting `url` without the version that operators may have put behind it.
    pub(crate) fn root(mut url: Url) -> Url {
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        url.set_path(&path);
        url
    }

    /// Server and agent, to know what was made for others: ids of another server mean nothing here.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.root, self.agent)
    }

    /// Servers give streams and today's shapes only to clients that say they are of the published one's first major version or later.
    fn request(&self, method: Method, url: Url, job_id: &str) -> RequestBuilder {
        self.wire.request(method, url, job_id).header("x-stainless-package-version", CLIENT_VERSION)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.root.clone();
        // Only an address without a host has no path, and such a one is no setting. Each part is encoded, whatever a server calls its things.
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().push("v1").extend(path);
        }
        url
    }

    /// `POST /v1/identities/`
    pub(crate) async fn make_identity(&self, key: &str, name: &str, job_id: &str) -> Result<String, Failure> {
        let body = json!({"identifier_key": key, "name": name, "identity_type": "user"});
        let request = self.request(Method::POST, self.url(&["identities", ""]), job_id).json(&body);
        id_of(&json_of(&self.wire.call("making an identity", request).await?)?)
    }

    /// `GET /v1/identities/`: the one that an earlier attempt has made.
    pub(crate) async fn find_identity(&self, key: &str, job_id: &str) -> Result<String, Failure> {
        let mut url = self.url(&["identities", ""]);
        url.query_pairs_mut().append_pair("identifier_key", key);
        let found = self.wire.call("looking for an identity", self.request(Method::GET, url, job_id)).await?;
        id_of(&json_of(&found)?[0])
    }

    /// `POST /v1/blocks/`
    pub(crate) async fn make_block(&self, block: &Value, job_id: &str) -> Result<String, Failure> {
        let request = self.request(Method::POST, self.url(&["blocks", ""]), job_id).json(block);
        id_of(&json_of(&self.wire.call("making a memory block", request).await?)?)
    }

    /// `GET /v1/blocks/{block}`: whether it is there.
    pub(crate) async fn has_block(&self, block: &str, job_id: &str) -> Result<bool, Failure> {
        let request = self.request(Method::GET, self.url(&["blocks", block]), job_id);
        match self.wire.call("looking for a memory block", request).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.status() == Some(404) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// `PATCH /v1/agents/{agent}/core-memory/blocks/attach/{block}`: 409 = it is there already.
    pub(crate) async fn attach(&self, block: &str, job_id: &str) -> Result<(), Failure> {
        match self.patch_block("attach", block, job_id).await {
            Err(failure) if failure.status() == Some(409) => Ok(()),
            attached => attached,
        }
    }

    /// The same with `detach`: 404 = it is not there any more.
    pub(crate) async fn detach(&self, block: &str, job_id: &str) -> Result<(), Failure> {
        match self.patch_block("detach", block, job_id).await {
            Err(failure) if failure.status() == Some(404) => Ok(()),
            detached => detached,
        }
    }

    async fn patch_block(&self, deed: &str, block: &str, job_id: &str) -> Result<(), Failure> {
        let url = self.url(&["agents", &self.agent, "core-memory", "blocks", deed, block]);
        let what = format!("memory block, {deed}");
        let body = self.wire.call(&what, self.request(Method::PATCH, url, job_id)).await?;
        // What it answers is not needed, but a page of something else is no answer: a turn would run without its block.
        if body.is_empty() { Ok(()) } else { json_of(&body).map(|_| ()) }
    }

    /// `POST /v1/conversations/?agent_id=…`
    pub(crate) async fn make_conversation(&self, job_id: &str) -> Result<String, Failure> {
        let mut url = self.url(&["conversations", ""]);
        url.query_pairs_mut().append_pair("agent_id", &self.agent);
        let request = self.request(Method::POST, url, job_id).json(&json!({}));
        id_of(&json_of(&self.wire.call("making a conversation", request).await?)?)
    }

    /// `POST …/messages`, the turn itself.
    pub(crate) fn turn(&self, thread: &Thread, asked: &Asked<'_>) -> RequestBuilder {
        let Asked { otid, content, sender_id, stream_tokens } = *asked;
        let messages = [Message { role: "user", content, otid, sender_id }];
        let body = Turn { messages, streaming: true, background: true, include_pings: true, stream_tokens };
        self.request(Method::POST, self.messages(thread), otid).json(&body)
    }

    /// `GET …/messages`, a page of them, newest first; `after`: of older ones than that.
    pub(crate) async fn said(&self, thread: &Thread, after: Option<&str>, job_id: &str) -> Result<Vec<Value>, Failure> {
        let mut url = self.messages(thread);
        url.query_pairs_mut().append_pair("order", "desc").append_pair("limit", PAGE);
        if let Some(id) = after {
            url.query_pairs_mut().append_pair("after", id);
        }
        let page = self.wire.call("looking the answer up", self.request(Method::GET, url, job_id)).await?;
        match json_of(&page)? {
            Value::Array(messages) => Ok(messages),
            _ => Err(nonsense("what was said is no list")),
        }
    }

    fn messages(&self, thread: &Thread) -> Url {
        match thread {
            Thread::OfAgent => self.url(&["agents", &self.agent, "messages"]),
            Thread::Conversation(id) => self.url(&["conversations", id, "messages"]),
        }
    }
}

/// An empty id would make an address of something else.
fn id_of(thing: &Value) -> Result<String, Failure> {
    let id = thing["id"].as_str().filter(|id| !id.is_empty() && id.len() <= 255);
    id.map(Into::into).ok_or_else(|| nonsense("what it made has no id"))
}

fn json_of(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|_| nonsense("no JSON"))
}

fn nonsense(what: &str) -> Failure {
    let why = format!("the server answers in a way that makes no sense: {what}; check that url is a Letta server");
    Failure::Refused { why, status: None, after: None }
}
