//! `keymoat serve`: from a configuration to an open port, and back to nothing.

use crate::banner::{self, Ready};
use crate::cli::Serve;
use crate::cors::Cors;
use crate::litellm_flags::Start;
use crate::reload::{self, Reload};
use crate::service::Service;
use crate::source::{Source, in_time};
use crate::{check, demo, observe, say};
use base::{Clock, Redactor, Secret, SystemClock};
use config::{Config, LogFormat, ReadFile, Sandbox, SpoolSync};
use console::Console;
use egress::Egress;
use gateway::{Gateway, Parts};
use ledger::KeyHasher;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::DataDir;
use telemetry::Log;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Configuration that cannot be served.
const EXIT_CONFIG: u8 = 2;

/// At the end, for answers that are read on for clients that have gone.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// At the end, for records that the disk did not take.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// At the end, for log lines that standard error has not taken yet.
const LOG_MAX: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(asked: &Serve, start: &Start) -> ExitCode {
    start.notes.iter().for_each(|note| say::err(note));
    let (file, start) = (asked.config.clone(), start.clone());
    let source = Source { file, strict: asked.strict, simulator: None, start };
    let loaded = match source.load_in_time() {
        Ok(loaded) => loaded,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let problems = loaded.report.render_problems(false);
    let Some(mut config) = loaded.config else {
        say::err(&problems);
        return ExitCode::from(EXIT_CONFIG);
    };
    // A place that is not there yet could not be allowed. If it cannot be made, opening
    // it says so.
    let data = &config.settings.data_dir;
    drop(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data));
    // Before the first thread that stays.
    let confined = match confine(&config) {
        Ok(confined) => confined,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    let log = match start_log(&config) {
        Ok(log) => log,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    // From here on nothing writes to standard error but the log's own thread.
    if !problems.is_empty() {
        log.text(&problems);
    }
    if config.settings.sandbox != Sandbox::Off {
        tracing::info!("{confined}");
    }
    if loaded.report.models_configured > 0 {
        log.text(&loaded.report.verdict());
    }
    let served = match runtime(&config) {
        Ok(runtime) => {
            let served = runtime.block_on(serve(source, asked, &mut config, loaded.files, &log));
            // A thread may wait for a file that does not answer.
            runtime.shutdown_background();
            served
        }
        Err(error) => Err(format!("the runtime does not start: {error}")),
    };
    let code = match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            log.text(&format!("error: {problem}"));
            // As `check-config` has it.
            let is_config = !check::unservable(&config).is_empty();
            if is_config { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    };
    log.finish(LOG_MAX);
    code
}

/// Confines this process as the configuration says: it reads, writes below the data
/// directory only, and executes nothing. Returns what to say about it.
///
/// # Errors
/// `full` is asked for, and something is missing.
pub(crate) fn confine(config: &Config) -> Result<String, String> {
    let level = config.settings.sandbox;
    if level == Sandbox::Off {
        return Ok("the gateway does not confine itself (keymoat.sandbox: off)".to_owned());
    }
    let data = &config.settings.data_dir;
    let temporary = std::env::temp_dir();
    let places = [data.as_path(), &temporary, Path::new("/var/tmp"), Path::new("/dev")];
    let report = sandbox::confine_this_process(&places, None);
    let all = report.active.len() + report.missing.len();
    let missing = report.missing.iter().map(|(what, why)| format!("{what} ({why})"));
    let missing = missing.collect::<Vec<_>>().join(", ");
    match (report.is_full(), level) {
        (true, _) => Ok(format!("the gateway confines itself: {all} of {all} protections")),
        (false, Sandbox::Full) => {
            Err(format!("keymoat.sandbox: full, but this system lacks {missing}"))
        }
        (false, _) => Ok(format!(
            "the gateway confines itself: {} of {all} protections; missing: {missing}",
            report.active.len()
        )),
    }
}

fn start_log(config: &Config) -> Result<Log, String> {
    let format = match config.settings.log.format {
        LogFormat::Auto => telemetry::Format::Auto,
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    let log = telemetry::logs::init(format, config.settings.log.level.as_str())
        .map_err(|error| error.to_string())?;
    log.set(Redactor::new(config.secrets()));
    Ok(log)
}

/// A thread for each core. One needs no work stealing, and is cheaper without.
fn runtime(config: &Config) -> std::io::Result<tokio::runtime::Runtime> {
    let workers = config.settings.workers.or_else(|| std::thread::available_parallelism().ok());
    match workers.map(NonZeroUsize::get) {
        Some(1) => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        Some(n) => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(n).enable_all().build()
        }
        None => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
    }
}

async fn serve(
    mut source: Source,
    asked: &Serve,
    config: &mut Config,
    files: Vec<ReadFile>,
    log: &Log,
) -> Result<(), String> {
    // First of all: a signal that nobody listens for ends the process.
    let hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut ends = Ends::new().map_err(|error| error.to_string())?;
    if source.file.is_none() && source.start.text.is_none() {
        let simulator = simulator::start().await.map_err(|error| format!("the demo: {error}"))?;
        demo::add(config, simulator)?;
        source.simulator = Some(simulator);
    }
    let is_demo = source.simulator.is_some();

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Arc::new(telemetry::Metrics::new());
    let dir = DataDir::open(&config.settings.data_dir).map_err(|error| error.to_string())?;
    let hasher = KeyHasher::new(&dir.pepper().map_err(|error| error.to_string())?);
    let master = MasterKey::of(config, &dir)?;
    let body_dir = dir.path().join("bodies");
    let observer = observe::observer(Arc::clone(&metrics));
    let state = store::open(dir, spool_settings(config), &clock, observer)
        .map_err(|error| error.to_string())?;

    let egress = way_out(config)?;
    let gateway = Gateway::new(
        Parts {
            clock: Arc::clone(&clock),
            egress,
            store: Arc::clone(&state.store),
            journal: Arc::clone(&state.journal),
            master: hasher.hash(master.key.expose()),
            hasher,
            spool_dir: body_dir,
            seed: u64::from_le_bytes(base::id::random().map_err(|error| error.to_string())?),
        },
        config,
    )
    .await?;
    gateway.tell(Box::new(observe::Told(Arc::clone(&metrics))));
    tokio::spawn(Arc::clone(&gateway).keep_settling());
    tokio::spawn(state.log_disk());

    let listen = &config.settings.listen;
    let address =
        SocketAddr::new(asked.host.unwrap_or(listen.host), asked.port.unwrap_or(listen.port));
    let acceptor = reload::acceptor(&config.settings)?;
    let is_tls = acceptor.is_some();
    let (certificate, acceptor) = watch::channel(acceptor);
    let socket = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; --port 0 picks a free port")
    })?;
    let bound = socket.local_addr().map_err(|error| error.to_string())?;
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{bound}");
    warn_if_open(bound, is_tls);

    let limits = listener::Limits {
        connections_max: listen.connections_max as usize,
        header_timeout: Duration::from_millis(listen.header_timeout_ms),
        header_max_bytes: listen.header_max_bytes,
        drain_timeout: Duration::from_millis(listen.drain_timeout_ms),
    };
    let journal = Arc::clone(&state.journal);
    let (observed, counted) = (Arc::clone(&gateway), log.clone());
    let console = Console::new(console::Parts {
        gateway: Arc::clone(&gateway),
        render_metrics: Arc::new(move || {
            let waiting = i64::try_from(journal.depth()).unwrap_or(i64::MAX);
            metrics.gauges.spool_records.store(waiting, Ordering::Relaxed);
            let dropped = i64::try_from(counted.dropped()).unwrap_or(i64::MAX);
            metrics.gauges.log_lines_dropped.store(dropped, Ordering::Relaxed);
            observe::levels(&observed, &metrics);
            metrics.render()
        }),
    });
    let cors = Cors::new(&listen.cors_origins);
    let service = Arc::new(Service { gateway: Arc::clone(&gateway), console, cors });
    check::warn_of_left_out(config);
    let reload = Reload {
        source,
        gateway: Arc::clone(&gateway),
        log: log.clone(),
        certificate,
        had_master_key: config.access.master_key.is_some(),
    };
    tokio::spawn(reload.watch(hangup, files.into()));

    let banner = banner::ready(&Ready {
        url: &url,
        model: Some(demo::MODEL),
        new_master_key: master.is_new.then(|| master.key.expose()),
        master_key_file: master.file.as_deref(),
        demo: is_demo,
    });
    // On a thread of its own: standard output may be a pipe that nobody reads.
    let said = std::thread::Builder::new().spawn(move || say::out(&banner));
    drop(said.map_err(|error| error.to_string())?);
    let (stop, stopped) = watch::channel(false);
    let stopping = Arc::clone(&service);
    let delay = Duration::from_millis(listen.drain_delay_ms);
    tokio::spawn(async move {
        ends.asked().await;
        tracing::info!("stopping: running requests are finished first");
        stopping.console.drain();
        // Who asks twice does not want to wait for balancers.
        tokio::select! { () = tokio::time::sleep(delay) => {}, () = ends.asked() => {} }
        stop.send_replace(true);
    });
    listener::run(socket, acceptor, service, limits, stopped).await;
    // Whatever was cut is settled by now, or is read to its end: records are
    // written until the last of it is gone.
    gateway.end_drains(DRAIN_MAX).await;
    let lost = gateway.settle_all(SETTLE_MAX).await;
    tokio::task::spawn_blocking(move || state.close()).await.map_err(|error| error.to_string())?;
    match lost {
        0 => Ok(()),
        lost => Err(format!("{lost} spend records could not be written; the log names each")),
    }
}

/// The administrator's key, and how a person gets to see it.
struct MasterKey {
    key: Arc<Secret>,
    is_new: bool,
    file: Option<String>,
}

impl MasterKey {
    fn of(config: &Config, dir: &DataDir) -> Result<Self, String> {
        if let Some(key) = &config.access.master_key {
            return Ok(Self { key: Arc::clone(key), is_new: false, file: None });
        }
        let (key, is_new) = dir.master_key().map_err(|error| error.to_string())?;
        let file = dir.path().join("master_key").display().to_string();
        Ok(Self { key: Arc::new(key), is_new, file: Some(file) })
    }
}

fn spool_settings(config: &Config) -> store::Settings {
    let spool = config.settings.spool;
    store::Settings {
        sync: match spool.sync {
            SpoolSync::Batch => store::Sync::Batch,
            SpoolSync::Full => store::Sync::Full,
        },
        spool_max_bytes: spool.max_bytes,
        ..store::Settings::default()
    }
}

/// Makes the way out that a configuration asks for; no origin is allowed yet.
///
/// # Errors
/// No root certificates can be had.
pub(crate) fn way_out(config: &Config) -> Result<Egress, String> {
    let roots = match &config.settings.roots {
        config::Roots::Webpki => egress::Roots::Webpki,
        config::Roots::Native => egress::Roots::Native,
        config::Roots::Pem(files) => egress::Roots::Pem(files.clone()),
    };
    let settings = egress::Settings { roots, ..egress::Settings::default() };
    // The system's roots are files.
    let egress = in_time(move || Egress::new(settings));
    egress
        .ok_or("the system's root certificates could not be read in time")?
        .map_err(|error| error.to_string())
}

fn warn_if_open(bound: SocketAddr, tls: bool) {
    if !bound.ip().is_loopback() && !tls {
        tracing::warn!(
            %bound,
            "listening beyond this machine without TLS: keys cross the network readable; set \
             keymoat.listen.tls, or put a TLS proxy in front"
        );
    }
}

/// SIGTERM and SIGINT.
struct Ends {
    term: Signal,
    int: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Returns when one of them comes.
    async fn asked(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}
