//! A visitor of a web chat, in front of the PHP bridge or of the host's own bridge API, which browsers cannot tell apart.

use crate::client::{Asked, Client};
use crate::wait::{PATIENCE, until_async};
use serde_json::{Value, json};
use std::time::Duration;

/// One session.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub session: String,
    client: Client,
}

/// What the bridge said about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub id: i64,
    pub uid: String,
    pub is_new_user: bool,
}

/// An answer as the visitor reads it: decoded once, as browsers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub id: i64,
    pub text: String,
    /// The message that it answers.
    pub asked: Option<i64>,
}

impl Visitor {
    pub fn new(client: &Client, session: &str) -> Self {
        Self { session: session.into(), client: client.clone() }
    }

    /// A request that sends this text.
    pub fn message(&self, text: &str) -> Asked {
        self.client.post("/api/v1/?action=messages", &json!({ "session_id": self.session, "message": text }))
    }

    pub async fn say(&self, text: &str) -> Said {
        said(&self.message(text).await.data())
    }

    /// The same, if the bridge is there and answers.
    pub async fn try_to_say(&self, text: &str) -> Option<Said> {
        let answer = self.message(text).attempt().await.ok()?;
        (answer.status == 200).then(|| said(&answer.data()))
    }

    /// All answers so far, in the order of their ids.
    pub async fn answers(&self) -> Vec<Heard> {
        let mut heard: Vec<Heard> = Vec::new();
        loop {
            let page = self.answers_after(heard.last()).await;
            let new: Vec<Heard> = page.into_iter().filter(|answer| !heard.contains(answer)).collect();
            if new.is_empty() {
                return heard;
            }
            heard.extend(new);
        }
    }

    /// The PHP bridge gives all at once; the host gives 100, and goes on `after` an id, which PHP ignores.
    async fn answers_after(&self, last: Option<&Heard>) -> Vec<Heard> {
        let after = last.map_or(String::new(), |last| format!("&after={}", last.id));
        let path = format!("/api/v1/?action=responses&session_id={}{after}", self.session);
        let data = self.client.get(&path).await.data();
        data["responses"].as_array().expect("a list of responses").iter().map(heard).collect()
    }

    /// Waits until there are so many answers.
    pub async fn hears(&self, count: usize) -> Vec<Heard> {
        self.hears_within(count, PATIENCE).await
    }

    pub async fn hears_within(&self, count: usize, patience: Duration) -> Vec<Heard> {
        let what = format!("{} hears {count} answers", self.session);
        let look = || async {
            let heard = self.answers().await;
            (heard.len() >= count).then_some(heard)
        };
        let heard = until_async(&what, patience, look).await;
        assert_eq!(heard.len(), count, "{} heard more than was asked for: {heard:#?}", self.session);
        heard
    }
}

fn said(data: &Value) -> Said {
    Said {
        id: data["message_id"].as_i64().expect("a message's id"),
        uid: data["uid"].as_str().expect("a uid").into(),
        is_new_user: data["is_new_user"].as_bool().expect("whether the visitor is new"),
    }
}

fn heard(response: &Value) -> Heard {
    Heard {
        id: response["id"].as_i64().expect("a response's id"),
        text: decode(response["response"].as_str().expect("a response's text")),
        asked: response["message_id"].as_i64(),
    }
}

/// What a browser makes of a text that was escaped once.
pub fn decode(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#039;", "'")];
    // The ampersand last: what it frees must not be taken for an entity.
    named.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter)).replace("&amp;", "&")
}
