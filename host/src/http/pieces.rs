//! A body in large pieces, for readers that look through all that they hold each time something comes: thousands of pieces of a byte each
//! would keep such a one busy for minutes.

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use bytes::BytesMut;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Bytes of a piece at least, but for the last.
const PIECE: usize = 256 * 1024;
/// Bytes that the reader may hold without making anything of them.
const HELD: usize = 1024 * 1024;

/// Why such a body failed.
#[derive(Debug, thiserror::Error)]
#[error("the head of a part, or what is before the first one, is too large")]
pub struct NoProgress;

/// The reader says here that it made something of what it holds.
pub struct Progress(Arc<AtomicUsize>);

/// The reader's end.
struct Pieces {
    arriving: mpsc::Receiver<Result<Bytes, BoxError>>,
    held: Arc<AtomicUsize>,
    /// The reader looks at what it got before there is more.
    rests: bool,
}

impl Progress {
    pub fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Gives the request such a body.
pub fn in_pieces(request: Request) -> (Request, Progress) {
    let held = Arc::<AtomicUsize>::default();
    let progress = Progress(held.clone());
    let pieces = |body: Body| {
        let (sender, arriving) = mpsc::channel(1);
        // In a task of its own: each byte wakes whoever waits for it, and only this one shall wake so often.
        tokio::spawn(async move {
            tokio::select! {
                () = gather(body.into_data_stream(), &sender) => {}
                () = sender.closed() => {}
            }
        });
        Body::from_stream(Pieces { arriving, held, rests: false })
    };
    (request.map(pieces), progress)
}

async fn gather(mut body: BodyDataStream, sender: &mpsc::Sender<Result<Bytes, BoxError>>) {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.next().await {
        match frame {
            Ok(bytes) => gathered.extend_from_slice(&bytes),
            Err(error) => return drop(sender.send(Err(error.into())).await),
        }
        if gathered.len() >= PIECE && sender.send(Ok(gathered.split().freeze())).await.is_err() {
            return;
        }
    }
    if !gathered.is_empty() {
        drop(sender.send(Ok(gathered.freeze())).await);
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(this.arriving.poll_recv(context));
        this.rests = true;
        let length = piece.as_ref().map_or(0, |piece| piece.as_ref().map_or(0, Bytes::len));
        if this.held.fetch_add(length, Ordering::Relaxed) + length > HELD {
            this.arriving.close();
            return Poll::Ready(Some(Err(NoProgress.into())));
        }
        Poll::Ready(piece)
    }
}
