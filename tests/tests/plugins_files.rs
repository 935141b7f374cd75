//! Files in the plugin directory that are no plugins for this host: each is refused with its reason before anything of it runs, and
//! nobody else notices.

use arcuate::plugins::{Problem, State, inspect_all, inspect_others};
use arcuate_tests::artifacts::artifacts;
use arcuate_tests::workshop::Workshop;
use plugin_api::raw;
use std::fs;

fn library() -> Vec<u8> {
    fs::read(artifacts().library("misbehaving")).expect("the library is read")
}

/// Overwrites each place where `old` stands with `new`, of the same length.
fn patched(old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = library();
    let places: Vec<_> =
        bytes.windows(old.len()).enumerate().filter(|(_, found)| *found == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{old:?} is not in the library");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// The instance `odd` is rejected, for this reason, and its steady neighbour works.
async fn assert_rejected(workshop: Workshop, reason: &str) {
    let path = workshop.path("odd").display().to_string();
    let found = inspect_all(&workshop.config());
    let open = workshop.start().await;
    let status = open.status("odd");
    assert_eq!(status.state, State::Rejected, "{status:#?}");
    let told = status.reason.clone().unwrap_or_default();
    assert!(told.contains(reason), "`{told}` does not say `{reason}`");
    assert!(told.starts_with(&path) || told.starts_with("no libodd.so in "), "`{told}` does not name {path}");
    assert_eq!((status.restarts, status.next_restart), (0, None));
    assert!(open.recorder.heard("odd").is_empty());

    let odd = found.into_iter().find(|inspection| inspection.name == "odd").expect("odd is inspected");
    assert_eq!(odd.problem, Some(Problem::Library(told)), "without a host it is told otherwise");
    open.assert_goes_on().await;
    open.stop().await;
    assert_eq!(open.status("odd").state, State::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn library_that_is_missing_is_rejected_saying_what_to_run() {
    let workshop = Workshop::new().instance("odd", "odd", "");
    assert_rejected(workshop, "in its source tree, `cargo build --release -p odd` builds it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_is_rejected() {
    let workshop = Workshop::new().instance("odd", "odd", "");
    fs::create_dir(workshop.path("odd")).unwrap();
    assert_rejected(workshop, "is a directory, not a shared library").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_file_is_rejected() {
    assert_rejected(Workshop::new().put_bytes("odd", b""), "is empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_file_is_rejected() {
    let workshop = Workshop::new().put_bytes("odd", b"/* GNU ld script */\nGROUP ( libc.so.6 )\n");
    assert_rejected(workshop, "is a text file, not a shared library").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executable_is_rejected() {
    let program = fs::read("/proc/self/exe").unwrap();
    assert_rejected(Workshop::new().put_bytes("odd", &program), "is an executable, not a shared library").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn library_for_another_machine_is_rejected() {
    let mut bytes = library();
    // `e_machine` of the ELF header: 22 is the S/390.
    bytes[18] = 22;
    assert_rejected(Workshop::new().put_bytes("odd", &bytes), "is built for machine 22, this host runs on ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_library_is_rejected() {
    let bytes = library();
    assert_rejected(Workshop::new().put_bytes("odd", &bytes[..bytes.len() / 2]), "is truncated: ").await;
}

#[test]
fn library_cut_anywhere_is_refused() {
    let whole = library();
    let workshop = Workshop::new();
    let path = workshop.path("misbehaving");
    fs::remove_file(&path).unwrap();
    let step = whole.len() / 50;
    let lengths = (0..50).map(|n| n * step).chain([1, 4, 16, 63, 64, 65, whole.len() - 1]);
    for length in lengths {
        fs::write(&path, &whole[..length]).unwrap();
        let inspections = inspect_all(&workshop.config());
        let steady = inspections.iter().find(|inspection| inspection.name == "steady").unwrap();
        let Some(Problem::Library(reason)) = &steady.problem else { panic!("cut at {length} it is accepted") };
        let expected = if length == 0 { "is empty" } else { "is truncated" };
        assert!(length < 4 || reason.contains(expected), "cut at {length}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn library_that_is_no_plugin_is_rejected() {
    let bytes = patched(b"\0.arcuate.manifest\0", b"\0.another.manifest\0");
    assert_rejected(Workshop::new().put_bytes("odd", &bytes), "is a shared library, but not a plugin of Arcuate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_for_another_boundary_is_rejected_with_both_versions() {
    let header = |major: u32| [raw::MAGIC.as_slice(), &major.to_le_bytes(), &raw::ABI_MINOR.to_le_bytes()].concat();
    let bytes = patched(&header(raw::ABI_MAJOR), &header(raw::ABI_MAJOR + 1));
    let reason = "is built for version 2.0 of the plugin boundary, this host speaks 1.0";
    assert_rejected(Workshop::new().put_bytes("odd", &bytes), reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_under_another_name_is_rejected_with_both_names() {
    let reason = "has the manifest of `misbehaving`, but the name of `odd`; call it libmisbehaving.so";
    assert_rejected(Workshop::new().put_bytes("odd", &library()), reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_without_the_entry_symbol_is_rejected() {
    // Both names: a manifest of another name would be the first thing to be told.
    let entry = [b"\0", raw::ENTRY_SYMBOL.as_bytes(), b"\0"].concat();
    let mut bytes = patched(&entry, b"\0arcuate_plugin_antry\0");
    let name = br#""name": "misbehaving","#;
    let at = bytes.windows(name.len()).position(|found| found == name).expect("the manifest is in the library");
    bytes[at..at + name.len()].copy_from_slice(br#""name":         "odd","#);
    assert_rejected(Workshop::new().put_bytes("odd", &bytes), "does not export `arcuate_plugin_entry`").await;
}

#[test]
fn other_files_of_the_directory_are_listed_and_block_nobody() {
    let workshop = Workshop::new();
    fs::write(workshop.path("notes"), "not a library").unwrap();
    fs::copy(artifacts().library("misbehaving"), workshop.path("renamed")).unwrap();
    let config = workshop.config();
    assert!(inspect_all(&config).iter().filter(|found| found.enabled).all(|found| found.problem.is_none()));
    let others = inspect_others(&config).unwrap();
    let reasons: Vec<_> = others.iter().map(|other| other.found.clone().unwrap_err()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("is a text file") && reasons[1].contains("has the manifest of `misbehaving`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn library_overwritten_while_loaded_changes_nothing() {
    let workshop = Workshop::new();
    let path = workshop.path("misbehaving");
    fs::remove_file(&path).unwrap();
    fs::write(&path, library()).unwrap();
    let open = workshop.start().await;
    fs::write(&path, b"somebody builds again").unwrap();
    open.assert_goes_on().await;
    // Nor does a restart look at it again.
    assert!(open.job("steady", "task_fails").await.is_ok());
    open.until_runs("steady", 2).await;
    assert_eq!(open.job("steady", "well").await, Ok(plugin_api::Outcome::reply("run 2")));
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_earlier_libraries_are_removed() {
    let workshop = Workshop::new();
    let copies = workshop.folder().join("data/plugins");
    fs::create_dir_all(&copies).unwrap();
    let old = copies.join("libmisbehaving-00000000000000000000000000000000.so");
    fs::write(&old, "an earlier build").unwrap();
    let open = workshop.start().await;
    assert!(!old.exists());
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 1);
    open.assert_goes_on().await;
    open.stop().await;
}
