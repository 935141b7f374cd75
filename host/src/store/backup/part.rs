//! A copy that is not in its place yet. It has a fixed name beside where it will be, so that the next one replaces what a kill left there,
//! and a lock of its own, so that two never write the same one.

use super::{BESIDE, failed, named_after, parent, remove, remove_folder, sync};
use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Ends the name of a copy on its way.
const PART: &str = ".part";

/// See the module's text. Dropped before it is in its place, it leaves nothing.
pub(super) struct Part {
    pub file: PathBuf,
    pub folder: PathBuf,
    lock: PathBuf,
    /// Let go with this, so also by a kill.
    _locked: File,
    is_kept: bool,
}

/// Of what will be at `target`.
pub(super) fn file_of(target: &Path) -> PathBuf {
    named_after(target, PART)
}

pub(super) fn folder_of(target: &Path) -> PathBuf {
    named_after(&file_of(target), ".files")
}

impl Part {
    /// Removes what an earlier one left.
    pub(super) fn begin(target: &Path) -> Result<Self> {
        let wrong = || Error::Invalid(format!("{} is no name of a file", target.display()));
        target.file_name().ok_or_else(wrong)?;
        let folder = parent(target);
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Error::Unavailable(format!("there is no folder {folder}; make it, or name another file")));
        }
        let file = file_of(target);
        // Not the file itself: on a network's disk such a lock would keep SQLite out of it.
        let lock = named_after(&file, ".lock");
        let busy = || {
            let text = format!("another process is writing {}; wait for its end, or name another file", file.display());
            Error::Conflict(text)
        };
        let locked = lock_alone(&lock).map_err(|error| failed(&lock, &error))?.ok_or_else(busy)?;
        let part = Self { folder: folder_of(target), file, lock, _locked: locked, is_kept: false };
        part.clear().map_err(|error| failed(&part.file, &error))?;
        Ok(part)
    }

    /// From here on it belongs to a plan that is on the disk.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Makes it the backup at `target`, whose contents are those `named`. At every moment there is a whole one: contents have their
    /// hashes for names, so the older ones and the new lie side by side until the file itself has changed.
    pub(super) fn put(mut self, target: &Path, contents: &Path, named: &HashSet<String>) -> Result<()> {
        let moved = || {
            merge(&self.folder, contents)?;
            // What a host left that was started from the older one would be taken for this one's.
            for ending in BESIDE {
                remove(&named_after(target, ending))?;
            }
            fs::rename(&self.file, target)?;
            sync(parent(target))
        };
        moved().map_err(|error: io::Error| failed(target, &error))?;
        self.is_kept = true;
        // The backup is whole without this, and the next one tries again.
        let _ = remove_folder(&self.folder).and_then(|()| keep_only(contents, named));
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        remove_folder(&self.folder)?;
        remove(&self.file)?;
        BESIDE.iter().try_for_each(|ending| remove(&named_after(&self.file, ending)))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = self.clear();
        }
        let _ = remove(&self.lock);
    }
}

/// None: another process has it.
fn lock_alone(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Whoever had it removes it at its end: then this is the lock of a file that nobody finds any more.
        let (ours, found) = (file.metadata()?, fs::symlink_metadata(path));
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino())) {
            return Ok(Some(file));
        }
    }
}

/// Moves contents to those that are there.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    if !to.is_dir() {
        return fs::rename(from, to);
    }
    for folder in fs::read_dir(from)? {
        let folder = folder?;
        let into = to.join(folder.file_name());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&into)?;
        for content in fs::read_dir(folder.path())? {
            let content = content?;
            fs::rename(content.path(), into.join(content.file_name()))?;
        }
        sync(&into)?;
    }
    sync(to)
}

/// Removes what a backup does not name.
fn keep_only(folder: &Path, named: &HashSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            remove(&path)?;
            continue;
        }
        for content in fs::read_dir(&path)? {
            let content = content?;
            if !content.file_name().to_str().is_some_and(|name| named.contains(name)) {
                remove(&content.path())?;
            }
        }
        // Those that still hold something stay.
        let _ = fs::remove_dir(&path);
    }
    let _ = fs::remove_dir(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_that_a_kill_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("monday.db");
        for path in
            [file_of(&target), named_after(&file_of(&target), "-journal"), folder.path().join("monday.db.part.lock")]
        {
            fs::write(path, "cut off").unwrap();
        }
        fs::create_dir(folder_of(&target)).unwrap();
        let part = Part::begin(&target).unwrap();
        assert!(!part.file.exists() && !part.folder.exists());
        let refused = Part::begin(&target).err().map(|error| error.to_string()).unwrap();
        assert!(refused.contains("another process is writing") && refused.contains("name another file"), "{refused}");
        drop(part);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn contents_of_both_are_there_until_the_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("monday.db");
        let contents = named_after(&target, ".files");
        let content = |folder: &Path, name: &str| {
            fs::create_dir_all(folder.join(&name[..2])).unwrap();
            fs::write(folder.join(&name[..2]).join(name), name).unwrap();
        };
        content(&contents, "aaold");
        content(&contents, "abboth");
        fs::write(contents.join("store"), "monday.db").unwrap();
        let part = Part::begin(&target).unwrap();
        fs::write(&part.file, "new").unwrap();
        content(&part.folder, "abboth");
        content(&part.folder, "acnew");
        merge(&part.folder, &contents).unwrap();
        assert!(contents.join("aa/aaold").exists() && contents.join("ac/acnew").exists());
        let named = ["abboth", "acnew"].map(str::to_owned).into();
        part.put(&target, &contents, &named).unwrap();
        assert!(contents.join("ab/abboth").exists() && contents.join("ac/acnew").exists());
        assert!(!contents.join("aa").exists() && !contents.join("store").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
