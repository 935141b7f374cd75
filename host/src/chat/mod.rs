//! The chat API, a slice per file: routes, request and response types, rules. Their SQL is in the store's files of the same names.

mod activity;
mod bookmarks;
mod broadcast;
mod dm;
mod edits;
mod export;
mod file_bytes;
mod file_forms;
mod files;
mod incoming_webhooks;
mod lists;
mod mentions;
mod messages;
mod participants;
mod pins;
mod presence;
mod profiles;
mod reactions;
mod read_positions;
pub mod retention;
mod room_changes;
pub mod room_deletion;
pub mod rooms;
mod search;
mod stats;
mod stream;
pub mod text;
mod threads;
mod tickets;
mod typing;
mod webhook_deliveries;
mod webhooks;

use crate::state::App;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(rooms::router())
        .merge(messages::router())
        .merge(edits::router())
        .merge(threads::router())
        .merge(pins::router())
        .merge(reactions::router())
        .merge(typing::router())
        .merge(broadcast::router())
        .merge(stream::router())
        .merge(activity::router())
        .merge(dm::router())
        .merge(mentions::router())
        .merge(participants::router())
        .merge(profiles::router())
        .merge(read_positions::router())
        .merge(search::router())
        .merge(files::router())
        .merge(tickets::router())
        .merge(room_changes::router())
        .merge(bookmarks::router())
        .merge(export::router())
        .merge(stats::router())
        .merge(presence::router())
        .merge(webhooks::router())
        .merge(webhook_deliveries::router())
        .merge(incoming_webhooks::router())
}

/// What goes on beside the requests, until the host ends.
pub fn start(app: &App) {
    tokio::spawn(room_deletion::run(app.clone()));
    tokio::spawn(retention::run(app.clone()));
    tokio::spawn(presence::announce(app.clone()));
}
