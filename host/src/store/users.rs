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
        let row = |row: &Row<'_>| {
            Ok(ProfileRow {
                platform: row.get(0)?,
                platform_user_id: row.get(1)?,
                username: row.get(2)?,
                display_name: row.get(3)?,
                first_seen: row.get(4)?,
                last_seen: row.get(5)?,
            })
        };
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([user.key], row).map_err(sql_error)?;
        let profiles = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        Ok(UserRow { profiles, ..user })
    }
}

fn user_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    let id = UserId::from_bytes(row.get(1)?);
    Ok(UserRow { key: row.get(0)?, id, name: row.get(2)?, created_at: row.get(3)?, profiles: Vec::new() })
}
