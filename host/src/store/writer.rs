//! The one write path: a thread that takes what waits, runs each request in a savepoint of one transaction, commits once, publishes what
//! happened, and only then answers.
//!
//! Two facts of SQLite shape it. Rows of the search index go in after the last savepoint, because each release inside would flush a
//! segment of it. And a full disk rolls back the whole transaction, not the savepoint: then each request is done again alone, so that
//! only the guilty ones fail. Requests are therefore closures that can run twice.

use super::commit_stats::Timing;
use super::counts::{Count, SenderSeen};
use super::events::NewEvent;
use super::handed::{EndedTurn, Workers};
use super::jobs::Claimed;
use super::slow::asker;
use super::{Read, Shared, prepare, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use rusqlite::{CachedStatement, Connection, params};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Requests that share one commit at most.
const BATCH: usize = 256;
/// Requests that may wait for the writer.
const WAITING: usize = 4096;

thread_local! {
    /// Whether a statement of this thread met an I/O error, wherever it was made.
    static IO_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Of the thread that calls: after it, the connection that met the error cannot be trusted.
pub(super) fn note_io_failure() {
    IO_FAILED.set(true);
}

/// A request's hands inside the transaction.
pub struct Tx<'a> {
    pub(super) connection: &'a Connection,
    pub(super) effects: &'a mut Effects,
    pub(super) shared: &'a Shared,
    last_stamp: &'a mut Micros,
}

/// What a commit causes outside the database.
#[derive(Default)]
pub(super) struct Effects {
    pub events: Vec<NewEvent>,
    pub search: Vec<SearchRow>,
    pub handed: Vec<Claimed>,
    /// Turns that ended without their worker, which is to be told.
    pub ended: Vec<EndedTurn>,
    /// Instances whose queue has work that nobody was given.
    pub woken: Vec<String>,
    /// Slots taken (+1) and freed (-1), applied already; kept so that a rollback can undo them.
    slots: Vec<(String, isize)>,
    /// Changes of `queue_counts`.
    counts: Vec<(String, &'static str, i64)>,
    /// Changes of `counts`.
    pub sums: Vec<(Count, i64)>,
    pub senders: Vec<SenderSeen>,
}

/// A change of the search index.
pub(super) enum SearchRow {
    /// A new message, or a changed one: then its old row is removed first.
    Put {
        seq: i64,
        room: i64,
        sender: String,
        content: String,
        is_new: bool,
    },
    Remove {
        seq: i64,
    },
}

/// How many of each an undone request had added.
struct Mark([usize; 9]);

trait Request: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// The function that asked.
    fn asker(&self) -> &'static str;
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Typed<T, F> {
    body: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> Result<T> + Send> Request for Typed<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.result = Some((self.body)(tx)?);
        Ok(())
    }

    fn asker(&self) -> &'static str {
        asker::<F>()
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let lost = || Error::Internal("a write left no result".into());
        // Whoever asked may be gone; the write stands.
        let Self { result, reply, .. } = *self;
        let _ = reply.send(outcome.and_then(|()| result.ok_or_else(lost)));
    }
}

enum Message {
    Request(Box<dyn Request>),
    Close(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Writer {
    requests: mpsc::Sender<Message>,
}

impl Writer {
    pub(super) fn start(connection: Connection, shared: Arc<Shared>, workers: Workers) -> Result<Self> {
        let (requests, receiver) = mpsc::channel(WAITING);
        let last_stamp = last_stamp(&connection).map_err(sql_error)?;
        let mut thread = WriterThread {
            connection,
            shared,
            workers,
            last_stamp,
            effects: Effects::default(),
            timing: Timing::default(),
        };
        thread::Builder::new()
            .name("store-write".into())
            .spawn(move || thread.run(receiver))
            .map_err(|error| Error::Unavailable(format!("no thread for writing: {error}")))?;
        Ok(Self { requests })
    }

    pub(super) async fn write<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Message::Request(Box::new(Typed { body, result: None, reply }));
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::Unavailable("too many writes are waiting for the store; try again".into())
            }
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn write_patiently<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Message::Request(Box::new(Typed { body, result: None, reply }));
        self.requests.send(request).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn close(&self) {
        let (sender, closed) = oneshot::channel();
        if self.requests.send(Message::Close(sender)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// Stamps go on from the newest message, also when the clock was set back in between.
fn last_stamp(connection: &Connection) -> rusqlite::Result<Micros> {
    connection
        .query_row("select created_at from messages order by seq desc limit 1", [], |row| row.get(0))
        .or_else(|error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(0) } else { Err(error) })
}

pub(super) struct WriterThread {
    pub(super) connection: Connection,
    shared: Arc<Shared>,
    workers: Workers,
    last_stamp: Micros,
    pub(super) effects: Effects,
    timing: Timing,
}

impl WriterThread {
    fn run(&mut self, mut requests: mpsc::Receiver<Message>) {
        while let Some(first) = requests.blocking_recv() {
            let mut batch = Vec::new();
            let mut next = Some(first);
            let mut close = None;
            while let Some(message) = next {
                match message {
                    Message::Request(request) => batch.push(request),
                    Message::Close(sender) => close = Some(sender),
                }
                next = if batch.len() < BATCH && close.is_none() { requests.try_recv().ok() } else { None };
            }
            self.process(batch);
            if let Some(sender) = close {
                requests.close();
                let _ = self.connection.execute_batch("pragma optimize; pragma wal_checkpoint(truncate);");
                let _ = sender.send(());
                return;
            }
        }
    }

    fn process(&mut self, mut batch: Vec<Box<dyn Request>>) {
        if batch.is_empty() {
            return;
        }
        let begun = Instant::now();
        self.timing = Timing::default();
        match self.together(&mut batch) {
            Ok(results) => {
                self.committed(begun, batch.len());
                batch.into_iter().zip(results).for_each(|(request, result)| request.finish(result));
            }
            // The transaction as a whole failed: whose fault it was shows when each is done alone.
            Err(error) if batch.len() > 1 => {
                tracing::debug!("a shared commit failed, done again one by one: {error}");
                batch.into_iter().for_each(|request| self.process(vec![request]));
            }
            Err(error) => batch.into_iter().for_each(|request| request.finish(Err(error.clone()))),
        }
    }

    /// One transaction for all. `Err`: nothing of it happened.
    fn together(&mut self, batch: &mut [Box<dyn Request>]) -> Result<Vec<Result<()>>> {
        if IO_FAILED.get() {
            self.reconnect();
        }
        self.connection.execute_batch("begin immediate").map_err(sql_error)?;
        let results = if let [single] = batch { self.single(single) } else { self.in_savepoints(batch) };
        let results = results.and_then(|results| {
            self.finish_transaction()?;
            Ok(results)
        });
        results.inspect_err(|error| {
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("rollback");
            }
            self.undo(&Mark([0; 9]));
            // A request's own refusal says nothing about the disk.
            if matches!(error, Error::Unavailable(_)) {
                self.shared.set_trouble(Some(error.to_string()));
            }
        })
    }

    /// Needs no savepoint: if it fails, all fails.
    fn single(&mut self, request: &mut Box<dyn Request>) -> Result<Vec<Result<()>>> {
        self.attempt(request)?;
        // Whoever met it may have gone on all the same.
        if IO_FAILED.get() {
            return Err(Error::Unavailable("the disk that holds the store failed; nothing was written".into()));
        }
        Ok(vec![Ok(())])
    }

    fn in_savepoints(&mut self, batch: &mut [Box<dyn Request>]) -> Result<Vec<Result<()>>> {
        let mut results = Vec::with_capacity(batch.len());
        for request in batch {
            self.execute("savepoint request")?;
            let mark = self.effects.mark();
            let result = self.attempt(request);
            if self.connection.is_autocommit() || IO_FAILED.get() {
                return Err(result
                    .err()
                    .unwrap_or_else(|| Error::Unavailable("the transaction was rolled back".into())));
            }
            if result.is_err() {
                self.undo(&mark);
                self.execute("rollback to request")?;
            }
            self.execute("release request")?;
            results.push(result);
        }
        Ok(results)
    }

    fn attempt(&mut self, request: &mut Box<dyn Request>) -> Result<()> {
        let begun = Instant::now();
        let mut tx = Tx {
            connection: &self.connection,
            effects: &mut self.effects,
            shared: &self.shared,
            last_stamp: &mut self.last_stamp,
        };
        let result = catch_unwind(AssertUnwindSafe(|| request.run(&mut tx)));
        let time = begun.elapsed();
        if time > self.timing.slowest {
            (self.timing.slowest, self.timing.asker) = (time, request.asker());
        }
        result.unwrap_or_else(|_| Err(Error::Internal("a write panicked".into())))
    }

    fn execute(&self, sql: &str) -> Result<()> {
        prepare(&self.connection, sql).and_then(|mut statement| statement.execute([])).map_err(sql_error)?;
        Ok(())
    }

    /// What was deferred, then the commit.
    fn finish_transaction(&mut self) -> Result<()> {
        self.write_search().and_then(|()| self.write_counts()).and_then(|()| self.write_sums()).map_err(sql_error)?;
        let begun = Instant::now();
        self.connection.execute_batch("commit").map_err(sql_error)?;
        self.timing.commit = begun.elapsed();
        Ok(())
    }

    fn write_search(&self) -> rusqlite::Result<()> {
        if self.effects.search.is_empty() {
            return Ok(());
        }
        let remove =
            |seq: &i64| prepare(&self.connection, "delete from messages_search where rowid = ?1")?.execute([seq]);
        let sql = "insert into messages_search (rowid, room, sender, content) values (?1, ?2, ?3, ?4)";
        let mut insert = prepare(&self.connection, sql)?;
        for row in &self.effects.search {
            match row {
                SearchRow::Remove { seq } => drop(remove(seq)?),
                SearchRow::Put { seq, room, sender, content, is_new } => {
                    if !is_new {
                        remove(seq)?;
                    }
                    insert.execute(params![seq, format!("r{room}"), sender, content])?;
                }
            }
        }
        Ok(())
    }

    fn write_counts(&self) -> rusqlite::Result<()> {
        let mut sums = BTreeMap::new();
        for (instance, state, change) in &self.effects.counts {
            *sums.entry((instance.as_str(), *state)).or_insert(0) += change;
        }
        sums.retain(|_, change| *change != 0);
        for ((instance, state), change) in sums {
            let sql = "insert into queue_counts (instance, state, count) values (?1, ?2, ?3)
                       on conflict (instance, state) do update set count = count + excluded.count";
            prepare(&self.connection, sql)?.execute(params![instance, state, change])?;
        }
        Ok(())
    }

    /// After an I/O error the connection cannot be trusted: another one takes its place. Where that fails too, the next write tries again.
    fn reconnect(&mut self) {
        match self.shared.connect(true) {
            Ok(connection) => {
                self.connection = connection;
                IO_FAILED.set(false);
            }
            Err(error) => tracing::warn!("the store cannot be opened anew after an I/O error: {error}"),
        }
    }

    fn undo(&mut self, mark: &Mark) {
        let undone = self.effects.rewind(mark);
        // What was read of them may be what is undone.
        self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        undone.into_iter().for_each(|(instance, change)| slots.add(&instance, -change));
    }

    fn committed(&mut self, begun: Instant, requests: usize) {
        let (stats, time) = (&self.shared.stats, begun.elapsed());
        stats.seconds.observe(time.as_secs_f64());
        stats.writes.observe(requests as f64);
        if stats.threshold.is_over(time) {
            self.timing.tell(&self.shared.stats, time, requests);
        }
        self.shared.set_trouble(None);
        let effects = std::mem::take(&mut self.effects);
        self.workers.tell(effects.handed, effects.ended);
        self.shared.bus.publish(&effects.events);
        effects.woken.iter().for_each(|instance| self.shared.bus.wake_queue(instance));
    }
}

impl Effects {
    fn mark(&self) -> Mark {
        Mark([
            self.events.len(),
            self.search.len(),
            self.handed.len(),
            self.ended.len(),
            self.woken.len(),
            self.slots.len(),
            self.counts.len(),
            self.sums.len(),
            self.senders.len(),
        ])
    }

    /// Forgets what came after the mark; answers the slots to give back.
    fn rewind(
        &mut self,
        Mark([events, search, handed, ended, woken, slots, counts, sums, senders]): &Mark,
    ) -> Vec<(String, isize)> {
        self.events.truncate(*events);
        self.search.truncate(*search);
        self.handed.truncate(*handed);
        self.ended.truncate(*ended);
        self.woken.truncate(*woken);
        self.counts.truncate(*counts);
        self.sums.truncate(*sums);
        self.senders.truncate(*senders);
        self.slots.split_off(*slots)
    }
}

impl<'a> Tx<'a> {
    /// The same rows as this transaction sees them.
    pub fn read(&self) -> Read<'a> {
        Read { connection: self.connection }
    }

    /// The next time stamp: never the same twice, never back.
    pub(super) fn stamp(&mut self) -> Micros {
        *self.last_stamp = clock::now().max(*self.last_stamp + 1);
        *self.last_stamp
    }

    /// Takes a slot of the instance if it has a free one and is open.
    pub(super) fn take_slot(&mut self, instance: &str) -> bool {
        let taken = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner).take(instance);
        if taken {
            self.effects.slots.push((instance.into(), 1));
        }
        taken
    }

    pub(super) fn free_slots(&mut self, instance: &str, count: usize) {
        if count > 0 {
            self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner).add(instance, -(count as isize));
            self.effects.slots.push((instance.into(), -(count as isize)));
        }
    }

    pub(super) fn count(&mut self, instance: &str, state: &'static str, change: i64) {
        self.effects.counts.push((instance.into(), state, change));
    }

    /// What `deed` deletes is overwritten too, so that no page of the file, or of a backup, still has the words. Else SQLite only forgets
    /// where they are, which costs less.
    pub(super) fn shredding<T>(&mut self, deed: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        const PRAGMA: &str = "secure_delete";
        let already: bool = self.connection.pragma_query_value(None, PRAGMA, |row| row.get(0)).map_err(sql_error)?;
        self.connection.pragma_update(None, PRAGMA, true).map_err(sql_error)?;
        let done = deed(self);
        self.connection.pragma_update(None, PRAGMA, already).map_err(sql_error)?;
        done
    }

    /// Runs one statement, prepared once.
    pub(super) fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        prepare(self.connection, sql).and_then(|mut statement| statement.execute(parameters)).map_err(sql_error)
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'a>> {
        prepare(self.connection, sql).map_err(sql_error)
    }

    /// A write of nothing, to see whether the disk takes one.
    pub fn probe(&self) -> Result<()> {
        self.execute(
            "insert into queue_counts (instance, state, count) values ('', 'probe', 1)
             on conflict (instance, state) do update set count = count + 1",
            [],
        )?;
        Ok(())
    }
}
