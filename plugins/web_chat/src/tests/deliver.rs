//! Bringing answers to visitors.

use super::*;
use crate::split::BOUND;
use bridge::Fault;
use plugin_api::{InReplyTo, Job, Outcome, Work};

/// A plugin that does not poll: deliveries need no start.
async fn idle(settings: impl Fn(&FakeBridge) -> Settings) -> Scene {
    let (fake, bridge) = (FakeHost::new("web_chat"), FakeBridge::start().await);
    bridge.say("s1", "hello");
    let plugin = WebChat::new(settings(&bridge), fake.host()).unwrap();
    Scene { fake, bridge, plugin }
}

impl Scene {
    /// A new process on the same store.
    fn restart(mut self, settings: impl Fn(&FakeBridge) -> Settings) -> Self {
        self.plugin = WebChat::new(settings(&self.bridge), self.fake.host()).unwrap();
        self
    }

    async fn deliver(&self, job: &Job) -> Outcome {
        self.plugin.handle(job.clone()).await
    }
}

fn in_doubt(job: &Job) -> Job {
    Job { attempt: job.attempt + 1, uncertain: true, ..job.clone() }
}

/// Outcome as kind, status, whether it is in doubt, and the wait.
fn summary(outcome: &Outcome) -> (&'static str, Option<u16>, bool, Option<u64>) {
    match outcome {
        Outcome::Done { .. } => ("done", None, false, None),
        Outcome::Retry { status, uncertain, after_ms, .. } => ("retry", *status, *uncertain, *after_ms),
        Outcome::Discard { status, .. } => ("discard", *status, false, None),
        Outcome::Snooze { after_ms, .. } => ("snooze", None, false, Some(*after_ms)),
    }
}

fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { why, .. } | Outcome::Discard { why, .. } | Outcome::Snooze { why, .. } => why,
        Outcome::Done { .. } => "done",
    }
}

#[tokio::test]
async fn answer_is_posted_once_with_its_key_and_its_question() {
    let scene = idle(with_admin_key).await;
    let mut job = scene.fake.delivery("s1", "it's <here>");
    if let Work::Deliver(delivery) = &mut job.work {
        delivery.in_reply_to =
            Some(InReplyTo { external_id: "s1/17/2026-02-03T04:05:06Z".into(), metadata: serde_json::Value::Null });
    }
    assert_eq!(scene.deliver(&job).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["it&#039;s &lt;here&gt;"]);
    assert_eq!(scene.bridge.last_message_id(), 17);
    let requests = scene.bridge.requests();
    assert_eq!(requests.len(), 1, "an ordinary delivery costs one request");
    assert_eq!(requests[0].headers["idempotency-key"], job.id);
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {API_KEY}"));
    assert!(requests[0].body.get("timestamp").is_none(), "the bridge's own clock counts");
}

#[tokio::test]
async fn words_of_an_operator_answer_no_message() {
    let scene = idle(settings).await;
    assert_eq!(scene.deliver(&scene.fake.delivery("s1", "hello")).await, Outcome::done());
    assert!(scene.bridge.requests()[0].body.get("message_id").is_none());
}

#[tokio::test]
async fn long_answer_arrives_in_parts_in_order() {
    let scene = idle(settings).await;
    let text = ["a", "b", "c"].map(|letter| letter.repeat(BOUND - 10)).join("\n\n");
    let job = scene.fake.delivery("s1", &text);
    assert_eq!(scene.deliver(&job).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1").join("\n\n"), text);
    let keys: Vec<_> =
        scene.bridge.requests().into_iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys, [1, 2, 3].map(|n| format!("{}-{n}", job.id)));
}

#[tokio::test]
async fn zero_arrives_although_the_bridge_takes_it_for_nothing() {
    let scene = idle(settings).await;
    assert_eq!(scene.deliver(&scene.fake.delivery("s1", "0")).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["0\u{200b}"]);
}

#[tokio::test]
async fn blank_answer_is_discarded_without_asking() {
    let scene = idle(settings).await;
    assert_eq!(summary(&scene.deliver(&scene.fake.delivery("s1", " \n")).await).0, "discard");
    assert!(scene.bridge.requests().is_empty());
}

#[tokio::test]
async fn refusals_become_outcomes() {
    let cases = [
        (Fault::Refuse(400, ""), ("discard", Some(400), false, None)),
        (Fault::Refuse(401, ""), ("discard", Some(401), false, None)),
        (Fault::Refuse(403, ""), ("discard", Some(403), false, None)),
        (Fault::Refuse(404, ""), ("discard", Some(404), false, None)),
        (Fault::Refuse(405, ""), ("discard", Some(405), false, None)),
        (Fault::Refuse(413, ""), ("discard", Some(413), false, None)),
        (Fault::Refuse(302, "Location: /elsewhere\r\n"), ("retry", Some(302), false, None)),
        (Fault::Refuse(429, ""), ("retry", Some(429), false, None)),
        (Fault::Refuse(429, "Retry-After: 7\r\n"), ("retry", Some(429), false, Some(7_000))),
        (Fault::Refuse(500, ""), ("retry", Some(500), true, None)),
        (Fault::Refuse(503, "Retry-After: 7\r\n"), ("retry", Some(503), true, Some(7_000))),
        (Fault::Swallow, ("retry", None, true, None)),
        (Fault::CutOff, ("retry", None, true, None)),
        (Fault::Garble, ("retry", None, true, None)),
        (Fault::Endless, ("retry", None, true, None)),
        (Fault::Hang, ("retry", None, true, None)),
    ];
    let scene = idle(|bridge| Settings { timeout: 0.5, ..settings(bridge) }).await;
    for (fault, expected) in cases {
        scene.bridge.fault("outbox", fault.clone());
        let outcome = scene.deliver(&scene.fake.delivery("s1", "hello")).await;
        let got = summary(&outcome);
        // An endless answer is cut at a bound or at the time-out, whichever comes first.
        assert_eq!(got, expected, "{fault:?}: {}", why(&outcome));
    }
}

#[tokio::test]
async fn too_many_requests_are_a_rest_for_all_sessions() {
    let scene = idle(settings).await;
    scene.bridge.fault("outbox", Fault::Refuse(429, "Retry-After: 7\r\n"));
    scene.deliver(&scene.fake.delivery("s1", "hello")).await;
    assert_eq!(scene.fake.pauses()[0].0, Duration::from_secs(7));
}

#[tokio::test]
async fn bridge_that_is_not_there_leaves_nothing_open() {
    let scene = idle(settings).await;
    let Scene { fake, bridge, plugin } = scene;
    drop(bridge);
    tokio::task::yield_now().await;
    let outcome = plugin.handle(fake.delivery("s1", "hello")).await;
    assert_eq!(summary(&outcome), ("retry", None, false, None), "{}", why(&outcome));
}

#[tokio::test]
async fn forgotten_session_fails_visibly() {
    let scene = idle(settings).await;
    scene.bridge.remove_session("s1");
    let outcome = scene.deliver(&scene.fake.delivery("s1", "hello")).await;
    assert_eq!(summary(&outcome), ("discard", Some(400), false, None));
    assert!(why(&outcome).contains("Invalid or expired session"), "{}", why(&outcome));
}

#[tokio::test]
async fn answer_that_was_stored_without_a_word_is_not_posted_again() {
    for fault in [Fault::Swallow, Fault::CutOff, Fault::Garble, Fault::Fail] {
        let scene = idle(with_admin_key).await;
        let job = scene.fake.delivery("s1", "it's \"done\"");
        scene.bridge.fault("outbox", fault.clone());
        assert!(summary(&scene.deliver(&job).await).2, "{fault:?}");
        let scene = scene.restart(with_admin_key);
        assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
        assert_eq!(scene.bridge.actions(), ["outbox", "session_messages"], "{fault:?}");
    }
}

#[tokio::test]
async fn answer_that_was_not_stored_is_posted_again() {
    let scene = idle(with_admin_key).await;
    let job = scene.fake.delivery("s1", "hello");
    scene.bridge.fault("outbox", Fault::Refuse(500, ""));
    assert!(summary(&scene.deliver(&job).await).2);
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["hello"]);
    assert_eq!(scene.bridge.actions(), ["outbox", "session_messages", "outbox"]);
}

#[tokio::test]
async fn older_answer_with_equal_text_is_not_taken_for_a_new_one() {
    let scene = idle(with_admin_key).await;
    assert_eq!(scene.deliver(&scene.fake.delivery("s1", "Yes.")).await, Outcome::done());
    let job = scene.fake.delivery("s1", "Yes.");
    scene.bridge.fault("outbox", Fault::Refuse(500, ""));
    scene.deliver(&job).await;
    let scene = scene.restart(with_admin_key);
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["Yes.", "Yes."]);
}

#[tokio::test]
async fn answer_of_a_time_before_this_host_is_not_taken_for_a_new_one() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "hello");
    bridge.respond("s1", "Yes.");
    bridge.mark_all_processed();
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let job = scene.fake.delivery("s1", "Yes.");
    scene.bridge.fault("outbox", Fault::Refuse(500, ""));
    scene.deliver(&job).await;
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["Yes.", "Yes."]);
}

#[tokio::test]
async fn catch_up_between_the_attempts_does_not_hide_what_was_stored() {
    let scene = idle(with_admin_key).await;
    let job = scene.fake.delivery("s1", "Yes.");
    scene.bridge.fault("outbox", Fault::Swallow);
    scene.deliver(&job).await;
    // The baseline of an earlier run makes it a later catch-up, as it is after a crash.
    scene.fake.host().put("baseline", &"2026-02-03T04:05:00Z").await.unwrap();
    let scene = scene.restart(with_admin_key);
    scene.plugin.start().await.unwrap();
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["Yes."]);
}

#[tokio::test]
async fn crash_between_delivery_and_settlement_posts_nothing_again() {
    for settings in [settings, with_admin_key] {
        let scene = idle(settings).await;
        let text = ["a", "b"].map(|letter| letter.repeat(BOUND)).join("\n\n");
        let job = scene.fake.delivery("s1", &text);
        assert_eq!(scene.deliver(&job).await, Outcome::done());
        let scene = scene.restart(settings);
        assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
        assert_eq!(scene.bridge.actions(), ["outbox", "outbox"]);
    }
}

#[tokio::test]
async fn split_answer_goes_on_where_it_was_interrupted() {
    let text = ["a", "b", "c"].map(|letter| letter.repeat(BOUND)).join("\n\n");
    // Refused before it was stored, and stored without a word.
    for (fault, in_between) in [(Fault::Refuse(429, ""), 0), (Fault::Refuse(503, ""), 1), (Fault::Swallow, 1)] {
        let scene = idle(with_admin_key).await;
        let job = scene.fake.delivery("s1", &text);
        scene.bridge.fault("outbox", Fault::Nothing);
        scene.bridge.fault("outbox", fault.clone());
        let outcome = scene.deliver(&job).await;
        assert_eq!(summary(&outcome).0, "retry");
        let scene = scene.restart(with_admin_key);
        let again = if summary(&outcome).2 { in_doubt(&job) } else { job.clone() };
        assert_eq!(scene.deliver(&again).await, Outcome::done());
        assert_eq!(scene.bridge.answers("s1").join("\n\n"), text, "{fault:?}");
        assert_eq!(scene.bridge.count("session_messages"), in_between, "{fault:?}");
    }
}

#[tokio::test]
async fn split_answer_of_equal_parts_is_not_cut_short() {
    let text = ["a", "a", "a"].map(|letter| letter.repeat(BOUND)).join("\n\n");
    let scene = idle(with_admin_key).await;
    let job = scene.fake.delivery("s1", &text);
    scene.bridge.fault("outbox", Fault::Nothing);
    scene.bridge.fault("outbox", Fault::Refuse(500, ""));
    scene.deliver(&job).await;
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1").len(), 3);
}

#[tokio::test]
async fn long_answer_takes_several_attempts_if_time_runs_out() {
    let scene = idle(settings).await;
    let text = ["a", "b", "c"].map(|letter| letter.repeat(BOUND)).join("\n\n");
    // There is time for one part only, and each attempt gets on by one.
    let job = Job { timeout_ms: 1, ..scene.fake.delivery("s1", &text) };
    let outcomes = [scene.deliver(&job).await, scene.deliver(&job).await, scene.deliver(&job).await];
    assert_eq!(outcomes.each_ref().map(|outcome| summary(outcome).0), ["snooze", "snooze", "done"]);
    assert_eq!(scene.bridge.answers("s1").join("\n\n"), text);
}

#[tokio::test]
async fn answer_in_doubt_waits_until_somebody_can_look() {
    let scene = idle(with_admin_key).await;
    let job = scene.fake.delivery("s1", "hello");
    scene.bridge.fault("outbox", Fault::Swallow);
    scene.deliver(&job).await;
    for (fault, status, wait) in [
        (Fault::Refuse(500, ""), Some(500), None),
        (Fault::Refuse(429, "Retry-After: 3\r\n"), Some(429), Some(3_000)),
        (Fault::Swallow, None, None),
    ] {
        scene.bridge.fault("session_messages", fault);
        assert_eq!(summary(&scene.deliver(&in_doubt(&job)).await), ("retry", status, true, wait));
    }
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["hello"]);
}

#[tokio::test]
async fn answer_in_doubt_is_posted_again_if_nobody_may_look() {
    let scene = idle(with_admin_key).await;
    let job = in_doubt(&scene.fake.delivery("s1", "hello"));
    scene.bridge.fault("session_messages", Fault::Refuse(401, ""));
    assert_eq!(scene.deliver(&job).await, Outcome::done());
    let scene = idle(settings).await;
    assert_eq!(scene.deliver(&job).await, Outcome::done());
    assert_eq!(scene.bridge.actions(), ["outbox"]);
}

#[tokio::test]
async fn answer_in_doubt_to_a_removed_session_fails_visibly() {
    let scene = idle(with_admin_key).await;
    scene.bridge.remove_session("s1");
    let outcome = scene.deliver(&in_doubt(&scene.fake.delivery("s1", "hello"))).await;
    assert_eq!(summary(&outcome), ("discard", Some(404), false, None));
    assert_eq!(scene.bridge.count("outbox"), 0);
}

#[tokio::test]
async fn doubt_that_nobody_could_look_into_remains() {
    let scene = idle(settings).await;
    let job = in_doubt(&scene.fake.delivery("s1", "hello"));
    scene.bridge.fault("outbox", Fault::Refuse(429, ""));
    assert_eq!(summary(&scene.deliver(&job).await), ("retry", Some(429), true, None));
    // A part that arrived leaves no doubt about the next.
    let text = ["a", "b"].map(|letter| letter.repeat(BOUND)).join("\n\n");
    let long = in_doubt(&scene.fake.delivery("s1", &text));
    scene.bridge.fault("outbox", Fault::Nothing);
    scene.bridge.fault("outbox", Fault::Refuse(429, ""));
    assert_eq!(summary(&scene.deliver(&long).await), ("retry", Some(429), false, None));
    scene.fake.fail_next("busy");
    let scene = scene.restart(with_admin_key);
    assert!(summary(&scene.deliver(&job).await).2);
    // Looked into and found not to be there, nothing is open any more.
    scene.bridge.fault("outbox", Fault::Refuse(429, ""));
    assert_eq!(summary(&scene.deliver(&job).await), ("retry", Some(429), false, None));
}

#[tokio::test]
async fn host_that_fails_after_the_post_does_not_post_again() {
    let scene = idle(settings).await;
    let warm_up = scene.fake.delivery("s1", "first");
    assert_eq!(scene.deliver(&warm_up).await, Outcome::done());
    let job = scene.fake.delivery("s1", "second");
    scene.fake.fail_next("disk full");
    assert_eq!(scene.deliver(&job).await, Outcome::done());
    assert_eq!(scene.deliver(&in_doubt(&job)).await, Outcome::done());
    assert_eq!(scene.bridge.answers("s1"), ["first", "second"]);
}

#[tokio::test]
async fn host_that_fails_before_the_post_leaves_everything_for_later() {
    let scene = idle(settings).await;
    scene.fake.fail_next("disk full");
    let outcome = scene.deliver(&scene.fake.delivery("s1", "hello")).await;
    assert_eq!(summary(&outcome), ("retry", None, false, None));
    assert!(scene.bridge.requests().is_empty());
}

#[tokio::test]
async fn deliveries_of_other_sessions_do_not_wait() {
    let scene = idle(settings).await;
    scene.bridge.say("s2", "hello");
    scene.bridge.fault("outbox", Fault::Hang);
    let stuck = scene.fake.delivery("s1", "stuck");
    let other = scene.fake.delivery("s2", "quick");
    tokio::select! {
        biased;
        _ = scene.deliver(&stuck) => panic!("the bridge hangs"),
        outcome = async {
            scene.bridge.wait_for_faults().await;
            scene.deliver(&other).await
        } => assert_eq!(outcome, Outcome::done()),
    }
}
