//! The gate of token mode: every request needs an access token with the right scope, but for what is public by its nature. It decides by
//! method and path alone, before anything of the request is looked at, so that a route which nobody thought of is closed.

use crate::access::{Grant, Scope};
use crate::auth::bearer;
use crate::error::{Error, Result};
use crate::http::Params;
use crate::state::App;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Scope(Scope),
    Operator,
}

/// Open to everybody: what watchers and readers of the documentation ask.
const PUBLIC: [&str; 15] = [
    "/",
    "/docs",
    "/health",
    "/api/v1/health",
    "/ready",
    "/api/v1/ready",
    "/openapi.json",
    "/api/v1/openapi.json",
    "/llms.txt",
    "/api/v1/llms.txt",
    "/SKILL.md",
    "/api/v1/skills/SKILL.md",
    // The native bridge API: its visitors have no token, and it checks its pollers itself.
    "/api/v1",
    "/api/v1/",
    "/api/v1/index.php",
];
/// The same for all paths that start so. A hook's token is in its path.
const PUBLIC_BELOW: [&str; 3] = ["/docs/", "/.well-known/", "/api/v1/hook/"];

const ADMIN: &str = "/api/v1/admin/";
/// The one deed of the operator's API that takes an access token.
const RETENTION: &str = "/api/v1/admin/retention/run";
const TICKET: &str = "/api/v1/ws-ticket";
const PLUGINS: &str = "/plugins/";

pub(super) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let need = need(request.method(), request.uri().path());
    if need == Need::Nothing {
        return next.run(request).await;
    }
    let grant = match granted(&app, &request).and_then(|grant| enough(grant, need)) {
        Ok(grant) => grant,
        Err(error) => return error.into_response(),
    };
    if request.uri().path().starts_with(PLUGINS) {
        // Meant for this host, and nothing that a plugin should learn.
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    request.extensions_mut().insert(grant.clone());
    until_revoked(next.run(request).await, &grant)
}

/// The scope that opens this to an access token, for the OpenAPI document; None where none is needed, or none is enough.
pub(super) fn scope_of(method: &Method, path: &str) -> Option<&'static str> {
    match need(method, path) {
        Need::Scope(scope) => Some(scope.name()),
        Need::Nothing | Need::Operator => None,
    }
}

/// Open to everybody in both modes.
pub(super) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || PUBLIC_BELOW.iter().any(|start| path.starts_with(start))
}

fn need(method: &Method, path: &str) -> Need {
    let public = is_public(path);
    // Says which methods there are, to browsers that may not send a token along.
    let asks_methods = method == Method::OPTIONS && !path.starts_with(PLUGINS);
    match path {
        _ if public || asks_methods => Need::Nothing,
        RETENTION => Need::Scope(Scope::Admin),
        _ if path.starts_with(ADMIN) => Need::Operator,
        // A reader needs tickets for its streams.
        TICKET => Need::Scope(Scope::Read),
        _ if [Method::GET, Method::HEAD].contains(method) => Need::Scope(Scope::Read),
        _ => Need::Scope(Scope::Write),
    }
}

/// By its header, or by a ticket where the method is GET.
fn granted(app: &App, request: &Request) -> Result<Grant> {
    if let Some(token) = bearer(request.headers()) {
        let unknown = || Error::Unauthorized("This access token is unknown, or was revoked".into());
        return app.access.grant(token).ok_or_else(unknown);
    }
    let query = request.uri().query().filter(|_| request.method() == Method::GET).unwrap_or_default();
    match Params::parse(query)?.text("ticket") {
        Some(ticket) => app.access.redeem(ticket).ok_or_else(|| {
            Error::Unauthorized(format!("This ticket is unknown, used up or too old; POST {TICKET} gives another"))
        }),
        None => Err(Error::Unauthorized("This needs an access token: Authorization: Bearer <token>".into())),
    }
}

fn enough(grant: Grant, need: Need) -> Result<Grant> {
    match (need, &grant) {
        (Need::Scope(scope), _) if !grant.allows(scope) => {
            Err(Error::Forbidden(format!("This needs an access token with the scope '{}'", scope.name())))
        }
        (Need::Operator, Grant::Token(_)) => {
            Err(Error::Forbidden("This needs the operator's token; no access token opens it".into()))
        }
        _ => Ok(grant),
    }
}

/// A stream ends when the token that opened it is revoked.
fn until_revoked(response: Response, grant: &Grant) -> Response {
    let is_stream = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
    if !response.headers().get(header::CONTENT_TYPE).is_some_and(is_stream) {
        return response;
    }
    let revocation = grant.revocation();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(revocation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn need_follows_from_method_and_path() {
        let get = |path| need(&Method::GET, path);
        let post = |path| need(&Method::POST, path);
        for path in ["/", "/health", "/api/v1/llms.txt", "/.well-known/skills/index.json", "/api/v1", "/api/v1/"] {
            assert_eq!((get(path), post(path)), (Need::Nothing, Need::Nothing), "{path}");
        }
        assert_eq!(post("/api/v1/hook/whk_0"), Need::Nothing);
        assert_eq!(get("/api/v1/rooms"), Need::Scope(Scope::Read));
        assert_eq!(need(&Method::HEAD, "/metrics"), Need::Scope(Scope::Read));
        assert_eq!(post("/api/v1/rooms"), Need::Scope(Scope::Write));
        assert_eq!(need(&Method::DELETE, "/api/v1/nobody/thought/of/it"), Need::Scope(Scope::Write));
        assert_eq!(post("/api/v1/ws-ticket"), Need::Scope(Scope::Read));
        assert_eq!(post("/api/v1/admin/retention/run"), Need::Scope(Scope::Admin));
        assert_eq!((get("/api/v1/admin/queue"), post("/api/v1/admin/tokens")), (Need::Operator, Need::Operator));
        assert_eq!(need(&Method::OPTIONS, "/api/v1/rooms"), Need::Nothing);
        assert_eq!(need(&Method::OPTIONS, "/plugins/federation/x"), Need::Scope(Scope::Write));
        assert_eq!(get("/healthy"), Need::Scope(Scope::Read), "only the whole path is public");
    }
}
