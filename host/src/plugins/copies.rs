//! The host's own copies of libraries. What is loaded is never the file in the plugin directory, which a build may overwrite while the
//! process has it mapped, but a copy under the data directory, named by the hash of its content and checked before it gets that name.

use super::inspect::examine;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const FOLDER: &str = "plugins";
const UNFINISHED: &str = ".unfinished";
/// Hex digits of the hash in a file's name.
const DIGITS: usize = 32;
const CHUNK: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Copies {
    folder: PathBuf,
    /// Names, and how many keep each from being swept away. Of a copy that was loaded it is for good: the code stays in this process, and
    /// so do its bytes on the disk, with a name or without.
    used: Mutex<HashMap<OsString, u32>>,
}

impl Copies {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER), used: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The copy of what `source` holds now; what was checked is the copy itself. An error may pass: a full disk, or a build that has
    /// not finished writing the library.
    pub(super) fn keep(&self, source: &Path, library: &str) -> Result<PathBuf, String> {
        let obstacle =
            |error: io::Error| format!("{} cannot be copied to {}: {error}", source.display(), self.folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(obstacle)?;
        let wanted = hash(source, io::sink()).map_err(obstacle)?;
        let kept = self.claim(name(library, &wanted));
        if kept.is_file() && hash(&kept, io::sink()).is_ok_and(|found| found == wanted) {
            return match examine(&kept, library) {
                Ok(_) => Ok(kept),
                Err(reason) => {
                    self.release(&kept);
                    Err(unfit(source, &reason))
                }
            };
        }
        let copied = self.copy(source, library).map_err(obstacle);
        self.release(&kept);
        copied?
    }

    /// Of a copy that was not loaded after all.
    pub(super) fn release(&self, path: &Path) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = path.file_name() else { return };
        if let Some(users) = used.get_mut(name) {
            *users -= 1;
            if *users == 0 {
                used.remove(name);
            }
        }
    }

    /// How many copies are in use besides the `current` ones, and their bytes.
    pub(super) fn outlived(&self, current: &HashSet<OsString>) -> (usize, u64) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let outlived = used.keys().filter(|name| !current.contains(*name));
        outlived.fold((0, 0), |(count, bytes), name| {
            (count + 1, bytes + fs::metadata(self.folder.join(name)).map_or(0, |found| found.len()))
        })
    }

    fn copy(&self, source: &Path, library: &str) -> io::Result<Result<PathBuf, String>> {
        // Two contents of one library may be on their way at once.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.claim(format!("lib{library}-{number}{UNFINISHED}"));
        let copied = self.copy_by(&unfinished, source, library);
        if !matches!(copied, Ok(Ok(_))) {
            // On a full disk it would take the room that the store waits for.
            let _ = fs::remove_file(&unfinished);
        }
        self.release(&unfinished);
        copied
    }

    fn copy_by(&self, unfinished: &Path, source: &Path, library: &str) -> io::Result<Result<PathBuf, String>> {
        // A rest of an earlier process may be there, without the permission to write.
        let _ = fs::remove_file(unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(unfinished)?;
        // Hashed once more: what is copied need not be what was there a moment ago.
        let hash = hash(source, file)?;
        if let Err(reason) = examine(unfinished, library) {
            return Ok(Err(unfit(source, &reason)));
        }
        let kept = self.claim(name(library, &hash));
        let renamed = fs::rename(unfinished, &kept);
        if renamed.is_err() {
            self.release(&kept);
        }
        renamed.map(|()| Ok(kept))
    }

    /// Keeps the name from being swept away until it is released, from before there is a file of that name.
    fn claim(&self, name: String) -> PathBuf {
        let path = self.folder.join(&name);
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.into())
            .and_modify(|users| *users += 1)
            .or_insert(1);
        path
    }

    /// Removes the copies that nobody in this process uses. A library that stays mapped elsewhere loses only its name.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let name = entry?.file_name();
            if name.to_str().is_some_and(is_ours) && !used.contains_key(&name) {
                fs::remove_file(self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// The name that a copy of what `source` holds now would have.
pub(super) fn name_of(source: &Path, library: &str) -> io::Result<String> {
    Ok(name(library, &hash(source, io::sink())?))
}

fn unfit(source: &Path, reason: &str) -> String {
    format!("the copy of {} {reason}", source.display())
}

fn name(library: &str, hash: &str) -> String {
    format!("lib{library}-{hash}.so")
}

/// Whether the name is one that this file gives: nothing else in the folder is touched.
fn is_ours(name: &str) -> bool {
    if name.starts_with("lib") && name.ends_with(UNFINISHED) {
        return true;
    }
    let inner = name.strip_prefix("lib").and_then(|name| name.strip_suffix(".so"));
    let hash = inner.and_then(|inner| inner.rsplit_once('-')).map(|(_, hash)| hash);
    hash.is_some_and(|hash| hash.len() == DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Hashes a file, handing its bytes on to `to`.
fn hash(path: &Path, mut to: impl Write) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                hasher.update(&chunk[..read]);
                to.write_all(&chunk[..read])?;
            }
        }
    }
    to.flush()?;
    Ok(hasher.finalize().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_of_something_else_is_refused_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("libx.so");
        fs::write(&source, "text").unwrap();
        let copies = Copies::new(folder.path());
        let reason = copies.keep(&source, "x").unwrap_err();
        assert_eq!(reason, format!("the copy of {} is a text file, not a shared library", source.display()));
        assert_eq!(fs::read_dir(copies.folder()).unwrap().count(), 0);
    }

    #[test]
    fn copies_that_were_not_loaded_are_swept_and_loaded_ones_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(folder.path());
        fs::create_dir(copies.folder()).unwrap();
        let copy = |digit: &str| {
            let path = copies.claim(name("x", &digit.repeat(DIGITS)));
            fs::write(&path, "1234").unwrap();
            path
        };
        let [loaded, current, refused] = ["a", "b", "c"].map(copy);
        let shared = [copy("d"), copy("d")];
        copies.release(&refused);
        copies.release(&shared[0]);
        copies.sweep().unwrap();
        assert!(loaded.exists() && current.exists() && shared[1].exists() && !refused.exists());
        copies.release(&shared[1]);
        copies.sweep().unwrap();
        assert!(!shared[1].exists());
        let current = HashSet::from([current.file_name().unwrap().to_owned()]);
        assert_eq!(copies.outlived(&current), (1, 4));
    }

    #[test]
    fn sweep_takes_only_unused_copies() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(folder.path());
        copies.sweep().unwrap();
        fs::create_dir(copies.folder()).unwrap();
        let digits = "0123456789abcdef0123456789abcdef";
        let used = copies.claim(name("x", digits));
        let mine = copies.folder().join("notes.txt");
        let old = copies.folder().join(name("x", &digits.replace('0', "f")));
        let cut = copies.folder().join("liby.unfinished");
        for path in [&used, &mine, &old, &cut] {
            fs::write(path, "").unwrap();
        }
        copies.sweep().unwrap();
        assert!(used.exists() && mine.exists() && !old.exists() && !cut.exists());
    }
}
