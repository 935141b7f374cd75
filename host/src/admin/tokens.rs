//! Access tokens for operators: made, listed, revoked. A token is shown once, when it is made.

use super::Operator;
use crate::access::{Access, MOST_TOKENS, Scopes};
use crate::auth::{digest, random_hex};
use crate::chat::text::bounded;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Params, Path};
use crate::state::App;
use crate::store::{Actor, Deed, Store, TokenRow};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// A token to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "ada", "scopes": ["write"] }))]
pub struct NewToken {
    /// The identity that it gives: 1 to 100 characters.
    pub name: String,
    /// `read`, `write`, `admin` or `bridge`.
    pub scopes: Vec<String>,
}

/// A token just made. It is shown this once.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    name: String,
    token: String,
    scopes: Vec<&'static str>,
}

/// A token; the token itself is not kept.
#[derive(Serialize, ToSchema)]
struct Token {
    name: String,
    scopes: Vec<&'static str>,
    #[schema(format = "date-time")]
    created_at: String,
}

/// A page of tokens, by name.
#[derive(Serialize, ToSchema)]
struct TokenPage {
    tokens: Vec<Token>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// A token that counts no more.
#[derive(Serialize, ToSchema)]
struct RevokedToken {
    name: String,
    /// Always true.
    revoked: bool,
}

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_tokens, create_token)).routes(routes!(revoke_token))
}

/// List access tokens
///
/// By name. The tokens themselves are not kept.
#[utoipa::path(get, path = "/api/v1/admin/tokens", tag = "Administration", security(("admin_token" = [])),
    params(("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = TokenPage)))]
async fn list_tokens(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// Make an access token
#[utoipa::path(post, path = "/api/v1/admin/tokens", tag = "Administration", security(("admin_token" = [])),
    request_body = NewToken,
    responses((status = 200, description = "The token, which is shown this once", body = MadeToken),
              (status = 409, description = "There is a token of this name")))]
async fn create_token(operator: Operator, State(app): State<App>, Body(new): Body<NewToken>) -> Result<Json<Value>> {
    Ok(Json(create(&app.store, Some(&app.access), &operator.actor, &new).await?))
}

/// Revoke an access token
///
/// It counts no more at once, and the streams that it opened end.
#[utoipa::path(delete, path = "/api/v1/admin/tokens/{name}", tag = "Administration", security(("admin_token" = [])),
    params(("name" = String, Path, description = "Whose token")),
    responses((status = 200, body = RevokedToken), (status = 404, description = "No token has this name")))]
// In a task of its own: a token whose row is gone must not stay in memory because the one who asked went away.
async fn revoke_token(operator: Operator, State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>> {
    let revoke = async move { revoke(&app.store, Some(&app.access), &operator.actor, &name).await };
    let revoked = tokio::spawn(revoke).await;
    Ok(Json(revoked.map_err(|error| Error::Internal(format!("revoking a token: {error}")))??))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (limit, after) = (params.limit(PAGE, LARGEST_PAGE)?, after(params)?);
    let rows = store.read(move |read| read.tokens(&after, limit + 1)).await?;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| rows.len() > page.len()).map(|row| cursor(&row.name));
    Ok(json!(TokenPage { tokens: page.iter().map(shown).collect(), cursor: next }))
}

/// `access`: of the host that runs, which has to know the token at once.
pub async fn create(store: &Store, access: Option<&Access>, actor: &Actor, new: &NewToken) -> Result<Value> {
    let name = new.name.trim().to_owned();
    bounded(&name, 1, 100, "a token's name must be 1-100 characters")?;
    if name.chars().any(char::is_control) {
        return Err(Error::Invalid("a token's name must not contain control characters".into()));
    }
    let (scopes, token) = (Scopes::from_names(&new.scopes)?, random_hex::<32>("tok_"));
    let (key, stored, row) = (digest(&token), scopes.names().join(","), name.clone());
    let deed = Deed::done(actor, "tokens.create", name.as_str(), json!({ "scopes": scopes.names() }));
    access.inspect(|access| access.admit(key, &name, scopes));
    let written = store.write(move |tx| {
        tx.create_token(&row, &key, &stored, MOST_TOKENS.into())?;
        tx.audit(&deed)
    });
    if let Err(error) = store.recorded(actor, "tokens.create", &name, written).await {
        access.inspect(|access| access.revoke(&key));
        return Err(error);
    }
    tracing::info!(token.name = ?name, token.scopes = ?scopes.names(), "an access token was made");
    Ok(json!(MadeToken { name, token, scopes: scopes.names() }))
}

pub async fn revoke(store: &Store, access: Option<&Access>, actor: &Actor, name: &str) -> Result<Value> {
    let name = name.trim().to_owned();
    let (row, deed) = (name.clone(), Deed::done(actor, "tokens.revoke", name.as_str(), json!({})));
    let written = store.write(move |tx| {
        let digest = tx.revoke_token(&row)?;
        tx.audit(&deed)?;
        Ok(digest)
    });
    let digest = store.recorded(actor, "tokens.revoke", &name, written).await?;
    access.inspect(|access| access.revoke(&digest));
    tracing::info!(token.name = ?name, "an access token was revoked");
    Ok(json!(RevokedToken { name, revoked: true }))
}

fn shown(row: &TokenRow) -> Token {
    Token {
        name: row.name.clone(),
        scopes: Scopes::parse(&row.scopes).names(),
        created_at: clock::format(row.created_at),
    }
}

/// Opaque: the last name of a page in hex, behind a letter.
fn cursor(name: &str) -> String {
    name.bytes().fold("n".into(), |text, byte| text + &format!("{byte:02x}"))
}

fn after(params: &Params) -> Result<String> {
    let Some(text) = params.text("cursor") else { return Ok(String::new()) };
    let digits = text.strip_prefix('n').filter(|digits| digits.len() % 2 == 0).map(str::as_bytes).unwrap_or(b"?");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Error::Invalid("Query parameter 'cursor' must be one that an earlier page gave".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_leads_back_to_its_name() {
        let read = |text: &str| after(&Params::parse(&format!("cursor={text}")).unwrap());
        assert_eq!(read(&cursor("Zoë & co")), Ok("Zoë & co".into()));
        assert_eq!(after(&Params::default()), Ok(String::new()));
        for wrong in ["x", "n1", "nxy", "nff", "c1", "n+1"] {
            assert!(matches!(read(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
