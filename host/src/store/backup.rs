//! Copies of a store with the contents of its files: of one moment, taken while a host goes on writing or at rest; and back again. The
//! store is opened for reading alone. A backup is a store itself: `NAME` with its contents in `NAME.files`, and a host can be started
//! from it as it lies there.

mod part;
mod restore;
mod swap;

pub use restore::{Doubt, Restored, Wishes, restore};
pub use swap::{finish, refuse_cut_off};

use super::blobs::{Hash, folder_of, hex, named_after};
use super::{Read, migrate, sql_error};
use crate::error::{Error, Result};
use part::Part;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often it is looked how far a copy has come.
const GLANCE: Duration = Duration::from_millis(100);
/// What SQLite keeps beside a store.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What the host keeps beside it.
const OURS: [&str; 3] = [".lock", ".restoring", ".part"];
/// What means something in the address of a file.
const IN_URI: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ').add(b'"');
/// Bytes of a file's content that are read at once.
const CHUNK: usize = 256 * 1024;
/// The schema that first had files.
const WITH_FILES: i64 = 2;

/// What is under way, for those who show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many of so many bytes, about.
    Copying(u64, u64),
    Checking,
    /// So many of so many contents.
    Contents(u64, u64),
}

/// What a backup holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Backed {
    pub bytes: u64,
    /// The newest event in it.
    pub seq: i64,
    /// Where the contents are, if there are any.
    pub folder: Option<PathBuf>,
    pub contents: u64,
    pub content_bytes: u64,
    /// Contents that were deleted while it was taken.
    pub missing: u64,
}

/// What a store's rows say.
struct Named {
    seq: i64,
    contents: Vec<(Hash, u64)>,
}

/// Copies the store to `file`. An older backup there is replaced only with `force`, and only when the new one is whole.
pub fn backup(store: &Path, file: &Path, force: bool, progress: &mut dyn FnMut(Step)) -> Result<Backed> {
    if same_file(store, file) {
        return Err(Error::Conflict(format!("{} is the store itself; name another file", file.display())));
    }
    refuse_cut_off(file)?;
    refuse_what_is_no_backup(store, file)?;
    let contents = named_after(file, ".files");
    let there = [file, &contents].into_iter().find(|path| path.symlink_metadata().is_ok());
    if let Some(there) = there.filter(|_| !force) {
        let text = format!("{} is there already; name another file, or replace it with --force", there.display());
        return Err(Error::Conflict(text));
    }
    let part = Part::begin(file)?;
    let named = copy(store, &part.file, progress)?;
    let mut backed = copy_contents(&folder_of(store), &part.folder, &named, progress)?;
    backed.bytes = fs::metadata(&part.file).map_err(|error| failed(&part.file, &error))?.len();
    backed.folder = (backed.contents > 0).then(|| contents.clone());
    part.put(file, &contents, &named.contents.iter().map(|(hash, _)| hex(hash)).collect())?;
    Ok(backed)
}

/// With `force` too only a store is replaced: a slip must not cost a device, a token, or what SQLite keeps beside the store.
fn refuse_what_is_no_backup(store: &Path, file: &Path) -> Result<()> {
    let is_beside = BESIDE.iter().chain(&OURS).any(|ending| same_place(&named_after(store, ending), file));
    if is_beside {
        let text = format!("{} belongs to the store itself; name another file", file.display());
        return Err(Error::Conflict(text));
    }
    let Ok(found) = file.metadata() else { return Ok(()) };
    let is_store =
        || open_for_reading(file).is_ok_and(|found| migrate::version(&found).is_ok_and(|version| version > 0));
    if !found.is_file() || (found.len() > 0 && !is_store()) {
        let text = format!("{} is there already, and is no backup; name another file", file.display());
        return Err(Error::Conflict(text));
    }
    Ok(())
}

fn same_file(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn same_place(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| fs::canonicalize(parent(path)).ok();
    one.file_name() == other.file_name() && folder(one).is_some_and(|one| Some(one) == folder(other))
}

/// One moment of the store, whole and checked.
fn copy(store: &Path, target: &Path, progress: &mut dyn FnMut(Step)) -> Result<Named> {
    refuse_cut_off(store)?;
    let unread = |error: Error| Error::Unavailable(format!("cannot read the store {}: {error}", store.display()));
    let source = open_for_reading(store).map_err(unread)?;
    if migrate::version(&source).map_err(unread)? == 0 {
        return Err(unread(Error::Invalid("it is empty: no host was ever started with it".into())));
    }
    // Here and not in the copy: rows are read one by one for that, and what is damaged beside them would be left out without a word.
    progress(Step::Checking);
    check(&source)?;
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    new.map_err(|error| failed(target, &error))?;
    let unwritten = |error| Error::Unavailable(format!("cannot write {}: {}", target.display(), sql_error(error)));
    write_out(source, store, target, progress).map_err(unwritten)?;
    progress(Step::Checking);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(target, flags).map_err(unwritten)?;
    check(&copy)?;
    let named = named(&copy).map_err(unread)?;
    copy.close().map_err(|(_, error)| unwritten(error))?;
    File::open(target).and_then(|file| file.sync_all()).map_err(|error| failed(target, &error))?;
    Ok(named)
}

/// Row by row, in one read transaction: whatever is written meanwhile, the copy is of one moment. And none of what was deleted is in it:
/// pages that are copied as they are would still have the words.
fn write_out(source: Connection, store: &Path, target: &Path, progress: &mut dyn FnMut(Step)) -> rusqlite::Result<()> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let all = size(store) + size(&named_after(store, "-wal"));
    let into = target.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(target.to_owned()))?;
    thread::scope(|scope| {
        // Held until the statement has ended.
        let (ended, end) = mpsc::channel::<()>();
        let writing = scope.spawn(move || {
            let _ended = ended;
            source.execute("vacuum into ?1", [into]).map(drop)
        });
        while end.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
            progress(Step::Copying(size(target).min(all), all));
        }
        writing.join().unwrap_or(Err(rusqlite::Error::InvalidQuery))
    })
}

/// A copy of a damaged store is not taken for a backup.
fn check(store: &Connection) -> Result<()> {
    let found: String = store.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(sql_error)?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::Unavailable(format!("the store is damaged ({found}), so there is no new backup; keep the older ones")))
}

/// Nothing is made or changed by it. One that nobody has open, and that was closed in good order, lies there in one file: that it stays so
/// while it is read is for the caller to see to, by its lock.
pub(super) fn open_for_reading(store: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let is_whole = BESIDE.iter().all(|ending| !named_after(store, ending).exists());
    let connection = match store.to_str().filter(|_| is_whole) {
        // Else SQLite would put a log beside it, and leave it there.
        Some(path) => {
            let path = utf8_percent_encode(path, IN_URI);
            Connection::open_with_flags(format!("file:{path}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        None => Connection::open_with_flags(store, flags),
    };
    let connection = connection.map_err(sql_error)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(sql_error)?;
    Ok(connection)
}

fn named(source: &Connection) -> Result<Named> {
    let version = migrate::version(source)?;
    let seq = Read { connection: source }.head()?;
    let mut contents = Vec::new();
    if version >= WITH_FILES {
        // All of them, and once per backup: not one of the statements that are kept and whose plans are looked at.
        let sql = "select hash, max(size) from files group by hash";
        let mut statement = source.prepare(sql).map_err(sql_error)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())));
        contents = rows.map_err(sql_error)?.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
    }
    Ok(Named { seq, contents })
}

/// Those that the copy names; one that is gone was deleted since, or is told as missing.
fn copy_contents(from: &Path, to: &Path, named: &Named, progress: &mut dyn FnMut(Step)) -> Result<Backed> {
    let mut backed = Backed { seq: named.seq, ..Backed::default() };
    let all = named.contents.len() as u64;
    for ((hash, size), number) in named.contents.iter().zip(1..) {
        let name = hex(hash);
        let (source, folder) = (from.join(&name[..2]).join(&name), to.join(&name[..2]));
        match copy_content(&source, &folder, &name, *size) {
            Ok(true) => {
                backed.contents += 1;
                backed.content_bytes += size;
            }
            Ok(false) => backed.missing += 1,
            Err(error) => return Err(failed(&folder, &error)),
        }
        progress(Step::Contents(number, all));
    }
    if backed.contents > 0 {
        sync_folders(to).map_err(|error| failed(to, &error))?;
    }
    Ok(backed)
}

/// False: it is not there, or not what its name says.
fn copy_content(source: &Path, folder: &Path, name: &str, size: u64) -> io::Result<bool> {
    let mut bytes = match File::open(source) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    if bytes.metadata()?.len() != size {
        return Ok(false);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = bytes.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        copy.write_all(&chunk[..read])?;
    }
    if hex(&hasher.finalize().into()) != name {
        fs::remove_file(folder.join(name))?;
        return Ok(false);
    }
    copy.sync_all()?;
    Ok(true)
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync(&path)?;
        }
    }
    sync(folder)?;
    sync(parent(folder))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space there, or name another place",
        _ => "",
    };
    Error::Unavailable(format!("cannot write {}: {error}{hint}", path.display()))
}

/// Of a bare name it is the folder where one is.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn remove_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
