//! Lists, threads, pins and reactions: every statement for the query plans, and the lists of large rooms.

use super::messages::content_of;
use super::*;
use crate::ids::{MessageId, RoomId};
use proptest::prelude::*;

async fn room(store: &Store, name: &str) -> RoomRef {
    let room = NewRoom { name: name.into(), created_by: "me".into(), ..NewRoom::default() };
    let made = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room is made");
    let id = made.id;
    store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.expect("the room is there")
}

fn draft(room: RoomId, sender: &str, sender_type: &str) -> Draft {
    Draft::new(room, sender, "hello", &serde_json::json!({}), Some(sender_type)).expect("a draft")
}

/// Posts these drafts in one commit.
async fn post(store: &Store, drafts: Vec<Draft>) -> Vec<Posted> {
    let drafts: Vec<_> = drafts.into_iter().map(Some).collect();
    let posted = store.write(move |tx| tx.broadcast(&drafts, &Viewer::Everyone)).await.expect("posted");
    posted.into_iter().flatten().collect()
}

async fn list(store: &Store, room: RoomRef, query: MessageQuery) -> (Vec<i64>, Option<i64>) {
    let page = store.read(move |read| read.messages(room.key, &query)).await.expect("a page");
    let messages: Vec<Message> = serde_json::from_str(&page.json).expect("messages");
    (messages.into_iter().map(|message| message.seq).collect(), page.next)
}

/// Every statement of lists, threads, pins and reactions.
pub(super) async fn use_messages(store: &Store) {
    let lab = room(store, "messages").await;
    let id = post(store, vec![draft(lab.id, "ann", "agent")]).await[0].id;
    for newest in [false, true] {
        list(store, lab, MessageQuery { newest, since: Some(1), until: Some(i64::MAX), ..MessageQuery::oldest(9) })
            .await;
        let sender = Some("ann".into());
        list(store, lab, MessageQuery { newest, sender: sender.clone(), ..MessageQuery::oldest(9) }).await;
        let by_sender = store.read(move |read| {
            let span = message_lists::Span { low: 0, high: i64::MAX, by_sender: true };
            read.walk_messages(lab.key, &MessageQuery { newest, sender, ..MessageQuery::oldest(9) }, &span)
        });
        by_sender.await.unwrap();
    }
    let deeds = store.write(move |tx| {
        let (room, row) = tx.read().find_message(lab.id, id, &Viewer::Everyone)?.expect("the message is there");
        tx.pin_message(&room, &row)?;
        tx.toggle_reaction(&room, &row, "bob", "👍")?;
        let row = tx.read().message(&room, id)?.expect("the message is there");
        tx.unpin_message(&room, &row)?;
        tx.remove_reaction(&room, &row, "bob", "👍")?;
        Ok(row.seq)
    });
    let seq = deeds.await.unwrap();
    let read = store.read(move |read| {
        read.edits(seq, 0, 9)?;
        read.pins(lab.key, i64::MAX, 9)?;
        read.reactions(seq, 0, 9)?;
        read.room_reactions(lab.key, 0, 9)?;
        read.thread(seq, 0, 9)
    });
    assert_eq!(read.await.unwrap().total_replies, 0);
}

#[tokio::test]
async fn rare_messages_of_a_large_room_are_found_within_bounded_calls() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).expect("the store opens").0;
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    let first = post(&store, vec![draft(lab.id, "rare", "human")]).await[0].seq;
    post(&store, (0..100).map(|_| draft(other.id, "rare", "human")).collect()).await;
    post(&store, (0..2 * message_lists::VISITS + 1).map(|_| draft(lab.id, "often", "agent")).collect()).await;
    let last = post(&store, vec![draft(lab.id, "rare", "human")]).await[0].seq;
    let by_name = MessageQuery { sender: Some("rare".into()), ..MessageQuery::oldest(50) };
    assert_eq!(list(&store, lab, by_name.clone()).await, (vec![first, last], None), "an index of senders leads there");
    let newest = MessageQuery { newest: true, limit: 1, ..by_name.clone() };
    assert_eq!(list(&store, lab, newest).await, (vec![last], Some(last)));
    let absent = MessageQuery { sender: Some("nobody".into()), ..by_name };
    assert_eq!(list(&store, lab, absent).await, (vec![], None));
    for query in [
        MessageQuery { sender_type: Some("human".into()), ..MessageQuery::oldest(50) },
        MessageQuery { excluded_senders: vec!["often".into(), "x".into()], ..MessageQuery::oldest(50) },
    ] {
        let (mut found, mut pages, mut after) = (Vec::new(), 0, Some(0));
        while let Some(cursor) = after {
            let (page, next) = list(&store, lab, MessageQuery { after: cursor, ..query.clone() }).await;
            found.extend(page);
            (pages, after) = (pages + 1, next);
        }
        assert_eq!((found, pages), (vec![first, last], 3), "so many a call");
    }
}

#[tokio::test]
async fn deep_and_broad_threads_are_whole() {
    const DEEP: i64 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).expect("the store opens").0;
    let lab = room(&store, "lab").await;
    let root = post(&store, vec![draft(lab.id, "ann", "agent")]).await.remove(0);
    let (root_id, root_seq) = (root.id, root.seq);
    let chain = store.write(move |tx| {
        let mut above: MessageId = root_id;
        for _ in 0..DEEP {
            above = tx.post_message(&draft(lab.id, "ann", "agent"), Some(above), &Viewer::Everyone)?.id;
        }
        (0..DEEP).try_for_each(|_| {
            tx.post_message(&draft(lab.id, "bob", "agent"), Some(root_id), &Viewer::Everyone).map(drop)
        })?;
        Ok(above)
    });
    let deepest = chain.await.unwrap();
    let thread = store.read(move |read| {
        let row = read.message(&lab, deepest)?.expect("the deepest one is there");
        let page = read.thread(row.seq, 0, 1000)?;
        let behind = read.thread(row.seq, row.seq - 1, 2)?;
        Ok((page, behind, row.seq))
    });
    let (page, behind, deepest_seq) = thread.await.unwrap();
    assert_eq!((page.root.seq, page.total_replies, page.replies.len()), (root_seq, 2 * DEEP, 1000));
    assert_eq!((page.replies[999].depth, page.next), (1000, Some(page.replies[999].message.seq)));
    let depths: Vec<_> = behind.replies.iter().map(|reply| reply.depth).collect();
    assert_eq!((depths, behind.root.seq, behind.replies[0].message.seq), (vec![DEEP, 1], root_seq, deepest_seq));
}

#[tokio::test]
async fn times_rise_with_the_numbers_also_where_the_clock_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).expect("the store opens").0;
    let lab = room(&store, "lab").await;
    let posted = post(&store, (0..300).map(|_| draft(lab.id, "ann", "agent")).collect()).await;
    assert!(posted.is_sorted_by(|a, b| (a.seq, a.created_at) < (b.seq, b.created_at) && a.created_at < b.created_at));
    // As if they had been written by a clock that went an hour before this one.
    let hour = 3_600_000_000;
    store.write(move |tx| tx.execute("update messages set created_at = created_at + ?1", [hour])).await.unwrap();
    store.close().await;
    let store = Store::open(&options, Arc::default()).expect("the store opens again").0;
    let next = post(&store, vec![draft(lab.id, "ann", "agent")]).await.remove(0);
    assert!(next.created_at > posted[299].created_at + hour, "not before those that are there");
}

proptest! {
    #[test]
    fn content_of_a_stored_message_is_the_one_that_was_written(sender in ".*", content in ".*", hidden in ".*") {
        let text = |of: &str| serde_json::to_string(of).unwrap();
        let (sender, metadata) = (text(&format!("\"content\":\"{sender}")), text(&hidden));
        let json = format!(r#"{{"id":"1","sender":{sender},"content":{},"metadata":{{"content":{metadata}}}}}"#, text(&content));
        let found = content_of(&json);
        prop_assert_eq!(found.as_deref(), Some(content.as_str()));
        for end in 0..json.len() {
            json.get(..end).map(content_of);
        }
    }
}
