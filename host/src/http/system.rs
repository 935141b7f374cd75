//! What watchers ask: is it alive, is it ready, what does it count.

use super::at_each;
use crate::admin;
use crate::auth::{bearer, same_key};
use crate::config::AuthMode;
use crate::error::Result;
use crate::metrics::Format;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(at_each(routes!(health), &["/api/v1/health", "/health"]))
        .merge(at_each(routes!(ready), &["/api/v1/ready", "/ready"]))
        .routes(routes!(metrics))
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "arcuate")]
    service: &'static str,
    /// Services whose clients work here unchanged.
    compatible: [&'static str; 1],
    version: &'static str,
}

/// What of the host is not as it should be.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready`; `starting` until each plugin has come up or said why not; `unavailable` while the store cannot be written.
    #[schema(example = "ready")]
    status: &'static str,
    #[schema(example = "arcuate")]
    service: &'static str,
    version: &'static str,
    /// Plugin instances that should run and do not, or run badly.
    #[schema(value_type = Vec<Object>)]
    plugins: Value,
    /// What waits in the queue, and what failed.
    #[schema(value_type = Object)]
    queue: Value,
    /// What is wrong with the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// Tell whether the host lives
#[utoipa::path(get, path = "/api/v1/health", tag = "System", responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health {
        status: "ok",
        service: "arcuate",
        compatible: ["local-agent-chat"],
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Tell whether the host is ready
///
/// 503 while the host starts and while the store cannot be written; else 200, with what is not as it should be by name. In token mode only
/// the operator reads the reasons.
#[utoipa::path(get, path = "/api/v1/ready", tag = "System",
    responses((status = 200, body = Readiness),
              (status = 503, description = "The host starts, or the store cannot be written now", body = Readiness)))]
async fn ready(State(app): State<App>, headers: HeaderMap) -> Response {
    // After trouble it is the disk's turn to say that it is over, without waiting for somebody's message.
    if app.store.trouble().is_some() {
        let _ = app.store.write(|tx| tx.probe()).await;
    }
    let trouble = app.store.trouble();
    let is_starting = app.is_starting.load(Ordering::Relaxed);
    let (status, word) = match (&trouble, is_starting) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (None, true) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        (None, false) => (StatusCode::OK, "ready"),
    };
    let mut instances = admin::plugins::troubled(&app).await;
    let mut queue = admin::queue::waiting(&app.store).await.unwrap_or_else(|_| json!({}));
    let is_operator = bearer(&headers).is_some_and(|key| same_key(key, &app.admin_token));
    if app.config().auth.mode == AuthMode::Token && !is_operator {
        without(&mut instances, &["reason", "last_error"]);
        without(&mut queue["paused"], &["reason", "paused_by"]);
    }
    let body = Readiness {
        status: word,
        service: "arcuate",
        version: env!("CARGO_PKG_VERSION"),
        plugins: instances,
        queue,
        error: trouble,
    };
    (status, Json(body)).into_response()
}

/// For strangers: what is wrong is theirs to know, in whose words is not.
fn without(list: &mut Value, fields: &[&str]) {
    for object in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
}

/// Show what the host counts
#[utoipa::path(get, path = "/metrics", tag = "System",
    responses((status = 200, description = "For Prometheus; as OpenMetrics where `Accept` names it",
               content((String = "text/plain"), (String = "application/openmetrics-text")))))]
async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let text = app.metrics.render(&app, format).await?;
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    Ok((headers, text).into_response())
}
