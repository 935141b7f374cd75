//! Rooms from the list to their end: order while they move, sums when they go, limits with pins in between, and a log that is trimmed.

use super::*;
use crate::clock;
use crate::ids::RoomId;
use rusqlite::params;

fn open(path: &Path) -> Store {
    let options = Options { path: path.into(), full_durability: false, readers: 1, existing: false };
    Store::open(&options, Arc::default()).expect("the store opens").0
}

async fn room(store: &Store, name: &str) -> RoomRef {
    let room = NewRoom { name: name.into(), created_by: "me".into(), ..NewRoom::default() };
    let id = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room is made").id;
    store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.expect("the room is there")
}

async fn post(store: &Store, room: RoomId, count: usize) -> i64 {
    let posted = store.write(move |tx| {
        let mut last = 0;
        for number in 0..count {
            let kind = ["agent", "human"][number % 2];
            let draft = Draft::new(room, "ann", "hello @bob", &serde_json::json!({}), Some(kind))?;
            last = tx.post_message(&draft, None, &Viewer::Everyone)?.seq;
        }
        Ok(last)
    });
    posted.await.expect("posted")
}

async fn pin(store: &Store, room: RoomRef, seq: i64) {
    let sql = "insert into pins (seq, room, event) values (?1, ?2, ?1)";
    store.write(move |tx| tx.execute(sql, params![seq, room.key])).await.expect("pinned");
}

async fn limit(store: &Store, room: RoomRef, max_messages: Option<i64>, max_age_hours: Option<i64>) -> RoomLimits {
    let change = RoomChange {
        max_messages: Some(max_messages),
        max_message_age_hours: Some(max_age_hours),
        ..RoomChange::default()
    };
    store.write(move |tx| tx.update_room(&room, &change, |_| "{}".into())).await.expect("limited");
    RoomLimits { key: room.key, id: room.id }
}

/// All steps of a sweep of one room; what went by number and by age.
async fn prune(store: &Store, limits: RoomLimits, now: clock::Micros) -> (u64, u64) {
    let (mut sums, mut next) = ((0, 0), Some(0));
    while let Some(from) = next {
        let pruned = store.write(move |tx| tx.prune(limits, from, now)).await.expect("pruned");
        sums = (sums.0 + pruned.by_count, sums.1 + pruned.by_age);
        next = pruned.next;
    }
    sums
}

async fn purge(store: &Store, room: i64) -> usize {
    let mut steps = 1;
    while !store.write(move |tx| tx.purge_room(room)).await.expect("purged").done {
        steps += 1;
    }
    steps
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store.read(move |read| read.connection.query_row(sql, [], |row| row.get(0)).map_err(sql_error)).await.expect(sql)
}

fn temporary() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("arcuate.db"));
    (folder, store)
}

/// Every statement of rooms, bookmarks, exports, limits, deletion and sums.
pub(super) async fn use_rooms(store: &Store) {
    let lab = room(store, "rooms lab").await;
    let last = post(store, lab.id, 3).await;
    pin(store, lab, last).await;
    let query = RoomQuery {
        kinds: vec![RoomKind::Bridge, RoomKind::Dm, RoomKind::Room],
        sender: Some("ann".into()),
        ..RoomQuery::ordinary(10)
    };
    store.read(move |read| Ok((read.rooms(&query)?, read.rooms(&RoomQuery::ordinary(1))?))).await.unwrap();
    let limits = limit(store, lab, Some(10), Some(1)).await;
    store
        .write(move |tx| {
            tx.add_bookmark(&lab, "ann")?;
            tx.remove_bookmark(&lab, "ann")?;
            tx.add_bookmark(&lab, "ann")?;
            tx.set_archived(&lab, true, |_| "{}".into())?;
            tx.rotate_room_key("rooms lab", &[1; 32])?;
            tx.mark_log(clock::now())?;
            tx.trim_log(1)?;
            tx.trim_event(0)
        })
        .await
        .unwrap();
    prune(store, limits, clock::now()).await;
    store
        .read(move |read| {
            read.bookmarks("ann", &Viewer::Everyone, i64::MAX, 10)?;
            read.limited_rooms(0, 10)?;
            read.oldest_unpinned(limits, 0, clock::now())?;
            read.unpinned_since(lab.key, 0)?;
            let (after, last) = read.time_span(Some(1), Some(2))?;
            read.export_page(&lab, &ExportQuery { after, last, sender: None })?;
            read.oldest_event()?;
            read.totals(clock::now())
        })
        .await
        .unwrap();
    store.write(move |tx| tx.delete_room(&lab)).await.unwrap();
    assert_eq!(store.read(|read| read.deleted_room(0)).await.unwrap(), Some(lab.key));
    purge(store, lab.key).await;
}

#[tokio::test]
async fn rooms_that_move_while_somebody_pages_come_once_each() {
    let (_folder, store) = temporary();
    let mut rooms = Vec::new();
    for number in 0..9 {
        let made = room(&store, &format!("room {number}")).await;
        if number < 6 {
            post(&store, made.id, 1).await;
        }
        rooms.push(made);
    }
    let (mut query, mut found) = (RoomQuery { sender: Some("ann".into()), ..RoomQuery::ordinary(2) }, Vec::new());
    loop {
        let asked = query.clone();
        let page = store.read(move |read| read.rooms(&asked)).await.unwrap();
        let Some(last) = page.last() else { break };
        query.after = Some(last.place.clone());
        found.extend(page.iter().map(|listed| listed.row.name.clone()));
        // The one that would come last, and one that is empty, become the newest; another is bookmarked.
        for moved in [0, 8] {
            post(&store, rooms[moved].id, 1).await;
        }
        let marked = rooms[7];
        store.write(move |tx| tx.add_bookmark(&marked, "ann")).await.unwrap();
    }
    let expected: Vec<_> = [5, 4, 3, 2, 1, 0, 6, 7, 8].iter().map(|number| format!("room {number}")).collect();
    assert_eq!(found, expected);
    query.after = None;
    let first = store.read(move |read| read.rooms(&query)).await.unwrap();
    let names: Vec<_> = first.iter().map(|listed| (listed.row.name.as_str(), listed.bookmarked)).collect();
    assert_eq!(names, [("room 7", true), ("room 8", false)], "a new reader sees them where they are now");
}

#[tokio::test]
async fn deleted_room_is_gone_at_once_and_its_rows_step_by_step() {
    let (_folder, store) = temporary();
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    post(&store, other.id, 4).await;
    let last = post(&store, lab.id, 1201).await;
    pin(&store, lab, last).await;
    store.write(move |tx| tx.add_bookmark(&lab, "ann")).await.unwrap();
    store.write(move |tx| tx.delete_room(&lab)).await.unwrap();
    assert!(store.read(move |read| read.visible_room(lab.id, &Viewer::Everyone)).await.is_err());
    let counts =
        |counts: [Count; 5]| store.read(move |read| counts.into_iter().map(|count| read.count(count)).collect());
    let sums: Result<Vec<i64>> =
        counts([Count::Messages, Count::Rooms, Count::Bookmarks, Count::Pins, Count::Files]).await;
    assert_eq!(sums.unwrap(), [4, 1, 0, -1, 0], "at once; the pin was not counted here");
    room(&store, "lab").await;
    assert!(purge(&store, lab.key).await > 12, "a hundred messages at a time");
    let types: Result<Vec<i64>> =
        counts([Count::Messages, Count::AgentMessages, Count::HumanMessages, Count::Replies, Count::Rooms]).await;
    assert_eq!(types.unwrap(), [4, 2, 2, 0, 2]);
    assert_eq!(number(&store, "select count(*) from events where room = 1").await, 1, "the event of its end");
    for (sql, left) in [
        ("select count(*) from rooms where key = 1 or type = 'deleted'", 0),
        ("select count(*) from messages", 4),
        ("select count(*) from messages_search where messages_search match 'hello'", 4),
        ("select count(*) from mentions", 4),
        ("select count(*) from participants", 1),
        ("select count(*) from participant_blocks where room = 1", 0),
        ("select count(*) from pins", 0),
        ("select count(*) from bookmarks", 0),
        ("select count(*) from room_state where room = 1", 0),
    ] {
        assert_eq!(number(&store, sql).await, left, "{sql}");
    }
}

#[tokio::test]
async fn limits_delete_the_oldest_but_no_pins() {
    let (_folder, store) = temporary();
    let lab = room(&store, "lab").await;
    let last = post(&store, lab.id, 1300).await;
    for seq in (last - 1299..last - 150).chain([last]) {
        pin(&store, lab, seq).await;
    }
    let limits = limit(&store, lab, Some(30), None).await;
    let now = clock::now();
    let oldest = store.read(move |read| read.oldest_unpinned(limits, 0, now)).await.unwrap();
    assert_eq!(oldest, Some((last - 150, true)));
    assert_eq!(prune(&store, limits, now).await, (120, 0), "of 150 that are not pinned 30 stay");
    assert_eq!(prune(&store, limits, now).await, (0, 0));
    let limits = limit(&store, lab, Some(20), Some(1)).await;
    assert_eq!(prune(&store, limits, clock::now() + 2 * 3_600_000_000).await, (10, 20), "by number first, then by age");
    assert_eq!(number(&store, "select message_count from room_state").await, 1150);
}

#[tokio::test]
async fn trimmed_log_keeps_messages_and_says_how_far_back_it_reaches() {
    let (_folder, store) = temporary();
    let lab = room(&store, "lab").await;
    let old = post(&store, lab.id, 3).await;
    store.write(move |tx| tx.add_bookmark(&lab, "ann")).await.unwrap();
    let newest = post(&store, lab.id, 1).await;
    assert_eq!(store.read(|read| read.oldest_event()).await.unwrap(), 1);
    let before = clock::now() + 1;
    while store.write(move |tx| tx.trim_log(before)).await.unwrap() {}
    let events = store.read(|read| read.all_events(0, 100)).await.unwrap();
    assert!(events.iter().all(|event| event.kind == Kind::Message), "{events:?}");
    assert_eq!((events.len(), store.read(|read| read.oldest_event()).await.unwrap()), (4, newest));
    let id = Message::from_json(&events[2].json).unwrap().id;
    store
        .write(move |tx| {
            let row = tx.read().message(&lab, id)?.expect("the message is there");
            tx.delete_message(&lab, &row, Deletion::Asked)
        })
        .await
        .unwrap();
    let left = store.read(|read| read.all_events(0, 100)).await.unwrap();
    assert!(left.iter().all(|event| event.seq != old), "an old event goes with its message: {left:?}");
    let head = store.read(|read| read.head()).await.unwrap();
    let later = clock::now() + 1;
    while store.write(move |tx| tx.trim_log(later)).await.unwrap() {}
    assert_eq!(store.read(|read| read.head()).await.unwrap(), head, "the newest event stays");
}

#[tokio::test]
async fn deleted_room_takes_its_files_webhooks_and_waiting_jobs_along() {
    let (_folder, store) = temporary();
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    let (lane, waits, done) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let filled = store.write(move |tx| {
        for (key, sql) in [
            (lab.key, "insert into files values (1000 + ?1, ?2, ?1, 'ann', 'f', 't', 7, zeroblob(32), 1)"),
            (other.key, "insert into files values (1000 + ?1, ?2, ?1, 'ann', 'f', 't', 7, zeroblob(32), 1)"),
            (lab.key, "insert into webhooks values (7, ?2, ?1, 'http://x', '*', null, 'ann', 1, 1, null)"),
            (lab.key, "insert into incoming_webhooks values (7, ?2, ?1, 'hook', 'whk_1', 'ann', 1, 1)"),
            (lab.key, "insert into read_positions select ?1, 'ann', 1, 1, 1 where ?2 is not null"),
        ] {
            let id = if sql.contains("into webhooks") { lane } else { uuid::Uuid::now_v7() };
            tx.execute(sql, params![key, id.as_bytes()])?;
        }
        let job =
            "insert into queue (id, kind, instance, lane, state, runnable, max_attempts, next_at, payload, created_at)
                   values (?1, 'webhook', 'webhook', ?2, ?3, 0, 3, 0, '{}', 0)";
        for (id, state) in [(waits, "pending"), (done, "completed")] {
            tx.execute(job, params![id.as_bytes(), lane.to_string(), state])?;
            tx.count("webhook", if state == "pending" { "pending" } else { "completed" }, 1);
        }
        let delivery =
            "insert into webhook_deliveries values (1, ?1, 7, ?2, 'message', 'http://x', 1, 1, 200, null, 5, 1)";
        tx.execute(delivery, params![waits.as_bytes(), done.as_bytes()])?;
        for (count, change) in
            [(Count::Files, 2), (Count::FileBytes, 14), (Count::Webhooks, 1), (Count::ActiveWebhooks, 1)]
        {
            tx.tally(count, change);
        }
        tx.tally(Count::IncomingWebhooks, 1);
        Ok(())
    });
    filled.await.expect("rows of other slices");
    store.write(move |tx| tx.delete_room(&lab)).await.unwrap();
    let totals = store.read(|read| read.totals(clock::now())).await.unwrap();
    let sums = [Count::Files, Count::FileBytes, Count::Webhooks, Count::ActiveWebhooks, Count::IncomingWebhooks];
    assert_eq!(sums.map(|count| totals.count(count)), [1, 7, 0, 0, 0]);
    let mut hashes = Vec::new();
    loop {
        let purged = store.write(move |tx| tx.purge_room(lab.key)).await.unwrap();
        hashes.extend(purged.hashes);
        if purged.done {
            break;
        }
    }
    assert_eq!(hashes, [[0; 32]], "another file has the same bytes, which is seen later");
    let left = "select (select count(*) from webhooks) + (select count(*) from webhook_deliveries)
                + (select count(*) from incoming_webhooks) + (select count(*) from read_positions)";
    assert_eq!((number(&store, left).await, number(&store, "select count(*) from files").await), (0, 1));
    let mut jobs = store.read(|read| read.job_counts()).await.unwrap();
    jobs.retain(|(.., count)| *count != 0);
    let ended = |state: &str| ("webhook".to_owned(), state.to_owned(), 1);
    assert_eq!(jobs, [ended("completed"), ended("flushed")], "what ended stays on record");
}

#[tokio::test]
async fn export_of_a_large_room_has_each_message_once_page_after_page() {
    let (_folder, store) = temporary();
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    let rare = post(&store, other.id, 1).await;
    let first = post(&store, lab.id, 1).await;
    post(&store, other.id, 1).await;
    let last = post(&store, lab.id, 2500).await;
    for (sender, expected) in [(None, 2501), (Some("ann"), 2501), (Some("nobody"), 0)] {
        let (mut seqs, mut pages, mut after) = (Vec::new(), 0, Some(0));
        while let Some(from) = after {
            let query = ExportQuery { after: from, last, sender: sender.map(Into::into) };
            let page = store.read(move |read| read.export_page(&lab, &query)).await.unwrap();
            seqs.extend(page.messages.iter().map(|message| message.seq));
            (pages, after) = (pages + 1, page.after);
        }
        assert!(pages >= 3 && seqs.is_sorted_by(|a, b| a < b), "{pages} pages, ascending");
        assert_eq!(seqs.len(), expected, "{sender:?}");
        assert!(seqs.first().is_none_or(|seq| *seq == first) && seqs.last().is_none_or(|seq| *seq == last));
        assert!(!seqs.contains(&rare), "another room's");
    }
}
