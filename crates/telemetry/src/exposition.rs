//! Families of series, and their text as Prometheus scrapes it.
//!
//! The text is what Python's client writes, since LiteLLM's dashboards and
//! relabelling rules were made against that: counters carry `_total` in their
//! `# HELP` and `# TYPE` lines too, labels stand in alphabetical order, values
//! are floats (`1.0`). The `_created` series are left out. Sums are kept as
//! integers and become floats only here.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// The content type of [`Family::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What stands in every label of the series that takes what is over the cap.
pub const OTHER: &str = "other";

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; in units of 1/`per_unit`.
    Counter {
        /// 1 for things, 10^9 for dollars counted in nano-dollars.
        per_unit: u64,
    },
    /// Goes up and down; in units of 1/`per_unit`.
    Gauge {
        /// As for a counter.
        per_unit: u64,
    },
    /// Microseconds, sorted into buckets by their upper bounds in µs and
    /// rendered in seconds.
    Histogram {
        /// Ascending.
        bounds_us: &'static [u64],
    },
}

/// One name with all its series.
#[derive(Clone, Debug)]
pub struct Family {
    /// Without `_total`.
    pub name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: Vec<&'static str>,
    /// Every call looks several up; what clients can name is bounded by
    /// `series_max`, so a hash against floods is not needed.
    series: HashMap<Box<[Arc<str>]>, Value, RandomState>,
    series_max: usize,
    other: Option<Value>,
}

#[derive(Clone, Debug)]
enum Value {
    Number(i128),
    Histogram { counts: Vec<u64>, count: u64, sum_us: u128 },
}

impl Value {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter { .. } | Kind::Gauge { .. } => Self::Number(0),
            Kind::Histogram { bounds_us } => {
                Self::Histogram { counts: vec![0; bounds_us.len()], count: 0, sum_us: 0 }
            }
        }
    }
}

impl Family {
    /// An empty family. `labels` must be in alphabetical order. Beyond
    /// `series_max` series, counts go to one whose labels all say [`OTHER`].
    pub fn new(
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: Vec<&'static str>,
        series_max: usize,
    ) -> Self {
        debug_assert!(labels.is_sorted());
        Self { name, help, kind, labels, series: HashMap::default(), series_max, other: None }
    }

    /// Forgets all series.
    pub fn clear(&mut self) {
        self.series.clear();
        self.other = None;
    }

    /// Adds to a counter or gauge.
    pub fn add(&mut self, labels: &[Arc<str>], amount: i128) {
        if let Value::Number(number) = self.value(labels) {
            *number = number.saturating_add(amount);
        }
    }

    /// Sets a gauge. One over the cap is left out: levels of different things
    /// make no sum.
    pub fn set(&mut self, labels: &[Arc<str>], amount: i128) {
        if self.is_over(labels) {
            return;
        }
        if let Value::Number(number) = self.value(labels) {
            *number = amount;
        }
    }

    /// Sorts durations into a histogram; none make no series.
    pub fn observe_all(&mut self, labels: &[Arc<str>], durations_us: impl Iterator<Item = u64>) {
        let Kind::Histogram { bounds_us } = self.kind else { return };
        let mut durations_us = durations_us.peekable();
        if durations_us.peek().is_none() {
            return;
        }
        if let Value::Histogram { counts, count, sum_us } = self.value(labels) {
            for us in durations_us {
                *count += 1;
                *sum_us += u128::from(us);
                let bucket = bounds_us.partition_point(|bound| *bound < us);
                if let Some(slot) = counts.get_mut(bucket) {
                    *slot += 1;
                }
            }
        }
    }

    fn is_over(&self, labels: &[Arc<str>]) -> bool {
        self.series.len() >= self.series_max && !self.series.contains_key(labels)
    }

    fn value(&mut self, labels: &[Arc<str>]) -> &mut Value {
        let kind = self.kind;
        if self.is_over(labels) {
            return self.other.get_or_insert_with(|| Value::new(kind));
        }
        if !self.series.contains_key(labels) {
            self.series.insert(labels.into(), Value::new(kind));
        }
        let Self { series, other, .. } = self;
        series.get_mut(labels).unwrap_or_else(|| other.get_or_insert_with(|| Value::new(kind)))
    }

    /// Writes the family, its series in the order of their labels.
    pub fn render(&self, out: &mut String) {
        let (kind, suffix) = match self.kind {
            Kind::Counter { .. } => ("counter", "_total"),
            Kind::Gauge { .. } => ("gauge", ""),
            Kind::Histogram { .. } => ("histogram", ""),
        };
        // Writing to a String does not fail.
        let _infallible = writeln!(out, "# HELP {}{suffix} {}", self.name, self.help);
        let _infallible = writeln!(out, "# TYPE {}{suffix} {kind}", self.name);
        let mut series: Vec<_> = self.series.iter().collect();
        series.sort_unstable_by_key(|(labels, _)| *labels);
        for (labels, value) in series {
            self.render_series(labels, value, suffix, out);
        }
        if let Some(value) = &self.other {
            let labels = vec![Arc::from(OTHER); self.labels.len()];
            self.render_series(&labels, value, suffix, out);
        }
    }

    fn render_series(&self, labels: &[Arc<str>], value: &Value, suffix: &str, out: &mut String) {
        match (value, self.kind) {
            (Value::Number(number), Kind::Counter { per_unit } | Kind::Gauge { per_unit }) => {
                let value = *number as f64 / per_unit as f64;
                self.render_line(suffix, labels, None, value, out);
            }
            (Value::Histogram { counts, count, sum_us }, Kind::Histogram { bounds_us }) => {
                let mut below = 0;
                for (bound, in_bucket) in bounds_us.iter().zip(counts) {
                    below += in_bucket;
                    let le = float(*bound as f64 / 1e6);
                    self.render_line("_bucket", labels, Some(&le), below as f64, out);
                }
                self.render_line("_bucket", labels, Some("+Inf"), *count as f64, out);
                self.render_line("_count", labels, None, *count as f64, out);
                self.render_line("_sum", labels, None, *sum_us as f64 / 1e6, out);
            }
            _ => {}
        }
    }

    fn render_line(
        &self,
        suffix: &str,
        labels: &[Arc<str>],
        le: Option<&str>,
        value: f64,
        out: &mut String,
    ) {
        out.push_str(self.name);
        out.push_str(suffix);
        let mut pairs: Vec<(&str, &str)> =
            self.labels.iter().copied().zip(labels.iter().map(AsRef::as_ref)).collect();
        if let Some(le) = le {
            pairs.insert(pairs.partition_point(|(name, _)| *name < "le"), ("le", le));
        }
        for (index, (name, value)) in pairs.iter().enumerate() {
            out.push(if index == 0 { '{' } else { ',' });
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        out.push_str(if pairs.is_empty() { " " } else { "} " });
        out.push_str(&float(value));
        out.push('\n');
    }
}

fn escape(value: &str, out: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// As Python's client writes a number: `1.0`, `0.005`, `1.234567e+06`.
fn float(value: f64) -> String {
    let text = format!("{value:?}");
    let Some((whole, fraction)) = text.split_once('.').filter(|_| !text.contains('e')) else {
        return text;
    };
    if value <= 0.0 || whole.len() <= 6 {
        return text;
    }
    let (first, rest) = whole.split_at(1);
    let mantissa = format!("{first}.{rest}{fraction}");
    format!("{}e+{:02}", mantissa.trim_end_matches(['0', '.']), whole.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind, float};
    use std::sync::Arc;

    #[test]
    fn numbers_are_spelt_as_pythons_client_spells_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.005, "0.005"),
            (0.0125, "0.0125"),
            (999_999.0, "999999.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (-12.5, "-12.5"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn label_values_cannot_break_the_text() {
        let mut family = Family::new("a", "A.", Kind::Counter { per_unit: 1 }, vec!["x"], 10);
        family.add(&[Arc::from("say \"hi\"\\\nevil_total 9")], 1);
        let mut text = String::new();
        family.render(&mut text);
        let line = "a_total{x=\"say \\\"hi\\\"\\\\\\nevil_total 9\"} 1.0";
        assert_eq!(text, format!("# HELP a_total A.\n# TYPE a_total counter\n{line}\n"));
    }

    #[test]
    fn a_duration_on_a_bound_belongs_below_it() {
        let bounds_us = &[1_000_000, 2_000_000];
        let mut family = Family::new("d", "D.", Kind::Histogram { bounds_us }, vec![], 10);
        for us in [1, 1_000_000, 1_000_001, 3_000_000] {
            family.observe_all(&[], std::iter::once(us));
        }
        let mut text = String::new();
        family.render(&mut text);
        assert_eq!(
            text,
            "# HELP d D.\n# TYPE d histogram\nd_bucket{le=\"1.0\"} 2.0\nd_bucket{le=\"2.0\"} 3.0\n\
             d_bucket{le=\"+Inf\"} 4.0\nd_count 4.0\nd_sum 5.000002\n"
        );
    }

    #[test]
    fn what_is_over_the_cap_is_counted_as_other() {
        let mut family = Family::new("a", "A.", Kind::Counter { per_unit: 1 }, vec!["x", "y"], 3);
        for number in 0..1000 {
            family.add(&[number.to_string().into(), "y".into()], 1);
        }
        family.add(&["1".into(), "y".into()], 1);
        let mut text = String::new();
        family.render(&mut text);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "a_total{x=\"0\",y=\"y\"} 1.0",
                "a_total{x=\"1\",y=\"y\"} 2.0",
                "a_total{x=\"2\",y=\"y\"} 1.0",
                "a_total{x=\"other\",y=\"other\"} 997.0",
            ]
        );
        let mut levels = Family::new("b", "B.", Kind::Gauge { per_unit: 1 }, vec!["x"], 1);
        for name in ["one", "two"] {
            levels.set(&[name.into()], 7);
        }
        let mut text = String::new();
        levels.render(&mut text);
        assert!(text.ends_with("gauge\nb{x=\"one\"} 7.0\n"), "{text}");
    }
}
