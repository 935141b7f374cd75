//! An agent that is a local program: answered, failing, hanging, and gone with the host.

use arcuate_tests::host::Host;
use arcuate_tests::skip::skipped;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::until;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Answers the third time, after a failure and after falling asleep with a child; says who it is each time.
const PROGRAM: &str = r#"
import json, os, subprocess, sys
turn = json.load(sys.stdin)
folder = sys.argv[1]
with open(f"{folder}/calls", "a") as calls:
    calls.write(turn["job_id"] + "\n")
number = sum(1 for _ in open(f"{folder}/calls"))
if number == 1:
    sys.exit("the model is not there yet")
if number == 2:
    child = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/processes", "w") as processes:
        processes.write(f"{os.getpid()} {child.pid}")
    child.wait()
print(json.dumps({"reply": f"{turn['user']['platform']}: {turn['message']}"}))
"#;

fn plugin(program: &Path, folder: &Path, more: &str) -> String {
    format!(
        "[plugins.assistant.settings]\nbackend = \"command\"\ncommand = [\"python3\", {program:?}, {folder:?}]\n\
         prompt_format = \"{{text}}\"\n{more}\n"
    )
}

fn has_ended(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// The processes that the program has told of.
async fn processes(folder: &Path) -> Vec<String> {
    let told = || {
        let text = fs::read_to_string(folder.join("processes")).ok()?;
        let told: Vec<String> = text.split_whitespace().map(Into::into).collect();
        (told.len() == 2).then_some(told)
    };
    until("the program tells of its child", told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_fails_and_hangs_is_ended_and_asked_again_until_it_answers() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        return skipped("program_that_fails_and_hangs", "python3 is missing");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("agent.py");
    fs::write(&program, PROGRAM).expect("the program is written");
    let host = Host::start(&plugin(&program, folder.path(), "timeout = 1.5")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    for process in processes(folder.path()).await {
        until("it is ended with its child", || has_ended(&process).then_some(())).await;
    }
    assert_eq!(visitor.hears(1).await[0].text, "bridge: Hello?");

    let operator = host.operator();
    let jobs = operator.get("/api/v1/admin/queue?kind=agent_turn").await.ok();
    let id = jobs["jobs"][0]["id"].as_str().expect("an id").to_owned();
    let log = operator.get(&format!("/api/v1/admin/queue/{id}")).await.ok()["attempts_log"].clone();
    let error = |index: usize| log[index]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(0).contains("exit code 1: the model is not there yet"), "{log:#}");
    assert!(error(1).contains("longer than 1.5 s"), "{log:#}");
    assert_eq!(log[2]["outcome"], "done");
    let calls = fs::read_to_string(folder.path().join("calls")).expect("its calls");
    assert_eq!(calls.lines().collect::<Vec<_>>(), [&id, &id, &id], "each time under the same key");
}

#[tokio::test(flavor = "multi_thread")]
async fn program_goes_with_the_host_that_stops() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        return skipped("program_goes_with_the_host", "python3 is missing");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("agent.py");
    fs::write(&program, PROGRAM).expect("the program is written");
    fs::write(folder.path().join("calls"), "an earlier one\n").expect("a call is written");
    let mut host = Host::start(&format!("server.shutdown_seconds = 1\n{}", plugin(&program, folder.path(), ""))).await;
    Visitor::new(host.client(), "session_1").say("Hello?").await;
    let processes = processes(folder.path()).await;
    host.terminate().await;
    for process in processes {
        until("it is ended with its child", || has_ended(&process).then_some(())).await;
    }
    host.start_again().await;
    assert_eq!(Visitor::new(host.client(), "session_1").hears(1).await[0].text, "bridge: Hello?");
    let failed: Value = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
    assert_eq!(failed["jobs"], json!([]));
}
