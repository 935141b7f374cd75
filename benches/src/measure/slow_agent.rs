//! Two hundred conversations with an agent that needs a second for each turn: nobody waits for somebody else's turn.

use super::{Bench, visitors};
use crate::Result;
use crate::process;
use crate::report::Row;
use crate::series::{Series, Unit};

const CONVERSATIONS: usize = 200;
const SETTINGS: &str = "delay_ms = 1000\nconcurrency = 256";

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut turns = Series::default();
    for _ in 0..bench.plan.slow_runs {
        let folder = bench.folder()?;
        let host = process::host(folder.path(), SETTINGS)?;
        turns.add(visitors::turns_per_second(&host, CONVERSATIONS, CONVERSATIONS * bench.plan.slow_turns)?);
        host.stop()?;
    }
    let row = Row::new(format!("{CONVERSATIONS} conversations, the agent needs 1 s, `concurrency = 256`"))
        .figure("", &turns, Unit::PerSecond)
        .wanted("≥ 190/s", turns.median() >= 190.0);
    Ok(vec![row])
}
