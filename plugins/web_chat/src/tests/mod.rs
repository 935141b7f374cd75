//! The plugin's stories, on real sockets: a fake bridge on one side, the fake host on the other.

mod bridge;
mod catch_up;
mod deliver;
mod php;
mod poll;
mod start;

use crate::WebChat;
use crate::settings::Settings;
use bridge::{ADMIN_KEY, API_KEY, FakeBridge};
use plugin_api::testing::FakeHost;
use plugin_api::{Plugin, Secret};
use std::time::Duration;
use tokio::sync::Notify;

/// Waits until `condition` holds; checked whenever `changed` is notified.
async fn until(what: &str, changed: &Notify, condition: impl Fn() -> bool) {
    let wait = async {
        loop {
            let notified = changed.notified();
            if condition() {
                return;
            }
            notified.await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "waited too long for {what}");
}

/// Polls quickly, without the operators' key.
fn settings(bridge: &FakeBridge) -> Settings {
    Settings {
        api_url: Some(bridge.url()),
        api_key: Secret::new(API_KEY),
        poll_interval: Some(0.05),
        active_poll_interval: 0.05,
        retry_delay: Some(0.05),
        timeout: 5.0,
        ..Settings::default()
    }
}

fn with_admin_key(bridge: &FakeBridge) -> Settings {
    Settings { admin_key: Secret::new(ADMIN_KEY), ..settings(bridge) }
}

/// A host, a bridge, and the plugin between them, started.
struct Scene {
    fake: FakeHost,
    bridge: FakeBridge,
    plugin: WebChat,
}

impl Scene {
    async fn start(bridge: FakeBridge, settings: Settings) -> Self {
        Self::start_with(FakeHost::new("web_chat"), bridge, settings).await
    }

    async fn start_with(fake: FakeHost, bridge: FakeBridge, settings: Settings) -> Self {
        let plugin = WebChat::new(settings, fake.host()).unwrap();
        plugin.start().await.unwrap();
        Self { fake, bridge, plugin }
    }

    async fn plain() -> Self {
        let bridge = FakeBridge::start().await;
        let settings = settings(&bridge);
        Self::start(bridge, settings).await
    }

    async fn with_admin_key() -> Self {
        let bridge = FakeBridge::start().await;
        let settings = with_admin_key(&bridge);
        Self::start(bridge, settings).await
    }

    /// Texts that the host has, in their order.
    fn texts(&self) -> Vec<String> {
        texts(&self.fake)
    }

    async fn wait_for_texts(&self, count: usize) {
        self.fake.wait_for("messages", |fake| fake.ingested().len() >= count).await;
    }

    async fn wait_for_health(&self, degraded: bool, text: &str) {
        let told = |fake: &FakeHost| fake.health().is_some_and(|(is, said)| is == degraded && said.contains(text));
        self.fake.wait_for(&format!("health with `{text}`"), told).await;
    }

    /// Stops the plugin as the host does, and keeps the host's memory for the next one.
    async fn stop(self) -> (FakeHost, FakeBridge) {
        self.fake.stop();
        self.plugin.stop().await;
        (self.fake, self.bridge)
    }
}

fn texts(fake: &FakeHost) -> Vec<String> {
    fake.ingested().into_iter().map(|message| message.content).collect()
}
