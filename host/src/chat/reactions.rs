//! Reactions: an emoji that somebody puts on a message, and takes away by putting it again.

use super::messages::{checked_sender, ids_of, not_in_this_room};
use super::rooms::room_id;
use super::text::no_nul;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Params, Path, cursor};
use crate::ids::{MessageId, RoomId};
use crate::state::App;
use crate::store::{Reaction, ReactionSummary};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;
/// Characters of an emoji: some are made of many.
const LONGEST_EMOJI: usize = 32;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(toggle_reaction, remove_reaction, list_reactions))
        .routes(routes!(list_room_reactions))
}

/// Who reacts, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "bob", "emoji": "👍" }))]
struct ToggleReaction {
    /// 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// An emoji or a short word, 1 to 32 characters.
    emoji: String,
}

/// A reaction is gone.
#[derive(Debug, Serialize, ToSchema)]
struct ReactionRemoved {
    /// `removed`
    #[schema(value_type = String)]
    status: &'static str,
}

/// Reactions to a message.
#[derive(Debug, Serialize, ToSchema)]
struct MessageReactions {
    message_id: MessageId,
    /// In the order of first use.
    reactions: Vec<ReactionSummary>,
    /// For the next page; null on the last.
    cursor: Option<String>,
}

/// Reactions to a room's messages.
#[derive(Debug, Serialize, ToSchema)]
struct RoomReactions {
    room_id: RoomId,
    /// By the message's id. Messages without reactions are not there.
    reactions: BTreeMap<String, Vec<ReactionSummary>>,
    /// For the next page; null on the last.
    cursor: Option<String>,
}

/// React to a message, or take the reaction back
///
/// The same sender's same emoji a second time removes it; `created_at` is then empty.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/messages/{mid}/reactions", tag = "Reactions", request_body = ToggleReaction,
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id")),
    responses((status = 200, description = "The reaction that was added or removed", body = Reaction),
              (status = 400, description = "The length of the sender or the emoji"),
              (status = 404, description = "Message not found in this room")))]
async fn toggle_reaction(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(body): Body<ToggleReaction>,
) -> Result<Json<Reaction>> {
    let sender = checked_sender(&caller.identity("sender", body.sender)?)?.to_owned();
    let emoji = checked_emoji(&body.emoji)?.to_owned();
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(not_in_this_room)?, caller.viewer());
    let reaction = app.store.write(move |tx| {
        let (room, row) = tx.read().find_message(room, message, &viewer)?.ok_or_else(not_in_this_room)?;
        tx.toggle_reaction(&room, &row, &sender, &emoji)
    });
    reaction.await.map(Json)
}

fn checked_emoji(emoji: &str) -> Result<&str> {
    let emoji = emoji.trim();
    if emoji.is_empty() {
        return Err(Error::Invalid("Emoji must not be empty".into()));
    }
    if emoji.chars().count() > LONGEST_EMOJI {
        return Err(Error::Invalid("Emoji too long (max 32 characters)".into()));
    }
    no_nul(emoji, "Emoji must be text").map(|()| emoji)
}

/// Remove a reaction
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/messages/{mid}/reactions", tag = "Reactions",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("sender" = String, Query, description = "Who reacted"), ("emoji" = String, Query, description = "With which emoji")),
    responses((status = 200, body = ReactionRemoved),
              (status = 400, description = "The sender or the emoji is empty"),
              (status = 404, description = "The message is not in this room, or the reaction not there")))]
async fn remove_reaction(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    params: Params,
) -> Result<Json<ReactionRemoved>> {
    let sender = caller.identity("sender", params.required("sender").ok().map(Into::into))?;
    let emoji = params.required("emoji")?.trim().to_owned();
    let sender = sender.trim().to_owned();
    if sender.is_empty() || emoji.is_empty() {
        return Err(Error::Invalid("Sender and emoji are required".into()));
    }
    checked_sender(&sender)?;
    checked_emoji(&emoji)?;
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(not_in_this_room)?, caller.viewer());
    let removed = app.store.write(move |tx| {
        let (room, row) = tx.read().find_message(room, message, &viewer)?.ok_or_else(not_in_this_room)?;
        tx.remove_reaction(&room, &row, &sender, &emoji)
    });
    removed.await?;
    Ok(Json(ReactionRemoved { status: "removed" }))
}

/// List the reactions to a message
///
/// By emoji, in the order of first use.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/messages/{mid}/reactions", tag = "Reactions",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("limit" = Option<i64>, Query, description = "At most so many emoji; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = MessageReactions), (status = 404, description = "Message not found in this room")))]
async fn list_reactions(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    params: Params,
) -> Result<Json<MessageReactions>> {
    let (limit, skip) = (params.limit(PAGE, PAGE)? as usize, params.cursor()?.unwrap_or(0).max(0));
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(not_in_this_room)?, caller.viewer());
    let read = app.store.read(move |read| {
        let (_, row) = read.find_message(room, message, &viewer)?.ok_or_else(not_in_this_room)?;
        read.reactions(row.seq, skip as usize, limit + 1)
    });
    let mut reactions = read.await?;
    let next = (reactions.len() > limit).then(|| cursor(skip.saturating_add(limit as i64)));
    reactions.truncate(limit);
    Ok(Json(MessageReactions { message_id: message, reactions, cursor: next }))
}

/// List the reactions to a room's messages
#[utoipa::path(get, path = "/api/v1/rooms/{id}/reactions", tag = "Reactions",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "Of at most so many messages, the oldest first; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = RoomReactions), (status = 404, description = "Room not found")))]
async fn list_room_reactions(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<RoomReactions>> {
    let (limit, after) = (params.limit(PAGE, PAGE)? as usize, params.cursor()?.unwrap_or(0));
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let read = app.store.read(move |read| read.room_reactions(read.visible_room(room, &viewer)?.key, after, limit));
    let (reacted, next) = read.await?;
    let reactions = reacted.into_iter().map(|(id, summaries)| (id.to_string(), summaries)).collect();
    Ok(Json(RoomReactions { room_id: room, reactions, cursor: next.map(cursor) }))
}
