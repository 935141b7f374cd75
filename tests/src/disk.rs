//! A small disk that can be filled and emptied: a file system in memory, mounted for one test.

use crate::skip::skipped;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Unmounted when the test ends. Whatever has files open on it must be declared after it, so that it ends before.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None where nothing may be mounted, which is then told under the test's name.
    pub fn mount(test: &str, megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let size = CString::new(format!("size={megabytes}m")).expect("an option");
        match mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), Some(size.as_c_str())) {
            Ok(()) => Some(Self { folder }),
            Err(error) => {
                skipped(test, &format!("it needs the right to mount a file system ({error})"));
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Nothing on it can be changed any more, or it can be again. Nobody may have files open for writing.
    pub fn set_read_only(&self, read_only: bool) {
        let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        mount_remount(self.path(), flags, "").expect("the disk is mounted anew");
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file on the disk");
        for size in [1024 * 1024, 4096, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the disk had been filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open on it keeps it alive, invisibly, and no longer than that.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}
