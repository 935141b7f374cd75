//! Which messages of a session were answered before this host came to the bridge: they are stored, and nobody is asked again.

use crate::protocol::{Answered, Word};
use crate::time;
use jiff::Timestamp;

/// Those with a later response. Some bridges keep whole seconds only: of messages in the very second of the last responses, as many count
/// as there are responses.
#[derive(Default)]
pub(crate) struct AnsweredUntil {
    last: Option<Timestamp>,
    in_last_second: usize,
}

impl AnsweredUntil {
    pub(crate) fn new(responses: &[Answered]) -> Self {
        let times: Vec<_> =
            responses.iter().filter_map(|response| time::parse(&response.timestamp.as_ref()?.0)).collect();
        let last = times.iter().max().copied();
        Self { last, in_last_second: times.iter().filter(|time| Some(**time) == last).count() }
    }

    /// Asked for each message in its order.
    pub(crate) fn covers(&mut self, timestamp: Option<&Word>) -> bool {
        let (Some(last), Some(written)) = (self.last, timestamp.and_then(|word| time::parse(&word.0))) else {
            return false;
        };
        if written == last && self.in_last_second > 0 {
            self.in_last_second -= 1;
            return true;
        }
        written < last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(second: u32) -> Word {
        Word(format!("2026-01-01 00:00:{second:02}"))
    }

    fn answered(seconds: &[u32]) -> AnsweredUntil {
        let response =
            |second: &u32| Answered { id: Word("1".into()), response: "r".into(), timestamp: Some(word(*second)) };
        AnsweredUntil::new(&seconds.iter().map(response).collect::<Vec<_>>())
    }

    #[test]
    fn message_with_a_later_response_counts_as_answered() {
        let mut until = answered(&[10, 20]);
        let covered = [5, 15, 21].map(|second| until.covers(Some(&word(second))));
        assert_eq!(covered, [true, true, false]);
        assert!(!until.covers(None) && !until.covers(Some(&Word("yesterday".into()))));
        assert!(!answered(&[]).covers(Some(&word(1))));
    }

    #[test]
    fn within_one_second_each_response_answers_one_message() {
        let mut until = answered(&[10]);
        assert_eq!([10, 10].map(|second| until.covers(Some(&word(second)))), [true, false]);
        let mut until = answered(&[9, 10, 10]);
        assert_eq!([10, 10, 10].map(|second| until.covers(Some(&word(second)))), [true, true, false]);
    }
}
