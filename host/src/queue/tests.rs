//! What workers do with each other's turns.

use super::*;
use crate::store::Options;
use plugin_api::types::{Job, Turn as AgentTurn};

fn claimed(number: i64) -> Claimed {
    let turn = AgentTurn {
        mode: plugin_api::Mode::Live,
        conversation_id: String::new(),
        room_id: "room".into(),
        user: plugin_api::User::default(),
        message: plugin_api::Message::default(),
    };
    let work = Work::AgentTurn(Box::new(turn));
    let job = Job { id: "job".into(), attempt: 1, rescues: 0, uncertain: false, timeout_ms: 0, work };
    Claimed { key: 1, number, instance: "assistant".into(), timeout: Duration::ZERO, job }
}

#[tokio::test]
async fn late_worker_leaves_the_turn_of_its_successor_open() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let queue = Queue::new(store, Retries::default()).await.unwrap();
    queue.open_turn(&claimed(1));
    queue.open_turn(&claimed(2));
    queue.close_turn(&claimed(1));
    assert!(queue.turns().contains_key("job"), "the second claim's turn may still stream");
    queue.close_turn(&claimed(2));
    assert!(queue.turns().is_empty());
}
