//! The stream of all rooms: what it shows, what narrows it, and its seam between log and live.

use arcuate_tests::events::{Event, Stream};
use arcuate_tests::host::Host;
use arcuate_tests::wait::soon;
use reqwest::Method;
use serde_json::json;

fn said(events: &[Event]) -> Vec<&str> {
    events.iter().filter(|event| event.name == "message").map(Event::content).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_of_all_replays_every_room_in_order_and_goes_on_live() {
    let host = Host::start("").await;
    let (one, two) = (host.room("one").await, host.room("two").await);
    host.say(&one, "first").await;
    host.say(&two, "second").await;
    let mut stream = Stream::open_all(host.client(), "?after=0", &[]).await;
    let past = stream.until(|event| event.content() == "second").await;
    assert_eq!(stream.retry, Some(2000));
    let names: Vec<&str> = past.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["room_created", "room_created", "message", "message"]);
    assert!(past.iter().map(|event| event.id).is_sorted_by(|a, b| a < b), "{past:#?}");
    host.room("three").await;
    host.say(&one, "third").await;
    let live = stream.until(|event| event.content() == "third").await;
    assert_eq!((live.len(), live[0].name.as_str(), &live[0].data["name"]), (2, "room_created", &json!("three")));
    let last = past[2].id.expect("a number").to_string();
    let mut again = Stream::open_all(host.client(), "?after=0", &[("last-event-id", &last)]).await;
    let rest = again.until(|event| event.content() == "third").await;
    assert_eq!(said(&rest), ["second", "third"], "the header beats the address");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_of_all_without_a_cursor_begins_now_with_the_number_of_the_head() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let head = host.say(&room, "past").await["seq"].as_i64();
    let mut stream = Stream::open_all(host.client(), "", &[]).await;
    let first = stream.next().await.expect("a heartbeat at once");
    assert_eq!((first.name.as_str(), first.id), ("heartbeat", head));
    host.say(&room, "now").await;
    assert_eq!(stream.next_real().await.expect("a message").content(), "now");
    let mut ahead = Stream::open_all(host.client(), "?after=99999999999999999999", &[]).await;
    let reset = ahead.next().await.expect("an event");
    assert_eq!((reset.name.as_str(), &reset.data["reason"]), ("reset", &json!("ahead")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_narrow_the_stream_live_and_in_replay() {
    let host = Host::start("").await;
    let (one, two, three) = (host.room("one").await, host.room("two").await, host.room("three").await);
    let query = format!("?after=0&rooms={one},%20{three},unknown,01a1fe0d-be23-76e7-9b23-440ad354ad90");
    for round in ["stored", "live"] {
        let mut stream = Stream::open_all(host.client(), &query, &[]).await;
        for (room, name) in [(&one, "one"), (&two, "two"), (&three, "three")] {
            host.say(room, &format!("{name} {round}")).await;
        }
        let events = stream.until(|event| event.content() == format!("three {round}")).await;
        let wanted = ["one stored", "three stored", "one live", "three live"];
        assert_eq!(said(&events), wanted[..if round == "live" { 4 } else { 2 }]);
    }
    let mut nothing = Stream::open_all(host.client(), "?after=0&rooms=unknown", &[]).await;
    assert_eq!(nothing.next().await.expect("an event").name, "heartbeat", "unknown rooms match nothing");
    let many = vec!["x"; 51].iter().enumerate().map(|(index, x)| format!("{x}{index}")).collect::<Vec<_>>();
    host.get(&format!("/api/v1/stream?rooms={}", many.join(","))).await.refused(400, "'rooms' must have at most 50");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_narrow_the_stream_and_unknown_names_are_refused() {
    let host = Host::start("").await;
    let room = host.room("one").await;
    let head = host.say(&room, "passed over").await["seq"].as_i64();
    let mut stream = Stream::open_all(host.client(), "?after=0&events=room_created,presence_joined", &[]).await;
    assert_eq!(stream.next_real().await.expect("an event").data["name"], "one");
    let beat = stream.next().await.expect("a heartbeat always comes");
    assert_eq!((beat.name.as_str(), beat.id), ("heartbeat", head), "where the reader stands");
    host.say(&room, "passed over too").await;
    let _present = Stream::open(host.client(), &room, "?sender=ada", &[]).await;
    host.room("two").await;
    let events = stream.until(|event| event.data["name"] == "two").await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["presence_joined", "room_created"]);
    let wrong = host.get("/api/v1/stream?events=message,nonsense").await;
    wrong.refused(400, "Unknown event type: 'nonsense'. Valid events: message, room_created,");
    wrong.refused(400, "typing, presence_joined, presence_left, stream, heartbeat, reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_of_all_refuses_what_it_cannot_read() {
    let host = Host::start("").await;
    for (query, text) in
        [("after=x", "'after'"), ("since=yesterday", "'since'"), ("sender=%00", "'sender'"), ("rooms=%FF", "'rooms'")]
    {
        host.get(&format!("/api/v1/stream?{query}")).await.refused(400, text);
    }
    let long = "x".repeat(101);
    host.get(&format!("/api/v1/stream?sender={long}")).await.refused(400, "Sender must be 1-100 characters");
    host.get(&format!("/api/v1/stream?sender_type={long}")).await.refused(400, "sender_type must be at most 100");
    host.get("/api/v1/stream").header("last-event-id", "1.5").await.refused(400, "Last-Event-ID");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_stream_ends_at_once_and_joins_nobody() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    for path in [format!("/api/v1/rooms/{room}/stream?sender=ada"), format!("/api/v1/stream?sender=ada&rooms={room}")] {
        let answer = host.client().ask(Method::HEAD, &path).await;
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.text.as_str()),
            (200, "text/event-stream", "")
        );
        assert_eq!((answer.header("cache-control"), answer.header("content-length")), ("no-store", ""));
    }
    assert_eq!(host.get("/api/v1/presence").await.ok()["total_online"], 0);
    let unknown = "/api/v1/rooms/01a1fe0d-be23-76e7-9b23-440ad354ad90/stream";
    assert_eq!(host.client().ask(Method::HEAD, unknown).await.status, 404);
}

/// Readers that come in at any moment while eight write into rooms of their own.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_all_at_the_seam_see_everything_once_and_in_order() {
    const WRITERS: usize = 8;
    const EACH: usize = 60;
    let host = Host::start("").await;
    let mut rooms = Vec::new();
    for writer in 0..WRITERS {
        rooms.push(host.room(&format!("room {writer}")).await);
    }
    let client = host.client().clone().keeping_connections();
    let writers: Vec<_> = rooms
        .iter()
        .map(|room| {
            let (client, path) = (client.clone(), format!("/api/v1/rooms/{room}/messages"));
            tokio::spawn(async move {
                for number in 0..EACH {
                    client.post(&path, &json!({ "sender": "ada", "content": number.to_string() })).await.ok();
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let (client, named) = (host.client().clone(), rooms[reader].clone());
            tokio::spawn(async move {
                // Every other one wants one room alone.
                let narrow = if reader % 2 == 0 { String::new() } else { format!("&rooms={named}") };
                let wanted = if reader % 2 == 0 { WRITERS * EACH } else { EACH };
                let (mut seen, mut last) = (Vec::new(), 0);
                while said(&seen).len() < wanted {
                    let mut stream = Stream::open_all(&client, &format!("?after={last}{narrow}"), &[]).await;
                    for _ in 0..50 {
                        seen.push(stream.next_real().await.expect("it goes on"));
                        last = seen.last().and_then(|event| event.id).expect("a number");
                        if said(&seen).len() >= wanted {
                            break;
                        }
                    }
                }
                (said(&seen).len(), seen.iter().map(|event| event.id).collect::<Vec<_>>(), wanted)
            })
        })
        .collect();
    for writer in writers {
        soon("a writer", writer).await.expect("it writes");
    }
    for reader in readers {
        let (count, ids, wanted) = soon("a reader", reader).await.expect("it reads");
        assert_eq!(count, wanted);
        assert!(ids.is_sorted_by(|a, b| a < b), "no repeat, in order");
    }
}
