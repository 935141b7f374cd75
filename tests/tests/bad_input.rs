//! Every operation that the host describes, with everything that can be wrong about a request. Whatever comes in, what goes out is an answer:
//! never a failure inside, never a connection that just ends, and for a refusal always a text that says what is wrong.

use arcuate_tests::client::{Answer, Client};
use arcuate_tests::host::Host;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

/// Requests under way at once.
const AT_ONCE: usize = 16;
const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";
const BRIDGE_KEY: &str = "the-key-of-pollers";

/// A host with something in it, and what it says of itself.
struct Subject {
    host: Host,
    document: Value,
    room: String,
    message: String,
}

/// One operation.
#[derive(Clone)]
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

/// One request that is wrong somehow.
struct Wrong {
    method: String,
    path: String,
    content_type: Option<&'static str>,
    body: Option<Vec<u8>>,
    key: String,
    endless: bool,
}

impl Subject {
    async fn new() -> Self {
        let host =
            Host::start(&format!("bridge.api_key = \"{BRIDGE_KEY}\"\nbridge.admin_key = \"{BRIDGE_KEY}\"")).await;
        let document = host.get("/openapi.json").await.ok();
        let room = host.room("kitchen").await;
        let message = host.say(&room, "Is the soup ready, @bob?").await["id"].as_str().expect("an id").to_owned();
        Self { host, document, room, message }
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.document["paths"].as_object().expect("paths").iter();
        // A plugin's own input is the plugin's own business.
        let own = paths.filter(|(path, _)| !path.starts_with("/plugins/"));
        let each = own.flat_map(|(path, item)| {
            let operations = item.as_object().expect("operations").iter();
            operations.map(move |(method, described)| Operation { method, path, described })
        });
        each.collect()
    }

    /// The operation as it should be asked, but for what `change` does to it.
    fn wrong(&self, operation: &Operation<'_>, change: impl FnOnce(&mut Wrong)) -> Wrong {
        let bridge = operation.described["tags"][0] == "Bridge";
        let body = operation.described.pointer("/requestBody/content/application~1json");
        let mut wrong = Wrong {
            method: operation.method.to_uppercase(),
            path: self.filled(operation, None),
            content_type: body.map(|_| "application/json"),
            body: body.map(|body| body["example"].to_string().into_bytes()),
            key: if bridge { BRIDGE_KEY.into() } else { self.operator_key() },
            endless: operation.described.pointer("/responses/200/content/text~1event-stream").is_some(),
        };
        change(&mut wrong);
        wrong
    }

    fn operator_key(&self) -> String {
        let path = self.host.store().with_file_name("admin_token");
        std::fs::read_to_string(path).expect("the operator's token").trim().to_owned()
    }

    /// The path with what is really there, but for one part; the parameters that must be there follow.
    fn filled(&self, operation: &Operation<'_>, replaced: Option<(&str, &str)>) -> String {
        let mut path = operation.path.to_owned();
        for parameter in parameters(operation, "path") {
            let (name, hole) = (text(parameter, "name"), format!("{{{}}}", text(parameter, "name")));
            let before = path.split(&hole).next().unwrap_or_default();
            let real = match before {
                // What is deleted here is gone for all that follow.
                _ if operation.method == "delete" => UNKNOWN,
                _ if before.ends_with("/rooms/") => &self.room,
                _ if before.ends_with("/messages/") => &self.message,
                _ => UNKNOWN,
            };
            let value = replaced.filter(|(other, _)| *other == name).map_or(real, |(_, value)| value);
            path = path.replace(&hole, value);
        }
        let required = parameters(operation, "query").into_iter().filter(|parameter| parameter["required"] == true);
        let required = required.filter(|parameter| replaced.is_none_or(|(name, _)| name != text(parameter, "name")));
        let query: Vec<String> =
            required.map(|parameter| format!("{}={}", text(parameter, "name"), plain(&parameter["example"]))).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Asks all of it, and looks at each answer.
    async fn try_all(&self, all: Vec<Wrong>) {
        assert!(!all.is_empty(), "nothing to try");
        let client = self.host.client().clone().keeping_connections();
        let answers = futures_util::stream::iter(all).map(|wrong| ask(&client, wrong)).buffer_unordered(AT_ONCE);
        answers.for_each(async |()| {}).await;
        self.host.get("/health").await.ok();
        assert!(!self.host.log().contains("panicked"), "something inside has given up");
    }
}

async fn ask(client: &Client, wrong: Wrong) {
    if wrong.endless && wrong.method == "GET" {
        let bearer = format!("Bearer {}", wrong.key);
        let response = client.open(&wrong.path, &[("authorization", &bearer)]).await;
        assert!(response.status().as_u16() < 500, "{} {}: {}", wrong.method, wrong.path, response.status());
        return;
    }
    let asked = client.ask(wrong.method.parse().expect("a method"), &wrong.path).token(&wrong.key);
    let asked = wrong.content_type.into_iter().fold(asked, |asked, kind| asked.header("content-type", kind));
    let asked = wrong.body.into_iter().fold(asked, |asked, body| asked.body(body));
    let what = format!("{} {}", wrong.method, wrong.path);
    let answer = asked.attempt().await.unwrap_or_else(|error| panic!("{what}: the connection ended: {error:?}"));
    check(&answer);
}

fn check(answer: &Answer) {
    assert!(answer.status < 500, "{answer}");
    if answer.status >= 400 {
        assert!(answer.header("content-type").starts_with("application/json"), "{answer}");
        let error = answer.json()["error"].as_str().map(str::to_owned);
        assert!(error.is_some_and(|error| !error.is_empty()), "no word about what is wrong: {answer}");
    }
}

fn parameters<'a>(operation: &Operation<'a>, place: &str) -> Vec<&'a Value> {
    let all = operation.described["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == place).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A body's fields by name.
fn fields(document: &Value, operation: &Operation<'_>) -> Map<String, Value> {
    let mut schema = operation.described.pointer("/requestBody/content/application~1json/schema");
    while let Some(reference) = schema.and_then(|schema| schema["$ref"].as_str()) {
        schema = document.pointer(reference.trim_start_matches('#'));
    }
    schema.and_then(|schema| schema["properties"].as_object()).cloned().unwrap_or_default()
}

fn takes_json(operation: &Operation<'_>) -> bool {
    operation.described.pointer("/requestBody/content/application~1json").is_some()
}

/// Values as they are written in JSON, each wrong for nearly every field.
fn wrong_values() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let fixed = [
        "null",
        "true",
        "5",
        "-1",
        "0",
        "1.5",
        "1e400",
        "-1e400",
        "99999999999999999999",
        "9223372036854775807",
        "\"\"",
        "\"  \"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "[]",
        "{}",
        "[null]",
        "{\"\":{}}",
        "\"\u{202e}\u{feff}\"",
    ];
    let long = [format!("\"{}\"", "é".repeat(20_000)), format!("\"{}\"", "\\n".repeat(300)), deep];
    fixed.into_iter().map(str::to_owned).chain(long).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_with_each_wrong_value_is_answered() {
    let subject = Subject::new().await;
    let mut all = Vec::new();
    for operation in subject.operations().iter().filter(|operation| takes_json(operation)) {
        let example = operation.described.pointer("/requestBody/content/application~1json/example");
        let example = example.and_then(Value::as_object).cloned().unwrap_or_default();
        for field in fields(&subject.document, operation).keys() {
            let mut rest = example.clone();
            rest.remove(field);
            let others = rest.iter().map(|(name, value)| format!("{}:{value},", json!(name))).collect::<String>();
            let missing = Value::Object(rest).to_string();
            let bodies = wrong_values().into_iter().map(|value| format!("{{{others}{}:{value}}}", json!(field)));
            for body in bodies.chain([missing]) {
                all.push(subject.wrong(operation, |wrong| wrong.body = Some(body.into_bytes())));
            }
        }
    }
    subject.try_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_body_that_is_none_is_refused() {
    let subject = Subject::new().await;
    let (mut all, deep) = (Vec::new(), "[".repeat(100_000));
    for operation in subject.operations().iter().filter(|operation| takes_json(operation)) {
        let example = operation.described.pointer("/requestBody/content/application~1json/example").cloned();
        let example = example.unwrap_or_default().to_string();
        let bodies = [
            "",
            "null",
            "5",
            "[]",
            "\"x\"",
            "{",
            "{}",
            "{\"a\":}",
            "\u{feff}{}",
            "NaN",
            &deep,
            &example[..example.len() - 1],
        ];
        for body in bodies {
            all.push(subject.wrong(operation, |wrong| wrong.body = Some(body.as_bytes().to_vec())));
        }
        all.push(subject.wrong(operation, |wrong| wrong.body = Some(b"{\"\xff\":1}".to_vec())));
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data"),
            Some("\u{1}"),
        ] {
            let kind = kind.filter(|kind| *kind != "\u{1}");
            all.push(subject.wrong(operation, |wrong| wrong.content_type = kind));
        }
    }
    subject.try_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn body_over_the_bound_is_refused_by_each_operation() {
    let subject = Subject::new().await;
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    for operation in subject.operations().iter().filter(|operation| takes_json(operation)).take(4) {
        let wrong = subject.wrong(operation, |wrong| wrong.body = Some(large.clone().into_bytes()));
        let client = subject.host.client().clone();
        let asked = client.ask(wrong.method.parse().expect("a method"), &wrong.path).token(&wrong.key);
        let answer = asked.header("content-type", "application/json").body(wrong.body.unwrap_or_default()).await;
        assert_eq!(answer.status, 413, "{answer}");
        check(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_parameter_with_garbage_is_answered() {
    let subject = Subject::new().await;
    let long = "x".repeat(9_000);
    let garbage = [
        "",
        "x",
        "-1",
        "0",
        "1.5",
        "1e9",
        "99999999999999999999",
        "-99999999999999999999",
        "%00",
        "%FF",
        "%",
        "%zz",
        "true",
        "maybe",
        "null",
        "[]",
        "%7B%7D",
        "2026-13-45",
        "2026-01-31T12:00:00+01:00",
        "2026-01-31",
        "%F0%9F%98%80",
        "%27%22%3B--",
        "c",
        "cffffffffffffffff",
        "c7fffffffffffffff",
        "*",
        "%22",
        &long,
    ];
    let mut all = Vec::new();
    for operation in &subject.operations() {
        for parameter in parameters(operation, "query") {
            let name = text(parameter, "name");
            for value in garbage {
                let path = subject.filled(operation, Some((name, "")));
                let sign = if path.contains('?') { '&' } else { '?' };
                all.push(subject.wrong(operation, |wrong| wrong.path = format!("{path}{sign}{name}={value}")));
            }
            let path = subject.filled(operation, Some((name, "")));
            all.push(subject.wrong(operation, |wrong| wrong.path = path));
        }
    }
    subject.try_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_with_garbage_in_it_is_answered() {
    let subject = Subject::new().await;
    let long = "x".repeat(5_000);
    let garbage = ["x", "%00", "%FF", "%20", "..%2f..%2fetc", "%F0%9F%98%80", "-1", "null", UNKNOWN, "%", "{}", &long];
    let mut all = Vec::new();
    for operation in &subject.operations() {
        for parameter in parameters(operation, "path") {
            for value in garbage {
                let path = subject.filled(operation, Some((text(parameter, "name"), value)));
                all.push(subject.wrong(operation, |wrong| wrong.path = path));
            }
        }
    }
    subject.try_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_with_a_wrong_method_is_refused() {
    let subject = Subject::new().await;
    let mut all = Vec::new();
    for operation in &subject.operations() {
        let item = &subject.document["paths"][operation.path];
        for method in ["get", "put", "post", "delete", "patch", "trace", "propfind"] {
            if item.get(method).is_none() {
                all.push(
                    subject.wrong(operation, |wrong| (wrong.method, wrong.endless) = (method.to_uppercase(), false)),
                );
            }
        }
    }
    subject.try_all(all).await;
}
