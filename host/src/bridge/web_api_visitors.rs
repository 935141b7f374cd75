//! The native bridge API for visitors and their widget: they write, and read what was answered.

use super::routes::turn_for;
use super::web_api::{Call, PLATFORM, Shown};
use super::web_api_auth::success;
use super::web_api_fields::{Fields, session_id, time_parameter};
use crate::auth::random_hex;
use crate::clock;
use crate::error::{Error, Result};
use crate::store::Arrival;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// Responses in one answer.
const LIST: u32 = 100;

impl Call {
    /// A visitor writes; the widget brings its own idea of who that is.
    pub(super) async fn send(&self, widget: bool) -> Result<Response> {
        let fields = Fields::parse(&self.body)?;
        let (session_id, message) = (fields.session_id()?, fields.words("message")?);
        fields.check_timestamp()?;
        let given = if widget { fields.uid() } else { None };
        self.app.limits.messages.charge(self.client)?;
        let config = self.app.config();
        let (address, session, new_uid) = (self.client.to_string(), session_id.clone(), random_hex::<8>(""));
        let (arrived, uid) = self
            .app
            .store
            .write(move |tx| {
                let known = tx.read().session(&session)?.map(|session| session.uid);
                let uid = given.clone().or(known).unwrap_or_else(|| new_uid.clone());
                let arrival = arrival(&session, &uid, &message, &address);
                let turn = turn_for(&config, PLATFORM, PLATFORM, &uid, &message);
                let arrived = tx
                    .arrive(&arrival, &turn)?
                    .ok_or_else(|| Error::Internal("a new message was a duplicate".into()))?;
                Ok((arrived, uid))
            })
            .await?;
        self.app.metrics.ingested(PLATFORM, 1);
        let data = json!({
            "message_id": arrived.message.seq,
            "session_id": session_id,
            "timestamp": clock::format(arrived.message.created_at),
            "uid": uid,
            "is_new_user": arrived.is_new_user,
        });
        Ok(success("Message received", data))
    }

    pub(super) async fn responses(&self) -> Result<Response> {
        let session_id = session_id(self.params.text("session_id").unwrap_or_default())?;
        let (after, since) = (self.params.number("after", 0..=i64::MAX)?, time_parameter(&self.params, "since")?);
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let session = session_id.clone();
        let rows = self
            .app
            .store
            .read(move |read| {
                let Some(session) = read.session(&session)? else { return Ok(Vec::new()) };
                let since = since.map(|time| read.seq_at(time)).transpose()?;
                read.responses(session.room, after.or(since).unwrap_or(0), LIST)
            })
            .await?;
        let shown = |(seq, asked, json): &(i64, Option<i64>, String)| {
            let message = Shown::of(json, plain);
            json!({ "id": seq, "response": message.text, "timestamp": message.timestamp, "message_id": asked })
        };
        let responses: Vec<Value> = rows.iter().map(shown).collect();
        Ok(success("Responses", json!({ "session_id": session_id, "responses": responses })))
    }

    /// Each answer once per session, as plain text.
    pub(super) async fn hand_over(&self) -> Result<Response> {
        let session_id = Fields::parse(&self.body)?.session_id()?;
        self.charge()?;
        let session = session_id.clone();
        // Asked every few seconds, most often for nothing: that costs no write.
        let waiting = self.app.store.read(move |read| match read.session(&session)? {
            Some(session) => Ok(!read.responses(session.room, session.handed_over, 1)?.is_empty()),
            None => Ok(false),
        });
        let rows = match waiting.await? {
            true => self.app.store.write(move |tx| tx.hand_over(&session_id, LIST)).await?,
            false => Vec::new(),
        };
        let shown = rows.iter().map(|(seq, _, json)| {
            let message = Shown::of(json, true);
            json!({ "id": seq, "response": message.text, "timestamp": message.timestamp })
        });
        Ok(success("Responses", shown.collect()))
    }

    pub(super) async fn touch(&self) -> Result<Response> {
        let session_id = Fields::parse(&self.body)?.session_id()?;
        self.charge()?;
        let session = session_id.clone();
        let active = self.app.store.write(move |tx| tx.touch_session(&session)).await?;
        Ok(success("Session", json!({ "session_id": session_id, "active": active })))
    }
}

fn arrival(session_id: &str, uid: &str, message: &str, address: &str) -> Arrival {
    Arrival {
        instance: PLATFORM.into(),
        platform: PLATFORM.into(),
        platform_user_id: uid.into(),
        username: format!("visitor_{uid}"),
        display_name: format!("Visitor ({})", &uid[..uid.len().min(8)]),
        conversation: session_id.into(),
        external_id: None,
        content: message.into(),
        metadata: Map::new(),
        ip_address: Some(address.into()),
    }
}
