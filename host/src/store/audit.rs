//! The record of operators' deeds: who did what, from where, and what came of it. It is written in the deed's own transaction where that
//! has one.

use super::{Read, Tx, prepare, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

/// Deeds that are kept; the oldest go.
const KEPT: i64 = if cfg!(test) { 50 } else { 100_000 };
/// Characters of a subject, and bytes of a detail, that are kept.
const SUBJECT: usize = 300;
const DETAIL: usize = 4 * 1024;

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `operator`, `signal`, or whom an access token belongs to.
    pub name: String,
    /// An address, or `command line`.
    pub origin: String,
}

/// Something that an operator did, or was refused.
#[derive(Debug, Clone)]
pub struct Deed {
    pub actor: Actor,
    /// Part and verb, such as `plugins.enable`.
    pub action: &'static str,
    /// What it was done to; empty: the host.
    pub subject: String,
    pub was_done: bool,
    /// What else is worth knowing. No secret may be in it.
    pub detail: Value,
}

/// A deed as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct DeedRow {
    pub key: i64,
    pub at: Micros,
    pub actor: Actor,
    pub action: String,
    pub subject: String,
    pub was_done: bool,
    /// JSON.
    pub detail: String,
}

impl Deed {
    /// One that was done.
    pub fn done(actor: &Actor, action: &'static str, subject: impl Into<String>, detail: Value) -> Self {
        Self { actor: actor.clone(), action, subject: subject.into(), was_done: true, detail }
    }

    /// One that was refused, with the reason.
    pub fn refused(actor: &Actor, action: &'static str, subject: impl Into<String>, why: &str) -> Self {
        let detail = serde_json::json!({ "error": why });
        Self { was_done: false, ..Self::done(actor, action, subject, detail) }
    }
}

impl Tx<'_> {
    pub fn audit(&mut self, deed: &Deed) -> Result<()> {
        let now = self.stamp();
        record(self.connection, now, deed)
    }
}

/// Also in a store that nobody has open as one.
pub(super) fn record(connection: &Connection, now: Micros, deed: &Deed) -> Result<()> {
    let subject: String = deed.subject.chars().take(SUBJECT).collect();
    let detail = deed.detail.to_string();
    let detail = if detail.len() > DETAIL { "{\"left_out\":\"too long\"}" } else { &detail };
    let outcome = if deed.was_done { "done" } else { "refused" };
    let sql =
        "insert into audit (at, actor, origin, action, subject, outcome, detail) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![now, deed.actor.name, deed.actor.origin, deed.action, subject, outcome, detail];
    prepare(connection, sql).and_then(|mut insert| insert.execute(values)).map_err(sql_error)?;
    let oldest = [connection.last_insert_rowid() - KEPT];
    let delete = prepare(connection, "delete from audit where key <= ?1");
    delete.and_then(|mut delete| delete.execute(oldest)).map(drop).map_err(sql_error)
}

impl Read<'_> {
    /// Newest first, below `before`; of one action, or of all.
    pub fn audit(&self, action: Option<&str>, before: i64, limit: u32) -> Result<Vec<DeedRow>> {
        let row = |row: &Row<'_>| {
            Ok(DeedRow {
                key: row.get(0)?,
                at: row.get(1)?,
                actor: Actor { name: row.get(2)?, origin: row.get(3)? },
                action: row.get(4)?,
                subject: row.get(5)?,
                was_done: row.get::<_, String>(6)? == "done",
                detail: row.get(7)?,
            })
        };
        const COLUMNS: &str = "select key, at, actor, origin, action, subject, outcome, detail from audit";
        let rows = match action {
            Some(action) => {
                let sql = format!("{COLUMNS} where action = ?1 and key < ?2 order by key desc limit ?3");
                let mut statement = self.prepare(&sql)?;
                let rows = statement.query_map(params![action, before, limit], row).map_err(sql_error)?;
                rows.collect::<rusqlite::Result<_>>()
            }
            None => {
                let sql = format!("{COLUMNS} where key < ?1 order by key desc limit ?2");
                let mut statement = self.prepare(&sql)?;
                let rows = statement.query_map(params![before, limit], row).map_err(sql_error)?;
                rows.collect::<rusqlite::Result<_>>()
            }
        };
        rows.map_err(sql_error)
    }
}
