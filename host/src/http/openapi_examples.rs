//! Examples for the OpenAPI document. A type may bring its own; what has none gets one made from its schema, with values that a reader
//! recognises by the field's name.

use serde_json::{Map, Value, json};

const ID: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";
const TIME: &str = "2026-01-31T12:00:00.000000Z";
/// Types that hold themselves end here.
const DEPTH: u32 = 16;

/// Puts an example beside each JSON schema of a request or response that has none yet.
pub(super) fn add_examples(operation: &mut Value, schemas: &Map<String, Value>) {
    if let Some(body) = operation.get_mut("requestBody") {
        add_example(body, schemas);
    }
    for (_, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        add_example(response, schemas);
    }
}

fn add_example(carrier: &mut Value, schemas: &Map<String, Value>) {
    let Some(content) = carrier.get_mut("content").and_then(Value::as_object_mut) else { return };
    for (kind, content) in content {
        if kind == "application/json" && content.get("example").is_none() && content.get("examples").is_none() {
            content["example"] = example(&content["schema"], schemas, "", DEPTH);
        }
    }
}

pub(super) fn parameter_example(parameter: &Value) -> Option<Value> {
    let name = parameter["name"].as_str()?;
    let is_optional_filter = parameter["in"] == "query" && parameter["required"] != true;
    // A filter that happens to be in every example request would hide what is asked for.
    (!is_optional_filter).then(|| example(&parameter["schema"], &Map::new(), name, DEPTH))
}

/// A value of this schema; `name` is the field's.
pub(super) fn example(schema: &Value, schemas: &Map<String, Value>, name: &str, depth: u32) -> Value {
    if let Some(given) = schema.get("example").or_else(|| schema.get("examples")?.get(0)) {
        return given.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    let reference = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    if let Some(found) = reference.and_then(|name| schemas.get(name)) {
        return example(found, schemas, name, depth - 1);
    }
    if let Some(first) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return first.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| example(part, schemas, name, depth - 1));
        let fields = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(fields.collect());
    }
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    if let Some(choice) = choices.into_iter().flatten().find(|choice| choice["type"] != "null") {
        return example(choice, schemas, name, depth - 1);
    }
    match kind(schema) {
        "object" => object(schema, schemas, depth),
        "array" => json!([example(&schema["items"], schemas, name, depth - 1)]),
        "integer" | "number" => number(name).into(),
        "boolean" => (name != "has_more").into(),
        "string" => text(schema["format"].as_str(), name).into(),
        "null" => Value::Null,
        _ => json!({}),
    }
}

/// The first that is not null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "",
    }
}

/// With the fields that are always there.
fn object(schema: &Value, schemas: &Map<String, Value>, depth: u32) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let all = schema["properties"].as_object().into_iter().flatten();
    let always = all.filter(|(name, _)| required.contains(&name.as_str()));
    let mut fields: Map<String, Value> =
        always.map(|(name, schema)| (name.clone(), example(schema, schemas, name, depth - 1))).collect();
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        fields.insert(ID.into(), example(values, schemas, "", depth - 1));
    }
    Value::Object(fields)
}

fn number(name: &str) -> i64 {
    match name {
        _ if name.ends_with("seq") || name == "after" || name == "Last-Event-ID" => 42,
        "size" | "total_bytes" => 18_213,
        "port" => 8000,
        "attempts" | "attempt" | "count" | "sent" | "edit_count" | "affected" | "unread_count" => 1,
        "status" | "status_code" => 200,
        "failed" | "restarts" | "rescues" | "threads_left" | "depth" | "remaining" => 0,
        _ => 3,
    }
}

fn text(format: Option<&str>, name: &str) -> String {
    let text = match (format, name) {
        (Some("uuid"), _) => ID,
        (Some("date-time"), _) => TIME,
        (_, "lane" | "external_id" | "platform_user_id") => "s1",
        (_, name) if name == "id" || name.ends_with("_id") || name == "fid" || name == "mid" || name == "wid" => ID,
        (_, name)
            if name.ends_with("_at")
                || name == "since"
                || name == "before"
                || name == "first_seen"
                || name == "last_seen" =>
        {
            TIME
        }
        (_, "sender" | "created_by" | "uploader" | "editor" | "username" | "target" | "last_message_sender") => "ada",
        (_, "recipient" | "other_participant") => "bob",
        (_, "sender_type") => "human",
        (_, "content" | "current_content" | "last_message_content" | "last_message_preview" | "text") => {
            "Is the soup ready, @bob?"
        }
        (_, "previous_content") => "Is the soup redy, @bob?",
        (_, "name" | "room_name") => "kitchen",
        (_, "display_name") => "Ada",
        (_, "description") => "What is cooking",
        (_, "emoji") => "👍",
        (_, "admin_key") => "chat_3f9a0c6be1d24758a6b0c9d8e7f61524",
        (_, "token") => "whk_3f9a0c6be1d24758a6b0c9d8e7f61524",
        (_, "filename") => "menu.txt",
        (_, "content_type") => "text/plain",
        (_, "url") => "https://example.org/hook",
        (_, "avatar_url") => "https://example.org/ada.png",
        (_, "events") => "*",
        (_, "event" | "event_type") => "message",
        (_, "cursor") => "c2a",
        (_, "version") => env!("CARGO_PKG_VERSION"),
        (_, "q" | "query") => "soup",
        (_, "platform") => "web_chat",
        (_, "plugin" | "instance" | "library") => "web_chat",
        (_, "kind") => "deliver",
        (_, "path") => "status",
        (_, "reason" | "last_error" | "error" | "error_message") => "it does not answer",
        _ => "text",
    };
    text.into()
}
