//! Somebody's endpoint, as a server of its own inside the test: it keeps what it got, and answers as it is told to.

use crate::ports::free_port;
use crate::wait::until;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Answer = dyn Fn(&Post, usize) -> Response + Send + Sync;

/// Something that was posted.
#[derive(Debug, Clone)]
pub struct Post {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What was answered.
    pub status: u16,
}

impl Post {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    pub fn event(&self) -> String {
        self.json()["event"].as_str().expect("an event's name").into()
    }
}

struct Shared {
    posts: Mutex<Vec<Post>>,
    answer: Box<Answer>,
}

/// See the module's text.
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Takes everything.
    pub async fn start() -> Self {
        Self::answering(|_, _| StatusCode::OK.into_response()).await
    }

    /// `answer` gets what was posted, and how much was before.
    pub async fn answering(answer: impl Fn(&Post, usize) -> Response + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { posts: Mutex::default(), answer: Box::new(answer) });
        let port = free_port();
        Self { port, server: serve(port, shared.clone()).await, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn posts(&self) -> Vec<Post> {
        lock(&self.shared.posts).clone()
    }

    pub fn count(&self) -> usize {
        lock(&self.shared.posts).len()
    }

    /// Waits until so many were posted.
    pub async fn until(&self, count: usize) -> Vec<Post> {
        until("the endpoint gets its posts", || (self.count() >= count).then(|| self.posts())).await
    }

    /// Away for a moment: connections break, and there is nobody at its port.
    pub async fn restart(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
        self.server = serve(self.port, self.shared.clone()).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(port: u16, shared: Arc<Shared>) -> JoinHandle<()> {
    let router = Router::new().fallback(take).with_state(shared);
    let bind = || async { TcpListener::bind(("127.0.0.1", port)).await.ok() };
    let listener = crate::wait::until_async("the endpoint's port is free", crate::wait::PATIENCE, bind).await;
    tokio::spawn(async move { drop(axum::serve(listener, router).await) })
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut post = Post { path: uri.path().into(), headers, body, status: 0 };
    let mut posts = lock(&shared.posts);
    let answer = (shared.answer)(&post, posts.len());
    post.status = answer.status().as_u16();
    posts.push(post);
    answer
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
