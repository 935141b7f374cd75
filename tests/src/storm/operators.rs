//! Operators who interfere at random: they switch plugins off and on, restart them, re-read the configuration and run dead letters again.
//! None of this may lose or double anything.

use super::people::Weather;
use crate::chance::draw;
use crate::client::Client;
use crate::host::Host;
use crate::wait::{PATIENCE, until_async};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::time::sleep;

const INSTANCES: [&str; 5] = ["assistant", "helper", "web_chat", "second_chat", "webhook"];

/// What an operator may think of.
const DEEDS: [&str; 5] = ["disable", "enable", "restart", "reload", "retry"];

pub struct Operators {
    client: Client,
    weather: Weather,
    done: BTreeMap<&'static str, usize>,
}

impl Operators {
    pub fn new(client: Client, weather: Weather) -> Self {
        Self { client, weather, done: BTreeMap::new() }
    }

    /// Until the storm is over; answers how often each deed was taken.
    pub async fn interfere(mut self) -> BTreeMap<&'static str, usize> {
        let mut number = 0;
        while !*self.weather.is_over.borrow() {
            number += 1;
            let chance = |what: &str, of: usize| draw(self.weather.seed, &format!("{what} {number}")) as usize % of;
            let (deed, instance) = (DEEDS[chance("deed", DEEDS.len())], INSTANCES[chance("instance", INSTANCES.len())]);
            self.attempt(deed, instance).await;
            sleep(self.weather.moment(&format!("pause {number}"), 1000)).await;
            if deed == "disable" {
                self.attempt("enable", instance).await;
            }
        }
        self.done
    }

    /// A host that is away takes nothing, which is no failure in a storm.
    async fn attempt(&mut self, deed: &'static str, instance: &str) {
        let (path, body) = match deed {
            "reload" => ("/api/v1/admin/reload".to_owned(), json!({})),
            "retry" => ("/api/v1/admin/queue/retry".to_owned(), json!({ "state": "failed" })),
            _ => (plugin_path(instance, deed), json!({})),
        };
        let answer = self.client.post(&path, &body).attempt().await;
        if let Some(answer) = answer.ok().filter(|answer| answer.status != 404) {
            assert!(answer.status < 500 || answer.status == 503, "{deed} {instance}: {answer}");
            *self.done.entry(deed).or_default() += usize::from(answer.status == 200);
        }
    }

    /// Nothing stays switched off.
    pub async fn enable_everything(host: &Host) {
        let operator = host.operator();
        for instance in INSTANCES {
            let answer = operator.post(&plugin_path(instance, "enable"), &json!({})).await;
            assert!([200, 404].contains(&answer.status), "{answer}");
        }
        let look = || async {
            let plugins = operator.get("/api/v1/admin/plugins").await.ok()["plugins"].clone();
            let is_up = |name: &&str| plugins.as_array().is_some_and(|all| all.iter().any(|one| is_running(one, name)));
            INSTANCES.iter().all(is_up).then_some(())
        };
        until_async("everything runs", PATIENCE, look).await;
    }
}

fn plugin_path(instance: &str, deed: &str) -> String {
    format!("/api/v1/admin/plugins/{instance}/{deed}")
}

fn is_running(plugin: &Value, name: &str) -> bool {
    plugin["name"] == name && ["Running", "Degraded"].iter().any(|state| plugin["state"] == *state)
}
