//! People and their profiles on platforms, as operators list them.

use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::UserId;
use rusqlite::{OptionalExtension, Row, params};

/// A person.
#[derive(Debug, Clone)]
pub struct UserRow {
    pub key: i64,
    pub id: UserId,
    pub name: String,
    pub created_at: Micros,
    pub profiles: Vec<ProfileRow>,
}

/// Which people; all fields together.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    pub platform: Option<String>,
    pub platform_user_id: Option<String>,
    /// A part of a name, in small letters: theirs do not count.
    pub part: Option<String>,
}

/// Profiles that one call may look at for a rare filter, before it answers a short page.
const VISITS: usize = if cfg!(test) { 20 } else { 20_000 };

/// A person on one platform.
#[derive(Debug, Clone)]
pub struct ProfileRow {
    pub platform: String,
    pub platform_user_id: String,
    pub username: String,
    pub display_name: String,
    pub first_seen: Micros,
    pub last_seen: Micros,
}

impl Read<'_> {
    /// Newest first, before the one numbered `before`.
    pub fn users(&self, before: Option<i64>, limit: u32) -> Result<Vec<UserRow>> {
        // Who was merged into somebody else is listed as that one.
        let sql = "select key, id, name, created_at from users where key < ?1 and merged_into is null order by key desc limit ?2";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit], user_row).map_err(sql_error)?;
        let rows: Vec<UserRow> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        rows.into_iter().map(|user| self.with_profiles(user)).collect()
    }

    /// The same of those who fit; with the number to go on from if there may be more.
    pub fn find_users(
        &self,
        filter: &UserFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<UserRow>, Option<i64>)> {
        if let (Some(platform), Some(id)) = (&filter.platform, &filter.platform_user_id) {
            let found = self.user_of(platform, id)?.filter(|user| before.is_none_or(|before| user.key < before));
            let fits = |user: &UserRow| user.profiles.iter().any(|profile| filter.fits(&user.name, profile));
            return Ok((found.filter(fits).into_iter().collect(), None));
        }
        let (found, next) = self.walk_users(filter, before.unwrap_or(i64::MAX), limit)?;
        let users = found.into_iter().map(|user| self.with_profiles(user)).collect::<Result<_>>()?;
        Ok((users, next))
    }

    fn walk_users(&self, filter: &UserFilter, before: i64, limit: usize) -> Result<(Vec<UserRow>, Option<i64>)> {
        let sql =
            "select u.key, u.id, u.name, u.created_at, p.platform, p.platform_user_id, p.username, p.display_name,
                          p.first_seen, p.last_seen
                   from users u join platform_profiles p on p.user = u.key
                   where u.key < ?1 and u.merged_into is null order by u.key desc";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([before]).map_err(sql_error)?;
        let (mut found, mut visited, mut last): (Vec<UserRow>, _, _) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(sql_error)? {
            let key: i64 = row.get(0).map_err(sql_error)?;
            // Nobody is left in the middle of their profiles.
            if (found.len() == limit || visited >= VISITS) && last != Some(key) {
                return Ok((found, last));
            }
            (visited, last) = (visited + 1, Some(key));
            let user = user_row(row).map_err(sql_error)?;
            let known = found.last().is_some_and(|found| found.key == key);
            if !known && filter.fits(&user.name, &profile_row(row, 4).map_err(sql_error)?) {
                found.push(user);
            }
        }
        Ok((found, None))
    }

    /// The person behind a platform's user id.
    pub fn user_of(&self, platform: &str, platform_user_id: &str) -> Result<Option<UserRow>> {
        let sql = "select u.key, u.id, u.name, u.created_at from platform_profiles p join users u on u.key = p.user
                   where p.platform = ?1 and p.platform_user_id = ?2";
        let mut statement = self.prepare(sql)?;
        let found = statement.query_row([platform, platform_user_id], user_row).optional().map_err(sql_error)?;
        found.map(|user| self.with_profiles(user)).transpose()
    }

    pub(super) fn user(&self, key: i64) -> Result<Option<UserRow>> {
        let mut statement = self.prepare("select key, id, name, created_at from users where key = ?1")?;
        let found = statement.query_row([key], user_row).optional().map_err(sql_error)?;
        found.map(|user| self.with_profiles(user)).transpose()
    }

    fn with_profiles(&self, user: UserRow) -> Result<UserRow> {
        let sql = "select platform, platform_user_id, username, display_name, first_seen, last_seen
                   from platform_profiles where user = ?1 order by key limit 1000";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([user.key], |row| profile_row(row, 0)).map_err(sql_error)?;
        let profiles = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        Ok(UserRow { profiles, ..user })
    }
}

impl UserFilter {
    pub fn is_empty(&self) -> bool {
        self.platform.is_none() && self.platform_user_id.is_none() && self.part.is_none()
    }

    fn fits(&self, name: &str, profile: &ProfileRow) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let has = |part: &str| {
            [name, &profile.username, &profile.display_name].iter().any(|text| text.to_lowercase().contains(part))
        };
        is(&self.platform, &profile.platform)
            && is(&self.platform_user_id, &profile.platform_user_id)
            && self.part.as_deref().is_none_or(has)
    }
}

fn profile_row(row: &Row<'_>, first: usize) -> rusqlite::Result<ProfileRow> {
    Ok(ProfileRow {
        platform: row.get(first)?,
        platform_user_id: row.get(first + 1)?,
        username: row.get(first + 2)?,
        display_name: row.get(first + 3)?,
        first_seen: row.get(first + 4)?,
        last_seen: row.get(first + 5)?,
    })
}

fn user_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    let id = UserId::from_bytes(row.get(1)?);
    Ok(UserRow { key: row.get(0)?, id, name: row.get(2)?, created_at: row.get(3)?, profiles: Vec::new() })
}
