//! Kinds of IP addresses: which are public, private, local, or a cloud's
//! metadata service. Pure.
//!
//! Sources: the IANA IPv4 and IPv6 special-purpose address registries (2025);
//! RFC 6052 and 8215 (NAT64), 3056 (6to4), 4380 (Teredo), 5214 (ISATAP).
//! Address forms that carry an IPv4 address are judged by it. `egress` vets
//! each resolved address by this; `config` names literal addresses that
//! `egress` would refuse.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kind of an address that is not a public unicast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// RFC 1918, and the carrier's 100.64.0.0/10; unique-local fc00::/7.
    Private,
    /// A service at which a cloud gives credentials to any local process.
    Metadata,
    /// 169.254.0.0/16, fe80::/10, and the old site-local fec0::/10.
    LinkLocal,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// Everything else that no public host has: unspecified, broadcast,
    /// documentation, benchmarking, translation prefixes, unassigned.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Metadata => "a cloud metadata address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Returns the kind of `ip`; `None` for a public unicast address.
pub fn judge(ip: IpAddr) -> Option<Kind> {
    match ip {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => judge_v6(v6),
    }
}

/// Metadata services outside the link-local ranges: Azure's wire server (a
/// public address), Alibaba's, Oracle's older one.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Link-local addresses that are called what they are: EC2, GCE, Azure, and
/// the container credential endpoints of ECS and EKS.
const METADATA_LINK_LOCAL_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
];

/// EC2, EKS pod identity, GCE.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

fn judge_v4(ip: Ipv4Addr) -> Option<Kind> {
    if METADATA_V4.contains(&ip) || METADATA_LINK_LOCAL_V4.contains(&ip) {
        return Some(Kind::Metadata);
    }
    match ip.octets() {
        [127, ..] => Some(Kind::Loopback),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Some(Kind::Private),
        [169, 254, ..] => Some(Kind::LinkLocal),
        [224..=239, ..] => Some(Kind::Multicast),
        // This network; IETF protocols; the three documentation nets; the old
        // 6to4 relay; benchmarking; class E and broadcast.
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..] => Some(Kind::Reserved),
        _ => None,
    }
}

fn judge_v6(ip: Ipv6Addr) -> Option<Kind> {
    if METADATA_V6.contains(&ip) {
        return Some(Kind::Metadata);
    }
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Kind::Loopback),
        // Teredo holds its server's address, and the client's with all bits turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            judge_v4(embedded(server_high, server_low)).or_else(|| judge_v4(embedded(!high, !low)))
        }
        [0xfc00..=0xfdff, ..] => Some(Kind::Private),
        [0xfe80..=0xfeff, ..] => Some(Kind::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Kind::Multicast),
        // IETF protocols (benchmarking and ORCHID among them), documentation.
        [0x2001, 0x0001..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Kind::Reserved),
        // Mapped; NAT64's well-known prefix; 6to4; and ISATAP, a tunnel end
        // inside the site that owns the prefix. The IPv4 address is where it goes.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0x2000..=0x3fff, _, _, _, 0 | 0x0200, 0x5efe, high, low] => {
            judge_v4(embedded(high, low))
        }
        [0x2000..=0x3fff, ..] => None,
        // Outside 2000::/3 nothing is public: unspecified, IPv4-compatible,
        // IPv4-translated, local NAT64, discard, SRv6, unassigned.
        _ => Some(Kind::Reserved),
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}
