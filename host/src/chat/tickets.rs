//! Tickets in place of the `Authorization` header, for those requests of browsers that cannot carry one.

use crate::access::{Grant, TICKET_LIFETIME};
use crate::auth::random_hex;
use crate::http::Caller;
use crate::state::App;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(issue_ticket))
}

/// A ticket, to be sent as the query parameter `ticket` of one GET request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "ticket": "tkt_6f1d…", "expires_in": 60 }))]
struct Ticket {
    /// Counts once.
    ticket: String,
    /// Seconds.
    expires_in: u64,
}

/// Get a ticket
///
/// For event streams and images of browsers, which cannot carry an `Authorization` header: the ticket stands for the access token
/// that asked for it, in the parameter `ticket` of one GET request. Where no access tokens are needed, tickets are given and ignored.
#[utoipa::path(post, path = "/api/v1/ws-ticket", tag = "System",
    responses((status = 200, description = "A ticket that counts once", body = Ticket)))]
async fn issue_ticket(_: Caller, State(app): State<App>, grant: Option<Extension<Grant>>) -> impl IntoResponse {
    let ticket = match grant {
        Some(Extension(grant)) => app.access.issue_ticket(grant),
        None => random_hex::<32>("tkt_"),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(Ticket { ticket, expires_in: TICKET_LIFETIME.as_secs() }))
}
