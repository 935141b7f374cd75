//! The command line as somebody types it: real processes, against a host that runs and against its store at rest.

mod audit;
mod backup;
mod check;
mod doctor;
mod help;
mod manual;
mod people;
mod people_deeds;
mod plugins;
mod queue;
mod queue_cleanup;
mod queue_held;
mod restore;
mod rooms;
mod secrets;
mod serve;
mod tail;
mod terminal;
mod trouble;
mod turns;
mod typing;

use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::until_async;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Nobody listens there, so that each turn has failed after its one attempt.
const FAILING: &str = "[queue]\nmax_attempts = 1\n[plugins.assistant.settings]\nbackend = \"http\"\n\
                       url = \"http://127.0.0.1:1/\"\n";
/// Turns wait for an agent that is switched off.
const WAITING: &str = "[plugins.assistant]\nenabled = false\n";

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command in a host's folder, with the configuration of its last start.
fn arcuate(setup: &Setup, arguments: &[&str]) -> Ran {
    ran(&mut command(setup, arguments))
}

/// The command, not run yet; its surroundings are nobody's but its own.
fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = Command::new(setup.program());
    command.current_dir(setup.folder()).args(arguments).stdin(Stdio::null());
    for name in ["ARCUATE_LOG", "NO_COLOR", "TERM"] {
        command.env_remove(name);
    }
    command
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    /// Its stdout, if it went well and had nothing to complain about.
    fn done(self) -> String {
        assert!((self.code, self.stderr.as_str()) == (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// The one line of JSON of a success.
    fn json(self) -> Value {
        let text = self.done();
        assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Refused with this code and with this on stderr; stdout says nothing.
    fn refused(self, code: i32, texts: &[&str]) -> String {
        assert!(self.code == Some(code) && self.stdout.is_empty(), "expected {code}: {self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "expected `{text}`: {self:?}");
        }
        self.stderr
    }
}

/// The host is there, or its store is left behind: commands say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Running,
    AtRest,
}

impl Situation {
    const BOTH: [Self; 2] = [Self::Running, Self::AtRest];

    /// Brings a running host into this situation.
    async fn of(self, host: &mut Host) {
        if self == Self::AtRest {
            let (status, _) = host.terminate().await;
            assert!(status.success(), "the host ends in good order: {status}");
        }
    }
}

/// A host whose queue has so many jobs in one state, each in a lane of its own.
async fn host_with(config: &str, state: &str, jobs: usize) -> Host {
    let host = Host::start(config).await;
    for number in 0..jobs {
        Visitor::new(host.client(), &format!("session_{number}")).say("Hello").await;
    }
    until_jobs(&host, state, jobs).await;
    host
}

async fn until_jobs(host: &Host, state: &str, count: usize) {
    let operator = host.operator();
    let look = || async {
        let page = operator.get(&format!("/api/v1/admin/queue?state={state}")).await.ok();
        (page["jobs"].as_array().map(Vec::len) == Some(count)).then_some(())
    };
    until_async("the jobs are in their state", arcuate_tests::wait::PATIENCE, look).await;
}

/// The ids of `queue list --json`, oldest first.
fn job_ids(host: &Host) -> Vec<String> {
    let page = arcuate(host.setup(), &["queue", "list", "--json"]).json();
    let jobs = page["jobs"].as_array().expect("a list of jobs").iter().rev();
    jobs.map(|job| job["id"].as_str().expect("a job has an id").to_owned()).collect()
}

/// A folder with the program, its plugins and this configuration, where nothing was ever started.
fn fresh(config: &str) -> (Setup, PathBuf) {
    let setup = Setup::new("");
    let path = setup.folder().join("config.toml");
    std::fs::write(&path, config).expect("the configuration is written");
    (setup, path)
}

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
