//! Turns: what is joined, what waits, what is said in an agent's place, and where agents stop.

use super::slots::Policy;
use super::*;
use crate::ids::RoomId;
use plugin_api::types::{Mode, Outcome, Work};
use serde_json::{Value, json};

/// Asks `assistant` about whatever is said, on these terms.
struct Always(Vec<Asked>);

impl Routing for Always {
    fn has_rooms(&self) -> bool {
        true
    }

    fn turn(&self, post: &RoomPost<'_>) -> Turn {
        if post.by_agent && !post.mentions("assistant") { Turn::Nobody } else { Turn::Agents(self.0.clone()) }
    }
}

struct Fixture {
    store: Store,
    handed: Handed,
    room: RoomId,
    _folder: tempfile::TempDir,
}

fn asked() -> Asked {
    let Turn::Agents(mut asked) = Turn::agent("assistant", Mode::Live) else { unreachable!() };
    asked.remove(0)
}

fn arrival(person: &str, content: &str) -> Arrival {
    Arrival {
        instance: "irc".into(),
        platform: "irc".into(),
        platform_user_id: person.into(),
        username: person.into(),
        display_name: person.into(),
        conversation: "c".into(),
        external_id: None,
        content: content.into(),
        metadata: serde_json::Map::new(),
        ip_address: None,
    }
}

fn operator() -> Actor {
    Actor { name: "operator".into(), origin: "here".into() }
}

async fn fixture(terms: Vec<Asked>) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arcuate.db");
    let options = Options { path, full_durability: false, readers: 1, existing: false };
    let (store, handed) = Store::open(&options, Arc::default()).unwrap();
    store.set_routing(Arc::new(Always(terms)));
    open_agent(&store);
    let room = NewRoom { name: "den".into(), created_by: "me".into(), ..NewRoom::default() };
    let room = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.unwrap().id;
    Fixture { store, handed, room, _folder: folder }
}

fn open_agent(store: &Store) {
    let policy = Policy { concurrency: 8, job_timeout: Duration::from_secs(10), max_attempts: Some(1), schedule: None };
    store.with_slots(|slots| slots.open("assistant", policy));
}

async fn post(store: &Store, room: RoomId, sender: &str, sender_type: Option<&str>, content: &str) -> Posted {
    let draft = Draft::new(room, sender, content, &json!({}), sender_type).unwrap();
    store.write(move |tx| tx.post_message(&draft, None, &Viewer::Everyone)).await.unwrap()
}

/// What no slice does; not prepared like theirs, so that nobody looks at its query plan.
fn change(tx: &mut Tx<'_>, sql: &str) -> Result<usize> {
    tx.connection.execute(sql, []).map_err(sql_error)
}

impl Fixture {
    async fn post(&self, sender: &str, sender_type: Option<&str>, content: &str) -> Posted {
        post(&self.store, self.room, sender, sender_type, content).await
    }

    async fn arrive(&self, person: &str, content: &str, asked: Asked) -> Arrived {
        let arrival = arrival(person, content);
        self.store.write(move |tx| tx.arrive(&arrival, &Turn::Agents(vec![asked.clone()]))).await.unwrap().unwrap()
    }

    fn next(&mut self) -> Option<Claimed> {
        self.handed.at_hand()
    }

    /// What is due once all waits are over.
    async fn next_due(&mut self) -> Option<Claimed> {
        let overdue = |tx: &mut Tx<'_>| {
            change(tx, "update queue set next_at = 0 where state = 'pending'")?;
            tx.claim_due("assistant", 8)
        };
        self.store.write(overdue).await.unwrap();
        self.next()
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Settled {
        let (key, number) = (claimed.key, claimed.number);
        self.store.write(move |tx| tx.settle(key, number, &outcome)).await.unwrap()
    }

    async fn texts(&self, room: RoomId) -> Vec<(String, String)> {
        let rows = self.store.read(move |read| read.responses(read.room_key(room)?, 0, 100)).await.unwrap();
        let shown = |json: &str| {
            let message: Value = serde_json::from_str(json).unwrap();
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            (text("sender"), text("content"))
        };
        rows.iter().map(|(.., json)| shown(json)).collect()
    }

    async fn states(&self) -> Vec<String> {
        let jobs = self.store.read(|read| read.jobs(&JobFilter::default(), None, 100)).await.unwrap().0;
        jobs.iter().rev().filter(|job| job.kind == "agent_turn").map(|job| job.state.clone()).collect()
    }
}

fn turn(claimed: &Claimed) -> &plugin_api::types::Turn {
    match &claimed.job.work {
        Work::AgentTurn(turn) => turn,
        other => panic!("no turn: {other:?}"),
    }
}

/// Every statement of the slice, for the query plans.
pub(super) async fn use_all(store: &Store) {
    store.set_routing(Arc::new(Always(vec![asked()])));
    open_agent(store);
    let room = NewRoom { name: "turns".into(), created_by: "me".into(), ..NewRoom::default() };
    let room = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.unwrap().id;
    for _ in 0..8 {
        post(store, room, "bot", Some("agent"), "@assistant").await;
    }
    let sent = store.write(|tx| tx.send_direct(&direct())).await.unwrap();
    let origin = store.read(move |read| read.origin(sent.room_id)).await.unwrap();
    assert_eq!(origin, Some(Origin::Spot(Spot::Dm("ada".into(), "assistant".into()))));
    let terms = Asked { merge_window: 1, turns_per_minute: 1, apology: Some("sorry".into()), ..asked() };
    store
        .write(move |tx| {
            let agents = Turn::Agents(vec![terms.clone()]);
            for text in ["one", "two"] {
                tx.arrive(&arrival("t-1", text), &agents)?;
            }
            let refusal = Refusal {
                instance: "assistant".into(),
                speaker: "assistant".into(),
                person: "t-1".into(),
                text: "no".into(),
            };
            tx.arrive(&arrival("t-1", "three"), &Turn::Refused(refusal)).map(drop)
        })
        .await
        .unwrap();
    store.write(|tx| tx.claim_due("assistant", 8)).await.unwrap();
    let failed = Outcome::discard("no");
    store.write(move |tx| (1..400).try_for_each(|key| tx.settle(key, 1, &failed).map(drop))).await.unwrap();
    post(store, room, "ada", None, "once more").await;
    let filter = JobFilter { state: Some(State::Processing), ..JobFilter::default() };
    let running = store.read(move |read| read.jobs(&filter, None, 10)).await.unwrap().0;
    store
        .read(|read| {
            read.conversations(&ConversationFilter::default(), None, 1)?
                .first()
                .map_or(Ok(None), |row| read.origin(row.room_id))
        })
        .await
        .unwrap();
    let turn = running.iter().find(|job| job.kind == "agent_turn").expect("a turn that runs").id;
    store.write(move |tx| tx.cancel_turn(turn, &operator())).await.unwrap();
}

fn direct() -> DirectMessage {
    let (sender, recipient, content) = ("ada".into(), "assistant".into(), "hi".into());
    DirectMessage { sender, recipient, content, metadata: json!({}), sender_type: None }
}

#[tokio::test]
async fn messages_of_a_waiting_turn_become_one() {
    let terms = Asked { merge_window: 1_000_000_000, ..asked() };
    let mut fixture = fixture(vec![]).await;
    let first = fixture.arrive("ada", "one", terms.clone()).await;
    fixture.arrive("ada", "two", terms.clone()).await;
    let last = fixture.arrive("ada", "three", terms.clone()).await;
    assert_eq!(fixture.states().await, ["pending"]);
    let claimed = fixture.next_due().await.expect("a turn");
    assert_eq!(turn(&claimed).message.content, "one\ntwo\nthree");
    assert_eq!((turn(&claimed).message.seq, turn(&claimed).causes.len()), (last.message.seq, 3));
    assert_eq!(turn(&claimed).causes[0], first.message.seq);
    fixture.arrive("ada", "four", terms.clone()).await;
    fixture.arrive("ada", "five", Asked { mode: Mode::Echo, ..terms }).await;
    assert_eq!(
        fixture.states().await,
        ["processing", "pending", "pending"],
        "what runs is left, other terms are apart"
    );
}

#[tokio::test]
async fn joined_turn_leaves_out_what_was_deleted() {
    let terms = Asked { merge_window: 1_000_000_000, ..asked() };
    let mut fixture = fixture(vec![]).await;
    let first = fixture.arrive("ada", "one", terms.clone()).await;
    let last = fixture.arrive("bob", "two", terms.clone()).await;
    fixture.arrive("cy", "three", terms.clone()).await;
    let gone = fixture.arrive("cy", "four", terms).await;
    delete(&fixture, &gone).await;
    let claimed = fixture.next_due().await.expect("a turn");
    assert_eq!(turn(&claimed).message.content, "ada: one\nbob: two\ncy: three");
    delete(&fixture, &first).await;
    fixture.settle(&claimed, Outcome::reply("well")).await;
    assert_eq!(fixture.texts(last.room_id).await, [("assistant".into(), "well".into())]);
}

async fn delete(fixture: &Fixture, arrived: &Arrived) {
    let (room, id) = (arrived.room_id, arrived.message.id);
    let delete = move |tx: &mut Tx<'_>| {
        let (room, row) = tx.read().find_message(room, id, &Viewer::Everyone)?.expect("it is there");
        tx.delete_message(&room, &row, Deletion::Asked)
    };
    fixture.store.write(delete).await.unwrap();
}

#[tokio::test]
async fn turns_beyond_the_minutes_number_wait_and_count_no_attempt() {
    let terms = Asked { turns_per_minute: 1, ..asked() };
    let mut fixture = fixture(vec![]).await;
    fixture.arrive("ada", "one", terms.clone()).await;
    fixture.arrive("ada", "two", terms).await;
    let first = fixture.next_due().await.expect("the first turn");
    fixture.settle(&first, Outcome::reply("1")).await;
    assert!(fixture.next_due().await.is_none(), "the minute is full");
    let waiting = fixture
        .store
        .read(|read| read.jobs(&JobFilter { state: Some(State::Pending), ..JobFilter::default() }, None, 9));
    let waiting = waiting.await.unwrap().0.into_iter().find(|job| job.kind == "agent_turn").expect("it waits");
    assert_eq!((waiting.attempts, waiting.started_at), (0, None));
    fixture.store.write(|tx| change(tx, "update turn_windows set began = 0")).await.unwrap();
    let second = fixture.next_due().await.expect("the second turn");
    assert_eq!((turn(&second).message.content.as_str(), second.job.attempt), ("two", 1));
}

#[tokio::test]
async fn turn_tried_again_by_an_operator_counts_in_its_minute_and_one_put_off_does_not() {
    let mut fixture = fixture(vec![]).await;
    fixture.arrive("ada", "one", Asked { turns_per_minute: 2, ..asked() }).await;
    let first = fixture.next_due().await.expect("a turn");
    fixture.settle(&first, Outcome::snooze(Duration::ZERO, "busy")).await;
    let again = fixture.next_due().await.expect("it begins again");
    fixture.settle(&again, Outcome::discard("no")).await;
    let id = first.job.id.parse().unwrap();
    for tries in [true, false] {
        fixture.store.write(move |tx| tx.change_job(id, JobDeed::Retry)).await.unwrap();
        let claimed = fixture.next_due().await;
        assert_eq!(claimed.is_some(), tries, "the minute has room for two");
        if let Some(claimed) = claimed {
            fixture.settle(&claimed, Outcome::discard("no")).await;
        }
    }
}

#[tokio::test]
async fn apology_is_said_once_for_a_job() {
    let mut fixture = fixture(vec![]).await;
    let arrived = fixture.arrive("ada", "one", Asked { apology: Some("sorry".into()), ..asked() }).await;
    for _ in 0..2 {
        let claimed = fixture.next_due().await.expect("a turn");
        fixture.settle(&claimed, Outcome::retry("down")).await;
        assert_eq!(fixture.states().await, ["failed"]);
        assert_eq!(fixture.texts(arrived.room_id).await, [("assistant".into(), "sorry".into())]);
        let id = claimed.job.id.parse().unwrap();
        fixture.store.write(move |tx| tx.change_job(id, JobDeed::Retry)).await.unwrap();
    }
}

#[tokio::test]
async fn agent_is_silent_where_a_person_has_taken_over() {
    let mut fixture = fixture(vec![]).await;
    let arrived = fixture.arrive("ada", "one", asked()).await;
    fixture.arrive("ada", "two", asked()).await;
    let running = fixture.next().expect("a turn");
    fixture.store.write(|tx| change(tx, "update conversations set taken_by = 'ann'")).await.unwrap();
    fixture.settle(&running, Outcome::reply("late")).await;
    fixture.arrive("ada", "three", asked()).await;
    assert!(fixture.next_due().await.is_none());
    assert_eq!(fixture.states().await, ["flushed", "flushed"]);
    assert!(fixture.texts(arrived.room_id).await.is_empty());
    fixture.store.write(|tx| change(tx, "update conversations set taken_until = 1")).await.unwrap();
    fixture.arrive("ada", "four", asked()).await;
    assert_eq!(turn(&fixture.next().expect("a turn")).message.content, "four");
}

#[tokio::test]
async fn cancelled_turn_has_failed_and_its_worker_is_refused() {
    let mut fixture = fixture(vec![]).await;
    let arrived = fixture.arrive("ada", "one", Asked { apology: Some("sorry".into()), ..asked() }).await;
    fixture.arrive("ada", "two", asked()).await;
    let running = fixture.next().expect("a turn");
    let id = running.job.id.parse().unwrap();
    let cancelled = fixture.store.write(move |tx| tx.cancel_turn(id, &operator())).await.unwrap();
    assert_eq!(cancelled, "assistant");
    assert!(matches!(fixture.handed.word().await, Some(Word::Begin(_))), "the lane's next turn begins");
    assert!(matches!(fixture.handed.word().await, Some(Word::End(turn)) if turn.job == id && turn.claim == 1));
    assert_eq!(fixture.settle(&running, Outcome::reply("late")).await, Settled::Stale);
    assert_eq!(fixture.states().await, ["failed", "processing"], "the lane goes on");
    assert!(fixture.texts(arrived.room_id).await.is_empty());
    let again = fixture.store.write(move |tx| tx.cancel_turn(id, &operator())).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let deeds = fixture.store.read(|read| read.audit(None, i64::MAX, 9)).await.unwrap();
    assert_eq!((deeds.len(), deeds[0].action.as_str()), (1, "turns.cancel"));
}

#[tokio::test]
async fn agents_begin_six_turns_in_a_row_until_a_person_writes() {
    let mut fixture = fixture(vec![asked()]).await;
    let rounds = async |fixture: &mut Fixture, count: usize| {
        let mut begun = 0;
        for _ in 0..count {
            fixture.post("bot", Some("agent"), "@assistant again").await;
            fixture.post("bot", Some("agent"), "to nobody").await;
            let Some(claimed) = fixture.next() else { continue };
            fixture.settle(&claimed, Outcome::reply("so be it")).await;
            begun += 1;
        }
        begun
    };
    assert_eq!(rounds(&mut fixture, 9).await, 6);
    let notes = |texts: Vec<(String, String)>| texts.iter().filter(|(sender, _)| sender == "system").count();
    assert_eq!(notes(fixture.texts(fixture.room).await), 1, "the room is told once");
    fixture.post("ada", None, "carry on").await;
    let claimed = fixture.next().expect("a person's turn");
    fixture.settle(&claimed, Outcome::reply("yes")).await;
    assert_eq!(rounds(&mut fixture, 2).await, 2);
}

#[tokio::test]
async fn answer_of_a_room_is_said_there_under_its_name() {
    let mut fixture = fixture(vec![Asked { speaker: Some("helper".into()), ..asked() }]).await;
    let posted = fixture.post("ada", None, "hi").await;
    let claimed = fixture.next().expect("a turn");
    let asked = turn(&claimed);
    assert_eq!((asked.user.username.as_str(), asked.user.platform.as_str()), ("ada", "chat"));
    assert_eq!((&asked.conversation_id, asked.message.seq), (&fixture.room.to_string(), posted.seq));
    assert_eq!(claimed.seat.as_ref().map(|seat| seat.speaker.as_str()), Some("helper"));
    fixture.settle(&claimed, Outcome::reply("hello")).await;
    assert!(fixture.texts(fixture.room).await.contains(&("helper".into(), "hello".into())));
    assert!(fixture.next().is_none(), "nobody is asked about it");
}

#[tokio::test]
async fn refusal_is_said_once_a_minute() {
    let fixture = fixture(vec![]).await;
    let refuse = async |person: &str| {
        let (instance, speaker, text) = ("assistant".into(), "assistant".into(), "no".into());
        let turn = Turn::Refused(Refusal { instance, speaker, person: person.into(), text });
        let arrival = arrival(person, "let me in");
        fixture.store.write(move |tx| tx.arrive(&arrival, &turn)).await.unwrap().unwrap().room_id
    };
    refuse("ada").await;
    refuse("ada").await;
    let room = refuse("bob").await;
    assert_eq!(fixture.texts(room).await.len(), 2, "one for each of the two");
    fixture.store.write(|tx| change(tx, "update turn_windows set began = 0")).await.unwrap();
    refuse("ada").await;
    assert_eq!(fixture.texts(room).await.len(), 3);
    assert!(fixture.states().await.is_empty());
}
