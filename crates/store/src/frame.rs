//! One entry of the spool: length, checksum, kind, record id, and the rest as
//! `ledger` writes it.
//!
//! `length` (u32, little endian) counts what follows the checksum; `checksum`
//! (u32, little endian) is its CRC-32. The id stands apart so that an attempt
//! which begins and ends is matched without reading what it began with. A
//! process that dies while it writes leaves a frame that does not check;
//! nothing after it can be trusted to begin where it seems to.

use ledger::{Opened, RecordId, SpendRecord};
use std::io;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 8;
/// A record is some hundred bytes; more than this is a mistake or damage.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;

/// 1 and 2 were the same as JSON.
const OPENED: u8 = 3;
const RECORD: u8 = 4;

/// What an entry says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight into a batch")]
pub(crate) enum Entry {
    Opened(Began),
    Record(SpendRecord),
    /// Whole, but of a version that we do not know.
    Unreadable(Vec<u8>),
}

/// An attempt that began, unread: most end soon, and then it never matters.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) id: RecordId,
    bytes: Box<[u8]>,
}

impl Began {
    /// What it began with; `None` where that is of a version that we do not
    /// know.
    pub(crate) fn read(&self) -> Option<Opened> {
        Opened::decode(self.id, &self.bytes)
    }
}

/// What stands at the beginning of some bytes.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight into a batch")]
pub(crate) enum Next {
    /// An entry, and how many bytes it takes.
    Entry(Entry, usize),
    /// The beginning of one; it may need this many bytes in all.
    Incomplete(usize),
    /// Nothing that we wrote.
    Damaged,
}

/// Replaces what is in `into` by the frame of an attempt that begins.
pub(crate) fn encode_opened(opened: &Opened, into: &mut Vec<u8>) -> io::Result<()> {
    encode(OPENED, opened.id, |into| opened.encode(into), into)
}

/// Replaces what is in `into` by the frame of an attempt that has ended.
pub(crate) fn encode_record(record: &SpendRecord, into: &mut Vec<u8>) -> io::Result<()> {
    encode(RECORD, record.id, |into| record.encode(into), into)
}

fn encode(
    kind: u8,
    id: RecordId,
    rest: impl FnOnce(&mut Vec<u8>),
    into: &mut Vec<u8>,
) -> io::Result<()> {
    into.clear();
    into.extend_from_slice(&[0; HEADER]);
    into.push(kind);
    into.extend_from_slice(&id.to_bytes());
    rest(into);
    seal(into)
}

/// An entry's bytes as [`decode`] gave them, in a frame again.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER];
    frame.extend_from_slice(payload);
    // No longer than what was read.
    let _fits = seal(&mut frame);
    frame
}

/// Fills in the header.
fn seal(frame: &mut [u8]) -> io::Result<()> {
    let Some((header, payload)) = frame.split_at_mut_checked(HEADER) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if payload.len() > MAX_PAYLOAD {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a spend record of {} bytes (at most {MAX_PAYLOAD})", payload.len()),
        ));
    }
    let length = (payload.len() as u32).to_le_bytes();
    let checksum = crc32fast::hash(payload).to_le_bytes();
    for (to, from) in header.iter_mut().zip(length.into_iter().chain(checksum)) {
        *to = from;
    }
    Ok(())
}

/// Reads the frame at the beginning of `bytes`. A record shares what it can
/// with `like`.
pub(crate) fn decode(bytes: &[u8], like: Option<&SpendRecord>) -> Next {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else {
        return Next::Incomplete(HEADER);
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = header else { return Next::Damaged };
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    if length == 0 || length > MAX_PAYLOAD {
        return Next::Damaged;
    }
    let Some(payload) = rest.get(..length) else { return Next::Incomplete(HEADER + length) };
    if crc32fast::hash(payload) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return Next::Damaged;
    }
    Next::Entry(
        entry(payload, like).unwrap_or_else(|| Entry::Unreadable(payload.to_vec())),
        HEADER + length,
    )
}

fn entry(payload: &[u8], like: Option<&SpendRecord>) -> Option<Entry> {
    let (kind, rest) = payload.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    let id = RecordId::from_bytes(*id);
    match *kind {
        OPENED => Some(Entry::Opened(Began { id, bytes: rest.into() })),
        RECORD => SpendRecord::decode(id, rest, like).map(Entry::Record),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Next, decode, encode_record};
    use base::CallId;
    use ledger::{RecordId, SpendRecord};
    use proptest::prelude::*;

    fn frame() -> (SpendRecord, Vec<u8>) {
        let id = RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt: 2 };
        let record = SpendRecord::new(id, 5);
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes).unwrap();
        (record, bytes)
    }

    #[test]
    fn what_is_written_is_read_and_cut_short_it_is_incomplete() {
        let (record, bytes) = frame();
        match decode(&bytes, None) {
            Next::Entry(Entry::Record(read), size) => {
                assert_eq!((read, size), (record, bytes.len()));
            }
            other => panic!("{other:?}"),
        }
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end], None), Next::Incomplete(_)), "cut at {end}");
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let (_, bytes) = frame();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(!matches!(decode(&changed, None), Next::Entry(..)), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes, None);
        }
    }
}
