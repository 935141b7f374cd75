//! Ports for programs that must know theirs before they start, or come back on the same one. They lie below those that the system gives
//! out by itself, so that no connection of another test sits on one in the moment when its program is away.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A port of this machine that nobody listens on, and that no other test of this run gets.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test runs beside each other begin at different places.
    let start = std::process::id().wrapping_mul(997);
    let candidates = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed)).take(COUNT as usize);
    let ports = candidates.map(|number| (FIRST + start.wrapping_add(number) % COUNT) as u16);
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of many ports is free")
}
