//! How a question can fail, and what becomes of the turn. The one distinction that matters: can the agent have done its work? Before it
//! said "200" it has not, and asking again is harmless. After that nobody knows, and the operator's `on_uncertain` decides.

use crate::settings::OnUncertain;
use plugin_api::{Outcome, Secret};
use std::time::Duration;

/// How long a turn stands back that could not even be asked.
const NOT_NOW: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// Not asked, because of other turns of the same agent: nobody's failure, and not counted as an attempt.
    Busy { why: String },
    /// Not taken on: no connection, 429, 5xx.
    Refused { why: String, status: Option<u16>, after: Option<Duration> },
    /// Nothing works before the operator changes a setting, which the text names: 401, 403, 404, a redirect.
    Misconfigured { why: String, status: Option<u16> },
    /// Not this question, ever: 400, 413, 422.
    Rejected { why: String, status: Option<u16> },
    /// Taken on and done, but without a word.
    Empty,
    /// Taken on, perhaps done: a time-out, a connection cut in mid-turn, an answer that makes no sense.
    Uncertain { why: String },
}

impl Failure {
    pub(crate) fn uncertain(why: impl Into<String>) -> Self {
        Self::Uncertain { why: why.into() }
    }

    /// For logs: what kind it is, without anything that the agent said.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Refused { .. } => "refused",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Rejected { .. } => "rejected",
            Self::Empty => "empty",
            Self::Uncertain { .. } => "uncertain",
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Misconfigured { status, .. } | Self::Rejected { status, .. } => {
                *status
            }
            Self::Busy { .. } | Self::Empty | Self::Uncertain { .. } => None,
        }
    }

    /// With what was being done before its text.
    pub(crate) fn about(mut self, what: &str) -> Self {
        if let Some(why) = self.text() {
            *why = format!("{what}: {why}");
        }
        self
    }

    /// Servers quote what they were sent: no secret may come back in a text.
    pub(crate) fn masked(mut self, secrets: &[Secret]) -> Self {
        if let Some(why) = self.text() {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                *why = why.replace(secret.expose(), "***");
            }
        }
        self
    }

    fn text(&mut self) -> Option<&mut String> {
        match self {
            Self::Busy { why }
            | Self::Refused { why, .. }
            | Self::Misconfigured { why, .. }
            | Self::Rejected { why, .. }
            | Self::Uncertain { why } => Some(why),
            Self::Empty => None,
        }
    }

    pub(crate) fn outcome(self, on_uncertain: OnUncertain) -> Outcome {
        let status = self.status();
        let outcome = match self {
            Self::Busy { why } => Outcome::snooze(NOT_NOW, why),
            Self::Refused { why, after, .. } => Outcome::retry(why).after(after),
            Self::Misconfigured { why, .. } | Self::Rejected { why, .. } => Outcome::discard(why),
            Self::Empty => Outcome::retry("the agent's answer was empty"),
            Self::Uncertain { why } if on_uncertain == OnUncertain::Retry => Outcome::retry(why).uncertain(),
            Self::Uncertain { why } => Outcome::discard(format!(
                "{why}; the agent may have done the turn, and on_uncertain = \"fail\" forbids asking again"
            )),
        };
        match status {
            Some(status) => outcome.status(status),
            None => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncertain_is_asked_again_or_given_up_as_the_operator_wants() {
        let failure = Failure::uncertain("cut off");
        assert_eq!(failure.clone().outcome(OnUncertain::Retry), Outcome::retry("cut off").uncertain());
        let Outcome::Discard { why, status: None } = failure.outcome(OnUncertain::Fail) else {
            panic!("not discarded")
        };
        assert!(why.starts_with("cut off; ") && why.contains("on_uncertain"), "{why}");
    }

    #[test]
    fn text_with_a_secret_is_masked() {
        let failure = Failure::uncertain("Incorrect API key: k3y").masked(&[Secret::default(), Secret::new("k3y")]);
        assert_eq!(failure, Failure::uncertain("Incorrect API key: ***"));
    }

    #[test]
    fn refused_and_empty_are_asked_again_whatever_the_operator_wants() {
        let after = Some(Duration::from_secs(3));
        let refused = Failure::Refused { why: "busy".into(), status: Some(429), after };
        assert_eq!(refused.outcome(OnUncertain::Fail), Outcome::retry("busy").after(after).status(429));
        assert!(matches!(Failure::Empty.outcome(OnUncertain::Fail), Outcome::Retry { uncertain: false, .. }));
    }
}
