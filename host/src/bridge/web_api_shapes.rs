//! The native bridge API's shapes, as its description names them: each action has its own, all share an envelope. Nothing is read into
//! these types; requests are looked at field by field, so that each mistake is told by the field's name.
#![expect(dead_code, reason = "they stand for their schemas")]

use serde_json::Value;
use utoipa::ToSchema;

/// Actions of `GET`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum Asking {
    Responses,
    Inbox,
    Outbox,
    Sessions,
    SessionMessages,
    Config,
}

/// Actions of `POST`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum Telling {
    Messages,
    Inbox,
    Responses,
    SessionResponse,
    Ack,
    Outbox,
    Config,
    Cleanup,
    CleanupLogs,
    ClearData,
}

/// What the action wants of these; the rest is ignored.
#[derive(ToSchema)]
#[schema(example = json!({ "session_id": "s1", "message": "Hello" }))]
pub(super) struct BridgeBody {
    /// 1 to 64 letters, digits, `_` or `-`: long and random, for whoever knows it reads the conversation.
    session_id: Option<String>,
    /// A visitor's words: 1 to 10000 characters.
    message: Option<String>,
    /// An agent's words: 1 to 10000 characters.
    response: Option<String>,
    /// The message that is answered.
    message_id: Option<i64>,
    /// Messages that were taken.
    ids: Option<Vec<i64>>,
    /// `clear_data`: must be true.
    confirm: Option<bool>,
    /// The widget's own idea of who the visitor is: 16 hex digits.
    uid: Option<String>,
    /// When it was written: RFC 3339, `YYYY-MM-DD HH:MM:SS` or Unix seconds.
    timestamp: Option<String>,
}

/// A success.
#[derive(ToSchema)]
#[schema(example = json!({ "success": true, "message": "Message received", "timestamp": "2026-01-31T12:00:00.000000Z",
    "data": { "message_id": 42, "session_id": "s1", "timestamp": "2026-01-31T12:00:00.000000Z", "uid": "9f2c4a7be01d3568",
        "is_new_user": true } }))]
pub(super) struct BridgeAnswer {
    success: bool,
    message: String,
    #[schema(format = "date-time")]
    timestamp: String,
    /// What the action answers: an object, or for `POST responses` an array.
    data: Value,
}

/// A failure.
#[derive(ToSchema)]
#[schema(example = json!({ "success": false, "error": "session_id: required", "code": 400,
    "timestamp": "2026-01-31T12:00:00.000000Z" }))]
pub(super) struct BridgeError {
    success: bool,
    error: String,
    /// The status code.
    code: u16,
    #[schema(format = "date-time")]
    timestamp: String,
}
