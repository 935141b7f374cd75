//! The native bridge API for pollers: they take messages, confirm them, and answer.

use super::web_api::{Call, Shown};
use super::web_api_auth::success;
use super::web_api_fields::{Fields, time_parameter};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Draft, InboxQuery, Taking};
use axum::response::Response;
use serde_json::{Value, json};

/// Messages or responses in one answer.
const LIST: u32 = 100;

impl Call {
    pub(super) async fn inbox(&self) -> Result<Response> {
        self.check_api_key()?;
        let limit = self.params.number("limit", 0..=i64::from(LIST))?.unwrap_or(50) as u32;
        let offset = self.params.number("offset", 0..=i64::from(u32::MAX))?.unwrap_or(0) as u32;
        let since = time_parameter(&self.params, "since")?;
        let lease = match self.params.text("ack") {
            None => None,
            Some("manual") => Some(self.app.config().bridge.ack),
            Some(_) => return Err(Error::Invalid("ack: must be manual, or left out".into())),
        };
        self.charge()?;
        let (total, after) = self
            .app
            .store
            .read(move |read| Ok((read.inbox_waiting()?, since.map(|time| read.seq_at(time)).transpose()?)))
            .await?;
        let query = InboxQuery { limit, offset, after: after.unwrap_or(0) };
        let Taking { items, gone } = match limit {
            0 => Taking::default(),
            _ => self.app.store.write(move |tx| tx.take_inbox(query, lease)).await?,
        };
        let shown = items.iter().map(|item| {
            let message = Shown::of(&item.json, false);
            json!({
                "id": item.seq,
                "session_id": item.session_id,
                "message": message.text,
                "timestamp": message.timestamp,
                "uid": item.uid,
            })
        });
        let messages: Vec<Value> = shown.collect();
        // What waits is counted without a look at `since`: there a full page says more.
        let full = limit > 0 && messages.len() == limit as usize;
        let total = (total - gone as i64).max(0);
        let beyond = total > i64::from(offset) + messages.len() as i64;
        let has_more = if since.is_some() { full } else { beyond };
        let pagination = json!({ "total": total, "limit": limit, "offset": offset, "has_more": has_more });
        Ok(success("Messages", json!({ "messages": messages, "pagination": pagination })))
    }

    pub(super) async fn acknowledge(&self) -> Result<Response> {
        self.check_api_key()?;
        let ids = Fields::parse(&self.body)?.ids("ids")?;
        self.charge()?;
        let acknowledged = self.app.store.write(move |tx| tx.acknowledge_inbox(&ids)).await?;
        Ok(success("Acknowledged", json!({ "acked": acknowledged })))
    }

    /// A poller answers. Its `Idempotency-Key`, if it sends one, makes a repeat harmless.
    pub(super) async fn respond(&self) -> Result<Response> {
        self.check_api_key()?;
        let fields = Fields::parse(&self.body)?;
        let (session_id, response) = (fields.session_id()?, fields.words("response")?);
        fields.check_timestamp()?;
        let asked = fields.optional_id("message_id")?;
        let key = self.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        if key.as_ref().is_some_and(|key| key.len() > 255) {
            return Err(Error::Invalid("The header Idempotency-Key must have at most 255 bytes".into()));
        }
        self.charge()?;
        let session = session_id.clone();
        let (seq, created_at) = self
            .app
            .store
            .write(move |tx| {
                let draft = |room| Draft::new(room, "agent", &response, &json!({}), Some("agent"));
                tx.respond(&session, draft, asked, key.as_deref())
            })
            .await?;
        let data = json!({ "response_id": seq, "session_id": session_id, "timestamp": clock::format(created_at) });
        Ok(success("Response stored", data))
    }

    pub(super) async fn outbox(&self) -> Result<Response> {
        self.check_api_key()?;
        let after = self.params.number("after", 0..=i64::MAX)?.unwrap_or(0);
        let limit = self.params.limit(LIST, LIST)?;
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let rows = self.app.store.read(move |read| read.bridge_responses(after, limit)).await?;
        let shown = rows.iter().map(|row| {
            let message = Shown::of(&row.json, plain);
            json!({
                "id": row.seq,
                "session_id": row.session_id,
                "response": message.text,
                "timestamp": message.timestamp,
                "message_id": row.asked,
            })
        });
        Ok(success("Responses", json!({ "responses": shown.collect::<Vec<_>>() })))
    }
}
