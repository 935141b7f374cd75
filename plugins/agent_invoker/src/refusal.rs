//! What a status other than 2xx means for the turn, and for the operator: which setting would put it right, and when to come back.

use crate::dialect::{reported_error, short};
use crate::failure::Failure;
use futures_util::StreamExt;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// An agent that asks for a longer rest is asked again all the same: a slip of its clock must not silence a conversation for days.
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// Of a refusal's body, in bytes and time; its text is a help, no more.
const BODY_LIMIT: usize = 16 * 1024;
const BODY_TIME: Duration = Duration::from_secs(2);

/// What the texts need to know about the settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remedies {
    /// The settings that say where and what is asked.
    pub address: &'static str,
    /// The settings that prove who asks, if any are set.
    pub proof: Option<&'static str>,
}

/// Reads a refusal to its end and says what it means.
pub(crate) async fn read(response: Response, remedies: Remedies) -> Failure {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = tokio::time::timeout(BODY_TIME, beginning(response)).await.unwrap_or_default();
    judge(status, &headers, text(&body).as_deref(), remedies)
}

fn judge(status: StatusCode, headers: &HeaderMap, said: Option<&str>, remedies: Remedies) -> Failure {
    let code = status.as_u16();
    let said = said.map(|text| format!(": {text}")).unwrap_or_default();
    let why = |what: String| format!("{what} ({code}){said}");
    match code {
        401 | 403 => {
            let remedy = match remedies.proof {
                Some(settings) => format!("the agent refused us; check {settings}"),
                None => "the agent wants to know who asks; set api_key".into(),
            };
            Failure::Misconfigured { why: why(remedy), status: Some(code) }
        }
        402 => Failure::Misconfigured {
            why: why("the agent wants to be paid; see to the account of api_key".into()),
            status: Some(code),
        },
        404 | 405 => Failure::Misconfigured {
            why: why(format!("there is no agent to ask; check {}", remedies.address)),
            status: Some(code),
        },
        300..=399 => {
            let place = headers.get(LOCATION).and_then(|place| place.to_str().ok());
            // A query may hold a key.
            let place = place.and_then(|place| place.split(['?', '#']).next());
            let place = place.map(|place| format!(" to {}", short(place))).unwrap_or_default();
            let text =
                format!("the agent has moved{place}, and redirects are not followed; set url to where it is now");
            Failure::Misconfigured { why: why(text), status: Some(code) }
        }
        // 408 and 425 ask for another try; 409 is an earlier attempt with this idempotency key that still runs.
        408 | 409 | 425 | 429 | 500..=599 => {
            let text = if code == 429 { "the agent is asked too much" } else { "the agent did not take the question" };
            Failure::Refused { why: why(text.into()), status: Some(code), after: rest(headers, SystemTime::now()) }
        }
        _ => Failure::Rejected { why: why("the agent refused the question".into()), status: Some(code) },
    }
}

/// `Retry-After` in seconds or as a date. None for no rest at all, which leaves it to the backoff.
fn rest(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let rest = match value.parse::<f64>() {
        Ok(seconds) if seconds > LONGEST_REST.as_secs_f64() => LONGEST_REST,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?,
    };
    Some(rest.min(LONGEST_REST)).filter(|rest| !rest.is_zero())
}

async fn beginning(response: Response) -> Vec<u8> {
    let mut frames = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(Ok(frame)) = frames.next().await {
        body.extend_from_slice(&frame);
        if body.len() > BODY_LIMIT {
            return Vec::new();
        }
    }
    body
}

/// What the body says in one of the usual places. Anything else may be a page, or the question itself, and stays unseen.
fn text(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let plain = || ["message", "detail"].iter().find_map(|key| value[*key].as_str()).map(short);
    reported_error(&value).or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn remedies() -> Remedies {
        Remedies { address: "url and model", proof: Some("api_key") }
    }

    fn judged(status: u16) -> Failure {
        judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), Some("so"), remedies())
    }

    fn rest_of(value: &str) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        rest(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]), now)
    }

    #[test]
    fn status_tells_what_becomes_of_the_turn() {
        for status in [408, 409, 425, 429, 500, 503, 599] {
            assert!(matches!(judged(status), Failure::Refused { .. }), "{status}");
        }
        for status in [301, 307, 401, 402, 403, 404, 405] {
            assert!(matches!(judged(status), Failure::Misconfigured { .. }), "{status}");
        }
        for status in [400, 413, 422] {
            assert!(matches!(judged(status), Failure::Rejected { .. }), "{status}");
        }
    }

    #[test]
    fn text_names_the_setting_to_fix() {
        for (status, setting) in [(401, "check api_key"), (404, "check url and model"), (308, "set url")] {
            let Failure::Misconfigured { why, .. } = judged(status) else { panic!("{status}") };
            assert!(why.contains(setting) && why.ends_with(": so"), "{why}");
        }
    }

    #[test]
    fn rest_is_read_in_seconds_and_as_a_date_within_bounds() {
        assert_eq!(rest_of("120"), Some(Duration::from_secs(120)));
        assert_eq!(rest_of("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(rest_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(77)));
        assert_eq!(rest_of("99999999999"), Some(LONGEST_REST));
        for none in ["0", "-1", "NaN", "soon", "Sun, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(rest_of(none), None, "{none}");
        }
    }

    #[test]
    fn text_is_found_in_the_usual_places_only() {
        assert_eq!(text(br#"{"error": {"message": "bad\nkey"}}"#), Some("bad key".into()));
        assert_eq!(text(br#"{"detail": "no"}"#), Some("no".into()));
        assert_eq!(text(br#"{"detail": [{"input": "what the user wrote"}]}"#), None);
        assert_eq!(text(b"<html>"), None);
    }
}
