//! The record of operators' deeds: who did what, from where, and what came of it. It is written in the deed's own transaction where that
//! has one.

use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::{Row, params};
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

/// Which deeds; all fields together.
#[derive(Debug, Clone, Default)]
pub struct DeedFilter {
    pub action: Option<String>,
    pub actor: Option<String>,
    pub was_done: Option<bool>,
    /// At this time or later.
    pub since: Option<Micros>,
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
        let subject: String = deed.subject.chars().take(SUBJECT).collect();
        let detail = deed.detail.to_string();
        let detail = if detail.len() > DETAIL { "{\"left_out\":\"too long\"}" } else { &detail };
        let now = self.stamp();
        self.execute(
            "insert into audit (at, actor, origin, action, subject, outcome, detail) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![now, deed.actor.name, deed.actor.origin, deed.action, subject, outcome(deed.was_done), detail],
        )?;
        let newest = self.connection.last_insert_rowid();
        self.execute("delete from audit where key <= ?1", [newest - KEPT]).map(drop)
    }
}

impl Read<'_> {
    /// Newest first, below `before`. What does not fit is passed over: the record is bounded, so that is never long.
    pub fn audit(&self, filter: &DeedFilter, before: i64, limit: u32) -> Result<Vec<DeedRow>> {
        let of_action = if filter.action.is_some() { "action = ?3" } else { "?3 is null" };
        let sql = format!(
            "select key, at, actor, origin, action, subject, outcome, detail from audit
             where {of_action} and key < ?1 and (?4 is null or actor = ?4) and (?5 is null or outcome = ?5)
               and (?6 is null or at >= ?6)
             order by key desc limit ?2"
        );
        let outcome = filter.was_done.map(outcome);
        let mut statement = self.prepare(&sql)?;
        let rows = statement
            .query_map(params![before, limit, filter.action, filter.actor, outcome, filter.since], deed_row)
            .map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

fn outcome(was_done: bool) -> &'static str {
    if was_done { "done" } else { "refused" }
}

fn deed_row(row: &Row<'_>) -> rusqlite::Result<DeedRow> {
    Ok(DeedRow {
        key: row.get(0)?,
        at: row.get(1)?,
        actor: Actor { name: row.get(2)?, origin: row.get(3)? },
        action: row.get(4)?,
        subject: row.get(5)?,
        was_done: row.get::<_, String>(6)? == "done",
        detail: row.get(7)?,
    })
}
