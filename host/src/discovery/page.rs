//! `/docs`: the OpenAPI document as a page for people, drawn by Scalar's API reference. Its script is a part of this program, so the page
//! asks no other host for anything, which its policy makes sure of.

use crate::state::App;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::LazyLock;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Scalar's API reference 1.46.4 (MIT), `dist/browser/standalone.js` of its npm package, packed.
static SCRIPT: &[u8] = include_bytes!("../../assets/scalar-1.46.4.js.gz");
/// For the few that do not take it packed.
static UNPACKED: LazyLock<Bytes> = LazyLock::new(|| {
    let mut text = Vec::new();
    // It was packed when this program was built; a test unpacks it.
    let _ = GzDecoder::new(SCRIPT).read_to_end(&mut text);
    text.into()
});

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_page)).routes(routes!(show_script))
}

/// Read this document as a page
#[utoipa::path(get, path = "/docs", tag = "System",
    responses((status = 200, description = "A page for people", content_type = "text/html", body = String)))]
async fn show_page() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("page.html")).into_response()
}

/// Fetch the page's script
#[utoipa::path(get, path = "/docs/scalar-1.46.4.js", tag = "System",
    responses((status = 200, description = "The script of `/docs`", content_type = "text/javascript", body = String)))]
async fn show_script(headers: HeaderMap) -> Response {
    // Its name changes with its content.
    let fixed = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "Accept-Encoding"),
    ];
    if takes_gzip(&headers) {
        return (StatusCode::OK, fixed, [(header::CONTENT_ENCODING, "gzip")], SCRIPT).into_response();
    }
    (StatusCode::OK, fixed, UNPACKED.clone()).into_response()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
        matches!(name.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_is_whole() {
        assert!(UNPACKED.len() > SCRIPT.len() && std::str::from_utf8(&UNPACKED).is_ok());
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes =
            |value: &str| takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]));
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, GZIP;q=0.5") && takes("*"));
        assert!(!takes("gzip;q=0") && !takes("br") && !takes_gzip(&HeaderMap::new()));
    }
}
