//! Takes a changed configuration over while serving: on SIGHUP, or when the
//! content of a file that it was read from changes. A configuration that cannot
//! be read or served leaves the old one as it is. Files are read on a blocking
//! thread: one that does not answer holds up this task and no request.

use crate::check;
use crate::source::{READ_MAX, Source};
use config::{Config, Loaded, ReadFile};
use gateway::Gateway;
use listener::tls::{self, TlsAcceptor};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Log;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a changed configuration changes.
pub(crate) struct Reload {
    pub(crate) source: Source,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) log: Log,
    /// The one that is shown to new connections, if TLS is spoken.
    pub(crate) certificate: watch::Sender<Option<TlsAcceptor>>,
    pub(crate) had_master_key: bool,
}

impl Reload {
    /// Takes changes over until the process ends. `files` are those of the
    /// configuration that is served.
    pub(crate) async fn watch(mut self, mut hangup: Signal, mut files: Arc<[ReadFile]>) {
        loop {
            let is_asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let (source, known) = (self.source.clone(), Arc::clone(&files));
            let reading = tokio::task::spawn_blocking(move || {
                let is_due = is_asked || known.iter().any(ReadFile::has_changed);
                is_due.then(|| source.load())
            });
            let Some(Loaded { config, report, files: read }) = self.finished(reading).await else {
                continue;
            };
            files = read.into();
            let config = match self.source.complete(config, &report) {
                Ok(config) => config,
                Err(problems) => {
                    tracing::error!("the new configuration has errors; the old one stays");
                    self.log.text(&problems);
                    continue;
                }
            };
            match self.take_over(&config).await {
                Ok(()) => {
                    check::warn_of_left_out(&config);
                    tracing::info!(
                        deployments = config.deployments.len(),
                        left_out = config.left_out.len(),
                        warnings = report.problems().count(),
                        "the configuration was taken over; listener, data directory, threads and \
                     roots change at a restart"
                    );
                }
                Err(problem) => tracing::error!(
                    problem,
                    "the new configuration cannot be served; the old one stays"
                ),
            }
        }
    }

    /// Waits for files, and says so where they take long.
    async fn finished(&self, mut reading: JoinHandle<Option<Loaded>>) -> Option<Loaded> {
        let in_time = tokio::time::timeout(READ_MAX, &mut reading).await;
        let read = if let Ok(read) = in_time {
            read
        } else {
            tracing::error!(
                problem = self.source.too_slow(),
                "the old configuration stays until the files can be read"
            );
            reading.await
        };
        // The log has the panic.
        read.ok().flatten()
    }

    /// All of it or nothing.
    async fn take_over(&mut self, config: &Config) -> Result<(), String> {
        let certificate = acceptor(&config.settings)?;
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

/// The certificate that the configuration names; `None` if it names none.
pub(crate) fn acceptor(settings: &config::Settings) -> Result<Option<TlsAcceptor>, String> {
    let Some(tls) = &settings.listen.tls else { return Ok(None) };
    tls::acceptor(&tls.cert_pem, tls.key_pem.expose().as_bytes())
        .map(Some)
        .map_err(|error| format!("keymoat.listen.tls: {error}"))
}
