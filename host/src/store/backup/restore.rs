//! A backup in the store's place. What was there is moved aside as a whole, so that nothing is lost by taking the wrong one.

use super::{
    BESIDE, Named, Part, Step, copy, copy_contents, failed, folder_of, named_after, parent, remove,
    remove_folder, sync,
};
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Ends the name of a store that had to make room.
const ASIDE: &str = ".before-restore";

/// What was put in the store's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The newest event in it.
    pub seq: i64,
    pub contents: u64,
    pub missing: u64,
    /// Where the store is that was there before.
    pub aside: Option<PathBuf>,
}

/// Copies the backup `file` to `store`, whose lock the caller has.
pub fn restore(file: &Path, store: &Path, force: bool, progress: &mut dyn FnMut(Step)) -> Result<Restored> {
    let there = store.metadata().is_ok_and(|found| found.len() > 0);
    if there && !force {
        let store = store.display();
        let text = format!("there is a store at {store} already; --force moves it aside, to {store}{ASIDE}");
        return Err(Error::Conflict(text));
    }
    let part = Part::begin(store)?;
    let named: Named = copy(file, &part.file, progress)?;
    let copied = copy_contents(&folder_of(file), &part.folder, &named, progress)?;
    let contents = store.with_file_name("files");
    let moved = || {
        move_aside(store, there)?;
        if part.folder.is_dir() {
            fs::rename(&part.folder, &contents)?;
        }
        fs::rename(&part.file, store)?;
        sync(parent(store))
    };
    moved().map_err(|error: io::Error| failed(store, &error))?;
    let aside = there.then(|| named_after(store, ASIDE));
    Ok(Restored { seq: copied.seq, contents: copied.contents, missing: copied.missing, aside })
}

/// With what belongs to it. Contents without a store go the same way: the host would remove them.
fn move_aside(store: &Path, there: bool) -> io::Result<()> {
    let aside = named_after(store, ASIDE);
    let contents = folder_of(store);
    if contents.is_dir() {
        let contents_aside = named_after(&aside, ".files");
        remove_folder(&contents_aside)?;
        fs::rename(&contents, &contents_aside)?;
        // It is the moved store's now, whatever that is called.
        remove(&contents_aside.join("store"))?;
    }
    for ending in BESIDE {
        remove(&named_after(&aside, ending))?;
        let (from, to) = (named_after(store, ending), named_after(&aside, ending));
        match (there, fs::exists(&from)?) {
            (true, true) => fs::rename(from, to)?,
            (false, true) => remove(&from)?,
            _ => {}
        }
    }
    if there { fs::rename(store, aside) } else { remove(store) }
}
