//! What the figures were measured on.

use crate::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Lines for the report: processor, memory, system, filesystem of the stores, versions.
pub fn describe(folder: &Path) -> Result<Vec<String>> {
    let cores = std::thread::available_parallelism()?;
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let megahertz = field("/proc/cpuinfo", "cpu MHz").unwrap_or_else(|| "?".into());
    let hypervisor = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" hypervisor"));
    let kind = if hypervisor { "virtual machine" } else { "machine" };
    let kilobytes: f64 =
        field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0.0);
    let system = said("uname", &["-sr"]);
    // Its second line: above it stands the column's name. `stat` would call ext4 by the name of its grandparents.
    let filesystem = said("df", &["--output=fstype", &folder.display().to_string()]);
    let filesystem = filesystem.lines().last().unwrap_or_default().to_owned();
    Ok(vec![
        format!("{kind} with {cores} cores ({processor}, {megahertz} MHz), {:.0} GB of memory", kilobytes / 1e6),
        format!("{system}; the stores lie on {filesystem}"),
        format!(
            "{}; SQLite {}; Arcuate {}",
            said("rustc", &["--version"]),
            rusqlite::version(),
            env!("CARGO_PKG_VERSION")
        ),
        format!("commit {}", said("git", &["describe", "--always", "--dirty"])),
    ])
}

/// Today, in UTC.
pub fn date() -> String {
    arcuate::clock::format(arcuate::clock::now()).chars().take(10).collect()
}

/// The first line `name : value` of a file under /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => format!("{program}: unknown"),
    }
}
