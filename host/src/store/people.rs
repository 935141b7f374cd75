//! One person on several platforms: merged into one, split again. Merges make a tree: `part_of` is whom a person was merged into,
//! `merged_into` the root, who has all profiles of the tree, and `merged_from` whose a profile was before. A split cuts a branch off, with
//! everything that grew on it, so that merges are undone in whatever order. A merged person's id goes on leading to the root.

use super::users::UserRow;
use super::{Read, Tx, sql_error};
use crate::error::{Error, Result};
use crate::ids::UserId;
use rusqlite::{OptionalExtension, Row, params};

/// Persons merged into one that are shown with them.
const MERGED: u32 = 100;

/// A person, with those who were merged into them.
#[derive(Debug, Clone)]
pub struct PersonRow {
    pub user: UserRow,
    /// Id and name, the first one first.
    pub merged: Vec<(UserId, String)>,
}

/// What a merge or a split did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Whose profiles they were, and whose they are now.
    pub from: UserId,
    pub to: UserId,
    pub profiles: usize,
}

/// Which profiles a split gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All that came by merges; of a person who was merged, all that was theirs.
    Merged,
    /// One, by platform and the platform's id.
    Profile(String, String),
}

/// A profile that is set apart.
struct Apart {
    key: i64,
    /// Whose it was before a merge.
    before: Option<i64>,
    name: String,
}

/// Of the tree of merges: the person `?1`, and all who are part of them.
const BRANCH: &str =
    "with recursive q (key) as (select ?1 union select u.key from q join users u on u.part_of = q.key)";

impl Tx<'_> {
    /// Everything of the first person is the second one's from now on.
    pub fn merge_people(&mut self, from: UserId, into: UserId) -> Result<Moved> {
        if from == into {
            return Err(Error::Invalid("a person cannot be merged into themselves; name two".into()));
        }
        let (source, target) = (self.whole(from)?, self.whole(into)?);
        let sql = "update platform_profiles set user = ?2, merged_from = coalesce(merged_from, ?1) where user = ?1";
        let profiles = self.execute(sql, [source, target])?;
        // Those who were merged before lead there at once, so that an id is never followed more than one step.
        self.execute("update users set merged_into = ?2 where key = ?1 or merged_into = ?1", [source, target])?;
        self.execute("update users set part_of = ?2 where key = ?1", [source, target])?;
        Ok(Moved { from, to: into, profiles })
    }

    /// The undoing of a merge, of all merges into somebody, or one profile set apart.
    pub fn split_person(&mut self, id: UserId, part: &Part) -> Result<Vec<Moved>> {
        let (key, merged_into) = self.read().user_key(id)?.ok_or_else(|| unknown_person(id))?;
        let holder = merged_into.unwrap_or(key);
        let (people, profiles) = match (part, merged_into) {
            (Part::Merged, Some(_)) => {
                let profiles = self.cut_branch(key)?;
                (vec![key], vec![profiles])
            }
            (Part::Merged, None) => {
                let people = self.read().merged_straight(key)?;
                if people.is_empty() {
                    let text = format!("nobody was merged into {id}; name a profile to set it apart");
                    return Err(Error::Conflict(text));
                }
                let profiles = people.iter().map(|key| self.cut_branch(*key)).collect::<Result<_>>()?;
                (people, profiles)
            }
            (Part::Profile(platform, user_id), _) => {
                let no_profile = || Error::Conflict(format!("{platform}:{user_id} is no profile of {id}"));
                let profile = self.read().profile_of(holder, platform, user_id)?.ok_or_else(no_profile)?;
                (vec![self.set_apart(id, holder, &profile)?], vec![1])
            }
        };
        let from = self.read().user_id(holder)?;
        let moved = people.into_iter().zip(profiles);
        moved.map(|(to, profiles)| Ok(Moved { from, to: self.read().user_id(to)?, profiles })).collect()
    }

    /// A merged person is whole again, with those who were merged into them. Answers how many profiles are theirs.
    fn cut_branch(&mut self, person: i64) -> Result<usize> {
        self.execute("update users set part_of = null, merged_into = null where key = ?1", [person])?;
        let sql = format!("{BRANCH} update users set merged_into = ?1 where key in (select key from q) and key <> ?1");
        self.execute(&sql, [person])?;
        let sql = format!(
            "{BRANCH} update platform_profiles set user = ?1, merged_from = nullif(merged_from, ?1)
             where merged_from in (select key from q)"
        );
        self.execute(&sql, [person])
    }

    /// One profile goes back to whose it was, alone, or to a new person.
    fn set_apart(&mut self, id: UserId, holder: i64, profile: &Apart) -> Result<i64> {
        let to = match profile.before {
            Some(before) if self.read().profiles_before(before)? == 1 => before,
            None if self.read().profile_count(holder)? == 1 => {
                return Err(Error::Conflict(format!("{id} has no other profile, so there is nothing to split")));
            }
            _ => self.new_person(&profile.name)?,
        };
        // Who was merged into this person stays where they are, one step nearer to the root.
        let sql = "update users set part_of = (select part_of from users where key = ?1) where part_of = ?1
                   and exists (select 1 from users where key = ?1 and part_of is not null)";
        self.execute(sql, [to])?;
        self.execute("update users set part_of = null, merged_into = null where key = ?1", [to])?;
        self.execute("update platform_profiles set user = ?2, merged_from = null where key = ?1", [profile.key, to])?;
        Ok(to)
    }

    fn new_person(&mut self, name: &str) -> Result<i64> {
        let now = self.stamp();
        let sql = "insert into users (id, name, created_at) values (?1, ?2, ?3)";
        self.execute(sql, params![UserId::new().bytes(), name, now])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Number of a person who was not merged into somebody else.
    fn whole(&self, id: UserId) -> Result<i64> {
        match self.read().user_key(id)?.ok_or_else(|| unknown_person(id))? {
            (key, None) => Ok(key),
            (_, Some(into)) => {
                let into = self.read().user_id(into)?;
                Err(Error::Conflict(format!("{id} was merged into {into} already; name that one, or split it first")))
            }
        }
    }
}

impl Read<'_> {
    /// The person with this id; of one who was merged, the one whom they were merged into.
    pub fn person(&self, id: UserId) -> Result<Option<PersonRow>> {
        let Some((key, merged_into)) = self.user_key(id)? else { return Ok(None) };
        let key = merged_into.unwrap_or(key);
        let sql = "select id, name from users where merged_into = ?1 order by key limit ?2";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![key, MERGED], |row| Ok((UserId::from_bytes(row.get(0)?), row.get(1)?)));
        let merged = rows.map_err(sql_error)?.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        Ok(self.user(key)?.map(|user| PersonRow { user, merged }))
    }

    /// Number of a person, and of whom they were merged into.
    pub(super) fn user_key(&self, id: UserId) -> Result<Option<(i64, Option<i64>)>> {
        let mut statement = self.prepare("select key, merged_into from users where id = ?1")?;
        statement.query_row([id.bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(sql_error)
    }

    fn user_id(&self, key: i64) -> Result<UserId> {
        let mut statement = self.prepare("select id from users where key = ?1")?;
        statement.query_row([key], |row| Ok(UserId::from_bytes(row.get(0)?))).map_err(sql_error)
    }

    pub(super) fn profile_count(&self, user: i64) -> Result<i64> {
        self.number("select count(*) from platform_profiles where user = ?1", [user])
    }

    /// Profiles that somebody had before they were merged into the one who has them.
    fn profiles_before(&self, user: i64) -> Result<i64> {
        self.number("select count(*) from platform_profiles where merged_from = ?1", [user])
    }

    /// Who was merged into this person, not counting those whom they brought along.
    fn merged_straight(&self, user: i64) -> Result<Vec<i64>> {
        let mut statement = self.prepare("select key from users where part_of = ?1 order by key")?;
        let rows = statement.query_map([user], |row| row.get(0)).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    fn profile_of(&self, user: i64, platform: &str, user_id: &str) -> Result<Option<Apart>> {
        let sql = "select key, merged_from, display_name from platform_profiles
                   where platform = ?2 and platform_user_id = ?3 and user = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok(Apart { key: row.get(0)?, before: row.get(1)?, name: row.get(2)? });
        statement.query_row(params![user, platform, user_id], row).optional().map_err(sql_error)
    }
}

pub fn unknown_person(id: impl std::fmt::Display) -> Error {
    Error::NotFound(format!("nobody has the id {id}"))
}
