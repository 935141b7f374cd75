//! What watchers ask: is it alive, is it ready, what does it count.

use crate::admin;
use crate::error::Result;
use crate::state::App;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

pub fn router() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/api/v1/health", get(health))
        .route("/ready", get(ready))
        .route("/api/v1/ready", get(ready))
        .route("/metrics", get(metrics))
}

async fn health() -> Json<Value> {
    Json(json!({
        "status": "ok",
        "service": "arcuate",
        "compatible": ["local-agent-chat"],
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// 503 while the store cannot be written; else 200, with what is not as it should be by name.
async fn ready(State(app): State<App>) -> Response {
    // After trouble it is the disk's turn to say that it is over, without waiting for somebody's message.
    if app.store.trouble().is_some() {
        let _ = app.store.write(|tx| tx.probe()).await;
    }
    let trouble = app.store.trouble();
    let status = if trouble.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let instances = admin::plugins::troubled(&app);
    let queue = admin::queue::waiting(&app.store).await.unwrap_or_else(|_| json!({}));
    let mut body = json!({
        "status": if trouble.is_some() { "unavailable" } else { "ready" },
        "service": "arcuate",
        "version": env!("CARGO_PKG_VERSION"),
        "plugins": instances,
        "queue": queue,
    });
    if let Some(text) = trouble {
        body["error"] = text.into();
    }
    (status, Json(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Result<Response> {
    let text = app.metrics.render(&app).await?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
