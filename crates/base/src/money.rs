//! Money: whole nano-dollars.

use crate::decimal::{Decimal, DecimalError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An amount in 10^-9 US dollars. Range ±9.2 billion dollars.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Nought.
    pub const ZERO: Self = Self(0);
    /// The most that can be said.
    pub const MAX: Self = Self(i64::MAX);

    /// The sum, or the largest amount if it does not fit.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or the smallest amount if it does not fit.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Half up from an exact sum at `scale` digits; saturates.
    pub fn round_from(sum: i128, scale: u8) -> Self {
        let rounded = if scale <= 9 {
            10_i128.checked_pow(u32::from(9 - scale)).and_then(|factor| sum.checked_mul(factor))
        } else {
            10_i128
                .checked_pow(u32::from(scale - 9))
                .map(|divisor| (sum.saturating_add(divisor / 2)).div_euclid(divisor))
        };
        match rounded {
            Some(nano) => {
                Self(i64::try_from(nano).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX }))
            }
            None => Self(if sum < 0 { i64::MIN } else { i64::MAX }),
        }
    }

    /// An exact decimal of US dollars.
    pub fn as_decimal(self) -> Decimal {
        Decimal::new(self.0, 9)
    }
}

impl From<Decimal> for NanoUsd {
    /// Dollars, rounded half up to the nano-dollar.
    fn from(dollars: Decimal) -> Self {
        Self::round_from(i128::from(dollars.mantissa()), dollars.scale())
    }
}

impl FromStr for NanoUsd {
    type Err = DecimalError;

    /// Dollars: `"12.5"`, `"1e-3"`.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Ok(text.parse::<Decimal>()?.into())
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars in plain decimal, no sign of currency: `0.0125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_decimal().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::NanoUsd;

    #[test]
    fn dollars_in_and_out() {
        assert_eq!("12.5".parse(), Ok(NanoUsd(12_500_000_000)));
        assert_eq!("1e-9".parse(), Ok(NanoUsd(1)));
        assert_eq!(NanoUsd(12_500_000).to_string(), "0.0125");
    }

    #[test]
    fn rounds_half_up_once() {
        assert_eq!(NanoUsd::round_from(15, 10), NanoUsd(2));
        assert_eq!(NanoUsd::round_from(14, 10), NanoUsd(1));
        assert_eq!(NanoUsd::round_from(1, 24), NanoUsd(0));
        assert_eq!(NanoUsd::round_from(i128::MAX, 0), NanoUsd(i64::MAX));
    }
}
