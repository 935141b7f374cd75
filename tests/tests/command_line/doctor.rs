//! `arcuate doctor`: quiet about what is well, and told apart what is bad from what is only worth a look.

use super::{FAILING, Ran, Situation, arcuate, command, fresh, host_with, ran};
use arcuate::store::lock::Lock;
use arcuate_tests::host::Host;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What it found, whatever its exit code.
fn examined(ran: Ran) -> (Option<i32>, Value) {
    assert!(ran.stderr.is_empty(), "{ran:?}");
    (ran.code, serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}")))
}

/// The texts of a check that are at this level, with their advice.
fn found(report: &Value, check: &str, level: &str) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let fitting = findings.filter(|finding| finding["check"] == check && finding["level"] == level);
    fitting.map(|finding| format!("{} | {}", finding["text"], finding["advice"])).collect()
}

fn says(report: &Value, check: &str, level: &str, text: &str) {
    let found = found(report, check, level);
    assert!(found.iter().any(|finding| finding.contains(text)), "no {level} of {check} says `{text}`: {report:#}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode is set");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_is_well_has_no_problems() {
    let mut host = Host::start("").await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
        assert_eq!((code, &report["ok"], &report["problems"]), (Some(0), &true.into(), &0.into()), "{report:#}");
        says(&report, "store", "ok", "its file is sound");
        says(&report, "network", "ok", "only this machine");
        says(&report, "queue", "ok", "no dead letters");
        match situation {
            Situation::Running => {
                says(&report, "host", "ok", &format!("pid {}", host.pid()));
                says(&report, "plugins", "ok", "assistant is Running");
            }
            Situation::AtRest => says(&report, "host", "warning", "no host runs"),
        }
        let table = arcuate(host.setup(), &["doctor", "--thorough"]).done();
        assert!(table.starts_with("LEVEL") && table.contains("WHAT"), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_running_host_is_told_with_what_to_do() {
    let missing = "[plugins.missing]\nlibrary = \"missing\"\nenabled = true\n";
    let host = host_with(&format!("{FAILING}{missing}"), "failed", 2).await;
    set_mode(&host.store().with_file_name("admin_token"), 0o644);
    let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    assert_eq!((code, &report["ok"]), (Some(1), &false.into()), "{report:#}");
    says(&report, "permissions", "problem", "chmod 600");
    says(&report, "config", "problem", "libmissing.so");
    assert!(found(&report, "plugins", "problem").is_empty(), "said twice: {report:#}");
    says(&report, "queue", "warning", "2 dead letters of assistant");
    says(&report, "queue", "warning", "queue retry --state failed --plugin assistant");
    let ran = arcuate(host.setup(), &["doctor"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.lines().nth(1).is_some_and(|line| line.starts_with("problem")), "the worst first: {ran:?}");
    assert!(ran.stdout.trim_end().lines().last().is_some_and(|sum| sum.contains("problems, ")), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_with_one_reason_are_all_told() {
    let one = |name: &str| format!("[plugins.{name}]\nlibrary = \"agent_invoker\"\n");
    let settings =
        |name: &str| format!("[plugins.{name}.settings]\nbackend = \"http\"\nurl = \"http://127.0.0.1:1/\"\n");
    let mut host =
        Host::start(&format!("{}{}{}{}", one("east"), settings("east"), one("west"), settings("west"))).await;
    // Both for the same reason, and the host's words for it are in no mistake of the file.
    let library = host.folder().join("bin/libagent_invoker.so");
    let bytes = fs::read(&library).expect("a library");
    host.terminate().await;
    fs::remove_file(&library).and_then(|()| fs::write(&library, "no library")).expect("a broken library");
    host.start_again().await;
    fs::write(&library, bytes).expect("a library that a start would take");
    let (_, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    for name in ["assistant", "east", "west"] {
        says(&report, "plugins", "problem", &format!("{name} is Rejected: "));
    }
    // What is wrong with each of them is told once, with its place in the file.
    fs::write(&library, "no library").expect("a broken library");
    let (_, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    for name in ["assistant", "east", "west"] {
        says(&report, "config", "problem", &format!("plugin {name}: "));
    }
    assert!(found(&report, "plugins", "problem").is_empty(), "said twice: {report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_process_that_says_nothing_may_have_to_be_ended() {
    let mut host = Host::start("").await;
    let (token, kept) = (host.store().with_file_name("admin_token"), host.folder().join("kept"));
    fs::rename(&token, &kept).expect("the token is elsewhere");
    let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "host", "problem", "cannot read the operator's token");
    says(&report, "host", "problem", "the host itself goes on");
    assert!(!report.to_string().contains("end it"), "{report:#}");
    fs::rename(&kept, &token).expect("the token is back");
    host.terminate().await;
    let _lock = Lock::take(&host.store()).expect("the lock is free");
    let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "host", "problem", "if that process hangs, end it");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_work_is_told_with_its_reason() {
    let host = Host::start("").await;
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let sql = "insert into queue_pauses (instance, lane, paused_at, paused_by, reason)
               values ('assistant', '', 1700000000000000, 'operator', 'the agent moves'),
                      ('webhook', 'one lane', 1700000000000000, 'operator', '')";
    store.execute(sql, []).expect("a pause");
    let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    assert_eq!(code, Some(0), "{report:#}");
    says(&report, "queue", "warning", "all work of assistant is paused by operator since 2023-11-14");
    says(&report, "queue", "warning", "the agent moves");
    says(&report, "queue", "warning", "queue resume --plugin webhook --lane 'one lane'`");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_told_with_the_newest_error_of_their_own_plugin() {
    let host = host_with(FAILING, "failed", 1).await;
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let sql = "insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload, last_error,
                                  created_at, finished_at)
               values (randomblob(16), 'webhook', 'webhook', 'x', 'failed', 0, 1, 1, 1, '{}', 'the site is gone', 1, 9000000000000000);
               insert into queue_counts (instance, state, count) values ('webhook', 'failed', 1)";
    store.execute_batch(sql).expect("a dead letter");
    let (_, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    says(&report, "queue", "warning", "1 dead letter of assistant; newest error: the agent at ");
    says(&report, "queue", "warning", "1 dead letter of webhook; newest error: the site is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_everybody_can_read_are_named_with_what_mends_it() {
    let config = "[bridge]\napi_key = { file = \"bridge key\" }\n[plugins.assistant.settings]\nbackend = \"http\"\n\
                  url = \"http://127.0.0.1:1/\"\nsecret = \"words\"\n";
    let (setup, path) = fresh(config);
    let key = setup.folder().join("bridge key");
    fs::write(&key, "letters\n").expect("a key");
    set_mode(&key, 0o644);
    set_mode(&path, 0o604);
    let (code, report) = examined(arcuate(&setup, &["doctor", "--json"]));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "secrets", "problem", "bridge key (mode 644), which holds a secret");
    says(&report, "secrets", "problem", "`chmod 600 'bridge key'`");
    says(&report, "secrets", "problem", "config.toml (mode 604), which holds plugins.assistant.settings.secret");
    assert!(!report.to_string().contains("words") && !report.to_string().contains("letters"), "{report:#}");
    set_mode(&key, 0o640);
    set_mode(&path, 0o600);
    let (_, report) = examined(arcuate(&setup, &["doctor", "--json"]));
    says(&report, "secrets", "ok", "its owner and its group alone read bridge key");
    says(&report, "secrets", "ok", "its owner alone reads config.toml");
}

#[test]
fn mistakes_and_a_taken_port_are_problems_before_the_first_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its number");
    let (setup, path) = fresh(&format!("[server]\nbind = \"{address}\"\n[bridge]\napi_key = \"secret-words\"\n"));
    set_mode(&path, 0o644);
    let (code, report) = examined(arcuate(&setup, &["doctor", "--json"]));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "port", "problem", &format!("another program listens on {address}"));
    says(&report, "secrets", "problem", "bridge.api_key");
    assert!(!report.to_string().contains("secret-words"), "{report:#}");
    says(&report, "store", "ok", "the first start makes it");
    assert!(!setup.folder().join("data").exists(), "it only looks");
    fs::write(&path, "[server]\nbind = \"0.0.0.0:0\"\nbnid = 1\n").expect("the configuration");
    let (code, report) = examined(ran(&mut command(&setup, &["doctor", "--json"])));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "config", "problem", "config.toml:3:1: ");
    fs::write(&path, "[server]\nbind = \"0.0.0.0:0\"\n").expect("the configuration");
    let (_, report) = examined(arcuate(&setup, &["doctor", "--json"]));
    says(&report, "network", "warning", "whoever reaches it may read and write");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_store_and_a_library_that_others_can_write_are_problems() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    for _ in 0..50 {
        host.say(&room, &"words ".repeat(500)).await;
    }
    host.terminate().await;
    // A link to what others use must not be changed: a copy takes its place.
    let library = host.folder().join("bin/libagent_invoker.so");
    let bytes = fs::read(&library).expect("a library");
    fs::remove_file(&library).and_then(|()| fs::write(&library, bytes)).expect("a copy");
    set_mode(&library, 0o666);
    let mut store = fs::read(host.store()).expect("the store");
    let middle = store.len() / 2;
    store[middle..middle + 8192].fill(7);
    fs::write(host.store(), store).expect("a damaged store");
    let (code, report) = examined(arcuate(host.setup(), &["doctor", "--json"]));
    assert_eq!(code, Some(1), "{report:#}");
    says(&report, "store", "problem", "restore");
    says(&report, "libraries", "problem", "libagent_invoker.so");
    arcuate(host.setup(), &["backup", "x.db"]).refused(1, &["damaged"]);
    assert!(!host.folder().join("x.db").exists(), "a copy of a damaged store is no backup");
}
