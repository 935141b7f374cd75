//! `POST /api/v1/send`: speaks first, to somebody who has written before.

use super::conversations::conversation_id;
use super::takeover::{OPERATOR, checked_sender};
use crate::chat::rooms::with_allowance;
use crate::chat::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client};
use crate::state::App;
use crate::store::{Actor, Deed, Draft, Message, Store, Target};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const KEY_BYTES: usize = 255;
/// As it is called in the record of deeds.
const SEND: &str = "send";

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(send_message))
}

/// A message to somebody on a platform: by the conversation, or by the person.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "platform": "web_chat", "platform_user_id": "0123456789abcdef", "content": "Your soup is ready.", "sender": "ada" }))]
pub struct Send {
    /// Where the person is; goes with `platform_user_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// What the platform calls them. It goes to their latest conversation there that is theirs alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_user_id: Option<String>,
    /// Instead of these two: one conversation, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// 1 to 10000 characters; blanks at its ends are cut.
    pub content: String,
    /// Who writes: 1 to 100 characters; `operator` if it is left out, with an access token its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// Send a message to somebody on a platform
///
/// It is posted to the conversation's room and delivered like everything that is said there; no agent is asked. A repeat with the same
/// `Idempotency-Key` answers the first message and sends nothing.
#[utoipa::path(post, path = "/api/v1/send", tag = "Conversations", request_body = Send,
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 255 bytes; a repeat with the same key sends nothing again")),
    responses((status = 200, description = "The message as it was stored", body = Message),
              (status = 404, description = "No such conversation or person, or the person has none of their own there"),
              (status = 409, description = "The Idempotency-Key was used for another message, or that one was deleted"),
              (status = 429, description = "Too many messages from this address")))]
async fn send_message(
    State(app): State<App>,
    caller: Caller,
    Client(client): Client,
    headers: HeaderMap,
    Body(body): Body<Send>,
) -> Result<Response> {
    let sender = caller.optional_identity(body.sender.clone())?;
    let (send, key) = (Send { sender, ..body }, idempotency_key(&headers)?);
    let checked = checked(&send)?;
    let allowance = app.limits.messages.charge(client)?;
    // In token mode nobody can find out another's message by a key.
    let key = key.map(|key| match &caller {
        Caller::Token { name } => format!("{name}\n{key}"),
        Caller::Trusted | Caller::Operator => key,
    });
    let json = match caller {
        Caller::Operator => recorded(&app.store, &caller.actor(None, client), checked, key).await?,
        // The message itself says whose it is.
        Caller::Trusted | Caller::Token { .. } => post(&app.store, None, checked, key).await?,
    };
    let message = ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response();
    Ok(with_allowance(message, allowance))
}

pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let wrong = || Error::Invalid(format!("The header Idempotency-Key must have 1 to {KEY_BYTES} bytes of text"));
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().map_err(|_| wrong())?.trim();
    if key.is_empty() || key.len() > KEY_BYTES { Err(wrong()) } else { Ok(Some(key.into())) }
}

/// The message as JSON, sent by an operator, whose deed is recorded.
pub async fn send(store: &Store, actor: &Actor, send: &Send, key: Option<String>) -> Result<String> {
    recorded(store, actor, checked(send)?, key).await
}

async fn recorded(store: &Store, actor: &Actor, checked: Checked, key: Option<String>) -> Result<String> {
    let subject = checked.subject();
    store.recorded(actor, SEND, &subject, post(store, Some(actor), checked, key)).await
}

/// A message within its bounds.
struct Checked {
    target: Target,
    sender: String,
    content: String,
}

fn checked(send: &Send) -> Result<Checked> {
    let target = target(send)?;
    let sender = send.sender.as_deref().filter(|sender| !sender.trim().is_empty()).unwrap_or(OPERATOR);
    let content = send.content.trim().to_owned();
    bounded(&content, 1, 10_000, "Content must be 1-10000 characters")?;
    Ok(Checked { target, sender: checked_sender(sender)?, content })
}

impl Checked {
    /// To whom, for the record of deeds.
    fn subject(&self) -> String {
        match &self.target {
            Target::Conversation(id) => id.to_string(),
            Target::Person { platform, platform_user_id } => format!("{platform}:{platform_user_id}"),
        }
    }
}

async fn post(store: &Store, actor: Option<&Actor>, checked: Checked, key: Option<String>) -> Result<String> {
    let deed = actor.map(|actor| Deed::done(actor, SEND, checked.subject(), json!({ "for": checked.sender })));
    let Checked { target, sender, content } = checked;
    let posted = store.write(move |tx| {
        let draft = |room| Draft::new(room, &sender, &content, &json!({}), None);
        let posted = tx.send(&target, draft, key.as_deref())?;
        deed.as_ref().map_or(Ok(()), |deed| tx.audit(deed))?;
        Ok(posted)
    });
    Ok(posted.await?.json)
}

fn target(send: &Send) -> Result<Target> {
    let given =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    match (given(&send.platform), given(&send.platform_user_id), given(&send.conversation_id)) {
        (None, None, Some(id)) => conversation_id(&id).map(Target::Conversation),
        (Some(platform), Some(platform_user_id), None) => Ok(Target::Person { platform, platform_user_id }),
        _ => {
            Err(Error::Invalid("say to whom: either conversation_id, or platform and platform_user_id together".into()))
        }
    }
}
