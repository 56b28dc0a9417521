//! A changed configuration is taken over while serving: on SIGHUP, or when a
//! file that it was read from changes. What cannot be read leaves the old one.

use crate::{demo, say};
use config::{Config, ProcessEnv};
use gateway::Gateway;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use telemetry::Redaction;
use tokio::signal::unix::{SignalKind, signal};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where the configuration came from.
pub(crate) struct Source {
    /// None for the built-in demo.
    pub(crate) file: Option<PathBuf>,
    /// The demo's upstream, where it is served.
    pub(crate) simulator: Option<SocketAddr>,
}

impl Source {
    /// Reads it, now.
    ///
    /// # Errors
    /// The problems, rendered.
    pub(crate) fn read(&self) -> Result<(Config, config::Report), String> {
        let loaded = match &self.file {
            Some(file) => config::load(file, &ProcessEnv),
            None => config::defaults(&ProcessEnv),
        };
        let Some(mut config) = loaded.config else {
            return Err(loaded.report.render_problems(false));
        };
        if let Some(simulator) = self.simulator {
            demo::add(&mut config, simulator)?;
        }
        Ok((config, loaded.report))
    }
}

/// Takes changes over until the process ends.
pub(crate) async fn watch(
    source: Source,
    gateway: Arc<Gateway>,
    log: Redaction,
    mut files: Vec<PathBuf>,
    mut had_master_key: bool,
) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    let mut seen = stamps(&files);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let now = stamps(&files);
        if !asked && now == seen {
            continue;
        }
        seen = now;
        match source.read() {
            Ok((config, report)) => match gateway.reload(&config).await {
                Ok(()) => {
                    log.set(gateway.redactor().as_ref().clone());
                    if had_master_key && config.access.master_key.is_none() {
                        tracing::warn!(
                            "the configuration names no master key any more; the one that it \
                             named stays in force until a restart"
                        );
                    }
                    had_master_key = config.access.master_key.is_some();
                    tracing::info!(
                        deployments = config.deployments.len(),
                        warnings = report.problems().count(),
                        "the configuration was taken over; listener, data directory and threads \
                         change at a restart"
                    );
                    files = config.files;
                    seen = stamps(&files);
                }
                Err(problem) => {
                    tracing::error!(
                        problem,
                        "the new configuration cannot be served; the old one stays"
                    );
                }
            },
            Err(problems) => {
                tracing::error!("the new configuration has errors; the old one stays");
                say::err(&problems);
            }
        }
    }
}

/// What tells one state of the files from another.
fn stamps(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |file: &PathBuf| {
        let meta = std::fs::metadata(Path::new(file)).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(stamp).collect()
}
