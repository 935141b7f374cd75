//! The host as its users have it: a process with its `config.toml` in a folder of its own, killed and started again as the test pleases.
//! When a test fails, the end of the host's log is printed with the failure.

use crate::artifacts::artifacts;
use crate::client::{Asked, Client};
use crate::ports::free_port;
use crate::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, TableLike};

/// Lies under every test's own configuration: nothing is limited, and what failed is tried again soon.
const USUAL: &str = r#"
[server]
bind = "127.0.0.1:0"
shutdown_seconds = 5
[limits]
messages_per_minute = 0
rooms_per_hour = 0
files_per_minute = 0
dms_per_minute = 0
incoming_webhooks_per_minute = 0
broadcasts_per_minute = 0
api_per_minute = 0
[queue]
base_seconds = 0.05
cap_seconds = 0.5
[plugins]
restart_base_seconds = 0.05
"#;

/// Lines of the log that a failure shows.
const TAIL: usize = 40;

/// A folder with program, plugins and configuration, ready to be started.
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    config: DocumentMut,
    environment: Vec<(String, String)>,
}

/// A host that runs, or was killed.
#[derive(Debug)]
pub struct Host {
    setup: Setup,
    process: Option<Child>,
    /// How often it was started: each run has a standard output of its own.
    runs: u32,
    client: Client,
    port: u16,
}

/// What became of a host that ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Setup {
    /// `config` is laid over what is usual in tests; `[[routes]]` are taken as they are.
    pub fn new(config: &str) -> Self {
        let usual = USUAL.parse().expect("TOML");
        let mut new = Self { folder: folder(), config: usual, environment: Vec::new() };
        new.lay_over(config);
        new.place_programs();
        new
    }

    /// With the configuration of this file, on this port.
    pub fn shipped(config: &Path, port: u16) -> Self {
        let text = fs::read_to_string(config).expect("the configuration as it is shipped");
        let config = text.parse().expect("TOML");
        let mut new = Self { folder: folder(), config, environment: Vec::new() };
        new.set_port(port);
        new.write_config();
        new.place_programs();
        new
    }

    pub fn lay_over(&mut self, config: &str) {
        let above: DocumentMut = config.parse().unwrap_or_else(|error| panic!("{error}\n{config}"));
        lay_over(self.config.as_table_mut(), above.as_table());
    }

    pub fn write_config(&self) {
        fs::write(self.folder().join("config.toml"), self.config.to_string()).expect("the configuration is written");
    }

    /// A variable of the host's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A port that it keeps over restarts from the first start on.
    #[must_use]
    pub fn steady_port(mut self) -> Self {
        self.set_port(free_port());
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A library of the workspace that is not there as a matter of course, such as a plugin of the tests.
    pub fn place_library(&self, name: &str) {
        let library = artifacts().library(name);
        fs::copy(library, self.folder().join(format!("bin/lib{name}.so"))).expect("a library in its place");
    }

    pub fn program(&self) -> PathBuf {
        self.folder().join("bin/arcuate")
    }

    pub async fn start(self) -> Host {
        let mut host = Host { setup: self, process: None, runs: 0, client: Client::new(""), port: 0 };
        host.start_again().await;
        host
    }

    /// Starts it where it is expected to end by itself.
    pub async fn refuse(&self) -> Ended {
        let (stdout, stderr) = (self.folder().join("refused.out"), self.folder().join("refused.err"));
        let mut process = self.spawn(&stdout, &stderr);
        let ended = || process.try_wait().expect("its state can be asked");
        let status = until("the host ends by itself", ended).await;
        Ended { status, stdout: read(&stdout), stderr: read(&stderr) }
    }

    fn set_port(&mut self, port: u16) {
        self.config["server"]["bind"] = toml_edit::value(format!("127.0.0.1:{port}"));
    }

    /// Under their names in a folder of their own, so that a build beside the test run changes nothing. Links cost no time.
    fn place_programs(&self) {
        let built = artifacts().program("arcuate");
        let bin = self.folder().join("bin");
        fs::create_dir(&bin).expect("a folder for the programs");
        let libraries = ["agent_invoker", "web_chat", "webhook", "tcp_chat"].map(|name| artifacts().library(name));
        for file in libraries.into_iter().chain([built]) {
            let place = bin.join(file.file_name().expect("a program has a name"));
            fs::hard_link(file, &place).or_else(|_| fs::copy(file, &place).map(drop)).expect("a program in its place");
        }
    }

    fn spawn(&self, stdout: &Path, stderr: &Path) -> Child {
        self.write_config();
        let open = |path: &Path| File::options().create(true).append(true).open(path).expect("a file for output");
        let variables = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Command::new(self.program())
            .current_dir(self.folder())
            .env_remove("ARCUATE_LOG")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(open(stdout))
            .stderr(open(stderr))
            .spawn()
            .expect("the host's program runs")
    }
}

impl Host {
    pub async fn start(config: &str) -> Self {
        Setup::new(config).start().await
    }

    /// After a kill: the same store, the same port.
    pub async fn start_again(&mut self) {
        self.spawn_again();
        self.until_listening().await;
    }

    /// The same without waiting until it listens.
    pub fn spawn_again(&mut self) {
        assert!(self.process.is_none(), "the host runs already");
        self.runs += 1;
        if self.port != 0 {
            self.setup.set_port(self.port);
        }
        self.process = Some(self.setup.spawn(&self.stdout_path(), &self.log_path()));
    }

    /// Until it has said where it listens, with all plugins started or failed.
    pub async fn until_listening(&mut self) {
        let path = self.stdout_path();
        let process = self.process.as_mut().expect("a host that was started");
        let look = || match process.try_wait().expect("its state can be asked") {
            Some(status) => Some(Err(status)),
            None => listening(&read(&path)).map(Ok),
        };
        let (port, address) = match until("the host says where it listens", look).await {
            Ok(found) => found,
            Err(status) => panic!("the host ended with {status} instead of listening: {}", read(&path)),
        };
        self.port = port;
        self.client = Client::new(&address);
    }

    /// As the kernel kills: nothing is tidied up.
    pub fn kill_9(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // An error means that it ended by itself, which the next line sees.
        let _ = process.kill();
        let status = process.wait().expect("the host's end can be waited for");
        assert_eq!(status.signal(), Some(9), "the host had ended by itself before it was killed: {status}");
    }

    /// However it was killed: its configuration, which it may have been writing, can be read.
    pub fn assert_config_is_whole(&self) {
        let text = read(&self.folder().join("config.toml"));
        let parsed = text.parse::<DocumentMut>();
        assert!(!text.is_empty() && parsed.is_ok(), "config.toml is broken ({parsed:?}): {text}");
    }

    /// Asks it to end, and answers how it did and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.end(Signal::TERM).await
    }

    /// The same by another signal.
    pub async fn end(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        self.signal(signal);
        self.ended().await
    }

    /// Sends a signal, and waits for nothing.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.process.as_ref().expect("a host that runs")), signal).expect("a signal");
    }

    /// Waits for its end, however it was asked for.
    pub async fn ended(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let process = self.process.as_mut().expect("a host that runs");
        let status = until("the host ends", || process.try_wait().expect("its state can be asked")).await;
        self.process = None;
        (status, begun.elapsed())
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a host that runs").id()
    }

    /// Changes the configuration that the next start reads.
    pub fn configure(&mut self, change: impl FnOnce(&mut DocumentMut)) {
        change(&mut self.setup.config);
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn folder(&self) -> &Path {
        self.setup.folder()
    }

    pub fn store(&self) -> PathBuf {
        let path = self.setup.config.get("store").and_then(|store| store.get("path")).and_then(Item::as_str);
        self.folder().join(path.unwrap_or("data/arcuate.db"))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn url(&self, path: &str) -> String {
        self.client.url(path)
    }

    pub fn get(&self, path: &str) -> Asked {
        self.client.get(path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Asked {
        self.client.post(path, body)
    }

    /// Makes a room and gives its id.
    pub async fn room(&self, name: &str) -> String {
        let made = self.post("/api/v1/rooms", &json!({ "name": name })).await.ok();
        made["id"].as_str().expect("a room's id").into()
    }

    /// Posts into a room and gives the message.
    pub async fn say(&self, room: &str, text: &str) -> Value {
        self.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "sender": "ada", "content": text })).await.ok()
    }

    /// The operator's API, with the token that the host keeps beside its store.
    pub fn operator(&self) -> Client {
        let token = fs::read_to_string(self.store().with_file_name("admin_token")).expect("the operator's token");
        self.client.with_token(token.trim())
    }

    /// What it wrote to its log, over all its runs.
    pub fn log(&self) -> String {
        read(&self.log_path())
    }

    /// What the current run told people.
    pub fn stdout(&self) -> String {
        read(&self.stdout_path())
    }

    /// Bytes of memory that are its own.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the kernel knows the host");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line of its memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kilobytes");
        kilobytes * 1024
    }

    /// Threads and descriptors are bounded by the kernel; this counts the latter.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the kernel knows the host").count()
    }

    fn stdout_path(&self) -> PathBuf {
        self.folder().join(format!("run-{}.out", self.runs))
    }

    fn log_path(&self) -> PathBuf {
        self.folder().join("log")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Nothing to be done about a host that is gone already.
            let _ = process.kill().and_then(|()| process.wait());
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!("---- the host's last words (run {}):\n{}\n----", self.runs, tail.join("\n"));
            keep(&mut self.setup.folder);
        }
    }
}

/// With `ARCUATE_TESTS_KEEP` set, what a failed test leaves behind can be looked at.
pub(crate) fn keep(folder: &mut TempDir) {
    if std::env::var_os("ARCUATE_TESTS_KEEP").is_some() {
        folder.disable_cleanup(true);
        eprintln!("---- kept: {}", folder.path().display());
    }
}

/// Port and address of the line that says so.
fn listening(stdout: &str) -> Option<(u16, String)> {
    let (_, rest) = stdout.split_once("listening on ")?;
    let (address, _) = rest.split_once('\n')?;
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    Some((port, address.into()))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Beside what cargo built, where links to it can be made.
fn folder() -> TempDir {
    let place = artifacts().program("arcuate").parent().expect("a program lies in a folder").join("../tmp");
    fs::create_dir_all(&place).expect("a folder for temporary folders");
    let place = place.canonicalize().expect("that folder");
    tempfile::Builder::new().prefix("host-").tempdir_in(place).expect("a temporary folder")
}

fn lay_over(below: &mut dyn TableLike, above: &dyn TableLike) {
    for (key, item) in above.iter() {
        match (below.get_mut(key).and_then(Item::as_table_like_mut), item.as_table_like()) {
            (Some(below), Some(above)) => lay_over(below, above),
            _ => drop(below.insert(key, item.clone())),
        }
    }
}
