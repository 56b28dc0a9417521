//! Content codings of bodies (RFC 9110, section 8.4): gzip and deflate are
//! decoded, within the bound of the body they hold; others are refused by name.
//!
//! Requests go upstream decoded, and upstreams are asked for no coding at all;
//! some intermediaries compress what they send all the same.

use crate::body_budgets::{Share, budgeted};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use std::io::{self, Read as _};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A coding that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: with zlib's header, or as some send it, without.
    Deflate,
}

/// The codings that are decoded, for `accept-encoding`.
pub const ACCEPTED: &str = "gzip, deflate";

/// A coding that is not decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content encoding `{0}` is not supported")]
pub struct UnknownCoding(pub String);

/// The longest name of a coding that is repeated.
const NAME_MAX: usize = 64;

/// The coding that headers declare; `None` if the body is as it is.
///
/// # Errors
/// Names a coding, or several at once, that cannot be decoded.
pub fn declared(headers: &HeaderMap) -> Result<Option<Coding>, UnknownCoding> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(str::trim) {
            let coding = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => return Err(unknown(name)),
            };
            if found.replace(coding).is_some() {
                return Err(unknown(&text));
            }
        }
    }
    Ok(found)
}

fn unknown(name: &str) -> UnknownCoding {
    let fits = |c: &char| c.is_ascii_graphic() || *c == ' ';
    UnknownCoding(name.chars().filter(fits).take(NAME_MAX).collect())
}

/// Why a body was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Larger than the limit given, in bytes.
    #[error("the body is larger than {0} bytes when decoded")]
    TooLarge(usize),
    /// Others hold all that bodies may hold.
    #[error("too many large bodies are under way")]
    Busy,
    /// Not in the coding that its headers declare.
    #[error("the body is not in the content encoding that its headers declare: {0}")]
    Broken(io::Error),
}

/// Compressed bodies up to this are decoded where they are met. Deflate makes
/// no more than 1032 bytes of one.
const INLINE_MAX_BYTES: usize = 16 << 10;

/// Bytes that are decoded at a time.
const STEP_BYTES: usize = 64 << 10;

/// Decodes a whole body up to `max_bytes`, and takes a share of `budget_kib`
/// for a large one; the bytes keep it. Large ones are decoded on another thread.
///
/// # Errors
/// See [`DecodeError`].
pub async fn decode(
    coding: Coding,
    bytes: Bytes,
    max_bytes: usize,
    budget_kib: &Arc<Semaphore>,
) -> Result<Bytes, DecodeError> {
    if bytes.len() <= INLINE_MAX_BYTES {
        return decode_here(coding, &bytes, max_bytes, budget_kib);
    }
    let budget_kib = Arc::clone(budget_kib);
    let decoding = move || decode_here(coding, &bytes, max_bytes, &budget_kib);
    match tokio::task::spawn_blocking(decoding).await {
        Ok(decoded) => decoded,
        Err(error) => Err(DecodeError::Broken(io::Error::other(error))),
    }
}

fn decode_here(
    coding: Coding,
    bytes: &[u8],
    max_bytes: usize,
    budget_kib: &Arc<Semaphore>,
) -> Result<Bytes, DecodeError> {
    let mut reader: Box<dyn io::Read + '_> = match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(bytes)),
        Coding::Deflate if has_zlib_header(bytes) => Box::new(ZlibDecoder::new(bytes)),
        Coding::Deflate => Box::new(DeflateDecoder::new(bytes)),
    };
    let mut share = Share::of(budget_kib);
    let mut decoded = Vec::new();
    loop {
        let before = decoded.len();
        let step = (&mut reader).take(STEP_BYTES as u64);
        { step }.read_to_end(&mut decoded).map_err(DecodeError::Broken)?;
        if decoded.len() == before {
            decoded.shrink_to_fit();
            return Ok(budgeted(decoded.into(), share.permit));
        }
        if decoded.len() > max_bytes {
            return Err(DecodeError::TooLarge(max_bytes));
        }
        if !share.cover(decoded.capacity()) {
            return Err(DecodeError::Busy);
        }
    }
}

/// Returns true if the first two bytes are zlib's (RFC 1950, section 2.2).
fn has_zlib_header(bytes: &[u8]) -> bool {
    matches!(bytes, [method, check, ..] if method & 0x0F == 8
        && (u16::from(*method) << 8 | u16::from(*check)) % 31 == 0)
}

/// Decodes a stream in small steps, whatever a piece of it would become at once.
pub struct Inflate {
    decoder: Decoder,
    /// Compressed bytes that have not been decoded yet.
    waiting: Bytes,
}

enum Decoder {
    Gzip(write::MultiGzDecoder<Vec<u8>>),
    Zlib(write::ZlibDecoder<Vec<u8>>),
    Raw(write::DeflateDecoder<Vec<u8>>),
    /// Deflate whose first byte has not come.
    Unknown,
}

/// Compressed bytes that are decoded at a time: they become 66 KB at most.
const STREAM_STEP_BYTES: usize = 64;

/// Text that is handed on at a time, unless there is no more.
const STREAM_TEXT_BYTES: usize = 4 << 10;

impl Inflate {
    /// A decoder at the beginning of a stream.
    pub fn new(coding: Coding) -> Self {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(write::MultiGzDecoder::new(Vec::new())),
            Coding::Deflate => Decoder::Unknown,
        };
        Self { decoder, waiting: Bytes::new() }
    }

    /// Takes in a piece; the one before it must have been decoded.
    pub fn feed(&mut self, piece: Bytes) {
        if matches!(self.decoder, Decoder::Unknown) && !piece.is_empty() {
            // A header cut after its first byte is taken for zlib's.
            let is_zlib = has_zlib_header(&piece) || *piece == [0x78];
            self.decoder = if is_zlib {
                Decoder::Zlib(write::ZlibDecoder::new(Vec::new()))
            } else {
                Decoder::Raw(write::DeflateDecoder::new(Vec::new()))
            };
        }
        self.waiting = piece;
    }

    /// The next of the text; `None` if another piece is needed.
    ///
    /// # Errors
    /// The piece is not in the coding.
    pub fn decode_next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.waiting.is_empty() {
            let step = self.waiting.split_to(self.waiting.len().min(STREAM_STEP_BYTES));
            let is_last = self.waiting.is_empty();
            let decoded = match &mut self.decoder {
                Decoder::Gzip(decoder) => stepped(decoder, &step, is_last, |it| it.get_mut())?,
                Decoder::Zlib(decoder) => stepped(decoder, &step, is_last, |it| it.get_mut())?,
                Decoder::Raw(decoder) => stepped(decoder, &step, is_last, |it| it.get_mut())?,
                Decoder::Unknown => None,
            };
            if decoded.is_some() {
                return Ok(decoded);
            }
        }
        Ok(None)
    }
}

/// Decodes a step; the text, where there is enough of it or the piece ends.
fn stepped<D: io::Write>(
    decoder: &mut D,
    step: &[u8],
    is_last: bool,
    out: impl Fn(&mut D) -> &mut Vec<u8>,
) -> io::Result<Option<Bytes>> {
    decoder.write_all(step)?;
    if is_last {
        decoder.flush()?;
    }
    let out = out(decoder);
    let is_due = out.len() >= STREAM_TEXT_BYTES || (is_last && !out.is_empty());
    Ok(is_due.then(|| std::mem::take(out).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn all(decoder: &mut Inflate, piece: &[u8]) -> Vec<u8> {
        decoder.feed(Bytes::copy_from_slice(piece));
        let mut text = Vec::new();
        while let Some(more) = decoder.decode_next().unwrap() {
            text.extend_from_slice(&more);
        }
        text
    }

    fn budget() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1 << 20))
    }

    #[test]
    fn codings_are_read_by_their_names() {
        let declared = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            super::declared(&headers)
        };
        assert_eq!(declared(&[]), Ok(None));
        assert_eq!(declared(&["", "Identity"]), Ok(None));
        assert_eq!(declared(&["GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(declared(&["identity, deflate"]), Ok(Some(Coding::Deflate)));
        assert_eq!(declared(&["zstd"]), Err(UnknownCoding("zstd".to_owned())));
        assert_eq!(declared(&["gzip, gzip"]), Err(UnknownCoding("gzip, gzip".to_owned())));
        assert!(declared(&["gzip", "deflate"]).is_err());
    }

    #[tokio::test]
    async fn bodies_are_decoded_up_to_their_bound() {
        let text = b"words ".repeat(50_000);
        for (coding, bytes) in [
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, [gzip(&text[..60]), gzip(&text[60..])].concat()),
            (Coding::Deflate, zlib(&text)),
            (Coding::Deflate, raw(&text)),
        ] {
            let bytes = Bytes::from(bytes);
            let decoded = decode(coding, bytes.clone(), text.len(), &budget()).await.unwrap();
            assert_eq!(decoded, text);
            let larger = decode(coding, bytes.clone(), text.len() - 1, &budget()).await;
            assert!(matches!(larger, Err(DecodeError::TooLarge(_))));
            let none = Arc::new(Semaphore::new(0));
            let busy = decode(coding, bytes.clone(), text.len(), &none).await;
            assert!(matches!(busy, Err(DecodeError::Busy)));
            let cut = decode(coding, bytes.slice(..bytes.len() / 2), text.len(), &budget()).await;
            assert!(matches!(cut, Err(DecodeError::Broken(_))));
        }
    }

    #[tokio::test]
    async fn a_large_body_is_decoded_on_another_thread_and_keeps_its_share() {
        let mut seed = 1_u64;
        let noise: Vec<u8> = (0..200_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let bytes = Bytes::from(gzip(&noise));
        assert!(bytes.len() > INLINE_MAX_BYTES);
        let budget = budget();
        let decoded = decode(Coding::Gzip, bytes, 1 << 20, &budget).await.unwrap();
        assert_eq!(decoded, noise);
        assert!(budget.available_permits() < 1 << 20);
        drop(decoded);
        assert_eq!(budget.available_permits(), 1 << 20);
    }

    #[test]
    fn a_stream_is_decoded_as_it_comes() {
        let events: [&[u8]; 2] = [b"data: one\n\n", b"data: two\n\n"];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = Inflate::new(Coding::Gzip);
        for event in events {
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            let sent = std::mem::take(encoder.get_mut());
            let (first, second) = sent.split_at(sent.len() / 2);
            let text = [all(&mut decoder, first), all(&mut decoder, second)].concat();
            assert_eq!(text, event);
        }
        for (coding, bytes) in [
            (Coding::Gzip, gzip(b"a")),
            (Coding::Deflate, zlib(b"a")),
            (Coding::Deflate, raw(b"a")),
        ] {
            let mut decoder = Inflate::new(coding);
            let text: Vec<u8> = bytes.iter().flat_map(|byte| all(&mut decoder, &[*byte])).collect();
            assert_eq!(text, b"a", "{coding:?}");
        }
        let mut wrong = Inflate::new(Coding::Gzip);
        wrong.feed(Bytes::from_static(b"data: plain text"));
        assert!(wrong.decode_next().is_err());
    }

    #[test]
    fn a_stream_that_grows_is_decoded_in_small_steps() {
        let mut decoder = Inflate::new(Coding::Gzip);
        decoder.feed(gzip(&vec![b'a'; 8 << 20]).into());
        let (mut sum, mut largest) = (0, 0);
        while let Some(text) = decoder.decode_next().unwrap() {
            sum += text.len();
            largest = largest.max(text.len());
        }
        assert_eq!(sum, 8 << 20);
        assert!(largest <= 128 << 10, "{largest}");
    }
}
