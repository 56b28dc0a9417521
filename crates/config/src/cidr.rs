//! A block of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network and the number of bits that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not `address` or `address/bits`.
    #[error("not an address block such as 10.0.0.0/8")]
    Syntax,
    /// Bits after the prefix are set: probably not what was meant.
    #[error("the address has bits after its prefix")]
    HostBits,
}

impl Cidr {
    /// Whether `address` is in the block. An IPv4 address written as IPv6
    /// (`::ffff:10.0.0.1`) counts as the IPv4 address that it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (network, width) = bits(self.network);
        let (address, address_width) = bits(address.to_canonical());
        width == address_width && kept(network ^ address, self.prefix, width) == 0
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The first `prefix` of `width` bits.
fn kept(bits: u128, prefix: u8, width: u8) -> u128 {
    bits.checked_shr(u32::from(width.saturating_sub(prefix))).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| CidrError::Syntax)?;
        let (number, width) = bits(network);
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width).ok_or(CidrError::Syntax)?
            }
            Some(_) => return Err(CidrError::Syntax),
            None => width,
        };
        let host = width - prefix;
        let rebuilt = kept(number, prefix, width).checked_shl(u32::from(host)).unwrap_or(0);
        if rebuilt != number {
            return Err(CidrError::HostBits);
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cidr, CidrError};
    use std::net::IpAddr;

    fn within(block: &str, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        block.parse::<Cidr>().unwrap().contains(address)
    }

    #[test]
    fn blocks_hold_what_their_prefix_says() {
        assert!(within("10.0.0.0/8", "10.255.0.1") && !within("10.0.0.0/8", "11.0.0.0"));
        assert!(within("0.0.0.0/0", "255.255.255.255") && within("::/0", "2001:db8::1"));
        assert!(within("127.0.0.1", "127.0.0.1") && !within("127.0.0.1", "127.0.0.2"));
        assert!(within("fd00::/8", "fd12::1") && !within("fd00::/8", "fe80::1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!within("::/0", "10.0.0.1") && !within("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "10.0.0.0/", "10.0.0.0/+8"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Syntax), "{text}");
        }
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits));
    }
}
