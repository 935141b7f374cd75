//! How a person's message is put to the agent: the setting `prompt_format`, taken apart once. Values go in as they are, so a message that
//! contains `{text}` or braces of its own stays what its author wrote.

use plugin_api::{Error, Result, Turn};

const KNOWN: &str = "{username}, {display_name}, {platform}, {Platform}, {platform_user_id} and {text}";

/// A prompt format, ready for use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PromptFormat(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Username,
    DisplayName,
    Platform,
    TitledPlatform,
    PlatformUserId,
    Text,
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub username: &'a str,
    pub display_name: &'a str,
    pub platform: &'a str,
    pub platform_user_id: &'a str,
    pub text: &'a str,
}

impl PromptFormat {
    pub(crate) fn parse(format: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                rest = &brace[2..];
            } else if brace.starts_with('}') {
                return Err(wrong("a `}` stands alone; write `}}` for a brace"));
            } else {
                let Some((name, behind)) = brace[1..].split_once('}') else {
                    return Err(wrong("a `{` is never closed; write `{{` for a brace"));
                };
                parts.extend([Part::Literal(std::mem::take(&mut literal)), Part::named(name)?]);
                rest = behind;
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        parts.retain(|part| *part != Part::Literal(String::new()));
        if !parts.contains(&Part::Text) {
            return Err(wrong("{text} is missing, so the agent would never see what was said"));
        }
        Ok(Self(parts))
    }

    pub(crate) fn of(&self, facts: Facts<'_>) -> String {
        self.0.iter().fold(String::with_capacity(facts.text.len() + 100), |mut prompt, part| {
            match part {
                Part::Literal(text) => prompt.push_str(text),
                Part::Username => prompt.push_str(facts.username),
                Part::DisplayName => prompt.push_str(facts.display_name),
                Part::Platform => prompt.push_str(facts.platform),
                Part::TitledPlatform => prompt.push_str(&title_case(facts.platform)),
                Part::PlatformUserId => prompt.push_str(facts.platform_user_id),
                Part::Text => prompt.push_str(facts.text),
            }
            prompt
        })
    }

    pub(crate) fn of_turn(&self, turn: &Turn) -> String {
        let user = &turn.user;
        self.of(Facts {
            username: &user.username,
            display_name: &user.display_name,
            platform: &user.platform,
            platform_user_id: &user.platform_user_id,
            text: &turn.message.content,
        })
    }
}

impl Part {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "username" => Self::Username,
            "display_name" => Self::DisplayName,
            "platform" => Self::Platform,
            "Platform" => Self::TitledPlatform,
            "platform_user_id" => Self::PlatformUserId,
            "text" => Self::Text,
            _ => return Err(wrong(&format!("{{{name}}} is unknown; there are {KNOWN}"))),
        })
    }
}

fn wrong(text: &str) -> Error {
    Error::new(format!("prompt_format: {text}"))
}

/// `web_chat` becomes `Web_Chat`; what is already in capitals stays.
fn title_case(name: &str) -> String {
    let mut titled = String::with_capacity(name.len());
    let mut inside_word = false;
    for letter in name.chars() {
        if inside_word {
            titled.push(letter)
        } else {
            titled.extend(letter.to_uppercase())
        }
        inside_word = letter.is_alphanumeric();
    }
    titled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use proptest::prelude::*;

    fn facts(text: &str) -> Facts<'_> {
        Facts { username: "ada", display_name: "Ada L", platform: "web_chat", platform_user_id: "7", text }
    }

    fn prompt(format: &str, text: &str) -> String {
        PromptFormat::parse(format).unwrap().of(facts(text))
    }

    #[test]
    fn format_default_names_user_and_platform() {
        let format = Settings::default().prompt_format;
        assert_eq!(prompt(&format, "hello"), "[Username: @ada, Web_Chat ID: 7] hello");
    }

    #[test]
    fn format_with_every_placeholder_is_filled() {
        let format = "{username}|{display_name}|{platform}|{Platform}|{platform_user_id}|{text}";
        assert_eq!(prompt(format, "hi"), "ada|Ada L|web_chat|Web_Chat|7|hi");
    }

    #[test]
    fn format_with_doubled_braces_has_single_ones() {
        assert_eq!(prompt("{{{text}}} {{username}}", "hi"), "{hi} {username}");
    }

    #[test]
    fn format_that_is_wrong_is_refused_with_its_name() {
        for (format, hint) in [
            ("{user} {text}", "{user} is unknown"),
            ("{text", "never closed"),
            ("{text} }", "stands alone"),
            ("{username}", "{text} is missing"),
            ("{} {text}", "{} is unknown"),
        ] {
            let error = PromptFormat::parse(format).unwrap_err().to_string();
            assert!(error.starts_with("prompt_format: ") && error.contains(hint), "{format}: {error}");
        }
    }

    #[test]
    fn title_case_capitalises_each_word() {
        for (name, titled) in
            [("web_chat", "Web_Chat"), ("bridge", "Bridge"), ("élan vital", "Élan Vital"), ("IRC2go", "IRC2go")]
        {
            assert_eq!(title_case(name), titled);
        }
    }

    proptest! {
        #[test]
        fn format_never_expands_what_people_wrote(text in "[{}a-z]{0,20}|.{0,20}|\\{text\\}|\\{username\\}") {
            prop_assert_eq!(prompt("<{text}>", &text), format!("<{text}>"));
            prop_assert_eq!(prompt("{text}{text}", &text), text.repeat(2));
        }

        #[test]
        fn format_of_anything_never_panics(format in "[{}a-z ]{0,30}|\\PC{0,30}") {
            if let Ok(parsed) = PromptFormat::parse(&format) {
                parsed.of(facts("x"));
            }
        }

        #[test]
        fn format_escaped_gives_any_literal(literal in "\\PC{0,30}") {
            let escaped = literal.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(prompt(&(escaped + "{text}"), "x"), literal + "x");
        }
    }
}
