//! Keys that lie open on a machine: in files and in the environment of
//! processes.
//!
//! Values are compared, counted and forgotten: what leaves this module is the
//! public beginning of a key and a fingerprint. Deliberately absent: whether a
//! key still works, which only its issuer could say.

mod advice;
mod fingerprint;
mod places;
mod processes;
mod random;
mod scan;
mod shape;
mod survey;

pub use fingerprint::fingerprint;
pub use scan::Variables;
pub use survey::{Ask, survey};

use base::{Redactor, Secret};

/// Returns true if `value`, given to the variable `name`, looks like a key.
pub fn holds_key(name: &str, value: &str) -> bool {
    !scan::scan(&format!("{name}={value}"), &Variables::default()).is_empty()
}

/// `text` without the keys in it: commands hold some, and are shown.
pub(crate) fn masked(text: &str) -> String {
    let found = scan::scan(text, &Variables::default());
    let values: Vec<Secret> = found.into_iter().map(|sighting| sighting.value).collect();
    Redactor::new(&values).clean(text).into_owned()
}
