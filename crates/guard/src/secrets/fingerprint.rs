//! A name for a secret that gives nothing of it away.

use aws_lc_rs::digest::{SHA256, digest};
use base::{Secret, id};

/// Keeps fingerprints apart from hashes that others store of the same key.
const DOMAIN: &str = "keymoat secret fingerprint 1\n";
/// Six bytes tell a million secrets apart, and give nothing to guess with that
/// a secret of more than 60 bits would fear.
const BYTES: usize = 6;

/// Twelve hexadecimal digits that are the same for the same secret.
pub fn fingerprint(secret: &Secret) -> String {
    let text = zeroized(secret);
    let digest = digest(&SHA256, text.expose().as_bytes());
    id::hex(digest.as_ref().get(..BYTES).unwrap_or_default())
}

fn zeroized(secret: &Secret) -> Secret {
    Secret::new([DOMAIN, secret.expose()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_has_one_fingerprint_which_is_not_the_start_of_its_hash() {
        let of = |text: &str| fingerprint(&Secret::new(text.to_owned()));
        assert_eq!(of("sk-one"), of("sk-one"));
        assert_ne!(of("sk-one"), of("sk-two"));
        let plain = id::hex(digest(&SHA256, b"sk-one").as_ref());
        assert!(!plain.starts_with(&of("sk-one")));
        assert_eq!(of("sk-one").len(), 12);
    }
}
