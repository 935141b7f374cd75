//! Times for people: how long ago, short enough for a column. JSON has them exactly.

use crate::clock::{self, Micros};

const SECOND: i64 = 1_000_000;
const UNITS: [(i64, &str); 5] = [(365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// `now`, `12s`, `5m`, `3h`, `2d`, `1y`; what is no time is shown as it is.
pub(super) fn age(time: &str, now: Micros) -> String {
    match clock::parse(time) {
        Some(at) => short(now.saturating_sub(at)),
        None => time.into(),
    }
}

/// `in 12s`; None once it has passed.
pub(super) fn ahead(time: &str, now: Micros) -> Option<String> {
    let left = clock::parse(time)?.saturating_sub(now);
    (left >= SECOND).then(|| format!("in {}", short(left)))
}

/// `2026-01-31 12:00:00 UTC (5m ago)`, for where there is room.
pub(super) fn long(time: &str, now: Micros) -> String {
    let Some(at) = clock::parse(time) else { return time.into() };
    let whole = clock::format(at);
    let day = whole.split_once('T').map_or(whole.as_str(), |(day, _)| day);
    let time = whole.split_once('T').and_then(|(_, rest)| rest.split('.').next()).unwrap_or_default();
    let relative = match ahead(&whole, now) {
        Some(ahead) => ahead,
        None if now.saturating_sub(at) < SECOND => "now".into(),
        None => format!("{} ago", short(now.saturating_sub(at))),
    };
    format!("{day} {time} UTC ({relative})")
}

fn short(length: Micros) -> String {
    let seconds = length / SECOND;
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= *unit);
    unit.map_or_else(|| "now".into(), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn before(seconds: i64) -> String {
        clock::format(NOW - seconds * SECOND)
    }

    #[test]
    fn age_takes_the_largest_unit() {
        let cases =
            [(0, "now"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400, "1d"), (40_000_000, "1y")];
        for (seconds, expected) in cases {
            assert_eq!(age(&before(seconds), NOW), expected);
        }
        assert_eq!(age(&before(-5), NOW), "now", "a clock that is a little ahead");
        assert_eq!(age("never", NOW), "never");
    }

    #[test]
    fn long_has_the_time_and_the_distance() {
        assert_eq!(long(&before(65), NOW), "2023-11-14 22:12:15 UTC (1m ago)");
        assert_eq!(long(&before(-90), NOW), "2023-11-14 22:14:50 UTC (in 1m)");
        assert_eq!(ahead(&before(1), NOW), None);
    }
}
