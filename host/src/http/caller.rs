//! Who asks. In lan mode everybody is trusted to be who they say; in token mode the access token says it. The identity, the view and the
//! room keys of a request are asked for here and nowhere else.

use crate::access::{Grant, Scope};
use crate::auth::{bearer, digest, same_key};
use crate::config::AuthMode;
use crate::error::{Error, Result};
use crate::state::App;
use crate::store::{Actor, RoomRef, Viewer};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// In lan mode: whoever they say.
    Trusted,
    /// The owner of an access token.
    Token { name: String },
    /// Acts in anybody's name, but reads no direct messages.
    Operator,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match (app.config().auth.mode, parts.extensions.get()) {
            (AuthMode::Lan, _) => Ok(Self::Trusted),
            (AuthMode::Token, Some(Grant::Operator)) => Ok(Self::Operator),
            (AuthMode::Token, Some(Grant::Token(token))) => Ok(Self::Token { name: token.name.clone() }),
            // On a public route, where nobody has to say who they are.
            (AuthMode::Token, None) => Err(Error::Unauthorized("This needs an access token".into())),
        }
    }
}

impl Caller {
    /// The identity that a body's field names (`sender`, mostly); 422 if it is missing and the caller has none of their own, 403 if it is
    /// somebody else's.
    pub fn identity(&self, field: &str, given: Option<String>) -> Result<String> {
        let missing = || Error::Unprocessable(format!("missing field `{field}`"));
        match self {
            Self::Trusted | Self::Operator => given.ok_or_else(missing),
            Self::Token { name } => own(name, field, given.as_deref()),
        }
    }

    /// The same where it may be left out.
    pub fn optional_identity(&self, given: Option<String>) -> Result<Option<String>> {
        match self {
            Self::Trusted | Self::Operator => Ok(given),
            Self::Token { name } => own(name, "sender", given.as_deref()).map(Some),
        }
    }

    /// Whose deed it is, for the record. In lan mode nobody proves who they are, so `given` stands there as a claim.
    pub fn actor(&self, given: Option<&str>, client: IpAddr) -> Actor {
        match self {
            Self::Trusted => Actor::claimed(given, client),
            Self::Token { name } => Actor::token(name, client),
            Self::Operator => Actor::operator(client),
        }
    }

    /// Whose eyes the answer is for.
    pub fn viewer(&self) -> Viewer {
        match self {
            Self::Trusted => Viewer::Everyone,
            Self::Token { name } => Viewer::Person(name.clone()),
            Self::Operator => Viewer::Nobody,
        }
    }

    /// The same for an export, which the operator gets of every room.
    pub fn export_viewer(&self) -> Viewer {
        match self {
            Self::Operator => Viewer::Everyone,
            other => other.viewer(),
        }
    }
}

/// The token's own identity, which a request may name or leave out.
fn own(name: &str, field: &str, given: Option<&str>) -> Result<String> {
    match given.map(str::trim) {
        Some(given) if !given.is_empty() && given != name => Err(Error::Forbidden(format!(
            "`{field}` must be '{name}', whom this access token belongs to, or be left out"
        ))),
        _ => Ok(name.into()),
    }
}

/// What administers rooms and came with the request: a room's key, the operator's token, or an access token with the scope for it. Asked
/// for before anything else: without one the answer is 401.
#[derive(Debug, Clone)]
pub struct RoomKey {
    /// Every room that the caller may see.
    opens_all: bool,
    digest: Option<[u8; 32]>,
}

impl RoomKey {
    /// 403 unless the key is this room's.
    pub fn check(&self, room: &RoomRef) -> Result<()> {
        if self.opens(room) { Ok(()) } else { Err(Error::Forbidden("Invalid admin key for this room".into())) }
    }

    pub fn opens(&self, room: &RoomRef) -> bool {
        let own = || Some(bool::from(self.digest?.ct_eq(room.admin_key.as_ref()?)));
        self.opens_all || own().unwrap_or(false)
    }

    /// A bearer token counts before `X-Admin-Key`. In token mode the access token takes `Authorization`, so that a key comes in
    /// `X-Admin-Key` alone.
    fn find(parts: &Parts, app: &App) -> Option<Self> {
        let header = parts.headers.get("x-admin-key").and_then(|value| value.to_str().ok()).map(str::trim);
        let bearer = bearer(&parts.headers).filter(|_| app.config().auth.mode == AuthMode::Lan);
        let key = [bearer, header].into_iter().flatten().find(|key| !key.is_empty());
        let granted = parts.extensions.get::<Grant>().is_some_and(|grant| grant.allows(Scope::Admin));
        let opens_all = granted || key.is_some_and(|key| same_key(key, &app.admin_token));
        (opens_all || key.is_some()).then(|| Self { opens_all, digest: key.map(digest) })
    }
}

impl FromRequestParts<App> for RoomKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Self::find(parts, app).ok_or_else(|| {
            let text = match app.config().auth.mode {
                AuthMode::Lan => "This needs the room's admin key: Authorization: Bearer <key> or X-Admin-Key: <key>",
                AuthMode::Token => {
                    "This needs the room's admin key, X-Admin-Key: <key>, or an access token with the scope 'admin'"
                }
            };
            Error::Unauthorized(text.into())
        })
    }
}

impl OptionalFromRequestParts<App> for RoomKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Infallible> {
        Ok(Self::find(parts, app))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_gives_its_own_identity_and_no_other() {
        let caller = Caller::Token { name: "ada".into() };
        for given in [None, Some(""), Some("  "), Some("ada"), Some(" ada ")] {
            assert_eq!(caller.identity("sender", given.map(str::to_owned)), Ok("ada".into()));
            assert_eq!(caller.optional_identity(given.map(str::to_owned)), Ok(Some("ada".into())));
        }
        for given in ["bob", "Ada", "ada\0", "ada, bob"] {
            assert!(matches!(caller.identity("sender", Some(given.into())), Err(Error::Forbidden(_))), "{given:?}");
            assert!(matches!(caller.optional_identity(Some(given.into())), Err(Error::Forbidden(_))), "{given:?}");
        }
    }

    #[test]
    fn operator_acts_as_anybody_but_has_no_name_of_their_own() {
        assert_eq!(Caller::Operator.identity("sender", Some("bob".into())), Ok("bob".into()));
        assert_eq!(
            Caller::Operator.identity("sender", None),
            Err(Error::Unprocessable("missing field `sender`".into()))
        );
        assert_eq!(Caller::Operator.optional_identity(None), Ok(None));
        assert_eq!((Caller::Operator.viewer(), Caller::Operator.export_viewer()), (Viewer::Nobody, Viewer::Everyone));
    }

    #[test]
    fn only_the_operators_token_makes_an_operator_in_the_record() {
        let (client, token) = (IpAddr::from([127, 0, 0, 1]), Caller::Token { name: "operator".into() });
        let name = |caller: &Caller, given| caller.actor(given, client).name;
        for given in [None, Some("operator"), Some(" operator"), Some("signal")] {
            assert_eq!(name(&Caller::Operator, given), "operator");
            assert_eq!(name(&token, given), "token:operator");
            assert!(name(&Caller::Trusted, given).starts_with("claimed:"), "{given:?}");
        }
        assert_eq!(name(&Caller::Trusted, Some(" ada ")), "claimed:ada");
    }
}
