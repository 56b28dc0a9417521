//! Which origins may be reached. Everything else may not.

use base::Origin;
use std::collections::HashMap;

/// How far an allowed origin's addresses may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses only: the catalogue's providers.
    Public,
    /// Loopback and private ones too, because the operator wrote this very
    /// origin into a deployment (Ollama, vLLM). Never link-local or metadata.
    Named,
}

/// The origins of the configured providers, stores and sinks. The empty policy
/// lets nothing out.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Each origin with how far it reaches.
    pub allowed: HashMap<Origin, Reach>,
}

impl Policy {
    /// Adds an origin. Where it is there already, the wider reach stays.
    pub fn allow(&mut self, origin: Origin, reach: Reach) {
        let held = self.allowed.entry(origin).or_insert(reach);
        if reach == Reach::Named {
            *held = reach;
        }
    }
}
