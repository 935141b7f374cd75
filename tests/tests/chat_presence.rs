//! Who is there: joins and leaves by connection, as lists and as events.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

async fn online(host: &Host, room: &str) -> Vec<String> {
    let answer = host.get(&format!("/api/v1/rooms/{room}/presence")).await.ok();
    let online = answer["online"].as_array().expect("a list").clone();
    assert_eq!((&answer["room_id"], &answer["count"]), (&json!(room), &json!(online.len())));
    online.iter().map(|present| present["sender"].as_str().expect("a name").to_owned()).collect()
}

async fn until_online(host: &Host, room: &str, wanted: &[&str]) {
    let look = async || (online(host, room).await == wanted).then_some(());
    until_async(&format!("{wanted:?} are online"), PATIENCE, look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_with_a_sender_is_present_from_its_head_until_its_socket_closes() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut watcher = Stream::open(host.client(), &room, "", &[]).await;
    watcher.next().await.expect("a heartbeat");
    for round in 0..20 {
        let ada = Stream::open(host.client(), &room, "?sender=%20ada%20&sender_type=human", &[]).await;
        assert_eq!(online(&host, &room).await, ["ada"], "seen when the head is there, round {round}");
        let joined = watcher.next_real().await.expect("an event");
        let data = json!({ "sender": "ada", "sender_type": "human", "room_id": room });
        assert_eq!((joined.name.as_str(), joined.id, &joined.data), ("presence_joined", None, &data));
        drop(ada);
        let left = watcher.next_real().await.expect("an event");
        let data = json!({ "sender": "ada", "room_id": room });
        assert_eq!((left.name.as_str(), left.id, &left.data), ("presence_left", None, &data));
        assert_eq!(online(&host, &room).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_and_only_the_first_and_the_last_are_told() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut watcher = Stream::open(host.client(), &room, "", &[]).await;
    let first = Stream::open(host.client(), &room, "?sender=ada", &[]).await;
    let second = Stream::open(host.client(), &room, "?sender=ada", &[]).await;
    let bob = Stream::open(host.client(), &room, "?sender=bob&sender_type=agent", &[]).await;
    let answer = host.get(&format!("/api/v1/rooms/{room}/presence")).await.ok();
    assert_eq!((&answer["count"], &answer["cursor"]), (&json!(2), &Value::Null));
    let (ada, other) = (&answer["online"][0], &answer["online"][1]);
    assert_eq!((&ada["sender"], ada.get("sender_type")), (&json!("ada"), None), "{answer}");
    assert_eq!((&other["sender"], &other["sender_type"]), (&json!("bob"), &json!("agent")));
    assert!(ada["connected_at"].as_str().is_some_and(|time| time.len() == 27 && time.ends_with('Z')), "{answer}");
    drop(first);
    drop(bob);
    until_online(&host, &room, &["ada"]).await;
    drop(second);
    let told = watcher.until(|event| event.name == "presence_left" && event.data["sender"] == "ada").await;
    let told: Vec<_> = told.iter().map(|event| (event.name.as_str(), event.data["sender"].as_str().unwrap())).collect();
    let (joined, left) = ("presence_joined", "presence_left");
    assert_eq!(told, [(joined, "ada"), (joined, "bob"), (left, "bob"), (left, "ada")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_are_blank_join_nobody_and_too_long_ones_are_refused() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let _blank = Stream::open(host.client(), &room, "?sender=%20%09", &[]).await;
    let _empty = Stream::open(host.client(), &room, "?sender=", &[]).await;
    assert_eq!(online(&host, &room).await, Vec::<String>::new());
    let longest = "é".repeat(100);
    let _longest = Stream::open(host.client(), &room, &format!("?sender={longest}"), &[]).await;
    assert_eq!(online(&host, &room).await, [longest]);
    let path = format!("/api/v1/rooms/{room}/stream");
    let long = "é".repeat(101);
    host.get(&format!("{path}?sender={long}")).await.refused(400, "Sender must be 1-100 characters");
    host.get(&format!("{path}?sender=a&sender_type={long}")).await.refused(400, "sender_type must be at most 100");
    host.get(&format!("{path}?sender=%00")).await.refused(400, "'sender'");
    for unknown in ["01a1fe0d-be23-76e7-9b23-440ad354ad90", "nonsense"] {
        host.get(&format!("/api/v1/rooms/{unknown}/presence")).await.refused(404, "Room not found");
        host.get(&format!("/api/v1/rooms/{unknown}/stream?sender=a")).await.refused(404, "Room not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_of_all_rooms_counts_people_once() {
    let host = Host::start("").await;
    let (one, two, three) = (host.room("one").await, host.room("two").await, host.room("three").await);
    let empty = host.get("/api/v1/presence").await.ok();
    assert_eq!(empty, json!({ "rooms": {}, "total_online": 0, "cursor": null }));
    let _ada = Stream::open_all(host.client(), &format!("?sender=ada&rooms={one},{two},nonsense"), &[]).await;
    let _bob = Stream::open(host.client(), &two, "?sender=bob", &[]).await;
    let _nobody = Stream::open_all(host.client(), "?sender=eve", &[]).await;
    let all = host.get("/api/v1/presence").await.ok();
    let names = |room: &str| {
        let list = all["rooms"][room].as_array().cloned().unwrap_or_default();
        list.iter().map(|present| present["sender"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&one), names(&two), names(&three)),
        (vec!["ada".into()], vec!["ada".into(), "bob".into()], vec![])
    );
    assert_eq!((&all["total_online"], all["rooms"].as_object().map(|rooms| rooms.len())), (&json!(2), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_is_given_in_pages() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut streams = Vec::new();
    for number in 0..5 {
        streams.push(Stream::open(host.client(), &room, &format!("?sender=p{number}"), &[]).await);
    }
    for (path, list) in [
        (format!("/api/v1/rooms/{room}/presence"), "/online".to_owned()),
        ("/api/v1/presence".into(), format!("/rooms/{room}")),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = host.get(&format!("{path}?limit=2&cursor={cursor}")).await.ok();
            assert_eq!(page.get("count").or(page.get("total_online")), Some(&json!(5)));
            let people = page.pointer(&list).and_then(Value::as_array).cloned().unwrap_or_default();
            seen.extend(people.iter().map(|present| present["sender"].as_str().unwrap().to_owned()));
            match page["cursor"].as_str() {
                Some(next) => cursor = next.into(),
                None => break,
            }
        }
        assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"]);
        host.get(&format!("{path}?limit=x")).await.refused(400, "'limit'");
        host.get(&format!("{path}?cursor=x")).await.refused(400, "'cursor'");
    }
}
