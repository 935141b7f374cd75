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

#[tokio::test]
async fn late_worker_leaves_the_turn_of_its_successor_open() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { path: folder.path().join("arcuate.db"), full_durability: false, readers: 1, existing: false };
    let store = Store::open(&options, Arc::default()).unwrap().0;
    let queue = Queue::new(store, Retries::default()).await.unwrap();
    let _first = queue.turns.open(&claimed(1));
    let _second = queue.turns.open(&claimed(2));
    queue.turns.close(&claimed(1));
    assert_eq!(queue.causes("assistant", "room"), [7], "the second claim's turn may still stream");
    queue.turns.close(&claimed(2));
    assert!(queue.causes("assistant", "room").is_empty());
}
