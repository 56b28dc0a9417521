//! Virtual keys: how they are made and how they are stored.
//!
//! A key is 256 random bits, so nothing slow is needed against guessing. What
//! is stored is HMAC(pepper, SHA-256(key)): a stolen database neither holds a
//! key nor lets a guess be checked without the pepper, which lives outside it.
//! SHA-256 inside, because that is what a LiteLLM database holds: imported
//! keys fit and no client changes its key.

use aws_lc_rs::{digest, hmac};
use base::{KeyHash, Secret, id};
use std::io;

/// 62^43 > 2^256.
const KEY_DIGITS: usize = 43;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Turns keys into what is stored. Holds the pepper: no `Debug`, no `Clone`.
pub struct KeyHasher {
    pepper: hmac::Key,
}

impl KeyHasher {
    /// With a 32-byte pepper.
    pub fn new(pepper: &[u8; 32]) -> Self {
        Self { pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper) }
    }

    /// The stored form of a key as the client sends it.
    pub fn hash(&self, key: &str) -> KeyHash {
        self.seal(digest::digest(&digest::SHA256, key.as_bytes()).as_ref())
    }

    /// The stored form of a key of which only LiteLLM's SHA-256 is known.
    pub fn hash_imported(&self, litellm_sha256: [u8; 32]) -> KeyHash {
        self.seal(&litellm_sha256)
    }

    /// A new key, `sk-` and 43 letters and digits, and its stored form.
    ///
    /// # Errors
    /// Only where the kernel has no randomness to give.
    pub fn generate_key(&self) -> io::Result<(Secret, KeyHash)> {
        let mut key = String::with_capacity(3 + KEY_DIGITS);
        key.push_str("sk-");
        while key.len() < 3 + KEY_DIGITS {
            // 248 = 4 × 62: bytes above would make some letters likelier.
            let digits = id::random::<64>()?.into_iter().filter(|byte| *byte < 248);
            for byte in digits.take(3 + KEY_DIGITS - key.len()) {
                let digit = BASE62.get(usize::from(byte) % BASE62.len()).copied();
                key.extend(digit.map(char::from));
            }
        }
        let hash = self.hash(&key);
        Ok((Secret::new(key), hash))
    }

    fn seal(&self, sha256: &[u8]) -> KeyHash {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(hmac::sign(&self.pepper, sha256).as_ref()) {
            *to = *from;
        }
        KeyHash(hash)
    }
}

/// How a key is shown to people: `sk-...abcd`. A key too short to give four
/// characters away shows none.
pub fn public_name(key: &str) -> String {
    let start = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    match key.get(start..) {
        Some(last) if key.len() >= 16 => format!("sk-...{last}"),
        _ => "sk-...".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyHasher, public_name};
    use base::KeyHash;

    #[test]
    fn keys_are_long_and_never_the_same() {
        let hasher = KeyHasher::new(&[7; 32]);
        let (one, one_hash) = hasher.generate_key().unwrap();
        let (two, two_hash) = hasher.generate_key().unwrap();
        assert_eq!(one.expose().len(), 46);
        assert!(
            one.expose().strip_prefix("sk-").unwrap().bytes().all(|b| b.is_ascii_alphanumeric())
        );
        assert!(one.expose() != two.expose() && one_hash != two_hash);
        assert_eq!(hasher.hash(one.expose()), one_hash);
    }

    // Expected values from Python's hashlib and hmac.
    #[test]
    fn the_stored_form_is_hmac_of_sha256_and_fits_imported_hashes() {
        let hasher = KeyHasher::new(&[7; 32]);
        let sha256 = KeyHash::from_hex(SHA256_OF_SK_1234).unwrap().0;
        assert_eq!(hasher.hash("sk-1234").to_string(), STORED_SK_1234);
        assert_eq!(hasher.hash_imported(sha256), hasher.hash("sk-1234"));
        assert_ne!(KeyHasher::new(&[8; 32]).hash("sk-1234"), hasher.hash("sk-1234"));
    }

    #[test]
    fn a_name_gives_away_four_characters_of_a_long_key_only() {
        assert_eq!(public_name("sk-0123456789abcdefghij"), "sk-...ghij");
        assert_eq!(public_name("sk-1234"), "sk-...");
        assert_eq!(public_name(""), "sk-...");
        assert_eq!(public_name("sk-0123456789äöüß"), "sk-...äöüß");
    }

    const SHA256_OF_SK_1234: &str =
        "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";
    const STORED_SK_1234: &str = "328dc6fe60283d853949d3d20ac52635e6dba1026f8c8458d24be00b780e2328";
}
