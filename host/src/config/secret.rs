//! A text that must never be printed: keys and tokens. Everything that shows values shows `***` instead. Also the
//! reading of `{ file = "path" }`, which keeps secrets out of the configuration altogether.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};

use super::check::meant;
use super::mistake::{Mistake, ticked};
use super::node::{Node, Table, Text, Value};

const MASK: &str = "***";
/// A key or token longer than this is some other file.
const LONGEST: u64 = 64 * 1024;

/// Equality is for telling whether a setting changed; to check what somebody presents, compare `expose()` in constant time.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Nothing is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MASK:?}")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// The path in `{ file = "path" }`, if the table is that and nothing more.
pub(super) fn file_of(table: &Table) -> Option<(&Node, &Text)> {
    match table.0.as_slice() {
        [entry] if entry.key == "file" => match &entry.node.value {
            Value::Text(text) => Some((&entry.node, text)),
            _ => None,
        },
        _ => None,
    }
}

/// What the file of `{ file = "path" }` holds, without the newline at its end. A relative path starts at `folder`.
pub(super) fn read(name: &str, table: &Table, folder: &Path) -> Result<String, Vec<Mistake>> {
    let Some((node, text)) = file_of(table) else { return Ok(String::new()) };
    let path = folder.join(meant(node, text)?);
    let wrong = |why: String| {
        // The path as written: with its variables put in, a slip could show the secret itself.
        let path = folder.join(&text.written);
        let is_plain = text.meant.as_ref() == Ok(&text.written);
        let path = std::path::absolute(&path).ok().filter(|_| is_plain).unwrap_or(path);
        let right = "a file that holds nothing but the secret, and that the host's user may read, would be right";
        let text = format!("{} cannot be read from {}: {why}; {right}", ticked(name), path.display());
        vec![Mistake::new(&node.place, text)]
    };
    let content = read_bounded(&path).map_err(|error| wrong(error.to_string()))?;
    if content.len() as u64 > LONGEST {
        return Err(wrong("it is longer than 64 KiB, which no key is".into()));
    }
    let content = String::from_utf8(content).map_err(|_| wrong("it is not UTF-8".into()))?;
    let secret = content.strip_suffix('\n').unwrap_or(&content);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() { Err(wrong("it is empty".into())) } else { Ok(secret.into()) }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would keep whoever reads it waiting for ever.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_shows_only_its_mask() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), r#"*** "***""#);
        assert_eq!(serde_json::to_string(&secret).expect("a text serializes"), r#""***""#);
        assert_eq!(secret.expose(), "hunter2");
    }
}
