//! A message posted over HTTP, durable before its answer: on an empty store, on a filled one, and beside `raw` and `echo`.

use super::Bench;
use crate::load::{Sample, Shape, closed_loop};
use crate::process::{self, Server, store_in};
use crate::raw::Raw;
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::words::Texts;
use crate::{Result, client, stores};
use arcuate::ids::RoomId;
use std::sync::Arc;

/// Of clients, and of messages per transaction of `raw`.
const COUNTS: [usize; 3] = [1, 8, 64];

/// Over the runs, with one number of clients.
#[derive(Default)]
struct Figures {
    raw: Series,
    rate: Series,
    p50: Series,
    p99: Series,
    filled_rate: Series,
    filled_p50: Series,
    filled_p99: Series,
}

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut all = COUNTS.map(|_| Figures::default());
    let mut echo = Series::default();
    let filled = bench.filled()?;
    let filled_host = process::host(&filled.folder, "")?;
    for _ in 0..bench.plan.runs {
        let (folder, raw_folder) = (bench.folder()?, bench.folder()?);
        let rooms = stores::make(&store_in(folder.path()), 0, &bench.texts)?;
        stores::make(&store_in(raw_folder.path()), 0, &bench.texts)?;
        let mut raw = Raw::open(&store_in(raw_folder.path()), &bench.texts)?;
        let host = process::host(folder.path(), "")?;
        for (count, figures) in COUNTS.into_iter().zip(&mut all) {
            let (mut sample, mut on_filled, mut written) = (Sample::empty()?, Sample::empty()?, 0.0);
            for _ in 0..bench.plan.turns {
                written += raw.rate(count, bench.plan.warm_up, bench.plan.load)?;
                posts(bench, &mut sample, &host, count, &rooms)?;
                posts(bench, &mut on_filled, &filled_host, count, &filled.rooms)?;
            }
            figures.add(written / bench.plan.turns as f64, &sample, &on_filled);
        }
        let (server, mut sample) = (process::echo(folder.path())?, Sample::empty()?);
        echoes(bench, &mut sample, &server, 64)?;
        echo.add(sample.rate());
    }
    filled_host.stop()?;
    let mut rows: Vec<Row> = COUNTS.iter().zip(&all).map(|(count, figures)| figures.row(*count)).collect();
    rows.extend(COUNTS.iter().zip(&all).map(|(count, figures)| figures.filled_row(*count, &bench.stored())));
    rows.push(Row::new("`echo` itself, c=64").figure("", &echo, Unit::PerSecond));
    Ok(rows)
}

impl Figures {
    fn add(&mut self, raw: f64, sample: &Sample, on_filled: &Sample) {
        self.raw.add(raw);
        self.rate.add(sample.rate());
        self.p50.add(sample.times.at(0.5));
        self.p99.add(sample.times.at(0.99));
        self.filled_rate.add(on_filled.rate());
        self.filled_p50.add(on_filled.times.at(0.5));
        self.filled_p99.add(on_filled.times.at(0.99));
    }

    fn row(&self, count: usize) -> Row {
        let share = self.rate.over(&self.raw);
        let row = Row::new(format!("POST message, durable, empty store, c={count}"))
            .figure("", &self.rate, Unit::PerSecond)
            .figure("p50", &self.p50, Unit::Nanoseconds)
            .figure("p99", &self.p99, Unit::Nanoseconds)
            .beside(&share, &format!("`raw` with {count} per transaction"), &self.raw, Unit::PerSecond);
        match count {
            1 => row
                .wanted("≥ 55 % of `raw`", share.median() >= 0.55)
                .wanted("p50 ≤ 0.6 ms", self.p50.median() <= 600_000.0),
            64 => {
                row.wanted("≥ 15k/s", self.rate.median() >= 15_000.0).wanted("≥ 50 % of `raw`", share.median() >= 0.5)
            }
            _ => row,
        }
    }

    fn filled_row(&self, count: usize, stored: &str) -> Row {
        let share = self.filled_rate.over(&self.rate);
        let row = Row::new(format!("the same with {stored} stored, c={count}"))
            .figure("", &self.filled_rate, Unit::PerSecond)
            .figure("p50", &self.filled_p50, Unit::Nanoseconds)
            .figure("p99", &self.filled_p99, Unit::Nanoseconds)
            .beside(&share, "the empty store's", &self.rate, Unit::PerSecond);
        match count {
            1 => row.wanted("≥ 80 % of the empty store's", share.median() >= 0.8),
            64 => row.wanted("≥ 90 % of the empty store's", share.median() >= 0.9),
            _ => row,
        }
    }
}

fn shape(bench: &Bench, server: &Server, connections: usize) -> Shape {
    Shape { address: server.address, connections, warm_up: bench.plan.warm_up, time: bench.plan.load }
}

fn posts(bench: &Bench, sample: &mut Sample, host: &Server, connections: usize, rooms: &[RoomId]) -> Result<()> {
    let paths: Vec<String> = rooms.iter().map(|room| format!("/api/v1/rooms/{room}/messages")).collect();
    let texts = bench.texts.clone();
    closed_loop(sample, shape(bench, host, connections), move |number| {
        client::post(&paths[number % paths.len()], &message(&texts, number))
    })
}

pub(super) fn echoes(bench: &Bench, sample: &mut Sample, server: &Server, connections: usize) -> Result<()> {
    let texts = bench.texts.clone();
    let request = move |number| client::post("/echo", &message(&texts, number));
    closed_loop(sample, shape(bench, server, connections), request)
}

fn message(texts: &Arc<Texts>, number: usize) -> String {
    let (sender, content) = (stores::sender(number), texts.get(number));
    format!("{{\"sender\":\"{sender}\",\"content\":\"{content}\"}}")
}
