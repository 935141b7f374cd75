//! Endpoints as their owners see them: every row of the API, and every way to get it wrong.

use arcuate_tests::client::{Answer, Asked};
use arcuate_tests::host::Host;
use arcuate_tests::receiver::Receiver;
use arcuate_tests::wait::{PATIENCE, until_async};
use reqwest::Method;
use serde_json::{Value, json};

/// Tries again soon, and not for long.
pub const IMPATIENT: &str = "[plugins.webhook.settings]\nschedule = [0.02, 0.02]\ntimeout = 2\n";

/// A room with the key that opens it.
pub struct OwnedRoom<'a> {
    pub host: &'a Host,
    pub id: String,
    pub key: String,
}

impl<'a> OwnedRoom<'a> {
    pub async fn new(host: &'a Host, name: &str) -> Self {
        let made = host.post("/api/v1/rooms", &json!({ "name": name })).await.ok();
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        Self { host, id: text("id"), key: text("admin_key") }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/rooms/{}/{rest}", self.id)
    }

    pub fn ask(&self, method: Method, rest: &str) -> Asked {
        self.host.client().ask(method, &self.path(rest)).token(&self.key)
    }

    pub async fn send(&self, method: Method, rest: &str, body: &Value) -> Answer {
        self.ask(method, rest).json(body).await
    }

    /// Registers an endpoint and gives its id.
    pub async fn hook(&self, body: &Value) -> String {
        let made = self.send(Method::POST, "webhooks", body).await.ok();
        made["id"].as_str().expect("an id").into()
    }

    pub async fn say(&self, text: &str) -> Value {
        self.host.say(&self.id, text).await
    }

    pub async fn deliveries(&self, id: &str, query: &str) -> Vec<Value> {
        let listed = self.ask(Method::GET, &format!("webhooks/{id}/deliveries{query}")).await.ok();
        listed.as_array().expect("a list").clone()
    }

    /// Waits for so many tries in the record.
    pub async fn until_tried(&self, id: &str, count: usize) -> Vec<Value> {
        let look = || async { Some(self.deliveries(id, "").await).filter(|tries| tries.len() >= count) };
        until_async("the tries are recorded", PATIENCE, look).await
    }
}

/// What every row refuses in the same way; `body` is a good one.
pub async fn assert_guarded(room: &OwnedRoom<'_>, method: &Method, rest: &str, body: Option<&Value>) {
    let with_body = |asked: Asked| if let Some(body) = body { asked.json(body) } else { asked };
    let client = room.host.client();
    with_body(client.ask(method.clone(), &room.path(rest))).await.refused(401, "admin key");
    with_body(client.ask(method.clone(), &room.path(rest)).token("chat_wrong"))
        .await
        .refused(403, "Invalid admin key for this room");
    for stranger in ["01a1fdf3-5218-7240-a726-d3fbb7f09276", "no-id"] {
        let path = format!("/api/v1/rooms/{stranger}/{rest}");
        with_body(client.ask(method.clone(), &path).token(&room.key)).await.refused(404, "Room not found");
    }
    if body.is_some() {
        room.ask(method.clone(), rest).body("{}").await.refused(415, "application/json");
        room.ask(method.clone(), rest).header("content-type", "application/json").body("{").await.refused(400, "JSON");
    }
    let x_key = client.ask(method.clone(), &room.path(rest)).header("x-admin-key", &room.key);
    assert_ne!(with_body(x_key).await.status, 403, "the other header opens too");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_is_made_listed_changed_and_deleted() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let body = json!({ "url": "http://127.0.0.1:9/a", "events": "message, file_uploaded", "secret": "s", "created_by": "ada" });
    let made = room.send(Method::POST, "webhooks", &body).await.ok();
    let id = made["id"].as_str().expect("an id");
    let expected = json!({ "id": id, "room_id": room.id, "url": "http://127.0.0.1:9/a", "events": "message,file_uploaded",
        "has_secret": true, "created_by": "ada", "created_at": made["created_at"], "active": true });
    assert_eq!(made, expected);
    let plain = room.send(Method::POST, "webhooks", &json!({ "url": "https://example.org" })).await.ok();
    let shown = (&plain["events"], &plain["has_secret"], &plain["created_by"]);
    assert_eq!(shown, (&json!("*"), &json!(false), &json!("anonymous")));

    let listed = room.ask(Method::GET, "webhooks").await.ok();
    let mut first = expected;
    first.as_object_mut().expect("an object").remove("has_secret");
    assert_eq!((listed[0]["id"].clone(), listed[1].clone()), (plain["id"].clone(), first));
    let page = room.ask(Method::GET, "webhooks?limit=1").await;
    assert_eq!(page.ok().as_array().map(Vec::len), Some(1));
    let next = page.header("link").split(['<', '>']).nth(1).expect("a link to the next page").to_owned();
    assert_eq!(host.get(&next).token(&room.key).await.ok()[0]["id"], id);

    let changed =
        room.send(Method::PUT, &format!("webhooks/{id}"), &json!({ "active": false, "secret": "" })).await.ok();
    assert_eq!(changed, json!({ "updated": true, "id": id }));
    let listed = room.ask(Method::GET, "webhooks").await.ok();
    assert_eq!((&listed[1]["active"], &listed[1]["events"]), (&json!(false), &json!("message,file_uploaded")));
    let deleted = room.ask(Method::DELETE, &format!("webhooks/{id}")).await.ok();
    assert_eq!(deleted, json!({ "deleted": true, "id": id }));
    room.ask(Method::DELETE, &format!("webhooks/{id}")).await.refused(404, "Webhook not found");
    assert_eq!(room.ask(Method::GET, "webhooks").await.ok().as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_asks_for_the_rooms_key() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let url = json!({ "url": "http://127.0.0.1:9/" });
    let id = room.hook(&url).await;
    assert_guarded(&room, &Method::POST, "webhooks", Some(&url)).await;
    assert_guarded(&room, &Method::GET, "webhooks", None).await;
    assert_guarded(&room, &Method::PUT, &format!("webhooks/{id}"), Some(&url)).await;
    assert_guarded(&room, &Method::GET, &format!("webhooks/{id}/deliveries"), None).await;
    assert_guarded(&room, &Method::POST, &format!("webhooks/{id}/test"), None).await;
    let redeliver = format!("webhooks/{id}/deliveries/01a1fdf3-5218-7240-a726-d3fbb7f09276/redeliver");
    assert_guarded(&room, &Method::POST, &redeliver, None).await;
    assert_guarded(&room, &Method::DELETE, &format!("webhooks/{id}"), None).await;
    // The endpoint of another room is as one that is not there.
    let (other, id) = (OwnedRoom::new(&host, "other").await, room.hook(&url).await);
    for (method, rest) in
        [(Method::PUT, ""), (Method::DELETE, ""), (Method::GET, "/deliveries"), (Method::POST, "/test")]
    {
        for id in [&id, "no-id"] {
            let asked = other.ask(method.clone(), &format!("webhooks/{id}{rest}"));
            let asked = if method == Method::PUT { asked.json(&url) } else { asked };
            asked.await.refused(404, "Webhook not found");
        }
    }
    let operator = host.operator().get(&room.path("webhooks")).await;
    assert_eq!(operator.ok().as_array().map(Vec::len), Some(2), "the operator's token opens every room");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_are_refused_by_name() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": "http://127.0.0.1:9/" })).await;
    let (put, url) = (format!("webhooks/{id}"), "http://127.0.0.1:9/");
    let long = |count: usize| "x".repeat(count);
    for (field, value, text) in [
        ("url", json!(""), "Invalid webhook URL"),
        ("url", json!("ftp://example.org"), "Invalid webhook URL"),
        ("url", json!("example.org"), "Invalid webhook URL"),
        ("url", json!("http://"), "Invalid webhook URL"),
        ("url", json!("http://[::1"), "Invalid webhook URL"),
        ("url", json!(format!("http://e/{}", long(2000))), "url must be at most 2000 characters"),
        ("url", json!("http://e/\0"), "NUL"),
        ("events", json!(""), "Events filter cannot be empty. Use '*' for all events."),
        ("events", json!(" , "), "Events filter cannot be empty"),
        ("events", json!("message,nonsense"), "Unknown event type: 'nonsense'. Valid events: message, "),
        ("events", json!("profile_updated"), "Unknown event type: 'profile_updated'"),
        ("events", json!("typing"), "Unknown event type: 'typing'"),
        ("events", json!(long(501)), "events must be at most 500 characters"),
        ("secret", json!(long(201)), "secret must be at most 200 characters"),
        ("secret", json!("\0"), "NUL"),
    ] {
        let mut body = json!({ "url": url });
        body[field] = value.clone();
        room.send(Method::POST, "webhooks", &body).await.refused(400, text);
        room.send(Method::PUT, &put, &json!({ field: value })).await.refused(400, text);
    }
    let body = json!({ "url": url, "created_by": long(101) });
    room.send(Method::POST, "webhooks", &body).await.refused(400, "created_by must be at most 100 characters");
    for (field, wrong) in
        [("url", json!(1)), ("events", json!(["message"])), ("secret", json!({})), ("active", json!("yes"))]
    {
        room.send(Method::PUT, &put, &json!({ field: wrong })).await.refused(422, field);
    }
    for wrong in [json!({}), json!({ "url": null }), json!({ "url": 1 })] {
        room.send(Method::POST, "webhooks", &wrong).await.refused(422, "url");
    }
    for nothing in [json!({}), json!({ "url": null, "active": null }), json!({ "other": 1 })] {
        room.send(Method::PUT, &put, &nothing).await.refused(400, "No fields to update");
    }
    let all = "message,message_edited,message_deleted,message_pinned,message_unpinned,reaction_added,reaction_removed,\
               room_updated,room_archived,room_unarchived,room_deleted,room_bookmarked,room_unbookmarked,file_uploaded,\
               file_deleted,read_position_updated,webhook_disabled,presence_joined,presence_left";
    assert_eq!(room.send(Method::POST, "webhooks", &json!({ "url": url, "events": all })).await.ok()["events"], all);
    for wrong in ["limit=x", "cursor=x", "after=yesterday"] {
        let list =
            if wrong.starts_with("after") { format!("{put}/deliveries?{wrong}") } else { format!("webhooks?{wrong}") };
        room.ask(Method::GET, &list).await.refused(400, wrong.split('=').next().expect("a name"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_newest_first_and_filtered() {
    let receiver = Receiver::answering(|post, _| {
        let refused = post.event() == "message" && post.json()["data"]["content"] == "bad";
        axum::response::IntoResponse::into_response(if refused {
            axum::http::StatusCode::BAD_REQUEST
        } else {
            axum::http::StatusCode::OK
        })
    })
    .await;
    let host = Host::start(IMPATIENT).await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": receiver.url() })).await;
    room.say("good").await;
    room.say("bad").await;
    let tries = room.until_tried(&id, 4).await;
    let good = &tries[3];
    let expected = json!({ "id": good["id"], "delivery_group": good["delivery_group"], "webhook_id": id, "event": "message",
        "url": receiver.url(), "attempt": 1, "status": "success", "status_code": 200, "error_message": null,
        "response_time_ms": good["response_time_ms"], "created_at": good["created_at"] });
    assert_eq!(*good, expected);
    let created_at = good["created_at"].as_str().expect("a time");
    assert!(created_at.len() == 19 && &created_at[10..11] == " ", "{created_at}");
    assert!(good["response_time_ms"].is_u64(), "{good}");
    let seen: Vec<_> = tries.iter().map(|row| (row["attempt"].clone(), row["status_code"].clone())).collect();
    assert_eq!(seen[..3], [3, 2, 1].map(|attempt| (json!(attempt), json!(400))));
    assert!(tries[0]["error_message"].as_str().is_some_and(|text| text.contains("400")), "{}", tries[0]);
    assert_eq!(tries[0]["delivery_group"], tries[2]["delivery_group"]);

    assert_eq!(room.deliveries(&id, "?status=success").await.len(), 1);
    assert_eq!(room.deliveries(&id, "?status=failed&limit=2").await, tries[..2]);
    assert_eq!(room.deliveries(&id, "?status=nonsense").await.len(), 0);
    assert_eq!(room.deliveries(&id, "?event=message").await.len(), 4);
    assert_eq!(room.deliveries(&id, "?event=nonsense").await.len(), 0);
    assert_eq!(room.deliveries(&id, "?after=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(room.deliveries(&id, "?after=2099-01-01%2000:00:00").await.len(), 4);
    let page = room.ask(Method::GET, &format!("webhooks/{id}/deliveries?limit=3")).await;
    let next = page.header("link").split(['<', '>']).nth(1).expect("a link to the next page").to_owned();
    assert_eq!(host.get(&next).token(&room.key).await.ok()[0]["id"], good["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_and_redelivery_reach_the_endpoint() {
    let (receiver, host) = (Receiver::start().await, Host::start(IMPATIENT).await);
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": receiver.url(), "events": "file_uploaded" })).await;
    let queued = room.ask(Method::POST, &format!("webhooks/{id}/test")).await.ok();
    assert_eq!(queued["queued"], true);
    let group = queued["delivery_group"].as_str().expect("an id");
    let ping = receiver.until(1).await.remove(0);
    assert_eq!((ping.event().as_str(), ping.header("webhook-id")), ("ping", group));
    room.until_tried(&id, 1).await;
    let redeliver = format!("webhooks/{id}/deliveries/{group}/redeliver");
    assert_eq!(room.ask(Method::POST, &redeliver).await.ok()["delivery_group"], group);
    let posts = receiver.until(2).await;
    assert_eq!((posts[1].header("webhook-id"), &posts[1].body), (group, &posts[0].body));
    for unknown in ["01a1fdf3-5218-7240-a726-d3fbb7f09276", "no-id"] {
        let path = format!("webhooks/{id}/deliveries/{unknown}/redeliver");
        room.ask(Method::POST, &path).await.refused(404, "Delivery not found");
    }
    room.until_tried(&id, 2).await;
    room.send(Method::PUT, &format!("webhooks/{id}"), &json!({ "active": false })).await.ok();
    room.ask(Method::POST, &format!("webhooks/{id}/test")).await.refused(409, "disabled");
    room.ask(Method::POST, &redeliver).await.refused(409, "disabled");
}
