//! The HTTP surface: routers merged, what every request goes through, and the accept loop.

mod caller;
mod client;
mod extract;
mod gate;
mod home;
mod linger;
mod manners;
pub mod openapi;
mod openapi_examples;
mod patience;
mod pieces;
mod serve;
mod system;
mod values;

pub use caller::{Caller, RoomKey};
pub use client::Client;
pub use extract::{
    Body, Params, Path, body_error, cursor, is_json, read_body, read_body_within, read_cursor, read_json,
};
pub use home::host;
pub use pieces::{NoProgress, Progress, in_pieces};
pub use serve::{Listening, serve};
pub use values::bounded_values;

use crate::config::AuthMode;
use crate::error::Error;
use crate::state::App;
use crate::{admin, bridge, chat, discovery, plugins};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;
use utoipa::openapi::Paths;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Bytes of a body that are read at most.
pub const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// All routes of the host, with what each says of itself.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(home::router())
        .merge(system::router())
        .merge(discovery::router())
        .merge(chat::router())
        .merge(bridge::router())
        .merge(admin::router())
        .merge(plugins::router())
}

/// The same route at each of these addresses.
pub fn at_each((schemas, described, methods): UtoipaMethodRouter<App>, addresses: &[&str]) -> OpenApiRouter<App> {
    let item = described.paths.into_values().next().unwrap_or_default();
    addresses.iter().fold(OpenApiRouter::default(), |router, address| {
        let mut at = Paths::new();
        at.paths.insert((*address).to_owned(), item.clone());
        router.routes((schemas.clone(), at, methods.clone()))
    })
}

/// The host's routes at work.
pub fn router(app: App) -> Router {
    let (routes, _) = routes().split_for_parts();
    let routes = routes
        .fallback(async || Error::NotFound("Not found".into()))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed(""));
    let guarded = match app.config().auth.mode {
        AuthMode::Lan => routes,
        AuthMode::Token => routes.layer(from_fn_with_state(app.clone(), gate::gate)),
    };
    guarded
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(app.clone(), patience::patient))
        .layer(manners::compression())
        .layer(from_fn(manners::safe_headers))
        .layer(manners::cors(app.clone()))
        .layer(from_fn(manners::without_foreign_origins))
        .layer(from_fn(manners::options))
        .layer(from_fn_with_state(app.clone(), measure))
        .with_state(app)
}

/// One span and one measurement per request, by route, so that ids in paths make no new series.
async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let id = manners::request_id(request.headers());
    let shown = id.to_str().unwrap_or_default().to_owned();
    let span = tracing::info_span!("request", request.id = shown, http.method = %method, http.route = route);
    let mut response = next.run(request).instrument(span).await;
    response.headers_mut().insert(manners::REQUEST_ID, id);
    app.metrics.request(&method, &route, response.status(), begun.elapsed());
    response
}

#[cfg(test)]
mod tests_openapi;
