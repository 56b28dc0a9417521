//! `keymoat serve`: from a configuration to an open port, and back to nothing.

use crate::banner::{self, Ready};
use crate::cli::Serve;
use crate::door::Door;
use crate::listen::{self, Limits};
use crate::reload::{Reload, Source, Stamps};
use crate::{check, demo, observe, say, tls};
use base::{Clock, Redactor, Secret, SystemClock};
use config::{Config, LogFormat, SpoolSync};
use console::Console;
use egress::Egress;
use gateway::{Gateway, Parts};
use ledger::KeyHasher;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::DataDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Configuration that cannot be served.
const EXIT_CONFIG: u8 = 2;

/// At the end, for answers that are read on for clients that have gone.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// At the end, for records that the disk did not take.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(asked: &Serve) -> ExitCode {
    let seen = Stamps::take(&asked.config);
    let loaded = check::load(asked.config.as_ref(), asked.strict);
    let problems = loaded.report.render_problems(false);
    if !problems.is_empty() {
        say::err(&problems);
    }
    if loaded.report.models_configured > 0 {
        say::err(&loaded.report.verdict());
    }
    let Some(config) = loaded.config else { return ExitCode::from(EXIT_CONFIG) };
    let seen = seen.of(&config.files);
    match runtime(&config) {
        Ok(runtime) => match runtime.block_on(serve(asked, config, seen)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                say::err(&format!("error: {problem}"));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            say::err(&format!("error: the runtime does not start: {error}"));
            ExitCode::FAILURE
        }
    }
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

async fn serve(asked: &Serve, mut config: Config, seen: Stamps) -> Result<(), String> {
    // First of all: a signal that nobody listens for ends the process.
    let hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut ends = Ends::new().map_err(|error| error.to_string())?;
    let format = match config.settings.log.format {
        LogFormat::Auto => telemetry::Format::Auto,
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    let log = telemetry::logs::init(format, config.settings.log.level.as_str())
        .map_err(|error| error.to_string())?;
    log.set(Redactor::new(config.secrets()));
    let simulator = match asked.config {
        Some(_) => None,
        None => Some(simulator::start().await.map_err(|error| format!("the demo: {error}"))?),
    };
    if let Some(simulator) = simulator {
        demo::add(&mut config, simulator)?;
    }

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Arc::new(telemetry::Metrics::new());
    let dir = DataDir::open(&config.settings.data_dir).map_err(|error| error.to_string())?;
    let hasher = KeyHasher::new(&dir.pepper().map_err(|error| error.to_string())?);
    let master = MasterKey::of(&config, &dir)?;
    let body_dir = dir.path().join("bodies");
    let observer = observe::observer(Arc::clone(&metrics));
    let state = store::open(dir, spool_settings(&config), &*clock, observer)
        .map_err(|error| error.to_string())?;

    let egress = Egress::new(egress_settings(&config)).map_err(|error| error.to_string())?;
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
        &config,
    )
    .await?;
    gateway.tell(Box::new(observe::Told(Arc::clone(&metrics))));
    tokio::spawn(Arc::clone(&gateway).keep_settling());

    let listen = &config.settings.listen;
    let address =
        SocketAddr::new(asked.host.unwrap_or(listen.host), asked.port.unwrap_or(listen.port));
    let acceptor = listen.tls.as_ref().map(tls::acceptor).transpose()?;
    let is_tls = acceptor.is_some();
    let (certificate, acceptor) = watch::channel(acceptor);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; --port 0 picks a free port")
    })?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{bound}");
    warn_if_open(bound, is_tls);

    let limits = Limits {
        connections_max: listen.connections_max as usize,
        header_timeout: Duration::from_millis(listen.header_timeout_ms),
        header_max_bytes: listen.header_max_bytes,
        drain_timeout: Duration::from_millis(listen.drain_timeout_ms),
    };
    let journal = Arc::clone(&state.journal);
    let observed = Arc::clone(&gateway);
    let console = Console::new(console::Parts {
        gateway: Arc::clone(&gateway),
        render_metrics: Arc::new(move || {
            let waiting = i64::try_from(journal.depth()).unwrap_or(i64::MAX);
            metrics.gauges.spool_records.store(waiting, Ordering::Relaxed);
            observe::levels(&observed, &metrics);
            metrics.render()
        }),
    });
    let door = Arc::new(Door { gateway: Arc::clone(&gateway), console });
    let source = Source { file: asked.config.clone(), strict: asked.strict, simulator };
    check::warn_of_left_out(&config);
    let reload = Reload {
        source,
        gateway: Arc::clone(&gateway),
        log,
        certificate,
        had_master_key: config.access.master_key.is_some(),
    };
    tokio::spawn(reload.watch(hangup, seen));

    say::out(&banner::ready(&Ready {
        url: &url,
        model: Some(demo::MODEL),
        new_master_key: master.is_new.then(|| master.key.expose()),
        master_key_file: master.file.as_deref(),
        demo: simulator.is_some(),
    }));
    let (stop, stopped) = watch::channel(false);
    let stopping = Arc::clone(&door);
    let delay = Duration::from_millis(listen.drain_delay_ms);
    tokio::spawn(async move {
        ends.asked().await;
        tracing::info!("stopping: running requests are finished first");
        stopping.console.drain();
        // Who asks twice does not want to wait for balancers.
        tokio::select! { () = tokio::time::sleep(delay) => {}, () = ends.asked() => {} }
        stop.send_replace(true);
    });
    listen::run(listener, acceptor, door, limits, stopped).await;
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

pub(crate) fn egress_settings(config: &Config) -> egress::Settings {
    let roots = match &config.settings.roots {
        config::Roots::Webpki => egress::Roots::Webpki,
        config::Roots::Native => egress::Roots::Native,
        config::Roots::Pem(files) => {
            egress::Roots::Files(files.iter().map(|(file, _)| file.clone()).collect())
        }
    };
    egress::Settings { roots, ..egress::Settings::default() }
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
