//! What a schema's validator finds wrong, in the words that all mistakes use, or in those that the schema has for it: beside a rule may stand
//! `errorMessage`, a text, or texts by keyword and, for `required`, by key. The value of a secret never appears.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::mistake::{Mistake, instead, nearest, ticked};
use super::settings::{Spot, Spots};

/// One mistake for each value that is wrong. What lies in `broken` values is told already.
pub(super) fn sentences<'e>(
    schema: &Json,
    errors: impl Iterator<Item = ValidationError<'e>>,
    spots: &Spots<'_>,
    broken: &BTreeSet<String>,
) -> Vec<Mistake> {
    let mut teller = Teller {
        schema,
        spots,
        broken,
        mistakes: Vec::new(),
        told: BTreeSet::new(),
        lacks: Vec::new(),
        meant: BTreeSet::new(),
    };
    let mut errors: Vec<_> = errors.collect();
    // Of a value that is wrong twice, the plainer reason is told.
    errors.sort_by_key(|error| match error.kind() {
        Kind::Type { .. } => 0,
        Kind::Format { .. } => 1,
        _ => 2,
    });
    for error in &errors {
        teller.tell(error);
    }
    let Teller { mut mistakes, lacks, meant, .. } = teller;
    // A key that was only misspelled is not lacking as well.
    let truly = lacks.into_iter().filter(|(path, key, _)| !meant.contains(&(path.clone(), key.clone())));
    mistakes.extend(truly.map(|(.., mistake)| mistake));
    mistakes
}

struct Teller<'t, 's> {
    schema: &'t Json,
    spots: &'t Spots<'s>,
    broken: &'t BTreeSet<String>,
    mistakes: Vec<Mistake>,
    /// Values that something was said of.
    told: BTreeSet<String>,
    /// Table, key, sentence.
    lacks: Vec<(String, String, Mistake)>,
    /// Tables and the keys in them that misspelled ones were probably meant to be.
    meant: BTreeSet<(String, String)>,
}

impl<'t, 's> Teller<'t, 's> {
    fn tell(&mut self, error: &ValidationError<'_>) {
        let path = error.instance_path().as_str();
        if self.broken.iter().any(|broken| is_within(path, broken)) {
            return;
        }
        let Some(spot) = self.spot(path) else { return };
        match error.kind() {
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                return self.lacking(path, spot, key, self.message(error, Some(key)));
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                return unexpected.iter().for_each(|key| self.unknown(path, spot, key));
            }
            _ => {}
        }
        if self.told.contains(path) {
            return;
        }
        match (error.kind(), self.message(error, None)) {
            (Kind::AnyOf { context } | Kind::OneOfNotValid { context }, None) => self.form(path, spot, context),
            (_, message) => {
                self.told.insert(path.into());
                self.value(error, spot, message);
            }
        }
    }

    /// What is wrong with a value.
    fn value(&mut self, error: &ValidationError<'_>, spot: &Spot<'_>, message: Option<&str>) {
        if let Some(message) = message {
            return self.mistakes.push(Mistake::new(&spot.place, format!("{}: {message}", spot.label)));
        }
        match error.kind() {
            Kind::Format { format } if format == "uri" => {
                let text =
                    format!("{} is not a URL; a full one such as https://example.org/ would be right", spot.label);
                self.mistakes.push(Mistake::new(&spot.place, text));
            }
            Kind::Format { format } => self.unfit(spot, Some(format!("text of the format {format}"))),
            Kind::Type { .. }
            | Kind::Enum { .. }
            | Kind::Constant { .. }
            | Kind::Minimum { .. }
            | Kind::Maximum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::ExclusiveMaximum { .. }
            | Kind::MinLength { .. }
            | Kind::MaxLength { .. }
            | Kind::MinItems { .. }
            | Kind::MaxItems { .. }
            | Kind::Pattern { .. } => self.unfit(spot, spot.schema.expected()),
            _ => {
                let text = format!("{}: {}", spot.label, error.masked_with("the value"));
                self.mistakes.push(Mistake::new(&spot.place, text));
            }
        }
    }

    /// The schema's own words for what is wrong.
    fn message(&self, error: &ValidationError<'_>, key: Option<&str>) -> Option<&'t str> {
        let (rule, keyword) = error.schema_path().as_str().rsplit_once('/')?;
        let said = self.schema.pointer(rule)?.get("errorMessage")?;
        let said = if said.is_object() { said.get(keyword)? } else { said };
        let said = if said.is_object() { said.get(key?)? } else { said };
        said.as_str()
    }

    /// What is known of a place; of one that nobody wrote, what is known of the table around it.
    fn spot(&self, path: &str) -> Option<&'t Spot<'s>> {
        let mut places = std::iter::successors(Some(path), |&inner| Some(inner.rsplit_once('/')?.0));
        places.find_map(|place| self.spots.get(place))
    }

    fn lacking(&mut self, path: &str, table: &Spot<'_>, key: &str, message: Option<&str>) {
        let about = match message {
            Some(message) => format!("; {message}"),
            None => table.schema.property(key).description().map(|about| format!(", {about}")).unwrap_or_default(),
        };
        let mistake = Mistake::new(&table.place, format!("{} lacks {key}{about}", table.label));
        self.lacks.push((path.into(), key.into(), mistake));
    }

    fn unknown(&mut self, path: &str, table: &Spot<'_>, key: &str) {
        let known = table.schema.keys();
        let pointer = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        let place = self.spots.get(&pointer).map_or(&table.place, |spot| &spot.key);
        let text = format!("unknown key {} in {}{}", ticked(key), table.label, instead(key, &known));
        self.mistakes.push(Mistake::new(place, text));
        self.meant.extend(nearest(key, known).map(|near| (path.into(), near.into())));
    }

    /// "`poll_interval` takes a number of at least 0.05, not 0"
    fn unfit(&mut self, spot: &Spot<'_>, expected: Option<String>) {
        let expected = expected.unwrap_or_else(|| "another value".into());
        let text = format!("{} takes {expected}, not {}", spot.label, spot.shown);
        self.mistakes.push(Mistake::new(&spot.place, text));
    }

    /// None of several forms fits: the one that was meant says why, if it can be told.
    fn form(&mut self, path: &str, spot: &Spot<'_>, forms: &[Vec<ValidationError<'static>>]) {
        if self.broken.iter().any(|broken| is_within(broken, path)) {
            return;
        }
        let mut meant = forms.iter().filter(|errors| !errors.iter().any(|error| is_other_form(error, path)));
        match (meant.next(), meant.next()) {
            (Some(errors), None) => errors.iter().for_each(|error| self.tell(error)),
            _ => match self.tag(path, forms) {
                Some(tag) => self.unfit(tag, tag.schema.expected()),
                None => self.unfit(spot, spot.schema.expected()),
            },
        }
    }

    /// The key whose value picks a form, where it picks none.
    fn tag(&self, path: &str, forms: &[Vec<ValidationError<'static>>]) -> Option<&'t Spot<'s>> {
        let tag_of = |errors: &Vec<ValidationError<'static>>| {
            let tag = errors.iter().find(|error| is_choice(error) && error.instance_path().as_str() != path)?;
            Some(tag.instance_path().as_str().to_owned())
        };
        let mut tags = forms.iter().filter_map(tag_of);
        let first = tags.next()?;
        if tags.all(|tag| tag == first) { self.spots.get(&first) } else { None }
    }
}

/// The value is not meant to be of this form at all: another type, or another tag.
fn is_other_form(error: &ValidationError<'_>, path: &str) -> bool {
    let here = error.instance_path().as_str();
    let child = here.strip_prefix(path).is_some_and(|rest| rest.matches('/').count() == 1);
    match error.kind() {
        Kind::Type { .. } => here == path,
        _ => is_choice(error) && (here == path || child),
    }
}

fn is_choice(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. })
}

/// Whether `path` is `whole` or lies below it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
