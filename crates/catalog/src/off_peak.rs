//! Hours at which a provider charges less (DeepSeek).
//!
//! Windows as the price data has them: ISO weekdays, and spans of a day in UTC
//! whose end `00:00` means midnight at the end of it. Time is passed in.

use crate::prices::{Unit, unit_of};
use base::Decimal;

const DAY_MIN: i64 = 24 * 60;

/// Prices that hold at some hours of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffPeak {
    prices: Vec<(Unit, Decimal)>,
    windows: Vec<Window>,
    /// What weekdays are counted by, east of UTC.
    weekday_offset_min: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// 1 is Monday.
    weekday: i64,
    /// Minutes after midnight UTC.
    from_min: i64,
    /// Greater than `from_min`, or at most it where the span goes past midnight.
    to_min: i64,
}

impl OffPeak {
    /// Takes one `off_peak.NAME=TEXT` of the catalogue; `None` if it is none.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Option<()> {
        match name {
            "windows" => self.windows = windows(text)?,
            "weekday_timezone" => {
                self.weekday_offset_min = match text {
                    "UTC" => 0,
                    "Asia/Shanghai" => 8 * 60,
                    _ => return None,
                }
            }
            _ => self.prices.push((unit_of(name)?, text.parse().ok()?)),
        }
        Some(())
    }

    /// Whether the lower prices hold at `unix_ms`.
    pub(crate) fn holds_at(&self, unix_ms: i64) -> bool {
        let minute = unix_ms.div_euclid(60_000);
        let day = minute.saturating_add(self.weekday_offset_min).div_euclid(DAY_MIN);
        // 1970-01-01 was a Thursday.
        let weekday = day.saturating_add(3).rem_euclid(7) + 1;
        let minute = minute.rem_euclid(DAY_MIN);
        self.windows.iter().filter(|window| window.weekday == weekday).any(|window| {
            let (from, to) = (window.from_min, window.to_min);
            if from < to { from <= minute && minute < to } else { from <= minute || minute < to }
        })
    }

    /// The lower price of a unit.
    pub(crate) fn price(&self, unit: Unit) -> Option<Decimal> {
        self.prices.iter().find(|(of, _)| *of == unit).map(|(_, price)| *price)
    }
}

fn windows(text: &str) -> Option<Vec<Window>> {
    let mut windows = Vec::new();
    for group in text.split(';') {
        let (weekdays, spans) = group.split_once('@')?;
        for span in spans.split(',') {
            let (from, to) = span.split_once('-')?;
            let (from_min, to_min) = (minutes(from)?, minutes(to)?);
            for weekday in weekdays.chars() {
                let weekday = i64::from(weekday.to_digit(8).filter(|day| *day > 0)?);
                windows.push(Window { weekday, from_min, to_min });
            }
        }
    }
    Some(windows)
}

fn minutes(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(i64::from(hour) * 60 + i64::from(minute))
}

#[cfg(test)]
mod tests {
    use super::OffPeak;

    fn at(windows: &str, zone: &str, unix_ms: i64) -> bool {
        let mut off_peak = OffPeak::default();
        off_peak.set("windows", windows).unwrap();
        off_peak.set("weekday_timezone", zone).unwrap();
        off_peak.holds_at(unix_ms)
    }

    const THURSDAY: i64 = 0;
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn spans_begin_at_their_first_minute_and_end_before_their_last() {
        let windows = "4@04:00-06:00,10:00-00:00";
        for (hour, holds) in [(0, false), (4, true), (5, true), (6, false), (10, true), (23, true)]
        {
            assert_eq!(at(windows, "UTC", THURSDAY + hour * HOUR_MS), holds, "{hour}");
        }
        assert!(!at(windows, "UTC", THURSDAY + 24 * HOUR_MS));
        assert!(!at(windows, "UTC", THURSDAY - 1));
    }

    #[test]
    fn a_whole_day_and_a_night_are_spans_too() {
        assert!(at("4@00:00-00:00", "UTC", 0) && at("4@00:00-00:00", "UTC", 24 * HOUR_MS - 1));
        assert!(at("4@22:00-02:00", "UTC", 23 * HOUR_MS) && at("4@22:00-02:00", "UTC", HOUR_MS));
        assert!(!at("4@22:00-02:00", "UTC", 3 * HOUR_MS));
    }

    #[test]
    fn weekdays_are_counted_where_the_provider_counts_them() {
        let late_thursday = 20 * HOUR_MS;
        assert!(!at("5@00:00-00:00", "UTC", late_thursday));
        assert!(at("5@00:00-00:00", "Asia/Shanghai", late_thursday));
    }

    #[test]
    fn what_does_not_parse_is_refused_and_extremes_do_not_panic() {
        for text in ["", "1", "1@", "1@00:00", "0@00:00-01:00", "1@24:00-01:00", "x@00:00-01:00"] {
            assert_eq!(OffPeak::default().set("windows", text), None, "{text}");
        }
        let always = "1234567@00:00-00:00";
        assert!(at(always, "UTC", i64::MIN) && at(always, "Asia/Shanghai", i64::MAX));
    }
}
