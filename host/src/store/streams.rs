//! The log as streams read it: a portion at a time behind a cursor, of one room or of all, as much as the reader has room for.

use super::rooms::VISIBLE;
use super::{Kind, Read, Viewer, sql_error};
use crate::error::Result;
use rusqlite::params;

/// Rows that one portion takes at most.
const ROWS: u32 = 500;
/// Numbers of the log that one portion of all rooms passes at most, however few of them the reader wants.
const SPAN: i64 = 20_000;
/// What the end of a room of direct messages has in its payload.
pub const DM_NAME: &str = r#""name":"dm:"#;

/// Whose events a stream shows. What is of no room is shown to all.
#[derive(Debug, Clone)]
pub enum Scope {
    Room(i64),
    /// Rooms that the viewer may see, or those of them that are named; of the kinds whose bits are set.
    All {
        viewer: Viewer,
        rooms: Option<Vec<i64>>,
        kinds: i64,
    },
}

/// Which portion of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// Events as they were, behind this number.
    Events { after: i64 },
    /// Where the log was trimmed: messages that are still there between the two numbers, as they are now.
    Messages { after: i64, below: i64 },
}

/// Where a portion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Everything up to this number was given.
    pub cursor: i64,
    /// There is no more of it.
    pub is_end: bool,
}

impl Read<'_> {
    /// Gives number, kind and JSON of each event to `take`, in order, until that answers false.
    pub fn replay(
        &self,
        scope: &Scope,
        portion: Portion,
        take: &mut dyn FnMut(i64, Kind, &str) -> bool,
    ) -> Result<Reached> {
        // Asked first: a commit in between then makes the portion longer, never the cursor too far.
        let end = match portion {
            Portion::Events { after } => self.head()?.max(after),
            Portion::Messages { below, .. } => below - 1,
        };
        match (scope, portion) {
            (Scope::Room(room), Portion::Events { after }) => {
                // Two walks along the index, each as long as the portion at most.
                let sql = "select e.seq, e.kind, coalesce(e.data, m.json, '{}') from (
                               select seq from (select seq from events where room = ?1 and seq > ?2 order by seq limit ?3)
                               union all
                               select seq from (select seq from events where room is null and seq > ?2 order by seq limit ?3)
                           ) as q join events e on e.seq = q.seq left join messages m on m.seq = e.seq
                           order by e.seq limit ?3";
                self.portion(sql, params![room, after, ROWS], end, end, take)
            }
            (Scope::Room(room), Portion::Messages { after, below }) => {
                let sql = "select e.seq, e.kind, m.json from events e join messages m on m.seq = e.seq
                           where e.room = ?1 and e.seq > ?2 and e.seq < ?3 and e.kind = 1 order by e.seq limit ?4";
                self.portion(sql, params![room, after, below, ROWS], end, end, take)
            }
            (Scope::All { viewer, rooms, kinds }, portion) => {
                let (after, is_kept) = match portion {
                    Portion::Events { after } => (after, false),
                    Portion::Messages { after, .. } => (after, true),
                };
                let kinds = if is_kept { kinds & (1 << Kind::Message as i64) } else { *kinds };
                let until = after.saturating_add(SPAN).min(if is_kept { end } else { i64::MAX });
                let rooms = rooms.as_ref().map(|rooms| serde_json::json!(rooms).to_string());
                // A room that is gone is known by its end alone, and whose it was by its name.
                let sql = format!(
                    "select e.seq, e.kind, case when ?6 then m.json else coalesce(e.data, m.json, '{{}}') end
                     from events e left join rooms r on r.key = e.room left join messages m on m.seq = e.seq
                     where e.seq > ?1 and e.seq <= ?2 and (?3 >> e.kind) & 1 = 1
                       and (?4 is null or e.room is null or e.room in (select q.value from json_each(?4) q))
                       and (e.room is null or {VISIBLE} or (e.kind = {} and (?9 is null or instr(e.data, '{DM_NAME}') = 0)))
                       and (not ?6 or m.seq is not null)
                     order by e.seq limit ?5",
                    Kind::RoomDeleted as i64
                );
                let values =
                    params![after, until, kinds, rooms, ROWS, is_kept, None::<i64>, None::<i64>, viewer.name()];
                self.portion(&sql, values, until, end, take)
            }
        }
    }

    /// `until`: the last number that the statement can give; `end`: the last one that there is.
    fn portion(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        until: i64,
        end: i64,
        take: &mut dyn FnMut(i64, Kind, &str) -> bool,
    ) -> Result<Reached> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(values).map_err(sql_error)?;
        let (mut cursor, mut count) = (0, 0);
        while let Some(row) = rows.next().map_err(sql_error)? {
            cursor = row.get(0).map_err(sql_error)?;
            count += 1;
            let json = row.get_ref(2).map_err(sql_error)?;
            let json = json.as_str().map_err(|error| sql_error(error.into()))?;
            // A kind of a newer version is passed over.
            let Some(kind) = Kind::from_number(row.get(1).map_err(sql_error)?) else { continue };
            if !take(cursor, kind, json) {
                return Ok(Reached { cursor, is_end: false });
            }
        }
        if count == ROWS {
            return Ok(Reached { cursor, is_end: false });
        }
        Ok(Reached { cursor: cursor.max(until.min(end)), is_end: until >= end })
    }

    /// Those of the rooms that the viewer may see.
    pub fn visible_among(&self, rooms: &[i64], viewer: &Viewer) -> Result<Vec<i64>> {
        let sql = format!("select r.key from json_each(?1) q join rooms r on r.key = q.value where {VISIBLE}");
        let mut statement = self.prepare(&sql)?;
        let none = None::<i64>;
        let rooms = serde_json::json!(rooms).to_string();
        let values = params![rooms, none, none, none, none, none, none, none, viewer.name()];
        let keys = statement.query_map(values, |row| row.get(0)).map_err(sql_error)?;
        keys.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
