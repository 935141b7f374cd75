//! The table `[plugins.<instance>.settings]`: the types that the manifest's JSON Schema is made from. Its bounds are checked by the host. What
//! the environment may fill in is optional here, though the plugin needs it; `config.rs` says so where it is missing.

use plugin_api::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key that cannot be sent in a header would fail each request with a text that says nothing.
const VISIBLE: &str = "^[!-~]*$";
pub(crate) const NO_KEY: &str = "it has blanks or characters that no key has; copy it again from the bridge's settings";

/// What to do with the HTML entities of a bridge that escapes texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HtmlEntities {
    /// Give the agent the text as it was written.
    #[default]
    Decode,
    /// Leave the text as it comes.
    Keep,
}

/// Settings of a poller. In the instance named `web_chat`, the environment fills what is left out: `WEB_CHAT_API_URL`, `WEB_CHAT_API_KEY`,
/// `WEB_CHAT_POLL_INTERVAL`, `WEB_CHAT_MAX_RETRIES`, `WEB_CHAT_RETRY_DELAY`, `WEB_CHAT_PLUGIN_NAME`, `WEB_CHAT_PLATFORM_NAME`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
// Needed, but with a default here: the host fills in what the environment has, and checks, before it comes to that.
#[schemars(extend("required" = ["api_url", "api_key"]))]
pub(crate) struct Settings {
    /// The bridge: its site's root, its `…/api/v1/`, or the address of its `index.php`.
    #[schemars(url, extend("pattern" = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\\@]+([/?#\\]|$)", "errorMessage" = {
        "pattern": "it must begin with http:// or https:// and hold no user name or password, as in \"https://example.org/bridge/\""
    }))]
    pub api_url: Option<String>,
    /// The bridge's key for pollers.
    #[schemars(extend("minLength" = 1, "pattern" = VISIBLE, "errorMessage" = {
        "minLength": "it is empty; the bridge's key would be right", "pattern": NO_KEY
    }))]
    pub api_key: Secret,
    /// The bridge's key for operators. With it, messages whose answer got lost on the way are found again, and answers are not repeated.
    #[schemars(extend("pattern" = VISIBLE, "errorMessage" = NO_KEY))]
    pub admin_key: Secret,
    /// Seconds between polls, 5 if left out.
    #[schemars(range(min = 0.05, max = 3600))]
    pub poll_interval: Option<f64>,
    /// Seconds between polls in the minute after traffic.
    #[schemars(range(min = 0.05, max = 3600))]
    pub active_poll_interval: f64,
    /// Messages per poll.
    #[schemars(range(min = 1, max = 100))]
    pub batch: u32,
    /// Seconds that a request may take.
    #[schemars(range(min = 0.1, max = 600))]
    pub timeout: f64,
    /// Attempts of a delivery; `[queue] max_attempts` if left out.
    #[schemars(range(max = 100))]
    pub max_retries: Option<u32>,
    /// Seconds to wait after a failed poll, doubling up to 300; 10 if left out.
    #[schemars(range(min = 0.05, max = 300))]
    pub retry_delay: Option<f64>,
    /// How the poller names itself to the bridge (`User-Agent`), the instance's name if left out.
    #[schemars(length(min = 1, max = 64))]
    pub plugin_name: Option<String>,
    /// The platform that its visitors belong to, `web_chat` if left out.
    #[schemars(length(min = 1, max = 64))]
    pub platform_name: Option<String>,
    /// `decode` gives the agent what people wrote, `keep` what the bridge made of it.
    pub html_entities: HtmlEntities,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_url: None,
            api_key: Secret::default(),
            admin_key: Secret::default(),
            poll_interval: None,
            active_poll_interval: 1.0,
            batch: 50,
            timeout: 30.0,
            max_retries: None,
            retry_delay: None,
            plugin_name: None,
            platform_name: None,
            html_entities: HtmlEntities::default(),
        }
    }
}
