//! The chat API, a slice per file: routes, request and response types, rules. Their SQL is in the store's files of the same names.

mod messages;
mod rooms;
mod stream;
pub mod text;

use crate::state::App;
use axum::Router;

pub fn router() -> Router<App> {
    Router::new().merge(rooms::router()).merge(messages::router()).merge(stream::router())
}
