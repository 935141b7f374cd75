//! `docs/troubleshooting.md` against what the host really says: each text of the page is provoked, and whatever is provoked is on the page.

use arcuate::store::lock::Lock;
use arcuate_tests::faulty_disk::{Call, FaultyDisk};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::ports::free_port;
use arcuate_tests::wait::until;
use rusqlite::Connection;
use rustix::io::Errno;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The texts of the page, with `…` for what differs.
fn page() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md");
    let text = fs::read_to_string(path).expect("the page");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(|heading| heading.trim_matches(['`', ' ']).to_owned()).collect()
}

fn is_of(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    pattern.split('…').all(|piece| match rest.split_once(piece.trim()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// A host that ends by itself, or is ended as soon as it listens; both of its outputs.
fn said(command: &mut Command, folder: &Path) -> String {
    let path = folder.join("said");
    let file = File::create(&path).expect("a file for its output");
    let mut process =
        command.stdout(file.try_clone().expect("the same")).stderr(file).spawn().expect("the program runs");
    let look = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let text = || fs::read_to_string(&path).unwrap_or_default();
    look.block_on(until("it ends or listens", || {
        let ended = process.try_wait().expect("its state can be asked").is_some();
        (ended || text().contains("listening on")).then_some(())
    }));
    // One that has ended by itself is not there to be killed.
    let _ = process.kill();
    process.wait().expect("its end");
    text()
}

/// The plan of a restore that has come to its end.
const NOTHING_MOVES: &[u8] = br#"{"aside":".before-restore","files":[],"contents":false,"own_folder":false}"#;

/// A start that goes wrong.
struct Start {
    setup: Setup,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Start {
    fn new(config: &str) -> Self {
        let setup = Setup::new("");
        fs::write(setup.folder().join("config.toml"), config).expect("the configuration is written");
        let variables = vec![("ARCUATE__SERVER__BIND", "127.0.0.1:0".into())];
        Self { setup, arguments: Vec::new(), variables }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn at_store(self, path: &str) -> Self {
        self.with("ARCUATE__STORE__PATH", path)
    }

    fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.setup.folder().join(path)).expect("a folder");
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        let path = self.setup.folder().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("its folder");
        fs::write(path, content).expect("a file");
        self
    }

    fn database(self, statements: &str) -> Self {
        let new = self.folder("data");
        let store = Connection::open(new.setup.folder().join("data/arcuate.db")).expect("a database");
        store.execute_batch(statements).expect("it takes this");
        new
    }

    fn said(&self) -> String {
        let mut command = Command::new(self.setup.program());
        command.current_dir(self.setup.folder()).args(&self.arguments).stdin(Stdio::null()).env_remove("ARCUATE_LOG");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        said(&mut command, self.setup.folder())
    }
}

/// What was said, and the text of the page that it should be.
fn provoked() -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    let mut provoke = |start: Start, of: &'static str| all.push((start.said(), of));
    provoke(Start::new("[server]\nport = 1\n"), "config.toml:…:…: …");
    let mut elsewhere = Start::new("");
    elsewhere.arguments = vec!["--config".into(), "elsewhere.toml".into()];
    provoke(elsewhere, "…: cannot be read: …");
    provoke(Start::new("[server\n"), "…: not TOML: …");
    provoke(Start::new("").with("ARCUATE__QUEUE__MAX_ATTEMPTS", "many"), "ARCUATE__…: …");
    provoke(Start::new("[bridge]\napi_key = \"${NO_SUCH_KEY}\"\n"), "the environment variable");
    provoke(Start::new("[bridge]\napi_key = { file = \"no_such_key\" }\n"), "cannot be read from");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    provoke(Start::new("").with("ARCUATE__SERVER__BIND", &address), "another program listens there");
    provoke(Start::new("").with("ARCUATE__SERVER__BIND", "192.0.2.1:8000"), "set [server] bind to an address");

    provoke(Start::new("").at_store("/proc/no_folder/arcuate.db"), "cannot make the store's folder");
    provoke(Start::new("").file("file", b"").at_store("file/arcuate.db"), "cannot look for");
    provoke(Start::new("").folder("data/arcuate.db.lock"), "cannot lock");
    provoke(Start::new("").folder("data/admin_token"), "the admin token");
    provoke(Start::new("").folder("data/arcuate.db"), "the store cannot be written");
    provoke(Start::new("").file("data/arcuate.db", &b"no database ".repeat(1000)), "file is damaged");
    provoke(Start::new("").database("create table recipes (name)"), "the database of another program");
    let plan = "data/arcuate.db.restoring";
    provoke(Start::new("").file(plan, b"{"), "and its plan");
    provoke(Start::new("").file(plan, NOTHING_MOVES), "is gone: remove");
    let starting = Start::new("").folder("data");
    let lock = Lock::take(&starting.setup.folder().join("data/arcuate.db")).expect("the lock is free");
    provoke(starting, "does not say where it listens");
    drop(lock);

    let web_chat = "[plugins.web_chat]\nenabled = true\n[plugins.web_chat.settings]\napi_url = \"http://127.0.0.1:1\"\napi_key = \"key\"\n";
    provoke(Start::new(web_chat), "warning: no route from");
    let off =
        "[plugins.off]\nenabled = false\nlibrary = \"agent_invoker\"\n[[routes]]\nfrom = \"bridge\"\nto = \"off\"\n";
    provoke(Start::new(off), "which is disabled");
    provoke(Start::new("[auth]\nmode = \"token\"\n"), "there are no access tokens");
    provoke(Start::new("").with("ARCUATE_LOG", "host=loud"), "warning: ARCUATE_LOG");
    provoke(Start::new("[auth]\nadmin_token = \"short\"\n"), "`admin_token` is short");
    provoke(Start::new("[bridge]\napi_key = \"a\"\nadmin_key = \"a\"\n"), "`admin_key` is the same as");

    provoke(Start::new("[plugins.gone]\n"), "no lib….so");
    provoke(Start::new("[plugins.federation]\n"), "this version has no such plugin yet");
    provoke(Start::new("[plugins.text]\n").file("bin/libtext.so", b"some words"), "is a text file");
    provoke(Start::new("[plugins.second]\nlibrary = \"webhook\"\n"), "cannot run twice");
    let open = Start::new("");
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(open.setup.folder().join("bin"), everybody).expect("a mode");
    provoke(open, "and so run code in this process");
    all
}

/// The same for stores that were made before.
async fn provoked_on_a_store() -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    let host = Host::start("").await;
    let again = |host: &Host| {
        let mut command = Command::new(host.setup().program());
        command.current_dir(host.folder()).env("ARCUATE__SERVER__BIND", "127.0.0.1:0").stdin(Stdio::null());
        command
    };
    let wait = |mut command: Command, folder: &Path| {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || said(&mut command, &folder))
    };
    all.push((wait(again(&host), host.folder()).await.expect("a start"), "has the store open since"));
    let mut host = host;
    host.terminate().await;
    let mut lock = Lock::take(&host.store()).expect("the lock is free");
    lock.announce(&format!("http://127.0.0.1:{}", free_port())).expect("the lock says where");
    let mut list = again(&host);
    list.args(["queue", "list"]);
    all.push((wait(list, host.folder()).await.expect("a command"), "has the store open, but does not answer at"));
    drop(lock);
    fs::write(host.folder().join("data/arcuate.db.restoring"), NOTHING_MOVES).expect("a plan");
    all.push((wait(again(&host), host.folder()).await.expect("a start"), "a restore that was cut off is finished"));
    let store = Connection::open(host.store()).expect("the store");
    store.execute_batch("begin immediate").expect("the lock of the database");
    all.push((wait(again(&host), host.folder()).await.expect("a start"), "another program keeps the store locked"));
    store.execute_batch("rollback; pragma user_version = 99").expect("another version");
    all.push((wait(again(&host), host.folder()).await.expect("a start"), "written by a newer Arcuate"));
    for (error, of) in
        [(Errno::NOSPC, "the disk that holds the store is full"), (Errno::IO, "the disk that holds the store failed")]
    {
        let Some(disk) = FaultyDisk::new("troubleshooting of a disk") else { break };
        let setup = disk.under(Setup::new(""));
        disk.fail(Call::Write, error);
        let refused = setup.refuse().await;
        all.push((refused.stdout + &refused.stderr, of));
    }
    all
}

/// Lines that complain.
fn complaints(said: &str) -> impl Iterator<Item = &str> {
    let starts = ["arcuate: ", "warning: ", "config.toml:", "ARCUATE__"];
    said.lines().filter(move |line| {
        starts.iter().any(|start| line.starts_with(start)) || line.contains("\"ERROR\"") || line.contains("plugins: ")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn page_has_what_the_host_says_at_start_and_nothing_else() {
    let page = page();
    let mut all = tokio::task::spawn_blocking(provoked).await.expect("what is provoked");
    all.extend(provoked_on_a_store().await);
    for (said, of) in &all {
        // `cannot be read` and `not TOML` name the file as it was given.
        let lines: Vec<&str> = said.lines().filter(|line| is_of(of, line)).collect();
        assert!(!lines.is_empty(), "`{of}` was to be provoked, and this was said:\n{said}");
        let is_known = |line: &str| page.iter().any(|pattern| is_of(pattern, line));
        let unknown: Vec<&str> = complaints(said).chain(lines).filter(|line| !is_known(line)).collect();
        assert!(unknown.is_empty(), "docs/troubleshooting.md does not know {unknown:#?}");
    }
    let is_said = |pattern: &&String| all.iter().flat_map(|(said, _)| said.lines()).any(|line| is_of(pattern, line));
    let silent: Vec<_> = page.iter().filter(|pattern| !is_said(pattern)).collect();
    assert!(silent.is_empty(), "docs/troubleshooting.md has what nobody says: {silent:#?}");
}

#[test]
fn pattern_matches_what_differs_and_nothing_else() {
    assert!(is_of("cannot lock …: …", "arcuate: cannot lock data/x.lock: Is a directory (os error 21)"));
    assert!(!is_of("cannot lock …: …", "arcuate: cannot lock"));
    assert!(is_of("no lib….so in …", "no libgone.so in /usr/lib") && !is_of("no lib….so in …", "no lib"));
}
