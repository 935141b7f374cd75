//! Where a request comes from: the peer's address, or what a trusted proxy says of it.

use crate::error::Error;
use crate::state::App;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address that limits go by.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub IpAddr);

impl FromRequestParts<App> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        Ok(Self(resolve(peer, &parts.headers, &app.config().server.trusted_proxies)))
    }
}

/// Proxies append: the last address that is not a trusted proxy's is the client's, and what stands before it may be made up.
fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let mut client = peer;
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        match hop.trim().parse() {
            Ok(address) => client = address,
            Err(_) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2".parse().unwrap());
        let resolved = |peer: [u8; 4]| resolve(peer.into(), &headers, &trusted);
        assert_eq!(resolved([9, 9, 9, 9]), IpAddr::from([9, 9, 9, 9]), "not a proxy: its header is made up");
        assert_eq!(resolved([10, 0, 0, 1]), IpAddr::from([2, 2, 2, 2]), "the last that no trusted proxy vouches for");
    }
}
