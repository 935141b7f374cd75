//! The operator's API, under `/api/v1/admin/` and only with the operator's token. The command line uses the same functions, on a store at
//! rest as well.

pub mod audit;
pub mod config;
pub mod conversations;
pub mod person_data;
mod person_letters;
pub mod plugins;
pub mod queue;
pub mod queue_deeds;
pub mod queue_filter;
pub mod queue_pauses;
pub mod reload;
pub mod retention;
pub mod rooms;
pub mod tokens;
pub mod turns;
pub mod users;

use crate::auth::check_admin;
use crate::error::Result;
use crate::http::{Client, Params, cursor};
use crate::state::App;
use crate::store::Actor;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(config::router())
        .merge(audit::router())
        .merge(plugins::router())
        .merge(reload::router())
        .merge(queue::router())
        .merge(queue_deeds::router())
        .merge(queue_pauses::router())
        .merge(retention::router())
        .merge(rooms::router())
        .merge(tokens::router())
        .merge(turns::router())
        .merge(users::router())
        .merge(conversations::router())
        .merge(person_data::router())
}

/// Proof that the operator's token came with the request. Taken before anything else, so that strangers learn nothing.
pub struct Operator {
    /// For the record of deeds.
    pub actor: Actor,
}

/// Whoever can open the store's file and its folder may do what the operator may.
pub fn at_the_command_line() -> Actor {
    Actor::operator("command line")
}

/// Of a list that is in memory as a whole; the cursor is the place of the next one.
fn page<T>(all: Vec<T>, params: &Params) -> Result<(Vec<T>, Option<String>)> {
    const LARGEST_PAGE: u32 = 1000;
    let limit = params.limit(LARGEST_PAGE, LARGEST_PAGE)? as usize;
    let start = params.cursor()?.and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let next = start.saturating_add(limit);
    let more = (next < all.len()).then(|| cursor(next as i64));
    Ok((all.into_iter().skip(start).take(limit).collect(), more))
}

impl FromRequestParts<App> for Operator {
    type Rejection = crate::error::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        check_admin(&parts.headers, &app.admin_token)?;
        let Client(address) = Client::from_request_parts(parts, app).await?;
        Ok(Self { actor: Actor::operator(address) })
    }
}
