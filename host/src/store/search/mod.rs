//! Search over all messages. The index gives the newest hits, filters first; they are ranked here, because the index's own ranking visits
//! every hit of every word. A walk is bounded in hits, in rows and in time; where it stops, the next page goes on.

mod query;
mod rank;
mod stem;
mod words;

use super::hits::{Hit, Range};
use super::messages::content_of;
use super::rooms::{VISIBLE, Viewer};
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::RoomId;
use query::Query;
use rusqlite::types::Null;
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Hits that are ranked against each other.
const WINDOW: usize = 1000;
/// Rows that one search looks at, where filters have no index.
const VISITS: usize = 20_000;
/// How long one search walks at most; usually it is a hundredth of that, and a busy machine shall not make it stop early.
const PATIENCE: Duration = Duration::from_secs(1);
/// Numbers of the log that are walked at once: a phrase that never occurs gives no hit at which to look at the clock.
const SLICE: i64 = 500_000;
/// Room for a place in the window beside a number of the log, in a cursor.
const PLACES: i64 = 1024;

/// What is looked for, and where.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    pub text: String,
    pub range: Range,
    pub after_time: Option<Micros>,
    pub before_time: Option<Micros>,
    /// An unknown one has no hits.
    pub room: Option<RoomId>,
    pub sender: Option<String>,
    pub sender_type: Option<String>,
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<i64>,
    pub viewer: Viewer,
}

/// A hit with the part of its text that matches.
#[derive(Debug, Clone)]
pub struct Found {
    pub hit: Hit,
    pub snippet: String,
}

/// A page of hits, best first.
#[derive(Debug, Clone, Default)]
pub struct SearchResult {
    pub found: Vec<Found>,
    /// How many hits were ranked against each other, where there are more than fit.
    pub window: Option<usize>,
    pub next: Option<i64>,
}

/// The newest hits below a number.
#[derive(Default)]
struct Window {
    /// Score and number.
    ranked: Vec<(f64, i64)>,
    visits: usize,
    /// Which of the rooms that were met may be seen: hits are many, rooms are few.
    rooms: HashMap<i64, bool>,
    /// Where the walk ended before its end: hits up to this number are still to be seen.
    rest: Option<i64>,
}

/// Numbers of the log, both included.
struct Bounds {
    low: i64,
    high: i64,
}

impl Read<'_> {
    pub fn search(&self, search: &SearchQuery) -> Result<SearchResult> {
        let query = Query::parse(&search.text);
        if query.terms.is_empty() {
            return Ok(SearchResult::default());
        }
        let Some(room) = self.filter_room(search.room, &search.viewer)? else { return Ok(SearchResult::default()) };
        let (bounds, offset) = self.bounds(search)?;
        let window = self.window(search, &query, room, &bounds)?;
        let end = (offset + search.limit as usize).min(window.ranked.len());
        let shown: Vec<i64> = window.ranked[offset.min(end)..end].iter().map(|(_, seq)| *seq).collect();
        let found = self.found(&query, &shown)?;
        let next = if end < window.ranked.len() {
            Some(bounds.high.saturating_mul(PLACES) + end as i64)
        } else {
            window.rest.map(|rest| rest.saturating_mul(PLACES))
        };
        let full = window.rest.is_some() && window.ranked.len() >= WINDOW;
        Ok(SearchResult { found, window: full.then_some(WINDOW), next })
    }

    /// Where to look, and how many of the window were shown already. A cursor keeps the window that its first page had.
    fn bounds(&self, search: &SearchQuery) -> Result<(Bounds, usize)> {
        let mut low = search.range.after.saturating_add(1);
        let mut high = search.range.before.saturating_sub(1).min(self.head()?);
        if let Some(time) = search.after_time {
            low = low.max(self.seq_at(time)? + 1);
        }
        if let Some(time) = search.before_time {
            high = high.min(self.seq_at(time.saturating_sub(1))?);
        }
        let cursor = search.cursor.unwrap_or(i64::MAX).max(0);
        let offset = if search.cursor.is_some() { cursor % PLACES } else { 0 };
        Ok((Bounds { low, high: high.min(cursor / PLACES) }, offset as usize))
    }

    fn window(&self, search: &SearchQuery, query: &Query, room: Option<i64>, bounds: &Bounds) -> Result<Window> {
        let expression = query.expression(room, search.sender.as_deref());
        let begun = Instant::now();
        let mut window = Window::default();
        let mut high = bounds.high;
        while high >= bounds.low && window.rest.is_none() {
            // Prefixes are gathered over the whole index each time anyway.
            let low = if query.has_prefix() { bounds.low } else { bounds.low.max(high - SLICE) };
            self.walk(search, query, &expression, &Bounds { low, high }, begun, &mut window)?;
            high = low - 1;
            if window.rest.is_none() && high >= bounds.low && begun.elapsed() > PATIENCE {
                window.rest = Some(high);
            }
        }
        window.ranked.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        Ok(window)
    }

    fn walk(
        &self,
        search: &SearchQuery,
        query: &Query,
        expression: &str,
        bounds: &Bounds,
        begun: Instant,
        window: &mut Window,
    ) -> Result<()> {
        let sql = "select messages_search.rowid, m.room, m.sender, m.sender_type, m.json
                   from messages_search cross join messages m on m.seq = messages_search.rowid
                   where messages_search match ?1 and messages_search.rowid >= ?2 and messages_search.rowid <= ?3
                   order by messages_search.rowid desc";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![expression, bounds.low, bounds.high]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let seq: i64 = row.get(0).map_err(sql_error)?;
            window.visits += 1;
            let late = window.visits.is_multiple_of(16) && begun.elapsed() > PATIENCE;
            let room: i64 = row.get(1).map_err(sql_error)?;
            let score = if self.is_visible(room, &search.viewer, &mut window.rooms)? {
                scored(row, search, query).map_err(sql_error)?
            } else {
                None
            };
            match score {
                Some(_) if window.ranked.len() >= WINDOW => {
                    window.rest = Some(seq);
                    return Ok(());
                }
                Some(score) => window.ranked.push((score, seq)),
                None => {}
            }
            if late || window.visits >= VISITS {
                window.rest = Some(seq - 1).filter(|rest| *rest >= bounds.low);
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_visible(&self, room: i64, viewer: &Viewer, known: &mut HashMap<i64, bool>) -> Result<bool> {
        if let Some(visible) = known.get(&room) {
            return Ok(*visible);
        }
        let sql = format!("select {VISIBLE} from rooms r where r.key = ?1");
        let mut statement = self.prepare(&sql)?;
        let values = params![room, Null, Null, Null, Null, Null, Null, Null, viewer.name()];
        let visible = statement.query_row(values, |row| row.get(0)).optional().map_err(sql_error)?.unwrap_or(false);
        known.insert(room, visible);
        Ok(visible)
    }

    /// The messages of a page, in its order.
    fn found(&self, query: &Query, seqs: &[i64]) -> Result<Vec<Found>> {
        let sql = "select m.json, r.name from json_each(?1) q cross join messages m on m.seq = q.value
                                              cross join rooms r on r.key = m.room order by q.key";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let list = serde_json::to_string(seqs).unwrap_or_default();
        let rows = statement.query_map([list], row).map_err(sql_error)?;
        let rows: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let found = rows.into_iter().map(|(json, room)| {
            let hit = Hit::new(&json, room)?;
            let snippet = rank::snippet(query, &hit.content);
            Ok(Found { hit, snippet })
        });
        found.collect()
    }
}

/// None: filtered out.
fn scored(row: &rusqlite::Row<'_>, search: &SearchQuery, query: &Query) -> rusqlite::Result<Option<f64>> {
    let (sender, kind) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str_or_null()?);
    let wanted = search.sender.as_deref().is_none_or(|wanted| sender == wanted)
        && search.sender_type.as_deref().is_none_or(|wanted| kind == Some(wanted));
    if !wanted {
        return Ok(None);
    }
    let content = content_of(row.get_ref(4)?.as_str()?);
    Ok(content.and_then(|content| rank::score(query, sender, &content)))
}
