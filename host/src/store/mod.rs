//! The store: the only place that knows SQL. It owns the database file, one writer thread that lets waiting writes share a commit, and a
//! few reader threads. Each file beside this one holds the SQL of one slice as whole use cases.

mod activity;
mod audit;
mod backlog;
pub mod backup;
mod blobs;
mod bookmarks;
mod commit_stats;
mod conversations;
mod counts;
mod dead_letters;
mod dm;
mod edits;
mod events;
mod export;
mod files;
mod forget;
mod handed;
pub mod health;
mod history;
mod hits;
mod identities;
mod inbox;
mod incoming_webhooks;
mod job_list;
mod job_work;
mod jobs;
mod kv;
pub mod lock;
mod log;
mod mentions;
mod message_changes;
mod message_lists;
mod messages;
mod migrate;
mod oldest_jobs;
mod orphans;
mod participants;
mod pauses;
mod people;
mod person_export;
mod pins;
mod profiles;
mod queue;
mod queue_deeds;
mod queue_retention;
mod reactions;
mod read_positions;
mod readers;
mod rescue;
mod retention;
mod room_changes;
mod room_deletion;
mod room_list;
mod room_turns;
mod rooms;
mod search;
mod send;
mod sessions_end;
pub mod slots;
mod slow;
mod stats;
mod streams;
mod takeover;
mod threads;
mod tokens;
mod turn_ends;
mod turn_windows;
mod turns;
mod unread;
mod users;
mod webhook_deliveries;
mod webhooks;
mod writer;

pub use activity::ActivityQuery;
pub use audit::{Actor, Deed, DeedFilter, DeedRow};
pub use backlog::Backlog;
pub use blobs::{Hash, Incoming, Received, hex};

pub use bookmarks::BookmarkRow;
pub use commit_stats::CommitStats;
pub use conversations::{BridgeResponse, ConversationFilter, ConversationRow, SessionRow};
pub use counts::Count;
pub use dead_letters::{DeadLetter, Traces};
pub use dm::{Conversation, DirectMessage, SentDirect};
pub use edits::EditRow;
pub use events::{EventRow, Kind, NewEvent};
pub use export::{ExportPage, ExportQuery};
pub use files::{FileRow, NewFile};
pub use forget::Forgotten;
pub use handed::{EndedTurn, Handed, Word};
pub use hits::{Hit, Page, Range};
pub use identities::{Arrival, Arrived};
pub use inbox::{InboxItem, InboxQuery, Taking};
pub use incoming_webhooks::{Hook, IncomingWebhookRow, unknown_hook};
pub use job_list::{AttemptRow, JobFilter, JobRow};
pub use jobs::{Claimed, Seat, State};
pub use mentions::{LONGEST_TARGET, MentionQuery, UnreadMentions, mentions_name};
pub use message_changes::{Deletion, MessageRow};
pub use message_lists::{MessagePage, MessageQuery};
pub use messages::{Draft, Message, Posted};
pub use oldest_jobs::OldestJobs;
pub use participants::Participant;
pub use pauses::PauseRow;
pub use people::{Moved, Part, PersonRow, unknown_person};
pub use person_export::{ExportedConversation, ExportedDelivery, ExportedMessage};
pub use pins::PinnedMessage;
pub use profiles::{Profile, ProfileChange};
pub use queue::Settled;
pub use queue_deeds::JobDeed;
pub use reactions::{Reaction, ReactionSummary};
pub use read_positions::ReadPosition;
pub use retention::{Pruned, RoomLimits};
pub use room_changes::RoomChange;
pub use room_deletion::Purged;
pub use room_list::{ListedRoom, RoomPlace, RoomQuery};
pub use room_turns::{Origin, RoomPost, Routing, Spot};
pub use rooms::{NewRoom, RoomKind, RoomRef, RoomRow, Viewer};
pub use search::{Found, SearchQuery, SearchResult};
pub use send::Target;
pub use sessions_end::ClearedSessions;
pub use stats::Stats;
pub use streams::{DM_NAME, Portion, Reached, Scope};
pub use takeover::{Taken, unknown_conversation};
pub use threads::{Reply, Thread};
pub use tokens::TokenRow;
pub use turns::{Asked, Refusal, Turn};
pub use unread::UnreadRoom;
pub use users::{ProfileRow, UserFilter, UserRow};
pub use webhook_deliveries::{DeliveryFilter, DeliveryRow, unknown_delivery};
pub use webhooks::{EventFilter, NewWebhook, WebhookChange, WebhookRow, names, webhook_events};
pub use writer::Tx;

use crate::error::{Error, Result};
use crate::live::bus::Bus;
use blobs::Blobs;
use readers::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};
use slots::Slots;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use writer::Writer;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    pub path: PathBuf,
    /// fsync before each answer; without it the last moments may be lost with the power.
    pub full_durability: bool,
    pub readers: usize,
    /// Only a store that is there and of today's schema: nothing is made or migrated.
    pub existing: bool,
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Readers,
    shared: Arc<Shared>,
}

/// What writer, readers and the store's users have in common.
pub(crate) struct Shared {
    pub path: PathBuf,
    full_durability: bool,
    pub bus: Arc<Bus>,
    blobs: Arc<Blobs>,
    pub slots: Mutex<Slots>,
    pub stats: CommitStats,
    /// Touched by the writer alone.
    endpoints: Mutex<webhooks::Endpoints>,
    /// Who is asked in rooms; unset: nobody.
    routing: OnceLock<Arc<dyn Routing>>,
    /// Why the last write failed, until one works again.
    trouble: Mutex<Option<String>>,
}

/// A connection that only reads, inside a reader thread.
pub struct Read<'a> {
    connection: &'a Connection,
}

impl Store {
    /// Opens the file, making it and its folder where missing, and brings its schema up to date.
    pub fn open(options: &Options, bus: Arc<Bus>) -> Result<(Self, Handed)> {
        let shared = Arc::new(Shared {
            path: options.path.clone(),
            full_durability: options.full_durability,
            bus,
            blobs: Arc::new(Blobs::new(&options.path)),
            slots: Mutex::default(),
            stats: CommitStats::default(),
            endpoints: Mutex::default(),
            routing: OnceLock::new(),
            trouble: Mutex::default(),
        });
        backup::refuse_cut_off(&options.path)?;
        let named =
            |error: Error| Error::Unavailable(format!("cannot open the store {}: {error}", options.path.display()));
        let mut connection = shared.open_file(!options.existing).map_err(named)?;
        // Before anything of the file is touched: it may be of another program, or of a newer one.
        let version = migrate::version(&connection).map_err(named)?;
        if options.existing {
            migrate::check_current(version).map_err(named)?;
        }
        shared.configure(&connection).map_err(named)?;
        migrate::migrate(&mut connection, version).map_err(named)?;
        let (workers, handed) = handed::wire();
        let writer = Writer::start(connection, shared.clone(), workers).map_err(named)?;
        let readers = Readers::start(&shared, options.readers).map_err(named)?;
        Ok((Self { writer, readers, shared }, handed))
    }

    /// Runs `body` in a transaction and answers after its commit. It may run twice, so it touches nothing outside. A full queue of writes
    /// is `Unavailable` at once: for requests, whose sender can try again.
    pub async fn write<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.write(body).await
    }

    /// The same, but waits for a place in the queue of writes: for the host's own work, which must not be dropped.
    pub async fn write_patiently<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.write_patiently(body).await
    }

    /// Runs `body` on a reader thread, on the state after the last commit.
    pub async fn read<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        self.readers.read(body).await
    }

    /// The same for a query of a few rows by their keys: it runs on the caller's own thread, so it must not take long.
    pub async fn glance<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        self.readers.glance(body).await
    }

    pub fn bus(&self) -> &Arc<Bus> {
        &self.shared.bus
    }

    /// Changes how many jobs an instance may have at once.
    pub fn with_slots<T>(&self, body: impl FnOnce(&mut Slots) -> T) -> T {
        body(&mut self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on what is said in rooms may be answered. To be called once.
    pub fn set_routing(&self, routing: Arc<dyn Routing>) {
        let _ = self.shared.routing.set(routing);
    }

    pub fn stats(&self) -> &CommitStats {
        &self.shared.stats
    }

    /// From here on, commits and queries that take so long are told in the log; zero: none.
    pub fn warn_when_slow(&self, time: Duration) {
        self.shared.stats.threshold.set(time);
    }

    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Why the store cannot be written, if so.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends after what is under way; the file is then as small as SQLite leaves it.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

impl Shared {
    /// A connection with this host's settings; a reader's cannot write.
    fn connect(&self, writer: bool) -> Result<Connection> {
        let connection = self.open_file(false)?;
        self.configure(&connection)?;
        if !writer {
            connection.pragma_update(None, "query_only", true).map_err(sql_error)?;
        }
        Ok(connection)
    }

    fn open_file(&self, make: bool) -> Result<Connection> {
        if make && let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::Unavailable(error.to_string()))?;
        }
        if make {
            // For its owner alone, since secrets and private words are in it; SQLite's other files follow this one.
            let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
            match new {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::Unavailable(error.to_string()));
                }
                _ => {}
            }
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, make);
        Connection::open_with_flags(&self.path, flags).map_err(sql_error)
    }

    fn configure(&self, connection: &Connection) -> Result<()> {
        connection.busy_timeout(Duration::from_secs(5)).map_err(sql_error)?;
        connection.set_prepared_statement_cache_capacity(256);
        // Plans go by the statement alone: where there are statistics, each new value would else have it compiled again.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sql_error)?;
        let synchronous = if self.full_durability { "full" } else { "normal" };
        // A checkpoint every 64 MB by the writer itself: fewer and calmer than the default's, see ARCHITECTURE.md. The file is not mapped:
        // that reads a fifth faster from a store larger than memory's caches, and counts the file as the host's memory, once per connection.
        let settings = format!(
            "pragma journal_mode = wal; pragma synchronous = {synchronous}; pragma foreign_keys = on;
             pragma wal_autocheckpoint = 16000; pragma journal_size_limit = 67108864; pragma temp_store = memory;
             pragma cache_size = -16384;"
        );
        connection.execute_batch(&settings).map_err(sql_error)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        let mut held = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*held, &trouble) {
            (None, Some(text)) => tracing::error!("the store cannot be written: {text}"),
            (Some(_), None) => tracing::info!("the store can be written again"),
            _ => {}
        }
        *held = trouble;
    }
}

impl Read<'_> {
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        prepare(self.connection, sql).map_err(sql_error)
    }
}

/// The only place where a statement is made; in tests it is noted, so that its query plan can be looked at.
fn prepare<'a>(connection: &'a Connection, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
    #[cfg(test)]
    tests::note(sql);
    connection.prepare_cached(sql)
}

/// Drivers' errors by meaning: what passes when there is space or a disk again is `Unavailable`.
fn sql_error(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            Error::Unavailable("the disk that holds the store is full; free some space".into())
        }
        Some(ErrorCode::SystemIoFailure) => {
            writer::note_io_failure();
            Error::Unavailable(format!("the disk that holds the store failed: {error}"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Error::Unavailable(format!("the store cannot be written: {error}"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable("another program keeps the store locked".into())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Unavailable(format!("the store's file is damaged ({error}); restore a backup"))
        }
        _ => Error::Internal(format!("store: {error}")),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_audit;
#[cfg(test)]
mod tests_backlog;
#[cfg(test)]
mod tests_counts;
#[cfg(test)]
mod tests_files;
#[cfg(test)]
mod tests_finding;
#[cfg(test)]
mod tests_lanes;
#[cfg(test)]
mod tests_merges;
#[cfg(test)]
mod tests_messages;
#[cfg(test)]
mod tests_people;
#[cfg(test)]
mod tests_queue;
#[cfg(test)]
mod tests_rooms;
#[cfg(test)]
mod tests_sessions_end;
#[cfg(test)]
mod tests_slices;
#[cfg(test)]
mod tests_streams;
#[cfg(test)]
mod tests_sums;
#[cfg(test)]
mod tests_tokens;
#[cfg(test)]
mod tests_turns;
#[cfg(test)]
mod tests_webhooks;
