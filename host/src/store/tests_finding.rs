//! Lists and search over what was written: filters, pages, walks that stop, and every statement of theirs.

use super::*;
use crate::ids::RoomId;
use serde_json::json;

fn open(folder: &Path) -> Store {
    let options = Options { path: folder.join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    Store::open(&options, Arc::default()).expect("the store opens").0
}

async fn room(store: &Store, name: &str) -> RoomId {
    let room = NewRoom { name: name.into(), created_by: "me".into(), ..NewRoom::default() };
    store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room is made").id
}

async fn fill(store: &Store, room: RoomId, count: usize, text: impl Fn(usize) -> String + Send + Clone + 'static) {
    let post = move |tx: &mut Tx<'_>| {
        for number in 0..count {
            let sender = if number % 100 == 7 { "rare" } else { "ada" };
            let draft = Draft::new(room, sender, &text(number), &json!({}), Some("agent"))?;
            tx.post_message(&draft, None, &Viewer::Everyone)?;
        }
        Ok(())
    };
    store.write(post).await.expect("messages are posted");
}

fn search(text: &str) -> SearchQuery {
    SearchQuery {
        text: text.into(),
        range: Range { after: 0, before: i64::MAX },
        after_time: None,
        before_time: None,
        room: None,
        sender: None,
        sender_type: None,
        limit: 200,
        cursor: None,
        viewer: Viewer::Everyone,
    }
}

async fn searched(store: &Store, search: SearchQuery) -> SearchResult {
    store.read(move |read| read.search(&search)).await.expect("a search")
}

fn activity(viewer: Viewer) -> ActivityQuery {
    ActivityQuery {
        range: Range { after: 0, before: i64::MAX },
        since: None,
        room: None,
        sender: None,
        sender_type: None,
        exclude_senders: Vec::new(),
        limit: 50,
        viewer,
    }
}

fn direct(sender: &str, recipient: &str) -> DirectMessage {
    DirectMessage {
        sender: sender.into(),
        recipient: recipient.into(),
        content: "secret @bob soup".into(),
        metadata: json!({}),
        sender_type: None,
    }
}

/// Every statement of these slices.
pub(super) async fn use_finding(store: &Store) {
    let lab = room(store, "finding").await;
    fill(store, lab, 3, |number| format!("soup {number} @bob")).await;
    let sent = store.write(|tx| tx.send_direct(&direct("ada", "bob"))).await.unwrap();
    store.write(|tx| tx.send_direct(&direct("bob", "ada"))).await.unwrap();
    let everyone = Viewer::Everyone;
    store
        .write(move |tx| {
            tx.mark_read(lab, &everyone, "bob", 3)?;
            tx.mark_read(lab, &everyone, "bob", 5)?;
            tx.put_profile("bob", &ProfileChange::default())?;
            tx.put_profile("ann", &ProfileChange::default())?;
            tx.delete_profile("ann")
        })
        .await
        .unwrap();
    store
        .read(move |read| {
            let viewer = Viewer::Person("bob".into());
            for (room, sender) in [(None, None), (Some(lab), None), (None, Some("ada".to_owned()))] {
                let query = ActivityQuery { room, sender: sender.clone(), since: Some(1), ..activity(viewer.clone()) };
                assert!(!read.activity(&query)?.hits.is_empty());
                let query = SearchQuery { room, sender, after_time: Some(1), viewer: viewer.clone(), ..search("sou* soup") };
                assert!(!read.search(&query)?.found.is_empty());
                let (target, range) = ("bob".into(), Range { after: 0, before: i64::MAX });
                let query = MentionQuery { target, range, room, limit: 5, viewer: viewer.clone() };
                assert!(!read.mentions(&query)?.hits.is_empty());
            }
            read.unread_mentions("bob", &viewer)?;
            read.unread_rooms("bob")?;
            let lab = read.visible_room(lab, &viewer)?;
            read.read_positions(&lab, i64::MAX, 10)?;
            read.participants(lab.key, i64::MAX, 10)?;
            read.profiles(Some("agent"), i64::MAX, 10)?;
            read.conversations_of("bob", 0, 10)?;
            read.conversation_room(sent.room_id, &viewer)?;
            Ok(())
        })
        .await
        .unwrap();
}
