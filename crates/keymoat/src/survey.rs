//! `keymoat audit --secrets` and `--host`: which machine, and whose variables.

use crate::cli::Audit;
use config::{Env as _, ProcessEnv};
use guard::host::{self, Host};
use guard::judge::Terms;
use guard::secrets::{self, Variables};
use guard::{Advisories, Report};
use std::path::{Path, PathBuf};

/// Keys that lie open.
pub(crate) fn secrets(audit: &Audit, now_ms: i64) -> Report {
    let host = machine(audit.root.as_deref());
    let ask = secrets::Ask { paths: paths(audit), host, variables: variables(), now_ms };
    secrets::survey(&ask)
}

/// Whether the machine is a victim.
pub(crate) fn host(audit: &Audit, terms: Terms, advisories: &Advisories) -> Report {
    let ask = host::Ask { host: machine(audit.root.as_deref()), paths: paths(audit), terms };
    host::audit(&ask, advisories)
}

/// This machine, or another one's disk.
pub(crate) fn machine(root: Option<&Path>) -> Host {
    match root {
        Some(root) => Host::at(root),
        None => Host::here(ProcessEnv.var("HOME").map(PathBuf::from)),
    }
}

/// What was named, or all of the other machine's disk.
pub(crate) fn paths(audit: &Audit) -> Vec<PathBuf> {
    match &audit.root {
        Some(root) if audit.paths == [Path::new(".")] => vec![root.clone()],
        _ => audit.paths.clone(),
    }
}

/// Places with tool environments and caches that are here and of which none of
/// `read` is a part.
pub(crate) fn not_looked_at(read: &[PathBuf]) -> Vec<PathBuf> {
    const PLACES: [&str; 6] = [
        ".cache/uv",
        ".local/share/uv/tools",
        ".local/share/pipx",
        ".local/pipx",
        ".cache/pip",
        ".cache/pypoetry",
    ];
    let Some(home) = ProcessEnv.var("HOME").map(PathBuf::from) else { return Vec::new() };
    let places = PLACES.iter().map(|place| home.join(place));
    places.filter(|place| place.is_dir() && !read.iter().any(|r| r.starts_with(place))).collect()
}

/// The variables that hold the keys of the providers we know.
pub(crate) fn variables() -> Variables {
    Variables::new(catalog::providers().flat_map(|provider| {
        provider.key_envs.iter().map(move |variable| (*variable, provider.name))
    }))
}
