//! The one error of the host, by meaning, and its one JSON envelope: `{"error": "what is wrong and what would be right"}`.

use crate::config::Mistake;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. The texts are for the one who asked; `Internal` is for the log alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 400
    #[error("{0}")]
    Invalid(String),
    /// 401
    #[error("{0}")]
    Unauthorized(String),
    /// 403
    #[error("{0}")]
    Forbidden(String),
    /// 404
    #[error("{0}")]
    NotFound(String),
    /// 405, with the methods that are allowed; the router knows better where the text is empty
    #[error("Method not allowed; the Allow header names those that are")]
    MethodNotAllowed(&'static str),
    /// 408: a body that stopped arriving
    #[error("{0}")]
    TooSlow(String),
    /// 409
    #[error("{0}")]
    Conflict(String),
    /// 413
    #[error("{0}")]
    TooLarge(String),
    /// 415
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// 422: a field is missing or has another type
    #[error("{0}")]
    Unprocessable(String),
    /// 422: mistakes in the configuration, which changed nothing
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// 429
    #[error("{}", .0.text)]
    Limited(Limited),
    /// 503: not now
    #[error("{0}")]
    Unavailable(String),
    /// 500: logged with an id, never sent
    #[error("{0}")]
    Internal(String),
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A rate limit that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    pub text: String,
    pub limit: u32,
    pub retry_after_seconds: u64,
}

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable(_) | Self::Mistakes(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the one who asked may read. An internal error is logged here, once.
    pub fn public_text(&self) -> String {
        match self {
            Self::Internal(text) => {
                let id = Uuid::now_v7();
                tracing::error!(error.id = %id, "{text}");
                format!("Something went wrong inside; the log has it under {id}")
            }
            other => other.to_string(),
        }
    }

    /// Headers that go with the status, whatever the envelope.
    pub fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        match self {
            Self::Limited(limited) => {
                headers.insert(header::RETRY_AFTER, limited.retry_after_seconds.into());
                headers.insert("x-ratelimit-limit", limited.limit.into());
                headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
                headers.insert("x-ratelimit-reset", limited.retry_after_seconds.into());
            }
            Self::MethodNotAllowed("") => {}
            Self::MethodNotAllowed(allowed) => drop(headers.insert(header::ALLOW, HeaderValue::from_static(allowed))),
            Self::Unauthorized(_) => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Unavailable(_) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = match &self {
            Self::Limited(limited) => json!({
                "error": limited.text,
                "retry_after_secs": limited.retry_after_seconds,
                "limit": limited.limit,
                "remaining": 0,
            }),
            Self::Mistakes(mistakes) => json!({
                "error": self.to_string(),
                "mistakes": mistakes.iter().map(Mistake::json).collect::<Vec<_>>(),
            }),
            other => json!({ "error": other.public_text() }),
        };
        let mut response = (self.status(), Json(body)).into_response();
        self.add_headers(&mut response);
        response
    }
}
