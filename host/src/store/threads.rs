//! Threads: a message, what it answers, and what answers it, however deep or broad. Two statements find all of it.

use super::messages::Message;
use super::{Read, sql_error};
use crate::error::{Error, Result};
use rusqlite::{Row, params};
use serde::Serialize;

/// A page of a thread.
#[derive(Debug, Clone)]
pub struct Thread {
    /// The topmost message that is left of it.
    pub root: Message,
    /// In the order of their numbers.
    pub replies: Vec<Reply>,
    /// Replies on all pages.
    pub total_replies: i64,
    /// Number of the page's last reply, if there is another page.
    pub next: Option<i64>,
}

/// A message within a thread.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = ThreadReply)]
pub struct Reply {
    #[serde(flatten)]
    pub message: Message,
    /// 1 answers the root, 2 answers such an answer, and so on.
    pub depth: i64,
}

impl Read<'_> {
    /// The thread that the message numbered `seq` is in; of its replies those behind the one numbered `after`.
    pub fn thread(&self, seq: i64, after: i64, limit: usize) -> Result<Thread> {
        // Who answers comes later, so the topmost one has the lowest number.
        let root = self.number(
            "with recursive thread (seq, asked) as (
                 select seq, reply_to from messages where seq = ?1
                 union all
                 select m.seq, m.reply_to from thread join messages m on m.seq = thread.asked
             ) select min(seq) from thread",
            [seq],
        )?;
        // The root comes with every page, and first, for its number is the lowest.
        let sql = "with recursive thread (seq, depth) as (
                       select ?1, 0
                       union all
                       select m.seq, thread.depth + 1 from thread join messages m on m.reply_to = thread.seq
                   )
                   select q.depth, q.total, m.json from (
                       select * from (select seq, depth, count(*) over () as total from thread)
                       where depth = 0 or seq > ?2 order by seq limit ?3
                   ) q join messages m on m.seq = q.seq order by q.seq";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
        let rows = statement.query_map(params![root, after, limit as i64 + 2], row).map_err(sql_error)?;
        let rows: Vec<(i64, i64, String)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let mut rows = rows.into_iter();
        let (_, total, json) = rows.next().ok_or_else(|| Error::Internal("a thread without a root".into()))?;
        let reply = |(depth, _, json): (i64, i64, String)| Ok(Reply { message: Message::from_json(&json)?, depth });
        let more = rows.len() > limit;
        let replies: Vec<Reply> = rows.take(limit).map(reply).collect::<Result<_>>()?;
        let next = replies.last().filter(|_| more).map(|reply| reply.message.seq);
        Ok(Thread { root: Message::from_json(&json)?, replies, total_replies: total - 1, next })
    }
}
