//! The advisories that are kept on this machine: exports taken in once, and
//! asked by every audit after that.

use super::{Unusable, read};
use advisory::compile::Compile;
use advisory::set::{Header, Set};
use std::path::{Path, PathBuf};

/// Where the index is kept, below keymoat's data directory.
pub const FILE: &str = "guard/advisories.osvl";

/// What taking exports in came to.
#[derive(Debug)]
pub struct Update {
    /// What is said of the new index.
    pub header: Header,
    /// Records that were taken back by their authors, and left out.
    pub withdrawn: u64,
    /// The first records that could not be used: which, and why.
    pub bad_shown: Vec<(String, String)>,
    /// Ecosystems that the new index is complete for no longer, or that it
    /// knows less of: empty unless that was allowed.
    pub lost: Vec<String>,
}

/// Why nothing was taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotUpdated {
    /// An export cannot be used.
    #[error("{0}")]
    Unusable(#[from] Unusable),
    /// The new index would know less than the one that is there.
    #[error("the new advisories know less than those that are here: {}", .0.join("; "))]
    Less(Vec<String>),
    /// The index cannot be written.
    #[error("{}: {}", .0.display(), .1)]
    Unwritable(PathBuf, String),
}

/// Makes one index of all exports in `from` and puts it at `path`, in the
/// place of what was there. An index that knows less than the one before it is
/// refused unless `less_too` is set; dates after `now_ms` (milliseconds since
/// 1970) are not believed.
pub fn update(
    path: &Path,
    from: &[PathBuf],
    now_ms: i64,
    less_too: bool,
) -> Result<Update, NotUpdated> {
    let mut compile = Compile::default();
    compile.newest_max_ms = Some(now_ms);
    for source in from {
        read::take(source, &mut compile)?;
    }
    let titles: Vec<String> = from.iter().map(|path| path.display().to_string()).collect();
    let (withdrawn, bad_shown) = (compile.withdrawn, std::mem::take(&mut compile.bad_shown));
    let text = compile.finish(&titles.join(", "));
    let set =
        Set::read(text.clone().into()).map_err(|why| Unusable::Index(path.to_owned(), why))?;
    // What cannot be read any more knows nothing.
    let before = load(path).ok().flatten();
    let lost = before.map(|before| less(before.header(), set.header())).unwrap_or_default();
    if !lost.is_empty() && !less_too {
        return Err(NotUpdated::Less(lost));
    }
    crate::private::write(path, &text)
        .map_err(|error| NotUpdated::Unwritable(path.to_owned(), crate::files::reason(&error)))?;
    Ok(Update { header: set.header().clone(), withdrawn, bad_shown, lost })
}

/// The index at `path`; nothing if none was ever made.
pub fn load(path: &Path) -> Result<Option<Set>, Unusable> {
    if path.exists() { read::read(path).map(Some) } else { Ok(None) }
}

/// What `before` was complete for, or newer on, and `after` is not.
fn less(before: &Header, after: &Header) -> Vec<String> {
    let told = before.coverage.iter().filter_map(|claim| {
        let ecosystem = &claim.ecosystem;
        match after.coverage.iter().find(|new| new.ecosystem == *ecosystem) {
            None => Some(format!("{ecosystem} is complete now and would not be")),
            Some(new) if new.as_of < claim.as_of => {
                Some(format!("{ecosystem} is of {} now and would be of {}", claim.as_of, new.as_of))
            }
            Some(_) => None,
        }
    });
    told.collect()
}
