//! One host per store: a lock on `<store>.lock`, which also tells who holds it and where it listens, and one on the store's file itself,
//! for whoever comes by another name of it or after the first lock's file was removed.

use crate::clock;
use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// What the lock file says while a host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Empty until the host listens.
    #[serde(default)]
    pub url: String,
    pub started_at: String,
}

/// The lock; let go with the file, so also by a kill.
#[derive(Debug)]
pub struct Lock {
    /// None on a disk that cannot be written and has none.
    file: Option<File>,
    holder: Holder,
    /// Closed after the store's own files: a process that closes one of these loses SQLite's locks on it.
    store: Option<File>,
    /// Why nobody could find a host that had it.
    unwritable: Option<String>,
}

pub fn path_of(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    store.with_file_name(name)
}

/// Who has the lock, as far as its file says.
pub fn holder(store: &Path) -> Option<Holder> {
    read(&File::open(path_of(store)).ok()?)
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub fn take(store: &Path) -> Result<Self, TakeError> {
        let path = path_of(store);
        let broken =
            |error: &dyn std::fmt::Display| TakeError::Failed(format!("cannot lock {}: {error}", path.display()));
        let mut options = OpenOptions::new();
        let mut unwritable = None;
        let file = match options.read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => Some(file),
            // Nobody else can write there either, but may look: a backup is wanted just then.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                unwritable = Some(format!("cannot lock {}: {error}", path.display()));
                File::open(&path).ok()
            }
            Err(error) => return Err(broken(&error)),
        };
        if let Some(file) = &file {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(TakeError::Held(read(file))),
                Err(error) => return Err(broken(&error)),
            }
        }
        let holder = Holder { pid: std::process::id(), url: String::new(), started_at: clock::format(clock::now()) };
        let mut lock = Self { file, holder, store: None, unwritable };
        lock.hold(store)?;
        if lock.unwritable.is_none() {
            lock.write().map_err(|e| broken(&e))?;
        }
        Ok(lock)
    }

    /// Locks the store's file too, if it is there by now.
    pub fn hold(&mut self, store: &Path) -> Result<(), TakeError> {
        let broken =
            |error: &dyn std::fmt::Display| TakeError::Failed(format!("cannot lock {}: {error}", store.display()));
        if self.store.is_some() {
            return Ok(());
        }
        let file = match File::open(store) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(broken(&error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.store = Some(file),
            Err(Errno::WOULDBLOCK) => return Err(TakeError::Held(None)),
            Err(error) => return Err(broken(&error)),
        }
        Ok(())
    }

    /// Tells the command line where this host listens.
    pub fn announce(&mut self, url: &str) -> Result<()> {
        if let Some(why) = &self.unwritable {
            return Err(Error::Unavailable(why.clone()));
        }
        self.holder.url = url.into();
        self.write().map_err(|error| Error::Unavailable(format!("cannot write the store's lock file: {error}")))
    }

    fn write(&mut self) -> std::io::Result<()> {
        // One write of a padded line: a reader sees the old or the new content, never a mix that ends in between.
        let mut text = serde_json::to_string(&self.holder)?;
        text.push('\n');
        let Some(file) = &mut self.file else { return Ok(()) };
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays, so that nobody locks one that another is about to remove; empty, it names nobody.
        let _ = self.file.as_ref().map(|file| file.set_len(0));
    }
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum TakeError {
    /// Another process has it; what it wrote, if it could be read.
    Held(Option<Holder>),
    Failed(String),
}

impl From<TakeError> for Error {
    fn from(error: TakeError) -> Self {
        Self::Unavailable(match error {
            TakeError::Failed(text) => text,
            TakeError::Held(None) => "another process has the store open; stop it first".into(),
            TakeError::Held(Some(holder)) => {
                format!("a host with pid {} has the store open since {}; stop it first", holder.pid, holder.started_at)
            }
        })
    }
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(text.lines().next()?).ok()
}
