//! A disk that fails when it is told to: the host's writes and syncs of its store go through `tests/fixtures/faulty_disk.c`.

use crate::host::Setup;
use crate::preload;
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What fails.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    Write,
    Sync,
}

/// One for one host.
#[derive(Debug)]
pub struct FaultyDisk {
    folder: TempDir,
    library: PathBuf,
}

impl FaultyDisk {
    /// None where nothing can be compiled, which is then told under the test's name.
    pub fn new(test: &str) -> Option<Self> {
        let library = preload::library("faulty_disk", test)?;
        Some(Self { folder: tempfile::tempdir().expect("a temporary folder"), library })
    }

    /// The host of this set-up has its store on this disk.
    pub fn under(&self, setup: Setup) -> Setup {
        let text = |path: &Path| path.to_str().expect("a path that is text").to_owned();
        setup.env("LD_PRELOAD", &text(&self.library)).env("FAULTY_DISK", &text(&self.orders()))
    }

    pub fn fail(&self, call: Call, error: Errno) {
        let name = match call {
            Call::Write => "write",
            Call::Sync => "sync",
        };
        // Whole or not at all.
        let draft = self.folder.path().join("draft");
        fs::write(&draft, format!("{name} {}", error.raw_os_error())).expect("the orders are written");
        fs::rename(draft, self.orders()).expect("the orders are given");
    }

    pub fn mend(&self) {
        fs::remove_file(self.orders()).expect("the disk had failed");
    }

    fn orders(&self) -> PathBuf {
        self.folder.path().join("orders")
    }
}
