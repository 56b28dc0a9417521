//! Source that people read otherwise than Python does: names in letters of
//! another script that look like a name that is there too, and marks that turn
//! the order of letters and are not closed.

use std::collections::{BTreeMap, BTreeSet};

/// Letters of other scripts that look like those of ASCII.
const ALIKE: [(char, char); 44] = [
    ('а', 'a'),
    ('е', 'e'),
    ('о', 'o'),
    ('р', 'p'),
    ('с', 'c'),
    ('у', 'y'),
    ('х', 'x'),
    ('і', 'i'),
    ('ј', 'j'),
    ('ѕ', 's'),
    ('һ', 'h'),
    ('ԁ', 'd'),
    ('ԛ', 'q'),
    ('ԝ', 'w'),
    ('ո', 'n'),
    ('ս', 'u'),
    ('ց', 'g'),
    ('А', 'A'),
    ('В', 'B'),
    ('Е', 'E'),
    ('К', 'K'),
    ('М', 'M'),
    ('Н', 'H'),
    ('О', 'O'),
    ('Р', 'P'),
    ('С', 'C'),
    ('Т', 'T'),
    ('Х', 'X'),
    ('У', 'Y'),
    ('І', 'I'),
    ('Ѕ', 'S'),
    ('Ј', 'J'),
    ('ο', 'o'),
    ('ν', 'v'),
    ('α', 'a'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'u'),
    ('Α', 'A'),
    ('Β', 'B'),
    ('Ε', 'E'),
    ('Ο', 'O'),
];
/// Names that everybody takes for Python's own.
const KNOWN: [&str; 24] = [
    "os",
    "sys",
    "print",
    "open",
    "exec",
    "eval",
    "input",
    "len",
    "str",
    "int",
    "json",
    "requests",
    "socket",
    "subprocess",
    "self",
    "True",
    "False",
    "None",
    "isinstance",
    "hash",
    "id",
    "type",
    "repr",
    "range",
];
/// Findings in one file.
const FOUND_MAX: usize = 20;

/// Lines on which something reads otherwise than it is, and what.
pub(crate) fn disguised(text: &str) -> Vec<(u32, String)> {
    if text.is_ascii() {
        return Vec::new();
    }
    let mut found = Vec::new();
    // The first and the last line of each name in ASCII; what Python knows is anywhere.
    let mut plain: BTreeMap<&str, (u32, u32)> =
        KNOWN.into_iter().map(|name| (name, (0, u32::MAX))).collect();
    let mut foreign: Vec<(u32, &str, String)> = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        if !line.is_ascii() && unclosed(line) {
            found.push((number, "marks that turn the order of letters are not closed".to_owned()));
        }
        for name in names(line) {
            if name.is_ascii() {
                plain.entry(name).or_insert((number, number)).1 = number;
            } else if let Some(seen) = skeleton(name).filter(|_| is_used(line, name)) {
                foreign.push((number, name, seen));
            }
        }
    }
    let mut told = BTreeSet::new();
    for (line, name, seen) in foreign {
        // A table of letters and what they stand for has both on one line.
        let twin = plain.get(seen.as_str()).is_some_and(|(a, b)| *a != line || *b != line);
        if twin && told.insert(name) {
            found.push((line, format!("{name} looks like {seen} and is another name")));
        }
    }
    found.truncate(FOUND_MAX);
    found
}

/// Returns true if `name` is called, defined, imported or set on `line`, and not
/// a word of a comment.
fn is_used(line: &str, name: &str) -> bool {
    let code = line.split('#').next().unwrap_or(line);
    code.match_indices(name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default().trim_end();
        let after = code.get(at + name.len()..).unwrap_or_default().trim_start();
        ["def", "class", "import", "from", "as", "return", "."].iter().any(|w| before.ends_with(w))
            || after.starts_with(['(', '.', '[', '='])
    })
}

/// What could be a name on a line, in a text or not: what is hidden in texts
/// may be executed.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|name| name.len() > 1 && !name.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// The ASCII that `name` looks like, if it does: some of its letters are ASCII,
/// and the others only look so.
fn skeleton(name: &str) -> Option<String> {
    let letters = name.chars().count();
    if letters < 3 && !KNOWN.contains(&alike(name)?.as_str()) {
        return None;
    }
    if !name.bytes().any(|byte| byte.is_ascii_alphabetic()) && letters < 4 {
        return None;
    }
    alike(name)
}

/// `name` with the letters of ASCII that its own look like.
fn alike(name: &str) -> Option<String> {
    name.chars()
        .map(|letter| {
            if letter.is_ascii() {
                return Some(letter);
            }
            ALIKE.iter().find(|(from, _)| *from == letter).map(|(_, to)| *to)
        })
        .collect()
}

/// Returns true if a line opens a run of letters in another order and does not
/// close it.
fn unclosed(line: &str) -> bool {
    let (mut embedded, mut isolated) = (0_i32, 0_i32);
    for letter in line.chars() {
        match letter {
            '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' => embedded += 1,
            '\u{202c}' => embedded = (embedded - 1).max(0),
            '\u{2066}' | '\u{2067}' | '\u{2068}' => isolated += 1,
            '\u{2069}' => isolated = (isolated - 1).max(0),
            _ => {}
        }
    }
    embedded > 0 || isolated > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_disguised_only_where_what_it_looks_like_is_there_too() {
        let twin = "def hash_it(p): ...\ndef h\u{430}sh_it(p): return p\n";
        assert_eq!(disguised(twin).len(), 1);
        assert_eq!(disguised("d\u{3b1} = 1\n\u{3b1} = 2\n\u{3bb} = 3\n"), []);
        assert_eq!(disguised("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} = 1\n"), []);
        assert_eq!(disguised("import \u{43e}s\n").len(), 1);
        assert_eq!(disguised("t = str.maketrans('\u{410}\u{412}\u{421}\u{415}.', 'ABCE+')\n"), []);
    }

    #[test]
    fn marks_that_turn_letters_are_told_if_they_stay_open() {
        assert_eq!(disguised("x = '\u{202e}abc'  # \u{2066}y\n").len(), 1);
        assert_eq!(disguised("x = '\u{2067}\u{5d0}\u{2069}'\n"), []);
    }
}
