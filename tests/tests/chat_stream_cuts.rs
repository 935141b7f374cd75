//! A reader whose connection is cut at random, again and again, while eight writers write, edit and delete: it sees every event once.

use arcuate_tests::chance::draw;
use arcuate_tests::client::Client;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const WRITERS: usize = 8;
const DEEDS: usize = 10_000;
const CUTS: u64 = 100;
/// For a machine that has much else to do; alone it takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a writer did, by the event that tells of it and the message it was done to.
type Deed = (&'static str, String);

/// One of the writers: every fourth deed changes an earlier message of its own, every eighth takes one away.
async fn write(client: Client, path: String, writer: usize) -> Vec<Deed> {
    let (sender, mut deeds, mut mine) = (format!("writer {writer}"), Vec::new(), Vec::<String>::new());
    for number in 0..DEEDS / WRITERS {
        let earlier = (!mine.is_empty()).then(|| draw(7, &format!("{writer} {number}")) as usize % mine.len().max(1));
        let (event, answer) = match (number % 8, earlier) {
            (7, Some(index)) => {
                let gone = format!("{path}/{}?sender=writer%20{writer}", mine.swap_remove(index));
                ("message_deleted", (gone.clone(), client.ask(Method::DELETE, &gone).await))
            }
            (3, Some(index)) => {
                let (changed, body) =
                    (format!("{path}/{}", mine[index]), json!({ "sender": sender, "content": "edited" }));
                ("message_edited", (changed.clone(), client.ask(Method::PUT, &changed).json(&body).await))
            }
            _ => {
                ("message", (String::new(), client.post(&path, &json!({ "sender": sender, "content": "said" })).await))
            }
        };
        let (address, answer) = answer;
        let id = match answer.ok()["id"].as_str() {
            Some(id) => id.to_owned(),
            None => address[path.len() + 1..].split('?').next().unwrap_or_default().to_owned(),
        };
        if event == "message" {
            mine.push(id.clone());
        }
        deeds.push((event, id));
    }
    deeds
}

/// What a reader has seen: number, name and message of each event.
#[derive(Default)]
struct Seen {
    events: Vec<(i64, String, String)>,
}

impl Seen {
    fn last(&self) -> i64 {
        self.events.last().map_or(0, |event| event.0)
    }

    /// Takes the whole events of what was received; half of one is lost with the connection.
    fn take(&mut self, text: &str) {
        let Some((whole, _)) = text.rsplit_once("\n\n") else { return };
        for block in whole.split("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            let (Some(id), Some(event), Some(data)) = (field("id:"), field("event:"), field("data:")) else { continue };
            let data: Value = serde_json::from_str(data).expect("data is JSON");
            if event.starts_with("message") {
                let message = data["id"].as_str().expect("a message's id").to_owned();
                self.events.push((id.parse().expect("a number"), event.to_owned(), message));
            }
        }
    }
}

/// Reads until the connection is cut after `patience`, in the middle of whatever comes.
async fn read(port: u16, path: &str, after: i64, patience: Duration) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    // Without chunks, so that a cut can fall anywhere and what came before it can be read as it is.
    let head = format!("GET {path} HTTP/1.0\r\nlast-event-id: {after}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("a request");
    let (mut received, mut portion) = (Vec::new(), [0; 16 * 1024]);
    let reading = async {
        while let Ok(count @ 1..) = socket.read(&mut portion).await {
            received.extend_from_slice(&portion[..count]);
        }
    };
    let _ = timeout(patience, reading).await;
    let text = String::from_utf8_lossy(&received).into_owned();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_that_is_cut_a_hundred_times_sees_every_deed_once_and_in_order() {
    let host = Host::start("[store]\ndurability = \"normal\"").await;
    let room = host.room("room").await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let client = host.client().clone().keeping_connections();
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(client.clone(), path.clone(), writer))).collect();
    let readers = [format!("/api/v1/rooms/{room}/stream"), "/api/v1/stream".to_owned()].map(|path| {
        let port = host.port();
        tokio::spawn(async move {
            let mut seen = Seen::default();
            for cut in 0..CUTS {
                let patience = Duration::from_millis(draw(cut, &path) % 50);
                let text = read(port, &path, seen.last(), patience).await;
                seen.take(&text);
            }
            while seen.events.len() < DEEDS {
                let text = read(port, &path, seen.last(), Duration::from_millis(300)).await;
                seen.take(&text);
            }
            seen.events
        })
    });
    let mut done = Vec::new();
    for writer in writers {
        done.extend(timeout(PATIENCE, writer).await.expect("a writer ends").expect("it writes"));
    }
    done.sort();
    for reader in readers {
        let events = timeout(PATIENCE, reader).await.expect("a reader ends").expect("it reads");
        assert!(events.is_sorted_by(|a, b| a.0 < b.0), "in order, and none twice");
        let mut seen: Vec<(&str, &str)> = events.iter().map(|(_, name, id)| (name.as_str(), id.as_str())).collect();
        seen.sort_unstable();
        let done: Vec<(&str, &str)> = done.iter().map(|(event, id)| (*event, id.as_str())).collect();
        assert_eq!(seen.len(), done.len());
        assert!(seen == done, "each deed is seen as what it was");
    }
}
