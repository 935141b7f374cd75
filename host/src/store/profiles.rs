//! Profiles: what people and agents say about themselves, under the name that they write with.

use super::counts::Count;
use super::events::Kind;
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Rows that one page of a filtered list looks at.
const VISITS: usize = 20_000;

/// A profile as the API shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Profile {
    pub sender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub display_name: Option<String>,
    /// `agent` or `human`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status_text: Option<String>,
    /// Any JSON, `{}` if none was given.
    #[schema(value_type = serde_json::Value)]
    pub metadata: Box<RawValue>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
}

/// The payload of its event.
#[derive(Serialize)]
struct Updated<'a> {
    #[serde(flatten)]
    profile: &'a Profile,
    seq: i64,
}

/// What changes; None stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    pub display_name: Option<String>,
    pub sender_type: Option<String>,
    pub avatar_url: Option<String>,
    pub bio: Option<String>,
    pub status_text: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
}

const COLUMNS: &str =
    "event, sender, display_name, sender_type, avatar_url, bio, status_text, metadata, created_at, updated_at";

impl Tx<'_> {
    /// Makes the profile or changes it.
    pub fn put_profile(&mut self, sender: &str, change: &ProfileChange) -> Result<Profile> {
        let (now, is_new) = (self.stamp(), self.read().profile(sender)?.is_none());
        // The place in the list is the event's number, which is known behind the row: until then the row holds a place below all others.
        self.execute(
            "insert into profiles (sender, display_name, sender_type, avatar_url, bio, status_text, metadata, created_at, updated_at, event)
             values (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, '{}'), ?8, ?8, 0)
             on conflict (sender) do update set
                 display_name = coalesce(excluded.display_name, display_name), sender_type = coalesce(excluded.sender_type, sender_type),
                 avatar_url = coalesce(excluded.avatar_url, avatar_url), bio = coalesce(excluded.bio, bio),
                 status_text = coalesce(excluded.status_text, status_text), metadata = coalesce(?7, metadata), updated_at = excluded.updated_at",
            params![
                sender,
                change.display_name,
                change.sender_type,
                change.avatar_url,
                change.bio,
                change.status_text,
                change.metadata,
                now
            ],
        )?;
        let made = self.read().profile(sender)?;
        let profile = made.ok_or_else(|| Error::Internal("a profile just written is not there".into()))?;
        let event = self.record(None, Kind::ProfileUpdated, |seq| {
            serde_json::to_string(&Updated { profile: &profile, seq }).unwrap_or_default()
        })?;
        self.execute("update profiles set event = ?2 where sender = ?1", params![sender, event])?;
        if is_new {
            self.tally(Count::Profiles, 1);
        }
        Ok(profile)
    }

    pub fn delete_profile(&mut self, sender: &str) -> Result<()> {
        if self.execute("delete from profiles where sender = ?1", [sender])? == 0 {
            return Err(unknown_profile());
        }
        self.tally(Count::Profiles, -1);
        self.record(None, Kind::ProfileDeleted, |seq| json!({ "sender": sender, "seq": seq }).to_string())?;
        Ok(())
    }
}

impl Read<'_> {
    pub fn profile(&self, sender: &str) -> Result<Option<Profile>> {
        let mut statement = self.prepare(&format!("select {COLUMNS} from profiles where sender = ?1"))?;
        let found = statement.query_row([sender], |row| Ok(profile_row(row)?.1));
        found.optional().map_err(sql_error)
    }

    /// Profiles updated before event `before`, newest first; and where the next page begins.
    pub fn profiles(&self, kind: Option<&str>, before: i64, limit: u32) -> Result<(Vec<Profile>, Option<i64>)> {
        let sql = format!("select {COLUMNS} from profiles where event < ?1 order by event desc");
        let mut statement = self.prepare(&sql)?;
        let mut rows = statement.query([before]).map_err(sql_error)?;
        let (mut found, mut last, mut visits) = (Vec::new(), before, 0);
        while let Some(row) = rows.next().map_err(sql_error)? {
            let wanted = match kind {
                Some(_) => row.get_ref(3).and_then(|value| Ok(value.as_str_or_null()? == kind)).map_err(sql_error)?,
                None => true,
            };
            if visits >= VISITS || (wanted && found.len() >= limit as usize) {
                return Ok((found, Some(last)));
            }
            visits += 1;
            let (event, profile) = profile_row(row).map_err(sql_error)?;
            last = event;
            if wanted {
                found.push(profile);
            }
        }
        Ok((found, None))
    }
}

fn profile_row(row: &Row<'_>) -> rusqlite::Result<(i64, Profile)> {
    let metadata = RawValue::from_string(row.get(7)?).unwrap_or_else(|_| super::messages::no_metadata());
    let profile = Profile {
        sender: row.get(1)?,
        display_name: row.get(2)?,
        sender_type: row.get(3)?,
        avatar_url: row.get(4)?,
        bio: row.get(5)?,
        status_text: row.get(6)?,
        metadata,
        created_at: clock::format(row.get::<_, Micros>(8)?),
        updated_at: clock::format(row.get::<_, Micros>(9)?),
    };
    Ok((row.get(0)?, profile))
}

pub fn unknown_profile() -> Error {
    Error::NotFound("Not found".into())
}
