//! The defaults, the repository's `config.toml`, how layers lie over each other, and routes.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::keys::{INSTANCE_KEYS, KEYS, Key, Kind, ROUTE_KEYS};
use super::node::{Table, Value};
use super::*;

const SHIPPED: &str = include_str!("../../../config.toml");

/// The configuration that a text makes, without an environment.
fn of(text: &str) -> Loaded {
    from_text(Path::new("config.toml"), text, [("HOME", "/")]).expect("the text has no mistake")
}

fn warnings(text: &str) -> Vec<String> {
    of(text).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn empty_file_is_the_defaults() {
    let Loaded { config, warnings, .. } = of("");
    assert_eq!(config, Config::default());
    assert!(warnings.is_empty());
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(config.server.cors_origins, ["*"]);
    assert_eq!(config.server.shutdown, Duration::from_secs(10));
    assert_eq!(config.store.path, Path::new("data/arcuate.db"));
    assert_eq!(config.store.durability, Durability::Full);
    assert_eq!(config.auth.mode, AuthMode::Lan);
    assert!(config.auth.admin_token.is_empty());
    assert_eq!(config.bridge.session_timeout, Duration::from_secs(1800));
    assert_eq!(config.limits.api_per_minute, 600);
    assert_eq!(config.limits.file_bytes, 5_242_880);
    assert_eq!(config.server.body, Duration::from_secs(30));
    assert_eq!((config.queue.base, config.queue.cap), (Duration::from_secs(5), Duration::from_secs(300)));
    assert_eq!(config.plugins.directory, None);
    let instances: Vec<_> = config.plugins.instances.values().map(|it| (&*it.name, it.enabled, &*it.library)).collect();
    assert_eq!(
        instances,
        [("assistant", true, "agent_invoker"), ("web_chat", false, "web_chat"), ("webhook", true, "webhook")]
    );
    assert_eq!(config.routes, [Route::plain("bridge", RouteTarget::Agents(vec!["assistant".into()]))]);
}

#[test]
fn shipped_file_is_the_defaults() {
    let Loaded { config, warnings, .. } = of(SHIPPED);
    assert_eq!(config, Config::default());
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn shipped_file_shows_every_key_with_a_comment() {
    let tree = file::parse(Path::new("config.toml"), SHIPPED, &Environment::new([("A", "")])).expect("it is TOML");
    let table = |table: &Table, key: &str| match &table.get(key).expect(key).node.value {
        Value::Table(table) => table.clone(),
        Value::List(items) => match &items.first().expect(key).value {
            Value::Table(table) => table.clone(),
            _ => panic!("{key} holds no tables"),
        },
        _ => panic!("{key} is no table"),
    };
    for key in KEYS {
        assert!(table(&tree, key.section).get(key.name).is_some(), "{} is missing", key.path());
    }
    for instance in ["assistant", "web_chat", "webhook"] {
        let instance = table(&table(&tree, "plugins"), instance);
        INSTANCE_KEYS.iter().for_each(|key| assert!(instance.get(key).is_some(), "{key} is missing"));
    }
    let route = table(&tree, "routes");
    ROUTE_KEYS.iter().for_each(|key| assert!(route.get(key).is_some(), "{key} is missing"));
    for line in SHIPPED.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
        assert!(line.contains(" # "), "without a comment: {line}");
    }
}

#[test]
fn load_without_a_file_says_so() {
    let loaded = load(None, [("HOME", "/")]).expect("the defaults");
    assert_eq!(
        (loaded.origin, loaded.config),
        (None, Config::default()),
        "tests run in a folder without a config.toml"
    );
}

#[test]
fn load_takes_relative_paths_from_the_files_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    fs::write(folder.path().join("key"), "s3cret\r\n").expect("the key is written");
    let text =
        "[store]\npath = 'x/y.db'\n[plugins]\ndirectory = 'lib'\n[bridge]\napi_key = { file = 'key' }\nadmin_key = 'a'";
    fs::write(&path, text).expect("the file is written");
    let Loaded { config, origin, .. } = load(Some(&path), [("HOME", "/")]).expect("it is right");
    assert_eq!(origin.as_deref(), Some(&*path));
    assert_eq!(config.store.path, folder.path().join("x/y.db"));
    assert_eq!(config.plugins.directory, Some(folder.path().join("lib")));
    assert_eq!(config.bridge.api_key.expose(), "s3cret");
    assert_eq!(of("[store]\npath = '/x'").config.store.path, Path::new("/x"));
}

#[test]
fn values_are_taken_in_their_plainest_form() {
    let config = of(r#"
        [server]
        trusted_proxies = ["10.1.2.3/8", "::1"]
        cors_origins = ["https://Example.org:443"]
        public_url = "https://chat.example.org/"
        shutdown_seconds = 0.25
        [queue]
        base_seconds = 1
        cap_seconds = 1.5
    "#)
    .config;
    let networks: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.server.cors_origins, ["https://example.org"]);
    assert_eq!(config.server.public_url, "https://chat.example.org");
    assert_eq!(config.server.shutdown, Duration::from_millis(250));
    assert_eq!((config.queue.base, config.queue.cap), (Duration::from_secs(1), Duration::from_millis(1500)));
}

#[test]
fn instances_merge_over_the_defaults() {
    let config = of(r#"
        [plugins.assistant.settings]
        stream = false
        [plugins.shop]
        library = "web_chat"
        [plugins.lounge]
    "#)
    .config;
    let assistant = &config.plugins.instances["assistant"];
    assert_eq!(format!("{:?}", assistant.settings), r#"{"stream", "backend"}"#, "settings show their keys alone");
    assert!(config.plugins.instances.contains_key("web_chat"));
    assert_eq!(config.plugins.instances["shop"].library, "web_chat");
    assert_eq!(config.plugins.instances["lounge"].library, "lounge", "a library is named like its instance");
    assert!(config.plugins.instances["lounge"].enabled, "a table is written to run");
}

#[test]
fn another_library_gets_no_default_settings() {
    let config = of("[plugins.assistant]\nlibrary = 'mine'").config;
    assert_eq!(config.plugins.instances["assistant"].settings, Table::default());
}

#[test]
fn written_routes_replace_the_default_one() {
    assert_eq!(of("routes = []").config.routes, []);
    let config =
        of("[[routes]]\nfrom='web_chat'\nto='inbox'\nmode='listen'\n[[routes]]\nfrom='*'\nto='assistant'\nmode='echo'")
            .config;
    assert_eq!(config.routes[0].to, RouteTarget::Inbox);
    assert_eq!(config.routes[0].place.to_string(), "config.toml:1:1");
    let mode = |instance, platform| config.route_for(instance, platform).map(|route| route.mode);
    assert_eq!(mode("web_chat", "x"), Some(Mode::Listen));
    assert_eq!(mode("shop", "web_chat"), Some(Mode::Listen), "a platform counts too");
    assert_eq!(mode("bridge", "bridge"), Some(Mode::Echo));
}

#[test]
fn route_with_all_its_rules_is_understood() {
    let text = "[[routes]]\nfrom='room:Den of #1'\nto=['assistant','webhook']\ntrigger='mention'\nallow=['a*']\ndeny=['ab']\n\
                refusal='no'\nmerge_window_ms=1500\nmax_turns_per_minute=3\napology='sorry'\n[[routes]]\nfrom='dm:helper'\nto='assistant'";
    let config = of(text).config;
    let route = config.room_route("Den of #1").expect("a route");
    assert_eq!(route.to, RouteTarget::Agents(vec!["assistant".into(), "webhook".into()]));
    assert_eq!((route.trigger, route.merge_window), (Trigger::Mention, Duration::from_millis(1500)));
    assert_eq!((route.max_turns_per_minute, route.apology.as_deref()), (3, Some("sorry")));
    assert_eq!(["ac", "ab", "b"].map(|person| route.hears(person)), [true, false, false]);
    assert!(config.has_room_routes() && config.dm_route("helper").is_some() && config.dm_route("ada").is_none());
    assert!(config.route_for("bridge", "bridge").is_none(), "rooms are no platforms");
    assert!(!of("").config.has_room_routes());
}

#[test]
fn every_time_may_have_a_fraction() {
    let is_time = |key: &&Key| matches!(key.kind, Kind::Time(..));
    for key in KEYS.iter().filter(|key| ["_seconds", "_ms", "_days"].iter().any(|end| key.name.ends_with(end))) {
        assert!(is_time(&key), "{} takes whole numbers alone", key.path());
    }
    for key in KEYS.iter().filter(is_time) {
        let text = format!("[{}]\n{} = 7.25", key.section, key.name);
        let shown = of(&text).config.shown(|_| None);
        let read = shown.iter().find(|shown| shown.key == key.path()).map(|shown| shown.value.clone());
        assert_eq!(read, Some(serde_json::json!(7.25)), "{text}");
    }
    let text = "[store]\nlog_days = 0.5\nslow_ms = 0.5\n[bridge]\nsession_timeout_seconds = 0.25\n\
                [queue]\nkeep_completed_days = 0.25\nkeep_dead_days = 1.5\n\
                [[routes]]\nfrom = '*'\nto = 'assistant'\nmerge_window_ms = 0.5";
    let config = of(text).config;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert_eq!((config.store.log, config.store.slow), (hours(12), Duration::from_micros(500)));
    assert_eq!(config.bridge.session_timeout, Duration::from_millis(250));
    assert_eq!((config.queue.keep_completed, config.queue.keep_dead), (hours(6), hours(36)));
    assert_eq!(config.routes[0].merge_window, Duration::from_micros(500));
}

#[test]
fn routes_of_the_documentation_are_understood() {
    let page = include_str!("../../../docs/routes.md");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 1);
    let Loaded { config, warnings, .. } = of(&format!("[plugins.other]\nlibrary = \"agent_invoker\"\n{}", blocks[0]));
    assert_eq!((config.routes.len(), warnings.len()), (1, 0), "{warnings:?}");
    ROUTE_KEYS.iter().for_each(|key| assert!(page.contains(&format!("`{key}`")), "{key} is not told"));
}

#[test]
fn refusal_that_nobody_hears_warns() {
    assert_eq!(
        warnings("[[routes]]\nfrom = 'irc'\nto = 'assistant'\nrefusal = 'no'"),
        ["config.toml:1:1: `refusal` is never said here, as everybody is heard; `allow` or `deny` says who is not"]
    );
}

#[test]
fn unrouted_is_who_has_no_route_on_any_platform() {
    let config = of("[[routes]]\nfrom = 'irc'\nto = 'assistant'").config;
    assert!(config.unrouted("web_chat", &["web_chat".into()]));
    assert!(!config.unrouted("web_chat", &["web_chat".into(), "irc".into()]));
    assert!(!config.unrouted("irc", &[]));
}

#[test]
fn route_to_a_disabled_instance_warns() {
    let text = "[plugins.assistant]\nenabled = false\n[[routes]]\nfrom = 'irc'\nto = 'assistant'";
    let said = "the route from `irc` leads to `assistant`, which is disabled; its turns wait until it is enabled";
    assert_eq!(warnings(text), [format!("config.toml:5:6: {said}")]);
    let listens = format!("{text}\nmode = 'listen'");
    assert!(warnings(&listens).is_empty(), "it asks nobody");
}

#[test]
fn default_route_to_a_disabled_instance_warns_where_it_is_disabled() {
    assert_eq!(
        warnings("[plugins.assistant]\nenabled = false"),
        [
            "config.toml:2:11: the route from `bridge` leads to `assistant`, which is disabled; its turns wait until it is enabled"
        ]
    );
}

#[test]
fn route_behind_one_that_takes_everything_warns() {
    let route = |from: &str| format!("[[routes]]\nfrom = '{from}'\nto = 'assistant'\n");
    assert_eq!(
        warnings(&[route("*"), route("irc")].concat()),
        ["config.toml:4:1: this route is never used; the one from `*` above it comes first"]
    );
    assert_eq!(
        warnings(&[route("irc"), route("x"), route("irc")].concat()),
        ["config.toml:7:1: this route is never used; the one from `irc` above it comes first"]
    );
}

#[test]
fn config_prints_no_secret() {
    let text = "[auth]\nadmin_token='hush1'\n[bridge]\napi_key='hush2'\n[plugins.web_chat.settings]\napi_key='hush3'\nx={y='hush4'}";
    let printed = format!("{:?}", of(text));
    assert!(!printed.contains("hush"), "{printed}");
}

#[test]
fn configs_are_equal_when_they_mean_the_same() {
    let plain = of("[plugins.web_chat.settings]\na = 1\nb = {c = 'x'}\n[[routes]]\nfrom='*'\nto='inbox'").config;
    let moved =
        of("\n\nroutes = [{to = 'inbox', from = '*'}]\n[plugins]\nweb_chat.settings = {b.c = \"x\", a = 1}").config;
    assert_eq!(plain, moved);
    let other = of("[plugins.web_chat.settings]\na = 2\nb = {c = 'x'}\n[[routes]]\nfrom='*'\nto='inbox'").config;
    assert_ne!(plain, other);
}

proptest! {
    /// Whatever the text, there is an answer, and every mistake in it has a place within the text.
    #[test]
    fn from_text_never_panics(lines in proptest::collection::vec(line(), 0..12), variable in "(?s).{0,12}") {
        let text = lines.concat();
        let variables = [("A", variable.as_str()), ("ARCUATE__SERVER__BIND", &variable), ("ARCUATE__PLUGINS__X", &variable)];
        for mistake in from_text(Path::new("c"), &text, variables).err().unwrap_or_default() {
            if let Place::At { line, column, .. } = mistake.place {
                let written = text.split('\n').nth(line as usize - 1).expect("the line is there");
                prop_assert!(column as usize <= written.chars().count() + 1, "{mistake}: {text:?}");
            }
        }
    }
}

fn line() -> impl Strategy<Value = String> {
    let headers = "\\[(server|queue|plugins|plugins\\.x|plugins\\.web_chat\\.settings|\\[routes\\]|é)\\]\n";
    let key = "(bind|cap_seconds|base_seconds|path|enabled|library|settings|from|to|mode|file|api_key|\"é\")";
    let value = "(1|-0.5|nan|true|\"\\$\\{A\\}\"|'é\\$\\$\\{'|\"x\"|\\[1, \"a\"\\]|\\{file = \"f\"\\}|2024-01-01|echo)";
    let pair = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop_oneof![2 => headers, 4 => pair, 1 => "(?s).{0,20}\n"]
}

#[test]
fn webhooks_may_call_the_own_network_in_lan_mode_unless_told_otherwise() {
    let allowed = |text: &str| {
        let settings = of(text).config.plugins.instances["webhook"].resolve_settings(&serde_json::Value::Null);
        settings.expect("settings")["allow_networks"].clone()
    };
    assert_eq!(allowed(""), serde_json::json!(["loopback", "private"]));
    assert_eq!(allowed("[plugins.webhook.settings]\nallow_networks = []"), serde_json::json!([]));
}
