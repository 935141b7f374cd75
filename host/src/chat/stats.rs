//! The store in numbers.

use crate::clock;
use crate::error::Result;
use crate::http::Caller;
use crate::state::App;
use crate::store::{Count, Stats};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_stats))
}

/// Sums over all rooms.
#[derive(Serialize, ToSchema)]
struct Totals {
    /// Ordinary rooms, archived ones too.
    rooms: i64,
    rooms_archived: i64,
    /// With direct messages.
    messages: i64,
    active_senders_1h: i64,
    by_sender_type: BySenderType,
    active_by_type_1h: ActiveByType,
    dms: DirectMessages,
    files: Files,
    profiles: i64,
    reactions: i64,
    pins: i64,
    /// Messages that answer one.
    threads: i64,
    bookmarks: i64,
    webhooks: Webhooks,
}

/// Messages by the type of who wrote them.
#[derive(Serialize, ToSchema)]
struct BySenderType {
    agent: i64,
    human: i64,
    unspecified: i64,
}

/// Who wrote in the last hour.
#[derive(Serialize, ToSchema)]
struct ActiveByType {
    agents: i64,
    humans: i64,
}

#[derive(Serialize, ToSchema)]
struct DirectMessages {
    conversations: i64,
    messages: i64,
}

#[derive(Serialize, ToSchema)]
struct Files {
    count: i64,
    total_bytes: i64,
}

/// Webhooks, and their attempts to deliver in the last 24 hours.
#[derive(Serialize, ToSchema)]
struct Webhooks {
    outgoing: i64,
    outgoing_active: i64,
    incoming: i64,
    deliveries_24h: i64,
    delivery_successes_24h: i64,
    delivery_failures_24h: i64,
}

impl From<&Stats> for Totals {
    fn from(stats: &Stats) -> Self {
        let count = |count| stats.count(count);
        let (agent, human) = (count(Count::AgentMessages), count(Count::HumanMessages));
        let ((agents, humans, active), (successes, failures)) = (stats.active, stats.deliveries);
        Self {
            rooms: count(Count::Rooms),
            rooms_archived: count(Count::ArchivedRooms),
            messages: count(Count::Messages),
            active_senders_1h: active,
            by_sender_type: BySenderType {
                agent,
                human,
                // While a large room is being removed, its types go more slowly than its number.
                unspecified: (count(Count::Messages) - agent - human).max(0),
            },
            active_by_type_1h: ActiveByType { agents, humans },
            dms: DirectMessages { conversations: count(Count::Dms), messages: count(Count::DirectMessages) },
            files: Files { count: count(Count::Files), total_bytes: count(Count::FileBytes) },
            profiles: count(Count::Profiles),
            reactions: count(Count::Reactions),
            pins: count(Count::Pins),
            threads: count(Count::Replies),
            bookmarks: count(Count::Bookmarks),
            webhooks: Webhooks {
                outgoing: count(Count::Webhooks),
                outgoing_active: count(Count::ActiveWebhooks),
                incoming: count(Count::IncomingWebhooks),
                deliveries_24h: successes + failures,
                delivery_successes_24h: successes,
                delivery_failures_24h: failures,
            },
        }
    }
}

/// Show the store in numbers
#[utoipa::path(get, path = "/api/v1/stats", tag = "System", responses((status = 200, body = Totals)))]
async fn show_stats(State(app): State<App>, _: Caller) -> Result<Json<Totals>> {
    let stats = app.store.read(|read| read.totals(clock::now())).await?;
    Ok(Json(Totals::from(&stats)))
}
