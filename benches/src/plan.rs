//! How much is measured: all of it for the record, or a minute's worth for daily use.

use std::time::Duration;

/// Counts and times of one whole pass.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each thing is measured; the median counts.
    pub runs: usize,
    /// Messages in the filled store.
    pub stored: usize,
    /// In each run a thing and its baseline take turns so often, so that both meet the same disturbances.
    pub turns: usize,
    /// How long a load lasts in each turn, after its warm-up.
    pub load: Duration,
    pub warm_up: Duration,
    /// Jobs whose hand-over is timed in each run.
    pub handovers: usize,
    /// How long visitors come at a steady pace.
    pub visits: Duration,
    /// Turns that are asked for as fast as it goes.
    pub asked: usize,
    /// Turns that each conversation with a slow agent has.
    pub slow_turns: usize,
    /// Events that reach subscribers, over all of them.
    pub delivered: usize,
    /// Messages of a room with webhooks.
    pub hooked: usize,
    /// Runs of what takes seconds by its nature.
    pub slow_runs: usize,
}

impl Plan {
    pub fn whole() -> Self {
        Self {
            runs: 5,
            stored: 1_000_000,
            turns: 4,
            load: Duration::from_millis(500),
            warm_up: Duration::from_millis(100),
            handovers: 400,
            visits: Duration::from_secs(5),
            asked: 8000,
            slow_turns: 5,
            delivered: 4_000_000,
            hooked: 1000,
            slow_runs: 5,
        }
    }

    pub fn quick() -> Self {
        Self {
            runs: 2,
            stored: 100_000,
            turns: 2,
            load: Duration::from_millis(300),
            warm_up: Duration::from_millis(100),
            handovers: 200,
            visits: Duration::from_secs(2),
            asked: 3000,
            slow_turns: 3,
            delivered: 1_000_000,
            hooked: 400,
            slow_runs: 1,
        }
    }
}
