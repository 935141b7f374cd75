//! What the machine gives: space, open files, a port, the right time.

use super::Findings;
use crate::cli::backup::size;
use crate::config::Config;
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// Below this the host cannot go on for long.
const LITTLE: u64 = 100_000_000;
/// Below this somebody should look.
const SOME: u64 = 1_000_000_000;
/// Open files that a busy host needs: one for each connection and stream.
const FILES: u64 = 4096;
/// Where systemd's time service says how far it is.
pub(super) const TIME_SERVICE: &str = "/run/systemd/timesync";

pub(super) fn disk(findings: &mut Findings, config: &Config) {
    let folder = nearest(&config.store.path);
    let shown = folder.display();
    if access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let text = format!("this user cannot write into {shown}, where the store is");
        findings.problem("disk", text, "give the folder to the user that runs the host, and run this as that user");
    }
    let Ok(found) = statvfs(&folder) else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} are free in {shown}", size(free));
    match free {
        0..LITTLE => findings.problem("disk", text, "free some space now: without it, writes are refused with 503"),
        LITTLE..SOME => findings.warning("disk", text, "free some space, or set `log_days` and rooms' limits"),
        _ => findings.ok("disk", text),
    }
}

/// The folder, or the nearest above it that is there.
fn nearest(store: &Path) -> PathBuf {
    let folder = store.parent().unwrap_or(Path::new("."));
    let there = folder.ancestors().find(|folder| folder.is_dir());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Whether a host could have it now.
pub(super) fn port(findings: &mut Findings, config: &Config) {
    let bind = config.server.bind;
    match TcpListener::bind(bind) {
        Ok(_) => findings.ok("port", format!("{bind} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => findings.problem(
            "port",
            format!("another program listens on {bind}"),
            "stop it, or set [server] bind to a free port",
        ),
        Err(error) => findings.problem(
            "port",
            format!("nobody can listen on {bind}: {error}"),
            "set [server] bind to an address of this machine, with a port of 1024 or more",
        ),
    }
}

/// Of the host that runs; else of this process, which a host started from here would share.
pub(super) fn limits(findings: &mut Findings, host: Option<u32>) {
    let own = || getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = host.and_then(allowed_files).unwrap_or_else(own);
    let whose = if host.is_some() { "the host" } else { "a process started here" };
    if most < FILES {
        let text = format!("{whose} may open {most} files, and each connection is one");
        return findings.warning(
            "limits",
            text,
            "`ulimit -n 65536` before the start, or LimitNOFILE=65536 in the unit",
        );
    }
    let most = if most == u64::MAX { "any number of".into() } else { most.to_string() };
    findings.ok("limits", format!("{whose} may open {most} files"));
}

/// `Max open files            1024                 524288               files`
fn allowed_files(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Other services that set the clock tell it elsewhere, and a machine without one tells nothing.
pub(super) fn clock(findings: &mut Findings, service: &Path) {
    if service.join("synchronized").exists() {
        findings.ok("clock", "it is synchronised by NTP");
    } else if service.is_dir() {
        let advice =
            "`timedatectl timesync-status` shows what it waits for; a clock that jumps delays and confuses retries";
        findings.warning("clock", "systemd-timesyncd runs, and has not synchronised it yet", advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn clock_is_spoken_of_where_a_service_tells() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| {
            let mut findings = Findings::default();
            clock(&mut findings, path);
            findings.0.first().map(|finding| finding.level)
        };
        assert_eq!(told(&folder.path().join("elsewhere")), None);
        assert_eq!(told(folder.path()), Some(Level::Warning));
        std::fs::write(folder.path().join("synchronized"), "").unwrap();
        assert_eq!(told(folder.path()), Some(Level::Ok));
    }
}
