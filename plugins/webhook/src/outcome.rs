//! What an answer, or none, means for the delivery.

use crate::client::Answer;
use plugin_api::Outcome;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// An endpoint that asks for a longer rest is called again all the same: a slip of its clock must not silence it for weeks.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It will not become better: nobody may call there.
    Hopeless(String),
    /// Nothing was sent.
    Passing(String),
    /// It may have arrived.
    Uncertain(String),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Hopeless(why) => Self::discard(why),
            Failure::Passing(why) => Self::retry(why),
            Failure::Uncertain(why) => Self::retry(why).uncertain(),
        }
    }
}

pub(crate) fn late(timeout: Duration) -> Outcome {
    Outcome::retry(format!("no answer within {} s (setting timeout)", timeout.as_secs_f64())).uncertain()
}

pub(crate) fn of_answer(answer: &Answer) -> Outcome {
    judge(answer.status, &answer.headers, SystemTime::now())
}

/// The body is not told: it may be of somebody else than the one who reads this.
fn judge(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Outcome {
    let code = status.as_u16();
    let outcome = match code {
        200..=299 => Outcome::done(),
        410 => Outcome::discard("the endpoint is gone (410)"),
        300..=399 => Outcome::retry(format!("the endpoint answered {code}, and redirects are not followed")),
        429 | 503 => Outcome::retry(format!("the endpoint wants rest ({code})")).after(rest(headers, now)),
        _ => Outcome::retry(format!("the endpoint answered {code}")),
    };
    outcome.status(code)
}

/// `Retry-After` in seconds or as a date. None for no rest at all, which leaves it to the schedule.
fn rest(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let rest = match value.parse::<f64>() {
        Ok(seconds) if seconds > LONGEST_REST.as_secs_f64() => LONGEST_REST,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?,
    };
    Some(rest.min(LONGEST_REST)).filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn judged(status: u16, rest: Option<&str>) -> Outcome {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let headers = rest.map(|rest| (RETRY_AFTER, HeaderValue::from_str(rest).unwrap()));
        judge(StatusCode::from_u16(status).unwrap(), &headers.into_iter().collect(), now)
    }

    #[test]
    fn status_tells_what_becomes_of_the_delivery() {
        for status in [200, 201, 204, 299] {
            assert!(matches!(judged(status, None), Outcome::Done { status: Some(code), .. } if code == status));
        }
        for status in [301, 307, 400, 401, 404, 418, 429, 500, 503] {
            assert!(
                matches!(judged(status, None), Outcome::Retry { after_ms: None, uncertain: false, .. }),
                "{status}"
            );
        }
        assert!(matches!(judged(410, None), Outcome::Discard { status: Some(410), .. }));
    }

    #[test]
    fn rest_is_given_where_it_is_asked_for_within_bounds() {
        let rest = |status, text| match judged(status, Some(text)) {
            Outcome::Retry { after_ms, .. } => after_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!((rest(429, "120"), rest(503, "0.5")), (Some(120_000), Some(500)));
        assert_eq!(rest(503, "Sun, 06 Nov 1994 08:49:37 GMT"), Some(77_000));
        assert_eq!(rest(429, "99999999999"), Some(24 * 3_600_000));
        assert_eq!(rest(500, "120"), None, "only these two may ask");
        for none in ["0", "-1", "NaN", "soon", "Sun, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(rest(429, none), None, "{none}");
        }
    }
}
