//! Settings of a plugin against its schema: one test for each kind of mistake, the whole text with its place.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// A schema such as a plugin's manifest holds.
fn schema() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": ["api_url", "api_key"],
        "properties": {
            "api_url": {"description": "The address of the bridge. Its root will do.", "type": "string", "format": "uri"},
            "api_key": {"description": "The bridge's key.", "type": "string", "format": "password", "minLength": 1},
            "admin_key": {"type": ["string", "null"], "writeOnly": true},
            "site": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
            "poll_interval": {"type": "number", "format": "double", "minimum": 0.05},
            "batch": {"type": "integer", "format": "uint32", "minimum": 1, "maximum": 100},
            "stream": {"type": "boolean"},
            "html_entities": {"$ref": "#/$defs/Entities"},
            "mode": {"anyOf": [{"$ref": "#/$defs/Entities"}, {"type": "null"}]},
            "color": {"type": "string", "pattern": "^[a-z]+$"},
            "access_token": {"type": "string", "enum": ["a", "b"]},
            "peers": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/Peer"}},
            "store": {"anyOf": [{"$ref": "#/$defs/Store"}, {"type": "null"}]},
        },
        "$defs": {
            "Entities": {"oneOf": [{"const": "decode", "description": "Decodes."}, {"const": "keep"}]},
            "Peer": {"type": "object", "additionalProperties": false, "required": ["name", "url"], "properties": {
                "name": {"type": "string"}, "url": {"description": "URL of the peer", "type": "string", "format": "uri"}}},
            "Store": {"oneOf": [
                {"type": "object", "required": ["kind", "path"], "properties": {"kind": {"const": "file"}, "path": {"type": "string"}}},
                {"type": "object", "required": ["kind", "size"], "properties": {"kind": {"const": "memory"}, "size": {"type": "integer"}}},
            ]},
        },
    })
}

const RIGHT: &str = "[plugins.web_chat.settings]\napi_url = 'https://example.org/'\napi_key = 'k'\n";

fn resolve(text: &str, schema: &Json) -> Result<Json, Vec<Mistake>> {
    let variables = [("KEY", "hush"), ("FIVE", "5")];
    let loaded = from_text(Path::new("config.toml"), text, variables).expect("settings are no mistake of the host");
    loaded.config.plugins.instances["web_chat"].resolve_settings(schema)
}

#[track_caller]
fn tells(text: &str, expected: &[&str]) {
    let told: Vec<String> = match resolve(text, &schema()) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(told, expected, "{text}");
}

/// The same for one more line after the settings that are right: it is line 4.
#[track_caller]
fn line_tells(line: &str, expected: &str) {
    tells(&format!("{RIGHT}{line}"), &[&format!("config.toml:4:{expected}")]);
}

#[test]
fn right_settings_come_as_they_are() {
    let text = format!(
        "{RIGHT}admin_key = '${{KEY}}'\nbatch = 5\npoll_interval = 1\nmode = 'keep'\nstore = {{kind = 'memory', size = 1}}\n\
         peers = [{{name = 'a', url = 'https://a.example'}}]\nsite = 'https://a.example/$${{x}}'"
    );
    let expected = json!({"api_url": "https://example.org/", "api_key": "k", "admin_key": "hush", "batch": 5,
        "poll_interval": 1, "mode": "keep", "store": {"kind": "memory", "size": 1},
        "peers": [{"name": "a", "url": "https://a.example"}], "site": "https://a.example/${x}"});
    assert_eq!(resolve(&text, &schema()), Ok(expected));
}

#[test]
fn missing_key_without_a_table() {
    tells(
        "[plugins.web_chat]\nenabled = true",
        &[
            "config.toml:1:10: [plugins.web_chat.settings] lacks api_key, the bridge's key",
            "config.toml:1:10: [plugins.web_chat.settings] lacks api_url, the address of the bridge",
        ],
    );
    tells(
        "",
        &[
            "the defaults: [plugins.web_chat.settings] lacks api_key, the bridge's key",
            "the defaults: [plugins.web_chat.settings] lacks api_url, the address of the bridge",
        ],
    );
}

#[test]
fn missing_key_in_a_table() {
    tells(
        "[plugins.web_chat]\n\n[plugins.web_chat.settings]\napi_key = 'k'",
        &["config.toml:3:1: [plugins.web_chat.settings] lacks api_url, the address of the bridge"],
    );
    line_tells("peers = [{name = 'a'}]", "10: `peers[0]` lacks url, URL of the peer");
}

#[test]
fn misspelled_key_is_one_mistake() {
    tells(
        "[plugins.web_chat.settings]\napi_ulr = 'https://example.org'\napi_key = 'k'",
        &["config.toml:2:1: unknown key `api_ulr` in [plugins.web_chat.settings]; did you mean `api_url`?"],
    );
}

#[test]
fn unknown_key() {
    line_tells(
        "peers = [{name = 'a', url = 'https://a', x = 1}]",
        "42: unknown key `x` in `peers[0]`; known are name and url",
    );
}

#[test]
fn wrong_type() {
    line_tells("poll_interval = '5'", "17: `poll_interval` takes a number of at least 0.05, not \"5\"");
    line_tells("batch = true", "9: `batch` takes a whole number from 1 to 100, not true");
    line_tells("batch = 5.0", "9: `batch` takes a whole number from 1 to 100, not 5.0");
    line_tells("stream = 'yes'", "10: `stream` takes true or false, not \"yes\"");
    line_tells("peers = {}", "9: `peers` takes a list of at most 2 items, not a table");
    line_tells("poll_interval = nan", "17: `poll_interval` takes a number of at least 0.05, not nan");
}

#[test]
fn bound() {
    line_tells("poll_interval = 0.01", "17: `poll_interval` takes a number of at least 0.05, not 0.01");
    line_tells("batch = 101", "9: `batch` takes a whole number from 1 to 100, not 101");
    line_tells(
        "peers = [{name='a',url='a://a'},{name='a',url='a://a'},{name='a',url='a://a'}]",
        "9: `peers` takes a list of at most 2 items, not a list",
    );
}

#[test]
fn bad_url() {
    let said = "is not a URL; a full one such as https://example.org/ would be right";
    for url in ["example.org", "localhost:80", "http://", "https:example.org", "https://exa mple.org", ""] {
        let text = format!("[plugins.web_chat.settings]\napi_key = 'k'\napi_url = '{url}'");
        tells(&text, &[&format!("config.toml:3:11: `api_url` {said}")]);
    }
    line_tells("site = 'x'", &format!("8: `site` {said}"));
}

#[test]
fn bad_choice() {
    line_tells("html_entities = 'x'", "17: `html_entities` takes \"decode\" or \"keep\", not \"x\"");
    line_tells("mode = 'x'", "8: `mode` takes \"decode\" or \"keep\", not \"x\"");
    line_tells("mode = 1", "8: `mode` takes \"decode\" or \"keep\", not 1");
}

#[test]
fn bad_pattern() {
    line_tells("color = 'A1'", "9: `color` takes text like `^[a-z]+$`, not \"A1\"");
}

#[test]
fn one_of_several_forms() {
    line_tells("store = {kind = 'file'}", "9: `store` lacks path");
    line_tells("store = {kind = 'memory', size = 'x'}", "34: `store.size` takes a whole number, not \"x\"");
    line_tells("store = {kind = 'tape'}", "17: `store.kind` takes \"file\" or \"memory\", not \"tape\"");
    line_tells("store = 5", "9: `store` takes a table, not 5");
}

#[test]
fn secret_is_never_shown() {
    tells(
        "[plugins.web_chat.settings]\napi_url = 'a://b'\napi_key = 4711\nadmin_key = [4711]\naccess_token = '4711'",
        &[
            "config.toml:3:11: `api_key` takes text of at least 1 character, not a number",
            "config.toml:4:13: `admin_key` takes text, not a list",
            "config.toml:5:16: `access_token` takes \"a\" or \"b\", not text",
        ],
    );
    tells(
        "[plugins.web_chat.settings]\napi_url = 'a://b'\napi_key = ''",
        &["config.toml:3:11: `api_key` takes text of at least 1 character, not \"\""],
    );
}

#[test]
fn secret_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), "hush\n").expect("the key is written");
    let resolved = |file: &str| {
        let text = format!("[plugins.web_chat.settings]\napi_url = 'a://b'\napi_key = {{ file = '{file}' }}");
        let loaded = from_text(&folder.path().join("c.toml"), &text, [("A", "")]).expect("no mistake of the host");
        loaded.config.plugins.instances["web_chat"].resolve_settings(&schema())
    };
    assert_eq!(resolved("key").map(|settings| settings["api_key"].clone()), Ok(json!("hush")));
    let told = resolved("nokey").expect_err("there is no such file")[0].to_string();
    let folder = format!("{}/", folder.path().display());
    let said = tests_mistakes::said_of_secret("api_key", "nokey", "No such file or directory (os error 2)");
    assert_eq!(told.replace(&folder, ""), format!("c.toml:3:20: {said}"));
}

#[test]
fn table_with_a_file_that_is_no_secret_stays_a_table() {
    line_tells("color = { file = 'x' }", "9: `color` takes text like `^[a-z]+$`, not a table");
}

#[test]
fn variable_that_is_not_set_is_one_mistake() {
    let said =
        "the environment variable `NOWHERE` is not set; set it, or write `$${NOWHERE}` for these characters themselves";
    tells(
        "[plugins.web_chat.settings]\napi_url = '${NOWHERE}'\napi_key = '${NOWHERE}'\nmode = '${NOWHERE}'",
        &[
            &format!("config.toml:2:11: {said}"),
            &format!("config.toml:3:11: {said}"),
            &format!("config.toml:4:8: {said}"),
        ],
    );
}

#[test]
fn variable_takes_the_type_of_its_key() {
    let text = format!("{RIGHT}batch = '${{FIVE}}'");
    assert_eq!(resolve(&text, &schema()).map(|settings| settings["batch"].clone()), Ok(json!(5)));
    line_tells("batch = '${KEY}'", "9: `batch` takes a whole number from 1 to 100, not \"${KEY}\"");
    line_tells("batch = '1${FIVE}'", "9: `batch` takes a whole number from 1 to 100, not \"1${FIVE}\"");
}

#[test]
fn mistake_in_the_environment_stands_at_its_variable() {
    let variables = [
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__BATCH", "0"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__BATHC", "1"),
        ("WEB_CHAT_API_URL", "x"),
    ];
    let loaded = from_text(Path::new("config.toml"), "[plugins.web_chat.settings]\napi_key = 'k'", variables);
    let config = loaded.expect("no mistake of the host").config;
    let told = config.plugins.instances["web_chat"].resolve_settings(&schema()).expect_err("all are refused");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__BATCH: `batch` takes a whole number from 1 to 100, not \"0\"",
            "ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__BATHC: unknown key `bathc` in [plugins.web_chat.settings]; did you mean `batch`?",
            "WEB_CHAT_API_URL: `api_url` is not a URL; a full one such as https://example.org/ would be right",
        ]
    );
}

#[test]
fn plugin_without_a_schema_takes_any_settings() {
    let settings = resolve("[plugins.web_chat.settings]\na = 'x'", &Json::Null);
    assert_eq!(settings, Ok(json!({"a": "x"})));
}

#[test]
fn schema_that_is_none() {
    let told = resolve(RIGHT, &json!({"type": 5})).expect_err("it is refused");
    assert!(
        told[0]
            .to_string()
            .starts_with("config.toml:1:10: the schema of `web_chat` for its settings is no JSON Schema: ")
    );
}

/// What the repository's file offers as comments has to be right when somebody takes the `#` away.
#[test]
fn commented_settings_of_the_shipped_file_fit_the_plugins() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("web_chat.key"), "k").expect("the key is written");
    let is_setting = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b"_abcdefghijklmnopqrstuvwxyz".contains(&b)))
    };
    let shipped = include_str!("../../../config.toml");
    let (before, routes) = shipped.split_once("# Who answers whom").expect("the routes come last");
    let uncommented =
        before.lines().map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line));
    let text = format!("{}\n# {routes}", uncommented.collect::<Vec<_>>().join("\n"));
    let variables = [("AGENT_API_KEY", "k"), ("AGENT_SECRET", "k"), ("WEB_CHAT_API_KEY", "k")];
    let config = from_text(&folder.path().join("config.toml"), &text, variables).expect("it is right").config;
    for instance in config.plugins.instances.values() {
        let path = format!("{}/../plugins/{}/plugin.json", env!("CARGO_MANIFEST_DIR"), instance.library);
        let manifest = fs::read_to_string(&path).expect(&path);
        let manifest: Json = serde_json::from_str(&manifest).expect(&path);
        let settings = instance.resolve_settings(&manifest["settings"]).expect("the settings fit");
        for key in manifest["settings"]["properties"].as_object().expect(&path).keys() {
            assert!(settings.get(key).is_some(), "{key} of {} is missing in config.toml", instance.library);
        }
    }
}

proptest! {
    /// Whatever is written, there is an answer that shows no secret.
    #[test]
    fn resolve_settings_never_panics_and_never_shows_a_secret(
        lines in proptest::collection::vec(("(api_key|admin_key|access_token|deep\\.password)", value()), 0..6),
        others in proptest::collection::vec(("(api_url|poll_interval|batch|mode|store|peers|color|x)", value()), 0..6),
    ) {
        let secret = |(key, value): &(String, String)| format!("{key} = {}\n", value.replace("it", "hush").replace('7', "4711"));
        let plain = |(key, value): &(String, String)| format!("{key} = {value}\n");
        let lines: String = lines.iter().map(secret).chain(others.iter().map(plain)).collect();
        let text = format!("[plugins.web_chat.settings]\n{lines}");
        // A key that comes twice is no TOML; that is another test's matter.
        if let Ok(loaded) = from_text(Path::new("c"), &text, [("KEY", "hush")]) {
            let told = loaded.config.plugins.instances["web_chat"].resolve_settings(&schema());
            for mistake in told.err().unwrap_or_default() {
                let said = mistake.to_string();
                prop_assert!(!said.contains("hush") && !said.contains("4711"), "{said}");
            }
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    let plain = "('it'|7|-7\\.5|nan|true|2024-01-01|'\\$\\{KEY\\}'|'\\$\\{NONE\\}'|\\{file = 'path'\\}|\\{file = '\\$\\{KEY\\}'\\}|\\{file = 7\\}|'')";
    let item =
        prop_oneof![plain, Just("{kind = 'file', size = 7}".to_owned()), Just("{name = 'it', url = 'it'}".to_owned())];
    prop_oneof![3 => item.clone(), 1 => proptest::collection::vec(item, 0..3).prop_map(|items| format!("[{}]", items.join(", ")))]
}
