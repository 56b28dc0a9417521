//! What can be typed. Each command and flag is documented here, once; help and
//! completions are made from it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// An LLM gateway that can be trusted with all your provider keys.
///
/// Applications call Keymoat with a virtual key, in OpenAI's or Anthropic's
/// format; Keymoat calls the providers. It reads LiteLLM's config.yaml.
#[derive(Parser)]
#[command(name = "keymoat", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  keymoat serve                              a first answer, no account needed
  keymoat serve --config config.yaml         serve LiteLLM's configuration
  keymoat --config config.yaml --port 4000   the same, as LiteLLM's command line has it
  keymoat check-config config.yaml           what of it is understood, line by line
  keymoat keys generate --max-budget 5       a virtual key that can spend 5 dollars
  keymoat audit                              what is bad among what is installed or locked here
  keymoat audit --secrets                    which keys lie open on this machine
  keymoat run -- python app.py               no secrets to read, nowhere to send them
  keymoat advisories update --from all.zip   know of everything that is in an export of OSV
  keymoat incident                           what to do when a release was bad
  keymoat doctor --config config.yaml        what is configured, reachable, risky

Environment:
  LITELLM_MASTER_KEY   the administrator's key, begins with sk-
  KEYMOAT_DATA_DIR     where keys and spend records are kept
  KEYMOAT_URL          which gateway `keymoat keys` and `keymoat models` ask";

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve requests until told to stop
    Serve(Serve),
    /// Say what of a configuration is understood: exact, approximate or
    /// unsupported, with line and column. Exits 2 if it cannot be served
    CheckConfig(CheckConfig),
    /// Make, list, change and end virtual keys on a running gateway
    #[command(subcommand)]
    Keys(Keys),
    /// When something was bad: where it was, what it could read, what was used;
    /// freeze, replace in a safe order, report
    Incident(crate::cli_incident::Incident),
    /// Make and list decoy keys: their use buys nothing and raises an alarm
    #[command(subcommand)]
    Canary(Canary),
    /// Look after the spend records in a data directory
    #[command(subcommand)]
    Ledger(Ledger),
    /// List the models that a running gateway serves
    Models(Remote),
    /// Check what is configured, reachable and risky, before serving it
    Doctor(Doctor),
    /// Say what is installed or locked here, what is known against it, and what
    /// to do first. Reads files only: no network, nothing is executed. Exits 0
    /// if clean, 1 if affected, 2 if not all of it could be audited
    Audit(Audit),
    /// Run a command that finds no secrets and reaches no hosts but those that you
    /// name: in namespaces with a root of its own, behind a proxy. Its exit code,
    /// signals, terminal and input are passed through; 125 if it was not run
    Run(crate::run::Run),
    /// A proxy through which applications reach only the hosts that a policy names,
    /// and tools for its logs
    #[command(subcommand)]
    Egress(crate::egress_proxy::Egress),
    /// Say what a rule of `keymoat audit` means: why, an example, what to do, how
    /// to leave a finding alone
    Explain {
        /// An id such as KM-PTH-001; without one, all of them
        id: Option<String>,
    },
    /// Write a file in which every version is exact and every artefact hashed,
    /// from a lock or from what is installed. Nothing is resolved, fetched or
    /// executed: what is not known is a gap with a name. Exits 0 if all is
    /// pinned, 1 if there are gaps, 2 if nothing could be read
    Pin(Pin),
    /// Print the settings by which another tool takes no release that is
    /// younger than so many days; `keymoat audit --cooldown` checks it
    Cooldown(Cooldown),
    /// Take in advisories for every later audit, and say what they cover
    #[command(subcommand)]
    Advisories(Advisories),
    /// Try what the confined gateway is forbidden: for tests
    #[command(hide = true)]
    ProbeSandbox {
        /// The data directory
        data_dir: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// A shell that completions can be made for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// Elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Z shell
    Zsh,
}

/// `keymoat serve`
#[derive(Args)]
pub(crate) struct Serve {
    /// LiteLLM's config.yaml; without it a built-in demo model is served
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_parser = address)]
    pub(crate) host: Option<IpAddr>,
    /// Port to listen on; 0 picks a free one [default: 4000]
    #[arg(short, long)]
    pub(crate) port: Option<u16>,
    /// Refuse the configuration if a deployment in it cannot be served, instead
    /// of serving the others
    #[arg(long)]
    pub(crate) strict: bool,
}

fn address(text: &str) -> Result<IpAddr, std::net::AddrParseError> {
    if text == "localhost" { Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse() }
}

/// `keymoat check-config`
#[derive(Args)]
pub(crate) struct CheckConfig {
    /// The configuration
    pub(crate) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Exit with 2 if a deployment cannot be served, also if others can
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `keymoat audit`
#[derive(Args)]
pub(crate) struct Audit {
    /// Lock files, requirement files, environments, or folders to search for them;
    /// `-` for a list on standard input, `name==1.0` for one release
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// More advisories: OSV records as a file, a folder or a ZIP, or an index;
    /// may be repeated. Those in the binary, and those that `keymoat advisories
    /// update` took in, are always asked too
    #[arg(long, value_name = "PATH")]
    pub(crate) advisories: Vec<PathBuf>,
    /// Advisories older than this many days do not count as an audit
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub(crate) advisories_max_age: u32,
    /// What came in the last so many hours is listed
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    pub(crate) since: u32,
    /// Instead: search these paths, your shell profiles and the processes that
    /// run as you for keys of providers and clouds that lie open. Values are
    /// never shown, only fingerprints
    #[arg(long, conflicts_with_all = [
        "host", "diff", "record", "recorded", "fix", "graph", "cooldown", "advisories",
        "advisories_max_age", "since",
    ])]
    pub(crate) secrets: bool,
    /// Instead: is this machine a victim? Known traces of attacks, what starts
    /// by itself, who talks to whom, start-up code of every Python environment
    #[arg(long, conflicts_with_all = [
        "diff", "record", "recorded", "fix", "graph", "cooldown", "advisories_max_age", "since",
    ])]
    pub(crate) host: bool,
    /// Another machine's disk, mounted or copied to DIR, or an unpacked image, in
    /// place of this one's; links in an image stay in it. All of it is read; with
    /// --secrets and --host also the paths that are named
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// A TOML file of what is left alone, each entry with id, package, reason
    /// and the day on which it ends. It is not looked for: name it
    #[arg(long, value_name = "FILE")]
    pub(crate) ignore_file: Option<PathBuf>,
    /// No release younger than so many days, by the upload times in locks; one
    /// that fixes a known hole is let through
    #[arg(long, value_name = "DAYS")]
    pub(crate) cooldown: Option<u32>,
    /// Show in the table which paths brought bad releases in
    #[arg(long, conflicts_with = "json")]
    pub(crate) graph: bool,
    /// Instead of the report: the smallest safe change, as a diff, and for locks
    /// the command to run. Nothing is written
    #[arg(long, conflicts_with_all = ["format", "json", "graph"])]
    pub(crate) fix: bool,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What to print: a text for people, or a format for machines
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: AuditFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Write the report to a file, all of it or nothing, and only the answer to
    /// the terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The time that the report bears, in seconds since 1970, so that the same
    /// findings give the same bytes. Judges nothing: ages count from now
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(crate) timestamp: Option<i64>,
    /// Open every file, also those that did not change since the last audit;
    /// remember nothing
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Compare two releases of a package (wheels, source archives or folders):
    /// what the second one does, needs and starts that the first did not
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = [
        "paths", "root", "record", "recorded", "fix", "graph", "cooldown", "advisories",
        "advisories_max_age", "since",
    ])]
    pub(crate) diff: Option<Vec<PathBuf>>,
    /// An earlier lock file or environment: what is new since then and should not
    /// have come like this is told (new dependencies in patch releases,
    /// publishers that changed, other files under the same version)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["recorded", "diff", "secrets", "host"])]
    pub(crate) compare_with: Vec<PathBuf>,
    /// Store what was found, with time and host, in the data directory
    #[arg(long)]
    pub(crate) record: bool,
    /// Whose inventory it is that --record stores, if not this machine's
    #[arg(long, value_name = "NAME", requires = "record")]
    pub(crate) host_name: Option<String>,
    /// Ask about the inventories that --record stored, instead of about files:
    /// who had, and when, what is known to be bad today
    #[arg(long, conflicts_with_all = [
        "record", "paths", "root", "fix", "graph", "cooldown", "since",
    ])]
    pub(crate) recorded: bool,
}

/// `keymoat cooldown`
#[derive(Args)]
pub(crate) struct Cooldown {
    /// Which tool
    pub(crate) tool: CooldownTool,
    /// How old a release must be
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=90))]
    pub(crate) days: u32,
}

/// A tool that can keep a cooldown.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CooldownTool {
    /// uv
    Uv,
    /// pip
    Pip,
    /// Renovate
    Renovate,
    /// GitHub's Dependabot
    Dependabot,
}

/// `keymoat pin`
#[derive(Args)]
pub(crate) struct Pin {
    /// A lock of uv, Poetry, PDM or Pipenv, a pylock.toml, a folder with one of
    /// them, or an environment
    #[arg(default_value = ".", value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// What to write: a requirement file for pip, or pylock.toml (PEP 751)
    #[arg(long, value_name = "FORMAT", default_value = "requirements")]
    pub(crate) format: PinFormat,
    /// Write to a file, all of it or nothing, instead of the terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A folder of wheels and source archives that you trust: their hashes fill
    /// what is missing, and one that the lock does not know is a gap
    #[arg(long, value_name = "DIR")]
    pub(crate) artefacts: Vec<PathBuf>,
    /// Take an extra of the project in; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) extra: Vec<String>,
    /// Take a dependency group in, such as dev; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// Take everything in that the lock has
    #[arg(long, conflicts_with_all = ["extra", "group"])]
    pub(crate) all: bool,
    /// Wheels only: what has none is a gap, since installing it runs its code
    #[arg(long)]
    pub(crate) only_wheels: bool,
    /// Write nothing; say what of a file is not exact or not hashed
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "output", "format", "from", "extra", "group", "all", "only_wheels",
    ])]
    pub(crate) check: Option<PathBuf>,
}

/// What `keymoat pin` writes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PinFormat {
    /// A requirement file with hashes
    Requirements,
    /// `pylock.toml` (PEP 751)
    Pylock,
}

/// How `keymoat audit` prints what it found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// For people
    Table,
    /// Everything, in fields of our own
    Json,
    /// SARIF 2.1.0: code hosts show it beside the lines
    Sarif,
    /// CycloneDX 1.6 JSON: the packages and what is known against them (VEX)
    Cyclonedx,
    /// JUnit XML: one case a package, as CI servers show test results
    Junit,
    /// Who brought bad releases in, as a Mermaid flowchart
    Mermaid,
    /// Who brought bad releases in, for Graphviz
    Dot,
}

/// `keymoat advisories …`
#[derive(Subcommand)]
pub(crate) enum Advisories {
    /// Index full exports of OSV records in the data directory, in the place of
    /// what is there. Nothing is fetched: give what you fetched
    Update {
        /// An export: a ZIP or a folder of records (OSV JSON or YAML, RustSec),
        /// or one record; may be repeated
        #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
        from: Vec<PathBuf>,
        /// Take them even if they know less than what is there
        #[arg(long)]
        less: bool,
    },
    /// Say which advisories an audit asks, and as of when. Exits 0 if those on
    /// Python are complete and fresh, 2 if not
    Status {
        /// Older than this many days is not fresh
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        max_age: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `keymoat ledger …`
#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// Read the files of the spool that were set aside because a part of them is
    /// damaged, say what is in them, and put in what the database lacks. Exits 1
    /// if something cannot be read, 2 if nothing could be done
    Salvage {
        /// The gateway's data directory [default: KEYMOAT_DATA_DIR or that of
        /// `keymoat serve`]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Put records into the database, with the gateway stopped. What is
        /// there is not counted twice
        #[arg(long)]
        import: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `keymoat doctor`
#[derive(Args)]
pub(crate) struct Doctor {
    /// The configuration that would be served
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Do not connect to any provider
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which gateway to ask, and as whom.
#[derive(Args, Clone)]
pub(crate) struct Remote {
    /// The gateway's address
    #[arg(long, env = "KEYMOAT_URL", default_value = "http://127.0.0.1:4000")]
    pub(crate) url: String,
    /// A file that holds the master key; else LITELLM_MASTER_KEY, else the
    /// one that `keymoat serve` keeps in its data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// PEM certificates to trust for https instead of the usual authorities
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `keymoat keys …`
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Make a key; it is shown once
    Generate {
        /// Its limits
        #[command(flatten)]
        limits: Limits,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// List keys
    List {
        /// Which page, from 1
        #[arg(long, default_value_t = 1)]
        page: u32,
        /// Keys a page, up to 100
        #[arg(long, default_value_t = 50)]
        size: u32,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// Show a key's limits and what it has spent
    Info {
        /// The key, or its hash
        key: String,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// Change a key's limits
    Update {
        /// The key, or its hash
        key: String,
        /// Its new limits; what is not given stays
        #[command(flatten)]
        limits: Limits,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// Make another key in the place of one: it keeps limits and spending, the
    /// old one is refused from now on. The new one is shown once
    Regenerate {
        /// The key, or its hash
        key: String,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// Refuse a key from now on
    Block {
        /// The key, or its hash
        key: String,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// Let a blocked key in again
    Unblock {
        /// The key, or its hash
        key: String,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// End keys for good
    Delete {
        /// The keys, or their hashes
        #[arg(required = true)]
        keys: Vec<String>,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
}

/// `keymoat canary …`
#[derive(Subcommand)]
pub(crate) enum Canary {
    /// Make a decoy, on the running gateway or, where none runs, in its database
    New {
        /// The file to put it in, which must not be there yet: where a thief
        /// looks and no program reads, such as .env.backup. Else it is printed
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A name for people [default: canary- and eight digits]
        #[arg(long)]
        alias: Option<String>,
        /// The variable that the file gives it to
        #[arg(long, value_name = "NAME", default_value = "OPENAI_API_KEY", requires = "file")]
        variable: String,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
    /// List decoys: where they stand, and when they were used last
    List {
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
    },
}

/// A key's limits.
#[derive(Args, Default)]
pub(crate) struct Limits {
    /// A name for people
    #[arg(long)]
    pub(crate) alias: Option<String>,
    /// Model groups it may use, `*` as a wildcard; repeat or separate by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// US dollars it may spend
    #[arg(long, value_name = "USD")]
    pub(crate) max_budget: Option<String>,
    /// When its budget starts anew: 30s, 30m, 24h, 7d, 1mo
    #[arg(long, value_name = "DURATION")]
    pub(crate) budget_duration: Option<String>,
    /// Requests a minute
    #[arg(long)]
    pub(crate) rpm_limit: Option<u64>,
    /// Tokens a minute
    #[arg(long)]
    pub(crate) tpm_limit: Option<u64>,
    /// Requests at a time
    #[arg(long)]
    pub(crate) max_parallel_requests: Option<u64>,
    /// How long it is valid: 30s, 30m, 24h, 7d
    #[arg(long)]
    pub(crate) duration: Option<String>,
}
