//! A disk that fails when it is told to: the host's writes and syncs of its store go through `tests/fixtures/faulty_disk.c`.

use crate::artifacts::artifacts;
use crate::host::Setup;
use crate::skip::skipped;
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
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
        static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let library = LIBRARY.get_or_init(compile).clone().map_err(|why| skipped(test, &why)).ok()?;
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

fn compile() -> Result<PathBuf, String> {
    let folder = artifacts().program("arcuate").parent().expect("a program lies in a folder");
    // Test runs beside each other compile the same, and each puts it there whole.
    let (library, draft) =
        (folder.join("libfaulty_disk.so"), folder.join(format!("faulty_disk.{}", std::process::id())));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&draft);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/faulty_disk.c")).arg("-ldl");
    let output = command.output().map_err(|error| format!("it needs a C compiler, cc: {error}"))?;
    if !output.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)));
    }
    fs::rename(draft, &library).map_err(|error| error.to_string())?;
    Ok(library)
}
