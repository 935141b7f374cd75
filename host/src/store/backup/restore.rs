//! A backup in the store's place. What was there is moved aside as a whole, under a name of its own each time, so that nothing is lost by
//! taking the wrong backup, however often. What the backup has open may have been done since it was taken, so all of it is in doubt.

use super::swap::{Swap, finish, plan_of};
use super::{Named, Part, Step, copy, copy_contents, failed, folder_of, part, same_file};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Actor, Deed, audit, migrate, pauses, sql_error};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The schema that first had pauses.
const WITH_PAUSES: i64 = 3;

/// How a backup is put in place, and who does it.
#[derive(Debug)]
pub struct Wishes {
    /// A store that is there makes room.
    pub force: bool,
    /// Every instance with open jobs is paused.
    pub paused: bool,
    pub actor: Actor,
    /// The backup, as the record names it.
    pub name: String,
}

/// What was put in the store's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The newest event in it.
    pub seq: i64,
    pub contents: u64,
    pub missing: u64,
    /// Where the store is that was there before.
    pub aside: Option<PathBuf>,
    /// The same of an earlier restore that was cut off, and is finished now.
    pub finished: Option<PathBuf>,
    pub doubt: Doubt,
}

/// Jobs that were open when the backup was taken.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// They are marked uncertain.
    pub jobs: u64,
    /// Instances that are paused from now on.
    pub paused: Vec<String>,
}

/// Copies the backup `file` to `store`, whose lock the caller has.
pub fn restore(file: &Path, store: &Path, wishes: &Wishes, progress: &mut dyn FnMut(Step)) -> Result<Restored> {
    if same_file(file, store) {
        return Err(Error::Conflict(format!("{} is the store itself; name a backup", file.display())));
    }
    refuse_part(file, store)?;
    let finished = finish(store)?;
    let swap = Swap::of(store).map_err(|error| failed(store, &error))?;
    if store.metadata().is_ok_and(|found| found.len() > 0) && !wishes.force {
        return Err(Error::Conflict(taken(store, &swap, finished.as_deref())));
    }
    let mut part = Part::begin(store)?;
    let named: Named = copy(file, &part.file, progress)?;
    let copied = copy_contents(&folder_of(file), &part.folder, &named, progress)?;
    let doubt = call_in_doubt(&part.file, wishes)?;
    let written = swap.write_down(store);
    if plan_of(store).exists() {
        // Whatever came of that: a plan that is there is followed.
        part.keep();
    }
    written?;
    swap.carry_out(store)?;
    let aside = swap.moves_something().then(|| swap.aside(store));
    Ok(Restored { seq: copied.seq, contents: copied.contents, missing: copied.missing, aside, finished, doubt })
}

/// What an earlier one left unfinished makes room for this one's copy.
fn refuse_part(file: &Path, store: &Path) -> Result<()> {
    let part = part::file_of(store);
    if !file.canonicalize().is_ok_and(|file| part.canonicalize().is_ok_and(|part| part == file)) {
        return Ok(());
    }
    let file = file.display();
    Err(Error::Conflict(format!(
        "{file} is what an unfinished restore left, and would be replaced; take the backup itself"
    )))
}

fn taken(store: &Path, swap: &Swap, finished: Option<&Path>) -> String {
    let (there, aside) = (store.display(), swap.aside(store));
    let text = format!("there is a store at {there} already; --force moves it aside, to {}", aside.display());
    let Some(before) = finished else { return text };
    let before = before.display();
    format!("a restore that was cut off is finished now, and the store from before it is {before}; {text}")
}

/// Before the copy is in place, so that no host ever runs on it without.
fn call_in_doubt(copy: &Path, wishes: &Wishes) -> Result<Doubt> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(copy, flags).map_err(sql_error)?;
    let version = migrate::version(&connection)?;
    if wishes.paused && version < WITH_PAUSES {
        // As the next start would.
        migrate::migrate(&mut connection, version)?;
    }
    let version = migrate::version(&connection)?;
    let transaction = connection.transaction().map_err(sql_error)?;
    // As if a claim had ended without an outcome: plugins look, or give up, before they repeat it. Once per restore, so not one of the
    // statements that are kept and whose plans are looked at.
    let sql = "update queue set uncertain = 1, rescues = max(rescues, 1) where state in ('pending', 'processing')";
    let jobs = transaction.execute(sql, []).map_err(sql_error)? as u64;
    let mut paused = Vec::new();
    if wishes.paused {
        let reason = format!("restored from {}", wishes.name);
        paused = pauses::pause_all_that_have_work(&transaction, &wishes.actor.name, &reason)?;
    }
    // An older schema has no record yet, or another one.
    if migrate::check_current(version).is_ok() {
        let detail = json!({ "uncertain": jobs, "paused": paused });
        let deed = Deed::done(&wishes.actor, "store.restore", wishes.name.as_str(), detail);
        audit::record(&transaction, clock::now(), &deed)?;
    }
    transaction.commit().map_err(sql_error)?;
    connection.close().map_err(|(_, error)| sql_error(error))?;
    Ok(Doubt { jobs, paused })
}
