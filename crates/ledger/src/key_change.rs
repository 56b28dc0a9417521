//! A change to a key that is in force before the store knows it.

use base::KeyHash;

/// Effect on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFate {
    /// Refused until unblocked.
    Blocked,
    /// No longer refused.
    Unblocked,
    /// Gone for good.
    Deleted,
}

impl KeyFate {
    /// In the order of their numbers, which are written down: add at the end.
    const ALL: [Self; 3] = [Self::Blocked, Self::Unblocked, Self::Deleted];
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key.
    pub hash: KeyHash,
    /// Effect on it.
    pub fate: KeyFate,
    /// Time of the change, milliseconds since 1970.
    pub at_ms: i64,
}

impl KeyChange {
    /// Appends it as bytes.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.fate as u8);
        into.extend_from_slice(&self.hash.0);
        into.extend_from_slice(&self.at_ms.to_le_bytes());
    }

    /// Reads the output of [`KeyChange::encode`]; `None` if it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (fate, rest) = bytes.split_first()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let fate = *KeyFate::ALL.get(usize::from(*fate))?;
        let at_ms = i64::from_le_bytes(*rest.first_chunk()?);
        Some(Self { hash: KeyHash(*hash), fate, at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyChange, KeyFate};
    use base::KeyHash;

    #[test]
    fn a_change_comes_back_as_it_was_written() {
        for fate in KeyFate::ALL {
            let change = KeyChange { hash: KeyHash([7; 32]), fate, at_ms: -5 };
            let mut bytes = Vec::new();
            change.encode(&mut bytes);
            assert_eq!(KeyChange::decode(&bytes), Some(change));
            assert_eq!(KeyChange::decode(&bytes[1..]), None);
        }
    }
}
