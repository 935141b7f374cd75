//! One answer to somebody who scrapes: what was counted, and what the store, the queue, the streams and the plugins are like now.

use super::classic::classic;
use super::{Metrics, Plugin};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::plugins::State as PluginState;
use crate::state::App;
use crate::store::{OldestJobs, State};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginIn {
    plugin: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    /// What every reader of metrics understands.
    Classic,
}

/// What the store says about now.
struct Now {
    jobs: Vec<(String, String, i64)>,
    oldest: OldestJobs,
    head: i64,
}

impl Format {
    /// OpenMetrics for those who say that they read it.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    pub async fn render(&self, app: &App, format: Format) -> Result<String> {
        let now = app.store.read(|read| {
            let jobs = read.job_counts()?;
            let oldest = read.oldest_jobs(&jobs)?;
            Ok(Now { jobs, oldest, head: read.head()? })
        });
        let now = now.await?;
        let mut registry = Registry::with_prefix("arcuate");
        self.register(&mut registry);
        log(&mut registry, app, now.head);
        queue(&mut registry, app, &now);
        plugins(&mut registry, app);
        store(&mut registry, app);
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| Error::Internal(format!("metrics: {error}")))?;
        Ok(if format == Format::Classic { classic(&text) } else { text })
    }

    fn register(&self, registry: &mut Registry) {
        let build = Family::<Version, Gauge>::default();
        build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "1, with the version of the host", build);
        registry.register("http_requests", "Requests by route and status", self.requests.clone());
        registry.register("http_request_seconds", "Time to the head of the response", self.seconds.clone());
        registry.register("messages_ingested", "New messages taken from platforms", self.ingested.clone());
    }
}

fn log(registry: &mut Registry, app: &App, head: i64) {
    let bus = app.store.bus();
    gauge(registry, "log_head", "Number of the newest event", head);
    counter(registry, "events_published", "Events of the log told to streams, since the start", bus.published());
    gauge(registry, "stream_subscribers", "Open event streams", bus.subscribers() as i64);
    gauge(registry, "stream_subscribers_behind", "Streams that lag and read the log now", bus.behind() as i64);
    counter(registry, "stream_lags", "Times that a stream fell behind and went back to the log", bus.lags());
}

fn queue(registry: &mut Registry, app: &App, now: &Now) {
    let jobs = Family::<PluginIn, Gauge>::default();
    for (plugin, state, count) in &now.jobs {
        jobs.get_or_create(&PluginIn { plugin: plugin.clone(), state: state.clone() }).set(*count);
    }
    registry.register("queue_jobs", "Jobs by plugin and state", jobs);
    let ages = Family::<PluginIn, Gauge>::default();
    let open = [State::Pending, State::Processing, State::Failed].map(State::name);
    for (plugin, state, _) in now.jobs.iter().filter(|(_, state, count)| *count == 0 && open.contains(&state.as_str()))
    {
        ages.get_or_create(&PluginIn { plugin: plugin.clone(), state: state.clone() }).set(0);
    }
    for ((plugin, state), made) in &now.oldest {
        let label = PluginIn { plugin: plugin.clone(), state: state.name().into() };
        ages.get_or_create(&label).set(seconds_since(*made));
    }
    registry.register("queue_oldest_seconds", "Age of the oldest job by plugin and state", ages);
    let waiting = now.oldest.iter().filter(|((_, state), _)| *state == State::Pending).map(|(_, made)| *made).min();
    let age = waiting.map_or(0, seconds_since);
    gauge(registry, "queue_oldest_pending_seconds", "Age of the oldest job that waits", age);
    let attempts = &app.queue.attempts;
    registry.register("queue_attempts", "Attempts by plugin and outcome", attempts.outcomes.clone());
    registry.register("turn_seconds", "Time that turns of agents took", attempts.turns.clone());
}

fn plugins(registry: &mut Registry, app: &App) {
    let (states, ups) = (Family::<PluginIn, Gauge>::default(), Family::<Plugin, Gauge>::default());
    let restarts = Family::<Plugin, Counter>::default();
    for status in app.manager.states() {
        let plugin = Plugin { plugin: status.name.clone() };
        states.get_or_create(&PluginIn { plugin: status.name, state: status.state.to_string() }).set(1);
        restarts.get_or_create(&plugin).inc_by(u64::from(status.restarts));
        if status.enabled {
            let up = matches!(status.state, PluginState::Running | PluginState::Degraded);
            ups.get_or_create(&plugin).set(i64::from(up));
        }
    }
    registry.register("plugin_state", "1 for the state that an instance is in", states);
    registry.register("plugin_up", "Of an enabled instance: 1 while it runs, also badly", ups);
    registry.register("plugin_restarts", "Restarts of an instance after a failure", restarts);
}

fn store(registry: &mut Registry, app: &App) {
    let stats = app.store.stats();
    registry.register("store_commit_seconds", "Time that a transaction took with its commit", stats.seconds.clone());
    registry.register("store_commit_writes", "Writes that shared a commit", stats.writes.clone());
    counter(
        registry,
        "agent_loop_stops",
        "How often agents were kept from talking on among themselves",
        stats.loop_stops.load(Ordering::Relaxed),
    );
    counter(registry, "store_slow_commits", "Commits that took longer than slow_ms", stats.slow_commits.count());
    counter(registry, "store_slow_queries", "Queries that took longer than slow_ms", stats.slow_queries.count());
    let trouble = app.store.trouble().is_some();
    gauge(registry, "store_unwritable", "1 while the store cannot be written", i64::from(trouble));
}

fn seconds_since(time: Micros) -> i64 {
    (clock::now() - time).max(0) / 1_000_000
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    registry.register(name, help, ConstCounter::new(value));
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
