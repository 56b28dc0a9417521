//! What embedding calls need beside relaying: the size of the input, and
//! answers in the encoding that was asked for.
//!
//! OpenAI's own clients ask for base64 unless told otherwise; many servers
//! only give lists of numbers. Nothing else is translated here.

use crate::json::skim::Skim;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use std::ops::Range;

/// What is to be embedded (or completed: the legacy prompt has the same form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its form.
    pub kind: InputKind,
    /// How many vectors or completions it asks for.
    pub items: u64,
    /// All tokens, where the client sends token numbers.
    pub tokens: Option<u64>,
    /// JSON text, in bytes.
    pub bytes: u64,
}

/// The forms of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// One text.
    Text,
    /// Several texts.
    Texts,
    /// One text as token numbers.
    Tokens,
    /// Several texts as token numbers.
    TokenLists,
}

impl Input {
    /// Reads the JSON value of `input` or `prompt`; `None` where it has no form
    /// of the above (a list of both texts and numbers, an object).
    pub fn of(raw: &[u8]) -> Option<Self> {
        Self::read(Skim::new(raw), raw.len() as u64)
    }

    /// Reads a value of `bytes` bytes.
    pub(crate) fn read(mut skim: Skim<'_>, bytes: u64) -> Option<Self> {
        if skim.peek()? == b'"' {
            skim.skip()?;
            return Some(Self { kind: InputKind::Text, items: 1, tokens: None, bytes });
        }
        if !skim.enter(b'[')? {
            return Some(Self { kind: InputKind::Texts, items: 0, tokens: None, bytes });
        }
        let first = Entry::next(&mut skim)?;
        let (mut items, mut tokens) = (1, first.tokens());
        while skim.more(b']')? {
            let entry = Entry::next(&mut skim)?;
            if std::mem::discriminant(&entry) != std::mem::discriminant(&first) {
                return None;
            }
            items += 1;
            tokens += entry.tokens();
        }
        Some(match first {
            Entry::Text => Self { kind: InputKind::Texts, items, tokens: None, bytes },
            Entry::Token => Self { kind: InputKind::Tokens, items: 1, tokens: Some(tokens), bytes },
            Entry::Tokens(_) => {
                Self { kind: InputKind::TokenLists, items, tokens: Some(tokens), bytes }
            }
        })
    }
}

/// How many entries a JSON value of `input` or `prompt` has at most, whatever
/// they are: 1 for what is no list, or a list of numbers.
pub fn entries_max(raw: &[u8]) -> u64 {
    if let Some(input) = Input::of(raw) {
        return input.items.max(1);
    }
    // No two entries of a list stand without a comma between them.
    1 + memchr::memchr_iter(b',', raw).count() as u64
}

enum Entry {
    Text,
    Token,
    Tokens(u64),
}

impl Entry {
    fn next(skim: &mut Skim<'_>) -> Option<Self> {
        match skim.peek()? {
            b'"' => skim.skip().map(|()| Self::Text),
            b'0'..=b'9' => skim.skip().map(|()| Self::Token),
            b'[' => {
                let mut count = 0;
                let mut more = skim.enter(b'[')?;
                while more {
                    if !skim.peek()?.is_ascii_digit() {
                        return None;
                    }
                    skim.skip()?;
                    count += 1;
                    more = skim.more(b']')?;
                }
                Some(Self::Tokens(count))
            }
            _ => None,
        }
    }

    fn tokens(&self) -> u64 {
        match self {
            Self::Text => 0,
            Self::Token => 1,
            Self::Tokens(count) => *count,
        }
    }
}

/// Why an answer cannot be turned into base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// Not JSON.
    #[error("the upstream's answer is not JSON")]
    NotJson,
    /// No list of embeddings where the dialect has one.
    #[error("the upstream's answer has no list `data` of objects")]
    NoData,
    /// A vector is not a list of numbers.
    #[error("`data[{index}].embedding` is not a list of numbers")]
    NotNumbers {
        /// Its place in `data`.
        index: usize,
    },
}

/// Writes each vector of an OpenAI embeddings answer as base64 of little-endian
/// 32-bit floats; the rest stays as it is, and so do vectors that are text.
///
/// # Errors
/// [`EmbeddingError`], for an answer of another form.
pub fn to_base64(body: &[u8]) -> Result<Vec<u8>, EmbeddingError> {
    serde_json::from_slice::<&RawValue>(body).map_err(|_| EmbeddingError::NotJson)?;
    let vectors = vectors(body).ok_or(EmbeddingError::NoData)?;
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    let mut floats = Vec::new();
    for (index, span) in vectors {
        let not_numbers = EmbeddingError::NotNumbers { index };
        let text = body.get(span.clone()).unwrap_or_default();
        if text.starts_with(b"\"") {
            continue;
        }
        let numbers: Vec<f32> = serde_json::from_slice(text).map_err(|_| not_numbers)?;
        floats.clear();
        for number in numbers {
            if !number.is_finite() {
                return Err(not_numbers);
            }
            floats.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(body.get(done..span.start).unwrap_or_default());
        out.push(b'"');
        out.extend_from_slice(STANDARD.encode(&floats).as_bytes());
        out.push(b'"');
        done = span.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    Ok(out)
}

/// Where the vectors stand, with their places in `data`.
fn vectors(body: &[u8]) -> Option<Vec<(usize, Range<usize>)>> {
    let mut skim = Skim::new(body);
    let mut found = None;
    let mut more = skim.enter(b'{')?;
    while more {
        if skim.key()? == b"data" {
            let mut vectors = Vec::new();
            let mut index = 0;
            let mut items = skim.enter(b'[')?;
            while items {
                let mut members = skim.enter(b'{')?;
                while members {
                    if skim.key()? == b"embedding" {
                        vectors.push((index, skim.value()?));
                    } else {
                        skim.skip()?;
                    }
                    members = skim.more(b'}')?;
                }
                index += 1;
                items = skim.more(b']')?;
            }
            found = Some(vectors);
        } else {
            skim.skip()?;
        }
        more = skim.more(b'}')?;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_input_is_known() {
        let of = |text: &str| {
            Input::of(text.as_bytes()).map(|input| (input.kind, input.items, input.tokens))
        };
        assert_eq!(of(r#""a""#), Some((InputKind::Text, 1, None)));
        assert_eq!(of(r#"["a", "b,]"]"#), Some((InputKind::Texts, 2, None)));
        assert_eq!(of("[1, 2, 3]"), Some((InputKind::Tokens, 1, Some(3))));
        assert_eq!(of("[[1, 2], [3]]"), Some((InputKind::TokenLists, 2, Some(3))));
        assert_eq!(of(r#"["a", 1]"#), None);
        assert_eq!(of(r#"[{"image":"x"}]"#), None);
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn entries_are_never_counted_too_few() {
        for (raw, entries) in [
            (r#""a,b""#, 1),
            (r#"["a","b"]"#, 2),
            ("[1,2,3]", 1),
            ("[[1,2],[3]]", 2),
            ("[]", 1),
            (r#"["a",1,{"image":"x"}]"#, 3),
        ] {
            assert_eq!(entries_max(raw.as_bytes()), entries, "{raw}");
        }
    }

    #[test]
    fn vectors_become_base64_and_nothing_else_changes() {
        let body = br#"{"object":"list", "data":[ {"index":0,"embedding":[0.5, -1,1e-3]},{"embedding":"AAA="} ],"usage":{"prompt_tokens":1.0}}"#;
        let out = String::from_utf8(to_base64(body).unwrap()).unwrap();
        let mut floats = Vec::new();
        for number in [0.5_f32, -1.0, 0.001] {
            floats.extend_from_slice(&number.to_le_bytes());
        }
        let text = STANDARD.encode(floats);
        assert_eq!(
            out,
            format!(
                r#"{{"object":"list", "data":[ {{"index":0,"embedding":"{text}"}},{{"embedding":"AAA="}} ],"usage":{{"prompt_tokens":1.0}}}}"#
            )
        );
    }

    #[test]
    fn answers_of_another_form_are_errors() {
        assert_eq!(to_base64(b"<html>"), Err(EmbeddingError::NotJson));
        assert_eq!(to_base64(b"{}"), Err(EmbeddingError::NoData));
        assert_eq!(to_base64(b"[]"), Err(EmbeddingError::NoData));
        let body = br#"{"data":[{"embedding":[1]},{"embedding":[null]}]}"#;
        assert_eq!(to_base64(body), Err(EmbeddingError::NotNumbers { index: 1 }));
        let body = br#"{"data":[{"embedding":[1e300]}]}"#;
        assert_eq!(to_base64(body), Err(EmbeddingError::NotNumbers { index: 0 }));
    }
}
