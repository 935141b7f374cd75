//! `arcuate backup` and `arcuate restore`. A backup needs no answer from the host, only that the store can be read; a restore needs that
//! no host runs.

use super::progress::Progress;
use super::report::complain;
use super::session::refuse_second_host;
use super::view::{View, counted};
use super::watching_args::{Backup, Restore};
use crate::admin::at_the_command_line;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::store::backup::{self as copies, Doubt, Restored, Step, Wishes};
use crate::store::lock::{Lock, TakeError, path_of};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

pub(super) async fn backup(command: &Backup, config: &Config, view: &View) -> Result<String> {
    let (store, begun) = (&config.store.path, Instant::now());
    copies::refuse_cut_off(store)?;
    if !store.exists() {
        let text = format!("there is no store at {} yet, so there is nothing to back up", store.display());
        return Err(Error::Unavailable(text));
    }
    keep_out_of_use(&command.file)?;
    // At rest nobody starts meanwhile; a host that runs goes on.
    let lock = match Lock::take(store) {
        Ok(lock) => Some(lock),
        Err(TakeError::Held(_)) => None,
        Err(failed) => return Err(failed.into()),
    };
    let mut progress = Progress::new(view);
    let backed = copies::backup(store, &command.file, command.force, &mut |step| tell(&mut progress, step));
    drop(progress);
    let backed = backed?;
    drop(lock);
    missing(backed.missing, "deleted meanwhile, or lost", view);
    let shown = shown(&command.file);
    if view.json {
        return Ok(View::json(&json!({
            "file": shown,
            "files": backed.folder.as_deref().map(self::shown),
            "bytes": backed.bytes,
            "seq": backed.seq,
            "contents": backed.contents,
            "content_bytes": backed.content_bytes,
            "missing": backed.missing,
            "milliseconds": begun.elapsed().as_millis() as u64,
        })));
    }
    let mut text = format!("{shown}: {}, everything up to event {}\n", size(backed.bytes), backed.seq);
    if let Some(folder) = &backed.folder {
        let contents = counted(backed.contents, "file");
        text += &format!("{}: {contents}, {}\n", self::shown(folder), size(backed.content_bytes));
    }
    Ok(text)
}

pub(super) async fn restore(command: &Restore, config: &Config, view: &View) -> Result<String> {
    let store = &config.store.path;
    if !command.file.is_file() {
        return Err(Error::NotFound(format!("there is no backup at {}", command.file.display())));
    }
    refuse_second_host(config).await?;
    if let Some(folder) = store.parent() {
        let failed = |error| Error::Unavailable(format!("cannot make the folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let _lock = Lock::take(store)?;
    let mut progress = Progress::new(view);
    let wishes = Wishes {
        force: command.force,
        paused: command.paused,
        actor: at_the_command_line(),
        name: shown(&command.file),
    };
    let restored = copies::restore(&command.file, store, &wishes, &mut |step| tell(&mut progress, step));
    drop(progress);
    let restored = restored?;
    missing(restored.missing, &format!("not in {}.files, which belongs to the backup", shown(&command.file)), view);
    if view.json {
        return Ok(View::json(&json!({
            "store": shown(store),
            "seq": restored.seq,
            "contents": restored.contents,
            "missing": restored.missing,
            "aside": restored.aside.as_deref().map(shown),
            "finished": restored.finished.as_deref().map(shown),
            "uncertain": restored.doubt.jobs,
            "paused": restored.doubt.paused,
        })));
    }
    Ok(told(store, &restored, view))
}

fn told(store: &Path, restored: &Restored, view: &View) -> String {
    let contents = counted(restored.contents, "file");
    let mut text = format!("{}: everything up to event {}, with {contents}\n", shown(store), restored.seq);
    if let Some(before) = &restored.finished {
        text += &format!("an earlier restore had been cut off; the store from before it is {} now\n", shown(before));
    }
    if let Some(aside) = &restored.aside {
        text += &format!("the store that was there is {} now\n", shown(aside));
    }
    let Doubt { jobs, paused } = &restored.doubt;
    if *jobs > 0 {
        let jobs = counted(*jobs, "job");
        text += &format!("{jobs} open in the backup, perhaps done since: marked uncertain, and run again");
        text += if paused.is_empty() { " at the next start\n" } else { " once resumed\n" };
    }
    for plugin in paused {
        let resume = view.command(&format!("queue resume --plugin {plugin}"));
        text += &format!("{plugin} is paused until `{resume}`\n");
    }
    text
}

/// The JSON has it already.
fn missing(count: u64, why: &str, view: &View) {
    if count > 0 && !view.json {
        let contents = counted(count, "file");
        complain(&format!("warning: {contents} that the store names could not be found: {why}"));
    }
}

/// A host may have been started from an older backup.
fn keep_out_of_use(file: &Path) -> Result<()> {
    if path_of(file).exists() {
        Lock::take(file)?;
    }
    Ok(())
}

/// What takes long without a word is told at once.
fn tell(progress: &mut Progress, step: Step) {
    match step {
        Step::Checking => progress.tell_now(&under_way(step)),
        _ => progress.tell(|| under_way(step)),
    }
}

fn under_way(step: Step) -> String {
    let part = |done: u64, all: u64| (done * 100).checked_div(all).unwrap_or(100);
    match step {
        Step::Copying(done, all) => format!("copying the store, {} %", part(done, all)),
        Step::Checking => "checking".into(),
        Step::Contents(done, all) => format!("copying {done} of {}", counted(all, "file")),
    }
}

fn shown(path: &Path) -> String {
    super::harmless::line(&path.display().to_string())
}

/// `12.3 MB`
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_takes_the_largest_unit() {
        assert_eq!(
            [0, 999, 1_000, 12_345_678, 2_000_000_000_000_000].map(size),
            ["0 bytes", "999 bytes", "1.0 kB", "12.3 MB", "2000.0 TB"]
        );
    }
}
