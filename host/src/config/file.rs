//! The file as text: its bounds, its encoding, and TOML's own mistakes in words that say what to do.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml_edit::{Document, TomlError};

use super::duplicates;
use super::lines::Lines;
use super::mistake::{Mistake, Place};
use super::node::{Reader, Table};
use super::text::Environment;

/// A configuration is a page or two; more is some other file.
const LARGEST: usize = 1024 * 1024;

/// The text of the file.
pub(super) fn read(path: &Path) -> Result<String, Mistake> {
    let file = path.display().to_string();
    let wrong = |text: String| Mistake::new(&Place::File(file.as_str().into()), text);
    let bytes = read_bounded(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() > LARGEST {
        return Err(wrong("is larger than 1 MiB; a configuration of this host would be far smaller".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(valid).copied().unwrap_or_default();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let (line, column) = Lines::new(&before).at(valid);
        let text = format!("the byte 0x{byte:02x} is not UTF-8; a file saved as UTF-8 would be right");
        Mistake::new(&Place::At { file: file.as_str().into(), line, column }, text)
    })
}

/// The tree of what is written, or the first place where it is not TOML.
pub(super) fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Table, Mistake> {
    let reader = Reader { file: file.display().to_string().into(), lines: Lines::new(text), environment };
    match Document::parse(text) {
        Ok(document) => Ok(reader.table(document.as_table())),
        Err(error) => {
            let (start, said) = syntax(&error, text);
            Err(Mistake::new(&reader.place(start), said))
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Where it is and what it is. The parser's words for the usual slips say what its grammar expected, not what somebody
/// should write.
fn syntax(error: &TomlError, text: &str) -> (usize, String) {
    const BARE: &[&str] = &["string values must be quoted", "invalid boolean", "invalid float", "invalid mantissa"];
    const OPEN: &[&str] = &[" `\"`", " `'`", " `\"\"\"`", " `'''`"];
    let said = error.message();
    let begins = |start: &str| said.starts_with(start);
    let span = error.span().unwrap_or(text.len()..text.len());
    let value = start_of_value(text, span.start);
    if BARE.iter().any(|start| begins(start)) || text[value..].starts_with("${") {
        return (value, "this is no value; text stands in quotes, numbers and true or false stand alone".into());
    }
    let told = if begins("duplicate key") {
        duplicates::again(text, span.start, text.get(span.clone()).unwrap_or_default())
    } else if begins("key with no value") {
        "this key has no value; `key = value` would be right".into()
    } else if begins("invalid unquoted key") {
        "this is no key; letters, digits, - and _, or any text in quotes, would be right".into()
    } else if begins("invalid") && OPEN.iter().any(|quote| said.ends_with(quote)) {
        "this text is not closed; the quote that opened it, once more at its end, would be right".into()
    } else if begins("missing escaped value") {
        r"a \ in double quotes starts an escape; \\, or the text in single quotes, would be right".into()
    } else {
        format!("not TOML: {}", said.trim_end_matches(", expected nothing"))
    };
    (span.start, told)
}

/// The parser stops where it can go no further; people look for a value where it begins.
fn start_of_value(text: &str, offset: usize) -> usize {
    let offset = text.floor_char_boundary(offset);
    let begins_after = |c: char| c.is_whitespace() || "=,[".contains(c);
    let before = text[..offset].char_indices().rev().find(|(_, c)| begins_after(*c));
    before.map_or(0, |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> String {
        let parsed = parse(Path::new("c.toml"), text, &Environment::new([("A", "b")]));
        parsed.map(|_| ()).expect_err("the text has a mistake").to_string()
    }

    #[test]
    fn parse_tells_where_text_is_not_toml_and_what_would_be() {
        let no_value = "this is no value; text stands in quotes, numbers and true or false stand alone";
        let cases = [
            ("\"é\" = 1\nbind = localhost", format!("c.toml:2:8: {no_value}")),
            (
                "é = 1",
                "c.toml:1:1: this is no key; letters, digits, - and _, or any text in quotes, would be right".into(),
            ),
            ("a = truth", format!("c.toml:1:5: {no_value}")),
            ("a = 10.0.0.1:80", format!("c.toml:1:5: {no_value}")),
            ("a = [1, ${A}]", format!("c.toml:1:9: {no_value}")),
            ("a = ", format!("c.toml:1:5: {no_value}")),
            (
                "[a]\n[a]",
                "c.toml:2:2: `a` is here a second time: [a] begins in line 1 already; all of it in one table would be right".into(),
            ),
            ("a", "c.toml:1:2: this key has no value; `key = value` would be right".into()),
            (
                "a = \"é",
                "c.toml:1:7: this text is not closed; the quote that opened it, once more at its end, would be right"
                    .into(),
            ),
            (
                "a = \"C:\\dir\"",
                r"c.toml:1:9: a \ in double quotes starts an escape; \\, or the text in single quotes, would be right"
                    .into(),
            ),
            ("[a\n", "c.toml:1:3: not TOML: unclosed table, expected `]`".into()),
            ("a = 1 b = 2", "c.toml:1:9: not TOML: unexpected key or value, expected newline, `#`".into()),
        ];
        for (text, expected) in cases {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn read_refuses_what_is_no_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        let refusal = |content: &[u8]| {
            std::fs::write(&path, content).expect("the file is written");
            let said = read(&path).expect_err("it is refused").to_string();
            said.replace(&path.display().to_string(), "c.toml")
        };
        assert_eq!(
            refusal(&vec![b'\n'; LARGEST + 1]),
            "c.toml: is larger than 1 MiB; a configuration of this host would be far smaller"
        );
        assert_eq!(
            refusal(b"a = 1\n\xc3\xa9 = \"\xff\""),
            "c.toml:2:6: the byte 0xff is not UTF-8; a file saved as UTF-8 would be right"
        );
        let missing = read(Path::new("no/such/file.toml")).expect_err("it is not there").to_string();
        assert_eq!(missing, "no/such/file.toml: cannot be read: No such file or directory (os error 2)");
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "(?s)([\\[\\]{}=.,\"'#\n\\\\$]|[a-z0-9_ ]|true|\\[\\[|.){0,80}") {
            let _ = parse(Path::new("c.toml"), &text, &Environment::new([("A", "b")]));
        }
    }
}
