//! Pages of 50 messages after a cursor, from a filled store: near the end of a room, where readers are, and anywhere.

use super::{Bench, post};
use crate::load::{Sample, Shape, closed_loop};
use crate::process::{self, Server, store_in};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::words::Numbers;
use crate::{Result, client, stores};
use std::sync::{Mutex, PoisonError};

const CLIENTS: usize = 64;
const PAGE: usize = 50;

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let filled = bench.filled()?;
    let head = stores::number(&store_in(&filled.folder), "select max(seq) from messages")? as usize;
    let host = process::host(&filled.folder, "")?;
    let server = process::echo(&filled.folder)?;
    // The rooms take turns, so this is the part of the log in which each has one more page.
    let page = PAGE * stores::ROOMS;
    let (mut near, mut anywhere) = (Series::default(), Series::default());
    let (mut echo, mut ready) = (Series::default(), Series::default());
    let (mut near_p99, mut anywhere_p99) = (Series::default(), Series::default());
    for _ in 0..bench.plan.runs {
        let (mut echoed, mut given) = (Sample::empty()?, Sample::empty()?);
        let (mut at_the_end, mut somewhere) = (Sample::empty()?, Sample::empty()?);
        for _ in 0..bench.plan.turns {
            post::echoes(bench, &mut echoed, &server, CLIENTS)?;
            closed_loop(&mut given, shape(bench, &server), |_| client::get("/page"))?;
            pages(bench, &mut at_the_end, &host, head - 2 * page, page)?;
            pages(bench, &mut somewhere, &host, 0, head - page)?;
        }
        echo.add(echoed.rate());
        ready.add(given.rate());
        near.add(at_the_end.rate());
        near_p99.add(at_the_end.times.at(0.99));
        anywhere.add(somewhere.rate());
        anywhere_p99.add(somewhere.times.at(0.99));
    }
    host.stop()?;
    let share = near.over(&echo);
    Ok(vec![
        Row::new(format!("GET {PAGE} messages near the end of a room, c={CLIENTS}, {} stored", bench.stored()))
            .figure("", &near, Unit::PerSecond)
            .figure("p99", &near_p99, Unit::Nanoseconds)
            .beside(&share, "`echo`", &echo, Unit::PerSecond)
            .wanted("≥ 30 % of `echo`", share.median() >= 0.3),
        Row::new("the same anywhere in it")
            .figure("", &anywhere, Unit::PerSecond)
            .figure("p99", &anywhere_p99, Unit::Nanoseconds)
            .beside(&anywhere.over(&echo), "`echo`", &echo, Unit::PerSecond),
        Row::new(format!("as many bytes as such a page has, from the memory of `echo`, c={CLIENTS}"))
            .figure("", &ready, Unit::PerSecond)
            .beside(&ready.over(&echo), "`echo`", &echo, Unit::PerSecond),
    ])
}

/// With cursors in the `span` numbers from `from`.
fn pages(bench: &Bench, sample: &mut Sample, host: &Server, from: usize, span: usize) -> Result<()> {
    let rooms = bench.filled()?.rooms.clone();
    let numbers = Mutex::new(Numbers::new(11));
    closed_loop(sample, shape(bench, host), move |number| {
        let after = from + numbers.lock().unwrap_or_else(PoisonError::into_inner).below(span);
        let room = rooms[number % rooms.len()];
        client::get(&format!("/api/v1/rooms/{room}/messages?after={after}&limit={PAGE}"))
    })
}

fn shape(bench: &Bench, server: &Server) -> Shape {
    Shape { address: server.address, connections: CLIENTS, warm_up: bench.plan.warm_up, time: bench.plan.load }
}
