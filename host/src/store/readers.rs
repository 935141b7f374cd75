//! Reader threads, each with a connection of its own. Queries take microseconds, but a disk may take long: they never run on the
//! runtime's threads.

use super::{Read, Shared};
use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rusqlite::Connection;
use std::sync::Arc;
use std::thread;
use tokio::sync::oneshot;

/// Queries that may wait; the next one is told to come again.
const WAITING: usize = 4096;

type Query = Box<dyn FnOnce(&Read<'_>) + Send>;

#[derive(Clone)]
pub(super) struct Readers {
    queries: Sender<Query>,
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
        Ok(Self { queries })
    }

    pub(super) async fn read<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let query = Box::new(move |read: &Read<'_>| drop(sender.send(body(read))));
        self.queries.try_send(query).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::Unavailable("too many requests are waiting for the store; try again".into())
            }
            TrySendError::Disconnected(_) => Error::Unavailable("the store is closed".into()),
        })?;
        receiver.await.unwrap_or_else(|_| Err(Error::Internal("a query panicked".into())))
    }
}

fn run(connection: &Connection, queries: &Receiver<Query>) {
    while let Ok(query) = queries.recv() {
        // A panic costs its query, not the thread: its sender is dropped, which the caller sees.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| query(&Read { connection })));
        if result.is_err() {
            tracing::error!("a query of the store panicked");
        }
    }
}
