//! Stores to measure on: empty ones with their rooms, and a filled one, made through the library in large transactions.

use crate::Result;
use crate::words::Texts;
use arcuate::ids::RoomId;
use arcuate::store::{Draft, NewRoom, Options, Store, Viewer};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

pub const ROOMS: usize = 100;
/// Messages in one transaction while filling.
const STEP: usize = 5000;

/// Opens a store as the host does, but for the durability.
pub fn open(path: &Path, full_durability: bool) -> Result<(Store, arcuate::store::Handed)> {
    let options = Options { path: path.into(), full_durability, readers: 2, existing: false };
    Ok(Store::open(&options, Arc::default())?)
}

/// Makes a store with 100 rooms and so many messages, evenly spread over them.
pub fn make(path: &Path, messages: usize, texts: &Arc<Texts>) -> Result<Vec<RoomId>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (store, _handed) = open(path, false)?;
        let rooms = store
            .write_patiently(|tx| (0..ROOMS).map(|number| room(tx, number)).collect::<arcuate::error::Result<Vec<_>>>())
            .await?;
        fill(&store, &rooms, messages, texts).await?;
        store.close().await;
        check(path, messages)?;
        Ok(rooms)
    })
}

/// The rooms of a store that was made before, which must have at least so many messages.
pub fn rooms(path: &Path, messages: usize) -> Result<Vec<RoomId>> {
    let found = number(path, "select coalesce(sum(message_count), 0) from room_state")?;
    if found < messages as i64 {
        return Err(format!("{} has {found} messages; remove it, or ask for fewer", path.display()).into());
    }
    let connection = reading(path)?;
    let mut statement = connection.prepare("select id from rooms where name like 'room %' order by key")?;
    let ids = statement.query_map([], |row| Ok(RoomId::from_bytes(row.get(0)?)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn room(tx: &mut arcuate::store::Tx<'_>, number: usize) -> arcuate::error::Result<RoomId> {
    let room = NewRoom { name: format!("room {number}"), created_by: "benches".into(), ..NewRoom::default() };
    Ok(tx.create_room(&room, |_| "{}".into())?.id)
}

async fn fill(store: &Store, rooms: &[RoomId], messages: usize, texts: &Arc<Texts>) -> Result<()> {
    for begin in (0..messages).step_by(STEP) {
        let (rooms, texts) = (rooms.to_owned(), texts.clone());
        let write = move |tx: &mut arcuate::store::Tx<'_>| {
            for number in begin..messages.min(begin + STEP) {
                let room = rooms[number % rooms.len()];
                let draft = Draft::new(room, &sender(number), texts.get(number), &json!({}), None)?;
                tx.post_message(&draft, None, &Viewer::Everyone)?;
            }
            Ok(())
        };
        store.write_patiently(write).await?;
    }
    Ok(())
}

pub fn sender(number: usize) -> String {
    format!("user {}", number % 997)
}

/// Fails unless all that belongs to so many messages is there.
fn check(path: &Path, messages: usize) -> Result<()> {
    let connection = reading(path)?;
    for (what, sql) in [
        ("messages", "select count(*) from messages"),
        ("events of messages", "select count(*) from events where kind = 1"),
        ("rows of the search index", "select count(*) from messages_search"),
        ("counted messages", "select coalesce(sum(message_count), 0) from room_state"),
    ] {
        let found: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if found != messages as i64 {
            return Err(format!("the filled store has {found} {what} in place of {messages}").into());
        }
    }
    Ok(())
}

/// One number of a store that no host has open for writing.
pub fn number(path: &Path, sql: &str) -> Result<i64> {
    Ok(reading(path)?.query_row(sql, [], |row| row.get(0))?)
}

fn reading(path: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}
