//! The end of what visitors of the native bridge API left.

use super::*;
use serde_json::json;

fn arrival(session: &str, uid: &str, instance: &str) -> Arrival {
    Arrival {
        instance: instance.into(),
        platform: instance.into(),
        platform_user_id: uid.into(),
        username: format!("visitor_{uid}"),
        display_name: "Visitor".into(),
        conversation: session.into(),
        external_id: None,
        content: "hello".into(),
        metadata: serde_json::Map::new(),
        ip_address: None,
    }
}

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    store
        .write(|tx| {
            tx.arrive(&arrival("the last session", "the last", "bridge"), &Turn::Inbox)?;
            let newest = tx.read().newest_conversation()?;
            while !tx.forget_sessions(newest)?.is_last {}
            Ok(())
        })
        .await
        .unwrap();
    purge(store).await;
}

async fn purge(store: &Store) {
    while let Some(room) = store.read(|read| read.deleted_room(0)).await.unwrap() {
        store.write(move |tx| tx.purge_room(room)).await.unwrap();
    }
}

#[tokio::test]
async fn visitors_go_with_the_last_of_their_words_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let arrivals = [
        ("a", "one", "bridge"),
        // Another wrote there too, and has a session of their own.
        ("a", "two", "bridge"),
        ("b", "two", "bridge"),
        ("c", "one", "bridge"),
        ("a", "one", "web_chat"),
    ];
    store
        .write(move |tx| {
            for (session, uid, instance) in arrivals {
                tx.arrive(&arrival(session, uid, instance), &Turn::Inbox)?;
            }
            let draft = |room| Draft::new(room, "agent", "hi", &json!({}), Some("agent"));
            tx.respond("b", draft, None, None).map(drop)
        })
        .await
        .unwrap();
    let newest = store.read(|read| read.newest_conversation()).await.unwrap();
    let first = store.write(move |tx| tx.forget_sessions(newest)).await.unwrap();
    assert!(first.sessions == 2 && !first.is_last, "{first:?}");
    let late = store.write(move |tx| tx.arrive(&arrival("late", "three", "bridge"), &Turn::Nobody)).await.unwrap();
    let all = first.and(store.write(move |tx| tx.forget_sessions(newest)).await.unwrap());
    assert_eq!(all, ClearedSessions { sessions: 3, messages: 4, responses: 1, is_last: true });
    purge(&store).await;
    let users = store.read(|read| read.users(None, 10)).await.unwrap();
    let left: Vec<_> = users.iter().flat_map(|user| &user.profiles).map(|row| row.platform_user_id.as_str()).collect();
    assert_eq!((users.len(), left), (2, vec!["three", "one"]), "the late one, and the one of another platform");
    let rows = store.read(|read| Ok((read.newest_conversation()?, read.all_events(0, 100)?))).await.unwrap();
    let messages: Vec<i64> = rows.1.iter().filter(|row| row.kind == Kind::Message).map(|row| row.seq).collect();
    assert_eq!(messages.last(), Some(&late.unwrap().message.seq));
    assert_eq!(messages.len(), 2, "nothing else of theirs is left");
}
