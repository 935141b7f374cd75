//! The bridge between platforms and agents: what comes in, who answers it, and the native web API of visitors and pollers.

pub mod conversations;
pub mod ingest;
pub mod routes;
pub mod send;
pub mod takeover;
mod web_api;
mod web_api_auth;
mod web_api_fields;
mod web_api_operators;
mod web_api_pollers;
mod web_api_shapes;
mod web_api_visitors;

use crate::state::App;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(web_api::router())
        .merge(conversations::router())
        .merge(takeover::router())
        .merge(send::router())
}
