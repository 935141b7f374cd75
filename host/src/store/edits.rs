//! What messages said before they were edited.

use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::EditId;
use rusqlite::{Row, params};

/// One edit of a message.
#[derive(Debug, Clone)]
pub struct EditRow {
    /// Its place among all edits.
    pub key: i64,
    pub id: EditId,
    pub previous_content: String,
    pub editor: String,
    pub edited_at: Micros,
}

impl Read<'_> {
    /// Edits of the message numbered `seq` behind the one with the key `after`, oldest first.
    pub fn edits(&self, seq: i64, after: i64, limit: u32) -> Result<Vec<EditRow>> {
        let sql =
            "select key, id, content, editor, edited_at from edits where seq = ?1 and key > ?2 order by key limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok(EditRow {
                key: row.get(0)?,
                id: EditId::from_bytes(row.get(1)?),
                previous_content: row.get(2)?,
                editor: row.get(3)?,
                edited_at: row.get(4)?,
            })
        };
        let rows = statement.query_map(params![seq, after, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
