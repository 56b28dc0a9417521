//! `uv.lock` exactly as uv writes it, line by line: five times as fast as a
//! TOML parser, on the largest files there are.
//!
//! Gives up (`None`) on everything that uv does not write, spoilt files
//! included: the TOML parser then has the last word, and the error. What is
//! read here is what it would have read; a test compares the two.

use super::uv_lock::{Artefact, Entry};

/// Inline tables inside each other.
const DEPTH_MAX: usize = 4;

/// A value as uv writes it on one line.
enum Value<'t> {
    Text(&'t str),
    Other,
    Table(Vec<(&'t str, Value<'t>)>),
    List(Vec<Value<'t>>),
}

impl<'t> Value<'t> {
    fn text(&self) -> Option<&'t str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn table(&self) -> Option<&[(&'t str, Value<'t>)]> {
        match self {
            Self::Table(members) => Some(members),
            _ => None,
        }
    }

    fn list(&self) -> Option<&[Value<'t>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

/// The part of the file that a line stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Top,
    Options,
    Manifest,
    Package,
    Optional,
    Dev,
    Metadata,
    RequiresDev,
}

impl Part {
    fn of(header: &str) -> Option<Self> {
        Some(match header {
            "[options]" => Self::Options,
            "[manifest]" => Self::Manifest,
            "[[package]]" => Self::Package,
            "[package.optional-dependencies]" => Self::Optional,
            "[package.dev-dependencies]" => Self::Dev,
            "[package.metadata]" => Self::Metadata,
            "[package.metadata.requires-dev]" => Self::RequiresDev,
            _ => return None,
        })
    }

    fn is_of_package(self) -> bool {
        !matches!(self, Self::Top | Self::Options | Self::Manifest | Self::Package)
    }
}

/// The packages in `text`, if every line is one that uv writes.
pub(super) fn read(text: &str) -> Option<Vec<Entry<'_>>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut part = Part::Top;
    let mut has_version = false;
    // What was seen in this table, and which tables of the file and of the package.
    let (mut keys, mut tables): (Vec<&str>, Vec<Part>) = (Vec::new(), vec![Part::Top]);
    let mut lines = Lines { rest: text, number: 0 };
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if line.starts_with('[') {
            part = Part::of(line)?;
            keys.clear();
            if part == Part::Package {
                finish(entries.last())?;
                entries.push(Entry::default());
                tables.retain(|table| !table.is_of_package());
            } else if tables.contains(&part) || (part.is_of_package() && entries.is_empty()) {
                return None;
            } else {
                tables.push(part);
            }
            continue;
        }
        let (key, rest) = line.split_once(" = ")?;
        if !is_bare(key) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
        let (at, value) = (lines.number, lines.value(rest)?);
        match part {
            Part::Top if matches!(key, "package" | "options" | "manifest") => return None,
            Part::Top if key == "version" => {
                if rest != "1" {
                    return None;
                }
                has_version = true;
            }
            Part::Metadata if key == "requires-dev" => return None,
            Part::Top | Part::Options | Part::Manifest | Part::Metadata | Part::RequiresDev => {}
            Part::Optional | Part::Dev => needed(&value, entries.last_mut()?)?,
            Part::Package => field(key, &value, at, entries.last_mut()?)?,
        }
    }
    finish(entries.last())?;
    has_version.then_some(entries)
}

/// A package without a name is an error that the other parser words.
fn finish(entry: Option<&Entry<'_>>) -> Option<()> {
    entry.is_none_or(|entry| entry.line > 0).then_some(())
}

fn field<'t>(key: &str, value: &Value<'t>, at: u32, entry: &mut Entry<'t>) -> Option<()> {
    match key {
        "name" => {
            entry.name = value.text()?.into();
            entry.line = at;
        }
        "version" => entry.version = Some(value.text()?.into()),
        "source" => {
            let texts = [
                ("registry", &mut entry.source.registry),
                ("git", &mut entry.source.git),
                ("url", &mut entry.source.url),
                ("path", &mut entry.source.path),
                ("directory", &mut entry.source.directory),
                ("editable", &mut entry.source.editable),
                ("virtual", &mut entry.source.r#virtual),
            ];
            let members = value.table()?;
            for (name, slot) in texts {
                if let Some((_, value)) = members.iter().find(|(key, _)| *key == name) {
                    *slot = Some(value.text()?.into());
                }
            }
        }
        "sdist" => entry.sdist = Some(artefact(value)?),
        "wheels" => {
            for wheel in value.list()? {
                entry.wheels.push(artefact(wheel)?);
            }
        }
        "dependencies" => needed(value, entry)?,
        "optional-dependencies" | "dev-dependencies" | "metadata" => return None,
        _ => {}
    }
    Some(())
}

fn artefact<'t>(value: &Value<'t>) -> Option<Artefact<'t>> {
    let mut artefact = Artefact::default();
    for (key, value) in value.table()? {
        match *key {
            "url" => artefact.url = Some(value.text()?.into()),
            "hash" => artefact.hash = Some(value.text()?.into()),
            "upload-time" => artefact.upload_time = Some(value.text()?.into()),
            _ => {}
        }
    }
    Some(artefact)
}

fn needed<'t>(value: &Value<'t>, entry: &mut Entry<'t>) -> Option<()> {
    for item in value.list()? {
        let (_, name) = item.table()?.iter().find(|(key, _)| *key == "name")?;
        entry.needed.push(name.text()?.into());
    }
    Some(())
}

struct Lines<'t> {
    rest: &'t str,
    number: u32,
}

impl<'t> Lines<'t> {
    /// The next line; the last one must have an end too, as uv gives it.
    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        Some(line)
    }

    /// A value that begins with `first`: on this line, or a list whose items
    /// have a line each.
    fn value(&mut self, first: &'t str) -> Option<Value<'t>> {
        if first != "[" {
            return whole(first);
        }
        let mut items = Vec::new();
        loop {
            let line = self.next()?;
            if line == "]" {
                return Some(Value::List(items));
            }
            items.push(whole(line.strip_prefix("    ")?.strip_suffix(',')?)?);
        }
    }
}

/// All of `text` as one value.
fn whole(text: &str) -> Option<Value<'_>> {
    let mut rest = text;
    let value = value(&mut rest, 0)?;
    rest.is_empty().then_some(value)
}

fn value<'t>(rest: &mut &'t str, depth: usize) -> Option<Value<'t>> {
    if depth > DEPTH_MAX {
        return None;
    }
    match rest.as_bytes().first()? {
        b'"' => {
            let (text, after) = rest.get(1..)?.split_once('"')?;
            // Escapes and control characters are the other parser's business.
            if text.bytes().any(|byte| byte == b'\\' || byte < b' ' || byte == 0x7f) {
                return None;
            }
            *rest = after;
            Some(Value::Text(text))
        }
        b'{' => {
            *rest = rest.strip_prefix("{ ")?;
            let mut members: Vec<(&str, Value<'_>)> = Vec::new();
            loop {
                let (key, after) = rest.split_once(" = ")?;
                if !is_bare(key) || members.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                *rest = after;
                members.push((key, value(rest, depth + 1)?));
                if let Some(after) = rest.strip_prefix(" }") {
                    *rest = after;
                    return Some(Value::Table(members));
                }
                *rest = rest.strip_prefix(", ")?;
            }
        }
        b'[' => {
            *rest = rest.strip_prefix('[')?;
            let mut items = Vec::new();
            loop {
                if let Some(after) = rest.strip_prefix(']') {
                    *rest = after;
                    return Some(Value::List(items));
                }
                if !items.is_empty() {
                    *rest = rest.strip_prefix(", ")?;
                }
                items.push(value(rest, depth + 1)?);
            }
        }
        b't' | b'f' => {
            *rest = rest.strip_prefix("true").or_else(|| rest.strip_prefix("false"))?;
            Some(Value::Other)
        }
        b'0'..=b'9' => {
            let end = rest.find(|l: char| !l.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at_checked(end)?;
            // No leading zero, and well within 64 bits.
            if digits.len() > 18 || (digits.len() > 1 && digits.starts_with('0')) {
                return None;
            }
            *rest = after;
            Some(Value::Other)
        }
        _ => None,
    }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::super::uv_lock::{read_lines, read_toml};
    use crate::inventory::Place;

    const WRITTEN: &str = r#"version = 1
revision = 3
requires-python = ">=3.12"
resolution-markers = [
    "python_full_version >= '3.13'",
    "python_full_version < '3.13'",
]

[options]
exclude-newer = "2026-03-01T00:00:00Z"

[manifest]
members = [
    "app",
    "lib",
]

[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "litellm", extra = ["proxy"], marker = "sys_platform == 'linux'" },
    { name = "thing", version = "1.0", source = { registry = "https://index.example/simple" } },
]

[package.optional-dependencies]
more = [
    { name = "lib" },
]

[package.dev-dependencies]
dev = [
    { name = "tool" },
]

[package.metadata]
requires-dist = [
    { name = "litellm", specifier = ">=1.0" },
]
provides-extras = ["more"]

[package.metadata.requires-dev]
dev = [{ name = "tool" }]

[[package]]
name = "litellm"
version = "1.82.6"
source = { registry = "https://index.example/simple" }
dependencies = [
    { name = "thing" },
]
sdist = { url = "https://files.example/l.tar.gz", hash = "sha256:aa", size = 12, upload-time = "2026-03-01T00:00:00.123Z" }
wheels = [
    { url = "https://files.example/l.whl", hash = "sha256:bb", size = 0, upload-time = "2026-03-02T00:00:00Z" },
]

[[package]]
name = "lib"
source = { git = "https://code.example/lib?rev=1#84748be16341b76e073d117329f7f5f4ee2941ad" }

[[package]]
name = "thing"
version = "1.0"
source = { registry = "https://index.example/simple" }
wheels = []
"#;

    #[test]
    fn what_uv_writes_is_read_as_the_toml_parser_reads_it() {
        let place = Place::whole("uv.lock");
        let lines = read_lines(WRITTEN, &place).expect("every line is one that uv writes");
        let toml = read_toml(WRITTEN, &place).unwrap();
        assert_eq!(lines.packages, toml.packages);
        assert_eq!(lines.packages.len(), 4);
    }

    /// Every line taken out, doubled, swapped or changed in one place: the two
    /// parsers agree, or the fast one leaves it to the other.
    #[test]
    fn what_uv_does_not_write_is_left_to_the_toml_parser() {
        let place = Place::whole("uv.lock");
        let lines: Vec<&str> = WRITTEN.split('\n').collect();
        let (mut agreed, mut left) = (0, 0);
        let mut compare = |text: &str| match (read_lines(text, &place), read_toml(text, &place)) {
            (None, _) => left += 1,
            (Some(fast), Ok(toml)) => {
                assert_eq!(fast.packages, toml.packages, "{text}");
                agreed += 1;
            }
            (Some(_), Err(error)) => panic!("read what is no TOML: {error}\n{text}"),
        };
        for number in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(number);
            compare(&without.join("\n"));
            let mut doubled = lines.clone();
            doubled.insert(number, lines[number]);
            compare(&doubled.join("\n"));
            for other in (number % 11..lines.len()).step_by(11) {
                let mut swapped = lines.clone();
                swapped.swap(number, other);
                compare(&swapped.join("\n"));
            }
        }
        let odd = [
            "\"", "{", "}", "[", "]", ",", " ", "=", "\\", "#", "'", "\r", "\t", "\u{1}", "a", "0",
            ".", "\n", "é",
        ];
        // Every place once, each with one of the texts: the sum is what matters.
        for at in (0..WRITTEN.len()).filter(|at| WRITTEN.is_char_boundary(*at)) {
            let (before, after) = WRITTEN.split_at(at);
            for text in odd.iter().skip(at % 7).step_by(7) {
                compare(&format!("{before}{text}{after}"));
            }
            compare(&format!("{before}{}", after.get(1..).unwrap_or_default()));
        }
        assert!(agreed > 1_000 && left > 2_000, "{agreed} {left}");
    }
}
