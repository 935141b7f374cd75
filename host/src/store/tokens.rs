//! Access tokens: who they belong to and what they may do. The token itself is not kept, only its digest.

use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, Row, params};

/// An access token as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The identity that it gives.
    pub name: String,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// Names, with commas between them.
    pub scopes: String,
    pub created_at: Micros,
}

impl Tx<'_> {
    /// A name has one token; `most` is how many the store takes.
    pub fn create_token(&mut self, name: &str, digest: &[u8; 32], scopes: &str, most: i64) -> Result<()> {
        if self.read().number("select exists (select 1 from tokens where name = ?1)", [name])? == 1 {
            return Err(Error::Conflict(format!(
                "a token for '{name}' exists; revoke it first, or choose another name"
            )));
        }
        // Counted up to the bound, not beyond.
        let count = "select count(*) from (select 1 from tokens where name > '' limit ?1)";
        if self.read().number(count, [most])? >= most {
            return Err(Error::Conflict(format!("there are {most} tokens, which is all that fit; revoke some first")));
        }
        let sql = "insert into tokens (name, digest, scopes, created_at) values (?1, ?2, ?3, ?4)";
        let now = self.stamp();
        self.execute(sql, params![name, digest, scopes, now]).map(drop)
    }

    /// The digest of the token that is no more.
    pub fn revoke_token(&mut self, name: &str) -> Result<[u8; 32]> {
        let mut statement = self.prepare("delete from tokens where name = ?1 returning digest")?;
        let revoked = statement.query_row([name], |row| row.get(0)).optional().map_err(sql_error)?;
        revoked.ok_or_else(|| Error::NotFound(format!("no token belongs to '{name}'")))
    }
}

impl Read<'_> {
    /// By name, those behind `after`.
    pub fn tokens(&self, after: &str, limit: u32) -> Result<Vec<TokenRow>> {
        let sql = "select name, digest, scopes, created_at from tokens where name > ?1 order by name limit ?2";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![after, limit], token_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow { name: row.get(0)?, digest: row.get(1)?, scopes: row.get(2)?, created_at: row.get(3)? })
}
