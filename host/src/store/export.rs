//! A room's messages from one end to the other, in pages of bounded size.

use super::messages::Message;
use super::rooms::{RoomRef, unknown_room};
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::params;

/// Rows that one page visits at most.
const VISITS: u32 = 1000;
/// Bytes of JSON after which a page ends.
const BYTES: usize = 512 * 1024;

/// Which messages.
#[derive(Debug, Clone)]
pub struct ExportQuery {
    /// Behind this number, up to the next one.
    pub after: i64,
    pub last: i64,
    pub sender: Option<String>,
}

/// Some of them, ascending.
#[derive(Debug)]
pub struct ExportPage {
    pub messages: Vec<Message>,
    /// Where the next page begins; None: this was the last.
    pub after: Option<i64>,
}

impl Read<'_> {
    /// Numbers between which the messages written after one time and before another lie: the first excluded, the second included.
    pub fn time_span(&self, after: Option<Micros>, before: Option<Micros>) -> Result<(i64, i64)> {
        let low = after.map_or(Ok(0), |time| self.seq_at(time))?;
        let high = before.map_or_else(|| self.head(), |time| self.seq_at(time.saturating_sub(1)))?;
        Ok((low, high))
    }

    /// 404 once the room is gone: what was given until then is not all of it.
    pub fn export_page(&self, room: &RoomRef, query: &ExportQuery) -> Result<ExportPage> {
        self.room_ref(room.id)?.ok_or_else(unknown_room)?;
        let sql = "select m.seq, m.sender, m.json from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq > ?2 and e.seq <= ?3 and e.kind = 1 order by e.seq limit ?4";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![room.key, query.after, query.last, VISITS]).map_err(sql_error)?;
        let (mut messages, mut visits, mut bytes, mut last) = (Vec::new(), 0, 0, query.after);
        while let Some(row) = rows.next().map_err(sql_error)? {
            (visits, last) = (visits + 1, row.get(0).map_err(sql_error)?);
            let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?)).map_err(sql_error);
            if query.sender.as_deref().is_some_and(|sender| text(1) != Ok(sender)) {
                continue;
            }
            let json = text(2)?;
            bytes += json.len();
            messages.push(Message::from_json(json)?);
            if bytes >= BYTES {
                return Ok(ExportPage { messages, after: Some(last) });
            }
        }
        Ok(ExportPage { messages, after: (visits == VISITS).then_some(last) })
    }
}
