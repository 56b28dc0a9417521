//! Money, numbers and times as JSON, exactly: no value passes through a float.

use base::{Decimal, NanoUsd};
use ledger::Window;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Dollars as a JSON number, `2.0` or `0.000025`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Money(pub(crate) NanoUsd);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = self.0.to_string();
        // Clients with types tell a whole number from a fraction.
        if !text.contains('.') {
            text.push_str(".0");
        }
        number(text, serializer)
    }
}

/// A number, spelled as its source does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exact(pub(crate) String);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.clone(), serializer)
    }
}

fn number<S: Serializer>(text: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Stored JSON text, as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a>(pub(crate) &'a str);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.to_owned(), serializer)
    }
}

/// Milliseconds since 1970 as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) i64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base::clock::rfc3339(self.0))
    }
}

/// Nine billion: what fits nano-dollars in 64 bits.
const DOLLARS_MAX: i128 = 9_000_000_000;

/// The text of a JSON number, or of a string that holds one, as dollars.
pub(crate) fn parse_dollars(text: &str) -> Result<NanoUsd, &'static str> {
    let decimal = parse_decimal(text)?;
    if decimal.mantissa() < 0 {
        return Err("must not be negative");
    }
    let whole = i128::from(decimal.mantissa()) / 10_i128.pow(u32::from(decimal.scale()));
    if whole > DOLLARS_MAX {
        return Err("must be at most 9000000000 dollars; leave it out for no limit");
    }
    Ok(decimal.into())
}

/// The same as a whole number.
pub(crate) fn parse_count(text: &str) -> Result<u64, &'static str> {
    let decimal = parse_decimal(text)?;
    if decimal.scale() != 0 {
        return Err("must be a whole number");
    }
    u64::try_from(decimal.mantissa()).map_err(|_| "must not be negative")
}

fn parse_decimal(text: &str) -> Result<Decimal, &'static str> {
    use base::decimal::DecimalError::{Range, Syntax};
    text.trim().parse().map_err(|error| match error {
        Syntax => "must be a number",
        Range => "must be a number of at most 18 digits",
    })
}

/// A duration in LiteLLM's spelling, its words included.
pub(crate) fn parse_window(text: &str) -> Result<Window, String> {
    let text = match text.trim() {
        "hourly" => "1h",
        "daily" => "1d",
        "weekly" => "7d",
        "monthly" => "30d",
        text => text,
    };
    text.parse().map_err(|error: ledger::WindowError| format!("is no duration: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Exact, Money, parse_count, parse_dollars, parse_window};
    use base::NanoUsd;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(nano in 0..9_000_000_000_000_000_000_i64) {
            let shown = serde_json::to_string(&Money(NanoUsd(nano))).unwrap();
            prop_assert_eq!(parse_dollars(&shown), Ok(NanoUsd(nano)));
            // And a client that reads doubles sees it to fifteen digits.
            let double: f64 = serde_json::from_str(&shown).unwrap();
            let exact = nano as f64 / 1e9;
            prop_assert!((double - exact).abs() <= exact * 1e-15);
        }

        #[test]
        fn no_text_panics_or_gives_less_than_nought(text in "\\PC{0,40}|[-+0-9.eE]{0,40}") {
            prop_assert!(parse_dollars(&text).is_ok_and(|dollars| dollars.0 >= 0)
                || parse_dollars(&text).is_err());
            prop_assert_eq!(parse_count(&text).is_ok(), text.trim().parse::<base::Decimal>()
                .is_ok_and(|decimal| decimal.scale() == 0 && decimal.mantissa() >= 0));
            prop_assert!(parse_window(&text).is_ok_and(|window| window.after(0) > 0)
                || parse_window(&text).is_err());
        }
    }

    #[test]
    fn money_goes_in_and_out_exactly() {
        for (text, shown) in [
            ("1.5", "1.5"),
            ("5", "5.0"),
            ("0", "0.0"),
            ("2.5e-05", "0.000025"),
            ("0.30000000000000004", "0.3"),
            ("9000000000", "9000000000.0"),
        ] {
            let money = parse_dollars(text).unwrap();
            assert_eq!(serde_json::to_string(&Money(money)).unwrap(), shown);
        }
        assert_eq!(parse_dollars("1e-9"), Ok(NanoUsd(1)));
        assert_eq!(serde_json::to_string(&Exact("2.5e-06".into())).unwrap(), "2.5e-06");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["-0.01", "1e308", "NaN", "inf", "much", "", "1e400", "9000000001", "0x10"] {
            assert!(parse_dollars(text).is_err(), "{text}");
        }
        for text in ["-1", "1.5", "99999999999999999999", "ten", "1e30"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
        assert_eq!(parse_count("10.0"), Ok(10));
    }

    #[test]
    fn durations_in_digits_and_words() {
        assert_eq!(parse_window("monthly").unwrap().to_string(), "30d");
        assert_eq!(parse_window("1mo").unwrap().to_string(), "1mo");
        assert!(parse_window("soon").unwrap_err().contains("30s"));
    }
}
