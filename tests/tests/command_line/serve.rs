//! `arcuate serve`: what it tells people, and when it refuses to start.

use super::{Ran, arcuate, command, fresh, ran};
use arcuate_tests::host::Host;
use arcuate_tests::skip::skipped;
use arcuate_tests::wait::until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The lines of a host that was started by hand, up to the one that is wanted.
fn until_line(child: &mut Child, wanted: &str) -> String {
    let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines().map_while(Result::ok);
    lines.find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("no line with `{wanted}`"))
}

fn kill(mut child: Child) {
    child.kill().and_then(|()| child.wait()).expect("the host ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_tells_where_it_listens_what_runs_and_what_to_try() {
    let host = Host::start("[plugins.gone]\n").await;
    let trial = || host.stdout().contains("responses&session_id=demo'\n").then(|| host.stdout());
    let told = until("the whole is told", trial).await;
    assert_eq!(told.lines().next(), Some(format!("arcuate {} with config.toml", env!("CARGO_PKG_VERSION")).as_str()));
    let address = format!("listening on http://127.0.0.1:{}", host.port());
    assert_eq!(told.lines().filter(|line| *line == address).count(), 1, "alone on its line: {told}");
    for wanted in ["data/arcuate.db", "data/admin_token", "assistant  Running   agent_invoker 0.1.0", "no libgone.so"] {
        assert!(told.contains(wanted), "no `{wanted}`: {told}");
    }

    // What it says to try, as a shell takes it.
    let (_, trial) = told.split_once("another terminal:\n").expect("something to try");
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("what the start says to try", "there is no curl");
    }
    let tried = Command::new("sh").args(["-c", trial]).output().expect("a shell");
    let tried = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.contains("\"success\":true") && tried.contains("\"responses\":["), "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_said_and_json_is_one_line() {
    let (setup, path) = fresh("");
    std::fs::remove_file(path).expect("the file goes");
    let mut command = command(&setup, &["serve", "--json"]);
    command.env("ARCUATE__SERVER__BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program runs");
    let line: Value = serde_json::from_str(&until_line(&mut child, "listening")).expect("JSON");
    assert_eq!((&line["config"], &line["pid"], &line["warnings"]), (&Value::Null, &json!(child.id()), &json!([])));
    assert!(line["listening"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{line}");
    let state = |index: usize| (&line["plugins"][index]["name"], &line["plugins"][index]["state"]);
    assert_eq!(
        [state(0), state(1)],
        [(&json!("assistant"), &json!("Running")), (&json!("web_chat"), &json!("Checked"))]
    );
    let listed = arcuate(&setup, &["plugins", "list", "--json"]).json();
    for (told, listed) in
        line["plugins"].as_array().expect("plugins").iter().zip(listed["plugins"].as_array().expect("plugins"))
    {
        for field in ["name", "library", "version", "enabled", "state", "reason"] {
            assert_eq!(told[field], listed[field], "{field}: {told} and {listed}");
        }
    }
    kill(child);

    let mut command = super::command(&setup, &[]);
    command.env("ARCUATE__SERVER__BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program runs");
    let line = until_line(&mut child, "arcuate");
    assert!(line.contains("with its defaults: there is no config.toml here"), "{line}");
    kill(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_that_goes_away_ends_nothing() {
    let (setup, _) = fresh("[server]\nbind = \"127.0.0.1:0\"\n[plugins.gone]\n");
    // Both ends of its output are closed before it has said a word.
    let mut command = command(&setup, &["serve"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    drop((child.stdout.take(), child.stderr.take()));
    let lock = arcuate::store::lock::path_of(&setup.folder().join("data/arcuate.db"));
    let look = || {
        let holder: Value = serde_json::from_str(&std::fs::read_to_string(&lock).ok()?).ok()?;
        holder["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned)
    };
    let url = until("the host listens", look).await;
    let client = arcuate_tests::client::Client::new(&url);
    let healthy = || async { client.get("/health").attempt().await.ok().filter(|answer| answer.status == 200) };
    arcuate_tests::wait::until_async("it serves", arcuate_tests::wait::PATIENCE, healthy).await;
    assert!(child.try_wait().expect("its state").is_none(), "it goes on");
    kill(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_host_is_refused_with_the_pid_of_the_first() {
    let host = Host::start("").await;
    // On another port, and on the very same one.
    for bind in ["127.0.0.1:0".to_owned(), format!("127.0.0.1:{}", host.port())] {
        let Ran { code, stderr, .. } = ran(command(host.setup(), &["serve"]).env("ARCUATE__SERVER__BIND", bind));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(&format!("a host with pid {} has the store open", host.pid())), "{stderr}");
    }
    host.get("/health").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_port_is_told_before_anything_is_made() {
    let host = Host::start("").await;
    let (setup, _) = fresh(&format!("[server]\nbind = \"127.0.0.1:{}\"\n", host.port()));
    let Ran { code, stderr, .. } = arcuate(&setup, &["serve"]);
    assert!(code == Some(1) && stderr.contains("another program listens there"), "{stderr}");
    assert!(!setup.folder().join("data").exists());
}

#[test]
fn mistakes_of_the_host_refuse_the_start_all_at_once() {
    let (setup, _) = fresh("[server]\nbind = 1\n[plugins.Bad]\n[[routes]]\nfrom = \"bridge\"\nto = \"nobody\"\n");
    let told =
        arcuate(&setup, &["serve"]).refused(2, &["config.toml:2:8: ", "config.toml:3:10: ", "config.toml:6:6: "]);
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(!setup.folder().join("data").exists());
}

#[test]
fn log_level_that_cannot_be_read_is_a_warning() {
    let (setup, _) = fresh("[server]\nbind = \"192.0.2.1:1\"\n");
    let Ran { code, stderr, .. } = ran(command(&setup, &[]).env("ARCUATE_LOG", "host=loud"));
    assert!(code == Some(1) && stderr.contains("warning: ARCUATE_LOG: "), "{stderr}");
}
