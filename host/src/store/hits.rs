//! Messages found over all rooms, with the name of their room; and pages of them, newest first, that look at a bounded number of rows.

use super::messages::Message;
use super::rooms::Viewer;
use super::{Read, sql_error};
use crate::error::{Error, Result};
use crate::ids::{MessageId, RoomId};
use rusqlite::Row;
use serde::Serialize;

/// Rows that one page looks at, where filters have no index of their own.
const VISITS: usize = 20_000;

/// A message that was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Hit {
    pub message_id: MessageId,
    pub room_id: RoomId,
    pub room_name: String,
    pub sender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender_type: Option<String>,
    pub content: String,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub edited_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<MessageId>,
    /// Its number in the log.
    pub seq: i64,
}

impl Hit {
    pub(super) fn new(json: &str, room_name: String) -> Result<Self> {
        let message = Message::from_json(json)?;
        Ok(Self {
            message_id: message.id,
            room_id: message.room_id,
            room_name,
            sender: message.sender,
            sender_type: message.sender_type,
            content: message.content,
            created_at: message.created_at,
            edited_at: message.edited_at,
            reply_to: message.reply_to,
            seq: message.seq,
        })
    }
}

/// Numbers of messages between two, both excluded.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub after: i64,
    pub before: i64,
}

/// Part of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub hits: Vec<Hit>,
    /// Messages before this number are on the next page.
    pub next: Option<i64>,
}

impl Read<'_> {
    /// The inner number of a room that narrows a list. None: no message can be in it.
    pub(super) fn filter_room(&self, room: Option<RoomId>, viewer: &Viewer) -> Result<Option<Option<i64>>> {
        let Some(id) = room else { return Ok(Some(None)) };
        match self.visible_room(id, viewer) {
            Ok(room) => Ok(Some(Some(room.key))),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of what a statement gives: number, whether it may be seen, JSON and room's name, newest first; `keep` looks at the rest.
    pub(super) fn page(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        limit: u32,
        keep: impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<Page> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(values).map_err(sql_error)?;
        let (mut page, mut last) = (Page::default(), i64::MAX);
        let mut visits = 0;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let seq: i64 = row.get(0).map_err(sql_error)?;
            if visits >= VISITS && seq < last {
                page.next = Some(last);
                break;
            }
            visits += 1;
            last = seq;
            let seen = page.hits.last().is_some_and(|hit| hit.seq == seq);
            let wanted = row.get(1).and_then(|visible: bool| Ok(visible && !seen && keep(row)?)).map_err(sql_error)?;
            if !wanted {
                continue;
            }
            if page.hits.len() >= limit as usize {
                page.next = page.hits.last().map(|hit| hit.seq);
                break;
            }
            let json = row.get_ref(2).map_err(sql_error)?.as_str().map_err(|error| sql_error(error.into()))?;
            page.hits.push(Hit::new(json, row.get(3).map_err(sql_error)?)?);
        }
        Ok(page)
    }
}
