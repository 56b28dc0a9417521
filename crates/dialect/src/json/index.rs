//! The ends of a text's long values, noted while it is checked, so that reading
//! it level by level does not go through them at each level.

use super::check::Watch;
use std::ops::Range;

/// Shorter values are gone through: that is quicker than to look them up.
pub(super) const LONG: usize = 64;

/// The first byte and the end of each long string, object and list, by the
/// first byte.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    spans: Vec<(u32, u32)>,
    /// The places in `spans` of those that are open.
    open: Vec<usize>,
}

impl Index {
    /// The index of a text that the one of this index became: `moved` tells
    /// the new place of a long value, `None` if it is gone.
    pub(crate) fn moved(&self, moved: impl Fn(Range<usize>) -> Option<Range<usize>>) -> Self {
        let place = |(start, end): &(u32, u32)| {
            let now = moved(*start as usize..*end as usize)?;
            (now.len() >= LONG).then_some((now.start as u32, now.end as u32))
        };
        Self { spans: self.spans.iter().filter_map(place).collect(), open: Vec::new() }
    }

    /// Adds the index of a piece of the same text that begins at `start`.
    pub(crate) fn add(&mut self, piece: &Self, start: usize) {
        let start = start as u32;
        let spans = piece.spans.iter().map(|(from, to)| (from + start, to + start));
        self.spans.extend(spans);
    }

    /// Puts what was added in order, each value once.
    pub(crate) fn sort(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup();
    }

    /// The end of the value that begins at `start`, if it is a long one.
    pub(super) fn end(&self, start: usize) -> Option<usize> {
        let start = u32::try_from(start).ok()?;
        let at = self.spans.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        self.spans.get(at).map(|(_, end)| *end as usize)
    }
}

/// For texts of less than 4 GiB.
impl Watch for Index {
    #[inline]
    fn opens(&mut self, _: &[u8], _: u8, start: usize) {
        self.open.push(self.spans.len());
        self.spans.push((start as u32, 0));
    }

    #[inline]
    fn closes(&mut self, end: usize) {
        let Some(at) = self.open.pop() else { return };
        let Some((start, noted)) = self.spans.get_mut(at) else { return };
        *noted = end as u32;
        // Nothing inside a short value is long, so it is the last.
        if end - (*start as usize) < LONG {
            self.spans.truncate(at);
        }
    }

    #[inline]
    fn string(&mut self, _: &[u8], start: usize, inner: &[u8]) {
        let length = inner.len() + 2;
        if length >= LONG {
            self.spans.push((start as u32, (start + length) as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::check::Checker;

    #[test]
    fn long_values_are_found_by_their_first_byte() {
        let long = "x".repeat(70);
        let text = format!(r#"{{"a":[1,{{"b":"{long}"}},"short",[]],"c":{{}},"{long}":2}}"#);
        let mut index = Index::default();
        Checker::new(text.as_bytes()).only_value(&mut index).unwrap();
        let value = |start: usize| index.end(start).and_then(|end| text.get(start..end));
        assert_eq!(value(0), Some(&*text));
        let list = text.find('[').unwrap();
        assert!(value(list).unwrap().ends_with("[]]"));
        assert!(value(list + 3).unwrap().ends_with("\"}"));
        assert_eq!(value(text.find("\"x").unwrap()), Some(&*format!("\"{long}\"")));
        assert_eq!(index.spans.len(), 4, "short values and keys are not noted");
    }
}
