//! What is posted to endpoints: one job per event and interested endpoint, in the event's own transaction, and a record of each try in the
//! transaction of its outcome.

use super::jobs::{Claim, NewJob, State};
use super::queue::Held;
use super::rooms::RoomRef;
use super::webhooks::{Endpoint, Occasion, WebhookRow};
use super::{JobDeed, JobRow, Kind, Read, Store, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::{JobId, RoomId, WebhookId};
use plugin_api::types::{Outcome, Priority, Webhook};
use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use uuid::Uuid;

/// Kind of the jobs.
pub(super) const KIND: &str = "webhook";
/// Instance that gets them.
const INSTANCE: &str = "webhook";
/// An endpoint that failed for so long, without one success, is given up.
const GIVEN_UP_AFTER: Micros = 5 * 24 * 3600 * 1_000_000;
/// Tries of one endpoint that are kept, about.
const TRIES_KEPT: i64 = 1000;
/// Jobs that one step of flushing takes.
const STEP: i64 = 100;
/// Characters of an error that are kept.
const ERROR_LENGTH: usize = 500;

/// A job's payload. Where to post is looked up when it is posted, so that a changed endpoint counts for what waits, and secrets are in
/// one place.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    /// Of an endpoint whose room ends with this very event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
    webhook_id: WebhookId,
    event: Cow<'a, str>,
    body: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Last {
    url: String,
    secret: Option<String>,
}

/// Begins the payload of a job that outlives its endpoint.
const LAST: &str = "{\"last\":%";

/// A try, as its endpoint's owner sees it.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    pub key: i64,
    pub id: Uuid,
    pub job: JobId,
    pub event: String,
    pub url: String,
    pub attempt: u32,
    pub succeeded: bool,
    pub status_code: Option<u16>,
    pub error_message: Option<String>,
    pub response_time_ms: i64,
    pub created_at: Micros,
}

/// Which tries; all fields together.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub before: Option<Micros>,
    pub event: Option<String>,
    pub succeeded: Option<bool>,
}

impl Store {
    /// Queues an event that no log holds, for somebody joined or left, for those of the room's endpoints that want it. Where none does, it
    /// costs no write.
    pub async fn announce(&self, room: i64, event: &'static str, json: String) -> Result<()> {
        let Some(occasion) = Occasion::of_presence(event) else { return Ok(()) };
        if self.read(move |read| read.has_endpoint_for(room, occasion)).await? {
            self.write_patiently(move |tx| tx.announce(room, event, &json)).await?;
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Queues an event of the log for those of its room's endpoints that want it.
    pub(super) fn queue_webhooks(&mut self, room: i64, kind: Kind, seq: i64, json: &str) -> Result<()> {
        let occasion = Occasion::of_log(kind, json);
        let endpoints = self.endpoints_for(room, occasion)?;
        if kind == Kind::RoomDeleted {
            return self.queue_last(room, &endpoints, occasion, seq, json);
        }
        self.queue_for(room, &endpoints, occasion.name, Some(seq), json)
    }

    /// The same for an event that no log holds.
    pub(super) fn announce(&mut self, room: i64, event: &str, json: &str) -> Result<()> {
        let Some(occasion) = Occasion::of_presence(event) else { return Ok(()) };
        let endpoints = self.endpoints_for(room, occasion)?;
        self.queue_for(room, &endpoints, occasion.name, None, json)
    }

    fn queue_for(
        &mut self,
        room: i64,
        endpoints: &[Endpoint],
        event: &str,
        cause: Option<i64>,
        json: &str,
    ) -> Result<()> {
        if endpoints.is_empty() {
            return Ok(());
        }
        let Some(body) = self.read().webhook_body(room, event, json)? else { return Ok(()) };
        for endpoint in endpoints {
            self.queue_one(endpoint.id, event, cause, &body, None)?;
        }
        Ok(())
    }

    /// The room's end: its endpoints hear of it and are gone.
    fn queue_last(
        &mut self,
        room: i64,
        endpoints: &[Endpoint],
        occasion: Occasion<'_>,
        seq: i64,
        json: &str,
    ) -> Result<()> {
        let rows = endpoints.iter().map(|endpoint| self.read().webhook_by_id(endpoint.id));
        let rows: Vec<Option<WebhookRow>> = rows.collect::<Result<_>>()?;
        let body = self.read().webhook_body(room, occasion.name, json)?;
        self.remove_webhooks_of(room)?;
        for row in rows.into_iter().flatten() {
            if let Some(body) = &body {
                let last = Last { url: row.url, secret: row.secret };
                self.queue_one(row.id, occasion.name, Some(seq), body, Some(last))?;
            }
        }
        Ok(())
    }

    fn queue_one(
        &mut self,
        webhook: WebhookId,
        event: &str,
        cause: Option<i64>,
        body: &str,
        last: Option<Last>,
    ) -> Result<JobId> {
        let payload = Payload { last, webhook_id: webhook, event: event.into(), body: body.into() };
        let payload = serde_json::to_string(&payload).map_err(|error| Error::Internal(format!("webhook: {error}")))?;
        let lane = webhook.to_string();
        let job = NewJob {
            kind: KIND,
            instance: INSTANCE,
            lane: &lane,
            cause,
            payload: &payload,
            after: 0,
            priority: Priority::Normal,
        };
        let (id, claim) = self.insert_job(&job)?;
        if let Some(claim) = claim {
            self.hand(INSTANCE, claim, KIND, cause, &payload)?;
        }
        Ok(id)
    }

    /// Something to try an endpoint with.
    pub fn ping_webhook(&mut self, room: &RoomRef, id: WebhookId) -> Result<JobId> {
        let row = self.read().webhook(room, id)?;
        must_be_active(&row)?;
        let data = json!({ "webhook_id": id, "room_id": room.id }).to_string();
        let body = self.read().webhook_body(room.key, "ping", &data)?;
        let body = body.ok_or_else(super::rooms::unknown_room)?;
        self.queue_one(id, "ping", None, &body, None)
    }

    /// Posts something again, under the id that it had.
    pub fn redeliver(&mut self, room: &RoomRef, id: WebhookId, job: JobId) -> Result<()> {
        let row = self.read().webhook(room, id)?;
        let lane = id.to_string();
        let found = self.read().job(job)?.filter(|job| job.kind == KIND && job.lane == lane);
        let found = found.ok_or_else(unknown_delivery)?;
        must_be_active(&row)?;
        if found.state == State::Completed.name() {
            self.run_again(&found)
        } else {
            self.change_job(job, JobDeed::Retry)
        }
    }

    /// A job that was completed, from its first attempt.
    fn run_again(&mut self, job: &JobRow) -> Result<()> {
        self.execute("update queue set state = 'failed' where key = ?1", [job.key])?;
        self.count(INSTANCE, State::Completed.name(), -1);
        self.count(INSTANCE, State::Failed.name(), 1);
        self.change_job(job.id, JobDeed::Retry)
    }

    /// Flushes some of what waits for an endpoint that is gone or disabled; false when nothing is left.
    pub fn flush_webhook(&mut self, id: WebhookId) -> Result<bool> {
        let sql = "select key, state, instance, lane from queue where instance = 'webhook' and lane = ?1 and state = 'pending'
                          and state in ('pending', 'processing') and payload not like ?3 order by key limit ?2";
        Ok(self.flush_found(sql, params![id.to_string(), STEP, LAST], None)? as i64 == STEP)
    }

    /// A claimed job whose endpoint is gone or disabled is flushed, and what waits behind it.
    pub(super) fn flush_claimed(&mut self, claim: &Claim, payload: &str) -> Result<()> {
        if let Ok(Payload { webhook_id, .. }) = serde_json::from_str(payload) {
            self.flush_webhook(webhook_id)?;
        }
        self.give_up(claim, State::Flushed, "its endpoint is gone or disabled")
    }

    /// Writes a try into its endpoint's record, with what follows for the endpoint.
    pub(super) fn record_delivery(&mut self, held: &Held, attempt: u32, outcome: &Outcome) -> Result<()> {
        let (error, status) = match outcome {
            Outcome::Done { status, .. } => (None, *status),
            Outcome::Retry { why, status, .. } | Outcome::Discard { why, status } => (Some(why.as_str()), *status),
            Outcome::Snooze { .. } => return Ok(()),
        };
        let now = clock::now();
        self.count_try(now, error.is_none())?;
        let Some(row) = held.lane.parse().ok().map(|id| self.read().webhook_by_id(id)).transpose()?.flatten() else {
            return Ok(());
        };
        let time = now.saturating_sub(held.started_at.unwrap_or(now)).max(0) / 1000;
        let error_kept = error.map(|error| error.chars().take(ERROR_LENGTH).collect::<String>());
        self.execute(
            "insert into webhook_deliveries (id, webhook, job, event, url, attempt, succeeded, status_code, error_message,
                                             response_time_ms, created_at)
             select ?1, ?2, id, coalesce(payload ->> '$.event', ''), ?4, ?5, ?6, ?7, ?8, ?9, ?10 from queue where key = ?3",
            params![
                Uuid::now_v7().as_bytes(),
                row.key,
                held.key,
                row.url,
                attempt,
                error.is_none(),
                status,
                error_kept,
                time,
                now
            ],
        )?;
        self.forget_old_tries(row.key)?;
        self.judge(&row, error.is_none(), matches!(outcome, Outcome::Discard { status: Some(410), .. }), now)
    }

    fn count_try(&self, now: Micros, succeeded: bool) -> Result<()> {
        self.execute(
            "insert into webhook_hours (hour, succeeded, failed) values (?1, ?2, ?3)
             on conflict (hour) do update set succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed",
            params![now / 3_600_000_000, succeeded, !succeeded],
        )?;
        Ok(())
    }

    /// Now and then, by chance, so that no endpoint is always passed over.
    fn forget_old_tries(&self, webhook: i64) -> Result<()> {
        if rand::random_range(0..32) == 0 {
            self.execute(
                "delete from webhook_deliveries where webhook = ?1 and key <= (
                     select key from webhook_deliveries where webhook = ?1 order by key desc limit 1 offset ?2)",
                [webhook, TRIES_KEPT],
            )?;
        }
        Ok(())
    }

    fn judge(&mut self, row: &WebhookRow, succeeded: bool, is_gone: bool, now: Micros) -> Result<()> {
        match row.failing_since {
            _ if is_gone => self.disable_webhook(row, "gone"),
            Some(_) if succeeded => self.set_failing(row.key, None),
            None if !succeeded => self.set_failing(row.key, Some(now)),
            Some(since) if now - since >= GIVEN_UP_AFTER => self.disable_webhook(row, "failing"),
            _ => Ok(()),
        }
    }

    fn set_failing(&self, webhook: i64, since: Option<Micros>) -> Result<()> {
        self.execute("update webhooks set failing_since = ?2 where key = ?1", params![webhook, since])?;
        Ok(())
    }
}

impl Read<'_> {
    /// The bytes that every endpoint of the room gets, on every attempt. None: the room is gone.
    fn webhook_body(&self, room: i64, event: &str, data: &str) -> Result<Option<String>> {
        let Some((id, name)) = self.room_name(room)? else { return Ok(None) };
        let (event, name, timestamp) = (json!(event), json!(name), clock::format(clock::now()));
        Ok(Some(format!(
            r#"{{"event":{event},"room_id":"{id}","room_name":{name},"data":{data},"timestamp":"{timestamp}"}}"#
        )))
    }

    pub(super) fn room_name(&self, room: i64) -> Result<Option<(RoomId, String)>> {
        let mut statement = self.prepare("select id, name from rooms where key = ?1")?;
        let row = |row: &Row<'_>| Ok((RoomId::from_bytes(row.get(0)?), row.get(1)?));
        statement.query_row([room], row).optional().map_err(sql_error)
    }

    /// What the plugin gets; None: the endpoint is gone or disabled.
    pub(super) fn webhook_work(&self, payload: &str) -> Result<Option<Webhook>> {
        let payload: Payload<'_> =
            serde_json::from_str(payload).map_err(|error| Error::Internal(format!("a webhook's payload: {error}")))?;
        let row = self.webhook_by_id(payload.webhook_id)?.filter(|row| row.active);
        let place = row.map(|row| Last { url: row.url, secret: row.secret }).or(payload.last);
        Ok(place.map(|Last { url, secret }| Webhook {
            webhook_id: payload.webhook_id.to_string(),
            event: payload.event.into_owned(),
            url,
            secret,
            body: payload.body.into_owned(),
        }))
    }

    /// Newest first, before the one numbered `before`.
    pub fn deliveries(
        &self,
        webhook: i64,
        filter: &DeliveryFilter,
        before: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        let mut sql = String::from(
            "select key, id, job, event, url, attempt, succeeded, status_code, error_message, response_time_ms, created_at
             from webhook_deliveries where webhook = ?1 and key < ?2",
        );
        let mut values: Vec<SqlValue> = vec![webhook.into(), before.into(), i64::from(limit).into()];
        let mut narrow = |condition: &str, value: Option<SqlValue>| {
            if let Some(value) = value {
                values.push(value);
                sql.push_str(&format!(" and {condition} ?{}", values.len()));
            }
        };
        narrow("created_at <", filter.before.map(Into::into));
        narrow("event =", filter.event.clone().map(Into::into));
        narrow("succeeded =", filter.succeeded.map(Into::into));
        sql.push_str(" order by key desc limit ?3");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), delivery_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// Tries since that hour that went well, and that failed.
    pub fn deliveries_since(&self, hour: i64) -> Result<(i64, i64)> {
        let mut statement = self.prepare(
            "select coalesce(sum(succeeded), 0), coalesce(sum(failed), 0) from webhook_hours where hour >= ?1",
        )?;
        statement.query_row([hour], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)
    }
}

fn must_be_active(row: &WebhookRow) -> Result<()> {
    if row.active { Ok(()) } else { Err(Error::Conflict("This webhook is disabled; set active to true first".into())) }
}

pub fn unknown_delivery() -> Error {
    Error::NotFound("Delivery not found".into())
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        key: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        job: JobId::from_bytes(row.get(2)?),
        event: row.get(3)?,
        url: row.get(4)?,
        attempt: row.get(5)?,
        succeeded: row.get(6)?,
        status_code: row.get(7)?,
        error_message: row.get(8)?,
        response_time_ms: row.get(9)?,
        created_at: row.get(10)?,
    })
}
