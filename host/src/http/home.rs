//! `/`: says to a browser what this is and where to go.

use crate::state::App;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub fn router() -> Router<App> {
    Router::new().route("/", get(home))
}

async fn home(State(app): State<App>) -> Response {
    let running = app
        .manager
        .states()
        .iter()
        .map(|status| format!("<li><code>{}</code>: {:?}</li>", status.name, status.state))
        .collect::<String>();
    let page = include_str!("home.html").replace("{version}", env!("CARGO_PKG_VERSION")).replace("{plugins}", &running);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], page)
        .into_response()
}
