//! The baseline `echo`: what axum does when it reads a message as JSON and gives it back, without anything behind it.

use crate::Result;
use axum::routing::post;
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

/// Serves on a free port, which it prints, until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let router = Router::new().route("/echo", post(async |Json(message): Json<Message>| Json(message)));
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |socket| drop(socket.set_nodelay(true))), router)
            .await?)
    })
}
