//! Every sum that the store keeps, against a recount of its rows, through any mixture of all slices' deeds: many in one commit, some of
//! them refused after they were done, rooms ending in between.

use super::*;
use crate::clock;
use crate::ids::{MessageId, RoomId};
use plugin_api::types::Outcome;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::OptionalExtension;
use slots::Policy;

/// Each sum and how to count it anew. What ends with its room is not counted from the room's end on, though its rows are still there.
const SUMS: [(Count, &str); 17] = [
    (Count::Messages, "count(*) from messages m join rooms r on r.key = m.room where r.type <> 'deleted'"),
    (
        Count::AgentMessages,
        "count(*) from messages m join rooms r on r.key = m.room where r.type <> 'deleted' and m.sender_type = 'agent'",
    ),
    (
        Count::HumanMessages,
        "count(*) from messages m join rooms r on r.key = m.room where r.type <> 'deleted' and m.sender_type = 'human'",
    ),
    (
        Count::Replies,
        "count(*) from messages m join rooms r on r.key = m.room where r.type <> 'deleted' and m.reply_to is not null",
    ),
    (Count::DirectMessages, "count(*) from messages m join rooms r on r.key = m.room where r.type = 'dm'"),
    (Count::Rooms, "count(*) from rooms where type = 'room'"),
    (Count::ArchivedRooms, "count(*) from rooms where type = 'room' and archived_at is not null"),
    (Count::Dms, "count(*) from rooms where type = 'dm'"),
    (Count::Files, "count(*) from files f join rooms r on r.key = f.room where r.type <> 'deleted'"),
    (Count::FileBytes, "coalesce(sum(size), 0) from files f join rooms r on r.key = f.room where r.type <> 'deleted'"),
    (Count::Profiles, "count(*) from profiles"),
    (Count::Reactions, "count(*) from reactions q join rooms r on r.key = q.room where r.type <> 'deleted'"),
    (Count::Pins, "count(*) from pins q join rooms r on r.key = q.room where r.type <> 'deleted'"),
    (Count::Bookmarks, "count(*) from bookmarks q join rooms r on r.key = q.room where r.type <> 'deleted'"),
    (Count::Webhooks, "count(*) from webhooks q join rooms r on r.key = q.room where r.type <> 'deleted'"),
    (
        Count::ActiveWebhooks,
        "count(*) from webhooks q join rooms r on r.key = q.room where r.type <> 'deleted' and active",
    ),
    (
        Count::IncomingWebhooks,
        "count(*) from incoming_webhooks q join rooms r on r.key = q.room where r.type <> 'deleted'",
    ),
];

/// Rows that nothing may leave behind: how many there are of each that should not be.
const STRAY: [&str; 12] = [
    "select count(*) from messages_search where rowid not in (select seq from messages)",
    "select count(*) from messages where seq not in (select rowid from messages_search)",
    "select count(*) from messages where seq not in (select seq from events where kind = 1)",
    "select count(*) from mentions where seq not in (select seq from messages)",
    // Words and mentions are those of the text as it is now.
    "select count(*) from messages where (json ->> '$.content' like 'said anew%')
         <> (seq in (select rowid from messages_search where messages_search match 'anew'))",
    "select count(*) from messages where (json ->> '$.content' like '%@dan')
         <> (seq in (select seq from mentions where word = 'dan'))",
    "select count(*) from messages where (json ->> '$.content' like '%@bob')
         <> (seq in (select seq from mentions where word = 'bob'))",
    "select count(*) from edits where seq not in (select seq from messages)",
    "select count(*) from participants p where message_count <>
         (select count(*) from messages m where m.room = p.room and m.sender = p.sender)
         and p.room in (select key from rooms where type <> 'deleted')",
    "select count(*) from room_state s join rooms r on r.key = s.room where r.type <> 'deleted' and (message_count, last_seq, first_seq)
         is not (select count(*), max(seq), min(seq) from messages m where m.room = s.room)",
    "select count(*) from (select instance, state, count from queue_counts where count <> 0
         except select instance, state, count(*) from queue group by 1, 2)",
    "select count(*) from (select instance, state, count(*) from queue group by 1, 2
         except select instance, state, count from queue_counts where count <> 0)",
];

/// Tables that name a room; of one that was removed none may.
const OF_ROOMS: [&str; 14] = [
    "room_state",
    "messages",
    "mentions",
    "participants",
    "participant_blocks",
    "message_gaps",
    "read_positions",
    "bookmarks",
    "reactions",
    "pins",
    "files",
    "webhooks",
    "incoming_webhooks",
    "dms",
];

const PEOPLE: [&str; 4] = ["ann", "bob", "cyd", "dan"];

/// One deed, all of it decided by `seed`, so that it does the same when the writer does it again.
fn deed(tx: &mut Tx<'_>, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let (person, other) = (PEOPLE[random.random_range(0..4)], PEOPLE[random.random_range(0..4)]);
    let kind = random.random_range(0..40);
    match kind {
        0 | 1 => {
            let room = NewRoom { name: format!("room {seed}"), created_by: person.into(), ..NewRoom::default() };
            return tx.create_room(&room, |_| "{}".into()).map(drop);
        }
        2 if person != other => {
            let (sender, recipient) = (person.into(), other.into());
            let (content, metadata) = ("psst @ann".into(), serde_json::json!({}));
            let sender_type = Some("human".into());
            return tx.send_direct(&DirectMessage { sender, recipient, content, metadata, sender_type }).map(drop);
        }
        3 => return tx.put_profile(person, &ProfileChange::default()).map(drop),
        4 => return tx.delete_profile(person),
        5 => return settle_one(tx, &mut random),
        6 => return purge_one(tx),
        _ => {}
    }
    let Some(room) = any_room(tx, &mut random)? else { return Ok(()) };
    match kind {
        7 if random.random_range(0..3) == 0 => return tx.delete_room(&room),
        8 => return tx.set_archived(&room, random.random_range(0..2) == 0, |_| "{}".into()).map(drop),
        9 => return tx.add_bookmark(&room, person).map(drop),
        10 => return tx.remove_bookmark(&room, person).map(drop),
        11 => return tx.mark_read(room.id, &Viewer::Everyone, person, random.random_range(0..500)).map(drop),
        12 => return add_file(tx, &room, random.random_range(1..100)),
        13 => return delete_file(tx, &room),
        14..=16 => return change_webhooks(tx, &room, kind, seed),
        17 => {
            let change = RoomChange { max_messages: Some(Some(3)), ..RoomChange::default() };
            tx.update_room(&room, &change, |_| "{}".into())?;
            return tx.prune(RoomLimits { key: room.key, id: room.id }, 0, clock::now()).map(drop);
        }
        18..=27 => return post(tx, &room, person, &mut random),
        _ => {}
    }
    let Some(id) = any_message(tx, &room, &mut random)? else { return Ok(()) };
    let Some(row) = tx.read().message(&room, id)? else { return Ok(()) };
    match kind {
        28..=30 => tx.toggle_reaction(&room, &row, person, "👍").map(drop),
        31 => tx.remove_reaction(&room, &row, person, "👍"),
        32 => tx.pin_message(&room, &row).map(drop),
        33 => tx.unpin_message(&room, &row),
        34..=36 => tx.edit_message(&room, id, &row.message.sender, "said anew @dan", None).map(drop),
        _ => tx.delete_message(&room, &row, Deletion::Asked),
    }
}

fn any_room(tx: &Tx<'_>, random: &mut StdRng) -> Result<Option<RoomRef>> {
    let sql = "select id from rooms where type <> 'deleted' order by (key * 7919 + ?1) % 1009 limit 1";
    let id = tx.connection.query_row(sql, [random.random_range(0..1009)], |row| row.get(0));
    let Some(id) = id.optional().map_err(sql_error)? else { return Ok(None) };
    tx.visible_room(RoomId::from_bytes(id), &Viewer::Everyone).map(Some)
}

fn any_message(tx: &Tx<'_>, room: &RoomRef, random: &mut StdRng) -> Result<Option<MessageId>> {
    let sql = "select id from messages where room = ?1 order by (seq * 7919 + ?2) % 1009 limit 1";
    let id = tx.connection.query_row(sql, [room.key, random.random_range(0..1009)], |row| row.get(0));
    Ok(id.optional().map_err(sql_error)?.map(MessageId::from_bytes))
}

fn post(tx: &mut Tx<'_>, room: &RoomRef, sender: &str, random: &mut StdRng) -> Result<()> {
    let sender_type = [None, Some("agent"), Some("human"), Some("robot")][random.random_range(0..4)];
    let reply_to = if random.random_range(0..3) == 0 { any_message(tx, room, random)? } else { None };
    let draft = Draft::new(room.id, sender, "hello @bob", &serde_json::json!({}), sender_type)?;
    tx.post_message(&draft, reply_to, &Viewer::Everyone).map(drop)
}

/// Bytes are another matter: here they are only counted.
fn add_file(tx: &mut Tx<'_>, room: &RoomRef, size: u64) -> Result<()> {
    let (sender, filename, content_type) = ("ann".to_owned(), "f".to_owned(), "text/plain".to_owned());
    let file = NewFile { sender, filename, content_type, size, hash: [size as u8; 32] };
    tx.add_file(room.id, &Viewer::Everyone, &file, |_| "{}".into()).map(drop)
}

fn delete_file(tx: &mut Tx<'_>, room: &RoomRef) -> Result<()> {
    let file = tx.read().files(room.key, i64::MAX, 1)?.pop();
    file.map_or(Ok(()), |file| tx.delete_file(room, file.id, None).map(drop))
}

fn change_webhooks(tx: &mut Tx<'_>, room: &RoomRef, kind: u32, seed: u64) -> Result<()> {
    let endpoint = tx.read().webhooks(room.key, i64::MAX, 1)?.pop();
    let hook = tx.read().incoming_webhooks(room.key, i64::MAX, 1)?.pop();
    match (kind, endpoint, hook) {
        (14, Some(endpoint), _) => {
            let change = WebhookChange { active: Some(seed.is_multiple_of(2)), ..WebhookChange::default() };
            tx.change_webhook(room, endpoint.id, &change)
        }
        (15, Some(endpoint), _) => tx.delete_webhook(room, endpoint.id),
        (15, None, Some(hook)) => tx.delete_incoming_webhook(room, hook.id),
        (16, _, None) => tx.create_incoming_webhook(room, "hook", &format!("whk_{seed}"), "ann").map(drop),
        _ => {
            let (url, events) = ("http://127.0.0.1:9/".into(), "*".into());
            tx.create_webhook(room, &NewWebhook { url, events, secret: None, created_by: "ann".into() }).map(drop)
        }
    }
}

/// The oldest delivery under way ends in some way; one that is answered with 410 takes its endpoint out of use.
fn settle_one(tx: &mut Tx<'_>, random: &mut StdRng) -> Result<()> {
    let sql = "select key, claim from queue where state = 'processing' order by key limit 1";
    let claimed = tx.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((key, claim)) = claimed.optional().map_err(sql_error)? else { return Ok(()) };
    let outcome = match random.random_range(0..4) {
        0 => Outcome::Discard { why: "gone".into(), status: Some(410) },
        1 => Outcome::retry("busy"),
        _ => Outcome::done(),
    };
    tx.settle(key, claim, &outcome).map(drop)
}

fn purge_one(tx: &mut Tx<'_>) -> Result<()> {
    let room = tx.read().deleted_room(0)?;
    room.map_or(Ok(()), |room| tx.purge_room(room).map(drop))
}

async fn check(store: &Store, step: usize) {
    let differing = store.read(|read| {
        let mut differing = Vec::new();
        for (count, sql) in SUMS {
            let (kept, counted) = (
                read.count(count)?,
                read.connection.query_row(&format!("select {sql}"), [], |row| row.get::<_, i64>(0)),
            );
            let counted = counted.map_err(sql_error)?;
            if kept != counted {
                differing.push(format!("{count:?} says {kept}, there are {counted}"));
            }
        }
        for sql in STRAY {
            let stray: i64 = read.connection.query_row(sql, [], |row| row.get(0)).map_err(sql_error)?;
            if stray != 0 {
                differing.push(format!("{stray} of {sql}"));
            }
        }
        for table in OF_ROOMS {
            let sql = format!("select count(*) from {table} where room not in (select key from rooms)");
            let stray: i64 = read.connection.query_row(&sql, [], |row| row.get(0)).map_err(sql_error)?;
            if stray != 0 {
                differing.push(format!("{stray} rows of {table} name a room that is gone"));
            }
        }
        Ok(differing)
    });
    let differing = differing.await.expect("a recount");
    assert!(differing.is_empty(), "after step {step}: {differing:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_stay_true_through_the_deeds_of_all_slices() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("arcuate.db");
    let options = Options { path, full_durability: false, readers: 1, existing: false };
    let (store, _handed) = Store::open(&options, Arc::default()).expect("the store opens");
    let policy = Policy {
        concurrency: 4,
        job_timeout: Duration::from_secs(60),
        max_attempts: None,
        schedule: Some(vec![Duration::ZERO; 2]),
    };
    store.with_slots(|slots| slots.open("webhook", policy));
    let mut done = 0;
    for step in 0..100 {
        let writes = (0..40).map(|number| {
            let seed = step * 1000 + number;
            store.write(move |tx| {
                deed(tx, seed)?;
                if seed.is_multiple_of(5) { Err(Error::Invalid("thought better of it".into())) } else { Ok(()) }
            })
        });
        let results = futures_util::future::join_all(writes).await;
        for result in &results {
            assert!(!matches!(result, Err(Error::Internal(_) | Error::Unavailable(_))), "step {step}: {result:?}");
        }
        done += results.iter().filter(|result| result.is_ok()).count();
        if step % 10 == 9 {
            check(&store, step as usize).await;
        }
    }
    assert!(done > 2000, "most deeds were done: {done}");
    while store.read(|read| read.deleted_room(0)).await.unwrap().is_some() {
        store.write(purge_one).await.unwrap();
    }
    check(&store, usize::MAX).await;
    let left = "select (select count(*) from rooms where type = 'deleted')
                + (select count(*) from events where room not in (select key from rooms) and kind <> 12)";
    assert_eq!(
        store.read(move |read| read.number(left, [])).await.unwrap(),
        0,
        "a room that ended leaves its end alone"
    );
}
