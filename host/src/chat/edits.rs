//! Messages that are edited or deleted, and what they said before.

use super::messages::{checked_content, checked_sender, ids_of, not_in_this_room};
use super::text::{bounded, bounded_metadata};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Params, Path, RoomKey, cursor};
use crate::ids::{EditId, MessageId};
use crate::state::App;
use crate::store::{Deletion, EditRow, Message};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(edit_message, delete_message)).routes(routes!(list_edits))
}

/// What a message is to say from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "content": "The soup is ready, @bob." }))]
struct EditMessage {
    /// Who wrote it. With an access token it may be left out.
    sender: Option<String>,
    /// 1 to 10000 characters; blanks at its ends are cut.
    content: String,
    /// Any JSON, at most 64 KiB when written out; left out, the old one stays.
    metadata: Option<Value>,
}

/// A message is gone.
#[derive(Debug, Serialize, ToSchema)]
struct MessageDeleted {
    deleted: bool,
}

/// A message's past.
#[derive(Debug, Serialize, ToSchema)]
struct EditHistory {
    message_id: MessageId,
    current_content: String,
    /// The oldest first.
    edits: Vec<MessageEdit>,
    /// How often it was edited, over all pages.
    edit_count: u32,
    /// For the next page; null on the last.
    cursor: Option<String>,
}

/// One edit.
#[derive(Debug, Serialize, ToSchema)]
struct MessageEdit {
    id: EditId,
    message_id: MessageId,
    /// What the message said until then.
    previous_content: String,
    #[schema(format = "date-time")]
    edited_at: String,
    editor: String,
}

/// Edit a message
///
/// Only its sender may. What it said before is kept in its history.
#[utoipa::path(put, path = "/api/v1/rooms/{id}/messages/{mid}", tag = "Messages", request_body = EditMessage,
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id")),
    responses((status = 200, description = "The message as it is now", body = Message),
              (status = 403, description = "Somebody else wrote it"),
              (status = 404, description = "Message not found")))]
async fn edit_message(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(body): Body<EditMessage>,
) -> Result<Json<Message>> {
    let sender = checked_sender(&caller.identity("sender", body.sender)?)?.to_owned();
    let content = checked_content(&body.content)?.to_owned();
    body.metadata.as_ref().map_or(Ok(()), bounded_metadata)?;
    let metadata = body.metadata.map(|metadata| to_raw_value(&metadata)).transpose();
    let metadata = metadata.map_err(|error| Error::Internal(format!("metadata: {error}")))?;
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(unknown)?, caller.viewer());
    let edited = app.store.write(move |tx| {
        let (room, _) = tx.read().find_message(room, message, &viewer)?.ok_or_else(unknown)?;
        tx.edit_message(&room, message, &sender, &content, metadata.as_deref())
    });
    edited.await.map(Json)
}

/// Delete a message
///
/// By its sender, or with the room's admin key; a key of another room counts for nothing. Answers to it stay.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/messages/{mid}", tag = "Messages",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("sender" = Option<String>, Query, description = "Who wrote it; not needed with the room's admin key"),
           ("X-Admin-Key" = Option<String>, Header, description = "The room's admin key; also as a bearer token")),
    responses((status = 200, body = MessageDeleted),
              (status = 400, description = "Neither a sender nor the room's admin key"),
              (status = 403, description = "Somebody else wrote it"),
              (status = 404, description = "Message not found")))]
async fn delete_message(
    State(app): State<App>,
    caller: Caller,
    key: Option<RoomKey>,
    Path(path): Path<(String, String)>,
    params: Params,
) -> Result<Json<MessageDeleted>> {
    let sender = params.text("sender").map(str::trim).filter(|sender| !sender.is_empty());
    let sender = caller.optional_identity(sender.map(Into::into))?;
    bounded(sender.as_deref().unwrap_or_default(), 0, 100, "Sender must be 1-100 characters")?;
    let nobody = || Error::Invalid("Sender query parameter required (or use room admin key)".into());
    if sender.is_none() && key.is_none() {
        return Err(nobody());
    }
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(unknown)?, caller.viewer());
    let deleted = app.store.write(move |tx| {
        let (room, row) = tx.read().find_message(room, message, &viewer)?.ok_or_else(unknown)?;
        if !key.as_ref().is_some_and(|key| key.opens(&room)) {
            let sender = sender.as_ref().ok_or_else(nobody)?;
            if *sender != row.message.sender {
                return Err(Error::Forbidden("Only the original sender can delete this message".into()));
            }
        }
        tx.delete_message(&room, &row, Deletion::Asked)
    });
    deleted.await?;
    Ok(Json(MessageDeleted { deleted: true }))
}

/// Show a message's edits
#[utoipa::path(get, path = "/api/v1/rooms/{id}/messages/{mid}/edits", tag = "Messages",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("limit" = Option<i64>, Query, description = "At most so many edits; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = EditHistory), (status = 404, description = "Message not found in this room")))]
async fn list_edits(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    params: Params,
) -> Result<Json<EditHistory>> {
    let (limit, after) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(0));
    let ((room, message), viewer) = (ids_of(&path).ok_or_else(not_in_this_room)?, caller.viewer());
    let read = app.store.read(move |read| {
        let (_, row) = read.find_message(room, message, &viewer)?.ok_or_else(not_in_this_room)?;
        let edits = read.edits(row.seq, after, limit + 1)?;
        Ok((row.message, edits))
    });
    let (now, mut edits) = read.await?;
    let more = edits.len() > limit as usize;
    edits.truncate(limit as usize);
    let next = edits.last().filter(|_| more).map(|edit| cursor(edit.key));
    let edit = |row: EditRow| MessageEdit {
        id: row.id,
        message_id: message,
        previous_content: row.previous_content,
        edited_at: clock::format(row.edited_at),
        editor: row.editor,
    };
    let edits = edits.into_iter().map(edit).collect();
    let Message { content: current_content, edit_count, .. } = now;
    Ok(Json(EditHistory { message_id: message, current_content, edits, edit_count, cursor: next }))
}

fn unknown() -> Error {
    Error::NotFound("Message not found".into())
}
