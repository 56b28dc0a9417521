//! Where records are safe before anybody is told that the call is done.

use crate::key_change::KeyChange;
use crate::record::{Opened, SpendRecord};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Writes down each attempt before it begins and when it ends.
///
/// An entry that was accepted outlives the process when the [`Written`] that
/// came back is ready, which it mostly is at once. None of the methods waits for a
/// disk to sync. One that is dropped is written all the same.
pub trait Journal: Send + Sync {
    /// Ready once the journal takes entries, with an error if that takes too
    /// long: the disk does not answer. To be awaited before a call is let
    /// through.
    fn ready(&self) -> Written;

    /// Before the upstream is called.
    ///
    /// # Errors
    /// The attempt must not go ahead.
    fn open(&self, opened: &Opened) -> io::Result<Written>;

    /// Before the client sees the end of its answer. Accepted also when
    /// [`Journal::is_full`]: what has been let through can be written down.
    ///
    /// # Errors
    /// The record is not durable; the cell in the book is charged all the same.
    fn settle(&self, record: &SpendRecord) -> io::Result<Written>;

    /// A change to a key that cannot wait for the store: it is made there as
    /// soon as the store answers, after all that was written before it and at
    /// the latest when the next process starts.
    ///
    /// # Errors
    /// It is not durable.
    fn change_key(&self, change: &KeyChange) -> io::Result<Written>;

    /// Number of records and changes written since the process began.
    fn written(&self) -> u64;

    /// Records and changes written and not in the store yet.
    fn depth(&self) -> u64;

    /// Returns true if there is no room for further calls: refuse them.
    fn is_full(&self) -> bool;
}

/// Ready once an entry of a [`Journal`] is as durable as the journal promises.
#[must_use = "the entry is durable only when this is ready"]
pub struct Written(Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>);

impl Written {
    /// It is already.
    pub fn now() -> Self {
        Self(None)
    }

    /// It is when `future` is ready.
    pub fn later(future: impl Future<Output = io::Result<()>> + Send + Sync + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl Future for Written {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            None => Poll::Ready(Ok(())),
            Some(future) => future.as_mut().poll(context),
        }
    }
}
