//! The manifest: what the host knows about a plugin before it runs any of its code. It is checked in as `plugin.json`; name, version,
//! description and the settings' schema are kept in step with the crate by the unit test that `export_plugin!` makes.

use crate::{Plugin, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What a plugin does. The host uses it for its warnings (a source without a route, a route to something that is no agent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Brings messages in.
    Source,
    /// Takes messages out.
    Sink,
    /// Answers turns.
    Agent,
    /// Posts to webhooks.
    WebhookSender,
    /// Keeps rooms alike with other hosts.
    Peer,
    /// Serves requests under its path.
    Http,
    /// A role of a newer version.
    #[serde(other)]
    Unknown,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Equals the library's file name without `lib` and `.so`.
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Default names of the platforms that its messages come from.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether the config may have several instances of it.
    #[serde(default = "yes")]
    pub multi_instance: bool,
    /// JSON Schema of the settings.
    #[serde(default)]
    pub settings: Value,
}

fn yes() -> bool {
    true
}

impl Manifest {
    /// What the checked-in file should be: its own roles and platforms, everything else from crate and types.
    fn expected<P: Plugin>(kept: &Value, name: &str, version: &str, description: &str) -> Result<Self> {
        let field = |key: &str| kept.get(key).cloned().unwrap_or(Value::Null);
        Ok(Self {
            name: name.into(),
            version: version.into(),
            description: description.into(),
            roles: serde_json::from_value(field("roles")).unwrap_or_default(),
            platforms: serde_json::from_value(field("platforms")).unwrap_or_default(),
            multi_instance: kept.get("multi_instance").and_then(Value::as_bool).unwrap_or(true),
            settings: serde_json::to_value(schemars::schema_for!(P::Settings))?,
        })
    }

    /// Compares the file with crate and types; with `UPDATE_MANIFEST=1` in the environment it is written instead. For the unit test that
    /// `export_plugin!` makes.
    pub fn check<P: Plugin>(file: &Path, name: &str, version: &str, description: &str) {
        let kept = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let expected = Self::expected::<P>(&kept, name, version, description)
            .and_then(|manifest| Ok(serde_json::to_string_pretty(&manifest)? + "\n"))
            .unwrap_or_else(|error| panic!("the settings' schema: {error}"));
        if std::env::var_os("UPDATE_MANIFEST").is_some() {
            std::fs::write(file, expected).unwrap_or_else(|error| panic!("write {}: {error}", file.display()));
            return;
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        let hint = "run the test once more with UPDATE_MANIFEST=1 to write it, and commit the file";
        assert_eq!(found, expected, "{} is not what the crate says: {hint}", file.display());
    }
}
