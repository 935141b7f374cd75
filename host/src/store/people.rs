//! One person on several platforms: merged into one, split again. A merged person's id goes on leading to whom they were merged into, and
//! each profile remembers whose it was, so that a split gives it back.

use super::users::UserRow;
use super::{Read, Tx, sql_error};
use crate::error::{Error, Result};
use crate::ids::UserId;
use rusqlite::{OptionalExtension, params};

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
        Ok(Moved { from, to: into, profiles })
    }

    /// The undoing of a merge, or one profile set apart: each profile goes back to whose it was, or to a new person.
    pub fn split_person(&mut self, id: UserId, part: &Part) -> Result<Vec<Moved>> {
        let (key, merged_into) = self.read().user_key(id)?.ok_or_else(|| unknown_person(id))?;
        let holder = merged_into.unwrap_or(key);
        let profiles = match part {
            Part::Merged => self.read().merged_profiles(holder, merged_into.map(|_| key))?,
            Part::Profile(platform, user_id) => self.read().one_profile(holder, platform, user_id)?,
        };
        if profiles.is_empty() {
            return Err(Error::Conflict(match part {
                Part::Merged => format!("nobody was merged into {id}; name a profile to set it apart"),
                Part::Profile(platform, user_id) => format!("{platform}:{user_id} is no profile of {id}"),
            }));
        }
        let from = self.read().user_id(holder)?;
        let mut moved: Vec<Moved> = Vec::new();
        for (profile, before, name) in profiles {
            let to = match before {
                Some(before) => before,
                None if self.read().profile_count(holder)? > 1 => self.new_person(&name)?,
                None => {
                    return Err(Error::Conflict(format!("{id} has no other profile, so there is nothing to split")));
                }
            };
            self.execute("update platform_profiles set user = ?2, merged_from = null where key = ?1", [profile, to])?;
            self.execute("update users set merged_into = null where key = ?1", [to])?;
            let to = self.read().user_id(to)?;
            match moved.iter_mut().find(|moved| moved.to == to) {
                Some(moved) => moved.profiles += 1,
                None => moved.push(Moved { from, to, profiles: 1 }),
            }
        }
        Ok(moved)
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

    /// Number, earlier person and name of each profile that somebody has by a merge; with `before`, only those of that one.
    fn merged_profiles(&self, user: i64, before: Option<i64>) -> Result<Vec<(i64, Option<i64>, String)>> {
        let sql = "select key, merged_from, display_name from platform_profiles
                   where user = ?1 and merged_from is not null and (?2 is null or merged_from = ?2)";
        self.profile_parts(sql, params![user, before])
    }

    fn one_profile(&self, user: i64, platform: &str, user_id: &str) -> Result<Vec<(i64, Option<i64>, String)>> {
        let sql = "select key, merged_from, display_name from platform_profiles
                   where platform = ?2 and platform_user_id = ?3 and user = ?1";
        self.profile_parts(sql, params![user, platform, user_id])
    }

    fn profile_parts(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<(i64, Option<i64>, String)>> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.map_err(sql_error)?.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

pub fn unknown_person(id: impl std::fmt::Display) -> Error {
    Error::NotFound(format!("nobody has the id {id}"))
}
