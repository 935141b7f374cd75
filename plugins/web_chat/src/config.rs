//! The settings that the plugin works with: the operator's, the environment's and the defaults in one, checked as far as a schema cannot.

use crate::settings::{HtmlEntities, NO_KEY, Settings};
use plugin_api::{Error, Limits, Result, Secret};
use reqwest::Url;
use std::str::FromStr;
use std::time::Duration;

/// The one instance that the environment speaks of.
const INSTANCE_OF_ENVIRONMENT: &str = "web_chat";

const SHORTEST_INTERVAL: f64 = 0.05;
const LONGEST_INTERVAL: f64 = 3600.0;
const LONGEST_RETRY_DELAY: f64 = 300.0;
const MOST_RETRIES: u32 = 100;
const LONGEST_NAME: usize = 64;

const ADDRESS: &str = "the bridge's address, such as \"https://example.org/bridge/\"";

/// Deliveries at once, over all sessions.
const CONCURRENCY: u32 = 32;
/// Requests that one attempt of a delivery may make room for; a longer one goes on in the next.
const REQUESTS_PER_ATTEMPT: u32 = 4;
const JOB_MARGIN: Duration = Duration::from_secs(5);

/// Settings, environment and defaults in one, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub endpoint: Url,
    pub api_key: Secret,
    pub admin_key: Option<Secret>,
    pub poll_interval: Duration,
    pub active_poll_interval: Duration,
    pub batch: u32,
    pub timeout: Duration,
    pub max_retries: Option<u32>,
    pub retry_delay: Duration,
    pub plugin_name: String,
    pub platform_name: String,
    pub html_entities: HtmlEntities,
}

impl Config {
    /// `environment` gives the value of a variable.
    pub(crate) fn new(
        settings: Settings,
        instance: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let is_meant = instance == INSTANCE_OF_ENVIRONMENT;
        let lookup = |name: &str| environment(name).filter(|value| is_meant && !value.is_empty());
        let api_url = settings.api_url.filter(|url| !url.is_empty()).or_else(|| lookup("WEB_CHAT_API_URL"));
        let api_url = api_url.ok_or_else(|| missing("api_url", ADDRESS, instance))?;
        let api_key = given(settings.api_key).or_else(|| lookup("WEB_CHAT_API_KEY").map(Secret::new));
        let api_key = api_key.ok_or_else(|| missing("api_key", "the bridge's key for pollers", instance))?;
        check_key("api_key", &api_key)?;
        let admin_key = given(settings.admin_key);
        admin_key.as_ref().map_or(Ok(()), |key| check_key("admin_key", key))?;

        let filled = |setting: Option<f64>, name, longest| match setting {
            None => number(lookup(name), name, SHORTEST_INTERVAL, longest),
            given => Ok(given),
        };
        let poll_interval = filled(settings.poll_interval, "WEB_CHAT_POLL_INTERVAL", LONGEST_INTERVAL)?;
        let retry_delay = filled(settings.retry_delay, "WEB_CHAT_RETRY_DELAY", LONGEST_RETRY_DELAY)?;
        let max_retries = match settings.max_retries {
            None => number(lookup("WEB_CHAT_MAX_RETRIES"), "WEB_CHAT_MAX_RETRIES", 0, MOST_RETRIES)?,
            given => given,
        };
        let plugin_name = settings.plugin_name.or_else(|| lookup("WEB_CHAT_PLUGIN_NAME"));
        let platform_name = settings.platform_name.or_else(|| lookup("WEB_CHAT_PLATFORM_NAME"));
        Ok(Self {
            endpoint: endpoint(&api_url)?,
            api_key,
            admin_key,
            poll_interval: seconds(poll_interval.unwrap_or(5.0))?,
            active_poll_interval: seconds(settings.active_poll_interval)?,
            batch: settings.batch,
            timeout: seconds(settings.timeout)?,
            max_retries,
            retry_delay: seconds(retry_delay.unwrap_or(10.0))?,
            plugin_name: checked_name("plugin_name", plugin_name.unwrap_or_else(|| instance.to_owned()))?,
            platform_name: checked_name("platform_name", platform_name.unwrap_or_else(|| "web_chat".to_owned()))?,
            html_entities: settings.html_entities,
        })
    }

    /// Time for the look before a repetition and some parts. What is left of a long answer is delivered by the next attempt.
    pub(crate) fn job_timeout(&self) -> Duration {
        self.timeout * REQUESTS_PER_ATTEMPT + JOB_MARGIN
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            concurrency: CONCURRENCY,
            job_timeout_ms: self.job_timeout().as_millis().try_into().unwrap_or(u64::MAX),
            max_attempts: self.max_retries.map(|retries| retries.max(1)),
            schedule: None,
        }
    }
}

fn given(key: Secret) -> Option<Secret> {
    Some(key).filter(|key| !key.is_empty())
}

fn missing(setting: &str, what: &str, instance: &str) -> Error {
    let or = match instance {
        INSTANCE_OF_ENVIRONMENT => format!(", or the environment variable WEB_CHAT_{}", setting.to_uppercase()),
        _ => String::new(),
    };
    Error::new(format!("{setting}: missing; write {what} into [plugins.{instance}.settings]{or}"))
}

fn check_key(setting: &str, key: &Secret) -> Result<()> {
    match key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(Error::new(format!("{setting}: {NO_KEY}"))),
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    value: Option<String>,
    name: &str,
    min: T,
    max: T,
) -> Result<Option<T>> {
    let Some(value) = value else { return Ok(None) };
    match value.trim().parse::<T>() {
        Ok(number) if number >= min && number <= max => Ok(Some(number)),
        _ => Err(Error::new(format!(
            "the environment variable {name} is `{value}`; it must be a number from {min} to {max}"
        ))),
    }
}

fn seconds(value: f64) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(value)?)
}

fn checked_name(setting: &str, name: String) -> Result<String> {
    let good = (1..=LONGEST_NAME).contains(&name.chars().count());
    good.then_some(name).ok_or_else(|| Error::new(format!("{setting}: must have 1 to {LONGEST_NAME} characters")))
}

/// Where requests go: a `.php` file as it is, else `…/api/v1/`, which is added if it is not there.
fn endpoint(api_url: &str) -> Result<Url> {
    let wrong = |why: &str| Error::new(format!("api_url: {why}; it must look like \"https://example.org/bridge/\""));
    let mut url = Url::parse(api_url.trim()).map_err(|error| wrong(&format!("is no address ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not contain a user name or password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(".php") {
        let site = path.strip_suffix("/api/v1").unwrap_or(&path);
        url.set_path(&format!("{site}/api/v1/"));
    } else {
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: Settings) -> Result<Config> {
        Config::new(settings, "web_chat", |_| None)
    }

    fn minimal() -> Settings {
        let (api_url, api_key) = (Some("http://127.0.0.1".into()), Secret::new("key"));
        Settings { api_url, api_key, ..Settings::default() }
    }

    #[test]
    fn address_is_understood_in_all_its_forms() {
        let forms = [
            ("https://example.org", "https://example.org/api/v1/"),
            ("https://example.org/", "https://example.org/api/v1/"),
            ("https://example.org/chat", "https://example.org/chat/api/v1/"),
            ("https://example.org/chat/api/v1", "https://example.org/chat/api/v1/"),
            (" https://example.org/chat/api/v1/ ", "https://example.org/chat/api/v1/"),
            ("http://example.org:8080/api/v1/index.php", "http://example.org:8080/api/v1/index.php"),
            ("http://example.org/index.php?action=inbox#x", "http://example.org/index.php"),
        ];
        for (given, expected) in forms {
            assert_eq!(endpoint(given).unwrap().as_str(), expected, "{given}");
        }
        for wrong in ["example.org", "ftp://example.org", "https://user:word@example.org", "", "/api/v1/"] {
            let text = endpoint(wrong).unwrap_err().to_string();
            assert!(text.starts_with("api_url: ") && text.contains("https://example.org"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_would_be_right() {
        let text = config(Settings { api_url: None, ..minimal() }).unwrap_err().to_string();
        assert!(text.starts_with("api_url: missing") && text.contains("WEB_CHAT_API_URL"), "{text}");
        let text = config(Settings { api_key: Secret::default(), ..minimal() }).unwrap_err().to_string();
        assert!(text.starts_with("api_key: missing") && text.contains("[plugins.web_chat.settings]"), "{text}");
        let text = Config::new(Settings::default(), "shop", |_| None).unwrap_err().to_string();
        assert!(text.contains("[plugins.shop.settings]") && !text.contains("WEB_CHAT"), "{text}");
    }

    #[test]
    fn defaults_are_those_of_the_design() {
        let config = config(minimal()).unwrap();
        let seconds = [config.poll_interval, config.active_poll_interval, config.timeout, config.retry_delay]
            .map(|d| d.as_secs());
        assert_eq!(seconds, [5, 1, 30, 10]);
        assert_eq!((config.batch, config.max_retries, config.html_entities), (50, None, HtmlEntities::Decode));
        assert_eq!((config.plugin_name.as_str(), config.platform_name.as_str()), ("web_chat", "web_chat"));
        let limits = config.limits();
        assert_eq!((limits.concurrency, limits.job_timeout_ms, limits.max_attempts), (32, 125_000, None));
    }

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "WEB_CHAT_API_URL" => "http://environment",
            "WEB_CHAT_API_KEY" => "from-environment",
            "WEB_CHAT_POLL_INTERVAL" => "0.5",
            "WEB_CHAT_MAX_RETRIES" => "7",
            "WEB_CHAT_RETRY_DELAY" => "20",
            "WEB_CHAT_PLUGIN_NAME" => "poller",
            "WEB_CHAT_PLATFORM_NAME" => "site",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn environment_fills_what_the_file_leaves_out() {
        let settings = Settings { poll_interval: Some(2.0), platform_name: Some("shop".into()), ..Settings::default() };
        let config = Config::new(settings, "web_chat", environment).unwrap();
        assert_eq!(config.endpoint.as_str(), "http://environment/api/v1/");
        assert_eq!(config.api_key.expose(), "from-environment");
        assert_eq!((config.poll_interval.as_secs(), config.retry_delay.as_secs()), (2, 20));
        assert_eq!((config.plugin_name.as_str(), config.platform_name.as_str()), ("poller", "shop"));
        assert_eq!(config.limits().max_attempts, Some(7));
    }

    #[test]
    fn environment_is_not_for_other_instances() {
        let config = Config::new(minimal(), "shop", environment).unwrap();
        assert_eq!((config.endpoint.as_str(), config.api_key.expose()), ("http://127.0.0.1/api/v1/", "key"));
        assert_eq!(
            (config.poll_interval.as_secs(), config.max_retries, config.plugin_name.as_str()),
            (5, None, "shop")
        );
    }

    #[test]
    fn wrong_environment_is_named() {
        for (name, value) in
            [("WEB_CHAT_POLL_INTERVAL", "often"), ("WEB_CHAT_POLL_INTERVAL", "0.01"), ("WEB_CHAT_MAX_RETRIES", "-1")]
        {
            let wrong = |asked: &str| (asked == name).then(|| value.to_owned());
            let text = Config::new(minimal(), "web_chat", wrong).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(value) && text.contains("from"), "{text}");
        }
        let long = |asked: &str| (asked == "WEB_CHAT_PLUGIN_NAME").then(|| "x".repeat(65));
        assert!(Config::new(minimal(), "web_chat", long).unwrap_err().to_string().starts_with("plugin_name: "));
    }

    #[test]
    fn key_that_cannot_be_sent_is_refused_without_showing_it() {
        let text = config(Settings { api_key: Secret::new("two words\n"), ..minimal() }).unwrap_err().to_string();
        assert!(text.starts_with("api_key: ") && !text.contains("words"), "{text}");
        let text = config(Settings { admin_key: Secret::new("ключ"), ..minimal() }).unwrap_err().to_string();
        assert!(text.starts_with("admin_key: ") && !text.contains("ключ"), "{text}");
        let shown = format!("{:?}", config(Settings { api_key: Secret::new("hidden"), ..minimal() }).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn no_retries_are_one_attempt() {
        let config = config(Settings { max_retries: Some(0), ..minimal() }).unwrap();
        assert_eq!(config.limits().max_attempts, Some(1));
    }
}
