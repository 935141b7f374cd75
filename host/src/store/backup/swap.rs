//! The exchange of stores that a restore is. Its plan is on the disk, in `<store>.restoring`, before the first thing moves, so that a crash
//! in between leaves no store in halves: whoever has the lock next finishes it. Nothing is overwritten, and nothing that was there is
//! removed.

use super::{BESIDE, failed, named_after, parent, part, remove, sync};
use crate::error::{Error, Result};
use crate::store::blobs::{MARK, owner_of};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Ends the name of a store that had to make room; a number follows where that is taken.
const ASIDE: &str = ".before-restore";
/// Ends the name of the plan.
const PLAN: &str = ".restoring";
/// Ends the name of a folder with contents of one store alone.
const FILES: &str = ".files";
/// Where contents are that are beside their store.
const FOLDER: &str = "files";

/// What is to be moved; paths follow from the store's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Swap {
    /// Ends the names of what makes room.
    aside: String,
    /// Endings of the store's own files that were there, "" for the store itself.
    files: Vec<String>,
    /// Whether contents were there.
    contents: bool,
    /// Contents are in a folder with the store's name.
    own_folder: bool,
}

type Move = (PathBuf, PathBuf);

/// Where the plan for a store is.
pub(super) fn plan_of(store: &Path) -> PathBuf {
    named_after(store, PLAN)
}

/// For those who only look, or open the store: they would see half of it, or make an empty one.
pub fn refuse_cut_off(store: &Path) -> Result<()> {
    if !plan_of(store).exists() {
        return Ok(());
    }
    let store = store.display();
    Err(Error::Unavailable(format!(
        "a restore of {store} was cut off: start the host, or run `arcuate restore` again; either finishes it first"
    )))
}

/// Finishes what was cut off, for one who has the store's lock. Answers where the store is now that was there before.
pub fn finish(store: &Path) -> Result<Option<PathBuf>> {
    let plan = plan_of(store);
    let text = match fs::read(&plan) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| unreadable(store, &error))?,
    };
    let swap: Swap = serde_json::from_slice(&text).map_err(|error| unreadable(store, &error))?;
    if !swap.is_sound() {
        return Err(unreadable(store, &"it names other files than a restore does"));
    }
    swap.carry_out(store)?;
    Ok(Some(swap.aside(store)))
}

fn unreadable(store: &Path, why: &dyn std::fmt::Display) -> Error {
    let (plan, store) = (plan_of(store), store.display());
    let plan = plan.display();
    Error::Unavailable(format!(
        "a restore of {store} was cut off, and its plan {plan} cannot be read ({why}): see that the right store is at {store}, then remove the plan"
    ))
}

impl Swap {
    /// With a name that nothing has had.
    pub(super) fn of(store: &Path) -> io::Result<Self> {
        let mut aside = ASIDE.to_owned();
        for number in 2.. {
            let new = named_after(store, &aside);
            let mut names = ["", FILES].iter().chain(&BESIDE);
            if !names
                .try_fold(false, |taken, ending| Ok::<_, io::Error>(taken || is_there(&named_after(&new, ending))?))?
            {
                break;
            }
            aside = format!("{ASIDE}-{number}");
        }
        let mut files = Vec::new();
        for ending in [""].iter().chain(&BESIDE) {
            if is_there(&named_after(store, ending))? {
                files.push((*ending).to_owned());
            }
        }
        let own_folder = named_after(store, FILES).is_dir() || is_anothers(store)?;
        let contents = contents_of(store, own_folder).is_dir();
        Ok(Self { aside, files, contents, own_folder })
    }

    pub(super) fn aside(&self, store: &Path) -> PathBuf {
        named_after(store, &self.aside)
    }

    /// Whether anything makes room.
    pub(super) fn moves_something(&self) -> bool {
        self.contents || !self.files.is_empty()
    }

    /// From here on the exchange takes place, whatever comes in between.
    pub(super) fn write_down(&self, store: &Path) -> Result<()> {
        let (plan, draft) = (plan_of(store), named_after(store, ".restoring.new"));
        let written = || {
            let mut file = File::create(&draft)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&draft, &plan)?;
            sync(parent(store))
        };
        written().map_err(|error: io::Error| failed(&plan, &error))
    }

    /// Also what is left of it.
    pub(super) fn carry_out(&self, store: &Path) -> Result<()> {
        let moved = || {
            self.make_room(store)?;
            // Not before all of it has left: what comes next takes its places.
            sync(parent(store))?;
            self.put_in_place(store)
        };
        moved().map_err(|error: io::Error| failed(store, &error))?;
        if !store.is_file() {
            return Err(self.lost(store));
        }
        let ended = || {
            sync(parent(store))?;
            remove(&plan_of(store))?;
            sync(parent(store))
        };
        ended().map_err(|error: io::Error| failed(&plan_of(store), &error))
    }

    fn lost(&self, store: &Path) -> Error {
        let (plan, aside, part) = (plan_of(store), self.aside(store), part::file_of(store));
        Error::Unavailable(format!(
            "a restore of {store} was cut off, and what it was about to put there, {part}, is gone: remove {plan}, then restore again, \
             or move {aside} back with what belongs to it",
            store = store.display(),
            part = part.display(),
            plan = plan.display(),
            aside = aside.display(),
        ))
    }

    fn make_room(&self, store: &Path) -> io::Result<()> {
        for (from, to) in self.making_room(store) {
            // Nobody else uses these names: what has one was moved already, and what is in its old place now is the new one.
            if !is_there(&to)? && is_there(&from)? {
                fs::rename(from, to)?;
            }
        }
        // They belong to the moved store, whatever that is called.
        remove(&named_after(&self.aside(store), FILES).join(MARK))
    }

    fn put_in_place(&self, store: &Path) -> io::Result<()> {
        for (from, to) in self.putting_in_place(store) {
            if !is_there(&from)? {
                continue;
            }
            if is_there(&to)? {
                let text = format!("{} came there meanwhile; move it away", to.display());
                return Err(io::Error::new(ErrorKind::AlreadyExists, text));
            }
            fs::rename(from, to)?;
        }
        Ok(())
    }

    fn making_room(&self, store: &Path) -> Vec<Move> {
        let aside = self.aside(store);
        let contents = self.contents.then(|| (contents_of(store, self.own_folder), named_after(&aside, FILES)));
        let files = self.files.iter().map(|ending| (named_after(store, ending), named_after(&aside, ending)));
        contents.into_iter().chain(files).collect()
    }

    fn putting_in_place(&self, store: &Path) -> [Move; 2] {
        [(part::folder_of(store), contents_of(store, self.own_folder)), (part::file_of(store), store.into())]
    }

    /// Nothing outside the store's own names.
    fn is_sound(&self) -> bool {
        let number = self.aside.strip_prefix(ASIDE).map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            && self.files.iter().all(|ending| ending.is_empty() || BESIDE.contains(&ending.as_str()))
    }
}

fn contents_of(store: &Path, own_folder: bool) -> PathBuf {
    if own_folder { named_after(store, FILES) } else { store.with_file_name(FOLDER) }
}

/// Whether the contents beside the store are of another one there.
fn is_anothers(store: &Path) -> io::Result<bool> {
    let folder = store.with_file_name(FOLDER);
    let owner = owner_of(&folder)?;
    let ours = store.file_name().unwrap_or_default().to_string_lossy();
    Ok(!owner.is_empty() && owner != ours && folder.with_file_name(owner).is_file())
}

/// Also a link that leads nowhere.
fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with all that can belong to one, and a copy that is to take its place.
    fn set_up(folder: &Path, contents: &str) -> PathBuf {
        let store = folder.join("a.db");
        for name in ["a.db", "a.db-wal", "a.db-shm"] {
            fs::write(folder.join(name), format!("old {name}")).unwrap();
        }
        fs::write(folder.join("a.db.part"), "new").unwrap();
        for (folder, text) in [(folder.join(contents), "old"), (folder.join("a.db.part.files"), "new")] {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("content"), text).unwrap();
        }
        fs::write(folder.join(contents).join(MARK), "a.db").unwrap();
        store
    }

    fn text(path: PathBuf) -> String {
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn assert_exchanged(folder: &Path, contents: &str) {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let aside = ["", "-shm", "-wal", ".files"].map(|ending| format!("a.db.before-restore{ending}"));
        let mut expected = vec!["a.db".to_owned(), contents.to_owned()];
        expected.extend(aside);
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!(text(folder.join("a.db")), "new");
        assert_eq!(text(folder.join(contents).join("content")), "new");
        assert_eq!(text(folder.join("a.db.before-restore-wal")), "old a.db-wal");
        assert_eq!(text(folder.join("a.db.before-restore.files/content")), "old");
        assert!(!folder.join("a.db.before-restore.files").join(MARK).exists());
    }

    #[test]
    fn exchange_cut_off_after_any_step_is_finished_by_the_next() {
        for contents in ["files", "a.db.files"] {
            for done in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let store = set_up(folder.path(), contents);
                let swap = Swap::of(&store).unwrap();
                swap.write_down(&store).unwrap();
                let moves: Vec<_> = swap.making_room(&store).into_iter().chain(swap.putting_in_place(&store)).collect();
                if done > moves.len() {
                    break;
                }
                for (from, to) in &moves[..done] {
                    fs::rename(from, to).unwrap();
                }
                assert!(refuse_cut_off(&store).is_err());
                let aside = finish(&store).unwrap().unwrap();
                assert_eq!(aside, folder.path().join("a.db.before-restore"));
                assert_exchanged(folder.path(), contents);
                assert!(refuse_cut_off(&store).is_ok() && finish(&store).unwrap().is_none());
            }
        }
    }

    #[test]
    fn name_that_anything_has_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("a.db");
        assert!(!Swap::of(&store).unwrap().moves_something());
        for (taken, next) in [("", "-2"), ("-2-wal", "-3"), ("-3.files", "-4")] {
            fs::write(folder.path().join(format!("a.db.before-restore{taken}")), "").unwrap();
            assert_eq!(Swap::of(&store).unwrap().aside, format!("{ASIDE}{next}"));
        }
    }

    #[test]
    fn contents_of_another_store_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("a.db");
        fs::create_dir(folder.path().join("files")).unwrap();
        fs::write(folder.path().join("files").join(MARK), "b.db").unwrap();
        assert!(!Swap::of(&store).unwrap().own_folder, "the other store is gone");
        fs::write(folder.path().join("b.db"), "").unwrap();
        let swap = Swap::of(&store).unwrap();
        assert!(swap.own_folder && !swap.contents);
    }

    #[test]
    fn plan_that_cannot_be_followed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("a.db");
        let told = |text: &str| {
            fs::write(plan_of(&store), text).unwrap();
            finish(&store).unwrap_err().to_string()
        };
        assert!(told("{").contains("cannot be read"));
        let elsewhere = r#"{"aside":"/../../x","files":[""],"contents":false,"own_folder":false}"#;
        assert!(told(elsewhere).contains("names other files"));
        let empty = r#"{"aside":".before-restore-2","files":[],"contents":false,"own_folder":false}"#;
        assert!(told(empty).contains("a.db.part, is gone"));
        assert!(plan_of(&store).exists() && !store.exists());
    }
}
