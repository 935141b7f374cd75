//! The store's story, on real files: what is acknowledged is there, what fails fails alone, lanes keep their order.

use super::slots::Policy;
use super::*;
use crate::clock;
use plugin_api::types::{Mode, Outcome, Priority, Work};
use tempfile::TempDir;

struct Fixture {
    store: Store,
    handed: Handed,
    folder: TempDir,
}

fn open(folder: TempDir) -> Fixture {
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: true, readers: 2, existing: false };
    let (store, handed) = Store::open(&options, Arc::default()).expect("the store opens");
    Fixture { store, handed, folder }
}

fn fixture() -> Fixture {
    open(tempfile::tempdir().expect("a folder for the store"))
}

fn policy(concurrency: usize) -> Policy {
    Policy { concurrency, job_timeout: Duration::from_secs(10), max_attempts: Some(3), schedule: None }
}

fn arrival(conversation: &str, external_id: &str, content: &str) -> Arrival {
    Arrival {
        instance: "web_chat".into(),
        platform: "web_chat".into(),
        platform_user_id: format!("user of {conversation}"),
        username: "web_user".into(),
        display_name: "Web User".into(),
        conversation: conversation.into(),
        external_id: Some(external_id.into()),
        content: content.into(),
        metadata: serde_json::Map::new(),
        ip_address: None,
    }
}

fn to_agent() -> Turn {
    Turn::agent("assistant", Mode::Live)
}

impl Fixture {
    async fn arrive(&self, conversation: &str, external_id: &str) -> Option<Arrived> {
        let arrival = arrival(conversation, external_id, "hello");
        self.store.write(move |tx| tx.arrive(&arrival, &to_agent())).await.expect("a message is stored")
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Settled {
        let (key, number) = (claimed.key, claimed.number);
        self.store.write(move |tx| tx.settle(key, number, &outcome)).await.expect("a settlement is written")
    }

    async fn jobs(&self, state: State) -> Vec<JobRow> {
        let filter = JobFilter { state: Some(state), ..JobFilter::default() };
        self.store.read(move |read| read.jobs(&filter, None, 1000)).await.expect("jobs are read").0
    }

    /// What waits is flushed; answers how many that were.
    async fn flush_all(&self) -> usize {
        let keys =
            self.store.read(|read| read.job_keys(&JobFilter::default(), None, 1000)).await.expect("jobs are read").0;
        let flush = move |tx: &mut Tx<'_>| tx.change_jobs(&keys, &JobFilter::default(), JobDeed::Flush);
        self.store.write(flush).await.expect("jobs are flushed")
    }

    async fn claimed(&mut self) -> Claimed {
        tokio::time::timeout(Duration::from_secs(10), self.handed.next())
            .await
            .expect("a job is handed over within ten seconds")
            .expect("the store is open")
    }

    fn nothing_handed(&mut self) -> bool {
        self.handed.at_hand().is_none()
    }

    /// Settles whatever is handed over, until nothing comes any more.
    async fn counts_are_true(&self) {
        let counted = self
            .store
            .read(|read| {
                let mut statement = read
                    .connection
                    .prepare("select instance, state, count(*) from queue group by 1, 2 order by 1, 2")
                    .map_err(sql_error)?;
                let rows =
                    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql_error)?;
                rows.collect::<rusqlite::Result<Vec<(String, String, i64)>>>().map_err(sql_error)
            })
            .await
            .unwrap();
        let mut kept = self.store.read(|read| read.job_counts()).await.unwrap();
        kept.retain(|(.., count)| *count != 0);
        assert_eq!(kept, counted, "queue_counts differs from the rows");
    }
}

#[tokio::test]
async fn arrive_twice_with_one_external_id_stores_once() {
    let fixture = fixture();
    assert!(fixture.arrive("a", "1").await.is_some());
    assert!(fixture.arrive("a", "1").await.is_none(), "the second is a duplicate");
    assert_eq!(fixture.jobs(State::Pending).await.len(), 1);
    let users = fixture.store.read(|read| read.users(None, 10)).await.unwrap();
    assert_eq!((users.len(), users[0].profiles.len()), (1, 1));
}

#[tokio::test]
async fn write_that_fails_in_a_batch_leaves_the_others() {
    let fixture = fixture();
    let writes = (0..200).map(|number| {
        let arrival = arrival(&format!("c{}", number % 7), &number.to_string(), "hello");
        let store = fixture.store.clone();
        async move {
            store
                .write(move |tx| {
                    let arrived = tx.arrive(&arrival, &to_agent())?;
                    if number % 3 == 0 { Err(Error::Invalid("refused after the fact".into())) } else { Ok(arrived) }
                })
                .await
        }
    });
    let results = futures_util::future::join_all(writes).await;
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), number % 3 == 0, "request {number}: {result:?}");
    }
    let rows = fixture.store.read(|read| read.all_events(0, 1000)).await.unwrap();
    assert_eq!(rows.len(), 133, "only the accepted ones are in the log");
    let searched = fixture.store.read(|read| read.number("select count(*) from messages_search", [])).await.unwrap();
    assert_eq!(searched, 133, "the search index is in step");
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn panic_in_a_write_costs_that_write_alone() {
    let fixture = fixture();
    let failed = fixture.store.write(|_| -> Result<()> { panic!("on purpose") }).await;
    assert!(matches!(failed, Err(Error::Internal(_))), "{failed:?}");
    assert!(fixture.arrive("a", "1").await.is_some(), "the writer goes on");
}

#[tokio::test]
async fn job_in_a_free_lane_is_born_processing_and_the_next_is_promoted() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    let first = fixture.arrive("a", "1").await.unwrap();
    fixture.arrive("a", "2").await.unwrap();
    let claimed = fixture.claimed().await;
    assert!(fixture.nothing_handed(), "a lane has one running job");
    let Work::AgentTurn(turn) = &claimed.job.work else { panic!("an agent's turn, not {:?}", claimed.job.work) };
    assert_eq!((turn.message.seq, turn.message.content.as_str()), (first.message.seq, "hello"));
    assert_eq!(fixture.settle(&claimed, Outcome::reply("hi")).await, Settled::Written);
    let next = fixture.claimed().await;
    assert_eq!(next.job.attempt, 1);
    fixture.settle(&next, Outcome::done()).await;
    assert_eq!(fixture.jobs(State::Completed).await.len(), 2);
    let deliveries = fixture.jobs(State::Pending).await;
    assert_eq!(
        (deliveries.len(), deliveries[0].kind.as_str(), deliveries[0].instance.as_str()),
        (1, "deliver", "web_chat")
    );
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn lanes_share_the_slots_and_none_is_lost() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(2)));
    for number in 0..12 {
        fixture.arrive(&format!("c{}", number % 4), &number.to_string()).await.unwrap();
    }
    let mut running = vec![fixture.claimed().await, fixture.claimed().await];
    assert!(fixture.nothing_handed(), "two slots, two jobs");
    for _ in 0..12 {
        let claimed = running.remove(0);
        fixture.settle(&claimed, Outcome::done()).await;
        if let Some(next) = fixture.handed.at_hand() {
            running.push(next);
        }
    }
    assert_eq!(fixture.jobs(State::Completed).await.len(), 12);
    assert_eq!(fixture.store.with_slots(|slots| slots.free("assistant")), 2, "all slots are free again");
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn settlement_with_an_old_claim_is_refused() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    fixture.arrive("a", "1").await.unwrap();
    let claimed = fixture.claimed().await;
    let rescued = fixture.store.write(|tx| tx.rescue("assistant", None)).await.unwrap();
    assert_eq!(rescued, 1);
    assert_eq!(fixture.settle(&claimed, Outcome::reply("too late")).await, Settled::Stale);
    fixture.store.write(|tx| tx.claim_due("assistant", 8)).await.unwrap();
    let again = fixture.claimed().await;
    assert!(again.job.uncertain && again.job.rescues == 1 && again.job.attempt == 1, "{:?}", again.job);
    assert_eq!(again.job.id, claimed.job.id, "the idempotency key is the same");
    assert_eq!(fixture.settle(&again, Outcome::reply("in time")).await, Settled::Written);
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn retry_holds_the_lane_until_attempts_are_used_up() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    fixture.arrive("a", "1").await.unwrap();
    fixture.arrive("a", "2").await.unwrap();
    let first = fixture.claimed().await;
    let now = || Outcome::retry("down").after(Some(Duration::ZERO)).uncertain().status(503);
    fixture.settle(&first, now()).await;
    let second = fixture.claimed().await;
    assert_eq!((second.job.id.as_str(), second.job.attempt, second.job.uncertain), (first.job.id.as_str(), 2, true));
    fixture.settle(&second, now()).await;
    let third = fixture.claimed().await;
    fixture.settle(&third, now()).await;
    let next = fixture.claimed().await;
    assert_ne!(next.job.id, first.job.id, "the dead one lets the next through");
    let dead = fixture.jobs(State::Failed).await;
    assert_eq!((dead.len(), dead[0].attempts, dead[0].last_error.as_deref()), (1, 3, Some("down")));
    let key = dead[0].key;
    let log = fixture.store.read(move |read| read.attempts(key)).await.unwrap();
    assert_eq!(
        log.iter().map(|attempt| (attempt.outcome.as_str(), attempt.status)).collect::<Vec<_>>(),
        [("retry", Some(503)); 3]
    );
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn retry_by_an_operator_keeps_the_id_and_never_runs_beside_its_lane() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    for number in 1..=3 {
        fixture.arrive("a", &number.to_string()).await.unwrap();
    }
    let first = fixture.claimed().await;
    fixture.settle(&first, Outcome::discard("no")).await;
    let second = fixture.claimed().await;
    let id = first.job.id.parse().unwrap();
    fixture.store.write(move |tx| tx.change_job(id, JobDeed::Retry)).await.unwrap();
    fixture.store.write(|tx| tx.claim_due("assistant", 8)).await.unwrap();
    assert!(fixture.nothing_handed(), "the lane is busy");
    fixture.settle(&second, Outcome::done()).await;
    let again = fixture.claimed().await;
    assert_eq!((again.job.id, again.job.attempt), (first.job.id, 1));
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn deleting_another_job_of_a_busy_lane_starts_nothing_beside_it() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    for number in 1..=3 {
        fixture.arrive("a", &number.to_string()).await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let dead = fixture.claimed().await;
        fixture.settle(&dead, Outcome::retry("no").uncertain().after(Some(Duration::from_secs(60)))).await;
        let id: crate::ids::JobId = dead.job.id.parse().unwrap();
        fixture.flush_all().await;
        ids.push(id);
        fixture.arrive("a", &format!("after {id}")).await.unwrap();
    }
    let running = fixture.claimed().await;
    let (first, second) = (ids[0], ids[1]);
    fixture.store.write(move |tx| tx.change_job(first, JobDeed::Retry)).await.unwrap();
    fixture.store.write(move |tx| tx.change_job(second, JobDeed::Delete)).await.unwrap();
    fixture.store.write(|tx| tx.claim_due("assistant", 8)).await.unwrap();
    assert!(fixture.nothing_handed(), "the lane is busy");
    fixture.settle(&running, Outcome::done()).await;
    let again = fixture.claimed().await;
    assert_eq!((again.job.id, again.job.uncertain), (first.to_string(), true));
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn flush_and_delete_leave_running_jobs_alone() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(1)));
    for number in 0..5 {
        fixture.arrive(&format!("c{number}"), &number.to_string()).await.unwrap();
    }
    let running = fixture.claimed().await;
    assert_eq!(fixture.flush_all().await, 4);
    let id = running.job.id.parse().unwrap();
    let refused = fixture.store.write(move |tx| tx.change_job(id, JobDeed::Delete)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let id = fixture.jobs(State::Flushed).await[0].id;
    fixture.store.write(move |tx| tx.change_job(id, JobDeed::Delete)).await.unwrap();
    assert_eq!(fixture.jobs(State::Flushed).await.len(), 3);
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn processing_jobs_are_pending_again_after_a_restart() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    fixture.arrive("a", "1").await.unwrap();
    let before = fixture.claimed().await;
    fixture.store.close().await;
    let fixture = open(fixture.folder);
    fixture.store.write(|tx| tx.rescue_all()).await.unwrap();
    let pending = fixture.jobs(State::Pending).await;
    assert_eq!((pending.len(), pending[0].id.to_string(), pending[0].rescues), (1, before.job.id, 1));
    fixture.counts_are_true().await;
}

#[tokio::test]
async fn history_puts_each_answer_behind_its_question() {
    let mut fixture = fixture();
    fixture.store.with_slots(|slots| slots.open("assistant", policy(8)));
    let first = fixture.arrive("a", "1").await.unwrap();
    let second = fixture.arrive("a", "2").await.unwrap();
    let claimed = fixture.claimed().await;
    fixture.settle(&claimed, Outcome::reply("first answer")).await;
    let room = first.room_id;
    let (before, fixture) = (second.message.seq, &fixture);
    let history = |limit| fixture.store.read(move |read| read.history(read.room_key(room)?, before, limit));
    let contents = |rows: Vec<String>| -> Vec<String> {
        rows.iter()
            .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["content"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(contents(history(10).await.unwrap()), ["hello", "first answer"]);
    assert_eq!(contents(history(1).await.unwrap()), ["first answer"], "the newest");
}

#[tokio::test]
async fn seq_at_finds_the_last_message_up_to_a_time() {
    let fixture = fixture();
    let mut stamps = vec![(0, clock::now() - 1_000_000)];
    for number in 0..20 {
        let arrived = fixture.arrive("a", &number.to_string()).await.unwrap();
        stamps.push((arrived.message.seq, arrived.message.created_at));
    }
    for pair in stamps.windows(2) {
        let ((before, _), (seq, at)) = (pair[0], pair[1]);
        let found = fixture.store.read(move |read| Ok((read.seq_at(at)?, read.seq_at(at - 1)?))).await.unwrap();
        assert_eq!(found, (seq, before));
    }
}

#[tokio::test]
async fn inbox_item_comes_again_after_its_lease_until_acknowledged() {
    let fixture = fixture();
    let arrival = arrival("s", "1", "hello");
    let seq = fixture.store.write(move |tx| tx.arrive(&arrival, &Turn::Inbox)).await.unwrap().unwrap().message.seq;
    let take = |lease| {
        let query = InboxQuery { limit: 100, offset: 0, after: 0 };
        fixture.store.write(move |tx| tx.take_inbox(query, lease))
    };
    assert_eq!(take(Some(Duration::ZERO)).await.unwrap().items.len(), 1);
    assert_eq!(fixture.store.read(|read| read.inbox_waiting()).await.unwrap(), 1, "its lease has ended");
    let again = take(Some(Duration::from_secs(60))).await.unwrap().items;
    assert_eq!(fixture.store.read(|read| read.inbox_waiting()).await.unwrap(), 0);
    assert_eq!((again.len(), again[0].seq, again[0].session_id.as_str()), (1, seq, "s"));
    assert!(take(None).await.unwrap().items.is_empty(), "leased");
    assert_eq!(fixture.store.write(move |tx| tx.acknowledge_inbox(&[seq, seq + 100])).await.unwrap(), 1);
    assert_eq!(fixture.jobs(State::Completed).await.len(), 1);
    fixture.counts_are_true().await;
}

#[test]
fn newer_schema_and_foreign_database_are_refused_with_words() {
    let refusal = |prepare: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arcuate.db");
        Connection::open(&path).unwrap().execute_batch(prepare).unwrap();
        let options = Options { path, full_durability: true, readers: 1, existing: false };
        Store::open(&options, Arc::default()).err().expect("the store is refused").to_string()
    };
    let newer = refusal("pragma user_version = 999; pragma application_id = 0x41524355;");
    assert!(newer.contains("version 999") && newer.contains("newer Arcuate"), "{newer}");
    let foreign = refusal("create table recipes (name text);");
    assert!(foreign.contains("database of another program"), "{foreign}");
}

#[test]
fn store_that_is_only_looked_at_is_neither_made_nor_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arcuate.db");
    let options = Options { path: path.clone(), full_durability: true, readers: 1, existing: true };
    assert!(Store::open(&options, Arc::default()).is_err() && !path.exists(), "it is not made");
    Connection::open(&path).unwrap().execute_batch("create table recipes (name text);").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(Store::open(&options, Arc::default()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before, "another program's file stays as it was");
}

#[tokio::test]
async fn store_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = fixture();
    fixture.arrive("a", "1").await;
    for name in ["arcuate.db", "arcuate.db-wal", "arcuate.db-shm"] {
        let mode = std::fs::metadata(fixture.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

static NOTED: Mutex<std::collections::BTreeSet<String>> = Mutex::new(std::collections::BTreeSet::new());

pub(super) fn note(sql: &str) {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned());
}

/// Uses all that the store can do, then looks at the plan of every statement that was made: none may walk a table that grows.
#[tokio::test]
async fn query_plans_have_no_scan_that_grows() {
    let mut fixture = fixture();
    use_everything(&mut fixture).await;
    tests_slices::use_slices(&fixture.store).await;
    let connection = Connection::open(fixture.store.path()).unwrap();
    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for sql in noted
        .iter()
        .filter(|sql| !sql.contains("savepoint") && !sql.contains("to request") && !sql.starts_with("release"))
    {
        // What is listed newest first, or stops at a limit by itself, may walk the table in its own order.
        let ordered = (sql.contains("order by key desc") && !sql.contains("state ="))
            || sql.contains("order by c.key desc")
            || sql.contains("order by e.seq limit");
        let mut statement =
            connection.prepare(&format!("explain query plan {sql}")).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        for step in &steps {
            let small = ["asked", "thread", "q", "CONSTANT", "queue_counts", "queue_pauses", "messages_search"];
            let walked = step.strip_prefix("SCAN ").map(|rest| rest.split(' ').next().unwrap_or_default());
            let grows = walked.is_some_and(|table| !small.contains(&table) && !table.starts_with('('));
            // Indexes of few rows: what runs, and what somebody has taken over. Another index's whole length grows like its table.
            let few = ["queue_leases", "conversations_taken"].iter().any(|index| step.ends_with(index));
            assert!(!grows || ordered || few, "{sql}\nscans: {steps:#?}");
            assert!(!step.contains("AUTOMATIC"), "{sql}\nbuilds an index each time: {steps:#?}");
        }
    }
}

async fn use_everything(fixture: &mut Fixture) {
    fixture.store.with_slots(|slots| ["assistant", "web_chat"].iter().for_each(|name| slots.open(name, policy(8))));
    fixture.store.write(|tx| tx.seed_general()).await.unwrap();
    let room = NewRoom {
        name: "r".into(),
        description: String::new(),
        created_by: "me".into(),
        admin_key: vec![1],
        ..NewRoom::default()
    };
    let room = fixture.store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.unwrap();
    let arrived = fixture.arrive("a", "1").await.unwrap();
    for outcome in [Outcome::reply("hi"), Outcome::retry("no"), Outcome::discard("no")] {
        let claimed = fixture.claimed().await;
        fixture.settle(&claimed, outcome).await;
        fixture.arrive("a", &claimed.job.id).await.unwrap();
    }
    let message = arrived.message.id;
    let room_id = arrived.room_id;
    fixture
        .store
        .write(move |tx| {
            let draft = Draft::new(room_id, "me", "word", &serde_json::Value::Null, None)?;
            tx.post_message(&draft, Some(message), &Viewer::Everyone)?;
            tx.enqueue_task("web_chat", "lane", &serde_json::Value::Null, Duration::ZERO, Priority::Normal)?;
            tx.keep_malformed("web_chat", "bad", "ingest", "{", "not JSON")?;
            tx.kv_put("web_chat", "k", Some("1"))?;
            tx.kv_put("web_chat", "k", None)?;
            let mut visitor = arrival("s", "x", "hello");
            (visitor.instance, visitor.external_id) = ("bridge".into(), None);
            let seen = tx.arrive(&visitor, &Turn::Inbox)?.unwrap().message.seq;
            let query = InboxQuery { limit: 10, offset: 0, after: 0 };
            tx.take_inbox(query, Some(Duration::ZERO))?;
            tx.take_inbox(query, None)?;
            tx.acknowledge_inbox(&[seen])?;
            tx.touch_session("s")?;
            tx.hand_over("s", 10)?;
            let draft = |room| Draft::new(room, "agent", "word", &serde_json::Value::Null, None);
            let first = tx.respond("s", draft, Some(seen), Some("key"))?;
            assert_eq!(tx.respond("s", draft, Some(seen), Some("key"))?, first, "a repeat is the first");
            tx.rescue("assistant", Some(0))?;
            tx.take_back(1, 1)?;
            tx.release(1, 1)?;
            tx.rescue_all()?;
            tx.claim_due("assistant", 8)?;
            tx.probe()
        })
        .await
        .unwrap();
    let id = fixture.jobs(State::Failed).await[0].id;
    let both = move |tx: &mut Tx<'_>| {
        tx.change_job(id, JobDeed::Retry)?;
        tx.change_job(id, JobDeed::Delete)
    };
    fixture.store.write(both).await.unwrap();
    fixture
        .store
        .read(move |read| {
            read.rooms(&RoomQuery::ordinary(10))?;
            read.history(room.key, 9, 10)?;
            read.responses(room.key, 0, 10)?;
            read.room_events(room.key, 0, 10)?;
            read.all_events(0, 10)?;
            read.room_head(room.key)?;
            read.seq_at(1)?;
            let user = read.users(None, 10)?[0].id;
            read.user_of("web_chat", "1")?;
            for (platform, user) in
                [(None, None), (Some("web_chat"), None), (None, Some(user)), (Some("web_chat"), Some(user))]
            {
                read.conversations(
                    &ConversationFilter { platform: platform.map(Into::into), user, taken: None },
                    None,
                    10,
                )?;
            }
            read.sessions(Some(0), 0, 10)?;
            assert_eq!(read.bridge_responses(0, 10)?.len(), 1);
            read.session_messages(room.key, 10)?;
            read.session_count(None, 10)?;
            read.jobs(&JobFilter::default(), None, 10)?;
            read.jobs(&JobFilter { state: Some(State::Failed), ..JobFilter::default() }, None, 10)?;
            read.attempts(1)?;
            read.job_counts()?;
            read.oldest_job(State::Pending)?;
            read.queue_times("assistant")?;
            read.inbox_waiting()?;
            read.kv_get("web_chat", "k")
        })
        .await
        .unwrap();
}
