//! Advisories on the disk: what a user gives, and what was taken in to stay.

mod read;
pub mod stored;

pub use read::{Unusable, read};
