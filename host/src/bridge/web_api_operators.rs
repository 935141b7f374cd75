//! The native bridge API for the operators of a bridge: its sessions, its settings, and the end of what visitors left.

use super::web_api::{Call, Shown};
use super::web_api_auth::success;
use super::web_api_fields::{Fields, session_id};
use crate::clock::{self, pause_after};
use crate::config::plain_number;
use crate::error::{Error, Result};
use crate::state::{App, undisturbed};
use crate::store::{Actor, ClearedSessions, Deed, SessionRow};
use axum::response::Response;
use serde_json::{Value, json};
use std::time::Instant;

/// Sessions in one answer.
const LIST: u32 = 100;
/// Messages of a session that its page shows.
const SESSION_MESSAGES: u32 = 1000;

impl Call {
    pub(super) async fn sessions(&self) -> Result<Response> {
        self.check_admin_key()?;
        let limit = self.params.limit(50, LIST)?;
        let offset = self.params.number("offset", 0..=i64::from(u32::MAX))?.unwrap_or(0) as u32;
        let active_since = clock::now() - clock::micros(self.app.config().bridge.session_timeout);
        let since = self.params.flag("active")?.unwrap_or(true).then_some(active_since);
        self.charge()?;
        let read = move |read: &crate::store::Read<'_>| {
            Ok((read.sessions(since, offset, limit)?, read.session_count(since, 100_000)?))
        };
        let (rows, total) = self.app.store.read(read).await?;
        let sessions: Vec<Value> = rows.iter().map(|row| session(row, active_since)).collect();
        let has_more = total > i64::from(offset) + sessions.len() as i64;
        let pagination = json!({ "total": total, "limit": limit, "offset": offset, "has_more": has_more });
        Ok(success("Sessions", json!({ "sessions": sessions, "pagination": pagination })))
    }

    pub(super) async fn session_messages(&self) -> Result<Response> {
        self.check_admin_key()?;
        let session_id = session_id(self.params.text("session_id").unwrap_or_default())?;
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let id = session_id.clone();
        let found = self.app.store.read(move |read| {
            let Some(session) = read.session(&id)? else { return Ok(None) };
            let messages = read.session_messages(session.room, SESSION_MESSAGES)?;
            Ok(Some((session, messages)))
        });
        let (row, rows) = found.await?.ok_or_else(|| Error::NotFound("Session not found".into()))?;
        let (mut messages, mut responses) = (Vec::new(), Vec::new());
        for (seq, from_visitor, json) in &rows {
            let Shown { text, timestamp } = Shown::of(json, plain);
            let (list, name) = if *from_visitor { (&mut messages, "message") } else { (&mut responses, "response") };
            list.push(json!({ "id": seq, "session_id": session_id, name: text, "timestamp": timestamp }));
        }
        let active_since = clock::now() - clock::micros(self.app.config().bridge.session_timeout);
        let data = json!({ "session": session(&row, active_since), "messages": messages, "responses": responses });
        Ok(success("Session messages", data))
    }

    /// Never the keys.
    pub(super) async fn show_config(&self) -> Result<Response> {
        self.check_admin_key()?;
        self.charge()?;
        let timeout = plain_number(self.app.config().bridge.session_timeout.as_secs_f64());
        Ok(success("Configuration", json!({ "session_timeout": timeout })))
    }

    /// A request that can change the keys would be one more way to lose the host.
    pub(super) async fn refuse_config(&self) -> Result<Response> {
        self.check_admin_key()?;
        self.charge()?;
        Err(Error::Invalid(
            "Settings are not changed over the web: set session_timeout_seconds and the keys under [bridge] in config.toml".into(),
        ))
    }

    /// A late answer must still reach an idle session: none is ever forgotten, so nothing is to be cleaned.
    pub(super) async fn clean_up(&self) -> Result<Response> {
        self.check_admin_key()?;
        self.charge()?;
        let message = "Idle sessions are kept, so that a late answer still reaches them; clear_data removes them all";
        Ok(success("Cleanup", json!({ "cleaned_count": 0, "message": message })))
    }

    pub(super) async fn clean_up_logs(&self) -> Result<Response> {
        self.check_admin_key()?;
        self.charge()?;
        let message = "Nothing to clean: the host keeps no log files";
        Ok(success("Log cleanup", json!({ "message": message })))
    }

    /// All sessions end at once, some at a time; their rows follow in the background.
    pub(super) async fn clear_data(&self) -> Result<Response> {
        self.check_admin_key()?;
        Fields::parse(&self.body)?.confirmed("confirm")?;
        self.charge()?;
        let actor = Actor { name: "bridge admin_key".into(), origin: self.client.to_string() };
        let app = self.app.clone();
        let all = undisturbed(async move { clear(&app, &actor).await }).await?;
        let mut data = cleared(&all);
        data["message"] = "All data cleared".into();
        Ok(success("All data cleared", data))
    }
}

/// Those who come meanwhile stay.
async fn clear(app: &App, actor: &Actor) -> Result<ClearedSessions> {
    let newest = app.store.read(|read| read.newest_conversation()).await?;
    let (mut all, mut record) = (ClearedSessions::default(), None);
    while !all.is_last {
        let (begun, so_far, actor) = (Instant::now(), all, actor.clone());
        let step = move |tx: &mut crate::store::Tx<'_>| {
            let so_far = so_far.and(tx.forget_sessions(newest)?);
            let deed = Deed::done(&actor, "bridge.clear_data", "", cleared(&so_far));
            let row = tx.audit_step(record, &if so_far.is_last { deed } else { deed.unfinished() })?;
            Ok((so_far, row))
        };
        let (so_far, row) = app.store.write_patiently(step).await?;
        (all, record) = (so_far, Some(row));
        app.room_deleted.notify_one();
        pause_after(begun).await;
    }
    Ok(all)
}

fn cleared(all: &ClearedSessions) -> Value {
    json!({
        "cleared_sessions": all.sessions,
        "cleared_messages": all.messages,
        "cleared_responses": all.responses,
    })
}

fn session(row: &SessionRow, active_since: clock::Micros) -> Value {
    json!({
        "id": row.session_id,
        "uid": row.uid,
        "created_at": clock::format(row.created_at),
        "last_active": clock::format(row.last_active),
        "ip_address": row.ip_address,
        "metadata": {},
        "active": row.last_active > active_since,
        "message_count": row.message_count,
        "response_count": row.response_count,
    })
}
