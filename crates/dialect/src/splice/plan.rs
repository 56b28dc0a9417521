//! The changes to a body, and the places of its parts afterwards.

use bytes::Bytes;
use std::ops::Range;

/// Changes to a body: spans to cut with the text to put there, in the body's
/// order, and members to insert.
pub(super) struct Plan<'e> {
    cuts: Vec<(Range<usize>, &'e str)>,
    /// For each cut, the bytes put in and taken out up to and with it.
    sums: Vec<(usize, usize)>,
    /// The place for new members: after the last one.
    pub(super) end: usize,
    /// With their keys.
    pub(super) inserts: Vec<String>,
    /// No member is left before those inserted.
    pub(super) is_alone: bool,
}

impl<'e> Plan<'e> {
    /// Builds a plan of `cuts`, which do not overlap.
    pub(super) fn new(
        mut cuts: Vec<(Range<usize>, &'e str)>,
        end: usize,
        inserts: Vec<String>,
        is_alone: bool,
    ) -> Self {
        cuts.sort_by_key(|(span, _)| (span.start, span.end));
        let mut sums = Vec::with_capacity(cuts.len());
        let (mut more, mut less) = (0, 0);
        for (span, text) in &cuts {
            more += text.len();
            less += span.len();
            sums.push((more, less));
        }
        Self { cuts, sums, end, inserts, is_alone }
    }

    /// The new body.
    pub(super) fn made(&self, body: &Bytes) -> Bytes {
        let added: usize = self.cuts.iter().map(|(_, text)| text.len()).sum();
        let inserted: usize = self.inserts.iter().map(|text| text.len() + 1).sum();
        let gone: usize = self.cuts.iter().map(|(span, _)| span.len()).sum();
        let mut out = Vec::with_capacity((body.len() + added + inserted).saturating_sub(gone));
        let mut done = 0;
        let mut copy = |out: &mut Vec<u8>, to: usize, next: usize| {
            out.extend_from_slice(body.get(done..to).unwrap_or_default());
            done = next;
        };
        for (span, text) in &self.cuts {
            copy(&mut out, span.start, span.end);
            out.extend_from_slice(text.as_bytes());
        }
        copy(&mut out, self.end, self.end);
        for (number, text) in self.inserts.iter().enumerate() {
            if number > 0 || !self.is_alone {
                out.push(b',');
            }
            out.extend_from_slice(text.as_bytes());
        }
        copy(&mut out, body.len(), body.len());
        Bytes::from(out)
    }

    /// The new place of a byte that is kept and begins something.
    pub(super) fn start(&self, at: usize) -> usize {
        self.shifted(at, self.cuts.partition_point(|(span, _)| span.end <= at))
    }

    /// The new place of the end of something that is kept.
    pub(super) fn end(&self, at: usize) -> usize {
        self.shifted(at, self.cuts.partition_point(|(span, _)| span.start < at))
    }

    /// A place after the first `count` cuts.
    fn shifted(&self, at: usize, count: usize) -> usize {
        let (more, less) = count.checked_sub(1).and_then(|n| self.sums.get(n)).unwrap_or(&(0, 0));
        (at + more).saturating_sub(*less)
    }

    /// The new place of a value that no cut touches.
    pub(super) fn moved(&self, value: &Range<usize>) -> Option<Range<usize>> {
        let next = self.cuts.partition_point(|(span, _)| span.end <= value.start);
        if self.cuts.get(next).is_some_and(|(span, _)| span.start < value.end) {
            return None;
        }
        Some(self.start(value.start)..self.end(value.end))
    }
}
