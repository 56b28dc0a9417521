//! MessagePack, as much of it as the caches of installers hold around what we
//! look for. Values are skipped or lent; nothing is copied and nothing nests
//! deeper than a few levels.

/// Levels of values in values.
const DEPTH_MAX: usize = 16;

/// A value, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'b> {
    /// Text.
    Text(&'b str),
    /// An array of so many values, which follow.
    Array(usize),
    /// A map of so many pairs, which follow.
    Map(usize),
    /// Bytes that may reach beyond what was given: how many they are.
    Bytes(u64),
    /// Anything else, read over.
    Other,
}

/// Reads values one after the other.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn count(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(bytes)?).ok()
    }

    fn text(&mut self, length: usize) -> Option<Value<'b>> {
        std::str::from_utf8(self.take(length)?).ok().map(Value::Text)
    }

    /// The next value; of arrays, maps and bytes only the head, so that what is
    /// in them comes next. Nothing where there is none.
    pub(super) fn next(&mut self) -> Option<Value<'b>> {
        let head = *self.take(1)?.first()?;
        let low = usize::from(head);
        Some(match head {
            0x80..=0x8f => Value::Map(low & 0x0f),
            0x90..=0x9f => Value::Array(low & 0x0f),
            0xa0..=0xbf => return self.text(low & 0x1f),
            0xc4..=0xc6 => Value::Bytes(self.number(1 << (low - 0xc4))?),
            0xd9..=0xdb => {
                let length = self.count(1 << (low - 0xd9))?;
                return self.text(length);
            }
            0xdc | 0xdd => Value::Array(self.count(2 << (low - 0xdc))?),
            0xde | 0xdf => Value::Map(self.count(2 << (low - 0xde))?),
            other => {
                let length = match other {
                    0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
                    0xc7..=0xc9 => self.count(1 << (low - 0xc7))?.checked_add(1)?,
                    0xca | 0xce | 0xd2 => 4,
                    0xcb | 0xcf | 0xd3 => 8,
                    0xcc | 0xd0 => 1,
                    0xcd | 0xd1 => 2,
                    0xd4..=0xd8 => (1 << (low - 0xd4)) + 1,
                    _ => return None,
                };
                self.take(length)?;
                Value::Other
            }
        })
    }

    /// Reads over the next value and all that is in it.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.next()? {
            Value::Text(_) | Value::Other => {}
            Value::Bytes(length) => {
                self.take(usize::try_from(length).ok()?)?;
            }
            // Each value has a byte at least: a count that lies ends at the end.
            Value::Array(count) => (0..count).try_for_each(|_| self.skip_at(depth + 1))?,
            Value::Map(count) => {
                (0..count).try_for_each(|_| {
                    self.skip_at(depth + 1)?;
                    self.skip_at(depth + 1)
                })?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_read_or_skipped() {
        let bytes = b"\x82\xa1a\x93\x01\xc0\xcd\x01\x02\xd9\x02bc\xc4\x03xyz\xca0000\xd40z";
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.next(), Some(Value::Map(2)));
        assert_eq!(reader.next(), Some(Value::Text("a")));
        assert_eq!(reader.skip(), Some(()));
        assert_eq!(reader.next(), Some(Value::Text("bc")));
        assert_eq!(reader.skip(), Some(()));
        assert_eq!(reader.skip(), Some(()));
        assert_eq!(reader.skip(), Some(()));
        assert_eq!((reader.next(), reader.at()), (None, bytes.len()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut reader = Reader::new(&bytes);
            while reader.skip().is_some() {}
            proptest::prop_assert!(reader.at() <= bytes.len());
        }

        #[test]
        fn nothing_nests_without_end(head in proptest::sample::select(vec![0x91_u8, 0x81, 0x9f, 0xdd])) {
            proptest::prop_assert_eq!(Reader::new(&vec![head; 100_000]).skip(), None);
        }
    }
}
