//! The announcement on the local network (multicast DNS, RFC 6762 and RFC 6763), by which agents find the host without knowing its address.
//! Only a host that the network can reach is announced.

use super::hostname;
use mdns_sd::{ServiceDaemon, ServiceInfo};
use std::net::SocketAddr;

/// Under its own name, and under that of the chats whose API it speaks.
pub const SERVICE_TYPES: [&str; 2] = ["_arcuate._tcp.local.", "_agentchat._tcp.local."];

/// Holds as long as it lives.
pub struct Announcement(ServiceDaemon);

impl Announcement {
    /// None where nobody else could reach the address, or the network takes no announcements: the host goes on without.
    pub fn of(address: SocketAddr) -> Option<Self> {
        if !is_announced(address) {
            return None;
        }
        match announce(address) {
            Ok(daemon) => Some(Self(daemon)),
            Err(error) => {
                tracing::warn!("not announced on the local network: {error}");
                None
            }
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // It says goodbye by itself, if there is time.
        let _ = self.0.shutdown();
    }
}

pub fn is_announced(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

fn announce(address: SocketAddr) -> mdns_sd::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new()?;
    let host = hostname();
    let texts = [("path", "/api/v1"), ("version", env!("CARGO_PKG_VERSION"))];
    for service in SERVICE_TYPES {
        let (name, port) = (format!("{host}.local."), address.port());
        let info = if address.ip().is_unspecified() {
            ServiceInfo::new(service, &host, &name, "", port, &texts[..])?.enable_addr_auto()
        } else {
            ServiceInfo::new(service, &host, &name, address.ip(), port, &texts[..])?
        };
        daemon.register(info)?;
    }
    Ok(daemon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_one_machine_is_not_announced() {
        let announced = |address: &str| is_announced(address.parse().unwrap());
        assert!(!announced("127.0.0.1:8000") && !announced("[::1]:8000") && !announced("[::ffff:127.0.0.1]:8000"));
        assert!(announced("0.0.0.0:8000") && announced("[::]:8000") && announced("192.168.1.7:8000"));
    }
}
