//! The rule of lanes, whatever workers and operators do: at most one job of a lane is its head or runs, and one is unless the lane is held.

use super::slots::Policy;
use super::*;
use crate::ids::JobId;
use plugin_api::types::{Outcome, Priority};
use proptest::prelude::*;
use serde_json::json;

const LANES: [&str; 2] = ["a", "b"];

/// Numbers name one of the jobs, or one of those that run.
#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    Done(usize),
    Failed(usize),
    Again(usize),
    Snoozed(usize),
    TakenBack(usize),
    Released(usize),
    Retry(usize),
    Flush(usize),
    Delete(usize),
    Prioritize(usize),
    Pause(usize),
    Resume(usize),
    PauseAndResume(usize),
    PauseAll,
    ResumeAll,
    RescueAll,
    Claim,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0usize..3;
    let lane = prop_oneof![4 => Just(0usize), 1 => Just(1)];
    prop_oneof![
        4 => lane.clone().prop_map(Step::Put),
        2 => which.clone().prop_map(Step::Done),
        4 => which.clone().prop_map(Step::Failed),
        2 => which.clone().prop_map(Step::Again),
        1 => which.clone().prop_map(Step::Snoozed),
        1 => which.clone().prop_map(Step::TakenBack),
        1 => which.clone().prop_map(Step::Released),
        6 => which.clone().prop_map(Step::Retry),
        1 => which.clone().prop_map(Step::Flush),
        1 => which.clone().prop_map(Step::Delete),
        1 => which.prop_map(Step::Prioritize),
        1 => lane.clone().prop_map(Step::Pause),
        2 => lane.clone().prop_map(Step::Resume),
        5 => lane.prop_map(Step::PauseAndResume),
        1 => Just(Step::PauseAll),
        1 => Just(Step::ResumeAll),
        1 => Just(Step::RescueAll),
        3 => Just(Step::Claim),
    ]
}

struct Scene {
    store: Store,
    handed: Handed,
    eyes: Connection,
    jobs: Vec<JobId>,
    running: Vec<Claimed>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
        let (store, handed) = Store::open(&options, Arc::default()).unwrap();
        let policy =
            Policy { concurrency: 3, job_timeout: Duration::from_secs(60), max_attempts: Some(2), schedule: None };
        store.with_slots(|slots| slots.open("worker", policy));
        let eyes = Connection::open(store.path()).unwrap();
        Self { store, handed, eyes, jobs: Vec::new(), running: Vec::new(), _folder: folder }
    }

    async fn settle(&mut self, which: usize, outcome: Outcome) {
        let Some(claimed) = self.taken(which) else { return };
        self.store.write(move |tx| tx.settle(claimed.key, claimed.number, &outcome)).await.unwrap();
    }

    fn taken(&mut self, which: usize) -> Option<Claimed> {
        (!self.running.is_empty()).then(|| self.running.remove(which % self.running.len()))
    }

    async fn change(&self, which: usize, deed: JobDeed) {
        let Some(&id) = self.jobs.get(which % self.jobs.len().max(1)) else { return };
        match self.store.write(move |tx| tx.change_job(id, deed)).await {
            Ok(()) | Err(Error::Conflict(_) | Error::NotFound(_)) => {}
            Err(error) => panic!("{deed:?}: {error}"),
        }
    }

    async fn take(&mut self, step: &Step) {
        let at_once = Some(Duration::ZERO);
        match *step {
            Step::Put(lane) => {
                let put = move |tx: &mut Tx<'_>| {
                    tx.enqueue_task("worker", LANES[lane], &json!({}), Duration::ZERO, Priority::Normal)
                };
                self.jobs.push(self.store.write(put).await.unwrap());
            }
            Step::Done(which) => self.settle(which, Outcome::done()).await,
            Step::Failed(which) => self.settle(which, Outcome::discard("no")).await,
            Step::Again(which) => self.settle(which, Outcome::retry("not yet").after(at_once)).await,
            Step::Snoozed(which) => self.settle(which, Outcome::snooze(Duration::ZERO, "later")).await,
            Step::TakenBack(which) => {
                let Some(claimed) = self.taken(which) else { return };
                self.store.write(move |tx| tx.take_back(claimed.key, claimed.number)).await.unwrap();
            }
            Step::Released(which) => {
                let Some(claimed) = self.taken(which) else { return };
                self.store.write(move |tx| tx.release(claimed.key, claimed.number)).await.unwrap();
            }
            Step::Retry(which) => self.change(which, JobDeed::Retry).await,
            Step::Flush(which) => self.change(which, JobDeed::Flush).await,
            Step::Delete(which) => self.change(which, JobDeed::Delete).await,
            Step::Prioritize(which) => self.change(which, JobDeed::Prioritize(Priority::High)).await,
            Step::Pause(lane) => self.pause(LANES[lane]).await,
            Step::PauseAndResume(lane) => {
                self.pause(LANES[lane]).await;
                self.resume(Some(LANES[lane])).await;
            }
            Step::PauseAll => self.pause("").await,
            Step::Resume(lane) => self.resume(Some(LANES[lane])).await,
            Step::ResumeAll => self.resume(None).await,
            Step::RescueAll => {
                self.store.write(|tx| tx.rescue("worker", None)).await.unwrap();
                self.running.clear();
            }
            Step::Claim => {
                self.store.write(|tx| tx.claim_due("worker", 10)).await.unwrap();
            }
        }
        self.running.extend(std::iter::from_fn(|| self.handed.at_hand()));
    }

    async fn pause(&self, lane: &'static str) {
        self.store.write(move |tx| tx.pause("worker", lane, "operator", "")).await.unwrap();
    }

    async fn resume(&self, lane: Option<&'static str>) {
        self.store.write(move |tx| tx.resume("worker", lane)).await.unwrap();
    }

    /// With eyes of its own: these statements look at all rows.
    fn check(&self) {
        let count = |sql| self.eyes.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        for (wrong, sql) in WRONG {
            assert_eq!(count(sql), 0, "{wrong}");
        }
        let running = count("select count(*) from queue where state = 'processing'");
        assert_eq!(running, self.running.len() as i64, "whoever runs was handed over");
    }
}

/// What may never be found, and how it is.
const WRONG: [(&str, &str); 4] = [
    (
        "a lane has two heads",
        "select count(*) from (select lane from queue where state in ('pending', 'processing') and runnable = 1
                               group by lane having count(*) > 1)",
    ),
    ("a job runs that is no head", "select count(*) from queue where state = 'processing' and runnable = 0"),
    (
        "a lane waits for nobody",
        "select count(*) from (select lane from queue q where state in ('pending', 'processing')
             and not exists (select 1 from queue_pauses p where p.lane = q.lane) group by lane having max(runnable) = 0)",
    ),
    (
        "a lane that is held has a job that may be claimed",
        "select count(*) from queue q where state = 'pending' and runnable = 1
             and exists (select 1 from queue_pauses p where p.lane = q.lane)",
    ),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn lane_has_one_head_whatever_workers_and_operators_do(steps in prop::collection::vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new();
            for step in &steps {
                scene.take(step).await;
                scene.check();
            }
        });
    }
}
