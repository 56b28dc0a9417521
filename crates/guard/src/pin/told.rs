//! What is not pinned, for people: the answer first, like with like.

use super::{Gap, Unpinned};
use std::fmt::Write as _;

/// Subjects of one kind of gap that are shown; the rest are counted.
const SHOWN_MAX: usize = 40;

/// The answer over `count` requirements, and every gap with what to do.
pub fn told(count: usize, gaps: &[Gap]) -> String {
    let mut out = String::new();
    // Writing to a string has no way to fail.
    let mut line = |text: &str| writeln!(out, "{}", plain(text)).unwrap_or_default();
    if gaps.is_empty() {
        let many =
            if count == 1 { "1 requirement".to_owned() } else { format!("{count} requirements") };
        line(&format!("PINNED. {many}, each of one exact version with strong hashes."));
        return out;
    }
    let first = gaps.first().map(|gap| gap.do_first.as_str()).unwrap_or_default();
    let first = first.split_inclusive(". ").next().unwrap_or_default().trim_end();
    let many = if gaps.len() == 1 { "1 gap".to_owned() } else { format!("{} gaps", gaps.len()) };
    line(&format!("NOT PINNED. {many} in {count} requirements. First: {first}"));
    let mut shown: Vec<(Unpinned, &str)> = Vec::new();
    for gap in gaps {
        let group = (gap.why, gap.do_first.as_str());
        if shown.contains(&group) {
            continue;
        }
        shown.push(group);
        line("");
        let alike = gaps.iter().filter(|other| (other.why, other.do_first.as_str()) == group);
        for gap in alike.clone().take(SHOWN_MAX) {
            let place = gap.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
            line(&format!("{place}{}: {}", gap.subject, gap.text));
        }
        let more = alike.count().saturating_sub(SHOWN_MAX);
        if more > 0 {
            line(&format!("and {more} more"));
        }
        line(&format!("  do: {}", gap.do_first));
    }
    out
}

/// What files hold must not drive the terminal that shows it.
fn plain(text: &str) -> String {
    text.chars().map(|l| if l.is_control() { '\u{fffd}' } else { l }).collect()
}
