//! At a terminal: tables fit its width, colours are wanted, questions are asked, and nobody's name takes it over.

use super::typing::at_terminal;
use super::{FAILING, Situation, WAITING, arcuate, command, host_with, job_ids};
use arcuate_tests::host::Host;
use unicode_width::UnicodeWidthStr;

const LISTS: [&[&str]; 4] = [&["queue", "list"], &["plugins", "list"], &["conversations", "list"], &["users", "list"]];

fn screen(host: &Host, arguments: &[&str], columns: u16) -> String {
    let (code, screen) = at_terminal(command(host.setup(), arguments).env("NO_COLOR", "1"), columns, "");
    assert_eq!(code, Some(0), "{screen}");
    screen
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_the_terminal_and_ids_stay_whole() {
    let host = host_with(FAILING, "failed", 2).await;
    let id = job_ids(&host).remove(0);
    for columns in [80, 120] {
        for arguments in LISTS {
            let screen = screen(&host, arguments, columns);
            assert!(!screen.contains('\u{1b}'), "NO_COLOR: {screen:?}");
            let longest = screen.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(longest <= usize::from(columns), "{longest} of {columns}:\n{screen}");
        }
        let jobs = screen(&host, &["queue", "list"], columns);
        assert!(jobs.contains(&format!("{id}  failed")) && jobs.contains("  the agent at "), "{jobs}");
        let shown = screen(&host, &["queue", "show", &id], columns);
        let longest = shown.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= usize::from(columns), "{shown}");
    }
    // Where there is no room the least important goes first, and what cannot be copied in parts stays.
    let narrow = screen(&host, &["queue", "list"], 60);
    assert!(narrow.contains(&id) && narrow.contains("STATE") && !narrow.contains("TRIES"), "{narrow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_whatever_names_are_in_them() {
    let long = "a_very_long_name_of_an_instance1";
    let host = host_with(&format!("{FAILING}[plugins.{long}]\nlibrary = \"agent_invoker\"\n"), "failed", 2).await;
    host.room("厨房の部屋はとても長い名前なので切る必要があります").await;
    let conversations = arcuate(host.setup(), &["conversations", "list", "--json"]).json();
    let conversation = conversations["conversations"][0]["id"].as_str().expect("an id");
    let take =
        ["conversations", "takeover", conversation, "--sender", "山田太郎さんのとても長い名前", "--minutes", "9"];
    arcuate(host.setup(), &take).done();
    let lane = format!("a lane {}", "with words ".repeat(20));
    arcuate(
        host.setup(),
        &["queue", "pause", "--plugin", "assistant", "--lane", &lane, "--reason", "日本語 ".repeat(30).trim()],
    )
    .done();
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    store.busy_timeout(std::time::Duration::from_secs(5)).expect("it waits for the host");
    for (sql, value) in [
        ("update users set name = ?1", "山田太郎さんのとても長い名前 🎉🎉🎉 and on it goes"),
        ("update queue set instance = ?1", long),
        ("update conversations set instance = ?1", long),
    ] {
        assert!(store.execute(sql, [value]).expect("rows change") > 0, "{sql}");
    }
    let lists = LISTS.into_iter().chain([&["queue", "paused"][..], &["rooms", "list"], &["audit", "list"]]);
    for arguments in lists {
        for columns in [40, 80, 120] {
            let screen = screen(&host, arguments, columns);
            let longest = screen.lines().map(UnicodeWidthStr::width).max().unwrap_or_default();
            assert!(longest <= usize::from(columns), "{arguments:?}: {longest} of {columns}:\n{screen}");
        }
    }
    let narrow = screen(&host, &["queue", "list"], 40);
    assert!(job_ids(&host).iter().all(|id| narrow.lines().any(|line| line == id)), "ids stay whole: {narrow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let host = Host::start("").await;
    let coloured = |name: &str, value: &str| {
        let (_, screen) = at_terminal(command(host.setup(), &["plugins", "list"]).env(name, value), 80, "");
        screen.contains('\u{1b}')
    };
    assert!(coloured("TERM", "xterm-256color"));
    assert!(!coloured("NO_COLOR", "1") && !coloured("TERM", "dumb"));
    assert!(!arcuate(host.setup(), &["plugins", "list"]).done().contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_and_delete_ask_at_a_terminal() {
    let mut host = host_with(WAITING, "pending", 2).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let ids = job_ids(&host);
        let ask = |arguments: &[&str], typed: &str| at_terminal(&mut command(host.setup(), arguments), 80, typed);
        let flush: &[&str] = &["queue", "flush", "--all"];
        for no in ["n\n", "\n", "what?\n"] {
            let (code, screen) = ask(flush, no);
            assert_eq!(code, Some(1), "{screen}");
            assert!(screen.contains("Flush 2 pending jobs?") && screen.contains("nothing was changed"), "{screen}");
        }
        let (code, screen) = ask(&["queue", "delete", &ids[0]], "no\n");
        assert!(code == Some(1) && screen.contains("Delete 1 job "), "{screen}");
        assert_eq!(job_ids(&host), ids);

        let (code, screen) = ask(flush, "y\n");
        assert!(code == Some(0) && screen.contains("2 jobs flushed"), "{screen}");
        let (code, screen) = ask(flush, "");
        assert!(code == Some(0) && !screen.contains('?'), "nothing to ask about: {screen}");
        arcuate(host.setup(), &["queue", "retry", "--state", "flushed"]).done();
        let (code, screen) = ask(&["queue", "flush", "--all", "--yes"], "");
        assert!(code == Some(0) && !screen.contains('?'), "{screen}");
        arcuate(host.setup(), &["queue", "retry", "--state", "flushed"]).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_from_outside_acts_on_no_terminal() {
    let mut host = host_with(FAILING, "failed", 1).await;
    host.terminate().await;
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\nnext line\u{202e}txt.exe\u{200b}\r\tÜmläut 日本";
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    for sql in [
        "update users set name = ?1",
        "update conversations set external_id = ?1",
        "update queue set last_error = ?1, lane = ?1",
        "update queue_attempts set error = ?1",
    ] {
        assert!(store.execute(sql, [evil]).expect("rows change") > 0, "{sql}");
    }
    drop(store);
    let id = job_ids(&host).remove(0);
    let show: &[&str] = &["queue", "show", &id];
    for running in [false, true] {
        if running {
            host.start_again().await;
        }
        for arguments in LISTS.into_iter().chain([show]) {
            let plain = arcuate(host.setup(), arguments).done();
            let json = arcuate(host.setup(), &[arguments, &["--json"]].concat()).done();
            for said in [plain, json, screen(&host, arguments, 120)] {
                let acting = |c: char| c != '\n' && (c.is_control() || ['\u{202e}', '\u{200b}'].contains(&c));
                assert!(!said.contains(acting), "{arguments:?}: {said:?}");
            }
        }
        let value = arcuate(host.setup(), &["users", "list", "--json"]).json();
        assert_eq!(value["users"][0]["name"], evil, "what JSON means is what it was");
        assert!(arcuate(host.setup(), &["users", "list"]).done().contains("Ümläut 日本"));
    }
}
