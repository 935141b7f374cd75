//! Lists of a room's messages: by number, by time, by who wrote them. The log's index carries numbers and times, an index of its own one
//! sender; for anything else messages are looked at one by one, and a call ends after so many.

use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::{OptionalExtension, Row, Rows, params};
use std::ops::Range;

/// Messages that one call looks at.
pub(super) const VISITS: usize = if cfg!(test) { 400 } else { 20_000 };

/// Which messages of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQuery {
    /// Numbers above this one.
    pub after: i64,
    /// Numbers below this one.
    pub before: i64,
    /// Written later than this.
    pub since: Option<Micros>,
    /// Written earlier than this.
    pub until: Option<Micros>,
    /// The newest of them instead of the oldest.
    pub newest: bool,
    pub sender: Option<String>,
    pub sender_type: Option<String>,
    pub excluded_senders: Vec<String>,
    pub limit: usize,
}

impl MessageQuery {
    /// Whether it takes the next rows of the room as they come, a hundred at most: that costs microseconds.
    pub fn is_walk(&self) -> bool {
        let Self { since, until, sender, sender_type, excluded_senders, limit, .. } = self;
        let filtered = sender.is_some() || sender_type.is_some() || !excluded_senders.is_empty();
        since.is_none() && until.is_none() && !filtered && *limit <= 100
    }
}

/// Messages in ascending order.
#[derive(Debug, Clone)]
pub struct MessagePage {
    /// An array of them.
    pub json: String,
    /// Where the next page begins, if there may be one: the last number seen, in the direction of the query.
    pub next: Option<i64>,
}

impl MessageQuery {
    /// The oldest ones, whoever wrote them.
    pub fn oldest(limit: usize) -> Self {
        Self {
            after: 0,
            before: i64::MAX,
            since: None,
            until: None,
            newest: false,
            sender: None,
            sender_type: None,
            excluded_senders: Vec::new(),
            limit,
        }
    }

    fn keeps(&self, room: i64, row: &Row<'_>) -> rusqlite::Result<bool> {
        let (of, sender) = (row.get::<_, i64>(1)?, row.get_ref(2)?.as_str()?);
        let sender_type = || Ok::<_, rusqlite::Error>(row.get_ref(3)?.as_str_or_null()?);
        Ok(of == room
            && self.sender.as_deref().is_none_or(|wanted| wanted == sender)
            && !self.excluded_senders.iter().any(|excluded| excluded == sender)
            && (self.sender_type.is_none() || sender_type()? == self.sender_type.as_deref()))
    }
}

/// The numbers that a list lies between, both excluded, and how to walk them.
pub(super) struct Span {
    pub low: i64,
    pub high: i64,
    pub by_sender: bool,
}

impl Read<'_> {
    pub fn messages(&self, room: i64, query: &MessageQuery) -> Result<MessagePage> {
        match self.span(room, query)? {
            Some(span) => self.walk_messages(room, query, &span),
            None => Ok(MessagePage { json: "[]".into(), next: None }),
        }
    }

    pub(super) fn walk_messages(&self, room: i64, query: &MessageQuery, span: &Span) -> Result<MessagePage> {
        let order = if query.newest { "desc" } else { "asc" };
        if span.by_sender {
            // Named, because for somebody who wrote most of the messages walking all of them looks cheaper than it is.
            let sql = format!(
                "select seq, room, sender, sender_type, json from messages indexed by messages_sender
                 where sender = ?1 and seq > ?2 and seq < ?3 order by seq {order}"
            );
            let mut statement = self.prepare(&sql)?;
            page(room, query, statement.query(params![query.sender, span.low, span.high]).map_err(sql_error)?)
        } else {
            let sql = format!(
                "select m.seq, m.room, m.sender, m.sender_type, m.json from events e join messages m on m.seq = e.seq
                 where e.room = ?1 and e.seq > ?2 and e.seq < ?3 and e.kind = 1 order by e.seq {order}"
            );
            let mut statement = self.prepare(&sql)?;
            page(room, query, statement.query(params![room, span.low, span.high]).map_err(sql_error)?)
        }
    }

    /// None if nothing can be there. Begins with the oldest message that is left: what was deleted before it is not walked.
    fn span(&self, room: i64, query: &MessageQuery) -> Result<Option<Span>> {
        let mut statement =
            self.prepare("select first_seq, last_seq, message_count from room_state where room = ?1")?;
        let row =
            |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, i64>(2)?));
        let (first, last, count) = statement.query_row([room], row).map_err(sql_error)?;
        let Some((first, mut last)) = first.zip(last) else { return Ok(None) };
        if let Some(sender) = &query.sender {
            let mut statement = self.prepare("select last_seq from participants where room = ?1 and sender = ?2")?;
            let written = statement.query_row(params![room, sender], |row| row.get(0)).optional().map_err(sql_error)?;
            let Some(written) = written else { return Ok(None) };
            last = i64::min(last, written);
        }
        let (mut low, mut high) = (query.after.max(first - 1), query.before.min(last + 1));
        if let Some(since) = query.since {
            low = low.max(self.seq_at(since)?);
        }
        if let Some(until) = query.until {
            high = high.min(self.seq_at(until.saturating_sub(1))? + 1);
        }
        // In a small room its own messages are fewer than what somebody may have written elsewhere.
        let by_sender = query.sender.is_some() && count > VISITS as i64;
        Ok((low < high).then_some(Span { low, high, by_sender }))
    }
}

fn page(room: i64, query: &MessageQuery, mut rows: Rows<'_>) -> Result<MessagePage> {
    // One text for all of them: a page of its own strings costs more than reading it.
    let (mut text, mut places) = (String::from("["), Vec::with_capacity(query.limit.min(128)));
    let (mut visited, mut last, mut next) = (0, 0, None);
    while let Some(row) = rows.next().map_err(sql_error)? {
        visited += 1;
        let kept = query.keeps(room, row).map_err(sql_error)?;
        if kept && places.len() == query.limit {
            next = Some(last);
            break;
        }
        // Of a full page it is only asked whether there is another one; that begins behind its last message.
        if places.len() < query.limit {
            last = row.get(0).map_err(sql_error)?;
        }
        if kept {
            places.push(append(&mut text, row).map_err(sql_error)?);
        }
        if visited == VISITS {
            next = Some(last);
            break;
        }
    }
    if query.newest {
        text = backwards(&text, &places);
    }
    text.push(']');
    Ok(MessagePage { json: text, next })
}

/// One more value of an array that has begun.
fn append(text: &mut String, row: &Row<'_>) -> rusqlite::Result<Range<usize>> {
    if text.len() > 1 {
        text.push(',');
    }
    let begin = text.len();
    text.push_str(row.get_ref(4)?.as_str()?);
    Ok(begin..text.len())
}

/// The same array with its last value first, without its end too.
fn backwards(text: &str, places: &[Range<usize>]) -> String {
    let mut turned = String::with_capacity(text.len() + 1);
    for (number, place) in places.iter().rev().enumerate() {
        turned.push(if number == 0 { '[' } else { ',' });
        turned.push_str(&text[place.clone()]);
    }
    if places.is_empty() {
        turned.push('[');
    }
    turned
}
