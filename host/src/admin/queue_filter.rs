//! Which jobs are meant: filters as lists take them in their query and deeds in their body, each checked with an error that names it.

use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::http::Params;
use crate::store::{JobFilter, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a name, a lane, or a part of an error.
const TEXT: usize = 300;

/// Which jobs a deed is about: some by id, or all that fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "state": "failed", "plugin": "web_chat" }))]
pub struct Selection {
    /// Ids of jobs, at most 1000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// `pending`, `processing`, `completed`, `failed` or `flushed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The plugin instance whose jobs they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The lane in which they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Made longer ago than this: `90s`, `15m`, `1h`, `7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<String>,
    /// Made within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<String>,
    /// A part of their last error; capitals do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Really all of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// At most so many in one call, the oldest first; the answer's cursor leads on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100_000)]
    pub limit: Option<usize>,
    /// From the call before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// What they get: `high`, `normal` or `low`. For prioritizing alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
}

impl Selection {
    /// As a list takes it in its query.
    pub fn of(params: &Params) -> Self {
        let text = |name: &str| params.text(name).map(str::to_owned);
        Self {
            state: text("state"),
            plugin: text("plugin"),
            kind: text("kind"),
            lane: text("lane"),
            older_than: text("older_than"),
            newer_than: text("newer_than"),
            error: text("error"),
            ..Self::default()
        }
    }

    /// Whether anything but the state narrows it.
    pub fn is_narrowed(&self) -> bool {
        [&self.plugin, &self.kind, &self.lane, &self.older_than, &self.newer_than, &self.error]
            .into_iter()
            .any(Option::is_some)
    }

    /// Ids say it all: what they name and a filter beside them leaves out would be done all the same.
    pub fn is_plain(&self) -> Result<()> {
        if !self.ids.is_empty() && (self.state.is_some() || self.is_narrowed() || self.all) {
            return Err(Error::Invalid("name the jobs by their ids or by filters, not by both".into()));
        }
        Ok(())
    }

    pub fn filter(&self) -> Result<JobFilter> {
        let now = clock::now();
        let ago = |name, text: &Option<String>| text.as_deref().map(|text| span(name, text)).transpose();
        Ok(JobFilter {
            state: state(self.state.as_deref())?,
            instance: word("plugin", self.plugin.as_deref())?,
            kind: word("kind", self.kind.as_deref())?,
            lane: word("lane", self.lane.as_deref())?,
            before: ago("older_than", &self.older_than)?.map(|span| now.saturating_sub(span)),
            since: ago("newer_than", &self.newer_than)?.map(|span| now.saturating_sub(span)),
            error: word("error", self.error.as_deref())?.map(|part| part.to_lowercase()),
        })
    }

    /// In few words, for the record of deeds.
    pub fn told(&self) -> String {
        if !self.ids.is_empty() {
            return match &self.ids[..] {
                [only] => only.clone(),
                more => format!("{} jobs", more.len()),
            };
        }
        let fields = [
            ("state", &self.state),
            ("plugin", &self.plugin),
            ("kind", &self.kind),
            ("lane", &self.lane),
            ("older_than", &self.older_than),
            ("newer_than", &self.newer_than),
            ("error", &self.error),
        ];
        let given =
            fields.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")));
        let told = given.collect::<Vec<_>>().join(" ");
        if told.is_empty() { "all".into() } else { told }
    }
}

pub fn state(name: Option<&str>) -> Result<Option<State>> {
    let wrong = || Error::Invalid("state must be pending, processing, completed, failed or flushed".into());
    name.map(|name| State::from_name(name).ok_or_else(wrong)).transpose()
}

fn word(name: &str, text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() || text.chars().count() > TEXT {
        return Err(Error::Invalid(format!("{name} must have 1 to {TEXT} characters, or be left out")));
    }
    Ok(Some(text.to_owned()))
}

/// A span of time as people write it: a number and s, m, h or d; without a letter, seconds.
pub fn span(name: &str, text: &str) -> Result<Micros> {
    let wrong = || Error::Invalid(format!("{name} must be a span of time such as 90s, 15m, 1h or 7d"));
    let text = text.trim();
    let (number, seconds) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        Some((at, 'd')) => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let number = number.parse::<f64>().ok().filter(|number| (0.0..1e9).contains(number)).ok_or_else(wrong)?;
    Ok((number * seconds * 1e6) as Micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_takes_what_people_write() {
        for (text, seconds) in [("90", 90.0), ("90s", 90.0), ("1.5m", 90.0), ("1h", 3600.0), (" 7d ", 604_800.0)] {
            assert_eq!(span("older_than", text), Ok((seconds * 1e6) as Micros), "{text}");
        }
        for text in ["", "h", "-1h", "1w", "soon", "NaN", "inf", "1e12d"] {
            let error = span("older_than", text).unwrap_err().to_string();
            assert!(error.starts_with("older_than ") && error.contains("1h"), "{error}");
        }
    }

    #[test]
    fn selection_is_told_in_few_words() {
        let selection = Selection { state: Some("failed".into()), error: Some("time".into()), ..Selection::default() };
        assert_eq!(selection.told(), "state=failed error=time");
        assert_eq!(Selection { all: true, ..Selection::default() }.told(), "all");
        assert_eq!(Selection { ids: vec!["a".into(), "b".into()], ..Selection::default() }.told(), "2 jobs");
    }
}
