//! Lists whose counts are kept and not counted: rooms, unread messages, the store's figures; on a filled store.

use super::Bench;
use crate::load::{Sample, Shape, closed_loop};
use crate::process::{self, Server};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, client, stores};

const CLIENTS: usize = 64;
const PATHS: [(&str, &str); 3] = [
    ("GET /rooms (100 rooms)", "/api/v1/rooms"),
    ("GET /unread of somebody who wrote in each of 100 rooms", "/api/v1/unread?sender="),
    ("GET /stats", "/api/v1/stats"),
];

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let filled = bench.filled()?;
    let host = process::host(&filled.folder, "")?;
    let mut all = PATHS.map(|_| (Series::default(), Series::default()));
    for _ in 0..bench.plan.runs {
        for ((_, path), (rate, p99)) in PATHS.iter().zip(&mut all) {
            let mut sample = Sample::empty()?;
            for _ in 0..bench.plan.turns {
                asked(bench, &mut sample, &host, path)?;
            }
            rate.add(sample.rate());
            p99.add(sample.times.at(0.99));
        }
    }
    host.stop()?;
    let row = |((name, _), (rate, p99)): (&(&str, &str), &(Series, Series))| {
        Row::new(format!("{name}, c={CLIENTS}, {} stored", bench.stored()))
            .figure("", rate, Unit::PerSecond)
            .figure("p99", p99, Unit::Nanoseconds)
            .wanted("≥ 2,000/s", rate.median() >= 2000.0)
    };
    Ok(PATHS.iter().zip(&all).map(row).collect())
}

fn asked(bench: &Bench, sample: &mut Sample, host: &Server, path: &'static str) -> Result<()> {
    let shape =
        Shape { address: host.address, connections: CLIENTS, warm_up: bench.plan.warm_up, time: bench.plan.load };
    closed_loop(sample, shape, move |number| match path.strip_suffix("sender=") {
        Some(_) => client::get(&format!("{path}{}", stores::sender(number).replace(' ', "%20"))),
        None => client::get(path),
    })
}
