//! The HTTP client of one instance: what every question carries, and how long a connection may take.

use crate::settings::Settings;
use plugin_api::{Error, Result};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use std::time::Duration;

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// Many servers close an idle connection after five seconds. A question that meets the closing is an uncertain one, so be earlier.
const IDLE: Duration = Duration::from_secs(4);

/// Reads the system's certificates if it is for `https`; nothing goes over the network.
pub(crate) fn build(settings: &Settings, address: &Url, version: &str) -> Result<Client> {
    // Another instance of this library may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(format!("Arcuate/{version}"))
        .default_headers(headers(settings)?)
        .redirect(Policy::none())
        .connect_timeout(connect_timeout(settings)?)
        .pool_idle_timeout(IDLE);
    if address.scheme() == "http" {
        // Works on machines without any certificates, and saves the reading of them on all others.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(address) {
        // A proxy of the environment is for the world outside.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        Error::new(format!("url: {} cannot be asked from here: {}", address.scheme(), Error::from(error)))
    })
}

fn headers(settings: &Settings) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let wanted = if settings.stream { "text/event-stream, application/json;q=0.9" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(wanted));
    if !settings.api_key.is_empty() {
        let bearer = format!("Bearer {}", settings.api_key.expose());
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| Error::new("api_key: it has characters that no header can carry; a line end perhaps"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// Well within the other times, so that a server which is not there is not taken for one that is silent.
fn connect_timeout(settings: &Settings) -> Result<Duration> {
    let silent = settings.timeout()?.min(settings.first_token_timeout()?);
    Ok(LONGEST_CONNECT.min(silent / 2))
}

fn is_loopback(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
