//! The examples for people who write clients, as they would run them, with a server that restarts in the middle.

use arcuate_tests::host::Host;
use arcuate_tests::skip::skipped;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An example that runs; ended with the test.
struct Example(Child);

impl Example {
    /// `arguments`: the file's name and what follows it. Both outputs go to `output`.
    fn start(program: &str, arguments: &[&str], folder: &Path, output: &Path) -> Self {
        let file = example(arguments[0]);
        let open = || File::options().create(true).append(true).open(output).expect("a file for output");
        let child = Command::new(program)
            .arg(file)
            .args(&arguments[1..])
            .current_dir(folder)
            .env("AFTER", "0")
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn();
        Self(child.expect("the example runs"))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

async fn messages(host: &Host, room: &str) -> Vec<Value> {
    let list = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok();
    list.as_array().expect("messages").clone()
}

/// Ids of what the agent answered, in the order of its answers.
async fn answered(host: &Host, room: &str) -> Vec<String> {
    let messages = messages(host, room).await;
    let answers = messages.iter().filter(|message| message["sender"] == "helper");
    answers.map(|message| message["reply_to"].as_str().expect("the message that it answers").to_owned()).collect()
}

async fn until_answered(host: &Host, room: &str, wanted: &[String]) {
    let look = async || (answered(host, room).await.len() >= wanted.len()).then_some(());
    until_async("all mentions are answered", PATIENCE, look).await;
    assert_eq!(answered(host, room).await, wanted, "each once, in order");
}

async fn until_present(host: &Host, room: &str) {
    let path = format!("/api/v1/rooms/{room}/presence");
    let look = async || (host.get(&path).await.ok()["online"][0]["sender"] == "helper").then_some(());
    until_async("the agent is present", PATIENCE, look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_agent_answers_each_mention_once_through_restarts_of_both() {
    if !there("python3") {
        return skipped("python_agent", "python3 is missing");
    }
    let mut host = Host::start("").await;
    let room = host.room("room").await;
    let (address, folder) = (host.url(""), host.folder().to_owned());
    let output = folder.join("agent.out");
    let start = || Example::start("python3", &["python_agent.py", &address, &room, "helper"], &folder, &output);
    let mut wanted = Vec::new();
    let mention =
        async |host: &Host, text: &str| host.say(&room, text).await["id"].as_str().expect("a message's id").to_owned();
    host.say(&room, "@helper, before you came").await;

    let agent = start();
    until_present(&host, &room).await;
    wanted.push(mention(&host, "Good morning, @Helper!").await);
    host.say(&room, "not for you: @helpers, a@helper, @helper.example").await;
    wanted.push(mention(&host, "@helper. And another").await);
    until_answered(&host, &room, &wanted).await;

    // The server goes and comes back, in the middle of work.
    wanted.push(mention(&host, "@helper just before the end").await);
    host.kill_9();
    host.start_again().await;
    until_present(&host, &room).await;
    wanted.push(mention(&host, "@helper right after it").await);
    until_answered(&host, &room, &wanted).await;

    // The agent goes and reads what it missed. An older cursor, as after a crash before it was written, makes it answer nothing twice.
    drop(agent);
    wanted.push(mention(&host, "@helper while you were away").await);
    let cursor = folder.join("helper.cursor");
    let kept: i64 = fs::read_to_string(&cursor).expect("a cursor").parse().expect("a number");
    fs::write(&cursor, (kept - 5).to_string()).expect("an older cursor");
    let _agent = start();
    until_answered(&host, &room, &wanted).await;
    wanted.push(mention(&host, "the last one, @helper").await);
    until_answered(&host, &room, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_script_prints_a_line_per_event_through_a_restart() {
    if !there("curl") || !there("bash") {
        return skipped("watch_script", "curl or bash is missing");
    }
    let mut host = Host::start("").await;
    let room = host.room("room").await;
    let output = host.folder().join("watch.out");
    host.say(&room, "one").await;
    let _watch = Example::start("bash", &["watch.sh", &host.url("")], host.folder(), &output);
    let shown = || -> Vec<(i64, String, Value)> {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let parts = lines.map(|line| line.splitn(3, ' ').collect::<Vec<&str>>());
        parts.map(|part| (part[0].parse().unwrap(), part[1].into(), serde_json::from_str(part[2]).unwrap())).collect()
    };
    until("both events are shown", || (shown().len() == 2).then_some(())).await;
    host.kill_9();
    host.start_again().await;
    host.say(&room, "two").await;
    until("the third is shown", || (shown().len() == 3).then_some(())).await;
    let shown = shown();
    let names: Vec<(i64, &str)> = shown.iter().map(|(id, name, _)| (*id, name.as_str())).collect();
    assert_eq!(names, [(1, "room_created"), (2, "message"), (3, "message")]);
    assert_eq!((&shown[1].2["content"], &shown[2].2["content"]), (&json!("one"), &json!("two")));
}
