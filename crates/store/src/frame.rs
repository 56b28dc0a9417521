//! One entry of the spool: length, checksum, kind, record id and JSON.
//!
//! `length` (u32, little endian) counts what follows the checksum; `checksum`
//! (u32, little endian) is its CRC-32. The id stands apart so that an attempt
//! which begins and ends is matched without reading what it began with. A process that dies while it writes leaves a frame
//! that does not check; nothing after it can be trusted to begin where it seems
//! to.

use ledger::{Opened, RecordId, SpendRecord};
use serde::Serialize;
use std::io;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 8;
/// A record is about one kilobyte; more than this is a mistake or damage.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;

const OPENED: u8 = 1;
const RECORD: u8 = 2;

/// What an entry says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight into a batch")]
pub(crate) enum Entry {
    Opened(Began),
    Record(SpendRecord, Box<str>),
    /// Whole, but of a version that we do not know.
    Unreadable(Vec<u8>),
}

/// An attempt that began, unread: most end soon, and then it never matters.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) id: RecordId,
    json: Box<[u8]>,
}

impl Began {
    /// What it began with; `None` where that is of a version that we do not
    /// know.
    pub(crate) fn read(&self) -> Option<Opened> {
        serde_json::from_slice(&self.json).ok()
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
    encode(OPENED, opened.id, opened, into)
}

/// Replaces what is in `into` by the frame of an attempt that has ended.
pub(crate) fn encode_record(record: &SpendRecord, into: &mut Vec<u8>) -> io::Result<()> {
    encode(RECORD, record.id, record, into)
}

fn encode(kind: u8, id: RecordId, value: &impl Serialize, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    into.extend_from_slice(&[0; HEADER]);
    into.push(kind);
    into.extend_from_slice(&id.to_bytes());
    serde_json::to_writer(&mut *into, value)?;
    let Some((header, payload)) = into.split_at_mut_checked(HEADER) else {
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

/// Reads the frame at the beginning of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Next {
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
        entry(payload).unwrap_or_else(|| Entry::Unreadable(payload.to_vec())),
        HEADER + length,
    )
}

fn entry(payload: &[u8]) -> Option<Entry> {
    let (kind, rest) = payload.split_first()?;
    let (id, json) = rest.split_first_chunk()?;
    match *kind {
        OPENED => Some(Entry::Opened(Began { id: RecordId::from_bytes(*id), json: json.into() })),
        RECORD => {
            let text = std::str::from_utf8(json).ok()?;
            Some(Entry::Record(serde_json::from_str(text).ok()?, text.into()))
        }
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
        match decode(&bytes) {
            Next::Entry(Entry::Record(read, _), size) => {
                assert_eq!((read, size), (record, bytes.len()));
            }
            other => panic!("{other:?}"),
        }
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end]), Next::Incomplete(_)), "cut at {end}");
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let (_, bytes) = frame();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(!matches!(decode(&changed), Next::Entry(..)), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
