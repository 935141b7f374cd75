//! How a request to the bridge can fail. The distinction that everything hangs on: can the bridge have done its part all the same? An inbox
//! that it emptied, an answer that it stored. Then somebody has to look before the request is repeated.

use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// Nothing reached the bridge.
    Unreachable(String),
    /// Sent, but no whole answer came back: a time-out, a connection cut off.
    Lost(String),
    /// A whole answer came back, and it makes no sense.
    Garbled(String),
    /// The bridge, or something before it, said no.
    Refused { status: u16, why: String, retry_after: Option<Duration> },
}

impl Failure {
    /// Whether the bridge may have done what was asked.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Garbled(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Unreachable(_) => false,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The key is wrong.
    pub(crate) fn is_key_refused(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// No by principle: the same request will not fare better later.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status(), Some(400..=499)) && self.status() != Some(429)
    }

    /// For the operator: what is wrong with polling, and which setting would put it right.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Refused { status: 401 | 403, .. } => {
                format!("`api_key` is refused: {self}; set it to the key for pollers in the bridge's own settings")
            }
            Self::Refused { status: 300..=399, .. } => format!("{self}; set `api_url` to that address"),
            Self::Refused { status: 400 | 404 | 405, .. } => format!(
                "`api_url` leads to no bridge: {self}; it must be the site's root, its …/api/v1/ or the address of its index.php"
            ),
            Self::Refused { status: 429, .. } => format!("{self}: polling rests"),
            Self::Garbled(_) => format!("{self}; does `api_url` lead to a bridge?"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the bridge cannot be reached: {why}"),
            Self::Lost(why) => write!(f, "the bridge's answer got lost: {why}"),
            Self::Garbled(why) => write!(f, "the bridge's answer makes no sense: {why}"),
            Self::Refused { status, why, .. } => write!(f, "the bridge answers {status} ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Failure {
        Failure::Refused { status, why: "no".into(), retry_after: None }
    }

    #[test]
    fn open_is_whatever_may_have_happened() {
        let open =
            [Failure::Lost("cut".into()), Failure::Garbled("<html>".into()), refused(500), refused(502), refused(503)];
        assert!(open.iter().all(Failure::is_open));
        let closed = [Failure::Unreachable("refused".into()), refused(400), refused(401), refused(429), refused(301)];
        assert!(!closed.iter().any(Failure::is_open));
    }

    #[test]
    fn advice_names_the_setting() {
        assert!(refused(401).advice().contains("`api_key`"));
        assert!(refused(404).advice().contains("`api_url`") && refused(302).advice().contains("`api_url`"));
        assert!(!refused(500).advice().contains('`'));
    }

    #[test]
    fn too_many_requests_are_not_final() {
        assert!(refused(400).is_final() && refused(401).is_final() && refused(404).is_final());
        assert!(!refused(429).is_final() && !refused(500).is_final() && !refused(302).is_final());
    }
}
