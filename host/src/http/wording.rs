//! What is wrong with a body's fields, in words for people: the parser's own speak of Rust's types, and seldom say what would be right.

/// Characters of a value that are repeated.
const SHOWN: usize = 60;

const AN_ID: &str = "an id, such as \"01a1fe0d-be23-76e7-9b23-440ad354ad90\"";

/// A field that has to be there.
pub fn missing(field: &str) -> String {
    format!("missing field `{field}`: the body must have it")
}

/// `path` leads to the value, and is `.` for the body itself.
pub fn worded(path: &str, error: &str) -> String {
    let error = error.rsplit_once(" at line ").map_or(error, |(text, _)| text);
    // A list is read as an object's fields in their order; nobody means that.
    let is_list = path.starts_with('[') || path == "." && error.starts_with("invalid length");
    if is_list {
        return "The body must be a JSON object, not a list".into();
    }
    let text = absent(error).or_else(|| unknown(error)).or_else(|| unfit(error));
    let text = text.unwrap_or_else(|| error.to_owned());
    match path {
        "." if text.starts_with("must be ") => format!("The body {text}"),
        "." => text,
        path => format!("{path}: {text}"),
    }
}

fn absent(error: &str) -> Option<String> {
    error.strip_prefix("missing field `")?.strip_suffix('`').map(missing)
}

/// "unknown field `a`, expected one of `b`, `c`", and the same of a variant.
fn unknown(error: &str) -> Option<String> {
    let (what, expected) = error.strip_prefix("unknown ")?.split_once(", ")?;
    let known = expected.strip_prefix("expected one of ").or(expected.strip_prefix("expected ")).unwrap_or(expected);
    let (kind, name) = what.split_once(' ')?;
    Some(match kind {
        "field" => format!("unknown field {name}; {known} would be right"),
        _ => format!("must be {known}, not {name}"),
    })
}

/// "invalid type: string "a", expected f64", and the same of a value.
fn unfit(error: &str) -> Option<String> {
    if error.starts_with("UUID parsing failed") {
        return Some(format!("must be {AN_ID}"));
    }
    let rest = error.strip_prefix("invalid type: ").or(error.strip_prefix("invalid value: "))?;
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    Some(format!("must be {}, not {}", wanted_in_words(wanted), found_in_words(found)))
}

fn wanted_in_words(wanted: &str) -> String {
    match wanted {
        "f32" | "f64" => "a number".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        "unit" => "null".into(),
        "a UUID string" => AN_ID.into(),
        wanted if wanted.starts_with("struct ") => "a JSON object".into(),
        wanted => wanted.into(),
    }
}

fn found_in_words(found: &str) -> String {
    let plain = |found: &str| found.trim_matches('`').to_owned();
    match found.split_once(' ') {
        _ if found == "map" => "an object".into(),
        _ if found == "sequence" => "a list".into(),
        Some(("string", text)) if text.chars().count() > SHOWN => {
            format!("{}…\"", text.chars().take(SHOWN).collect::<String>())
        }
        Some(("string", text)) => text.into(),
        Some(("integer" | "boolean", value)) => plain(value),
        Some(("floating", value)) => plain(value.trim_start_matches("point ")),
        _ => found.into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::http::read_json;
    use crate::ids::MessageId;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Form {
        sender: String,
        minutes: Option<f64>,
        count: Option<u32>,
        seq: Option<i64>,
        live: Option<bool>,
        names: Option<Vec<String>>,
        inner: Option<Strict>,
        reply_to: Option<MessageId>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Strict {
        wanted: String,
        other: Option<Choice>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Choice {
        First,
        Second,
    }

    #[test]
    fn mistakes_are_told_with_what_would_be_right_and_without_types_of_rust() {
        let long = format!(r#"{{"sender":"a","minutes":"{}"}}"#, "x".repeat(500));
        let cut = format!("minutes: must be a number, not \"{}…\"", "x".repeat(super::SHOWN - 1));
        let table = [
            ("{}", "missing field `sender`: the body must have it"),
            (r#"{"sender":1}"#, "sender: must be a string, not 1"),
            (r#"{"sender":null}"#, "sender: must be a string, not null"),
            (r#"{"sender":["a"]}"#, "sender: must be a string, not a list"),
            (r#"{"sender":{}}"#, "sender: must be a string, not an object"),
            (r#"{"sender":"a","minutes":"x"}"#, "minutes: must be a number, not \"x\""),
            (&long, &cut),
            (r#"{"sender":"a","count":-1}"#, "count: must be a whole number from 0 to 4294967295, not -1"),
            (r#"{"sender":"a","count":1.5}"#, "count: must be a whole number from 0 to 4294967295, not 1.5"),
            (r#"{"sender":"a","seq":true}"#, "seq: must be a whole number, not true"),
            (r#"{"sender":"a","live":"yes"}"#, "live: must be true or false, not \"yes\""),
            (r#"{"sender":"a","names":"b"}"#, "names: must be a list, not \"b\""),
            (r#"{"sender":"a","names":["b",2]}"#, "names[1]: must be a string, not 2"),
            (r#"{"sender":"a","inner":{}}"#, "inner: missing field `wanted`: the body must have it"),
            (
                r#"{"sender":"a","inner":{"wanted":"b","bogus":1}}"#,
                "inner.bogus: unknown field `bogus`; `wanted` or `other` would be right",
            ),
            (
                r#"{"sender":"a","inner":{"wanted":"b","other":"third"}}"#,
                "inner.other: must be `first` or `second`, not `third`",
            ),
            ("[1]", "The body must be a JSON object, not a list"),
            ("[]", "The body must be a JSON object, not a list"),
            ("7", "The body must be a JSON object, not 7"),
            ("null", "The body must be a JSON object, not null"),
        ];
        for (body, expected) in table {
            match read_json::<Form>(body.as_bytes()) {
                Err(Error::Unprocessable(text)) => assert_eq!(text, expected, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        let Err(Error::Unprocessable(text)) = read_json::<Form>(br#"{"sender":"a","reply_to":"x"}"#) else {
            panic!("no id was taken")
        };
        assert_eq!(text, format!("reply_to: must be {}", super::AN_ID));
        let Err(Error::Unprocessable(text)) = read_json::<Strict>(br#"{"bogus":1}"#) else { panic!("it was taken") };
        assert_eq!(text, "bogus: unknown field `bogus`; `wanted` or `other` would be right");
    }
}
