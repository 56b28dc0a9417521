//! Changed lines as a unified diff.

use std::fmt::Write as _;
use std::path::Path;

/// Lines that stay, shown around a change.
const CONTEXT: usize = 3;

/// Some lines in place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The first line that goes, from 0.
    pub(super) start: usize,
    /// How many lines go.
    pub(super) removed: usize,
    /// What comes instead.
    pub(super) added: Vec<String>,
}

/// The diff that makes `changes` to the file `path` with `text`. Changes that
/// overlap: the first one counts. Empty if nothing changes.
pub(super) fn unified(path: &Path, text: &str, mut changes: Vec<Change>) -> String {
    changes.sort_by_key(|change| change.start);
    let mut end = 0;
    changes.retain(|change| {
        let is_free = change.start >= end;
        if is_free {
            end = change.start + change.removed;
        }
        is_free
    });
    // With their ends: a carriage return stays, and a missing end is told.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut hunks: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        let last = hunks.last().and_then(|hunk| hunk.last());
        let is_near = last.is_some_and(|l| change.start <= l.start + l.removed + 2 * CONTEXT);
        match hunks.last_mut().filter(|_| is_near) {
            Some(hunk) => hunk.push(change),
            None => hunks.push(vec![change]),
        }
    }
    if hunks.is_empty() {
        return String::new();
    }
    let shown = shown(path);
    // Writing to a string has no way to fail.
    let (mut out, mut shift) = (String::new(), 0_i64);
    if path.is_absolute() {
        writeln!(out, "--- {shown}\n+++ {shown}").unwrap_or_default();
    } else {
        writeln!(out, "--- a/{shown}\n+++ b/{shown}").unwrap_or_default();
    }
    for hunk in hunks {
        shift += one(&mut out, &lines, &hunk, shift);
    }
    out
}

/// Writes one hunk; by how many lines it makes the file longer.
fn one(out: &mut String, lines: &[&str], hunk: &[Change], shift: i64) -> i64 {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return 0 };
    let start = first.start.saturating_sub(CONTEXT);
    let end = (last.start + last.removed + CONTEXT).min(lines.len());
    let removed: usize = hunk.iter().map(|change| change.removed).sum();
    let added: usize = hunk.iter().map(|change| change.added.len()).sum();
    let (old, grown) = (end - start, added as i64 - removed as i64);
    let (new, at) = (old as i64 + grown, start as i64 + 1);
    writeln!(out, "@@ -{at},{old} +{},{new} @@", at + shift).unwrap_or_default();
    let mut next = start;
    for change in hunk {
        keep(out, lines, next, change.start);
        let going = lines.get(change.start..change.start + change.removed).unwrap_or_default();
        for line in going {
            push(out, '-', line);
        }
        let ending = match going.last() {
            Some(line) if line.ends_with("\r\n") => "\r\n",
            Some(line) if !line.ends_with('\n') => "",
            _ => "\n",
        };
        let inner = if ending == "\r\n" { "\r\n" } else { "\n" };
        for (at, line) in change.added.iter().enumerate() {
            let is_last = at + 1 == change.added.len();
            push(out, '+', &format!("{line}{}", if is_last { ending } else { inner }));
        }
        next = change.start + change.removed;
    }
    keep(out, lines, next, end);
    grown
}

fn keep(out: &mut String, lines: &[&str], from: usize, to: usize) {
    for line in lines.get(from..to).unwrap_or_default() {
        push(out, ' ', line);
    }
}

fn push(out: &mut String, sign: char, line: &str) {
    out.push(sign);
    out.push_str(line);
    if !line.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(start: usize, added: &str) -> Change {
        Change { start, removed: 1, added: vec![added.to_owned()] }
    }

    fn thirty_lines() -> String {
        (0..30).map(|n| ["l", n.to_string().as_str(), "\n"].concat()).collect()
    }

    #[test]
    fn near_changes_share_a_hunk_and_far_ones_do_not() {
        let text = thirty_lines();
        let diff =
            unified(Path::new("./f"), &text, vec![change(20, "c"), change(1, "a"), change(4, "b")]);
        assert!(
            diff.starts_with(
                "--- a/f\n+++ b/f\n@@ -1,8 +1,8 @@\n l0\n-l1\n+a\n l2\n l3\n-l4\n+b\n"
            )
        );
        assert_eq!(diff.matches("@@ -").count(), 2);
        assert!(diff.contains("@@ -18,7 +18,7 @@\n l17\n"));
    }

    #[test]
    fn later_hunks_know_how_much_earlier_ones_took_away() {
        let text = thirty_lines();
        let shorter = Change { start: 1, removed: 3, added: vec!["a".into()] };
        let diff = unified(Path::new("f"), &text, vec![shorter, change(20, "c")]);
        assert!(diff.contains("@@ -1,7 +1,5 @@") && diff.contains("@@ -18,7 +16,7 @@"), "{diff}");
    }

    #[test]
    fn a_missing_end_of_line_and_carriage_returns_stay_as_they_are() {
        let diff = unified(Path::new("f"), "a\nb", vec![change(1, "c")]);
        assert!(
            diff.ends_with(
                " a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n"
            )
        );
        let diff = unified(Path::new("f"), "a\r\nb\r\n", vec![change(0, "c")]);
        assert!(diff.contains("-a\r\n+c\r\n b\r\n"));
    }

    #[test]
    fn no_change_is_no_diff() {
        assert_eq!(unified(Path::new("f"), "a\n", Vec::new()), "");
    }
}
