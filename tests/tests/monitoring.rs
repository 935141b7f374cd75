//! `examples/monitoring/`: what it asks Prometheus for is what the host tells, and Prometheus' own tool takes all of it.

use arcuate_tests::host::Host;
use arcuate_tests::skip::skipped;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/monitoring")
}

/// Metrics after a turn of an agent.
async fn scraped(host: &Host) -> String {
    Visitor::new(host.client(), "session_1").say("Hello").await;
    let look = || async {
        let text = host.get("/metrics").await.text;
        text.contains("arcuate_turn_seconds_count{plugin=\"assistant\"} 1").then_some(text)
    };
    until_async("a turn is counted", PATIENCE, look).await
}

/// Types of metrics by their names.
fn types(metrics: &str) -> BTreeMap<&str, &str> {
    metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// All series names that there are.
fn series(metrics: &str) -> BTreeSet<String> {
    let each = types(metrics).into_iter().flat_map(|(name, kind)| match kind {
        "histogram" => ["_bucket", "_sum", "_count"].map(|ending| format!("{name}{ending}")).to_vec(),
        _ => vec![name.to_owned()],
    });
    each.collect()
}

/// Words of a text that name a metric.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("arcuate_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_described_and_its_labels_are_few() {
    let host = Host::start("").await;
    let metrics = scraped(&host).await;
    let types = types(&metrics);
    for wanted in [
        ("arcuate_http_requests_total", "counter"),
        ("arcuate_http_request_seconds", "histogram"),
        ("arcuate_events_published_total", "counter"),
        ("arcuate_stream_subscribers", "gauge"),
        ("arcuate_stream_subscribers_behind", "gauge"),
        ("arcuate_stream_lags_total", "counter"),
        ("arcuate_queue_jobs", "gauge"),
        ("arcuate_queue_oldest_seconds", "gauge"),
        ("arcuate_queue_attempts_total", "counter"),
        ("arcuate_messages_ingested_total", "counter"),
        ("arcuate_turn_seconds", "histogram"),
        ("arcuate_plugin_state", "gauge"),
        ("arcuate_plugin_up", "gauge"),
        ("arcuate_plugin_restarts_total", "counter"),
        ("arcuate_store_commit_seconds", "histogram"),
        ("arcuate_store_commit_writes", "histogram"),
        ("arcuate_store_slow_commits_total", "counter"),
        ("arcuate_store_slow_queries_total", "counter"),
        ("arcuate_store_unwritable", "gauge"),
    ] {
        assert_eq!(types.get(wanted.0), Some(&wanted.1), "{}: {metrics}", wanted.0);
        assert!(metrics.contains(&format!("# HELP {} ", wanted.0)), "{} has no help", wanted.0);
    }
    assert!(metrics.contains("arcuate_messages_ingested_total{plugin=\"bridge\"} 1"), "{metrics}");
    assert!(metrics.contains("arcuate_queue_attempts_total{plugin=\"assistant\",outcome=\"done\"} 1"), "{metrics}");
    for number in 0..20 {
        Visitor::new(host.client(), &format!("another_{number}")).say("Hello").await;
        host.get(&format!("/nowhere/{number}")).await.is(404);
    }
    let more = host.get("/metrics").await.text;
    let added = more.lines().count() - metrics.lines().count();
    assert!(added < 40, "series grow with people and addresses: {added} more lines in {more}");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_of_the_documentation_has_each_metric_and_no_other() {
    let host = Host::start("").await;
    let metrics = scraped(&host).await;
    let page = fs::read_to_string(folder().join("../../docs/monitoring.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `arcuate_")?.split_once(" | "));
    let told: Vec<String> = rows.map(|(cell, _)| format!("arcuate_{cell}")).collect();
    let told: BTreeSet<&str> = told.iter().flat_map(|cell| named(cell)).collect();
    assert_eq!(told, types(&metrics).into_keys().collect(), "what the page has, and what the host tells");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_commit_is_counted_and_told_without_what_it_wrote() {
    let host = Host::start("[store]\nslow_ms = 1\n").await;
    let room = host.room("kitchen").await;
    let other = rusqlite::Connection::open(host.store()).expect("the store opens");
    // Somebody else keeps the disk busy while a message wants to be written.
    other.execute_batch("begin immediate").expect("a lock");
    let body = serde_json::json!({ "sender": "ada", "content": "private words" });
    let posted = host.post(&format!("/api/v1/rooms/{room}/messages"), &body);
    let posted = tokio::spawn(async move { posted.await.ok() });
    for _ in 0..10 {
        host.get("/health").await.ok();
    }
    other.execute_batch("rollback").expect("it lets go");
    posted.await.expect("the message is written");
    let log = until("the log tells of it", || Some(host.log()).filter(|log| log.contains("a commit took "))).await;
    let line = log.lines().find(|line| line.contains("a commit took ")).expect("that line");
    assert!(line.contains("\"store.slowest\":\"") && line.contains("\"level\":\"WARN\""), "{line}");
    assert!(!log.contains("private words"), "{log}");
    let metrics = host.get("/metrics").await.text;
    assert!(!metrics.contains("arcuate_store_slow_commits_total 0"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_ask_for_what_the_host_tells() {
    let host = Host::start("").await;
    let series = series(&scraped(&host).await);
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = fs::read_to_string(folder().join(file)).expect("a file of the example");
        let named = named(&text);
        assert!(named.len() > 3, "{file} names no metrics");
        // Prose names histograms as a whole.
        let known = |name: &&&str| series.contains(**name) || series.contains(&format!("{name}_bucket"));
        let unknown: Vec<_> = named.iter().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{file}: the host has no {unknown:?}");
    }
    let text = fs::read_to_string(folder().join("dashboard.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    let alerts = fs::read_to_string(folder().join("alerts.yml")).expect("the alerts");
    let count = |word: &str| alerts.lines().filter(|line| line.trim_start().starts_with(word)).count();
    assert_eq!(count("- alert:"), count("runbook:"), "each alert says what to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_takes_configuration_rules_and_metrics() {
    if Command::new("promtool").arg("--version").output().is_err() {
        return skipped("promtool_takes_configuration_rules_and_metrics", "it needs promtool, of Debian's prometheus");
    }
    for arguments in
        [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]]
    {
        let output = Command::new("promtool").current_dir(folder()).args(arguments).output().expect("promtool runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let host = Host::start("").await;
    let metrics = scraped(&host).await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    promtool.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
