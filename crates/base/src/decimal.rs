//! Exact decimals: an integer and a scale.
//!
//! Prices are written in decimal and must be charged in decimal: `0.1 + 0.2`
//! as floats is already not money. A [`Decimal`] keeps what its source said;
//! arithmetic happens in `i128` at a common scale and is rounded once, when it
//! becomes [`NanoUsd`](crate::NanoUsd).

use std::fmt;
use std::str::FromStr;

/// The most digits after the point that a decimal may have.
pub const MAX_SCALE: u8 = 24;

/// `mantissa × 10^-scale`, normalised: no trailing zeros in the fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i64,
    scale: u8,
}

/// Why a text is not a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with an optional point and exponent.
    #[error("not a decimal number")]
    Syntax,
    /// More digits than an `i64` holds, or finer than 10^-24.
    #[error("too many digits for an exact price")]
    Range,
}

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// `mantissa × 10^-scale`.
    pub fn new(mantissa: i64, scale: u8) -> Self {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self { mantissa, scale }
    }

    /// The integer part of the pair.
    pub fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// Digits after the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Whether it is nought.
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The value times 10^`scale`, exactly; `None` if it does not fit or would
    /// lose digits.
    pub fn at_scale(self, scale: u8) -> Option<i128> {
        let factor = 10_i128.checked_pow(u32::from(scale.checked_sub(self.scale)?))?;
        i128::from(self.mantissa).checked_mul(factor)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Accepts JSON's number grammar, and a leading `+` or bare point.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (number, exponent) = match text.find(['e', 'E']) {
            Some(at) => {
                let (number, rest) = text.split_at(at);
                let exponent = rest.get(1..).ok_or(DecimalError::Syntax)?;
                (number, exponent.parse::<i32>().map_err(|_| DecimalError::Syntax)?)
            }
            None => (text, 0),
        };
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(DecimalError::Syntax);
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(DecimalError::Syntax);
            }
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(i128::from(byte - b'0')))
                .ok_or(DecimalError::Range)?;
        }
        let mut scale = i32::try_from(fraction.len())
            .map_err(|_| DecimalError::Range)?
            .saturating_sub(exponent);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if scale < 0 {
            let power = u32::try_from(-scale).map_err(|_| DecimalError::Range)?;
            mantissa = 10_i128
                .checked_pow(power)
                .and_then(|factor| mantissa.checked_mul(factor))
                .ok_or(DecimalError::Range)?;
            scale = 0;
        }
        let scale = u8::try_from(scale).map_err(|_| DecimalError::Range)?;
        if scale > MAX_SCALE {
            return Err(DecimalError::Range);
        }
        let signed = if negative { -mantissa } else { mantissa };
        Ok(Self { mantissa: i64::try_from(signed).map_err(|_| DecimalError::Range)?, scale })
    }
}

impl fmt::Display for Decimal {
    /// Plain notation, never an exponent: `0.00000015`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written from the right: sign, up to 20 digits before the point, the
        // point, and MAX_SCALE digits after it.
        const LEN: usize = 2 + 20 + MAX_SCALE as usize;
        let mut text = [b'0'; LEN];
        let mut rest = self.mantissa.unsigned_abs();
        let mut start = LEN;
        let mut put = |byte: u8| {
            start = start.saturating_sub(1);
            if let Some(slot) = text.get_mut(start) {
                *slot = byte;
            }
        };
        for _ in 0..self.scale {
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        if self.scale > 0 {
            put(b'.');
        }
        loop {
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if self.mantissa < 0 {
            put(b'-');
        }
        let text = text.get(start..).unwrap_or_default();
        f.write_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, DecimalError};
    use proptest::prelude::*;

    fn parse(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prices_as_their_sources_write_them() {
        assert_eq!(parse("2.5e-06").to_string(), "0.0000025");
        assert_eq!(parse("1.25E-7").to_string(), "0.000000125");
        assert_eq!(parse("0.00").to_string(), "0");
        assert_eq!(parse("3e2").to_string(), "300");
        assert_eq!(parse("-0.5").to_string(), "-0.5");
        assert_eq!(parse("1.2500"), parse("1.25"));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", ".", "-", "1e", "1.2.3", "0x1", "NaN", "1 "] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Syntax), "{text:?}");
        }
        for text in ["1e-25", "99999999999999999999", "1e40"] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Range), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn display_then_parse_is_identity(mantissa: i64, scale in 0_u8..=24) {
            let decimal = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse(&decimal.to_string()), decimal);
        }

        #[test]
        fn what_parses_displays_and_parses_again(text in "[-+0-9.eE]{0,40}") {
            if let Ok(decimal) = text.parse::<Decimal>() {
                prop_assert_eq!(parse(&decimal.to_string()), decimal);
            }
        }
    }
}
