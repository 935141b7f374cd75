//! Messages from outside: posted, read by every cursor, bounded, refused in the right order.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

fn messages(room: &str) -> String {
    format!("/api/v1/rooms/{room}/messages")
}

fn texts(page: &Value) -> Vec<String> {
    let list = page.as_array().expect("a list of messages").iter();
    list.map(|message| message["content"].as_str().expect("a text").to_owned()).collect()
}

fn range(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_read_back_as_it_was_posted() {
    let host = Host::start("").await;
    let general = host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned();
    let metadata = json!({ "nested": [1, 2.5, { "ключ": null }], "sender_type": "agent" });
    let content = "  <b>\"5 & 6\"</b>\n\t'7' 👩‍👩‍👧 مرحبا \u{202e}abc\u{7f}  ";
    let body = json!({ "sender": " ada ", "content": content, "metadata": metadata, "extra": true });
    let posted = host.post(&messages(&general), &body).await.ok();
    assert_eq!(posted["seq"], 1, "the first number of a fresh store");
    assert_eq!((&posted["sender"], &posted["content"]), (&json!("ada"), &json!(content.trim())));
    assert_eq!((&posted["metadata"], &posted["sender_type"]), (&metadata, &json!("agent")));
    assert_eq!((&posted["room_id"], posted.get("reply_to")), (&json!(general), None));
    let plain = json!({ "sender": "bob", "content": "x", "metadata": null, "sender_type": "human", "reply_to": " " });
    let plain = host.post(&messages(&general), &plain).await.ok();
    assert_eq!((&plain["metadata"], &plain["sender_type"], plain.get("reply_to")), (&json!({}), &json!("human"), None));
    assert_eq!(host.get(&messages(&general)).await.ok(), json!([posted, plain]));
    assert!(plain["created_at"].as_str() > posted["created_at"].as_str(), "times rise with the numbers");
    assert!(posted["id"].is_string() && posted["id"] != plain["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_every_cursor() {
    let host = Host::start("").await;
    let (other, room) = (host.room("other").await, host.room("room").await);
    let mut seqs = vec![0];
    for number in 1..=120 {
        host.say(&other, "in between").await;
        seqs.push(host.say(&room, &number.to_string()).await["seq"].as_i64().expect("a number"));
    }
    assert!(seqs.is_sorted_by(|a, b| a < b));
    let found = async |query: String| texts(&host.get(&format!("{}{query}", messages(&room))).await.ok());
    let (a, b) = (seqs[40], seqs[100]);
    assert_eq!(found(String::new()).await, range(1..=50), "the oldest 50");
    assert_eq!(found(format!("?after={a}")).await, range(41..=90));
    assert_eq!(found(format!("?after={a}&limit=3")).await, range(41..=43));
    assert_eq!(found(format!("?before_seq={b}")).await, range(50..=99), "the newest 50 below it");
    assert_eq!(found(format!("?before_seq={b}&limit=2")).await, range(98..=99));
    assert_eq!(found(format!("?after={a}&before_seq={b}&limit=500")).await, range(41..=99));
    assert_eq!(found("?latest=4".into()).await, range(117..=120));
    assert_eq!(found(format!("?latest=4&after={a}&limit=1")).await, range(41..=41), "the cursor wins");
    assert_eq!(found("?after=0&limit=500".into()).await, range(1..=120));
    assert_eq!(found("?after=-5&limit=1".into()).await, range(1..=1), "clamped");
    assert_eq!(found("?limit=-1".into()).await, range(1..=1), "clamped");
    assert_eq!(found("?latest=99999&after=".into()).await, range(1..=120), "clamped, and an empty one is absent");
    assert!(found(format!("?after={}", i64::MAX)).await.is_empty() && found("?before_seq=0".into()).await.is_empty());
    for name in ["after", "before_seq", "latest", "limit"] {
        for wrong in ["x", "1.5", "0x10", "1e3", "%20"] {
            host.get(&format!("{}?{name}={wrong}", messages(&room))).await.refused(400, &format!("'{name}'"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_refers_to_a_message_of_the_same_room() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let (question, elsewhere) = (host.say(&room, "?").await, host.say(&other, "?").await);
    let reply = |to: &Value| json!({ "sender": "bob", "content": "!", "reply_to": to });
    let answer = host.post(&messages(&room), &reply(&question["id"])).await.ok();
    assert_eq!(answer["reply_to"], question["id"]);
    let text = "Referenced reply_to message not found in this room";
    for wrong in [&elsewhere["id"], &json!("01a1fe0d-be23-76e7-9b23-440ad354ad90"), &json!("first"), &json!(room)] {
        host.post(&messages(&room), &reply(wrong)).await.refused(400, text);
    }
    host.post(&messages("nowhere"), &reply(&json!("first"))).await.refused(404, "Room not found");
    assert_eq!(texts(&host.get(&messages(&room)).await.ok()), ["?", "!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_count_characters() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let post = async |body: Value| host.post(&messages(&room), &body).await;
    let fits = json!({ "sender": "字".repeat(100), "content": format!(" {} ", "👋".repeat(10_000)) });
    assert_eq!(post(fits).await.ok()["content"], json!("👋".repeat(10_000)));
    for sender in ["", " \t", &"é".repeat(101), "a\0b"] {
        post(json!({ "sender": sender, "content": "x" })).await.refused(400, "Sender must be 1-100 characters");
    }
    for content in ["", "\n \u{3000}", &"é".repeat(10_001), "a\0"] {
        post(json!({ "sender": "ada", "content": content })).await.refused(400, "Content must be 1-10000 characters");
    }
    let large = json!({ "sender": "ada", "content": "x", "metadata": "x".repeat(64 * 1024) });
    post(large).await.refused(400, "metadata must be at most 64 KiB");
    let kind = json!({ "sender": "ada", "content": "x", "sender_type": "x".repeat(101) });
    post(kind).await.refused(400, "sender_type");
    assert_eq!(texts(&host.get(&messages(&room)).await.ok()).len(), 1, "what was refused is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_in_their_order() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let ask = |room: &str| host.client().ask(Method::POST, &messages(room));
    let json = "application/json";
    let nowhere = "nowhere";
    ask(nowhere).body("{").await.refused(415, "Content-Type: application/json");
    ask(nowhere).header("content-type", "text/plain").body("{}").await.refused(415, "application/json");
    let large = ask(nowhere).header("content-type", json).body(vec![b'x'; 10 * 1024 * 1024 + 1]).await;
    large.refused(413, "10 MiB");
    ask(nowhere).header("content-type", json).body("{").await.refused(400, "not JSON");
    ask(nowhere).header("content-type", json).body("").await.refused(400, "not JSON");
    ask(nowhere).header("content-type", json).body(b"{\"sender\":\"\xff\"}".to_vec()).await.refused(400, "not UTF-8");
    ask(nowhere).header("content-type", json).body("[".repeat(200_000)).await.refused(400, "not JSON");
    ask(nowhere).json(&json!({ "content": "x" })).await.refused(422, "sender");
    ask(nowhere).json(&json!({ "sender": "ada", "content": 7 })).await.refused(422, "content");
    ask(nowhere).json(&json!({ "sender": "", "content": "x" })).await.refused(400, "Sender");
    ask(nowhere).json(&json!({ "sender": "ada", "content": "x" })).await.refused(404, "Room not found");
    let charset = ask(&room).header("content-type", "Application/JSON; charset=utf-8");
    charset.body(json!({ "sender": "ada", "content": "x" }).to_string()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_told_as_such() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    for path in ["/nothing", "/api/v1/nothing", "/api/v2/rooms", "/api/v1/rooms/", "/api/v1/rooms/x/y"] {
        host.get(path).await.refused(404, "Not found");
    }
    for (method, path, allowed) in [
        (Method::DELETE, messages(&room), "GET,HEAD,POST"),
        (Method::PATCH, "/api/v1/rooms".into(), "GET,HEAD,POST"),
        (Method::POST, format!("/api/v1/rooms/{room}/stream"), "GET,HEAD"),
        (Method::PUT, "/health".into(), "GET,HEAD"),
    ] {
        let refused = host.client().ask(method, &path).await;
        refused.refused(405, "Allow");
        let mut names: Vec<&str> = refused.header("allow").split(',').map(str::trim).collect();
        names.sort_unstable();
        assert_eq!(names.join(","), allowed, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_over_the_limit_are_refused_and_cost_nothing_when_wrong() {
    let host = Host::start("limits.messages_per_minute = 3").await;
    let room = host.room("room").await;
    for _ in 0..5 {
        host.post(&messages(&room), &json!({ "sender": "", "content": "x" })).await.is(400);
    }
    let body = json!({ "sender": "ada", "content": "x" });
    // An unknown room is looked for behind the limit.
    host.post(&messages("nowhere"), &body).await.is(404);
    for left in ["1", "0"] {
        let posted = host.post(&messages(&room), &body).await;
        assert_eq!((posted.status, posted.header("x-ratelimit-remaining")), (200, left), "{posted}");
    }
    let refused = host.post(&messages(&room), &body).header("x-forwarded-for", "192.0.2.7").await;
    refused.refused(429, "Rate limited: max 3 messages per minute");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds to wait");
    assert!((1..=60).contains(&wait), "{refused}");
    assert_eq!(texts(&host.get(&messages(&room)).await.ok()).len(), 2, "reads are free");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_by_the_address_that_a_trusted_proxy_tells() {
    let host = Host::start("limits.messages_per_minute = 1\nserver.trusted_proxies = [\"127.0.0.0/8\"]").await;
    let room = host.room("room").await;
    let post = |from: &str| {
        host.post(&messages(&room), &json!({ "sender": "ada", "content": from })).header("x-forwarded-for", from)
    };
    post("192.0.2.1").await.ok();
    post("192.0.2.2").await.ok();
    post("192.0.2.2").await.is(429);
    // What the client itself puts in front does not count.
    post("192.0.2.3, 192.0.2.1").await.is(429);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_every_list() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let mut times = vec![String::new()];
    for (number, (sender, kind)) in
        [("ada", "human"), ("bob", "agent"), ("CI Bot", "agent"), ("ada", "human"), ("bob", "")].into_iter().enumerate()
    {
        let body = json!({ "sender": sender, "content": (number + 1).to_string(), "sender_type": kind });
        let posted = host.post(&messages(&room), &body).await.ok();
        times.push(posted["created_at"].as_str().expect("a time").to_owned());
    }
    let found = async |query: &str| texts(&host.get(&format!("{}?{query}", messages(&room))).await.ok());
    assert_eq!(found("sender=ada").await, ["1", "4"]);
    assert_eq!(found("sender=CI%20Bot").await, ["3"]);
    assert_eq!(found("sender=CI+Bot").await, ["3"]);
    assert_eq!(found("sender=Ada").await, Vec::<String>::new(), "names are exact");
    assert_eq!(found("sender=").await, range(1..=5), "an empty one is absent");
    assert_eq!(found("sender_type=agent").await, ["2", "3"]);
    assert_eq!(found("sender_type=robot").await, Vec::<String>::new());
    assert_eq!(found("exclude_sender=ada").await, ["2", "3", "5"]);
    assert_eq!(found("exclude_sender=ada,%20CI%20Bot%20,,nobody").await, ["2", "5"]);
    assert_eq!(found("exclude_sender=%20,").await, range(1..=5));
    assert_eq!(found("sender=bob&sender_type=agent&exclude_sender=ada").await, ["2"]);
    assert_eq!(found("sender=ada&exclude_sender=ada").await, Vec::<String>::new());
    assert_eq!(found("sender_type=agent&latest=1").await, ["3"], "the newest that fits");
    assert_eq!(found("sender=ada&limit=1").await, ["1"]);
    assert_eq!(found("sender=ada&latest=1").await, ["4"]);
    assert_eq!(found("sender=ada&before_seq=9999&limit=1").await, ["4"]);
    // Times: both ends are left out, in whatever zone they are written.
    assert_eq!(found(&format!("since={}", times[3])).await, ["4", "5"]);
    assert_eq!(found(&format!("before={}", times[3])).await, ["1", "2"]);
    assert_eq!(found(&format!("since={}&before={}", times[1], times[4])).await, ["2", "3"]);
    assert_eq!(
        found(&format!("since={}", times[3].replace('Z', "+00:00"))).await,
        ["4", "5"],
        "a plus that is a blank"
    );
    assert_eq!(found(&format!("since={}&sender=ada&latest=5", times[1])).await, ["4"]);
    assert_eq!(found("since=2000-01-01").await, range(1..=5));
    assert_eq!(found("before=2000-01-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(found("since=9999-12-31").await, Vec::<String>::new());
    assert_eq!(found("before=9999-12-31T23:59:59Z").await, range(1..=5));
    assert_eq!(found("since=&before=").await, range(1..=5));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_refused_by_name() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let get = async |query: String| host.get(&format!("{}?{query}", messages(&room))).await;
    for name in ["since", "before"] {
        for wrong in ["yesterday", "12", "2026-13-01"] {
            get(format!("{name}={wrong}")).await.refused(400, &format!("'{name}'"));
        }
    }
    let many = |count: usize| vec!["x"; count].join(",");
    get(format!("exclude_sender={}", many(50))).await.ok();
    get(format!("exclude_sender={}", many(51))).await.refused(400, "'exclude_sender'");
    for name in ["sender", "sender_type", "exclude_sender"] {
        get(format!("{name}={}", "x".repeat(100))).await.ok();
        get(format!("{name}={}", "x".repeat(101))).await.refused(400, &format!("'{name}'"));
        get(format!("{name}=%00")).await.refused(400, &format!("'{name}'"));
        get(format!("{name}=%ff")).await.refused(400, &format!("'{name}'"));
    }
    get("cursor=soon".into()).await.refused(400, "'cursor'");
    host.get(&messages("nowhere")).await.refused(404, "Room not found");
    host.get(&messages("01a1fe0d-be23-76e7-9b23-440ad354ad90")).await.refused(404, "Room not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn link_leads_through_all_pages_in_both_directions() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    for number in 1..=7 {
        host.say(&room, &number.to_string()).await;
    }
    for (query, wanted) in [
        ("?limit=3", vec![vec!["1", "2", "3"], vec!["4", "5", "6"], vec!["7"]]),
        ("?latest=3", vec![vec!["5", "6", "7"], vec!["2", "3", "4"], vec!["1"]]),
        ("?sender=ada&exclude_sender=bob%2Ccy&limit=4", vec![vec!["1", "2", "3", "4"], vec!["5", "6", "7"]]),
        ("?limit=7", vec![vec!["1", "2", "3", "4", "5", "6", "7"]]),
    ] {
        let (mut pages, mut next) = (Vec::new(), Some(format!("{}{query}", messages(&room))));
        while let Some(path) = next {
            let answer = host.get(&path).await;
            pages.push(texts(&answer.ok()));
            next = next_of(answer.header("link"));
        }
        assert_eq!(pages, wanted, "{query}");
    }
}

/// The address in a `Link` header.
fn next_of(link: &str) -> Option<String> {
    let (address, rest) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(rest, "; rel=\"next\"", "{link}");
    Some(address.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_absent_and_what_is_no_text_is_refused() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let nulls = json!({ "sender": "ada", "content": "x", "metadata": null, "reply_to": null, "sender_type": null });
    let posted = host.post(&messages(&room), &nulls).await.ok();
    assert_eq!((&posted["metadata"], posted.get("reply_to"), posted.get("sender_type")), (&json!({}), None, None));
    for (body, field) in [
        (json!({ "content": "x" }), "sender"),
        (json!({ "sender": null, "content": "x" }), "sender"),
        (json!({ "sender": ["ada"], "content": "x" }), "sender"),
        (json!({ "sender": "ada" }), "content"),
        (json!({ "sender": "ada", "content": null }), "content"),
        (json!({ "sender": "ada", "content": { "a": 1 } }), "content"),
        (json!({ "sender": "ada", "content": "x", "reply_to": 7 }), "reply_to"),
        (json!({ "sender": "ada", "content": "x", "sender_type": false }), "sender_type"),
        (json!("text"), "JSON object"),
        (json!(null), "JSON object"),
    ] {
        host.post(&messages(&room), &body).await.refused(422, field);
    }
    let ask = |text: String| {
        host.client().ask(Method::POST, &messages(&room)).header("content-type", "application/json").body(text)
    };
    for text in [
        r#"{"sender":"ada","content":"\ud800"}"#,
        r#"{"sender":"\udfff","content":"x"}"#,
        r#"{"sender":"ada","content":"x","metadata":{"a":"\ud83d"}}"#,
        r#"{"sender":"ada","content":"x","unknown":["\ud83d"]}"#,
        r#"{"sender":"ada","content":"x","metadata":1e999}"#,
    ] {
        ask(text.into()).await.refused(400, "not JSON");
    }
    assert_eq!(ask(r#"{"sender":"ada","content":"\ud83d\udc4b"}"#.into()).await.ok()["content"], "👋");
    let deep = |levels: usize| {
        format!(r#"{{"sender":"ada","content":"x","metadata":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    ask(deep(100)).await.ok();
    for levels in [101, 127, 128, 100_000] {
        ask(deep(levels)).await.is(400);
    }
    for metadata in [json!([1, "a"]), json!("text"), json!(7), json!(false), json!({ "nul": "a\u{0}" })] {
        let body = json!({ "sender": "ada", "content": "x", "metadata": metadata });
        assert_eq!(host.post(&messages(&room), &body).await.ok()["metadata"], metadata, "any JSON");
    }
}
