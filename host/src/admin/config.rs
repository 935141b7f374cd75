//! The configuration for operators: every key that counts, with where it is from, and the routes.

use super::{Operator, page};
use crate::config::{Mode, Route, RouteTarget, Shown, Trigger, plain_number};
use crate::error::Result;
use crate::http::Params;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_config)).routes(routes!(list_routes))
}

/// A page of the configuration.
#[derive(Serialize, ToSchema)]
struct ConfigPage {
    /// The file that it was read from; null without one.
    #[schema(example = "config.toml")]
    file: Option<String>,
    settings: Vec<Shown>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// A page of the routes, in the order in which they are tried.
#[derive(Serialize, ToSchema)]
struct RoutePage {
    routes: Vec<ShownRoute>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// Who answers whom.
#[derive(Serialize, ToSchema)]
struct ShownRoute {
    /// Its number in the order, from 1.
    number: usize,
    #[schema(example = "bridge")]
    from: String,
    /// The agent that is asked, or `inbox`; an array where there are several.
    #[schema(value_type = serde_json::Value, example = "assistant")]
    to: Value,
    /// `live`, `echo` or `listen`.
    #[schema(example = "live")]
    mode: &'static str,
    /// `all`, or `mention`: only messages that name the agent.
    #[schema(example = "all")]
    trigger: &'static str,
    /// Ids of people who are heard; empty: everybody.
    allow: Vec<String>,
    /// Ids of people who are not.
    deny: Vec<String>,
    /// What those are told.
    refusal: Option<String>,
    /// How long a turn waits for more messages of its conversation.
    #[schema(value_type = f64, example = 1500)]
    merge_window_ms: Value,
    /// Per conversation; 0: any number.
    max_turns_per_minute: u32,
    /// What is said in place of an answer that will not come.
    apology: Option<String>,
    /// Where it is written.
    #[schema(example = "config.toml:90:1")]
    place: String,
}

/// Show the configuration
///
/// Every key that counts now, with where it is from. Secrets show as `***`.
#[utoipa::path(get, path = "/api/v1/admin/config", tag = "Administration", security(("admin_token" = [])),
    params(("section" = Option<String>, Query, description = "Only keys that start so, such as `limits` or `plugins.web_chat`"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = ConfigPage)))]
async fn show_config(_: Operator, State(app): State<App>, params: Params) -> Result<Json<ConfigPage>> {
    let mut settings = app.config().shown(|name| Some(app.manager.manifest(name)?.settings));
    if let Some(section) = params.text("section") {
        let below = format!("{section}.");
        settings.retain(|shown| shown.key == section || shown.key.starts_with(&below));
    }
    let (settings, cursor) = page(settings, &params)?;
    let file = app.live.origin().map(|path| path.display().to_string());
    Ok(Json(ConfigPage { file, settings, cursor }))
}

/// List routes
///
/// They are tried in this order, and the first that matches counts.
#[utoipa::path(get, path = "/api/v1/admin/routes", tag = "Administration", security(("admin_token" = [])),
    params(("from" = Option<String>, Query, description = "Only routes from there"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = RoutePage)))]
async fn list_routes(_: Operator, State(app): State<App>, params: Params) -> Result<Json<RoutePage>> {
    let config = app.config();
    let numbered = config.routes.iter().enumerate().map(|(index, route)| shown(index + 1, route));
    let wanted = |route: &ShownRoute| params.text("from").is_none_or(|from| route.from == from);
    let (routes, cursor) = page(numbered.filter(wanted).collect(), &params)?;
    Ok(Json(RoutePage { routes, cursor }))
}

fn shown(number: usize, route: &Route) -> ShownRoute {
    let to = match &route.to {
        RouteTarget::Agents(names) => match &names[..] {
            [name] => json!(name),
            names => json!(names),
        },
        RouteTarget::Inbox => json!("inbox"),
    };
    let mode = match route.mode {
        Mode::Live => "live",
        Mode::Echo => "echo",
        Mode::Listen => "listen",
    };
    let trigger = match route.trigger {
        Trigger::All => "all",
        Trigger::Mention => "mention",
    };
    ShownRoute {
        number,
        from: route.from.clone(),
        to,
        mode,
        trigger,
        allow: route.allow.clone(),
        deny: route.deny.clone(),
        refusal: route.refusal.clone(),
        merge_window_ms: plain_number(route.merge_window.as_secs_f64() * 1000.0),
        max_turns_per_minute: route.max_turns_per_minute,
        apology: route.apology.clone(),
        place: route.place.to_string(),
    }
}
