//! How a command ends: what it says on stdout and stderr, and with which exit code.

use super::harmless;
use crate::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    /// An unknown id, a store in use, no answer.
    Failed = 1,
    /// Usage and configuration.
    Usage = 2,
}

/// See the module's text.
pub(super) struct Report {
    pub stdout: String,
    /// Lines.
    pub stderr: Vec<String>,
    pub exit: Exit,
}

impl From<String> for Report {
    fn from(stdout: String) -> Self {
        Self { stdout, stderr: Vec::new(), exit: Exit::Done }
    }
}

impl<T: Into<Self>> From<Result<T, Error>> for Report {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(told) => told.into(),
            Err(Error::Mistakes(mistakes)) => Self::refusal(mistakes.iter().map(ToString::to_string).collect()),
            Err(error) => {
                // What the store refuses to understand was asked wrongly.
                let exit = if matches!(error, Error::Invalid(_)) { Exit::Usage } else { Exit::Failed };
                Self { stdout: String::new(), stderr: vec![format!("arcuate: {error}")], exit }
            }
        }
    }
}

impl Report {
    /// Lines that say why nothing was done.
    pub(super) fn refusal(stderr: Vec<String>) -> Self {
        Self { stdout: String::new(), stderr, exit: Exit::Usage }
    }

    pub(super) fn tell(self) -> ExitCode {
        self.stderr.iter().for_each(|line| complain(line));
        let exit = if print(&self.stdout) { self.exit } else { Exit::Failed };
        ExitCode::from(exit as u8)
    }
}

/// Writes to stdout. A reader that has gone, as `head` does, has seen enough; anything else is a failure that is told.
pub(super) fn print(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("arcuate: cannot write to stdout: {error}"));
            false
        }
        _ => true,
    }
}

/// One line on stderr. That nobody may hear it is no reason to end.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless::line(line));
}
