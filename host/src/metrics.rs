//! What is counted, in the text format of Prometheus. Most numbers are kept elsewhere and read at the scrape.

use crate::clock;
use crate::error::{Error, Result};
use crate::plugins::State as PluginState;
use crate::queue::Queue;
use crate::state::App;
use crate::store::State;
use axum::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plugin {
    plugin: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Counted as it happens.
pub struct Metrics {
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    pub ingested: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            ingested: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    pub fn request(&self, method: &Method, route: &str, status: StatusCode, time: Duration) {
        // Methods are a client's free choice; only the known ones make a series.
        let known =
            [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS];
        let method = if known.contains(method) { method.as_str() } else { "other" }.to_owned();
        self.requests.get_or_create(&Request { method, route: route.into(), status: status.as_u16() }).inc();
        self.seconds.get_or_create(&Route { route: route.into() }).observe(time.as_secs_f64());
    }

    pub async fn render(&self, app: &App) -> Result<String> {
        let (counts, oldest, head) =
            app.store.read(|read| Ok((read.job_counts()?, read.oldest_job(State::Pending)?, read.head()?))).await?;
        let mut registry = Registry::with_prefix("arcuate");
        registry.register("http_requests", "Requests by route and status", self.requests.clone());
        registry.register("http_request_seconds", "Time to the head of the response", self.seconds.clone());
        counter(&mut registry, "messages_ingested", "Messages taken from platforms", &self.ingested);
        gauge(&mut registry, "log_head", "Number of the newest event", head);
        gauge(&mut registry, "stream_subscribers", "Open event streams", app.store.bus().subscribers() as i64);
        let age = oldest.map_or(0, |at| (clock::now() - at).max(0) / 1_000_000);
        gauge(&mut registry, "queue_oldest_pending_seconds", "Age of the oldest job that waits", age);
        let jobs = Family::<Plugin, Gauge>::default();
        for (plugin, state, count) in counts {
            jobs.get_or_create(&Plugin { plugin, state }).set(count);
        }
        registry.register("queue_jobs", "Jobs by plugin and state", jobs);
        attempts(&mut registry, &app.queue);
        plugins(&mut registry, app);
        commits(&mut registry, app);
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| Error::Internal(format!("metrics: {error}")))?;
        Ok(text)
    }
}

fn attempts(registry: &mut Registry, queue: &Queue) {
    let counters = &queue.counters;
    let family = Family::<Outcome, Counter>::default();
    let outcomes = [
        ("done", &counters.done),
        ("retry", &counters.retried),
        ("discard", &counters.discarded),
        ("snooze", &counters.snoozed),
    ];
    for (outcome, counter) in outcomes {
        family.get_or_create(&Outcome { outcome }).inc_by(counter.load(Ordering::Relaxed));
    }
    registry.register("queue_attempts", "Attempts by outcome, since the start", family);
    counter(registry, "turns", "Turns of agents that ended", &counters.turn_count);
    seconds(registry, "turn_seconds", "Time that they took", &counters.turn_microseconds);
}

fn plugins(registry: &mut Registry, app: &App) {
    let (states, restarts) = (Family::<Plugin, Gauge>::default(), Family::<Plugin, Gauge>::default());
    for status in app.manager.states() {
        let label = Plugin { plugin: status.name.clone(), state: format!("{:?}", status.state) };
        states.get_or_create(&label).set(1);
        restarts.get_or_create(&label).set(i64::from(status.restarts));
    }
    registry.register("plugin_state", "1 for the state that an instance is in", states);
    registry.register("plugin_restarts", "Restarts of an instance", restarts);
    let running = app.manager.states().iter().filter(|status| matches!(status.state, PluginState::Running)).count();
    gauge(registry, "plugins_running", "Instances that run", running as i64);
}

fn commits(registry: &mut Registry, app: &App) {
    let stats = app.store.stats();
    counter(registry, "store_commits", "Transactions committed", &stats.commits);
    counter(registry, "store_writes", "Writes that shared them", &stats.requests);
    seconds(registry, "store_commit_seconds", "Time that they took", &stats.microseconds);
    counter(
        registry,
        "agent_loop_stops",
        "How often agents were kept from talking on among themselves",
        &stats.loop_stops,
    );
    let trouble = app.store.trouble().is_some();
    gauge(registry, "store_unwritable", "1 while the store cannot be written", i64::from(trouble));
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: &AtomicU64) {
    registry.register(name, help, ConstCounter::new(value.load(Ordering::Relaxed)));
}

fn seconds(registry: &mut Registry, name: &str, help: &str, microseconds: &AtomicU64) {
    registry.register(name, help, ConstCounter::new(microseconds.load(Ordering::Relaxed) as f64 / 1e6));
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
