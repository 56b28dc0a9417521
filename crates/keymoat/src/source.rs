//! Reads the configuration, on a thread of its own and for a limited time: a
//! file system that hangs blocks whatever thread asks it, for ever.

use crate::demo;
use crate::litellm_flags::Start;
use config::{Config, Loaded, LogLevel, ProcessEnv, Report};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// Time in which files must have been read.
pub(crate) const READ_MAX: Duration = Duration::from_secs(10);

/// Where the configuration came from.
#[derive(Clone)]
pub(crate) struct Source {
    /// `None` for the built-in demo.
    pub(crate) file: Option<PathBuf>,
    /// A configuration with a deployment that cannot be served is refused.
    pub(crate) strict: bool,
    /// The demo's upstream, where it is served.
    pub(crate) simulator: Option<SocketAddr>,
    /// What LiteLLM's options on the command line say beside it.
    pub(crate) start: Start,
}

impl Source {
    /// Reads the configuration on this thread, however long it takes.
    pub(crate) fn load(&self) -> Loaded {
        let Start { workers, debug, connections_max, text, .. } = &self.start;
        let mut loaded = match (&self.file, text) {
            (Some(file), _) => config::load(file, &ProcessEnv),
            (None, Some(text)) => config::load_text("command line", text, &ProcessEnv),
            (None, None) => config::defaults(&ProcessEnv),
        };
        if let Some(Config { settings, .. }) = &mut loaded.config {
            settings.workers = workers.or(settings.workers);
            settings.listen.connections_max =
                connections_max.unwrap_or(settings.listen.connections_max);
            if *debug {
                settings.log.level = LogLevel::Debug;
            }
        }
        if self.strict { loaded.strict() } else { loaded }
    }

    /// Reads the configuration on another thread.
    ///
    /// # Errors
    /// The files did not answer in [`READ_MAX`].
    pub(crate) fn load_in_time(&self) -> Result<Loaded, String> {
        let source = self.clone();
        in_time(move || source.load()).ok_or_else(|| self.too_slow())
    }

    /// Adds the demo to what was loaded.
    ///
    /// # Errors
    /// The problems, rendered.
    pub(crate) fn complete(
        &self,
        config: Option<Config>,
        report: &Report,
    ) -> Result<Config, String> {
        let Some(mut config) = config else { return Err(report.render_problems(false)) };
        if let Some(simulator) = self.simulator {
            demo::add(&mut config, simulator)?;
        }
        Ok(config)
    }

    /// Says that the files did not answer in time.
    pub(crate) fn too_slow(&self) -> String {
        let file = self.file.as_ref().map(|file| format!("{}: ", file.display()));
        format!(
            "{}the configuration, or a file that it names, could not be read within {} \
             seconds\nhint: is it on a network or FUSE file system that does not answer?",
            file.unwrap_or_default(),
            READ_MAX.as_secs()
        )
    }
}

/// Runs `work` on a thread of its own; `None` if it takes longer than
/// [`READ_MAX`]. The thread then goes on until the system lets it.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("files".to_owned());
    // Nobody waits any more where sending fails.
    thread.spawn(move || drop(done.send(work()))).ok()?;
    result.recv_timeout(READ_MAX).ok()
}
