//! Endpoints and what is queued for them, without a plugin: a claim is a plain row here.

use super::*;
use crate::ids::{JobId, WebhookId};
use futures_util::FutureExt;
use plugin_api::types::{Outcome, Work};
use slots::Policy;

struct Fixture {
    store: Store,
    handed: Handed,
    room: RoomRef,
    _folder: tempfile::TempDir,
}

async fn room_in(store: &Store, name: &str) -> RoomRef {
    let room = NewRoom { name: name.into(), created_by: "me".into(), ..NewRoom::default() };
    let id = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room").id;
    store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.expect("the room")
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("arcuate.db");
    let options = Options { path, full_durability: false, readers: 1, existing: false };
    let (store, handed) = Store::open(&options, Arc::default()).expect("the store opens");
    open(&store, 32);
    let room = room_in(&store, "lab").await;
    Fixture { store, handed, room, _folder: folder }
}

fn open(store: &Store, concurrency: usize) {
    let job_timeout = Duration::from_secs(60);
    let policy = Policy { concurrency, job_timeout, max_attempts: None, schedule: Some(vec![Duration::ZERO; 2]) };
    store.with_slots(|slots| slots.open("webhook", policy));
}

fn new(events: &str) -> NewWebhook {
    NewWebhook {
        url: "http://127.0.0.1:9/".into(),
        events: events.into(),
        secret: Some("s".into()),
        created_by: "me".into(),
    }
}

async fn webhook(store: &Store, room: RoomRef, events: &str) -> WebhookRow {
    let new = new(events);
    store.write(move |tx| tx.create_webhook(&room, &new)).await.expect("an endpoint")
}

async fn post(store: &Store, room: RoomRef, text: &str) -> Posted {
    let draft = Draft::new(room.id, "ann", text, &serde_json::json!({}), None).expect("a draft");
    store.write(move |tx| tx.post_message(&draft, None, &Viewer::Everyone)).await.expect("posted")
}

async fn settle(store: &Store, claimed: &Claimed, outcome: Outcome) {
    let (key, number) = (claimed.key, claimed.number);
    let settled = store.write(move |tx| tx.settle(key, number, &outcome)).await.expect("settled");
    assert_eq!(settled, Settled::Written);
}

fn body(claimed: &Claimed) -> serde_json::Value {
    let Work::Webhook(webhook) = &claimed.job.work else { panic!("{claimed:?}") };
    serde_json::from_str(&webhook.body).expect("JSON")
}

async fn counted(store: &Store, count: Count) -> i64 {
    store.read(move |read| read.count(count)).await.expect("a count")
}

async fn in_state(store: &Store, state: State) -> usize {
    let filter = JobFilter { state: Some(state), ..JobFilter::default() };
    store.read(move |read| read.jobs(&filter, None, 1000)).await.expect("jobs").0.len()
}

/// Every statement of webhooks both ways.
pub(super) async fn use_webhooks(store: &Store) {
    open(store, 32);
    let room = room_in(store, "hooked").await;
    let row = webhook(store, room, "*").await;
    post(store, room, "hello").await;
    let id = row.id;
    store
        .write(move |tx| {
            tx.announce(room.key, "presence_joined", "{}")?;
            let group = tx.ping_webhook(&room, id)?;
            tx.change_webhook(&room, id, &WebhookChange { active: Some(false), ..WebhookChange::default() })?;
            tx.change_webhook(&room, id, &WebhookChange { active: Some(true), ..WebhookChange::default() })?;
            tx.redeliver(&room, id, group)?;
            let key = tx.read().job(group)?.expect("the ping's job").key;
            let claim = tx.read().number("select claim from queue where key = ?1", [key])?;
            // So often that old tries are forgotten.
            for outcome in std::iter::repeat_n(Outcome::retry("no"), 200).chain([Outcome::discard("").status(410)]) {
                tx.execute("update queue set state = 'processing', attempts = 0 where key = ?1", [key])?;
                tx.execute("delete from queue_attempts where job = ?1", [key])?;
                tx.settle(key, claim, &outcome)?;
            }
            Ok(())
        })
        .await
        .expect("endpoints are used");
    store
        .read(move |read| {
            read.webhooks(room.key, i64::MAX, 10)?;
            let time = Some(1);
            for filter in [
                DeliveryFilter::default(),
                DeliveryFilter { before: time, event: Some("message".into()), succeeded: Some(true) },
            ] {
                read.deliveries(row.key, &filter, i64::MAX, 10)?;
            }
            read.deliveries_since(0)?;
            read.hook("whk_1")
        })
        .await
        .expect("endpoints are read");
    store
        .write(move |tx| {
            let hook = tx.create_incoming_webhook(&room, "ci", "whk_1", "me")?.id;
            tx.change_incoming_webhook(&room, hook, Some("cd"), None)?;
            tx.read().incoming_webhooks(room.key, i64::MAX, 10)?;
            tx.delete_incoming_webhook(&room, hook)?;
            tx.delete_webhook(&room, id)?;
            tx.create_webhook(&room, &new("*"))?;
            tx.record(Some(room.key), Kind::RoomDeleted, |_| "{}".into()).map(drop)
        })
        .await
        .expect("endpoints go");
}

#[tokio::test]
async fn event_is_queued_for_those_who_want_it_in_its_own_transaction() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    let other = room_in(&store, "other").await;
    webhook(&store, room, "file_uploaded").await;
    webhook(&store, other, "*").await;
    let wanted = webhook(&store, room, "message,reaction_added").await;
    let posted = post(&store, room, "hello").await;
    let claimed = handed.next().await.expect("a job");
    let sent = body(&claimed);
    assert_eq!((&sent["event"], &sent["room_name"]), (&"message".into(), &"lab".into()));
    assert_eq!((&sent["data"]["content"], &sent["data"]["seq"]), (&"hello".into(), &posted.seq.into()));
    let Work::Webhook(work) = &claimed.job.work else { panic!("no webhook") };
    assert_eq!((work.webhook_id.clone(), work.secret.as_deref()), (wanted.id.to_string(), Some("s")));
    assert_eq!(store.read(|read| read.number("select count(*) from queue", [])).await.unwrap(), 1, "and no other");
}

#[tokio::test]
async fn presence_is_announced_to_those_who_want_it() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    store.announce(room.key, "presence_joined", "{}".into()).await.unwrap();
    webhook(&store, room, "message,presence_left").await;
    let announce = |event| store.announce(room.key, event, r#"{"sender":"ann"}"#.into());
    announce("presence_joined").await.unwrap();
    announce("presence_left").await.unwrap();
    announce("typing").await.unwrap();
    let sent = body(&handed.next().await.expect("a job"));
    assert_eq!((&sent["event"], &sent["data"]["sender"]), (&"presence_left".into(), &"ann".into()));
    assert_eq!(store.read(|read| read.number("select count(*) from queue", [])).await.unwrap(), 1);
}

#[tokio::test]
async fn undone_change_of_an_endpoint_leaves_no_trace() {
    let Fixture { store, room, .. } = fixture().await;
    post(&store, room, "before").await;
    let undone = store.write(move |tx| {
        tx.create_webhook(&room, &new("*"))?;
        let draft = Draft::new(room.id, "ann", "inside", &serde_json::json!({}), None)?;
        tx.post_message(&draft, None, &Viewer::Everyone)?;
        Err::<(), _>(Error::Conflict("changed my mind".into()))
    });
    undone.await.expect_err("it is undone");
    post(&store, room, "after").await;
    assert_eq!(store.read(|read| read.number("select count(*) from queue", [])).await.unwrap(), 0);
    assert_eq!((counted(&store, Count::Webhooks).await, counted(&store, Count::ActiveWebhooks).await), (0, 0));
}

#[tokio::test]
async fn body_is_the_same_on_every_attempt_and_the_url_is_todays() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    let row = webhook(&store, room, "*").await;
    post(&store, room, "hello").await;
    let first = handed.next().await.expect("a job");
    let change = WebhookChange { url: Some("http://127.0.0.1:10/".into()), ..WebhookChange::default() };
    store.write(move |tx| tx.change_webhook(&room, row.id, &change)).await.unwrap();
    settle(&store, &first, Outcome::retry("no").status(500)).await;
    store.write(|tx| tx.claim_due("webhook", 1)).await.unwrap();
    let second = handed.next().await.expect("the job again");
    let (Work::Webhook(before), Work::Webhook(after)) = (&first.job.work, &second.job.work) else {
        panic!("no webhooks")
    };
    assert_eq!((&before.body, &first.job.id), (&after.body, &second.job.id));
    assert_eq!(after.url, "http://127.0.0.1:10/");
    settle(&store, &second, Outcome::done().status(204)).await;
    let filter = DeliveryFilter::default();
    let tries = store.read(move |read| read.deliveries(row.key, &filter, i64::MAX, 10)).await.unwrap();
    let seen: Vec<_> =
        tries.iter().map(|row| (row.attempt, row.succeeded, row.status_code, row.event.as_str())).collect();
    assert_eq!(seen, [(2, true, Some(204), "message"), (1, false, Some(500), "message")]);
    assert_eq!(store.read(|read| read.deliveries_since(0)).await.unwrap(), (1, 1));
}

#[tokio::test]
async fn endpoint_that_is_gone_is_disabled_with_an_event_and_what_waits_is_flushed() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    webhook(&store, room, "message").await;
    let other = webhook(&store, room, "webhook_disabled").await;
    for text in 0..300 {
        post(&store, room, &text.to_string()).await;
    }
    let first = handed.next().await.expect("a job");
    settle(&store, &first, Outcome::discard("gone").status(410)).await;
    let told = handed.next().await.expect("the other endpoint hears of it");
    assert_eq!(body(&told)["data"]["reason"], "gone");
    settle(&store, &told, Outcome::done()).await;
    let head = store.read(move |read| read.room_events(room.key, 0, 1000)).await.unwrap();
    assert_eq!(head.last().map(|event| event.kind), Some(Kind::WebhookDisabled));
    // The rest of the lane goes in steps, as it is claimed.
    while store.read(|read| read.queue_times("webhook")).await.unwrap().0.is_some() {
        store.write(|tx| tx.claim_due("webhook", 64)).await.unwrap();
    }
    let states = [in_state(&store, State::Flushed).await, in_state(&store, State::Failed).await];
    assert_eq!((states, in_state(&store, State::Pending).await), ([299, 1], 0));
    assert_eq!((counted(&store, Count::Webhooks).await, counted(&store, Count::ActiveWebhooks).await), (2, 1));
    assert!(store.read(move |read| read.webhook(&room, other.id)).await.unwrap().active);
}

#[tokio::test]
async fn five_days_of_failures_disable_an_endpoint_and_one_success_forgives() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    let row = webhook(&store, room, "message").await;
    let days_ago = |days: i64| {
        store.write(move |tx| {
            let since = crate::clock::now() - days * 24 * 3_600_000_000;
            tx.execute("update webhooks set failing_since = ?1 where failing_since is not null", [since])
        })
    };
    let failing = || store.read(move |read| read.webhook(&room, row.id));
    let mut step = async |outcome: Outcome| {
        post(&store, room, "hello").await;
        let claimed = handed.next().await.expect("a job");
        settle(&store, &claimed, outcome).await;
    };
    step(Outcome::discard("no")).await;
    days_ago(6).await.unwrap();
    step(Outcome::done()).await;
    assert_eq!(failing().await.unwrap().failing_since, None);
    step(Outcome::discard("no")).await;
    days_ago(4).await.unwrap();
    step(Outcome::discard("no")).await;
    assert!(failing().await.unwrap().active);
    days_ago(5).await.unwrap();
    step(Outcome::discard("no")).await;
    assert!(!failing().await.unwrap().active);
}

#[tokio::test]
async fn last_event_of_a_room_outlives_its_endpoints() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    store.with_slots(|slots| slots.close("webhook"));
    let lane = webhook(&store, room, "*").await.id.to_string();
    store.write(move |tx| tx.pause("webhook", &lane, "me", "of an endpoint that goes")).await.unwrap();
    for text in 0..250 {
        post(&store, room, &text.to_string()).await;
    }
    store.write(move |tx| tx.record(Some(room.key), Kind::RoomDeleted, |_| "{}".into())).await.unwrap();
    assert_eq!((counted(&store, Count::Webhooks).await, counted(&store, Count::ActiveWebhooks).await), (0, 0));
    assert_eq!(store.read(|read| read.pauses()).await.unwrap(), []);
    open(&store, 1);
    for _ in 0..10 {
        store.write(|tx| tx.claim_due("webhook", 64)).await.unwrap();
    }
    let claimed = handed.next().await.expect("the last job");
    assert_eq!(body(&claimed)["event"], "room_deleted");
    settle(&store, &claimed, Outcome::done()).await;
    assert_eq!((in_state(&store, State::Pending).await, in_state(&store, State::Flushed).await), (0, 250));
}

#[tokio::test]
async fn delivery_is_made_again_under_its_own_id() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    let row = webhook(&store, room, "message").await;
    post(&store, room, "hello").await;
    let first = handed.next().await.expect("a job");
    settle(&store, &first, Outcome::done()).await;
    let group: JobId = first.job.id.parse().unwrap();
    let unknown = store.write(move |tx| tx.redeliver(&room, row.id, JobId::new())).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    let stranger = store.write(move |tx| tx.redeliver(&room, WebhookId::new(), group)).await;
    assert!(matches!(stranger, Err(Error::NotFound(_))), "{stranger:?}");
    store.write(move |tx| tx.redeliver(&room, row.id, group)).await.unwrap();
    store.write(|tx| tx.claim_due("webhook", 1)).await.unwrap();
    let again = handed.next().await.expect("the job again");
    assert_eq!((&again.job.id, again.job.attempt), (&first.job.id, 1));
    settle(&store, &again, Outcome::done()).await;
    let counts = store.read(|read| read.job_counts()).await.unwrap();
    let left: Vec<_> = counts.iter().filter(|(_, _, count)| *count != 0).collect();
    assert_eq!(left.len(), 1, "one job, completed: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_write_in_a_shared_commit_is_heard_by_nobody_and_holds_no_slot() {
    let Fixture { store, mut handed, room, .. } = fixture().await;
    open(&store, 4);
    webhook(&store, room, "*").await;
    let mut heard = store.bus().subscribe(crate::live::bus::Topic::All);
    // The writer is held, so that the next three wait and share a commit.
    let (go, held) = std::sync::mpsc::channel::<()>();
    let mut holding = Box::pin(store.write(move |_| Ok(held.recv().is_ok())));
    assert!((&mut holding).now_or_never().is_none());
    let say = |text: &'static str| {
        store.write(move |tx| {
            let draft = Draft::new(room.id, "ann", text, &serde_json::json!({}), None)?;
            let posted = tx.post_message(&draft, None, &Viewer::Everyone)?;
            if text == "refused" { Err(Error::Conflict("changed my mind".into())) } else { Ok(posted.seq) }
        })
    };
    let mut waiting = Box::pin(futures_util::future::join_all([say("refused"), say("first"), say("second")]));
    assert!((&mut waiting).now_or_never().is_none());
    go.send(()).unwrap();
    assert!(holding.await.unwrap());
    let written: Vec<i64> = waiting.await.into_iter().flatten().collect();
    let piece = heard.next().await.expect("a piece");
    let seqs: Vec<i64> = piece.frames.iter().map(|frame| frame.seq).collect();
    assert_eq!((written.len(), seqs), (2, written), "in one piece, and nothing else");
    let claimed = handed.next().await.expect("the first one's job");
    assert_eq!(body(&claimed)["data"]["content"], "first");
    assert_eq!(store.with_slots(|slots| slots.free("webhook")), 3, "one job of the lane is under way");
}
