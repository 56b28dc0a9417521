//! Bytes of a source file → text, as Python's own reader decides (PEP 263).
//!
//! Encodings that keep ASCII as it is are read well enough: names and quotes
//! are ASCII, and what else stands in a string does not matter here. Encodings
//! that can write one and the same letter in several ways hide code from every
//! reader that does not know them; no honest file needs them, so they are told
//! instead of decoded.

use std::borrow::Cow;

/// Encodings whose second byte may look like ASCII: a reader that takes it for
/// a quote or a backslash sees another text than Python does.
const TWO_BYTES: [&str; 11] = [
    "gbk",
    "gb2312",
    "gb18030",
    "cp936",
    "big5",
    "big5hkscs",
    "cp950",
    "shift-jis",
    "sjis",
    "cp932",
    "johab",
];
/// Beginnings of the names of encodings in which ASCII is ASCII.
const PLAIN: [&str; 19] = [
    "utf-8",
    "utf8",
    "u8",
    "latin",
    "iso-8859",
    "iso8859",
    "iso-latin",
    "ascii",
    "us-ascii",
    "cp12",
    "windows-12",
    "cp437",
    "cp85",
    "koi8",
    "mac-",
    "euc-",
    "l1",
    "cp1",
    "mbcs",
];

/// What a file says, and the encoding that it declares if that one hides code.
pub(crate) fn text(bytes: &[u8]) -> (Cow<'_, str>, Option<String>) {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return (unicode(rest), None);
    }
    let name = declared(bytes).unwrap_or_default();
    if name.is_empty() || name.starts_with("utf-8") || name == "utf8" {
        return (unicode(bytes), None);
    }
    if TWO_BYTES.contains(&name.as_str()) {
        return (Cow::Owned(two_bytes(bytes)), None);
    }
    let hides = !PLAIN.iter().any(|plain| name.starts_with(plain));
    (unicode(bytes), hides.then_some(name))
}

/// As `String::from_utf8_lossy`, which is slower where nothing is lost.
fn unicode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// The encoding that the first or second line declares, spelled with `-`.
fn declared(bytes: &[u8]) -> Option<String> {
    let mut lines = bytes.split(|b| *b == b'\n' || *b == b'\r');
    for _ in 0..2 {
        let line = lines.next()?;
        let line = line.trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            return None;
        }
        if let Some(name) = in_comment(line) {
            return Some(name);
        }
    }
    None
}

fn in_comment(line: &[u8]) -> Option<String> {
    let at = line.windows(7).position(|w| matches!(w, b"coding:" | b"coding="))?;
    let name = line.get(at + 7..)?.trim_ascii_start();
    let word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'-' | b'_' | b'.');
    let name: Vec<u8> = name.iter().take_while(word).copied().collect();
    let name = String::from_utf8_lossy(&name).to_ascii_lowercase().replace('_', "-");
    (!name.is_empty()).then_some(name)
}

/// Every pair of bytes that begins above ASCII becomes one mark.
fn two_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if byte.is_ascii() {
            text.push(char::from(*byte));
        } else {
            text.push('\u{fffd}');
            rest.next();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn encodings_that_hide_code_are_named_and_others_are_read() {
        for (bytes, hides) in [
            (&b"x = 1"[..], None),
            (b"# -*- coding: utf-8 -*-\nx", None),
            (b"#!/bin/sh\n# vim: set fileencoding=latin-1 :\n", None),
            (b"# coding: utf_7\nx", Some("utf-7")),
            (b"# coding=raw_unicode_escape\nx", Some("raw-unicode-escape")),
            (b"x = 1\n# coding: utf_7\n", None),
            (b"\n\n# coding: utf_7\n", None),
        ] {
            assert_eq!(text(bytes).1.as_deref(), hides, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_second_byte_that_looks_like_a_backslash_is_none() {
        let (text, _) = text(b"# coding: gbk\nx = '\x81\\'; y");
        assert_eq!(text, "# coding: gbk\nx = '\u{fffd}'; y");
    }
}
