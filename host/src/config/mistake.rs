//! A mistake in the configuration: where it stands, what is wrong and what would be right; and the small phrases that
//! all mistakes share, so that they read alike.

use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Where a value was written. The order is the order in which mistakes are told: the file from its start, then the
/// environment by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nobody wrote it: it is built in.
    Defaults,
    /// The file as a whole, its path as given.
    File(Arc<str>),
    /// Line and column from 1, in characters.
    At { file: Arc<str>, line: u32, column: u32 },
    /// The name of an environment variable.
    Variable(Arc<str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("the defaults"),
            Self::File(file) => f.write_str(file),
            Self::At { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong, or, among the warnings, worth knowing. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub place: Place,
    pub text: String,
}

impl Mistake {
    pub fn new(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.clone(), text: text.into() }
    }
}

impl Mistake {
    /// `place` is the file, the variable, or `the defaults`; line and column are null outside the file.
    pub fn json(&self) -> Value {
        let (place, line, column) = match &self.place {
            Place::At { file, line, column } => (file.to_string(), Some(line), Some(column)),
            other => (other.to_string(), None, None),
        };
        json!({ "place": place, "line": line, "column": column, "text": self.text })
    }

    /// Out of what `json` made.
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| u32::try_from(value[name].as_u64()?).ok();
        let file = value["place"].as_str()?.into();
        let place = match (number("line"), number("column")) {
            (Some(line), Some(column)) => Place::At { file, line, column },
            _ => Place::File(file),
        };
        Some(Self::new(&place, value["text"].as_str()?))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl std::error::Error for Mistake {}

/// In order of place, each once.
pub(super) fn sorted(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort();
    mistakes.dedup();
    mistakes
}

/// The known word that `word` was probably meant to be.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A distance over a very long word would only burn time; no known word is long.
    if word.len() > 100 {
        return None;
    }
    let word = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
    known
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "; did you mean `bind`?", or what there is to choose from.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    match (nearest(word, known.iter().copied()), known) {
        (Some(near), _) => format!("; did you mean `{near}`?"),
        (None, []) => "; it takes no keys".into(),
        (None, [one]) => format!("; known is {one}"),
        (None, _) => format!("; known are {}", listed(known, "and")),
    }
}

/// `a, b and c`
pub(super) fn listed(words: &[impl AsRef<str>], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().into(),
        [most @ .., end] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} {last} {}", most.join(", "), end.as_ref())
        }
    }
}

/// Text from outside, quoted, short, on one line and without control characters.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(text))
}

/// Like `quoted`, for the names of keys: `` `api_url` ``.
pub(super) fn ticked(key: &str) -> String {
    format!("`{}`", plain(key))
}

/// The same without quotes.
pub(super) fn plain(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).flat_map(escaped).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let harmless = matches!(character, '"' | '\'' | '\\');
    let escape = (!harmless).then(|| character.escape_debug());
    harmless.then_some(character).into_iter().chain(escape.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typing_slips_and_nothing_far_away() {
        let known = ["bind", "trusted_proxies", "cors_origins"];
        assert_eq!(nearest("bnid", known), Some("bind"));
        assert_eq!(nearest("BIND", known), Some("bind"));
        assert_eq!(nearest("trusted_proxy", known), Some("trusted_proxies"));
        assert_eq!(nearest("port", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }

    #[test]
    fn quoted_is_one_short_line() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), "\"a\\nb\\u{1b}[31m\"");
        assert_eq!(quoted("C:\\dir"), "\"C:\\dir\"");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
    }

    #[test]
    fn places_order_by_line_then_environment() {
        let at = |line, column| Place::At { file: "c".into(), line, column };
        let variable = Place::Variable("A".into());
        let mut places = vec![variable.clone(), at(10, 1), at(2, 9), at(2, 3)];
        places.sort();
        assert_eq!(places, [at(2, 3), at(2, 9), at(10, 1), variable]);
    }
}
