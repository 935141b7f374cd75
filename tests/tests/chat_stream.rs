//! Streams of a room: replay, the seam to live, readers that are slow or come back, and what an agent says while it thinks.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::events::{Event, Stream};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::soon;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().filter(|event| event.name == "message").map(Event::content).collect()
}

fn ids(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.id.expect("a durable event has a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_from_the_beginning_replays_all_and_goes_on_live() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let stored = host.say(&room, "stored").await;
    host.say(&other, "elsewhere").await;
    let mut stream = Stream::open(host.client(), &room, "?after=0", &[]).await;
    let events = stream.until(|event| event.content() == "stored").await;
    assert_eq!(stream.retry, Some(2000));
    assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["room_created", "message"]);
    assert_eq!((&events[0].data["name"], events[0].data.get("admin_key")), (&json!("room"), None));
    assert_eq!((&events[1].data, events[1].id), (&stored, stored["seq"].as_i64()), "as it is read otherwise");
    let live = host.say(&room, "line one\nline two\r\n</data> 👋").await;
    let event = stream.next_real().await.expect("it goes on");
    assert_eq!((&event.data, event.id, event.name.as_str()), (&live, live["seq"].as_i64(), "message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_without_a_cursor_begins_now_and_says_where_that_is() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let past = host.say(&room, "past").await;
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let first = stream.next().await.expect("a heartbeat at once");
    assert_eq!((first.name.as_str(), first.id), ("heartbeat", past["seq"].as_i64()));
    assert!(first.data["time"].is_string(), "{first:?}");
    host.say(&room, "now").await;
    assert_eq!(stream.next_real().await.expect("a message").content(), "now");
    // Who was told nothing but the heartbeat comes back to this very place.
    let again = first.id.expect("its number").to_string();
    let mut again = Stream::open(host.client(), &room, "", &[("last-event-id", &again)]).await;
    assert_eq!(again.next_real().await.expect("a message").content(), "now");
}

#[tokio::test(flavor = "multi_thread")]
async fn last_event_id_beats_the_address() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut seqs = Vec::new();
    for text in ["one", "two", "three"] {
        seqs.push(host.say(&room, text).await["seq"].to_string());
    }
    let header = ("last-event-id", seqs[1].as_str());
    let mut stream = Stream::open(host.client(), &room, "?after=0", &[header]).await;
    assert_eq!(stream.next_real().await.expect("a message").content(), "three");
    let mut empty = Stream::open(host.client(), &room, "?after=0", &[("last-event-id", "")]).await;
    let all = empty.until(|event| event.content() == "three").await;
    assert_eq!(texts(&all), ["one", "two", "three"]);
    let path = format!("/api/v1/rooms/{room}/stream");
    host.get(&path).header("last-event-id", "last").await.refused(400, "Last-Event-ID");
    host.get(&format!("{path}?after=last")).await.refused(400, "'after'");
    host.get(&format!("{path}?since=yesterday")).await.refused(400, "'since'");
    host.get("/api/v1/rooms/01a1fe0d-be23-76e7-9b23-440ad354ad90/stream").await.refused(404, "Room not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_since_a_time_begins_with_that_moment() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    host.say(&room, "before").await;
    let from = host.say(&room, "from here").await["created_at"].as_str().expect("a time").to_owned();
    host.say(&room, "and on").await;
    let mut stream = Stream::open(host.client(), &room, &format!("?since={from}"), &[]).await;
    let events = stream.until(|event| event.content() == "and on").await;
    assert_eq!(texts(&events), ["from here", "and on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_from_another_time_of_the_store_is_reset_and_goes_on_live() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let head = host.say(&room, "head").await["seq"].clone();
    let mut stream = Stream::open(host.client(), &room, "?after=123456", &[]).await;
    let reset = stream.next().await.expect("an event at once");
    assert_eq!((reset.name.as_str(), reset.id), ("reset", head.as_i64()));
    let wanted = json!({ "reason": "ahead", "after": 123456, "oldest_seq": 1, "head": head });
    assert_eq!(reset.data, wanted);
    host.say(&room, "live").await;
    assert_eq!(stream.next_real().await.expect("a message").content(), "live");
}

/// Readers that come in at any moment, and come back at any moment, while everybody writes.
#[tokio::test(flavor = "multi_thread")]
async fn readers_at_the_seam_see_all_that_eight_writers_write_once_and_in_order() {
    const WRITERS: usize = 8;
    const EACH: usize = 60;
    let host = Host::start("").await;
    let room = host.room("room").await;
    let (client, path) = (host.client().clone().keeping_connections(), format!("/api/v1/rooms/{room}/messages"));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, path) = (client.clone(), path.clone());
            tokio::spawn(async move {
                for number in 0..EACH {
                    let body = json!({ "sender": format!("writer {writer}"), "content": number.to_string() });
                    client.post(&path, &body).await.ok();
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..12)
        .map(|reader| {
            let (client, room, path) = (host.client().clone(), room.clone(), path.clone());
            tokio::spawn(async move {
                // Each begins when so much was written, by its own count.
                let begin = format!("{path}?limit=500");
                while client.get(&begin).await.ok().as_array().map_or(0, Vec::len) < reader * 30 {}
                let (mut seen, mut last) = (Vec::new(), 0);
                while texts(&seen).len() < WRITERS * EACH {
                    let mut stream = Stream::open(&client, &room, &format!("?after={last}"), &[]).await;
                    // Every other reader comes back again and again.
                    let stay = if reader % 2 == 0 { usize::MAX } else { 40 };
                    for _ in 0..stay {
                        seen.extend(stream.next_real().await);
                        last = *ids(&seen).last().expect("an event");
                        if texts(&seen).len() >= WRITERS * EACH {
                            break;
                        }
                    }
                }
                seen
            })
        })
        .collect();
    for writer in writers {
        soon("a writer", writer).await.expect("it writes");
    }
    let stored = host.get(&format!("{path}?limit=500")).await.ok();
    let stored: Vec<&Value> = stored.as_array().expect("a list of messages").iter().collect();
    assert_eq!(stored.len(), WRITERS * EACH);
    for reader in readers {
        let seen = soon("a reader", reader).await.expect("it reads");
        let messages: Vec<_> = seen.iter().filter(|event| event.name == "message").map(|event| &event.data).collect();
        assert_eq!(messages, stored, "no gap, no repeat, in order");
        assert!(ids(&seen).is_sorted_by(|a, b| a < b));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_that_does_not_read_costs_little_memory_and_then_gets_everything() {
    const READERS: usize = 40;
    const MESSAGES: usize = 1000;
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut stalled = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().expect("a socket");
        // What the kernel holds is not the host's, but would hide that the host has to hold nothing.
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let address = ([127, 0, 0, 1], host.port()).into();
        let mut reader = socket.connect(address).await.expect("a connection");
        let head = format!("GET /api/v1/rooms/{room}/stream?after=0 HTTP/1.1\r\nhost: x\r\n\r\n");
        reader.write_all(head.as_bytes()).await.expect("a request");
        stalled.push(reader);
    }
    let open = || host.get("/metrics");
    let counted = format!("arcuate_stream_subscribers {READERS}");
    while !open().await.text.contains(&counted) {}
    let before = host.memory();

    let text = "x".repeat(9_000);
    let client = host.client().clone().keeping_connections();
    let path = format!("/api/v1/rooms/{room}/messages");
    let mut last = 0;
    for number in 0..MESSAGES {
        let body = json!({ "sender": "ada", "content": format!("{number} {text}") });
        last = client.post(&path, &body).await.ok()["seq"].as_i64().expect("a number");
    }
    let grown = host.memory().saturating_sub(before);
    let unbounded = (READERS * MESSAGES * text.len()) as u64;
    assert!(grown < unbounded / 8, "{READERS} stalled readers cost {grown} bytes; all they miss is {unbounded}");

    let mut reader = stalled.swap_remove(0);
    drop(stalled);
    let (mut held, mut numbers) = (Vec::new(), Vec::new());
    while numbers.last() != Some(&last) {
        let mut portion = [0; 64 * 1024];
        let count = soon("the rest of the stream", reader.read(&mut portion)).await.expect("more bytes");
        assert!(count > 0, "the stream ended after {numbers:?}");
        held.extend_from_slice(&portion[..count]);
        let end = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = held.drain(..end).collect();
        let lines = String::from_utf8(lines).expect("a stream is UTF-8");
        let data = lines.lines().filter_map(|line| line.strip_prefix("data:"));
        let messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        numbers.extend(messages.filter(|message| message["sender"] == "ada").filter_map(|m| m["seq"].as_i64()));
    }
    assert_eq!(numbers.len(), MESSAGES);
    assert!(numbers.is_sorted_by(|a, b| a < b));
    // Who left is forgotten.
    drop(reader);
    let gone = host.client().clone();
    soon("all readers are forgotten", async {
        while !gone.get("/metrics").await.text.contains("arcuate_stream_subscribers 0") {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_of_an_agent_is_shown_while_it_grows() {
    let manner = Manner { streams: Some(Duration::from_millis(20)), ..Manner::default() };
    let agent = Agent::start(manner).await;
    let host = Host::start(&agent.plugin("")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("hello").await;
    visitor.hears(1).await;
    let conversations = host.get("/api/v1/conversations").await.ok();
    let room = conversations["conversations"][0]["room_id"].as_str().expect("a room").to_owned();

    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    // Its first event says that it listens.
    stream.next().await.expect("a heartbeat");
    visitor.say("one two three four five").await;
    let events = stream.until(|event| event.data["sender_type"] == "agent").await;
    let named = |name: &'static str| events.iter().filter(move |event| event.name == name);
    let deltas: Vec<&Event> = named("stream").collect();
    assert!(named("typing").all(|event| event.id.is_none() && event.data["sender"] == "assistant"), "{events:#?}");
    assert!(named("typing").count() > 0, "the agent types: {events:#?}");
    let job = agent.calls().last().expect("a call").key.clone();
    assert!(deltas.len() > 1, "it came in one piece: {events:#?}");
    assert!(deltas.iter().all(|delta| delta.id.is_none() && delta.data["job_id"] == *job), "{events:#?}");
    let shown: String = deltas.iter().map(|delta| delta.data["delta"].as_str().expect("a delta")).collect();
    assert_eq!(shown, "re: one two three four five");
    let said: Vec<&str> = named("message").map(Event::content).collect();
    assert_eq!(said, ["one two three four five", "re: one two three four five"]);

    // Pieces are not stored: who reads later reads the answer alone.
    let mut later = Stream::open(host.client(), &room, "?after=0", &[]).await;
    let events = later.until(|event| event.content() == "re: one two three four five").await;
    assert!(events.iter().all(|event| event.name != "stream"), "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_host_ends_and_go_on_where_they_were_after_a_kill() {
    let mut host = Host::start("").await;
    let room = host.room("room").await;
    let first = host.say(&room, "first").await["seq"].as_i64().expect("a number");
    let mut stream = Stream::open(host.client(), &room, "?after=0", &[]).await;
    stream.until(|event| event.content() == "first").await;
    host.say(&room, "acknowledged").await;
    host.kill_9();
    while stream.next().await.is_some() {}
    host.start_again().await;
    let mut stream = Stream::open(host.client(), &room, "", &[("last-event-id", &first.to_string())]).await;
    assert_eq!(stream.next_real().await.expect("a message").content(), "acknowledged");
    let (status, time) = host.terminate().await;
    assert!(status.success() && time < Duration::from_secs(3), "{status} after {time:?}, with a stream open");
    while stream.next().await.is_some() {}
}
