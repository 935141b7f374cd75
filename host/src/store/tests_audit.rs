//! The record of deeds.

use super::*;
use serde_json::json;

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    let actor = Actor { name: "operator".into(), origin: "127.0.0.1".into() };
    let deeds = [
        Deed::done(&actor, "plugins.enable", "web_chat", json!({})),
        Deed::refused(&actor, "queue.retry", "x".repeat(1000), "unknown"),
        Deed::done(&actor, "plugins.enable", "long", json!("x".repeat(10_000))),
    ];
    store.write(move |tx| deeds.iter().try_for_each(|deed| tx.audit(deed))).await.unwrap();
    let rows = store.read(|read| read.audit(None, i64::MAX, 10)).await.unwrap();
    assert_eq!(rows.len(), 3, "newest first: {rows:?}");
    assert_eq!(
        (rows[0].detail.as_str(), rows[1].subject.len(), rows[1].was_done),
        ("{\"left_out\":\"too long\"}", 300, false)
    );
    let step = Deed::done(&actor, "plugins.enable", "web_chat", json!({ "affected": 7 })).unfinished();
    let (row, subject) = (rows[2].key, rows[2].subject.clone());
    assert_eq!(store.write(move |tx| tx.audit_step(Some(row), &step)).await, Ok(row));
    let begun = store.read(move |read| read.unfinished_deed(&actor, "plugins.enable", &subject)).await;
    assert_eq!(begun, Ok(Some((row, json!({ "affected": 7, "unfinished": true })))));
    let counts = vec![("assistant".to_owned(), State::Pending.name().to_owned(), 1)];
    store.read(move |read| read.oldest_jobs(&counts)).await.unwrap();
    store.read(health::use_all).await.unwrap();
    let enabled = store.read(move |read| read.audit(Some("plugins.enable"), rows[0].key, 10)).await.unwrap();
    assert_eq!(enabled.iter().map(|row| row.subject.as_str()).collect::<Vec<_>>(), ["web_chat"]);
}

fn open(folder: &tempfile::TempDir) -> Store {
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    Store::open(&options, Arc::default()).unwrap().0
}

#[tokio::test]
async fn deed_in_steps_keeps_its_row_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (ada, bob) = (Actor::token("ada", "127.0.0.1"), Actor::token("bob", "127.0.0.1"));
    let step = |actor: &Actor, affected: i64| Deed::done(actor, "queue.flush", "all", json!({ "affected": affected }));
    let write = async |row: Option<i64>, deed: Deed| store.write(move |tx| tx.audit_step(row, &deed)).await.unwrap();
    let unfinished = async |actor: &Actor, subject: &'static str| {
        let actor = actor.clone();
        store.read(move |read| read.unfinished_deed(&actor, "queue.flush", subject)).await.unwrap()
    };
    let row = write(None, step(&ada, 1).unfinished()).await;
    assert_eq!(unfinished(&ada, "all").await, Some((row, json!({ "affected": 1, "unfinished": true }))));
    assert_eq!((unfinished(&bob, "all").await, unfinished(&ada, "state=failed").await), (None, None));
    assert_eq!(write(Some(row), step(&ada, 2)).await, row);
    assert_eq!(unfinished(&ada, "all").await, None, "it came to its end");
    let rows = store.read(|read| read.audit(None, i64::MAX, 9)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.detail.as_str()).collect::<Vec<_>>(), ["{\"affected\":2}"]);
    assert!(write(Some(row + 100), step(&ada, 3)).await > row, "a row that has gone is made again");
}

#[tokio::test]
async fn detail_that_is_too_long_keeps_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let detail = json!({ "affected": 7, "error": "x".repeat(9000), "selection": { "lane": "y".repeat(9000) } });
    let deed = Deed::done(&Actor::operator("command line"), "queue.flush", "all", detail).unfinished();
    store.write(move |tx| tx.audit(&deed)).await.unwrap();
    let rows = store.read(|read| read.audit(None, i64::MAX, 9)).await.unwrap();
    let kept = json!({ "affected": 7, "error": "x".repeat(300), "left_out": "too long", "unfinished": true });
    assert_eq!(rows[0].detail, kept.to_string());
}

#[tokio::test]
async fn record_of_deeds_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let actor = Actor { name: "signal".into(), origin: String::new() };
    let deeds: Vec<Deed> = (0..80).map(|number| Deed::done(&actor, "reload", number.to_string(), json!({}))).collect();
    store.write(move |tx| deeds.iter().try_for_each(|deed| tx.audit(deed))).await.unwrap();
    let rows = store.read(|read| read.audit(None, i64::MAX, 100)).await.unwrap();
    assert_eq!((rows.len(), rows[0].subject.as_str(), rows[49].subject.as_str()), (50, "79", "30"));
}
