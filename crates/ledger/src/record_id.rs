//! The name of one attempt: the call's id and the attempt's number.

use base::CallId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names one attempt for ever. Made by the gateway alone: an id that a client
/// chose could repeat, and a record that repeats is charged once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The call.
    pub call: CallId,
    /// Counts from 0 within the call.
    pub attempt: u16,
}

impl RecordId {
    /// Its length as bytes.
    pub const LEN: usize = 18;

    /// The call, then the attempt (big endian): sorts as the id does.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let attempt = self.attempt.to_be_bytes();
        for (to, from) in bytes.iter_mut().zip(self.call.as_bytes().iter().chain(&attempt)) {
            *to = *from;
        }
        bytes
    }

    /// What [`RecordId::to_bytes`] gave.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [call @ .., a0, a1] = bytes;
        Self { call: CallId::from_bytes(call), attempt: u16::from_be_bytes([a0, a1]) }
    }
}

impl fmt::Display for RecordId {
    /// `019d1f6d-261b-7fff-bfff-ffffffffffff.0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.attempt)
    }
}

/// Not a UUID version 7, a point and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record id (a UUID of version 7, a point and a number)")]
pub struct RecordIdError;

impl FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        let (call, attempt) = text.split_once('.').ok_or(RecordIdError)?;
        let mut bytes = [0_u8; 16];
        let mut digits = call.bytes().filter(|byte| *byte != b'-');
        let mut nibble = || {
            let digit = char::from(digits.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        for byte in &mut bytes {
            let (high, low) = (nibble().ok_or(RecordIdError)?, nibble().ok_or(RecordIdError)?);
            *byte = (high << 4) | low;
        }
        let [t0, t1, t2, t3, t4, t5, random @ ..] = bytes;
        let call_id = CallId::new(i64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]), random);
        let id = Self { call: call_id, attempt: attempt.parse().map_err(|_| RecordIdError)? };
        // One id has one spelling, and only version 7 survives.
        if id.call.as_bytes() == &bytes && id.to_string() == text {
            Ok(id)
        } else {
            Err(RecordIdError)
        }
    }
}

impl Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::RecordId;
    use base::CallId;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_record_id_is_refused() {
        for text in [
            "",
            ".",
            "019d1f6d-261b-7fff-bfff-ffffffffffff",
            "019d1f6d-261b-7fff-bfff-ffffffffffff.",
            "019d1f6d-261b-7fff-bfff-ffffffffffff.70000",
            "019d1f6d-261b-7fff-bfff-ffffffffffff.01",
            "019D1f6d-261b-7fff-bfff-ffffffffffff.0",
            "019d1f6d261b7fffbfffffffffffffff.0",
            "019d1f6d-261b-4fff-bfff-ffffffffffff.0",
            "019d1f6d-261b-7fff-bfff-ffffffffffffff.0",
        ] {
            assert!(text.parse::<RecordId>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn display_then_parse_is_identity(ms in 0_i64..1 << 47, random: [u8; 10], attempt: u16) {
            let id = RecordId { call: CallId::new(ms, random), attempt };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(RecordId::from_bytes(id.to_bytes()), id);
        }
    }
}
