//! `keymoat audit`: the command line of crate `guard`.

use crate::cli::{Audit, AuditFormat};
use crate::say;
use base::clock::rfc3339;
use base::{Clock as _, SystemClock};
use guard::judge::Terms;
use guard::{Advisories, Ask};
use std::process::ExitCode;

const HOUR_MS: i64 = 3_600_000;
/// The end of the year 9999: later times have no form in RFC 3339.
const LAST_MS: i64 = 253_402_300_799_000;

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
    let mut report = guard::audit(&Ask { paths: audit.paths.clone(), terms }, &advisories);
    if let Some(seconds) = audit.timestamp {
        report.at = rfc3339(seconds.saturating_mul(1000).clamp(0, LAST_MS));
    }
    let render = match audit.format {
        _ if audit.json => guard::render::json,
        AuditFormat::Table => guard::render::table,
        AuditFormat::Json => guard::render::json,
        AuditFormat::Sarif => guard::render::sarif,
        AuditFormat::Cyclonedx => guard::render::cyclonedx,
        AuditFormat::Junit => guard::render::junit,
    };
    let text = render(&report);
    let Some(path) = &audit.output else {
        say::out(&text);
        return ExitCode::from(report.outcome.exit_code());
    };
    if let Err(error) = say::file(path, &text) {
        say::err(&format!("keymoat: {} cannot be written: {error}", path.display()));
        return ExitCode::from(guard::Outcome::NotAudited.exit_code());
    }
    say::err(&guard::render::headline(&report));
    ExitCode::from(report.outcome.exit_code())
}
