//! Brings what was said in the host to the visitor: part by part, each noted before the next, so that an attempt goes on where the last one
//! ended. Where nobody knows whether the bridge has stored a part, the session is read before anything is posted again.

use crate::backoff;
use crate::client::Client;
use crate::config::Config;
use crate::entities;
use crate::failure::Failure;
use crate::intake;
use crate::ledger::{Ledger, Record};
use crate::protocol::{Answered, Outgoing, Word};
use crate::split::split;
use crate::traffic::Traffic;
use plugin_api::{Delivery, Host, Job, Outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How such a bridge says that it has forgotten a session.
const EXPIRED: &str = "Invalid or expired session";

pub(crate) struct Courier {
    pub host: Host,
    pub config: Arc<Config>,
    pub client: Arc<Client>,
    pub ledger: Arc<Ledger>,
    pub traffic: Arc<Traffic>,
}

impl Courier {
    pub(crate) async fn deliver(&self, job: &Job, delivery: &Delivery) -> Outcome {
        let deadline = Instant::now() + self.time_for(job);
        let parts = split(&delivery.message.content);
        if parts.is_empty() {
            return Outcome::discard("the message is blank, which the bridge would refuse");
        }
        let mut record = match self.ledger.get(&delivery.external_id).await {
            Ok(record) => record,
            Err(error) => {
                let why = format!("the host cannot read what was delivered so far: {error}");
                return in_doubt_if(job.uncertain, Outcome::retry(why));
            }
        };
        match self.look(job, &parts, &mut record).await {
            Ok(in_doubt) => self.post(job, delivery, &parts, record, in_doubt, deadline).await,
            Err(outcome) => outcome,
        }
    }

    /// Notes the parts that an earlier attempt posted without hearing of it. Only for a job in doubt; an ordinary one costs no request.
    /// Answers whether the doubt remains.
    async fn look(&self, job: &Job, parts: &[String], record: &mut Record) -> Result<bool, Outcome> {
        let known = record.parts_of(&job.id);
        if !job.uncertain || known >= parts.len() {
            return Ok(false);
        }
        if !self.client.has_admin_key() {
            return Ok(true);
        }
        let said = match self.client.session_messages(&record.session).await {
            Ok(Some(said)) => said,
            Ok(None) => {
                let why = "the bridge has removed the session, so nobody can be reached there";
                return Err(Outcome::discard(why).status(404));
            }
            // Who may not look has to post again, as without the key.
            Err(failure) if failure.is_final() => {
                tracing::warn!(job.id = %job.id, %failure, "an answer in doubt is posted again, because nobody may look");
                return Ok(true);
            }
            Err(failure) => {
                let why = format!("whether it was delivered cannot be seen: {failure}");
                return Err(self.rested(Outcome::retry(why).uncertain(), &failure));
            }
        };
        for (id, part) in stored_parts(&said.responses, record.seen, &parts[known..]) {
            self.note(job, record, known + part + 1, Some(&id)).await;
        }
        Ok(false)
    }

    /// Posts what the bridge does not have yet, in order.
    async fn post(
        &self,
        job: &Job,
        delivery: &Delivery,
        parts: &[String],
        mut record: Record,
        mut in_doubt: bool,
        deadline: Instant,
    ) -> Outcome {
        let session_id = delivery.external_id.as_str();
        let question = delivery.in_reply_to.as_ref();
        let message_id = question.and_then(|question| intake::message_id(&question.external_id, session_id));
        let first = record.parts_of(&job.id);
        for (index, part) in parts.iter().enumerate().skip(first) {
            // An attempt that makes its way through a long answer is no failed one.
            if index > first && Instant::now() + self.config.timeout > deadline {
                return Outcome::snooze(Duration::ZERO, format!("{index} of {} parts delivered so far", parts.len()));
            }
            let outgoing = Outgoing { session_id, response: part, message_id: message_id.as_ref() };
            match self.client.outbox(&outgoing, &idempotency_key(&job.id, index, parts.len())).await {
                Ok(receipt) => self.note(job, &mut record, index + 1, receipt.response_id.as_ref()).await,
                Err(failure) => {
                    tracing::warn!(job.id = %job.id, job.attempt = job.attempt, %failure, "delivery failed");
                    return in_doubt_if(in_doubt, self.outcome(&failure));
                }
            }
            in_doubt = false;
            self.traffic.note();
        }
        tracing::debug!(job.id = %job.id, parts = parts.len(), "delivered");
        Outcome::done()
    }

    async fn note(&self, job: &Job, record: &mut Record, parts: usize, response_id: Option<&Word>) {
        // Not the higher of both: after a new installation of the site its ids start anew.
        record.seen = response_id.and_then(Word::number).unwrap_or(record.seen);
        (record.job, record.parts) = (job.id.clone(), parts);
        if let Err(error) = self.ledger.put(record.clone()).await {
            // The bridge has it, so going on is right. Only a crash before the job is settled could repeat it.
            tracing::warn!(job.id = %job.id, %error, "what was delivered could not be stored");
        }
    }

    fn outcome(&self, failure: &Failure) -> Outcome {
        let discard = |why: &str| with_status(Outcome::discard(format!("{why}: {failure}")), failure);
        match failure {
            Failure::Refused { why, .. } if failure.is_final() && why.contains(EXPIRED) => {
                discard("the visitor's session is over")
            }
            _ if failure.is_key_refused() => with_status(Outcome::discard(failure.advice()), failure),
            _ if failure.is_final() => discard("the answer is refused"),
            _ if failure.is_open() => self.rested(Outcome::retry(failure.to_string()).uncertain(), failure),
            _ => self.rested(Outcome::retry(failure.advice()), failure),
        }
    }

    fn time_for(&self, job: &Job) -> Duration {
        match job.timeout_ms {
            0 => self.config.job_timeout(),
            milliseconds => Duration::from_millis(milliseconds),
        }
    }

    /// With the wait that the bridge asked for. Too many requests are meant for all sessions, so no other delivery is tried meanwhile.
    fn rested(&self, outcome: Outcome, failure: &Failure) -> Outcome {
        let wait = failure.retry_after().map(backoff::asked_for);
        if let Some(wait) = wait.filter(|_| failure.status() == Some(429)) {
            self.host.pause(wait, "the bridge asked for rest (429)");
        }
        with_status(outcome.after(wait), failure)
    }
}

/// A doubt of an earlier attempt that nobody could look into is still one.
fn in_doubt_if(in_doubt: bool, outcome: Outcome) -> Outcome {
    if in_doubt { outcome.uncertain() } else { outcome }
}

fn with_status(outcome: Outcome, failure: &Failure) -> Outcome {
    match failure.status() {
        Some(status) => outcome.status(status),
        None => outcome,
    }
}

fn idempotency_key(job: &str, index: usize, parts: usize) -> String {
    if parts == 1 { job.to_owned() } else { format!("{job}-{}", index + 1) }
}

/// The first of `parts` that are among the responses above `seen`, in order, with the ids that they have there.
fn stored_parts(responses: &[Answered], seen: i64, parts: &[String]) -> Vec<(Word, usize)> {
    let mut responses: Vec<_> =
        responses.iter().filter_map(|response| Some((response.id.number()?, response))).collect();
    responses.sort_by_key(|(id, _)| *id);
    // If all are below, the site was installed again and its ids have started anew.
    let anew = responses.last().is_some_and(|(highest, _)| *highest < seen);
    let mut later = responses.into_iter().filter(|(id, _)| anew || *id > seen);
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let Some((_, response)) = later.find(|(_, response)| entities::is_copy(&response.response, part)) else {
            break;
        };
        found.push((response.id.clone(), index));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses(texts: &[(i64, &str)]) -> Vec<Answered> {
        let response =
            |(id, text): &(i64, &str)| Answered { id: Word(id.to_string()), response: (*text).into(), timestamp: None };
        texts.iter().map(response).collect()
    }

    fn found(texts: &[(i64, &str)], seen: i64, parts: &[&str]) -> Vec<i64> {
        let parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
        stored_parts(&responses(texts), seen, &parts).into_iter().filter_map(|(id, _)| id.number()).collect()
    }

    #[test]
    fn older_answer_with_equal_text_is_not_taken_for_this_one() {
        assert_eq!(found(&[(3, "Yes.")], 3, &["Yes."]), Vec::<i64>::new());
        assert_eq!(found(&[(3, "Yes."), (9, "Yes.")], 3, &["Yes."]), [9]);
        assert_eq!(found(&[(10, "it&#039;s"), (9, "other")], 3, &["it's"]), [10]);
    }

    #[test]
    fn parts_are_found_in_their_order_up_to_the_first_missing() {
        let texts = [(1, "a"), (2, "b"), (3, "d")];
        assert_eq!(found(&texts, 0, &["a", "b", "c", "d"]), [1, 2]);
        assert_eq!(found(&texts, 0, &["b", "a"]), [2]);
        assert_eq!(found(&[(1, "a"), (2, "a")], 0, &["a", "a", "a"]), [1, 2]);
    }

    #[test]
    fn ids_that_started_anew_are_all_new() {
        assert_eq!(found(&[(1, "Yes.")], 500, &["Yes."]), [1]);
        assert_eq!(found(&[], 500, &["Yes."]), Vec::<i64>::new());
    }

    #[test]
    fn idempotency_key_has_the_part_of_a_split_delivery() {
        assert_eq!(
            [idempotency_key("j", 0, 1), idempotency_key("j", 0, 2), idempotency_key("j", 1, 2)],
            ["j", "j-1", "j-2"]
        );
    }
}
