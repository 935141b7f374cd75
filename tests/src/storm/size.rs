//! How large a host is that runs on and on: its memory and its descriptors, early and late.

use crate::host::Host;
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

const STEP: Duration = Duration::from_secs(1);
/// Growth that is noise: caches that fill, and what the allocator keeps.
const NOISE: u64 = 16 * 1024 * 1024;

/// The largest of the second fifth of the time, and of the last one.
#[derive(Debug)]
pub struct Size {
    memory: [u64; 2],
    descriptors: [usize; 2],
}

/// Looks until it is over; panics if the host has grown by more than a half.
pub async fn watch(host: &Host, is_over: impl Fn() -> bool) -> Size {
    let mut looks = Vec::new();
    while !is_over() {
        sleep(STEP).await;
        looks.push((host.memory(), host.descriptors()));
    }
    let fifth = (looks.len() / 5).max(1);
    let early = looks.iter().skip(fifth).take(fifth).chain(looks.first());
    let late = looks.iter().rev().take(fifth);
    let most = |looks: &mut dyn Iterator<Item = &(u64, usize)>| {
        looks.fold((0, 0), |most, look| (most.0.max(look.0), most.1.max(look.1)))
    };
    let ((before, open_before), (after, open_after)) = (most(&mut early.into_iter()), most(&mut late.into_iter()));
    assert!(after <= before * 3 / 2 + NOISE, "memory grew from {before} to {after} bytes: {looks:?}");
    assert!(open_after <= open_before * 3 / 2 + 32, "descriptors grew from {open_before} to {open_after}: {looks:?}");
    Size { memory: [before, after], descriptors: [open_before, open_after] }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = self.memory.map(|bytes| bytes / (1024 * 1024));
        let [open_before, open_after] = self.descriptors;
        write!(f, "memory {before} MiB early, {after} MiB late, descriptors {open_before} and {open_after}")
    }
}
