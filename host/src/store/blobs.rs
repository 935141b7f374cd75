//! The bytes of files, in a folder beside the store: each content once, under its SHA-256.
//!
//! A content is written to a temporary file, synced, and moved to its place before its row is written, so a row's bytes are always whole.
//! They go after the last row that names them. Whoever adds a row shares the content's lock from the move to the commit, and whoever
//! unlinks has it alone while it asks for rows: so bytes are never taken from a row that is about to be. What a crash leaves without a
//! row is found by `orphans.rs`.

use super::{Store, Tx};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::RwLock;
use uuid::Uuid;

/// SHA-256 of a content.
pub type Hash = [u8; 32];

/// Bytes that are written at once.
const PIECE: usize = 256 * 1024;
/// Contents share so many locks.
const LOCKS: usize = 64;

/// The file in a folder of contents that says whose they are.
pub(super) const MARK: &str = "store";

/// Where contents are.
pub(super) struct Blobs {
    folder: PathBuf,
    /// Name of the store's file.
    store: String,
    /// Whether the folder is known to be this store's.
    owned: OnceLock<()>,
    /// Starts the names of this run's temporary files; all others are of runs that ended.
    run: String,
    locks: Vec<Arc<RwLock<()>>>,
}

/// A content on its way in. Dropped before its end, it leaves nothing.
pub struct Incoming {
    /// None after a failure.
    writing: Option<Writing>,
    held: Vec<u8>,
    size: u64,
}

struct Writing {
    file: File,
    hash: Sha256,
    temporary: Temporary,
}

/// A whole content on disk, not yet in its place.
pub struct Received {
    pub hash: Hash,
    pub size: u64,
    temporary: Temporary,
}

/// Removed with this, unless it was moved.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a store's contents are: beside it in `files`, or, as in a backup, in a folder that has the store's own name.
pub(super) fn folder_of(store: &Path) -> PathBuf {
    let own = named_after(store, ".files");
    if own.is_dir() { own } else { store.with_file_name("files") }
}

/// The path with something behind its last name.
pub(super) fn named_after(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    store.with_file_name(name)
}

/// For its owner alone, as the store's file is; one that is there keeps its mode.
fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The name of the store that contents in a folder are of; empty where nobody has said so.
pub(super) fn owner_of(folder: &Path) -> io::Result<String> {
    match fs::read_to_string(folder.join(MARK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        owner => Ok(owner?.trim().to_owned()),
    }
}

impl Blobs {
    pub(super) fn new(store: &Path) -> Self {
        let locks = (0..LOCKS).map(|_| Arc::default()).collect();
        Self {
            folder: folder_of(store),
            store: store.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            owned: OnceLock::new(),
            run: Uuid::now_v7().simple().to_string(),
            locks,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    /// Marks the folder as this store's: two stores in one would each take the other's contents for orphans. One whose file is gone, as
    /// after it was renamed, owns nothing.
    pub(super) fn own(&self) -> io::Result<()> {
        if self.owned.get().is_some() {
            return Ok(());
        }
        private_folder(&self.folder)?;
        let owner = owner_of(&self.folder)?;
        if owner != self.store {
            if !owner.is_empty() && self.folder.with_file_name(&owner).is_file() {
                let text = format!("the folder {} is of the store {owner}", self.folder.display());
                return Err(io::Error::other(format!("{text}; put each store into a folder of its own")));
            }
            fs::write(self.folder.join(MARK), &self.store)?;
        }
        self.owned.get_or_init(|| ());
        Ok(())
    }

    /// Whether a temporary file is of an upload that may still go on.
    pub(super) fn is_of_this_run(&self, name: &str) -> bool {
        name.starts_with(&self.run)
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        let name = hex(hash);
        self.folder.join(&name[..2]).join(name)
    }

    fn lock(&self, hash: &Hash) -> Arc<RwLock<()>> {
        self.locks[usize::from(hash[0]) % LOCKS].clone()
    }

    fn begin(&self) -> io::Result<Writing> {
        self.own()?;
        let folder = self.incoming();
        private_folder(&folder)?;
        let temporary = Temporary(folder.join(format!("{}-{}", self.run, Uuid::now_v7().simple())));
        let file = File::create_new(&temporary.0)?;
        Ok(Writing { file, hash: Sha256::new(), temporary })
    }

    /// Also over the same content, which heals one that the disk damaged; those who read the old one go on reading it.
    fn put(&self, received: &Received) -> io::Result<()> {
        let path = self.path(&received.hash);
        let folder = path.parent().unwrap_or(&self.folder);
        if !folder.is_dir() {
            private_folder(folder)?;
            sync(&self.folder)?;
            self.folder.parent().map_or(Ok(()), sync)?;
        }
        fs::rename(&received.temporary.0, &path)?;
        sync(folder)
    }
}

impl Incoming {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub async fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        self.held.extend_from_slice(bytes);
        if self.held.len() < PIECE { Ok(()) } else { self.flush().await }
    }

    /// The whole content, safe on disk.
    pub async fn finish(mut self) -> Result<Received> {
        self.flush().await?;
        let (size, writing) = (self.size, self.writing.take().ok_or_else(failed_before)?);
        blocking(move || {
            writing.file.sync_all()?;
            Ok(Received { hash: writing.hash.finalize().into(), size, temporary: writing.temporary })
        })
        .await
    }

    async fn flush(&mut self) -> Result<()> {
        let mut writing = self.writing.take().ok_or_else(failed_before)?;
        let held = std::mem::take(&mut self.held);
        let written = blocking(move || {
            writing.file.write_all(&held)?;
            writing.hash.update(&held);
            Ok(writing)
        });
        self.writing = Some(written.await?);
        Ok(())
    }
}

impl Store {
    /// Begins to take a content in.
    pub async fn receive(&self) -> Result<Incoming> {
        let blobs = self.shared.blobs.clone();
        let writing = blocking(move || blobs.begin()).await?;
        Ok(Incoming { writing: Some(writing), held: Vec::new(), size: 0 })
    }

    /// Moves a content to its place and writes `row`, which names it: both or neither.
    pub async fn keep<T, F>(&self, received: Received, row: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (store, hash) = (self.clone(), received.hash);
        // Apart from the request, whose end must not come between the lock and the commit.
        let kept = tokio::spawn(async move {
            let blobs = store.shared.blobs.clone();
            let shared = blobs.lock(&hash).read_owned().await;
            let kept = match blocking(move || blobs.put(&received)).await {
                Ok(()) => store.write(row).await,
                Err(error) => Err(error),
            };
            drop(shared);
            if kept.is_err() {
                store.unlink_unreferenced(vec![hash]).await;
            }
            kept
        });
        kept.await.unwrap_or_else(|error| Err(Error::Internal(format!("keeping a file: {error}"))))
    }

    /// For reading, also when it is unlinked meanwhile. `size` is what its row says.
    pub async fn open_blob(&self, hash: Hash, size: u64) -> Result<File> {
        let path = self.shared.blobs.path(&hash);
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let whole = file.metadata()?.len() == size;
            if whole { Ok(file) } else { Err(io::Error::other("it has another size than when it was uploaded")) }
        });
        let opened = opened.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        opened.map_err(|error| {
            tracing::error!("the content {} cannot be read: {error}", hex(&hash));
            Error::Unavailable("this file's bytes cannot be read from the disk; restore them from a backup".into())
        })
    }

    /// Removes those contents that no row names any more. To be called after the commit that removed rows; may be called for any content
    /// at any time. What cannot be removed now is found again as an orphan.
    pub async fn unlink_unreferenced(&self, hashes: Vec<Hash>) {
        for hash in hashes {
            let blobs = self.shared.blobs.clone();
            let alone = blobs.lock(&hash).write_owned().await;
            match self.read(move |read| read.has_content(&hash)).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("whether a content is still needed cannot be read: {error}");
                    continue;
                }
            }
            // The lock goes along: it must not be let go before the file, whatever becomes of the caller.
            let removed = blocking(move || {
                let _alone = alone;
                blobs.own()?;
                match fs::remove_file(blobs.path(&hash)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            });
            if let Err(error) = removed.await {
                tracing::warn!("a content that nobody needs cannot be removed: {error}");
            }
        }
    }
}

/// Names as they are on disk and in entity tags.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs what waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        Error::Unavailable(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk that holds the store is full; free some space".into()
            }
            _ => format!("files cannot be kept now: {error}"),
        })
    })
}

fn sync(folder: &Path) -> io::Result<()> {
    // What a path without a folder lies in.
    let here = Path::new(".");
    File::open(if folder.as_os_str().is_empty() { here } else { folder })?.sync_all()
}

fn failed_before() -> Error {
    Error::Unavailable("an earlier piece of the file could not be written".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_path_without_one_is_this_one() {
        assert!(Path::new("arcuate.db").parent().is_some_and(|folder| sync(folder).is_ok()));
    }
}
