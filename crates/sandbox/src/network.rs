//! A network that leads nowhere, and shows who tries to leave.
//!
//! The namespace has a loopback only. Every address routes to it, so that a
//! connection to any other machine is refused at once instead of timing out, and
//! a packet socket sees each attempt: this is how raw TCP, DNS and other
//! protocols that know no proxy get into a log.

use crate::sys;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

/// Bytes of a packet that are looked at.
const PACKET_MAX: usize = 640;

/// Brings the loopback up and opens a listening socket on each of `ports`.
pub(crate) fn open(ports: &[u16]) -> io::Result<Vec<OwnedFd>> {
    sys::set_loopback_up()?;
    let listener = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map(OwnedFd::from);
    ports.iter().map(listener).collect()
}

/// Routes every address to the loopback and opens a socket that sees what is sent.
pub(crate) fn watch() -> io::Result<OwnedFd> {
    let every_protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK;
    let socket = sys::socket(libc::AF_PACKET, kind, every_protocol)?;
    sys::filter_packets(socket.as_fd(), &mut leaving())?;
    sys::ask_route_socket(&route_to_loopback(libc::AF_INET as u8))?;
    // A kernel without IPv6 has nothing to route there.
    match sys::ask_route_socket(&route_to_loopback(libc::AF_INET6 as u8)) {
        Err(error) if error.raw_os_error() != Some(libc::EAFNOSUPPORT) => Err(error),
        _ => Ok(socket),
    }
}

/// Message that makes every address of `family` local (`ip route add local default
/// dev lo`).
fn route_to_loopback(family: u8) -> Vec<u8> {
    const LENGTH: u32 = 16 + 12 + 8;
    const LOOPBACK_INDEX: u32 = 1;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend([family, 0, 0, 0]);
    message.extend([
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_STATIC,
        libc::RT_SCOPE_HOST,
        libc::RTN_LOCAL,
    ]);
    message.extend(0_u32.to_ne_bytes());
    message.extend(8_u16.to_ne_bytes());
    message.extend(libc::RTA_OIF.to_ne_bytes());
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message
}

/// Packet filter: outgoing packets whose destination is not on the loopback.
fn leaving() -> [libc::sock_filter; 18] {
    let load =
        |offset: u32| code((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, offset);
    let word =
        |offset: u32| code((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, offset);
    let jump =
        |value, yes, no| code((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, yes, no, value);
    let give = |length| code((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, length);
    let high_half = code((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0, 0, 0xf0);
    let packet_type = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    let outgoing = u32::from(libc::PACKET_OUTGOING);
    [
        load(packet_type),
        jump(outgoing, 0, 14), // → drop
        load(0),
        high_half,
        jump(0x40, 0, 2), // → IPv6
        load(16),
        jump(127, 9, 10), // → drop, take
        jump(0x60, 0, 8), // → drop
        word(24),
        jump(0, 0, 7), // → take
        word(28),
        jump(0, 0, 5), // → take
        word(32),
        jump(0, 0, 3), // → take
        word(36),
        jump(1, 0, 1), // → drop, take
        give(0),
        give(PACKET_MAX as u32),
    ]
}

fn code(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// An attempt to reach another machine without the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// `tcp`, `udp`, `icmp`, or the protocol's number.
    pub protocol: String,
    /// Its intended destination.
    pub address: IpAddr,
    /// Destination port; 0 for protocols without ports.
    pub port: u16,
    /// Name that a DNS query asked for.
    pub name: Option<String>,
}

impl Attempt {
    /// Bytes of a packet that are looked at.
    pub const PACKET_MAX: usize = PACKET_MAX;

    /// Reads a packet that [`crate::Confined::take_packets`] gave. `None` for one that
    /// is no attempt of the command, such as the kernel's own answers.
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        parse(packet)
    }
}

/// Destination of a packet.
fn parse(packet: &[u8]) -> Option<Attempt> {
    let (address, protocol, inside) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 0xf) * 4;
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (IpAddr::from(Ipv4Addr::from(to)), *packet.get(9)?, packet.get(header..)?)
        }
        6 => {
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (IpAddr::from(Ipv6Addr::from(to)), *packet.get(6)?, packet.get(40..)?)
        }
        _ => return None,
    };
    if address.is_loopback() {
        return None;
    }
    let port = || Some(u16::from_be_bytes(inside.get(2..4)?.try_into().ok()?));
    let (protocol, port, name) = match protocol {
        6 => {
            // A first SYN only: the rest of a conversation is not another attempt.
            let is_first = inside.get(13)? & 0x12 == 0x02;
            ("tcp".to_owned(), is_first.then(port)??, None)
        }
        17 => {
            let port = port()?;
            let name = if port == 53 { queried_name(inside.get(8..)?) } else { None };
            ("udp".to_owned(), port, name)
        }
        1 => {
            let is_echo = *inside.first()? == 8;
            is_echo.then(|| ("icmp".to_owned(), 0, None))?
        }
        58 => {
            let is_echo = *inside.first()? == 128;
            is_echo.then(|| ("icmp".to_owned(), 0, None))?
        }
        // Multicast listener reports are the kernel's.
        0 if address.is_multicast() => return None,
        other => (other.to_string(), 0, None),
    };
    Some(Attempt { protocol, address, port, name })
}

/// First name in a DNS message, with what is not a host name's letter replaced.
fn queried_name(message: &[u8]) -> Option<String> {
    let mut rest = message.get(12..)?;
    let mut name = String::new();
    loop {
        let (length, after) = rest.split_first()?;
        let length = usize::from(*length);
        if length == 0 || length > 63 {
            break;
        }
        let (label, after) = after.split_at_checked(length)?;
        if !name.is_empty() {
            name.push('.');
        }
        let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
        name.extend(label.iter().map(shown));
        rest = after;
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{Attempt, parse, queried_name};

    fn packet(protocol: u8, to: [u8; 4], inside: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet[9] = protocol;
        packet[16..20].copy_from_slice(&to);
        packet.extend(inside);
        packet
    }

    #[test]
    fn only_first_packets_to_others_are_attempts() {
        let mut segment = [0; 20];
        segment[2..4].copy_from_slice(&443_u16.to_be_bytes());
        segment[13] = 0x02;
        let found = parse(&packet(6, [8, 8, 8, 8], &segment)).unwrap();
        let address = "8.8.8.8".parse().unwrap();
        assert_eq!(found, Attempt { protocol: "tcp".into(), address, port: 443, name: None });
        assert_eq!(parse(&packet(6, [127, 0, 0, 1], &segment)), None);
        segment[13] = 0x14;
        assert_eq!(parse(&packet(6, [8, 8, 8, 8], &segment)), None, "a reset");
        assert_eq!(parse(&packet(1, [8, 8, 8, 8], &[3, 1])), None, "unreachable");
        for cut in 0..40 {
            let whole = packet(6, [8, 8, 8, 8], &segment);
            drop(parse(&whole[..cut]));
        }
    }

    #[test]
    fn a_dns_query_shows_its_name() {
        let mut message = vec![0; 12];
        message.extend(b"\x06secret\x07example\x00\x00\x01\x00\x01");
        assert_eq!(queried_name(&message).as_deref(), Some("secret.example"));
        let datagram = [&[0, 9, 0, 53, 0, 0, 0, 0][..], &message].concat();
        let found = parse(&packet(17, [9, 9, 9, 9], &datagram)).unwrap();
        assert_eq!((found.port, found.name.as_deref()), (53, Some("secret.example")));
        assert_eq!(queried_name(&[0; 12]), None);
        assert_eq!(queried_name(&[255; 30]), None);
    }
}
