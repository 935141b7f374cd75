//! What a worker is handed: a job's row becomes the work that it is about, with today's content of its message.

use super::{Read, sql_error, webhook_deliveries};
use crate::error::Result;
use crate::ids::{ConversationId, RoomId};
use plugin_api::types::{Delivery, InReplyTo, Message, Work};
use rusqlite::{OptionalExtension, Row};
use serde_json::Value;

impl Read<'_> {
    /// What a job other than a turn is about, with today's content of its message; None if that is gone.
    pub(super) fn work(&self, kind: &str, cause: Option<i64>, payload: &str) -> Result<Option<Work>> {
        let json = || serde_json::from_str::<Value>(payload).unwrap_or_default();
        match (kind, cause) {
            ("deliver", Some(cause)) => self.delivery(cause),
            (webhook_deliveries::KIND, _) => {
                Ok(self.webhook_work(payload)?.map(|webhook| Work::Webhook(Box::new(webhook))))
            }
            ("ingest", _) => Ok(Some(Work::Ingest { raw: payload.into() })),
            _ => Ok(Some(Work::Task { payload: json() })),
        }
    }

    fn delivery(&self, cause: i64) -> Result<Option<Work>> {
        let sql = "select m.json, c.id, c.external_id, r.id, q.json
                   from messages m join conversations c on c.room = m.room join rooms r on r.key = m.room and r.type <> 'deleted'
                   left join messages q on q.seq = m.reply_to and q.profile is not null where m.seq = ?1";
        let row = |row: &Row<'_>| {
            let asked: Option<String> = row.get(4)?;
            Ok(Delivery {
                message: message(&row.get::<_, String>(0)?),
                conversation_id: ConversationId::from_bytes(row.get(1)?).to_string(),
                external_id: row.get(2)?,
                room_id: RoomId::from_bytes(row.get(3)?).to_string(),
                in_reply_to: asked.map(|asked| in_reply_to(&asked)),
            })
        };
        let mut statement = self.prepare(sql)?;
        let delivery = statement.query_row([cause], row).optional().map_err(sql_error)?;
        Ok(delivery.map(|delivery| Work::Deliver(Box::new(delivery))))
    }
}

fn message(json: &str) -> Message {
    serde_json::from_str(json).unwrap_or_default()
}

fn in_reply_to(asked: &str) -> InReplyTo {
    let metadata = message(asked).metadata;
    InReplyTo { external_id: metadata["external_id"].as_str().unwrap_or_default().into(), metadata }
}
