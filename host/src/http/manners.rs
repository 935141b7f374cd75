//! What holds for every route: a number for each request, an answer to `OPTIONS`, compressed texts, headers that keep browsers careful.

use crate::state::App;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::compression::predicate::{And, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use uuid::Uuid;

/// Names a request in answers and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of one that is taken over.
const LONGEST_ID: usize = 128;
/// Smaller answers fit into one packet anyway.
const LEAST_COMPRESSED: u64 = 1024;

/// The request's own id, if it can stand in a log line as it is; else a new one.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=/+@".contains(byte);
    let given = headers.get(REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        !id.is_empty() && id.len() <= LONGEST_ID && id.iter().all(harmless)
    });
    let new = || HeaderValue::from_str(&Uuid::now_v7().to_string());
    given.cloned().map_or_else(new, Ok).unwrap_or(HeaderValue::from_static("none"))
}

/// `OPTIONS` that is no browser's preflight says which methods the route has. The router knows them of a method that no route has, so it
/// is asked with one; it adds the header `Allow` by itself.
pub async fn options(mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let preflight = headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || preflight {
        return next.run(request).await;
    }
    *request.method_mut() = Method::from_bytes(b"WHICH").unwrap_or(Method::TRACE);
    let mut response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let mut answer = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    answer
}

pub async fn safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}

pub fn cors(app: App) -> CorsLayer {
    let origin = AllowOrigin::predicate(move |origin, _| {
        let config = app.config();
        config.server.cors_origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes())
    });
    let exposed = [
        "link",
        "retry-after",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "etag",
        "content-range",
        "x-request-id",
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

type Compressible = And<SizeAbove, fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool>;

/// JSON and text beyond a packet. Not streams, whose events must not wait in a compressor; not files and parts of them, whose bytes are
/// as they were uploaded.
pub fn compression() -> CompressionLayer<Compressible> {
    let compressible: fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool = |_, _, headers, _| is_text(headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(LEAST_COMPRESSED).and(compressible))
}

fn is_text(headers: &HeaderMap) -> bool {
    let raw = [header::CONTENT_ENCODING, header::CONTENT_RANGE, header::ACCEPT_RANGES];
    if raw.iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = essence.starts_with("text/") && essence != "text/event-stream";
    text || essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// To an origin that is not on the list, nothing is said of what others may do.
pub async fn without_foreign_origins(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        let said = [
            header::ACCESS_CONTROL_ALLOW_METHODS,
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ];
        said.iter().for_each(|name| drop(headers.remove(name)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_is_taken_over_only_if_it_is_harmless() {
        let id = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given.as_bytes()).unwrap());
            request_id(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id("a-b_c.1:2=3/4+5@6"), "a-b_c.1:2=3/4+5@6");
        assert_eq!(id(&"x".repeat(128)), "x".repeat(128));
        for wrong in ["", "a b", "a\"b", "é", "a\tb", &"x".repeat(129)] {
            assert!(Uuid::parse_str(&id(wrong)).is_ok_and(|id| id.get_version_num() == 7), "{wrong}");
        }
    }

    #[test]
    fn only_plain_texts_are_compressed() {
        let is_text = |pairs: &[(HeaderName, &'static str)]| {
            is_text(&pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
        };
        for kind in ["application/json", "application/problem+json", "text/plain; charset=utf-8", "Text/HTML"] {
            assert!(is_text(&[(header::CONTENT_TYPE, kind)]), "{kind}");
        }
        for kind in ["text/event-stream", "image/png", "application/octet-stream", "application/jsonish", ""] {
            assert!(!is_text(&[(header::CONTENT_TYPE, kind)]), "{kind}");
        }
        for raw in [header::CONTENT_ENCODING, header::CONTENT_RANGE, header::ACCEPT_RANGES] {
            assert!(!is_text(&[(header::CONTENT_TYPE, "application/json"), (raw, "x")]));
        }
    }
}
