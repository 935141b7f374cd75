//! The host is killed again and again while a bridge and an agent fail, hang and refuse; afterwards everything must be as if nothing had
//! happened. Whatever anybody was told is stored is written down, and compared in the end.
//!
//! `ARCUATE_STORM_ROUNDS` (20) kills, with the luck of `ARCUATE_STORM_SEED` (1): 200 rounds are the long way.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::chance::{draw, number_of};
use arcuate_tests::client::Client;
use arcuate_tests::events::Stream;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::php::PhpBridge;
use arcuate_tests::visitor::{Heard, Visitor};
use arcuate_tests::wait::until_async;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// For all that waits to be done when the storm is over.
const CALM: Duration = Duration::from_secs(120);
/// At the PHP bridge, and at the host's own.
const VISITORS: [u64; 2] = [12, 4];
const END: &str = "the end";

const CONFIG: &str = r#"
[queue]
max_attempts = 1000
[[routes]]
from = "*"
to = "assistant"
"#;

/// What somebody said, and what is known of it.
#[derive(Debug)]
struct Words {
    text: String,
    /// The number that it was acknowledged with; None: no answer came, so it may be there or not.
    id: Option<i64>,
}

/// The same for everybody who says things in a storm.
#[derive(Clone)]
struct Weather {
    seed: u64,
    is_over: watch::Receiver<bool>,
}

impl Weather {
    /// Says things until the storm is over.
    async fn talk<F: Future<Output = Option<i64>>>(self, name: String, say: impl Fn(String) -> F) -> Vec<Words> {
        let mut words = Vec::new();
        while !*self.is_over.borrow() {
            let text = format!("{name}/{} & <so> \"on\", it's 👋", words.len());
            let id = say(text.clone()).await;
            sleep(self.moment(&text, 1000)).await;
            words.push(Words { text, id });
        }
        words
    }

    /// Up to so many milliseconds.
    fn moment(&self, what: &str, most: u64) -> Duration {
        Duration::from_millis(draw(self.seed, what) % most)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_of_kills_and_faults_loses_nothing_and_says_nothing_twice() {
    let Some(bridge) = PhpBridge::start_faulty("the storm over the PHP bridge").await else { return };
    let (seed, rounds) = (number_of("ARCUATE_STORM_SEED", 1), number_of("ARCUATE_STORM_ROUNDS", 20));
    eprintln!("this storm again: ARCUATE_STORM_SEED={seed} ARCUATE_STORM_ROUNDS={rounds}");
    let takes = Duration::from_millis(50);
    let agent = Agent::start(Manner { takes, seed, faults: 0.15, ..Manner::default() }).await;
    let plugins = format!("{}{}", bridge.plugin("timeout = 1"), agent.plugin("timeout = 2"));
    let mut host = Setup::new(&format!("{CONFIG}{plugins}")).steady_port().start().await;
    let created = host.post("/api/v1/rooms", &json!({ "name": "storm" })).await.ok();
    let room = created["id"].as_str().expect("a room's id").to_owned();
    bridge.misbehave(&json!({ "seed": seed, "rate": 0.15, "hang_seconds": 1.5, "retry_after": 1 }));

    let (over, is_over) = watch::channel(false);
    let weather = Weather { seed, is_over };
    let web = (0..VISITORS[0]).map(|index| bridge.visitor(&format!("web_{index}")));
    let web = talking(&weather, web.collect());
    let native = (0..VISITORS[1]).map(|index| Visitor::new(host.client(), &format!("native_{index}")));
    let native = talking(&weather, native.collect());
    let posts = tokio::spawn(post(weather.clone(), host.client().clone(), room.clone()));
    let reader = tokio::spawn(read(host.client().clone(), room.clone()));

    for round in 0..rounds {
        let moment = weather.moment(&format!("kill {round}"), 1500);
        // Some in the middle of the work, the others at any moment, also while it starts.
        if round % 2 == 0 {
            host.until_listening().await;
        }
        sleep(moment).await;
        host.kill_9();
        host.spawn_again();
    }
    host.until_listening().await;
    let faults = bridge.counts();
    bridge.behave();
    agent.behave();
    over.send_replace(true);

    let (mut log, mut at_php) = (HashMap::new(), 0);
    for (visitor, words) in web {
        let words = words.await.expect("a visitor of the PHP bridge");
        at_php += words.len();
        let heard = visitor.hears_within(words.len(), CALM).await;
        assert_each_answered_once(&visitor, &words, &heard);
    }
    for (visitor, words) in native {
        let words = words.await.expect("a visitor of the host's bridge");
        let acknowledged = words.iter().filter_map(|words| Some((words.id?, words.text.clone())));
        log.extend(acknowledged);
        let look = || all_answered(&visitor, &words);
        let heard = until_async("a visitor of the host's bridge hears all answers", CALM, look).await;
        assert_each_answered_once(&visitor, &words, &heard);
    }
    let posted = posts.await.expect("somebody who posts");
    log.extend(posted.iter().filter_map(|words| Some((words.id?, words.text.clone()))));
    assert_nothing_waits(&host).await;

    agent.assert_one_key_per_message();
    assert_log_is_whole(&host, &room, &log, &reader.await.expect("a reader of the room")).await;
    assert!(!host.log().contains("panicked"), "a panic is in the log");
    let faulty = agent.calls().iter().filter(|call| call.fault.is_some()).count();
    let total = faults["faults"].as_object().map_or(0, |actions| actions.values().map(sum).sum());
    let acknowledged = log.len();
    eprintln!(
        "{at_php} messages at the PHP bridge, {acknowledged} at the host, {faulty} faults of the agent, {faults}"
    );
    assert!(faulty > 0 && total > 0, "it was no storm: {faulty} faults of the agent, {total} of the bridge");
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn talking(weather: &Weather, visitors: Vec<Visitor>) -> Vec<(Visitor, JoinHandle<Vec<Words>>)> {
    let talk = |visitor: Visitor| {
        let (name, weather, talker) = (visitor.session.clone(), weather.clone(), visitor.clone());
        let say = move |text: String| {
            let talker = talker.clone();
            async move { talker.try_to_say(&text).await.map(|said| said.id) }
        };
        (visitor, tokio::spawn(weather.talk(name, say)))
    };
    visitors.into_iter().map(talk).collect()
}

async fn post(weather: Weather, client: Client, room: String) -> Vec<Words> {
    let path = format!("/api/v1/rooms/{room}/messages");
    let say = |text: String| {
        let asked = client.post(&path, &json!({ "sender": "poster", "content": text }));
        async move { asked.attempt().await.ok()?.ok()["seq"].as_i64() }
    };
    let mut words = weather.talk("poster".into(), &say).await;
    let mut id = None;
    while id.is_none() {
        id = say(END.into()).await;
    }
    words.push(Words { text: END.into(), id });
    words
}

/// All events of the room, over as many streams as it takes.
async fn read(client: Client, room: String) -> Vec<(i64, String)> {
    let (mut events, mut last) = (Vec::new(), 0);
    loop {
        let Some(mut stream) = Stream::try_open(&client, &room, last).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        while let Some(event) = stream.next_real().await {
            last = event.id.expect("a durable event has a number");
            if event.name == "message" {
                events.push((last, event.content().to_owned()));
                if event.content() == END {
                    return events;
                }
            }
        }
    }
}

/// None while an answer is missing.
async fn all_answered(visitor: &Visitor, words: &[Words]) -> Option<Vec<Heard>> {
    let heard = visitor.answers().await;
    let is_answered = |words: &&Words| heard.iter().any(|answer| answer.text == answer_to(words));
    let missing = words.iter().filter(|words| words.id.is_some()).find(|words| !is_answered(words));
    missing.is_none().then_some(heard)
}

fn answer_to(words: &Words) -> String {
    format!("re: {}", words.text)
}

fn assert_each_answered_once(visitor: &Visitor, words: &[Words], heard: &[Heard]) {
    let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
    heard.iter().for_each(|answer| *answers.entry(&answer.text).or_default() += 1);
    for words in words {
        let count = answers.remove(answer_to(words).as_str()).unwrap_or_default();
        let wanted = if words.id.is_some() { 1..=1 } else { 0..=1 };
        assert!(wanted.contains(&count), "{}: {words:?} has {count} answers: {heard:#?}", visitor.session);
    }
    assert!(answers.is_empty(), "{} heard answers to what was never said: {answers:#?}", visitor.session);
    let asked: Vec<_> = heard.iter().map(|answer| answer.asked).collect();
    assert!(asked.is_sorted(), "{} heard the answers in another order: {asked:?}", visitor.session);
}

/// No job is left over, whatever it came through.
async fn assert_nothing_waits(host: &Host) {
    let look = || async {
        let queue = host.get("/ready").await.ok()["queue"].clone();
        (queue["pending"] == 0 && queue["processing"] == 0).then_some(queue)
    };
    let queue = until_async("the queue is empty", CALM, look).await;
    let failed = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
    assert_eq!(queue["failed"], 0, "{failed:#}");
}

/// What was acknowledged is under its number, each message of a conversation is there once with one answer, and a reader saw all of it.
async fn assert_log_is_whole(host: &Host, room: &str, acknowledged: &HashMap<i64, String>, seen: &[(i64, String)]) {
    let mut stored = messages(host, room).await;
    let in_room: Vec<(i64, String)> = stored.clone();
    assert_eq!(seen, in_room, "the reader saw each message of the room once, in order");
    let mut conversations = 0;
    for conversation in pages(host, "/api/v1/conversations", "conversations").await {
        let messages = messages(host, conversation["room_id"].as_str().expect("a room's id")).await;
        let (answers, questions): (Vec<_>, Vec<_>) = messages.iter().partition(|(_, text)| text.starts_with("re: "));
        let answered: Vec<String> = questions.iter().map(|(_, text)| format!("re: {text}")).collect();
        let answers: Vec<String> = answers.into_iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(answers, answered, "each message of a conversation is stored once, with one answer, in order");
        stored.extend(messages);
        conversations += 1;
    }
    assert_eq!(conversations, VISITORS.iter().sum::<u64>());
    let count = stored.len();
    let stored: HashMap<i64, String> = stored.into_iter().collect();
    assert_eq!(stored.len(), count, "no number was given twice");
    for (seq, text) in acknowledged {
        assert_eq!(stored.get(seq), Some(text), "what was acknowledged as {seq}");
    }
}

async fn messages(host: &Host, room: &str) -> Vec<(i64, String)> {
    let mut messages = Vec::new();
    loop {
        let after = messages.last().map_or(0, |(seq, _)| *seq);
        let page = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500&after={after}")).await.ok();
        let page = page.as_array().expect("a list of messages");
        let text = |message: &Value| message["content"].as_str().expect("a text").to_owned();
        messages.extend(page.iter().map(|message| (message["seq"].as_i64().expect("a number"), text(message))));
        if page.is_empty() {
            return messages;
        }
    }
}

async fn pages(host: &Host, path: &str, name: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("{path}?limit=100{cursor}")).await.ok();
        all.extend(page[name].as_array().expect("a list").iter().cloned());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}
