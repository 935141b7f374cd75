//! Rate limits per address or token: a window opens with a key's first request and holds N until it ends. Memory is bounded: beyond 200,000 keys
//! the oldest are dropped.

use crate::auth::digest;
use crate::error::{Error, Limited};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const KEYS: usize = 200_000;

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// An address, or the network whose addresses are one user's.
    Address(IpAddr),
    /// A token, by its digest: as short for a long one.
    Token([u8; 32]),
}

impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

impl Key {
    pub fn token(token: &str) -> Self {
        Self::Token(digest(token))
    }
}

/// What is left after a request that was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
}

/// One kind of request.
pub struct Limiter {
    /// May change while windows are open; what they counted stays.
    limit: AtomicU32,
    window: Duration,
    /// `messages per minute`, for the text.
    what: &'static str,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    by_key: HashMap<Key, (Instant, u32)>,
    /// Keys by when their window opened. A key whose window was opened anew is in it again; the older entry is then skipped.
    opened: VecDeque<(Instant, Key)>,
}

impl Limiter {
    /// 0 switches it off.
    pub fn new(limit: u32, window: Duration, what: &'static str) -> Self {
        Self { limit: limit.into(), window, what, windows: Mutex::default() }
    }

    /// From now on so many.
    pub fn set(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts a request; None when the limiter is off.
    pub fn charge(&self, key: impl Into<Key>) -> Result<Option<Allowance>, Error> {
        self.charge_at(key.into(), Instant::now())
    }

    fn charge_at(&self, key: Key, now: Instant) -> Result<Option<Allowance>, Error> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return Ok(None);
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.expire(now, self.window);
        let (opened, used) = *windows.by_key.entry(key).or_insert((now, 0));
        if used == 0 {
            windows.opened.push_back((now, key));
        }
        if used >= limit {
            let left = self.window.saturating_sub(now.duration_since(opened));
            return Err(Error::Limited(Limited {
                text: format!("Rate limited: max {limit} {}", self.what),
                limit,
                retry_after_seconds: left.as_secs_f64().ceil().max(1.0) as u64,
            }));
        }
        windows.by_key.insert(key, (opened, used + 1));
        Ok(Some(Allowance { limit, remaining: limit - used - 1 }))
    }
}

impl Windows {
    /// Windows that have ended, and the oldest beyond the bound.
    fn expire(&mut self, now: Instant, window: Duration) {
        while let Some((opened, key)) = self.opened.front().copied() {
            if now.duration_since(opened) < window && self.by_key.len() < KEYS {
                return;
            }
            self.opened.pop_front();
            if self.by_key.get(&key).is_some_and(|(at, _)| *at == opened) {
                self.by_key.remove(&key);
            }
        }
    }
}

/// An IPv6 user has a whole /64 to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limit: u32) -> Limiter {
        Limiter::new(limit, Duration::from_secs(60), "messages per minute")
    }

    fn key(address: [u8; 4]) -> Key {
        IpAddr::from(address).into()
    }

    fn v6(text: &str) -> Key {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn tokens_and_addresses_are_counted_apart() {
        let (limiter, start) = (limiter(1), Instant::now());
        assert!(limiter.charge_at(Key::token("whk_1"), start).is_ok());
        assert!(limiter.charge_at(Key::token("whk_1"), start).is_err());
        assert!(limiter.charge_at(Key::token("whk_2"), start).is_ok());
        assert!(limiter.charge_at(key([10, 0, 0, 1]), start).is_ok());
    }

    #[test]
    fn window_is_not_moved_by_refusals_and_gives_all_back_at_its_end() {
        let (limiter, start) = (limiter(60), Instant::now());
        let address = key([10, 0, 0, 1]);
        for _ in 0..60 {
            assert!(limiter.charge_at(address, start).is_ok());
        }
        for second in 1..60 {
            assert!(limiter.charge_at(address, start + Duration::from_secs(second)).is_err(), "second {second}");
        }
        let next = start + Duration::from_secs(60);
        assert_eq!(limiter.charge_at(address, next).unwrap(), Some(Allowance { limit: 60, remaining: 59 }));
    }

    #[test]
    fn limit_of_zero_is_off() {
        let (limiter, start) = (limiter(0), Instant::now());
        assert!((0..1000).all(|_| limiter.charge_at(key([10, 0, 0, 1]), start) == Ok(None)));
    }

    #[test]
    fn window_holds_n_and_opens_again() {
        let (limiter, start) = (limiter(2), Instant::now());
        let address = key([10, 0, 0, 1]);
        assert_eq!(limiter.charge_at(address, start).unwrap(), Some(Allowance { limit: 2, remaining: 1 }));
        assert_eq!(limiter.charge_at(address, start).unwrap(), Some(Allowance { limit: 2, remaining: 0 }));
        let Err(Error::Limited(limited)) = limiter.charge_at(address, start + Duration::from_secs(10)) else {
            panic!("the third is refused")
        };
        assert_eq!(
            (limited.text.as_str(), limited.retry_after_seconds),
            ("Rate limited: max 2 messages per minute", 50)
        );
        assert!(limiter.charge_at(key([10, 0, 0, 2]), start).is_ok(), "another address has its own");
        assert!(limiter.charge_at(address, start + Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn limit_that_changes_counts_at_once() {
        let (limiter, start) = (limiter(2), Instant::now());
        let address = key([10, 0, 0, 1]);
        assert!(limiter.charge_at(address, start).is_ok());
        limiter.set(1);
        assert!(limiter.charge_at(address, start).is_err());
        limiter.set(3);
        assert_eq!(limiter.charge_at(address, start).unwrap(), Some(Allowance { limit: 3, remaining: 1 }));
    }

    #[test]
    fn ipv6_addresses_of_one_network_share_a_window() {
        let (limiter, start) = (limiter(1), Instant::now());
        assert!(limiter.charge_at(v6("2001:db8::1"), start).is_ok());
        assert!(limiter.charge_at(v6("2001:db8::2"), start).is_err());
        assert!(limiter.charge_at(v6("2001:db8:0:1::1"), start).is_ok());
    }

    #[test]
    fn memory_is_bounded_under_a_million_addresses() {
        let (limiter, start) = (limiter(5), Instant::now());
        for number in 0..1_000_000u32 {
            limiter.charge_at(key(number.to_be_bytes()), start).unwrap();
        }
        let windows = limiter.windows.lock().unwrap();
        assert!(windows.by_key.len() <= KEYS && windows.opened.len() <= KEYS + 1, "{} keys", windows.by_key.len());
    }
}
