//! A library that instances of the config name: found and read at discovery, copied and loaded when the first of them starts, and from
//! then on the same image for all of them and all their restarts, until an operator's deed finds another content in its file.

use super::copies::{self, Copies};
use super::directory;
use super::loader::{Image, OpenError};
use plugin_api::Manifest;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Library {
    name: String,
    directory: PathBuf,
    /// Its manifest, or why it cannot be used.
    found: Result<Manifest, String>,
    /// Of the file when it was looked at; None: it was not there.
    stamp: Option<Stamp>,
    loaded: Mutex<Option<Loaded>>,
}

/// What changes when a file is written anew.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    place: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

#[derive(Debug, Clone)]
struct Loaded {
    image: Image,
    /// The copy that it was loaded from, named by its content.
    kept: PathBuf,
}

/// Why an instance does not run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// Trying again cannot help as long as the file is the same.
    Rejected(String),
    Failed(String),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self { place: (found.dev(), found.ino()), length: found.len(), changed })
    }
}

impl Library {
    pub(super) fn find(directory: &Path, name: &str) -> Self {
        let stamp = Stamp::of(&directory::file_of(directory, name));
        let found = directory::find(directory, name);
        Self { name: name.into(), directory: directory.into(), found, stamp, loaded: Mutex::default() }
    }

    /// The library as its file is now: this very one if nothing changed. Reads the whole file if it was written since, so it may take a
    /// moment.
    pub(super) fn renewed(self: &Arc<Self>, directory: &Path) -> Arc<Self> {
        let is_same_file = self.directory == directory && self.stamp == Stamp::of(&self.path());
        if self.found.is_ok() && is_same_file {
            return self.clone();
        }
        let fresh = Self::find(directory, &self.name);
        if let (Ok(_), Some(loaded)) = (&fresh.found, self.loaded())
            && copies::name_of(&fresh.path(), &self.name).is_ok_and(|name| loaded.kept.ends_with(name))
        {
            *fresh.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        }
        fresh.into()
    }

    /// Whether an instance of the one would run the same code as one of the other.
    pub(super) fn is_same_code(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let both = || self.loaded().zip(other.loaded());
        Arc::ptr_eq(self, other) || both().is_some_and(|(one, other)| one.kept == other.kept)
    }

    fn loaded(&self) -> Option<Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The name of the copy that it was loaded from.
    pub(super) fn copy_name(&self) -> Option<OsString> {
        self.loaded().and_then(|loaded| loaded.kept.file_name().map(ToOwned::to_owned))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> PathBuf {
        directory::file_of(&self.directory, &self.name)
    }

    pub(super) fn manifest(&self) -> Result<&Manifest, &str> {
        self.found.as_ref().map_err(String::as_str)
    }

    /// The library in this process. The first time it is copied and loaded, which may take a while and runs its initialisers.
    pub(super) fn load(&self, copies: &Copies) -> Result<Image, Refusal> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*loaded {
            return Ok(loaded.image);
        }
        let kept = copies.keep(&self.path(), &self.name).map_err(Refusal::Failed)?;
        let image = Image::open(&kept).map_err(|error| match error {
            OpenError::Refused(text) => {
                copies.release(&kept);
                Refusal::Failed(format!("{} {text}", self.path().display()))
            }
            OpenError::Unfit(text) => Refusal::Rejected(format!("{} {text}", self.path().display())),
        })?;
        Ok(loaded.insert(Loaded { image, kept }).image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_is_renewed_only_when_its_file_changed() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Arc::new(Library::find(folder.path(), "x"));
        assert!(!Arc::ptr_eq(&missing, &missing.renewed(folder.path())), "what cannot be used is looked at again");
        fs::write(missing.path(), "text").unwrap();
        let found = missing.renewed(folder.path());
        assert!(found.manifest().unwrap_err().contains("is a text file"), "{:?}", found.manifest());
        assert!(!found.is_same_code(&missing));
    }
}
