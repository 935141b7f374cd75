//! `arcuate serve`: the host in the foreground, with the few lines that a person at a terminal needs.

use crate::config::Loaded;
use crate::{Started, run};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

pub(super) fn serve(loaded: Loaded) -> ExitCode {
    init_logs();
    let Loaded { config, warnings, origin } = loaded;
    match &origin {
        Some(path) => println!("arcuate {} with {}", env!("CARGO_PKG_VERSION"), path.display()),
        None => println!("arcuate {} with its defaults: there is no config.toml here", env!("CARGO_PKG_VERSION")),
    }
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("arcuate: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let store = config.store.path.clone();
    let result = runtime.block_on(run(config, shutdown(), |started| announce(started, &store)));
    // What is still blocked (a plugin's thread, a name look-up) does not delay the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match result {
        Ok(()) => {
            println!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("arcuate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn announce(started: &Started, store: &std::path::Path) {
    let url = format!("http://{}", started.address);
    println!("  store    {}", store.display());
    started.plugins.iter().for_each(|line| println!("  plugin   {line}"));
    if let Some(path) = &started.token_path {
        println!("  operator token in {}", path.display());
    }
    started.warnings.iter().for_each(|warning| println!("  warning  {warning}"));
    println!("listening on {url}");
    println!("try: curl -s '{url}/api/v1/?action=messages' -d '{{\"session_id\":\"demo\",\"message\":\"Hello\"}}'");
    println!("     curl -s '{url}/api/v1/?action=responses&session_id=demo'");
}

/// The first SIGINT or SIGTERM ends in good order; a second one ends at once.
async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(130);
    });
}

/// People read lines, machines read JSON; both on stderr, so that stdout says only what was asked.
fn init_logs() {
    let filter = EnvFilter::try_from_env("ARCUATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
