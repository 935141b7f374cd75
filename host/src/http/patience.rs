//! A bound on how slowly a request's body may arrive, so that those who send a byte now and then hold nothing for long; and a word to
//! those whose body was not read to its end, because their connection ends with the answer.

use crate::state::App;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// So many bytes at least must arrive within the time, unless the body ends.
const LEAST: usize = 1024;

/// Why such a body failed.
#[derive(Debug, thiserror::Error)]
#[error("the body stopped arriving")]
pub struct TooSlow;

/// A body that fails when it stops arriving.
struct Patient {
    body: Body,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes since the timer was set.
    arrived: usize,
    /// Until it has ended.
    unread: Arc<AtomicBool>,
}

/// Gives every body that bound.
pub async fn patient(State(app): State<App>, request: Request, next: Next) -> Response {
    let patience = app.config().server.body;
    let unread = Arc::new(AtomicBool::new(!request.body().is_end_stream()));
    let bounded = |body: Body| match body.is_end_stream() {
        true => body,
        false => Body::new(Patient { body, patience, timer: None, arrived: 0, unread: unread.clone() }),
    };
    let mut response = next.run(request.map(bounded)).await;
    // Without the word, a client would send its next request where nobody listens any more.
    if unread.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if frame.is_none() || this.body.is_end_stream() {
                this.unread.store(false, Ordering::Relaxed);
            }
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            this.arrived += bytes;
            if this.arrived >= LEAST {
                (this.timer, this.arrived) = (None, 0);
            }
            return Poll::Ready(frame);
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.patience)));
        timer.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::BodyExt;
    use std::convert::Infallible;

    fn patient(body: Body) -> Patient {
        Patient { body, patience: Duration::from_millis(20), timer: None, arrived: 0, unread: Arc::default() }
    }

    #[tokio::test]
    async fn body_that_stops_arriving_fails() {
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"half")) });
        let body = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
        let failed = patient(body).collect().await.expect_err("it never ends");
        assert!(std::error::Error::source(&failed).is_some_and(|source| source.is::<TooSlow>()), "{failed:?}");
    }

    #[tokio::test]
    async fn body_of_single_bytes_fails_too() {
        let bytes = stream::unfold((), |()| async {
            sleep(Duration::from_millis(2)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        let body = Body::from_stream(bytes);
        assert!(patient(body).collect().await.is_err());
    }

    #[tokio::test]
    async fn body_that_arrives_is_left_as_it_is() {
        let whole = patient(Body::from("whole")).collect().await.expect("it arrives").to_bytes();
        assert_eq!(whole, "whole");
    }
}
