//! What a restore leaves behind: nothing is lost by it, neither by the wrong backup nor by a kill in the middle, and what the backup had
//! open is not done again as if nothing had happened.

use super::{WAITING, arcuate, command, host_with, names, ran};
use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::preload;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use toml_edit::DocumentMut;

/// What was said in a store, whatever is still in its log.
fn said(store: &Path) -> Vec<String> {
    let store = Connection::open(store).unwrap_or_else(|error| panic!("{}: {error}", store.display()));
    let mut all =
        store.prepare("select json ->> '$.content' from messages where seq > 0 order by seq").expect("messages");
    let rows = all.query_map([], |row| row.get(0)).expect("messages").collect::<Result<_, _>>();
    rows.expect("texts")
}

/// Everything that a folder holds.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).expect("a copy");
        }
    }
}

async fn upload(host: &Host, room: &str, text: &str) {
    let form = json!({ "sender": "ada", "filename": "a.txt", "data": text });
    host.post(&format!("/api/v1/rooms/{room}/files"), &form).await.ok();
}

/// A host that was killed after it had said `one`, `two` and `three`, with a backup after each of the first two.
async fn killed_with_backups() -> Host {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "one").await;
    upload(&host, &room, "MQ==").await;
    arcuate(host.setup(), &["backup", "first.db"]).done();
    host.say(&room, "two").await;
    arcuate(host.setup(), &["backup", "second.db"]).done();
    host.say(&room, "three").await;
    upload(&host, &room, "Mw==").await;
    host.kill_9();
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_one_after_the_other_each_keep_what_was_there() {
    let host = killed_with_backups().await;
    let data = host.folder().join("data");
    arcuate(host.setup(), &["restore", "first.db"]).refused(1, &["moves it aside, to", "arcuate.db.before-restore"]);
    let wrong = arcuate(host.setup(), &["restore", "first.db", "--force", "--json"]).json();
    assert!(wrong["aside"].as_str().is_some_and(|aside| aside.ends_with("arcuate.db.before-restore")), "{wrong}");
    arcuate(host.setup(), &["restore", "second.db"]).refused(1, &["arcuate.db.before-restore-2"]);
    let right = arcuate(host.setup(), &["restore", "second.db", "--force"]).done();
    assert!(right.contains("arcuate.db.before-restore-2 now"), "{right}");
    let third = arcuate(host.setup(), &["restore", "second.db", "--force", "--json"]).json();
    assert!(third["aside"].as_str().is_some_and(|aside| aside.ends_with("-3")), "{third}");
    assert_eq!(said(&host.store()), ["one", "two"]);
    assert_eq!(said(&data.join("arcuate.db.before-restore")), ["one", "two", "three"]);
    assert_eq!(said(&data.join("arcuate.db.before-restore-2")), ["one"]);
    assert_eq!(said(&data.join("arcuate.db.before-restore-3")), ["one", "two"]);
    let contents = |name: &str| names(&data.join(name)).iter().filter(|name| name.len() == 2).count();
    assert_eq!(contents("arcuate.db.before-restore.files"), 2);
    assert_eq!((contents("arcuate.db.before-restore-2.files"), contents("files")), (1, 1));
    let back = ["restore", "data/arcuate.db.before-restore", "--force", "--json"];
    assert_eq!(arcuate(host.setup(), &back).json()["contents"], 2);
    assert_eq!(said(&host.store()), ["one", "two", "three"]);
    fs::copy(host.folder().join("first.db"), data.join("arcuate.db.part")).expect("a copy");
    arcuate(host.setup(), &["restore", "data/arcuate.db.part", "--force"]).refused(1, &["take the backup itself"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_an_earlier_version_can_be_paused_too() {
    for name in ["store_1.db", "store_2.db"] {
        let setup = Setup::new("");
        setup.write_config();
        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
        let restored = arcuate(&setup, &["restore", &old.display().to_string(), "--paused", "--json"]).json();
        let paused = restored["paused"].as_array().expect("a list").len();
        assert_eq!(paused > 0, restored["uncertain"] != 0, "{restored}");
        let host = setup.start().await;
        let held = host.operator().get("/api/v1/admin/queue/paused").await.ok();
        assert_eq!(held["paused"].as_array().map(Vec::len), Some(paused), "{held}");
    }
}

/// The host's folder as it was, and a restore in it that is killed before its n-th renaming. None: it got through.
fn cut_off(host: &Host, library: &Path, renaming: usize) -> Option<Setup> {
    let setup = Setup::new("");
    setup.write_config();
    copy_folder(&host.folder().join("data"), &setup.folder().join("data"));
    for name in ["first.db", "first.db.files"] {
        let (from, to) = (host.folder().join(name), setup.folder().join(name));
        if from.is_dir() { copy_folder(&from, &to) } else { fs::copy(from, to).map(drop).expect("a copy") }
    }
    let mut restore = command(&setup, &["restore", "first.db", "--force"]);
    restore.env("LD_PRELOAD", library).env("KILLED_AT_RENAME", renaming.to_string());
    let status: ExitStatus = restore.status().expect("it runs");
    match status.signal() {
        Some(9) => Some(setup),
        _ => {
            assert!(status.success(), "{status}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_killed_at_any_point_loses_neither_store() {
    let Some(library) = preload::library("killed_at_rename", "a restore that is killed") else { return };
    let host = killed_with_backups().await;
    let (mut cut, mut without_store) = (0, None);
    for renaming in 1.. {
        let Some(setup) = cut_off(&host, &library, renaming) else { break };
        cut += 1;
        let data = setup.folder().join("data");
        let store = data.join("arcuate.db");
        if data.join("arcuate.db.restoring").exists() {
            let words = ["a restore of", "was cut off", "`arcuate restore` again"];
            arcuate(&setup, &["queue", "list"]).refused(1, &words);
            arcuate(&setup, &["backup", "x.db"]).refused(1, &words);
        }
        if !store.exists() {
            without_store = Some(renaming);
        }
        let again = arcuate(&setup, &["restore", "first.db", "--force", "--json"]).json();
        assert_eq!(said(&store), ["one"], "killed before renaming {renaming}");
        let aside = data.join("arcuate.db.before-restore");
        assert_eq!(said(&aside), ["one", "two", "three"], "killed before renaming {renaming}");
        assert_eq!(again["finished"].is_string(), data.join("arcuate.db.before-restore-2").exists(), "{again}");
        let contents = names(&data.join("arcuate.db.before-restore.files"));
        assert_eq!(contents.iter().filter(|name| name.len() == 2).count(), 2, "{contents:?}");
        let left = names(&data);
        assert!(!left.iter().any(|name| name.contains(".part") || name.contains("restoring")), "{left:?}");
    }
    assert!(cut >= 4, "it was killed at {cut} points only");
    let setup = cut_off(&host, &library, without_store.expect("a moment without a store")).expect("it is killed again");
    let doctor = arcuate(&setup, &["doctor"]);
    assert!(doctor.code == Some(1) && doctor.stdout.contains("was cut off"), "{doctor:?}");
    let restored = setup.start().await;
    assert!(restored.log().contains("a restore that was cut off is finished now"), "it says so");
    assert_eq!(said(&restored.store()), ["one"]);
    assert_eq!(said(&restored.folder().join("data/arcuate.db.before-restore")), ["one", "two", "three"]);
}

/// Three visitors' turns were open in the backup, and have been answered since.
async fn answered_since(agent: &Agent) -> Host {
    let mut host = host_with(WAITING, "pending", 3).await;
    arcuate(host.setup(), &["backup", "open.db"]).done();
    host.terminate().await;
    let asks: DocumentMut = agent.plugin("on_uncertain = \"fail\"").parse().expect("TOML");
    host.configure(|config| config["plugins"]["assistant"] = asks["plugins"]["assistant"].clone());
    host.start_again().await;
    until_async("all are answered", PATIENCE, || async { (state(&host, "completed").await == 3).then_some(()) }).await;
    host.terminate().await;
    host
}

async fn state(host: &Host, state: &str) -> usize {
    let path = format!("/api/v1/admin/queue?state={state}&kind=agent_turn");
    host.operator().get(&path).await.ok()["jobs"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_were_open_in_the_backup_are_in_doubt() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = answered_since(&agent).await;
    let asked = agent.calls().len();
    let restored = arcuate(host.setup(), &["restore", "open.db", "--force", "--json"]).json();
    assert_eq!((&restored["uncertain"], &restored["paused"]), (&json!(3), &json!([])), "{restored}");
    host.start_again().await;
    until_async("none is asked again", PATIENCE, || async { (state(&host, "failed").await == 3).then_some(()) }).await;
    assert_eq!(agent.calls().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_that_pauses_lets_nothing_run_until_somebody_has_looked() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = answered_since(&agent).await;
    let told = arcuate(host.setup(), &["restore", "open.db", "--force", "--paused"]).done();
    assert!(told.contains("3 jobs open in the backup") && told.contains("queue resume --plugin assistant"), "{told}");
    let deed = &arcuate(host.setup(), &["audit", "list", "--json"]).json()["deeds"][0];
    assert_eq!(deed["action"], "store.restore");
    assert_eq!(deed["detail"], json!({ "uncertain": 3, "paused": ["assistant"] }), "{deed}");
    host.start_again().await;
    let paused = arcuate(host.setup(), &["queue", "paused", "--json"]).json();
    assert_eq!(paused["paused"][0]["reason"], "restored from open.db", "{paused}");
    assert_eq!(state(&host, "pending").await, 3);
    arcuate(host.setup(), &["queue", "resume", "--plugin", "assistant"]).done();
    until_async("they go on", PATIENCE, || async { (state(&host, "pending").await == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_after_a_killed_one_takes_its_place() {
    let Some(library) = preload::library("killed_at_rename", "a backup that is killed") else { return };
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "one").await;
    upload(&host, &room, "MQ==").await;
    let left = || -> Vec<String> {
        names(host.folder()).into_iter().filter(|name| name.starts_with("monday") && name.contains(".part")).collect()
    };
    for renaming in ["1", "2"] {
        let mut backup = command(host.setup(), &["backup", "monday.db", "--force"]);
        backup.env("LD_PRELOAD", &library).env("KILLED_AT_RENAME", renaming);
        assert_eq!(backup.status().expect("it runs").signal(), Some(9));
        assert!(left().contains(&"monday.db.part".to_owned()), "{:?}", left());
    }
    let backed: Value = arcuate(host.setup(), &["backup", "monday.db", "--force", "--json"]).json();
    assert_eq!((&backed["contents"], left()), (&json!(1), Vec::new()), "{backed}");
    assert_eq!(said(&host.folder().join("monday.db")), ["one"]);
    // A second one meanwhile would write into the same copy.
    let lock = File::create(host.folder().join("monday.db.part.lock")).expect("the lock of a backup");
    flock(&lock, FlockOperation::LockExclusive).expect("it is free");
    let refused = ran(&mut command(host.setup(), &["backup", "monday.db", "--force"]));
    refused.refused(1, &["another process is writing monday.db.part", "name another file"]);
    drop(lock);
    until("the lock is free", || {
        arcuate(host.setup(), &["backup", "monday.db", "--force"]).code.filter(|code| *code == 0)
    })
    .await;
}
