//! How far a long command is: one line on the terminal, and only on one.

use crate::say;
use base::{Clock as _, SystemClock};
use guard::audit::Step;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Nothing is shown before: most audits are over by then.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two lines.
const PAUSE: Duration = Duration::from_millis(100);
const WIDTH_MAX: usize = 78;

/// The line, and when it was shown last.
pub(crate) struct Progress {
    clock: Option<SystemClock>,
    shown_at: Duration,
}

impl Progress {
    /// Nothing is shown if `quiet`, or if nobody watches.
    pub(crate) fn new(quiet: bool) -> Self {
        let watched = !quiet && std::io::stderr().is_terminal();
        Self { clock: watched.then(SystemClock::new), shown_at: Duration::ZERO }
    }

    /// Shows `step`, now and then.
    pub(crate) fn show(&mut self, step: &Step<'_>) {
        let Some(now) = self.clock.map(|clock| clock.monotonic()) else { return };
        if now < PATIENCE || now < self.shown_at + PAUSE {
            return;
        }
        self.shown_at = now;
        let text = format!("reading {} of {}: {}", step.at, step.of, step.path.display());
        let text: String = text.chars().filter(|l| !l.is_control()).take(WIDTH_MAX).collect();
        say::passing(&format!("\r{text:<WIDTH_MAX$}"));
    }

    /// Clears the line.
    pub(crate) fn end(&self) {
        if self.shown_at > Duration::ZERO {
            say::passing(&format!("\r{:WIDTH_MAX$}\r", ""));
        }
    }
}
