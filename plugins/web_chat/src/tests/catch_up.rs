//! Finding what got lost on the way.

use super::*;
use bridge::Fault;
use serde_json::json;
use std::sync::Arc;

/// Rests so long that nothing happens by itself any more.
fn slow(settings: Settings) -> Settings {
    Settings { poll_interval: Some(3600.0), active_poll_interval: 3600.0, ..settings }
}

#[tokio::test]
async fn answer_that_got_lost_is_found_before_the_next_poll() {
    for fault in [Fault::Swallow, Fault::CutOff, Fault::Garble, Fault::Fail, Fault::Endless, Fault::Hang] {
        let bridge = FakeBridge::start().await;
        let settings = Settings { timeout: 0.5, ..with_admin_key(&bridge) };
        let scene = Scene::start(bridge, settings).await;
        scene.bridge.wait_for_polls(1).await;
        scene.bridge.fault("inbox", fault.clone());
        scene.bridge.wait_for_faults().await;
        let lost_at = scene.bridge.requests().len();
        scene.bridge.wait_for_polls(1).await;
        assert_eq!(scene.bridge.actions()[lost_at], "sessions", "{fault:?}");
    }
}

#[tokio::test]
async fn message_in_a_lost_answer_is_stored_once() {
    for fault in [Fault::Swallow, Fault::CutOff, Fault::Garble, Fault::Fail] {
        let scene = Scene::with_admin_key().await;
        scene.bridge.wait_for_polls(1).await;
        // A poll that finds nothing is held up, so that the next one meets both the messages and the fault.
        let release = Arc::new(Notify::new());
        scene.bridge.fault("inbox", Fault::Hold(release.clone()));
        scene.bridge.fault("inbox", fault.clone());
        scene.bridge.wait_for("the hold", |bridge| bridge.faults() == 1).await;
        scene.bridge.say("s1", "first");
        scene.bridge.say("s1", "second");
        release.notify_one();
        scene.wait_for_texts(2).await;
        scene.bridge.say("s1", "third");
        scene.wait_for_texts(3).await;
        scene.bridge.wait_for_polls(1).await;
        assert_eq!(scene.texts(), ["first", "second", "third"], "{fault:?}");
        assert!(scene.fake.ingested().iter().all(|message| !message.silent));
        scene.wait_for_health(false, "polling").await;
    }
}

#[tokio::test]
async fn message_taken_by_a_request_that_nobody_waits_for_is_found_a_little_later() {
    let bridge = FakeBridge::start().await;
    let settings = Settings { timeout: 1.0, ..with_admin_key(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let release = Arc::new(Notify::new());
    scene.bridge.fault("inbox", Fault::Hold(release.clone()));
    scene.bridge.wait_for("the hold", |bridge| bridge.faults() == 1).await;
    // As a poll of an earlier host does that reaches the bridge only now.
    scene.bridge.say("s1", "taken");
    scene.bridge.mark_all_processed();
    release.notify_one();
    scene.wait_for_texts(1).await;
    assert_eq!(scene.texts(), ["taken"]);
}

#[tokio::test]
async fn refusal_loses_nothing_and_needs_no_catch_up() {
    let scene = Scene::with_admin_key().await;
    scene.bridge.wait_for_polls(1).await;
    let caught_up = scene.bridge.count("sessions");
    for status in [429, 401, 404] {
        scene.bridge.fault("inbox", Fault::Refuse(status, ""));
    }
    scene.bridge.wait_for_faults().await;
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.bridge.count("sessions"), caught_up);
}

#[tokio::test]
async fn catch_up_and_poll_know_a_message_by_the_same_key() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "it's unread");
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    // Read by the catch-up first, by the poll after it.
    scene.bridge.wait_for_polls(2).await;
    assert_eq!(scene.texts(), ["it's unread"]);
    let message = &scene.fake.ingested()[0];
    assert_eq!(
        (message.external_id.as_str(), message.platform_user_id.as_str()),
        ("s1/1/2026-02-03T04:05:06Z", "0000000000000001")
    );
}

#[tokio::test]
async fn first_start_asks_only_for_what_nobody_answered() {
    let bridge = FakeBridge::start().await;
    bridge.say("answered", "question");
    bridge.respond("answered", "answer");
    bridge.say("open", "first question");
    bridge.respond("open", "first answer");
    bridge.say("open", "second question");
    bridge.say("open", "third question");
    bridge.mark_all_processed();
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let mut seen: Vec<_> = scene.fake.ingested().into_iter().map(|message| (message.content, message.silent)).collect();
    seen.sort();
    let expected =
        [("first question", true), ("question", true), ("second question", false), ("third question", false)];
    assert_eq!(seen, expected.map(|(text, silent)| (text.to_owned(), silent)));
    let baseline = scene.fake.value("baseline").unwrap();
    let baseline = baseline.as_str().unwrap();
    // When it was asked, not when it was answered.
    assert!(("2026-02-03T04:05:00".."2026-02-03T04:05:12").contains(&baseline), "{baseline}");
}

#[tokio::test]
async fn messages_are_in_the_order_in_which_they_came_whatever_their_clocks_say() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "first");
    bridge.pass(-7200);
    bridge.say("s1", "second");
    bridge.mark_all_processed();
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(2).await;
    assert_eq!(scene.texts(), ["first", "second"]);
}

#[tokio::test]
async fn later_catch_up_looks_back_a_minute() {
    let bridge = FakeBridge::start().await;
    bridge.say("long ago", "two minutes before");
    bridge.pass(90);
    bridge.say("just now", "half a minute before");
    bridge.mark_all_processed();
    let fake = FakeHost::new("web_chat");
    fake.host().put("baseline", &"2026-02-03T04:07:06Z").await.unwrap();
    let settings = with_admin_key(&bridge);
    let scene = Scene::start_with(fake, bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.texts(), ["half a minute before"]);
}

#[tokio::test]
async fn later_catch_up_reads_only_sessions_active_since_the_last_good_poll() {
    let bridge = FakeBridge::start().await;
    bridge.say("old", "long ago");
    bridge.pass(3600);
    let settings = slow(with_admin_key(&bridge));
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let (fake, bridge) = scene.stop().await;
    bridge.pass(3600);
    bridge.say("new", "while nobody polled");
    bridge.mark_all_processed();
    let asked = bridge.requests().len();

    let settings = slow(with_admin_key(&bridge));
    let fake = restarted(&fake).await;
    let scene = Scene::start_with(fake, bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let read: Vec<_> =
        scene.bridge.requests()[asked..].iter().filter_map(|r| r.query.get("session_id").cloned()).collect();
    assert_eq!(read, ["new"]);
    let message = scene.fake.ingested().pop().unwrap();
    assert_eq!((message.content.as_str(), message.silent), ("while nobody polled", false));
}

#[tokio::test]
async fn baseline_moves_with_idle_polls_and_is_stored_at_the_end() {
    let scene = Scene::with_admin_key().await;
    scene.bridge.wait_for_polls(1).await;
    scene.bridge.pass(7200);
    scene.bridge.wait_for_polls(2).await;
    let (fake, _) = scene.stop().await;
    assert_eq!(moment(&fake), "2026-02-03T06:05");
}

#[tokio::test]
async fn baseline_waits_while_more_is_waiting() {
    let bridge = FakeBridge::start().await;
    let settings = Settings { batch: 2, ..with_admin_key(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let release = Arc::new(Notify::new());
    for fault in [Fault::Hold(release.clone()), Fault::Nothing, Fault::Swallow] {
        scene.bridge.fault("inbox", fault);
    }
    scene.bridge.wait_for("the hold", |bridge| bridge.faults() == 2).await;
    // An hour passes until the next poll. Its page arrives, the second page gets lost, and what was in it lies an hour back.
    for text in ["one", "two", "three"] {
        scene.bridge.say("s1", text);
    }
    scene.bridge.pass(3600);
    release.notify_one();
    scene.wait_for_texts(3).await;
    assert_eq!(scene.texts(), ["one", "two", "three"]);
}

#[tokio::test]
async fn refused_catch_up_is_degraded_and_polling_goes_on() {
    for (action, status) in
        [("sessions", 401), ("sessions", 403), ("sessions", 404), ("sessions", 405), ("session_messages", 400)]
    {
        let bridge = FakeBridge::start().await;
        bridge.say("s1", "hello");
        bridge.fault(action, Fault::Refuse(status, ""));
        let settings = with_admin_key(&bridge);
        let scene = Scene::start(bridge, settings).await;
        scene.wait_for_texts(1).await;
        scene.bridge.wait_for_polls(2).await;
        let (degraded, text) = scene.fake.health().unwrap();
        assert!(degraded && text.contains("`admin_key`") && text.contains(&status.to_string()), "{text}");
        assert_eq!(scene.fake.value("baseline"), None);
        // The next lost answer is a reason to try again.
        scene.bridge.fault("inbox", Fault::Swallow);
        scene.wait_for_health(false, "polling").await;
        assert!(scene.fake.value("baseline").is_some());
    }
}

#[tokio::test]
async fn session_read_before_a_refusal_is_read_again_after_it() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "one");
    bridge.say("s2", "two");
    bridge.mark_all_processed();
    // s2 is read, s1 is not.
    bridge.fault("session_messages", Fault::Nothing);
    bridge.fault("session_messages", Fault::Refuse(403, ""));
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.texts(), ["two"]);
    let release = Arc::new(Notify::new());
    scene.bridge.fault("inbox", Fault::Hold(release.clone()));
    scene.bridge.fault("inbox", Fault::Swallow);
    scene.bridge.wait_for("the hold", |bridge| bridge.faults() == 1).await;
    scene.bridge.say("s2", "three");
    release.notify_one();
    scene.wait_for_texts(3).await;
    assert_eq!(scene.texts(), ["two", "three", "one"]);
}

#[tokio::test]
async fn no_poll_before_a_catch_up_that_fails_for_a_while_has_worked() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "hello");
    for (action, fault) in [
        ("sessions", Fault::Refuse(500, "")),
        ("sessions", Fault::Refuse(429, "")),
        ("sessions", Fault::Swallow),
        ("session_messages", Fault::Refuse(503, "")),
        ("session_messages", Fault::CutOff),
    ] {
        bridge.fault(action, fault);
    }
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    let actions = scene.bridge.actions();
    let first_poll = actions.iter().position(|action| action == "inbox").unwrap();
    let before: Vec<_> = actions[..first_poll].iter().map(String::as_str).collect();
    let expected = [
        "probe",
        "sessions",
        "sessions",
        "sessions",
        "sessions",
        "session_messages",
        "sessions",
        "session_messages",
        "sessions",
        "session_messages",
        "sessions",
    ];
    assert_eq!(before, expected);
    assert_eq!(scene.texts(), ["hello"]);
}

#[tokio::test]
async fn session_removed_meanwhile_is_no_refusal() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "one");
    bridge.say("s2", "two");
    bridge.mark_all_processed();
    bridge.fault("session_messages", Fault::Refuse(404, ""));
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    // The latest session is read first.
    assert_eq!(scene.texts(), ["one"]);
    scene.wait_for_health(false, "").await;
}

#[tokio::test]
async fn answer_that_never_makes_sense_does_not_stop_the_others_for_ever() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "one");
    bridge.say("s2", "two");
    bridge.mark_all_processed();
    (0..4).for_each(|_| bridge.fault("session_messages", Fault::Garble));
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.texts(), ["one"]);

    let bridge = FakeBridge::start().await;
    bridge.say("s1", "one");
    (0..4).for_each(|_| bridge.fault("sessions", Fault::Garble));
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(1).await;
    assert_eq!(scene.bridge.count("sessions"), 4);
    scene.wait_for_health(true, "catching up is refused").await;
}

#[tokio::test]
async fn many_sessions_are_read_page_by_page() {
    let bridge = FakeBridge::start().await;
    for n in 0..250 {
        bridge.say(&format!("s{n}"), &format!("message {n}"));
    }
    bridge.mark_all_processed();
    let settings = slow(with_admin_key(&bridge));
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
    assert_eq!(scene.texts().len(), 250);
    // Three pages, and three more to see that nothing new came up.
    assert_eq!((scene.bridge.count("sessions"), scene.bridge.count("session_messages")), (6, 250));
}

#[tokio::test]
async fn malformed_row_of_a_session_is_kept_with_its_text() {
    let bridge = FakeBridge::start().await;
    bridge.say_raw("s1", json!({"id": 1, "session_id": "s1"}));
    bridge.say("s1", "well");
    bridge.mark_all_processed();
    let settings = with_admin_key(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(1).await;
    assert_eq!(scene.fake.malformed()[0].0, r#"{"id":1,"session_id":"s1"}"#);
}

/// The same host after a restart: what it stored is still there.
async fn restarted(before: &FakeHost) -> FakeHost {
    let after = FakeHost::new("web_chat");
    let host = after.host();
    let items = before.ingested().into_iter().map(|message| plugin_api::Incoming::Message(Box::new(message))).collect();
    let puts = before.value("baseline").map(|value| ("baseline".to_owned(), value)).into_iter().collect();
    host.ingest(plugin_api::Batch { items, puts, ..Default::default() }).await.unwrap();
    after
}

/// The baseline to the minute.
fn moment(fake: &FakeHost) -> String {
    fake.value("baseline").unwrap().as_str().unwrap()[..16].to_owned()
}
