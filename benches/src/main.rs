//! Measures the host, each thing beside a bare baseline in the same minute, because machines differ and are noisy: ratios inside one run
//! count, not figures of different days. What is measured is in `measure/`, a file per thing; `plan.rs` says how long and how often.

mod client;
mod echo;
mod fanout;
mod load;
mod machine;
mod measure;
mod plan;
mod process;
mod raw;
mod report;
mod series;
mod stores;
mod words;

use clap::Parser;
use plan::Plan;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Errors are for whoever runs this at a terminal: text is enough.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures the host that lies beside this program.
#[derive(Debug, Parser)]
struct Arguments {
    /// About a minute's worth in place of all.
    #[arg(long)]
    quick: bool,
    /// Writes the figures into this file as well.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Keeps the filled store in this folder, so that the next run begins at once.
    #[arg(long, value_name = "FOLDER")]
    filled: Option<PathBuf>,
    /// Serves the baseline `echo` until it is killed; for this program's own use.
    #[arg(long, hide = true)]
    serve_echo: bool,
    /// The same with the baseline `fanout`.
    #[arg(long, hide = true)]
    serve_fanout: bool,
    /// Only these measurements.
    #[arg(value_parser = measure::names())]
    names: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments {
        Arguments { serve_echo: true, .. } => echo::serve(),
        Arguments { serve_fanout: true, .. } => fanout::serve(),
        _ => measured(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(arguments: &Arguments) -> Result<()> {
    let plan = if arguments.quick { Plan::quick() } else { Plan::whole() };
    let report = measure::run(plan, arguments.filled.as_deref(), &arguments.names)?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", report.table())?;
    if let Some(path) = &arguments.write {
        std::fs::write(path, report.document()?)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        writeln!(output, "written to {}", path.display())?;
    }
    Ok(())
}
