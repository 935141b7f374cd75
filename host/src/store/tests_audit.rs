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
    let rows = store.read(|read| read.audit(&DeedFilter::default(), i64::MAX, 10)).await.unwrap();
    assert_eq!(rows.len(), 3, "newest first: {rows:?}");
    assert_eq!(
        (rows[0].detail.as_str(), rows[1].subject.len(), rows[1].was_done),
        ("{\"left_out\":\"too long\"}", 300, false)
    );
    let counts = vec![("assistant".to_owned(), State::Pending.name().to_owned(), 1)];
    store.read(move |read| read.oldest_jobs(&counts)).await.unwrap();
    store.read(health::use_all).await.unwrap();
    let filter = DeedFilter { action: Some("plugins.enable".into()), ..DeedFilter::default() };
    let newest = rows[0].clone();
    let enabled = store.read(move |read| read.audit(&filter, rows[0].key, 10)).await.unwrap();
    assert_eq!(enabled.iter().map(|row| row.subject.as_str()).collect::<Vec<_>>(), ["web_chat"]);
    let filters = [
        (DeedFilter { actor: Some("operator".into()), ..DeedFilter::default() }, 3),
        (DeedFilter { actor: Some("signal".into()), ..DeedFilter::default() }, 0),
        (DeedFilter { was_done: Some(false), ..DeedFilter::default() }, 1),
        (DeedFilter { since: Some(newest.at), ..DeedFilter::default() }, 1),
        (DeedFilter { since: Some(newest.at + 1), ..DeedFilter::default() }, 0),
    ];
    for (filter, count) in filters {
        let shown = format!("{filter:?}");
        let found = store.read(move |read| read.audit(&filter, i64::MAX, 10)).await.unwrap();
        assert_eq!(found.len(), count, "{shown}");
    }
}

#[tokio::test]
async fn record_of_deeds_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let actor = Actor { name: "signal".into(), origin: String::new() };
    let deeds: Vec<Deed> = (0..80).map(|number| Deed::done(&actor, "reload", number.to_string(), json!({}))).collect();
    store.write(move |tx| deeds.iter().try_for_each(|deed| tx.audit(deed))).await.unwrap();
    let rows = store.read(|read| read.audit(&DeedFilter::default(), i64::MAX, 100)).await.unwrap();
    assert_eq!((rows.len(), rows[0].subject.as_str(), rows[49].subject.as_str()), (50, "79", "30"));
}
