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
                let query =
                    SearchQuery { room, sender, after_time: Some(1), viewer: viewer.clone(), ..search("sou* soup") };
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

/// Numbers of all hits, page after page.
async fn all_pages(store: &Store, search: SearchQuery) -> Vec<i64> {
    let (mut seqs, mut cursor) = (Vec::new(), None);
    loop {
        let page = searched(store, SearchQuery { cursor, ..search.clone() }).await;
        seqs.extend(page.found.iter().map(|found| found.hit.seq));
        cursor = page.next;
        if cursor.is_none() {
            return seqs;
        }
    }
}

#[tokio::test]
async fn search_of_many_ranks_the_newest_and_its_pages_give_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lab = room(&store, "lab").await;
    fill(&store, lab, 2500, |number| if number == 0 { "soup".into() } else { format!("a plate of soup {number}") })
        .await;
    let first = searched(&store, search("soup")).await;
    assert_eq!((first.found.len(), first.window), (200, Some(1000)));
    assert!(first.found.iter().all(|found| found.hit.seq > 1501), "the shortest is too old to be ranked first");
    assert!(first.found.is_sorted_by_key(|found| found.hit.seq), "equal ranks by number");
    let mut all = all_pages(&store, search("soup")).await;
    all.sort_unstable();
    assert_eq!(all, (2..=2501).collect::<Vec<i64>>(), "each once");
    let few = searched(&store, SearchQuery { range: Range { after: 1601, before: i64::MAX }, ..search("soup") }).await;
    assert_eq!(few.window, None, "all of 900 were ranked");
    let rare = SearchQuery { sender: Some("rare".into()), ..search("soup") };
    assert_eq!(all_pages(&store, rare).await.len(), 25, "filters come first");
    let none = SearchQuery { sender: Some("rar".into()), ..search("soup") };
    assert!(searched(&store, none).await.found.is_empty());
    for text in ["r1", "r2", "room", "\"plate soup\"", "\"of a\""] {
        assert!(searched(&store, search(text)).await.found.is_empty(), "{text}");
    }
    assert_eq!(searched(&store, search("rare")).await.found.len(), 25, "senders' names match too");
    assert_eq!(searched(&store, search("\"plate of soup 77\"")).await.found.len(), 1);
}

#[tokio::test]
async fn direct_messages_are_found_by_their_two_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sent = store.write(|tx| tx.send_direct(&direct("ada", "bob"))).await.unwrap();
    let person = |name: &str| Viewer::Person(name.into());
    for (viewer, seen) in
        [(Viewer::Everyone, 1), (person("ada"), 1), (person("bob"), 1), (person("eve"), 0), (Viewer::Nobody, 0)]
    {
        for room in [None, Some(sent.room_id)] {
            let found = searched(&store, SearchQuery { viewer: viewer.clone(), room, ..search("secret") }).await.found;
            let active = ActivityQuery { room, ..activity(viewer.clone()) };
            let (target, range) = ("bob".to_owned(), Range { after: 0, before: i64::MAX });
            let mentions = MentionQuery { target, range, room, limit: 5, viewer: viewer.clone() };
            let viewer = viewer.clone();
            let counts = store.read(move |read| {
                let unread = read.unread_mentions("bob", &viewer)?.0.len();
                Ok((read.activity(&active)?.hits.len(), read.mentions(&mentions)?.hits.len(), unread))
            });
            assert_eq!((found.len(), counts.await.unwrap()), (seen, (seen, seen, seen)));
        }
    }
}

#[tokio::test]
async fn unread_agrees_with_counting() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (lab, hall) = (room(&store, "lab").await, room(&store, "hall").await);
    fill(&store, lab, 600, |number| format!("x {number}")).await;
    for read_up_to in [0, 2, 3, 10, 300, 602, 603, 9999] {
        let reader = format!("reader {read_up_to}");
        let name = reader.clone();
        store.write(move |tx| tx.mark_read(lab, &Viewer::Everyone, &name, read_up_to)).await.unwrap();
        let rooms = store.read(move |read| read.unread_rooms(&reader)).await.unwrap();
        let unread: Vec<_> = rooms.iter().map(|room| (room.room_name.as_str(), room.unread, room.latest_seq)).collect();
        // Messages have the numbers 3 to 602.
        let expected = (602 - read_up_to.max(2)).max(0);
        assert_eq!(unread, [("hall", 0, 0), ("lab", expected, 602)], "{read_up_to}");
        assert_eq!((rooms[1].last_read_seq, rooms[0].room_id), (read_up_to, hall));
    }
    let own = store.read(|read| read.unread_rooms("rare")).await.unwrap();
    assert_eq!(own[1].unread, 594, "one's own are not unread");
}

#[tokio::test]
async fn walk_with_filters_stops_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lab = room(&store, "lab").await;
    fill(&store, lab, 20_100, |number| format!("@bob {number}")).await;
    let human = ActivityQuery { sender_type: Some("human".into()), ..activity(Viewer::Everyone) };
    let page = store.read(move |read| read.activity(&human)).await.unwrap();
    assert_eq!((page.hits.len(), page.next), (0, Some(102)), "20000 of 20100 were looked at");
    let (mentions, truncated) = store.read(|read| read.unread_mentions("bob", &Viewer::Everyone)).await.unwrap();
    assert!(truncated && mentions[0].count >= 20_000);
    let (target, range) = ("nobody".to_owned(), Range { after: 0, before: i64::MAX });
    let query = MentionQuery { target, range, room: Some(lab), limit: 5, viewer: Viewer::Everyone };
    assert_eq!(store.read(move |read| read.mentions(&query)).await.unwrap().next, None);
}
