//! Small durable values of plugin instances: cursors, baselines.

use super::{Read, Tx, sql_error};
use crate::error::Result;
use rusqlite::{OptionalExtension, params};

impl Tx<'_> {
    /// None deletes.
    pub fn kv_put(&mut self, instance: &str, key: &str, value: Option<&str>) -> Result<()> {
        match value {
            Some(value) => self.execute(
                "insert into plugin_kv (instance, key, value) values (?1, ?2, ?3)
                 on conflict (instance, key) do update set value = excluded.value",
                params![instance, key, value],
            )?,
            None => self.execute("delete from plugin_kv where instance = ?1 and key = ?2", params![instance, key])?,
        };
        Ok(())
    }
}

impl Read<'_> {
    pub fn kv_get(&self, instance: &str, key: &str) -> Result<Option<String>> {
        let sql = "select value from plugin_kv where instance = ?1 and key = ?2";
        let mut statement = self.prepare(sql)?;
        statement.query_row(params![instance, key], |row| row.get(0)).optional().map_err(sql_error)
    }
}
