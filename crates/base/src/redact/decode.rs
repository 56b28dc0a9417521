//! One layer of escapes undone: JSON's (RFC 8259, section 7), percent signs
//! (RFC 3986, section 2.1) and HTML's character references, wherever they are.

use memchr::memchr3;

/// Bytes, each with the place in the original text that it came from.
pub(super) struct Layer {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// For each of them its offset in the original text.
    origins: Vec<usize>,
    /// Length of the original text.
    original_len: usize,
}

impl Layer {
    /// Returns the offset in the original text at which `at` begins.
    pub(super) fn origin(&self, at: usize) -> usize {
        self.origins.get(at).copied().unwrap_or(self.original_len)
    }

    fn push(&mut self, bytes: &[u8], origin: usize) {
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(std::iter::repeat_n(origin, bytes.len()));
    }
}

/// Undoes one layer of escapes. `None` if there are none: what only looks like
/// an escape stays as it is.
pub(super) fn decoded(bytes: &[u8], before: Option<&Layer>) -> Option<Layer> {
    memchr3(b'\\', b'%', b'&', bytes)?;
    let original_len = before.map_or(bytes.len(), |before| before.original_len);
    let origin = |at: usize| before.map_or(at, |before| before.origin(at));
    let mut layer = Layer {
        bytes: Vec::with_capacity(bytes.len()),
        origins: Vec::with_capacity(bytes.len()),
        original_len,
    };
    let (mut at, mut changed) = (0, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = memchr3(b'\\', b'%', b'&', rest).unwrap_or(rest.len());
        layer.bytes.extend_from_slice(rest.get(..plain).unwrap_or_default());
        layer.origins.extend((at..at + plain).map(origin));
        let Some(escape) = rest.get(plain..).filter(|escape| !escape.is_empty()) else { break };
        at += plain;
        let mut buffer = [0; 4];
        let (length, text) = match unescape(escape, &mut buffer) {
            Some((length, text)) => {
                changed = true;
                (length, text)
            }
            None => (1, escape.get(..1).unwrap_or_default()),
        };
        layer.push(text, origin(at));
        at += length;
    }
    changed.then_some(layer)
}

/// The length of the escape at the start of `text`, and what it stands for.
fn unescape<'a>(text: &'a [u8], buffer: &'a mut [u8; 4]) -> Option<(usize, &'a [u8])> {
    match text {
        [b'%', high, low, ..] => {
            let byte = number(&[*high, *low], 16)?;
            buffer[0] = u8::try_from(byte).ok()?;
            Some((3, buffer.get(..1)?))
        }
        [b'\\', b'u', b'{', more @ ..] => {
            let length = more.iter().take(9).position(|byte| *byte == b'}')?;
            let code = number(more.get(..length)?, 16)?;
            Some((length + 4, encoded(code, buffer)))
        }
        [b'\\', b'u', more @ ..] => Some((6, encoded(number(more.get(..4)?, 16)?, buffer))),
        [b'\\', b'x', more @ ..] => Some((4, encoded(number(more.get(..2)?, 16)?, buffer))),
        [b'\\', letter, ..] => {
            buffer[0] = match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                other => *other,
            };
            Some((2, buffer.get(..1)?))
        }
        [b'&', b'#', b'x' | b'X', more @ ..] => reference(more, 16, 3, buffer),
        [b'&', b'#', more @ ..] => reference(more, 10, 2, buffer),
        [b'&', more @ ..] => {
            let length = more.iter().take(12).position(|byte| *byte == b';')?;
            let name = more.get(..length).filter(|name| !name.is_empty())?;
            // Other names stand for signs that no comparison looks at.
            buffer[0] = match name {
                b"amp" => b'&',
                b"lt" => b'<',
                b"gt" => b'>',
                b"quot" => b'"',
                b"apos" => b'\'',
                b"percnt" => b'%',
                b"bsol" => b'\\',
                name if name.iter().all(u8::is_ascii_alphanumeric) => b' ',
                _ => return None,
            };
            Some((length + 2, buffer.get(..1)?))
        }
        _ => None,
    }
}

/// A numeric character reference; its semicolon may be missing, as browsers
/// allow.
fn reference<'a>(
    digits: &[u8],
    radix: u32,
    before: usize,
    buffer: &'a mut [u8; 4],
) -> Option<(usize, &'a [u8])> {
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    let length = digits.iter().take(8).take_while(|byte| is_digit(byte)).count();
    let code = number(digits.get(..length)?, radix)?;
    let ends = usize::from(digits.get(length) == Some(&b';'));
    Some((before + length + ends, encoded(code, buffer)))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    // `from_str_radix` takes a sign as well.
    let signed = digits.first().is_none_or(|first| *first == b'+');
    let text = std::str::from_utf8(digits).ok().filter(|_| !signed)?;
    u32::from_str_radix(text, radix).ok()
}

fn encoded(code: u32, buffer: &mut [u8; 4]) -> &[u8] {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(buffer).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    fn text(escaped: &str) -> String {
        let layer = decoded(escaped.as_bytes(), None);
        layer.map_or_else(
            || escaped.to_owned(),
            |layer| String::from_utf8_lossy(&layer.bytes).into_owned(),
        )
    }

    #[test]
    fn every_kind_of_escape_is_undone_once() {
        for (escaped, plain) in [
            (r"a\u0062\x63\u{64}\/\n", "abcd/\n"),
            ("a%62%2Bc", "ab+c"),
            ("a&#98;&#x63;&#100&amp;&quot;&hyphen;", "abcd&\" "),
            (r"\\u0062", r"\u0062"),
            ("%2562", "%62"),
            ("&amp;#98;", "&#98;"),
        ] {
            assert_eq!(text(escaped), plain);
        }
    }

    #[test]
    fn what_only_looks_like_an_escape_stays() {
        for plain in ["100% sure", "a & b; c", "&#;", "%+1", r"\u12", r"\u{110000000}", r"\", "&;"]
        {
            assert!(!text(plain).is_empty());
        }
        for plain in ["100% sure", "a & b; c", "&#;", "%+1", "&;", "&a b;"] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn a_place_leads_back_through_all_layers() {
        let original = br"x%255c%75&#48;062y";
        let mut layer = decoded(original, None).unwrap();
        while let Some(next) = decoded(&layer.bytes.clone(), Some(&layer)) {
            layer = next;
        }
        assert_eq!(layer.bytes, b"xby");
        assert_eq!((layer.origin(0), layer.origin(1), layer.origin(2)), (0, 1, 17));
        assert_eq!(layer.origin(3), original.len());
    }
}
