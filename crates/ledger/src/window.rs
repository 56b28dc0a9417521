//! Budget windows in LiteLLM's spelling: `30s`, `5m`, `1h`, `1d`, `2w`, `1mo`.
//!
//! Where a window ends is aligned to the calendar in UTC, as LiteLLM resets
//! budgets: `1d` at midnight, `7d` and `1w` on Monday, `30d` and `1mo` on the
//! first of the month, other days at the midnight that many days ahead,
//! shorter ones at whole multiples. One difference, on purpose: a duration
//! that does not divide its hour or day (`7m`, `5h`, `48h`) keeps its full
//! length on a grid from 1970, where LiteLLM starts the grid again each hour
//! or day and so hands out a fresh budget early.
//!
//! Windows follow one another without a gap and depend only on where the one
//! before ended, never on when somebody looked, so that the book in memory
//! and the balance in the store always agree.

use jiff::{Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A century: nobody budgets for longer, and no sum below overflows.
const LONGEST_MS: i64 = 36_500 * DAY_MS;

/// What a window's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowUnit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
}

impl WindowUnit {
    fn suffix(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
        }
    }

    /// Milliseconds; a month counts as 31 days.
    fn length_ms(self) -> i64 {
        match self {
            Self::Second => SECOND_MS,
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 31 * DAY_MS,
        }
    }
}

/// How long a budget lasts until it starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    count: u32,
    unit: WindowUnit,
}

/// Why a text is not a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not digits and a unit.
    #[error("a duration is a whole number and a unit: 30s, 5m, 1h, 7d, 2w or 1mo")]
    Syntax,
    /// Nought, or more than a century.
    #[error("a duration is at least 1 second and at most 100 years")]
    Range,
}

/// How the ends of successive windows lie.
enum Shape {
    /// At whole multiples of this many milliseconds since 1970.
    Grid(i64),
    /// Every Monday, 00:00.
    Mondays,
    /// This many days after the midnight before.
    Days(i64),
    /// On the first of the month, this many months ahead.
    Months(i64),
}

impl Window {
    /// `count` × `unit`.
    ///
    /// # Errors
    /// [`WindowError::Range`] for nought or more than a century.
    pub fn new(count: u32, unit: WindowUnit) -> Result<Self, WindowError> {
        let fits =
            unit.length_ms().checked_mul(i64::from(count)).is_some_and(|ms| ms <= LONGEST_MS);
        if count == 0 || !fits { Err(WindowError::Range) } else { Ok(Self { count, unit }) }
    }

    fn shape(self) -> Shape {
        let count = i64::from(self.count);
        match self.unit {
            WindowUnit::Second | WindowUnit::Minute | WindowUnit::Hour => {
                Shape::Grid(count * self.unit.length_ms())
            }
            WindowUnit::Month => Shape::Months(count),
            WindowUnit::Day | WindowUnit::Week => match count * self.unit.length_ms() / DAY_MS {
                1 => Shape::Grid(DAY_MS),
                7 => Shape::Mondays,
                30 => Shape::Months(1),
                days => Shape::Days(days),
            },
        }
    }

    /// When a window that begins at `now_ms` ends; always later than `now_ms`.
    pub fn next_reset(self, now_ms: i64) -> i64 {
        let day = now_ms.div_euclid(DAY_MS);
        match self.shape() {
            Shape::Grid(length) => (now_ms.div_euclid(length) + 1) * length,
            // 1970-01-01 was a Thursday, the fourth day of its week.
            Shape::Mondays => (day + 7 - (day + 3).rem_euclid(7)) * DAY_MS,
            Shape::Days(days) => (day + days) * DAY_MS,
            Shape::Months(months) => first_of_month(now_ms, months),
        }
    }

    /// The end of the window that holds `now_ms`, where an earlier window of
    /// the same row ended at `ends_ms` (which stands if it is still ahead).
    pub fn end_after(self, ends_ms: i64, now_ms: i64) -> i64 {
        if ends_ms > now_ms {
            return ends_ms;
        }
        match self.shape() {
            Shape::Grid(_) | Shape::Mondays | Shape::Months(1) => self.next_reset(now_ms),
            Shape::Days(days) => {
                let (from, length) = (ends_ms.div_euclid(DAY_MS) * DAY_MS, days * DAY_MS);
                from + ((now_ms - from) / length + 1) * length
            }
            Shape::Months(months) => {
                let mut end = ends_ms;
                while end <= now_ms {
                    end = first_of_month(end, months);
                }
                end
            }
        }
    }

    /// The end of the window that holds `now_ms`, where a later window of the
    /// same row ends at `ends_ms`.
    pub fn end_before(self, ends_ms: i64, now_ms: i64) -> i64 {
        match self.shape() {
            Shape::Grid(_) | Shape::Mondays | Shape::Months(1) => self.next_reset(now_ms),
            Shape::Days(days) => {
                let length = days * DAY_MS;
                ends_ms - (ends_ms - now_ms - 1).div_euclid(length) * length
            }
            Shape::Months(months) => {
                let mut end = ends_ms;
                loop {
                    let start = first_of_month(end, -months);
                    if start <= now_ms {
                        return end;
                    }
                    end = start;
                }
            }
        }
    }

    /// Returns true if the window that ends at `ends_ms` has not begun: the
    /// clock was ahead when it was opened, and has been set back. A clock that
    /// is set back by less than a minute opens no window again.
    pub fn is_ahead(self, ends_ms: i64, now_ms: i64) -> bool {
        self.start_of(ends_ms).saturating_sub(MINUTE_MS) > now_ms
    }

    /// The end of the window that holds `now_ms` where windows follow one
    /// another since 1970: the same whenever somebody begins to look.
    pub fn end_since_1970(self, now_ms: i64) -> i64 {
        self.end_after(0, now_ms)
    }

    /// When the full window that ends at `ends_ms` began.
    pub fn start_of(self, ends_ms: i64) -> i64 {
        match self.shape() {
            Shape::Grid(length) => ends_ms - length,
            Shape::Mondays => ends_ms - 7 * DAY_MS,
            Shape::Days(days) => ends_ms - days * DAY_MS,
            Shape::Months(months) => first_of_month(ends_ms, -months),
        }
    }

    /// `now_ms` plus the plain length, not aligned: when a key with this
    /// `duration` expires. A month ends on the same day or the last there is.
    pub fn after(self, now_ms: i64) -> i64 {
        let count = i64::from(self.count);
        match self.unit {
            WindowUnit::Month => shift_months(now_ms, count, false),
            unit => now_ms.saturating_add(count * unit.length_ms()),
        }
    }
}

fn first_of_month(at_ms: i64, months: i64) -> i64 {
    shift_months(at_ms, months, true)
}

/// Falls back to months of 31 days outside the years that calendars know.
fn shift_months(at_ms: i64, months: i64, to_first: bool) -> i64 {
    let shifted = || -> Result<i64, jiff::Error> {
        let mut civil = Timestamp::from_millisecond(at_ms)?.to_zoned(TimeZone::UTC).datetime();
        if to_first {
            civil = civil.date().first_of_month().into();
        }
        let civil = civil.checked_add(Span::new().try_months(months)?)?;
        Ok(civil.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond())
    };
    shifted().unwrap_or_else(|_| at_ms.saturating_add(months.saturating_mul(31 * DAY_MS)))
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at_checked(digits).ok_or(WindowError::Syntax)?;
        let unit = match unit {
            "s" => WindowUnit::Second,
            "m" => WindowUnit::Minute,
            "h" => WindowUnit::Hour,
            "d" => WindowUnit::Day,
            "w" => WindowUnit::Week,
            "mo" => WindowUnit::Month,
            _ => return Err(WindowError::Syntax),
        };
        if count.is_empty() {
            return Err(WindowError::Syntax);
        }
        Self::new(count.parse().map_err(|_| WindowError::Range)?, unit)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.suffix())
    }
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, Window, WindowError, WindowUnit};
    use base::clock::rfc3339;
    use proptest::prelude::*;

    fn window(text: &str) -> Window {
        text.parse().unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn resets_fall_where_litellm_puts_them() {
        for (duration, now, next) in [
            ("30s", "2026-03-24T10:39:07Z", "2026-03-24T10:39:30.000Z"),
            ("1m", "2026-03-24T10:59:59Z", "2026-03-24T11:00:00.000Z"),
            ("15m", "2026-03-24T10:45:00Z", "2026-03-24T11:00:00.000Z"),
            ("1h", "2026-12-31T23:10:00Z", "2027-01-01T00:00:00.000Z"),
            ("6h", "2026-03-24T10:39:00Z", "2026-03-24T12:00:00.000Z"),
            ("24h", "2026-03-24T10:39:00Z", "2026-03-25T00:00:00.000Z"),
            ("1d", "2026-03-24T00:00:00Z", "2026-03-25T00:00:00.000Z"),
            ("1d", "2024-02-28T12:00:00Z", "2024-02-29T00:00:00.000Z"),
            ("7d", "2026-03-24T10:39:00Z", "2026-03-30T00:00:00.000Z"),
            ("1w", "2026-03-30T00:00:00Z", "2026-04-06T00:00:00.000Z"),
            ("14d", "2026-03-24T10:39:00Z", "2026-04-07T00:00:00.000Z"),
            ("2w", "2024-02-20T10:39:00Z", "2024-03-05T00:00:00.000Z"),
            ("30d", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00.000Z"),
            ("1mo", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00.000Z"),
            ("3mo", "2026-11-30T10:00:00Z", "2027-02-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(window(duration).next_reset(at(now))), next, "{duration} at {now}");
        }
    }

    #[test]
    fn a_key_that_lives_a_month_ends_on_the_same_day_or_the_last_there_is() {
        for (duration, now, end) in [
            ("1mo", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00.000Z"),
            ("1mo", "2024-01-31T10:00:00Z", "2024-02-29T10:00:00.000Z"),
            ("2mo", "2026-12-15T10:00:00Z", "2027-02-15T10:00:00.000Z"),
            ("90m", "2026-12-31T23:00:00Z", "2027-01-01T00:30:00.000Z"),
        ] {
            assert_eq!(rfc3339(window(duration).after(at(now))), end, "{duration} at {now}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "d", "1", "1y", "1 d", "-1d", "1.5h", "1D", "mo", "१d"] {
            assert_eq!(text.parse::<Window>(), Err(WindowError::Syntax), "{text:?}");
        }
        for text in ["0s", "0mo", "4294967296s", "99999w", "36501d"] {
            assert_eq!(text.parse::<Window>(), Err(WindowError::Range), "{text:?}");
        }
    }

    fn any_window() -> impl Strategy<Value = Window> {
        use WindowUnit::{Day, Hour, Minute, Month, Second, Week};
        let unit = prop::sample::select(vec![Second, Minute, Hour, Day, Week, Month]);
        (1_u32..=120, unit).prop_map(|(count, unit)| Window::new(count, unit).unwrap())
    }

    // 1970 to 2100, with month ends and leap days made likely.
    fn any_time() -> impl Strategy<Value = i64> {
        let month_end = (0_i32..1560, -2_i64..=2).prop_map(|(month, ms)| {
            let first = jiff::civil::date(1970 + (month / 12) as i16, (month % 12) as i8 + 1, 1);
            let zoned = first.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
            zoned.timestamp().as_millisecond() + ms
        });
        prop_oneof![0..4_102_444_800_000_i64, month_end]
    }

    proptest! {
        #[test]
        fn display_then_parse_is_identity(window in any_window()) {
            prop_assert_eq!(window.to_string().parse(), Ok(window));
        }

        #[test]
        fn the_next_reset_lies_ahead_by_at_most_one_length(window in any_window(), now in any_time()) {
            let next = window.next_reset(now);
            prop_assert!(next > now);
            prop_assert!(next - now <= window.unit.length_ms() * i64::from(window.count) + DAY_MS);
        }

        #[test]
        fn whoever_begins_to_look_at_any_time_sees_the_same_windows(
            window in any_window(), now in any_time(), inside in 0.0_f64..1.0,
        ) {
            let end = window.end_since_1970(now);
            let start = window.start_of(end);
            prop_assert!(start <= now && now < end, "{} {} {}", window, start, end);
            let look = start + ((end - start - 1) as f64 * inside) as i64;
            prop_assert_eq!(window.end_since_1970(look), end, "{}", window);
            prop_assert_eq!(window.end_since_1970(end), window.end_after(end, end));
        }

        #[test]
        fn a_clock_that_goes_back_finds_the_window_that_was_there(
            window in any_window(), start in any_time(), hops in 0_usize..6, inside in 0.0_f64..1.0,
        ) {
            let first = window.next_reset(start);
            let mut end = first;
            for _ in 0..hops {
                end = window.end_after(end, end);
            }
            let from = window.start_of(first).max(start);
            let look = from + ((first - from - 1) as f64 * inside) as i64;
            prop_assert_eq!(window.end_before(end, look), first, "{}", window);
        }

        #[test]
        fn windows_follow_one_another_without_gap_whoever_looks(
            window in any_window(), start in any_time(), hops in 1_usize..6, inside in 0.0_f64..1.0,
        ) {
            let mut end = window.next_reset(start);
            for _ in 0..hops {
                let next = window.end_after(end, end);
                prop_assert_eq!(window.start_of(next), end, "{}", window);
                let look = end + ((next - end - 1) as f64 * inside) as i64;
                prop_assert_eq!(window.end_after(end, look), next);
                // Who slept through several windows lands in the same one.
                prop_assert_eq!(window.end_after(window.next_reset(start), look), next);
                end = next;
            }
        }
    }
}
