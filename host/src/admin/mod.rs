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
use crate::http::Client;
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

impl FromRequestParts<App> for Operator {
    type Rejection = crate::error::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        check_admin(&parts.headers, &app.admin_token)?;
        let Client(address) = Client::from_request_parts(parts, app).await?;
        Ok(Self { actor: Actor::operator(address) })
    }
}
