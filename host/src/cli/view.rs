//! How a command shows what it found: as JSON, on a terminal, or as plain text for other programs; and how it says what to type next.

use super::args::{Common, Page};
use super::harmless;
use serde_json::Value;
use std::io::IsTerminal;

/// What is known of stdout and of how this program was called.
pub(super) struct View {
    pub json: bool,
    /// Of the terminal; None where there is none.
    pub width: Option<u16>,
    pub colour: bool,
    /// What to type before a command: the program as it was called, and its configuration.
    program: String,
}

/// Filters of a list: the query of the admin API, and the options of the command line, under the same names.
pub(super) struct Filters(Vec<(&'static str, String)>);

impl View {
    pub(super) fn new(common: &Common) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let mut program = shell(&std::env::args().next().unwrap_or_else(|| "arcuate".into()));
        if let Some(config) = &common.config {
            program = format!("{program} --config {}", shell(&config.display().to_string()));
        }
        Self {
            json: common.json,
            width: terminal.then(width),
            colour: terminal && !dumb && set("NO_COLOR").is_none(),
            program,
        }
    }

    /// What a test looks through.
    #[cfg(test)]
    pub(super) fn of(json: bool, width: Option<u16>, colour: bool) -> Self {
        Self { json, width, colour, program: "arcuate".into() }
    }

    /// The whole of a command as it would be typed.
    pub(super) fn command(&self, rest: &str) -> String {
        format!("{} {rest}", self.program)
    }

    /// One line of JSON.
    pub(super) fn json(value: &Value) -> String {
        harmless::json(value) + "\n"
    }

    /// The line below a page that is not the last one; empty below the last.
    pub(super) fn more(&self, list: &str, filters: &Filters, page: &Value) -> String {
        let Some(cursor) = page["cursor"].as_str() else { return String::new() };
        format!("more: {}\n", self.command(&format!("{list}{} --cursor {}", filters.options(), shell(cursor))))
    }
}

impl Filters {
    pub(super) fn new(page: &Page) -> Self {
        Self(vec![("limit", page.limit.to_string())]).and("cursor", page.cursor.as_ref())
    }

    #[must_use]
    pub(super) fn and(mut self, name: &'static str, value: Option<&String>) -> Self {
        self.0.extend(value.map(|value| (name, value.clone())));
        self
    }

    /// Whether anything but the page narrows the list.
    pub(super) fn narrow(&self) -> bool {
        self.0.iter().any(|(name, _)| *name != "limit")
    }

    pub(super) fn query(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.join("&")
    }

    fn options(&self) -> String {
        let kept = self.0.iter().filter(|(name, _)| *name != "cursor");
        kept.map(|(name, value)| format!(" --{} {}", name.replace('_', "-"), shell(value))).collect()
    }
}

/// For a query or one part of a path.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// As a shell would take it for one word.
pub(super) fn shell(word: &str) -> String {
    let word = harmless::line(word);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,~".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Of the terminal behind stdout. One that does not know its width is taken for a usual one.
fn width() -> u16 {
    const USUAL: u16 = 80;
    rustix::termios::tcgetwinsize(std::io::stdout())
        .map_or(USUAL, |size| if size.ws_col == 0 { USUAL } else { size.ws_col })
}

/// A field of an answer as text; what is not there is empty.
pub(super) fn field(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The list of an answer.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_quotes_what_needs_it() {
        assert_eq!(shell("target/debug/arcuate"), "target/debug/arcuate");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn filters_are_a_query_and_options() {
        let page = Page { limit: 5, cursor: Some("c1".into()) };
        let filters = Filters::new(&page).and("plugin", Some(&"a&b c".into())).and("kind", None);
        assert_eq!(filters.query(), "limit=5&cursor=c1&plugin=a%26b%20c");
        assert_eq!(filters.options(), " --limit 5 --plugin 'a&b c'");
        assert!(filters.narrow() && !Filters::new(&Page { limit: 5, cursor: None }).narrow());
    }
}
