//! Asks before something that cannot be taken back, where there is somebody to ask.

use crate::error::{Error, Result};
use std::io::{IsTerminal, Write};

/// Both sides are a terminal.
pub(super) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Ok: go on.
pub(super) fn confirm(question: &str) -> Result<()> {
    // On stderr, so that stdout has nothing but the answer.
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(Error::Conflict("not confirmed, so nothing was changed".into())),
    }
}
