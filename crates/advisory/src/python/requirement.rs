//! One requirement, `name[extra]>=1,<2; marker` or `name @ url` (PEP 508).

use super::marker;
use super::specifier::{Specifiers, is_blank};

/// Of a text that is wrong, what a message shows.
const QUOTED_MAX_CHARS: usize = 60;

/// What is wanted of one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name, as it was written.
    pub name: String,
    /// Its extras, as they were written.
    pub extras: Vec<String>,
    /// Which versions.
    pub specifiers: Specifiers,
    /// Where from, if not from an index.
    pub url: Option<String>,
    /// When, as text.
    pub marker: Option<String>,
}

impl Requirement {
    /// `text` as a requirement; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut scan = Scan::new(text);
        scan.space();
        let name = identifier(&mut scan).ok_or("it does not begin with a package name")?.to_owned();
        scan.space();
        let extras = extras(&mut scan)?;
        scan.space();
        if scan.take("@") {
            return Self::at_url(&mut scan, name, extras);
        }
        let bracketed = scan.take("(");
        let specifiers = specifiers(&mut scan)?;
        if bracketed && !scan.take(")") {
            return Err("a bracket is opened and not closed".into());
        }
        scan.space();
        let marker = marker_after(&mut scan)?;
        Ok(Self { name, extras, specifiers, url: None, marker })
    }

    fn at_url(scan: &mut Scan<'_>, name: String, extras: Vec<String>) -> Result<Self, String> {
        scan.space();
        let url = scan.until_space();
        if url.is_empty() {
            return Err("there is no address after `@`".into());
        }
        let url = Some(url.to_owned());
        scan.space();
        let marker = marker_after(scan)?;
        Ok(Self { name, extras, specifiers: Specifiers::default(), url, marker })
    }
}

fn marker_after(scan: &mut Scan<'_>) -> Result<Option<String>, String> {
    if scan.at_end() {
        return Ok(None);
    }
    if !scan.take(";") {
        return Err(format!("`{}` is neither a version nor `; marker`", quoted(scan.rest)));
    }
    let text = scan.rest;
    let marker = marker::expression(scan, 0);
    if marker.is_none() || !scan.at_end() {
        return Err(format!("`{}` is not an environment marker", quoted(text)));
    }
    Ok(Some(text.trim().to_owned()))
}

fn extras(scan: &mut Scan<'_>) -> Result<Vec<String>, String> {
    let mut extras = Vec::new();
    if !scan.take("[") {
        return Ok(extras);
    }
    scan.space();
    while let Some(extra) = identifier(scan) {
        extras.push(extra.to_owned());
        scan.space();
        if !scan.take(",") {
            break;
        }
        scan.space();
        if scan.rest.starts_with(']') {
            return Err("there is no extra after the comma".into());
        }
    }
    scan.space();
    if scan.take("]") { Ok(extras) } else { Err("the list of extras is not closed".into()) }
}

/// Comparisons separated by commas; one comma may follow the last.
fn specifiers(scan: &mut Scan<'_>) -> Result<Specifiers, String> {
    scan.space();
    let mut parts: Vec<&str> = Vec::new();
    while scan.rest.starts_with(['=', '!', '~', '<', '>']) {
        let whole = scan.rest;
        scan.while_in(&['=', '!', '~', '<', '>']);
        // A line's end is a blank here and nowhere else, as `packaging` has it.
        scan.rest = scan.rest.trim_start_matches(is_blank);
        scan.while_not(|l| is_blank(l) || matches!(l, ',' | ';' | ')' | '('));
        let part = whole.get(..whole.len() - scan.rest.len()).unwrap_or_default();
        parts.push(part.trim());
        scan.space();
        if !scan.take(",") {
            break;
        }
        scan.space();
    }
    let wrong =
        |part: String| format!("`{}` is not a version comparison such as `>=1.0`", quoted(&part));
    if scan.rest.starts_with(',') {
        return Err(wrong(",".into()));
    }
    Specifiers::read(&parts.join(",")).map_err(wrong)
}

/// Letters, digits, `.`, `-`, `_`; the first a letter or digit, the last no `.`
/// or `-`: these are left for what follows, which then has no place there.
fn identifier<'t>(scan: &mut Scan<'t>) -> Option<&'t str> {
    let inside = |l: char| l.is_ascii_alphanumeric() || matches!(l, '.' | '-' | '_');
    if !scan.rest.starts_with(|l: char| l.is_ascii_alphanumeric()) {
        return None;
    }
    let end = scan.rest.find(|l| !inside(l)).unwrap_or(scan.rest.len());
    let follows_on = scan.rest.get(end..)?.starts_with(char::is_alphanumeric);
    let found = scan.rest.get(..end)?.trim_end_matches(['.', '-']);
    if follows_on {
        return None;
    }
    scan.rest = scan.rest.get(found.len()..)?;
    Some(found)
}

/// The beginning of `text` as a message may show it: of an address no more
/// than its scheme, since what follows may be a password.
pub fn quoted(text: &str) -> String {
    let text = text.trim();
    match text.split_once("://") {
        Some((before, _)) => {
            format!("{}://…", before.chars().take(QUOTED_MAX_CHARS).collect::<String>())
        }
        None => text.chars().take(QUOTED_MAX_CHARS).collect(),
    }
}

/// A place in a text that moves forward.
pub(super) struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Scan<'t> {
    pub(super) fn new(rest: &'t str) -> Self {
        Self { rest }
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.space();
        self.rest.is_empty()
    }

    /// Skips blanks and tabs; whether there were any. A line's end is none.
    pub(super) fn space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.len() < before
    }

    /// Skips `text` if it is next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    /// Skips `text` if it is next and ends there.
    pub(super) fn word(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        if rest.starts_with(|l: char| l.is_alphanumeric() || l == '_') {
            return false;
        }
        self.rest = rest;
        true
    }

    /// Skips up to `text`, which must come.
    pub(super) fn until(&mut self, text: &str) -> Option<&'t str> {
        let at = self.rest.find(text)?;
        let found = self.rest.get(..at)?;
        self.rest = self.rest.get(at..)?;
        Some(found)
    }

    fn until_space(&mut self) -> &'t str {
        let whole = self.rest;
        self.while_not(|l| matches!(l, ' ' | '\t'));
        whole.get(..whole.len() - self.rest.len()).unwrap_or_default()
    }

    fn while_in(&mut self, letters: &[char]) {
        self.rest = self.rest.trim_start_matches(letters);
    }

    fn while_not(&mut self, stop: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(|l| !stop(l));
    }
}
