//! The long way of what the tests do shortly: `storm --minutes N`, `kills --rounds N` and `soak --minutes N`, with `--seed N`. Ends with 0 and one line of
//! figures, or panics with what was lost. docs/RELIABILITY.md keeps the last figures.

use arcuate_tests::storm::{Plan, Report, Until, run};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
cargo run -p arcuate-tests --bin reliability -- storm [--minutes 10] [--seed 1]
cargo run -p arcuate-tests --bin reliability -- kills [--rounds 200] [--seed 1]
cargo run -p arcuate-tests --bin reliability -- soak  [--minutes 60] [--seed 1]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(plan) = plan(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    told(run(&words.join(" "), plan).await)
}

fn plan(words: &[&str]) -> Option<Plan> {
    let (command, options) = words.split_first()?;
    let pairs = options.chunks(2).map(|pair| Some((*pair.first()?, pair.get(1)?.parse::<u64>().ok()?)));
    let pairs: Vec<(&str, u64)> = pairs.collect::<Option<_>>()?;
    let option = |name: &str, usual: u64| pairs.iter().find(|(key, _)| *key == name).map_or(usual, |(_, value)| *value);
    let known = match *command {
        "storm" | "soak" => ["--minutes", "--seed"],
        "kills" => ["--rounds", "--seed"],
        _ => return None,
    };
    let seed = option("--seed", 1);
    let minutes = |usual: u64| Until::Passed(Duration::from_secs(60 * option("--minutes", usual)));
    pairs.iter().all(|(key, _)| known.contains(key)).then(|| match *command {
        "storm" => Plan::storm(seed, minutes(10)),
        "soak" => Plan::soak(seed, minutes(60)),
        _ => Plan::kills(seed, Until::Kills(option("--rounds", 200))),
    })
}

fn told(report: Option<Report>) -> ExitCode {
    match report {
        Some(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
