//! The one change that the host makes to the file: whether an instance is enabled. All else stays as it is, byte for byte, comments too, and
//! the file is written whole or not at all.

use super::mistake::Mistake;
use super::{Loaded, file, from_text};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use toml_edit::{Document, DocumentMut, Item};

/// A change that was checked, and is not written yet.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    before: String,
    after: String,
    /// The configuration with it.
    pub loaded: Loaded,
}

/// Why the file stays as it is.
#[derive(Debug)]
pub enum EditError {
    /// The file, as it is or as it would be, is not right.
    Mistakes(Vec<Mistake>),
    /// There is no instance of this name.
    Unknown,
    /// It cannot be done here, and what would be right.
    Impossible(String),
}

impl Edit {
    /// `[plugins.<name>] enabled = <enabled>` in the file at `path`; `variables` is the environment.
    pub fn enabled(
        path: &Path,
        name: &str,
        enabled: bool,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<Self, EditError> {
        let variables: Vec<(OsString, OsString)> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let read = |text: &str| from_text(path, text, variables.clone()).map_err(EditError::Mistakes);
        let before = file::read(path).map_err(|mistake| EditError::Mistakes(vec![mistake]))?;
        let known = read(&before)?.config.plugins.instances.get(name).map(|instance| instance.enabled);
        let by_hand = || {
            let text = format!("{} is written in a way that only a person can change; write it there", path.display());
            EditError::Impossible(format!("{text}: [plugins.{name}] enabled = {enabled}, then run `arcuate reload`"))
        };
        let after = match known {
            None => return Err(EditError::Unknown),
            Some(is_so) if is_so == enabled => before.clone(),
            Some(_) => with_enabled(&before, name, enabled).ok_or_else(by_hand)?,
        };
        let loaded = read(&after)?;
        let found = loaded.config.plugins.instances.get(name);
        if found.is_none_or(|instance| instance.enabled != enabled) {
            let place = found.map(|instance| instance.enabled_at.to_string()).unwrap_or_default();
            let text = format!("{place} in the environment says enabled = {} and wins over the file", !enabled);
            return Err(EditError::Impossible(format!("{text}; change that variable and restart the host")));
        }
        Ok(Self { path: path.into(), before, after, loaded })
    }

    /// Whether there is anything to write.
    pub fn is_new(&self) -> bool {
        self.before != self.after
    }

    /// Writes it, unless somebody else changed the file meanwhile.
    pub fn write(&self) -> io::Result<()> {
        if !self.is_new() {
            return Ok(());
        }
        // Through a link: what it points to is replaced, not the link.
        let path = fs::canonicalize(&self.path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = folder.join(format!(".{name}.{}.unfinished", std::process::id()));
        let written = self.write_beside(&path, &unfinished).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        File::open(folder)?.sync_all()
    }

    fn write_beside(&self, path: &Path, unfinished: &Path) -> io::Result<()> {
        let old = fs::metadata(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        file.write_all(self.after.as_bytes())?;
        file.sync_all()?;
        if fs::read(path)? != self.before.as_bytes() {
            return Err(io::Error::other("somebody else changed it at the same moment; try again"));
        }
        Ok(())
    }
}

/// The text with the key set; None: nobody but a person can tell where it would have to stand.
fn with_enabled(text: &str, name: &str, enabled: bool) -> Option<String> {
    let after = replaced(text, name, enabled).or_else(|| inserted(text, name, enabled)).unwrap_or_else(|| {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { end };
        format!("{text}{gap}{end}[plugins.{name}]{end}enabled = {enabled}{end}")
    });
    let found = Document::parse(after.as_str()).ok()?.get("plugins")?.get(name)?.get("enabled")?.as_bool();
    (found == Some(enabled)).then_some(after)
}

/// In place of the value that stands there.
fn replaced(text: &str, name: &str, enabled: bool) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let span = document.get("plugins")?.get(name)?.get("enabled")?.span()?;
    Some(format!("{}{enabled}{}", text.get(..span.start)?, text.get(span.end..)?))
}

/// As a new key of the table that stands there, if nothing else in the text changes by that.
fn inserted(text: &str, name: &str, enabled: bool) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    match document.get_mut("plugins")?.get_mut(name)? {
        Item::Table(table) if !table.is_implicit() => drop(table.insert("enabled", toml_edit::value(enabled))),
        Item::Value(value) => drop(value.as_inline_table_mut()?.insert("enabled", enabled.into())),
        _ => return None,
    }
    let after = document.to_string();
    let same_start = text.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    let rest = text.as_bytes().get(same_start..)?;
    after.as_bytes().get(same_start..)?.ends_with(rest).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn enabled(text: &str, to: bool) -> String {
        with_enabled(text, "web_chat", to).unwrap()
    }

    #[test]
    fn value_is_replaced_and_nothing_else() {
        let text = "# a\r\n[plugins . web_chat]   # b\r\n\tenabled=false# c\n\n\n[x]\n";
        assert_eq!(enabled(text, true), text.replace("false", "true"));
        let inline = "[plugins]\nweb_chat = { enabled = true , library = 'web_chat' } # d";
        assert_eq!(enabled(inline, false), inline.replace("true", "false"));
        assert_eq!(enabled("plugins.web_chat.enabled = false", true), "plugins.web_chat.enabled = true");
    }

    #[test]
    fn key_is_added_where_its_table_stands() {
        let text = "[plugins.web_chat] # a\nlibrary = \"web_chat\" # b\n\n# c\n[plugins.web_chat.settings]\n# d\n";
        let after = text.replace("# b\n", "# b\nenabled = true\n");
        assert_eq!(enabled(text, true), after);
        let inline = "[plugins]\nweb_chat = { library = 'web_chat' }\n";
        assert!(enabled(inline, true).contains("enabled = true"));
    }

    #[test]
    fn table_is_added_at_the_end() {
        assert_eq!(enabled("", true), "\n[plugins.web_chat]\nenabled = true\n");
        assert_eq!(enabled("# a", true), "# a\n\n[plugins.web_chat]\nenabled = true\n");
        let settings = "[plugins.web_chat.settings]\r\nbatch = 7\r\n";
        assert_eq!(enabled(settings, false), format!("{settings}\r\n[plugins.web_chat]\r\nenabled = false\r\n"));
    }

    #[test]
    fn shipped_file_changes_in_one_word() {
        let text = include_str!("../../../config.toml");
        let after = enabled(text, true);
        assert_eq!(after.len() + 1, text.len());
        assert_eq!(enabled(&after, false), text);
    }

    #[test]
    fn write_keeps_mode_and_link_and_refuses_a_file_that_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        fs::write(&real, "# mine\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let edit = |enabled| Edit::enabled(&link, "assistant", enabled, [("", ""); 0]).unwrap();
        let late = edit(false);
        edit(false).write().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "# mine\n\n[plugins.assistant]\nenabled = false\n");
        assert!(link.is_symlink());
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(late.write().unwrap_err().to_string().contains("somebody else"));
        assert!(!edit(false).is_new() && edit(true).is_new());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn environment_that_wins_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "").unwrap();
        let variables = [("ARCUATE__PLUGINS__ASSISTANT__ENABLED", "true")];
        let refused = Edit::enabled(&path, "assistant", false, variables).unwrap_err();
        let EditError::Impossible(text) = refused else { panic!("{refused:?}") };
        assert!(
            text.starts_with("ARCUATE__PLUGINS__ASSISTANT__ENABLED in the environment says enabled = true"),
            "{text}"
        );
        assert!(matches!(Edit::enabled(&path, "nobody", true, variables), Err(EditError::Unknown)));
    }
}
