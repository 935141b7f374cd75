//! Fetching messages.

use super::*;
use bridge::Fault;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn waiting_messages_are_fetched_page_after_page_without_a_rest() {
    let bridge = FakeBridge::start().await;
    let expected: Vec<_> = (1..=120).map(|n| format!("message {n}")).collect();
    for (n, text) in expected.iter().enumerate() {
        bridge.say(&format!("s{}", n % 3), text);
    }
    let settings = Settings { poll_interval: Some(3600.0), active_poll_interval: 3600.0, ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(120).await;
    assert_eq!(scene.texts(), expected);
    assert_eq!(scene.bridge.actions(), ["probe", "inbox", "inbox", "inbox"]);
    assert!(
        scene.bridge.requests()[1..]
            .iter()
            .all(|request| request.query["limit"] == "50" && request.query["offset"] == "0")
    );
}

#[tokio::test]
async fn message_arrives_as_it_was_written() {
    let scene = Scene::plain().await;
    scene.bridge.say("session_1", "it's <b>\"5 &lt; 6\"</b>");
    scene.wait_for_texts(1).await;
    let message = &scene.fake.ingested()[0];
    assert_eq!(message.content, "it's <b>\"5 &lt; 6\"</b>");
    assert_eq!((message.conversation.as_str(), message.platform_user_id.as_str()), ("session_1", "0000000000000001"));
    assert_eq!(
        (message.username.as_str(), message.display_name.as_str()),
        ("web_user_0000000000000001", "Web User (00000000)")
    );
    assert_eq!(message.external_id, "session_1/1/2026-02-03T04:05:06Z");
    assert!(!message.silent);
}

#[tokio::test]
async fn message_of_a_removed_session_arrives_under_its_session() {
    let bridge = FakeBridge::start().await;
    bridge.say("session_1", "still there?");
    bridge.remove_session("session_1");
    let settings = settings(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(1).await;
    assert_eq!(scene.fake.ingested()[0].platform_user_id, "session_1");
}

#[tokio::test]
async fn malformed_row_does_not_stop_the_others() {
    let bridge = FakeBridge::start().await;
    let broken = json!({"id": 2, "session_id": "s1", "message": ["no", "text"]});
    bridge.say("s1", "before");
    bridge.say_raw("s1", broken.clone());
    bridge.say("s1", "after");
    let settings = settings(&bridge);
    let scene = Scene::start(bridge, settings).await;
    scene.wait_for_texts(2).await;
    assert_eq!(scene.texts(), ["before", "after"]);
    let malformed = scene.fake.malformed();
    assert_eq!(malformed[0].0, broken.to_string());
    assert!(malformed[0].1.contains("expected a string"), "{}", malformed[0].1);
}

#[tokio::test]
async fn page_that_the_host_cannot_store_is_kept_and_no_other_is_taken() {
    let scene = Scene::plain().await;
    scene.bridge.wait_for_polls(2).await;
    (0..3).for_each(|_| scene.fake.fail_next("disk full"));
    scene.bridge.say("s1", "precious");
    scene.wait_for_health(true, "disk full").await;
    let polls = scene.bridge.count("inbox");
    scene.wait_for_texts(1).await;
    assert_eq!(scene.bridge.count("inbox"), polls);
    scene.wait_for_health(false, "the last poll took").await;
    assert_eq!(scene.texts(), ["precious"]);
}

#[tokio::test]
async fn key_refused_after_a_good_start_is_degraded_until_it_is_right_again() {
    let scene = Scene::plain().await;
    scene.bridge.wait_for_polls(1).await;
    scene.bridge.change_api_key("another");
    scene.wait_for_health(true, "`api_key` is refused").await;
    scene.bridge.say("s1", "hello");
    scene.bridge.change_api_key(API_KEY);
    scene.wait_for_health(false, "polling").await;
    scene.wait_for_texts(1).await;
    assert!(scene.fake.failures().is_empty());
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let scene = Scene::plain().await;
    scene.bridge.fault("inbox", Fault::Refuse(429, "Retry-After: 1\r\n"));
    scene.wait_for_health(true, "polling rests").await;
    let refused = scene.bridge.requests().last().unwrap().at;
    scene.bridge.wait_for_polls(1).await;
    assert!(scene.bridge.requests().last().unwrap().at - refused >= Duration::from_secs(1));
}

#[tokio::test]
async fn polls_are_closer_together_after_traffic() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "hello");
    let settings = Settings { poll_interval: Some(3600.0), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(5).await;
}

#[tokio::test]
async fn polls_rest_without_traffic() {
    let bridge = FakeBridge::start().await;
    let settings = Settings { poll_interval: Some(3600.0), active_poll_interval: 0.05, ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for("the first poll", |bridge| bridge.count("inbox") == 1).await;
    let (_, bridge) = scene.stop().await;
    assert_eq!(bridge.actions(), ["probe", "inbox"]);
}

#[tokio::test]
async fn connection_is_kept_between_polls() {
    let scene = Scene::plain().await;
    scene.bridge.wait_for_polls(5).await;
    assert_eq!(scene.bridge.connections(), 1);
}

#[tokio::test]
async fn endless_answer_is_cut_and_polling_goes_on() {
    let scene = Scene::plain().await;
    scene.bridge.fault("inbox", Fault::Endless);
    scene.wait_for_health(true, "longer than").await;
    scene.bridge.say("s1", "hello");
    scene.wait_for_texts(1).await;
}

#[tokio::test]
async fn lost_answer_without_admin_key_is_told() {
    let scene = Scene::plain().await;
    scene.bridge.fault("inbox", Fault::Swallow);
    scene.wait_for_health(true, "without `admin_key`").await;
    scene.wait_for_health(false, "polling").await;
    assert_eq!(scene.bridge.count("sessions"), 0);
}

#[tokio::test]
async fn page_on_its_way_at_the_end_is_still_stored() {
    let scene = Scene::plain().await;
    let (empty, full) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    scene.bridge.fault("inbox", Fault::Hold(empty.clone()));
    scene.bridge.fault("inbox", Fault::Hold(full.clone()));
    scene.bridge.wait_for("the first hold", |bridge| bridge.faults() == 1).await;
    scene.bridge.say("s1", "last words");
    empty.notify_one();
    scene.bridge.wait_for_faults().await;
    scene.bridge.say("s1", "too late for the page on its way");
    assert!(scene.texts().is_empty());
    scene.fake.stop();
    let asked = scene.bridge.requests().len();
    // Late, but not too late. A shorter delay would only prove less.
    let answer = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        full.notify_one();
    };
    tokio::join!(scene.plugin.stop(), answer);
    assert_eq!(scene.texts(), ["last words"]);
    assert_eq!(scene.bridge.requests().len(), asked);
}

#[tokio::test]
async fn end_does_not_wait_for_a_bridge_that_hangs() {
    let scene = Scene::plain().await;
    scene.bridge.fault("inbox", Fault::Hang);
    scene.bridge.wait_for_faults().await;
    let asked = scene.bridge.requests().len();
    let (fake, bridge) = scene.stop().await;
    assert_eq!(bridge.requests().len(), asked);
    assert!(fake.failures().is_empty());
}

#[tokio::test]
async fn end_during_a_rest_is_at_once() {
    let bridge = FakeBridge::start().await;
    let settings = Settings { poll_interval: Some(3600.0), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for("the first poll", |bridge| bridge.count("inbox") == 1).await;
    scene.stop().await;
}
