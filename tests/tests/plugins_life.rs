//! Plugins that do what they should: from the check to the stop, with everything that crosses the boundary in between.

use arcuate::plugins::{HandleError, State};
use arcuate_tests::recorder::Heard;
use arcuate_tests::workshop::{Workshop, job};
use plugin_api::{Limits, Outcome, Request};
use std::time::Duration;

const AMPLE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn instance_runs_from_check_to_stop() {
    let workshop = Workshop::new();
    let config = workshop.config();
    let idle = arcuate::plugins::Manager::new(&config, &workshop.folder().join("other"));
    let status = idle.state("steady").unwrap();
    assert_eq!((status.state, status.limits, status.version.as_deref()), (State::Checked, None, Some("0.1.0")));
    assert_eq!(idle.handle("steady", &job("well"), AMPLE).await, Err(HandleError::NotRunning));
    assert!(!workshop.folder().join("other").exists(), "a check writes nothing");

    let open = workshop.start().await;
    let status = open.status("steady");
    assert_eq!((status.state, status.reason, status.limits), (State::Running, None, Some(Limits::default())));
    open.assert_goes_on().await;
    open.stop().await;
    assert_eq!(open.recorder.heard("steady"), [Heard::Running(Limits::default()), Heard::Left]);
    assert_eq!(open.job("steady", "well").await, Err(HandleError::NotRunning));
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_instance_is_checked_and_left_alone() {
    let open = Workshop::new().start().await;
    let status = open.status("assistant");
    assert_eq!((status.enabled, status.state), (false, State::Rejected));
    assert!(open.recorder.heard("assistant").is_empty());
    assert_eq!(open.manager.handle("nobody", &job("well"), AMPLE).await, Err(HandleError::NotRunning));
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_library_serves_several_instances() {
    let open = Workshop::new().instance("second", "misbehaving", "").instance("third", "misbehaving", "").start().await;
    for name in ["steady", "second", "third"] {
        assert_eq!(open.job(name, "well").await, Ok(Outcome::reply("run 1")));
    }
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_to_the_host_is_answered() {
    let open = Workshop::new().start().await;
    assert_eq!(open.job("steady", "asks").await, Ok(Outcome::reply("Some(42)")));
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_run_at_once() {
    let open = Workshop::new().start().await;
    let jobs: Vec<_> = (0..200)
        .map(|_| {
            let manager = open.manager.clone();
            tokio::spawn(async move { manager.handle("steady", &job("asks"), AMPLE).await })
        })
        .collect();
    for ended in jobs {
        assert_eq!(ended.await.unwrap(), Ok(Outcome::reply("Some(42)")));
    }
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_crosses_with_its_body() {
    let open = Workshop::new().start().await;
    let request = Request { path: "/a".into(), body: vec![0; 100_000], ..Request::default() };
    let response = open.manager.http("steady", request, AMPLE).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, body), (200, serde_json::json!({ "path": "/a", "body": 100_000 })));
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_shown_and_remembered() {
    let open = Workshop::new().odd("degraded", "").start().await;
    let status = open.status("odd");
    assert_eq!((status.state, status.reason.as_deref()), (State::Degraded, Some("the other side is away")));
    assert_eq!(open.job("odd", "healthy").await, Ok(Outcome::reply("run 1")));
    let status = open.until("odd", State::Running).await;
    assert_eq!(status.last_error.unwrap().text, "the other side is away");
    assert_eq!(status.last_success.unwrap().text, "the other side is back");
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_is_passed_on_once_it_runs() {
    let open = Workshop::new().odd("pauses", "").start().await;
    let heard = open.recorder.heard("odd");
    let [Heard::Running(_), Heard::Paused(wait, why)] = &heard[..] else { panic!("{heard:?}") };
    assert!(*wait <= Duration::from_secs(7) && *wait > Duration::ZERO, "{wait:?}");
    assert_eq!(why, "the other side asked for rest");
    assert!(open.job("odd", "pauses").await.is_ok());
    assert_eq!(open.recorder.heard("odd")[2], Heard::Paused(Duration::from_secs(7), why.clone()));
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_given_up_is_cancelled_in_the_plugin() {
    let open = Workshop::new().start().await;
    let job = job("handle_never_ends");
    let waiting = open.manager.handle("steady", &job, AMPLE);
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    let dropped = || open.status("steady").last_success.filter(|word| word.text == "a job was dropped");
    arcuate_tests::wait::until("the plugin drops the job", dropped).await;
    open.assert_goes_on().await;
    open.stop().await;
}
