//! Log lines on standard error: text for people, JSON for machines.
//!
//! Every line passes through the set of secrets on its way out, so that a
//! careless field or a library's own message cannot leak one. Which lines are
//! written is set for each target (module path), without patterns. Nothing that
//! logs waits for standard error: see `lines` and `repeats`.

use crate::lines::{Lines, Reports};
use crate::repeats::{LeftOut, Repeats};
use arc_swap::ArcSwap;
use base::Redactor;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text where standard error is a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reason why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of the filter is not understood.
    #[error(
        "`{0}` is not a log filter; write a level (error, warn, info, debug, trace, off) or \
         `target=level`, several with commas: `info,egress=debug`"
    )]
    Filter(String),
    /// Something in this process logs already.
    #[error("logging was started before: {0}")]
    Started(SetGlobalDefaultError),
    /// There is no thread to write with.
    #[error("logging cannot start: {0}")]
    Thread(io::Error),
}

/// The process's log. Clones share it.
#[derive(Clone)]
pub struct Log {
    redaction: Redaction,
    lines: Lines,
    repeats: Repeats,
}

impl Log {
    /// Swaps the secrets that are kept out of the log; lines from now on are
    /// cleaned of the new ones.
    pub fn set(&self, redactor: Redactor) {
        self.redaction.set(redactor);
    }

    /// Writes text of several lines, such as the problems of a configuration,
    /// as it is.
    pub fn text(&self, text: &str) {
        let clean = self.redaction.0.load();
        self.lines.push(&format!("{}\n", clean.clean(text).trim_end()));
    }

    /// Returns the number of lines that were dropped because standard error
    /// did not take them.
    pub fn dropped(&self) -> u64 {
        self.lines.dropped()
    }

    /// Writes what waits before the process ends, for at most `limit`.
    pub fn finish(&self, limit: Duration) {
        report_repeats(&self.repeats, true);
        self.lines.flush(limit);
    }
}

/// The secrets that are kept out of the log. Clones share the set.
#[derive(Clone, Default)]
struct Redaction(Arc<ArcSwap<Redactor>>);

impl Redaction {
    fn set(&self, redactor: Redactor) {
        self.0.store(Arc::new(redactor));
    }
}

/// Starts logging to standard error for the whole process, panics included.
/// `filter` is a level or `target=level`, separated by commas:
/// `info,egress=debug,hyper=off`.
///
/// # Errors
/// The filter is not understood, logging was started before, or there is no
/// thread to write with.
pub fn init(format: Format, filter: &str) -> Result<Log, Error> {
    let json = match format {
        Format::Auto => !io::stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    let targets = targets(filter)?;
    let (redaction, repeats) = (Redaction::default(), Repeats::default());
    let reports = Reporter(repeats.clone());
    let lines = Lines::start(io::stderr(), reports).map_err(Error::Thread)?;
    let writer = Redacting { redaction: redaction.clone(), to: lines.clone() };
    let layer = layer(json, writer).with_filter(targets.and(repeats.clone()));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(Error::Started)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, said, "panicked");
    }));
    Ok(Log { redaction, lines, repeats })
}

/// Logs what the writing thread has to say itself.
struct Reporter(Repeats);

impl Reports for Reporter {
    fn dropped(&self, lines: u64) {
        tracing::warn!(lines, "{lines} log lines were dropped: standard error did not take them");
    }

    fn periodic(&self) {
        report_repeats(&self.0, false);
    }
}

fn report_repeats(repeats: &Repeats, all: bool) {
    for LeftOut { message, status, lines } in repeats.take_left_out(all) {
        tracing::info!(lines, like = message, status, "{lines} more lines said the same");
    }
}

fn layer<S, W>(json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    if json { Box::new(lines.json().flatten_event(true)) } else { Box::new(lines) }
}

fn targets(filter: &str) -> Result<Targets, Error> {
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for part in filter.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || Error::Filter(part.to_owned());
        targets = match part.split_once('=') {
            None => targets.with_default(level(part).ok_or_else(wrong)?),
            Some((target, text)) if !target.trim().is_empty() => {
                targets.with_target(target.trim(), level(text.trim()).ok_or_else(wrong)?)
            }
            Some(_) => return Err(wrong()),
        };
    }
    Ok(targets)
}

fn level(text: &str) -> Option<LevelFilter> {
    // The library also takes digits, and nothing at all for `error`.
    let named = text.bytes().all(|byte| byte.is_ascii_alphabetic()) && !text.is_empty();
    if named { text.parse().ok() } else { None }
}

/// Where clean text goes.
trait Sink {
    fn push(&self, text: &str);
}

impl Sink for Lines {
    fn push(&self, text: &str) {
        Self::push(self, text);
    }
}

/// Makes writers that clean what goes through them.
struct Redacting<W> {
    redaction: Redaction,
    to: W,
}

impl<'a, W: Sink + 'a> MakeWriter<'a> for Redacting<W> {
    type Writer = RedactingWriter<'a, W>;

    fn make_writer(&'a self) -> RedactingWriter<'a, W> {
        RedactingWriter(self)
    }
}

/// Takes a whole line in each call, as the subscriber writes them.
struct RedactingWriter<'a, W>(&'a Redacting<W>);

impl<W: Sink> Write for RedactingWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        self.0.to.push(&self.0.redaction.0.load().clean(&line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Redacting, Redaction, Sink, layer, targets};
    use base::{Redactor, Secret};
    use std::sync::Mutex;
    use tracing::Level;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Memory;

    impl Sink for Memory {
        fn push(&self, text: &str) {
            WRITTEN.lock().unwrap().extend_from_slice(text.as_bytes());
        }
    }

    #[test]
    fn secrets_are_replaced_in_both_formats_and_after_a_swap() {
        let redaction = Redaction::default();
        for json in [false, true] {
            WRITTEN.lock().unwrap().clear();
            let writer = Redacting { redaction: redaction.clone(), to: Memory };
            let lines = layer(json, writer).with_filter(targets("info").unwrap());
            let subscriber = tracing_subscriber::registry().with(lines);
            tracing::subscriber::with_default(subscriber, || {
                redaction.set(Redactor::new(&[Secret::new("sk-first-1234".into())]));
                tracing::info!(status = 401, key = "sk-first-1234", "bad key sk-first-1234");
                redaction.set(Redactor::new(&[Secret::new("sk-second-1234".into())]));
                tracing::warn!("bad key sk-second-1234");
                tracing::debug!("not asked for");
            });
            let text = String::from_utf8(WRITTEN.lock().unwrap().clone()).unwrap();
            assert_eq!(text.matches("[redacted]").count(), 3, "{text}");
            assert!(!text.contains("sk-") && !text.contains("not asked for"), "{text}");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2);
            if json {
                let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
                assert_eq!(line["status"], 401);
                assert_eq!(line["message"], "bad key [redacted]");
                assert_eq!(line["level"], "INFO");
            }
        }
    }

    #[test]
    fn a_filter_sets_levels_by_target() {
        let targets = targets("warn, egress=debug,hyper=off").unwrap();
        assert!(targets.would_enable("gateway", &Level::WARN));
        assert!(!targets.would_enable("gateway", &Level::INFO));
        assert!(targets.would_enable("egress::dial", &Level::DEBUG));
        assert!(!targets.would_enable("egress::dial", &Level::TRACE));
        assert!(!targets.would_enable("hyper::proto", &Level::ERROR));
    }

    #[test]
    fn a_filter_that_is_none_is_refused_with_the_part_named() {
        for (filter, part) in
            [("inof", "`inof`"), ("info,egress=", "`egress=`"), ("=info", "`=info`"), ("3", "`3`")]
        {
            let message = targets(filter).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(targets("").unwrap().would_enable("any", &Level::INFO));
    }
}
