//! When a command cannot do its work: it says why, with exit code 1, and leaves nothing behind.

use super::{arcuate, fresh};
use arcuate::store::lock::Lock;
use arcuate_tests::host::Host;
use arcuate_tests::ports::free_port;
use std::fs;

const COMMANDS: [&[&str]; 4] =
    [&["queue", "list"], &["queue", "flush", "--all"], &["conversations", "list"], &["users", "list", "--json"]];

#[test]
fn missing_store_is_told_and_never_made() {
    let (setup, _) = fresh("");
    for arguments in COMMANDS {
        let told = arcuate(&setup, arguments).refused(1, &[]);
        assert_eq!(told, "arcuate: there is no store at data/arcuate.db yet; start the host once\n");
    }
    assert!(!setup.folder().join("data").exists());
    // An empty file is no store either.
    fs::create_dir(setup.folder().join("data")).expect("a folder");
    fs::write(setup.folder().join("data/arcuate.db"), "").expect("a file");
    arcuate(&setup, &["queue", "list"]).refused(1, &["there is no store at data/arcuate.db yet"]);
    assert_eq!(fs::metadata(setup.folder().join("data/arcuate.db")).expect("the file").len(), 0);
}

#[test]
fn file_of_another_program_is_left_alone() {
    let (setup, _) = fresh("");
    fs::create_dir(setup.folder().join("data")).expect("a folder");
    let path = setup.folder().join("data/arcuate.db");
    fs::write(&path, "somebody's notes, and long enough to be taken for a database ".repeat(20)).expect("a file");
    let before = fs::read(&path).expect("the file");
    arcuate(&setup, &["queue", "list"]).refused(1, &["cannot open the store data/arcuate.db"]);
    assert_eq!(fs::read(&path).expect("the file"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_whose_holder_does_not_answer_is_told_with_its_pid() {
    let mut host = Host::start("").await;
    host.terminate().await;
    let pid = format!("pid {}", std::process::id());
    let mut lock = Lock::take(&host.store()).expect("the lock is free");
    let told = arcuate(host.setup(), &["queue", "list"]).refused(1, &[&pid, "does not say where it listens"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    lock.announce(&format!("http://127.0.0.1:{}", free_port())).expect("the lock says where");
    for arguments in COMMANDS.into_iter().chain([&["plugins", "list"][..], &["plugins", "show", "assistant"]]) {
        arcuate(host.setup(), arguments).refused(1, &[&pid, "does not answer at http://127.0.0.1:", "refused"]);
    }
    drop(lock);
    arcuate(host.setup(), &["queue", "list"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn store_of_a_newer_version_is_refused_in_words_and_left_alone() {
    let mut host = Host::start("").await;
    host.terminate().await;
    let version = |sql: &str| {
        let store = rusqlite::Connection::open(host.store()).expect("the store opens");
        store.execute_batch(sql).expect("it takes this");
        store.query_row("pragma user_version", [], |row| row.get::<_, i64>(0)).expect("its version")
    };
    assert_eq!(version("pragma user_version = 99"), 99);
    for arguments in [&["queue", "list"][..], &["users", "list"], &["plugins", "show", "assistant"]] {
        arcuate(host.setup(), arguments).refused(1, &["schema has version 99", "written by a newer Arcuate"]);
    }
    let serve = arcuate(host.setup(), &["serve"]);
    assert!(serve.code == Some(1) && serve.stderr.contains("written by a newer Arcuate"), "{serve:?}");
    // What needs no store says what it can.
    arcuate(host.setup(), &["plugins", "list"]).done();
    assert_eq!(version(""), 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn deed_that_cannot_be_recorded_is_done_and_told() {
    let mut host = Host::start("").await;
    host.terminate().await;
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    store.execute_batch("pragma user_version = 2").expect("a store of an earlier version");
    drop(store);
    let enabled = || {
        let plugins = arcuate(host.setup(), &["plugins", "list", "--json"]).json();
        plugins["plugins"][0]["enabled"].clone()
    };
    let ran = arcuate(host.setup(), &["plugins", "disable", "assistant"]);
    assert!(ran.code == Some(0) && ran.stdout.starts_with("assistant is disabled in "), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: this was not written into the record of deeds: "), "{ran:?}");
    assert!(ran.stderr.lines().count() == 1 && enabled() == false, "{ran:?}");
    // Why it was refused is not hidden behind it either.
    arcuate(host.setup(), &["plugins", "enable", "nobody"]).refused(1, &["nobody", "warning: this was not written"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_the_host_does_not_take_is_told_without_it() {
    let host = Host::start("").await;
    let path = host.folder().join("data/admin_token");
    fs::write(&path, "arc_another_token\n").expect("the token is changed");
    let pid = format!("pid {}", host.pid());
    let told = arcuate(host.setup(), &["queue", "list"]).refused(1, &[&pid, "operator's token", "restart the host"]);
    assert!(!told.contains("arc_another_token"), "{told}");
    fs::remove_file(&path).expect("the token goes");
    arcuate(host.setup(), &["queue", "list"]).refused(1, &["cannot read the operator's token", "admin_token"]);
    assert!(!path.exists(), "a command makes no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_calls_wrong_usage_is_usage_in_both_situations() {
    let mut host = Host::start("").await;
    for situation in super::Situation::BOTH {
        situation.of(&mut host).await;
        arcuate(host.setup(), &["queue", "list", "--cursor", "elsewhere"]).refused(2, &["cursor"]);
    }
}
