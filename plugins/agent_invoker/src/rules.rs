//! Which settings belong to which backend, said once: the manifest's JSON Schema has these rules, so that the host tells a mistake with its
//! place before anything runs, and `Settings::check` goes by them wherever nobody looked at the schema.

use crate::settings::Kind::{self, Command, Echo, Http, Letta, Openai};
use serde_json::{Map, Value, json};

/// Those that take more than nothing; `echo` lets all stay, so that it can be tried out before a real agent.
const REAL: [Kind; 4] = [Http, Openai, Letta, Command];

/// What a backend cannot do without: the setting, what it is, and who needs it.
pub(crate) const NEEDED: [(&str, &str, &[Kind]); 4] = [
    ("url", "the agent's address", &[Http, Openai, Letta]),
    ("model", "the model's name", &[Openai]),
    ("agent_id", "the agent's id on its server", &[Letta]),
    ("command", "the program and its arguments, like [\"/usr/local/bin/agent\"]", &[Command]),
];

/// What would have no effect elsewhere, and so was meant otherwise: the setting, and who knows it beside `echo`.
pub(crate) const KNOWN: [(&str, &[Kind]); 10] = [
    ("url", &[Http, Openai, Letta]),
    ("api_key", &[Http, Openai, Letta]),
    ("secret", &[Http]),
    ("model", &[Openai]),
    ("system_prompt", &[Openai]),
    ("agent_id", &[Letta]),
    ("scope", &[Letta]),
    ("command", &[Command]),
    ("delay_ms", &[]),
    ("fail_every", &[]),
];

/// Names in braces, doubled braces, and what is neither.
const PIECE: &str = r"([^{}]|\{\{|\}\}|\{(username|display_name|platform|Platform|platform_user_id|text)\})*";

pub(crate) fn needs(backend: Kind, what: &str) -> String {
    format!("backend \"{}\" needs {what}", backend.name())
}

pub(crate) fn has_no_use(backend: Kind, known: &[Kind]) -> String {
    let known = if known.is_empty() { &[Echo] } else { known };
    let known: Vec<_> = known.iter().map(|kind| format!("\"{}\"", kind.name())).collect();
    format!("backend \"{}\" has no use for it, only {}; remove it", backend.name(), known.join(" or "))
}

/// For the schema's `allOf`: a condition for each backend.
pub(crate) fn of_backends() -> Value {
    REAL.into_iter().map(of_backend).collect()
}

fn of_backend(backend: Kind) -> Value {
    let (mut required, mut lacking, mut properties) = (Vec::new(), Map::new(), Map::new());
    for (setting, what, _) in NEEDED.iter().filter(|(.., by)| by.contains(&backend)) {
        let message = needs(backend, what);
        required.push(*setting);
        lacking.insert((*setting).into(), message.clone().into());
        properties.extend(filled(setting, message));
    }
    for (setting, known) in KNOWN.iter().filter(|(_, known)| !known.contains(&backend)) {
        properties.insert((*setting).into(), unset(setting, has_no_use(backend, known)));
    }
    let mut then = json!({ "properties": properties });
    if !required.is_empty() {
        then["required"] = json!(required);
        then["errorMessage"] = json!({ "required": lacking });
    }
    json!({ "if": { "properties": { "backend": { "const": backend.name() } }, "required": ["backend"] }, "then": then })
}

/// Present is not enough.
fn filled(setting: &str, message: String) -> Option<(String, Value)> {
    let rule = match setting {
        "url" => return None,
        "command" => {
            let program = json!({ "pattern": r"\S", "errorMessage": &message });
            json!({ "minItems": 1, "prefixItems": [program], "errorMessage": message })
        }
        _ => json!({ "minLength": 1, "errorMessage": message }),
    };
    Some((setting.into(), rule))
}

/// As if nobody had written it.
fn unset(setting: &str, message: String) -> Value {
    let mut rule = match setting {
        "url" => json!({ "const": null }),
        "scope" => json!({ "const": "identity" }),
        "command" => json!({ "maxItems": 0 }),
        "delay_ms" | "fail_every" => json!({ "maximum": 0 }),
        _ => json!({ "maxLength": 0 }),
    };
    rule["errorMessage"] = message.into();
    rule
}

/// For the schema of `prompt_format`: first what may stand in it, then what must.
pub(crate) fn of_prompt_format() -> Value {
    let unknown = "it may have {username}, {display_name}, {platform}, {Platform}, {platform_user_id} and {text} in it; \
                   any other brace is written twice, `{{` or `}}`";
    let blind = "{text} is missing, so the agent would never see what was said";
    json!([
        { "pattern": format!("^{PIECE}$"), "errorMessage": unknown },
        { "pattern": format!(r"^{PIECE}\{{text\}}{PIECE}$"), "errorMessage": blind },
    ])
}
