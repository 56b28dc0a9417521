//! What a stream has for its client and the client has not taken yet.

use bytes::{Bytes, BytesMut};

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

    /// All there is, as few pieces.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        match self.first.take() {
            Some(first) => Some(first),
            None if self.rest.is_empty() => None,
            None => Some(self.rest.split().freeze()),
        }
    }
}
