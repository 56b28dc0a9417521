//! The binary: command line, wiring, process lifetime. No logic of its own.

mod advisories;
mod audit;
mod banner;
mod canary;
mod check;
mod cli;
mod cli_incident;
mod cors;
mod demo;
mod drill;
mod egress_proxy;
mod guard_data;
mod incident;
mod incident_gateway;
mod keyring;
mod litellm_flags;
mod observe;
mod pin;
mod probe;
mod progress;
mod reload;
mod remote;
mod run;
mod salvage;
mod say;
mod serve;
mod service;
mod source;
mod survey;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command, Shell};
use std::process::ExitCode;

fn main() -> ExitCode {
    let line = std::env::args().collect();
    let (line, start) = match litellm_flags::read(line) {
        Ok(read) => read,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            return ExitCode::from(2);
        }
    };
    match Cli::parse_from(line).command {
        Command::Serve(serve) => serve::run(&serve, &start),
        Command::CheckConfig(check) => check::config(&check),
        Command::Keys(keys) => remote::keys(keys),
        Command::Incident(asked) => incident::run(asked),
        Command::Canary(canary) => canary::run(canary),
        Command::Ledger(ledger) => salvage::run(ledger),
        Command::Models(remote) => remote::models(&remote),
        Command::Doctor(doctor) => check::doctor(&doctor),
        Command::Egress(egress) => egress_proxy::run(egress),
        Command::Run(asked) => run::run(asked),
        Command::Audit(audit) => audit::run(&audit),
        Command::Explain { id } => audit::explain(id.as_deref()),
        Command::Pin(pin) => pin::run(&pin),
        Command::Cooldown(cooldown) => pin::cooldown(&cooldown),
        Command::Advisories(advisories) => advisories::run(&advisories),
        Command::ProbeSandbox { data_dir } => probe::run(&data_dir),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: Shell) -> ExitCode {
    use clap_complete::{Shell as Known, generate};
    let known = match shell {
        Shell::Bash => Known::Bash,
        Shell::Elvish => Known::Elvish,
        Shell::Fish => Known::Fish,
        Shell::Powershell => Known::PowerShell,
        Shell::Zsh => Known::Zsh,
    };
    let mut script = Vec::new();
    generate(known, &mut Cli::command(), "keymoat", &mut script);
    say::out(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
