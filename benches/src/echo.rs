//! The baseline `echo`: what axum does when it reads a message as JSON and gives it back, without anything behind it; and when it gives as
//! many bytes as a page of messages has.

use crate::Result;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As a message is posted.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    sender: String,
    content: String,
    #[serde(default)]
    metadata: Value,
}

/// Bytes of a page of 50 messages of 100 bytes, as the host answers it.
const PAGE: usize = 17_000;

/// Serves on a free port, which it prints, until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let page = async || ([(header::CONTENT_TYPE, "application/json")], "x".repeat(PAGE)).into_response();
        let echo = async |Json(message): Json<Message>| Json(message);
        let router = Router::new().route("/echo", post(echo)).route("/page", get(page));
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |socket| drop(socket.set_nodelay(true))), router)
            .await?)
    })
}
