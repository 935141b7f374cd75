//! `ARCUATE__…`: what the environment may set, how it lies over the file, and its mistakes.

use serde_json::{Value as Json, json};

use super::*;

fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<Mistake>> {
    from_text(Path::new("config.toml"), text, variables.iter().copied())
}

#[track_caller]
fn tells(variables: &[(&str, &str)], expected: &[&str]) {
    let told: Vec<String> = match loaded("[plugins.my__bot]", variables) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(told, expected);
}

fn settings(text: &str, variables: &[(&str, &str)], instance: &str) -> Json {
    let config = loaded(text, variables).expect("no mistake").config;
    let schema = json!({"properties": {
        "api_url": {"type": "string"}, "poll_interval": {"type": "number"}, "stream": {"type": ["boolean", "null"]},
        "batch": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "integer"}}, "backend": {},
        "apiKey": {"type": "string", "writeOnly": true}, "deep": {"properties": {"down": {"type": "integer"}}},
    }});
    config.plugins.instances[instance].resolve_settings(&schema).expect("the settings are right")
}

#[test]
fn environment_wins_over_the_file() {
    let text = "[server]\nbind = '127.0.0.1:1'\nshutdown_seconds = 3";
    let variables = [
        ("ARCUATE__SERVER__BIND", "127.0.0.1:2"),
        ("ARCUATE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1,"),
        ("ARCUATE__SERVER__CORS_ORIGINS", ""),
        ("ARCUATE__QUEUE__MAX_ATTEMPTS", "3"),
        ("ARCUATE__QUEUE__BASE_SECONDS", "0.5"),
        ("ARCUATE__BRIDGE__API_KEY", "a${B}"),
        ("ARCUATE_LOG", "ignored"),
    ];
    let config = loaded(text, &variables).expect("no mistake").config;
    assert_eq!(config.server.bind.port(), 2);
    assert_eq!(config.server.shutdown, Duration::from_secs(3));
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.cors_origins, Vec::<String>::new());
    assert_eq!((config.queue.max_attempts, config.queue.base), (3, Duration::from_millis(500)));
    assert_eq!(config.bridge.api_key.expose(), "a${B}", "the environment's own values are taken as they are");
}

#[test]
fn environment_sets_instances() {
    let variables = [
        ("ARCUATE__PLUGINS__WEB_CHAT__ENABLED", "true"),
        ("ARCUATE__PLUGINS__MY__BOT__LIBRARY", "agent_invoker"),
        ("ARCUATE__PLUGINS__SHOP__LIBRARY", "web_chat"),
        ("ARCUATE__PLUGINS__STOP_SECONDS", "1"),
    ];
    let config = loaded("[plugins.my__bot]", &variables).expect("no mistake").config;
    assert!(config.plugins.instances["web_chat"].enabled);
    assert_eq!(config.plugins.instances["my__bot"].library, "agent_invoker");
    assert_eq!(config.plugins.instances["shop"].library, "web_chat", "a library makes a new instance");
    assert_eq!(config.plugins.stop, Duration::from_secs(1));
    assert_eq!(config.plugins.instances["shop"].place.to_string(), "ARCUATE__PLUGINS__SHOP__LIBRARY");
}

#[test]
fn environment_sets_settings_by_the_types_of_the_schema() {
    let variables = [
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__API_URL", "5"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__POLL_INTERVAL", "0.5"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__BATCH", "5"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__STREAM", "false"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__TAGS", "1, 2"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__APIKEY", "k"),
        ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__DEEP__DOWN", "1"),
        ("N", "9"),
    ];
    let expected = json!({"api_url": "5", "poll_interval": 0.5, "batch": 5, "stream": false, "tags": [1, 2],
        "apiKey": "k", "deep": {"down": 1}});
    assert_eq!(settings("", &variables, "web_chat"), expected);
    let over = "[plugins.web_chat.settings]\nAPI_URL = 'x'\nbatch = 1\ndeep = {up = 2, down = '${N}'}";
    let merged = settings(over, &variables[2..], "web_chat");
    assert_eq!((&merged["batch"], &merged["deep"]), (&json!(5), &json!({"up": 2, "down": 1})));
    assert_eq!(
        settings(over, &[("N", "9")], "web_chat")["deep"]["down"],
        json!(9),
        "a whole variable takes the type too"
    );
}

#[test]
fn secrets_come_from_files_that_the_environment_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    fs::write(&file, "s3cret\n").expect("the key is written");
    let file = file.to_str().expect("a plain path");
    let variables =
        [("ARCUATE__BRIDGE__API_KEY__FILE", file), ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__APIKEY__FILE", file)];
    let config = loaded("", &variables).expect("no mistake").config;
    assert_eq!(config.bridge.api_key.expose(), "s3cret");
    assert_eq!(settings("", &variables, "web_chat"), json!({"apiKey": "s3cret"}));
}

#[test]
fn variables_of_the_first_poller_fill_what_is_left_out() {
    let variables = [("WEB_CHAT_API_URL", "from env"), ("WEB_CHAT_POLL_INTERVAL", "2"), ("WEB_CHAT_API_KEY", "")];
    assert_eq!(settings("", &variables, "web_chat"), json!({"api_url": "from env", "poll_interval": 2.0}));
    let written = settings(
        "[plugins.web_chat.settings]\napi_url = 'file'\n[plugins.shop]\nlibrary = 'web_chat'",
        &variables,
        "web_chat",
    );
    assert_eq!(written["api_url"], "file");
    let shop = settings("[plugins.shop]\nlibrary = 'web_chat'", &variables, "shop");
    assert_eq!(shop, json!({}), "only the instance of that name");
}

#[test]
fn value_of_the_wrong_type() {
    tells(
        &[
            ("ARCUATE__SERVER__BIND", "foo"),
            ("ARCUATE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, x"),
            ("ARCUATE__QUEUE__MAX_ATTEMPTS", "5.7"),
            ("ARCUATE__QUEUE__BASE_SECONDS", "inf"),
            ("ARCUATE__BRIDGE__API_KEY", "hush hush"),
            ("ARCUATE__PLUGINS__WEB_CHAT__ENABLED", "yes"),
        ],
        &[
            "ARCUATE__BRIDGE__API_KEY: `api_key` holds a character that cannot stand in an HTTP header; ASCII letters, \
             digits and signs without spaces would be right",
            "ARCUATE__PLUGINS__WEB_CHAT__ENABLED: `enabled` takes true or false, not \"yes\"",
            "ARCUATE__QUEUE__BASE_SECONDS: `base_seconds` takes a number of seconds from 0 to 86400, not \"inf\"",
            "ARCUATE__QUEUE__MAX_ATTEMPTS: `max_attempts` takes a whole number from 1 to 1000, not \"5.7\"",
            "ARCUATE__SERVER__BIND: `bind` takes an IP address and port, such as \"127.0.0.1:8000\", not \"foo\"",
            "ARCUATE__SERVER__TRUSTED_PROXIES: `trusted_proxies` takes networks, such as \"10.0.0.0/8\" or \"::1\", not \"x\"",
        ],
    );
}

#[test]
fn contradiction_with_the_file() {
    tells(
        &[("ARCUATE__QUEUE__BASE_SECONDS", "301")],
        &["ARCUATE__QUEUE__BASE_SECONDS: `base_seconds` is 301, but `cap_seconds` is 300; at most 300 would be right"],
    );
}

#[test]
fn unknown_variable_near_a_known_one() {
    tells(
        &[("ARCUATE__SERVER__BNID", "1"), ("ARCUATE__server__bind", "1"), ("ARCUATE__PLUGINS__WEB_CHAT__ENABLE", "1")],
        &[
            "ARCUATE__PLUGINS__WEB_CHAT__ENABLE: unknown variable; did you mean `ARCUATE__PLUGINS__WEB_CHAT__ENABLED`?",
            "ARCUATE__SERVER__BNID: unknown variable; did you mean `ARCUATE__SERVER__BIND`?",
            "ARCUATE__server__bind: unknown variable; did you mean `ARCUATE__SERVER__BIND`?",
        ],
    );
}

#[test]
fn unknown_variable_far_from_all() {
    tells(
        &[("ARCUATE__X", "1")],
        &["ARCUATE__X: unknown variable; `ARCUATE__<SECTION>__<KEY>`, such as `ARCUATE__SERVER__BIND`, would be right"],
    );
}

#[test]
fn unknown_instance() {
    tells(
        &[("ARCUATE__PLUGINS__WEBCHAT__ENABLED", "true"), ("ARCUATE__PLUGINS__SHOP__ENABLED", "true")],
        &[
            "ARCUATE__PLUGINS__SHOP__ENABLED: there is no instance `shop`; known are assistant, my__bot, web_chat and webhook; \
             `ARCUATE__PLUGINS__SHOP__LIBRARY` would make one",
            "ARCUATE__PLUGINS__WEBCHAT__ENABLED: there is no instance `webchat`; did you mean `web_chat`?",
        ],
    );
}

#[test]
fn routes_and_whole_settings_are_not_taken() {
    tells(
        &[("ARCUATE__ROUTES__0__FROM", "*"), ("ARCUATE__PLUGINS__WEB_CHAT__SETTINGS", "{}")],
        &[
            "ARCUATE__PLUGINS__WEB_CHAT__SETTINGS: settings are set one by one; a name such as \
             `ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__API_URL` would be right",
            "ARCUATE__ROUTES__0__FROM: routes are not taken from the environment; [[routes]] in the file would be right",
        ],
    );
}

#[cfg(unix)]
#[test]
fn value_that_is_not_utf8() {
    use std::os::unix::ffi::OsStringExt;
    let variables = [("ARCUATE__SERVER__BIND", vec![0xff]), ("BAD", vec![0xff])];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from_vec(value)));
    let told =
        from_text(Path::new("config.toml"), "[store]\npath = '${BAD}'", variables).expect_err("both are refused");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "config.toml:2:8: the environment variable `BAD` is not UTF-8",
            "ARCUATE__SERVER__BIND: the environment variable `ARCUATE__SERVER__BIND` is not UTF-8",
        ]
    );
}
