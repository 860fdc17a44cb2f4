//! From which network address a request comes: what limits on attempts go by.

use std::net::{IpAddr, SocketAddr};

use berth_contracts::Network;
use ntex::web::{DefaultError, WebRequest};

/// Which addresses are clients of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    /// Proxies before the front door: with any, a connection's peer is one of them.
    pub trusted_proxies: usize,
    /// Whether private addresses are clients like others.
    pub private: bool,
}

impl Clients {
    /// The client behind the peer of a connection; `None` when that is a proxy.
    pub(crate) fn peer(self, address: IpAddr) -> Option<Network> {
        if self.trusted_proxies > 0 { None } else { self.of(address) }
    }

    /// The client with this address; `None` when everybody may stand behind it.
    pub(crate) fn named(self, address: &str) -> Option<Network> {
        self.of(address.parse().ok()?)
    }

    fn of(self, address: IpAddr) -> Option<Network> {
        if self.private { Some(Network::of(address)) } else { Network::public(address) }
    }
}

/// The client's address: the peer's, or, behind trusted proxies, the one that the outermost of them saw.
pub(crate) fn address(request: &WebRequest<DefaultError>, trusted_proxies: usize) -> String {
    let forwarded =
        request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let told = told_by_proxies(&forwarded, trusted_proxies);
    let peer = || request.peer_addr().map(|address| address.ip());
    told.or_else(peer).map(|address| address.to_string()).unwrap_or_default()
}

/// Each proxy adds the address it sees at the end; what stands before the entry of the outermost one was written by the client.
fn told_by_proxies(forwarded: &str, trusted_proxies: usize) -> Option<IpAddr> {
    let entry = forwarded.split(',').map(str::trim).rev().nth(trusted_proxies.checked_sub(1)?)?;
    let bare = || entry.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(forwarded: &str, trusted_proxies: usize) -> Option<String> {
        told_by_proxies(forwarded, trusted_proxies).map(|address| address.to_string())
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let forwarded = "6.6.6.6, 203.0.113.9,198.51.100.7";
        assert_eq!(told(forwarded, 0), None);
        assert_eq!(told(forwarded, 1).as_deref(), Some("198.51.100.7"));
        assert_eq!(told(forwarded, 2).as_deref(), Some("203.0.113.9"));
        assert_eq!(told("198.51.100.7", 2), None, "it did not come through both");
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        assert_eq!(told("203.0.113.9:4711", 1).as_deref(), Some("203.0.113.9"));
        assert_eq!(told("[2001:db8::1]:4711", 1).as_deref(), Some("2001:db8::1"));
        assert_eq!(told("2001:db8::1", 1).as_deref(), Some("2001:db8::1"));
        for odd in ["", "unknown", "_hidden", "1.2.3.4.5", "\r\n"] {
            assert_eq!(told(odd, 1), None, "{odd}");
        }
    }
}
