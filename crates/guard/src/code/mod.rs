//! What a Python file does, read from its syntax tree.
//!
//! Text in, facts out: what is executed, spawned, read, sent and left behind,
//! with the line, and whether it happens at import or only when a function is
//! called. Constants are folded, aliases resolved, and what is decoded and
//! executed is read in its turn. Nothing is executed, no file is opened here,
//! and nothing is a finding yet: see `combine`.
//!
//! Why a reader of our own: the parsers on the registry either refuse a whole
//! file for one error, recurse without a bound, or are written in C; and a
//! file that is to be judged may have been made to break its reader.

mod call;
pub(crate) mod combine;
mod commands;
mod encoding;
mod eval;
mod expr;
pub mod fact;
mod fold;
mod lex;
mod outline;
mod parse;
mod places;
mod run;
mod spawn;
mod tables;
mod text;
mod tree;
mod value;

use fact::{Deed, Fact, Summary, When};
use run::Mode;
use serde::{Deserialize, Serialize};
use std::path::Path;

pub use outline::outline;

/// The largest file that is read, in bytes.
pub(crate) const FILE_MAX_BYTES: usize = 64 << 20;
/// Stack that reading a file may need, in bytes: nesting is bounded, but deep.
pub const STACK_BYTES: usize = 64 << 20;

/// Gives what `read` gives, on a stack that is large enough for [`read`];
/// nothing if no thread can be started.
pub(crate) fn apart<T: Send>(read: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, read).ok()?.join().ok()
    })
}

/// What Python takes a file for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// No source.
    Data,
    /// A module.
    Module,
    /// A package's own module, `__init__.py`.
    Package,
    /// What installers run, `setup.py`.
    Setup,
}

impl Role {
    /// The role of the file at `path`.
    pub fn of(path: &Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("__init__.py") => Self::Package,
            Some("setup.py") => Self::Setup,
            _ if path.extension().is_some_and(|e| e == "py" || e == "pyw") => Self::Module,
            _ => Self::Data,
        }
    }
}

/// What the file `bytes` of this role does. Needs [`STACK_BYTES`] of stack.
pub fn read(role: Role, bytes: &[u8]) -> Summary {
    if bytes.len() > FILE_MAX_BYTES {
        return Summary { cut_short: true, ..Summary::default() };
    }
    let mode = if role == Role::Setup { Mode::Setup } else { Mode::Module };
    let (text, hides) = encoding::text(bytes);
    let tree = parse::parse(&text);
    let mut summary = run::run(&text, &tree.body, mode, 0);
    summary.cut_short |= tree.too_deep;
    summary.is_package = role == Role::Package;
    if let Some(what) = hides {
        summary.facts.insert(0, Fact { deed: Deed::Encoded, when: When::Import, line: 1, what });
    }
    summary
}
