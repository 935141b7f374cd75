//! `arcuate tail`: a process that follows a host, also over its end and its next start, until somebody ends it.

use super::{arcuate, command};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Child;

/// A command that goes on.
struct Tail {
    process: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Tail {
    fn start(setup: &Setup, name: &str, arguments: &[&str]) -> Self {
        let (stdout, stderr) = (setup.folder().join(format!("{name}.out")), setup.folder().join(format!("{name}.err")));
        let open = |path: &PathBuf| File::create(path).expect("a file for output");
        let mut command = command(setup, &[&["tail"], arguments].concat());
        let process = command.stdout(open(&stdout)).stderr(open(&stderr)).spawn().expect("the program runs");
        Self { process, stdout, stderr }
    }

    /// Waits for a line with this in it.
    async fn shows(&self, text: &str) -> String {
        let look = || self.stdout().lines().find(|line| line.contains(text)).map(str::to_owned);
        until(&format!("a line with `{text}`"), look).await
    }

    fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// As Ctrl-C does; it ends well.
    async fn interrupt(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).expect("a signal");
        let ended = until("it ends", || self.process.try_wait().expect("its state can be asked")).await;
        assert_eq!(ended.code(), Some(0), "{}", self.stderr());
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Until it hears: what is posted before is not shown by one that begins now.
async fn hears(host: &Host, room: &str, tail: &Tail) {
    let mut count = 0;
    while !tail.stdout().contains("do you hear") {
        count += 1;
        host.say(room, &format!("do you hear {count}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_follows_what_happens_over_a_restart_until_it_is_interrupted() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    let tail = Tail::start(host.setup(), "tail", &[]);
    hears(&host, &room, &tail).await;
    host.say(&room, "Hello\u{1b}[2J\nworld").await;
    let line = tail.shows("Hello").await;
    assert!(
        line.contains("kitchen") && line.contains("message") && line.ends_with("ada: Hello\\u{1b}[2J world"),
        "{line}"
    );
    host.kill_9();
    until("it says that the host went away", || tail.stderr().contains("went away").then_some(())).await;
    host.start_again().await;
    host.say(&room, "back again").await;
    tail.shows("back again").await;
    assert!(tail.stderr().contains("the host is back"), "{}", tail.stderr());
    let shown = tail.stdout();
    assert_eq!(shown.matches("Hello").count(), 1, "nothing is shown twice: {shown}");
    tail.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_was_asked_for() {
    let host = Host::start("").await;
    let (kitchen, hall) = (host.room("kitchen").await, host.room("hall").await);
    host.say(&kitchen, "in the kitchen").await;
    host.say(&hall, "in the hall").await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("from a visitor").await;
    let all = Tail::start(host.setup(), "all", &["--since", "0", "--json"]);
    let kitchens = Tail::start(host.setup(), "kitchen", &["--room", "kitchen", "--since", "0"]);
    let rooms = Tail::start(host.setup(), "rooms", &["--kinds", "room_created", "--since", "0"]);
    let conversations = arcuate(host.setup(), &["conversations", "list", "--json"]).json();
    let id = conversations["conversations"][0]["id"].as_str().expect("a conversation").to_owned();
    let one = Tail::start(host.setup(), "one", &["--conversation", &id, "--since", "0"]);
    let line = all.shows("in the hall").await;
    let event: Value = serde_json::from_str(&line).expect("a line is JSON");
    assert_eq!((&event["event"], &event["data"]["content"]), (&json!("message"), &json!("in the hall")));
    assert_eq!(event["seq"], event["data"]["seq"]);
    one.shows("from a visitor").await;
    kitchens.shows("in the kitchen").await;
    rooms.shows("hall").await;
    host.say(&kitchen, "the last").await;
    kitchens.shows("the last").await;
    all.shows("the last").await;
    for (tail, wanted) in [(&kitchens, "hall"), (&rooms, "in the"), (&one, "kitchen")] {
        assert!(!tail.stdout().contains(wanted), "{wanted} was not asked for: {}", tail.stdout());
    }
    for tail in [all, kitchens, rooms, one] {
        tail.interrupt().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_says_what_it_cannot_follow() {
    let mut host = Host::start("").await;
    arcuate(host.setup(), &["tail", "--room", "cellar"]).refused(1, &["no room has the name cellar", "rooms list"]);
    arcuate(host.setup(), &["tail", "--conversation", "x"]).refused(1, &["no conversation has the id x"]);
    let id = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";
    let unknown = format!("no conversation has the id {id}; `{} conversations list`", host.setup().program().display());
    arcuate(host.setup(), &["tail", "--conversation", id]).refused(1, &[&unknown]);
    arcuate(host.setup(), &["tail", "--kinds", "mesage"])
        .refused(2, &["Unknown event type: 'mesage'", "message_edited"]);
    host.terminate().await;
    arcuate(host.setup(), &["tail"]).refused(1, &["no host runs"]);
}
