//! Direct messages are for their two people: to everybody else, administrators among them, every route is as if they were not there.

use super::matrix::routes;
use super::{enter, general, token_host};
use arcuate_tests::client::{Answer, Client};
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "xylophone";
/// A word beside it, to look for: an answer repeats what was asked.
const HINT: &str = "password";

/// A room of direct messages between ann and bob, and those who may not know of it.
struct Scene {
    host: Host,
    ann: Client,
    bob: Client,
    /// Has scope admin.
    eve: Client,
    operator: Client,
    room: String,
    message: String,
}

async fn scene() -> Scene {
    let host = token_host().await;
    let ann = enter(&host, "ann", &["write"]).await;
    let bob = enter(&host, "bob", &["write"]).await;
    let eve = enter(&host, "eve", &["admin"]).await;
    let sent = json!({ "recipient": "bob", "content": format!("the {HINT} is {SECRET}, @eve") });
    let sent = ann.post("/api/v1/dm", &sent).await.ok();
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let (room, message) = (text(&sent["room_id"]), text(&sent["message"]["id"]));
    assert_eq!(sent["message"]["sender"], "ann");
    let operator = host.operator();
    Scene { host, ann, bob, eve, operator, room, message }
}

impl Scene {
    fn assert_silent(&self, answer: &Answer) {
        let told = [SECRET, &self.message].iter().any(|word| answer.text.contains(*word));
        // A room's own id may be named by the one who asked for it, but nothing of what is in it.
        assert!(!told && answer.status < 500, "{answer}");
    }

    /// A request that has everything any route of a room asks for.
    async fn ask(&self, client: &Client, method: &str, path: &str, sender: &str) -> Answer {
        let query = if sender.is_empty() { String::new() } else { format!("&sender={sender}") };
        let method = if path.ends_with("/stream") { "HEAD" } else { method };
        let asked = client
            .ask(Method::from_bytes(method.as_bytes()).expect("a method"), &format!("{path}?emoji=x&q={HINT}{query}"));
        if ["GET", "HEAD"].contains(&method) {
            return asked.await;
        }
        let mut body = json!({
            "content": "y", "emoji": "y", "last_read_seq": 1, "name": "y", "filename": "y", "data": "eA==",
            "url": "http://127.0.0.1:1/", "events": "*",
        });
        if !sender.is_empty() {
            body["sender"] = sender.into();
        }
        asked.json(&body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_a_room_says_that_there_is_none() {
    let scene = scene().await;
    let routes = routes(&scene.host).await;
    let of_rooms: Vec<_> = routes.iter().filter(|(_, path)| path.starts_with("/api/v1/rooms/{")).collect();
    assert!(of_rooms.len() > 10, "{of_rooms:?}");
    for (method, path) in of_rooms {
        let mut parts = path.split('/').collect::<Vec<_>>();
        parts[4] = &scene.room;
        let ids = parts.iter().map(|part| if part.starts_with('{') { scene.message.as_str() } else { part });
        let path = ids.collect::<Vec<_>>().join("/");
        let export = path.ends_with("/export");
        // Of an export, `sender` is a filter.
        let operator = if export { "" } else { "eve" };
        for (client, sender, may_export) in [(&scene.eve, "", false), (&scene.operator, operator, export)] {
            let answer = scene.ask(client, method, &path, sender).await;
            if may_export {
                assert!(answer.status == 200 && answer.text.contains(SECRET), "the operator may export it: {answer}");
            } else if method == "DELETE" && path.ends_with("/bookmark") {
                assert!([200, 404].contains(&answer.status), "{answer}");
            } else {
                assert_eq!(answer.status, 404, "{answer}");
                scene.assert_silent(&answer);
            }
        }
    }
    let messages = format!("/api/v1/rooms/{}/messages", scene.room);
    for reader in [&scene.ann, &scene.bob] {
        let shown = reader.get(&messages).await.ok();
        assert_eq!(shown.as_array().map(Vec::len), Some(1), "nothing was added or taken away: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_messages_are_not_reached_through_another_room() {
    let scene = scene().await;
    let general = general(&scene.ann).await;
    let own = json!({ "content": "hers" });
    let own = scene.eve.post(&format!("/api/v1/rooms/{general}/messages"), &own).await.ok();
    let routes = routes(&scene.host).await;
    let of_messages =
        routes.iter().filter(|(_, path)| path.starts_with("/api/v1/rooms/{") && path.matches('{').count() > 1);
    for (method, path) in of_messages {
        let mut parts = path.split('/').collect::<Vec<_>>();
        parts[4] = &general;
        let ids = parts.iter().map(|part| if part.starts_with('{') { scene.message.as_str() } else { part });
        let path = ids.collect::<Vec<_>>().join("/");
        for (client, sender) in [(&scene.eve, ""), (&scene.operator, "ann")] {
            let answer = scene.ask(client, method, &path, sender).await;
            assert_eq!(answer.status, 404, "{answer}");
            scene.assert_silent(&answer);
        }
    }
    let reply = json!({ "content": "quoting", "reply_to": scene.message });
    let answer = scene.eve.post(&format!("/api/v1/rooms/{general}/messages"), &reply).await;
    answer.refused(400, "Referenced reply_to message not found in this room");
    let thread = format!("/api/v1/rooms/{general}/messages/{}/thread", own["id"].as_str().expect("an id"));
    assert_eq!(scene.eve.get(&thread).await.ok()["total_replies"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_over_rooms_leaves_it_out() {
    let scene = scene().await;
    let path = format!("/api/v1/rooms/{}/read", scene.room);
    scene.ann.ask(Method::PUT, &path).json(&json!({ "last_read_seq": 0 })).await;
    scene.ann.ask(Method::PUT, &format!("/api/v1/rooms/{}/bookmark", scene.room)).json(&json!({})).await;
    let _open = Stream::open(scene.host.client(), &scene.room, &ticket(&scene.ann).await, &[]).await;
    let lists = [
        "/api/v1/rooms?include_archived=true&types=dm,room,bridge".to_owned(),
        format!("/api/v1/search?q={HINT}"),
        format!("/api/v1/search?q={HINT}&room_id={}", scene.room),
        "/api/v1/search?q=ann".into(),
        "/api/v1/activity".into(),
        format!("/api/v1/activity?room_id={}&sender=ann", scene.room),
        "/api/v1/mentions?target=eve".into(),
        format!("/api/v1/mentions?target=eve&room_id={}", scene.room),
        "/api/v1/mentions/unread?target=eve".into(),
        "/api/v1/unread?sender=eve".into(),
        "/api/v1/dm?sender=eve".into(),
        format!("/api/v1/dm/{}", scene.room),
        "/api/v1/bookmarks?sender=eve".into(),
        "/api/v1/presence".into(),
        "/api/v1/profiles".into(),
        "/api/v1/conversations".into(),
        "/api/v1/stats".into(),
    ];
    for path in lists {
        for client in [&scene.eve, &scene.operator] {
            let answer = client.get(&path).await;
            scene.assert_silent(&answer);
            assert!(!answer.text.contains(&scene.room), "{answer}");
        }
    }
    for (client, path) in [
        (&scene.eve, "/api/v1/dm?sender=ann"),
        (&scene.eve, "/api/v1/unread?sender=ann"),
        (&scene.eve, "/api/v1/bookmarks?sender=ann"),
        (&scene.eve, "/api/v1/mentions?target=ann"),
        (&scene.eve, "/api/v1/mentions/unread?target=ann"),
    ] {
        client.get(path).await.refused(403, "'eve'");
    }
    let found = scene.bob.get(&format!("/api/v1/search?q={HINT}")).await.ok();
    assert_eq!(found["results"][0]["room_id"], scene.room.as_str(), "its own people find it");
    let own = scene.bob.get("/api/v1/dm").await.ok();
    assert_eq!(own["conversations"][0]["room_id"], scene.room.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_of_all_rooms_leaves_it_out() {
    let scene = scene().await;
    let general = general(&scene.ann).await;
    let mut streams = Vec::new();
    for client in [&scene.eve, &scene.operator, &scene.bob] {
        let path = format!("/api/v1/stream{}&after=0", ticket(client).await);
        streams.push(Stream::of(scene.host.client().open(&path, &[]).await));
    }
    scene.ann.post("/api/v1/dm", &json!({ "recipient": "bob", "content": format!("again {SECRET}") })).await.ok();
    let typing = format!("/api/v1/rooms/{}/typing", scene.room);
    scene.ann.post(&typing, &json!({})).await.ok();
    scene.ann.post(&format!("/api/v1/rooms/{general}/messages"), &json!({ "content": "for all" })).await.ok();
    for (stream, whispers) in streams.iter_mut().zip([0, 0, 2]) {
        let events = stream.until(|event| event.content() == "for all").await;
        let heard = events.iter().filter(|event| event.content().contains(SECRET)).count();
        assert_eq!(heard, whispers, "{events:#?}");
        let of_room = events.iter().filter(|event| event.data.to_string().contains(&scene.room)).count();
        assert_eq!(of_room > 0, whispers > 0, "{events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_broadcasts_do_not_reach_into_it() {
    let scene = scene().await;
    let files = format!("/api/v1/rooms/{}/files", scene.room);
    let file =
        scene.ann.post(&files, &json!({ "filename": "a.txt", "content_type": "text/plain", "data": "eHlsb3Bob25l" }));
    let file = file.await.ok()["id"].as_str().expect("a file's id").to_owned();
    for path in [format!("/api/v1/files/{file}"), format!("/api/v1/files/{file}/info")] {
        assert_eq!(scene.bob.get(&path).await.status, 200);
        for client in [&scene.eve, &scene.operator] {
            client.get(&path).await.refused(404, "File not found");
        }
    }
    let broadcast = json!({ "room_ids": [scene.room], "content": "listen" });
    let told = scene.eve.post("/api/v1/broadcast", &broadcast).await.ok();
    assert_eq!((&told["sent"], &told["failed"]), (&json!(0), &json!(1)), "{told}");
}

/// The query that stands for the client's token.
async fn ticket(client: &Client) -> String {
    let given = client.post("/api/v1/ws-ticket", &json!({})).await.ok();
    format!("?ticket={}", given["ticket"].as_str().expect("a ticket"))
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_what_is_not_ready_but_not_why() {
    let host = Host::start("auth.mode = \"token\"\n[plugins.lost]\nenabled = true\n").await;
    let operator = host.operator();
    let pause = json!({ "plugin": "assistant", "reason": "ada changes the key" });
    operator.post("/api/v1/admin/queue/pause", &pause).await.ok();
    for (client, knows) in [(host.client(), false), (&operator, true)] {
        let ready = client.get("/ready").await.ok();
        let (lost, paused) = (&ready["plugins"][0], &ready["queue"]["paused"][0]);
        assert_eq!((&lost["name"], &lost["state"]), (&json!("lost"), &json!("Rejected")), "{ready}");
        assert_eq!(paused["plugin"], "assistant");
        assert_eq!((lost["reason"].is_string(), paused["reason"].is_string()), (knows, knows), "{ready}");
    }
    let named = json!({ "name": "operator", "scopes": ["write"] });
    operator.post("/api/v1/admin/tokens", &named).await.refused(400, "choose another name");
}
