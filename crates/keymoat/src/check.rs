//! `keymoat check-config` and `keymoat doctor`: what would be served, and what
//! is wrong with it, before it is.

use crate::cli::{CheckConfig, Doctor};
use crate::litellm_flags::Start;
use crate::reload::acceptor;
use crate::serve::way_out;
use crate::source::Source;
use crate::{say, serve};
use config::{Config, Entry, Loaded, Report};
use egress::{Limits, Policy, Reach};
use http::{HeaderMap, Method};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use vault::Outgoing;

/// A configuration that cannot be served, or a check that failed.
const EXIT_PROBLEMS: u8 = 2;

/// Writes a warning into the log for each deployment that is not served.
pub(crate) fn warn_of_left_out(config: &Config) {
    for left_out in &config.left_out {
        tracing::warn!(
            model_group = %left_out.model_group,
            at = %left_out.place,
            reason = %left_out.reason,
            "a deployment is left out"
        );
    }
}

/// `keymoat check-config FILE`
pub(crate) fn config(check: &CheckConfig) -> ExitCode {
    let (config, report) = match load(Some(check.file.clone()), check.strict) {
        Ok(loaded) => loaded,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            return ExitCode::from(EXIT_PROBLEMS);
        }
    };
    let text = if check.json { report.render_json() + "\n" } else { report.render_text(false) };
    say::out(&text);
    if config.is_some() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) }
}

/// Reads a configuration and judges it as `serve` does, the refusals that come
/// when it is put to use included. Without a configuration the report has
/// errors.
///
/// # Errors
/// The files did not answer in time.
fn load(file: Option<PathBuf>, strict: bool) -> Result<(Option<Config>, Report), String> {
    let source = Source { file, strict, simulator: None, start: Start::default() };
    let Loaded { config, mut report, .. } = source.load_in_time()?;
    let Some(config) = config else { return Ok((None, report)) };
    let problems = unservable(&config);
    if problems.is_empty() {
        return Ok((Some(config), report));
    }
    let file = source.file.map(|file| file.display().to_string()).unwrap_or_default();
    report.entries.extend(problems.into_iter().map(|message| Entry {
        file: file.as_str().into(),
        line: 0,
        column: 0,
        path: String::new(),
        verdict: config::Verdict::Error,
        message,
        hint: None,
        leaves_out: false,
    }));
    Ok((None, report))
}

/// Every reason why `serve` refuses to put a configuration to use that can be
/// read.
pub(crate) fn unservable(config: &Config) -> Vec<String> {
    let mut problems =
        gateway::runtime::build(config).err().map(|error| error.0).unwrap_or_default();
    problems.extend(acceptor(&config.settings).err());
    problems.extend(way_out(config).err());
    problems
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Risk,
    Problem,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Risk => "risk",
            Self::Problem => "problem",
        }
    }
}

struct Finding {
    verdict: Verdict,
    about: String,
    message: String,
}

fn finding(verdict: Verdict, about: &str, message: impl Into<String>) -> Finding {
    Finding { verdict, about: about.to_owned(), message: message.into() }
}

/// `keymoat doctor`
pub(crate) fn doctor(doctor: &Doctor) -> ExitCode {
    let (config, report) = match load(doctor.config.clone(), false) {
        Ok(loaded) => loaded,
        Err(problem) => {
            show(&[finding(Verdict::Problem, "configuration", problem)], doctor.json);
            return ExitCode::from(EXIT_PROBLEMS);
        }
    };
    let mut findings: Vec<Finding> = report
        .problems()
        .map(|entry| {
            let verdict = match entry.verdict {
                config::Verdict::Error if !entry.leaves_out => Verdict::Problem,
                _ => Verdict::Risk,
            };
            let message = format!("{}: {}", entry.path, entry.message);
            finding(verdict, &entry.place(), message)
        })
        .collect();
    if report.models_configured > 0 {
        let verdict = match (report.has_errors(), report.left_out.is_empty()) {
            (true, _) => Verdict::Problem,
            (false, true) => Verdict::Ok,
            (false, false) => Verdict::Risk,
        };
        findings.push(finding(verdict, "models", report.verdict()));
    }
    if let Some(config) = &config {
        findings.extend(listener(config));
        findings.extend(keys(config));
        findings.extend(data_dir(config));
        findings.extend(prices(config));
        if !doctor.offline {
            findings.extend(providers(config));
        }
        // Last of all: this process is confined from here on, as the gateway would be.
        findings.push(sandbox(config));
    }
    show(&findings, doctor.json);
    let problems = findings.iter().any(|f| f.verdict == Verdict::Problem);
    if problems { ExitCode::from(EXIT_PROBLEMS) } else { ExitCode::SUCCESS }
}

fn sandbox(config: &Config) -> Finding {
    match serve::confine(config) {
        Ok(confined) => finding(Verdict::Ok, "sandbox", confined),
        Err(problem) => finding(Verdict::Problem, "sandbox", problem),
    }
}

fn show(findings: &[Finding], as_json: bool) {
    if as_json {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| json!({"verdict": f.verdict.word(), "about": f.about, "message": f.message}))
            .collect();
        say::out(&format!("{}\n", json!({ "findings": rows })));
        return;
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|f| vec![f.verdict.word().to_owned(), f.about.clone(), f.message.clone()])
        .collect();
    say::out(&say::table(&rows));
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    say::out(&format!("\n{} problems, {} risks\n", count(Verdict::Problem), count(Verdict::Risk)));
}

fn listener(config: &Config) -> Vec<Finding> {
    let listen = &config.settings.listen;
    let address = SocketAddr::new(listen.host, listen.port);
    let mut findings = vec![match std::net::TcpListener::bind(address) {
        Ok(_) => finding(Verdict::Ok, "listener", format!("{address} is free")),
        Err(error) => finding(
            Verdict::Problem,
            "listener",
            format!("{address}: {error}; is a gateway running there already?"),
        ),
    }];
    if !listen.host.is_loopback() && listen.tls.is_none() {
        findings.push(finding(
            Verdict::Risk,
            "listener",
            "listens beyond this machine without TLS: keys cross the network readable; set \
             keymoat.listen.tls or put a TLS proxy in front",
        ));
    }
    findings
}

fn keys(config: &Config) -> Vec<Finding> {
    let key = match &config.access.master_key {
        Some(key) if key.expose().len() < 20 => finding(
            Verdict::Risk,
            "master key",
            "shorter than 20 characters; make one with: echo sk-$(openssl rand -hex 32)",
        ),
        Some(_) => finding(Verdict::Ok, "master key", "configured"),
        None => finding(
            Verdict::Ok,
            "master key",
            "none configured: one is made and kept in the data directory",
        ),
    };
    vec![key]
}

fn data_dir(config: &Config) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = &config.settings.data_dir;
    let shown = dir.display();
    vec![match std::fs::metadata(dir) {
        Ok(meta) if !meta.is_dir() => {
            finding(Verdict::Problem, "data directory", format!("{shown} is not a directory"))
        }
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => finding(
            Verdict::Risk,
            "data directory",
            format!("{shown} can be read by others; chmod 700 it"),
        ),
        Ok(_) => finding(Verdict::Ok, "data directory", format!("{shown}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            finding(Verdict::Ok, "data directory", format!("{shown} will be made"))
        }
        Err(error) => finding(Verdict::Problem, "data directory", format!("{shown}: {error}")),
    }]
}

/// A model without a price cannot be used under a budget.
fn prices(config: &Config) -> Vec<Finding> {
    let unpriced = config.deployments.iter().filter(|deployment| {
        let name = deployment.base_model.as_deref().unwrap_or(&deployment.upstream_model);
        let listed = catalog::model(deployment.provider.id, name);
        let priced = listed.is_some_and(|model| model.prices().is_priced());
        !deployment.is_wildcard() && !priced && deployment.price_overrides.is_empty()
    });
    unpriced
        .map(|deployment| {
            finding(
                Verdict::Risk,
                &deployment.model_group,
                format!(
                    "no known price for {}/{}: keys with a budget cannot use it; set \
                     input_cost_per_token and output_cost_per_token",
                    deployment.provider.id, deployment.upstream_model
                ),
            )
        })
        .collect()
}

/// Whether every provider can be reached: a connection and an answer, whatever
/// it says; no key is sent.
fn providers(config: &Config) -> Vec<Finding> {
    let mut origins = BTreeMap::new();
    let mut policy = Policy::default();
    for deployment in &config.deployments {
        let named = !deployment.is_default_origin || deployment.provider.local;
        let reach = if named { Reach::Named } else { Reach::Public };
        policy.allow(deployment.origin.clone(), reach);
        origins.insert(deployment.origin.clone(), deployment.provider.name);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(egress)) = (runtime, way_out(config)) else {
        return vec![finding(Verdict::Problem, "providers", "the network side does not start")];
    };
    let egress = egress.allowing(&policy);
    let limits = Limits { head_ms: 10_000, idle_ms: 10_000, total_ms: 15_000 };
    let check = |(origin, name): (base::Origin, &'static str)| {
        let head = Outgoing::new(origin.clone(), Method::GET, "/".to_owned(), HeaderMap::new());
        let sent =
            runtime.block_on(egress.send(head.without_credential(), bytes::Bytes::new(), limits));
        match sent {
            Ok(answer) => finding(
                Verdict::Ok,
                name,
                format!("{origin} answers ({})", answer.status().as_u16()),
            ),
            Err(error) => finding(Verdict::Problem, name, error.to_string()),
        }
    };
    origins.into_iter().map(check).collect()
}
