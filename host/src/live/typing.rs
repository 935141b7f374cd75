//! Who is typing where: told at most once in two seconds, however often their client says so.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_secs(2);
/// Beyond so many within that time the oldest are forgotten, and may be told again.
const MOST: usize = 10_000;

/// See the module's text.
#[derive(Default)]
pub struct Typing {
    told: Mutex<Told>,
}

/// A room's key and a sender.
type Who = (i64, String);

#[derive(Default)]
struct Told {
    known: HashSet<Who>,
    /// The same, the oldest first.
    order: VecDeque<(Instant, Who)>,
}

impl Typing {
    /// Whether this is to be told now.
    pub fn is_new(&self, room: i64, sender: &str) -> bool {
        self.is_new_at(room, sender, Instant::now())
    }

    fn is_new_at(&self, room: i64, sender: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.forget(now);
        let who = (room, sender.to_owned());
        if told.known.contains(&who) {
            return false;
        }
        told.order.push_back((now, who.clone()));
        told.known.insert(who);
        true
    }
}

impl Told {
    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front() {
            if now.duration_since(*at) < QUIET && self.order.len() < MOST {
                return;
            }
            if let Some((_, who)) = self.order.pop_front() {
                self.known.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_is_told_once_in_two_seconds_and_room() {
        let (typing, start) = (Typing::default(), Instant::now());
        assert!(typing.is_new_at(1, "ada", start));
        assert!(!typing.is_new_at(1, "ada", start + Duration::from_millis(1999)));
        assert!(typing.is_new_at(2, "ada", start) && typing.is_new_at(1, "bob", start));
        assert!(typing.is_new_at(1, "ada", start + QUIET));
    }

    #[test]
    fn memory_is_bounded_under_many_names() {
        let (typing, start) = (Typing::default(), Instant::now());
        (0..3 * MOST).for_each(|number| assert!(typing.is_new_at(1, &number.to_string(), start)));
        let told = typing.told.lock().unwrap();
        assert!(told.known.len() <= MOST && told.order.len() <= MOST);
    }
}
