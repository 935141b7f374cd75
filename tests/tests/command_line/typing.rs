//! A command at a terminal of its own: a pseudoterminal with a width, somebody who types, and everything that would be seen.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

/// Runs a command at a terminal of this width; answers its exit code and the screen's text, with what was typed.
pub(super) fn at_terminal(command: &mut Command, columns: u16, typed: &str) -> (Option<i32>, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags).expect("a pseudoterminal");
    grantpt(&controller).and_then(|()| unlockpt(&controller)).expect("its other side");
    let name = ptsname(&controller, Vec::new()).expect("its name");
    let no_control = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    let side = || {
        let mut options = File::options();
        options.read(true).write(true).custom_flags(no_control);
        options.open(OsStr::from_bytes(name.as_bytes())).expect("its other side opens")
    };
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&controller, size).expect("its size");
    let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("the program runs");
    // This side's own handles, so that the screen ends with the program.
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());

    let mut controller = File::from(controller);
    controller.write_all(typed.as_bytes()).expect("somebody types");
    let mut screen = Vec::new();
    let mut bytes = [0; 4096];
    // The end is told as an error.
    while let Ok(count @ 1..) = controller.read(&mut bytes) {
        screen.extend_from_slice(&bytes[..count]);
    }
    let status = child.wait().expect("the program ends");
    (status.code(), String::from_utf8(screen).expect("UTF-8").replace("\r\n", "\n"))
}
