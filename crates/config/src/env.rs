//! The environment: the one place in Keymoat that reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Where variables come from.
pub trait Env {
    /// The value of `name`; `None` where it is not set or not UTF-8.
    fn var(&self, name: &str) -> Option<String>;
}

/// The environment that this process was started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    fn var(&self, name: &str) -> Option<String> {
        // `std::env::var` panics on no name: the kernel knows none with these.
        if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var(name).ok() }
    }
}

/// Every variable of this process, for a program that it starts.
pub fn variables() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// A fixed set of variables, for tests.
impl Env for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The process's variables, and under them those of `environment_variables`.
///
/// The process wins, as in LiteLLM: the file holds defaults.
pub(crate) struct Layered<'e> {
    process: &'e dyn Env,
    file: BTreeMap<String, String>,
}

impl<'e> Layered<'e> {
    pub(crate) fn new(process: &'e dyn Env) -> Self {
        Self { process, file: BTreeMap::new() }
    }

    /// Adds a default; says whether the process has the variable already.
    pub(crate) fn add(&mut self, name: &str, value: String) -> bool {
        self.file.insert(name.to_owned(), value);
        self.process.var(name).is_some()
    }
}

impl Env for Layered<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.process.var(name).or_else(|| self.file.get(name).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Env, Layered, ProcessEnv};
    use std::collections::BTreeMap;

    #[test]
    fn the_process_wins_over_the_file() {
        let process = BTreeMap::from([("A".to_owned(), "process".to_owned())]);
        let mut layered = Layered::new(&process);
        assert!(layered.add("A", "file".into()));
        assert!(!layered.add("B", "file".into()));
        assert_eq!(layered.var("A").as_deref(), Some("process"));
        assert_eq!(layered.var("B").as_deref(), Some("file"));
        assert_eq!(layered.var("C"), None);
    }

    #[test]
    fn names_that_no_variable_can_have_are_not_set() {
        for name in ["", "=", "A=B", "A\0"] {
            assert_eq!(ProcessEnv.var(name), None, "{name:?}");
        }
    }
}
