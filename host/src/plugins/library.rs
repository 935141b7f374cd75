//! A library that instances of the config name: found and read at discovery, copied and loaded when the first of them starts, and from
//! then on the same image for all of them and all their restarts.

use super::copies::Copies;
use super::directory;
use super::loader::{Image, OpenError};
use plugin_api::Manifest;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Library {
    name: String,
    directory: PathBuf,
    /// Its manifest, or why it cannot be used.
    found: Result<Manifest, String>,
    image: Mutex<Option<Image>>,
}

/// Why an instance does not run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// Trying again cannot help as long as the file is the same.
    Rejected(String),
    Failed(String),
}

impl Library {
    pub(super) fn find(directory: &Path, name: &str) -> Self {
        let found = directory::find(directory, name);
        Self { name: name.into(), directory: directory.into(), found, image: Mutex::default() }
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
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = *image {
            return Ok(image);
        }
        let kept = copies.keep(&self.path(), &self.name).map_err(Refusal::Failed)?;
        let opened = Image::open(&kept).map_err(|error| match error {
            OpenError::Refused(text) => Refusal::Failed(format!("{} {text}", self.path().display())),
            OpenError::Unfit(text) => Refusal::Rejected(format!("{} {text}", self.path().display())),
        })?;
        Ok(*image.insert(opened))
    }
}
