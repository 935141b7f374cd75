//! How a store is, looked at from outside: opened for reading alone, beside a host that runs or without one. For `arcuate doctor`.

use super::backup::{open_for_reading, refuse_cut_off};
use super::blobs::{folder_of, named_after};
use super::migrate::{self, KNOWN};
use super::{JobFilter, OldestJobs, Read, State, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long the look through the file may take, unless somebody has time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses that are named.
const PAUSES: u32 = 20;
/// The schema that first had pauses.
const WITH_PAUSES: i64 = 3;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Health {
    pub schema: i64,
    /// What this program works with.
    pub known: i64,
    pub integrity: Integrity,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    pub newest_message: Option<Micros>,
    /// By instance and state.
    pub jobs: Vec<(String, String, i64)>,
    pub oldest: OldestJobs,
    /// By instance: what its newest dead letter failed of.
    pub last_deaths: BTreeMap<String, String>,
    pub pauses: Vec<Pause>,
    pub has_tokens: bool,
    pub files: PathBuf,
}

/// What a look through the whole file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    Sound,
    Damaged(String),
    /// It took too long.
    Unknown,
}

/// A lane that an operator holds; the whole instance where it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub instance: String,
    pub lane: String,
    pub at: Micros,
    pub by: String,
    pub reason: String,
}

/// `thorough`: however long it takes.
pub fn examine(store: &Path, thorough: bool) -> Result<Health> {
    refuse_cut_off(store)?;
    let connection = open_for_reading(store)?;
    let schema = migrate::version(&connection)?;
    let integrity = integrity(&connection, thorough)?;
    let log_bytes = named_after(store, "-wal").metadata().map_or(0, |log| log.len());
    let mut health = Health {
        schema,
        known: KNOWN,
        integrity,
        log_bytes,
        newest_message: None,
        jobs: Vec::new(),
        oldest: OldestJobs::new(),
        last_deaths: BTreeMap::new(),
        pauses: Vec::new(),
        has_tokens: false,
        files: folder_of(store),
    };
    // Older ones lack what is asked below; the start of a host brings them up to date.
    if schema >= WITH_PAUSES {
        health.look(&Read { connection: &connection })?;
    }
    Ok(health)
}

impl Health {
    fn look(&mut self, read: &Read<'_>) -> Result<()> {
        self.jobs = read.job_counts()?;
        self.oldest = read.oldest_jobs(&self.jobs)?;
        let dead: Vec<_> = self.in_state(State::Failed).map(|(instance, _)| instance.to_owned()).collect();
        for instance in dead {
            let state = Some(State::Failed);
            let failed = JobFilter { state, instance: Some(instance.clone()), ..JobFilter::default() };
            let newest = read.jobs(&failed, None, 1)?.0.into_iter().next();
            self.last_deaths.extend(newest.and_then(|job| Some((instance, job.last_error?))));
        }
        self.pauses = read.pauses_named()?;
        self.newest_message = read.newest_message_time()?;
        self.has_tokens = !read.tokens("", 1)?.is_empty();
        Ok(())
    }

    /// Jobs in this state, by instance, of those that have some.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = (&str, i64)> {
        let fits = move |(_, name, count): &&(String, String, i64)| name == state.name() && *count > 0;
        self.jobs.iter().filter(fits).map(|(instance, _, count)| (instance.as_str(), *count))
    }
}

impl Read<'_> {
    fn pauses_named(&self) -> Result<Vec<Pause>> {
        let sql = "select instance, lane, paused_at, paused_by, reason from queue_pauses where instance > ''
                   order by instance, lane limit ?1";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([PAUSES], |row| {
            Ok(Pause {
                instance: row.get(0)?,
                lane: row.get(1)?,
                at: row.get(2)?,
                by: row.get(3)?,
                reason: row.get(4)?,
            })
        });
        rows.map_err(sql_error)?.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    fn newest_message_time(&self) -> Result<Option<Micros>> {
        let mut statement = self.prepare("select created_at from messages where seq > 0 order by seq desc limit 1")?;
        statement.query_row([], |row| row.get(0)).optional().map_err(sql_error)
    }
}

/// All of the file is read, which takes as long as its size and the disk make it.
fn integrity(connection: &Connection, thorough: bool) -> Result<Integrity> {
    let (done, ended) = mpsc::channel::<()>();
    let interrupt = connection.get_interrupt_handle();
    let watch = thread::spawn(move || {
        if !thorough && ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let found = connection.query_row("pragma quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    // It ends at once now that nobody is left to wait for.
    let _ = watch.join();
    match found {
        Ok(found) if found == "ok" => Ok(Integrity::Sound),
        Ok(found) => Ok(Integrity::Damaged(found)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Integrity::Unknown),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(Integrity::Damaged(error.to_string())),
            _ => Err(sql_error(error)),
        },
    }
}

#[cfg(test)]
pub(super) fn use_all(read: &Read<'_>) -> Result<()> {
    read.pauses_named()?;
    read.newest_message_time().map(drop)
}
