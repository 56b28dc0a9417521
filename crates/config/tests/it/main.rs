//! The crate from outside: files in, configuration and report out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod goldens;
mod left_out;
mod protective;
mod public;
mod refusals;
mod secrets;
mod values;

use config::{Config, Env, Loaded, ProcessEnv};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the cases live.
fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Variables for a test, always with a home.
fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let home = [("HOME", "/home/someone")];
    home.iter().chain(pairs).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// A file of its own, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(content: &[u8]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("config-{}-{count}.yaml", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap_or_default();
    }
}

fn load_bytes(content: &[u8], env: &dyn Env) -> Loaded {
    let file = Scratch::new(content);
    config::load(&file.0, env)
}

/// The configuration in `yaml`, which has no errors.
fn load_good(yaml: &str, pairs: &[(&str, &str)]) -> Config {
    let loaded = load_bytes(yaml.as_bytes(), &env(pairs));
    let problems = loaded.report.render_problems(false);
    loaded.config.unwrap_or_else(|| panic!("{problems}"))
}

/// Each problem as `line:column verdict path: message`.
fn problems(yaml: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let loaded = load_bytes(yaml.as_bytes(), &env(pairs));
    loaded
        .report
        .problems()
        .map(|e| {
            format!("{}:{} {} {}: {}", e.line, e.column, e.verdict.as_str(), e.path, e.message)
        })
        .collect()
}

/// Whether the person who runs the tests asks for the goldens to be rewritten.
fn bless() -> bool {
    ProcessEnv.var("BLESS").is_some()
}
