//! Exports: each format to the letter, narrowed, and as large as the room.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

struct Lab {
    host: Host,
    room: String,
    /// Three messages, by ada (human), bot (agent) and cyd; the second answers the first.
    messages: Vec<Value>,
}

async fn lab() -> Lab {
    let host = Host::start("").await;
    let room = host.room("the lab").await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let first =
        json!({ "sender": "ada", "content": "one, \"two\"\nthree", "sender_type": "human", "metadata": { "a": 1 } });
    let first = host.post(&path, &first).await.ok();
    let second = json!({ "sender": "bot", "content": "=1+1", "sender_type": "agent", "reply_to": first["id"] });
    let second = host.post(&path, &second).await.ok();
    let third = host.post(&path, &json!({ "sender": "cyd", "content": "ünï 🍲" })).await.ok();
    Lab { host, room, messages: vec![first, second, third] }
}

impl Lab {
    fn path(&self, query: &str) -> String {
        format!("/api/v1/rooms/{}/export{query}", self.room)
    }

    async fn json(&self, query: &str) -> Value {
        self.host.get(&self.path(query)).await.ok()
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let exported = self.json(query).await;
        let messages = exported["messages"].as_array().expect("messages").clone();
        assert_eq!(exported["message_count"], messages.len(), "{exported}");
        messages.iter().map(|message| message["sender"].as_str().expect("a sender").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_all_messages_with_their_fields() {
    let lab = lab().await;
    let answer = lab.host.get(&lab.path("")).await;
    let headers = ["content-type", "content-disposition"].map(|name| answer.header(name));
    assert_eq!(headers, ["application/json", "attachment; filename=\"chat-export.json\""]);
    let exported = answer.ok();
    assert_eq!((&exported["room_id"], &exported["room_name"]), (&json!(lab.room), &json!("the lab")));
    assert_eq!((&exported["message_count"], &exported["filters"]), (&json!(3), &json!({})));
    assert!(exported["exported_at"].is_string(), "{exported}");
    for (exported, posted) in exported["messages"].as_array().expect("messages").iter().zip(&lab.messages) {
        let fields = ["seq", "sender", "sender_type", "content", "created_at", "reply_to"];
        let given: serde_json::Map<_, _> =
            fields.iter().filter_map(|field| Some(((*field).to_owned(), posted.get(field)?.clone()))).collect();
        assert_eq!(exported, &Value::Object(given), "nothing else, and no nulls");
    }
    let with_metadata = lab.json("?include_metadata=yes").await;
    assert_eq!(
        (&with_metadata["messages"][0]["metadata"], &with_metadata["messages"][2]["metadata"]),
        (&json!({ "a": 1 }), &json!({}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_is_quoted_and_has_a_column_per_field() {
    let lab = lab().await;
    let answer = lab.host.get(&lab.path("?format=csv")).await;
    let headers = ["content-type", "content-disposition"].map(|name| answer.header(name));
    assert_eq!(headers, ["text/csv; charset=utf-8", "attachment; filename=\"chat-export.csv\""]);
    let text = |index: usize, field: &str| lab.messages[index][field].as_str().expect("a text").to_owned();
    let (seq, at) = (|index: usize| lab.messages[index]["seq"].clone(), |index| text(index, "created_at"));
    let expected = format!(
        "seq,sender,sender_type,content,created_at,edited_at,reply_to,pinned_at\n\
         {},ada,human,\"one, \"\"two\"\"\nthree\",{},,,\n{},bot,agent,=1+1,{},,{},\n{},cyd,,ünï 🍲,{},,,\n",
        seq(0),
        at(0),
        seq(1),
        at(1),
        text(0, "id"),
        seq(2),
        at(2)
    );
    assert_eq!(answer.text, expected);
    let with_metadata = lab.host.get(&lab.path("?format=csv&include_metadata=1")).await.text;
    assert!(
        with_metadata.starts_with("seq,sender,sender_type,content,created_at,edited_at,reply_to,pinned_at,metadata\n")
    );
    assert!(with_metadata.contains(",\"{\"\"a\"\":1}\"\n"), "{with_metadata}");
}

#[tokio::test(flavor = "multi_thread")]
async fn markdown_has_days_times_and_marks() {
    let lab = lab().await;
    let (room, first) = (&lab.room, lab.messages[0]["id"].as_str().expect("an id"));
    let answer = lab.host.get(&lab.path("?format=markdown")).await;
    let headers = ["content-type", "content-disposition"].map(|name| answer.header(name));
    assert_eq!(headers, ["text/markdown; charset=utf-8", "attachment; filename=\"chat-export.md\""]);
    let (day, time) = lab.messages[0]["created_at"].as_str().and_then(|at| at.split_once('T')).expect("a time");
    assert!(
        answer.text.starts_with(&format!("# #the lab\n\n## {day}\n\n**[{}] ada 👤**\n\none, ", &time[..8])),
        "{answer}"
    );
    assert!(answer.text.contains(&format!("bot 🤖** ↩ {first}\n\n=1+1\n")), "{answer}");
    assert!(answer.text.contains("cyd**\n\nünï 🍲\n"), "{answer}");
    assert!(!answer.text.contains("\"a\""), "{answer}");
    let with_metadata =
        lab.host.get(&format!("/api/v1/rooms/{room}/export?format=markdown&include_metadata=true")).await;
    assert!(with_metadata.text.contains("```json\n{\"a\":1}\n```"), "{with_metadata}");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_is_narrowed_by_sender_times_and_limit() {
    let lab = lab().await;
    let at = |index: usize| lab.messages[index]["created_at"].as_str().expect("a time");
    assert_eq!(lab.texts("?sender=bot").await, ["bot"]);
    assert_eq!(lab.texts("?sender=nobody").await, [] as [&str; 0]);
    assert_eq!(lab.texts(&format!("?after={}", at(0))).await, ["bot", "cyd"], "the time itself is not after it");
    assert_eq!(lab.texts(&format!("?before={}", at(2))).await, ["ada", "bot"]);
    assert_eq!(lab.texts(&format!("?after={}&before={}", at(0), at(2))).await, ["bot"]);
    assert_eq!(lab.texts("?after=1990-01-01&before=2990-01-01").await.len(), 3);
    assert_eq!(lab.texts("?before=1990-01-01").await.len(), 0);
    assert_eq!(lab.texts("?limit=2").await, ["ada", "bot"], "the oldest");
    assert_eq!((lab.texts("?limit=0").await.len(), lab.texts("?limit=99999999").await.len()), (1, 3), "clamped");
    let filters = lab.json("?sender=bot&after=1990-01-01&format=json").await["filters"].clone();
    assert_eq!(filters, json!({ "sender": "bot", "after": "1990-01-01" }), "as they were given");
    // A plus that was not escaped arrives as a blank.
    let filters = lab.json("?limit=99999&before=2990-01-01T00:00:00+02:00").await["filters"].clone();
    assert_eq!(
        filters,
        json!({ "limit": 99999, "before": "2990-01-01T00:00:00+02:00" }),
        "not what they were clamped to"
    );
    assert_eq!(lab.host.client().ask(Method::HEAD, &lab.path("")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_with_wrong_parameters_is_refused() {
    let lab = lab().await;
    for format in ["xml", "JSON", "%00", "json,csv"] {
        let answer = lab.host.get(&lab.path(&format!("?format={format}"))).await;
        assert_eq!(answer.status, 400, "{answer}");
    }
    lab.host.get(&lab.path("?format=xml")).await.refused(400, "Invalid format. Supported: json, markdown, csv");
    for (query, name) in [
        ("after=soon", "'after'"),
        ("before=x", "'before'"),
        ("limit=x", "'limit'"),
        ("include_metadata=x", "'include_metadata'"),
    ] {
        lab.host.get(&lab.path(&format!("?{query}"))).await.refused(400, name);
    }
    lab.host.get("/api/v1/rooms/unknown/export").await.refused(404, "Room not found");
    let empty = lab.host.room("empty").await;
    let exported = lab.host.get(&format!("/api/v1/rooms/{empty}/export")).await.ok();
    assert_eq!((&exported["messages"], &exported["message_count"]), (&json!([]), &json!(0)));
}

/// What packs an answer asks once more at its end, which once broke the connection, most of the time.
#[tokio::test(flavor = "multi_thread")]
async fn packed_export_comes_whole() {
    let lab = lab().await;
    for format in ["json", "markdown", "csv"] {
        for coding in ["gzip", "br", "zstd", "deflate"].repeat(5) {
            let path = lab.path(&format!("?format={format}"));
            let answer = lab.host.client().open(&path, &[("accept-encoding", coding)]).await;
            let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{format}, {coding}: {error:?}"));
            assert!(!bytes.is_empty(), "{format}, {coding}");
        }
    }
}
