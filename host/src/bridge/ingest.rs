//! What plugins bring in: a page of messages, checked one by one, written in one transaction with the cursors that go with it.

use super::routes::turn_for;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::store::{Arrival, Store, Turn, Tx};
use plugin_api::types::{Batch, Incoming, IncomingMessage, Ingested, Outcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const ITEMS: usize = 1000;
const PUTS: usize = 100;
/// Bytes of a row that could not be read, as they are kept.
const RAW_BYTES: usize = 256 * 1024;
pub const CONTENT_CHARACTERS: usize = 10_000;
/// Lanes of dead letters, before their job's id: rows that the plugin could not read, and messages that the host refused.
const PLUGINS_LANE: &str = "ingest";
const HOSTS_LANE: &str = "message";

/// A refused message as its dead letter holds it.
#[derive(Deserialize)]
struct Kept {
    platform: String,
    message: IncomingMessage,
}

/// One result per item, in their order.
pub async fn ingest(store: &Store, config: Arc<Config>, instance: &str, batch: Batch) -> Result<Vec<Ingested>> {
    check_batch(&batch)?;
    let (instance, batch) = (instance.to_owned(), Arc::new(batch));
    store
        .write_patiently(move |tx| {
            let results = batch.items.iter().map(|item| take(tx, &config, &instance, &batch.platform, item));
            let results = results.collect::<Result<Vec<_>>>()?;
            for (key, value) in &batch.puts {
                let value = (!value.is_null()).then(|| value.to_string());
                tx.kv_put(&instance, key, value.as_deref())?;
            }
            Ok(results)
        })
        .await
}

fn check_batch(batch: &Batch) -> Result<()> {
    let refuse = |text: String| Err(Error::Invalid(text));
    if batch.items.len() > ITEMS || batch.puts.len() > PUTS {
        return refuse(format!("a batch has at most {ITEMS} items and {PUTS} puts"));
    }
    if batch.platform.is_empty() || batch.platform.len() > 64 || batch.platform.contains('\0') {
        return refuse("a batch names its platform, in 1 to 64 bytes".into());
    }
    batch.puts.iter().try_for_each(|(key, value)| check_kv(key, value))
}

/// Bounds of a plugin's stored values.
pub fn check_kv(key: &str, value: &Value) -> Result<()> {
    if key.is_empty() || key.len() > 255 {
        return Err(Error::Invalid("a key has 1 to 255 bytes".into()));
    }
    if value.to_string().len() > 64 * 1024 {
        return Err(Error::Invalid(format!("the value of `{key}` is larger than 64 KiB")));
    }
    Ok(())
}

fn take(tx: &mut Tx<'_>, config: &Config, instance: &str, platform: &str, item: &Incoming) -> Result<Ingested> {
    match item {
        Incoming::Malformed { raw, why } => reject(tx, instance, &raw_key(raw), PLUGINS_LANE, raw, why),
        Incoming::Message(message) => match arrival(instance, platform, message) {
            Ok(arrival) => {
                let turn = match message.silent {
                    true => Turn::Nobody,
                    false => turn_for(config, instance, platform, &message.platform_user_id, &message.content),
                };
                Ok(match tx.arrive(&arrival, &turn)? {
                    Some(arrived) => Ingested::New { message_id: arrived.message.id.to_string() },
                    None => Ingested::Duplicate,
                })
            }
            Err(why) => {
                let raw = json!({ "platform": platform, "message": message }).to_string();
                let known = !message.external_id.is_empty() && message.external_id.len() <= 512;
                let key = if known { message.external_id.clone() } else { raw_key(&raw) };
                reject(tx, instance, &key, HOSTS_LANE, &raw, &why)
            }
        },
    }
}

fn reject(tx: &mut Tx<'_>, instance: &str, key: &str, lane: &str, raw: &str, why: &str) -> Result<Ingested> {
    let raw = &raw[..raw.floor_char_boundary(RAW_BYTES)];
    if tx.keep_malformed(instance, key, lane, raw, why)? {
        tracing::warn!(plugin.name = instance, "a row could not be taken and is kept as a dead letter: {why}");
        Ok(Ingested::Rejected { why: why.into() })
    } else {
        Ok(Ingested::Duplicate)
    }
}

/// Whether the host itself refused the message of a dead letter: then no plugin knows how to read it.
pub fn is_hosts(lane: &str) -> bool {
    lane.split(':').next() == Some(HOSTS_LANE)
}

/// Looks again at a message that the host refused when it came; an operator asks for it.
pub async fn again(store: &Store, config: &Config, instance: &str, kept: &str) -> Outcome {
    let refused = |why: &str| Outcome::discard(format!("the message still cannot be taken: {why}"));
    let Ok(Kept { platform, message }) = serde_json::from_str(kept) else {
        return refused(&format!("it was too long to be kept whole; at most {RAW_BYTES} bytes are"));
    };
    let arrival = match arrival(instance, &platform, &message) {
        Ok(arrival) => arrival,
        Err(why) => return refused(&why),
    };
    let turn = if message.silent {
        Turn::Nobody
    } else {
        turn_for(config, instance, &platform, &arrival.platform_user_id, &arrival.content)
    };
    match store.write_patiently(move |tx| tx.arrive_after_all(&arrival, &turn)).await {
        Ok(_) => Outcome::done(),
        Err(error) => Outcome::retry(format!("it cannot be stored: {error}")),
    }
}

fn raw_key(raw: &str) -> String {
    Sha256::digest(raw.as_bytes()).iter().fold("raw:".to_owned(), |key, byte| key + &format!("{byte:02x}"))
}

/// The message within its bounds, or what is wrong with it.
fn arrival(instance: &str, platform: &str, message: &IncomingMessage) -> Result<Arrival, String> {
    let IncomingMessage {
        external_id, conversation, platform_user_id, username, display_name, content, metadata, ..
    } = message;
    let ids = [
        ("external_id", external_id, 512),
        ("conversation", conversation, 255),
        ("platform_user_id", platform_user_id, 255),
    ];
    for (name, text, most) in ids {
        if text.is_empty() || text.len() > most || text.contains('\0') {
            return Err(format!("{name} must have 1 to {most} bytes, without NUL"));
        }
    }
    let length = content.chars().count();
    if content.trim().is_empty() || length > CONTENT_CHARACTERS || content.contains('\0') {
        return Err(format!("the text must have 1 to {CONTENT_CHARACTERS} characters, without NUL; it has {length}"));
    }
    let metadata = match metadata {
        Value::Null => Map::new(),
        Value::Object(fields) if metadata.to_string().len() <= 64 * 1024 => fields.clone(),
        _ => return Err("metadata must be an object of at most 64 KiB".into()),
    };
    // A name is for people to read: a longer one is cut rather than refused.
    let name = |text: &str, otherwise: &str| -> String {
        let text = if text.trim().is_empty() { otherwise } else { text };
        text.trim().chars().filter(|letter| *letter != '\0').take(100).collect()
    };
    let username = name(username, platform_user_id);
    Ok(Arrival {
        instance: instance.into(),
        platform: platform.into(),
        platform_user_id: platform_user_id.clone(),
        display_name: name(display_name, &username),
        username,
        conversation: conversation.clone(),
        external_id: Some(external_id.clone()),
        content: content.clone(),
        metadata,
        ip_address: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{JobFilter, Options};

    fn store(folder: &std::path::Path) -> Store {
        let path = folder.join("arcuate.db");
        let options = Options { path, full_durability: false, readers: 1, existing: false };
        Store::open(&options, Arc::default()).unwrap().0
    }

    fn message(content: &str) -> IncomingMessage {
        serde_json::from_value(json!({
            "external_id": "session_1/7/", "conversation": "session_1", "platform_user_id": "7", "content": content,
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn message_that_the_host_refused_is_read_again_by_the_host_and_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, config) = (store(folder.path()), Arc::new(Config::default()));
        let items = vec![Incoming::Message(Box::new(message(&"é".repeat(CONTENT_CHARACTERS + 1))))];
        let batch = Batch { platform: "web_chat".into(), items, puts: Vec::new() };
        let results = ingest(&store, config.clone(), "web_chat", batch).await.unwrap();
        assert!(matches!(&results[..], [Ingested::Rejected { why }] if why.contains("10000")), "{results:?}");
        let job = store.read(|read| read.jobs(&JobFilter::default(), None, 10)).await.unwrap().0.remove(0);
        assert!(is_hosts(&job.lane) && job.kind == "ingest", "{job:?}");
        let Outcome::Discard { why, .. } = again(&store, &config, "web_chat", &job.payload).await else {
            panic!("it is still too long")
        };
        assert!(why.contains("still cannot be taken") && why.contains("10000 characters"), "{why}");

        // As if its bound had grown since.
        let kept = json!({ "platform": "web_chat", "message": message("short") }).to_string();
        for _ in 0..2 {
            assert_eq!(again(&store, &config, "web_chat", &kept).await, Outcome::done());
        }
        let events = store.read(|read| read.all_events(0, 10)).await.unwrap();
        assert_eq!(events.len(), 1, "once");
        assert!(matches!(again(&store, &config, "web_chat", "{").await, Outcome::Discard { .. }));
    }

    #[test]
    fn rows_of_plugins_are_not_the_hosts() {
        assert!(is_hosts("message:0198c0de") && !is_hosts("ingest:0198c0de") && !is_hosts("messages"));
    }
}
