//! The host's life: port, lock, store, plugins, then requests; and the same backwards.

use crate::access::Access;
use crate::admin::reload::reload;
use crate::auth;
use crate::bridge::routes::Rooms;
use crate::chat::{self, retention::Sweeps};
use crate::config::{AuthMode, Config, Durability, Live, Loaded};
use crate::discovery::mdns::Announcement;
use crate::error::{Error, Result};
use crate::http::{self, Listening};
use crate::live::presence::Presence;
use crate::live::sse;
use crate::metrics::Metrics;
use crate::plugins::{Api, InstanceStatus, Manager, wrong_targets_at_rest};
use crate::queue::{self, Queue, Watcher};
use crate::state::{App, Limits, Parts};
use crate::store::backup;
use crate::store::lock::Lock;
use crate::store::slots::Retries;
use crate::store::{Actor, Options, Store};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// For plugins to stop in, when the jobs have used up the host's own time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What runs, for those who tell people.
pub struct Started {
    pub address: SocketAddr,
    pub plugins: Vec<InstanceStatus>,
    pub warnings: Vec<String>,
    /// Where the operator's token is kept, unless the config has it.
    pub token_path: Option<PathBuf>,
}

/// Runs until `shutdown`. `started` is called once, when requests are served and each plugin has come up or said why not.
pub async fn run(
    loaded: Loaded,
    shutdown: impl Future<Output = ()> + Send + 'static,
    started: impl FnOnce(&Started) + Send,
) -> Result<()> {
    // From the first moment on: without anybody who listens it would end the process.
    let hangups = signal(SignalKind::hangup()).map_err(|error| Error::Unavailable(format!("no signals: {error}")))?;
    let live = Arc::new(Live::new(loaded));
    let config = live.now();
    let wrong = wrong_targets_at_rest(&config);
    if !wrong.is_empty() {
        return Err(Error::Mistakes(wrong));
    }
    // The port first: one that is taken is told before anything else begins.
    let listening = Listening::bind(config.server.bind)?;
    let address = listening.address;
    if let Some(folder) = config.store.path.parent() {
        let failed =
            |error| Error::Unavailable(format!("cannot make the store's folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut lock = Lock::take(&config.store.path)?;
    let restored = backup::finish(&config.store.path)?;
    lock.announce(&format!("http://{}", reachable(address)))?;
    let admin_token = auth::admin_token(config.auth.admin_token.expose(), &config.store.path)?;
    let options = Options {
        path: config.store.path.clone(),
        full_durability: config.store.durability == Durability::Full,
        readers: 2,
        existing: false,
    };
    let (store, handed) = Store::open(&options, Arc::default())?;
    lock.hold(&config.store.path)?;
    store.set_routing(Arc::new(Rooms(live.clone())));
    store.warn_when_slow(config.store.slow);
    store.write_patiently(|tx| tx.seed_general()).await?;
    let access = Arc::new(Access::load(&store, &admin_token).await?);
    let queue = Queue::new(store.clone(), Retries::of(&config.queue)).await?;
    let plugins_config = config.plugins.clone();
    let copies = config.store.path.with_file_name("plugins");
    let manager = tokio::task::spawn_blocking(move || Manager::new(&plugins_config, &copies))
        .await
        .map_err(|error| Error::Internal(format!("checking the plugins: {error}")))?;
    let (stop, stopping) = watch::channel(false);
    let app = App::new(Parts {
        store: store.clone(),
        manager: manager.clone(),
        queue: queue.clone(),
        limits: Arc::new(Limits::new(&config.limits)),
        metrics: Arc::new(Metrics::default()),
        access,
        presence: Presence::new(store.bus().clone()),
        admin_token: admin_token.into(),
        address,
        live: live.clone(),
        room_deleted: Notify::new(),
        sweeps: Sweeps::default(),
        is_starting: AtomicBool::new(true),
        stopping: stopping.clone(),
    });
    chat::start(&app);

    tokio::spawn(store.clone().remove_orphans(stopping.clone()));
    tokio::spawn(queue::retention::run(store.clone(), live.clone(), stopping.clone()));

    // Served from here on: the store is open, the libraries are checked.
    let router = http::router(app.clone());
    tokio::spawn(sse::keep_time(store.bus().clone(), stopping.clone()));
    let grace = {
        let live = live.clone();
        move || live.now().server.shutdown
    };
    let server = tokio::spawn(http::serve(listening, router, stopping, grace));
    queue.start(&manager, &live, handed);
    let drained = queue.clone();
    manager.watch_for_deaths();
    let api = Api { store: store.clone(), live: live.clone(), queue: queue.clone(), metrics: app.metrics.clone() };
    manager.start(Arc::new(api), Arc::new(Watcher(queue))).await;
    app.is_starting.store(false, Ordering::Relaxed);
    started(&Started {
        address,
        plugins: manager.states(),
        warnings: restored
            .map(restored_text)
            .into_iter()
            .chain(unrouted(&config, &manager))
            .chain(nobody_enters(&config, &app))
            .collect(),
        token_path: config.auth.admin_token.is_empty().then(|| auth::token_path(&config.store.path)),
    });

    tokio::spawn(reload_at_hangup(app.clone(), hangups));
    let announcement = Announcement::of(address);
    shutdown.await;
    drop(announcement);
    tracing::info!("stopping");
    stop.send_replace(true);
    let (served, ()) = tokio::join!(server, wind_down(&drained, &manager, live.now().server.shutdown));
    served.map_err(|error| Error::Internal(format!("serving: {error}")))??;
    store.close().await;
    drop(lock);
    Ok(())
}

/// SIGHUP reads the configuration again. What it did, or why not, is in the log.
async fn reload_at_hangup(app: App, mut hangups: Signal) {
    let actor = Actor { name: "signal".into(), origin: "SIGHUP".into() };
    while hangups.recv().await.is_some() {
        // What was refused is told already, each mistake in its own line of the log where there are several.
        if let Err(Error::Mistakes(mistakes)) = reload(&app, &actor).await {
            mistakes.iter().for_each(|mistake| tracing::error!("{mistake}"));
        }
    }
}

/// What runs gets until the deadline, and its plugins what is left of that, but never nothing.
async fn wind_down(queue: &Queue, manager: &Manager, allowed: Duration) {
    let end = Instant::now() + allowed;
    let left = queue.drain(end).await;
    if left > 0 {
        tracing::warn!(
            queue.left = left,
            "jobs did not end within {allowed:?} ([server] shutdown_seconds); they return to the queue"
        );
    }
    manager.stop(end.saturating_duration_since(Instant::now()).max(allowed.min(LAST_WORDS))).await;
}

/// An address that somebody on this machine can call.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Sources whose messages nobody answers.
pub fn unrouted(config: &Config, manager: &Manager) -> Vec<String> {
    let enabled = config.plugins.instances.values().filter(|instance| instance.enabled);
    let silent = enabled.filter(|instance| {
        manager.manifest(&instance.name).is_some_and(|manifest| {
            manifest.roles.contains(&plugin_api::Role::Source) && config.unrouted(&instance.name, &manifest.platforms)
        })
    });
    silent.map(|instance| unrouted_text(&instance.name)).collect()
}

fn restored_text(aside: PathBuf) -> String {
    format!("a restore that was cut off is finished now; the store from before it is {}", aside.display())
}

/// Token mode on a store without tokens lets the operator in and nobody else.
fn nobody_enters(config: &Config, app: &App) -> Option<String> {
    let text = "there are no access tokens yet; make one with: arcuate tokens create NAME --scope write";
    (config.auth.mode == AuthMode::Token && app.access.is_empty()).then(|| text.into())
}

/// What `check` says of it too.
pub fn unrouted_text(instance: &str) -> String {
    format!("no route from {instance}: messages are stored, nobody answers; add [[routes]] with from = \"{instance}\"")
}
