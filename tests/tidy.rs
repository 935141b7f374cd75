//! The rules of the house, checked by reading the sources: who may know whom, where `unsafe` may stand, what a file looks like.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rust sources below a folder of the repository: path from the root, and text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("an entry of a folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is UTF-8");
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.push((name, text));
            }
        }
    }
    found.sort();
    found
}

/// Everything that is built, without what only tests use.
fn product() -> Vec<(String, String)> {
    ["host/src", "plugin-api/src", "plugins"].into_iter().flat_map(sources).filter(|(name, _)| !is_test(name)).collect()
}

fn is_test(name: &str) -> bool {
    name.contains("/tests") || name.contains("/testing")
}

/// Lines of code with their numbers: comments left out, and what follows `mod tests`.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| !line.starts_with("mod tests"));
    lines.enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

/// Fails with every line of `files` that has one of `words`.
fn forbid(files: &[(String, String)], words: &[&str], why: &str) {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in code(text) {
            found.extend(
                words.iter().filter(|word| line.contains(*word)).map(|word| format!("{name}:{number}: `{word}`")),
            );
        }
    }
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

fn below(folder: &str) -> Vec<(String, String)> {
    sources(folder).into_iter().filter(|(name, _)| !is_test(name)).collect()
}

#[test]
fn store_knows_nothing_above_it() {
    let above =
        ["axum", "crate::chat", "crate::queue", "crate::plugins", "crate::bridge", "crate::http", "crate::admin"];
    forbid(&below("host/src/store"), &above, "the store knows only what is below it");
}

#[test]
fn sql_stays_in_the_store() {
    let outside: Vec<_> =
        below("host/src").into_iter().filter(|(name, _)| !name.starts_with("host/src/store/")).collect();
    forbid(&outside, &["rusqlite"], "SQL stands in host/src/store alone");
}

#[test]
fn slices_do_not_use_each_others_handlers() {
    for (slice, others) in [("chat", ["crate::bridge", "crate::admin"]), ("live", ["crate::chat", "crate::bridge"])] {
        forbid(&below(&format!("host/src/{slice}")), &others, "a slice shares functions, not handlers");
    }
}

#[test]
fn host_calls_nobody_outside() {
    forbid(&below("host/src"), &["reqwest"], "plugins do all outbound traffic");
}

#[test]
fn each_route_describes_itself() {
    let bare = [".route(\"", ".route(\n", ".route_service(", ".nest_service(", "routing::any"];
    forbid(&below("host/src"), &bare, "routes are made by routes!(…), so that the OpenAPI document has them all");
}

#[test]
fn plugins_know_only_the_plugin_api() {
    for folder in
        fs::read_dir(root().join("plugins")).expect("the plugins' folder").map(|entry| entry.expect("an entry").path())
    {
        let manifests = [folder.join("Cargo.toml")].into_iter().filter(|path| path.exists());
        for manifest in manifests {
            let text = fs::read_to_string(&manifest).expect("a manifest");
            let lines =
                text.lines().map(str::trim).filter(|line| line.contains("path =") || line.starts_with("arcuate"));
            let foreign: Vec<_> = lines.filter(|line| !line.starts_with("arcuate-plugin-api")).collect();
            let foreign: Vec<_> = foreign.into_iter().filter(|line| !line.starts_with("path =")).collect();
            assert!(
                foreign.is_empty(),
                "{} depends on more of ours than the plugin API: {foreign:?}",
                manifest.display()
            );
        }
    }
}

#[test]
fn plugin_api_shows_no_foreign_types() {
    let shown = ["pub use tokio", "pub use axum", "pub use rusqlite", "pub use reqwest"];
    forbid(&below("plugin-api/src"), &shown, "authors see our types alone");
}

#[test]
fn unsafe_stands_at_the_boundary_and_in_the_last_words() {
    let allowed = ["plugin-api/src/raw.rs", "host/src/plugins/loader.rs", "host/src/plugins/last_words.rs"];
    let others: Vec<_> = product().into_iter().filter(|(name, _)| !allowed.contains(&name.as_str())).collect();
    // The macro's attributes mark exported symbols; they are no code.
    let others: Vec<_> =
        others.into_iter().map(|(name, text)| (name, text.replace("#[unsafe(", "#[exported("))).collect();
    forbid(&others, &["unsafe ", "unsafe{"], "unsafe code stands in raw.rs, loader.rs and last_words.rs alone");
}

#[test]
fn libraries_are_never_unloaded() {
    forbid(&below("host/src"), &["dlclose", ".close().unwrap"], "a library stays while the process lives");
}

#[test]
fn time_comes_from_the_clock() {
    let others: Vec<_> = below("host/src").into_iter().filter(|(name, _)| name != "host/src/clock.rs").collect();
    forbid(&others, &["SystemTime::now", "Timestamp::now"], "time comes from clock.rs");
}

#[test]
fn no_stub_is_left() {
    forbid(&product(), &["todo!(", "unimplemented!(", "dbg!("], "what is not built has no stub");
}

#[test]
fn no_folder_is_called_after_nothing() {
    for (name, _) in product() {
        let parts: Vec<&str> = name.split(['/', '.']).collect();
        let vague = ["util", "utils", "common", "helpers", "misc"].iter().find(|vague| parts.contains(vague));
        assert!(vague.is_none(), "{name}: name it after what it owns");
    }
}

#[test]
fn each_file_says_what_it_owns() {
    for (name, text) in product().into_iter().chain(sources("tests")) {
        assert!(text.starts_with("//!"), "{name} does not open with what it owns (//!)");
    }
}

#[test]
fn files_stay_readable() {
    for (name, text) in product() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= 500, "{name} has {lines} lines: it holds more than one thing");
    }
}

#[test]
fn project_speaks_of_itself_alone() {
    let words = ["/work/", "/root/", "/farm/"];
    let mut files = sources("host");
    files.extend(
        ["plugin-api", "plugins", "tests"].into_iter().flat_map(sources).filter(|(name, _)| name != "tests/tidy.rs"),
    );
    forbid(&files, &words, "no path of one machine");
}
