//! The record of operators' deeds: who did what, from where, and what came of it. It is written in the deed's own transaction where that
//! has one; a deed in many steps has one row, which each step brings up to date. What was refused is recorded too.

use super::{Read, Store, Tx, prepare, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value, json};
use std::fmt::Display;

/// Deeds that are kept; the oldest go.
const KEPT: i64 = if cfg!(test) { 50 } else { 100_000 };
/// Characters of a subject, and bytes of a detail, that are kept.
const SUBJECT: usize = 300;
const DETAIL: usize = 4 * 1024;
/// Characters that are kept of each text in a detail that is too long as a whole.
const CUT: usize = 300;
/// Deeds of one kind among which one that goes on is looked for.
const LOOKED_AT: u32 = 20;
/// In the detail of a deed that did not come to its end, or not yet.
const UNFINISHED: &str = "unfinished";

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `operator`, `signal`, `bridge admin_key`, `token:` with whom an access token belongs to, or `claimed:` with a name that nobody proved.
    pub name: String,
    /// An address, or `command line`.
    pub origin: String,
}

impl Actor {
    /// Who showed the operator's token, or may open the store's file.
    pub fn operator(origin: impl Display) -> Self {
        Self { name: "operator".into(), origin: origin.to_string() }
    }

    /// Who showed an access token. Its name is anything, so it must not stand alone.
    pub fn token(name: &str, origin: impl Display) -> Self {
        Self { name: format!("token:{name}"), origin: origin.to_string() }
    }

    /// Who showed nothing, but gave a name or none.
    pub fn claimed(name: Option<&str>, origin: impl Display) -> Self {
        let name = name.map(str::trim).unwrap_or_default();
        Self { name: format!("claimed:{}", name.chars().take(SUBJECT).collect::<String>()), origin: origin.to_string() }
    }
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
        Self { was_done: false, ..Self::done(actor, action, subject, json!({ "error": why })) }
    }

    /// One of which there is more to do, so that its record is true also when nobody goes on with it.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        if let Value::Object(detail) = &mut self.detail {
            detail.insert(UNFINISHED.into(), true.into());
        }
        self
    }
}

impl Store {
    /// Does it, and keeps a refusal in the record as well; what was done its own transaction records. A request that could not be understood
    /// is no deed.
    pub async fn recorded<T>(
        &self,
        actor: &Actor,
        action: &'static str,
        subject: &str,
        deed: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = deed.await;
        if let Err(
            error @ (Error::NotFound(_)
            | Error::Conflict(_)
            | Error::Mistakes(_)
            | Error::Unavailable(_)
            | Error::Internal(_)),
        ) = &result
        {
            self.record(Deed::refused(actor, action, subject.trim(), &error.to_string())).await;
        }
        result
    }

    /// Records what has no transaction of its own. It has happened, or was refused, by now: a disk that is full must not change the answer.
    pub async fn record(&self, deed: Deed) {
        let Deed { action, subject, actor, .. } = deed.clone();
        if let Err(error) = self.write(move |tx| tx.audit(&deed)).await {
            let Actor { name, origin } = actor;
            tracing::warn!("{action} {subject:?} by {name:?} ({origin}) is missing in the record of deeds: {error}");
        }
    }
}

impl Tx<'_> {
    pub fn audit(&mut self, deed: &Deed) -> Result<()> {
        self.audit_step(None, deed).map(drop)
    }

    /// A step of a deed whose row is known: its detail says from now on what was done so far. Without a row, or where that one has gone, it
    /// gets a new one. Answers the row's number.
    pub fn audit_step(&mut self, row: Option<i64>, deed: &Deed) -> Result<i64> {
        let detail = bounded(&deed.detail);
        if let Some(row) = row
            && self.execute("update audit set detail = ?2 where key = ?1", params![row, detail])? == 1
        {
            return Ok(row);
        }
        let now = self.stamp();
        record(self.connection, now, deed)
    }

    /// Nobody can tell any more whom these deeds were about.
    pub(super) fn forget_subject(&self, subject: &str) -> Result<()> {
        self.execute("update audit set subject = 'forgotten', detail = '{}' where subject = ?1", [subject]).map(drop)
    }
}

/// Also in a store that nobody has open as one. Answers the row's number.
pub(super) fn record(connection: &Connection, now: Micros, deed: &Deed) -> Result<i64> {
    let (subject, detail) = (bounded_subject(&deed.subject), bounded(&deed.detail));
    let sql =
        "insert into audit (at, actor, origin, action, subject, outcome, detail) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![now, deed.actor.name, deed.actor.origin, deed.action, subject, outcome(deed.was_done), detail];
    prepare(connection, sql).and_then(|mut insert| insert.execute(values)).map_err(sql_error)?;
    let newest = connection.last_insert_rowid();
    let delete = prepare(connection, "delete from audit where key <= ?1");
    delete.and_then(|mut delete| delete.execute([newest - KEPT])).map_err(sql_error)?;
    Ok(newest)
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

    /// The newest deed of these that was not finished, to go on with: its row and its detail.
    pub fn unfinished_deed(&self, actor: &Actor, action: &str, subject: &str) -> Result<Option<(i64, Value)>> {
        let rows =
            self.audit(&DeedFilter { action: Some(action.into()), ..DeedFilter::default() }, i64::MAX, LOOKED_AT)?;
        let subject = bounded_subject(subject);
        let same = rows.into_iter().filter(|row| row.was_done && row.actor == *actor && row.subject == subject);
        let detail = |row: DeedRow| Some((row.key, serde_json::from_str::<Value>(&row.detail).ok()?));
        Ok(same.filter_map(detail).find(|(_, detail)| detail[UNFINISHED] == true))
    }
}

fn bounded_subject(subject: &str) -> String {
    subject.chars().take(SUBJECT).collect()
}

/// The detail as JSON. Of one that is too long the numbers, the switches and the beginnings of its texts.
fn bounded(detail: &Value) -> String {
    let text = detail.to_string();
    if text.len() <= DETAIL {
        return text;
    }
    let short = |value: &Value| match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::String(text) => Some(text.chars().take(CUT).collect::<String>().into()),
        _ => None,
    };
    let fields = detail.as_object().into_iter().flatten();
    let mut kept: Map<String, Value> = fields.filter_map(|(name, value)| Some((name.clone(), short(value)?))).collect();
    kept.insert("left_out".into(), "too long".into());
    let text = Value::Object(kept).to_string();
    if text.len() <= DETAIL { text } else { json!({ "left_out": "too long" }).to_string() }
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
