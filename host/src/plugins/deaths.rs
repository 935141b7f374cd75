//! Plugins that end the process: by a signal such as that of a bad pointer, by `abort`, or by `exit`. In its last moment the process writes
//! one line, which says in whose code it died, to a small file beside the copies of the libraries, and syncs it. The next start reads the
//! file. An instance that is named three times within a day is not started again before an operator says so; a process that was killed
//! from outside writes nothing, and nobody is blamed.
//!
//! To blame is the instance whose entry the thread was in, or else the one whose runtime the thread belongs to, which bears its name. Of a
//! name the kernel keeps 15 characters: instances that share these are blamed together. A stack that overflows on a plugin's own thread, and
//! an end by `_exit`, leave no line.

use super::last_words::{name_of_signal, tell_last_words_to};
use crate::clock::{self, Micros};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const FILE: &str = "deaths";
/// So many within `WINDOW` are no accident.
pub(super) const MOST: usize = 3;
const WINDOW: i64 = 24 * 3600;
/// Characters of a thread's name that the kernel keeps.
const THREAD_NAME: usize = 15;
/// A line has some 60 bytes; what is longer than thousands of them is read from its end.
const LONGEST: u64 = 256 * 1024;

/// One end of a process, as its last line tells it: `1763748000 11 web_chat`, the name with `=` before it if the entry is known.
#[derive(Debug, Clone, PartialEq)]
struct Death {
    at: i64,
    cause: i32,
    whose: String,
}

/// See the file's text.
#[derive(Debug)]
pub(super) struct Deaths {
    path: PathBuf,
    known: Mutex<Vec<Death>>,
}

impl Deaths {
    /// What earlier processes left there. A file that cannot be read blames nobody.
    pub(super) fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let text = read_end(&path).unwrap_or_default();
        let known = String::from_utf8_lossy(&text).lines().filter_map(Death::parse).collect();
        Self { path, known: Mutex::new(known) }
    }

    /// From now on the process writes its last line. Deaths that no longer count are left out of the file.
    pub(super) fn watch(&self, instances: &[String]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let barred: Vec<_> = instances.iter().filter(|name| self.quarantine(name).is_some()).collect();
        let known: Vec<_> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = known.iter().map(|death| death.at).max().unwrap_or_default();
            known.retain(|death| {
                let is_recent = instances.iter().any(|name| death.blames(name)) && newest - death.at <= WINDOW;
                is_recent || barred.iter().any(|name| death.blames(name))
            });
            let surplus = known.len().saturating_sub(100 * MOST);
            known.drain(..surplus);
            known.clone()
        };
        self.rewrite(&known)
    }

    /// Why this instance is not started, if it ended the process too often.
    pub(super) fn quarantine(&self, instance: &str) -> Option<String> {
        let deaths = self.of(instance);
        let too_many = deaths.windows(MOST).any(|window| window[MOST - 1].at - window[0].at <= WINDOW);
        let last = deaths.last().filter(|_| too_many)?;
        Some(format!(
            "it ended the whole process {} times, the last time {}; `arcuate plugins restart {instance}` tries it again",
            deaths.len(),
            last.told()
        ))
    }

    /// How the process ended inside this instance the last time, with the number of such ends.
    pub(super) fn last(&self, instance: &str) -> Option<(usize, String)> {
        let deaths = self.of(instance);
        Some((deaths.len(), deaths.last()?.told()))
    }

    /// An operator lets it in again: what it did is forgotten.
    pub(super) fn lift(&self, instance: &str) -> io::Result<()> {
        let left: Vec<_> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let before = known.len();
            known.retain(|death| !death.blames(instance));
            if known.len() == before {
                return Ok(());
            }
            known.clone()
        };
        self.rewrite(&left)
    }

    fn of(&self, instance: &str) -> Vec<Death> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|death| death.blames(instance)).cloned().collect()
    }

    /// A new file in the place of the old one, and the place for the last line of this process.
    fn rewrite(&self, deaths: &[Death]) -> io::Result<()> {
        let unfinished = self.path.with_extension("unfinished");
        let _ = fs::remove_file(&unfinished);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&unfinished)?;
        let lines: String = deaths.iter().map(|death| death.line() + "\n").collect();
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        tell_last_words_to(file)
    }
}

impl Death {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (at, cause, whose) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        Some(Self { at, cause, whose: whose.into() })
    }

    fn line(&self) -> String {
        format!("{} {} {}", self.at, self.cause, self.whose)
    }

    fn blames(&self, instance: &str) -> bool {
        match self.whose.strip_prefix('=') {
            Some(name) => name == instance,
            None => self.whose == instance[..instance.len().min(THREAD_NAME)],
        }
    }

    /// `by SIGSEGV at 2026-01-01T00:00:00.000000Z`
    fn told(&self) -> String {
        let at: Micros = self.at.saturating_mul(1_000_000);
        let cause = match self.cause {
            0 => "by `exit`".into(),
            number => name_of_signal(number).map_or_else(|| format!("by signal {number}"), |name| format!("by {name}")),
        };
        format!("{cause} at {}", clock::format(at))
    }
}

fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let surplus = file.metadata()?.len().saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(surplus))?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deaths(lines: &str) -> (tempfile::TempDir, Deaths) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), lines).unwrap();
        let deaths = Deaths::read(folder.path());
        (folder, deaths)
    }

    #[test]
    fn three_deaths_within_a_day_are_too_many() {
        let (_folder, two) = deaths("100 11 odd\n200 6 =odd\nno line\n300 11 tokio-rt-worker\n");
        assert_eq!((two.quarantine("odd"), two.last("odd").unwrap().0), (None, 2));
        let (_folder, far) = deaths("0 11 odd\n100 11 odd\n90000 11 odd\n");
        assert_eq!(far.quarantine("odd"), None);
        let (_folder, near) = deaths("0 11 odd\n100 11 odd\n86400 0 odd\n");
        let reason = near.quarantine("odd").unwrap();
        assert!(reason.contains("3 times, the last time by `exit` at 1970-01-02T00:00:00"), "{reason}");
        assert_eq!(near.quarantine("even"), None);
    }

    #[test]
    fn threads_names_are_cut_and_entries_names_are_whole() {
        let (_folder, deaths) = deaths("1 11 a_very_long_nam\n2 11 a_very_long_nam\n3 11 =a_very_long_name_indeed\n");
        assert!(deaths.quarantine("a_very_long_name_indeed").is_some());
        assert_eq!(deaths.last("a_very_long_name").unwrap().0, 2);
    }
}
