//! The command line. A command loads the configuration, finds the running host or the store at rest (`session`), calls the very function
//! that the admin API calls, and shows the answer as JSON or for people (`view`, `table`). `report` says how it ends.

mod ago;
mod args;
mod audit;
mod backup;
mod changes;
mod check;
mod client;
mod columns;
mod confirm;
mod conversations;
mod doctor;
mod harmless;
mod logs;
mod manual;
mod people;
mod people_args;
mod person_data;
mod plugins;
mod plugins_args;
mod plugins_view;
mod progress;
mod queue;
mod queue_args;
mod queue_cleanup;
mod queue_view;
mod report;
mod rooms;
mod send;
mod serve;
mod session;
mod systemd;
mod table;
mod tail;
mod tokens;
mod turns;
mod view;
mod watching_args;

use crate::config::{self, Config};
use crate::error::{Error, Result};
use args::{Cli, Command, Stored};
use clap::Parser;
use report::Report;
use session::Desk;
use std::future::Future;
use std::process::ExitCode;
use view::View;

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let view = View::new(&cli.common);
    let loaded = config::load(cli.common.config.as_deref(), std::env::vars_os());
    let command = cli.command.unwrap_or(Command::Serve);
    let report = match (command, loaded) {
        (Command::Check, loaded) => check::check(loaded, &view),
        (Command::Completions(command), _) => manual::completions(&command, &view).into(),
        (Command::Man(command), _) => manual::man(&command, &view).into(),
        (Command::Doctor(command), loaded) => doctor::run(&command, loaded, &view),
        (_, Err(mistakes)) => Report::refusal(mistakes.iter().map(ToString::to_string).collect()),
        (Command::Serve, Ok(loaded)) => serve::serve(loaded, &view).into(),
        (Command::Plugins(command), Ok(loaded)) => wait(plugins::run(&command, &loaded, &view)).into(),
        (Command::Reload, Ok(loaded)) => wait(changes::reload(&loaded, &view)).into(),
        (Command::Tail(command), Ok(loaded)) => wait(tail::run(&command, &loaded.config, &view)).into(),
        (Command::Backup(command), Ok(loaded)) => wait(backup::backup(&command, &loaded.config, &view)).into(),
        (Command::Restore(command), Ok(loaded)) => wait(backup::restore(&command, &loaded.config, &view)).into(),
        (Command::Stored(command), Ok(loaded)) => wait(at_desk(&command, &loaded.config, &view)).into(),
    };
    report.tell()
}

/// A command asks one thing after the other: this thread is enough.
fn wait(command: impl Future<Output = Result<String>>) -> Result<String> {
    logs::init_for_commands();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Unavailable(format!("no runtime: {error}")))?.block_on(command)
}

async fn at_desk(command: &Stored, config: &Config, view: &View) -> Result<String> {
    let desk = Desk::open(config).await?;
    let told = match command {
        Stored::Queue(command) => queue::run(command, &desk, config, view).await,
        Stored::Conversations(command) => conversations::run(command, &desk, view).await,
        Stored::Users(command) => people::run(command, &desk, view).await,
        Stored::Send(asked) => send::run(asked, &desk, view).await,
        Stored::Tokens(command) => tokens::run(command, &desk, view).await,
        Stored::Rooms(command) => rooms::run(command, &desk, view).await,
        Stored::Audit(command) => audit::run(command, &desk, view).await,
    };
    desk.close().await;
    told
}
