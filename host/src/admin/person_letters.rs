//! Rows from platforms that could not be taken, as far as they name one person: part of their export, and removed with them.

use crate::clock::{self, pause_after};
use crate::error::Result;
use crate::store::{DeadLetter, Store};
use serde_json::{Value, json};
use std::time::Instant;

/// To be done before anything else is forgotten: what is gone cannot be looked for.
pub(super) async fn forget(store: &Store, user: i64) -> Result<()> {
    let mut after = Some(0);
    while let Some(from) = after {
        let begun = Instant::now();
        let (letters, next) = page(store, user, from).await?;
        let keys: Vec<_> = letters.iter().map(|letter| letter.key).collect();
        if !keys.is_empty() {
            store.write_patiently(move |tx| tx.remove_letters(&keys)).await?;
        }
        after = next;
        pause_after(begun).await;
    }
    Ok(())
}

/// Those of one page, and where the next one begins.
pub(super) async fn page(store: &Store, user: i64, after: i64) -> Result<(Vec<DeadLetter>, Option<i64>)> {
    let read = move |read: &crate::store::Read<'_>| Ok((read.traces(user)?, read.dead_letters(after)?));
    let (traces, page) = store.read(read).await?;
    let next = page.last().map(|last| last.key);
    Ok((page.into_iter().filter(|letter| traces.lead_to(letter)).collect(), next))
}

/// As a line of the export shows it.
pub(super) fn fields(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "work": "ingest",
        "state": letter.state,
        "plugin": letter.instance,
        "raw": letter.raw,
        "last_error": letter.last_error,
        "created_at": clock::format(letter.created_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Arrival, Options, Turn};
    use std::sync::Arc;

    #[tokio::test]
    async fn rows_that_name_a_person_are_theirs_over_many_pages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arcuate.db");
        let options = Options { path, full_durability: false, readers: 1, existing: false };
        let store = Store::open(&options, Arc::default()).unwrap().0;
        let arrival = Arrival {
            instance: "site".into(),
            platform: "web".into(),
            platform_user_id: "ada".into(),
            username: "ada".into(),
            display_name: "Ada".into(),
            conversation: "session_1".into(),
            external_id: None,
            content: "hello".into(),
            metadata: serde_json::Map::new(),
            ip_address: None,
        };
        let user = store.write(move |tx| {
            for number in 0..100 {
                let person = ["ada", "bob"][number % 2];
                let raw = json!({ "id": number, "uid": person }).to_string();
                tx.keep_malformed("site", &raw, "ingest", &raw, "no words")?;
            }
            tx.arrive(&arrival, &Turn::Nobody)?;
            Ok(tx.read().user_of("web", "ada")?.unwrap().key)
        });
        let user = user.await.unwrap();
        let count = async || {
            let (mut found, mut after) = (0, Some(0));
            while let Some(from) = after {
                let (letters, next) = page(&store, user, from).await.unwrap();
                assert!(letters.iter().all(|letter| fields(letter)["raw"].as_str().unwrap().contains("ada")));
                (found, after) = (found + letters.len(), next);
            }
            found
        };
        assert_eq!(count().await, 50);
        forget(&store, user).await.unwrap();
        assert_eq!(count().await, 0);
        let left = store.read(|read| read.job_counts()).await.unwrap();
        assert_eq!(left.iter().map(|(.., count)| count).sum::<i64>(), 50, "bob's are there");
    }
}
