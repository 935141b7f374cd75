//! What waits for each instance.

use super::*;
use plugin_api::types::Priority;
use serde_json::json;
use std::time::Duration;

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    store.read(|read| read.backlogs()).await.unwrap();
}

#[tokio::test]
async fn backlog_counts_by_state_and_tells_the_oldest_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let add = |lane: &'static str| {
        store.write(move |tx| tx.enqueue_task("poller", lane, &json!({}), Duration::ZERO, Priority::Normal))
    };
    let first = add("a").await.unwrap();
    add("b").await.unwrap();
    let made = store.read(move |read| Ok(read.job(first)?.unwrap().created_at)).await.unwrap();
    let backlogs = store.read(|read| read.backlogs()).await.unwrap();
    let poller = &backlogs["poller"];
    assert_eq!((poller.depth(), poller.oldest, backlogs.len()), (2, Some(made), 1));
}
