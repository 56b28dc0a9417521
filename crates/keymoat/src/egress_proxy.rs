//! `keymoat egress`: the proxy as a service, and tools for its logs.

use crate::say;
use base::{Clock as _, SystemClock};
use clap::{Args, Subcommand};
use forward::{DecisionLog, Entry, Proxy, Settings};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Bytes of a policy.
const POLICY_MAX_BYTES: usize = 4 << 20;

/// `keymoat egress …`
#[derive(Subcommand)]
pub(crate) enum Egress {
    /// Run the proxy until told to stop. SIGHUP reads the policy again, and cuts
    /// connections that it allows no longer
    Serve(Serve),
    /// Make a token for an application: what goes into the policy, and what the
    /// application gets
    Token {
        /// The application's name
        app: String,
    },
    /// Print the allow-lists that cover what logs say was reached; for logs of an
    /// application whose mode is `observe`
    Learn {
        /// Decision logs
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<PathBuf>,
    },
    /// Find hosts that have become known as bad in logs of the past. Exits 1 if there
    /// are any, 2 if a log cannot be relied on
    Hunt {
        /// A list of host names and addresses, one a line
        #[arg(long, value_name = "FILE")]
        bad: PathBuf,
        /// Decision logs
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<PathBuf>,
    },
}

/// `keymoat egress serve`
#[derive(Args)]
pub(crate) struct Serve {
    /// The policy, a TOML file
    #[arg(short, long, value_name = "FILE")]
    policy: PathBuf,
}

/// `keymoat egress …`
pub(crate) fn run(asked: Egress) -> ExitCode {
    let done = match asked {
        Egress::Serve(asked) => serve(&asked.policy).map(|()| ExitCode::SUCCESS),
        Egress::Token { app } => token(&app).map(|()| ExitCode::SUCCESS),
        Egress::Learn { logs } => read(&logs).map(|entries| {
            say::out(&say::tame(&forward::learn(&entries)));
            ExitCode::SUCCESS
        }),
        Egress::Hunt { bad, logs } => hunt(&bad, &logs),
    };
    done.unwrap_or_else(|problem| {
        say::err(&format!("error: {problem}"));
        ExitCode::from(2)
    })
}

fn settings(policy: &Path) -> Result<Settings, String> {
    let shown = policy.display();
    let text = config::read_file(policy, POLICY_MAX_BYTES);
    let text = text.map_err(|problem| format!("{shown}: {problem}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("{shown}: not UTF-8"))?;
    Settings::parse(&text).map_err(|error| format!("{shown}: {error}"))
}

fn serve(policy: &Path) -> Result<(), String> {
    let settings = settings(policy)?;
    std::fs::create_dir_all(&settings.log)
        .map_err(|error| format!("{}: {error}", settings.log.display()))?;
    let time = base::clock::rfc3339(SystemClock::new().unix_ms()).replace(':', "");
    let log = settings.log.join(format!("egress-{time}-{}.jsonl", std::process::id()));
    let log = DecisionLog::new(log, Box::new(SystemClock::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served =
        runtime.map_err(|error| error.to_string())?.block_on(accept(policy, settings, &log));
    match log.failure() {
        Some(failure) => Err(format!("the decision log is not complete: {failure}")),
        None => served,
    }
}

async fn accept(path: &Path, settings: Settings, log: &DecisionLog) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut term = signal(SignalKind::terminate()).map_err(said)?;
    let mut int = signal(SignalKind::interrupt()).map_err(said)?;
    let mut hup = signal(SignalKind::hangup()).map_err(said)?;
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.map_err(|error| format!("{}: {error}", settings.listen))?;
    let bound = listener.local_addr().map_err(said)?;
    let (newest, policy) = watch::channel(Arc::new(settings.policy));
    let alert = Box::new(|text: &str| say::err(&say::tame(&format!("alert: {text}"))));
    let proxy = Proxy::new(policy, Box::new(egress::SystemResolver), log.clone(), alert);
    let serving = tokio::spawn(Arc::new(proxy).serve(listener));
    say::err(&format!("listening on http://{bound}; decisions: {}", log.path().display()));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => {}
        }
        match self::settings(path) {
            Ok(read) if read.listen != settings.listen || read.log != settings.log => {
                say::err("the policy has another address or log: restart for these; not taken");
            }
            Ok(read) => {
                newest.send_replace(Arc::new(read.policy));
                say::err("the policy was read again");
            }
            Err(problem) => say::err(&format!("the policy stays as it was: {problem}")),
        }
    }
    serving.abort();
    Ok(())
}

fn token(app: &str) -> Result<(), String> {
    let random = base::id::random::<32>().map_err(|error| error.to_string())?;
    let token = base::id::hex(&random);
    let hash = forward::token_hash(&token);
    say::out(&format!(
        "In the policy:\n\n[[app]]\nname = \"{app}\"\ntoken_sha256 = \"{hash}\"\nmode = \"observe\"\n\
         allow = []\n\nFor the application, shown once:\n\n\
         HTTPS_PROXY=http://{app}:{token}@127.0.0.1:3128\n"
    ));
    Ok(())
}

fn read(logs: &[PathBuf]) -> Result<Vec<Entry>, String> {
    let mut all = Vec::new();
    for log in logs {
        let text =
            std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
        all.extend(forward::entries(&text).map_err(|error| format!("{}: {error}", log.display()))?);
    }
    Ok(all)
}

fn hunt(bad: &Path, logs: &[PathBuf]) -> Result<ExitCode, String> {
    let list =
        std::fs::read_to_string(bad).map_err(|error| format!("{}: {error}", bad.display()))?;
    let entries = read(logs)?;
    let found = forward::hunt(&entries, &list);
    if found.is_empty() {
        say::out(&format!("none of {} decisions is about a host of the list\n", entries.len()));
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["TIME", "APPLICATION", "VERDICT", "HOST", "NAME", "BYTES UP"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|entry| {
        vec![
            entry.time.clone(),
            entry.app.clone().unwrap_or_default(),
            entry.verdict.clone(),
            format!("{}:{}", entry.host, entry.port),
            entry.name.clone().unwrap_or_default(),
            entry.bytes_up.to_string(),
        ]
    }));
    say::out(&say::tame(&say::table(&rows)));
    Ok(ExitCode::FAILURE)
}
