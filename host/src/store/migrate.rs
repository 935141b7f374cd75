//! Brings a store to today's schema when it is opened: each migration in a transaction of its own, the number of the last one in
//! `user_version`.

use super::{mentions, sql_error};
use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// In order; the n-th takes a store from version n to n + 1. A released one never changes.
const MIGRATIONS: [Migration; 4] = [
    Migration { sql: include_str!("../../../migrations/sqlite/0001_first.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("../../../migrations/sqlite/0002_chat.sql"), fill: mentions::backfill },
    Migration { sql: include_str!("../../../migrations/sqlite/0003_operators.sql"), fill: |_| Ok(()) },
    Migration { sql: include_str!("../../../migrations/sqlite/0004_mends.sql"), fill: |_| Ok(()) },
];

/// The version that this program works with.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

struct Migration {
    sql: &'static str,
    /// What SQL cannot work out of the rows that are there.
    fill: fn(&Connection) -> rusqlite::Result<()>,
}

/// Marks a file as a store of Arcuate (`application_id`), so that another program's database is not written into.
const APPLICATION_ID: i64 = 0x4152_4355;

/// The schema's version of a store, 0 for an empty file; another program's database and a newer store are refused.
pub(super) fn version(connection: &Connection) -> Result<i64> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sql_error);
    let version = number("pragma user_version")?;
    if number("pragma application_id")? != APPLICATION_ID && number("select count(*) from sqlite_schema")? > 0 {
        return Err(Error::Invalid("it is the database of another program; name another file in [store] path".into()));
    }
    let known = KNOWN;
    if version > known {
        return Err(Error::Invalid(format!(
            "its schema has version {version}, this program knows up to {known}: it was written by a newer Arcuate; start that one, or \
             restore a backup from before the upgrade"
        )));
    }
    Ok(version)
}

/// For those who only look.
pub(super) fn check_current(version: i64) -> Result<()> {
    let known = KNOWN;
    if version < known {
        return Err(Error::Invalid(format!(
            "its schema has version {version}, this program works with {known}; start the host once, which upgrades it"
        )));
    }
    Ok(())
}

pub(super) fn migrate(connection: &mut Connection, version: i64) -> Result<()> {
    for (migration, next) in MIGRATIONS.iter().zip(1..).skip(version as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql_error)?;
        transaction.execute_batch(migration.sql).map_err(sql_error)?;
        (migration.fill)(&transaction).map_err(sql_error)?;
        transaction.pragma_update(None, "user_version", next).map_err(sql_error)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql_error)?;
        transaction.commit().map_err(sql_error)?;
        tracing::info!(store.version = next, "store migrated");
    }
    Ok(())
}
