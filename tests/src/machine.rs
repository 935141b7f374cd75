//! What a page for operators takes for granted and a test run has not: `sudo`, `systemctl` and `journalctl` of a machine with the package
//! on it. They stand in for the real ones, the host that they start is real.

use crate::host::Setup;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Runs the command as whoever runs the test, who is nobody else.
const SUDO: &str = r#"#!/bin/bash
words=()
while [ $# -gt 0 ]; do
    case "$1 ${2-}" in
        "-u arcuate" | "-o arcuate" | "-g arcuate") shift 2 ;;
        *) words+=("$1"); shift ;;
    esac
done
exec "${words[@]}"
"#;

/// One service, `arcuate`: the host of this folder.
const SYSTEMCTL: &str = r#"#!/bin/bash
folder=$(cd "$(dirname "$0")/.." && pwd)
pid=$folder/service.pid
log=$folder/service.log
runs() { [ -f "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }
start() {
    runs && return
    cd "$folder" || exit 1
    setsid "$folder/bin/arcuate" serve --config "$folder/config.toml" </dev/null >"$log" 2>&1 &
    echo $! >"$pid"
    until grep -q 'listening on' "$log"; do
        runs || { cat "$log"; exit 1; }
        sleep 0.02
    done
}
stop() {
    runs || return 0
    kill -TERM "$(cat "$pid")"
    while runs; do sleep 0.02; done
}
case "$1 $2" in
    "start arcuate" | "enable --now") start ;;
    "stop arcuate") stop ;;
    "restart arcuate") stop && start ;;
    "reload arcuate") runs && kill -HUP "$(cat "$pid")" ;;
    "status arcuate" | "is-active arcuate") runs && echo active ;;
    *) echo "systemctl: not known here: $*"; exit 1 ;;
esac
"#;

const JOURNALCTL: &str = "#!/bin/bash\nexec cat \"$(dirname \"$0\")/../service.log\"\n";

/// Places of the package, and where the page's folder has them.
const PLACES: [(&str, &str); 4] =
    [("/etc/arcuate/", "/"), ("/var/lib/arcuate/", "/data/"), ("/var/backups/", "/tmp/"), ("/tmp/", "/tmp/")];

pub(crate) fn place_stand_ins(setup: &Setup) {
    for (name, script) in [("sudo", SUDO), ("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)] {
        let path = setup.folder().join("bin").join(name);
        fs::write(&path, script).expect("a stand-in");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("that can be run");
    }
}

/// Commands with the page's folder for the whole machine.
pub(crate) fn local(code: &str, folder: &Path) -> String {
    // One pass: what has been put in is not looked at again.
    let mut rest = code;
    let mut local = String::new();
    while let Some((at, (from, to))) =
        PLACES.iter().filter_map(|place| Some((rest.find(place.0)?, place))).min_by_key(|(at, _)| *at)
    {
        local += &format!("{}{}{to}", &rest[..at], folder.display());
        rest = &rest[at + from.len()..];
    }
    local + rest
}

/// The service, if one was started; ended with this.
pub(crate) struct Service(pub PathBuf);

impl Drop for Service {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.0.join("service.pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // Nothing to be done about one that is gone already.
            let _ = kill_process(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!(
                "---- the service:\n{}\n----",
                fs::read_to_string(self.0.join("service.log")).unwrap_or_default()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_machine_are_those_of_the_folder() {
        let local = local("cp /etc/arcuate/config.toml /tmp/a; ls /var/lib/arcuate/x", Path::new("/tmp/f"));
        assert_eq!(local, "cp /tmp/f/config.toml /tmp/f/tmp/a; ls /tmp/f/data/x");
    }
}
