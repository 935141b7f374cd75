//! What workers do with each other's turns.

use super::*;
use crate::store::{Options, Seat};
use plugin_api::types::{Job, Turn as AgentTurn};

fn claimed(number: i64) -> Claimed {
    let turn = AgentTurn {
        mode: plugin_api::Mode::Live,
        conversation_id: String::new(),
        room_id: "room".into(),
        user: plugin_api::User::default(),
        message: plugin_api::Message::default(),
        causes: vec![7],
    };
    let seat = Seat { room: 1, speaker: "assistant".into() };
    let work = Work::AgentTurn(Box::new(turn));
    let job = Job { id: "job".into(), attempt: 1, rescues: 0, uncertain: false, timeout_ms: 0, work };
    Claimed { key: 1, number, instance: "assistant".into(), timeout: Duration::ZERO, job, seat: Some(seat) }
}

async fn queue() -> (Arc<Queue>, Handed, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let (store, handed) = Store::open(&options, Arc::default()).unwrap();
    (Queue::new(store, Retries::default()).await.unwrap(), handed, folder)
}

#[tokio::test]
async fn late_worker_leaves_the_turn_of_its_successor_open() {
    let (queue, _handed, _folder) = queue().await;
    let _first = queue.turns.open(&claimed(1));
    let _second = queue.turns.open(&claimed(2));
    drop(queue.turns.until_dropped(&claimed(1)));
    assert_eq!(queue.causes("assistant", "room"), [7], "the second claim's turn may still stream");
    drop(queue.turns.until_dropped(&claimed(2)));
    assert!(queue.causes("assistant", "room").is_empty());
}

#[tokio::test]
async fn outcome_that_can_never_be_written_fails_the_job_instead_of_repeating_it() {
    let (queue, mut handed, folder) = queue().await;
    let policy = Policy { concurrency: 1, job_timeout: Duration::from_secs(60), max_attempts: Some(3), schedule: None };
    queue.store.with_slots(|slots| slots.open("worker", policy));
    let put = |tx: &mut crate::store::Tx<'_>| {
        tx.enqueue_task("worker", "lane", &serde_json::json!({}), Duration::ZERO, plugin_api::Priority::Normal)
    };
    let id = queue.store.write(put).await.unwrap();
    let claimed = handed.next().await.unwrap();
    let refuse = "create trigger refused before update on queue when new.state = 'completed'
                  begin select raise(abort, 'not today'); end";
    rusqlite::Connection::open(folder.path().join("arcuate.db")).unwrap().execute_batch(refuse).unwrap();
    settle(&queue.store, &claimed, Outcome::done(), &AtomicUsize::new(0)).await;
    let job = queue.store.read(move |read| read.job(id)).await.unwrap().unwrap();
    let error = job.last_error.unwrap_or_default();
    assert!(job.state == "failed" && error.contains("cannot be written") && error.contains("not today"), "{error}");
}
