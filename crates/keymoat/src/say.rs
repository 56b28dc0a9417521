//! What people read on the terminal. A closed pipe is no error: who reads has
//! read enough.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// To standard output, as it is.
pub(crate) fn out(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// `text` without what would drive a terminal.
pub(crate) fn tame(text: &str) -> String {
    let drives = |l: char| l.is_control() && !matches!(l, '\n' | '\t' | '\r');
    text.chars().map(|l| if drives(l) { '\u{fffd}' } else { l }).collect()
}

/// To standard error, with a line's end.
pub(crate) fn err(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// To standard error, as it is: a line that the next one overwrites.
pub(crate) fn passing(text: &str) {
    let mut stream = std::io::stderr().lock();
    drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
}

/// To a file, all of it or nothing: whoever reads it meets the old text or the
/// new one. A link is followed, and a device such as `/dev/stdout` written to.
pub(crate) fn file(path: &Path, text: &str) -> std::io::Result<()> {
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|kind| !kind.is_file()) {
        return std::fs::write(path, text);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written
}

/// Rows in columns that line up; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string has no way to fail.
            write!(line, "{cell:<width$}  ").unwrap_or_default();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = super::table(&[row(["KEY", "SPEND"]), row(["sk-...abcd", "0"])]);
        assert_eq!(text, "KEY         SPEND\nsk-...abcd  0\n");
    }
}
