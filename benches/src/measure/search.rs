//! Search over a filled store: single words, from frequent to rare, and whatever else a query may be.

use super::Bench;
use crate::load::{Sample, Shape, closed_loop};
use crate::process::{self, Server};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::words::Texts;
use crate::{Result, client};

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let host = process::host(&bench.filled()?.folder, "")?;
    let (mut words, mut words_p99) = (Series::default(), Series::default());
    let (mut mixed, mut mixed_p99) = (Series::default(), Series::default());
    for _ in 0..bench.plan.runs {
        let (mut one, mut any) = (Sample::empty()?, Sample::empty()?);
        for _ in 0..bench.plan.turns {
            asked(bench, &mut one, &host, 4, |texts, number| word(texts, number).to_owned())?;
            asked(bench, &mut any, &host, 4, any_query)?;
        }
        words.add(one.rate());
        words_p99.add(one.times.at(0.99));
        mixed.add(any.rate());
        mixed_p99.add(any.times.at(0.99));
    }
    host.stop()?;
    Ok(vec![
        Row::new(format!("search for a word, c=4, {} stored", bench.stored()))
            .figure("", &words, Unit::PerSecond)
            .figure("p99", &words_p99, Unit::Nanoseconds)
            .wanted("≥ 1,500/s", words.median() >= 1500.0)
            .wanted("p99 ≤ 5 ms", words_p99.median() <= 5e6),
        Row::new("search for two words, phrases that occur and that never do, and prefixes, in turn, c=4")
            .figure("", &mixed, Unit::PerSecond)
            .figure("p99", &mixed_p99, Unit::Nanoseconds)
            .wanted("p99 ≤ 25 ms", mixed_p99.median() <= 25e6),
    ])
}

fn asked(
    bench: &Bench,
    sample: &mut Sample,
    host: &Server,
    connections: usize,
    query: impl Fn(&Texts, usize) -> String + Send + Sync + 'static,
) -> Result<()> {
    let shape = Shape { address: host.address, connections, warm_up: bench.plan.warm_up, time: bench.plan.load };
    let texts = bench.texts.clone();
    closed_loop(sample, shape, move |number| {
        let query = query(&texts, number).replace(' ', "%20").replace('"', "%22").replace('*', "%2A");
        client::get(&format!("/api/v1/search?q={query}"))
    })
}

/// A word of a message, so that frequent ones are asked for more often.
fn word(texts: &Texts, number: usize) -> &str {
    texts.get(number).split(' ').nth(number % 5).unwrap_or("ba")
}

fn any_query(texts: &Texts, number: usize) -> String {
    let mut words = texts.get(number).split(' ');
    let (first, second) = (words.next().unwrap_or("ba"), words.next().unwrap_or("ce"));
    match number % 4 {
        0 => format!("{first} {second}"),
        1 => format!("\"{first} {second}\""),
        2 => format!("\"{second} {first} {first}\""),
        _ => format!("{}*", first.chars().take(4).collect::<String>()),
    }
}
