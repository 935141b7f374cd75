//! Those who say things in a storm, each at a pace of their own, and write down what they were told; and one who reads all the while.

use crate::chance::draw;
use crate::client::Client;
use crate::events::Stream;
use crate::visitor::Visitor;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The last words in the room.
const END: &str = "the end";

/// What somebody said, and what is known of it.
#[derive(Debug)]
pub struct Words {
    pub text: String,
    /// The number that it was acknowledged with; None: no answer came, so it may be there or not.
    pub id: Option<i64>,
}

/// A visitor, and what they will have said.
pub struct Talking {
    pub visitor: Visitor,
    pub words: JoinHandle<Vec<Words>>,
}

/// The same for everybody who does things in a storm.
#[derive(Clone)]
pub struct Weather {
    pub seed: u64,
    pub is_over: watch::Receiver<bool>,
}

impl Weather {
    /// Up to so many milliseconds.
    pub fn moment(&self, what: &str, most: u64) -> Duration {
        Duration::from_millis(draw(self.seed, what) % most)
    }

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
}

pub fn talk(weather: &Weather, visitor: Visitor) -> Talking {
    let (name, talker) = (visitor.session.clone(), visitor.clone());
    let say = move |text: String| {
        let talker = talker.clone();
        async move { talker.try_to_say(&text).await.map(|said| said.id) }
    };
    Talking { visitor, words: tokio::spawn(weather.clone().talk(name, say)) }
}

/// Posts in the room; the last post is the end.
pub async fn post(weather: Weather, client: Client, room: String) -> Vec<Words> {
    let path = format!("/api/v1/rooms/{room}/messages");
    let say = |text: String| {
        let asked = client.post(&path, &json!({ "sender": "poster", "content": text }));
        async move {
            let answer = asked.attempt().await.ok().filter(|answer| answer.status == 200)?;
            answer.json()["seq"].as_i64()
        }
    };
    let mut words = weather.talk("poster".into(), &say).await;
    let mut id = None;
    while id.is_none() {
        id = say(END.into()).await;
    }
    words.push(Words { text: END.into(), id });
    words
}

/// All messages of the room up to the end, over as many streams as it takes.
pub async fn read(client: Client, room: String) -> Vec<(i64, String)> {
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
