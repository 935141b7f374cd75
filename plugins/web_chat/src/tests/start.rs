//! The first contact.

use super::*;
use bridge::Fault;

#[tokio::test]
async fn start_with_good_key_asks_without_taking() {
    let bridge = FakeBridge::start().await;
    bridge.say("s1", "waiting");
    let settings = Settings { poll_interval: Some(3600.0), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    let probe = &scene.bridge.requests()[0];
    assert_eq!((probe.action.as_str(), probe.query["limit"].as_str()), ("inbox", "0"));
    assert_eq!(probe.headers["authorization"], format!("Bearer {API_KEY}"));
    assert!(probe.headers["user-agent"].starts_with("web_chat/"));
    assert!(!scene.fake.health().unwrap().0);
    scene.wait_for_texts(1).await;
}

#[tokio::test]
async fn start_with_refused_key_fails_and_says_so() {
    let bridge = FakeBridge::start().await;
    for status in [401, 403] {
        bridge.fault("inbox", Fault::Refuse(status, ""));
        let fake = FakeHost::new("web_chat");
        let plugin = WebChat::new(settings(&bridge), fake.host()).unwrap();
        let text = plugin.start().await.unwrap_err().to_string();
        assert!(text.contains("`api_key`") && text.contains(&status.to_string()) && !text.contains(API_KEY), "{text}");
        plugin.stop().await;
    }
    assert_eq!(bridge.actions(), ["probe", "probe"]);
}

#[tokio::test]
async fn start_without_a_bridge_is_degraded_until_it_is_there() {
    let bridge = FakeBridge::start().await;
    let (address, settings) = (bridge.address, settings(&bridge));
    drop(bridge);
    tokio::task::yield_now().await;
    let fake = FakeHost::new("web_chat");
    let plugin = WebChat::new(settings, fake.host()).unwrap();
    plugin.start().await.unwrap();
    let (degraded, text) = fake.health().unwrap();
    assert!(degraded && text.starts_with("the bridge cannot be reached: "), "{text}");
    let bridge = FakeBridge::start_at(address).await;
    bridge.say("s1", "at last");
    let scene = Scene { fake, bridge, plugin };
    scene.wait_for_texts(1).await;
    scene.wait_for_health(false, "polling").await;
}

#[tokio::test]
async fn start_at_a_wrong_address_names_the_setting() {
    let bridge = FakeBridge::start().await;
    bridge.fault("inbox", Fault::Refuse(404, ""));
    let settings = Settings { retry_delay: Some(300.0), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    let (degraded, text) = scene.fake.health().unwrap();
    assert!(degraded && text.contains("`api_url`") && text.contains("404"), "{text}");
}

#[tokio::test]
async fn redirect_is_told_and_not_followed() {
    let (bridge, elsewhere) = (FakeBridge::start().await, FakeBridge::start().await);
    let location: &'static str = format!("Location: {}api/v1/?action=inbox\r\n", elsewhere.url()).leak();
    bridge.fault("inbox", Fault::Refuse(302, location));
    let settings = Settings { retry_delay: Some(300.0), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    let (degraded, text) = scene.fake.health().unwrap();
    assert!(degraded && text.contains(&elsewhere.address.to_string()) && text.contains("`api_url`"), "{text}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn address_with_index_php_is_used_as_it_is() {
    let bridge = FakeBridge::start().await;
    let settings = Settings { api_url: Some(format!("{}index.php", bridge.url())), ..settings(&bridge) };
    let scene = Scene::start(bridge, settings).await;
    scene.bridge.wait_for_polls(1).await;
}

#[tokio::test]
async fn plugin_takes_deliveries_only() {
    let scene = Scene::plain().await;
    let outcome = scene.plugin.handle(scene.fake.turn("hello")).await;
    assert!(matches!(outcome, plugin_api::Outcome::Discard { .. }));
}
