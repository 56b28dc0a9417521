//! A changed configuration is taken over while serving: on SIGHUP, or when a
//! file that it was read from changes. What cannot be read leaves the old one.

use crate::{check, demo, say, tls};
use config::Config;
use gateway::Gateway;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use telemetry::Redaction;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where the configuration came from.
pub(crate) struct Source {
    /// None for the built-in demo.
    pub(crate) file: Option<PathBuf>,
    /// A configuration with a deployment that cannot be served is refused.
    pub(crate) strict: bool,
    /// The demo's upstream, where it is served.
    pub(crate) simulator: Option<SocketAddr>,
}

impl Source {
    /// Reads it, now.
    ///
    /// # Errors
    /// The problems, rendered.
    pub(crate) fn read(&self) -> Result<(Config, config::Report), String> {
        let loaded = check::load(self.file.as_ref(), self.strict);
        let Some(mut config) = loaded.config else {
            return Err(loaded.report.render_problems(false));
        };
        if let Some(simulator) = self.simulator {
            demo::add(&mut config, simulator)?;
        }
        Ok((config, loaded.report))
    }
}

/// What a changed configuration changes.
pub(crate) struct Reload {
    pub(crate) source: Source,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) log: Redaction,
    /// The one that is shown to new connections, if TLS is spoken.
    pub(crate) certificate: watch::Sender<Option<TlsAcceptor>>,
    pub(crate) had_master_key: bool,
}

impl Reload {
    /// Takes changes over until the process ends. `seen`: the files of the
    /// configuration that is served, as they were before it was read.
    pub(crate) async fn watch(mut self, mut hangup: Signal, mut seen: Stamps) {
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let now = seen.now();
            if !asked && now == seen {
                continue;
            }
            seen = now;
            match self.source.read() {
                Ok((config, report)) => match self.take_over(&config).await {
                    Ok(()) => {
                        check::warn_of_left_out(&config);
                        tracing::info!(
                            deployments = config.deployments.len(),
                            left_out = config.left_out.len(),
                            warnings = report.problems().count(),
                            "the configuration was taken over; listener, data directory, threads \
                             and roots change at a restart"
                        );
                        seen = seen.of(&config.files);
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

    /// All of it or nothing.
    async fn take_over(&mut self, config: &Config) -> Result<(), String> {
        let certificate = config.settings.listen.tls.as_ref().map(tls::acceptor).transpose()?;
        self.gateway.reload(config).await?;
        self.log.set(self.gateway.redactor().as_ref().clone());
        let is_tls = self.certificate.borrow().is_some();
        if certificate.is_some() == is_tls {
            self.certificate.send_replace(certificate);
        } else {
            tracing::warn!("whether the listener speaks TLS changes at a restart");
        }
        if self.had_master_key && config.access.master_key.is_none() {
            tracing::warn!(
                "the configuration names no master key any more; the one that it named stays in \
                 force until a restart"
            );
        }
        self.had_master_key = config.access.master_key.is_some();
        Ok(())
    }
}

/// What tells one state of a file from another; none where it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// The state of some files. Taken before they are read: what is written while
/// they are read then shows as a change.
#[derive(PartialEq, Eq)]
pub(crate) struct Stamps(BTreeMap<PathBuf, Stamp>);

impl Stamps {
    /// Of these files, now.
    pub(crate) fn take<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(files.into_iter().map(|file| (file.clone(), stamp(file))).collect())
    }

    /// Of the same files, now.
    fn now(&self) -> Self {
        Self::take(self.0.keys())
    }

    /// Of `files`: as they were where they are known, else as they are now.
    pub(crate) fn of(mut self, files: &[PathBuf]) -> Self {
        let known = |file: &PathBuf| self.0.remove(file).unwrap_or_else(|| stamp(file));
        Self(
            files.iter().map(known).zip(files).map(|(stamp, file)| (file.clone(), stamp)).collect(),
        )
    }
}

fn stamp(file: &PathBuf) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

#[cfg(test)]
mod tests {
    use super::Stamps;

    #[test]
    fn what_is_written_while_a_file_is_read_shows_as_a_change() {
        let dir = std::env::temp_dir().join(format!("keymoat-stamps-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (known, new) = (dir.join("known"), dir.join("new"));
        std::fs::write(&known, "a").unwrap();
        let before = Stamps::take([&known]);
        std::fs::write(&known, "ab").unwrap();
        std::fs::write(&new, "x").unwrap();
        let seen = before.of(&[known.clone(), new.clone()]);
        assert!(seen.now() != seen, "the second write came after the first look");
        let seen = seen.now();
        assert!(seen.now() == seen);
        std::fs::remove_file(&new).unwrap();
        assert!(seen.now() != seen);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
