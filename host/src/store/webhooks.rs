//! Endpoints that a room's events are posted to. Which of them want an event is asked for each event of the log, so what a room has is kept
//! in memory, by the writer alone, until something about it changes.

use super::counts::Count;
use super::rooms::RoomRef;
use super::{Kind, Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::WebhookId;
use rusqlite::{OptionalExtension, Row, params};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Rooms whose endpoints are kept in memory.
const ROOMS: usize = 20_000;

/// Events of a room that are in no log, and their bits beside those of the log's kinds.
const PRESENCE: [(&str, u32); 2] = [("presence_joined", 62), ("presence_left", 63)];

/// Which events an endpoint wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFilter {
    bits: u64,
    /// Asked for by `*`, which means all but the deletions of old messages that nobody asked for.
    all: bool,
}

/// One event, as filters see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub name: &'a str,
    bit: u32,
    is_retention: bool,
}

impl Occasion<'_> {
    pub(super) fn of_log(kind: Kind, json: &str) -> Self {
        let is_retention = kind == Kind::MessageDeleted && json.contains("\"reason\":\"retention\"");
        Self { name: kind.name(), bit: kind as u32, is_retention }
    }

    /// None: no endpoint can want it.
    pub(super) fn of_presence(name: &str) -> Option<Self> {
        let (name, bit) = PRESENCE.into_iter().find(|(known, _)| *known == name)?;
        Some(Self { name, bit, is_retention: false })
    }
}

/// The names that a filter may have.
pub fn webhook_events() -> impl Iterator<Item = &'static str> {
    bits().map(|(name, _)| name)
}

/// Profiles belong to no room, and so to no room's endpoint.
fn bits() -> impl Iterator<Item = (&'static str, u32)> {
    let of_rooms = |kind: &&Kind| !matches!(kind, Kind::ProfileUpdated | Kind::ProfileDeleted | Kind::DeletedMessage);
    Kind::ALL.iter().filter(of_rooms).map(|kind| (kind.name(), *kind as u32)).chain(PRESENCE)
}

impl EventFilter {
    /// Names with commas between them, or `*`. The error is the first name that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut bits_wanted, mut all) = (0, false);
        for name in names(text) {
            match bits().find(|(known, _)| *known == name) {
                Some((_, bit)) => bits_wanted |= 1 << bit,
                None if name == "*" => all = true,
                None => return Err(name.into()),
            }
        }
        Ok(Self { bits: bits_wanted, all })
    }

    fn wants(self, occasion: Occasion<'_>) -> bool {
        self.bits & (1 << occasion.bit) != 0 || (self.all && !occasion.is_retention)
    }
}

/// The names of a filter's text.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// An endpoint, as deliveries find it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub id: WebhookId,
    pub filter: EventFilter,
}

/// Endpoints by room; a room that is not in it has not been asked for.
pub(super) type Endpoints = HashMap<i64, Arc<[Endpoint]>>;

/// An endpoint to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub url: String,
    pub events: String,
    pub secret: Option<String>,
    pub created_by: String,
}

/// What changes; None: it stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub events: Option<String>,
    /// Empty: none any more.
    pub secret: Option<String>,
    pub active: Option<bool>,
}

/// An endpoint as its owner sees it.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub key: i64,
    pub id: WebhookId,
    pub room: i64,
    pub url: String,
    pub events: String,
    pub secret: Option<String>,
    pub created_by: String,
    pub created_at: Micros,
    pub active: bool,
    pub failing_since: Option<Micros>,
}

const COLUMNS: &str =
    "select key, id, room, url, events, secret, created_by, created_at, active, failing_since from webhooks";

impl Tx<'_> {
    pub fn create_webhook(&mut self, room: &RoomRef, new: &NewWebhook) -> Result<WebhookRow> {
        let id = WebhookId::new();
        let NewWebhook { url, events, secret, created_by } = new;
        self.execute(
            "insert into webhooks (id, room, url, events, secret, created_by, created_at, active)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
            params![id.bytes(), room.key, url, events, secret, created_by, clock::now()],
        )?;
        self.tally(Count::Webhooks, 1);
        self.tally(Count::ActiveWebhooks, 1);
        self.forget_endpoints(room.key);
        self.read().webhook(room, id)
    }

    pub fn change_webhook(&mut self, room: &RoomRef, id: WebhookId, change: &WebhookChange) -> Result<()> {
        let row = self.read().webhook(room, id)?;
        let WebhookChange { url, events, secret, active } = change;
        let secret = secret.as_ref().or(row.secret.as_ref()).filter(|secret| !secret.is_empty());
        let active = active.unwrap_or(row.active);
        self.execute(
            "update webhooks set url = coalesce(?2, url), events = coalesce(?3, events), secret = ?4, active = ?5,
                    failing_since = case when ?5 and not active then null else failing_since end where key = ?1",
            params![row.key, url, events, secret, active],
        )?;
        self.tally(Count::ActiveWebhooks, i64::from(active) - i64::from(row.active));
        self.forget_endpoints(room.key);
        if row.active && !active {
            self.flush_webhook(id)?;
        }
        Ok(())
    }

    /// Removes an endpoint with its record. What waits for it beyond one step stays to be flushed: [`Tx::flush_webhook`].
    pub fn delete_webhook(&mut self, room: &RoomRef, id: WebhookId) -> Result<()> {
        let row = self.read().webhook(room, id)?;
        self.remove_webhook(&row)
    }

    fn remove_webhook(&mut self, row: &WebhookRow) -> Result<()> {
        self.execute("delete from webhooks where key = ?1", [row.key])?;
        self.tally(Count::Webhooks, -1);
        self.tally(Count::ActiveWebhooks, -i64::from(row.active));
        self.forget_endpoints(row.room);
        // Its last word is not held back by a pause that nobody can see the sense of any more.
        self.execute("delete from queue_pauses where lane = ?1", [row.id.to_string()])?;
        self.flush_webhook(row.id)?;
        Ok(())
    }

    /// A deleted room keeps no endpoints and no hooks.
    pub(super) fn remove_webhooks_of(&mut self, room: i64) -> Result<()> {
        while let Some(row) = self.read().webhooks(room, i64::MAX, 1)?.pop() {
            self.remove_webhook(&row)?;
        }
        let hooks = self.execute("delete from incoming_webhooks where room = ?1", [room])?;
        self.tally(Count::IncomingWebhooks, -(hooks as i64));
        Ok(())
    }

    /// Switches an endpoint off for good reason, which its room hears.
    pub(super) fn disable_webhook(&mut self, row: &WebhookRow, reason: &str) -> Result<()> {
        if !row.active {
            return Ok(());
        }
        self.execute("update webhooks set active = 0 where key = ?1", [row.key])?;
        self.tally(Count::ActiveWebhooks, -1);
        self.forget_endpoints(row.room);
        self.flush_webhook(row.id)?;
        let room_id = self.read().room_name(row.room)?.map(|(id, _)| id);
        self.record(Some(row.room), Kind::WebhookDisabled, |seq| {
            serde_json::json!({ "webhook_id": row.id, "reason": reason, "room_id": room_id, "seq": seq }).to_string()
        })?;
        Ok(())
    }

    /// Those of the room's endpoints that want this event.
    pub(super) fn endpoints_for(&self, room: i64, occasion: Occasion<'_>) -> Result<Vec<Endpoint>> {
        let known = self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner).get(&room).cloned();
        let endpoints = match known {
            Some(endpoints) => endpoints,
            None => {
                let endpoints: Arc<[Endpoint]> = self.read().endpoints(room)?.into();
                let mut kept = self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= ROOMS {
                    kept.clear();
                }
                kept.insert(room, endpoints.clone());
                endpoints
            }
        };
        Ok(endpoints.iter().filter(|endpoint| endpoint.filter.wants(occasion)).cloned().collect())
    }

    fn forget_endpoints(&self, room: i64) {
        self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&room);
    }
}

impl Read<'_> {
    /// An endpoint of this room.
    pub fn webhook(&self, room: &RoomRef, id: WebhookId) -> Result<WebhookRow> {
        let found = self.webhook_by_id(id)?.filter(|row| row.room == room.key);
        found.ok_or_else(|| Error::NotFound("Webhook not found".into()))
    }

    pub(super) fn webhook_by_id(&self, id: WebhookId) -> Result<Option<WebhookRow>> {
        let mut statement = self.prepare(&format!("{COLUMNS} where id = ?1"))?;
        statement.query_row([id.bytes()], webhook_row).optional().map_err(sql_error)
    }

    /// Newest first, before the one numbered `before`.
    pub fn webhooks(&self, room: i64, before: i64, limit: u32) -> Result<Vec<WebhookRow>> {
        let sql = format!("{COLUMNS} where room = ?1 and key < ?2 order by key desc limit ?3");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params![room, before, limit], webhook_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    pub(super) fn has_endpoint_for(&self, room: i64, occasion: Occasion<'_>) -> Result<bool> {
        Ok(self.endpoints(room)?.iter().any(|endpoint| endpoint.filter.wants(occasion)))
    }

    /// The active ones of a room, oldest first.
    fn endpoints(&self, room: i64) -> Result<Vec<Endpoint>> {
        let mut statement =
            self.prepare("select id, events from webhooks where room = ?1 and active = 1 order by key")?;
        let row = |row: &Row<'_>| {
            let events: String = row.get(1)?;
            // A name of a newer version is none that this one has events for.
            let filter = EventFilter::parse(&events).unwrap_or(EventFilter { bits: 0, all: false });
            Ok(Endpoint { id: WebhookId::from_bytes(row.get(0)?), filter })
        };
        let rows = statement.query_map([room], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

fn webhook_row(row: &Row<'_>) -> rusqlite::Result<WebhookRow> {
    Ok(WebhookRow {
        key: row.get(0)?,
        id: WebhookId::from_bytes(row.get(1)?),
        room: row.get(2)?,
        url: row.get(3)?,
        events: row.get(4)?,
        secret: row.get(5)?,
        created_by: row.get(6)?,
        created_at: row.get(7)?,
        active: row.get(8)?,
        failing_since: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(filter: &str, occasion: Occasion<'_>) -> bool {
        EventFilter::parse(filter).unwrap().wants(occasion)
    }

    #[test]
    fn filter_takes_what_it_names() {
        let message = Occasion::of_log(Kind::Message, "{}");
        assert!(wants("message, file_uploaded", message) && wants("*", message) && !wants("message_edited", message));
        let joined = Occasion::of_presence("presence_joined").unwrap();
        assert!(wants("presence_joined", joined) && wants("*", joined) && !wants("presence_left", joined));
        assert!(Occasion::of_presence("typing").is_none());
        assert_eq!(EventFilter::parse("message,profile_updated"), Err("profile_updated".into()));
    }

    #[test]
    fn star_is_all_but_deletions_by_retention() {
        let asked = Occasion::of_log(Kind::MessageDeleted, r#"{"id":"1"}"#);
        let old = Occasion::of_log(Kind::MessageDeleted, r#"{"id":"1","reason":"retention"}"#);
        assert!(wants("*", asked) && !wants("*", old));
        assert!(wants("message_deleted", asked) && wants("message_deleted", old) && wants("*,message_deleted", old));
    }
}
