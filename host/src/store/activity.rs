//! What was written lately, over all rooms.

use super::Read;
use super::hits::{Page, Range};
use super::rooms::{VISIBLE, Viewer};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::params;
use rusqlite::types::Null;

/// Which messages.
#[derive(Debug, Clone)]
pub struct ActivityQuery {
    pub range: Range,
    /// Only later ones.
    pub since: Option<Micros>,
    /// An unknown one has none.
    pub room: Option<RoomId>,
    pub sender: Option<String>,
    pub sender_type: Option<String>,
    pub exclude_senders: Vec<String>,
    pub limit: u32,
    pub viewer: Viewer,
}

impl Read<'_> {
    /// Messages of all rooms, newest first.
    pub fn activity(&self, query: &ActivityQuery) -> Result<Page> {
        let Some(room) = self.filter_room(query.room, &query.viewer)? else { return Ok(Page::default()) };
        let Range { mut after, before } = query.range;
        if let Some(since) = query.since {
            after = after.max(self.seq_at(since)?);
        }
        // The room's or the sender's index carries the walk; the rest is looked at on the way.
        let (from, narrowed) = match (room, &query.sender) {
            (Some(_), _) => (
                "events e cross join messages m on m.seq = e.seq",
                "e.room = ?3 and e.seq > ?1 and e.seq < ?2 and e.kind = 1",
            ),
            (None, Some(_)) => ("messages m", "m.sender = ?4 and m.seq > ?1 and m.seq < ?2"),
            (None, None) => ("messages m", "m.seq > ?1 and m.seq < ?2"),
        };
        let order = if room.is_some() { "e.seq" } else { "m.seq" };
        let sql = format!(
            "select m.seq, {VISIBLE}, m.json, r.name, m.sender, m.sender_type
             from {from} cross join rooms r on r.key = m.room where {narrowed} order by {order} desc"
        );
        let sender = query.sender.as_deref();
        let values = params![after, before, room, sender, Null, Null, Null, Null, query.viewer.name()];
        self.page(&sql, values, query.limit, |row| {
            let (by, kind) = (row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str_or_null()?);
            Ok(sender.is_none_or(|sender| sender == by)
                && query.sender_type.as_deref().is_none_or(|wanted| kind == Some(wanted))
                && !query.exclude_senders.iter().any(|excluded| excluded == by))
        })
    }
}
