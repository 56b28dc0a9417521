//! A deployment's id where the file gives none.
//!
//! 128-bit FNV-1a over the model group and the parameters, as written, without
//! secrets: stable over restarts and changes of unrelated lines, so that
//! cooldowns and spend stay with the deployment. Not a cryptographic hash: the
//! one who writes the file is the only one who could make two collide.

use crate::node::{Kind, Node};
use std::collections::HashSet;

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What tells a deployment from others.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    /// Sorted before it counts: the order of lines means nothing.
    parts: Vec<String>,
}

impl Identity {
    pub(crate) fn add(&mut self, name: &str, value: &Node) {
        let mut part = String::new();
        write(name, &mut part);
        write_node(value, &mut part);
        self.parts.push(part);
    }

    /// 32 hex digits that are not in `taken`, and are from now on. Deployments
    /// that differ by secrets alone are told apart by their order.
    pub(crate) fn id(&self, model_group: &str, taken: &mut HashSet<String>) -> String {
        let mut parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        parts.sort_unstable();
        let mut text = String::new();
        write(model_group, &mut text);
        for part in parts {
            text.push_str(part);
        }
        for count in 0_u64.. {
            let mut hash = fnv(OFFSET, text.as_bytes());
            if count > 0 {
                hash = fnv(hash, &count.to_be_bytes());
            }
            let id = format!("{hash:032x}");
            if taken.insert(id.clone()) {
                return id;
            }
        }
        String::new()
    }
}

fn fnv(mut hash: u128, bytes: &[u8]) -> u128 {
    for byte in bytes {
        hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
    }
    hash
}

/// Length first, so that no two lists of texts read the same.
fn write(text: &str, into: &mut String) {
    into.push_str(&text.len().to_string());
    into.push(':');
    into.push_str(text);
}

fn write_node(node: &Node, into: &mut String) {
    match &node.kind {
        Kind::Scalar { text, .. } => write(text, into),
        Kind::Seq(items) => {
            into.push('[');
            for item in items {
                write_node(item, into);
            }
            into.push(']');
        }
        Kind::Map(entries) => {
            into.push('{');
            for (key, value) in entries {
                if !crate::names::is_secret_name(&key.text) {
                    write(&key.text, into);
                    write_node(value, into);
                }
            }
            into.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, OFFSET, fnv};
    use crate::node::{Node, Pos};
    use std::collections::HashSet;

    fn identity(parts: &[(&str, &str)]) -> Identity {
        let mut identity = Identity::default();
        for (name, value) in parts {
            identity.add(name, &Node::scalar(Pos::default(), (*value).to_owned(), false));
        }
        identity
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vector of the FNV authors' reference code.
        assert_eq!(fnv(OFFSET, b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn ids_follow_what_is_written_and_never_repeat() {
        let mut taken = HashSet::new();
        let one = identity(&[("model", "a"), ("rpm", "1")]).id("g", &mut taken);
        let reordered = identity(&[("rpm", "1"), ("model", "a")]).id("g", &mut HashSet::new());
        let twin = identity(&[("model", "a"), ("rpm", "1")]).id("g", &mut taken);
        let shifted = identity(&[("model", "a1"), ("rpm", "")]).id("g", &mut taken);
        assert_eq!(one, reordered);
        assert!(one != twin && one != shifted && one.len() == 32);
    }
}
