//! The running host's admin API, as the command line asks it: one connection per request, JSON both ways, and an end after ten seconds.
//! It speaks to this machine's own host and to nobody else.

use super::view::{field, items};
use crate::config::Mistake;
use crate::error::{Error, Result};
use crate::store::lock::Holder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the host may take, whatever it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// Far more than a page of anything.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

const ADMIN: &str = "/api/v1/admin/";
const READY: &str = "/api/v1/ready";

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// A host that holds the store's lock.
pub(super) struct Client {
    holder: Holder,
    bearer: HeaderValue,
    patience: Duration,
}

impl Client {
    pub(super) fn new(holder: Holder, token: &str) -> Result<Self> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::Unavailable("the operator's token has characters that no request can carry".into()))?;
        bearer.set_sensitive(true);
        Ok(Self { holder, bearer, patience: PATIENCE })
    }

    /// The same with more time for each answer.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// `path`: below `/api/v1/admin/`, with its query.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.get_at(&format!("{ADMIN}{path}")).await
    }

    /// The same for any path of the host.
    pub(super) async fn get_at(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Internal(error.to_string()))?;
        self.ask(Method::POST, &format!("{ADMIN}{path}"), body.into()).await
    }

    /// The same for what must not be done twice: a repeat with the same key does nothing.
    pub(super) async fn post_once(&self, path: &str, body: &impl Serialize, key: Option<&str>) -> Result<Value> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Internal(error.to_string()))?;
        self.ask_with(Method::POST, &format!("{ADMIN}{path}"), body.into(), key).await
    }

    /// An answer of any length, handed to `take` as it comes. Each piece of it has to come soon.
    pub(super) async fn download(&self, path: &str, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut body = self.open(&format!("{ADMIN}{path}")).await?;
        loop {
            match timeout(self.patience, body.frame()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(frame))) => frame.data_ref().map_or(Ok(()), |bytes| take(bytes))?,
                Ok(Some(Err(error))) => return Err(self.silent(&format_args!("it broke off: {error}"))),
                Err(_) => return Err(self.silent(&"it stopped in the middle")),
            }
        }
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value> {
        self.ask(Method::DELETE, &format!("{ADMIN}{path}"), Bytes::new()).await
    }

    pub(super) fn pid(&self) -> u32 {
        self.holder.pid
    }

    pub(super) fn url(&self) -> &str {
        &self.holder.url
    }

    /// What the host says of itself; that it is not ready is an answer too.
    pub(super) async fn ready(&self) -> Result<Value> {
        let (_, answer) = self.in_time(self.exchange(Method::GET, READY, Bytes::new(), None)).await?;
        serde_json::from_slice(&answer).map_err(|error| self.silent(&error))
    }

    /// Opens a stream; its body may go on for ever. `path`: the whole, with its query.
    pub(super) async fn open(&self, path: &str) -> Result<Incoming> {
        let answer = self.in_time(self.send(Method::GET, path, Bytes::new(), None)).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let text = self.in_time(whole(answer)).await.unwrap_or_default();
        Err(self.refused(status, &text))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        self.ask_with(method, path, body, None).await
    }

    async fn ask_with(&self, method: Method, path: &str, body: Bytes, key: Option<&str>) -> Result<Value> {
        let (status, answer) = self.in_time(self.exchange(method, path, body, key)).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&answer).map_err(|error| self.silent(&error));
        }
        Err(self.refused(status, &answer))
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Broken>>) -> Result<T> {
        match timeout(self.patience, asked).await {
            Ok(answered) => answered.map_err(|error| self.silent(&error)),
            Err(_) => Err(self.silent(&format_args!("nothing within {} s", self.patience.as_secs_f64()))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        key: Option<&str>,
    ) -> Result<(StatusCode, Bytes), Broken> {
        let answer = self.send(method, path, body, key).await?;
        Ok((answer.status(), whole(answer).await?))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        key: Option<&str>,
    ) -> Result<Response<Incoming>, Broken> {
        let authority = self.holder.url.strip_prefix("http://").unwrap_or(&self.holder.url);
        let socket = TcpStream::connect(authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // Ends with the answer; what breaks it breaks the answer too.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority)
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(sender.send_request(request.body(Full::new(body))?).await?)
    }

    fn silent(&self, why: &dyn Display) -> Error {
        let Holder { pid, url, .. } = &self.holder;
        Error::Unavailable(format!("the host with pid {pid} has the store open, but does not answer at {url}: {why}"))
    }

    /// In the host's own words, where it has some.
    fn refused(&self, status: StatusCode, answer: &[u8]) -> Error {
        let answer = serde_json::from_slice::<Value>(answer).unwrap_or_default();
        let mistakes = items(&answer, "mistakes").iter().filter_map(Mistake::from_json);
        match mistakes.collect::<Vec<_>>() {
            none if none.is_empty() => self.refusal(status, &field(&answer, "error")),
            mistakes => Error::Mistakes(mistakes),
        }
    }

    fn refusal(&self, status: StatusCode, text: &str) -> Error {
        let text = if text.is_empty() { format!("the host answered {status}") } else { text.into() };
        match status.as_u16() {
            400 | 422 => Error::Invalid(text),
            401 | 403 => Error::Forbidden(format!(
                "the host with pid {} does not take the operator's token that is configured now: {text}; \
                 if the token was changed, restart the host",
                self.holder.pid
            )),
            404 => Error::NotFound(text),
            409 => Error::Conflict(text),
            503 => Error::Unavailable(text),
            _ => Error::Internal(text),
        }
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Broken> {
    Ok(Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What the client makes of a host that reads a little and then says this; None: nothing at all.
    async fn asked(answer: Option<&'static str>) -> Result<Value> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let host = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = socket.read(&mut head).await.unwrap();
            match answer {
                Some(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
                None => std::future::pending().await,
            }
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let holder = Holder { pid: 7, url, started_at: String::new() };
        let patience = if answer.is_some() { PATIENCE } else { Duration::from_millis(50) };
        let client = Client { patience, ..Client::new(holder, "key")? };
        let value = client.get("queue?limit=1").await?;
        let head = host.await.unwrap();
        assert!(head.starts_with("GET /api/v1/admin/queue?limit=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer key\r\n"), "{head}");
        Ok(value)
    }

    #[tokio::test]
    async fn answer_is_passed_on_with_its_meaning() {
        let found = asked(Some("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}")).await;
        assert_eq!(found, Ok(serde_json::json!({ "a": 1 })));
        let unknown = asked(Some("HTTP/1.1 404 Not Found\r\ncontent-length: 14\r\n\r\n{\"error\": \"x\"}")).await;
        assert_eq!(unknown, Err(Error::NotFound("x".into())));
        let foreign = asked(Some("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")).await.unwrap_err().to_string();
        assert!(foreign.contains("pid 7 does not take the operator's token"), "{foreign}");
    }

    #[tokio::test]
    async fn silence_names_the_pid() {
        let slow = asked(None).await.unwrap_err().to_string();
        assert!(slow.contains("pid 7") && slow.ends_with("nothing within 0.05 s"), "{slow}");
        let odd = asked(Some("I am no host\r\n\r\n")).await.unwrap_err().to_string();
        assert!(odd.contains("does not answer at http://127.0.0.1:"), "{odd}");
    }
}
