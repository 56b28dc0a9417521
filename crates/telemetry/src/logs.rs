//! Log lines on standard error: text for people, JSON for machines.
//!
//! Every line passes through the set of secrets on its way out, so that a
//! careless field or a library's own message cannot leak one. Which lines are
//! written is set for each target (module path), without patterns.

use arc_swap::ArcSwap;
use base::Redactor;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
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

/// Why logging did not start.
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
}

/// The secrets that are kept out of the logs. Clones share the set.
#[derive(Clone, Default)]
pub struct Redaction(Arc<ArcSwap<Redactor>>);

impl Redaction {
    /// Swaps the set; lines from now on are cleaned of the new one.
    pub fn set(&self, redactor: Redactor) {
        self.0.store(Arc::new(redactor));
    }
}

/// Starts logging to standard error for the whole process. `filter` is a level
/// or `target=level`, separated by commas: `info,egress=debug,hyper=off`.
///
/// # Errors
/// Where the filter is not understood, or logging was started before.
pub fn init(format: Format, filter: &str) -> Result<Redaction, Error> {
    let json = match format {
        Format::Auto => !io::stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    let redaction = Redaction::default();
    let writer = Redacting { redaction: redaction.clone(), to: io::stderr };
    let lines = layer(json, writer).with_filter(targets(filter)?);
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::set_global_default(subscriber).map_err(Error::Started)?;
    Ok(redaction)
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

/// Makes writers that clean what goes through them.
struct Redacting<W> {
    redaction: Redaction,
    to: fn() -> W,
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Redacting<W> {
    type Writer = RedactingWriter<W>;

    fn make_writer(&'a self) -> RedactingWriter<W> {
        RedactingWriter { redaction: self.redaction.clone(), to: (self.to)() }
    }
}

/// Takes a whole line in each call, as the subscriber writes them.
struct RedactingWriter<W> {
    redaction: Redaction,
    to: W,
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let clean = self.redaction.0.load().clean(&line).into_owned();
        self.to.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Redacting, Redaction, layer, targets};
    use base::{Redactor, Secret};
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};
    use tracing::Level;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Memory;

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn secrets_are_replaced_in_both_formats_and_after_a_swap() {
        let redaction = Redaction::default();
        for json in [false, true] {
            WRITTEN.lock().unwrap().clear();
            let writer = Redacting { redaction: redaction.clone(), to: || Memory };
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
