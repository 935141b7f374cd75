//! Fields of the native bridge API, each checked with an error that names it, and its texts, escaped once as its browser clients expect.

use super::ingest::CONTENT_CHARACTERS;
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::http::{Params, bounded_values};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let wrong = |error| Error::Invalid(format!("Invalid JSON: {error}"));
        serde_json::from_slice::<IgnoredAny>(body).map_err(wrong)?;
        bounded_values(body)?;
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Error::Invalid("The body must be a JSON object".into())),
            Err(error) => Err(wrong(error)),
        }
    }

    fn required(&self, name: &str) -> Result<&Value> {
        let value = self.0.get(name).filter(|value| !value.is_null());
        value.ok_or_else(|| Error::Invalid(format!("{name}: required")))
    }

    fn string(&self, name: &str) -> Result<&str> {
        self.required(name)?.as_str().ok_or_else(|| Error::Invalid(format!("{name}: must be a string")))
    }

    pub(super) fn session_id(&self) -> Result<String> {
        session_id(self.string("session_id")?)
    }

    /// A visitor's or an agent's words: not trimmed, not blank.
    pub(super) fn words(&self, name: &str) -> Result<String> {
        let text = self.string(name)?;
        let length = text.chars().take(CONTENT_CHARACTERS + 1).count();
        if text.trim().is_empty() || length > CONTENT_CHARACTERS || text.contains('\0') {
            return Err(Error::Invalid(format!(
                "{name}: must have 1 to {CONTENT_CHARACTERS} characters, not only blanks, without NUL"
            )));
        }
        Ok(text.into())
    }

    /// The widget's own idea of who the visitor is: 16 hex digits, else it is left aside.
    pub(super) fn uid(&self) -> Option<String> {
        let uid = self.0.get("uid")?.as_str()?;
        (uid.len() == 16 && uid.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| uid.to_ascii_lowercase())
    }

    /// What cannot be taken back wants a plain yes.
    pub(super) fn confirmed(&self, name: &str) -> Result<()> {
        match self.0.get(name) {
            Some(Value::Bool(true)) => Ok(()),
            _ => Err(Error::Invalid(format!("{name}: must be true, because everything that visitors left is deleted"))),
        }
    }

    /// Present or not, it is a time.
    pub(super) fn check_timestamp(&self) -> Result<()> {
        let Some(value) = self.0.get("timestamp").filter(|value| !value.is_null()) else { return Ok(()) };
        let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
        time(&text).map(drop).ok_or_else(|| Error::Invalid(format!("timestamp: {TIME}")))
    }

    /// An id that this host gave, as a number or as digits; absent, null and 0 are none.
    pub(super) fn optional_id(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let id = id(value).ok_or_else(|| Error::Invalid(format!("{name}: must be the id of a message")))?;
        Ok((id != 0).then_some(id))
    }

    pub(super) fn ids(&self, name: &str) -> Result<Vec<i64>> {
        const MOST: usize = 1000;
        let wrong = || Error::Invalid(format!("{name}: must be a list of at most {MOST} ids of messages"));
        let list = self.required(name)?.as_array().filter(|list| list.len() <= MOST).ok_or_else(wrong)?;
        list.iter().map(|value| id(value).ok_or_else(wrong)).collect()
    }
}

const TIME: &str = "must be a time: RFC 3339, YYYY-MM-DD HH:MM:SS or Unix seconds";

fn id(value: &Value) -> Option<i64> {
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number >= 0).then_some(number)
}

pub(super) fn session_id(text: &str) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
        return Err(Error::Invalid("session_id: must have 1 to 64 letters, digits, _ or -".into()));
    }
    Ok(text.into())
}

/// Times as the clients of this API send them.
fn time(text: &str) -> Option<Micros> {
    let text = text.trim();
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e11);
    seconds.map(|seconds| (seconds * 1e6) as Micros).or_else(|| clock::parse(text))
}

pub(super) fn time_parameter(params: &Params, name: &str) -> Result<Option<Micros>> {
    params.text(name).map(|text| time(text).ok_or_else(|| Error::Invalid(format!("{name}: {TIME}")))).transpose()
}

/// As PHP's `htmlspecialchars` with quotes does, once.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_is_that_of_the_bridge() {
        assert_eq!(escape(r#"a & <b> "c" 'd' 😀"#), "a &amp; &lt;b&gt; &quot;c&quot; &#039;d&#039; 😀");
    }

    #[test]
    fn times_in_all_their_forms() {
        let expected = Some(1_700_000_000_000_000);
        for text in
            ["1700000000", "1700000000.0", "2023-11-14 22:13:20", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00"]
        {
            assert_eq!(time(text), expected, "{text}");
        }
        for text in ["", "soon", "NaN", "inf", "1e300"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn field_mistakes_name_the_field() {
        let fields =
            Fields::parse(br#"{"session_id":"a b","message":"  ","response":3,"ids":[1,"2","x"],"timestamp":"soon"}"#)
                .unwrap();
        let named = |result: Result<()>, name: &str| {
            let error = result.expect_err(name).to_string();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        };
        named(fields.session_id().map(drop), "session_id");
        named(fields.words("message").map(drop), "message");
        named(fields.words("response").map(drop), "response");
        named(fields.words("absent").map(drop), "absent");
        named(fields.ids("ids").map(drop), "ids");
        named(fields.check_timestamp(), "timestamp");
    }
}
