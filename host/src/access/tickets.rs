//! Tickets: for requests that cannot carry a header, which browsers send for event streams and images. Each counts once and for a
//! minute, so that one which is left in somebody's log or history opens nothing.

use super::{Digest, Grant};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

pub const LIFETIME: Duration = Duration::from_secs(60);
/// Beyond so many the oldest count no more.
const MOST: usize = 10_000;

/// Those that were issued and not used.
#[derive(Default)]
pub(super) struct Tickets {
    by_digest: HashMap<Digest, (Instant, Grant)>,
    /// Also of those that were used since, until their time is over.
    issued: VecDeque<(Instant, Digest)>,
}

impl Tickets {
    pub(super) fn put(&mut self, ticket: Digest, grant: Grant) {
        self.put_at(ticket, grant, Instant::now());
    }

    /// None for one that is unknown, used or too old.
    pub(super) fn take(&mut self, ticket: &Digest) -> Option<Grant> {
        self.take_at(ticket, Instant::now())
    }

    fn put_at(&mut self, ticket: Digest, grant: Grant, now: Instant) {
        while self.issued.front().is_some_and(|(at, _)| now - *at >= LIFETIME || self.issued.len() >= MOST) {
            if let Some((_, old)) = self.issued.pop_front() {
                self.by_digest.remove(&old);
            }
        }
        self.issued.push_back((now, ticket));
        self.by_digest.insert(ticket, (now, grant));
    }

    fn take_at(&mut self, ticket: &Digest, now: Instant) -> Option<Grant> {
        let (at, grant) = self.by_digest.remove(ticket)?;
        (now - at < LIFETIME).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_ends_after_its_time() {
        let (mut tickets, start) = (Tickets::default(), Instant::now());
        tickets.put_at([1; 32], Grant::Operator, start);
        tickets.put_at([2; 32], Grant::Operator, start);
        assert!(tickets.take_at(&[1; 32], start + LIFETIME - Duration::from_millis(1)).is_some());
        assert!(tickets.take_at(&[2; 32], start + LIFETIME).is_none());
    }

    #[test]
    fn memory_is_bounded_by_dropping_the_oldest() {
        let (mut tickets, start) = (Tickets::default(), Instant::now());
        let digest = |number: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            digest
        };
        (0..MOST + 5).for_each(|number| tickets.put_at(digest(number), Grant::Operator, start));
        assert_eq!((tickets.by_digest.len(), tickets.issued.len()), (MOST, MOST));
        assert!(tickets.take_at(&digest(4), start).is_none() && tickets.take_at(&digest(5), start).is_some());
    }
}
