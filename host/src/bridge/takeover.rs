//! A person in the agent's place: `POST /api/v1/conversations/{id}/takeover` and `/release`. What people write there is stored meanwhile,
//! and no agent is asked.

use super::conversations::{Conversation, conversation_id, shown};
use crate::chat::text::bounded;
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Path};
use crate::state::App;
use crate::store::{Actor, Deed, Store};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// In whose name operators speak, where they name nobody.
pub const OPERATOR: &str = "operator";
/// As they are called in the record of deeds.
const TAKEOVER: &str = "conversations.takeover";
const RELEASE: &str = "conversations.release";
/// A week.
const MOST_MINUTES: f64 = 7.0 * 24.0 * 60.0;
const MICROS_PER_MINUTE: f64 = 60e6;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(take_over_conversation)).routes(routes!(release_conversation))
}

/// Who takes a conversation over.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "minutes": 30 }))]
pub struct TakeOver {
    /// 1 to 100 characters. With an access token it may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// For how long, at most a week (10080), fractions too; left out: until it is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// Who gives a conversation back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada" }))]
pub struct Release {
    /// Who has it. Left out: whoever that is; with an access token its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// Take a conversation over
///
/// From now on no agent is asked there; a turn that runs ends unheard, and turns that wait are set aside. What is posted to its room goes to the platform, as always. Whoever
/// has it already sets another time. Its room hears `conversation_taken`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/takeover", tag = "Conversations", request_body = TakeOver,
    params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, description = "The conversation as it is now", body = Conversation),
              (status = 404, description = "No conversation has this id"),
              (status = 409, description = "Somebody else has it, and the text says who")))]
async fn take_over_conversation(
    State(app): State<App>,
    caller: Caller,
    Client(client): Client,
    Path(id): Path<String>,
    Body(body): Body<TakeOver>,
) -> Result<Json<Value>> {
    let sender = caller.identity("sender", body.sender)?;
    let actor = caller.actor(Some(&sender), client);
    Ok(Json(take_over(&app.store, &actor, &id, &sender, body.minutes).await?))
}

/// Give a conversation back
///
/// The agent is asked again from the next message on. Nothing happens to a conversation that nobody has. Its room hears
/// `conversation_released`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/release", tag = "Conversations", request_body = Option<Release>,
    params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, description = "The conversation as it is now", body = Conversation),
              (status = 404, description = "No conversation has this id"),
              (status = 409, description = "Somebody else has it, and the text says who")))]
async fn release_conversation(
    State(app): State<App>,
    caller: Caller,
    Client(client): Client,
    Path(id): Path<String>,
    body: Option<Body<Release>>,
) -> Result<Json<Value>> {
    let sender = caller.optional_identity(body.and_then(|Body(release)| release.sender))?;
    let actor = caller.actor(sender.as_deref(), client);
    Ok(Json(release(&app.store, &actor, &id, sender.as_deref()).await?))
}

pub async fn take_over(store: &Store, actor: &Actor, id: &str, sender: &str, minutes: Option<f64>) -> Result<Value> {
    let take_over = async {
        let sender = checked_sender(sender)?;
        let length = minutes.map(micros).transpose()?;
        let id = conversation_id(id)?;
        let detail = json!({ "for": sender, "minutes": minutes });
        let deed = Deed::done(actor, TAKEOVER, id.to_string(), detail);
        let taken = store.write(move |tx| {
            let until = length.map(|length| clock::now().saturating_add(length));
            let row = tx.take_over_conversation(id, &sender, until)?;
            tx.audit(&deed)?;
            Ok(row)
        });
        taken.await
    };
    Ok(json!(shown(&store.recorded(actor, TAKEOVER, id, take_over).await?)))
}

pub async fn release(store: &Store, actor: &Actor, id: &str, sender: Option<&str>) -> Result<Value> {
    let release = async {
        let sender = sender.filter(|sender| !sender.trim().is_empty()).map(checked_sender).transpose()?;
        let id = conversation_id(id)?;
        let deed = Deed::done(actor, RELEASE, id.to_string(), json!({ "for": sender }));
        let released = store.write(move |tx| {
            let row = tx.release_conversation(id, sender.as_deref())?;
            tx.audit(&deed)?;
            Ok(row)
        });
        released.await
    };
    Ok(json!(shown(&store.recorded(actor, RELEASE, id, release).await?)))
}

fn micros(minutes: f64) -> Result<Micros> {
    if minutes > 0.0 && minutes <= MOST_MINUTES {
        Ok((minutes * MICROS_PER_MINUTE).ceil() as Micros)
    } else {
        Err(Error::Invalid(format!(
            "minutes must be more than 0 and at most {MOST_MINUTES}, a week; leave it out for no end"
        )))
    }
}

pub(super) fn checked_sender(sender: &str) -> Result<String> {
    let sender = sender.trim();
    bounded(sender, 1, 100, "Sender must be 1-100 characters")?;
    Ok(sender.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_bounded_and_take_fractions() {
        assert_eq!((micros(1.0), micros(0.5), micros(10_080.0)), (Ok(60_000_000), Ok(30_000_000), Ok(604_800_000_000)));
        for wrong in [0.0, -1.0, 10_080.1, f64::INFINITY, f64::NAN] {
            assert!(matches!(micros(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
