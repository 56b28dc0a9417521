//! What a scalar's text means: booleans, numbers, durations, JSON.
//!
//! People's files were read by a YAML 1.1 reader until now, so `yes` is a
//! boolean and `1_000` a number. Nothing goes through floating point.

use crate::node::{Kind, Node};
use base::Decimal;

/// The longest duration that is believed: 30 years in milliseconds.
const DURATION_MAX_MS: u64 = 30 * 365 * 86_400_000;

pub(crate) fn bool_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(crate) fn decimal_of(text: &str) -> Option<Decimal> {
    if text.contains('_') { text.replace('_', "").parse().ok() } else { text.parse().ok() }
}

/// A whole number that is not negative: `100`, `1_000`, `1e3`, `100.0`.
pub(crate) fn whole_of(text: &str) -> Option<u64> {
    let decimal = decimal_of(text).filter(|decimal| decimal.scale() == 0)?;
    u64::try_from(decimal.mantissa()).ok()
}

/// Seconds, whole or not, as milliseconds, rounded up so that a duration that
/// is not nought never becomes nought.
pub(crate) fn seconds_to_ms(text: &str) -> Option<u64> {
    let seconds = decimal_of(text)?;
    let divisor = 10_i128.checked_pow(u32::from(seconds.scale()))?;
    let ms = (i128::from(seconds.mantissa()) * 1000 + divisor - 1).div_euclid(divisor);
    if seconds.mantissa() < 0 {
        return None;
    }
    u64::try_from(ms).ok().filter(|ms| *ms <= DURATION_MAX_MS)
}

/// The JSON of a tree, as the YAML core schema reads plain scalars. Numbers
/// keep their digits; `resolve` may put another text in a scalar's place.
pub(crate) fn to_json(
    node: &Node,
    resolve: &mut impl FnMut(&Node, &str) -> Option<String>,
) -> String {
    let mut json = String::with_capacity(node.bytes + node.size * 3);
    write_json(node, resolve, &mut json);
    json
}

fn write_json(
    node: &Node,
    resolve: &mut impl FnMut(&Node, &str) -> Option<String>,
    json: &mut String,
) {
    match &node.kind {
        Kind::Scalar { text, quoted } => match resolve(node, text) {
            Some(other) => quote(&other, json),
            None if *quoted => quote(text, json),
            None => plain(text, node.is_null(), json),
        },
        Kind::Seq(items) => {
            json.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                write_json(item, resolve, json);
            }
            json.push(']');
        }
        Kind::Map(entries) => {
            json.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                quote(&key.text, json);
                json.push(':');
                write_json(value, resolve, json);
            }
            json.push('}');
        }
    }
}

fn plain(text: &str, null: bool, json: &mut String) {
    if null {
        json.push_str("null");
    } else if let Some(flag) = bool_of(text) {
        json.push_str(if flag { "true" } else { "false" });
    } else if is_json_number(text) {
        json.push_str(text);
    } else if let Some(number) = decimal_of(text) {
        // `1_000`, `+1`, `.5`: numbers to YAML but not as JSON spells them.
        json.push_str(&number.to_string());
    } else {
        quote(text, json);
    }
}

/// RFC 8259, section 6.
pub(crate) fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// A JSON string.
pub(crate) fn quote(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                json.push_str("\\u00");
                json.push_str(&base::id::hex(&[c as u8]));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::{bool_of, seconds_to_ms, to_json, whole_of};
    use crate::parse::parse;
    use proptest::prelude::*;

    fn json(yaml: &str) -> String {
        to_json(&parse(yaml.as_bytes(), 0).0.unwrap(), &mut |_, _| None)
    }

    #[test]
    fn durations_are_seconds_in_decimal() {
        assert_eq!(seconds_to_ms("0.5"), Some(500));
        assert_eq!(seconds_to_ms("6000"), Some(6_000_000));
        assert_eq!(seconds_to_ms("1e-9"), Some(1));
        assert_eq!(seconds_to_ms("0"), Some(0));
        for text in ["-1", "-0.0001", "1e18", "soon", "", "1s"] {
            assert_eq!(seconds_to_ms(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_in_their_spellings() {
        assert_eq!(whole_of("1_000"), Some(1000));
        assert_eq!(whole_of("100.0"), Some(100));
        for text in ["-1", "1.5", "ten", "1e40"] {
            assert_eq!(whole_of(text), None, "{text}");
        }
        assert_eq!(bool_of("Yes"), Some(true));
        assert_eq!(bool_of("1"), None);
    }

    #[test]
    fn trees_become_json_with_their_digits() {
        assert_eq!(
            json("{a: 1.50, b: [yes, ~, '1', x: {}], c: .5, d: 007, e: 1e-06, f: 1.2.3}"),
            r#"{"a":1.50,"b":[true,null,"1",{"x":{}}],"c":0.5,"d":7,"e":1e-06,"f":"1.2.3"}"#
        );
        assert_eq!(json("|\n  a\"\\\u{85}b\n"), "\"a\\\"\\\\\u{85}b\\n\"");
    }

    proptest! {
        #[test]
        fn any_scalar_becomes_json_that_parses(text in "\\PC{0,20}") {
            let node = crate::node::Node::scalar(crate::node::Pos::default(), text, false);
            let json = to_json(&node, &mut |_, _| None);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        }

        #[test]
        fn no_duration_panics(text in "[-+0-9.eE_]{0,30}") {
            let _ = seconds_to_ms(&text);
        }
    }
}
