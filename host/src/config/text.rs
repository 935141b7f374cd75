//! `${NAME}` inside texts, and the environment that it comes from. `$${` stands for the two characters `${` themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables of the process, as they were when the configuration was read.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Names that are not UTF-8 cannot be meant by anybody and are left out.
    pub(super) fn new(variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        let named = |(name, value): (_, OsString)| Some((OsString::into_string(name).ok()?, value));
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).filter_map(named).collect())
    }

    /// The value, or what is wrong with it.
    pub(super) fn get(&self, name: &str) -> Result<&str, String> {
        match self.0.get(name) {
            Some(value) => value.to_str().ok_or_else(|| format!("the environment variable `{name}` is not UTF-8")),
            None => Err(format!(
                "the environment variable `{name}` is not set; set it, or write `$${{{name}}}` for these characters themselves"
            )),
        }
    }

    /// The names that start so, in their order.
    pub(super) fn names(&self, prefix: &'static str) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }
}

/// The text with its variables put in, or everything that is wrong with it.
pub(super) fn expand(written: &str, environment: &Environment) -> Result<String, Vec<String>> {
    let (mut expanded, mut wrong) = (String::with_capacity(written.len()), Vec::new());
    let mut rest = written;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$${") {
            expanded.push_str("${");
            rest = after;
        } else if let Some((name, after)) = variable(rest) {
            match environment.get(name) {
                Ok(value) => expanded.push_str(value),
                Err(text) => wrong.push(text),
            }
            rest = after;
        } else {
            if rest.starts_with("${") {
                wrong.push(
                    "`${` starts no variable; `${NAME}`, or `$${` for these characters themselves, would be right"
                        .into(),
                );
            }
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded.push_str(rest);
    if wrong.is_empty() { Ok(expanded) } else { Err(wrong) }
}

/// Whether the text is one `${NAME}` and nothing else: then the variable may also stand for a number or a switch.
pub(super) fn is_variable(written: &str) -> bool {
    variable(written).is_some_and(|(_, after)| after.is_empty())
}

/// The name and what follows, for a text that starts with `${NAME}`.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix("${")?.split_once('}')?;
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment() -> Environment {
        Environment::new([("HOST", "example.org"), ("_A1", "x")])
    }

    #[test]
    fn expand_puts_variables_in() {
        let expanded = |text: &str| expand(text, &environment());
        assert_eq!(expanded("https://${HOST}/${_A1}"), Ok("https://example.org/x".into()));
        assert_eq!(expanded("$${HOST} costs $5"), Ok("${HOST} costs $5".into()));
        assert_eq!(expanded("$$${HOST}"), Ok("$${HOST}".into()));
        assert_eq!(expanded("$"), Ok("$".into()));
    }

    #[test]
    fn expand_tells_each_variable_that_is_not_set() {
        let wrong = expand("${A}${HOST}${B}", &environment()).expect_err("two are not set");
        assert_eq!(wrong.len(), 2);
        assert_eq!(
            wrong[0],
            "the environment variable `A` is not set; set it, or write `$${A}` for these characters themselves"
        );
    }

    #[test]
    fn expand_refuses_what_starts_no_variable() {
        let text = "`${` starts no variable; `${NAME}`, or `$${` for these characters themselves, would be right";
        for written in ["${", "a${b", "${}", "${1}", "${A B}", "${é}"] {
            assert_eq!(expand(written, &environment()), Err(vec![text.to_owned()]), "{written}");
        }
    }

    proptest! {
        #[test]
        fn expand_keeps_what_is_escaped(text in "(?s)([${}]|HOST|.){0,40}") {
            let escaped = text.replace("${", "$${");
            prop_assert_eq!(expand(&escaped, &environment()), Ok(text));
        }

        #[test]
        fn expand_never_panics(text in "(?s)([${}A_1é]|.){0,60}") {
            let _ = (expand(&text, &environment()), is_variable(&text));
        }
    }
}
