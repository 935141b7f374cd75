//! Libraries that stand between a program and the system, by LD_PRELOAD; their sources are in `tests/fixtures`.

use crate::artifacts::artifacts;
use crate::skip::skipped;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Compiled once. None where nothing can be compiled, which is then told under the test's name.
pub fn library(name: &'static str, test: &str) -> Option<PathBuf> {
    static LIBRARIES: Mutex<Option<HashMap<&str, Result<PathBuf, String>>>> = Mutex::new(None);
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = libraries.get_or_insert_default().entry(name).or_insert_with(|| compile(name)).clone();
    compiled.map_err(|why| skipped(test, &why)).ok()
}

fn compile(name: &str) -> Result<PathBuf, String> {
    let folder = artifacts().program("arcuate").parent().expect("a program lies in a folder");
    // Test runs beside each other compile the same, and each puts it there whole.
    let draft = folder.join(format!("{name}.{}", std::process::id()));
    let library = folder.join(format!("lib{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.c"));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&draft).arg(source).arg("-ldl");
    let output = command.output().map_err(|error| format!("it needs a C compiler, cc: {error}"))?;
    if !output.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)));
    }
    std::fs::rename(draft, &library).map_err(|error| error.to_string())?;
    Ok(library)
}
