//! Those who read: threads with a connection of their own, for whatever may take long, and a few spare connections for queries of
//! microseconds, which run where they are asked. Two hand-overs between threads cost more than such a query.

use super::slow::asker;
use super::{Read, Shared};
use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Queries that may wait; the next one is told to come again.
const WAITING: usize = 4096;

type Query = Box<dyn FnOnce(&Read<'_>) + Send>;

#[derive(Clone)]
pub(super) struct Readers {
    queries: Sender<Query>,
    /// Connections that nobody uses now.
    spare: Arc<Mutex<Vec<Connection>>>,
    shared: Arc<Shared>,
}

impl Readers {
    pub(super) fn start(shared: &Arc<Shared>, count: usize) -> Result<Self> {
        let (queries, receiver) = bounded(WAITING);
        for number in 0..count.max(1) {
            let connection = shared.connect(false)?;
            let receiver = receiver.clone();
            thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || run(&connection, &receiver))
                .map_err(|error| Error::Unavailable(format!("no thread for reading: {error}")))?;
        }
        let spare = (0..count.max(1)).map(|_| shared.connect(false)).collect::<Result<_>>()?;
        Ok(Self { queries, spare: Arc::new(Mutex::new(spare)), shared: shared.clone() })
    }

    /// For a query of a few rows by their keys: it runs here and now, where a connection is spare.
    pub(super) async fn glance<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = spare().pop() else { return self.read(body).await };
        let begun = Instant::now();
        let result =
            catch_unwind(AssertUnwindSafe(|| in_one_state(&connection, || body(&Read { connection: &connection }))));
        self.shared.queried::<F>(begun.elapsed());
        end_what_is_open(&connection);
        spare().push(connection);
        result.unwrap_or_else(|_| Err(Error::Internal("a query panicked".into())))
    }

    pub(super) async fn read<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let shared = self.shared.clone();
        let query = Box::new(move |read: &Read<'_>| {
            let begun = Instant::now();
            let result = body(read);
            shared.queried::<F>(begun.elapsed());
            drop(sender.send(result));
        });
        self.queries.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::Unavailable("too many requests are waiting for the store; try again".into())
            }
            TrySendError::Disconnected(_) => Error::Unavailable("the store is closed".into()),
        })?;
        receiver.await.unwrap_or_else(|_| Err(Error::Internal("a query panicked".into())))
    }
}

impl Shared {
    /// After a query of the closure `F`.
    fn queried<F>(&self, time: Duration) {
        if self.stats.threshold.is_over(time)
            && let Some(untold) = self.stats.slow_queries.met()
        {
            let (asker, milliseconds) = (asker::<F>(), time.as_millis() as u64);
            tracing::warn!(store.asker = asker, store.untold = untold, "a query took {milliseconds} ms");
        }
    }
}

fn run(connection: &Connection, queries: &Receiver<Query>) {
    while let Ok(query) = queries.recv() {
        // A panic costs its query, not the thread: its sender is dropped, which the caller sees.
        let result = catch_unwind(AssertUnwindSafe(|| in_one_state(connection, || query(&Read { connection }))));
        if result.is_err() {
            tracing::error!("a query of the store panicked");
        }
        end_what_is_open(connection);
    }
}

/// What a panic left open would hold the connection at an old state.
fn end_what_is_open(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("rollback");
    }
}

/// All statements of one query see the same state, whatever is committed meanwhile: counts that are taken from one another must not be
/// of two states.
fn in_one_state<T>(connection: &Connection, query: impl FnOnce() -> T) -> T {
    let run = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    // What keeps a transaction from beginning is told by the query's own statements.
    let _ = run("begin");
    let result = query();
    let _ = run("commit");
    result
}
