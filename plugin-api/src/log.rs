//! Sends what the plugin logs with `tracing` to the host. Each library has a `tracing` of its own, so without this its events would
//! reach nobody. Installed once per library; the thread tells which instance speaks.

use crate::sdk;
use crate::types::{LogRecord, Span};
use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// A line longer than this is cut: a log line is no place for a document.
const LONGEST: usize = 8 * 1024;

pub(crate) fn install(level: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    // A second instance of the library finds it installed; so does a unit test that has its own subscriber.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(Forward { level }));
}

struct Forward {
    level: LevelFilter,
}

/// Fields of a span, kept in its extensions.
struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Forward {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // The wire's details of HTTP and TLS libraries are noise to an operator.
        *metadata.level() <= self.level && (*metadata.level() <= Level::WARN || !is_noise(metadata.target()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut visitor = Visitor::default();
        attributes.record(&mut visitor);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Fields(visitor.fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut visitor = Visitor::default();
        values.record(&mut visitor);
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.0.extend(visitor.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut visitor = Visitor::default();
        event.record(&mut visitor);
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.map(|span| Span {
            name: span.name().into(),
            fields: span.extensions().get::<Fields>().map(|fields| fields.0.clone()).unwrap_or_default(),
        });
        let record = LogRecord {
            target: event.metadata().target().into(),
            message: visitor.message,
            fields: visitor.fields,
            spans: spans.collect(),
        };
        sdk::log(number(event.metadata().level()), &record);
    }
}

fn is_noise(target: &str) -> bool {
    ["hyper", "reqwest", "rustls", "h2", "mio", "tokio"].iter().any(|noisy| target.starts_with(noisy))
}

fn number(level: &Level) -> u32 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

#[derive(Default)]
struct Visitor {
    message: String,
    fields: Map<String, Value>,
}

impl Visitor {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().into(), value);
    }
}

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = format!("{value:?}");
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push('…');
        }
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let cut = &value[..value.floor_char_boundary(LONGEST)];
        if field.name() == "message" { self.message = cut.into() } else { self.put(field, cut.into()) }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}
