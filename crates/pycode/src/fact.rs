//! What a file was seen to do.

use serde::{Deserialize, Serialize};

/// Something that code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Executes text that stands decoded or disguised in it.
    ExecutesHidden,
    /// Executes what came over the network.
    ExecutesFetched,
    /// Executes what was carried in a file of sound or pictures.
    ExecutesMedia,
    /// Starts an interpreter and gives it code.
    SpawnsCode,
    /// Starts a shell, or a program that fetches things.
    SpawnsShell,
    /// Starts a program.
    Spawns,
    /// Sends what secret files or the environment hold.
    SendsSecrets,
    /// Opens a place where secrets are kept.
    ReadsSecrets,
    /// Takes the whole environment.
    ReadsEnvironment,
    /// Talks to the network.
    Talks,
    /// Puts something where it comes back by itself.
    Persists,
    /// Writes to a file what came over the network.
    Drops,
    /// Writes a file with code that executes what it hides or fetches, or sends secrets.
    Plants,
    /// Packs or encodes secrets.
    Packs,
    /// Spells names in letters that only look like what they mean.
    Disguises,
    /// Declares an encoding in which code can hide.
    Encoded,
    /// Executes a file that a literal names.
    ExecutesFile,
    /// Builds objects from a form that can call anything, such as a pickle.
    BuildsObjects,
    /// Starts a program or a script that a literal names beside the code.
    StartsFile,
    /// Lets Python import from another place.
    AddsPath,
    /// Has a package manager install something.
    Installs,
    /// Puts a function of its own in the place of one of another module.
    Patches,
    /// Sends the value of a variable that holds a secret to somebody who did not
    /// issue it.
    SendsKey,
    /// Sends on what a person typed or showed, or what was given to a function
    /// that it replaced.
    SendsInput,
    /// Takes what a person types, shows or copies.
    Captures,
    /// Gives a shell to the other end of a connection.
    GivesShell,
    /// Has an agent of this machine act without asking.
    DrivesAgent,
    /// Calls the network functions of Python without the checks that they make.
    Unchecks,
    /// Compares something with a hash.
    Verifies,
    /// Makes files unusable, or removes all that a person has.
    Destroys,
    /// Publishes packages or pushes code.
    Publishes,
}

impl Deed {
    /// What is done, as a verb without its subject.
    pub fn verb(self) -> &'static str {
        match self {
            Self::ExecutesHidden => "executes text that is hidden in it",
            Self::ExecutesFetched => "executes what it fetched from the network",
            Self::ExecutesMedia => "executes what a file of sound or pictures carries",
            Self::SpawnsCode => "starts an interpreter with code of its own",
            Self::SpawnsShell => "starts a shell or a download",
            Self::Spawns => "starts a program",
            Self::SendsSecrets => "sends secrets over the network",
            Self::ReadsSecrets => "reads where secrets are kept",
            Self::ReadsEnvironment => "takes the whole environment",
            Self::Talks => "talks to the network",
            Self::Persists => "puts something where it comes back by itself",
            Self::Drops => "writes a file that it fetched",
            Self::Plants => "writes a program that hides or fetches what it executes",
            Self::Packs => "packs secrets",
            Self::Disguises => "spells names in look-alike letters",
            Self::Encoded => "declares an encoding in which code can hide",
            Self::ExecutesFile => "executes a file that is no module",
            Self::BuildsObjects => "builds objects from a form that can call anything",
            Self::StartsFile => "starts a file that it carries",
            Self::AddsPath => "has Python import from another place",
            Self::Installs => "has a package manager install something",
            Self::Patches => "replaces a function of another module",
            Self::SendsKey => "sends a secret to somebody who did not issue it",
            Self::SendsInput => "sends on what people type, show or hand over",
            Self::Captures => "takes what people type, show or copy",
            Self::GivesShell => "gives a shell to the other end of a connection",
            Self::DrivesAgent => "has an agent act without asking",
            Self::Unchecks => "turns off the checks of certificates",
            Self::Verifies => "compares something with a hash",
            Self::Destroys => "makes files unusable",
            Self::Publishes => "publishes packages or pushes code",
        }
    }
}

/// When code runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When the file is imported, or as soon as it is run.
    Import,
    /// Only when the file is run as a program.
    Main,
    /// When this function of the file is called.
    Function(String),
}

/// Something that a file does, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// What it does.
    pub deed: Deed,
    /// When.
    pub when: When,
    /// The line, from 1.
    pub line: u32,
    /// What exactly: a function's name, an address, a path. Never a secret.
    pub what: String,
}

/// What a file was seen to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it does, by line.
    pub facts: Vec<Fact>,
    /// Modules that are imported when it is, as written (dots and all).
    pub imports: Vec<String>,
    /// Functions of other modules that are called, and when.
    pub calls: Vec<(When, String)>,
    /// True if it is the file of a package itself, `__init__.py`.
    pub is_package: bool,
    /// True if a part of it was too large or too deep to be followed.
    pub cut_short: bool,
}

/// As much of `text` as helps a reader: one line, and nothing that could be a
/// key or a payload.
pub fn excerpt(text: &str) -> String {
    use std::fmt::Write as _;
    const RUN_MAX: usize = 28;
    const SHOWN_MAX: usize = 120;
    let mut shown = String::new();
    let mut run = String::new();
    let flush = |run: &mut String, shown: &mut String| {
        let letters = run.chars().count();
        if letters > RUN_MAX {
            shown.extend(run.chars().take(8));
            // Writing to a string has no way to fail.
            write!(shown, "…({letters} letters)").unwrap_or_default();
        } else {
            shown.push_str(run);
        }
        run.clear();
    };
    for letter in text.chars().take(1 << 16) {
        if letter.is_ascii_alphanumeric() || matches!(letter, '+' | '=' | '-' | '_') {
            run.push(letter);
            continue;
        }
        flush(&mut run, &mut shown);
        if shown.len() > SHOWN_MAX {
            break;
        }
        shown.push(if letter.is_control() { ' ' } else { letter });
    }
    flush(&mut run, &mut shown);
    let cut: String = shown.trim().chars().take(SHOWN_MAX).collect();
    if cut.len() < shown.trim().len() { format!("{cut} …") } else { cut }
}
