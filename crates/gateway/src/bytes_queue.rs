//! What a stream has for its client and the client has not taken yet.

use bytes::{Bytes, BytesMut};

/// Bytes that are handed over at a time: the server copies what it is given, and
/// what nobody reads must not be in memory twice, nor give its place in flight
/// back.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Bytes in order, joined where they lie side by side.
#[derive(Default)]
pub(crate) struct BytesQueue {
    first: Option<Bytes>,
    rest: BytesMut,
}

impl BytesQueue {
    /// Adds bytes behind the others.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.first.is_none() && self.rest.is_empty() {
            self.first = Some(bytes);
        } else {
            self.rest.extend_from_slice(&bytes);
        }
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.rest.len()
    }

    /// Memory that they take, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.rest.capacity()
    }

    /// Returns true if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next bytes, at most [`PIECE_BYTES`].
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.as_mut().filter(|first| first.len() > PIECE_BYTES) {
            return Some(first.split_to(PIECE_BYTES));
        }
        match self.first.take() {
            Some(first) => Some(first),
            None if self.rest.is_empty() => None,
            None if self.rest.len() <= PIECE_BYTES => Some(std::mem::take(&mut self.rest).freeze()),
            None => Some(self.rest.split_to(PIECE_BYTES).freeze()),
        }
    }
}
