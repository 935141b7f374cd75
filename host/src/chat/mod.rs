//! The chat API, a slice per file: routes, request and response types, rules. Their SQL is in the store's files of the same names.

mod incoming_webhooks;
mod messages;
mod rooms;
mod stream;
pub mod text;
mod webhook_deliveries;
mod webhooks;

use crate::state::App;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(rooms::router())
        .merge(messages::router())
        .merge(stream::router())
        .merge(webhooks::router())
        .merge(webhook_deliveries::router())
        .merge(incoming_webhooks::router())
}
