//! `docs/RELIABILITY.md` names tests and commands: each of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all functions that the sources mark as tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["tests/tests", "tests/src", "host/src", "plugin-api/src", "plugins"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_of(&fs::read_to_string(path).expect("a source")));
            }
        }
    }
    names
}

fn tests_of(source: &str) -> Vec<String> {
    let mut is_marked = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_marked) {
            names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            is_marked = false;
        }
    }
    names
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_promise_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/RELIABILITY.md")).expect("the page");
    let (_, promises) = page.split_once("## Promises").expect("a list of promises");
    let (rows, rest) = promises.split_once("## Not shown").expect("what is not shown");
    let tests = tests();
    let is_command = |name: &str| {
        let starts = ["kills --rounds", "storm --minutes", "soak --minutes"];
        let is_script = name.ends_with(".sh") || name.starts_with(".ci/");
        starts.iter().any(|start| name.starts_with(start)) || is_script && root().join(name).is_file()
    };
    let mut count = 0;
    for row in rows.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, by, result] = cells[..] else { panic!("three cells: {row}") };
        let named = quoted(by);
        assert!(!named.is_empty() || by.contains("both storms"), "nothing tests this: {row}");
        let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name) && !is_command(name)).collect();
        assert!(missing.is_empty(), "there is no {missing:?}");
        assert!(!result.trim().is_empty(), "no result: {row}");
        count += 1;
    }
    assert!(count > 40, "{count} promises");
    let named = quoted(rest).into_iter().filter(|name| name.matches('_').count() > 3);
    assert!(named.clone().all(|name| tests.contains(name)), "{:?}", named.collect::<Vec<_>>());
}
