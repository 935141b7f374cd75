//! Mentions, found when a message is written. A mention of T is an `@` and T, letters' case ignored, where no word runs on at either end.
//! Names may have blanks and any signs in them, so what is kept is what follows each `@`; the first word of it finds the candidates, and
//! [`is_mention`] decides.

use super::hits::{Page, Range};
use super::rooms::{VISIBLE, Viewer};
use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::params;
use std::collections::{HashMap, HashSet};

/// Longest name that can be mentioned, in characters.
pub const LONGEST_TARGET: usize = 200;
/// Mentions that a count of unread ones looks at.
const VISITS: i64 = 20_000;
/// Of a message with more of them, the first count.
const MOST: usize = 200;

/// What follows an `@` of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mention {
    /// The first word of `rest`; empty if a sign stands first.
    pub word: String,
    /// In small letters, as long as the longest name and what must be seen behind it.
    pub rest: String,
}

/// All that may be mentions in a text, each once.
pub fn mentions_in(content: &str) -> Vec<Mention> {
    let mut seen = HashSet::new();
    let at = content.match_indices('@').filter(|(place, _)| {
        let before = content[..*place].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_.-@".contains(letter))
    });
    at.map(|(place, _)| {
        let rest: String = content[place + 1..].chars().take(LONGEST_TARGET + 2).flat_map(char::to_lowercase).collect();
        Mention { word: first_word(&rest).to_owned(), rest }
    })
    .filter(|mention| !mention.rest.trim().is_empty() && seen.insert(mention.clone()))
    .take(MOST)
    .collect()
}

/// By which candidates for a target are found.
pub fn first_word(lowercase: &str) -> &str {
    let end = lowercase.find(|letter| !is_word(letter)).unwrap_or(lowercase.len());
    &lowercase[..end]
}

/// Whether what follows an `@` names the target; both in small letters.
pub fn is_mention(rest: &str, target: &str) -> bool {
    let Some(behind) = rest.strip_prefix(target) else { return false };
    let mut behind = behind.chars();
    match behind.next() {
        None => true,
        Some('.') => !behind.next().is_some_and(char::is_alphabetic),
        Some(letter) => !is_word(letter),
    }
}

/// Whether the text names somebody.
pub fn mentions_name(content: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    mentions_in(content).iter().any(|mention| is_mention(&mention.rest, &name))
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '-'
}

impl Tx<'_> {
    pub(super) fn write_mentions(&mut self, room: i64, seq: i64, mentions: &[Mention]) -> Result<()> {
        for (n, mention) in mentions.iter().enumerate() {
            self.execute(
                "insert into mentions (word, seq, n, room, rest) values (?1, ?2, ?3, ?4, ?5)",
                params![mention.word, seq, n as i64, room, mention.rest],
            )?;
        }
        Ok(())
    }

    /// After an edit.
    pub(super) fn rewrite_mentions(&mut self, room: i64, seq: i64, mentions: &[Mention]) -> Result<()> {
        self.execute("delete from mentions where seq = ?1", [seq])?;
        self.write_mentions(room, seq, mentions)
    }
}

/// Finds the mentions of messages that an older version wrote.
pub(super) fn backfill(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let mut read = connection.prepare("select seq, room, json from messages where seq > ?1 order by seq limit 1000")?;
    let mut write =
        connection.prepare("insert into mentions (word, seq, n, room, rest) values (?1, ?2, ?3, ?4, ?5)")?;
    let mut after = 0;
    loop {
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
        let page: Vec<_> = read.query_map([after], row)?.collect::<rusqlite::Result<_>>()?;
        let Some((last, ..)) = page.last() else { return Ok(()) };
        after = *last;
        for (seq, room, json) in page.iter().filter(|(.., json)| json.contains('@')) {
            let message: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            let content = message["content"].as_str().unwrap_or_default();
            for (n, mention) in mentions_in(content).iter().enumerate() {
                write.execute(params![mention.word, seq, n as i64, room, mention.rest])?;
            }
        }
    }
}

/// Which mentions.
#[derive(Debug, Clone)]
pub struct MentionQuery {
    pub target: String,
    pub range: Range,
    /// An unknown one has none.
    pub room: Option<RoomId>,
    pub limit: u32,
    pub viewer: Viewer,
}

/// Unread mentions in one room.
#[derive(Debug, Clone)]
pub struct UnreadMentions {
    pub room_id: RoomId,
    pub room_name: String,
    pub count: i64,
    pub oldest_seq: i64,
    pub newest_seq: i64,
}

impl Read<'_> {
    /// Messages that mention the target, newest first, without the target's own.
    pub fn mentions(&self, query: &MentionQuery) -> Result<Page> {
        let Some(room) = self.filter_room(query.room, &query.viewer)? else { return Ok(Page::default()) };
        let target = query.target.to_lowercase();
        // In a room the index with the room in it is the right one, whatever the planner thinks.
        let (index, narrowed) =
            if room.is_some() { ("indexed by mentions_room", "and n.room = ?4") } else { ("", "and ?4 is null") };
        let sql = format!(
            "select m.seq, {VISIBLE}, m.json, r.name, m.sender, n.rest
             from mentions n {index} cross join messages m on m.seq = n.seq cross join rooms r on r.key = n.room
             where n.word = ?1 and n.seq > ?2 and n.seq < ?3 {narrowed} order by n.seq desc"
        );
        let none = rusqlite::types::Null;
        let Range { after, before } = query.range;
        let values = params![first_word(&target), after, before, room, none, none, none, none, query.viewer.name()];
        self.page(&sql, values, query.limit, |row| {
            let (sender, rest) = (row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str()?);
            Ok(sender != query.target && is_mention(rest, &target))
        })
    }

    /// Mentions that the target has not read, per room, newest first; and whether there are more than were counted.
    pub fn unread_mentions(&self, target: &str, viewer: &Viewer) -> Result<(Vec<UnreadMentions>, bool)> {
        let lowercase = target.to_lowercase();
        let sql = format!(
            "with recursive q (room) as (
                 select min(room) from mentions where word = ?1
                 union all select (select min(room) from mentions where word = ?1 and room > q.room) from q where q.room is not null)
             select n.seq, r.id, r.name, n.rest, m.sender
             from q cross join rooms r on r.key = q.room
                    cross join mentions n indexed by mentions_room on n.word = ?1 and n.room = q.room
                               and n.seq > coalesce((select last_read_seq from read_positions where room = q.room and sender = ?2), 0)
                    cross join messages m on m.seq = n.seq
             where {VISIBLE} limit ?3"
        );
        let none = rusqlite::types::Null;
        let mut statement = self.prepare(&sql)?;
        let values = params![first_word(&lowercase), target, VISITS + 1, none, none, none, none, none, viewer.name()];
        let mut rows = statement.query(values).map_err(sql_error)?;
        let mut found: HashMap<RoomId, UnreadMentions> = HashMap::new();
        let (mut seen, mut visits) = (0i64, 0i64);
        while let Some(row) = rows.next().map_err(sql_error)? {
            visits += 1;
            let mut visit = || -> rusqlite::Result<()> {
                let (seq, room_id): (i64, RoomId) = (row.get(0)?, RoomId::from_bytes(row.get(1)?));
                let (rest, sender) = (row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?);
                if sender == target || !is_mention(rest, &lowercase) || std::mem::replace(&mut seen, seq) == seq {
                    return Ok(());
                }
                let room_name = row.get(2)?;
                let empty = UnreadMentions { room_id, room_name, count: 0, oldest_seq: seq, newest_seq: seq };
                let room = found.entry(room_id).or_insert(empty);
                room.count += 1;
                (room.oldest_seq, room.newest_seq) = (room.oldest_seq.min(seq), room.newest_seq.max(seq));
                Ok(())
            };
            visit().map_err(sql_error)?;
        }
        let mut rooms: Vec<UnreadMentions> = found.into_values().collect();
        rooms.sort_by_key(|room| -room.newest_seq);
        Ok((rooms, visits > VISITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mentioned(content: &str, target: &str) -> bool {
        let target = target.to_lowercase();
        mentions_in(content)
            .iter()
            .any(|mention| mention.word == first_word(&target) && is_mention(&mention.rest, &target))
    }

    #[test]
    fn mentions_are_words() {
        for content in
            ["@bob", "hi @Bob!", "(@bob)", "@BOB.", "@bob, @ann", "see @bob. Then", "@bob's", "\n@bob\n", "@bob.1"]
        {
            assert!(mentioned(content, "bob"), "{content}");
        }
        for content in
            ["@bobby", "a@bob.example", "@bob.example", "@bob-2", "@bob_", "@@bob", ".@bob", "bob", "-@bob", "@ bob"]
        {
            assert!(!mentioned(content, "bob"), "{content}");
        }
    }

    #[test]
    fn mentions_of_names_with_blanks_and_signs_count() {
        assert!(mentioned("ask @CI Bot about it", "ci bot"));
        assert!(mentioned("ask @CI Bot about it", "CI"));
        assert!(!mentioned("ask @CI Botany", "CI Bot"));
        assert!(mentioned("hey @🤖helper!", "🤖helper"));
        assert!(mentioned("an @Ünal here", "ünal"));
        assert!(mentioned("@bob.example says", "bob.example"));
        assert!(mentioned(&format!("@{} !", "x".repeat(200)), &"x".repeat(200)));
    }

    proptest! {
        #[test]
        fn name_between_blanks_is_always_found(before in "[^@]{0,20}", name in "[\\p{L}0-9_.🤖 -]{0,20}[\\p{L}0-9]", after in ".{0,20}") {
            prop_assume!(!name.starts_with(' '));
            let content = format!("{before} @{name} {after}");
            prop_assert!(mentioned(&content, &name), "{name} in {content}");
        }
    }
}
