//! Hooks: addresses with a token, by which other programs post messages into a room.

use super::counts::Count;
use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::{IncomingWebhookId, RoomId};
use rusqlite::{OptionalExtension, Row, params};

/// A hook as its owner sees it.
#[derive(Debug, Clone)]
pub struct IncomingWebhookRow {
    pub key: i64,
    pub id: IncomingWebhookId,
    pub name: String,
    pub token: String,
    pub created_by: String,
    pub created_at: Micros,
    pub active: bool,
}

/// A hook as its caller finds it.
#[derive(Debug, Clone)]
pub struct Hook {
    pub key: i64,
    pub room: RoomId,
    pub name: String,
    pub active: bool,
}

const COLUMNS: &str = "select key, id, name, token, created_by, created_at, active from incoming_webhooks";

impl Tx<'_> {
    pub fn create_incoming_webhook(
        &mut self,
        room: &RoomRef,
        name: &str,
        token: &str,
        created_by: &str,
    ) -> Result<IncomingWebhookRow> {
        let id = IncomingWebhookId::new();
        self.execute(
            "insert into incoming_webhooks (id, room, name, token, created_by, created_at, active)
             values (?1, ?2, ?3, ?4, ?5, ?6, 1)",
            params![id.bytes(), room.key, name, token, created_by, clock::now()],
        )?;
        self.tally(Count::IncomingWebhooks, 1);
        let sql = format!("{COLUMNS} where id = ?1");
        self.prepare(&sql)?.query_row([id.bytes()], hook_row).map_err(sql_error)
    }

    /// None: it stays.
    pub fn change_incoming_webhook(
        &mut self,
        room: &RoomRef,
        id: IncomingWebhookId,
        name: Option<&str>,
        active: Option<bool>,
    ) -> Result<()> {
        let sql = "update incoming_webhooks set name = coalesce(?3, name), active = coalesce(?4, active)
                   where id = ?1 and room = ?2";
        there(self.execute(sql, params![id.bytes(), room.key, name, active])?)
    }

    pub fn delete_incoming_webhook(&mut self, room: &RoomRef, id: IncomingWebhookId) -> Result<()> {
        let sql = "delete from incoming_webhooks where id = ?1 and room = ?2";
        there(self.execute(sql, params![id.bytes(), room.key])?)?;
        self.tally(Count::IncomingWebhooks, -1);
        Ok(())
    }
}

impl Read<'_> {
    /// Newest first, before the one numbered `before`.
    pub fn incoming_webhooks(&self, room: i64, before: i64, limit: u32) -> Result<Vec<IncomingWebhookRow>> {
        let sql = format!("{COLUMNS} where room = ?1 and key < ?2 order by key desc limit ?3");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params![room, before, limit], hook_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    pub fn hook(&self, token: &str) -> Result<Option<Hook>> {
        let sql = "select h.key, r.id, h.name, h.active from incoming_webhooks h join rooms r on r.key = h.room
                   where h.token = ?1 and r.type <> 'deleted'";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok(Hook { key: row.get(0)?, room: RoomId::from_bytes(row.get(1)?), name: row.get(2)?, active: row.get(3)? })
        };
        statement.query_row([token], row).optional().map_err(sql_error)
    }
}

fn there(changed: usize) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(unknown_hook()) }
}

pub fn unknown_hook() -> Error {
    Error::NotFound("Incoming webhook not found".into())
}

fn hook_row(row: &Row<'_>) -> rusqlite::Result<IncomingWebhookRow> {
    Ok(IncomingWebhookRow {
        key: row.get(0)?,
        id: IncomingWebhookId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        token: row.get(3)?,
        created_by: row.get(4)?,
        created_at: row.get(5)?,
        active: row.get(6)?,
    })
}
