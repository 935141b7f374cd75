//! The document as a whole: complete, true to its own schemas, and the same as it was when somebody last looked at it.

use super::openapi::{METHODS, document};
use serde_json::Value;

/// Each operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let each = paths.flat_map(|(path, item)| {
        METHODS
            .iter()
            .filter_map(move |method| item.get(*method).map(|operation| (format!("{method} {path}"), operation)))
    });
    each.collect()
}

fn contents(operation: &Value) -> Vec<(String, &Value)> {
    let body = operation.get("requestBody").map(|body| ("request".to_owned(), &body["content"]));
    let responses = operation["responses"].as_object().expect("responses").iter();
    let responses = responses.filter_map(|(status, response)| Some((status.clone(), response.get("content")?)));
    let all = body.into_iter().chain(responses);
    all.filter_map(|(what, content)| Some((what, content.get("application/json")?))).collect()
}

#[test]
fn each_operation_says_what_it_is() {
    let document = document();
    let tags: Vec<&str> = document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}: no summary");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(tags.contains(&tag), "{name}: the tag {tag:?} is not described in TAGS");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described, "{name}: {} is not described", parameter["name"]);
            let schema = &parameter["schema"];
            assert!(schema.get("minimum").is_none() && schema.get("maximum").is_none(), "{name}: clamped, not refused");
        }
        assert!(operation["responses"].get("500").is_none(), "{name}: nothing is meant to fail inside");
    }
}

#[test]
fn each_operation_has_examples_that_are_true() {
    let document = document();
    for (name, operation) in operations(&document) {
        for (what, content) in contents(operation) {
            let example = content.get("example").unwrap_or_else(|| panic!("{name}, {what}: no example"));
            let mut schema = content["schema"].clone();
            schema["components"] = document["components"].clone();
            let validator =
                jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
            if let Err(error) = validator.validate(example) {
                panic!("{name}, {what}: the example is not of its schema: {error}\n{example}");
            }
        }
    }
}

/// What the gate of token mode asks for stands beside each operation, with the refusals that it leads to.
#[test]
fn each_operation_says_what_opens_it() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    let mut closed = 0;
    for (name, operation) in operations(&document) {
        let ways = operation["security"].as_array().unwrap_or_else(|| panic!("{name}: nothing is said of keys"));
        for scheme in ways.iter().filter_map(Value::as_object).flat_map(|way| way.keys()) {
            assert!(schemes.contains_key(scheme), "{name}: {scheme} is no scheme");
        }
        let by_token = ways.iter().any(|way| way["access_token"][0].is_string());
        let by_operator = ways.iter().any(|way| way.get("admin_token").is_some());
        assert!(by_operator || !by_token, "{name}: the operator's token opens what a token opens");
        if by_operator && operation["tags"][0] != "Plugins" {
            closed += 1;
            for status in ["401", "403"] {
                assert!(operation["responses"].get(status).is_some(), "{name}: {status} is not described");
            }
        }
    }
    assert!(closed > 70, "{closed} operations are closed");
    let ways = |path: &str, method: &str| document["paths"][path][method]["security"].to_string();
    assert_eq!(ways("/health", "get"), "[]");
    assert_eq!(ways("/api/v1/rooms", "get"), r#"[{},{"access_token":["read"]},{"admin_token":[]}]"#);
    assert!(ways("/api/v1/rooms", "post").contains(r#"{"access_token":["write"]}"#));
    assert!(ways("/api/v1/stream", "get").contains(r#"{"ticket":[]}"#));
    assert!(ways("/api/v1/admin/retention/run", "post").contains(r#"{"access_token":["admin"]}"#));
    assert_eq!(ways("/api/v1/admin/tokens", "get"), r#"[{"admin_token":[]}]"#);
}

#[test]
fn references_lead_somewhere() {
    let document = document();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(path) = fields.get("$ref").and_then(Value::as_str) {
                    let target = path.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                    assert!(target.is_some(), "{path} leads nowhere");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

/// One line for each operation and schema, so that a review sees what changed.
#[test]
fn document_is_as_it_was() {
    let document = document();
    let mut lines: Vec<String> = operations(&document)
        .into_iter()
        .map(|(name, operation)| {
            let mut operation = operation.clone();
            operation.as_object_mut().expect("an operation").remove("description");
            format!("{name}\n  {operation}")
        })
        .collect();
    let schemas = document["components"]["schemas"].as_object().expect("schemas").iter();
    lines.extend(schemas.map(|(name, schema)| format!("{name}\n  {schema}")));
    insta::assert_snapshot!(lines.join("\n"));
}
