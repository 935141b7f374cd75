//! Keys and envelope of the native bridge API: `{"success":true,…,"data":…}` and `{"success":false,"error","code","timestamp"}`.

use crate::access::{Access, Scope};
use crate::auth::{bearer, same_key};
use crate::clock;
use crate::config::Secret;
use crate::error::{Error, Result};
use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub(super) fn success(message: &str, data: Value) -> Response {
    let timestamp = clock::format(clock::now());
    Json(json!({ "success": true, "message": message, "timestamp": timestamp, "data": data })).into_response()
}

pub(super) fn failure(error: &Error) -> Response {
    // A field's mistake is 400 in this API, of whatever kind.
    let error = match error {
        Error::Unprocessable(text) | Error::UnsupportedMediaType(text) => Error::Invalid(text.clone()),
        other => other.clone(),
    };
    let status = error.status();
    let timestamp = clock::format(clock::now());
    let body =
        json!({ "success": false, "error": error.public_text(), "code": status.as_u16(), "timestamp": timestamp });
    let mut response = (status, Json(body)).into_response();
    error.add_headers(&mut response);
    response
}

/// 401 in each case; an operator who has not set the key is told which one.
pub(super) fn check_key(headers: &HeaderMap, key: &Secret, setting: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::Unauthorized(format!(
            "This action needs a key, and none is configured: set [bridge] {setting} in config.toml"
        )));
    }
    match bearer(headers) {
        Some(given) if same_key(given, key.expose()) => Ok(()),
        Some(_) => Err(Error::Unauthorized("Invalid API key".into())),
        None => Err(Error::Unauthorized("API key required: Authorization: Bearer <key>".into())),
    }
}

/// True for an access token that may poll, false for what is no access token at all; 403 for one without the scope.
pub(super) fn check_token(headers: &HeaderMap, access: &Access) -> Result<bool> {
    match bearer(headers).and_then(|token| access.grant(token)) {
        None => Ok(false),
        Some(grant) if grant.allows(Scope::Bridge) => Ok(true),
        Some(_) => {
            Err(Error::Forbidden("This needs an access token with the scope 'bridge', or the bridge's key".into()))
        }
    }
}
