//! Where events end in a byte stream, and nothing else: the bytes go on as
//! they came. Copies only an event that lies in more than one chunk.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event that is held, unless [`Framer::with_max`] says otherwise.
pub const EVENT_MAX_BYTES: usize = 16 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream into events as its chunks arrive.
///
/// All frames in order, and the remainder, are the stream's bytes exactly. Two
/// things that are no event come as frames of their own: a byte order mark at
/// the start, and the line feed of a CRLF whose carriage return ended the
/// frame before (an event is not held back to see whether one comes).
#[derive(Debug)]
pub struct Framer {
    /// The event so far, from earlier chunks.
    carry: BytesMut,
    /// Not yet looked at.
    unread: Bytes,
    /// No byte of the stream has been framed.
    at_start: bool,
    /// The current line has no byte yet.
    line_empty: bool,
    /// The last byte was a carriage return: a line feed would belong to it.
    after_cr: bool,
    /// That carriage return was also the end of the last frame.
    owed_lf: bool,
    max_bytes: usize,
    /// In the middle of an event that comes in pieces.
    in_pieces: bool,
}

/// One event's exact bytes, its blank line included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As they were on the wire.
    pub bytes: Bytes,
    /// A part of an event that is too long to be held: it can be passed on, not
    /// read. The event after it comes whole again.
    pub is_piece: bool,
}

/// Whether the stream starts with a byte order mark.
enum Mark {
    /// All that came so far, now carried, is the beginning of one.
    Open,
    /// It ends here in what is unread.
    Ends(usize),
    Absent,
}

/// The events that a chunk completes. Dropped early, the rest comes with the
/// next push.
#[derive(Debug)]
pub struct Frames<'a> {
    framer: &'a mut Framer,
}

impl Default for Framer {
    fn default() -> Self {
        Self::with_max(EVENT_MAX_BYTES)
    }
}

impl Framer {
    /// Holds events of up to [`EVENT_MAX_BYTES`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds events of up to `max_bytes`.
    pub fn with_max(max_bytes: usize) -> Self {
        Self {
            carry: BytesMut::new(),
            unread: Bytes::new(),
            at_start: true,
            line_empty: true,
            after_cr: false,
            owed_lf: false,
            max_bytes,
            in_pieces: false,
        }
    }

    /// Takes in a chunk; the iterator gives the events that it completes.
    pub fn push(&mut self, chunk: &Bytes) -> Frames<'_> {
        if self.unread.is_empty() {
            self.unread = chunk.clone();
        } else if !chunk.is_empty() {
            let mut both = BytesMut::with_capacity(self.unread.len() + chunk.len());
            both.extend_from_slice(&self.unread);
            both.extend_from_slice(chunk);
            self.unread = both.freeze();
        }
        Frames { framer: self }
    }

    /// Takes what has come in and belongs to no frame: an event without its
    /// blank line at the end of a stream.
    pub fn take_remainder(&mut self) -> Bytes {
        let unread = std::mem::take(&mut self.unread);
        if self.carry.is_empty() {
            return unread;
        }
        self.carry.extend_from_slice(&unread);
        self.carry.split().freeze()
    }

    /// Bytes that are held for lack of an event's end.
    pub fn held_bytes(&self) -> usize {
        self.carry.len() + self.unread.len()
    }

    /// Memory of the event that has begun, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.carry.capacity() + self.unread.len()
    }

    /// Returns true in the middle of an event that comes in pieces.
    pub fn is_in_pieces(&self) -> bool {
        self.in_pieces
    }

    /// Gives up holding the event that has begun: returns what is held of it,
    /// and the rest comes in pieces.
    pub fn give_up_event(&mut self) -> Bytes {
        self.in_pieces |= !self.carry.is_empty();
        self.take_carry()
    }

    /// What is carried. The rest of a small buffer is used again; a large one goes
    /// with its bytes.
    fn take_carry(&mut self) -> Bytes {
        if self.carry.capacity() > REUSED_MAX_BYTES {
            return std::mem::take(&mut self.carry).freeze();
        }
        self.carry.split().freeze()
    }

    fn next_frame(&mut self) -> Option<Frame> {
        if self.unread.is_empty() {
            return None;
        }
        let end = match self.byte_order_mark() {
            Mark::Open => return None,
            Mark::Ends(at) => Some(at),
            Mark::Absent => self.event_end(),
        };
        let held = self.carry.len() + end.unwrap_or(self.unread.len());
        let is_piece = self.in_pieces || held > self.max_bytes;
        self.in_pieces = is_piece && end.is_none();
        let Some(end) = end else {
            let unread = std::mem::take(&mut self.unread);
            if is_piece && self.carry.is_empty() {
                return Some(Frame { bytes: unread, is_piece });
            }
            append(&mut self.carry, &unread);
            return is_piece.then(|| Frame { bytes: self.take_carry(), is_piece });
        };
        let tail = self.unread.split_to(end);
        let bytes = if self.carry.is_empty() {
            tail
        } else {
            append(&mut self.carry, &tail);
            self.take_carry()
        };
        Some(Frame { bytes, is_piece })
    }

    /// Looks for a byte order mark at the stream's start.
    fn byte_order_mark(&mut self) -> Mark {
        if !self.at_start {
            return Mark::Absent;
        }
        let carried = self.carry.len();
        let wanted = BOM.get(carried..).unwrap_or_default();
        let same = wanted.iter().zip(&self.unread).take_while(|(a, b)| a == b).count();
        if same == wanted.len() {
            self.at_start = false;
            return Mark::Ends(same);
        }
        if same == self.unread.len() {
            self.carry.extend_from_slice(&self.unread);
            self.unread = Bytes::new();
            return Mark::Open;
        }
        self.at_start = false;
        self.line_empty = carried == 0;
        Mark::Absent
    }

    /// After the blank line that ends the event in `unread`.
    fn event_end(&mut self) -> Option<usize> {
        let bytes = self.unread.as_ref();
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(plain) = memchr2(b'\n', b'\r', rest) else {
                if !rest.is_empty() {
                    self.line_empty = false;
                    self.after_cr = false;
                    self.owed_lf = false;
                }
                return None;
            };
            if plain > 0 {
                self.line_empty = false;
                self.after_cr = false;
                self.owed_lf = false;
            }
            let is_cr = rest.get(plain) == Some(&b'\r');
            at += plain + 1;
            if self.after_cr && !is_cr {
                self.after_cr = false;
                if std::mem::take(&mut self.owed_lf) {
                    return Some(at);
                }
                continue;
            }
            self.after_cr = is_cr;
            self.owed_lf = false;
            if !std::mem::replace(&mut self.line_empty, true) {
                continue;
            }
            if is_cr && bytes.get(at) == Some(&b'\n') {
                at += 1;
                self.after_cr = false;
            }
            self.owed_lf = self.after_cr;
            return Some(at);
        }
    }
}

/// A buffer of up to this is used again for the next event.
const REUSED_MAX_BYTES: usize = 64 << 10;

/// Adds bytes to a buffer. A large one grows by a quarter, not to the double: many
/// streams may hold one, and their memory is bounded.
fn append(buffer: &mut BytesMut, bytes: &[u8]) {
    let length = buffer.len() + bytes.len();
    if length > buffer.capacity() && length > REUSED_MAX_BYTES {
        let mut larger = BytesMut::with_capacity(length + length / 4);
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.framer.next_frame()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer, chunk: &'static [u8]) -> Vec<Bytes> {
        framer.push(&Bytes::from_static(chunk)).map(|frame| frame.bytes).collect()
    }

    #[test]
    fn an_event_in_one_chunk_is_not_copied() {
        let chunk = Bytes::from(b"data: 1\n\ndata: 2\n\n".to_vec());
        let mut framer = Framer::new();
        let found: Vec<_> = framer.push(&chunk).map(|frame| frame.bytes).collect();
        assert_eq!(found, ["data: 1\n\n", "data: 2\n\n"]);
        assert_eq!(found[0].as_ptr(), chunk.as_ptr());
        assert_eq!(found[1].as_ptr(), chunk[9..].as_ptr());
    }

    #[test]
    fn an_event_is_not_held_back_for_a_line_feed_that_may_come() {
        let mut framer = Framer::new();
        assert_eq!(frames(&mut framer, b"data: 1\r\n\r"), ["data: 1\r\n\r"]);
        assert_eq!(frames(&mut framer, b"\ndata: 2\r\n\r\n"), ["\n", "data: 2\r\n\r\n"]);
        assert_eq!(frames(&mut framer, b"data: 3\r\r"), ["data: 3\r\r"]);
        assert_eq!(frames(&mut framer, b"data: 4\r\r"), ["data: 4\r\r"]);
    }

    #[test]
    fn a_byte_order_mark_stands_alone_and_only_at_the_start() {
        let mut framer = Framer::new();
        assert!(frames(&mut framer, b"\xef\xbb").is_empty());
        let found = frames(&mut framer, b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n");
        assert_eq!(found[0].as_ref(), BOM);
        assert_eq!(found[1], "data: 1\n\n");
        assert_eq!(found[2].as_ref(), b"\xef\xbb\xbfdata: 2\n\n");
    }

    #[test]
    fn half_a_byte_order_mark_is_part_of_a_line() {
        let mut framer = Framer::new();
        assert!(frames(&mut framer, b"\xef\xbb").is_empty());
        assert_eq!(frames(&mut framer, b"\n\n"), [b"\xef\xbb\n\n".as_ref()]);
    }

    #[test]
    fn an_event_that_is_too_long_comes_in_pieces_and_the_next_one_whole() {
        let mut framer = Framer::with_max(16);
        let mut push = |chunk: &'static [u8]| -> Vec<(Bytes, bool)> {
            let frames = framer.push(&Bytes::from_static(chunk));
            frames.map(|frame| (frame.bytes, frame.is_piece)).collect()
        };
        let whole = |text: &'static str| (Bytes::from_static(text.as_bytes()), false);
        let piece = |text: &'static str| (Bytes::from_static(text.as_bytes()), true);
        assert_eq!(push(b"data: 12345678\n\ndata: "), [whole("data: 12345678\n\n")]);
        assert_eq!(push(b"12345678901"), [piece("data: 12345678901")]);
        assert_eq!(push(b"x\n"), [piece("x\n")]);
        assert_eq!(push(b"\ndata: 1\n\nda"), [piece("\n"), whole("data: 1\n\n")]);
        assert_eq!(push(b"ta: 2\n\n"), [whole("data: 2\n\n")]);
        assert_eq!(push(b"data: 123456789012\n\n"), [piece("data: 123456789012\n\n")]);
        assert!(!framer.is_in_pieces());
    }

    #[test]
    fn a_long_event_takes_a_quarter_more_memory_than_it_has_bytes_and_leaves_none() {
        let mut framer = Framer::new();
        let piece = Bytes::from(vec![b'a'; 10_000]);
        for held in 1..200 {
            assert_eq!(framer.push(&piece).count(), 0);
            let bytes = held * piece.len();
            assert!(framer.memory_bytes() <= (bytes + bytes / 4).max(2 * REUSED_MAX_BYTES));
        }
        assert_eq!(framer.push(&Bytes::from_static(b"\n\n")).count(), 1);
        assert_eq!(framer.memory_bytes(), 0);
    }

    #[test]
    fn an_event_that_is_given_up_goes_on_in_pieces() {
        let mut framer = Framer::new();
        assert!(frames(&mut framer, b"data: 1").is_empty());
        assert_eq!(framer.give_up_event(), "data: 1");
        assert!(framer.is_in_pieces());
        let found: Vec<_> = framer.push(&Bytes::from_static(b"2\n\ndata: 3\n\n")).collect();
        assert_eq!((&found[0].bytes[..], found[0].is_piece), (&b"2\n\n"[..], true));
        assert_eq!((&found[1].bytes[..], found[1].is_piece), (&b"data: 3\n\n"[..], false));
        assert!(framer.give_up_event().is_empty() && !framer.is_in_pieces());
    }

    #[test]
    fn what_has_no_blank_line_is_the_remainder() {
        let mut framer = Framer::new();
        assert!(frames(&mut framer, b"data: [DO").is_empty());
        assert!(frames(&mut framer, b"NE]\n").is_empty());
        assert_eq!(framer.held_bytes(), 13);
        assert_eq!(framer.take_remainder(), "data: [DONE]\n");
        assert!(framer.take_remainder().is_empty());
    }

    #[test]
    fn frames_that_were_not_read_come_with_the_next_push() {
        let mut framer = Framer::new();
        let _unread = framer.push(&Bytes::from_static(b"data: 1\n\nda"));
        assert_eq!(frames(&mut framer, b"ta: 2\n\n"), ["data: 1\n\n", "data: 2\n\n"]);
    }
}
