//! `arcuate backup` and `arcuate restore`: what was answered before a backup began is in it, whatever goes on meanwhile, and a host comes
//! up from it.

use super::{Situation, arcuate, names};
use arcuate_tests::client::Client;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::wait::until;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Posts one after the other and notes what was answered, until it is told to stop.
async fn write(client: Client, room: String, number: usize, answered: Arc<Mutex<Vec<String>>>, stop: Arc<AtomicBool>) {
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let text = format!("{number}-{count}");
        let body = json!({ "sender": "ada", "content": text });
        client.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok();
        answered.lock().expect("nobody panicked").push(text);
    }
}

/// All messages of a room.
async fn contents(host: &Host, room: &str) -> BTreeSet<String> {
    let (mut found, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = host.get(&format!("/api/v1/rooms/{room}/messages?after={after}&limit=500")).await.ok();
        let messages = page.as_array().expect("messages");
        let Some(last) = messages.last() else { return found };
        after = last["seq"].as_i64().expect("a number");
        found.extend(messages.iter().map(|message| message["content"].as_str().expect("a text").to_owned()));
    }
}

async fn upload(host: &Host, room: &str, text: &str) -> String {
    let body = json!({ "sender": "ada", "filename": "a.txt", "data": STANDARD.encode(text) });
    let file = host.post(&format!("/api/v1/rooms/{room}/files"), &body).await.ok();
    file["id"].as_str().expect("an id").into()
}

fn from(store: &Path) -> Setup {
    Setup::new(&format!("[store]\npath = \"{}\"\n", store.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_under_load_has_all_that_was_answered_before_it() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file = upload(&host, &room, "what is in the file").await;
    let (answered, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let client = host.client().clone().keeping_connections();
    let writers: Vec<_> = (0..8)
        .map(|number| tokio::spawn(write(client.clone(), room.clone(), number, answered.clone(), stop.clone())))
        .collect();
    let count = || answered.lock().expect("nobody panicked").len();
    until("writers are at work", || (count() > 200).then_some(())).await;
    let before: Vec<String> = answered.lock().expect("nobody panicked").clone();
    let copy = host.folder().join("monday.db");
    let backed = arcuate(host.setup(), &["backup", "monday.db", "--json"]).json();
    let during = count() - before.len();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("the host goes on answering");
    }
    assert!(during > 0, "nothing was written meanwhile");
    assert_eq!((&backed["contents"], &backed["missing"]), (&json!(1), &json!(0)), "{backed}");

    let copied = from(&copy).start().await;
    let found = contents(&copied, &room).await;
    let lost: Vec<_> = before.iter().filter(|text| !found.contains(*text)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), before.len());
    assert_eq!(copied.get(&format!("/api/v1/files/{file}")).await.text, "what is in the file");
    let head = copied.get("/api/v1/stats").await;
    assert_eq!(head.status, 200);
    copied.say(&room, "and on it goes").await;
    upload(&copied, &room, "another").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_is_private_and_never_replaces_another_unasked() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    upload(&host, &room, "a file").await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let name = format!("{situation:?}.db");
        let before = names(&host.folder().join("data"));
        let told = arcuate(host.setup(), &["backup", &name]).done();
        assert!(told.starts_with(&format!("{name}: ")) && told.contains("everything up to event "), "{told}");
        assert!(told.contains(&format!("{name}.files: 1 file, 6 bytes")), "{told}");
        assert_eq!(names(&host.folder().join("data")), before, "nothing is left beside the store");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let path = host.folder().join(&name);
        assert_eq!((mode(&path), mode(&path.with_extension("db.files"))), (0o600, 0o700));
        arcuate(host.setup(), &["backup", &name]).refused(1, &["is there already", "--force"]);
        arcuate(host.setup(), &["backup", &name, "--force"]).done();
        arcuate(host.setup(), &["backup", "no/such/folder/x.db"]).refused(1, &["there is no folder no/such/folder"]);
        arcuate(host.setup(), &["backup", "data/arcuate.db", "--force"]).refused(1, &[]);
        let left: Vec<_> = names(host.folder()).into_iter().filter(|name| name.contains(".part")).collect();
        assert_eq!(left, [""; 0]);
    }
    let fresh = Setup::new("");
    fresh.write_config();
    arcuate(&fresh, &["backup", "x.db"]).refused(1, &["there is no store at", "nothing to back up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_backup_is_what_the_host_goes_on_with() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "before").await;
    let file = upload(&host, &room, "a file").await;
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    host.say(&room, "after").await;
    let pid = format!("a host with pid {}", host.pid());
    arcuate(host.setup(), &["restore", "monday.db", "--force"]).refused(1, &[&pid, "stop it first"]);
    // As after an accident: what it wrote is still in the log beside the store.
    host.kill_9();
    arcuate(host.setup(), &["restore", "monday.db"]).refused(1, &["there is a store at", "--force moves it aside"]);
    arcuate(host.setup(), &["restore", "tuesday.db"]).refused(1, &["there is no backup at tuesday.db"]);
    let restored = arcuate(host.setup(), &["restore", "monday.db", "--force", "--json"]).json();
    assert_eq!((&restored["contents"], &restored["missing"]), (&json!(1), &json!(0)), "{restored}");
    let deeds = arcuate(host.setup(), &["audit", "list", "--json"]).json();
    let newest = &deeds["deeds"][0];
    assert_eq!((&newest["action"], &newest["subject"]), (&json!("store.restore"), &json!("monday.db")), "{deeds}");
    host.start_again().await;
    assert_eq!(contents(&host, &room).await, BTreeSet::from(["before".to_owned()]));
    assert_eq!(host.get(&format!("/api/v1/files/{file}")).await.text, "a file");

    let aside = from(&host.folder().join("data/arcuate.db.before-restore")).start().await;
    assert_eq!(contents(&aside, &room).await, BTreeSet::from(["after".to_owned(), "before".to_owned()]));
    assert_eq!(aside.get(&format!("/api/v1/files/{file}")).await.text, "a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_without_the_files_of_the_backup_says_so() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    upload(&host, &room, "a file").await;
    host.terminate().await;
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    fs::remove_dir_all(host.folder().join("monday.db.files")).expect("its files are lost");
    let ran = arcuate(host.setup(), &["restore", "monday.db", "--force"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("with 0 files"), "{ran:?}");
    assert!(ran.stderr.contains("1 file that the store names could not be found: not in monday.db.files"), "{ran:?}");
    let restored = arcuate(host.setup(), &["restore", "monday.db", "--force", "--json"]).json();
    assert_eq!(restored["missing"], json!(1), "{restored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_where_nothing_is_makes_the_store() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "hello").await;
    let copy = host.folder().join("monday.db");
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    let other = Setup::new("");
    other.write_config();
    let told = arcuate(&other, &["restore", &copy.display().to_string()]).done();
    assert!(told.contains("data/arcuate.db: everything up to event "), "{told}");
    let other = other.start().await;
    assert_eq!(contents(&other, &room).await, BTreeSet::from(["hello".to_owned()]));
    let store = host.folder().join("text.db");
    fs::write(&store, "this is no store at all, only some text").expect("a file");
    let refused = arcuate(host.setup(), &["restore", "text.db", "--force"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

/// The store is a link to a file elsewhere.
fn linked() -> Setup {
    let setup = Setup::new("");
    let (data, volume) = (setup.folder().join("data"), setup.folder().join("volume"));
    fs::create_dir_all(&data).expect("a folder");
    fs::create_dir_all(&volume).expect("a folder");
    symlink("../volume/arcuate.db", data.join("arcuate.db")).expect("a link");
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn store_behind_a_link_is_backed_up_and_restored_whole() {
    let mut host = linked().start().await;
    let room = host.room("kitchen").await;
    host.say(&room, "before").await;
    // Each life writes into the log beside the file.
    host.terminate().await;
    host.start_again().await;
    host.say(&room, "after").await;
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    host.kill_9();
    arcuate(host.setup(), &["restore", "monday.db", "--force"]).done();
    host.start_again().await;
    let both = BTreeSet::from(["after".to_owned(), "before".to_owned()]);
    assert_eq!(contents(&host, &room).await, both);
    let beside: Vec<_> = names(&host.folder().join("data"));
    assert_eq!(beside, ["arcuate.db"], "all that is the store's is beside the file itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_host_is_refused_whatever_name_it_knows_the_store_by() {
    let host = Host::start("").await;
    let store = host.store();
    let links = host.folder().join("links");
    fs::create_dir_all(&links).expect("a folder");
    symlink(&store, links.join("soft.db")).expect("a link");
    fs::hard_link(&store, links.join("hard.db")).expect("a link");
    for name in ["soft.db", "hard.db"] {
        let second = from(&links.join(name)).refuse().await;
        assert!(second.stderr.contains("has the store"), "{name}: {}", second.stderr);
    }
    fs::remove_file(store.with_file_name("arcuate.db.lock")).expect("the lock's file");
    let second = from(&store).refuse().await;
    assert!(second.stderr.contains("another process has the store open"), "{}", second.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_replaces_backups_and_nothing_else() {
    let host = Host::start("").await;
    let folder = host.folder().to_owned();
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    fs::write(folder.join("notes.txt"), "three in the morning").expect("a file");
    let others = ["data/admin_token", "config.toml", "notes.txt", "pipe"];
    let kept: Vec<_> = others[..3].iter().map(|name| fs::read(folder.join(name)).expect("a file")).collect();
    for name in others {
        arcuate(host.setup(), &["backup", "--force", name]).refused(1, &[name, "is no backup"]);
    }
    for name in ["data/arcuate.db-wal", "data/arcuate.db.lock"] {
        arcuate(host.setup(), &["backup", "--force", name]).refused(1, &["belongs to the store itself"]);
    }
    let still: Vec<_> = others[..3].iter().map(|name| fs::read(folder.join(name)).expect("a file")).collect();
    assert!(still == kept && fs::symlink_metadata(&pipe).is_ok_and(|pipe| !pipe.is_file()));
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    arcuate(host.setup(), &["backup", "--force", "monday.db"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_takes_no_store_for_its_own_backup_and_no_forged_content() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    let (forged, whole) = (upload(&host, &room, "one").await, upload(&host, &room, "two").await);
    arcuate(host.setup(), &["backup", "monday.db"]).done();
    host.terminate().await;
    arcuate(host.setup(), &["restore", "--force", "data/arcuate.db"]).refused(1, &["is the store itself"]);
    let files = host.folder().join("monday.db.files");
    let mut contents = Vec::new();
    for folder in names(&files).iter().map(|name| files.join(name)).filter(|path| path.is_dir()) {
        contents.extend(names(&folder).iter().map(|name| folder.join(name)));
    }
    let one = contents.iter().find(|path| fs::read(path).is_ok_and(|bytes| bytes == b"one")).expect("a content");
    fs::write(one, "two").expect("it is forged");
    let restored = arcuate(host.setup(), &["restore", "--force", "monday.db", "--json"]).json();
    assert_eq!((&restored["contents"], &restored["missing"]), (&json!(1), &json!(1)), "{restored}");
    host.start_again().await;
    assert_eq!(host.get(&format!("/api/v1/files/{whole}")).await.text, "two");
    assert_ne!(host.get(&format!("/api/v1/files/{forged}")).await.status, 200);
}
