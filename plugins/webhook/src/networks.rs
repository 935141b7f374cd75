//! Which addresses may be called. Whoever registers an endpoint could else have the host knock at doors that only it can reach. Every form
//! of an address comes down to the one it leads to, and what a name stands for is asked once: the connection goes to the very address
//! that was checked.

use ipnet::IpNet;
use plugin_api::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Where clouds tell their machines their secrets, beside the link-local one.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// What the settings allow. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Networks(Arc<Allowed>);

#[derive(Debug, Default)]
struct Allowed {
    loopback: bool,
    private: bool,
    networks: Vec<IpNet>,
}

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Internet,
    Loopback,
    Private,
    /// Nobody's endpoint, whatever is allowed.
    Never(&'static str),
}

/// An address that is not called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Networks {
    pub(crate) fn parse(texts: &[String]) -> Result<Self> {
        let mut allowed = Allowed::default();
        for text in texts {
            match text.trim() {
                "loopback" => allowed.loopback = true,
                "private" => allowed.private = true,
                other => allowed.networks.push(network(other)?),
            }
        }
        Ok(Self(Arc::new(allowed)))
    }

    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let Self(allowed) = self;
        let inner = destination(address);
        let named = allowed.networks.iter().any(|network| network.contains(&inner));
        let refused = |what: &str| Err(Refused(format!("{inner} is {what}, which is not called")));
        match reach(inner) {
            Reach::Never(what) => refused(what),
            Reach::Loopback if !allowed.loopback && !named => refused("this machine itself (setting allow_networks)"),
            Reach::Private if !allowed.private && !named => refused("in a private network (setting allow_networks)"),
            _ => Ok(()),
        }
    }

    /// Those of a name's addresses that may be called; refused if none may.
    fn checked(&self, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let (mut checked, mut why) = (Vec::new(), Refused("the name has no address".into()));
        for address in addresses {
            match self.check(address.ip()) {
                Ok(()) => checked.push(address),
                Err(refused) => why = refused,
            }
        }
        if checked.is_empty() { Err(why) } else { Ok(checked) }
    }
}

impl Resolve for Networks {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(networks.checked(found)?.into_iter());
            Ok(addresses)
        })
    }
}

fn network(text: &str) -> Result<IpNet> {
    let wrong = || {
        Error::new(format!("allow_networks: `{text}` is neither loopback, private nor a network such as 10.1.0.0/16"))
    };
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| wrong())
}

/// The address that a packet ends up at: IPv6 has several ways to wrap one of IPv4.
fn destination(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::from(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // Mapped and compatible; `::` and `::1` are addresses of their own.
        (0, 0) if [c, d, e] == [0, 0, 0] && (f == 0xffff || (f == 0 && (g != 0 || h > 1))) => v4(g, h),
        (0, 0) if [c, d, e, f] == [0, 0, 0xffff, 0] => v4(g, h),
        // NAT64, its local form, and 6to4.
        (0x64, 0xff9b) => v4(g, h),
        (0x2002, _) => v4(b, c),
        // Teredo keeps its client's address inverted.
        (0x2001, 0) => v4(!g, !h),
        _ => address,
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if METADATA_V4.contains(&address) || address == Ipv4Addr::new(169, 254, 169, 254) => {
            Reach::Never("a cloud's metadata")
        }
        (0, ..) => Reach::Never("no address"),
        (127, ..) => Reach::Loopback,
        (169, 254, _) => Reach::Never("link-local"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18..=19, _) | (192, 0, 0) => {
            Reach::Private
        }
        (224..=239, ..) => Reach::Never("multicast"),
        (240..=255, ..) => Reach::Never("reserved or broadcast"),
        _ => Reach::Internet,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) {
        return Reach::Never("a cloud's metadata");
    }
    match address.segments()[0] {
        _ if address.is_loopback() => Reach::Loopback,
        _ if address.is_unspecified() => Reach::Never("no address"),
        0xfc00..=0xfdff => Reach::Private,
        0xfe80..=0xfeff => Reach::Never("link-local"),
        0xff00..=0xffff => Reach::Never("multicast"),
        _ => Reach::Internet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allowed: &[&str]) -> Networks {
        Networks::parse(&allowed.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn passes(networks: &Networks, address: &str) -> bool {
        networks.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn dangerous_addresses_are_refused_whatever_is_allowed() {
        let all = networks(&["loopback", "private", "0.0.0.0/0", "::/0"]);
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2:3:4:5601:5601",
        ] {
            assert!(!passes(&all, address), "{address}");
        }
    }

    #[test]
    fn own_networks_are_called_only_where_allowed() {
        let (none, lan) = (networks(&[]), networks(&["loopback", "private"]));
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!passes(&none, address) && passes(&lan, address), "{address}");
        }
        let some = networks(&["10.1.0.0/16", "127.0.0.1"]);
        assert!(passes(&some, "10.1.2.3") && passes(&some, "::ffff:10.1.2.3") && passes(&some, "127.0.0.1"));
        assert!(!passes(&some, "10.2.0.1") && !passes(&some, "127.0.0.2") && !passes(&some, "::1"));
    }

    #[test]
    fn internet_is_always_called() {
        let none = networks(&[]);
        for address in ["93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "::ffff:8.8.8.8"] {
            assert!(passes(&none, address), "{address}");
        }
    }

    #[test]
    fn name_with_good_and_bad_addresses_leads_to_the_good_ones() {
        let mixed = ["93.184.216.34:0", "127.0.0.1:0"].map(|address| address.parse().unwrap());
        assert_eq!(networks(&[]).checked(mixed.into_iter()), Ok(vec![mixed[0]]));
        assert!(networks(&[]).checked([mixed[1]].into_iter()).is_err());
        assert!(networks(&[]).checked(std::iter::empty()).is_err());
    }

    #[test]
    fn network_that_is_none_is_told() {
        for wrong in ["lan", "10.0.0.0/99", ""] {
            let error = Networks::parse(&[wrong.into()]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("allow_networks: "), "{wrong}: {error}");
        }
    }
}
