//! The project's PHP bridge on PHP's own web server, as it is or made to misbehave. PHP is installed where it is missing and may be.

use crate::client::Client;
use crate::host::keep;
use crate::ports::free_port;
use crate::skip::skipped;
use crate::visitor::Visitor;
use crate::wait::until;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

const API_KEY: &str = "poller-key";
const ADMIN_KEY: &str = "operator-key";

/// A bridge that runs.
#[derive(Debug)]
pub struct PhpBridge {
    folder: TempDir,
    /// The master of a group of workers.
    server: Child,
    client: Client,
}

impl PhpBridge {
    /// None where there is no PHP, which is then told under the test's name.
    pub async fn start(test: &str) -> Option<Self> {
        Self::serve(test, "examples/bridge_php/index.php", 4, &[]).await
    }

    /// With further variables in its environment.
    pub async fn start_with(test: &str, variables: &[(&str, &str)]) -> Option<Self> {
        Self::serve(test, "examples/bridge_php/index.php", 4, variables).await
    }

    /// One that fails as `misbehave` says, which at first is not at all.
    pub async fn start_faulty(test: &str) -> Option<Self> {
        // So many that one that hangs holds up nobody else's request: that would be stored after its sender had given up, which nobody
        // could see in time.
        Self::serve(test, "tests/fixtures/faulty_bridge.php", 32, &[]).await
    }

    async fn serve(test: &str, program: &str, workers: u32, variables: &[(&str, &str)]) -> Option<Self> {
        if !is_there(test) {
            return None;
        }
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
        let log = File::create(folder.path().join("log")).expect("a file for its log");
        let server = Command::new("php")
            .args(["-S", &format!("127.0.0.1:{port}")])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program))
            .env("PHP_CLI_SERVER_WORKERS", workers.to_string())
            .env("BRIDGE_DB", folder.path().join("bridge.db"))
            .env("BRIDGE_API_KEY", API_KEY)
            .env("BRIDGE_ADMIN_KEY", ADMIN_KEY)
            .env("BRIDGE_FAULTS", folder.path().join("faults.json"))
            // All visitors of a test have one address.
            .env("BRIDGE_ENFORCE_LIMITS", "false")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            // Its workers outlive their master, so all of them are ended as a group.
            .process_group(0)
            .spawn()
            .expect("php runs");
        let bridge = Self { folder, server, client: Client::new(&format!("http://127.0.0.1:{port}")) };
        let connected = || TcpStream::connect(("127.0.0.1", port)).ok();
        until("the PHP bridge listens", connected).await;
        Some(bridge)
    }

    pub fn visitor(&self, session: &str) -> Visitor {
        Visitor::new(&self.client, session)
    }

    /// `[plugins.web_chat]` for this bridge, polling as often as it may; `more` are further settings.
    pub fn plugin(&self, more: &str) -> String {
        self.instance("web_chat", more)
    }

    /// The same under another name.
    pub fn instance(&self, name: &str, more: &str) -> String {
        format!(
            "[plugins.{name}]\nenabled = true\nlibrary = \"web_chat\"\n[plugins.{name}.settings]\napi_url = \"{}\"\napi_key = \"{API_KEY}\"\n\
             admin_key = \"{ADMIN_KEY}\"\npoll_interval = 0.05\nactive_poll_interval = 0.05\nretry_delay = 0.05\n{more}\n",
            self.client.url("/")
        )
    }

    /// What goes wrong from now on; the header of tests/fixtures/faulty_bridge.php names the keys.
    pub fn misbehave(&self, faults: &Value) {
        let (half_written, file) = (self.folder.path().join("faults.tmp"), self.faults());
        fs::write(&half_written, faults.to_string()).expect("the faults are written");
        fs::rename(half_written, file).expect("the faults take effect");
    }

    /// From now on nothing goes wrong any more.
    pub fn behave(&self) {
        self.misbehave(&json!({}));
    }

    /// Requests and faults since the last `misbehave`.
    pub fn counts(&self) -> Value {
        let Ok(file) = File::open(self.folder.path().join("faults.json.count")) else { return Value::Null };
        // Who writes holds the lock over the moment in which it is empty.
        flock(&file, FlockOperation::LockShared).expect("a lock on the counters");
        serde_json::from_reader(file).unwrap_or_default()
    }

    /// Its API without a key, or with the operator's.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn operator(&self) -> Client {
        self.client.with_token(ADMIN_KEY)
    }

    /// Everything said in a session, as the operator sees it.
    pub async fn session(&self, session: &str) -> Value {
        let path = format!("/api/v1/?action=session_messages&session_id={session}");
        self.client.get(&path).token(ADMIN_KEY).await.data()
    }

    /// As its operator, removes all that it knows.
    pub async fn forget_everything(&self) {
        let path = "/api/v1/?action=clear_data";
        self.client.post(path, &json!({ "confirm": true })).token(ADMIN_KEY).await.data();
    }

    /// Takes messages out of the inbox as a poller that then loses them.
    pub async fn lose_the_inbox(&self) -> usize {
        let data = self.client.get("/api/v1/?action=inbox&limit=100").token(API_KEY).await.data();
        data["messages"].as_array().map_or(0, Vec::len)
    }

    fn faults(&self) -> PathBuf {
        self.folder.path().join("faults.json")
    }
}

impl Drop for PhpBridge {
    fn drop(&mut self) {
        // Nothing to be done about one that is gone already.
        let _ = kill_process_group(Pid::from_child(&self.server), Signal::KILL);
        let _ = self.server.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            // Its web server writes a line for each request and connection; errors are what counts.
            let told = log.lines().filter(|line| ["PHP ", "rror"].iter().any(|word| line.contains(word)));
            let lines: Vec<&str> = told.collect();
            eprintln!("---- PHP's last words:\n{}\n----", lines[lines.len().saturating_sub(10)..].join("\n"));
            keep(&mut self.folder);
        }
    }
}

/// Whether PHP can be used; where not, that is told under the test's name.
pub fn is_there(test: &str) -> bool {
    php().map_err(|why| skipped(test, why)).is_ok()
}

/// Whether there is a PHP that can do it; installed at the first call if need be. An error says why there is none.
fn php() -> Result<(), &'static str> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    FOUND.get_or_init(|| if has_sqlite() { Ok(()) } else { install() }).as_ref().copied().map_err(String::as_str)
}

fn has_sqlite() -> bool {
    let asked = Command::new("php").args(["-r", "exit(extension_loaded('pdo_sqlite') ? 0 : 1);"]).status();
    asked.is_ok_and(|status| status.success())
}

fn install() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("it needs php with pdo_sqlite: apt-get install php-cli php-sqlite3".into());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-o", "Acquire::Retries=3"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("apt-get {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("php is missing, and apt-get does not run: {error}")),
        }
    };
    let packages = ["install", "-y", "--no-install-recommends", "php-cli", "php-sqlite3"];
    // The list of packages may be there already, and is fetched only if not.
    apt(&packages).or_else(|_| apt(&["update"]).and_then(|()| apt(&packages)))?;
    if has_sqlite() { Ok(()) } else { Err("php was installed, but has no pdo_sqlite".into()) }
}
