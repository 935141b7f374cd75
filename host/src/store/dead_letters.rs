//! Rows from platforms that could not be taken and are kept as they came. They belong to nobody in the store's eyes, and may be a person's
//! words all the same: whose they are is seen by the ids that they name.

use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::JobId;
use rusqlite::{Row, params};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Dead letters of one page: each may have a quarter of a megabyte.
const PAGE: u32 = 20;
/// Places of one person that are looked up.
const PLACES: u32 = 10_000;

/// A row as it came, and why it was not taken.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub key: i64,
    pub id: JobId,
    pub instance: String,
    pub state: String,
    pub raw: String,
    pub last_error: Option<String>,
    pub created_at: Micros,
}

/// What one person is called, by the plugin instances that they came through: their ids there, and their conversations that nobody shares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces(BTreeMap<String, BTreeSet<String>>);

impl Traces {
    /// Whether a field of the row, other than its own id, names the person. What is no JSON names nobody.
    pub fn lead_to(&self, letter: &DeadLetter) -> bool {
        let Some(names) = self.0.get(&letter.instance) else { return false };
        serde_json::from_str(&letter.raw).is_ok_and(|row| names_one_of(&row, names))
    }
}

fn names_one_of(row: &Value, names: &BTreeSet<String>) -> bool {
    match row {
        Value::Object(fields) => fields.iter().any(|(field, value)| field != "id" && names_one_of(value, names)),
        Value::Array(values) => values.iter().any(|value| names_one_of(value, names)),
        Value::String(text) => names.contains(text),
        Value::Number(number) => names.contains(&number.to_string()),
        Value::Null | Value::Bool(_) => false,
    }
}

impl Tx<'_> {
    /// With all that is recorded of them.
    pub fn remove_letters(&mut self, keys: &[i64]) -> Result<()> {
        for key in keys {
            let sql =
                "select key, state, instance from queue where key = ?1 and kind = 'ingest' and state <> 'processing'";
            self.purge_jobs(sql, params![key])?;
        }
        Ok(())
    }
}

impl Read<'_> {
    /// Where the person has written, as who.
    pub fn traces(&self, user: i64) -> Result<Traces> {
        let sql = "select c.instance, p.platform_user_id, c.external_id,
                          exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                                  where o.conversation = c.key and op.user <> ?1)
                   from platform_profiles p join conversation_people q on q.profile = p.key join conversations c on c.key = q.conversation
                   where p.user = ?1 and c.instance <> '' limit ?2";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![user, PLACES]).map_err(sql_error)?;
        let mut traces = Traces::default();
        while let Some(row) = rows.next().map_err(sql_error)? {
            let names = traces.0.entry(row.get(0).map_err(sql_error)?).or_default();
            names.insert(row.get(1).map_err(sql_error)?);
            if !row.get::<_, bool>(3).map_err(sql_error)? {
                names.insert(row.get(2).map_err(sql_error)?);
            }
        }
        Ok(traces)
    }

    /// A page of them behind the one numbered `after`, the first one first.
    pub fn dead_letters(&self, after: i64) -> Result<Vec<DeadLetter>> {
        let sql = "select key, id, instance, state, payload, last_error, created_at from queue
                   where kind = 'ingest' and key > ?1 order by key limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok(DeadLetter {
                key: row.get(0)?,
                id: JobId::from_bytes(row.get(1)?),
                instance: row.get(2)?,
                state: row.get(3)?,
                raw: row.get(4)?,
                last_error: row.get(5)?,
                created_at: row.get(6)?,
            })
        };
        let rows = statement.query_map(params![after, PAGE], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_leads_to_whom_its_fields_name_and_to_nobody_by_its_own_id_or_words() {
        let names = ["7", "session_1"].map(String::from).into();
        let traces = Traces([("site".to_owned(), names)].into());
        let leads = |instance: &str, raw: &str| {
            traces.lead_to(&DeadLetter {
                key: 1,
                id: JobId::new(),
                instance: instance.into(),
                state: "failed".into(),
                raw: raw.into(),
                last_error: None,
                created_at: 0,
            })
        };
        assert!(leads("site", r#"{"id":1,"session_id":"session_1","message":null}"#));
        assert!(leads("site", r#"{"platform":"site","message":{"platform_user_id":"7","content":""}}"#));
        assert!(leads("site", r#"[{"uid":7}]"#));
        assert!(!leads("other", r#"{"uid":7}"#));
        assert!(!leads("site", r#"{"id":7,"session_id":"session_10","message":"7 of session_1"}"#));
        assert!(!leads("site", "session_1"));
    }
}
