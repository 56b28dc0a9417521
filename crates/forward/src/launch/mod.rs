//! `keymoat run`: a command with nothing to steal and nowhere to send it.
//!
//! Works out what the command may have ([`Launch::prepare`]), says so
//! ([`Launch::explain`]), and runs it in a sandbox with a proxy of its own
//! ([`Launch::run`]). The order matters: the sandbox is made before the first
//! thread starts, the proxy listens before the command runs.

mod environment;
mod gateway;
mod index;
mod layout;
mod places;
mod print;
mod publish;
mod secrets;
mod watched;

use crate::log::DecisionLog;
use crate::policy::Policy;
use crate::proxy::Proxy;
use crate::rule::{Rule, Rules};
use base::{Clock as _, SystemClock};
use environment::Environment;
pub use gateway::Gateway;
use layout::{Here, Layout};
pub use print::Printed;
use sandbox::{Confined, Ending};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{fs, io, thread};
use tokio::sync::{oneshot, watch};

/// Port of the proxy on the command's loopback.
const PROXY_PORT: u16 = 3128;

/// Kind of command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A program.
    #[default]
    App,
    /// A package manager: its caches are writable, its indexes are allowed.
    Install,
}

/// What was asked for.
#[derive(Clone, Default)]
pub struct Ask {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Kind of command.
    pub profile: Profile,
    /// Hosts that it may reach.
    pub allow: Vec<Rule>,
    /// Further places to read.
    pub read: Vec<PathBuf>,
    /// Further places to write.
    pub write: Vec<PathBuf>,
    /// Addresses at which ports of the command are to be reached.
    pub publish: Vec<SocketAddr>,
    /// Gateway for its model clients.
    pub gateway: Option<Gateway>,
    /// Variables to keep though they look secret.
    pub env: Vec<String>,
    /// Decision log; a new file in the state directory if `None`.
    pub log: Option<PathBuf>,
    /// Refuse to run unless every protection is in force.
    pub require_full: bool,
    /// Highest Landlock ABI to use. For tests.
    pub landlock_abi_max: Option<u8>,
}

/// A command that was not run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Something that was asked for cannot be had.
    #[error("{0}")]
    Ask(String),
    /// The sandbox could not be made.
    #[error("{0}")]
    Sandbox(#[from] sandbox::Error),
    /// Protections are missing, and all were required.
    #[error("not every protection is available: {0}")]
    Missing(String),
    /// The proxy or its log could not be started.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// A command and what it may have.
pub struct Launch {
    command: Vec<OsString>,
    layout: Layout,
    environment: Environment,
    rules: Vec<Rule>,
    publish: Vec<SocketAddr>,
    gateway: Option<Gateway>,
    log: PathBuf,
    require_full: bool,
}

/// End of a command.
pub struct Outcome {
    /// Its end.
    pub ending: Ending,
    /// Summary of refusals and the log, for people; `None` if there is nothing to say.
    pub summary: Option<String>,
}

impl Launch {
    /// Works out what the command may have, from what was asked and the `variables`
    /// of this process.
    ///
    /// # Errors
    /// A path is not there, or there is no command.
    pub fn prepare(ask: &Ask, variables: Vec<(OsString, OsString)>) -> Result<Self, LaunchError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.to_str()).map(str::to_owned)
        };
        if ask.command.is_empty() {
            return Err(LaunchError::Ask("no command".to_owned()));
        }
        let work = std::env::current_dir().and_then(fs::canonicalize);
        let work = work.map_err(|error| LaunchError::Io("working directory".to_owned(), error))?;
        let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let home = home.map(|home| fs::canonicalize(&home).unwrap_or(home));
        let here = Here { work, home: home.clone(), variable: &variable };
        let mut layout = layout::lay_out(ask, &here).map_err(LaunchError::Ask)?;
        let gateway = ask.gateway.clone();
        let port = gateway.as_ref().and_then(Gateway::port);
        layout.plan.ports = [PROXY_PORT].into_iter().chain(port).collect();
        layout.plan.has_door = !ask.publish.is_empty();
        layout.plan.landlock_abi_max = ask.landlock_abi_max;
        let mut rules = ask.allow.clone();
        if let Some(gateway) = &gateway {
            rules.extend(gateway.rule()?);
        }
        if ask.profile == Profile::Install {
            rules.extend(index::rules(home.as_deref(), &variable));
        }
        let log = match &ask.log {
            Some(log) => log.clone(),
            None => log_path(home.as_deref(), variable("XDG_STATE_HOME")),
        };
        let mut environment = environment::confined(variables, &ask.env, PROXY_PORT);
        if let Some(gateway) = &gateway {
            environment.set(gateway.variables());
        }
        let (command, publish) = (ask.command.clone(), ask.publish.clone());
        let require_full = ask.require_full;
        Ok(Self { command, layout, environment, rules, publish, gateway, log, require_full })
    }

    /// Says what the command would have, for people.
    pub fn explain(&self) -> String {
        let plan = &self.layout.plan;
        let mut text = String::new();
        let mut list = |title: &str, items: Vec<String>| {
            let items = if items.is_empty() { vec!["nothing".to_owned()] } else { items };
            // Writing to a string has no way to fail.
            writeln!(text, "{title}").unwrap_or_default();
            for item in items {
                writeln!(text, "  {item}").unwrap_or_default();
            }
        };
        let shown = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string()).collect()
        };
        let existing = |paths: &[PathBuf]| -> Vec<String> {
            let there = paths.iter().filter(|path| fs::symlink_metadata(path).is_ok());
            there.map(|path| path.display().to_string()).collect()
        };
        list("network: these hosts, through the proxy, and nothing else", self.hosts());
        list("gateway:", self.gateway.iter().map(Gateway::shown).collect());
        list(
            "ports of the command that are reached from outside:",
            self.publish.iter().map(ToString::to_string).collect(),
        );
        list("readable:", shown(&plan.visible));
        let scratch =
            ["/tmp", "/var/tmp", "/dev/shm"].map(|path| format!("{path} (private, empty)"));
        let home =
            plan.home.iter().map(|home| format!("{} (private, but for the above)", home.display()));
        list("writable:", shown(&plan.writable).into_iter().chain(scratch).chain(home).collect());
        list("writable trees, but read-only here:", existing(&plan.fixed));
        list("shown empty:", existing(&plan.hidden));
        list("variables left out:", self.environment.removed.clone());
        list("decision log:", vec![self.log.display().to_string()]);
        if self.layout.is_cut_short {
            text.push_str(CUT_SHORT);
        }
        text
    }

    fn hosts(&self) -> Vec<String> {
        self.rules.iter().map(ToString::to_string).collect()
    }

    /// Runs the command. `tell` is called with what is in force, before it starts.
    ///
    /// # Errors
    /// The sandbox or the proxy could not be made; the command did not run.
    pub fn run(self, tell: impl FnOnce(&str)) -> Result<Outcome, LaunchError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error| LaunchError::Io(what, error)
        };
        if let Some(folder) = self.log.parent() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(failed(&folder.display().to_string()))?;
        }
        if self.log.exists() {
            let exists = io::ErrorKind::AlreadyExists.into();
            return Err(LaunchError::Io(self.log.display().to_string(), exists));
        }
        let log = DecisionLog::new(self.log.clone(), Box::new(SystemClock::new()));
        let mut words = self.command.iter();
        let program = words.next().cloned().unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).env_clear().envs(self.environment.variables.iter().cloned());

        let mut confined = Confined::start(&self.layout.plan, command)?;
        // After the forks, so that no process of the sandbox holds these sockets.
        let published = self.publish.iter().map(|address| {
            TcpListener::bind(address).map_err(failed(&format!("publishing {address}")))
        });
        let published = published.collect::<Result<Vec<_>, _>>()?;
        let missing = &confined.report().missing;
        if self.require_full && !missing.is_empty() {
            let missing: Vec<_> =
                missing.iter().map(|(what, why)| format!("{what} ({why})")).collect();
            return Err(LaunchError::Missing(missing.join(", ")));
        }
        tell(&self.state(&confined));
        let (_policy, policy) = watch::channel(Arc::new(Policy::of_one(Rules(self.rules))));
        // What is refused is summed up at the end, when it disturbs no program's output.
        let silent = Box::new(|_: &str| {});
        let resolver = Box::new(egress::SystemResolver);
        let proxy = Proxy::new(policy, resolver, log.clone(), silent);
        let mut listeners = confined.take_listeners().into_iter();
        let listener = listeners.next();
        let listener =
            listener.ok_or_else(|| failed("proxy")(io::ErrorKind::NotConnected.into()))?;
        let packets = confined.take_packets();
        let published = publish::Published::new(published, confined.take_door());
        let ways =
            Ways { listener, packets, published, gateway: self.gateway.zip(listeners.next()) };
        let serving = Serving::start(Arc::new(proxy), ways, log.clone())
            .map_err(failed("starting the proxy"))?;
        confined.release()?;
        let ending = confined.wait()?;
        serving.stop();
        Ok(Outcome { ending, summary: summary(&log) })
    }

    /// What is in force, in two or three lines.
    fn state(&self, confined: &Confined) -> String {
        let hosts = self.hosts();
        let hosts = if hosts.is_empty() { "none".to_owned() } else { hosts.join(" ") };
        let work = match self.layout.is_work_writable {
            true => "writable",
            false => "read-only",
        };
        let mut text = format!(
            "hosts: {hosts}; working directory {work}; {} files with secrets hidden; {} variables left out",
            self.layout.secrets.len(),
            self.environment.removed.len(),
        );
        match &self.gateway {
            Some(gateway) => write!(text, "\ngateway: {}", gateway.shown()).unwrap_or_default(),
            None => text.push_str("\ngateway: none, so that model clients have no key (--gateway)"),
        }
        for address in &self.publish {
            write!(text, "\npublished: {address}").unwrap_or_default();
        }
        let report = confined.report();
        let protections = report.active.len() + report.missing.len();
        write!(text, "\nprotections: {} of {protections}", report.active.len()).unwrap_or_default();
        for (what, why) in &report.missing {
            write!(text, "\n  missing: {what}: {why}").unwrap_or_default();
        }
        if self.layout.is_cut_short {
            write!(text, "\n{}", CUT_SHORT.trim_end()).unwrap_or_default();
        }
        text
    }
}

const CUT_SHORT: &str =
    "warning: there are too many files to search all of them for secrets; some may be visible\n";

/// Place of a new log.
fn log_path(home: Option<&Path>, state: Option<String>) -> PathBuf {
    let state = state.map(PathBuf::from).filter(|state| state.is_absolute());
    let state = state.or_else(|| home.map(|home| home.join(".local/state")));
    let time = base::clock::rfc3339(SystemClock::new().unix_ms()).replace(':', "");
    let name = format!("{time}-{}.jsonl", std::process::id());
    state.unwrap_or_else(|| PathBuf::from("/tmp")).join("keymoat/run").join(name)
}

/// What was refused, and where to read more.
fn summary(log: &DecisionLog) -> Option<String> {
    const SHOWN_MAX: usize = 10;
    let mut text = String::new();
    let refused = log.refused();
    if !refused.is_empty() {
        let all: u64 = refused.values().sum();
        write!(text, "refused {all} attempts to reach:").unwrap_or_default();
        for (place, count) in refused.iter().take(SHOWN_MAX) {
            write!(text, "\n  {place} ({count})").unwrap_or_default();
        }
        if refused.len() > SHOWN_MAX {
            write!(text, "\n  and {} more", refused.len() - SHOWN_MAX).unwrap_or_default();
        }
        write!(text, "\nlog: {}", log.path().display()).unwrap_or_default();
    }
    if let Some(failure) = log.failure() {
        write!(text, "\nwarning: the decision log is not complete: {failure}").unwrap_or_default();
    }
    (!text.is_empty()).then(|| text.trim_start().to_owned())
}

/// Sockets between the command and the world.
struct Ways {
    listener: TcpListener,
    packets: Option<UdpSocket>,
    published: publish::Published,
    gateway: Option<(Gateway, TcpListener)>,
}

/// The thread of the proxy.
struct Serving {
    thread: thread::JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Serving {
    fn start(proxy: Arc<Proxy>, ways: Ways, log: DecisionLog) -> io::Result<Self> {
        let Ways { listener, packets, published, gateway } = ways;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            published.serve();
            if let Some((gateway, listener)) = gateway {
                tokio::spawn(gateway.serve(listener));
            }
            let watched = watched::Watched::new(packets, log);
            tokio::select! {
                () = proxy.serve(listener) => {}
                () = watched.run() => {}
                _ = stopped => {}
            }
            watched.rest().await;
        };
        let thread = thread::Builder::new().name("proxy".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve))?;
        Ok(Self { thread, stop })
    }

    /// Ends the proxy; what was seen until now is in the log.
    fn stop(self) {
        // An error says that the thread has ended already.
        self.stop.send(()).unwrap_or(());
        drop(self.thread.join());
    }
}
