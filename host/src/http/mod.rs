//! The HTTP surface: routers merged, what every request goes through, and the accept loop.

mod caller;
mod client;
mod extract;
mod home;
pub mod openapi;
mod openapi_examples;
mod serve;
mod system;
#[cfg(test)]
mod tests_openapi;

pub use caller::{Caller, RoomKey};
pub use client::Client;
pub use extract::{Body, Params, Path, cursor, read_body};
pub use home::host;
pub use serve::{Listening, serve};

use crate::config::Config;
use crate::error::Error;
use crate::state::App;
use crate::{admin, bridge, chat, discovery, plugins};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use std::time::Instant;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::Instrument;
use utoipa::openapi::Paths;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Bytes of a body that are read at most.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

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
    routes
        .fallback(async || Error::NotFound("Not found".into()))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed(""))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(safe_headers))
        .layer(cors(&app.config))
        .layer(from_fn_with_state(app.clone(), measure))
        .with_state(app)
}

/// One span and one measurement per request, by route, so that ids in paths make no new series.
async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", http.method = %method, http.route = route);
    let response = next.run(request).instrument(span).await;
    app.metrics.request(&method, &route, response.status(), begun.elapsed());
    response
}

async fn safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}

fn cors(config: &Config) -> CorsLayer {
    let origins = &config.server.cors_origins;
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::mirror_request()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let exposed = [
        "link",
        "retry-after",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "etag",
        "content-range",
    ];
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods(methods)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .vary([header::ORIGIN])
}
