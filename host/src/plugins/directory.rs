//! Where libraries lie: the plugin directory, the file of each instance's library, everything else in there that looks like a library,
//! and a warning where others could put code into this process.

use super::inspect::inspect;
use plugin_api::Manifest;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Plugins that are built with the host.
const OURS: &[&str] = &["agent_invoker", "tcp_chat", "web_chat", "webhook"];
/// Plugins whose names are known, and which a later version will bring.
const LATER: &[&str] = &["federation"];

/// Any other library of the plugin directory, for `plugins list --all`.
#[derive(Debug)]
pub struct Other {
    pub path: PathBuf,
    /// What it says of itself, or why it is no plugin for this host.
    pub found: Result<Manifest, String>,
}

/// The configured directory, or the folder of the executable. (A system that cannot tell it has the current one instead.)
pub(super) fn resolve(configured: Option<&Path>) -> PathBuf {
    let executable = || std::env::current_exe().ok()?.parent().map(Path::to_owned);
    configured.map(Path::to_owned).or_else(executable).unwrap_or_else(|| PathBuf::from("."))
}

pub(super) fn file_of(directory: &Path, library: &str) -> PathBuf {
    directory.join(format!("lib{library}.so"))
}

/// The manifest of an instance's library. If it is not there, says what to run.
pub(super) fn find(directory: &Path, library: &str) -> Result<Manifest, String> {
    let path = file_of(directory, library);
    if !path.try_exists().unwrap_or(true) {
        return Err(missing(directory, library));
    }
    inspect(&path, library)
}

fn missing(directory: &Path, library: &str) -> String {
    let folder = directory.display();
    if LATER.contains(&library) {
        return format!(
            "no lib{library}.so in {folder}: this version has no such plugin yet; `enabled = false` would be right"
        );
    }
    let is_debug = directory.components().next_back().is_some_and(|name| name.as_os_str() == "debug");
    let release = if is_debug { "" } else { " --release" };
    let whose = if OURS.contains(&library) { "" } else { "this version brings no such plugin; if it is yours: " };
    format!(
        "no lib{library}.so in {folder}: {whose}install or copy it there, or name its folder in [plugins] directory; in its source tree, \
         `cargo build{release} -p {library}` builds it"
    )
}

/// The libraries of the directory that no instance names, by path.
pub(super) fn others(directory: &Path, named: &[&str]) -> io::Result<Vec<Other>> {
    let mut others = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let library = path.file_name().and_then(|name| name.to_str()).and_then(library_of);
        if let Some(library) = library.filter(|library| !named.contains(library)) {
            let found = inspect(&path, library);
            others.push(Other { path, found });
        }
    }
    others.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(others)
}

fn library_of(file_name: &str) -> Option<&str> {
    file_name.strip_prefix("lib")?.strip_suffix(".so").filter(|library| !library.is_empty())
}

/// A sentence for each of these paths that somebody else than its owner, this user or root may change.
pub(super) fn warnings<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Vec<String> {
    paths.into_iter().filter_map(warning).collect()
}

fn warning(path: &Path) -> Option<String> {
    const OTHERS_WRITE: u32 = 0o002;
    let found = path.metadata().ok()?;
    let path = path.display();
    if found.mode() & OTHERS_WRITE != 0 {
        let right = format!("`chmod o-w {path}` would be right");
        return Some(format!(
            "every user of this machine can write to {path}, and so run code in this process; {right}"
        ));
    }
    let owners = [0, rustix::process::geteuid().as_raw()];
    let stranger = !owners.contains(&found.uid());
    stranger.then(|| format!("{path} belongs to user {}, who can so run code in this process", found.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn find_of_a_missing_library_says_what_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("release");
        fs::create_dir(&release).unwrap();
        let reason = find(&release, "web_chat").unwrap_err();
        assert!(reason.starts_with("no libweb_chat.so in ") && reason.contains("install or copy it there"), "{reason}");
        assert!(reason.ends_with("in its source tree, `cargo build --release -p web_chat` builds it"), "{reason}");
        assert!(!reason.contains("if it is yours"), "{reason}");
        let other = missing(&folder.path().join("debug"), "x");
        assert!(
            other.contains("brings no such plugin; if it is yours: install or copy")
                && other.contains("`cargo build -p x`"),
            "{other}"
        );
        let later = missing(&release, "federation");
        assert!(later.contains("this version has no such plugin yet") && !later.contains("cargo"), "{later}");
    }

    #[test]
    fn others_are_libraries_that_nobody_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libb.so", "liba.so", "libnamed.so", "a.so", "lib.so", "libc.rlib"] {
            fs::write(folder.path().join(name), "text").unwrap();
        }
        let others = others(folder.path(), &["named"]).unwrap();
        let names: Vec<_> = others.iter().filter_map(|other| other.path.file_name()?.to_str()).collect();
        assert_eq!(names, ["liba.so", "libb.so"]);
        assert!(others.iter().all(|other| other.found.is_err()));
    }

    #[test]
    fn warnings_name_what_others_can_write() {
        let folder = tempfile::tempdir().unwrap();
        let (open, closed) = (folder.path().join("open"), folder.path().join("closed"));
        for (path, mode) in [(&open, 0o666), (&closed, 0o644)] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let warnings = warnings([open.as_path(), closed.as_path(), Path::new("/nowhere")]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("every user of this machine can write to"));
    }
}
