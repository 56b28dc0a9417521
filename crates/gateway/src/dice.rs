//! Fast random numbers for shuffles, jitter and call ids. Not for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64 over one shared counter: no lock, and no two callers get the
/// same number.
pub struct Dice(AtomicU64);

impl Dice {
    /// Seeded from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Any number.
    pub fn roll(&self) -> u64 {
        let mut z = self
            .0
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where that is nought.
    pub fn below(&self, bound: u64) -> u64 {
        // The bias is below 2^-32 for any bound that occurs here.
        ((u128::from(self.roll()) * u128::from(bound)) >> 64) as u64
    }

    /// Ten random bytes.
    pub fn ten_bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        let (first, second) = (self.roll().to_le_bytes(), self.roll().to_le_bytes());
        for (slot, byte) in bytes.iter_mut().zip(first.into_iter().chain(second)) {
            *slot = byte;
        }
        bytes
    }
}
