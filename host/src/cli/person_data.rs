//! `arcuate users export` and `users forget`: all that is known of a person, in lines of JSON; and its end, with a line that says how far it
//! has come.

use super::confirm::{confirm, somebody_is_there};
use super::harmless;
use super::people::{details, find};
use super::progress::Progress;
use super::report::{complain, print};
use super::session::Desk;
use super::view::{View, counted, field, items};
use crate::admin;
use crate::admin::person_data;
use crate::admin::users::user_id;
use crate::error::{Error, Result};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Takes pieces of lines, and gives whole lines on.
struct Lines<F> {
    held: Vec<u8>,
    give: F,
    lines: u64,
    bytes: u64,
    ended: bool,
}

impl<F: FnMut(&str) -> Result<()>> Lines<F> {
    fn new(give: F) -> Self {
        Self { held: Vec::new(), give, lines: 0, bytes: 0, ended: false }
    }

    fn take(&mut self, piece: &[u8]) -> Result<()> {
        self.held.extend_from_slice(piece);
        let Some(end) = self.held.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.held.split_off(end + 1);
        let whole = std::mem::replace(&mut self.held, rest);
        let text = String::from_utf8(whole).map_err(|_| Error::Unavailable("the export is no text".into()))?;
        self.lines += text.matches('\n').count() as u64;
        self.bytes += text.len() as u64;
        let last = text.lines().next_back().and_then(|line| serde_json::from_str::<Value>(line).ok());
        self.ended = last.is_some_and(|line| line["kind"] == "end");
        (self.give)(&text)
    }

    fn finish(&self) -> Result<()> {
        if self.ended && self.held.is_empty() {
            return Ok(());
        }
        Err(Error::Unavailable("the export broke off before its end; it is not whole".into()))
    }
}

/// A file that is there under its name once it is whole.
struct Output {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
}

impl Output {
    fn new(path: &Path) -> Result<Self> {
        if path.exists() {
            return Err(Error::Conflict(format!("{} is there already; name a new file", path.display())));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // Whoever may read the store may read this, and nobody else.
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let file = made.map_err(|error| failed(&part, &error))?;
        Ok(Self { path: path.into(), part, file: BufWriter::new(file) })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|error| failed(&self.part, &error))
    }

    fn keep(mut self) -> Result<()> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        // Never over a file that somebody made meanwhile.
        let kept =
            synced.and_then(|()| fs::hard_link(&self.part, &self.path)).and_then(|()| fs::remove_file(&self.part));
        kept.map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot write {}: {error}", path.display()))
}

pub(super) async fn export(id: &str, output: Option<&Path>, desk: &Desk, view: &View) -> Result<String> {
    let Some(path) = output else {
        // Names and texts are other people's, and a terminal obeys what it reads.
        let mut lines = Lines::new(|text: &str| match print(&harmless::json_lines(text)) {
            true => Ok(()),
            false => Err(Error::Unavailable("the export was not written".into())),
        });
        fetch(id, desk, |piece| lines.take(piece)).await?;
        return lines.finish().map(|()| String::new());
    };
    let mut output = Output::new(path)?;
    let mut lines = Lines::new(|text: &str| output.write(text));
    let fetched = fetch(id, desk, |piece| lines.take(piece)).await;
    let ended = fetched.and_then(|()| lines.finish());
    let (count, bytes) = (lines.lines, lines.bytes);
    if let Err(error) = ended {
        let _ = fs::remove_file(&output.part);
        return Err(error);
    }
    output.keep()?;
    if view.json {
        return Ok(View::json(&json!({ "file": path.display().to_string(), "bytes": bytes, "lines": count })));
    }
    Ok(format!("{} in {}\n", counted(count, "line"), harmless::line(&path.display().to_string())))
}

async fn fetch(id: &str, desk: &Desk, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    match desk {
        Desk::Host(host) => host.download(&format!("users/{}/export", user_id(id)?), take).await,
        Desk::Rest(rest) => {
            let pieces = person_data::export(&rest.store, &admin::at_the_command_line(), id).await?;
            let mut pieces = std::pin::pin!(pieces);
            while let Some(piece) = pieces.next().await {
                take(&piece?)?;
            }
            Ok(())
        }
    }
}

pub(super) async fn forget(id: &str, yes: bool, desk: &Desk, view: &View) -> Result<String> {
    let person = find(id, desk).await?;
    if !yes && somebody_is_there() {
        complain_whole(&details(&person, view));
        confirm("Forget this person, with their conversations and messages? There is no way back.")?;
    }
    let (mut sum, mut progress) = (Removed::default(), Progress::new(view));
    loop {
        let step = match desk {
            Desk::Host(host) => host.post(&format!("users/{}/forget", user_id(id)?), &json!({})).await,
            Desk::Rest(rest) => person_data::forget(&rest.store, &admin::at_the_command_line(), id).await,
        }?;
        sum.add(&step["removed"]);
        if step["done"] == true {
            drop(progress);
            return Ok(sum.told(&step, view));
        }
        progress.tell(|| format!("{} removed so far", sum.text()));
    }
}

/// On stderr, so that stdout has nothing but the answer.
fn complain_whole(text: &str) {
    text.lines().for_each(complain);
}

/// What was removed so far, over several requests.
#[derive(Default)]
struct Removed([u64; 4]);

impl Removed {
    const NAMES: [(&str, &str); 4] =
        [("conversations", "conversation"), ("messages", "message"), ("files", "file"), ("profiles", "profile")];

    fn add(&mut self, step: &Value) {
        for (sum, (name, _)) in self.0.iter_mut().zip(Self::NAMES) {
            *sum += step[name].as_u64().unwrap_or_default();
        }
    }

    fn text(&self) -> String {
        let counts = self.0.iter().zip(Self::NAMES).filter(|(count, (name, _))| **count > 0 || *name != "files");
        counts.map(|(count, (_, one))| counted(*count, one)).collect::<Vec<_>>().join(", ")
    }

    fn told(&self, last: &Value, view: &View) -> String {
        let removed: serde_json::Map<String, Value> =
            self.0.iter().zip(Self::NAMES).map(|(count, (name, _))| (name.to_owned(), (*count).into())).collect();
        if view.json {
            let answer = json!({
                "id": field(last, "id"), "done": true, "removed": removed, "not_covered": last["not_covered"],
            });
            return View::json(&answer);
        }
        let elsewhere = items(last, "not_covered").iter().filter_map(Value::as_str);
        let elsewhere: String = elsewhere.map(|text| format!("  {text}\n")).collect();
        format!("forgotten: {} removed\nnot removed, see docs/people.md:\n{elsewhere}", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_the_last_says_that_it_is_whole() {
        let text = "{\"kind\":\"message\",\"text\":\"Zoë\"}\n{\"kind\":\"end\"}\n";
        let mut given = String::new();
        let mut lines = Lines::new(|text: &str| {
            given.push_str(text);
            Ok(())
        });
        for byte in text.as_bytes() {
            lines.take(&[*byte]).unwrap();
        }
        assert_eq!((lines.finish(), lines.lines, lines.bytes), (Ok(()), 2, text.len() as u64));
        assert_eq!(given, text);
    }

    #[test]
    fn export_without_its_end_is_refused() {
        for cut in [
            "",
            "{\"kind\":\"end\"}",
            "{\"kind\":\"message\",\"metadata\":{\"kind\":\"end\"}}\n",
            "{\"kind\":\"end\"}\n{",
        ] {
            let mut lines = Lines::new(|_: &str| Ok(()));
            lines.take(cut.as_bytes()).unwrap();
            assert!(matches!(lines.finish(), Err(Error::Unavailable(_))), "{cut}");
        }
    }
}
