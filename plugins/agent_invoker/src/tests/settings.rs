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
        (json!({"prompt_format": "{name} {text}"}), "prompt_format: {name} is unknown"),
        (json!({"timeout": 0}), "timeout: "),
        (json!({"timeout": 1, "delay_ms": 1000}), "delay_ms: "),
    ] {
        let error = refused(settings.clone());
        assert!(error.starts_with(beginning), "{settings}: {error}");
    }
}

#[test]
fn settings_of_other_versions_are_unknown() {
    for key in ["breaker_failures", "breaker_seconds", "agent_id", "scope"] {
        assert!(refused(json!({key: 1})).contains(key));
    }
    for backend in ["letta", "command"] {
        assert!(refused(json!({"backend": backend})).contains("unknown variant"));
    }
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
        (&json!("echo"), &json!(["echo", "http", "openai"]))
    );
}

#[tokio::test]
async fn limits_leave_the_last_word_to_the_plugin() {
    let (_, invoker) = instance(json!({"timeout": 1.5, "concurrency": 7})).unwrap();
    let limits = invoker.limits();
    assert_eq!((limits.concurrency, limits.job_timeout_ms), (7, 6500));
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
