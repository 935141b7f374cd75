//! Files when the host dies: what was answered is whole, what was not is not half there, and what lies around goes.

use arcuate_tests::host::Host;
use arcuate_tests::wait::until;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The content that an upload has by its number: some are equal.
fn content(number: usize) -> String {
    format!("{} ", number % 40).repeat(20_000)
}

fn on_disk(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.map(|path| if path.is_dir() { on_disk(&path) } else { usize::from(!path.ends_with("store")) }).sum()
}

/// Uploads, and deletes each third again, until nobody answers. Notes what was answered: the file's number, None for one being deleted.
async fn work(
    client: arcuate_tests::client::Client,
    room: String,
    first: usize,
    known: Arc<Mutex<BTreeMap<String, Option<usize>>>>,
) {
    let note = |id: &str, number| known.lock().expect("nobody panicked").insert(id.to_owned(), number);
    for number in (first..).step_by(8) {
        let body = json!({ "sender": "ada", "filename": "a", "data": STANDARD.encode(content(number)) });
        let path = format!("/api/v1/rooms/{room}/files");
        let Ok(answer) = client.post(&path, &body).attempt().await else { return };
        let id = answer.ok()["id"].as_str().expect("an id").to_owned();
        note(&id, Some(number));
        if number % 3 == 0 {
            note(&id, None);
            let path = format!("{path}/{id}?sender=ada");
            let Ok(answer) = client.ask(reqwest::Method::DELETE, &path).attempt().await else { return };
            answer.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_in_the_middle_of_uploads_leaves_each_file_whole_or_not_at_all() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    let known: Arc<Mutex<BTreeMap<String, Option<usize>>>> = Arc::default();
    for round in 0..3 {
        let before = known.lock().expect("nobody panicked").len();
        let workers = (0..8).map(|worker| {
            tokio::spawn(work(host.client().clone(), room.clone(), 1000 * round + worker, known.clone()))
        });
        let workers: Vec<_> = workers.collect();
        let busy = || (known.lock().expect("nobody panicked").len() > before + 12).then_some(());
        until("some files are there", busy).await;
        host.kill_9();
        for worker in workers {
            worker.await.expect("no worker saw anything strange");
        }
        host.start_again().await;
    }
    let files = host.get(&format!("/api/v1/rooms/{room}/files")).await.ok();
    let files = files.as_array().expect("files").clone();
    let mut contents = std::collections::BTreeSet::new();
    for file in &files {
        let given = host.get(file["url"].as_str().expect("an address")).await;
        assert_eq!(given.status, 200, "{given}");
        let number: usize = given.text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        assert!(given.text == content(number), "the bytes are whole");
        contents.insert(number);
    }
    let listed = |id: &str| files.iter().any(|file: &Value| file["id"] == id);
    for (id, number) in known.lock().expect("nobody panicked").iter() {
        assert!(number.is_none() || listed(id), "a file that was answered for is there");
    }
    let folder = host.store().with_file_name("files");
    until("no orphan is left", || (on_disk(&folder) == contents.len()).then_some(())).await;
}
