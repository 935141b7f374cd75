//! The bridge between platforms and agents: what comes in, who answers it, and the native web API of visitors and pollers.

pub mod conversations;
pub mod ingest;
mod web_api;
mod web_api_auth;
mod web_api_fields;
mod web_api_operators;
mod web_api_pollers;
mod web_api_shapes;
mod web_api_visitors;

use crate::config::{self, Config, RouteTarget};
use crate::state::App;
use crate::store::Turn;
use plugin_api::types::Mode;
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().merge(web_api::router()).merge(conversations::router())
}

/// Who is to answer what comes from this instance and platform: the first route that matches.
pub fn turn_for(config: &Config, instance: &str, platform: &str) -> Turn {
    let Some(route) = config.route_for(instance, platform) else { return Turn::Nobody };
    match (&route.mode, &route.to) {
        (config::Mode::Listen, _) => Turn::Nobody,
        (_, RouteTarget::Inbox) => Turn::Inbox,
        (mode, RouteTarget::Instance(agent)) => {
            let mode = if *mode == config::Mode::Echo { Mode::Echo } else { Mode::Live };
            Turn::Agent { instance: agent.clone(), mode }
        }
    }
}
