//! What is remembered of each session, over restarts: the highest response id that was seen there, and how far its latest delivery got.
//! So no part is posted twice, and an older answer with equal text is not taken for a new one.
//!
//! Sessions come and go without end, and what is kept must not grow with them. So they share a fixed number of buckets, each one value in
//! the host's store with the sessions that were used last.

use plugin_api::{Host, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::{Mutex, MutexGuard};

/// Together they hold 32,768 sessions. A bridge forgets one after half an hour.
const BUCKETS: usize = 512;
/// Well within the host's 64 KiB per value.
const SESSIONS_PER_BUCKET: usize = 64;

/// One session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub session: String,
    /// The highest id of a response in it, 0 if there was none.
    pub seen: i64,
    /// The latest delivery: job id, and how many of its parts the bridge has.
    #[serde(default)]
    pub job: String,
    #[serde(default)]
    pub parts: usize,
}

impl Record {
    /// Parts of this job that the bridge has.
    pub(crate) fn parts_of(&self, job: &str) -> usize {
        if self.job == job { self.parts } else { 0 }
    }
}

/// The sessions of a bucket, the one used last at the end; `None` until they were read.
type Bucket = Option<Vec<Record>>;

pub(crate) struct Ledger {
    host: Host,
    buckets: Vec<Mutex<Bucket>>,
}

impl Ledger {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, buckets: (0..BUCKETS).map(|_| Mutex::default()).collect() }
    }

    /// What is known of a session; nothing of one that was never seen.
    pub(crate) async fn get(&self, session: &str) -> Result<Record> {
        let bucket = self.read(bucket_of(session)).await?;
        let known = bucket.iter().flatten().find(|record| record.session == session).cloned();
        Ok(known.unwrap_or_else(|| Record { session: session.to_owned(), ..Record::default() }))
    }

    /// Remembered within this process even if the host cannot store it.
    pub(crate) async fn put(&self, record: Record) -> Result<()> {
        let index = bucket_of(&record.session);
        let mut bucket = self.read(index).await?;
        let records = bucket.get_or_insert_default();
        records.retain(|other| other.session != record.session);
        records.push(record);
        self.write(index, records).await
    }

    /// The state in which sessions were found that nothing was ever delivered to.
    pub(crate) async fn found(&self, seen: BTreeMap<String, i64>) -> Result<()> {
        let mut by_bucket = BTreeMap::<usize, Vec<Record>>::new();
        for (session, seen) in seen {
            by_bucket.entry(bucket_of(&session)).or_default().push(Record { session, seen, ..Record::default() });
        }
        for (index, found) in by_bucket {
            let mut bucket = self.read(index).await?;
            let records = bucket.get_or_insert_default();
            let unknown = |record: &Record| !records.iter().any(|known| known.session == record.session);
            let mut all: Vec<_> = found.into_iter().filter(unknown).collect();
            all.append(records);
            *records = all;
            self.write(index, records).await?;
        }
        Ok(())
    }

    async fn read(&self, index: usize) -> Result<MutexGuard<'_, Bucket>> {
        let mut bucket = self.buckets[index].lock().await;
        if bucket.is_none() {
            *bucket = Some(self.host.get(&key(index)).await?.unwrap_or_default());
        }
        Ok(bucket)
    }

    async fn write(&self, index: usize, records: &mut Vec<Record>) -> Result<()> {
        records.drain(..records.len().saturating_sub(SESSIONS_PER_BUCKET));
        self.host.put(&key(index), records).await
    }
}

fn key(index: usize) -> String {
    format!("sessions/{index:03}")
}

/// FNV-1a, because it must stay the same over versions.
fn bucket_of(session: &str) -> usize {
    let hash = session.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::FakeHost;

    fn record(session: &str, seen: i64, job: &str, parts: usize) -> Record {
        Record { session: session.into(), seen, job: job.into(), parts }
    }

    #[tokio::test]
    async fn session_is_remembered_over_a_restart() {
        let fake = FakeHost::new("web_chat");
        let ledger = Ledger::new(fake.host());
        assert_eq!(ledger.get("s1").await.unwrap(), record("s1", 0, "", 0));
        ledger.put(record("s1", 7, "job", 2)).await.unwrap();
        let later = Ledger::new(fake.host());
        let known = later.get("s1").await.unwrap();
        assert_eq!(known, record("s1", 7, "job", 2));
        assert_eq!((known.parts_of("job"), known.parts_of("another")), (2, 0));
    }

    #[tokio::test]
    async fn found_state_does_not_replace_what_is_known() {
        let fake = FakeHost::new("web_chat");
        let ledger = Ledger::new(fake.host());
        ledger.put(record("s1", 7, "job", 1)).await.unwrap();
        ledger.found([("s1".to_owned(), 9), ("s2".to_owned(), 5)].into()).await.unwrap();
        let later = Ledger::new(fake.host());
        assert_eq!(later.get("s1").await.unwrap().seen, 7);
        assert_eq!(later.get("s2").await.unwrap().seen, 5);
    }

    #[tokio::test]
    async fn what_the_host_could_not_store_is_known_until_a_restart() {
        let fake = FakeHost::new("web_chat");
        let ledger = Ledger::new(fake.host());
        ledger.get("s1").await.unwrap();
        fake.fail_next("disk full");
        ledger.put(record("s1", 7, "job", 1)).await.unwrap_err();
        assert_eq!(ledger.get("s1").await.unwrap().seen, 7);
    }

    #[tokio::test]
    async fn sessions_without_end_take_bounded_room() {
        let fake = FakeHost::new("web_chat");
        let ledger = Ledger::new(fake.host());
        let crowd: Vec<String> =
            (0..).map(|n| format!("session_{n}")).filter(|s| bucket_of(s) == 0).take(100).collect();
        for (n, session) in (1..).zip(&crowd) {
            ledger.put(record(session, n, "job", 1)).await.unwrap();
        }
        let stored = fake.value(&key(0)).unwrap();
        assert_eq!(stored.as_array().unwrap().len(), SESSIONS_PER_BUCKET);
        assert_eq!(ledger.get(&crowd[0]).await.unwrap().seen, 0);
        assert_eq!(ledger.get(&crowd[99]).await.unwrap().seen, 100);
    }

    #[test]
    fn bucket_stays_the_same_over_versions() {
        // The hashes that its authors publish.
        assert_eq!(
            ["", "a", "foobar"].map(bucket_of),
            [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968].map(|hash: usize| hash % BUCKETS)
        );
    }
}
