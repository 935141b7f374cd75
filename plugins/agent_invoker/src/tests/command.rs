//! The backend `command`: what the program gets, how its end is judged, and that nothing of it is left running.

use super::{discarded, instance, retried};
use crate::AgentInvoker;
use plugin_api::testing::FakeHost;
use plugin_api::{Outcome, Plugin};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A program of a few lines of shell.
fn running(script: &str, further: Value) -> (FakeHost, AgentInvoker) {
    let mut settings =
        json!({"backend": "command", "command": ["sh", "-c", script], "history": 0, "prompt_format": "{text}"});
    settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    instance(settings).unwrap()
}

async fn outcome(script: &str, further: Value) -> Outcome {
    let (fake, invoker) = running(script, further);
    invoker.handle(fake.turn("hi")).await
}

/// Waits for a file that the program writes, and gives the number in it.
async fn number_in(file: &Path) -> i32 {
    for _ in 0..1000 {
        if let Some(number) = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
            return number;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the program wrote nothing into {}", file.display());
}

async fn has_ended(process: i32) {
    let state = format!("/proc/{process}/stat");
    for _ in 0..1000 {
        // A zombie has ended; whoever takes its place collects it.
        let stat = std::fs::read_to_string(&state).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{process} still runs");
}

#[tokio::test]
async fn program_gets_the_question_as_json_and_answers_in_either_form() {
    let (fake, invoker) = running("cat", json!({}));
    let job = fake.turn("hi");
    let Outcome::Done { reply: Some(reply), .. } = invoker.handle(job.clone()).await else { panic!("no answer") };
    let question: Value = serde_json::from_str(&reply.content).unwrap();
    assert_eq!((&question["job_id"], &question["message"]), (&json!(job.id), &json!("hi")));
    assert_eq!((&question["user"]["username"], &question["history"]), (&json!("web_user_1"), &json!([])));

    assert_eq!(outcome("echo 'hello there'", json!({})).await, Outcome::reply("hello there"));
    assert_eq!(outcome(r#"echo '{"reply": "hello"}'"#, json!({})).await, Outcome::reply("hello"));
}

#[tokio::test]
async fn program_gets_no_shell_and_little_of_the_environment() {
    let (fake, invoker) =
        instance(json!({"backend": "command", "command": ["echo", "$HOME; ls"], "history": 0})).unwrap();
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("$HOME; ls"));
    // What cargo gives to a test stands for what an operator gives to the host.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let Outcome::Done { reply: Some(reply), .. } = outcome("env", json!({})).await else { panic!("no answer") };
    assert!(reply.content.contains("PATH=") && !reply.content.contains("CARGO"), "{}", reply.content);
}

#[tokio::test]
async fn program_that_fails_is_asked_again_with_its_last_words() {
    let (why, uncertain, _) = retried(outcome("echo 'no model' >&2; exit 3", json!({})).await);
    assert!(!uncertain && why.contains("exit code 3: no model"), "{why}");
    let (why, uncertain, _) = retried(outcome("kill -9 $$", json!({})).await);
    assert!(uncertain && why.contains("signal 9"), "{why}");
    let (why, uncertain, _) = retried(outcome("true", json!({})).await);
    assert!(!uncertain && why.contains("empty"), "{why}");
    let (why, uncertain, _) = retried(outcome(r#"echo '{"error": "no model"}'"#, json!({})).await);
    assert!(uncertain && why.contains("no model"), "{why}");
    let (why, uncertain, _) = retried(outcome(r"printf '\377'", json!({})).await);
    assert!(uncertain && why.contains("UTF-8"), "{why}");
}

#[tokio::test]
async fn program_that_cannot_be_started_is_a_setting_to_fix() {
    for program in ["no-such-program", "/etc/passwd", "/etc"] {
        let (fake, invoker) = instance(json!({"backend": "command", "command": [program], "history": 0})).unwrap();
        let why = discarded(invoker.handle(fake.turn("hi")).await);
        assert!(why.contains(program) && why.contains("check command"), "{why}");
        assert_eq!(fake.health(), Some((true, why)));
    }
}

#[tokio::test]
async fn program_that_takes_too_long_is_killed_with_what_it_started() {
    let folder = std::env::temp_dir().join(format!("arcuate-command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("child");
    let script = format!("echo thinking >&2; sleep 600 & echo $! > {}; wait", file.display());
    let (why, uncertain, _) = retried(outcome(&script, json!({"timeout": 1})).await);
    assert!(uncertain && why.contains("(setting timeout): thinking"), "{why}");
    has_ended(number_in(&file).await).await;
    std::fs::remove_file(&file).unwrap();

    let (fake, invoker) = running(&script, json!({}));
    let started = tokio::select! {
        outcome = invoker.handle(fake.turn("hi")) => panic!("{outcome:?}"),
        started = number_in(&file) => started,
    };
    has_ended(started).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn program_without_end_is_stopped_within_bounds() {
    let (why, uncertain, _) = retried(outcome("yes", json!({})).await);
    assert!(uncertain && why.contains("does not end"), "{why}");
    assert_eq!(outcome("head -c 10000000 /dev/zero >&2; echo hi", json!({})).await, Outcome::reply("hi"));
    let long = "head -c 300000 /dev/zero | tr '\\0' x";
    let Outcome::Done { reply: Some(reply), .. } = outcome(long, json!({})).await else { panic!("no answer") };
    assert!(reply.content.len() <= 256 * 1024 && reply.content.ends_with("the rest was cut.]"));
}

#[tokio::test]
async fn program_that_leaves_something_behind_has_answered_all_the_same() {
    let (fake, invoker) = running("echo hi; sleep 10 &", json!({}));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hi"));
}

#[tokio::test]
async fn program_that_does_not_read_its_question_may_answer() {
    let (fake, invoker) = running("echo hi", json!({"prompt_format": format!("{}{{text}}", "x".repeat(3000))}));
    let mut job = fake.turn("");
    let plugin_api::Work::AgentTurn(turn) = &mut job.work else { unreachable!() };
    turn.message.content = "y".repeat(200_000);
    assert_eq!(invoker.handle(job).await, Outcome::reply("hi"));
}
