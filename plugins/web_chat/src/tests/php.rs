//! The whole way with a bridge of another language: the project's PHP one, on PHP's own web server. Passed over where either is missing.

use super::*;
use plugin_api::Outcome;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

struct PhpBridge {
    server: Child,
    folder: PathBuf,
    url: String,
}

impl PhpBridge {
    /// `None` where there is no PHP or no bridge.
    async fn start() -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bridge_php/index.php");
        let has_sqlite = Command::new("php").args(["-r", "exit(extension_loaded('pdo_sqlite') ? 0 : 1);"]).status();
        if !file.exists() || !has_sqlite.is_ok_and(|status| status.success()) {
            eprintln!("passed over: it needs examples/bridge_php and php with pdo_sqlite");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("web_chat-{}-{port}", std::process::id()));
        let server = Command::new("php")
            .args(["-S", &format!("127.0.0.1:{port}")])
            .arg(&file)
            .env("BRIDGE_DB", folder.join("bridge.db"))
            .env("BRIDGE_API_KEY", API_KEY)
            .env("BRIDGE_ADMIN_KEY", ADMIN_KEY)
            .env("BRIDGE_ENFORCE_LIMITS", "false")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bridge = Self { server, folder, url: format!("http://127.0.0.1:{port}/") };
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), listens).await.is_ok(), "php does not listen");
        Some(bridge)
    }

    async fn call(&self, action: &str, body: Option<Value>) -> Value {
        let address = format!("{}?action={action}", self.url);
        let request = match body {
            Some(body) => reqwest::Client::new().post(address).json(&body),
            None => reqwest::Client::new().get(address),
        };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        answer["data"].clone()
    }

    async fn say(&self, session: &str, text: &str) {
        self.call("messages", Some(json!({"session_id": session, "message": text}))).await;
    }

    /// Asks for the inbox as a poller that never gets the answer.
    async fn lose_the_inbox(&self) {
        let address = format!("{}?action=inbox", self.url);
        reqwest::Client::new().get(address).bearer_auth(API_KEY).send().await.unwrap();
    }

    fn settings(&self) -> Settings {
        Settings {
            api_url: Some(self.url.clone()),
            api_key: Secret::new(API_KEY),
            admin_key: Secret::new(ADMIN_KEY),
            poll_interval: Some(0.05),
            active_poll_interval: 0.05,
            ..Settings::default()
        }
    }
}

impl Drop for PhpBridge {
    fn drop(&mut self) {
        // Nothing to be done about a server that is gone already.
        let _ = self.server.kill().and_then(|()| self.server.wait());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn messages_and_answers_go_through_the_php_bridge() {
    let fake = FakeHost::new("web_chat");
    let Some(bridge) = PhpBridge::start().await else { return };
    let plugin = WebChat::new(bridge.settings(), fake.host()).unwrap();

    bridge.say("session_1", "it's <b>\"5 &lt; 6\"</b> 👋").await;
    bridge.lose_the_inbox().await;
    bridge.say("session_1", "still there?").await;
    plugin.start().await.unwrap();
    fake.wait_for("both messages", |fake| fake.ingested().len() == 2).await;
    assert_eq!(texts(&fake), ["it's <b>\"5 &lt; 6\"</b> 👋", "still there?"]);
    let message = &fake.ingested()[0];
    assert_eq!((message.platform_user_id.len(), message.silent), (16, false));

    let long = format!("{}\n\n{}", "\"quoted\" & more. ".repeat(200).trim(), "'".repeat(1600));
    let (zero, job) = (fake.delivery("session_1", "0"), fake.delivery("session_1", &long));
    assert_eq!(plugin.handle(zero).await, Outcome::done());
    assert_eq!(plugin.handle(job.clone()).await, Outcome::done());
    // In doubt, but the bridge has it all: nothing is added.
    let elsewhere = FakeHost::new("web_chat");
    elsewhere.host().put("baseline", &"2026-01-01T00:00:00Z").await.unwrap();
    let after_a_crash = WebChat::new(bridge.settings(), elsewhere.host()).unwrap();
    assert_eq!(after_a_crash.handle(plugin_api::Job { uncertain: true, ..job }).await, Outcome::done());

    let answers = bridge.call("responses&session_id=session_1", None).await;
    let answers: Vec<_> =
        answers["responses"].as_array().unwrap().iter().map(|r| r["response"].as_str().unwrap().to_owned()).collect();
    assert_eq!(answers[0], "0\u{200b}");
    assert_eq!(crate::entities::decode(&answers[1..].join("\n\n")), long);

    bridge.say("session_1", "thanks").await;
    fake.wait_for("the third message", |fake| fake.ingested().len() == 3).await;
    fake.stop();
    plugin.stop().await;
    assert!(fake.malformed().is_empty() && fake.failures().is_empty());
}
