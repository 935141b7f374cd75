//! What is wrong with a plugin is told before it runs, with its place; and what does not come up is a failure of the command that wanted it,
//! while what ran goes on.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Right by its schema, and still refused by the plugin: no schema compares two settings.
const NEVER_ENDS: &str = "backend = \"echo\"\ntimeout = 1\ndelay_ms = 2000\n";

fn arcuate(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String, String) {
    let ran = Command::new(setup.program()).current_dir(setup.folder()).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

fn config_of(host: &Host) -> String {
    fs::read_to_string(host.folder().join("config.toml")).expect("the configuration")
}

fn write_config(host: &Host, text: &str) {
    fs::write(host.folder().join("config.toml"), text).expect("the configuration is written");
}

async fn reload(host: &Host) -> Value {
    host.operator().post("/api/v1/admin/reload", &json!({})).await.ok()
}

async fn status(host: &Host, name: &str) -> Value {
    host.operator().get(&format!("/api/v1/admin/plugins/{name}")).await.ok()
}

#[test]
fn check_finds_what_a_plugin_would_refuse() {
    for (library, settings, key) in [
        ("agent_invoker", "backend = \"http\"", "lacks url"),
        ("agent_invoker", "backend = \"openai\"\nurl = \"http://127.0.0.1:1\"", "lacks model"),
        ("agent_invoker", "backend = \"http\"\nurl = \"http://127.0.0.1:1\"\nmodel = \"m\"", "`model`"),
        ("agent_invoker", "backend = \"letta\"\nurl = \"http://127.0.0.1:1\"", "lacks agent_id"),
        ("agent_invoker", "backend = \"command\"", "lacks command"),
        ("agent_invoker", "prompt_format = \"{nix} {text}\"", "`prompt_format`"),
        ("agent_invoker", "backend = \"http\"\nurl = \"http://me:hush@127.0.0.1\"", "`url`"),
        ("web_chat", "api_url = \"http://127.0.0.1:1\"\napi_key = \"\"", "`api_key`"),
        ("web_chat", "api_url = \"http://127.0.0.1:1\"\napi_key = \"has blank\"", "`api_key`"),
        ("web_chat", "api_url = \"http://me:hush@127.0.0.1\"\napi_key = \"k\"", "`api_url`"),
        ("webhook", "allow_networks = [\"nix\"]", "`allow_networks[0]`"),
    ] {
        let head = format!("[plugins.webhook]\nenabled = false\n[plugins.x]\nlibrary = \"{library}\"\n");
        let setup = Setup::new("");
        fs::write(setup.folder().join("config.toml"), format!("{head}[plugins.x.settings]\n{settings}\n"))
            .expect("a file");
        let (code, _, told) = arcuate(&setup, &["check"]);
        let mistakes: Vec<_> = told.lines().filter(|line| !line.starts_with("warning: ")).collect();
        assert!(code == Some(2) && mistakes.len() == 1, "{settings}: {code:?} {told}");
        assert!(mistakes[0].starts_with("config.toml:") && mistakes[0].contains(key), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_start_is_told_by_serve_and_list_with_the_text_of_check() {
    let host =
        Host::start("[plugins.x]\nlibrary = \"agent_invoker\"\n[plugins.x.settings]\nbackend = \"letta\"\n").await;
    let (code, _, told) = arcuate(host.setup(), &["check"]);
    assert_eq!(code, Some(2));
    let status = status(&host, "x").await;
    let reason = status["reason"].as_str().expect("a reason");
    assert_eq!(status["state"], "Failed", "{status}");
    assert_eq!(reason.split("; config.toml").count(), 2, "both that it lacks: {reason}");
    for line in told.lines().filter(|line| line.starts_with("config.toml:")) {
        assert!(reason.contains(line), "`{line}` is not in {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_plugin_refuses_leave_it_as_it_was_under_load() {
    const WORDS: usize = 40;
    let agent = Agent::start(Manner { takes: Duration::from_millis(5), ..Manner::default() }).await;
    let host = Host::start(&agent.plugin("")).await;
    let text = config_of(&host);
    let visitor = Visitor::new(host.client(), "visitor");
    let talking = tokio::spawn(async move {
        let mut ids = BTreeSet::new();
        for word in 0..WORDS {
            ids.insert(visitor.say(&format!("{word}")).await.id);
        }
        (visitor, ids)
    });
    let settings = text.find("[plugins.assistant.settings]").expect("its settings");
    let end = text[settings + 1..].find("\n[").map_or(text.len(), |end| settings + 1 + end);
    write_config(&host, &format!("{}[plugins.assistant.settings]\n{NEVER_ENDS}{}", &text[..settings], &text[end..]));
    let (code, stdout, _) = arcuate(host.setup(), &["reload"]);
    assert_eq!(code, Some(1), "{stdout}");
    let told = "failed: assistant stays with its earlier settings: config.toml:";
    assert!(stdout.contains(told) && stdout.contains("delay_ms: it must be shorter"), "{stdout}");
    assert!(!stdout.contains("restarted"), "{stdout}");

    let again = reload(&host).await;
    assert_eq!((&again["restarted"], &again["failed"][0]["name"]), (&json!([]), &json!("assistant")), "{again}");
    let shown = status(&host, "assistant").await;
    assert_eq!((&shown["state"], &shown["settings"]["backend"]), (&json!("Degraded"), &json!("http")), "{shown}");
    assert!(shown["reason"].as_str().is_some_and(|reason| reason.starts_with("stays with its earlier")), "{shown}");
    let (visitor, ids) = talking.await.expect("it was said");
    let answered: Vec<_> = visitor.hears(WORDS).await.into_iter().filter_map(|answer| answer.asked).collect();
    assert_eq!((answered.len(), answered.into_iter().collect::<BTreeSet<_>>()), (WORDS, ids), "each once");

    write_config(&host, &text);
    let back = reload(&host).await;
    assert_eq!((&back["failed"], &back["restarted"]), (&json!([]), &json!([])), "{back}");
    assert_eq!(status(&host, "assistant").await["state"], "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_that_does_not_come_up_is_a_failure_of_the_command() {
    let host = Host::start("").await;
    let bad =
        format!("[plugins.bad]\nenabled = false\nlibrary = \"agent_invoker\"\n[plugins.bad.settings]\n{NEVER_ENDS}");
    write_config(&host, &format!("{}{bad}", config_of(&host)));
    assert_eq!(arcuate(host.setup(), &["reload"]).0, Some(0), "a disabled one has time");
    let (code, stdout, _) = arcuate(host.setup(), &["plugins", "enable", "bad"]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.starts_with("bad: Failed: config.toml:") && !stdout.contains("started"), "{stdout}");
    let (code, stdout, _) = arcuate(host.setup(), &["plugins", "restart", "bad", "--json"]);
    let told: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (code, &told["restarted"], &told["failed"][0]["state"]),
        (Some(1), &json!([]), &json!("Failed")),
        "{told}"
    );

    write_config(&host, &config_of(&host).replace("delay_ms = 2000", "delay_ms = 3000"));
    let told = reload(&host).await;
    assert_eq!((&told["restarted"], &told["failed"][0]["state"]), (&json!([]), &json!("Failed")), "{told}");
    assert!(told["failed"][0]["reason"].as_str().is_some_and(|why| why.contains("delay_ms")), "{told}");
    write_config(&host, &config_of(&host).replace("delay_ms = 3000", "delay_ms = 1"));
    let (code, stdout, _) = arcuate(host.setup(), &["reload"]);
    assert_eq!((code, stdout.contains("restarted: bad")), (Some(0), true), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn route_to_what_is_no_agent_is_a_mistake_everywhere() {
    let route = "[[routes]]\nfrom = \"bridge\"\nto = [\"assistant\", \"webhook\"]\n";
    let text = "`to` = \"webhook\", but its plugin `webhook` is no agent; assistant or inbox would be right";
    let setup = Setup::new("");
    fs::write(setup.folder().join("config.toml"), route).expect("a file");
    let (code, _, told) = arcuate(&setup, &["check"]);
    assert_eq!((code, told.trim_end()), (Some(2), &*format!("config.toml:3:20: {text}")));
    let (code, _, told) = arcuate(&setup, &["serve"]);
    assert!(code == Some(2) && told.contains(&format!("config.toml:3:20: {text}")), "{code:?} {told}");

    let host = Host::start("").await;
    write_config(&host, &format!("{}{route}", config_of(&host)));
    host.operator().post("/api/v1/admin/reload", &json!({})).await.refused(422, text);
    let (code, _, told) = arcuate(host.setup(), &["reload"]);
    assert!(code == Some(2) && told.contains(text) && told.ends_with("nothing was changed\n"), "{told}");
    let unknown = config_of(&host).replace("\"webhook\"]", "\"ghost\"]");
    write_config(&host, &unknown);
    let (_, _, told) = arcuate(host.setup(), &["check"]);
    assert!(told.contains("no such instance; assistant would be right"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn show_has_the_values_that_count() {
    let mut host = Host::start(
        "[plugins.assistant.settings]\nbackend = \"http\"\nurl = \"http://127.0.0.1:1/\"\napi_key = \"hush\"\n",
    )
    .await;
    for _ in 0..2 {
        let (_, stdout, _) = arcuate(host.setup(), &["plugins", "show", "assistant", "--json"]);
        let shown: Value = serde_json::from_str(&stdout).expect("JSON");
        let settings = &shown["settings"];
        assert_eq!(
            (&settings["backend"], &settings["url"]),
            (&json!("http"), &json!("http://127.0.0.1:1/")),
            "{shown}"
        );
        assert_eq!((&settings["api_key"], &settings["history"]), (&json!("***"), &json!(20)), "{shown}");
        let (_, table, _) = arcuate(host.setup(), &["plugins", "show", "assistant"]);
        let line = table.lines().find(|line| line.starts_with("backend")).expect("a line");
        assert!(table.contains("VALUE") && line.contains("\"http\"") && line.contains("\"echo\""), "{table}");
        assert!(!table.contains("hush") && !stdout.contains("hush"), "{table}");
        host.kill_9();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enable_of_what_cannot_be_says_what_to_write() {
    let host = Host::start("").await;
    let before = config_of(&host);
    let (code, _, told) = arcuate(host.setup(), &["plugins", "enable", "shop"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("no plugin instance has the name shop") && told.contains("`[plugins.shop]` with `library"),
        "{told}"
    );
    let (code, _, told) = arcuate(host.setup(), &["plugins", "enable", "web_chat"]);
    assert!(code == Some(2) && told.contains("lacks api_key") && told.ends_with("nothing was changed\n"), "{told}");
    assert_eq!(config_of(&host), before);
    write_config(&host, &format!("{before}[plugins.federation]\nenabled = true\n"));
    let (code, _, told) = arcuate(host.setup(), &["check"]);
    assert!(
        code == Some(2) && told.contains("this version has no such plugin yet") && !told.contains("cargo"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_was_configured_later_locks_nobody_out() {
    let host = Host::start("").await;
    let text = config_of(&host);
    write_config(&host, &format!("{text}[auth]\nadmin_token = \"a-token-of-tomorrow\"\n"));
    let (code, stdout, stderr) = arcuate(host.setup(), &["reload"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("needs a restart of the host: auth.admin_token"), "{stdout}");
    assert_eq!(arcuate(host.setup(), &["queue", "list"]).0, Some(0));

    fs::remove_file(host.folder().join("data/admin_token"))
        .or_else(|_| fs::remove_file(host.store().with_file_name("admin_token")))
        .expect("the token's file");
    let (code, _, told) = arcuate(host.setup(), &["reload"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("restart the host") && told.contains(&format!("`kill -HUP {}`", host.pid())), "{told}");
}
