//! The OpenAPI document: what the routes say of themselves, completed by the rules that hold for all of them, so that no slice writes down
//! again what every body, every parameter and every key can lead to.

use super::gate;
use super::openapi_examples::{add_examples, parameter_example};
use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Groups of operations in the order of the reference. What is in no group comes last.
const TAGS: [(&str, &str); 20] = [
    ("Rooms", "Where messages are. Whoever makes a room gets its admin key, once."),
    ("Messages", "Posted to a room, read from it by cursor, edited and deleted by those who wrote them."),
    ("Threads", "Messages and what answers them."),
    ("Reactions", "Emoji on messages, toggled."),
    ("Pins", "Messages that a room's administration holds up."),
    ("Streams", "Everything that happens, as server-sent events without a gap."),
    ("Activity", "What is new over all rooms, and what has been read."),
    ("Search", "Words in messages."),
    ("Mentions", "Messages that name somebody with @."),
    ("Bookmarks", "Rooms that somebody wants at the top of their list."),
    ("Presence", "Who listens now, and who is typing."),
    ("Profiles", "What people and agents say of themselves."),
    ("Direct messages", "Conversations of two."),
    ("Files", "Sent to a room, fetched by their ids."),
    ("Webhooks", "Events that are posted to other programs, and messages that those post here."),
    ("Conversations", "What is bridged from platforms."),
    ("Bridge", "The web chat bridge's protocol, for visitors and pollers. Its errors have an envelope of their own."),
    ("Plugins", "What plugin instances serve themselves."),
    ("Administration", "For the operator, with the operator's token."),
    ("System", "What the host says of itself."),
];

pub(super) const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The document as it is served.
pub fn document_bytes() -> Bytes {
    DOCUMENT.clone()
}

pub fn document() -> Value {
    let (_, collected) = super::routes().split_for_parts();
    complete(serde_json::to_value(collected).unwrap_or_default())
}

fn complete(collected: Value) -> Value {
    let mut schemas = collected["components"]["schemas"].as_object().cloned().unwrap_or_default();
    schemas.extend(error_schemas());
    let mut paths = Map::new();
    for (path, item) in collected["paths"].as_object().into_iter().flatten() {
        // A path's rest is one parameter here.
        paths.insert(path.replace("{*", "{"), item.clone());
    }
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in &mut paths {
        for method in METHODS {
            let Some(operation) = item.get_mut(method) else { continue };
            follow_rules(method, path, operation);
            make_unique(operation, &mut ids);
            used.extend(operation["tags"][0].as_str().map(str::to_owned));
            add_examples(operation, &schemas);
        }
    }
    let known: Vec<_> = TAGS.iter().filter(|(name, _)| used.contains(*name)).collect();
    let tags = known.iter().map(|(name, description)| json!({ "name": name, "description": description }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Arcuate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": include_str!("openapi.md"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "This host" }],
        "tags": tags.collect::<Vec<_>>(),
        // Neither is asked for where whoever reaches the host is trusted.
        "security": [{}, { "access_token": [] }],
        "paths": paths,
        "components": { "schemas": schemas, "responses": common_responses(), "securitySchemes": security_schemes() },
    })
}

fn error_schemas() -> [(String, Value); 2] {
    let error = json!({
        "type": "object",
        "description": "What is wrong, and what would be right.",
        "required": ["error"],
        "properties": { "error": { "type": "string" } },
        "example": { "error": "Content must be 1-10000 characters" },
    });
    let limited = json!({
        "type": "object",
        "description": "A rate limit was met.",
        "required": ["error", "retry_after_secs", "limit", "remaining"],
        "properties": {
            "error": { "type": "string" },
            "retry_after_secs": { "type": "integer", "description": "Seconds until it is worth trying again." },
            "limit": { "type": "integer", "description": "How many are allowed in a window." },
            "remaining": { "type": "integer", "description": "0" },
        },
        "example": { "error": "Rate limited: max 60 messages per minute", "retry_after_secs": 17, "limit": 60, "remaining": 0 },
    });
    [("Error".into(), error), ("RateLimited".into(), limited)]
}

fn security_schemes() -> Value {
    let bearer = |description: &str| json!({ "type": "http", "scheme": "bearer", "description": description });
    json!({
        "access_token": bearer("An access token of this host, where `auth.mode` is `token`; each operation names the scope that it needs."),
        "ticket": {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "In place of an access token, where a browser cannot send a header. `POST /api/v1/ws-ticket` gives one; it counts once.",
        },
        "admin_token": bearer("The operator's token. It opens every room, too."),
        "room_key_bearer": bearer("The room's admin key, `chat_…`, where `auth.mode` is `lan`."),
        "room_key": { "type": "apiKey", "in": "header", "name": "X-Admin-Key", "description": "The room's admin key, `chat_…`." },
        "bridge_key": bearer("The bridge's key for pollers or for operators, by action."),
    })
}

/// What is answered where nothing else is said of a status.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "204" => "Done; there is nothing more to say",
        "400" => "Something is wrong with a value, and the text says what",
        "401" => "A key or token is needed and did not come, or the token is unknown",
        "403" => "The key is not the right one, or the token may not do this or use another's name",
        "404" => "Nothing is there",
        "409" => "It is so already, or the name is taken",
        "413" => "The body is larger than 10 MiB",
        "415" => "The body is not sent as application/json",
        "422" => "A field or parameter is missing or of another type, and the text names it",
        "429" => "Too many requests; Retry-After says when to come again",
        "503" => "The store cannot be written now: nothing was stored, try again",
        _ => "What is answered otherwise",
    }
}

/// Those that no operation has more to say of.
const COMMON: [(&str, &str); 7] = [
    ("400", "Invalid"),
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("413", "TooLarge"),
    ("415", "UnsupportedMediaType"),
    ("422", "Unprocessable"),
    ("503", "Unavailable"),
];

fn common_responses() -> Value {
    let mut responses = Map::new();
    for (status, name) in COMMON {
        let mut response = error_response(meaning(status), "Error");
        if status == "503" {
            response["headers"] = json!({ "Retry-After": header("Seconds to wait") });
        }
        response["content"]["application/json"]["example"] = json!({ "error": meaning(status) });
        responses.insert(name.to_owned(), response);
    }
    Value::Object(responses)
}

fn error_response(description: &str, schema: &str) -> Value {
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "integer" } })
}

/// What opens an operation in either mode, in the order in which it is worth trying. Scopes stand as roles beside the access token.
fn security(method: &str, path: &str) -> Value {
    let scope = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
        .ok()
        .and_then(|method| gate::scope_of(&method, path));
    let Some(scope) = scope else { return json!([]) };
    let operator = json!({ "admin_token": [] });
    match room_key(method, path) {
        Some(KeyUse::Needed) => json!([
            { "room_key": [] },
            { "room_key_bearer": [] },
            { "access_token": [scope], "room_key": [] },
            { "access_token": ["admin"] },
            operator,
        ]),
        // Whoever wrote it needs none.
        Some(KeyUse::Instead) => json!([
            {},
            { "room_key": [] },
            { "room_key_bearer": [] },
            { "access_token": [scope] },
            { "access_token": [scope], "room_key": [] },
            operator,
        ]),
        None if method == "get" && takes_ticket(path) => {
            json!([{}, { "access_token": [scope] }, { "ticket": [] }, operator])
        }
        None => json!([{}, { "access_token": [scope] }, operator]),
    }
}

/// What browsers open by an address alone: event streams and images.
fn takes_ticket(path: &str) -> bool {
    path.ends_with("/stream") || path == "/api/v1/files/{id}"
}

#[derive(Debug, Clone, Copy)]
enum KeyUse {
    Needed,
    /// In place of the sender's name.
    Instead,
}

/// How an operation of the chat uses a room's admin key, by what it is about.
fn room_key(method: &str, path: &str) -> Option<KeyUse> {
    let segments: Vec<&str> = path.strip_prefix("/api/v1/rooms/")?.split('/').skip(1).collect();
    match (method, segments.as_slice()) {
        ("put" | "delete", []) | ("post", ["archive" | "unarchive"]) => {}
        ("post" | "delete", ["messages", _, "pin"]) => {}
        (_, ["webhooks" | "incoming-webhooks", ..]) => {}
        ("delete", ["messages" | "files", _]) => return Some(KeyUse::Instead),
        _ => return None,
    }
    Some(KeyUse::Needed)
}

/// Whether an operation of the chat is counted by a rate limit.
fn is_limited(method: &str, path: &str) -> bool {
    let Some(path) = path.strip_prefix("/api/v1/").filter(|_| method == "post") else { return false };
    let segments: Vec<&str> = path.split('/').collect();
    matches!(
        segments.as_slice(),
        ["rooms"] | ["rooms", _, "messages" | "files"] | ["dm"] | ["hook", _] | ["broadcast"] | ["send"]
    )
}

/// What follows for an operation from what it takes.
fn follow_rules(method: &str, path: &str, operation: &mut Value) {
    if operation.get("security").is_none() {
        operation["security"] = security(method, path);
    }
    let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
    // Plugins answer for themselves, and the bridge's envelope is its own.
    let foreign = tag == "Bridge" || tag == "Plugins";
    let takes = |place: &str, required: bool| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters
            .filter(|parameter| !required || parameter["required"] == true)
            .any(|parameter| parameter["in"] == place)
    };
    let json_body = operation["requestBody"]["content"].get("application/json").is_some();
    let locked = !gate::is_public(path);
    let mut follow: Vec<&str> = Vec::new();
    follow.extend(
        (json_body || takes("query", false) || takes("path", false) || takes("header", false)).then_some("400"),
    );
    follow.extend(locked.then_some(["401", "403"]).into_iter().flatten());
    follow.extend(json_body.then_some(["413", "415", "422"]).into_iter().flatten());
    follow.extend(takes("query", true).then_some("422"));
    let reads_store = tag != "System" || path == "/api/v1/stats";
    follow.extend((path.starts_with("/api/v1/") && reads_store).then_some("503"));
    follow.extend(is_limited(method, path).then_some("429"));
    let limited = is_limited(method, path);
    if let Some(responses) = operation["responses"].as_object_mut() {
        let missing: Vec<_> =
            follow.into_iter().filter(|status| !foreign && !responses.contains_key(*status)).collect();
        for status in missing {
            responses.insert(status.into(), json!({}));
        }
        for (status, response) in responses.iter_mut() {
            describe_response(status, response, limited);
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        describe_parameter(parameter);
    }
}

fn describe_response(status: &str, response: &mut Value, limited: bool) {
    if let Some((_, name)) = COMMON.iter().find(|(common, _)| *common == status)
        && response.as_object().is_some_and(Map::is_empty)
    {
        *response = json!({ "$ref": format!("#/components/responses/{name}") });
        return;
    }
    if response["description"].as_str().unwrap_or_default().is_empty() {
        response["description"] = meaning(status).into();
    }
    let description = response["description"].as_str().unwrap_or_default().to_owned();
    if response.get("content").is_none() && status.starts_with('4') {
        let schema = if status == "429" { "RateLimited" } else { "Error" };
        response["content"] = error_response("", schema)["content"].take();
        if status != "429" {
            response["content"]["application/json"]["example"] = json!({ "error": description });
        }
    }
    if limited && (status == "200" || status == "429") {
        let headers = [
            ("X-RateLimit-Limit", "How many are allowed in a window; absent where the limit is off"),
            ("X-RateLimit-Remaining", "How many are left in this window"),
            ("X-RateLimit-Reset", "Seconds until the window ends; 0 while requests are allowed"),
        ];
        for (name, description) in headers {
            response["headers"][name] = header(description);
        }
        if status == "429" {
            response["headers"]["Retry-After"] = header("Seconds to wait");
        }
    }
}

/// A parameter is there or not; none is null.
fn describe_parameter(parameter: &mut Value) {
    if let Some(kinds) = parameter.pointer("/schema/type").and_then(Value::as_array) {
        let kinds: Vec<Value> = kinds.iter().filter(|kind| **kind != "null").cloned().collect();
        parameter["schema"]["type"] = match kinds.as_slice() {
            [only] => only.clone(),
            _ => kinds.into(),
        };
    }
    if parameter.get("example").is_none()
        && let Some(example) = parameter_example(parameter)
    {
        parameter["example"] = example;
    }
}

/// Of several with one name, the later ones are numbered.
fn make_unique(operation: &mut Value, ids: &mut BTreeSet<String>) {
    let id = operation["operationId"].as_str().unwrap_or("operation").to_owned();
    let free = (1..).map(|number| if number == 1 { id.clone() } else { format!("{id}_{number}") });
    if let Some(free) = free.into_iter().find(|id| !ids.contains(id)) {
        operation["operationId"] = free.as_str().into();
        ids.insert(free);
    }
}
