//! Who asks. In lan mode everybody is trusted to be who they say; the identity, the view and the room keys of a request are asked for here
//! and nowhere else, so that a stricter mode has one place.

use crate::auth::{bearer, digest, same_key};
use crate::error::{Error, Result};
use crate::state::App;
use crate::store::{RoomRef, Viewer};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use std::convert::Infallible;
use subtle::ConstantTimeEq;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// In lan mode: whoever they say.
    Trusted,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self> {
        Ok(Self::Trusted)
    }
}

impl Caller {
    /// The identity that a body's field names (`sender`, mostly); 422 if it is missing and the caller has none of their own.
    pub fn identity(&self, field: &str, given: Option<String>) -> Result<String> {
        match self {
            Self::Trusted => given.ok_or_else(|| Error::Unprocessable(format!("missing field `{field}`"))),
        }
    }

    /// The same where it may be left out.
    pub fn optional_identity(&self, given: Option<String>) -> Result<Option<String>> {
        match self {
            Self::Trusted => Ok(given),
        }
    }

    /// Whose eyes the answer is for.
    pub fn viewer(&self) -> Viewer {
        match self {
            Self::Trusted => Viewer::Everyone,
        }
    }
}

/// A key for a room's administration that came with the request: `Authorization: Bearer` or `X-Admin-Key`. Asked for before anything else:
/// without one the answer is 401.
#[derive(Debug, Clone)]
pub struct RoomKey {
    /// The operator's token opens every room.
    opens_all: bool,
    digests: Vec<[u8; 32]>,
}

impl RoomKey {
    /// 403 unless the key is this room's.
    pub fn check(&self, room: &RoomRef) -> Result<()> {
        if self.opens(room) { Ok(()) } else { Err(Error::Forbidden("Invalid admin key for this room".into())) }
    }

    pub fn opens(&self, room: &RoomRef) -> bool {
        let own = |expected: &[u8; 32]| self.digests.iter().any(|given| given.ct_eq(expected).into());
        self.opens_all || room.admin_key.as_ref().is_some_and(own)
    }

    fn from_headers(headers: &HeaderMap, admin_token: &str) -> Option<Self> {
        let header = headers.get("x-admin-key").and_then(|value| value.to_str().ok()).map(str::trim);
        let keys: Vec<&str> = [bearer(headers), header].into_iter().flatten().filter(|key| !key.is_empty()).collect();
        let opens_all = keys.iter().any(|key| same_key(key, admin_token));
        (!keys.is_empty()).then(|| Self { opens_all, digests: keys.into_iter().map(digest).collect() })
    }
}

impl FromRequestParts<App> for RoomKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let missing = || {
            Error::Unauthorized(
                "This needs the room's admin key: Authorization: Bearer <key> or X-Admin-Key: <key>".into(),
            )
        };
        Self::from_headers(&parts.headers, &app.admin_token).ok_or_else(missing)
    }
}

impl OptionalFromRequestParts<App> for RoomKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Infallible> {
        Ok(Self::from_headers(&parts.headers, &app.admin_token))
    }
}
