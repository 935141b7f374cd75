//! Contents and their rows, against each other: whatever is uploaded, deleted and uploaded again at once, each row has its bytes and
//! nothing else stays.

use super::*;
use crate::ids::FileId;
use std::io::Read as _;
use tokio::sync::watch;

fn open(path: &Path) -> Store {
    let options = Options { path: path.into(), full_durability: false, readers: 1, existing: false };
    Store::open(&options, Arc::default()).expect("the store opens").0
}

async fn room(store: &Store) -> RoomRef {
    let room = NewRoom { name: "files".into(), created_by: "me".into(), ..NewRoom::default() };
    let id = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room is made").id;
    store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.expect("the room is there")
}

async fn upload(store: &Store, room: RoomRef, content: &[u8]) -> Result<FileRow> {
    let mut incoming = store.receive().await?;
    incoming.add(content).await?;
    let received = incoming.finish().await?;
    let (size, hash) = (received.size, received.hash);
    let (sender, filename, content_type) = ("ann".to_owned(), "a".to_owned(), "text/plain".to_owned());
    let file = NewFile { sender, filename, content_type, size, hash };
    store.keep(received, move |tx| tx.add_file(room.id, &Viewer::Everyone, &file, |_| "{}".into())).await
}

async fn delete(store: &Store, room: RoomRef, id: FileId) {
    let hash = store.write(move |tx| tx.delete_file(&room, id, Some("ann"))).await.expect("deleted");
    store.unlink_unreferenced(vec![hash]).await;
}

/// Every file of the folder that holds contents, by its path below.
fn on_disk(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![store.shared.blobs.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push(path.file_name().unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.retain(|name| name != "store");
    found
}

/// Every statement of files.
pub(super) async fn use_files(store: &Store) {
    let lab = room(store).await;
    let file = upload(store, lab, b"plans").await.unwrap();
    let id = file.id;
    store.read(move |read| Ok((read.visible_file(id, &Viewer::Everyone)?, read.files(lab.key, 9, 9)?))).await.unwrap();
    delete(store, lab, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_content_uploaded_and_deleted_at_once_is_never_lost_and_never_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let room = room(&store).await;
    let turns = (0..24).map(|turn| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..4 {
                let content = format!("content {}", (turn + round) % 2);
                let file = upload(&store, room, content.as_bytes()).await.expect("uploaded");
                let mut read = String::new();
                let mut blob = store.open_blob(file.hash, file.size).await.expect("a row's bytes are there");
                blob.read_to_string(&mut read).expect("they can be read");
                assert_eq!(read, content);
                delete(&store, room, file.id).await;
            }
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.expect("no turn failed");
    }
    assert_eq!(on_disk(&store), [""; 0], "nothing is left");
    let sums = store.read(|read| Ok((read.count(Count::Files)?, read.count(Count::FileBytes)?))).await.unwrap();
    assert_eq!(sums, (0, 0));
}

#[tokio::test]
async fn shared_content_stays_until_its_last_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let room = room(&store).await;
    let (first, second) = (upload(&store, room, b"same").await.unwrap(), upload(&store, room, b"same").await.unwrap());
    assert_eq!((on_disk(&store).len(), first.hash), (1, second.hash));
    delete(&store, room, first.id).await;
    store.open_blob(second.hash, 4).await.expect("the other still has it");
    delete(&store, room, second.id).await;
    assert!(on_disk(&store).is_empty());
}

#[tokio::test]
async fn file_of_a_room_that_is_not_there_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let nowhere = RoomRef { id: crate::ids::RoomId::new(), ..room(&store).await };
    assert!(matches!(upload(&store, nowhere, b"lost").await, Err(Error::NotFound(_))));
    let mut broken_off = store.receive().await.unwrap();
    broken_off.add(b"half").await.unwrap();
    drop(broken_off);
    assert!(on_disk(&store).is_empty(), "{:?}", on_disk(&store));
}

#[tokio::test]
async fn orphans_and_temporary_files_of_earlier_runs_go_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let room = room(&store).await;
    let kept = upload(&store, room, b"kept").await.unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir_all(files.join("ab")).unwrap();
    std::fs::write(files.join("ab").join(hex(&[0xab; 32])), "an orphan").unwrap();
    std::fs::write(files.join("ab/notes.txt"), "somebody's").unwrap();
    std::fs::write(files.join("incoming/of-another-run"), "half").unwrap();
    let mut running = store.receive().await.unwrap();
    running.add(b"still coming").await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let search = tokio::spawn(store.clone().remove_orphans(stopping));
    let mut left = on_disk(&store);
    for _ in 0..1000 {
        if left.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        left = on_disk(&store);
    }
    assert_eq!(left.len(), 3, "the kept one, somebody's, the running one: {left:?}");
    stop.send_replace(true);
    search.await.unwrap();
    store.open_blob(kept.hash, kept.size).await.expect("a file that has a row stays");
    running.finish().await.expect("an upload that runs is not disturbed");
}

#[tokio::test]
async fn second_store_in_one_folder_keeps_no_files_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder.path().join("first.db"));
    let kept = upload(&first, room(&first).await, b"kept").await.unwrap();
    let second = open(&folder.path().join("second.db"));
    let lab = room(&second).await;
    let refused = upload(&second, lab, b"other").await.expect_err("it would take the first one's for orphans");
    assert!(refused.to_string().contains("of the store first.db"), "{refused}");
    second.unlink_unreferenced(vec![kept.hash]).await;
    first.open_blob(kept.hash, kept.size).await.expect("the first one's content stays");
    first.close().await;
    std::fs::remove_file(folder.path().join("first.db")).unwrap();
    upload(&second, lab, b"other").await.expect("nobody else is there");
}
