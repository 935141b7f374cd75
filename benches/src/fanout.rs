//! The baseline `fanout`: what axum does when it sends each posted message as a server-sent event to everybody, from one broadcast
//! channel of tokio's, 1024 deep, without a store. Who is too slow loses messages.

use crate::Result;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{Stream, unfold};
use serde_json::Value;
use std::convert::Infallible;
use tokio::sync::broadcast::{self, Sender, error::RecvError};

/// Serves on a free port, which it prints, until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/messages", post(publish))
            .route("/stream", get(subscribe))
            .with_state(broadcast::channel(1024).0);
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |socket| drop(socket.set_nodelay(true))), router)
            .await?)
    })
}

async fn publish(State(sender): State<Sender<String>>, Json(message): Json<Value>) -> Json<Value> {
    let _ = sender.send(message.to_string());
    Json(message)
}

async fn subscribe(
    State(sender): State<Sender<String>>,
) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    let events = unfold(sender.subscribe(), |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(json) => return Some((Ok(Event::default().event("message").data(json)), receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(events)
}
