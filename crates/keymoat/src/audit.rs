//! `keymoat audit`: the command line of crate `guard`.

use crate::cli::Audit;
use crate::say;
use base::{Clock as _, SystemClock};
use guard::judge::Terms;
use guard::{Advisories, Ask};
use std::process::ExitCode;

const HOUR_MS: i64 = 3_600_000;

/// `keymoat audit [PATH]…`
pub(crate) fn run(audit: &Audit) -> ExitCode {
    let mut advisories = Advisories::built_in();
    for path in &audit.advisories {
        match guard::advisory::read(path) {
            Ok(set) => advisories.add(set),
            Err(error) => {
                say::err(&format!("keymoat: {error}"));
                say::err("hint: nothing was audited; give a file or a folder of OSV records");
                return ExitCode::from(guard::Outcome::NotAudited.exit_code());
            }
        }
    }
    let now_ms = SystemClock::new().unix_ms();
    let terms = Terms {
        now_ms,
        advisory_age_max_ms: i64::from(audit.advisories_max_age) * 24 * HOUR_MS,
        recent_since_ms: now_ms - i64::from(audit.since) * HOUR_MS,
    };
    let report = guard::audit(&Ask { paths: audit.paths.clone(), terms }, &advisories);
    let render = if audit.json { guard::render::json } else { guard::render::table };
    say::out(&render(&report));
    ExitCode::from(report.outcome.exit_code())
}
