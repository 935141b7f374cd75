//! What was said before a turn, for agents that remember nothing themselves. Of a person whose profiles were merged it is taken from all
//! the conversations that are theirs alone, so that they are known wherever they write; a conversation of several people stays by itself.

use super::{Read, sql_error};
use crate::error::Result;
use rusqlite::{OptionalExtension, params};

/// Conversations of one person that are looked at: the latest ones.
const CONVERSATIONS: u32 = 10;

/// A message of a history: the number of the question it belongs to, its own, and its JSON.
pub(super) type Said = (i64, i64, String);

impl Read<'_> {
    /// The conversation before message `before`: people's words with the answers to each, oldest first; the newest `limit` of them.
    pub fn history(&self, room: i64, before: i64, limit: u32) -> Result<Vec<String>> {
        let rooms = match self.merged_person_in(room)? {
            Some(user) => self.rooms_of_alone(user)?,
            None => vec![room],
        };
        let mut said: Vec<Said> = Vec::new();
        for room in rooms {
            said.extend(self.room_history(room, before, limit)?);
        }
        // A question with its answers stays together, whatever was said elsewhere in between.
        said.sort_unstable_by_key(|(root, seq, _)| (*root, *seq));
        let older = said.len().saturating_sub(limit as usize);
        Ok(said.into_iter().skip(older).map(|(.., json)| json).collect())
    }

    /// The person whose conversation this room is, if it is nobody else's and they have profiles on several platforms.
    fn merged_person_in(&self, room: i64) -> Result<Option<i64>> {
        let sql = "select p.user from conversations c join platform_profiles p on p.key = c.profile
                   where c.room = ?1 and c.instance <> ''
                     and (select count(*) from (select 1 from platform_profiles where user = p.user limit 2)) = 2
                     and not exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                                     where o.conversation = c.key and op.user <> p.user)";
        let mut statement = self.prepare(sql)?;
        statement.query_row([room], |row| row.get(0)).optional().map_err(sql_error)
    }

    /// Rooms of the conversations that are a person's alone, the latest first.
    fn rooms_of_alone(&self, user: i64) -> Result<Vec<i64>> {
        let sql = "select distinct c.room from platform_profiles p join conversation_people q on q.profile = p.key
                        join conversations c on c.key = q.conversation and c.instance <> ''
                   where p.user = ?1
                     and not exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                                     where o.conversation = c.key and op.user <> ?1)
                   order by c.last_active desc limit ?2";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![user, CONVERSATIONS], |row| row.get(0)).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
