//! The baseline `raw`: one thread that writes the rows of a posted message into the same tables, so many messages per transaction, with
//! the store's own settings and the rows of the search index at the end of the transaction. What SQLite and the disk give, no more.

use crate::stores::sender;
use crate::words::Texts;
use crate::{Result, stores};
use arcuate::ids::{MessageId, RoomId};
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module's text.
pub struct Raw {
    connection: Connection,
    rooms: Vec<(i64, RoomId)>,
    texts: Arc<Texts>,
    written: usize,
}

impl Raw {
    /// On a store with rooms that nobody else has open.
    pub fn open(path: &Path, texts: &Arc<Texts>) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;
             pragma wal_autocheckpoint = 16000; pragma journal_size_limit = 67108864;
             pragma temp_store = memory; pragma cache_size = -16384;",
        )?;
        let mut statement = connection.prepare("select key, id from rooms where name like 'room %'")?;
        let rooms = statement.query_map([], |row| Ok((row.get(0)?, RoomId::from_bytes(row.get(1)?))))?;
        let rooms: Vec<(i64, RoomId)> = rooms.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        if rooms.len() != stores::ROOMS {
            return Err("raw: the store has not the rooms that it should have".into());
        }
        Ok(Self { connection, rooms, texts: texts.clone(), written: 0 })
    }

    /// Messages per second with so many in each transaction.
    pub fn rate(&mut self, per_transaction: usize, warm_up: Duration, time: Duration) -> Result<f64> {
        self.write_for(per_transaction, warm_up)?;
        let (begun, before) = (Instant::now(), self.written);
        self.write_for(per_transaction, time)?;
        Ok((self.written - before) as f64 / begun.elapsed().as_secs_f64())
    }

    fn write_for(&mut self, per_transaction: usize, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.transaction(per_transaction)?;
        }
        Ok(())
    }

    fn transaction(&mut self, messages: usize) -> Result<()> {
        self.connection.execute_batch("begin immediate")?;
        let mut search = Vec::with_capacity(messages);
        for number in self.written..self.written + messages {
            search.push((self.message(number)?, number));
        }
        let sql = "insert into messages_search (rowid, room, sender, content) values (?1, ?2, ?3, ?4)";
        let mut insert = self.connection.prepare_cached(sql)?;
        for (seq, number) in search {
            let (room, _) = self.rooms[number % self.rooms.len()];
            insert.execute(params![seq, format!("r{room}"), sender(number), self.texts.get(number)])?;
        }
        drop(insert);
        self.sums(messages)?;
        self.connection.execute_batch("commit")?;
        self.written += messages;
        Ok(())
    }

    /// Its rows but that of the search index.
    fn message(&self, number: usize) -> Result<i64> {
        let (room, room_id) = self.rooms[number % self.rooms.len()];
        let (id, sender, content) = (MessageId::new(), sender(number), self.texts.get(number));
        let sql = "insert into events (room, kind, data) values (?1, 1, null)";
        self.connection.prepare_cached(sql)?.execute([room])?;
        let seq = self.connection.last_insert_rowid();
        let created_at = arcuate::clock::now();
        let json = format!(
            "{{\"id\":\"{id}\",\"room_id\":\"{room_id}\",\"sender\":\"{sender}\",\"content\":\"{content}\",\"metadata\":{{}},\
             \"created_at\":\"2026-01-01T00:00:00.000000Z\",\"seq\":{seq}}}"
        );
        let sql = "update room_state set message_count = message_count + 1, last_seq = ?2, first_seq = coalesce(first_seq, ?2),
                                         last_ordinal = last_ordinal + 1
                   where room = ?1 returning last_ordinal";
        let ordinal: i64 = self.connection.prepare_cached(sql)?.query_row([room, seq], |row| row.get(0))?;
        let sql =
            "insert into messages (seq, id, room, sender, sender_type, profile, reply_to, created_at, json, ordinal)
                   values (?1, ?2, ?3, ?4, null, null, null, ?5, ?6, ?7)";
        let values = params![seq, id.bytes(), room, sender, created_at, json, ordinal];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let sql = "insert into participants (room, sender, sender_type, message_count, first_seen, last_seen, last_seq, block, block_count)
                   values (?1, ?2, null, 1, ?3, ?3, ?4, 0, 1)
                   on conflict (room, sender) do update set
                       message_count = message_count + 1, last_seen = excluded.last_seen, last_seq = excluded.last_seq,
                       block_count = block_count + 1";
        self.connection.prepare_cached(sql)?.execute(params![room, sender, created_at, seq])?;
        Ok(seq)
    }

    /// What is kept over all rooms, once per transaction.
    fn sums(&self, messages: usize) -> Result<()> {
        let sql = "insert into counts (name, value) values ('messages', ?1)
                   on conflict (name) do update set value = value + excluded.value";
        self.connection.prepare_cached(sql)?.execute([messages as i64])?;
        for number in self.written..self.written + messages {
            let sql = "insert into senders (sender, last_seen) values (?1, ?2)
                       on conflict (sender) do update set last_seen = excluded.last_seen";
            self.connection.prepare_cached(sql)?.execute(params![sender(number), arcuate::clock::now()])?;
        }
        Ok(())
    }
}
