//! The API reference as a page of the documentation, written from the OpenAPI document.

use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "# API reference

<!-- Written from the OpenAPI document by the test `reference`; UPDATE_REFERENCE=1 writes it anew. -->

Every operation of the host, as its [OpenAPI document](http://127.0.0.1:8000/openapi.json) has it. A running host shows the same at `/docs`, to be tried out. How
it is used is told by the [client guide](client-guide.md).
";

/// The page.
pub fn render(document: &Value) -> String {
    let mut page = format!("{HEAD}\n{}\n", text(&document["info"], "description").trim());
    errors(&mut page, document);
    for tag in document["tags"].as_array().into_iter().flatten() {
        let _ = write!(page, "\n## {}\n\n{}\n", text(tag, "name"), text(tag, "description"));
        for operation in operations(document, text(tag, "name")) {
            operation.render(&mut page, document);
        }
    }
    types(&mut page, document);
    page
}

/// One operation, with the other addresses that it has.
struct Operation<'a> {
    method: String,
    paths: Vec<&'a str>,
    described: &'a Value,
}

/// Of one group, by path.
fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let mut found: Vec<Operation<'a>> = Vec::new();
    for (path, item) in fields(&document["paths"]) {
        for (method, described) in fields(item).filter(|(_, described)| described["tags"][0] == tag) {
            let same = |other: &&mut Operation<'_>| {
                other.method.eq_ignore_ascii_case(method)
                    && text(other.described, "summary") == text(described, "summary")
            };
            match found.iter_mut().find(same) {
                Some(other) => other.paths.push(path),
                None => found.push(Operation { method: method.to_uppercase(), paths: vec![path], described }),
            }
        }
    }
    found
}

impl Operation<'_> {
    fn render(&self, page: &mut String, document: &Value) {
        let described = self.described;
        let _ = write!(page, "\n### {}\n\n`{} {}`", text(described, "summary"), self.method, self.paths[0]);
        for path in &self.paths[1..] {
            let _ = write!(page, ", also `{path}`");
        }
        page.push('\n');
        let description = text(described, "description").trim();
        if !description.is_empty() {
            let _ = write!(page, "\n{description}\n");
        }
        if let Some(keys) = self.keys() {
            let _ = write!(page, "\n{keys}\n");
        }
        self.parameters(page);
        self.body(page, document);
        self.answers(page);
    }

    /// What it takes in either mode. That the operator's token opens everything is said once, elsewhere.
    fn keys(&self) -> Option<String> {
        let all = self.described["security"].as_array()?;
        let has = |name: &str| all.iter().any(|one| one.get(name).is_some());
        let optional = all.contains(&Value::Object(serde_json::Map::new()));
        let scope = all.iter().find_map(|one| one["access_token"][0].as_str());
        let room_key = "the room's admin key as `X-Admin-Key` or as `Authorization: Bearer …`";
        let mut said = match () {
            () if has("bridge_key") => {
                "Takes the bridge's key for some actions (`Authorization: Bearer …`).".to_owned()
            }
            () if has("room_key") && optional => format!("Takes {room_key}."),
            () if has("room_key") => format!("Needs {room_key}."),
            () if has("admin_token") && scope.is_none() => {
                "Needs the operator's token (`Authorization: Bearer …`).".to_owned()
            }
            () => String::new(),
        };
        if let Some(scope) = scope {
            let instead = if has("room_key") && !optional { "; `admin` needs no room key" } else { "" };
            let gap = if said.is_empty() { "" } else { " " };
            let _ = write!(said, "{gap}Token mode: scope `{scope}`{instead}.");
        }
        (!said.is_empty()).then_some(said)
    }

    fn parameters(&self, page: &mut String) {
        let parameters = self.described["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        if parameters.is_empty() {
            return;
        }
        page.push_str("\n| parameter | in | type | |\n|-|-|-|-|\n");
        for parameter in parameters {
            let must = if parameter["required"] == true && parameter["in"] != "path" { ", required" } else { "" };
            let (name, place) = (text(parameter, "name"), text(parameter, "in"));
            let (kind, what) = (kind(&parameter["schema"]), line(text(parameter, "description")));
            let _ = writeln!(page, "| `{name}` | {place} | {kind}{must} | {what} |");
        }
    }

    fn body(&self, page: &mut String, document: &Value) {
        for (media, content) in fields(&self.described["requestBody"]["content"]) {
            let _ = write!(page, "\nBody, `{media}`");
            let schema = resolved(&content["schema"], document);
            page.push_str(if fields(&schema["properties"]).next().is_some() { ":\n\n" } else { ".\n" });
            field_table(page, schema);
            example(page, &content["example"]);
        }
    }

    fn answers(&self, page: &mut String) {
        let responses = || fields(&self.described["responses"]);
        for (status, response) in responses().filter(|(status, _)| !is_error(status)) {
            let what = line(text(response, "description").trim_end_matches('.'));
            let what = if what == "Done" { String::new() } else { format!(": {what}") };
            let mut contents = fields(&response["content"]).peekable();
            if contents.peek().is_none() {
                let _ = write!(page, "\nAnswers {status}{what}.\n");
            }
            for (media, content) in contents {
                let shape = if media == "application/json" { kind(&content["schema"]) } else { format!("`{media}`") };
                let _ = write!(page, "\nAnswers {status}, {shape}{what}.\n");
                example(page, &content["example"]);
            }
        }
        let own = responses().filter(|(status, response)| is_error(status) && response.get("$ref").is_none());
        let own = own.map(|(status, response)| format!("**{status}** {}", line(text(response, "description"))));
        let usual =
            responses().filter(|(_, response)| response.get("$ref").is_some()).map(|(status, _)| status.as_str());
        let (own, usual): (Vec<String>, Vec<&str>) = (own.collect(), usual.collect());
        let mut all = own;
        if !usual.is_empty() {
            all.push(format!("as [usual](#errors) {}", usual.join(", ")));
        }
        if !all.is_empty() {
            let _ = write!(page, "\nErrors: {}.\n", all.join(" · "));
        }
    }
}

fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

fn errors(page: &mut String, document: &Value) {
    page.push_str("\n## Errors\n\n| status | usually |\n|-|-|\n");
    let statuses = [
        ("400", "Invalid"),
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("413", "TooLarge"),
        ("415", "UnsupportedMediaType"),
        ("422", "Unprocessable"),
        ("503", "Unavailable"),
    ];
    for (status, name) in statuses {
        let response = &document["components"]["responses"][name];
        let _ = writeln!(page, "| {status} | {} |", line(text(response, "description")));
    }
    page.push_str("\nA wrong method is a 405 whose `Allow` header names the right ones; an unknown path is a 404.\n");
}

/// What answers are made of.
fn types(page: &mut String, document: &Value) {
    page.push_str("\n## Types\n");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        let mut table = String::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            field_table(&mut table, resolved(part, document));
        }
        field_table(&mut table, schema);
        if schema["enum"].is_array() {
            let _ = writeln!(table, "One of {}.", kind(schema));
        }
        if !table.is_empty() {
            let _ = write!(page, "\n### {name}\n\n");
            let description = text(schema, "description").trim();
            if !description.is_empty() {
                let _ = write!(page, "{description}\n\n");
            }
            page.push_str(&table);
        }
    }
}

/// What is always there comes first.
fn field_table(page: &mut String, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut all: Vec<(&String, &Value)> = fields(&schema["properties"]).collect();
    all.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), *name != "id"));
    if all.is_empty() {
        return;
    }
    page.push_str("| field | type | |\n|-|-|-|\n");
    for (name, field) in all {
        let may_miss = if required.contains(&name.as_str()) { "" } else { "?" };
        let _ = writeln!(page, "| `{name}`{may_miss} | {} | {} |", kind(field), line(text(field, "description")));
    }
}

fn example(page: &mut String, example: &Value) {
    if !example.is_null() {
        let _ = write!(page, "\n```json\n{}\n```\n", serde_json::to_string_pretty(example).unwrap_or_default());
    }
}

/// In words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return if name.ends_with("Id") { "id".into() } else { format!("[{name}](#{})", name.to_lowercase()) };
    }
    let choices = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(choices) = choices {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("`{}`", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let one = |name: &str| match (name, schema["format"].as_str()) {
        ("string", Some("uuid")) => "id".into(),
        ("string", Some("date-time")) => "time".into(),
        ("array", _) => format!("array of {}", kind(&schema["items"])),
        (other, _) => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or "),
        _ => "any JSON".into(),
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(schema)
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// For a cell of a table.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
