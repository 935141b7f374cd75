//! What a library says of itself, read before any of its code runs: its manifest, the version of the boundary it was built for, and
//! whether it can be loaded at all. Every refusal is a whole sentence that names the file and says what would be right.

use super::elf::{self, Parts};
use super::text::clean;
use plugin_api::Manifest;
use plugin_api::raw::{self, ManifestHeader};
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::path::Path;

/// No plugin comes near this; a debug build with an HTTP client has 60 MiB.
const LARGEST_FILE: u64 = 512 * 1024 * 1024;
const LONGEST_VERSION: usize = 64;
const LONGEST_DESCRIPTION: usize = 500;

/// Reads the manifest of the library named `library` in the file at `path`.
pub(super) fn inspect(path: &Path, library: &str) -> Result<Manifest, String> {
    examine(path, library).map_err(|reason| format!("{} {reason}", path.display()))
}

/// Like `inspect`; the reason lacks the file's name, for one that the reader knows by another.
pub(super) fn examine(path: &Path, library: &str) -> Result<Manifest, String> {
    let (file, length) = open(path)?;
    read_manifest(&elf::read(file, length)?, library)
}

/// The file and its length, if it is a file at all: opening a pipe would wait for its writer.
fn open(path: &Path) -> Result<(File, u64), String> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let kind = path.metadata().map_err(unreadable)?;
    if kind.is_dir() {
        return Err("is a directory, not a shared library".into());
    }
    if !kind.is_file() {
        return Err("is not a file".into());
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > LARGEST_FILE {
        return Err(format!("has {} MiB, at most {} are read", length >> 20, LARGEST_FILE >> 20));
    }
    Ok((file, length))
}

fn read_manifest(parts: &Parts, library: &str) -> Result<Manifest, String> {
    let section = parts.manifest.as_deref().ok_or("is a shared library, but not a plugin of Arcuate")?;
    let json = json(section)?;
    let mut manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| format!("has a manifest that cannot be read: {error}"))?;
    if manifest.name != library {
        let name = clean(&manifest.name, LONGEST_VERSION);
        return Err(format!("has the manifest of `{name}`, but the name of `{library}`; call it lib{name}.so"));
    }
    if !parts.has_entry {
        let symbol = raw::ENTRY_SYMBOL;
        return Err(format!(
            "has a manifest, but does not export `{symbol}`; build it as a cdylib with `export_plugin!`"
        ));
    }
    manifest.version = clean(&manifest.version, LONGEST_VERSION);
    manifest.description = clean(&manifest.description, LONGEST_DESCRIPTION);
    Ok(manifest)
}

/// The JSON behind the section's header, once the header fits this host.
fn json(section: &[u8]) -> Result<&[u8], String> {
    let damaged = || "is damaged where its manifest stands; build it again".to_owned();
    let (header, rest) = section.split_first_chunk::<{ size_of::<ManifestHeader>() }>().ok_or_else(damaged)?;
    let (magic, numbers) = header.split_at(raw::MAGIC.len());
    let (versions, length) = numbers.split_at(8);
    if magic != raw::MAGIC {
        return Err(damaged());
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (major, minor) = (number(&versions[..4]), number(&versions[4..]));
    if major != u64::from(raw::ABI_MAJOR) {
        let ours = format!("{}.{}", raw::ABI_MAJOR, raw::ABI_MINOR);
        return Err(format!(
            "is built for version {major}.{minor} of the plugin boundary, this host speaks {ours}; \
             build it against the plugin API of this host"
        ));
    }
    usize::try_from(number(length)).ok().and_then(|length| rest.get(..length)).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn section(major: u32, json: &str, length: u64) -> Vec<u8> {
        let mut bytes = raw::MAGIC.to_vec();
        bytes.extend(major.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(json.bytes());
        bytes
    }

    fn parts(json: &str) -> Parts {
        Parts { manifest: Some(section(raw::ABI_MAJOR, json, json.len() as u64)), has_entry: true }
    }

    #[test]
    fn manifest_of_a_newer_minor_is_read() {
        let manifest = read_manifest(&parts(r#"{"name":"web_chat","version":"1.2.3","new":1}"#), "web_chat").unwrap();
        assert_eq!((manifest.version.as_str(), manifest.multi_instance), ("1.2.3", true));
    }

    #[test]
    fn manifest_that_does_not_fit_is_refused_with_both_sides() {
        let wrong = |parts: &Parts| read_manifest(parts, "web_chat").unwrap_err();
        let json = json!({"name": "web_chat", "version": "1"}).to_string();

        let other = Parts { manifest: Some(section(9, &json, 1)), has_entry: true };
        assert!(wrong(&other).contains("version 9.7 of the plugin boundary, this host speaks 1.0"));
        let long = Parts { manifest: Some(section(1, &json, json.len() as u64 + 1)), has_entry: true };
        assert!(wrong(&long).contains("damaged"));
        let short = Parts { manifest: Some(b"ARCUATE\0".to_vec()), has_entry: true };
        assert!(wrong(&short).contains("damaged"));
        assert!(wrong(&parts("{")).contains("cannot be read"));
        assert!(wrong(&parts(r#"{"name":"web_chet","version":"1"}"#)).contains("call it libweb_chet.so"));
        let silent = Parts { has_entry: false, ..parts(&json) };
        assert!(wrong(&silent).contains("does not export `arcuate_plugin_entry`"));
    }

    #[test]
    fn inspect_of_other_files_says_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        let reason = || inspect(&path, "x").unwrap_err();
        assert!(reason().ends_with("libx.so is not there"));
        fs::write(&path, "").unwrap();
        assert!(reason().ends_with("is empty"));
        fs::write(&path, "#!/bin/sh\n".repeat(100)).unwrap();
        assert!(reason().ends_with("is a text file, not a shared library"));
        fs::write(&path, [0xff, 0, 1]).unwrap();
        assert!(reason().ends_with("is not a shared library"));
        fs::write(&path, b"\x7fELF\x02\x01").unwrap();
        assert!(reason().contains("is truncated: 6 bytes of at least 64"));
        fs::write(&path, b"\x7fELF\x01\x01").unwrap();
        assert!(reason().ends_with("is built for another machine (32-bit, little-endian)"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(reason().ends_with("is a directory, not a shared library"));
    }

    #[test]
    fn inspect_of_an_executable_says_so() {
        let executable = std::env::current_exe().unwrap();
        assert!(inspect(&executable, "x").unwrap_err().ends_with("is an executable, not a shared library"));
    }
}
