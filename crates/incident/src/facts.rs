//! The record of an incident, as it is kept.

use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// An incident and all that is known of it. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incident {
    /// The format of the file, 1.
    pub format: u32,
    /// Its name, which is the file's.
    pub id: String,
    /// Title of one line.
    pub title: String,
    /// Time at which it was opened.
    pub opened_at: String,
    /// True if it is only a drill.
    pub drill: bool,
    /// The bad releases.
    pub suspects: Vec<Suspect>,
    /// The three facts.
    pub facts: Facts,
    /// Times at which a bad release could be had, by source; they may contradict.
    pub window: Vec<Bound>,
    /// Claims on "we are affected", with the time of each revision.
    pub claims: Vec<Claim>,
    /// Events with their times.
    pub timeline: Vec<Event>,
    /// Places of a bad release: all of `scopes`.
    pub scope: Option<Scope>,
    /// The same, for each machine that was looked at, and for the inventories.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Secrets that were readable there: all of `exposures`.
    pub exposure: Option<Exposure>,
    /// The same, for each machine that was looked at.
    #[serde(default)]
    pub exposures: Vec<Exposure>,
    /// Use during the window, by the gateway's records.
    pub usage: Option<Usage>,
    /// Virtual keys that were frozen.
    pub containment: Option<Containment>,
    /// Steps to take, in order.
    pub steps: Vec<Step>,
}

/// A package and which of its versions are bad.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Suspect {
    /// OSV's name for the ecosystem.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// Versions, or ranges of them.
    pub versions: Vec<String>,
    /// Advisories that say so.
    pub advisories: Vec<String>,
}

/// The three facts that people need, and where they are from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The bad releases.
    pub bad: String,
    /// The safe releases; empty if they are not known.
    pub safe: String,
    /// Conduct of the bad releases; empty if it is not known.
    pub did: String,
    /// The source of this.
    pub sources: Vec<String>,
    /// Other places to look at, which this program cannot read.
    pub elsewhere: Vec<String>,
    /// Hosts and addresses that the bad releases talk to.
    pub indicators: Vec<String>,
}

/// A window, by one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// From when.
    pub from: Option<String>,
    /// To when.
    pub to: Option<String>,
    /// The source of this.
    pub source: String,
}

/// Certainty that we are affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nobody knows yet.
    #[default]
    Suspected,
    /// We are.
    Confirmed,
    /// We are not.
    Cleared,
}

/// One revision of what is claimed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claim {
    /// Time.
    pub at: String,
    /// The claim since then.
    pub standing: Standing,
    /// On what grounds.
    pub why: String,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Time.
    pub at: String,
    /// Description of the event.
    pub what: String,
    /// The source of this.
    pub source: String,
}

/// Places of a bad release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scope {
    /// The machine; nothing where it is all of them together.
    #[serde(default)]
    pub of: String,
    /// Time of the search.
    pub at: String,
    /// Places that were searched.
    pub looked: Vec<String>,
    /// Places of the release.
    pub places: Vec<Place>,
    /// Traces that attacks are known to leave.
    pub traces: Vec<String>,
    /// What stands out beside them, and may be honest.
    #[serde(default)]
    pub odd: Vec<String>,
    /// Places that could not be searched.
    pub unknown: Vec<String>,
}

/// A place that holds or held a bad release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The machine.
    pub host: String,
    /// The file or folder.
    pub file: String,
    /// The release.
    pub release: String,
    /// `installed`, `locked` or `asked`.
    pub standing: String,
    /// Names of the packages in the same file that needed it.
    pub through: Vec<String>,
    /// From when it was there, or nothing.
    pub from: Option<String>,
    /// Until when, or nothing: it may be there now.
    pub to: Option<String>,
    /// What it is from: today's disk, or which recorded inventories.
    pub source: String,
}

/// Secrets that were readable at the places of a bad release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exposure {
    /// The machine; nothing where it is all of them together.
    #[serde(default)]
    pub of: String,
    /// Time of the search.
    pub at: String,
    /// Places that were searched.
    pub looked: Vec<String>,
    /// The secrets.
    pub secrets: Vec<Exposed>,
    /// Readable keys of a gateway's own, with the reason.
    pub gateway: String,
    /// True if they were: then they are to be replaced too.
    #[serde(default)]
    pub gateway_is_readable: bool,
    /// Places that could not be searched.
    pub unknown: Vec<String>,
}

/// A secret that was readable; never its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposed {
    /// Description with its fingerprint; or the path of a store.
    pub what: String,
    /// Its places.
    pub places: Vec<String>,
    /// Advice on replacing it.
    pub replace: String,
    /// True if it is a store of credentials that was only named, not read.
    pub is_store: bool,
}

/// Virtual keys that were frozen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Containment {
    /// Time.
    pub at: String,
    /// Where: a gateway, or its database.
    pub place: String,
    /// Duration in milliseconds.
    pub took_ms: u64,
    /// The virtual keys that this froze; those that were frozen before are none.
    pub keys: Vec<Frozen>,
    /// Time at which it was lifted.
    pub lifted_at: Option<String>,
}

/// A virtual key that was frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its hash.
    pub hash: String,
    /// Its alias or name.
    pub name: String,
}

/// Something to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1, for ever.
    pub number: u32,
    /// Part of the order that it belongs to.
    pub part: Part,
    /// Description of the step.
    pub text: String,
    /// Time at which it was done.
    pub done_at: Option<String>,
}

impl Incident {
    /// The current claim.
    pub fn standing(&self) -> Standing {
        self.claims.last().map(|claim| claim.standing).unwrap_or_default()
    }

    /// The widest window that any source gives: the earliest beginning and the
    /// latest end, each `None` where nobody gives one.
    pub fn widest(&self) -> (Option<String>, Option<String>) {
        // RFC 3339 in UTC sorts as text where the precision is one.
        let ms = |text: &String| guard::time::unix_ms(text);
        let from = self.window.iter().filter_map(|bound| bound.from.clone()).min_by_key(ms);
        let to = self.window.iter().filter_map(|bound| bound.to.clone()).max_by_key(ms);
        (from, to)
    }

    /// Adds to what happened, in order of time.
    pub fn happened(&mut self, at: &str, what: impl Into<String>, source: &str) {
        let event = Event { at: at.to_owned(), what: what.into(), source: source.to_owned() };
        if !self.timeline.contains(&event) {
            self.timeline.push(event);
        }
        self.timeline.sort_by_key(|event| guard::time::unix_ms(&event.at));
    }
}

/// A part of the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Stop it from reaching anybody.
    #[default]
    Isolate,
    /// Stop what starts by itself.
    Clean,
    /// Replace what was readable, from a clean machine.
    Rotate,
    /// Make sure that what was replaced is dead.
    Verify,
    /// Open again.
    Reopen,
    /// Tell those who must know.
    Tell,
}

impl Part {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Isolate, Self::Clean, Self::Rotate, Self::Verify, Self::Reopen, Self::Tell];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Isolate => "Isolate",
            Self::Clean => "Remove what starts by itself",
            Self::Rotate => "Replace, from a clean machine",
            Self::Verify => "Verify that the old ones are dead",
            Self::Reopen => "Open again",
            Self::Tell => "Tell",
        }
    }

    /// Returns true if this part may only begin when those before it are done.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Rotate | Self::Verify | Self::Reopen)
    }
}
