//! Settings that belong together, settings that do not, and the backend that needs none.

use super::{discarded, instance, retried};
use crate::settings::Settings;
use plugin_api::{Outcome, Plugin, Work};
use serde_json::{Value, json};

fn refused(settings: Value) -> String {
    instance(settings.clone()).err().unwrap_or_else(|| panic!("{settings} is taken")).to_string()
}

#[test]
fn settings_that_do_not_go_together_are_refused_by_name() {
    let url = "http://127.0.0.1:9";
    for (settings, beginning) in [
        (json!({"backend": "http"}), "url: "),
        (json!({"backend": "http", "url": "ftp://h/"}), "url: only http"),
        (json!({"backend": "http", "url": "127.0.0.1:9"}), "url: "),
        (json!({"backend": "http", "url": "http://me:key@h/"}), "url: "),
        (json!({"backend": "http", "url": url, "model": "m"}), "model: "),
        (json!({"backend": "http", "url": url, "system_prompt": "s"}), "system_prompt: "),
        (json!({"backend": "http", "url": url, "fail_every": 2}), "fail_every: "),
        (json!({"backend": "http", "url": url, "delay_ms": 2}), "delay_ms: "),
        (json!({"backend": "http", "url": url, "secret": "whsec_!"}), "secret: "),
        (json!({"backend": "http", "url": url, "api_key": "a\nb"}), "api_key: "),
        (json!({"backend": "openai", "url": url}), "model: "),
        (json!({"backend": "openai", "model": "m"}), "url: "),
        (json!({"backend": "openai", "url": url, "model": "m", "secret": "s"}), "secret: "),
        (json!({"backend": "letta", "url": url}), "agent_id: "),
        (json!({"backend": "letta", "agent_id": "a"}), "url: "),
        (json!({"backend": "letta", "url": url, "agent_id": "a", "system_prompt": "s"}), "system_prompt: "),
        (
            json!({"backend": "http", "url": url, "agent_id": "a"}),
            "agent_id: backend \"http\" has no use for it, only \"letta\"",
        ),
        (json!({"backend": "http", "url": url, "scope": "conversation"}), "scope: "),
        (json!({"backend": "http", "url": url, "command": ["a"]}), "command: "),
        (json!({"backend": "command"}), "command: "),
        (json!({"backend": "command", "command": [" "]}), "command: "),
        (json!({"backend": "command", "command": ["a"], "url": url}), "url: "),
        (json!({"backend": "command", "command": ["a"], "api_key": "k"}), "api_key: "),
        (json!({"breaker_seconds": 0}), "breaker_seconds: "),
        (json!({"prompt_format": "{name} {text}"}), "prompt_format: {name} is unknown"),
        (json!({"timeout": 0}), "timeout: "),
        (json!({"timeout": 1, "delay_ms": 1000}), "delay_ms: "),
    ] {
        let error = refused(settings.clone());
        assert!(error.starts_with(beginning), "{settings}: {error}");
    }
}

#[test]
fn settings_that_nobody_knows_are_told() {
    assert!(refused(json!({"breaker": 1})).contains("breaker"));
    assert!(refused(json!({"backend": "letter"})).contains("unknown variant"));
    assert!(refused(json!({"backend": "letta", "scope": "user"})).contains("unknown variant"));
}

#[test]
fn settings_of_real_agents_may_stay_while_echo_is_tried_out() {
    let all = json!({"url": "http://127.0.0.1:9", "api_key": "k", "agent_id": "a", "scope": "conversation", "command": ["a"]});
    assert!(instance(all).is_ok());
}

#[test]
fn settings_schema_has_bounds_defaults_and_secrets() {
    let schema = serde_json::to_value(schemars::schema_for!(Settings)).unwrap();
    let of = |key: &str| &schema["properties"][key];
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(of("url")["format"], "uri");
    assert_eq!((&of("api_key")["writeOnly"], &of("secret")["writeOnly"]), (&json!(true), &json!(true)));
    assert_eq!((&of("concurrency")["minimum"], &of("concurrency")["maximum"]), (&json!(1), &json!(1024)));
    assert_eq!((&of("history")["maximum"], &of("history")["default"]), (&json!(500), &json!(20)));
    assert_eq!((&of("timeout")["exclusiveMinimum"], &of("timeout")["default"]), (&json!(0), &json!(600.0)));
    assert_eq!(
        (&of("backend")["default"], &of("backend")["enum"]),
        (&json!("echo"), &json!(["echo", "http", "openai", "letta", "command"]))
    );
}

#[tokio::test]
async fn limits_leave_the_last_word_to_the_plugin() {
    let (_, invoker) = instance(json!({"timeout": 1.5, "concurrency": 7})).unwrap();
    let limits = invoker.limits();
    assert_eq!((limits.concurrency, limits.job_timeout_ms), (7, 6500));
    let letta = json!({"backend": "letta", "url": "http://127.0.0.1:9", "agent_id": "a", "timeout": 10});
    let (_, invoker) = instance(letta).unwrap();
    assert!(invoker.limits().job_timeout_ms > 2 * 10_000, "a turn may wait as long for others as it may take");
}

#[tokio::test]
async fn echo_answers_with_the_prompt() {
    let (fake, invoker) = instance(json!({"delay_ms": 1, "on_uncertain": "fail"})).unwrap();
    let mut job = fake.turn("hi");
    // Nothing happens twice when a prompt is echoed twice.
    job.uncertain = true;
    assert_eq!(invoker.handle(job).await, Outcome::reply("[Username: @web_user_1, Web_Chat ID: 1] hi"));
}

#[tokio::test]
async fn echo_fails_as_often_as_the_drill_wants() {
    let (fake, invoker) = instance(json!({"fail_every": 3, "prompt_format": "{text}"})).unwrap();
    for _ in 0..2 {
        assert_eq!(invoker.handle(fake.turn("1")).await, Outcome::reply("1"));
        assert_eq!(invoker.handle(fake.turn("2")).await, Outcome::reply("2"));
        assert!(retried(invoker.handle(fake.turn("3")).await).0.contains("fail_every"));
    }
}

#[tokio::test]
async fn jobs_that_are_no_turns_are_refused() {
    let (fake, invoker) = instance(json!({})).unwrap();
    let mut task = fake.turn("");
    task.work = Work::Task { payload: Value::Null };
    for job in [fake.delivery("1", "hi"), task] {
        assert!(discarded(invoker.handle(job).await).contains("turns only"));
    }
}
