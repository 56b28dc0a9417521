//! Where records are safe before anybody is told that the call is done.

use crate::record::{Opened, SpendRecord};
use std::io;

/// Writes down each attempt before it begins and when it ends. Both calls
/// return once the record outlives the process; they may block for the time of
/// one small file write (a disk sync, where the journal is set to that).
pub trait Journal: Send + Sync {
    /// Before the upstream is called.
    ///
    /// # Errors
    /// The attempt must not go ahead.
    fn open(&self, opened: &Opened) -> io::Result<()>;

    /// Before the client sees the end of its answer. Accepted also when
    /// [`Journal::is_full`]: what has been let through can be written down.
    ///
    /// # Errors
    /// The record is not durable; the cell in the book is charged all the same.
    fn settle(&self, record: &SpendRecord) -> io::Result<()>;

    /// Records written and not in the store yet.
    fn depth(&self) -> u64;

    /// Whether there is no room for further calls: refuse them.
    fn is_full(&self) -> bool;
}
