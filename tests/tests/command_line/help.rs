//! Help and usage: each command shows how it is typed, and what cannot be meant is refused with exit code 2.

use super::{arcuate, fresh};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["check"],
    &["plugins"],
    &["plugins", "list"],
    &["plugins", "show"],
    &["plugins", "enable"],
    &["plugins", "disable"],
    &["plugins", "restart"],
    &["reload"],
    &["queue"],
    &["queue", "list"],
    &["queue", "show"],
    &["queue", "retry"],
    &["queue", "flush"],
    &["queue", "delete"],
    &["queue", "cleanup"],
    &["queue", "cancel"],
    &["queue", "prioritize"],
    &["queue", "pause"],
    &["queue", "resume"],
    &["queue", "paused"],
    &["conversations"],
    &["conversations", "list"],
    &["conversations", "show"],
    &["conversations", "takeover"],
    &["conversations", "release"],
    &["users"],
    &["users", "list"],
    &["users", "show"],
    &["users", "merge"],
    &["users", "split"],
    &["users", "export"],
    &["users", "forget"],
    &["send"],
    &["tokens"],
    &["tokens", "create"],
    &["tokens", "list"],
    &["tokens", "revoke"],
    &["rooms"],
    &["rooms", "list"],
    &["rooms", "rotate-key"],
    &["doctor"],
    &["tail"],
    &["audit"],
    &["audit", "list"],
    &["backup"],
    &["restore"],
    &["completions"],
    &["man"],
    &["check", "--json"],
];

#[test]
fn help_of_every_command_has_an_example_that_fits_a_terminal() {
    let (setup, _) = fresh("");
    for &command in COMMANDS {
        let help = arcuate(&setup, &[command, &["--help"]].concat()).done();
        let words = command.iter().filter(|word| !word.starts_with('-')).copied();
        let typed = std::iter::once("  arcuate").chain(words).collect::<Vec<_>>().join(" ");
        let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("no example: {help}"));
        assert!(examples.contains(&typed), "no `{typed}`: {help}");
        assert!(help.contains("--config <PATH>") && help.contains("--json"), "{help}");
        let too_long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(too_long.is_empty(), "{too_long:#?}");
    }
    assert_eq!(arcuate(&setup, &["--version"]).done(), "arcuate 0.1.0\n");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_opened() {
    let (setup, _) = fresh("");
    let wrong: &[(&[&str], &str)] = &[
        (&["queues"], "queue"),
        (&["queue"], "Usage"),
        (&["queue", "list", "--state", "faild"], "failed"),
        (&["queue", "list", "--limit", "0"], "1..=1000"),
        (&["queue", "list", "--limit", "many"], "many"),
        (&["queue", "retry"], "--state failed|flushed"),
        (&["queue", "retry", "--state", "pending"], "flushed"),
        (&["queue", "retry", "some-id", "--state", "failed"], "cannot be used"),
        (&["queue", "retry", "--plugin", "assistant"], "required"),
        (&["queue", "flush"], "--all"),
        (&["queue", "flush", "--all", "--plugin", "assistant"], "cannot be used"),
        (&["queue", "delete"], "<ID>"),
        (&["queue", "delete", "some-id", "--state", "failed"], "cannot be used"),
        (&["queue", "delete", "--state", "processing"], "flushed"),
        (&["queue", "list", "--older-than", "soon"], "1h or 7d"),
        (&["queue", "prioritize", "some-id"], "--priority"),
        (&["queue", "prioritize", "--priority", "high"], "required"),
        (&["queue", "pause"], "--plugin"),
        (&["plugins", "show"], "<NAME>"),
        (&["plugins", "enable"], "<NAME>"),
        (&["rooms", "rotate-key"], "<NAME>"),
        (&["users", "merge", "one"], "<INTO>"),
        (&["send", "words"], "--conversation"),
        (&["send", "--platform", "web_chat", "words"], "--user"),
        (&["send", "--conversation", "x", "--platform", "y", "--user", "z", "words"], "cannot be used"),
        (&["conversations", "list", "--state", "closed"], "taken"),
        (&["backup"], "<FILE>"),
        (&["restore"], "<FILE>"),
        (&["completions"], "<SHELL>"),
        (&["tail", "--since", "x"], "--since"),
        (&["tail", "--room", "a", "--conversation", "b"], "cannot be used"),
    ];
    for &(arguments, text) in wrong {
        arcuate(&setup, arguments).refused(2, &[text]);
    }
}
