//! The libraries and the program of this workspace, built once per test run. `cargo test` alone does not build the plugins' libraries, and
//! what lies in the target directory may be from yesterday, so the paths are taken from cargo's own report.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What cargo built, by the target's name.
#[derive(Debug)]
pub struct Artifacts {
    libraries: BTreeMap<String, PathBuf>,
    programs: BTreeMap<String, PathBuf>,
}

impl Artifacts {
    /// A plugin's library: of a plugin, or of one of the examples of this crate.
    pub fn library(&self, name: &str) -> &Path {
        Self::get(&self.libraries, "library", name)
    }

    /// The host, `arcuate`, for example.
    pub fn program(&self, name: &str) -> &Path {
        Self::get(&self.programs, "program", name)
    }

    fn get<'a>(built: &'a BTreeMap<String, PathBuf>, what: &str, name: &str) -> &'a Path {
        match built.get(name) {
            Some(path) => path,
            None => panic!("no {what} `{name}` came out of the build; cargo's messages are above"),
        }
    }
}

/// Builds the workspace the first time, in the profile of the test itself.
pub fn artifacts() -> &'static Artifacts {
    static BUILT: OnceLock<Artifacts> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Artifacts {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells this test of its own package would look like a change to build scripts that watch such variables.
    let own = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
        cargo.env_remove(name);
    }
    let output = cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        // Keep going: what does not build is missed by the test that needs it.
        .args(["build", "--workspace", "--lib", "--bins", "--examples", "--keep-going"])
        .args(["--message-format", "json-render-diagnostics", "--profile", &profile()])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut artifacts = Artifacts { libraries: BTreeMap::new(), programs: BTreeMap::new() };
    for message in messages.filter(|message| message["reason"] == "compiler-artifact") {
        artifacts.add(&message);
    }
    artifacts
}

impl Artifacts {
    fn add(&mut self, message: &Value) {
        let target = &message["target"];
        let Some(name) = target["name"].as_str() else { return };
        // Proc macros are shared libraries too, but of another kind.
        let is_library = target["crate_types"].as_array().is_some_and(|types| types.contains(&"cdylib".into()));
        if let Some(program) = message["executable"].as_str() {
            self.programs.insert(name.into(), program.into());
        } else if is_library {
            let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let library = files.filter(|file| file.ends_with(".so")).map(PathBuf::from).next();
            self.libraries.extend(library.map(|path| (name.to_owned(), path)));
        }
    }
}

/// The profile that this very program was built with: `target/<profile>/<program>`, or a folder below for tests and examples.
fn profile() -> String {
    let program = std::env::current_exe().expect("the program is a file");
    let folders = program.ancestors().skip(1).filter_map(Path::file_name).filter_map(|name| name.to_str());
    match folders.into_iter().find(|name| !["deps", "examples"].contains(name)) {
        Some("debug") | None => "dev".into(),
        Some(profile) => profile.into(),
    }
}
