//! Ten thousand events while an endpoint fails at random and goes away, and the host is killed twice: each arrives, in order per endpoint,
//! under one id, and a dead endpoint beside them delays nobody.
//!
//! `ARCUATE_STORM_SEED` (1) is the luck; `ARCUATE_STORM_EVENTS` (10,000) the number of events.

use crate::webhooks::OwnedRoom;
use arcuate_tests::chance::{happens, number_of};
use arcuate_tests::client::Client;
use arcuate_tests::host::Setup;
use arcuate_tests::ports::free_port;
use arcuate_tests::receiver::{Post, Receiver};
use arcuate_tests::wait::until_async;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Rooms with an endpoint each, so that many lanes share a commit.
const ROOMS: usize = 25;
const WRITERS: usize = 4;
/// For all deliveries, on a machine that has other things to do.
const CALM: Duration = Duration::from_secs(120);

/// Kills are no loss of power: what the system has, stays.
const CONFIG: &str = "[store]\ndurability = \"normal\"\n[plugins.webhook.settings]\n\
                      schedule = [0.002, 0.005, 0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.2, 0.5, 1, 2, 5]\n\
                      concurrency = 64\n";

struct Writing {
    /// Messages that the host acknowledged, by room.
    written: HashMap<String, Vec<i64>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_over_webhooks_loses_nothing_and_keeps_the_order() {
    let (seed, events) = (number_of("ARCUATE_STORM_SEED", 1), number_of("ARCUATE_STORM_EVENTS", 10_000) as usize);
    eprintln!("this storm again: ARCUATE_STORM_SEED={seed} ARCUATE_STORM_EVENTS={events}");
    let luck = move |post: &Post, before: usize| {
        let fails = happens(seed, &format!("{} {before}", post.header("webhook-id")), 0.3);
        if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }.into_response()
    };
    let mut receiver = Receiver::answering(luck).await;
    let mut host = Setup::new(CONFIG).steady_port().start().await;
    let begun = std::time::Instant::now();
    let dead = format!("http://127.0.0.1:{}/", free_port());
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        let room = OwnedRoom::new(&host, &format!("room {number}")).await;
        room.hook(&json!({ "url": receiver.url() })).await;
        if number == 0 {
            room.hook(&json!({ "url": dead })).await;
        }
        rooms.push(room.id);
    }

    let count = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let rooms: Vec<String> = rooms.iter().skip(writer).step_by(WRITERS).cloned().collect();
            tokio::spawn(write(host.client().clone().keeping_connections(), rooms, count.clone(), events))
        })
        .collect();
    for quarter in 1..4 {
        while count.load(Ordering::Relaxed) < events * quarter / 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if quarter == 2 {
            receiver.restart().await;
        } else {
            host.kill_9();
            host.start_again().await;
        }
    }
    let mut written: HashMap<String, Vec<i64>> = HashMap::new();
    for writer in writers {
        written.extend(writer.await.expect("a writer").written);
    }
    let total: usize = written.values().map(Vec::len).sum();
    assert!(total >= events, "{total} of {events} were written");

    let look = || async {
        // Cheap first: reading all bodies again and again would take the time that the host needs.
        if receiver.count() < total || taken(&receiver.posts()) < total {
            return None;
        }
        let arrived = arrived(&receiver.posts());
        let missing = |(room, seqs): (&String, &Vec<i64>)| arrived.get(room).is_none_or(|got| got.len() < seqs.len());
        (!written.iter().any(missing)).then_some(arrived)
    };
    let arrived = until_async("every event arrives", CALM, look).await;
    for (room, seqs) in &written {
        let got: Vec<i64> = arrived[room].iter().map(|(seq, _)| *seq).collect();
        assert!(got.is_sorted_by(|a, b| a < b), "in order, each new one once: {got:?}");
        let lost: Vec<_> = seqs.iter().filter(|seq| got.binary_search(seq).is_err()).collect();
        assert!(lost.is_empty(), "lost in {room}: {lost:?}");
    }
    assert_one_id_per_event(&receiver.posts());
    let posts = receiver.count();
    assert!(posts > total * 5 / 4, "it was no storm: {posts} posts for {total} events");
    assert!(!host.log().contains("panicked"), "a panic is in the log");
    eprintln!("{total} events, {posts} posts in {:?}", begun.elapsed());
}

/// Posts in its rooms until all writers together have written enough. What got no answer may be there or not.
async fn write(client: Client, rooms: Vec<String>, count: Arc<AtomicUsize>, events: usize) -> Writing {
    let (client, mut written): (&Client, HashMap<String, Vec<i64>>) = (&client, HashMap::new());
    while count.load(Ordering::Relaxed) < events {
        let posts = rooms.iter().map(|room| async move {
            let body = json!({ "sender": "ada", "content": "storm" });
            let answer = client.post(&format!("/api/v1/rooms/{room}/messages"), &body).attempt().await.ok();
            (room, answer.filter(|answer| answer.status == 200).and_then(|answer| answer.json()["seq"].as_i64()))
        });
        for (room, seq) in futures_util::future::join_all(posts).await {
            match seq {
                Some(seq) => {
                    count.fetch_add(1, Ordering::Relaxed);
                    written.entry(room.clone()).or_default().push(seq);
                }
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
    Writing { written }
}

/// Events that were taken at least once.
fn taken(posts: &[Post]) -> usize {
    let taken = posts.iter().filter(|post| post.status == 200).map(|post| post.header("webhook-id"));
    taken.collect::<std::collections::HashSet<_>>().len()
}

/// Events by room in the order of their first success, with their ids.
fn arrived(posts: &[Post]) -> HashMap<String, Vec<(i64, String)>> {
    let mut arrived: HashMap<String, Vec<(i64, String)>> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for post in posts.iter().filter(|post| post.status == 200) {
        let id = post.header("webhook-id").to_owned();
        if seen.insert(id.clone()) {
            let body = post.json();
            let room = body["room_id"].as_str().expect("a room").to_owned();
            arrived.entry(room).or_default().push((body["data"]["seq"].as_i64().expect("a number"), id));
        }
    }
    arrived
}

fn assert_one_id_per_event(posts: &[Post]) {
    let mut ids: HashMap<i64, &str> = HashMap::new();
    for post in posts {
        let seq = post.json()["data"]["seq"].as_i64().expect("a number");
        let id = post.header("webhook-id");
        assert_eq!(*ids.entry(seq).or_insert(id), id, "event {seq} came under two ids");
    }
}
