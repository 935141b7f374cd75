//! Reads a streamed answer: events become deltas, deltas go to the room as they come, several at once where they arrive together. The end
//! must be said (`[DONE]`, or a finish reason): a stream that just stops was cut off.

use crate::answer::Answer;
use crate::dialect::{Piece, Reader};
use crate::failure::Failure;

use crate::sse::{Event, Sse};
use crate::wire::garbled;
use futures_util::{FutureExt, StreamExt};
use plugin_api::{Host, Job};
use reqwest::Response;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Of one event: an answer as long as the host takes, each letter escaped, fits in.
const EVENT_LIMIT: usize = 2 * 1024 * 1024;
/// Of the whole stream: far more than the longest answer in the smallest pieces.
const STREAM_LIMIT: usize = 64 * 1024 * 1024;
/// Deltas are shown at the latest when so much has gathered.
const DELTA: usize = 4 * 1024;
/// How long `[DONE]` is waited for after a finish reason; reading it lets the connection be used again.
const LINGER: Duration = Duration::from_secs(2);

/// The answer, whole. `late`: until when its first piece must have come, and what it is otherwise.
pub(crate) async fn read(
    response: Response,
    reader: &dyn Reader,
    late: (Instant, Failure),
    host: &Host,
    job: &Job,
) -> Result<Answer, Failure> {
    let mut frames = response.bytes_stream();
    let mut reading = Reading::new(reader);
    let (first_by, late) = late;
    let mut linger_until = None;
    while reading.state != State::Ended {
        let ready = if reading.unseen.len() < DELTA { frames.next().now_or_never() } else { None };
        let frame = match ready {
            Some(frame) => frame,
            None => {
                show(host, job, &mut reading.unseen).await;
                match reading.state {
                    State::Silent => timeout_at(first_by, frames.next()).await.map_err(|_| late.clone())?,
                    State::Finished => {
                        let until = *linger_until.get_or_insert_with(|| Instant::now() + LINGER);
                        timeout_at(until, frames.next()).await.unwrap_or(None)
                    }
                    State::Talking | State::Ended => frames.next().await,
                }
            }
        };
        match frame {
            Some(Ok(bytes)) => reading.feed(&bytes)?,
            Some(Err(_)) => reading.end(false)?,
            None => reading.end(true)?,
        }
    }
    show(host, job, &mut reading.unseen).await;
    Ok(reading.answer)
}

/// Live only, and the whole answer follows: that nobody could be shown it does not matter.
async fn show(host: &Host, job: &Job, unseen: &mut String) {
    if !unseen.is_empty() {
        let _ = host.stream(job, unseen).await;
        unseen.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the answer yet.
    Silent,
    Talking,
    /// Whole; only the formal end is missing.
    Finished,
    Ended,
}

/// A stream as far as it was read. No I/O.
struct Reading<'a> {
    reader: &'a dyn Reader,
    sse: Sse,
    read: usize,
    answer: Answer,
    /// The message of the answer that grows.
    part: Option<String>,
    /// Of the answer, not yet shown.
    unseen: String,
    state: State,
}

impl<'a> Reading<'a> {
    fn new(reader: &'a dyn Reader) -> Self {
        let (answer, unseen) = (Answer::default(), String::new());
        Self { reader, sse: Sse::new(EVENT_LIMIT), read: 0, answer, part: None, unseen, state: State::Silent }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.read += bytes.len();
        if self.read > STREAM_LIMIT {
            return Err(Failure::uncertain("the answer does not end: more than 64 MiB came"));
        }
        let events = self.sse.feed(bytes).map_err(|_| garbled("one event is longer than 2 MiB".into()))?;
        events.iter().try_for_each(|event| self.take(event))
    }

    fn take(&mut self, event: &Event) -> Result<(), Failure> {
        match self.state {
            State::Ended => return Ok(()),
            _ if event.data.trim() == "[DONE]" => self.state = State::Ended,
            // What follows a finish reason (usage figures) cannot spoil the answer any more.
            State::Finished => {}
            State::Silent | State::Talking => {
                let piece = self.reader.piece(&event.data).map_err(garbled)?;
                if event.name == "error" {
                    return Err(garbled("it reports an error".into()));
                }
                self.add(&piece);
            }
        }
        Ok(())
    }

    fn add(&mut self, piece: &Piece) {
        if !piece.text.is_empty() && piece.part.is_some() {
            let is_next = self.part.is_some() && self.part != piece.part;
            self.part.clone_from(&piece.part);
            if is_next {
                self.unseen.push_str(self.answer.push("\n\n"));
            }
        }
        self.unseen.push_str(self.answer.push(&piece.text));
        if piece.alive && self.state == State::Silent {
            self.state = State::Talking;
        }
        if self.answer.is_cut() {
            self.state = State::Ended;
        } else if piece.finished {
            self.state = State::Finished;
        }
    }

    /// The connection has ended, in order or not.
    fn end(&mut self, orderly: bool) -> Result<(), Failure> {
        if orderly && let Some(event) = self.sse.finish() {
            // Half an event is no event; that it is missing shows below.
            let _ = self.take(&event);
        }
        match self.state {
            State::Finished | State::Ended => {
                self.state = State::Ended;
                Ok(())
            }
            State::Silent | State::Talking => Err(Failure::uncertain("the answer was cut off before its end")),
        }
    }
}
