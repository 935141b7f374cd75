//! The servers that are measured, in processes of their own: started with a store and settings, killed at the latest when they are
//! dropped.

use crate::Result;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Lets a poller in; the measured hosts live on this machine's loopback for seconds.
pub const API_KEY: &str = "benches";
const ANNOUNCEMENT: &str = "listening on http://";

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From its start until it said that it listens.
    pub ready_after: Duration,
    /// Kept, so that it can go on writing.
    _output: BufReader<ChildStdout>,
}

/// The name of the store's file in a host's folder.
pub fn store_in(folder: &Path) -> PathBuf {
    folder.join("arcuate.db")
}

/// Starts the host of the same build with the store in `folder`, the default plugins, no limits, and `settings` for the agent.
pub fn host(folder: &Path, settings: &str) -> Result<Server> {
    let beside = beside()?;
    let config = format!(
        "[server]\nbind = \"127.0.0.1:0\"\n[store]\npath = \"arcuate.db\"\n[bridge]\napi_key = \"{API_KEY}\"\n\
         [limits]\nmessages_per_minute = 0\nrooms_per_hour = 0\napi_per_minute = 0\n\
         [plugins]\ndirectory = {beside:?}\n[plugins.assistant.settings]\nbackend = \"echo\"\n{settings}\n"
    );
    fs::write(folder.join("config.toml"), config)?;
    let mut command = Command::new(beside.join("arcuate"));
    command.current_dir(folder);
    Server::start(command, &folder.join("host.log"))
}

/// Starts the baseline `echo`.
pub fn echo(folder: &Path) -> Result<Server> {
    baseline(folder, "--serve-echo")
}

/// Starts the baseline `fanout`.
pub fn fanout(folder: &Path) -> Result<Server> {
    baseline(folder, "--serve-fanout")
}

fn baseline(folder: &Path, which: &str) -> Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(which);
    Server::start(command, &folder.join("baseline.log"))
}

/// The folder of this program, where cargo puts the host and its plugins too.
fn beside() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().ok_or("this program lies nowhere")?.to_owned())
}

impl Server {
    fn start(mut command: Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("a child without its output")?);
        let mut line = String::new();
        loop {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                let _ = child.wait();
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{} ended before it listened: {said}", program.display()).into());
            }
            if let Some(address) = line.trim().strip_prefix(ANNOUNCEMENT) {
                let (ready_after, address) = (begun.elapsed(), address.parse()?);
                return Ok(Self { child, address, ready_after, _output: output });
            }
        }
    }

    /// Bytes of its memory that are resident now.
    pub fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in its status")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }

    /// Ends it in good order, so that its store is whole in one file.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("the host did not stop".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
