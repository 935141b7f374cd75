//! `arcuate serve`: the host in the foreground, with the few lines that a person at a terminal needs.

use super::report::{complain, print};
use super::session::refuse_second_host;
use super::view::View;
use super::{logs, plugins_view, systemd};
use crate::config::Loaded;
use crate::error::{Error, Result};
use crate::{Started, run};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What was known before the start.
struct Introduction<'v> {
    view: &'v View,
    origin: Option<PathBuf>,
    store: PathBuf,
    warnings: Vec<String>,
    /// Whether a visitor's words lead anywhere.
    answered: bool,
}

pub(super) fn serve(loaded: Loaded, view: &View) -> Result<String> {
    logs::init();
    let config = &loaded.config;
    let introduction = Introduction {
        view,
        origin: loaded.origin.clone(),
        store: config.store.path.clone(),
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
        answered: config.route_for("bridge", "bridge").is_some(),
    };
    introduction.print();
    introduction.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("no threads for the host: {error}")))?;
    let result = runtime.block_on(async {
        refuse_second_host(&loaded.config).await?;
        let announce = |started: &Started| {
            introduction.announce(started);
            systemd::ready(started);
        };
        run(loaded, shutdown(), announce).await
    });
    // What is still blocked (a plugin's thread, a name look-up) does not delay the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result.map(|()| if view.json { String::new() } else { "stopped\n".into() })
}

impl Introduction<'_> {
    fn print(&self) {
        if self.view.json {
            return;
        }
        let version = env!("CARGO_PKG_VERSION");
        match &self.origin {
            Some(path) => print(&format!("arcuate {version} with {}\n", shown(path))),
            None => print(&format!("arcuate {version} with its defaults: there is no config.toml here\n")),
        };
    }

    /// All that is worth knowing of a host that has just started. Stdout may have nobody listening by now.
    fn announce(&self, started: &Started) {
        if self.view.json {
            print(&View::json(&self.json(started)));
            return;
        }
        let mut text = format!("store  {}\n", shown(&self.store));
        if let Some(path) = &started.token_path {
            text += &format!("token  {}, for operators\n", shown(path));
        }
        print(&format!("{text}\n{}\n", plugins_view::started(&started.plugins, self.view)));
        started.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
        print(&format!("listening on {}\n", url(started.address)));
        if self.answered {
            print(&trial(started.address));
        }
    }

    fn json(&self, started: &Started) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "listening": url(started.address),
            "config": self.origin.as_deref().map(shown),
            "store": shown(&self.store),
            "token_file": started.token_path.as_deref().map(shown),
            "plugins": started.plugins,
            "warnings": self.warnings.iter().chain(&started.warnings).collect::<Vec<_>>(),
        })
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A visitor's first words, to be pasted as they are.
fn trial(address: SocketAddr) -> String {
    let api = format!("{}/api/v1/", url(here(address)));
    [
        "\nTry it, from another terminal:",
        &format!("  curl -s '{api}?action=messages' \\"),
        "    -H 'Content-Type: application/json' \\",
        r#"    -d '{"session_id":"demo","message":"Hello"}'"#,
        &format!("  curl -s '{api}?action=responses&session_id=demo'\n\n"),
    ]
    .join("\n")
}

/// The address as somebody on this machine would call it.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
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
    systemd::stopping();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(130);
    });
}
