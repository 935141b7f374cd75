//! What operators do with the queue: filters, deeds, pauses, priorities, and what goes after its days.

use super::slots::Policy;
use super::*;
use crate::clock;
use crate::ids::JobId;
use plugin_api::types::{Outcome, Priority, Work};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Scene {
    store: Store,
    handed: Handed,
    folder: TempDir,
}

/// A store whose instance `worker` may have this many jobs at once.
fn scene(concurrency: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let (store, handed) = Store::open(&options, Arc::default()).unwrap();
    let job_timeout = Duration::from_secs(10);
    let policy = Policy { concurrency, job_timeout, max_attempts: Some(3), schedule: None };
    store.with_slots(|slots| slots.open("worker", policy));
    Scene { store, handed, folder }
}

impl Scene {
    async fn task(&self, lane: &'static str, priority: Priority) -> JobId {
        let put = move |tx: &mut Tx<'_>| tx.enqueue_task("worker", lane, &json!(lane), Duration::ZERO, priority);
        self.store.write(put).await.unwrap()
    }

    /// Lanes of what is handed over now, in that order.
    fn handed(&mut self) -> Vec<(String, Claimed)> {
        let claimed = std::iter::from_fn(|| self.handed.at_hand());
        claimed
            .map(|claimed| match &claimed.job.work {
                Work::Task { payload: Value::String(lane) } => (lane.clone(), claimed),
                other => panic!("a task, not {other:?}"),
            })
            .collect()
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) {
        let (key, number) = (claimed.key, claimed.number);
        assert_eq!(self.store.write(move |tx| tx.settle(key, number, &outcome)).await.unwrap(), Settled::Written);
    }

    async fn claim(&self) -> usize {
        self.store.write(|tx| tx.claim_due("worker", 100)).await.unwrap()
    }

    async fn pause(&self, lane: &'static str) {
        assert!(self.store.write(move |tx| tx.pause("worker", lane, "operator", "a test")).await.unwrap());
    }

    async fn resume(&self, lane: Option<&'static str>) -> usize {
        self.store.write(move |tx| tx.resume("worker", lane)).await.unwrap()
    }

    async fn change(&self, id: JobId, deed: JobDeed) -> Result<()> {
        self.store.write(move |tx| tx.change_job(id, deed)).await
    }

    /// As somebody who knows SQL would.
    fn sql(&self, sql: &str) {
        let connection = Connection::open(self.store.path()).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    async fn counts_are_true(&self) {
        let sql = "select coalesce(sum(abs(kept - found)), 0) from (
                       select c.count as kept, (select count(*) from queue q where q.instance = c.instance and q.state = c.state) as found
                       from queue_counts c where c.state <> 'probe')";
        assert_eq!(self.store.read(move |read| read.number(sql, [])).await.unwrap(), 0, "queue_counts are wrong");
    }
}

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    let id = store
        .write(|tx| {
            let id = tx.enqueue_task("held", "lane", &json!({}), Duration::ZERO, Priority::High)?;
            assert!(tx.pause("held", "", "operator", "all")? && tx.pause("held", "task:lane", "operator", "one")?);
            assert!(!tx.pause("held", "", "operator", "again")?, "it was paused already");
            tx.claim_due("held", 1)?;
            tx.change_job(id, JobDeed::Prioritize(Priority::Low))?;
            tx.change_job(id, JobDeed::Flush)?;
            tx.change_job(id, JobDeed::Retry)?;
            let keys = tx.read().job_keys(&JobFilter::default(), None, 100)?.0;
            tx.change_jobs(
                &keys,
                &JobFilter { instance: Some("held".into()), ..JobFilter::default() },
                JobDeed::Retry,
            )?;
            tx.resume("held", None)?;
            tx.change_job(id, JobDeed::Flush)?;
            Ok(id)
        })
        .await
        .unwrap();
    let every = |state| JobFilter { state, before: Some(clock::now()), since: Some(0), ..JobFilter::default() };
    store
        .read(move |read| {
            for state in [None, Some(State::Flushed)] {
                read.jobs(&every(state), None, 10)?;
                read.job_keys(&every(state), None, 10)?;
            }
            let key = read.job(id)?.unwrap().key;
            assert_eq!(read.lane_of(key)?.as_deref(), Some("lane"));
            read.queue_times("held")?;
            read.pauses()
        })
        .await
        .unwrap();
    store.write(|tx| tx.remove_ended(State::Flushed, 0)).await.unwrap();
    store.write(|tx| tx.remove_job(0, JobId::new(), "webhook")).await.unwrap();
}

#[tokio::test]
async fn paused_instance_gets_no_jobs_until_it_goes_on() {
    let mut scene = scene(8);
    scene.task("running", Priority::Normal).await;
    let running = scene.handed().remove(0).1;
    scene.pause("").await;
    scene.task("a", Priority::Normal).await;
    scene.settle(&running, Outcome::retry("not yet").after(Some(Duration::ZERO))).await;
    assert_eq!((scene.claim().await, scene.handed().len()), (0, 0));
    let times = scene.store.read(|read| read.queue_times("worker")).await.unwrap();
    assert_eq!(times.0, None, "nothing is due");
    assert_eq!(scene.resume(None).await, 1);
    assert_eq!(scene.claim().await, 2);
    let attempts: Vec<u32> = scene.handed().iter().map(|(_, claimed)| claimed.job.attempt).collect();
    assert_eq!(attempts, [1, 2], "waiting is no attempt");
    scene.counts_are_true().await;
}

#[tokio::test]
async fn paused_lane_waits_and_keeps_its_order_while_others_run() {
    let mut scene = scene(8);
    scene.task("held", Priority::Normal).await;
    let running = scene.handed().remove(0).1;
    scene.pause("held").await;
    scene.task("held", Priority::Normal).await;
    scene.task("other", Priority::Normal).await;
    assert_eq!(scene.handed().iter().map(|(lane, _)| lane.as_str()).collect::<Vec<_>>(), ["other"]);
    // Its running one ends in a retry, and then is taken back: neither makes it run while the lane is held.
    scene.settle(&running, Outcome::retry("not yet").after(Some(Duration::ZERO))).await;
    assert_eq!(scene.claim().await, 0);
    assert_eq!(scene.resume(Some("held")).await, 1);
    assert_eq!(scene.claim().await, 1, "one at a time");
    let again = scene.handed().remove(0).1;
    assert_eq!((again.job.id.as_str(), again.job.attempt), (running.job.id.as_str(), 2), "the oldest first");
    scene.pause("held").await;
    scene.store.write(move |tx| tx.take_back(again.key, again.number)).await.unwrap();
    assert_eq!(scene.claim().await, 0);
    assert_eq!(scene.resume(None).await, 1);
    assert_eq!(scene.claim().await, 1);
    scene.counts_are_true().await;
}

#[tokio::test]
async fn deeds_on_a_paused_lane_start_nothing() {
    let mut scene = scene(8);
    scene.pause("held").await;
    let (first, second) = (scene.task("held", Priority::Normal).await, scene.task("held", Priority::Normal).await);
    scene.change(first, JobDeed::Flush).await.unwrap();
    scene.change(first, JobDeed::Retry).await.unwrap();
    scene.change(first, JobDeed::Delete).await.unwrap();
    assert_eq!((scene.claim().await, scene.handed().len()), (0, 0));
    scene.resume(Some("held")).await;
    assert_eq!(scene.claim().await, 1);
    assert_eq!(scene.handed().remove(0).1.job.id, second.to_string());
}

#[tokio::test]
async fn pauses_outlive_the_store() {
    let scene = scene(8);
    scene.pause("held").await;
    scene.store.close().await;
    let path = scene.folder.path().join("arcuate.db");
    let options = Options { path, full_durability: false, readers: 1, existing: true };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let pauses = store.read(|read| read.pauses()).await.unwrap();
    assert_eq!((pauses.len(), pauses[0].lane.as_str(), pauses[0].reason.as_str()), (1, "held", "a test"));
}

#[tokio::test]
async fn urgent_lanes_go_first_and_lanes_keep_their_order() {
    let mut scene = scene(1);
    scene.task("running", Priority::Normal).await;
    let mut running = scene.handed().remove(0).1;
    scene.task("low", Priority::Low).await;
    let normal = scene.task("normal", Priority::Normal).await;
    scene.task("high", Priority::High).await;
    // Urgent, but behind another of its lane.
    scene.task("normal", Priority::High).await;
    let late = scene.task("late", Priority::Low).await;
    scene.change(late, JobDeed::Prioritize(Priority::High)).await.unwrap();
    let mut order = Vec::new();
    loop {
        scene.settle(&running, Outcome::done()).await;
        let Some((lane, next)) = scene.handed().pop() else { break };
        order.push(lane);
        running = next;
    }
    assert_eq!(order, ["high", "late", "normal", "normal", "low"]);
    let refused = scene.change(normal, JobDeed::Prioritize(Priority::High)).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("completed")), "{refused}");
}

#[tokio::test]
async fn filters_narrow_by_age_lane_and_error() {
    let scene = scene(0);
    for lane in ["a", "b", "b"] {
        scene.task(lane, Priority::Normal).await;
    }
    let hour = 3_600_000_000;
    scene.sql(&format!(
        "update queue set created_at = created_at - {hour} where key = 1;
                        update queue set last_error = 'Connection timed OUT' where key <= 2"
    ));
    let found = |filter: JobFilter| {
        let store = scene.store.clone();
        async move {
            let rows =
                store.read(move |read| Ok((read.jobs(&filter, None, 10)?.0, read.job_keys(&filter, None, 10)?.0)));
            let (newest, oldest) = rows.await.unwrap();
            let mut keys: Vec<i64> = newest.iter().map(|job| job.key).collect();
            keys.reverse();
            assert_eq!(keys, oldest, "both ways find the same");
            keys
        }
    };
    let half = clock::now() - hour / 2;
    assert_eq!(found(JobFilter { before: Some(half), ..JobFilter::default() }).await, [1]);
    assert_eq!(found(JobFilter { since: Some(half), ..JobFilter::default() }).await, [2, 3]);
    assert_eq!(found(JobFilter { lane: Some("b".into()), ..JobFilter::default() }).await, [2, 3]);
    assert_eq!(found(JobFilter { error: Some("timed out".into()), ..JobFilter::default() }).await, [1, 2]);
    let both = JobFilter {
        error: Some("timed".into()),
        since: Some(half),
        state: Some(State::Pending),
        ..JobFilter::default()
    };
    assert_eq!(found(both).await, [2]);
}

#[tokio::test]
async fn walk_through_many_that_do_not_fit_is_bounded_and_leads_on() {
    let scene = scene(0);
    scene.sql(
        "with recursive n (n) as (select 1 union all select n + 1 from n where n < 5000)
         insert into queue (id, kind, instance, lane, state, runnable, max_attempts, next_at, payload, created_at, finished_at)
         select randomblob(16), 'task', case when n = 3 then 'rare' else 'worker' end, 'lane' || n, 'failed', 0, 1, n, '{}', n, n from n",
    );
    let filter = JobFilter { instance: Some("rare".into()), ..JobFilter::default() };
    let (mut before, mut pages, mut found) = (None, 0, Vec::new());
    loop {
        let filter = filter.clone();
        let (jobs, next) = scene.store.read(move |read| read.jobs(&filter, before, 10)).await.unwrap();
        (pages, before) = (pages + 1, next);
        found.extend(jobs.iter().map(|job| job.key));
        if next.is_none() {
            break;
        }
    }
    assert_eq!((pages, found), (3, vec![3]), "2,000 rows a call");
}

#[tokio::test]
async fn ended_jobs_go_after_their_days_in_steps_with_all_that_hangs_on_them() {
    let scene = scene(0);
    scene.sql(
        "with recursive n (n) as (select 1 union all select n + 1 from n where n < 450)
         insert into queue (id, kind, instance, lane, state, runnable, max_attempts, next_at, payload, created_at, finished_at)
         select randomblob(16), 'task', 'worker', 'lane' || n, case when n % 9 = 0 then 'failed' else 'completed' end, 0, 1, n, '{}', n, n
         from n;
         insert into queue_attempts (job, number, started_at, ended_at, outcome) select key, 1, 1, 2, 'done' from queue;
         insert into queue_counts (instance, state, count) select instance, state, count(*) from queue group by 1, 2;",
    );
    scene.task("waiting", Priority::Normal).await;
    let step = |state, before| scene.store.write(move |tx| tx.remove_ended(state, before));
    assert_eq!(step(State::Completed, 301).await.unwrap(), (200, true));
    assert_eq!(step(State::Completed, 301).await.unwrap(), (67, false), "267 of 300 were completed");
    assert_eq!(step(State::Failed, 100).await.unwrap(), (11, false));
    assert_eq!(step(State::Pending, i64::MAX).await.unwrap(), (0, false), "what lives stays");
    let left = "select count(*) from queue_attempts where job not in (select key from queue)";
    assert_eq!(scene.store.read(move |read| read.number(left, [])).await.unwrap(), 0);
    scene.counts_are_true().await;
}

#[tokio::test]
async fn io_error_inside_a_request_opens_the_connection_anew() {
    let scene = scene(0);
    let mark = |tx: &mut Tx<'_>| tx.execute("create temp table if not exists marked (n)", []).map(drop);
    scene.store.write(mark).await.unwrap();
    let marked = |tx: &mut Tx<'_>| tx.execute("insert into temp.marked (n) values (1)", []);
    assert!(scene.store.write(marked).await.is_ok(), "the connection is the same");
    let broken = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None);
    let failed = scene.store.write(move |_| -> Result<()> { Err(sql_error(broken())) }).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    assert!(scene.store.write(marked).await.is_err(), "another connection, which has no temporary table");
    scene.task("a", Priority::Normal).await;
    let swallowed = move |_: &mut Tx<'_>| {
        let _ = sql_error(broken());
        Ok(())
    };
    assert!(scene.store.write(swallowed).await.is_err(), "what came after it cannot be trusted either");
    scene.task("b", Priority::Normal).await;
    scene.counts_are_true().await;
}

#[tokio::test]
async fn job_from_before_its_plugin_ran_has_the_plugins_limits_once_it_is_claimed() {
    let mut scene = scene(1);
    let put = |tx: &mut Tx<'_>| tx.enqueue_task("late", "lane", &json!("lane"), Duration::ZERO, Priority::Normal);
    let id = scene.store.write(put).await.unwrap();
    let policy = Policy { concurrency: 1, job_timeout: Duration::from_secs(10), max_attempts: Some(3), schedule: None };
    scene.store.with_slots(|slots| slots.open("late", policy));
    scene.store.write(|tx| tx.claim_due("late", 1)).await.unwrap();
    assert_eq!(scene.handed().len(), 1);
    assert_eq!(scene.store.read(move |read| read.job(id)).await.unwrap().unwrap().max_attempts, 3);
}
