//! `arcuate completions` and `arcuate man`: made without a configuration, a store or a host.

use super::{arcuate, fresh, names};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn completions_are_scripts_that_know_the_commands() {
    // Even where the configuration is wrong.
    let (setup, _) = fresh("nonsense");
    for shell in ["bash", "zsh", "fish"] {
        let script = arcuate(&setup, &["completions", shell]).done();
        for word in ["doctor", "backup", "queue", "rotate-key", "config"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        let json = arcuate(&setup, &["completions", shell, "--json"]).json();
        assert_eq!((&json["shell"], &json["script"]), (&shell.into(), &script.into()));
    }
    let script = arcuate(&setup, &["completions", "bash"]).done();
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash runs");
    bash.stdin.take().expect("its input").write_all(script.as_bytes()).expect("the script");
    assert!(bash.wait().expect("bash ends").success(), "bash reads the script");
    arcuate(&setup, &["completions", "tcsh"]).refused(2, &["tcsh"]);
}

#[test]
fn manual_has_a_page_for_each_command() {
    let (setup, _) = fresh("");
    let page = arcuate(&setup, &["man"]).done();
    assert!(page.contains(".TH arcuate 1") && page.contains("Exit codes"), "{page}");
    let json = arcuate(&setup, &["man", "--json"]).json();
    assert_eq!((&json["pages"][0]["name"], &json["pages"][0]["text"]), (&"arcuate.1".into(), &page.into()));
    let told = arcuate(&setup, &["man", "--output", "pages/man1"]).done();
    let folder = setup.folder().join("pages/man1");
    let written = names(&folder);
    assert!(told.contains(&format!("{} pages", written.len())), "{told}");
    for name in ["arcuate.1", "arcuate-queue-list.1", "arcuate-backup.1", "arcuate-tokens-create.1"] {
        assert!(written.iter().any(|written| written == name), "no {name}: {written:?}");
    }
    let list = fs::read_to_string(folder.join("arcuate-queue-list.1")).expect("a page");
    assert!(list.contains("arcuate\\-queue\\-list") && list.contains("Example"), "{list}");
    let title = list.lines().find(|line| line.starts_with(".TH ")).expect("a title");
    assert!(title.contains("\"arcuate 0.1.0\"") && title.contains("2026"), "version and date: {title}");
    for option in ["\\-\\-config\\fR \\fIPATH\\fR]", "\\-\\-limit\\fR \\fIN\\fR]", "\\-\\-older\\-than\\fR \\fI"] {
        assert!(list.contains(option), "no {option}: {list}");
    }
    let json = arcuate(&setup, &["man", "--output", "pages/man1", "--json"]).json();
    assert_eq!(json["pages"], serde_json::json!(written));
}
