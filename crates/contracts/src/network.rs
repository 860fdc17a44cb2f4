//! What counts as one client of the public endpoint.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

/// An address of IPv4, or a network of 2^64 addresses of IPv6, as a household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// One address.
    V4(Ipv4Addr),
    /// The first half of an address.
    V6([u16; 4]),
}

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }

    /// The network of a public address. `None` for others: behind them is a proxy that nobody told us of, and thus everybody.
    pub fn public(address: IpAddr) -> Option<Self> {
        let inside = match address.to_canonical() {
            IpAddr::V4(address) => {
                address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified()
            }
            IpAddr::V6(address) => {
                address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local() || address.is_unspecified()
            }
        };
        (!inside).then(|| Self::of(address))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6([first, second, third, fourth]) => write!(f, "{first:x}:{second:x}:{third:x}:{fourth:x}::/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> Option<Network> {
        Network::public(address.parse().expect("an address"))
    }

    #[test]
    fn a_household_is_one_client() {
        assert_eq!(public("203.0.113.9").map(|network| network.to_string()).as_deref(), Some("203.0.113.9"));
        assert_eq!(public("::ffff:203.0.113.9"), public("203.0.113.9"));
        assert_eq!(public("2001:db8:1:2::1"), public("2001:db8:1:2:ffff::9"));
        assert_ne!(public("2001:db8:1:2::1"), public("2001:db8:1:3::1"));
    }

    #[test]
    fn who_is_inside_is_not_one_client() {
        for inside in ["127.0.0.1", "10.1.2.3", "192.168.0.7", "172.18.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1", "::"] {
            assert_eq!(public(inside), None, "{inside}");
        }
    }
}
