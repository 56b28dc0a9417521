//! `keymoat audit`: the command line of crate `guard`.

use crate::cli::{Audit, AuditFormat};
use crate::progress::Progress;
use crate::{guard_data, say, survey};
use base::clock::rfc3339;
use base::{Clock as _, SystemClock};
use guard::finding::{Kind, Severity, Why};
use guard::judge::Terms;
use guard::policy::cooldown::Cooldown;
use guard::{Advisories, Ask, Report};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

const HOUR_MS: i64 = 3_600_000;
/// The end of the year 9999: later times have no form in RFC 3339.
const LAST_MS: i64 = 253_402_300_799_000;

/// `keymoat audit [PATH]…`
pub(crate) fn run(audit: &Audit) -> ExitCode {
    if let Some(why) = senseless(audit) {
        say::err(&format!("error: {why}\n\nFor more information, try '--help'."));
        return ExitCode::from(guard::Outcome::NotAudited.exit_code());
    }
    let mut advisories = match guard_data::advisories() {
        Ok(advisories) => advisories,
        Err(error) => return not_audited(&error),
    };
    for path in &audit.advisories {
        match guard::advisories::read(path) {
            Ok(set) => advisories.add(set),
            Err(error) => {
                return not_audited(&format!(
                    "{error}\nhint: give a file or a folder of OSV records"
                ));
            }
        }
    }
    let now_ms = SystemClock::new().unix_ms();
    let terms = Terms {
        now_ms,
        advisory_age_max_ms: i64::from(audit.advisories_max_age) * 24 * HOUR_MS,
        recent_since_ms: now_ms - i64::from(audit.since) * HOUR_MS,
    };
    let ignore =
        match audit.ignore_file.as_deref().map(|path| guard::policy::ignore::open(path, now_ms)) {
            Some(Err(why)) => {
                return not_audited(&format!(
                    "{why}\nhint: correct the ignore file, or leave it out"
                ));
            }
            Some(Ok(ignore)) => Some(ignore),
            None => None,
        };
    let mut report = if audit.recorded {
        match guard_data::recorded(&advisories, &terms) {
            Ok(report) => report,
            Err(error) => return not_audited(&error),
        }
    } else if let Some([old, new]) = audit.diff.as_deref() {
        guard::release::diff(old, new, now_ms)
    } else if audit.secrets {
        survey::secrets(audit, now_ms)
    } else if audit.host {
        survey::host(audit, terms, &advisories)
    } else if let Some(root) = &audit.root {
        guard::audit::audit_root(root, &terms, &advisories)
    } else {
        let cache = if audit.no_cache { None } else { guard_data::cache(now_ms) };
        let ask = Ask { paths: survey::paths(audit), terms };
        let mut progress = Progress::new(audit.quiet);
        let tell = &mut |step: &guard::audit::Step<'_>| progress.show(step);
        let report = guard::audit_telling(&ask, &advisories, cache.as_ref(), tell);
        progress.end();
        report
    };
    if !audit.compare_with.is_empty() {
        guard::audit::compare(&mut report, &audit.compare_with);
    }
    let stored =
        if audit.record { guard_data::store(audit, &report, now_ms).map(Some) } else { Ok(None) };
    if let Some(days) = audit.cooldown {
        Cooldown { days, now_ms }.apply(&mut report, &advisories);
    }
    if let Some(ignore) = ignore {
        ignore.apply(&mut report);
    }
    if let Some(seconds) = audit.timestamp {
        report.at = rfc3339(seconds.saturating_mul(1000).clamp(0, LAST_MS));
    }
    if let Err(error) = show(audit, &report, &advisories) {
        return not_audited(&error);
    }
    match stored {
        Ok(Some(path)) => say::err(&format!("recorded in {}", path.display())),
        Ok(None) => {}
        // What was found still counts; a clean answer that is not kept does not.
        Err(error) if report.outcome == guard::Outcome::Clean => return not_audited(&error),
        Err(error) => say::err(&format!("keymoat: {error}")),
    }
    ExitCode::from(report.outcome.exit_code())
}

/// Which flags go together by their names and not by their values; what the
/// command line itself can refuse, it has.
fn senseless(audit: &Audit) -> Option<String> {
    let spelled = |format: AuditFormat| {
        let value = clap::ValueEnum::to_possible_value(&format);
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let format = spelled(audit.format);
    let no_packages =
        [(audit.secrets, "--secrets"), (audit.host, "--host"), (audit.diff.is_some(), "--diff")];
    let no_packages = no_packages.into_iter().find(|(given, _)| *given).map(|(_, name)| name);
    let draws = matches!(audit.format, AuditFormat::Mermaid | AuditFormat::Dot);
    if let Some(mode) = no_packages
        && (draws || audit.format == AuditFormat::Cyclonedx)
    {
        return Some(format!(
            "--format {format} cannot be used with {mode}: it shows packages, and there are none\nhint: table, json, sarif or junit"
        ));
    }
    if draws && audit.recorded {
        return Some(format!(
            "--format {format} cannot be used with --recorded: an inventory keeps who needed a release, and no drawing of it\nhint: audit the files themselves"
        ));
    }
    if audit.graph && audit.format != AuditFormat::Table {
        return Some(format!(
            "--graph cannot be used with --format {format}: it is a part of the table\nhint: --format mermaid or --format dot is the same as a drawing"
        ));
    }
    if audit.root.is_some() && no_packages.is_none() && audit.paths != [Path::new(".")] {
        return Some(
            "--root cannot be used with [PATH]...: all below --root is read\nhint: name one of the two, or a folder below the root as --root"
                .to_owned(),
        );
    }
    None
}

/// The report, in the form and to the place that was asked for.
fn show(audit: &Audit, report: &Report, advisories: &Advisories) -> Result<(), String> {
    let render = match audit.format {
        _ if audit.json => guard::render::json,
        AuditFormat::Table if audit.graph => guard::render::table_and_graph,
        AuditFormat::Table => guard::render::table,
        AuditFormat::Json => guard::render::json,
        AuditFormat::Sarif => guard::render::sarif,
        AuditFormat::Cyclonedx => guard::render::cyclonedx,
        AuditFormat::Junit => guard::render::junit,
        AuditFormat::Mermaid => guard::graph::mermaid,
        AuditFormat::Dot => guard::graph::dot,
    };
    let text = if audit.fix {
        guard::fix::propose(report, advisories, &guard::fix::open).text()
    } else {
        let next = if audit.format == AuditFormat::Table && !audit.json {
            next(audit, report)
        } else {
            String::new()
        };
        render(report) + &next
    };
    let Some(path) = &audit.output else {
        // A diff holds lines of files as they are: right for a file, not for a terminal.
        let text =
            if audit.fix && std::io::stdout().is_terminal() { say::tame(&text) } else { text };
        say::out(&text);
        return Ok(());
    };
    say::file(path, &text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    say::err(&guard::render::headline(report));
    Ok(())
}

/// `keymoat explain [ID]`
pub(crate) fn explain(id: Option<&str>) -> ExitCode {
    let Some(id) = id else {
        for rule in guard::rule::Rule::ALL {
            say::out(&format!("{}  {}\n", rule.id(), rule.explained().title));
        }
        return ExitCode::SUCCESS;
    };
    if let Some(text) = guard::render::explain(id) {
        say::out(&text);
        return ExitCode::SUCCESS;
    }
    say::err(&format!("no rule has the id {id}\nhint: `keymoat explain` lists all of them"));
    ExitCode::FAILURE
}

/// The places that were not looked at, and the command that comes next.
fn next(audit: &Audit, report: &Report) -> String {
    // Writing to a string has no way to fail.
    let mut text = String::new();
    let plain = audit.root.is_none() && !audit.host && !audit.secrets && audit.diff.is_none();
    let places =
        if plain && !audit.recorded { survey::not_looked_at(&report.files) } else { Vec::new() };
    if !places.is_empty() {
        let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        let places = places.join(", ");
        let line = "Not looked at, and there";
        writeln!(text, "{line}: {places}. `keymoat audit --host` looks at them.")
            .unwrap_or_default();
    }
    if let Some(command) = next_command(audit, report, !places.is_empty()) {
        writeln!(text, "Next: `{command}`").unwrap_or_default();
    }
    text
}

/// The command that comes after this audit, as it stands.
fn next_command(audit: &Audit, report: &Report, has_unseen: bool) -> Option<String> {
    let findings = || report.findings.iter();
    let mut told = findings().filter(|f| matches!(f.kind, Kind::Malicious | Kind::Indicator));
    if let Some(id) = told.find_map(|finding| finding.advisories.first()) {
        return Some(format!("keymoat incident open --advisory {id}"));
    }
    if audit.secrets || audit.diff.is_some() || audit.recorded {
        return None;
    }
    if audit.host {
        return Some("keymoat audit --secrets".to_owned());
    }
    let ran = |f: &guard::finding::Finding| {
        f.severity >= Severity::High && matches!(f.kind, Kind::Code | Kind::StartupCode)
    };
    let not_audited = report.outcome == guard::Outcome::NotAudited;
    let stale = |gap: &guard::finding::Gap| matches!(gap.why, Why::Stale | Why::NotCovered);
    if findings().any(ran) || not_audited && has_unseen {
        Some("keymoat audit --host".to_owned())
    } else if findings().any(|f| f.kind == Kind::Vulnerable) && audit.root.is_none() && !audit.fix {
        let paths = audit.paths.iter().filter(|path| *path != Path::new("."));
        let words =
            ["keymoat audit --fix".to_owned()].into_iter().chain(paths.map(|path| quoted(path)));
        Some(words.collect::<Vec<_>>().join(" "))
    } else if not_audited && report.gaps.iter().any(stale) {
        Some("keymoat advisories status".to_owned())
    } else {
        None
    }
}

/// `path` as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |l: char| l.is_ascii_alphanumeric() || "/._-=+@:".contains(l);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn not_audited(error: &str) -> ExitCode {
    say::err(&format!("NOT AUDITED: {error}"));
    ExitCode::from(guard::Outcome::NotAudited.exit_code())
}
