//! Finding one's way in a plugin's JSON Schema: which forms a place allows, the keys below it, whether it is a secret,
//! and how a message describes what it takes. References, `anyOf` and the like are followed; all forms count as one.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::mistake::{listed, quoted};

/// A schema may refer to itself; further than this nobody nests settings.
const DEEPEST: usize = 8;
const MOST_FORMS: usize = 256;

/// All that a schema says of one place, with the forms that it may take.
#[derive(Clone)]
pub(super) struct Schema<'s> {
    root: &'s Json,
    forms: Vec<&'s Json>,
}

impl<'s> Schema<'s> {
    pub(super) fn new(root: &'s Json) -> Self {
        Self { root, forms: Vec::new() }.with([root])
    }

    /// What it says of a key in the table that stands here.
    pub(super) fn property(&self, key: &str) -> Self {
        let named = self.forms.iter().filter_map(|form| form.get("properties")?.get(key));
        let below = Self { root: self.root, forms: Vec::new() }.with(named);
        if below.forms.is_empty() {
            return below.with(self.forms.iter().filter_map(|form| form.get("additionalProperties")));
        }
        below
    }

    /// What it says of the items of the list that stands here.
    pub(super) fn item(&self) -> Self {
        Self { root: self.root, forms: Vec::new() }.with(self.forms.iter().filter_map(|form| form.get("items")))
    }

    /// The keys that a table here may have.
    pub(super) fn keys(&self) -> Vec<&'s str> {
        let tables = self.forms.iter().filter_map(|form| form.get("properties")?.as_object());
        let mut keys: Vec<&str> = Vec::new();
        for key in tables.flat_map(|table| table.keys()) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        keys
    }

    /// The JSON types allowed here; none where the schema leaves it open.
    pub(super) fn types(&self) -> BTreeSet<&'s str> {
        self.forms.iter().flat_map(|form| types_of(form)).collect()
    }

    /// What counts where nobody wrote anything.
    pub(super) fn default(&self) -> Option<&'s Json> {
        self.forms.iter().find_map(|form| form.get("default"))
    }

    /// A text that must never be shown, and may stand in a file of its own.
    pub(super) fn is_secret(&self) -> bool {
        let marked = |form: &&Json| {
            form.get("format").and_then(Json::as_str) == Some("password")
                || form.get("writeOnly").and_then(Json::as_bool) == Some(true)
        };
        self.forms.iter().any(marked)
    }

    /// The first sentence of its description, to be read after a comma.
    pub(super) fn description(&self) -> Option<String> {
        let whole = self.forms.iter().find_map(|form| form.get("description")?.as_str())?;
        let words = whole.split("\n\n").next()?.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentence = words.split(". ").next()?.trim_end_matches('.');
        let mut characters = sentence.chars();
        let first = characters.next()?;
        // An abbreviation keeps its capitals.
        let plain = characters.clone().next().is_some_and(|second| !second.is_uppercase());
        Some(if plain { first.to_lowercase().chain(characters).collect() } else { sentence.into() })
    }

    /// What this place takes, to be read after "takes".
    pub(super) fn expected(&self) -> Option<String> {
        let mut said: Vec<String> = Vec::new();
        for form in &self.forms {
            let options = options_of(form);
            let phrases = match options.is_empty() {
                true => types_of(form).into_iter().filter_map(|kind| self.phrase(form, kind)).collect(),
                false => options.iter().filter(|option| !option.is_null()).map(shown).collect::<Vec<_>>(),
            };
            for phrase in phrases {
                if !said.contains(&phrase) {
                    said.push(phrase);
                }
            }
        }
        (!said.is_empty()).then(|| listed(&said, "or"))
    }

    fn phrase(&self, form: &Json, kind: &str) -> Option<String> {
        let text = |key: &str| form.get(key).and_then(Json::as_str);
        Some(match kind {
            "string" if text("format") == Some("uri") => "a full URL, such as \"https://example.org/\"".into(),
            // A pattern that has words of its own is nothing for people.
            "string" => match text("pattern").filter(|_| form.get("errorMessage").is_none()) {
                Some(pattern) => format!("text like `{pattern}`"),
                None => format!("text{}", self.length("minLength", "maxLength", "character")),
            },
            "integer" => format!("a whole number{}", self.range()),
            "number" => format!("a number{}", self.range()),
            "boolean" => "true or false".into(),
            "array" => format!("a list{}", self.length("minItems", "maxItems", "item")),
            "object" => "a table".into(),
            _ => return None,
        })
    }

    fn bound(&self, key: &str) -> Option<&'s Json> {
        self.forms.iter().find_map(|form| form.get(key))
    }

    fn range(&self) -> String {
        let bound = |key, words| self.bound(key).map(|limit| format!("{words} {limit}"));
        if let (Some(least), Some(most)) = (self.bound("minimum"), self.bound("maximum")) {
            return format!(" from {least} to {most}");
        }
        let low = bound("minimum", "at least").or_else(|| bound("exclusiveMinimum", "above"));
        let high = bound("maximum", "at most").or_else(|| bound("exclusiveMaximum", "below"));
        let bounds: Vec<String> = low.into_iter().chain(high).collect();
        match bounds.first() {
            Some(first) if first.starts_with("at ") => format!(" of {}", bounds.join(" and ")),
            Some(_) => format!(" {}", bounds.join(" and ")),
            None => String::new(),
        }
    }

    fn length(&self, least: &str, most: &str, unit: &str) -> String {
        let counted = |count: &Json| format!("{count} {unit}{}", if count.as_u64() == Some(1) { "" } else { "s" });
        match (self.bound(least), self.bound(most)) {
            (Some(least), Some(most)) => format!(" of {least} to {}", counted(most)),
            (Some(least), None) => format!(" of at least {}", counted(least)),
            (None, Some(most)) => format!(" of at most {}", counted(most)),
            (None, None) => String::new(),
        }
    }

    /// Adds forms with all that they refer to.
    fn with(mut self, forms: impl IntoIterator<Item = &'s Json>) -> Self {
        for form in forms {
            self.add(form, 0);
        }
        self
    }

    fn add(&mut self, form: &'s Json, depth: usize) {
        if depth > DEEPEST || self.forms.len() >= MOST_FORMS || !form.is_object() {
            return;
        }
        self.forms.push(form);
        let target = form.get("$ref").and_then(Json::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) {
            self.add(target, depth + 1);
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for form in form.get(key).and_then(Json::as_array).into_iter().flatten() {
                self.add(form, depth + 1);
            }
        }
        for form in ["then", "else"].iter().filter_map(|key| form.get(key)) {
            self.add(form, depth + 1);
        }
    }
}

fn types_of(form: &Json) -> Vec<&str> {
    match form.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        // A plain choice of texts may leave its type out.
        _ if options_of(form).iter().any(|option| option.is_string()) => vec!["string"],
        _ => Vec::new(),
    }
}

fn options_of(form: &Json) -> Vec<&Json> {
    let options = form.get("enum").and_then(Json::as_array).into_iter().flatten();
    options.chain(form.get("const")).collect()
}

fn shown(option: &&Json) -> String {
    option.as_str().map_or_else(|| option.to_string(), quoted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expected_describes_types_bounds_and_choices() {
        let cases = [
            (json!({"type": "number", "minimum": 0.05}), "a number of at least 0.05"),
            (json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9}), "a whole number from 1 to 9"),
            (json!({"type": "string", "format": "uri"}), "a full URL, such as \"https://example.org/\""),
            (json!({"type": "string", "minLength": 1}), "text of at least 1 character"),
            (json!({"type": "array", "maxItems": 3}), "a list of at most 3 items"),
            (json!({"enum": ["a", "b", "c"]}), "\"a\", \"b\" or \"c\""),
            (json!({"oneOf": [{"const": "decode"}, {"const": "keep"}]}), "\"decode\" or \"keep\""),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), "true or false"),
            (json!({"type": "number", "exclusiveMinimum": 0}), "a number above 0"),
            (json!({"type": "number", "exclusiveMinimum": 0, "maximum": 9}), "a number above 0 and at most 9"),
            (json!({"type": "number", "minimum": 1, "exclusiveMaximum": 9}), "a number of at least 1 and below 9"),
        ];
        for (schema, expected) in cases {
            assert_eq!(Schema::new(&schema).expected().as_deref(), Some(expected), "{schema}");
        }
        assert_eq!(Schema::new(&json!({})).expected(), None);
    }

    #[test]
    fn references_are_followed_and_circles_end() {
        let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}},
            "anyOf": [{"$ref": "#/$defs/a"}]}}});
        let schema = Schema::new(&schema);
        assert_eq!(schema.property("next").property("next").keys(), ["next"]);
    }

    #[test]
    fn description_is_one_sentence_within_another() {
        let said = |text: &str| Schema::new(&json!({"description": text})).description();
        assert_eq!(
            said("The address of the\nbridge. With or without a path.").as_deref(),
            Some("the address of the bridge")
        );
        assert_eq!(said("URL of the server.\n\nMore.").as_deref(), Some("URL of the server"));
        assert_eq!(said(""), None);
    }
}
