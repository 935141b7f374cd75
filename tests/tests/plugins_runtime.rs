//! Plugins that come, go and change while the host runs and visitors talk: nothing is lost or doubled, a mistake changes nothing, and the
//! others never notice.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Client;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

/// An instance that nobody touches.
const OTHER: &str = "[plugins.other]\nlibrary = \"agent_invoker\"\n[plugins.other.settings]\nbackend = \"echo\"\n";

async fn status(host: &Host, name: &str) -> Value {
    host.operator().get(&format!("/api/v1/admin/plugins/{name}")).await.ok()
}

async fn deed(operator: &Client, name: &str, verb: &str) -> Value {
    operator.post(&format!("/api/v1/admin/plugins/{name}/{verb}"), &json!({})).await.ok()
}

async fn until_state(host: &Host, name: &str, state: &str) {
    let look = || async { (status(host, name).await["state"] == state).then_some(()) };
    until_async(&format!("{name} is {state}"), PATIENCE, look).await;
}

fn arcuate(host: &Host, arguments: &[&str]) -> Output {
    let setup = host.setup();
    Command::new(setup.program()).current_dir(setup.folder()).args(arguments).output().expect("the program runs")
}

fn config_of(host: &Host) -> String {
    fs::read_to_string(host.folder().join("config.toml")).expect("the configuration")
}

fn write_config(host: &Host, text: &str) {
    fs::write(host.folder().join("config.toml"), text).expect("the configuration is written");
}

/// Actions and outcomes of the record of deeds, oldest first.
fn deeds(host: &Host) -> Vec<String> {
    let store = rusqlite::Connection::open(host.store()).expect("the store");
    let mut statement =
        store.prepare("select action || ' ' || subject || ' ' || outcome from audit order by key").expect("SQL");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_under_load_lose_and_double_nothing_and_leave_the_others_alone() {
    const VISITORS: usize = 5;
    const WORDS: usize = 30;
    let agent = Agent::start(Manner { takes: Duration::from_millis(10), ..Manner::default() }).await;
    let host = Host::start(&format!("{}{OTHER}", agent.plugin(""))).await;
    let other = status(&host, "other").await;
    let talking: Vec<_> = (0..VISITORS)
        .map(|index| {
            let visitor = Visitor::new(host.client(), &format!("visitor_{index}"));
            tokio::spawn(async move {
                let mut ids = BTreeSet::new();
                for word in 0..WORDS {
                    ids.insert(visitor.say(&format!("{index}/{word}")).await.id);
                }
                (visitor, ids)
            })
        })
        .collect();
    let operator = host.operator();
    for _ in 0..2 {
        let disabled = deed(&operator, "assistant", "disable").await;
        assert_eq!(
            (&disabled["state"], &disabled["stopped"]),
            (&json!("Stopped"), &json!(["assistant"])),
            "{disabled}"
        );
        let enabled = deed(&operator, "assistant", "enable").await;
        assert_eq!((&enabled["state"], &enabled["started"]), (&json!("Running"), &json!(["assistant"])), "{enabled}");
        let restarted = deed(&operator, "assistant", "restart").await;
        assert_eq!(restarted["state"], "Running", "{restarted}");
        let reloaded = operator.post("/api/v1/admin/reload", &json!({})).await.ok();
        assert_eq!((&reloaded["changed"], &reloaded["restarted"]), (&json!([]), &json!([])), "{reloaded}");
    }
    for talk in talking {
        let (visitor, ids) = talk.await.expect("a visitor");
        let heard = visitor.hears(WORDS).await;
        let answered: BTreeSet<i64> = heard.iter().filter_map(|answer| answer.asked).collect();
        assert_eq!(answered, ids, "each is answered once");
    }
    agent.assert_one_key_per_message();
    let still = status(&host, "other").await;
    assert_eq!((&still["state"], &still["since"]), (&json!("Running"), &other["since"]), "{still}");
    assert_eq!(status(&host, "assistant").await["restarts"], 0, "an operator's deed is no failure");
    let expected =
        ["plugins.disable", "plugins.enable", "plugins.restart"].map(|deed| format!("{deed} assistant done"));
    assert_eq!(deeds(&host)[..3], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_under_way_ends_before_its_instance_is_disabled() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("")).await;
    agent.hold();
    let visitor = Visitor::new(host.client(), "visitor");
    visitor.say("Hello").await;
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    let operator = host.operator();
    let disabling = tokio::spawn(async move { deed(&operator, "assistant", "disable").await });
    until_state(&host, "assistant", "Stopping").await;
    visitor.say("Still there?").await;
    agent.release();
    assert_eq!(disabling.await.expect("a deed")["state"], "Stopped");
    assert_eq!((visitor.hears(1).await.len(), agent.calls().len()), (1, 1), "asked once, and answered");

    let waits = status(&host, "assistant").await;
    assert_eq!((&waits["queue_depth"], &waits["queue"]["pending"]), (&json!(1), &json!(1)), "{waits}");
    assert!(waits["oldest_pending_seconds"].is_i64(), "{waits}");
    deed(&host.operator(), "assistant", "enable").await;
    visitor.hears(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_changes_what_can_change_and_names_what_cannot() {
    let host = Host::start(&format!("# mine\n{OTHER}")).await;
    let (text, other) = (config_of(&host), status(&host, "other").await);
    let new = text.replace("127.0.0.1:0", "127.0.0.1:1").replace("messages_per_minute = 0", "messages_per_minute = 1");
    let more = "[plugins.assistant.settings]\nbackend = \"echo\"\nprompt_format = \"new: {text}\"\n\
                [plugins.second]\nlibrary = \"agent_invoker\"\n[plugins.second.settings]\nbackend = \"echo\"\n\
                [plugins.webhook]\nenabled = false\n";
    write_config(&host, &format!("{new}{more}"));
    let told = arcuate(&host, &["reload"]);
    let told = (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned());
    assert_eq!(
        told,
        (
            Some(0),
            "changed: limits.messages_per_minute, plugins.assistant, plugins.second, plugins.webhook\nstarted: second\n\
             restarted: assistant\nstopped: webhook\n\
             needs a restart of the host: server.bind (the port is bound once, at the start)\n"
                .into()
        )
    );
    let visitor = Visitor::new(host.client(), "visitor");
    visitor.say("Hello").await;
    assert_eq!(visitor.hears(1).await[0].text, "new: Hello");
    assert_eq!(visitor.message("Hello").await.status, 429);
    assert_eq!(status(&host, "other").await["since"], other["since"], "nothing of it has changed");

    let config = host.operator().get("/api/v1/admin/config?section=limits.messages_per_minute").await.ok();
    assert_eq!((&config["file"], &config["settings"][0]["value"]), (&json!("config.toml"), &json!(1)), "{config}");
    let routes = host.operator().get("/api/v1/admin/routes?limit=1").await.ok();
    assert_eq!((&routes["routes"][0]["from"], &routes["routes"][0]["to"]), (&json!("bridge"), &json!("assistant")));

    write_config(&host, &text);
    host.signal(Signal::HUP);
    let operator = host.operator();
    let back = || async {
        let config = operator.get("/api/v1/admin/config?section=limits.messages_per_minute").await.ok();
        (config["settings"][0]["value"] == 0).then_some(())
    };
    until_async("the signal is heard", PATIENCE, back).await;
    until_state(&host, "webhook", "Running").await;
    operator.get("/api/v1/admin/plugins/second").await.refused(404, "no plugin instance has the name second");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_gives_what_comes_next_to_the_agent_of_the_new_routes() {
    let (agent, other) = (Agent::start(Manner::default()).await, Agent::start(Manner::default()).await);
    let to = |name: &str| format!("[[routes]]\nfrom = \"bridge\"\nto = \"{name}\"\n");
    let host = Host::start(&(agent.plugin("") + &other.instance("other", "") + &to("assistant"))).await;
    let text = config_of(&host);
    let visitor = Visitor::new(host.client(), "visitor");
    agent.hold();
    visitor.say("one").await;
    until_async("the first agent is asked", PATIENCE, || async { (agent.calls().len() == 1).then_some(()) }).await;
    write_config(&host, &text.replace("to = \"assistant\"", "to = \"nobody\""));
    host.operator().post("/api/v1/admin/reload", &json!({})).await.refused(422, "nobody");
    write_config(&host, &text.replace("to = \"assistant\"", "to = \"other\""));
    let told = host.operator().post("/api/v1/admin/reload", &json!({})).await.ok();
    assert_eq!((&told["changed"], &told["restarted"]), (&json!(["routes"]), &json!([])), "{told}");
    visitor.say("two").await;
    assert_eq!(visitor.hears(1).await[0].text, "re: two", "the new agent does not wait for the other one's turn");
    agent.release();
    assert_eq!(visitor.hears(2).await[1].text, "re: one", "a turn under way ends where it began");
    assert_eq!((agent.calls().len(), other.calls().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn library_that_serves_one_instance_alone_is_refused_a_second_one() {
    let host = Host::start(OTHER).await;
    let text = config_of(&host);
    write_config(&host, &format!("{text}[plugins.second]\nlibrary = \"webhook\"\n"));
    let refused = host.operator().post("/api/v1/admin/reload", &json!({})).await.is(422).to_string();
    assert!(refused.contains("cannot run twice"), "{refused}");
    host.operator().get("/api/v1/admin/plugins/second").await.refused(404, "second");
    write_config(
        &host,
        &format!("{text}[plugins.second]\nlibrary = \"webhook\"\n[plugins.webhook]\nenabled = false\n"),
    );
    host.operator().post("/api/v1/admin/reload", &json!({})).await.ok();
    until_state(&host, "second", "Running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistake_anywhere_changes_nothing_and_all_are_told() {
    let host = Host::start(OTHER).await;
    let text = config_of(&host);
    write_config(
        &host,
        &text.replace("backend = \"echo\"", "backend = \"parrot\"").replace("rooms_per_hour = 0", "rooms_per_hour = 5"),
    );
    let answer = host.operator().post("/api/v1/admin/reload", &json!({})).await.is(422);
    let mistake = &answer["mistakes"][0];
    assert_eq!(
        (answer["mistakes"].as_array().map(Vec::len), &mistake["place"]),
        (Some(1), &json!("config.toml")),
        "{answer}"
    );
    assert!(
        mistake["line"].is_i64() && mistake["text"].as_str().is_some_and(|text| text.contains("`backend`")),
        "{answer}"
    );
    let told = arcuate(&host, &["reload"]);
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.code() == Some(2) && said.starts_with("config.toml:"), "{said}");

    write_config(&host, &format!("{text}[limits]\nbnid = 1\n[server]\nbind = 7\n"));
    host.operator().post("/api/v1/admin/plugins/webhook/disable", &json!({})).await.refused(422, "config.toml:");
    write_config(&host, &text.replace("rooms_per_hour = 0", "rooms_per_hour = \"many\"\nrooms = 1"));
    let answer = host.operator().post("/api/v1/admin/reload", &json!({})).await.is(422);
    assert_eq!(answer["mistakes"].as_array().map(Vec::len), Some(2), "{answer}");
    for name in ["other", "webhook", "assistant"] {
        assert_eq!(status(&host, name).await["state"], "Running");
    }
    let config = host.operator().get("/api/v1/admin/config?section=limits.rooms_per_hour").await.ok();
    assert_eq!(config["settings"][0]["value"], 0, "{config}");
    let refused = deeds(&host);
    assert_eq!(
        refused,
        [
            "config.reload  refused",
            "config.reload  refused",
            "plugins.disable webhook refused",
            "config.reload  refused"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn file_keeps_its_comments_and_its_mode_whoever_changes_it() {
    let mut host = Host::start("").await;
    let text = format!(
        "# Mine. Über alles.\n{}\n[plugins.webhook]   # posts\nenabled=true# yes\n\n# the end",
        config_of(&host)
    );
    write_config(&host, &text);
    let path = host.folder().join("config.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("its mode");
    let disabled = arcuate(&host, &["plugins", "disable", "webhook"]);
    assert_eq!(
        String::from_utf8_lossy(&disabled.stdout),
        "webhook: disabled\nchanged: plugins.webhook\nstopped: webhook\n"
    );
    let changed = text.replace("enabled=true#", "enabled=false#");
    assert_eq!(config_of(&host), changed);
    assert_eq!(path.metadata().expect("the file").permissions().mode() & 0o777, 0o640);

    assert!(host.terminate().await.0.success());
    let enabled = arcuate(&host, &["plugins", "enable", "webhook"]);
    let told = String::from_utf8_lossy(&enabled.stdout).into_owned();
    assert_eq!(told, "webhook is enabled in config.toml; no host runs, so nothing else changed\n");
    assert_eq!(config_of(&host), text);
    assert_eq!(deeds(&host), ["plugins.disable webhook done", "plugins.enable webhook done"]);
    for (arguments, reason) in [
        (&["reload"][..], "no host runs with the store"),
        (&["plugins", "enable", "nobody"], "no plugin instance has the name nobody"),
    ] {
        let refused = arcuate(&host, arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(reason), "{said}");
    }
    fs::remove_file(&path).expect("the file goes");
    let refused = arcuate(&host, &["plugins", "disable", "webhook"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("make one with the lines `[plugins.webhook]`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn library_built_anew_is_loaded_by_a_reload_for_all_its_instances() {
    let setup = Setup::new("[plugins.odd]\nlibrary = \"misbehaving\"\n[plugins.even]\nlibrary = \"misbehaving\"\n");
    setup.place_library("misbehaving");
    let host = setup.start().await;
    let other = status(&host, "assistant").await;
    let path = host.folder().join("bin/libmisbehaving.so");
    let (built, bytes) = (path.with_extension("new"), fs::read(&path).expect("the library"));
    let rebuild = |more: &[u8]| {
        fs::write(&built, [&bytes, more].concat()).and_then(|()| fs::rename(&built, &path)).expect("a library");
    };
    let reload = || async { host.operator().post("/api/v1/admin/reload", &json!({})).await.ok() };
    rebuild(b"");
    assert_eq!(reload().await["restarted"], json!([]), "the same content is nothing new");
    rebuild(b"\0\0\0\0");
    assert_eq!(reload().await["restarted"], json!(["even", "odd"]));
    for name in ["odd", "even"] {
        assert_eq!(status(&host, name).await["state"], "Running");
    }
    fs::write(&path, &bytes[..10_000]).expect("half a library");
    let reloaded = reload().await;
    assert_eq!(reloaded["restarted"], json!([]));
    assert!(reloaded["warnings"].to_string().contains("plugin odd stays as it is: "), "{reloaded}");
    host.operator().post("/api/v1/admin/plugins/odd/restart", &json!({})).await.refused(422, "truncated");
    assert_eq!(status(&host, "odd").await["state"], "Running", "what is wrong with the file changes nothing");
    assert_eq!(status(&host, "assistant").await["since"], other["since"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_that_ends_the_process_three_times_is_quarantined_until_it_is_let_in() {
    let setup = Setup::new("[plugins.odd]\nlibrary = \"misbehaving\"\n");
    setup.place_library("misbehaving");
    let mut host = setup.start().await;
    host.kill_9();
    for way in ["aborts", "exits", "aborts"] {
        host.start_again().await;
        assert_eq!(status(&host, "odd").await["state"], "Running", "a kill from outside is nobody's fault");
        let _ = host.get(&format!("/plugins/odd/{way}")).attempt().await;
        assert!(!host.ended().await.0.success());
    }
    host.start_again().await;
    let odd = status(&host, "odd").await;
    assert_eq!(odd["state"], "Quarantined", "{odd}");
    let reason = odd["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("3 times") && reason.contains("by SIGABRT at ") && reason.contains("plugins restart odd"),
        "{reason}"
    );
    assert_eq!(status(&host, "assistant").await["state"], "Running");
    let ready = host.get("/ready").await.ok();
    assert_eq!((&ready["plugins"][0]["name"], &ready["plugins"][0]["state"]), (&json!("odd"), &json!("Quarantined")));

    assert_eq!(deed(&host.operator(), "odd", "restart").await["state"], "Running");
    host.kill_9();
    host.start_again().await;
    assert_eq!(status(&host, "odd").await["state"], "Running", "what it did is forgotten");
}
