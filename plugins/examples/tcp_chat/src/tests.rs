//! People on real sockets, and a host that is not there.

use crate::TcpChat;
use plugin_api::testing::FakeHost;
use plugin_api::{Job, Outcome, Plugin, Work};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A chat that was started, and where it listens.
async fn chat_with(fake: &FakeHost, settings: Value) -> (TcpChat, SocketAddr) {
    let chat = TcpChat::new(serde_json::from_value(settings).unwrap(), fake.host()).unwrap();
    chat.start().await.unwrap();
    let (degraded, text) = fake.health().unwrap();
    assert!(!degraded, "{text}");
    (chat, text.strip_prefix("listening on ").unwrap().parse().unwrap())
}

/// Somebody with netcat.
struct Person(BufReader<TcpStream>);

impl Person {
    async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Comes in and is greeted.
    async fn named(address: SocketAddr, name: &str) -> Self {
        let mut person = Self::connect(address).await;
        person.say(name).await;
        assert_eq!(person.hears().await, "* who are you?");
        assert_eq!(person.hears().await, format!("* hello {name}"));
        person
    }

    async fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line; nothing when the connection has ended.
    async fn hears(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("a line").unwrap();
        line.trim_end_matches('\n').into()
    }
}

/// A delivery to `name`, written just now.
fn delivery(fake: &FakeHost, name: &str, text: &str) -> Job {
    delivery_of(fake, name, text, jiff::Timestamp::now())
}

fn delivery_of(fake: &FakeHost, name: &str, text: &str, time: jiff::Timestamp) -> Job {
    let mut job = fake.delivery(name, text);
    let Work::Deliver(delivery) = &mut job.work else { unreachable!() };
    delivery.message.created_at = time.to_string();
    job
}

fn said(fake: &FakeHost) -> Vec<(String, String)> {
    fake.ingested().into_iter().map(|message| (message.external_id, message.content)).collect()
}

fn pair(number: &str, text: &str) -> (String, String) {
    (number.into(), text.into())
}

#[tokio::test]
async fn lines_of_a_person_are_ingested_under_their_name() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({})).await;
    let mut ada = Person::named(address, "Ada").await;
    ada.say("hello").await;
    ada.say("   ").await;
    ada.say("world").await;
    fake.wait_for("two messages", |fake| fake.ingested().len() == 2).await;
    assert_eq!(said(&fake), [pair("1", "hello"), pair("2", "world")]);
    let first = fake.ingested().remove(0);
    let names = [first.conversation, first.platform_user_id, first.username, first.display_name];
    assert_eq!(names, ["ada", "ada", "ada", "Ada"]);
    assert_eq!(fake.value("next_number"), Some(json!(3)));
}

#[tokio::test]
async fn numbers_go_on_after_a_restart() {
    let fake = FakeHost::new("lobby");
    for text in ["before", "after"] {
        let (_chat, address) = chat_with(&fake, json!({})).await;
        Person::named(address, "ada").await.say(text).await;
        fake.wait_for("the message", |fake| fake.ingested().iter().any(|message| message.content == text)).await;
    }
    assert_eq!(said(&fake), [pair("1", "before"), pair("2", "after")]);
}

#[tokio::test]
async fn line_that_the_host_could_not_store_is_given_again_with_its_number() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({})).await;
    let mut ada = Person::named(address, "ada").await;
    fake.fail_next("the disk is full");
    ada.say("hello").await;
    fake.wait_for("trouble", |fake| fake.health().is_some_and(|(degraded, text)| degraded && text.contains("disk")))
        .await;
    fake.wait_for("all well", |fake| fake.health().is_some_and(|(degraded, _)| !degraded)).await;
    assert_eq!(said(&fake), [pair("1", "hello")]);
    assert!(fake.health().unwrap().1.starts_with("listening on "));
}

#[tokio::test]
async fn answer_comes_back_as_lines() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({})).await;
    let mut ada = Person::named(address, "Ada").await;
    assert_eq!(chat.handle(delivery(&fake, "ada", "one\ntwo\x1b[2J")).await, Outcome::done());
    assert_eq!(ada.hears().await, "assistant: one");
    assert_eq!(ada.hears().await, "assistant: two[2J");
}

#[tokio::test]
async fn answer_waits_for_somebody_who_is_away() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({"away_seconds": 2, "keep_hours": 1})).await;
    let job = delivery(&fake, "ada", "hi");
    assert_eq!(chat.handle(job.clone()).await, Outcome::snooze(Duration::from_secs(2), "ada is away"));
    let mut ada = Person::named(address, "ada").await;
    assert_eq!(chat.handle(job).await, Outcome::done());
    assert_eq!(ada.hears().await, "assistant: hi");

    let old = jiff::Timestamp::now() - Duration::from_secs(3601);
    let outcome = chat.handle(delivery_of(&fake, "grace", "hi", old)).await;
    assert!(matches!(&outcome, Outcome::Discard { why, .. } if why.contains("did not come back")), "{outcome:?}");
}

#[tokio::test]
async fn person_who_left_is_away() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({})).await;
    let ada = Person::named(address, "ada").await;
    assert!(chat.people.find("ada").is_some());
    drop(ada);
    let gone = async {
        while chat.people.find("ada").is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    assert!(matches!(chat.handle(delivery(&fake, "ada", "hi")).await, Outcome::Snooze { .. }));
}

#[tokio::test]
async fn person_who_comes_again_takes_the_place() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({})).await;
    let mut old = Person::named(address, "ada").await;
    let mut new = Person::named(address, "ADA").await;
    assert_eq!(old.hears().await, "* you came in again elsewhere");
    assert_eq!(old.hears().await, "");
    assert_eq!(chat.handle(delivery(&fake, "ada", "hi")).await, Outcome::done());
    assert_eq!(new.hears().await, "assistant: hi");
}

#[tokio::test]
async fn person_who_does_not_read_costs_an_attempt_and_is_shown_out() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({"write_timeout": 0.2})).await;
    let mut ada = Person::named(address, "ada").await;
    let text = "x".repeat(256 * 1024);
    let outcome = loop {
        match chat.handle(delivery(&fake, "ada", &text)).await {
            Outcome::Done { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(outcome, Outcome::Retry { uncertain: true, .. }), "{outcome:?}");
    let mut rest = Vec::new();
    timeout(PATIENCE, ada.0.read_to_end(&mut rest)).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn line_that_is_too_long_is_told_and_the_next_one_stored() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({})).await;
    let mut ada = Person::named(address, "ada").await;
    ada.say(&"x".repeat(200_000)).await;
    ada.say("short").await;
    assert!(ada.hears().await.starts_with("* a line may have 10000 characters"));
    fake.wait_for("the short line", |fake| said(fake) == [pair("1", "short")]).await;
}

#[tokio::test]
async fn name_that_is_none_is_asked_again() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({})).await;
    let mut person = Person::connect(address).await;
    assert_eq!(person.hears().await, "* who are you?");
    person.say("the one and only").await;
    assert!(person.hears().await.starts_with("* a name has"));
    person.say("ada").await;
    assert_eq!(person.hears().await, "* hello ada");
}

#[tokio::test]
async fn people_beyond_the_bound_are_turned_away() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({"max_connections": 1})).await;
    let _ada = Person::named(address, "ada").await;
    let mut grace = Person::connect(address).await;
    assert_eq!(grace.hears().await, "* full; please come again later");
    assert_eq!(grace.hears().await, "");
}

#[tokio::test]
async fn person_who_is_silent_for_long_is_shown_out() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({"idle_minutes": 0.002})).await;
    let mut ada = Person::named(address, "ada").await;
    assert!(ada.hears().await.starts_with("* you were silent"));
    assert_eq!(ada.hears().await, "");
}

#[tokio::test]
async fn stop_stores_what_was_said_and_says_goodbye() {
    let fake = FakeHost::new("lobby");
    let (chat, address) = chat_with(&fake, json!({})).await;
    let mut ada = Person::named(address, "ada").await;
    ada.say("last words").await;
    fake.wait_for("the message", |fake| fake.ingested().len() == 1).await;
    fake.stop();
    timeout(PATIENCE, chat.stop()).await.expect("stop ends");
    assert!(chat.inbox_open.get().unwrap().has_changed().is_err(), "the inbox is emptied");
    assert!(ada.hears().await.starts_with("* the chat closes"));
    assert_eq!(ada.hears().await, "");
    assert!(TcpStream::connect(address).await.is_err(), "the door is closed");
}

#[tokio::test]
async fn start_on_a_port_that_is_taken_says_so() {
    let fake = FakeHost::new("lobby");
    let (_chat, address) = chat_with(&fake, json!({})).await;
    let settings = serde_json::from_value(json!({"listen": address.to_string()})).unwrap();
    let error = TcpChat::new(settings, fake.host()).unwrap().start().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("listen: {address} cannot be listened on")), "{error}");
}

#[test]
fn settings_with_a_wrong_address_are_refused_by_name() {
    let settings = serde_json::from_value(json!({"listen": "7007"})).unwrap();
    let error = TcpChat::new(settings, FakeHost::new("lobby").host()).err().unwrap().to_string();
    assert!(error.starts_with("listen: \"7007\" is no address"), "{error}");
}

#[tokio::test]
async fn jobs_that_are_no_deliveries_are_refused() {
    let fake = FakeHost::new("lobby");
    let (chat, _) = chat_with(&fake, json!({})).await;
    assert_eq!(chat.handle(fake.turn("hi")).await, Outcome::discard("this plugin delivers only"));
}
