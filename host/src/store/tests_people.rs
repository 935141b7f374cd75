//! People: merged and split, exported and forgotten; and conversations that a person takes over.

use super::*;
use crate::ids::{ConversationId, UserId};
use plugin_api::types::Mode;
use serde_json::json;
use std::collections::BTreeSet;

fn arrival(platform: &str, person: &str, conversation: &str, content: &str) -> Arrival {
    Arrival {
        instance: platform.into(),
        platform: platform.into(),
        platform_user_id: person.into(),
        username: person.into(),
        display_name: format!("Name of {person}"),
        conversation: conversation.into(),
        external_id: Some(format!("{conversation}/{person}/{content}")),
        content: content.into(),
        metadata: serde_json::Map::new(),
        ip_address: None,
    }
}

async fn arrive(store: &Store, platform: &str, person: &str, conversation: &str, content: &str) -> Option<Arrived> {
    let arrival = arrival(platform, person, conversation, content);
    let turn = Turn::agent("listener", Mode::Live);
    store.write(move |tx| tx.arrive(&arrival, &turn)).await.unwrap()
}

async fn user(store: &Store, platform: &str, person: &str) -> UserId {
    let (platform, person) = (platform.to_owned(), person.to_owned());
    store.read(move |read| read.user_of(&platform, &person)).await.unwrap().unwrap().id
}

async fn forget(store: &Store, id: UserId) -> Forgotten {
    let key = store.read(move |read| read.person(id)).await.unwrap().unwrap().user.key;
    let mut sum = Forgotten::default();
    for _ in 0..1000 {
        let step = store.write(move |tx| tx.forget_some(key)).await.unwrap();
        sum.conversations += step.conversations;
        sum.messages += step.messages;
        sum.profiles += step.profiles;
        if step.done {
            return Forgotten { done: true, ..sum };
        }
    }
    panic!("it never ends: {sum:?}");
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arcuate.db");
    let store = Store::open(&Options { path, full_durability: false, readers: 1, existing: false }, Arc::default());
    (folder, store.unwrap().0)
}

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    found(store, UserFilter { part: Some("ada".into()), ..UserFilter::default() }, 10).await;
    arrive(store, "site", "ada", "s1", "hello").await;
    let group = arrive(store, "chat", "ada_l", "group", "one").await.unwrap().room_id;
    arrive(store, "chat", "bob", "group", "two").await;
    let asked = arrive(store, "chat", "ada_l", "group", "three").await.unwrap().message.id;
    arrive(store, "chat", "ada_l", "direct", "psst").await;
    store
        .write(move |tx| {
            let draft = Draft::new(group, "assistant", "an answer", &json!({}), Some("agent"))?;
            tx.post_message(&draft, Some(asked), &Viewer::Everyone)
        })
        .await
        .unwrap();
    let (site, chat) = (user(store, "site", "ada").await, user(store, "chat", "ada_l").await);
    store.write(move |tx| tx.merge_people(chat, site)).await.unwrap();
    store.write(move |tx| tx.split_person(site, &Part::Profile("chat".into(), "ada_l".into()))).await.unwrap();
    store.write(move |tx| tx.merge_people(chat, site)).await.unwrap();
    store.write(move |tx| tx.split_person(chat, &Part::Merged)).await.unwrap();
    store.write(move |tx| tx.merge_people(chat, site)).await.unwrap();
    takeovers(store).await;
    sends(store).await;
    let key = store.read(move |read| read.person(chat)).await.unwrap().unwrap().user.key;
    store
        .read(move |read| {
            assert_eq!(read.conversation_counts(key, 10)?, (2, 1));
            read.history(read.room_key(group)?, i64::MAX, 10)?;
            let conversations = read.export_conversations(key, 0, 10)?;
            let alone: Vec<_> = conversations.iter().map(|conversation| conversation.is_alone).collect();
            assert_eq!(alone, [true, false, true]);
            let texts = read.export_messages(key, &conversations[1], 0)?.0;
            assert_eq!(
                texts.iter().map(|message| message.is_own).collect::<Vec<_>>(),
                [true, true, false],
                "{texts:?}"
            );
            read.export_files(key, conversations[0].room, i64::MAX)?;
            read.export_deliveries(&BTreeSet::from([conversations[0].id.to_string()]), 0)
        })
        .await
        .unwrap();
    leavings(store, key).await;
    assert_eq!(forget(store, site).await.profiles, 2);
}

async fn leavings(store: &Store, user: i64) {
    let deed = Deed::done(&Actor { name: "operator".into(), origin: "here".into() }, "users.forget", "", json!({}));
    store
        .write(move |tx| {
            tx.keep_malformed("site", "leavings", "ingest", "{}", "no words")?;
            let keys: Vec<_> = tx.read().dead_letters(0)?.iter().map(|letter| letter.key).collect();
            tx.remove_letters(&keys)?;
            let row = tx.audit_step(None, &deed.clone().unfinished())?;
            tx.audit_step(Some(row), &deed)?;
            tx.sweep_windows()
        })
        .await
        .unwrap();
    store.read(move |read| Ok((read.traces(user)?, read.has_old_windows()?))).await.unwrap();
}

async fn takeovers(store: &Store) {
    let id = conversation(store, "direct").await;
    let later = crate::clock::now() + 60_000_000;
    store.write(move |tx| tx.take_over_conversation(id, "cyd", Some(later))).await.unwrap();
    let refused = store.write(move |tx| tx.take_over_conversation(id, "dan", None)).await;
    assert!(matches!(&refused, Err(Error::Conflict(text)) if text.contains("cyd has this conversation until ")));
    for (taken, expected) in [(Some(true), true), (Some(false), false), (None, true)] {
        for user in [None, Some(user(store, "chat", "ada_l").await)] {
            let filter = ConversationFilter { taken, user, ..ConversationFilter::default() };
            let rows = store.read(move |read| read.conversations(&filter, None, 100)).await.unwrap();
            assert_eq!(rows.iter().any(|row| row.id == id), expected, "{taken:?}");
        }
    }
    let filter = ConversationFilter { taken: Some(true), platform: Some("chat".into()), user: None };
    assert_eq!(store.read(move |read| read.conversations(&filter, None, 100)).await.unwrap().len(), 1);
    let released = store.write(move |tx| tx.release_conversation(id, Some("cyd"))).await.unwrap();
    assert_eq!(released.taken, None);
}

async fn sends(store: &Store) {
    let whom = Target::Person { platform: "chat".into(), platform_user_id: "ada_l".into() };
    let id = conversation(store, "direct").await;
    let mut seqs = Vec::new();
    for target in [whom, Target::Conversation(id)] {
        let draft = |room| Draft::new(room, "cyd", "first", &json!({}), None);
        seqs.push(store.write(move |tx| tx.send(&target, draft, Some("key"))).await.unwrap().seq);
    }
    assert_eq!(seqs[0], seqs[1], "the same conversation, and the same key");
    let draft = |room| Draft::new(room, "cyd", "other", &json!({}), None);
    let other = store.write(move |tx| tx.send(&Target::Conversation(id), draft, Some("key"))).await;
    assert!(matches!(&other, Err(Error::Conflict(text)) if text.contains("used for another message")), "{other:?}");
}

async fn conversation(store: &Store, external: &'static str) -> ConversationId {
    let rows = store.read(|read| read.conversations(&ConversationFilter::default(), None, 100)).await.unwrap();
    rows.into_iter().find(|row| row.external_id == external).unwrap().id
}

/// Ids of the platform's users who fit, page by page, until there are no more.
async fn found(store: &Store, filter: UserFilter, limit: usize) -> Vec<String> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let asked = filter.clone();
        let (page, next) = store.read(move |read| read.find_users(&asked, before, limit)).await.unwrap();
        assert!(page.len() <= limit, "{page:?}");
        found.extend(page.into_iter().map(|user| user.profiles[0].platform_user_id.clone()));
        match next {
            Some(next) => before = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn people_are_found_by_platform_id_and_a_part_of_their_names() {
    let (_folder, store) = store();
    for number in 0..70 {
        let platform = if number % 30 == 0 { "rare" } else { "usual" };
        arrive(&store, platform, &format!("U{number}"), &format!("with {number}"), "hello").await;
    }
    let text = |text: &str| Some(text.to_owned());
    let rare = UserFilter { platform: text("rare"), ..UserFilter::default() };
    for limit in [1, 2, 10] {
        assert_eq!(found(&store, rare.clone(), limit).await, ["U60", "U30", "U0"]);
    }
    let named = UserFilter { part: text("of u6"), ..UserFilter::default() };
    assert_eq!(found(&store, named, 4).await.len(), 11, "U6 and U60 to U69");
    let one = UserFilter { platform_user_id: text("U7"), ..UserFilter::default() };
    assert_eq!(found(&store, one.clone(), 10).await, ["U7"]);
    for (platform, expected) in [("usual", 1), ("rare", 0)] {
        let exact = UserFilter { platform: text(platform), ..one.clone() };
        assert_eq!(found(&store, exact, 10).await.len(), expected, "{platform}");
    }
    let (a, b) = (user(&store, "usual", "U1").await, user(&store, "rare", "U30").await);
    store.write(move |tx| tx.merge_people(b, a)).await.unwrap();
    assert_eq!(found(&store, rare, 10).await, ["U60", "U1", "U0"], "of a merged person whoever has the profile");
}

#[tokio::test]
async fn merge_of_a_merged_person_leads_to_the_last_and_each_profile_goes_back() {
    let (_folder, store) = store();
    for (platform, person) in [("p1", "a"), ("p2", "b"), ("p3", "c")] {
        arrive(&store, platform, person, &format!("with {person}"), "hello").await;
    }
    let [a, b, c] = [user(&store, "p1", "a").await, user(&store, "p2", "b").await, user(&store, "p3", "c").await];
    store.write(move |tx| tx.merge_people(a, b)).await.unwrap();
    let again = store.write(move |tx| tx.merge_people(a, c)).await;
    assert!(matches!(&again, Err(Error::Conflict(text)) if text.contains(&b.to_string())), "{again:?}");
    store.write(move |tx| tx.merge_people(b, c)).await.unwrap();
    for id in [a, b, c] {
        let person = store.read(move |read| read.person(id)).await.unwrap().unwrap();
        assert_eq!((person.user.id, person.user.profiles.len(), person.merged.len()), (c, 3, 2));
    }
    assert_eq!(store.read(|read| read.users(None, 10)).await.unwrap().len(), 1, "one person is listed");
    let rows = store.read(move |read| {
        let filter = ConversationFilter { user: Some(a), ..ConversationFilter::default() };
        read.conversations(&filter, None, 10)
    });
    assert_eq!(rows.await.unwrap().len(), 3, "by any of their ids");

    let moved = store.write(move |tx| tx.split_person(a, &Part::Merged)).await.unwrap();
    assert_eq!(moved, [Moved { from: c, to: a, profiles: 1 }]);
    assert_eq!(user(&store, "p1", "a").await, a);
    let moved = store.write(move |tx| tx.split_person(c, &Part::Merged)).await.unwrap();
    assert_eq!(moved, [Moved { from: c, to: b, profiles: 1 }]);
    let nothing = store.write(move |tx| tx.split_person(c, &Part::Merged)).await;
    assert!(matches!(nothing, Err(Error::Conflict(_))), "{nothing:?}");
    let last = store.write(move |tx| tx.split_person(c, &Part::Profile("p3".into(), "c".into()))).await;
    assert!(matches!(&last, Err(Error::Conflict(text)) if text.contains("no other profile")), "{last:?}");
    assert_eq!(store.read(|read| read.users(None, 10)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn history_of_a_merged_person_comes_from_what_is_theirs_alone() {
    let (_folder, store) = store();
    arrive(&store, "p1", "a", "first", "on the first").await;
    arrive(&store, "p2", "b", "second", "on the second").await;
    arrive(&store, "p2", "b", "group", "to all").await;
    arrive(&store, "p2", "x", "group", "from somebody").await;
    let room = |conversation: &'static str| {
        let store = store.clone();
        async move {
            let rows = store.read(|read| read.conversations(&ConversationFilter::default(), None, 10)).await.unwrap();
            rows.into_iter().find(|row| row.external_id == conversation).unwrap().room
        }
    };
    let history = |room: i64| {
        let store = store.clone();
        async move {
            let rows = store.read(move |read| read.history(room, i64::MAX, 10)).await.unwrap();
            rows.iter().map(|json| Message::from_json(json).unwrap().content).collect::<Vec<_>>()
        }
    };
    let (first, group) = (room("first").await, room("group").await);
    assert_eq!(history(first).await, ["on the first"]);
    let (a, b) = (user(&store, "p1", "a").await, user(&store, "p2", "b").await);
    store.write(move |tx| tx.merge_people(b, a)).await.unwrap();
    assert_eq!(history(first).await, ["on the first", "on the second"]);
    assert_eq!(history(group).await, ["to all", "from somebody"]);
    store.write(move |tx| tx.split_person(b, &Part::Merged)).await.unwrap();
    assert_eq!(history(first).await, ["on the first"]);
}

#[tokio::test]
async fn forgotten_person_leaves_nothing_but_the_keys_of_what_they_wrote() {
    let (_folder, store) = store();
    arrive(&store, "p1", "ada", "alone", "mine").await;
    let group = arrive(&store, "p1", "ada", "group", "one").await.unwrap();
    arrive(&store, "p1", "bob", "group", "two").await;
    for number in 0..120 {
        arrive(&store, "p1", "ada", "group", &format!("more {number}")).await;
    }
    let (room, asked) = (group.room_id, group.message.id);
    let post = store.write(move |tx| {
        let draft = Draft::new(room, "assistant", "hello ada", &json!({}), Some("agent"))?;
        tx.post_message(&draft, Some(asked), &Viewer::Everyone)
    });
    post.await.unwrap();
    let ada = user(&store, "p1", "ada").await;
    let done = forget(&store, ada).await;
    assert_eq!((done.conversations, done.messages, done.profiles), (1, 123, 1));

    assert!(store.read(move |read| read.person(ada)).await.unwrap().is_none());
    let left = [
        ("messages where sender like '%ada%' or json like '% ada%' or json like '%/ada/%'", 0),
        ("events where data like '%mine%' or data like '% ada%' or data like '%/ada/%' or data like '%alone%'", 0),
        ("participants where sender like '%ada%'", 0),
        ("senders where sender like '%ada%'", 0),
        ("rooms where name like '%alone%' or created_by like '%ada%'", 0),
        ("conversation_people", 1),
        ("conversations", 1),
    ];
    // Aside from the store's own statements, whose plans are looked at.
    let connection = Connection::open(store.path()).unwrap();
    for (rows, expected) in left {
        let count: i64 = connection.query_row(&format!("select count(*) from {rows}"), [], |row| row.get(0)).unwrap();
        assert_eq!(count, expected, "{rows}");
    }
    assert!(arrive(&store, "p1", "ada", "alone", "mine").await.is_none(), "what came in once does not come again");
    assert!(store.read(|read| read.user_of("p1", "ada")).await.unwrap().is_none());
    assert!(arrive(&store, "p1", "ada", "alone", "a new word").await.unwrap().is_new_user);
    let left = store.read(move |read| read.history(read.room_key(room)?, i64::MAX, 10)).await.unwrap();
    assert_eq!(left.len(), 1, "bob's word is there: {left:?}");
}

#[tokio::test]
async fn person_forgotten_takes_along_rows_that_name_them_and_nobody_elses() {
    let (_folder, store) = store();
    arrive(&store, "p1", "ada", "alone", "mine").await;
    arrive(&store, "p1", "ada", "group", "one").await;
    arrive(&store, "p1", "bob", "group", "two").await;
    let ada = user(&store, "p1", "ada").await;
    let rows = [
        r#"{"id":1,"uid":"ada","words":null}"#,
        r#"{"id":2,"session":"alone","words":null}"#,
        r#"{"id":3,"session":"group","uid":"bob"}"#,
        "no JSON of ada",
    ];
    store
        .write(move |tx| {
            for row in rows {
                tx.keep_malformed("p1", row, "ingest", row, "no words")?;
            }
            tx.keep_malformed("p2", "other", "ingest", r#"{"uid":"ada"}"#, "no words")?;
            let actor = Actor { name: "operator".into(), origin: "here".into() };
            tx.audit(&Deed::done(&actor, "send", "p1:ada", json!({ "error": "ada has no conversation" })))
        })
        .await
        .unwrap();
    let theirs = store
        .read(move |read| {
            let traces = read.traces(read.person(ada)?.unwrap().user.key)?;
            let letters = read.dead_letters(0)?;
            assert_eq!(letters.len(), 5);
            Ok(letters.iter().filter(|letter| traces.lead_to(letter)).map(|letter| letter.key).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(theirs.len(), 2);
    store.write(move |tx| tx.remove_letters(&theirs)).await.unwrap();
    forget(&store, ada).await;
    let left = store
        .read(|read| Ok((read.dead_letters(0)?, read.audit(&DeedFilter::default(), i64::MAX, 10)?)))
        .await
        .unwrap();
    let raws: Vec<_> = left.0.iter().map(|letter| letter.raw.as_str()).collect();
    assert_eq!(raws, [rows[2], rows[3], r#"{"uid":"ada"}"#]);
    assert_eq!((left.1[0].subject.as_str(), left.1[0].detail.as_str()), ("forgotten", "{}"));
    let failed = store.read(|read| read.job_counts()).await.unwrap();
    let failed: i64 = failed.iter().filter(|(_, state, _)| state == "failed").map(|(.., count)| count).sum();
    assert_eq!(failed, 3, "and they are counted");
}

#[tokio::test]
async fn visitor_of_two_names_in_one_session_goes_whole_also_with_who_was_merged_into_them() {
    let (_folder, store) = store();
    for person in ["ada", "bob", "cyd"] {
        arrive(&store, "bridge", person, "shared", &format!("from {person}")).await;
    }
    arrive(&store, "bridge", "ada", "shared", "again").await;
    let (ada, bob) = (user(&store, "bridge", "ada").await, user(&store, "bridge", "bob").await);
    store.write(move |tx| tx.merge_people(ada, bob)).await.unwrap();
    let newest = store.read(|read| read.newest_conversation()).await.unwrap();
    store.write(move |tx| tx.forget_sessions(newest)).await.unwrap();
    while let Some(room) = store.read(|read| read.deleted_room(0)).await.unwrap() {
        store.write(move |tx| tx.purge_room(room)).await.unwrap();
    }
    let connection = Connection::open(store.path()).unwrap();
    for rows in ["users", "platform_profiles", "conversation_people", "conversations", "senders"] {
        let count: i64 = connection.query_row(&format!("select count(*) from {rows}"), [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{rows}");
    }
}

#[tokio::test]
async fn refusals_are_forgotten_with_the_person_and_old_windows_swept() {
    let (_folder, store) = store();
    let refused = |person: &'static str, conversation: &'static str| {
        let refusal = Refusal { instance: "a".into(), speaker: "a".into(), person: person.into(), text: "no".into() };
        let arrival = arrival("p1", person, conversation, &format!("{person} in {conversation}"));
        store.write(move |tx| tx.arrive(&arrival, &Turn::Refused(refusal.clone())).map(drop))
    };
    for (person, conversation) in [("ada", "group"), ("bob", "group"), ("ada", "alone")] {
        refused(person, conversation).await.unwrap();
    }
    let connection = Connection::open(store.path()).unwrap();
    let named = |name: &str| -> i64 {
        let sql = "select count(*) from turn_windows where lane like '%' || ?1";
        connection.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    assert_eq!((named("ada"), named("bob")), (2, 1));
    forget(&store, user(&store, "p1", "ada").await).await;
    assert_eq!((named("ada"), named("bob")), (0, 1));
    assert!(!store.read(|read| read.has_old_windows()).await.unwrap());
    connection.execute("update turn_windows set began = began - 61000000", []).unwrap();
    assert!(store.read(|read| read.has_old_windows()).await.unwrap());
    assert!(!store.write(|tx| tx.sweep_windows()).await.unwrap(), "that was all");
    assert_eq!(named("bob"), 0);
}
