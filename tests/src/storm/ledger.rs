//! What was acknowledged, against what is there: nothing lost, nothing answered twice, nothing left over, no number given twice.

use super::people::Words;
use crate::host::Host;
use crate::receiver::Post;
use crate::visitor::{Heard, Visitor};
use crate::wait::until_async;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// What the host acknowledged, by the number that it gave.
#[derive(Default)]
pub struct Ledger {
    acknowledged: HashMap<i64, String>,
}

impl Ledger {
    /// Takes what somebody was told is stored; answers how much that is.
    pub fn note(&mut self, words: &[Words]) -> usize {
        let mut count = 0;
        for (id, text) in words.iter().filter_map(|words| Some((words.id?, &words.text))) {
            let before = self.acknowledged.insert(id, text.clone());
            assert!(before.is_none(), "{id} was given to `{before:?}` and to `{text}`");
            count += 1;
        }
        count
    }

    /// What was acknowledged is under its number, each message of a conversation is there once with one answer, and a reader saw all of it.
    pub async fn assert_log_is_whole(&self, host: &Host, room: &str, seen: &[(i64, String)], conversations: usize) {
        let mut stored = messages(host, room).await;
        assert_eq!(seen, stored, "the reader saw each message of the room once, in order");
        let listed = pages(host, "/api/v1/conversations", "conversations").await;
        assert_eq!(listed.len(), conversations, "{listed:#?}");
        for conversation in listed {
            let messages = messages(host, conversation["room_id"].as_str().expect("a room's id")).await;
            let (answers, questions): (Vec<_>, Vec<_>) =
                messages.iter().partition(|(_, text)| text.starts_with("re: "));
            let answered: Vec<String> = questions.iter().map(|(_, text)| format!("re: {text}")).collect();
            let answers: Vec<String> = answers.into_iter().map(|(_, text)| text.clone()).collect();
            assert_eq!(answers, answered, "each message of a conversation is stored once, with one answer, in order");
            stored.extend(messages);
        }
        let count = stored.len();
        let stored: HashMap<i64, String> = stored.into_iter().collect();
        assert_eq!(stored.len(), count, "no number was given twice");
        for (seq, text) in &self.acknowledged {
            assert_eq!(stored.get(seq), Some(text), "what was acknowledged as {seq}");
        }
    }

    /// Each message of the room was taken by the endpoint, under one id however often it came; answers how many.
    pub fn assert_events_delivered(&self, posts: &[Post], seen: &[(i64, String)]) -> usize {
        let mut ids: HashMap<i64, String> = HashMap::new();
        let mut taken = HashSet::new();
        for post in posts {
            let Some(seq) = post.json()["data"]["seq"].as_i64() else { continue };
            let id = post.header("webhook-id");
            assert_eq!(ids.entry(seq).or_insert_with(|| id.into()), id, "event {seq} came under two ids");
            if post.status == 200 {
                taken.insert(seq);
            }
        }
        let missing: Vec<_> = seen.iter().filter(|(seq, _)| !taken.contains(seq)).collect();
        assert!(missing.is_empty(), "the endpoint never got {missing:#?}");
        taken.len()
    }
}

/// All answers, once none is missing.
pub async fn hears_all(visitor: &Visitor, words: &[Words], patience: Duration) -> Vec<Heard> {
    let look = || async {
        let heard = visitor.answers().await;
        let texts: HashSet<&str> = heard.iter().map(|answer| answer.text.as_str()).collect();
        let mut acknowledged = words.iter().filter(|words| words.id.is_some());
        acknowledged.all(|words| texts.contains(answer_to(words).as_str())).then_some(heard)
    };
    until_async(&format!("{} hears all answers", visitor.session), patience, look).await
}

pub fn assert_each_answered_once(visitor: &Visitor, words: &[Words], heard: &[Heard]) {
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

fn answer_to(words: &Words) -> String {
    format!("re: {}", words.text)
}

/// No job is left over, whatever it came through.
pub async fn assert_nothing_waits(host: &Host, patience: Duration) {
    let look = || async {
        let queue = host.get("/ready").await.ok()["queue"].clone();
        (queue["pending"] == 0 && queue["processing"] == 0).then_some(queue)
    };
    let queue = until_async("the queue is empty", patience, look).await;
    let failed = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
    assert_eq!(queue["failed"], 0, "{failed:#}");
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
