//! The only source of time: microseconds since 1970 in UTC, and how they look to people and machines.

use jiff::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 in UTC.
pub type Micros = i64;

pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(Micros::MAX)
}

/// RFC 3339 in UTC with microseconds and `Z`. What no calendar reaches is shown as 1970.
pub fn format(micros: Micros) -> String {
    format!("{:.6}", Timestamp::from_microsecond(micros).unwrap_or_default())
}

/// RFC 3339 with any offset and fraction (a space where the offset's `+` was counts as one), `YYYY-MM-DD HH:MM:SS` and a bare date (both
/// UTC). None if it is no time.
pub fn parse(text: &str) -> Option<Micros> {
    let text = text.trim();
    let instant = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    let civil = |text: &str| {
        let time = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(time).ok().map(Timestamp::as_microsecond)
    };
    let spaced = || text.rsplit_once(' ').and_then(|(time, offset)| instant(&format!("{time}+{offset}")));
    // The calendar ends before the last day of its last year, which people write for "for ever".
    let last_days = || {
        let rest = ["9999-12-31", "9999-12-30"].into_iter().find_map(|day| text.strip_prefix(day))?;
        parse(&format!("9999-12-29{rest}"))
    };
    instant(text).or_else(|| civil(text)).or_else(spaced).or_else(last_days)
}

pub fn micros(duration: Duration) -> Micros {
    duration.as_micros().try_into().unwrap_or(Micros::MAX)
}

/// How long until `at`; zero if it has passed.
pub fn until(at: Micros) -> Duration {
    Duration::from_micros(at.saturating_sub(now()).max(0) as u64)
}

/// The longest pause after a write.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Between the writes of long work in the background: as long as the last one took, so that others have at least half of the writer's time.
pub async fn pause_after(begun: Instant) {
    tokio::time::sleep(begun.elapsed().min(LONGEST_PAUSE)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_has_microseconds_and_z() {
        assert_eq!(format(1_700_000_000_000_000), "2023-11-14T22:13:20.000000Z");
        assert_eq!(format(1_700_000_000_123_456), "2023-11-14T22:13:20.123456Z");
    }

    #[test]
    fn parse_takes_what_clients_send() {
        let expected = Some(1_700_000_000_000_000);
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.000000Z",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14T23:13:20 01:00",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2023-11-14"), Some(1_699_920_000_000_000));
        for late in ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999-12:00"] {
            assert!(parse(late) > parse("9999-12-01"), "{late}");
        }
        for text in ["", "yesterday", "2023-13-01", "12", "2023-11-14T22:13:20 x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
