//! What requests carry, with errors that name what is wrong: JSON bodies and query parameters.

use super::LARGEST_BODY;
use super::patience::TooSlow;
use super::values::bounded_values;
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use futures_util::StreamExt;
use http_body_util::LengthLimitError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// A JSON body. In this order: its type (415), its size (413), its syntax (400), its fields (422).
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !request.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
            return Err(Error::UnsupportedMediaType(
                "The body must be JSON, sent with Content-Type: application/json".into(),
            ));
        }
        read_json(&read_body(request, state).await?).map(Self)
    }
}

/// A body that may be left out, with its type.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>> {
        let is_typed = request.headers().get(header::CONTENT_TYPE).is_some_and(is_json);
        let bytes = read_body(request, state).await?;
        match bytes.is_empty() {
            true => Ok(None),
            false if is_typed => read_json(&bytes).map(|body| Some(Self(body))),
            false => Err(Error::UnsupportedMediaType(
                "The body must be JSON, sent with Content-Type: application/json, or be left out".into(),
            )),
        }
    }
}

/// Whether this is the content type of JSON.
pub fn is_json(value: &HeaderValue) -> bool {
    let essence =
        value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// The whole body, within the usual bound.
pub async fn read_body<S: Send + Sync>(request: Request, _: &S) -> Result<Bytes> {
    read_body_within(request, LARGEST_BODY).await
}

/// The same within a bound of the route's own.
pub async fn read_body_within(request: Request, most: usize) -> Result<Bytes> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > most as u64) {
        return Err(too_large(most));
    }
    // Mostly it is one piece. Many are put together as they come: kept apart, pieces of a byte each would cost many times their size.
    let (mut pieces, mut first, mut whole) = (request.into_body().into_data_stream(), Bytes::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| body_error(&error, most))?;
        if first.len().max(whole.len()) + piece.len() > most {
            return Err(too_large(most));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

/// Why a body of `most` bytes at most could not be read.
pub fn body_error(error: &(dyn std::error::Error + 'static), most: usize) -> Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large(most);
        }
        if error.is::<TooSlow>() {
            return Error::TooSlow("The body stopped arriving; send it without long pauses".into());
        }
        cause = error.source();
    }
    Error::Invalid("The body was cut off".into())
}

fn too_large(most: usize) -> Error {
    const MIB: usize = 1024 * 1024;
    let bound = if most.is_multiple_of(MIB) { format!("{} MiB", most / MIB) } else { format!("{most} bytes") };
    Error::TooLarge(format!("The body is larger than {bound}"))
}

/// Syntax errors are 400; a missing or mistyped field is 422 and named.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Invalid("The body is not UTF-8".into()))?;
    // Syntax first, to the end: a field's mistake is told only of a text that is JSON.
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| Error::Invalid(format!("The body is not JSON: {error}")))?;
    if has_lone_surrogate(text) {
        return Err(Error::Invalid("The body is not JSON: it has half of a surrogate pair, which is no text".into()));
    }
    bounded_values(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let text = inner.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        match inner.classify() {
            serde_json::error::Category::Data if path == "." => Error::Unprocessable(text.to_owned()),
            serde_json::error::Category::Data => Error::Unprocessable(format!("{path}: {text}")),
            _ => Error::Invalid(format!("The body is not JSON: {text}")),
        }
    })
}

/// Whether a `\u` escape of what is JSON otherwise stands for half a character. Parsing finds it in known fields
/// only: what is skipped is not decoded.
fn has_lone_surrogate(json: &str) -> bool {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut rest = json;
    while let Some(escape) = rest.find('\\').map(|at| &rest[at..]) {
        let length = match unit(escape) {
            None => 2,
            Some(0xD800..=0xDBFF) if matches!(unit(&escape[6..]), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => return true,
            Some(_) => 6,
        };
        rest = &escape[length..];
    }
    false
}

/// The varying parts of the path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Error::Invalid("The path is not UTF-8 text".into()))
    }
}

/// All but the characters that mean the same escaped and plain (RFC 3986, 2.3), so that a link's parameters read as they were sent.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Query parameters. Of one given twice the last counts; an empty one is absent.
#[derive(Debug, Default)]
pub struct Params(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    pub fn parse(query: &str) -> Result<Self> {
        let mut found = HashMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name, "a parameter's name")?, decode(value, name)?);
            // An empty one does not undo an earlier value.
            if !value.is_empty() || !found.contains_key(&name) {
                found.insert(name, value);
            }
        }
        Ok(Self(found))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// 422 if it is missing; empty is not missing.
    pub fn required(&self, name: &str) -> Result<&str> {
        let missing = || Error::Unprocessable(format!("Query parameter '{name}' is missing"));
        self.0.get(name).map(String::as_str).ok_or_else(missing)
    }

    /// The `Link` header to the same list's page behind `cursor` (RFC 8288).
    pub fn next_link(&self, path: &str, cursor: i64) -> (HeaderName, HeaderValue) {
        self.next_link_to(path, &self::cursor(cursor))
    }

    /// The same for a list whose cursor is more than a number.
    pub fn next_link_to(&self, path: &str, cursor: &str) -> (HeaderName, HeaderValue) {
        // A ticket is used up by then.
        let kept = |name: &str| !["cursor", "ticket"].contains(&name);
        let mut pairs: Vec<_> = self.0.iter().filter(|(name, value)| kept(name) && !value.is_empty()).collect();
        pairs.sort();
        let escaped = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let query: String =
            pairs.iter().map(|(name, value)| format!("{}={}&", escaped(name), escaped(value))).collect();
        let link = format!("<{path}?{query}cursor={cursor}>; rel=\"next\"");
        (header::LINK, HeaderValue::from_str(&link).unwrap_or(HeaderValue::from_static("")))
    }

    /// Outside the range it is clamped; what is no number is refused.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = text.trim().strip_prefix(['-', '+']).unwrap_or(text.trim());
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::Invalid(format!("Query parameter '{name}' must be a whole number")));
        }
        // Too many digits for 64 bits are far outside any range.
        let far = if text.trim().starts_with('-') { i64::MIN } else { i64::MAX };
        let number = text.trim().parse::<i64>().unwrap_or(far);
        Ok(Some(number.clamp(*range.start(), *range.end())))
    }

    /// The list's length: `default` if it is not given, clamped to 1..=`most`.
    pub fn limit(&self, default: u32, most: u32) -> Result<u32> {
        Ok(self.number("limit", 1..=i64::from(most))?.map_or(default, |limit| limit as u32))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Some(true)),
            "false" | "0" | "no" | "off" => Ok(Some(false)),
            _ => Err(Error::Invalid(format!("Query parameter '{name}' must be true or false"))),
        }
    }

    pub fn time(&self, name: &str) -> Result<Option<Micros>> {
        let wrong = || Error::Invalid(format!("Query parameter '{name}' must be a time such as 2026-01-31T12:00:00Z"));
        self.text(name).map(|text| clock::parse(text).ok_or_else(wrong)).transpose()
    }

    /// An opaque cursor of this host's lists: a number in hex behind a letter.
    pub fn cursor(&self) -> Result<Option<i64>> {
        let wrong = || Error::Invalid("Query parameter 'cursor' must be one that an earlier page gave".into());
        self.text("cursor").map(|text| read_cursor(text).ok_or_else(wrong)).transpose()
    }
}

/// The number in a cursor, wherever it stands.
pub fn read_cursor(text: &str) -> Option<i64> {
    text.strip_prefix('c').and_then(|hex| i64::from_str_radix(hex, 16).ok())
}

/// The reverse of [`read_cursor`].
pub fn cursor(number: i64) -> String {
    format!("c{number:x}")
}

fn decode(text: &str, what: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned);
    match decoded {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Error::Invalid(format!("Query parameter '{what}' is not UTF-8 text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code)]
    struct Form {
        sender: String,
        count: Option<u32>,
    }

    fn error(body: &str) -> Error {
        read_json::<Form>(body.as_bytes()).expect_err("the body is refused")
    }

    #[test]
    fn body_errors_name_the_field() {
        assert_eq!(error("{}"), Error::Unprocessable("missing field `sender`".into()));
        assert_eq!(error("[1]"), Error::Unprocessable("[0]: invalid type: integer `1`, expected a string".into()));
        let mistyped = Error::Unprocessable("sender: invalid type: integer `1`, expected a string".into());
        assert_eq!(error(r#"{"sender":1}"#), mistyped);
        assert!(matches!(error(r#"{"sender":1"#), Error::Invalid(_)), "syntax comes first");
        assert!(matches!(error(""), Error::Invalid(_)));
        assert!(matches!(error(&("[".repeat(100_000))), Error::Invalid(_)), "depth is bounded");
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_wherever_it_stands() {
        for wrong in [
            r#"{"sender":"\ud800"}"#,
            r#"{"sender":"a","unknown":"\ud800"}"#,
            r#"{"sender":"a","unknown":{"deep":["\udc00 x"]}}"#,
            r#"{"sender":"a","\uD83D":1}"#,
            r#"{"sender":"a","unknown":"\ud83d\ud83d\ude00"}"#,
            r#"{"sender":"a","unknown":"\\\ud83d\n"}"#,
        ] {
            assert!(matches!(error(wrong), Error::Invalid(_)), "{wrong}");
        }
        for right in [
            r#"{"sender":"a","unknown":"\ud83d\ude00\u00e9\n"}"#,
            r#"{"sender":"a","unknown":"\\ud800 \" é"}"#,
            r#"{"sender":"\uD83D\uDE00"}"#,
        ] {
            assert!(read_json::<Form>(right.as_bytes()).is_ok(), "{right}");
        }
    }

    #[test]
    fn numbers_are_clamped_and_other_things_refused() {
        let number = |query: &str| Params::parse(query).unwrap().number("n", 1..=500);
        assert_eq!(number("n=7").unwrap(), Some(7));
        assert_eq!(
            (number("n=0").unwrap(), number("n=-9").unwrap(), number("n=99999").unwrap()),
            (Some(1), Some(1), Some(500))
        );
        assert_eq!(number("n=99999999999999999999999").unwrap(), Some(500));
        assert_eq!((number("n=").unwrap(), number("").unwrap()), (None, None));
        for wrong in ["n=x", "n=1.5", "n=--1", "n=1e3", "n=%20"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn link_repeats_the_parameters_as_they_were_sent() {
        let params = Params::parse("before_seq=9&sender=a%26b%20%3E&limit=&ticket=x&cursor=c1").unwrap();
        let (_, link) = params.next_link("/list", 10);
        assert_eq!(link, "</list?before_seq=9&sender=a%26b%20%3E&cursor=ca>; rel=\"next\"");
    }

    proptest! {
        #[test]
        fn parse_never_panics(query in ".{0,200}") {
            if let Ok(params) = Params::parse(&query) {
                let _ = (params.limit(1, 2), params.flag("a"), params.time("a"), params.cursor());
            }
        }

        #[test]
        fn cursor_comes_back(number in any::<i64>().prop_map(|n| n & i64::MAX)) {
            let params = Params::parse(&format!("cursor={}", cursor(number))).unwrap();
            prop_assert_eq!(params.cursor().unwrap(), Some(number));
        }
    }
}
