//! Runs what a page of the documentation tells its reader to run. A comment before a block says what the block is:
//!
//! | comment | the block after it |
//! |-|-|
//! | `<!-- run: host -->` | commands for the reader's terminal; the blocks of a page share its variables |
//! | … `, until: TEXT` | the same, run again until its output contains the text |
//! | `<!-- run: terminal, name: NAME -->` | commands that go on, in a terminal of their own, until the page ends |
//! | `<!-- config -->` | TOML to be laid over `config.toml` |
//! | `<!-- output -->` | what the block before has shown, among other lines |
//! | `<!-- syntax -->` | commands for another machine than this one, which must at least be commands |
//! | `<!-- later, … -->` | what no host can do yet; nothing of it is tried |
//!
//! The page's folder is a checkout as the reader has it: `config.toml` as it is shipped, `examples/`, and a `cargo` whose `run` starts what
//! the test run has built. A host runs from the beginning, unless a terminal of the page starts it; as a service, where the page speaks of
//! `systemctl` (`machine.rs`). Addresses `127.0.0.1:PORT` get free
//! ports, and `/tmp/` is a temporary folder.

use crate::host::Setup;
use crate::machine::{self, Service};
use crate::ports::free_port;
use crate::wait::{PATIENCE, until, until_async};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};

/// Ends the output of a block, with whether a command of it failed.
const MARK: &str = "======== end of the block:";
/// `cargo run --release -- check` becomes `arcuate check`.
const CARGO: &str = "#!/bin/sh\ntest \"$1 $2\" = 'run --release' || exit 64\nshift 2\ntest \"$1\" != -- || shift\nexec arcuate \"$@\"\n";
/// How a terminal starts the host.
const START: &str = "cargo run --release";

/// What the reader does next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Run { code: String, until: Option<String> },
    Terminal { name: String, code: String },
    Config(String),
    Output(String),
    Syntax(String),
}

/// A page, taken apart.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    steps: Vec<Step>,
    /// Blocks of commands without a comment.
    pub unmarked: Vec<String>,
    /// What stands for each port of the page.
    ports: BTreeMap<u16, u16>,
}

/// The reader at work.
struct Reader {
    // First of all, so that it is ended before its folder goes.
    _service: Service,
    setup: Setup,
    terminals: Vec<Terminal>,
    shell: Shell,
}

/// Something that goes on.
struct Terminal {
    name: String,
    process: Child,
    output: PathBuf,
}

/// The reader's own terminal.
struct Shell {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    // Killed with it.
    _process: tokio::process::Child,
}

impl Page {
    /// `path` from the root of the repository.
    pub fn read(path: &str) -> Self {
        let path = root().join(path);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(path, &text)
    }

    fn parse(path: PathBuf, text: &str) -> Self {
        let mut page = Self { path, steps: Vec::new(), unmarked: Vec::new(), ports: ports(text) };
        let (mut comment, mut lines) = (None, text.lines());
        while let Some(line) = lines.next() {
            let line = line.trim();
            if let Some(text) = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) {
                comment = Some(text.trim().to_owned());
            } else if let Some(language) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
                page.take(comment.take().as_deref(), language, &block.join("\n"));
            } else if !line.is_empty() {
                comment = None;
            }
        }
        page
    }

    fn take(&mut self, comment: Option<&str>, language: &str, block: &str) {
        let Some(comment) = comment else {
            self.unmarked.extend((language == "sh").then(|| block.to_owned()));
            return;
        };
        let mut options: BTreeMap<&str, &str> = BTreeMap::new();
        for part in comment.split(", ") {
            let (key, value) = part.split_once(": ").unwrap_or((part, ""));
            options.insert(key.trim(), value.trim());
        }
        if options.contains_key("later") {
            return;
        }
        let option = |name: &str| options.get(name).map(|value| (*value).to_owned());
        let code = self.with_ports(block);
        match (option("run").as_deref(), language) {
            (Some("terminal"), "sh") => {
                let name = option("name").unwrap_or_else(|| "terminal".into());
                self.steps.push(Step::Terminal { name, code });
            }
            (Some("host"), "sh") => self.steps.push(Step::Run { code, until: option("until") }),
            (None, "toml") if options.contains_key("config") => self.steps.push(Step::Config(code)),
            (None, _) if options.contains_key("output") => self.steps.push(Step::Output(code)),
            (None, "sh") if options.contains_key("syntax") => self.steps.push(Step::Syntax(code)),
            // A remark to other readers of the source.
            (None, _) => self.unmarked.extend((language == "sh").then(|| block.to_owned())),
            (Some(other), language) => panic!("{}: `run: {other}` before ```{language}", self.path.display()),
        }
    }

    fn with_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (from, to)| replace_number(&text, *from, *to))
    }

    /// Does everything that the page says, and fails where something of it fails.
    pub async fn run(&self) {
        let starts_it = self.steps.iter().any(|step| matches!(step, Step::Terminal { code, .. } if starts(code)));
        let mut reader = Reader::new(&self.ports);
        let is_service =
            self.steps.iter().any(|step| matches!(step, Step::Run { code, .. } if code.contains("systemctl ")));
        if is_service {
            reader.run("systemctl start arcuate", None).await;
        } else if !starts_it && self.steps.iter().any(|step| matches!(step, Step::Run { .. })) {
            reader.open("arcuate", START, &self.ports).await;
        }
        let mut shown = String::new();
        for step in &self.steps {
            match step {
                Step::Config(toml) => reader.configure(toml),
                Step::Terminal { name, code } => reader.open(name, code, &self.ports).await,
                Step::Run { code, until } => shown = reader.run(code, until.as_deref()).await,
                Step::Syntax(code) => check_syntax(code),
                Step::Output(wanted) => {
                    let missing = wanted.lines().find(|line| !shown.contains(line.trim()));
                    assert!(missing.is_none(), "{}: `{missing:?}` is not in\n{shown}", self.path.display());
                }
            }
        }
    }
}

impl Reader {
    fn new(ports: &BTreeMap<u16, u16>) -> Self {
        let setup = Setup::shipped(&root().join("config.toml"), ports.get(&8000).copied().unwrap_or_else(free_port));
        let folder = setup.folder();
        symlink(root().join("examples"), folder.join("examples")).expect("the examples are at hand");
        let cargo = folder.join("bin/cargo");
        fs::write(&cargo, CARGO).expect("a cargo");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("that can be run");
        fs::create_dir(folder.join("tmp")).expect("a folder for temporary files");
        machine::place_stand_ins(&setup);
        let (shell, service) = (Shell::open(&setup), Service(setup.folder().into()));
        Self { _service: service, setup, terminals: Vec::new(), shell }
    }

    fn configure(&mut self, toml: &str) {
        self.setup.lay_over(toml);
        self.setup.write_config();
    }

    /// Goes on when it has said that it listens, or is heard to.
    async fn open(&mut self, name: &str, code: &str, ports: &BTreeMap<u16, u16>) {
        let output = self.setup.folder().join(format!("terminal-{name}"));
        let file = File::create(&output).expect("a file for its output");
        let mut command = shell(&self.setup);
        command.arg("-c").arg(self.local(code)).process_group(0).stdin(Stdio::null());
        let process = command.stdout(file.try_clone().expect("the same file")).stderr(file).spawn().expect("bash runs");
        self.terminals.push(Terminal { name: name.into(), process, output: output.clone() });
        let terminal = self.terminals.last_mut().expect("the one just opened");
        let own: Vec<u16> = ports.values().copied().filter(|port| code.contains(&port.to_string())).collect();
        let is_there = || {
            let text = fs::read_to_string(&output).unwrap_or_default();
            let ended = terminal.process.try_wait().expect("its state can be asked");
            assert!(ended.is_none(), "the terminal {name} has ended: {text}");
            let listens = own.iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok());
            (text.contains("listening on") || (!starts(code) && (listens || own.is_empty()))).then_some(())
        };
        until(&format!("the terminal {name} is ready"), is_there).await;
    }

    async fn run(&mut self, code: &str, until: Option<&str>) -> String {
        let code = self.local(code);
        let Some(wanted) = until else { return self.shell.run(&code).await };
        let shell = tokio::sync::Mutex::new(&mut self.shell);
        let look = async || Some(shell.lock().await.run(&code).await).filter(|output| output.contains(wanted));
        until_async(&format!("`{wanted}` is shown by {code}"), PATIENCE, look).await
    }

    fn local(&self, code: &str) -> String {
        machine::local(code, self.setup.folder())
    }
}

impl Shell {
    fn open(setup: &Setup) -> Self {
        let mut command = tokio::process::Command::from(shell(setup));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut process = command.spawn().expect("bash runs");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output")).lines();
        Self { input, output, _process: process }
    }

    /// What the block shows; fails when one of its commands does, or an answer is an error.
    async fn run(&mut self, code: &str) -> String {
        let script = format!(
            "exec 2>&1; set -E -o pipefail; failed=; trap 'failed=1' ERR\n{code}\ntrap - ERR\nprintf '\\n%s%s\\n' '{MARK}' \"$failed\"\n"
        );
        self.input.write_all(script.as_bytes()).await.expect("the shell takes commands");
        let mut shown = String::new();
        loop {
            let line = crate::wait::soon("a line of the block's output", self.output.next_line()).await;
            let line = line.expect("output is text").unwrap_or_else(|| panic!("the shell has ended: {shown}"));
            if let Some(failed) = line.strip_prefix(MARK) {
                let refused = ["\"success\":false", "{\"error\":"].iter().any(|word| shown.contains(word));
                eprintln!("$ {code}\n{shown}");
                assert!(failed.is_empty() && !refused, "this failed:\n{code}\nand showed:\n{shown}");
                return shown;
            }
            shown.push_str(&line);
            shown.push('\n');
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for terminal in &mut self.terminals {
            // Nothing to be done about one that is gone already.
            let _ = kill_process_group(Pid::from_child(&terminal.process), Signal::KILL);
            let _ = terminal.process.wait();
            if std::thread::panicking() {
                let text = fs::read_to_string(&terminal.output).unwrap_or_default();
                eprintln!("---- the terminal {}:\n{text}\n----", terminal.name);
            }
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root of the repository")
}

fn shell(setup: &Setup) -> Command {
    let (bin, path) = (setup.folder().join("bin"), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.current_dir(setup.folder()).env("PATH", format!("{}:{path}", bin.display())).env_remove("ARCUATE_LOG");
    command
}

fn check_syntax(code: &str) {
    let status = Command::new("bash").args(["-n", "-c", code]).status().expect("bash runs");
    assert!(status.success(), "no commands: {code}");
}

fn starts(code: &str) -> bool {
    code.lines().any(|line| line.trim() == START)
}

/// A free one for each that the page mentions.
fn ports(text: &str) -> BTreeMap<u16, u16> {
    let mentioned = text.split("127.0.0.1:").skip(1);
    let digits = mentioned.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.filter_map(|digits| digits.parse().ok()).map(|port| (port, free_port())).collect()
}

fn replace_number(text: &str, from: u16, to: u16) -> String {
    let (from, mut replaced, mut rest) = (from.to_string(), String::new(), text);
    while let Some(at) = rest.find(&from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        let inside = before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
            || after.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        replaced.push_str(before);
        replaced.push_str(&if inside { from.clone() } else { to.to_string() });
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_taken_apart_by_its_comments() {
        let text = "# Page\n<!-- run: host, until: two words -->\n```sh\ncurl 127.0.0.1:8000/18000\n```\n\n<!-- config -->\n\
                    ```toml\n[a]\n```\n<!-- output -->\n\n```text\nfine\n```\n<!-- run: host -->\nText between.\n```sh\nls\n```\n";
        let page = Page::parse("page.md".into(), text);
        let port = page.ports[&8000];
        let run = Step::Run { code: format!("curl 127.0.0.1:{port}/18000"), until: Some("two words".into()) };
        assert_eq!(page.steps, [run, Step::Config("[a]".into()), Step::Output("fine".into())]);
        assert_eq!(page.unmarked, ["ls"]);
    }
}
