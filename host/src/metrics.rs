//! What is counted, for Prometheus. Here is what is counted as it happens; `scrape` adds what is kept elsewhere and read when somebody
//! asks, `classic` writes it for those who do not read OpenMetrics. Every label has few values: routes as they are declared, instances of
//! the configuration, names of states.

mod classic;
mod scrape;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

pub use scrape::Format;

/// A histogram for each value of a label.
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

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

/// A plugin instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plugin {
    plugin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    plugin: String,
    outcome: &'static str,
}

/// See the module's text.
pub struct Metrics {
    requests: Family<Request, Counter>,
    seconds: Histograms<Route>,
    ingested: Family<Plugin, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 14)));
        Self { requests: Family::default(), seconds, ingested: Family::default() }
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

    /// New messages that an instance brought in; `bridge` is the native API.
    pub fn ingested(&self, instance: &str, messages: usize) {
        self.ingested.get_or_create(&Plugin { plugin: instance.into() }).inc_by(messages as u64);
    }
}

/// Attempts of jobs by how they ended, and turns of agents by how long they took.
#[derive(Debug, Clone)]
pub struct Attempts {
    outcomes: Family<Attempt, Counter>,
    turns: Histograms<Plugin>,
}

impl Default for Attempts {
    fn default() -> Self {
        // From an echo's milliseconds to an agent's quarter of an hour.
        let turns = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 3.0, 14)));
        Self { outcomes: Family::default(), turns }
    }
}

impl Attempts {
    pub fn ended(&self, instance: &str, outcome: &'static str) {
        self.outcomes.get_or_create(&Attempt { plugin: instance.into(), outcome }).inc();
    }

    pub fn turn(&self, instance: &str, time: Duration) {
        self.turns.get_or_create(&Plugin { plugin: instance.into() }).observe(time.as_secs_f64());
    }
}
