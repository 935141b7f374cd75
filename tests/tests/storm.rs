//! Storms, short enough for every day; `cargo run -p arcuate-tests --bin reliability` is the long way.
//!
//! `ARCUATE_STORM_SEED` (1) is the luck, `ARCUATE_STORM_ROUNDS` (20) the number of kills, `ARCUATE_STORM_SECONDS` (60) the longer one's length.

use arcuate_tests::chance::number_of;
use arcuate_tests::storm::{Plan, Until, run};
use std::time::Duration;

fn seed() -> u64 {
    number_of("ARCUATE_STORM_SEED", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_of_kills_and_faults_loses_nothing_and_says_nothing_twice() {
    let plan = Plan::kills(seed(), Until::Kills(number_of("ARCUATE_STORM_ROUNDS", 20)));
    if let Some(report) = run("a storm of kills", plan).await {
        eprintln!("{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_with_operators_who_interfere_loses_nothing_and_says_nothing_twice() {
    let length = Duration::from_secs(number_of("ARCUATE_STORM_SECONDS", 60));
    if let Some(report) = run("a storm with operators", Plan::storm(seed(), Until::Passed(length))).await {
        eprintln!("{report}");
    }
}
