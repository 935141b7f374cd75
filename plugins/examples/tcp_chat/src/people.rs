//! Who is there. A name has one connection at most: whoever comes in again takes the place of their old connection, which may be a dead one.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::timeout;

/// What people may call themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// As they wrote it.
    pub display: String,
    /// In small letters: `Ada` and `ada` are one person.
    pub id: String,
}

impl Name {
    /// 1 to 32 letters, digits, `_` and `-`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let display = line.trim();
        let fits = (1..=32).contains(&display.chars().count());
        let plain = display.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
        (fits && plain).then(|| Self { display: display.into(), id: display.to_lowercase() })
    }
}

#[derive(Debug, Default)]
pub(crate) struct People(Mutex<HashMap<String, Arc<Connection>>>);

impl People {
    pub(crate) fn enter(&self, name: &Name, connection: Arc<Connection>) {
        if let Some(old) = self.map().insert(name.id.clone(), connection) {
            old.end(End::Replaced);
        }
    }

    /// Whoever has taken the place in the meantime stays.
    pub(crate) fn leave(&self, name: &Name, connection: &Arc<Connection>) {
        let mut map = self.map();
        if map.get(&name.id).is_some_and(|there| Arc::ptr_eq(there, connection)) {
            map.remove(&name.id);
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Connection>> {
        self.map().get(id).cloned()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The same name came in again.
    Replaced,
    /// It takes nothing more.
    Broken,
}

/// The writing side of somebody's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    write_timeout: Duration,
    end: watch::Sender<Option<End>>,
}

impl Connection {
    pub(crate) fn new(writer: OwnedWriteHalf, write_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { writer: writer.into(), write_timeout, end: watch::Sender::new(None) })
    }

    /// Writes whole lines. Who does not read them in time has broken the connection, because a line may be half written.
    pub(crate) async fn say(&self, text: &str) -> io::Result<()> {
        let write = async { self.writer.lock().await.write_all(text.as_bytes()).await };
        let said = timeout(self.write_timeout, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if said.is_err() {
            self.end(End::Broken);
        }
        said
    }

    fn end(&self, end: End) {
        self.end.send_replace(Some(end));
    }

    /// Resolves when the connection is to end.
    pub(crate) async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(End::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_read_within_its_bounds() {
        let name = Name::parse(" Ada_7-É \r").unwrap();
        assert_eq!((name.display.as_str(), name.id.as_str()), ("Ada_7-É", "ada_7-é"));
        for wrong in ["", "  ", "two words", "a@b", &"x".repeat(33)] {
            assert_eq!(Name::parse(wrong), None, "{wrong:?}");
        }
    }
}
