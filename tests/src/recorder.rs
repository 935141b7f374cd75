//! Stands in for the rest of the host: keeps values in memory for plugins, and notes what instances do.

use arcuate::plugins::{HostApi, Observer};
use async_trait::async_trait;
use plugin_api::Limits;
use plugin_api::raw::Op;
use plugin_api::types::ops;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What an observer was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Running(Limits),
    Left,
    Paused(Duration, String),
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Recorder {
    heard: Mutex<HashMap<String, Vec<Heard>>>,
    values: Mutex<HashMap<(String, String), Value>>,
    /// While there is one, `ingest` needs a permit of it.
    gate: Option<Semaphore>,
}

impl Recorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers no `ingest` before `open_gate`: calls pile up.
    pub fn with_gate() -> Self {
        Self { gate: Some(Semaphore::new(0)), ..Self::default() }
    }

    pub fn open_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.add_permits(Semaphore::MAX_PERMITS / 2);
        }
    }

    /// What was heard of an instance, in order.
    pub fn heard(&self, instance: &str) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(instance).cloned().unwrap_or_default()
    }

    /// How often it came up.
    pub fn runs(&self, instance: &str) -> usize {
        self.heard(instance).iter().filter(|heard| matches!(heard, Heard::Running(_))).count()
    }

    fn note(&self, instance: &str, heard: Heard) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).entry(instance.into()).or_default().push(heard);
    }

    fn answer(&self, instance: &str, op: Op, arguments: &[u8]) -> Result<Value, serde_json::Error> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match op {
            Op::KvGet => {
                let kv: ops::Kv = serde_json::from_slice(arguments)?;
                values.get(&(instance.into(), kv.key)).cloned().unwrap_or_default()
            }
            Op::KvPut => {
                let kv: ops::Kv = serde_json::from_slice(arguments)?;
                values.insert((instance.into(), kv.key), kv.value);
                Value::Null
            }
            Op::Ingest => Value::Array(Vec::new()),
            _ => Value::Null,
        })
    }
}

#[async_trait]
impl HostApi for Recorder {
    async fn call(&self, instance: &str, op: Op, arguments: Vec<u8>) -> Result<Vec<u8>, String> {
        if let (Op::Ingest, Some(gate)) = (op, &self.gate) {
            let _passed = gate.acquire().await.map_err(|error| error.to_string())?;
        }
        let answer = self.answer(instance, op, &arguments).map_err(|error| error.to_string())?;
        serde_json::to_vec(&answer).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Observer for Recorder {
    fn running(&self, instance: &str, limits: &Limits) {
        self.note(instance, Heard::Running(limits.clone()));
    }

    async fn left(&self, instance: &str) {
        self.note(instance, Heard::Left);
    }

    fn paused(&self, instance: &str, wait: Duration, why: &str) {
        self.note(instance, Heard::Paused(wait, why.into()));
    }
}
