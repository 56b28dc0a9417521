//! Sorted text tables, searched where they lie.
//!
//! A table is tab-separated text that ships in the binary: comment lines that
//! begin with `# `, then one row a line, sorted by its first cell without
//! regard to ASCII case. Nothing is parsed but the rows that a search touches.

use std::cmp::Ordering;

/// The rows without the comment lines before them.
pub(crate) fn rows(table: &'static str) -> &'static str {
    let mut rest = table;
    while rest.starts_with("# ") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// The cell at `column`, from 0; empty where the row ends before it.
pub(crate) fn cell(row: &'static str, column: usize) -> &'static str {
    row.split('\t').nth(column).unwrap_or("")
}

/// The row whose first cell is `key`, whatever its ASCII case.
pub(crate) fn find(rows: &'static str, key: &str) -> Option<&'static str> {
    let bytes = rows.as_bytes();
    // Both are always the starts of rows, or the end of the table.
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = bytes.get(low..middle)?;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let row = rows.get(start..high)?;
        let row = row.split_once('\n').map_or(row, |(row, _)| row);
        match compare(cell(row, 0), key) {
            Ordering::Equal => return Some(row),
            Ordering::Less => low = start + row.len() + 1,
            Ordering::Greater => high = start,
        }
    }
    None
}

fn compare(left: &str, right: &str) -> Ordering {
    left.bytes()
        .map(|byte| byte.to_ascii_lowercase())
        .cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{cell, find, rows};

    const TABLE: &str = "# one\n# two\na\t1\nAb\t2\nb/c\t3\t\tx\nzz\t4\n";

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for (key, value) in [("a", "1"), ("ab", "2"), ("AB", "2"), ("b/c", "3"), ("zz", "4")] {
            assert_eq!(find(rows(TABLE), key).map(|row| cell(row, 1)), Some(value), "{key}");
        }
        for key in ["", "0", "aa", "b", "b/", "b/cc", "zzz", "# one"] {
            assert_eq!(find(rows(TABLE), key), None, "{key}");
        }
    }

    #[test]
    fn cells_past_the_end_are_empty() {
        let row = find(rows(TABLE), "b/c").unwrap();
        assert_eq!((cell(row, 2), cell(row, 3), cell(row, 4)), ("", "x", ""));
    }
}
