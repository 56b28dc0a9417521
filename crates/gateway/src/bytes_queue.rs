//! Bytes on their way to a client.

use bytes::{Bytes, BytesMut};

/// Bytes in order, joined where they lie side by side.
#[derive(Default)]
pub(crate) struct BytesQueue {
    first: Option<Bytes>,
    rest: BytesMut,
}

impl BytesQueue {
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

    pub(crate) fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.rest.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        match self.first.take() {
            Some(first) => Some(first),
            None if self.rest.is_empty() => None,
            None => Some(self.rest.split().freeze()),
        }
    }
}
