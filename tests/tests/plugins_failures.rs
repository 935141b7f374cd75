//! Plugins that go wrong while they live: what happens to the instance, what operators are told, and that a steady neighbour of the same
//! library in the same process never notices.

use arcuate::plugins::{HandleError, InstanceStatus, Problem, State, inspect_all};
use arcuate_tests::recorder::{Heard, Recorder};
use arcuate_tests::wait::{soon, until, until_is};
use arcuate_tests::workshop::{Open, Workshop};
use plugin_api::Outcome;
use std::time::Duration;

/// The instance fails for this reason, and will be tried again.
async fn assert_fails(open: &Open, reason: &str) {
    let status = open.until("odd", State::Failed).await;
    let told = status.reason.unwrap_or_default();
    assert!(told.contains(reason), "`{told}` does not say `{reason}`");
    assert!(told.contains("next try at ") && status.next_restart.is_some(), "{told}");
    let error = status.last_error.expect("its failure is its last error");
    assert!(error.text.contains(reason) && error.at.ends_with('Z'), "{error:?}");
}

async fn assert_others_go_on(open: Open) {
    open.assert_goes_on().await;
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_fail_with_their_key_and_are_not_tried_again() {
    let workshop = Workshop::new().odd("well", "delay_ms = 70000\nspeed = 3\nurl = \"nowhere\"");
    let inspections = inspect_all(&workshop.config());
    let found = inspections.iter().find(|found| found.name == "odd").unwrap();
    assert!(matches!(&found.problem, Some(Problem::Settings(mistakes)) if mistakes.len() == 3), "{found:?}");

    let open = workshop.start().await;
    let status = open.status("odd");
    assert_eq!((status.state, status.restarts, status.next_restart), (State::Failed, 0, None));
    let reason = status.reason.unwrap_or_default();
    for part in ["delay_ms", "speed", "url", "config.toml:"] {
        assert!(reason.contains(part), "`{reason}` does not name {part}");
    }
    assert_eq!(Some(reason), found.problem.as_ref().map(ToString::to_string));
    assert!(open.recorder.heard("odd").is_empty());
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constructor_that_panics_fails_and_is_tried_ever_more_slowly() {
    let open = Workshop::new().odd("new_panics", "").start().await;
    assert_fails(&open, "its constructor panicked at ").await;
    let slow = until_is(|| open.status("odd"), |status| status.restarts == 2 && status.state == State::Failed).await;
    let reason = slow.reason.unwrap_or_default();
    assert!(reason.contains("the constructor fell over; 3 failures in 10 min; next try at "), "{reason}");
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constructor_that_panics_once_runs_the_next_time() {
    let open = Workshop::new().odd("new_panics", "times = 1").start().await;
    open.until("odd", State::Running).await;
    assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 2")));
    let status = open.status("odd");
    assert_eq!((status.restarts, status.reason, status.next_restart), (1, None, None));
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constructor_that_refuses_fails_with_its_text() {
    let open = Workshop::new().odd("new_fails", "").start().await;
    assert_fails(&open, "`way` does not please this constructor").await;
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constructor_that_never_returns_fails_and_leaves_a_thread() {
    let open = Workshop::new().odd("new_blocks", "times = 1").start_seconds(2.0).start().await;
    // A busy machine may have needed more tries, and left threads for a while.
    let is_up = |status: &InstanceStatus| status.state == State::Running && status.threads_left == 1;
    let status = until_is(|| open.status("odd"), is_up).await;
    assert!(status.restarts >= 1);
    let error = status.last_error.unwrap().text;
    assert!(error.contains("its constructor took longer than 2 s ([plugins] start_seconds)"), "{error}");
    open.assert_goes_on().await;
    open.stop().await;
    assert_eq!(open.status("odd").state, State::Zombie);
}

#[tokio::test(flavor = "multi_thread")]
async fn constructor_that_returns_late_makes_an_instance_that_is_ended() {
    let open = Workshop::new().odd("new_is_slow", "times = 1\ndelay_ms = 3000").start_seconds(2.0).start().await;
    until_is(|| open.status("odd"), |status| status.restarts >= 1 && status.state == State::Running).await;
    until_is(|| open.status("odd"), |status| status.threads_left == 0).await;
    let one = Ok(Outcome::reply("1"));
    while open.job("odd", "counts").await != one {
        tokio::task::yield_now().await;
    }
    open.assert_goes_on().await;
    open.stop().await;
    assert_eq!(open.status("odd").state, State::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn start_that_fails_or_panics_fails_with_its_text() {
    for (way, reason) in [("start_fails", "the other side refused the key"), ("start_panics", "its start panicked at ")]
    {
        let open = Workshop::new().odd(way, "").start().await;
        assert_fails(&open, reason).await;
        assert!(open.recorder.heard("odd").is_empty(), "it never ran");
        assert_others_go_on(open).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_that_outlasts_its_deadline_fails() {
    let open = Workshop::new().odd("start_never_ends", "times = 1").start_seconds(2.0).start().await;
    let status = until_is(|| open.status("odd"), |status| status.restarts >= 1 && status.state == State::Running).await;
    let error = status.last_error.unwrap().text;
    assert!(error.contains("its start took longer than 2 s ([plugins] start_seconds)"), "{error}");
    assert_eq!(status.threads_left, 0);
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_panics_fails_alone() {
    let open = Workshop::new().odd("well", "").start().await;
    let Err(HandleError::Panicked(text)) = open.job("odd", "handle_panics").await else { panic!("it did not panic") };
    assert!(text.starts_with("panicked at ") && text.ends_with(": this job is too much"), "{text}");
    assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 1")));
    assert_eq!(open.status("odd").state, State::Running);
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_panic_in_a_row_restart_the_instance() {
    let open = Workshop::new().odd("well", "").start().await;
    for _ in 0..2 {
        assert!(open.job("odd", "handle_panics").await.is_err());
    }
    assert!(open.job("odd", "well").await.is_ok(), "one that ends well breaks the row");
    for _ in 0..3 {
        assert!(open.job("odd", "handle_panics").await.is_err());
    }
    open.until_runs("odd", 2).await;
    let error = open.status("odd").last_error.unwrap().text;
    assert!(error.starts_with("3 jobs in a row panicked; the last one panicked at "), "{error}");
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supervised_task_that_ends_badly_restarts_the_instance() {
    for (way, reason) in
        [("task_panics", "task `poll` panicked at "), ("task_fails", "task `poll` ended: the poller gave up")]
    {
        let open = Workshop::new().odd("well", "").start().await;
        assert!(open.job("odd", way).await.is_ok());
        open.until_runs("odd", 2).await;
        let status = open.until("odd", State::Running).await;
        let error = status.last_error.unwrap().text;
        assert!(error.starts_with(reason), "{error}");
        assert_eq!((status.restarts, status.threads_left), (1, 0));
        let heard = open.recorder.heard("odd");
        assert!(matches!(&heard[..], [Heard::Running(_), Heard::Left, Heard::Running(_)]), "{heard:?}");
        assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 2")));
        assert_others_go_on(open).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unwatched_task_that_panics_degrades_the_instance() {
    let open = Workshop::new().odd("well", "").start().await;
    assert!(open.job("odd", "bare_task_panics").await.is_ok());
    let status = open.until("odd", State::Degraded).await;
    assert!(status.reason.unwrap_or_default().starts_with("a task of its own panicked at "));
    assert_eq!(open.job("odd", "healthy").await, Ok(Outcome::reply("run 1")));
    open.until("odd", State::Running).await;
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_never_ends_is_cancelled_at_its_deadline() {
    let open = Workshop::new().odd("well", "").start().await;
    let ended = open.job_within("odd", "handle_never_ends", Duration::from_millis(20)).await;
    assert_eq!(ended, Err(HandleError::TimedOut));
    let dropped = |open: &Open| open.status("odd").last_success.filter(|word| word.text == "a job was dropped");
    until("the plugin drops the job", || dropped(&open)).await;
    assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 1")));
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_answers_late_is_not_heard() {
    let open = Workshop::new().odd("well", "delay_ms = 300").start().await;
    let ended = open.job_within("odd", "handle_is_late", Duration::from_millis(20)).await;
    assert_eq!(ended, Err(HandleError::TimedOut));
    // As many as there are threads, so that the late one has ended before they have.
    for _ in 0..2 {
        assert_eq!(open.job("odd", "handle_is_late").await, Ok(Outcome::reply("run 1")));
    }
    assert_eq!(open.status("odd").state, State::Running);
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_block_all_threads_restart_the_instance() {
    let open = Workshop::new().odd("well", "").start().await;
    for _ in 0..2 {
        let ended = open.job_within("odd", "handle_blocks", Duration::from_millis(20)).await;
        assert_eq!(ended, Err(HandleError::TimedOut));
    }
    open.until_runs("odd", 2).await;
    let status = open.until("odd", State::Running).await;
    assert_eq!(status.threads_left, 2);
    assert!(status.last_error.unwrap().text.starts_with("2 calls block its threads"));
    assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 2")));
    open.assert_goes_on().await;
    open.stop().await;
    let status = open.status("odd");
    assert_eq!((status.state, status.reason.as_deref()), (State::Zombie, Some("2 threads could not be ended")));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_under_way_are_cancelled_when_the_instance_fails() {
    let open = Workshop::new().odd("well", "").start().await;
    let (waiting, failing) = tokio::join!(open.job("odd", "handle_never_ends"), open.job("odd", "task_fails"));
    assert_eq!(waiting, Err(HandleError::Cancelled));
    assert!(failing.is_ok());
    open.until_runs("odd", 2).await;
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_that_outlasts_its_deadline_is_cancelled() {
    let open = Workshop::new().odd("stop_never_ends", "").start().await;
    open.assert_goes_on().await;
    open.stop().await;
    assert_eq!(open.status("odd").state, State::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_that_never_returns_leaves_a_zombie_and_delays_nobody() {
    let open = Workshop::new().odd("stop_blocks", "").start().await;
    open.assert_goes_on().await;
    open.stop().await;
    let status = open.status("odd");
    assert_eq!((status.state, status.threads_left), (State::Zombie, 1));
    assert_eq!(status.reason.as_deref(), Some("1 thread could not be ended"));
    assert_eq!(open.job("odd", "well").await, Err(HandleError::NotRunning));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_that_never_returns_does_not_prevent_a_restart() {
    let open = Workshop::new().odd("stop_blocks", "times = 1").start().await;
    assert!(open.job("odd", "task_fails").await.is_ok());
    open.until_runs("odd", 2).await;
    assert_eq!(open.job("odd", "well").await, Ok(Outcome::reply("run 2")));
    assert_eq!(open.status("odd").threads_left, 1);
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_ends_in_time_while_an_instance_still_starts() {
    let workshop = Workshop::new().odd("start_blocks", "");
    let manager = arcuate::plugins::Manager::new(&workshop.config(), &workshop.folder().join("data"));
    let recorder = std::sync::Arc::new(Recorder::new());
    let starting = tokio::spawn({
        let (manager, recorder) = (manager.clone(), recorder.clone());
        async move { manager.start(recorder.clone(), recorder).await }
    });
    let blocks = || manager.state("odd").filter(|status| status.last_success.is_some());
    assert_eq!(until("the start blocks", blocks).await.state, State::Starting);
    soon("all stop", manager.stop(Duration::from_secs(5))).await;
    assert_eq!(manager.state("odd").unwrap().state, State::Zombie);
    soon("the start ends too", starting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_log_lines_drowns_nobody() {
    let open = Workshop::new().odd("well", "").start().await;
    assert_eq!(open.job("odd", "floods_logs").await, Ok(Outcome::reply("run 1")));
    assert_others_go_on(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_calls_waits_and_holds_up_nobody_else() {
    let open = Workshop::new().odd("well", "").start_with(Recorder::with_gate()).await;
    let flood = open.job("odd", "floods_calls");
    let others = async {
        assert_eq!(open.job("steady", "asks").await, Ok(Outcome::reply("Some(42)")));
        open.recorder.open_gate();
    };
    let (flooded, ()) = tokio::join!(flood, others);
    let Ok(Outcome::Done { reply: Some(reply), .. }) = flooded else { panic!("{flooded:?}") };
    assert_eq!(reply.content, "0", "calls that were refused");
    assert_others_go_on(open).await;
}
