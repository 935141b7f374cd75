//! Rows of the bridge on their way into the host: what a row becomes, and the promise that a page is stored before anything else happens.

use crate::config::Config;
use crate::entities;
use crate::health::{Health, Part};
use crate::protocol::{Row, Word};
use crate::settings::HtmlEntities;
use crate::time;
use plugin_api::{Batch, Host, Incoming, IncomingMessage, Ingested, Outcome};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Waits between attempts to store a page, which doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Characters of the platform user id in a display name.
const SHORT_ID: usize = 8;

pub(crate) struct Intake {
    host: Host,
    config: Arc<Config>,
    health: Arc<Health>,
}

/// What became of a page.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stored {
    pub new: usize,
    pub duplicate: usize,
    pub rejected: usize,
}

impl Intake {
    pub(crate) fn new(host: Host, config: Arc<Config>, health: Arc<Health>) -> Self {
        Self { host, config, health }
    }

    /// A row of the inbox, which says by itself where it belongs.
    pub(crate) fn inbox_row(&self, raw: &RawValue) -> Incoming {
        let read = serde_json::from_str::<Row>(raw.get()).map_err(|error| error.to_string());
        let message = read.and_then(|row| {
            let session = row.session_id.clone().ok_or("session_id: missing")?;
            let uid = row.uid.clone();
            self.message(row, &session, uid.as_ref(), false)
        });
        message.unwrap_or_else(|why| Incoming::Malformed { raw: raw.get().to_owned(), why })
    }

    /// A message of a session, or why it is none. The same one has the same key wherever it was read.
    pub(crate) fn message(
        &self,
        row: Row,
        session: &Word,
        uid: Option<&Word>,
        silent: bool,
    ) -> Result<Incoming, String> {
        let empty = |word: &Word| word.0.trim().is_empty();
        if empty(session) || empty(&row.id) {
            return Err(if empty(session) { "session_id: empty" } else { "id: empty" }.into());
        }
        let timestamp = row.timestamp.map(|timestamp| time::canonical(&timestamp.0)).unwrap_or_default();
        let uid = uid.filter(|uid| !empty(uid));
        let platform_user_id = &uid.unwrap_or(session).0;
        let content = match self.config.html_entities {
            HtmlEntities::Decode => entities::decode(&row.message).into_owned(),
            HtmlEntities::Keep => row.message,
        };
        Ok(Incoming::Message(Box::new(IncomingMessage {
            external_id: external_id(session, &row.id, &timestamp),
            conversation: session.0.clone(),
            platform_user_id: platform_user_id.clone(),
            username: format!("web_user_{platform_user_id}"),
            display_name: format!("Web User ({})", platform_user_id.chars().take(SHORT_ID).collect::<String>()),
            content,
            metadata: json!({ "message_id": row.id, "uid": uid, "timestamp": timestamp }),
            silent,
        })))
    }

    /// Reads a row once more that could not be read when it came; an operator asks for it.
    pub(crate) async fn again(&self, raw: &str) -> Outcome {
        let unreadable = |why: &str| Outcome::discard(format!("the row still cannot be read: {why}"));
        let Ok(row) = RawValue::from_string(raw.to_owned()) else { return unreadable("it is not JSON") };
        let item = match self.inbox_row(&row) {
            Incoming::Malformed { why, .. } => return unreadable(&why),
            message => message,
        };
        let batch = Batch { platform: self.config.platform_name.clone(), items: vec![item], puts: Vec::new() };
        match self.host.ingest(batch).await.as_deref() {
            Ok([Ingested::Rejected { why }]) => unreadable(why),
            Ok(_) => Outcome::done(),
            Err(error) => Outcome::retry(format!("the host cannot store it: {error}")),
        }
    }

    /// Stores a page, however long it takes: to the bridge it is handed over, so it exists nowhere else. `None` if the instance ended first.
    pub(crate) async fn store(&self, items: Vec<Incoming>, puts: Vec<(String, Value)>) -> Option<Stored> {
        let batch = Batch { platform: self.config.platform_name.clone(), items, puts };
        let mut wait = FIRST_WAIT;
        let mut last_chance = false;
        loop {
            match self.host.ingest(batch.clone()).await {
                Ok(results) => {
                    self.health.over(Part::Store);
                    return Some(Stored::count(&results));
                }
                Err(error) if last_chance => {
                    tracing::error!(messages = batch.items.len(), %error, "the host could not store a page before the end");
                    return None;
                }
                Err(error) => {
                    self.health.trouble(Part::Store, &format!("the host cannot store messages, polling waits: {error}"))
                }
            }
            last_chance = !self.host.sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl Stored {
    fn count(results: &[Ingested]) -> Self {
        let mut stored = Self::default();
        for result in results {
            match result {
                Ingested::New { .. } => stored.new += 1,
                Ingested::Duplicate => stored.duplicate += 1,
                Ingested::Rejected { .. } => stored.rejected += 1,
            }
        }
        stored
    }
}

/// Ids start anew when a site is installed again, and sessions may come back under another visitor, so only all three are unique.
fn external_id(session: &Word, id: &Word, timestamp: &str) -> String {
    format!("{session}/{id}/{timestamp}")
}

/// The bridge's own id of a message, from the key that `external_id` made, if it is one of this session.
pub(crate) fn message_id(external_id: &str, session: &str) -> Option<Word> {
    let (id, _) = external_id.strip_prefix(session)?.strip_prefix('/')?.split_once('/')?;
    Some(Word(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use plugin_api::Secret;
    use plugin_api::testing::FakeHost;

    fn intake(fake: &FakeHost, html_entities: HtmlEntities) -> Intake {
        let (api_url, api_key) = (Some("http://127.0.0.1".into()), Secret::new("key"));
        let settings = Settings { api_url, api_key, html_entities, ..Settings::default() };
        let config = Config::new(settings, "web_chat", |_| None).unwrap();
        Intake::new(fake.host(), config.into(), Arc::new(Health::new(fake.host())))
    }

    fn read(row: Value, html_entities: HtmlEntities) -> Incoming {
        let raw = RawValue::from_string(row.to_string()).unwrap();
        intake(&FakeHost::new("web_chat"), html_entities).inbox_row(&raw)
    }

    fn message(row: Value) -> IncomingMessage {
        match read(row, HtmlEntities::Decode) {
            Incoming::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn row_given_back_by_an_operator_is_read_again() {
        let fake = FakeHost::new("web_chat");
        let intake = intake(&fake, HtmlEntities::Decode);
        let row = json!({"id": 7, "session_id": "s", "message": "hello", "timestamp": null, "uid": null}).to_string();
        assert_eq!(intake.again(&row).await, Outcome::done());
        assert_eq!(fake.ingested().len(), 1);
        fake.fail_next("no space");
        assert!(matches!(intake.again(&row).await, Outcome::Retry { .. }), "the host's trouble passes");
        for broken in ["{", r#"{"id": 1}"#] {
            assert!(matches!(intake.again(broken).await, Outcome::Discard { .. }), "{broken}");
        }
    }

    #[test]
    fn row_becomes_a_message_of_its_session() {
        let row = json!({"id": "7", "session_id": "session_1", "message": "it&#039;s &amp;lt;",
            "timestamp": "2026-02-03 04:05:06", "uid": "0123456789abcdef"});
        let expected = IncomingMessage {
            external_id: "session_1/7/2026-02-03T04:05:06Z".into(),
            conversation: "session_1".into(),
            platform_user_id: "0123456789abcdef".into(),
            username: "web_user_0123456789abcdef".into(),
            display_name: "Web User (01234567)".into(),
            content: "it's &lt;".into(),
            metadata: json!({"message_id": 7, "uid": "0123456789abcdef", "timestamp": "2026-02-03T04:05:06Z"}),
            silent: false,
        };
        assert_eq!(message(row), expected);
    }

    #[test]
    fn without_a_uid_the_session_stands_for_the_visitor() {
        for uid in [json!(null), json!(""), json!(" ")] {
            let message =
                message(json!({"id": 1, "session_id": "session_1", "message": "m", "timestamp": null, "uid": uid}));
            assert_eq!(
                (message.platform_user_id.as_str(), message.display_name.as_str()),
                ("session_1", "Web User (session_)")
            );
            assert_eq!(message.external_id, "session_1/1/");
        }
    }

    #[test]
    fn entities_are_kept_where_the_operator_wants_it() {
        let row = json!({"id": 1, "session_id": "s", "message": "&lt;b&gt;"});
        let Incoming::Message(message) = read(row, HtmlEntities::Keep) else { panic!("malformed") };
        assert_eq!(message.content, "&lt;b&gt;");
    }

    #[test]
    fn row_that_cannot_be_read_is_kept_with_its_text() {
        let rows = [
            (json!({"id": 1, "message": "m"}), "session_id: missing"),
            (json!({"id": 1, "session_id": "", "message": "m"}), "session_id: empty"),
            (json!({"id": "", "session_id": "s", "message": "m"}), "id: empty"),
            (json!({"id": 1, "session_id": "s"}), "missing field `message`"),
            (json!({"session_id": "s", "message": "m"}), "missing field `id`"),
            (json!({"id": {}, "session_id": "s", "message": "m"}), "expected text or a number"),
            (json!("row"), "invalid type"),
        ];
        for (row, expected) in rows {
            let Incoming::Malformed { raw, why } = read(row.clone(), HtmlEntities::Decode) else {
                panic!("{row} was read")
            };
            assert_eq!(raw, row.to_string());
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn message_id_is_found_in_the_key() {
        assert_eq!(message_id("session_1/7/2026-02-03T04:05:06Z", "session_1"), Some(Word("7".into())));
        assert_eq!(message_id("a/b/7/1/2", "a/b"), Some(Word("7".into())));
        assert_eq!(message_id("session_10/7/x", "session_1"), None);
        assert_eq!(message_id("elsewhere", "session_1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn page_is_stored_however_often_the_host_fails() {
        let fake = FakeHost::new("web_chat");
        let intake = intake(&fake, HtmlEntities::Decode);
        (0..20).for_each(|_| fake.fail_next("disk full"));
        let row = RawValue::from_string(json!({"id": 1, "session_id": "s", "message": "m"}).to_string()).unwrap();
        let stored = intake.store(vec![intake.inbox_row(&row)], vec![("k".into(), json!(1))]).await;
        assert_eq!(stored, Some(Stored { new: 1, ..Stored::default() }));
        assert_eq!((fake.ingested().len(), fake.value("k")), (1, Some(json!(1))));
        assert!(fake.health().unwrap().1.contains("disk full"));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_page_has_one_more_chance() {
        let fake = FakeHost::new("web_chat");
        let intake = intake(&fake, HtmlEntities::Decode);
        fake.stop();
        fake.fail_next("busy");
        let items = vec![Incoming::Malformed { raw: "x".into(), why: "y".into() }];
        assert_eq!(intake.store(items.clone(), Vec::new()).await, Some(Stored { rejected: 1, ..Stored::default() }));
        (0..2).for_each(|_| fake.fail_next("busy"));
        assert_eq!(intake.store(items, Vec::new()).await, None);
    }
}
