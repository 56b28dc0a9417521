//! One entry of the spool: a header, then kind, record id, and the rest as
//! `ledger` writes it.
//!
//! The header is a marker, the payload's length, its CRC-32 and the CRC-32 of
//! these twelve bytes, all little endian. A damaged payload costs its entry
//! alone, since the header still says where the next one begins; behind a
//! damaged header a reader looks for the next marker whose header checks. The
//! marker holds bytes that UTF-8 never contains, so no name that a client
//! chooses can look like one. The id has a fixed place so that an attempt which
//! begins and ends is matched without reading what it began with.
//!
//! Earlier versions wrote length and payload checksum alone. Their entries are
//! still read: no length of theirs looks like the marker.

use ledger::{KeyChange, Opened, RecordId, SpendRecord};
use std::io;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 16;
/// Bytes before the payload of earlier versions: length and checksum.
const EARLIER_HEADER: usize = 8;
/// Begins every header.
const MARKER: [u8; 4] = [0xf5, b'k', b'm', 0xfe];
/// A record is some hundred bytes; more than this is a mistake or damage.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;

/// 1 and 2 were the same as JSON.
const OPENED: u8 = 3;
const RECORD: u8 = 4;
const KEY_CHANGE: u8 = 5;

/// What an entry says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight into a batch")]
pub(crate) enum Entry {
    Opened(Began),
    Record(SpendRecord),
    KeyChange(KeyChange),
    /// Whole, but of a version that we do not know.
    Unreadable(Vec<u8>),
    /// Not what was written: so many bytes from here on, up to the next entry
    /// that can be read or the end.
    Damaged(u64),
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

/// Result of reading at the first of some bytes.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, straight into a batch")]
pub(crate) enum Next {
    /// An entry, and how many bytes it takes.
    Entry(Entry, usize),
    /// The beginning of one, which takes this many bytes in all. `sure` if its
    /// header checks, or is itself cut short.
    Incomplete { needed: usize, sure: bool },
    /// The header of an entry of this many bytes, whose payload is damaged.
    Spoilt(usize),
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

/// Replaces what is in `into` by the frame of a change to a key.
pub(crate) fn encode_key_change(change: &KeyChange, into: &mut Vec<u8>) -> io::Result<()> {
    begin(KEY_CHANGE, into);
    change.encode(into);
    seal(into)
}

fn encode(
    kind: u8,
    id: RecordId,
    rest: impl FnOnce(&mut Vec<u8>),
    into: &mut Vec<u8>,
) -> io::Result<()> {
    begin(kind, into);
    into.extend_from_slice(&id.to_bytes());
    rest(into);
    seal(into)
}

fn begin(kind: u8, into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(&[0; HEADER]);
    into.push(kind);
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
    let Some((header, payload)) = frame.split_first_chunk_mut::<HEADER>() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if payload.len() > MAX_PAYLOAD {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a spend record of {} bytes (at most {MAX_PAYLOAD})", payload.len()),
        ));
    }
    *header = header_of(payload.len() as u32, crc32fast::hash(payload));
    Ok(())
}

fn header_of(length: u32, checksum: u32) -> [u8; HEADER] {
    let [m0, m1, m2, m3] = MARKER;
    let [l0, l1, l2, l3] = length.to_le_bytes();
    let [c0, c1, c2, c3] = checksum.to_le_bytes();
    let begin = [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3];
    let [h0, h1, h2, h3] = crc32fast::hash(&begin).to_le_bytes();
    [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3, h0, h1, h2, h3]
}

/// Payload's length and checksum, if this is a header.
pub(crate) fn header(bytes: &[u8; HEADER]) -> Option<(usize, u32)> {
    let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3, ..] = *bytes;
    if [m0, m1, m2, m3] != MARKER {
        return None;
    }
    let (length, checksum) =
        (u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([c0, c1, c2, c3]));
    let fits = length > 0 && length as usize <= MAX_PAYLOAD;
    (fits && header_of(length, checksum) == *bytes).then_some((length as usize, checksum))
}

/// Payload's length and checksum as earlier versions wrote them; any bytes
/// may look like it.
fn earlier_header(bytes: [u8; EARLIER_HEADER]) -> Option<(usize, u32)> {
    let [l0, l1, l2, l3, c0, c1, c2, c3] = bytes;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    (length > 0 && length <= MAX_PAYLOAD).then_some((length, u32::from_le_bytes([c0, c1, c2, c3])))
}

/// Length of an entry of an earlier version that may begin here: the header is
/// possible, and an attempt's id follows. Its checksum decides.
pub(crate) fn maybe_earlier(bytes: &[u8]) -> Option<usize> {
    let (header, payload) = bytes.split_first_chunk()?;
    let (length, _) = earlier_header(*header)?;
    let (kind, id) = payload.split_first()?;
    // A UUID of version 7.
    let [_, _, _, _, _, _, version, _, variant, ..] = id.first_chunk::<{ RecordId::LEN }>()?;
    let is_id = version >> 4 == 7 && variant >> 6 == 2;
    (matches!(*kind, OPENED | RECORD) && is_id).then_some(EARLIER_HEADER + length)
}

/// Reads the entry at the beginning of `bytes`. A record shares what it can
/// with `like`.
pub(crate) fn decode(bytes: &[u8], like: Option<&SpendRecord>) -> Next {
    let marked = bytes.iter().zip(&MARKER).all(|(byte, marker)| byte == marker);
    let size = if marked { HEADER } else { EARLIER_HEADER };
    if bytes.len() < size {
        return Next::Incomplete { needed: size, sure: true };
    }
    let found = if marked {
        bytes.first_chunk().and_then(header)
    } else {
        bytes.first_chunk().copied().and_then(earlier_header)
    };
    let Some((length, checksum)) = found else { return Next::Damaged };
    let Some(payload) = bytes.get(size..size + length) else {
        return Next::Incomplete { needed: size + length, sure: marked };
    };
    if crc32fast::hash(payload) != checksum {
        return if marked { Next::Spoilt(size + length) } else { Next::Damaged };
    }
    Next::Entry(read(payload, like), size + length)
}

/// Reads a payload whose checksum is right.
fn read(payload: &[u8], like: Option<&SpendRecord>) -> Entry {
    entry(payload, like).unwrap_or_else(|| Entry::Unreadable(payload.to_vec()))
}

/// Reads a damaged entry if a single bit of its payload was flipped. No two
/// payloads of a record's length that differ in up to three bits have the same
/// CRC-32, so the bit that makes the checksum right is the one.
pub(crate) fn repair(bytes: &[u8]) -> Option<Entry> {
    let (head, payload) = bytes.split_first_chunk()?;
    let (length, checksum) = header(head)?;
    if length > REPAIRED_MAX || payload.len() != length {
        return None;
    }
    let mut payload = payload.to_vec();
    for at in 0..length {
        for bit in 0..8 {
            *payload.get_mut(at)? ^= 1 << bit;
            if crc32fast::hash(&payload) == checksum {
                return entry(&payload, None);
            }
            *payload.get_mut(at)? ^= 1 << bit;
        }
    }
    None
}

/// Payload that [`repair`] tries; records are some hundred bytes.
const REPAIRED_MAX: usize = 4096;

fn entry(payload: &[u8], like: Option<&SpendRecord>) -> Option<Entry> {
    let (kind, rest) = payload.split_first()?;
    if *kind == KEY_CHANGE {
        return KeyChange::decode(rest).map(Entry::KeyChange);
    }
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
    use super::{Entry, HEADER, Next, decode, encode_record, maybe_earlier, repair};
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
            let next = decode(&bytes[..end], None);
            assert!(matches!(next, Next::Incomplete { sure: true, .. }), "cut at {end}");
        }
    }

    #[test]
    fn any_changed_bit_is_noticed_and_one_in_the_payload_is_put_right() {
        let (record, bytes) = frame();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match decode(&changed, None) {
                Next::Spoilt(size) if bit / 8 >= HEADER => {
                    assert_eq!(size, bytes.len());
                    let repaired = repair(&changed);
                    assert!(matches!(repaired, Some(Entry::Record(read)) if read == record));
                }
                Next::Damaged | Next::Incomplete { .. } if bit / 8 < HEADER => {}
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let (record, bytes) = frame();
        let payload = &bytes[HEADER..];
        let mut earlier = (payload.len() as u32).to_le_bytes().to_vec();
        earlier.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        earlier.extend_from_slice(payload);
        assert_eq!(maybe_earlier(&earlier), Some(earlier.len()));
        match decode(&earlier, None) {
            Next::Entry(Entry::Record(read), size) => {
                assert_eq!((read, size), (record, earlier.len()));
            }
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (decode(&bytes, None), repair(&bytes), maybe_earlier(&bytes));
        }
    }
}
