//! Environment markers, `python_version < "3.9" and extra == "x"` (PEP 508).
//!
//! They are checked for form and kept as text. They are not evaluated: which
//! interpreter will read a file is not known here, and a package that is only
//! wanted somewhere is still wanted.

use super::requirement::Scan;

const VARIABLES: [&str; 20] = [
    "python_full_version",
    "python_version",
    "os_name",
    "os.name",
    "sys_platform",
    "sys.platform",
    "platform_release",
    "platform_system",
    "platform_version",
    "platform.version",
    "platform_machine",
    "platform.machine",
    "platform_python_implementation",
    "platform.python_implementation",
    "python_implementation",
    "implementation_name",
    "implementation_version",
    "extras",
    "extra",
    "dependency_groups",
];
const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];
/// Brackets inside each other.
const DEPTH_MAX: usize = 50;

/// Returns true if `text` is a marker.
pub fn is_valid(text: &str) -> bool {
    let mut scan = Scan::new(text);
    expression(&mut scan, 0).is_some() && scan.at_end()
}

/// A marker from where `scan` stands; `None` if there is none.
pub(super) fn expression(scan: &mut Scan<'_>, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    loop {
        scan.space();
        if scan.take("(") {
            expression(scan, depth + 1)?;
            scan.space();
            if !scan.take(")") {
                return None;
            }
        } else {
            operand(scan)?;
            scan.space();
            operator(scan)?;
            scan.space();
            operand(scan)?;
        }
        scan.space();
        if !(scan.word("and") || scan.word("or")) {
            return Some(());
        }
    }
}

fn operand(scan: &mut Scan<'_>) -> Option<()> {
    for quote in ["'", "\""] {
        if scan.take(quote) {
            let inside = scan.until(quote)?;
            return (scan.take(quote) && is_python_text(inside)).then_some(());
        }
    }
    VARIABLES.iter().any(|name| scan.word(name)).then_some(())
}

/// Returns true if Python takes `inside` as the inside of a string literal: on one
/// line, every escape complete, none of them by name.
fn is_python_text(inside: &str) -> bool {
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        let digits = match (letter, (letter == '\\').then(|| letters.next())) {
            ('\n' | '\r' | '\0', _) | (_, Some(None | Some('N'))) => return false,
            (_, Some(Some('x'))) => 2,
            (_, Some(Some('u'))) => 4,
            (_, Some(Some('U'))) => 8,
            _ => 0,
        };
        if !(0..digits).all(|_| letters.next().is_some_and(|l| l.is_ascii_hexdigit())) {
            return false;
        }
    }
    true
}

fn operator(scan: &mut Scan<'_>) -> Option<()> {
    if OPERATORS.iter().any(|sign| scan.take(sign)) || scan.word("in") {
        return Some(());
    }
    if scan.word("not") {
        let spaced = scan.space();
        return (spaced && scan.word("in")).then_some(());
    }
    None
}
