//! Search from outside: words, stems, phrases, prefixes, filters, ranks, pages; whatever is typed is answered.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(host: &Host, room: &str, sender: &str, content: &str) -> Value {
    let body = json!({ "sender": sender, "content": content });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

async fn search(host: &Host, query: &str) -> Value {
    host.get(&format!("/api/v1/search?q={query}")).await.ok()
}

fn contents(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().expect("a list of results");
    assert_eq!(answer["count"], results.len(), "{answer}");
    results.iter().map(|hit| hit["content"].as_str().expect("a content")).collect()
}

async fn found(host: &Host, query: &str) -> Vec<String> {
    contents(&search(host, query).await).into_iter().map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn search_answers_hits_in_the_shape_of_the_api() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let question = post(&host, &room, "ada", "Is the soup ready?").await;
    let reply =
        json!({ "sender": "bob", "content": "Soups are ready", "reply_to": question["id"], "sender_type": "agent" });
    let reply = host.post(&format!("/api/v1/rooms/{room}/messages"), &reply).await.ok();
    let answer = search(&host, "%20soup%20").await;
    let expected = json!({
        "results": [
            { "message_id": reply["id"], "room_id": room, "room_name": "kitchen", "sender": "bob", "sender_type": "agent",
              "content": "Soups are ready", "created_at": reply["created_at"], "reply_to": question["id"], "seq": reply["seq"],
              "snippet": "**Soups** are ready" },
            { "message_id": question["id"], "room_id": room, "room_name": "kitchen", "sender": "ada",
              "content": "Is the soup ready?", "created_at": question["created_at"], "seq": question["seq"],
              "snippet": "Is the **soup** ready?" },
        ],
        "count": 2, "query": "soup", "has_more": false, "cursor": null,
    });
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_stems_phrases_prefixes_and_names() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    for text in
        ["deployments are running", "the deployment ran late", "run the migrations late", "don't panic: re-run café"]
    {
        post(&host, &room, "ada", text).await;
    }
    post(&host, &room, "CI Bot", "green").await;
    assert_eq!(found(&host, "run").await.len(), 3, "running, run, re-run");
    assert_eq!(found(&host, "run late").await, ["run the migrations late"], "all words must be there");
    assert_eq!(found(&host, "%22the migrations%22").await, ["run the migrations late"]);
    assert!(found(&host, "%22migrations the%22").await.is_empty());
    assert_eq!(found(&host, "deplo*").await.len(), 2);
    assert_eq!(found(&host, "migrati*").await, ["run the migrations late"], "a prefix that reaches into an ending");
    assert_eq!(found(&host, "mig*%20ru*").await.len(), 0, "a prefix needs three letters");
    assert!(found(&host, "deplo").await.is_empty());
    assert_eq!(found(&host, "don't").await.len(), 1);
    assert_eq!(found(&host, "re-run").await.len(), 1);
    assert_eq!(found(&host, "CAFE").await.len(), 1, "accents and letters' case do not matter");
    assert_eq!(found(&host, "bot").await, ["green"], "senders' names match");
    let marked = search(&host, "%22running%22 deployment").await;
    assert_eq!(marked["results"][0]["snippet"], "**deployments** are **running**");
}

#[tokio::test(flavor = "multi_thread")]
async fn search_ranks_by_relevance_then_number() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let long = format!("soup {}", "with many other words ".repeat(20));
    for text in [long.as_str(), "soup one", "soup two", "soup soup"] {
        post(&host, &room, "ada", text).await;
    }
    assert_eq!(found(&host, "soup").await, ["soup soup", "soup one", "soup two", long.trim()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_follows_edits_and_filters() {
    let host = Host::start("").await;
    let (lab, hall) = (host.room("lab").await, host.room("hall").await);
    let agent = json!({ "sender": "bot", "content": "soup four", "sender_type": "agent" });
    let mut posted = Vec::new();
    for (room, sender, text) in [(&lab, "ada", "soup one"), (&lab, "bob", "soup two"), (&hall, "ada", "soup three")] {
        posted.push(post(&host, room, sender, text).await);
    }
    posted.push(host.post(&format!("/api/v1/rooms/{hall}/messages"), &agent).await.ok());
    let seq = |index: usize| posted[index]["seq"].as_i64().expect("a number");
    let at = |index: usize| posted[index]["created_at"].as_str().expect("a time").to_owned();
    let cases = [
        (format!("&room_id={hall}"), vec!["soup three", "soup four"]),
        ("&sender=ada".into(), vec!["soup one", "soup three"]),
        ("&sender_type=agent".into(), vec!["soup four"]),
        (format!("&after={}", seq(1)), vec!["soup three", "soup four"]),
        (format!("&before_seq={}", seq(1)), vec!["soup one"]),
        (format!("&after_date={}", at(2)), vec!["soup four"]),
        (format!("&before_date={}", at(1)), vec!["soup one"]),
        (format!("&after_date={}&before_date={}", at(0), at(2)), vec!["soup two"]),
        ("&after_date=2100-01-01".into(), vec![]),
        ("&room_id=nowhere".into(), vec![]),
        ("&room_id=01a1fe0d-be23-76e7-9b23-440ad354ad90".into(), vec![]),
        ("&sender=a".into(), vec![]),
        ("&room_id=&sender=&after=&limit=".into(), vec!["soup one", "soup two", "soup three", "soup four"]),
        ("&limit=0".into(), vec!["soup one"]),
    ];
    for (filter, expected) in cases {
        let answer = search(&host, &format!("soup{filter}")).await;
        assert_eq!(contents(&answer), expected, "{filter}");
        for name in ["after_date", "before_date"] {
            let sent = filter.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
            assert_eq!(answer.get(name).and_then(Value::as_str), sent, "echoed as sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_is_paged_by_cursor() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    for number in 0..7 {
        post(&host, &room, "ada", &format!("soup {number}")).await;
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = search(&host, &format!("soup&limit=3&cursor={cursor}")).await;
        all.extend(contents(&page).into_iter().map(ToOwned::to_owned));
        assert_eq!(page["has_more"], !page["cursor"].is_null());
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = next.into();
    }
    assert_eq!(all, (0..7).map(|number| format!("soup {number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn search_with_wrong_parameters_is_refused() {
    let host = Host::start("").await;
    host.get("/api/v1/search").await.refused(422, "'q'");
    for empty in ["", "%20", "%09%0A"] {
        let refused = host.get(&format!("/api/v1/search?q={empty}")).await;
        refused.refused(400, "Query parameter 'q' must not be empty");
    }
    let long = "é".repeat(501);
    host.get(&format!("/api/v1/search?q={long}")).await.refused(400, "Query too long (max 500 characters)");
    host.get(&format!("/api/v1/search?q={}", "é".repeat(500))).await.ok();
    host.get("/api/v1/search?q=a%00b").await.refused(400, "'q'");
    host.get("/api/v1/search?q=%FF").await.refused(400, "'q'");
    for name in ["after", "before_seq", "limit", "after_date", "before_date", "cursor"] {
        host.get(&format!("/api/v1/search?q=a&{name}=x")).await.refused(400, &format!("'{name}'"));
    }
    for far in ["after=99999999999999999999", "before_seq=-5", "cursor=cffffffffffffff", "cursor=c-1"] {
        assert_eq!(search(&host, &format!("a&{far}")).await["results"], json!([]), "{far}");
    }
    host.client().ask(Method::POST, "/api/v1/search").await.is(405);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_for_anything_is_answered() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    post(&host, &room, "ada", "AND OR NOT NEAR room r1 r2 soup").await;
    assert_eq!(found(&host, "AND NOT").await.len(), 1, "operators are words");
    for wordless in ["%21%3F", "%22%22", "*", "%F0%9F%A4%96", "'_-", "%22"] {
        assert!(found(&host, wordless).await.is_empty(), "{wordless}");
    }
    let signs = [
        "\"", "*", "(", ")", ":", "^", "+", "-", "{", "}", "AND", "OR", "NOT", "NEAR(", "room", "sender:", "soup", " ",
        "é", "\u{301}", "日", "'", "\\", "%", "_", ";", "--", "\u{200b}",
    ];
    let client = host.client().clone().keeping_connections();
    let mut state: u64 = 42;
    for _ in 0..300 {
        let mut query = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            query.push_str(signs[(state >> 33) as usize % signs.len()]);
        }
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = client.get(&format!("/api/v1/search?q={escaped}")).await;
        assert!(answer.status == 200 || query.trim().is_empty(), "{query}: {answer}");
    }
}
