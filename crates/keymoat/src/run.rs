//! `keymoat run`: from the command line to a launch, and its end to ours.

use crate::cli::{Limits, Remote};
use crate::{remote, say};
use clap::{Args, ValueEnum};
use forward::Rule;
use forward::launch::{Ask, Gateway, Launch, LaunchError, Printed, Profile};
use http::Method;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code of a command that was not run, as `env` and `timeout` have it.
const NOT_RUN: u8 = 125;

/// Life of a virtual key whose run was killed before it could end the key.
const KEY_DURATION: &str = "24h";

/// `keymoat run`
#[derive(Args)]
pub(crate) struct Run {
    /// Kind of command: `install` for package managers, whose caches are then
    /// writable and whose indexes, as your own configuration names them, allowed
    #[arg(long, value_name = "KIND", default_value = "app")]
    profile: Kind,
    /// A host that it may reach by HTTPS; with a port if that is not 443 (port 80 is
    /// plain HTTP), with `*.` for all names below it, with `@NETWORK` if it resolves
    /// to private addresses: `index.corp.example:8443@10.0.0.0/8`. May be repeated
    #[arg(long, value_name = "HOST")]
    allow: Vec<Rule>,
    /// A file or folder to show it, besides the system, tools and the working
    /// directory; may be repeated
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A file or folder that it may write; may be repeated
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// A port that it listens on, to be reached at the same port of 127.0.0.1 or of
    /// ADDRESS; may be repeated
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = published)]
    publish: Vec<SocketAddr>,
    /// A gateway for its model clients: they get its address, and a virtual key that
    /// is made for this run and ended with it
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// A file with the gateway's master key, for making the virtual key; else as in
    /// `keymoat keys`
    #[arg(long, value_name = "FILE", requires = "gateway")]
    key_file: Option<PathBuf>,
    /// Model groups that the virtual key may use; repeat or separate by commas
    #[arg(long, value_delimiter = ',', requires = "gateway")]
    models: Vec<String>,
    /// US dollars that the virtual key may spend
    #[arg(long, value_name = "USD", requires = "gateway")]
    max_budget: Option<String>,
    /// A variable to give it though it looks like a secret; may be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Where to write the decision log: a new file [default: in
    /// ~/.local/state/keymoat/run]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Refuse to run it unless every protection is in force
    #[arg(long, value_name = "LEVEL")]
    require: Option<Level>,
    /// Say what it would have, and do not run it
    #[arg(long = "dry-run")]
    explains_only: bool,
    /// Print settings of another tool that keep an application behind the proxy, and
    /// do not run it
    #[arg(long, value_name = "TOOL")]
    print: Option<Tool>,
    /// Say nothing but warnings
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    landlock_abi_max: Option<u8>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

fn published(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse() {
        Ok(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text.parse().ok(),
    };
    let address = address.filter(|address| address.port() != 0);
    address.ok_or_else(|| "not a port, or an address with a port".to_owned())
}

/// Kind of command.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A program
    App,
    /// A package manager
    Install,
}

/// A tool for which settings can be printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Docker Compose
    Compose,
    /// A systemd service
    Systemd,
    /// A Kubernetes NetworkPolicy
    Networkpolicy,
    /// nftables
    Nftables,
}

/// Level that can be required.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Everything that Keymoat knows
    Full,
}

/// Runs a command and ends as it ended.
pub(crate) fn run(asked: Run) -> ExitCode {
    let key = match RunKey::make(&asked) {
        Ok(key) => key,
        Err(error) => return not_run(&error),
    };
    let ask = Ask {
        command: asked.command,
        profile: match asked.profile {
            Kind::App => Profile::App,
            Kind::Install => Profile::Install,
        },
        allow: asked.allow,
        read: asked.read,
        write: asked.write,
        publish: asked.publish,
        gateway: match key.as_ref().map(RunKey::gateway).transpose() {
            Ok(gateway) => gateway,
            Err(error) => return not_run(&error),
        },
        env: asked.env,
        log: asked.log,
        require_full: asked.require == Some(Level::Full),
        landlock_abi_max: asked.landlock_abi_max,
    };
    let launch = match Launch::prepare(&ask, config::variables()) {
        Ok(launch) => launch,
        Err(error) => return not_run(&error),
    };
    if let Some(tool) = asked.print {
        say::out(&launch.print(match tool {
            Tool::Compose => Printed::Compose,
            Tool::Systemd => Printed::Systemd,
            Tool::Networkpolicy => Printed::NetworkPolicy,
            Tool::Nftables => Printed::Nftables,
        }));
        return ExitCode::SUCCESS;
    }
    if asked.explains_only {
        say::out(&launch.explain());
        return ExitCode::SUCCESS;
    }
    let tell = |text: &str| {
        if !asked.quiet || text.contains("missing:") || text.contains("warning:") {
            say_lines(text);
        }
    };
    let ran = launch.run(tell);
    drop(key);
    match ran {
        Ok(outcome) => {
            if let Some(summary) = &outcome.summary {
                say_lines(&say::tame(summary));
            }
            ExitCode::from(outcome.ending.repeat())
        }
        Err(error) => not_run(&error),
    }
}

/// Virtual key of one run. Ends when it is dropped.
struct RunKey {
    remote: Remote,
    key: String,
}

impl RunKey {
    /// Asks the gateway for a key, if one was named and something is to be run.
    fn make(asked: &Run) -> Result<Option<Self>, LaunchError> {
        let Some(url) = &asked.gateway else { return Ok(None) };
        let remote =
            Remote { url: url.clone(), key_file: asked.key_file.clone(), ca: None, json: false };
        if asked.explains_only || asked.print.is_some() {
            return Ok(Some(Self { remote, key: String::new() }));
        }
        let limits = Limits {
            alias: Some(format!("run-{}", std::process::id())),
            models: asked.models.clone(),
            max_budget: asked.max_budget.clone(),
            duration: Some(KEY_DURATION.to_owned()),
            ..Limits::default()
        };
        let made = remote::body(&limits)
            .and_then(|body| remote::ask(&remote, Method::POST, "/key/generate", Some(body)));
        let made = made.map_err(|error| LaunchError::Ask(format!("--gateway: {error}")))?;
        let key = made.get("key").and_then(serde_json::Value::as_str);
        let key = key.ok_or_else(|| LaunchError::Ask("--gateway: no key was made".to_owned()))?;
        Ok(Some(Self { key: key.to_owned(), remote }))
    }

    fn gateway(&self) -> Result<Gateway, LaunchError> {
        Gateway::new(&self.remote.url, self.key.clone())
    }
}

impl Drop for RunKey {
    fn drop(&mut self) {
        if self.key.is_empty() {
            return;
        }
        let body = serde_json::json!({"keys": [self.key]});
        if let Err(error) = remote::ask(&self.remote, Method::POST, "/key/delete", Some(body)) {
            let said = format!("warning: the virtual key lives for up to {KEY_DURATION}: {error}");
            say_lines(&say::tame(&said));
        }
    }
}

fn say_lines(text: &str) {
    for line in text.lines() {
        say::err(&format!("keymoat run: {line}"));
    }
}

fn not_run(error: &LaunchError) -> ExitCode {
    say::err(&format!("keymoat run: {error}"));
    ExitCode::from(NOT_RUN)
}
