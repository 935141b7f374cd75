//! The backend `command`: a local program per turn. The question is JSON on its standard input, the same as for `http`; what it writes to
//! its standard output is the answer. No shell reads the command, little of the host's environment reaches it, and when the turn ends
//! before it does, it is killed with everything that it has started.

use crate::answer::Answer;
use crate::conversation::Question;
use crate::dialect::{Http, HttpBody, Reader, reported_error, short};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::wire::garbled;
use plugin_api::Result;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

/// Of its standard output. 256 KiB of text, each letter escaped, fit in.
const OUTPUT_LIMIT: usize = 2 * 1024 * 1024;
/// As much of its standard error is kept, from the end.
const ERRORS_KEPT: usize = 4 * 1024;
/// Lines of those that the operator reads.
const ERROR_LINES: usize = 3;
/// How long the rest of its output is read once it has ended: something that it left behind may hold the pipes open for ever.
const LINGER: Duration = Duration::from_secs(2);
/// What it gets of the host's environment; the rest may hold secrets.
const ENVIRONMENT: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER"];
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program that answers.
#[derive(Debug)]
pub(crate) struct Program {
    path: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl Program {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let mut words = settings.command.iter().cloned();
        Ok(Self { path: words.next().unwrap_or_default(), arguments: words.collect(), timeout: settings.timeout()? })
    }

    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<String, Failure> {
        let body = serde_json::to_vec(&HttpBody::of(question)).map_err(|error| Failure::Rejected {
            why: format!("the question cannot be written: {error}"),
            status: None,
        })?;
        let child = self.command().spawn().map_err(|error| self.unstartable(&error))?;
        let mut run = Run::new(child);
        let mut said = Said::default();
        let status = match timeout(self.timeout, run.end(body, &mut said)).await {
            Ok(ended) => ended?,
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                let why = format!("the program took longer than {seconds} s and was ended (setting timeout)");
                return Err(Failure::uncertain(said.with_errors(why)));
            }
        };
        judge(status, &said)?;
        let text = reply(&said.output).map_err(garbled)?;
        Answer::of(&text).into_text().ok_or(Failure::Empty)
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.path);
        let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.args(&self.arguments).env_clear().env("PATH", USUAL_PATH).envs(kept);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    fn unstartable(&self, error: &io::Error) -> Failure {
        let why = format!("the program {} cannot be started: {error}", self.path);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::NotADirectory => {
                let remedy =
                    "check command: its first word is a program of PATH or a whole path, executable for the host";
                Failure::Misconfigured { why: format!("{why}; {remedy}"), status: None }
            }
            // Too many processes, too little memory.
            _ => Failure::Refused { why, status: None, after: None },
        }
    }
}

/// A program that runs. Dropped before its end, it is killed with its whole group.
struct Run {
    child: Child,
}

impl Run {
    fn new(child: Child) -> Self {
        Self { child }
    }

    /// Feeds it, reads it, and waits for its end.
    async fn end(&mut self, body: Vec<u8>, said: &mut Said) -> Result<ExitStatus, Failure> {
        let (stdin, stdout, stderr) = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let Said { output, errors } = said;
        let talking = async {
            // Together: too much output ends the turn, whatever else the program does.
            tokio::try_join!(feed(stdin, body), whole(stdout, output), tail(stderr, errors)).map(|_| ())
        };
        tokio::pin!(talking);
        let status = tokio::select! {
            read = &mut talking => {
                read?;
                self.child.wait().await
            }
            status = self.child.wait() => {
                if let Ok(read) = timeout(LINGER, talking).await {
                    read?;
                }
                status
            }
        };
        status.map_err(|error| Failure::uncertain(format!("nobody knows how the program ended: {error}")))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // There is no number once its end was asked for: then it may be another's already.
        if let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // An error means that all of it is gone.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What it wrote, as far as it was read.
#[derive(Debug, Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Said {
    /// `what`, with the last lines that the program wrote about it.
    fn with_errors(&self, what: String) -> String {
        let text = String::from_utf8_lossy(&self.errors);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last: Vec<String> =
            lines[lines.len().saturating_sub(ERROR_LINES)..].iter().map(|line| short(line)).collect();
        if last.is_empty() { what } else { format!("{what}: {}", last.join(" | ")) }
    }
}

/// A program that does not read its input is no failure.
async fn feed(stdin: Option<ChildStdin>, body: Vec<u8>) -> Result<(), Failure> {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&body).await;
    }
    Ok(())
}

async fn whole(pipe: Option<impl AsyncRead + Unpin>, output: &mut Vec<u8>) -> Result<(), Failure> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let broken = |error: io::Error| Failure::uncertain(format!("the program's answer cannot be read: {error}"));
    while pipe.read_buf(output).await.map_err(broken)? > 0 {
        if output.len() > OUTPUT_LIMIT {
            return Err(Failure::uncertain("the answer does not end: more than 2 MiB came, and the program was ended"));
        }
    }
    Ok(())
}

/// Reads all, so that the program is never stopped by a full pipe, and keeps the end.
async fn tail(pipe: Option<impl AsyncRead + Unpin>, errors: &mut Vec<u8>) -> Result<(), Failure> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    while matches!(pipe.read_buf(errors).await, Ok(1..)) {
        if errors.len() > 2 * ERRORS_KEPT {
            errors.drain(..errors.len() - ERRORS_KEPT);
        }
    }
    Ok(())
}

fn judge(status: ExitStatus, said: &Said) -> Result<(), Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Refused {
            why: said.with_errors(format!("the program ended with exit code {code}")),
            status: None,
            after: None,
        }),
        (None, signal) => {
            let what = format!("the program was killed by signal {}", signal.unwrap_or_default());
            Err(Failure::uncertain(said.with_errors(what)))
        }
    }
}

/// `{"reply": "…"}`, or the text as it is, without the line ends behind it.
fn reply(output: &[u8]) -> Result<String, String> {
    if let Ok(reply) = Http.whole(output) {
        return Ok(reply);
    }
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice(output)
        && let Some(error) = reported_error(&value)
    {
        return Err(format!("it reports an error: {error}"));
    }
    match std::str::from_utf8(output) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).into()),
        Err(_) => Err("its output is no UTF-8 text".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_is_taken_from_json_or_as_it_is() {
        for (output, expected) in [
            (r#"{"reply": "hi\n", "more": 1}"#, "hi\n"),
            ("hi\nthere\r\n\n", "hi\nthere"),
            (r#"{"answer": 42}"#, r#"{"answer": 42}"#),
            ("[1, 2]", "[1, 2]"),
            ("", ""),
        ] {
            assert_eq!(reply(output.as_bytes()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn reply_that_is_an_error_or_no_text_is_garbled() {
        assert!(reply(br#"{"error": "no model"}"#).unwrap_err().contains("no model"));
        assert!(reply(b"\xff\xfe").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn errors_are_told_by_their_last_lines() {
        let errors = b"one\ntwo\n\nthree\x1b[0m\nfour\n".to_vec();
        let said = Said { errors, ..Said::default() };
        assert_eq!(said.with_errors("it failed".into()), "it failed: two | three [0m | four");
        assert_eq!(Said::default().with_errors("it failed".into()), "it failed");
    }
}
