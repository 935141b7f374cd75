//! `/`: says to a browser what this is and where to go.

use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(home))
}

/// Show the host's own page
#[utoipa::path(get, path = "/", tag = "System",
    responses((status = 200, description = "A page for people", content_type = "text/html", body = String)))]
async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    let running = app
        .manager
        .states()
        .iter()
        .map(|status| format!("<li><code>{}</code>: {:?}</li>", status.name, status.state))
        .collect::<String>();
    let page = include_str!("home.html")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{plugins}", &running)
        .replace("{host}", &host(&headers));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], page)
        .into_response()
}

/// The name under which the reader reached this host, for the commands to copy; a strange one is not repeated.
pub fn host(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]_".contains(&byte));
    if plain { host.into() } else { "127.0.0.1:8000".into() }
}
