//! What is measured, a file per thing. A new one is a file here with `run`, and a line in `ALL`.

mod boundary;
mod handover;
mod lists;
mod post;
mod queue;
mod read;
mod search;
mod slow_agent;
mod start;
mod streams;
mod visitors;
mod webhooks;

use crate::plan::Plan;
use crate::report::{Report, Row};
use crate::words::Texts;
use crate::{Result, machine, stores};
use arcuate::ids::RoomId;
use clap::builder::PossibleValuesParser;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

type Measurement = fn(&Bench) -> Result<Vec<Row>>;

/// In the order of the report.
const ALL: [(&str, Measurement); 12] = [
    ("post", post::run),
    ("read", read::run),
    ("lists", lists::run),
    ("search", search::run),
    ("streams", streams::run),
    ("handover", handover::run),
    ("queue", queue::run),
    ("visitors", visitors::run),
    ("slow_agent", slow_agent::run),
    ("webhooks", webhooks::run),
    ("boundary", boundary::run),
    ("start", start::run),
];

/// What measurements share.
pub struct Bench {
    pub plan: Plan,
    pub texts: Arc<Texts>,
    root: TempDir,
    /// Where the filled store is kept; else it goes with the rest.
    kept: Option<PathBuf>,
    filled: OnceCell<Filled>,
}

/// A host's folder with a filled store; whoever uses it stops its host in good order.
pub struct Filled {
    pub folder: PathBuf,
    pub rooms: Vec<RoomId>,
}

pub fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.map(|(name, _)| name))
}

/// Measures these, or all if none is named.
pub fn run(plan: Plan, kept: Option<&Path>, names: &[String]) -> Result<Report> {
    let begun = Instant::now();
    let bench = Bench::new(plan, kept)?;
    let machine = machine::describe(bench.root.path())?;
    let mut rows = Vec::new();
    for (name, measurement) in ALL {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            let begun = Instant::now();
            rows.extend(measurement(&bench).map_err(|error| format!("{name}: {error}"))?);
            eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    Ok(Report { plan: bench.plan, rows, machine, took: begun.elapsed() })
}

impl Bench {
    fn new(plan: Plan, kept: Option<&Path>) -> Result<Self> {
        // Beside the build: a temporary folder of the system may be a tmpfs, where an fsync costs nothing.
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
        let root = tempfile::Builder::new().prefix("benches-").tempdir_in(target)?;
        let kept = kept.map(Path::to_owned);
        Ok(Self { plan, texts: Arc::new(Texts::new()), root, kept, filled: OnceCell::new() })
    }

    /// A new folder, empty.
    pub fn folder(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.root.path())?)
    }

    /// The filled store, made the first time.
    pub fn filled(&self) -> Result<&Filled> {
        if let Some(filled) = self.filled.get() {
            return Ok(filled);
        }
        let begun = Instant::now();
        let folder = self.kept.clone().unwrap_or_else(|| self.root.path().join("filled"));
        let store = crate::process::store_in(&folder);
        let rooms = if store.exists() {
            stores::rooms(&store, self.plan.stored)?
        } else {
            std::fs::create_dir_all(&folder)?;
            stores::make(&store, self.plan.stored, &self.texts)?
        };
        eprintln!("a store with {} messages: {:.0} s", self.plan.stored, begun.elapsed().as_secs_f64());
        Ok(self.filled.get_or_init(|| Filled { folder, rooms }))
    }

    /// How many messages the filled store has, for people.
    pub fn stored(&self) -> String {
        match self.plan.stored {
            stored if stored >= 1_000_000 => format!("{}M", stored / 1_000_000),
            stored => format!("{}k", stored / 1000),
        }
    }
}
