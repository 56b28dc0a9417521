//! Which addresses a connection may be opened to. Pure.
//!
//! The only maker of [`VettedAddr`], and dialling takes nothing else: there is
//! no way from a name or a literal to a socket that does not pass here. An
//! answer is judged whole, since an attacker who can add one record to it can
//! choose which one is used.
//! What each address is comes from [`base::address`].

use crate::policy::Reach;
use base::address::{Kind, judge};
use std::net::{IpAddr, SocketAddr};

/// An address that the policy lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VettedAddr(SocketAddr);

impl VettedAddr {
    /// The address and port.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// The address that spoilt an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddr {
    /// The address as it was answered.
    pub ip: IpAddr,
    /// What it is.
    pub kind: Kind,
}

/// Lets all of `ips` through, or none.
///
/// # Errors
/// The first address that `reach` does not cover.
pub fn vet(
    ips: impl IntoIterator<Item = IpAddr>,
    port: u16,
    reach: Reach,
) -> Result<Vec<VettedAddr>, BadAddr> {
    let is_local = |ip| matches!(judge(ip), Some(Kind::Loopback | Kind::Private));
    vet_with(ips, port, |ip| reach == Reach::Named && is_local(ip))
}

/// Lets all of `ips` through, or none; of loopback, private and reserved addresses those
/// that `may_reach` accepts.
///
/// # Errors
/// The first address that is neither public nor accepted.
pub(crate) fn vet_with(
    ips: impl IntoIterator<Item = IpAddr>,
    port: u16,
    may_reach: impl Fn(IpAddr) -> bool,
) -> Result<Vec<VettedAddr>, BadAddr> {
    ips.into_iter()
        .map(|ip| match judge(ip) {
            None => Ok(VettedAddr(SocketAddr::new(ip, port))),
            Some(Kind::Loopback | Kind::Private | Kind::Reserved)
                if may_reach(ip) && !ip.is_unspecified() =>
            {
                Ok(VettedAddr(SocketAddr::new(ip, port)))
            }
            Some(kind) => Err(BadAddr { ip, kind }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, judge, vet};
    use crate::policy::Reach;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    const LOOPBACK: Option<Kind> = Some(Kind::Loopback);
    const PRIVATE: Option<Kind> = Some(Kind::Private);
    const METADATA: Option<Kind> = Some(Kind::Metadata);
    const LINK_LOCAL: Option<Kind> = Some(Kind::LinkLocal);
    const MULTICAST: Option<Kind> = Some(Kind::Multicast);
    const RESERVED: Option<Kind> = Some(Kind::Reserved);

    #[test]
    fn hostile_addresses_are_seen_through() {
        for (ip, kind) in [
            ("127.0.0.1", LOOPBACK),
            ("127.255.255.254", LOOPBACK),
            ("10.0.0.1", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.1.1", PRIVATE),
            ("100.64.0.1", PRIVATE),
            ("100.127.255.255", PRIVATE),
            ("169.254.169.254", METADATA),
            ("169.254.170.2", METADATA),
            ("100.100.100.200", METADATA),
            ("168.63.129.16", METADATA),
            ("192.0.0.192", METADATA),
            ("169.254.1.1", LINK_LOCAL),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.255", MULTICAST),
            ("0.0.0.0", RESERVED),
            ("0.1.2.3", RESERVED),
            ("192.0.0.1", RESERVED),
            ("192.0.2.1", RESERVED),
            ("198.51.100.7", RESERVED),
            ("203.0.113.9", RESERVED),
            ("192.88.99.1", RESERVED),
            ("198.18.0.1", RESERVED),
            ("198.19.255.255", RESERVED),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", RESERVED),
            ("::", RESERVED),
            ("::1", LOOPBACK),
            ("::7f00:1", RESERVED),
            ("::8.8.8.8", RESERVED),
            ("::ffff:127.0.0.1", LOOPBACK),
            ("::ffff:10.0.0.1", PRIVATE),
            ("::ffff:169.254.169.254", METADATA),
            ("::ffff:0:10.0.0.1", RESERVED),
            ("64:ff9b::10.0.0.1", PRIVATE),
            ("64:ff9b::169.254.169.254", METADATA),
            ("64:ff9b:1::8.8.8.8", RESERVED),
            ("100::1", RESERVED),
            ("2001:0:0a00:0001::", PRIVATE),
            ("2001:0:808:808:0:0:3f57:fefe", PRIVATE),
            ("2001:0:808:808:0:0:5601:5601", METADATA),
            ("2001:2::1", RESERVED),
            ("2001:10::1", RESERVED),
            ("2001:20::1", RESERVED),
            ("2001:1ff::1", RESERVED),
            ("2001:db8::1", RESERVED),
            ("3fff::1", RESERVED),
            ("3fff:fff::1", RESERVED),
            ("2002:7f00:1::1", LOOPBACK),
            ("2002:a00:1::1", PRIVATE),
            ("2002:a9fe:a9fe::", METADATA),
            ("2a00::5efe:10.0.0.1", PRIVATE),
            ("2a00::200:5efe:127.0.0.1", LOOPBACK),
            ("5f00::1", RESERVED),
            ("4000::1", RESERVED),
            ("fc00::1", PRIVATE),
            ("fd12:3456::1", PRIVATE),
            ("fd00:ec2::254", METADATA),
            ("fd00:ec2::23", METADATA),
            ("fd20:ce::254", METADATA),
            ("fe80::1", LINK_LOCAL),
            ("fec0::1", LINK_LOCAL),
            ("ff02::1", MULTICAST),
        ] {
            assert_eq!(judge(ip.parse().unwrap()), kind, "{ip}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for ip in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "168.63.129.17",
            "169.253.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "3fff:1000::1",
        ] {
            assert_eq!(judge(ip.parse().unwrap()), None, "{ip}");
        }
    }

    #[test]
    fn one_bad_address_spoils_the_answer() {
        let answer = ["8.8.8.8", "2606:4700::1111", "10.0.0.1"].map(|ip| ip.parse().unwrap());
        let bad = vet(answer, 443, Reach::Public).unwrap_err();
        assert_eq!((bad.ip, bad.kind), (answer[2], Kind::Private));
        assert_eq!(vet(answer, 443, Reach::Named).unwrap().len(), 3);
    }

    #[test]
    fn a_named_origin_reaches_no_metadata_service_either() {
        for ip in
            ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "fe80::1"]
        {
            assert!(vet([ip.parse().unwrap()], 80, Reach::Named).is_err(), "{ip}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_the_same_in_every_dress(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let plain = judge(IpAddr::V4(v4));
            for dress in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
            ] {
                prop_assert_eq!(judge(IpAddr::V6(dress)), plain);
            }
        }

        #[test]
        fn nothing_outside_global_unicast_is_public(bits: u128) {
            let ip = Ipv6Addr::from(bits);
            let global = ip.segments()[0] & 0xe000 == 0x2000;
            let carries_v4 = ip.to_ipv4_mapped().is_some() || ip.segments()[..2] == [0x64, 0xff9b];
            prop_assert!(global || carries_v4 || judge(IpAddr::V6(ip)).is_some());
        }
    }
}
