//! What can be typed after `keymoat incident`.

use crate::cli::Remote;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `keymoat incident …`
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    after_help = ORDER
)]
pub(crate) struct Incident {
    /// What to do
    #[command(subcommand)]
    pub(crate) step: Option<Step>,
    /// Rehearse: all of it on a made-up victim in a folder of its own, with the
    /// time to freeze and to report. Touches nothing else
    #[arg(long)]
    pub(crate) drill: bool,
    /// With --drill: keep the report
    #[arg(short, long, value_name = "FILE", requires = "drill")]
    pub(crate) output: Option<PathBuf>,
}

const ORDER: &str = "\
In order; each step says what comes next:
  keymoat incident open --advisory MAL-2026-2144    what is known of it
  keymoat incident contain --all                    freeze virtual keys; --lift undoes it
  keymoat incident scope ~/src                      where the bad release was
  keymoat incident exposure ~/src                   which secrets were readable there
  keymoat incident use                              which keys were used since
  keymoat incident claim confirmed --why '…'        what we say of it
  keymoat incident rotate                           what to do, in order; --done N ticks a box
  keymoat incident report --output incident.md      what can be published

Without an advisory: open --package NAME --versions 1.2.3 '>=2,<2.1', with
--window-from and --window-to if somebody knows when it could be had.

Each step may be repeated, and with --root for the disks of other machines: what
was found on each is kept. All of it lies in the data directory. The incident
that was opened last is meant, unless --id names another. A gateway that listens
elsewhere than on 127.0.0.1:4000 is named with --url or KEYMOAT_URL.";

/// Which incident.
#[derive(Args, Clone)]
pub(crate) struct Which {
    /// Another one than the last; `keymoat incident list` has them
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// Where to look.
#[derive(Args)]
pub(crate) struct Where {
    /// Folders to search, besides your home
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Another machine's disk, mounted or copied to DIR, in place of this one's
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// What to call that machine
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Option<String>,
}

/// One step of an incident.
#[derive(Subcommand)]
pub(crate) enum Step {
    /// Begin: on an advisory, or on a release that somebody warns of
    #[command(group = clap::ArgGroup::new("window").args(["window_from", "window_to"]).multiple(true))]
    Open {
        /// An advisory at hand, such as MAL-2026-2144; may be repeated
        #[arg(long, value_name = "ID")]
        advisory: Vec<String>,
        /// A package of the Python index
        #[arg(long, value_name = "NAME", requires = "versions")]
        package: Option<String>,
        /// Its bad versions or ranges, separated by spaces: 1.82.7 '>=2,<2.1'
        #[arg(long, value_name = "VERSION", num_args = 1.., requires = "package")]
        versions: Vec<String>,
        /// When it could be had: from, 2026-03-24T10:39:00Z
        #[arg(long, value_name = "TIME")]
        window_from: Option<String>,
        /// When it could be had: to
        #[arg(long, value_name = "TIME")]
        window_to: Option<String>,
        /// Who says so
        #[arg(long, value_name = "TEXT", default_value = "us", requires = "window")]
        window_source: String,
        /// More advisories: OSV records as a file or a folder, or an index
        #[arg(long, value_name = "PATH")]
        advisories: Vec<PathBuf>,
    },
    /// Where a bad release was: this disk, recorded inventories, traces
    Scope {
        /// Where
        #[command(flatten)]
        at: Where,
        /// More advisories: OSV records as a file or a folder, or an index
        #[arg(long, value_name = "PATH")]
        advisories: Vec<PathBuf>,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// Which secrets were readable there; values are never shown
    Exposure {
        /// Where
        #[command(flatten)]
        at: Where,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// Which virtual keys and credentials were used since, by the gateway's
    /// records, and what is unlike before
    Use {
        /// Hours before the window to compare with
        #[arg(long, value_name = "HOURS", default_value_t = 168)]
        before: u32,
        /// The gateway's data directory, or a copy of it, where it is not here
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// Freeze virtual keys, on the running gateway or in its database
    Contain {
        /// All of them but decoys
        #[arg(long, required_unless_present_any = ["key", "lift"])]
        all: bool,
        /// This one: its alias, its hash or the start of it; may be repeated
        #[arg(long, value_name = "KEY", conflicts_with = "all")]
        key: Vec<String>,
        /// Let in again what this incident froze
        #[arg(long, conflicts_with_all = ["all", "key"])]
        lift: bool,
        /// Which gateway
        #[command(flatten)]
        remote: Remote,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// What to do, in order; refuses what must wait
    Rotate {
        /// Tick a box; may be repeated
        #[arg(long, value_name = "NUMBER")]
        done: Vec<u32>,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// Say how sure it is that we are affected; earlier claims are kept
    Claim {
        /// What is claimed from now on
        #[arg(value_name = "suspected|confirmed|cleared")]
        standing: Standing,
        /// On what grounds: it stands in the report
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// The report: Markdown for people, or JSON
    Report {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Write it to a file, all of it or nothing
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// How far it is
    Status {
        /// Which incident
        #[command(flatten)]
        which: Which,
    },
    /// Every incident
    List,
}

/// How sure it is.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Standing {
    /// Nobody knows
    Suspected,
    /// We are affected
    Confirmed,
    /// We are not
    Cleared,
}
