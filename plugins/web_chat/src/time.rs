//! Times as bridges write them. One bridge gives RFC 3339, the next `YYYY-MM-DD HH:MM:SS` in UTC, a visitor's browser whatever it likes;
//! read, they can be compared with each other, and one moment has one form in the key of a message.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::{Duration, SystemTime};

/// Longer ones are no times, and part of a key that has a bound.
const LONGEST: usize = 64;

/// Reads RFC 3339, a date with a time (taken as UTC) or Unix seconds. To the microsecond, which is all that a bridge keeps.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let parsed = with_offset(text).or_else(|| utc(text)).or_else(|| unix_seconds(text))?;
    Timestamp::from_microsecond(parsed.as_microsecond()).ok()
}

/// Reads RFC 3339 only: a time that needs no guess about its zone.
pub(crate) fn with_offset(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

fn utc(text: &str) -> Option<Timestamp> {
    Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn unix_seconds(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| digits)?;
    Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
}

/// One form per moment, for the key of a message: two actions of a bridge may write the same time differently.
pub(crate) fn canonical(text: &str) -> String {
    parse(text).map_or_else(|| text.chars().take(LONGEST).collect(), |time| time.to_string())
}

/// `Retry-After`, as seconds or as a date. A date is compared with the answer's own `Date`, because clocks differ.
pub(crate) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    Some(then.duration_since(now).unwrap_or_default())
}

/// The `Date` header.
pub(crate) fn http_date(value: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_has_one_form() {
        let forms = [
            "2026-02-03T04:05:06Z",
            "2026-02-03T04:05:06.000000+00:00",
            "2026-02-03T06:05:06+02:00",
            "2026-02-03 04:05:06",
            "2026-02-03T04:05:06",
            " 2026-02-03T04:05:06.0000001Z",
            "1770091506",
            "1770091506.0",
        ];
        for form in forms {
            assert_eq!(canonical(form), "2026-02-03T04:05:06Z", "{form}");
        }
        assert_eq!(canonical("2026-02-03 04:05:06.25"), "2026-02-03T04:05:06.25Z");
    }

    #[test]
    fn what_is_no_time_stands_for_itself_within_bounds() {
        assert_eq!(canonical("yesterday"), "yesterday");
        assert_eq!(canonical(""), "");
        assert_eq!(canonical(&"é".repeat(500)).chars().count(), LONGEST);
        for text in ["NaN", "-5", "1e300", "2026-13-01 00:00:00", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 120 ", None), Some(Duration::from_secs(120)));
        let (then, now) = ("Tue, 03 Feb 2026 04:06:06 GMT", "Tue, 03 Feb 2026 04:05:06 GMT");
        assert_eq!(retry_after(then, Some(now)), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(now, Some(then)), Some(Duration::ZERO));
        assert_eq!(retry_after(now, None), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", None), None);
        assert_eq!(retry_after("-1", None), None);
    }

    #[test]
    fn date_header_is_read() {
        assert_eq!(http_date("Tue, 03 Feb 2026 04:05:06 GMT"), parse("2026-02-03 04:05:06"));
        assert_eq!(http_date("today"), None);
    }
}
