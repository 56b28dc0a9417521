//! Constants: what joining, decoding and slicing makes of them, within bounds.

use crate::text::TEXT_MAX;
use crate::tree::Op;
use crate::value::{Abs, Marks, Value};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Items of a list that are followed.
pub(crate) const ITEMS_MAX: usize = 1 << 20;

/// The operands of one precedence, joined from left to right.
pub(crate) fn binary<'t, 's>(left: &Abs<'t, 's>, op: Op, right: &Abs<'t, 's>) -> Abs<'t, 's> {
    let marks = left.marks.with(right.marks);
    let value = match (op, &left.value, &right.value) {
        (Op::Add | Op::Div, Value::Text(a), Value::Text(b)) if a.len() + b.len() < TEXT_MAX => {
            let between = if op == Op::Div { "/" } else { "" };
            Value::Text(format!("{}{between}{}", &**a, &**b).into())
        }
        (Op::Add, Value::Bytes(a), Value::Bytes(b)) if a.len() + b.len() < TEXT_MAX => {
            Value::Bytes([&**a, &**b].concat().into())
        }
        (Op::Add, Value::List(a), Value::List(b)) if a.len() + b.len() < ITEMS_MAX => {
            Value::list([&***a, &***b].concat())
        }
        (Op::Mul, Value::Text(a), Value::Int(n)) => match usize::try_from(*n) {
            Ok(n) if a.len().saturating_mul(n) < TEXT_MAX => Value::Text(a.repeat(n).into()),
            _ => Value::Unknown,
        },
        (Op::Mod, Value::Text(a), _) => percent(a, right).map_or(Value::Unknown, Value::from),
        (_, Value::Int(a), Value::Int(b)) => int(op, *a, *b).map_or(Value::Unknown, Value::Int),
        _ => Value::Unknown,
    };
    let known = !matches!(value, Value::Unknown);
    let made = !known
        && left.is_constant()
        && right.is_constant()
        && (left.is_carrier() || right.is_carrier());
    let marks = if made { marks.with(Marks::COMPUTED) } else { marks };
    Abs { marks, value }
}

impl From<String> for Value<'_, '_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

fn int(op: Op, a: i64, b: i64) -> Option<i64> {
    match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::Mod => a.checked_rem_euclid(b),
        Op::Xor => Some(a ^ b),
        Op::BitOr => Some(a | b),
        Op::Div | Op::Equal | Op::And | Op::Other => None,
    }
}

/// `"…%s…" % values`, where only `%s` stands.
fn percent(format: &str, right: &Abs<'_, '_>) -> Option<String> {
    let alone = std::slice::from_ref(right);
    let mut values = right.items().unwrap_or(alone).iter();
    let mut parts = format.split("%s");
    let mut made = parts.next()?.to_owned();
    for part in parts {
        made.push_str(values.next()?.text()?);
        made.push_str(part);
        if made.len() > TEXT_MAX {
            return None;
        }
    }
    Some(made)
}

/// `separator.join(items)`
pub(crate) fn join<'t, 's>(separator: &Abs<'t, 's>, items: &Abs<'t, 's>) -> Abs<'t, 's> {
    let marks = separator.marks.with(items.all_marks());
    let Some(list) = items.items() else { return Abs::marked(marks) };
    let mut made = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let (Some(between), Some(raw)) = (separator.raw(), item.raw()) else {
            return Abs::marked(marks);
        };
        if index > 0 {
            made.extend_from_slice(between);
        }
        made.extend_from_slice(raw);
        if made.len() > TEXT_MAX {
            return Abs::marked(marks);
        }
    }
    match separator.value {
        Value::Bytes(_) => Abs::bytes(made),
        _ => Abs::made(String::from_utf8_lossy(&made).into_owned()),
    }
    .and(marks)
}

/// What a known decoder makes of `input`; nothing if it is none of ours, the
/// input is not known, or it is no such code.
pub(crate) fn decode(path: &str, input: &[u8]) -> Option<Vec<u8>> {
    if input.len() > TEXT_MAX {
        return None;
    }
    match path.rsplit('.').next()? {
        "b64decode" | "standard_b64decode" | "urlsafe_b64decode" | "decodebytes"
        | "decodestring" | "a2b_base64" => base64(input),
        "b16decode" | "unhexlify" | "a2b_hex" | "fromhex" => hex(input),
        "b32decode" => base32(input),
        "b85decode" => base85(input),
        _ => None,
    }
}

/// Base64 as Python reads it: other letters are left out.
fn base64(input: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let letters: Vec<u8> = input
        .iter()
        .map(|b| match b {
            b'-' => b'+',
            b'_' => b'/',
            b => *b,
        })
        .take_while(|b| *b != b'=')
        .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        .collect();
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(letters).ok()
}

fn hex(input: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = input
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| char::from(*b).to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    (pairs.remainder().is_empty())
        .then(|| pairs.filter_map(|p| Some(p.first()? << 4 | p.last()?)).collect())
}

fn base32(input: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for byte in input.iter().take_while(|b| **b != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(digit);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

fn base85(input: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 85] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let mut out = Vec::new();
    for group in input.chunks(5) {
        let mut word = 0_u32;
        for index in 0..5 {
            let letter = group.get(index).copied().unwrap_or(b'~');
            let digit = LETTERS.iter().position(|l| *l == letter)? as u32;
            word = word.checked_mul(85)?.checked_add(digit)?;
        }
        out.extend(word.to_be_bytes().into_iter().take(group.len().saturating_sub(1)));
    }
    Some(out)
}

/// `text[start:stop:step]`
pub(crate) fn slice<'t, 's>(
    of: &Abs<'t, 's>,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Abs<'t, 's> {
    let step = step.unwrap_or(1);
    let turned = if step < 0 { Marks::DECODED } else { Marks::default() };
    let marks = of.marks.with(turned);
    let value = match &of.value {
        Value::Text(text) => {
            let letters: Vec<char> = text.chars().collect();
            pick(&letters, start, stop, step)
                .map(|letters| letters.into_iter().collect::<String>().into())
        }
        Value::Bytes(bytes) => pick(bytes, start, stop, step).map(|b| Value::Bytes(b.into())),
        Value::List(items) => pick(items, start, stop, step).map(Value::list),
        _ => None,
    };
    Abs { marks, value: value.unwrap_or_default() }
}

fn pick<T: Clone>(all: &[T], start: Option<i64>, stop: Option<i64>, step: i64) -> Option<Vec<T>> {
    let length = i64::try_from(all.len()).ok()?;
    let bound = |at: Option<i64>, default: i64, least: i64, most: i64| {
        at.map_or(default, |at| if at < 0 { at.saturating_add(length) } else { at })
            .clamp(least, most)
    };
    let (mut at, end) = match step {
        0 => return None,
        1.. => (bound(start, 0, 0, length), bound(stop, length, 0, length)),
        _ => {
            let start = bound(start, length - 1, -1, length - 1);
            (start, stop.map_or(-1, |stop| bound(Some(stop), -1, -1, length - 1)))
        }
    };
    let mut picked = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        picked.push(all.get(usize::try_from(at).ok()?)?.clone());
        at = at.checked_add(step)?;
    }
    Some(picked)
}

/// What methods of texts and bytes give, where the text is known.
pub(crate) fn method<'t, 's>(
    of: &Abs<'t, 's>,
    name: &str,
    args: &[Abs<'t, 's>],
) -> Option<Abs<'t, 's>> {
    let first = args.first();
    let made = match (name, &of.value) {
        ("join", _) => return first.map(|items| join(of, items)),
        // A text that is read as a file.
        ("read" | "getvalue", Value::Text(_) | Value::Bytes(_)) if first.is_none() => {
            return Some(of.clone());
        }
        ("encode", Value::Text(text)) => Abs::bytes(text.as_bytes().to_vec()),
        ("decode", Value::Text(_) | Value::Bytes(_)) => {
            let codec = first.and_then(Abs::text).unwrap_or("utf-8");
            return Some(with_codec(of, codec));
        }
        ("replace", Value::Text(text)) => {
            let (from, to) = (first?.text()?, args.get(1)?.text()?);
            if from.is_empty() || text.len().saturating_mul(to.len().max(1)) > TEXT_MAX * 4 {
                return None;
            }
            let plain = Abs::made(text.replace(from, to));
            // A text that says something else without its filling was hidden.
            let hid = text.len() > 64 && text.matches(from).take(8).count() == 8;
            if hid && to.is_empty() { plain.and(Marks::DECODED) } else { plain }
        }
        ("strip" | "lstrip" | "rstrip", Value::Text(text)) if first.is_none() => Abs::made(
            match name {
                "strip" => text.trim(),
                "lstrip" => text.trim_start(),
                _ => text.trim_end(),
            }
            .to_owned(),
        ),
        ("strip" | "lstrip" | "rstrip", Value::Bytes(bytes)) if first.is_none() => {
            Abs::bytes(bytes.trim_ascii().to_vec())
        }
        ("strip" | "lstrip" | "rstrip", Value::Text(text)) => {
            let letters = first?.text()?;
            let is_one = |letter: char| letters.contains(letter);
            let kept = match name {
                "strip" => text.trim_matches(is_one),
                "lstrip" => text.trim_start_matches(is_one),
                _ => text.trim_end_matches(is_one),
            };
            Abs::made(kept.to_owned())
        }
        ("lower", Value::Text(text)) => Abs::made(text.to_lowercase()),
        ("upper", Value::Text(text)) => Abs::made(text.to_uppercase()),
        ("format", Value::Text(text)) => Abs::made(braces(text, args)?),
        ("split", Value::Text(text)) => {
            let parts: Vec<&str> = match first.and_then(Abs::text) {
                Some("") => return None,
                Some(separator) => text.split(separator).take(ITEMS_MAX).collect(),
                None => text.split_whitespace().take(ITEMS_MAX).collect(),
            };
            let items: Vec<_> = parts.into_iter().map(|p| Abs::made(p.to_owned())).collect();
            Abs::new(Value::list(items))
        }
        _ => return None,
    };
    Some(made.and(args.iter().fold(of.marks, |marks, arg| marks.with(arg.marks))))
}

/// `"…{}…".format(values)`, where only `{}` and `{0}` stand.
fn braces(format: &str, args: &[Abs<'_, '_>]) -> Option<String> {
    let mut made = String::new();
    let mut rest = format;
    let mut next = 0;
    while let Some((before, behind)) = rest.split_once('{') {
        made.push_str(before);
        let (field, behind) = behind.split_once('}')?;
        let index = if field.is_empty() { next } else { field.parse().ok()? };
        next += 1;
        made.push_str(args.get(index)?.text()?);
        if made.len() > TEXT_MAX {
            return None;
        }
        rest = behind;
    }
    made.push_str(rest);
    Some(made)
}

/// `value.decode(codec)` and `codecs.decode(value, codec)`.
pub(crate) fn with_codec<'t, 's>(of: &Abs<'t, 's>, codec: &str) -> Abs<'t, 's> {
    let codec = codec.to_ascii_lowercase().replace('_', "-");
    let raw = of.raw();
    let text = |bytes: Vec<u8>| Abs::made(String::from_utf8_lossy(&bytes).into_owned());
    let (plain, hidden) = match codec.as_str() {
        "rot13" | "rot-13" => (raw.map(|raw| text(raw.iter().map(|b| rot13(*b)).collect())), true),
        "hex" | "hex-codec" => (raw.and_then(hex).map(Abs::bytes), true),
        "base64" | "base64-codec" => (raw.and_then(base64).map(Abs::bytes), true),
        "zip" | "zlib" | "zlib-codec" | "bz2" | "bz2-codec" | "unicode-escape"
        | "raw-unicode-escape" | "utf-7" | "uu" | "punycode" => (None, true),
        _ => (raw.map(|raw| text(raw.to_vec())), false),
    };
    let marks = if hidden { of.marks.with(Marks::DECODED) } else { of.marks };
    plain.unwrap_or_default().and(marks)
}

fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_python_reads_them() {
        let b64 = |text: &[u8]| decode("base64.b64decode", text);
        assert_eq!(b64(b"cGFzcw=="), Some(b"pass".to_vec()));
        assert_eq!(b64(b"cGFz\n cw"), Some(b"pass".to_vec()));
        assert_eq!(decode("bytes.fromhex", b"70 61 73 73"), Some(b"pass".to_vec()));
        assert_eq!(decode("base64.b32decode", b"OBQXG4Y="), Some(b"pass".to_vec()));
        assert_eq!(decode("base64.b85decode", b"aA9)"), Some(b"pas".to_vec()));
        assert_eq!(decode("bytes.fromhex", b"7"), None);
    }

    #[test]
    fn slices_are_pythons() {
        let of = |start, stop, step| {
            slice(&Abs::made("cexe".into()), start, stop, step).text().map(str::to_owned)
        };
        assert_eq!(of(None, None, Some(-1)).unwrap(), "exec");
        assert_eq!(of(Some(1), None, None).unwrap(), "exe");
        assert_eq!(of(Some(-3), Some(-1), None).unwrap(), "ex");
        assert_eq!(of(Some(9), Some(i64::MIN), Some(-2)).unwrap(), "ee");
        assert_eq!(of(None, None, Some(0)), None);
    }
}
