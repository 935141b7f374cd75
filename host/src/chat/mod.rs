//! The chat API, a slice per file: routes, request and response types, rules. Their SQL is in the store's files of the same names.

mod bookmarks;
mod export;
mod messages;
pub mod retention;
mod room_changes;
pub mod room_deletion;
pub mod rooms;
mod stats;
mod stream;
pub mod text;

use crate::state::App;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(rooms::router())
        .merge(room_changes::router())
        .merge(bookmarks::router())
        .merge(export::router())
        .merge(messages::router())
        .merge(stream::router())
        .merge(stats::router())
        .merge(retention::router())
}

/// What goes on beside the requests, until the host ends.
pub fn start(app: &App) {
    tokio::spawn(room_deletion::run(app.clone()));
    tokio::spawn(retention::run(app.clone()));
}
