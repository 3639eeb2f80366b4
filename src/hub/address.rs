//! Which addresses a client of this server may make it connect to.
//!
//! A server that fetches URLs for its clients reaches more than they do: services on its own machine, in its network, and
//! the metadata services of clouds (server-side request forgery). Names are therefore resolved here, and connections made
//! only to the addresses that were checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The text of an error for a host without a public address, by which it is recognised among the causes of an error.
pub(super) const REFUSED: &str = "the host has no public address";

/// Resolves names to their public addresses.
#[derive(Debug)]
pub(super) struct PublicResolver;

// === impl PublicResolver ===

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(REFUSED.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether the host of a URL is a name, which is checked when it is resolved, or a public address.
pub(super) fn may_be_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(_)) => true,
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        None => false,
    }
}

/// Whether an address is reachable from everywhere: the registries of special-purpose addresses (RFC 6890) list the others.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // This network and reserved; benchmarks; shared address space of carriers; protocol assignments.
    let special =
        matches!(address.octets(), [0 | 240..=255, ..] | [198, 18 | 19, ..] | [100, 64..=127, ..] | [192, 0, 0, _]);
    !(special
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = address.to_ipv4() {
        // Mapped (::ffff:0:0/96) and compatible addresses; of the latter are :: and ::1.
        return is_public_v4(inside);
    }
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // NAT64 and 6to4 reach the IPv4 address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        // Global unicast is 2000::/3, without protocol assignments, documentation and Teredo.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, public: bool) {
        let url = Url::parse(&format!("https://{host}/x")).unwrap();
        assert_eq!(may_be_public(&url), public, "{host}");
    }

    #[test]
    fn special_addresses_are_not_public() {
        let ours = "127.0.0.1 127.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 \
                    255.255.255.255 198.18.0.1 192.0.0.1 0x7f000001 2130706433 017700000001 [::] [::1] [fe80::1] [fc00::1] \
                    [fd00:ec2::254] [ff02::1] [::ffff:127.0.0.1] [::ffff:10.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] \
                    [2001:db8::1] [2001::1] [64:ff9b:1::1] [100::1]";
        for host in ours.split_whitespace() {
            check(host, false);
        }
        for host in ["1.1.1.1", "172.32.0.1", "192.169.0.1", "[2606:4700::1111]", "[64:ff9b::101:101]", "example.com"] {
            check(host, true);
        }
    }
}
