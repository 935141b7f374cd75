//! Where a command finds what it asks about: the running host, which the store's lock names, or else the store itself at rest. The same
//! functions answer in both places. A store is never made here, and nothing changes because somebody looked.

use super::client::Client;
use super::report::complain;
use crate::auth;
use crate::config::{Config, Durability};
use crate::error::{Error, Result};
use crate::store::backup::refuse_cut_off;
use crate::store::lock::{self, Holder, Lock, TakeError};
use crate::store::slots::Retries;
use crate::store::{Deed, Options, Store};
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long another command may have the store, or a host may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// What there is for a configuration.
pub(super) enum Found {
    Host(Client),
    /// No host can start while this is held.
    Rest(Lock),
    NoStore,
}

/// Something that answers questions about jobs and people.
pub(super) enum Desk {
    Host(Client),
    Rest(AtRest),
}

/// An open store with the lock that keeps hosts away from it.
pub(super) struct AtRest {
    pub store: Store,
    _lock: Lock,
}

/// Why neither is found.
#[derive(Debug)]
pub(super) enum Unfound {
    /// The lock is held by a process that says nothing.
    Silent(Error),
    /// A host runs, and there is no token to ask it with.
    Token(Error),
    /// The store or its lock cannot be looked at.
    Store(Error),
}

pub(super) async fn find(config: &Config) -> std::result::Result<Found, Unfound> {
    let path = &config.store.path;
    let is_there = |path: &Path| is_there(path).map_err(Unfound::Store);
    if !is_there(path)? && !is_there(&lock::path_of(path))? {
        return Ok(Found::NoStore);
    }
    match take(path).await? {
        Ok(lock) => {
            refuse_cut_off(path).map_err(Unfound::Store)?;
            Ok(if has_content(path).map_err(Unfound::Store)? { Found::Rest(lock) } else { Found::NoStore })
        }
        Err(holder) => client(holder, config).map(Found::Host).map_err(Unfound::Token),
    }
}

/// The host that says that it runs, without a look at the lock itself: after a kill it may be wrong.
pub(super) fn running(config: &Config) -> Result<Option<Client>> {
    let holder = lock::holder(&config.store.path).filter(|holder| !holder.url.is_empty());
    holder.map(|holder| client(holder, config)).transpose()
}

/// Says who has the store already, before a second host takes anything else.
pub(super) async fn refuse_second_host(config: &Config) -> Result<()> {
    let path = &config.store.path;
    if !is_there(&lock::path_of(path))? {
        return Ok(());
    }
    take(path).await?.map(drop).map_err(|holder| TakeError::Held(Some(holder)).into())
}

impl From<Unfound> for Error {
    fn from(unfound: Unfound) -> Self {
        match unfound {
            Unfound::Silent(error) | Unfound::Token(error) | Unfound::Store(error) => error,
        }
    }
}

impl fmt::Display for Unfound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Silent(error) | Self::Token(error) | Self::Store(error)) = self;
        error.fmt(f)
    }
}

impl Desk {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        match find(config).await? {
            Found::Host(client) => Ok(Self::Host(client)),
            Found::Rest(lock) => AtRest::open(config, lock).map(Self::Rest),
            Found::NoStore => {
                let path = config.store.path.display();
                Err(Error::Unavailable(format!("there is no store at {path} yet; start the host once")))
            }
        }
    }

    pub(super) async fn close(self) {
        if let Self::Rest(rest) = self {
            rest.store.close().await;
        }
    }
}

impl AtRest {
    pub(super) fn open(config: &Config, lock: Lock) -> Result<Self> {
        let full_durability = config.store.durability == Durability::Full;
        let options = Options { path: config.store.path.clone(), full_durability, readers: 1, existing: true };
        let (store, _) = Store::open(&options, Arc::default())?;
        store.with_slots(|slots| slots.retries = Retries::of(&config.queue));
        Ok(Self { store, _lock: lock })
    }

    /// Writes down what is done already: where that cannot be, it is told, and the deed stands.
    pub(super) async fn record(config: &Config, lock: Lock, deed: Deed) {
        let written = async {
            let rest = Self::open(config, lock)?;
            let written = rest.store.write(move |tx| tx.audit(&deed)).await;
            rest.store.close().await;
            written
        };
        if let Err(error) = written.await {
            complain(&format!("warning: this was not written into the record of deeds: {error}"));
        }
    }
}

/// The lock, or the host that has it and says where it listens.
async fn take(store: &Path) -> std::result::Result<std::result::Result<Lock, Holder>, Unfound> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Lock::take(store) {
            Ok(lock) => return Ok(Ok(lock)),
            Err(TakeError::Held(Some(holder))) if !holder.url.is_empty() => return Ok(Err(holder)),
            Err(TakeError::Held(_)) if Instant::now() < end => sleep(STEP).await,
            Err(TakeError::Held(holder)) => return Err(Unfound::Silent(silent(store, holder))),
            Err(failed) => return Err(Unfound::Store(failed.into())),
        }
    }
}

fn silent(store: &Path, holder: Option<Holder>) -> Error {
    let who = holder.map_or_else(|| "another process".into(), |holder| format!("the process with pid {}", holder.pid));
    Error::Unavailable(format!(
        "{who} has the store {} open, but does not say where it listens; wait for its end or stop it",
        store.display()
    ))
}

/// A host that was started without a configured token goes by the one in its file, also after one was configured. Who may read that file
/// is its operator.
fn client(holder: Holder, config: &Config) -> Result<Client> {
    let token = token(config)?;
    let kept = fs::read_to_string(auth::token_path(&config.store.path)).unwrap_or_default();
    Client::new(holder, &token)?.with_spare(Some(kept.trim()).filter(|kept| !kept.is_empty() && *kept != token))
}

/// Read, never made: a token that the host does not know would help nobody.
fn token(config: &Config) -> Result<String> {
    let configured = config.auth.admin_token.expose();
    if !configured.is_empty() {
        return Ok(configured.into());
    }
    let path = auth::token_path(&config.store.path);
    let text = fs::read_to_string(&path).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied => "; run this as the user that runs the host",
            ErrorKind::NotFound => {
                "; a host that was started with [auth] admin_token goes by that one until it is restarted"
            }
            _ => "",
        };
        Error::Unavailable(format!("cannot read the operator's token {}: {error}{hint}", path.display()))
    })?;
    Ok(text.trim().into())
}

fn is_there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::Unavailable(format!("cannot look for {}: {error}", path.display())))
}

/// An empty file is one that somebody else made: opening it would make a store.
fn has_content(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(found) => Ok(!found.is_file() || found.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Unavailable(format!("cannot look for {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.store.path = folder.join("arcuate.db");
        config
    }

    #[tokio::test]
    async fn find_waits_for_a_command_that_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        fs::write(&config.store.path, "content").unwrap();
        let held = Lock::take(&config.store.path).unwrap();
        // On one thread: the lock is let go once `find` has met it.
        let (found, ()) = tokio::join!(find(&config), async { drop(held) });
        assert!(matches!(found, Ok(Found::Rest(_))));
    }

    #[tokio::test]
    async fn find_of_nothing_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("data"));
        assert!(matches!(find(&config).await, Ok(Found::NoStore)));
        assert!(!folder.path().join("data").exists());
        assert!(refuse_second_host(&config).await.is_ok());
    }
}
