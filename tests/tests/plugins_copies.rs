//! The host's own copies of libraries that are built anew again and again: what is of no use goes, and what has to stay is told.

use arcuate_tests::host::{Host, Setup};
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::json;
use std::fs;

/// With one plugin whose library changes; and that library.
async fn host() -> (Host, Vec<u8>) {
    let setup = Setup::new("[plugins.odd]\nlibrary = \"misbehaving\"\n");
    setup.place_library("misbehaving");
    let host = setup.start().await;
    let bytes = fs::read(host.folder().join("bin/libmisbehaving.so")).expect("the library");
    (host, bytes)
}

/// The library has this content from now on, and the plugin comes up with it or does not.
async fn rebuilt(host: &Host, library: &[u8], version: usize, state: &str) {
    let path = host.folder().join("bin/libmisbehaving.so");
    let built = path.with_extension("new");
    let content = [library, &vec![0; version]].concat();
    fs::write(&built, content).and_then(|()| fs::rename(&built, &path)).expect("a library");
    host.operator().post("/api/v1/admin/reload", &json!({})).await;
    let look = || async {
        let odd = host.operator().get("/api/v1/admin/plugins/odd").await.ok();
        (odd["state"] == state).then_some(())
    };
    until_async(&format!("it is {state}"), PATIENCE, look).await;
}

fn copies(host: &Host) -> usize {
    fs::read_dir(host.folder().join("data/plugins"))
        .expect("the copies")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("misbehaving")))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_that_cannot_be_loaded_leave_no_copies_behind() {
    let (host, mut library) = host().await;
    // What it is linked with is not on this machine.
    let needed = b"libc.so.6\0";
    let at = library.windows(needed.len()).position(|found| found == needed).expect("it is linked with this");
    library[at..at + needed.len()].copy_from_slice(b"lib_.so.6\0");
    for version in 1..=5 {
        // It goes on with the library that it has.
        rebuilt(&host, &library, version, "Degraded").await;
        // That one, and at most the one that is being tried again now.
        assert!(copies(&host) <= 2, "{} copies after {version} changes", copies(&host));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_versions_that_cannot_be_unloaded_are_told() {
    const TOLD: &str = "earlier versions of libraries stay in memory";
    let (host, library) = host().await;
    for version in 1..=7 {
        rebuilt(&host, &library, version, "Running").await;
    }
    assert!(!host.log().contains(TOLD));
    rebuilt(&host, &library, 8, "Running").await;
    assert!(host.log().contains(&format!("8 {TOLD}")), "it says so");
}
