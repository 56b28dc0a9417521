//! `pyproject.toml`: what a project asks for, to run and to be built (PEP 621,
//! 735 and 518), and in the tables of Poetry, PDM and uv.

use super::requirements::wanted;
use super::text::Lines;
use super::{Malformed, Reading, full_commit};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Package, Place, Source, Standing};
use crate::python::Requirement;
use crate::python::requirement::quoted;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let lines = Lines::of(text);
    let root = DeTable::parse(text).map_err(|error| Malformed {
        line: error.span().map_or(0, |span| lines.at(span.start)),
        what: super::toml_file::told(error.message()),
    })?;
    let mut file = File { lines, place, reading: Reading::default() };
    let root = root.get_ref();
    file.list(at(root, &["build-system", "requires"]));
    file.list(at(root, &["project", "dependencies"]));
    for path in [
        ["project", "optional-dependencies"].as_slice(),
        &["dependency-groups"],
        &["tool", "pdm", "dev-dependencies"],
    ] {
        for (_, group) in table(at(root, path)) {
            file.list(Some(group));
        }
    }
    // uv's constraints and overrides install nothing by themselves.
    file.list(at(root, &["tool", "uv", "dev-dependencies"]));
    file.uv_sources(at(root, &["tool", "uv", "sources"]));
    file.indexes(at(root, &["tool", "uv"]));
    file.poetry(at(root, &["tool", "poetry", "dependencies"]));
    file.poetry(at(root, &["tool", "poetry", "dev-dependencies"]));
    for (_, group) in table(at(root, &["tool", "poetry", "group"])) {
        if let DeValue::Table(group) = group.get_ref() {
            file.poetry(group.get("dependencies"));
        }
    }
    Ok(file.reading)
}

type Value<'t> = Spanned<DeValue<'t>>;

fn at<'r, 't>(root: &'r DeTable<'t>, path: &[&str]) -> Option<&'r Value<'t>> {
    let (last, before) = path.split_last()?;
    let mut table = root;
    for key in before {
        match table.get(*key)?.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return None,
        }
    }
    table.get(*last)
}

/// The entries of a table, none if it is no table.
fn table<'r, 't>(
    value: Option<&'r Value<'t>>,
) -> impl Iterator<Item = (&'r str, &'r Value<'t>)> + use<'r, 't> {
    let table = match value.map(Spanned::get_ref) {
        Some(DeValue::Table(table)) => Some(table),
        _ => None,
    };
    table.into_iter().flat_map(|t| t.iter().map(|(key, value)| (key.get_ref().as_ref(), value)))
}

fn text<'r>(value: Option<&'r Value<'_>>) -> Option<&'r str> {
    match value?.get_ref() {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

struct File<'p> {
    lines: Lines,
    place: &'p Place,
    reading: Reading,
}

impl File<'_> {
    fn place_of(&self, value: &Value<'_>) -> Place {
        self.place.at(self.lines.at(value.span().start))
    }

    /// Requirements as strings; `{ include-group = … }` says nothing new.
    fn list(&mut self, value: Option<&Value<'_>>) {
        let Some(DeValue::Array(items)) = value.map(Spanned::get_ref) else { return };
        for item in items {
            let DeValue::String(text) = item.get_ref() else { continue };
            let place = self.place_of(item);
            match Requirement::read(text) {
                Ok(requirement) => self.reading.packages.push(wanted(&requirement, &place)),
                Err(why) => self.reading.gaps.push(Gap {
                    why: Why::Malformed,
                    subject: quoted(text),
                    place: Some(place),
                    text: why,
                    do_first: "correct the requirement; installers would refuse it".into(),
                }),
            }
        }
    }

    /// `[tool.uv.sources]` moves a name that is asked for elsewhere.
    fn uv_sources(&mut self, value: Option<&Value<'_>>) {
        for (name, value) in table(value) {
            let name = crate::name::pep503(name);
            let DeValue::Table(entry) = value.get_ref() else { continue };
            let Some(source) = source(entry) else { continue };
            let asked = self.reading.packages.iter_mut().filter(|package| package.name == name);
            asked.for_each(|package| package.source = source.clone());
        }
    }

    fn indexes(&mut self, uv: Option<&Value<'_>>) {
        for (key, value) in table(uv) {
            let unsafe_order = key == "index-strategy"
                && text(Some(value)).is_some_and(|t| t.starts_with("unsafe"));
            if !unsafe_order {
                continue;
            }
            self.reading.findings.push(Finding {
rule: crate::rule::Rule::IndexSettings,
                severity: Severity::Medium,
                kind: Kind::Origin,
                subject: "index-strategy".into(),
                evidence: vec![Evidence { place: Some(self.place_of(value)), text: text(Some(value)).unwrap_or_default().to_owned() }],
                meaning: "Every index is asked for every name and the best version wins: whoever registers one of your private names on the public index wins.".into(),
                do_first: "Remove the setting: by default uv stops at the first index that has the name.".into(),
                advisories: Vec::new(),
            });
        }
    }

    fn poetry(&mut self, value: Option<&Value<'_>>) {
        for (name, value) in table(value) {
            if name == "python" {
                continue;
            }
            let each: Vec<&Value<'_>> = match value.get_ref() {
                // Several entries of one name, for several environments.
                DeValue::Array(items) => items.iter().collect(),
                _ => vec![value],
            };
            for value in each {
                let place = self.place_of(value);
                let mut package = Package::new(Ecosystem::PyPi, name, Standing::Asked, place);
                let constraint = match value.get_ref() {
                    DeValue::String(text) => Some(text.as_ref()),
                    DeValue::Table(entry) => {
                        package.source = source(entry).unwrap_or_else(Source::registry);
                        text(entry.get("version"))
                    }
                    _ => None,
                };
                match constraint.map(poetry_range) {
                    Some((true, exact)) => package = package.at_version(&exact),
                    Some((false, range)) if !range.is_empty() => package.range = Some(range),
                    _ => {}
                }
                self.reading.packages.push(package);
            }
        }
    }
}

fn source(entry: &DeTable<'_>) -> Option<Source> {
    if let Some(url) = text(entry.get("git")) {
        let commit = text(entry.get("rev")).and_then(full_commit);
        return Some(Source::Vcs { url: url.to_owned(), commit });
    }
    if let Some(url) = text(entry.get("url")) {
        return Some(Source::Url { url: url.to_owned() });
    }
    if let Some(path) = text(entry.get("path")) {
        return Some(Source::Path { path: path.into() });
    }
    let is_member =
        matches!(entry.get("workspace").map(Spanned::get_ref), Some(DeValue::Boolean(true)));
    is_member.then_some(Source::Own)
}

/// Poetry's constraint as PEP 440 writes it, and whether it is one version.
/// What has no such form (`||`) is kept as it is.
fn poetry_range(text: &str) -> (bool, String) {
    if text.contains('|') {
        return (false, text.to_owned());
    }
    let mut parts = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "*") {
        if let Some(base) = part.strip_prefix('^') {
            parts.push(format!(">={base}"));
            parts.extend(upper(base, true));
        } else if let Some(base) = part.strip_prefix('~').filter(|base| !base.starts_with('=')) {
            parts.push(format!(">={base}"));
            parts.extend(upper(base, false));
        } else if part.starts_with(|l: char| l.is_ascii_digit()) {
            if !part.contains('*') && text.trim() == part {
                return (true, part.to_owned());
            }
            parts.push(format!("=={part}"));
        } else {
            if let Some(exact) =
                part.strip_prefix("==").filter(|e| !e.contains('*') && text.trim() == part)
            {
                return (true, exact.trim().to_owned());
            }
            parts.push(part.to_owned());
        }
    }
    (false, parts.join(","))
}

/// `<` the version above which `^base` or `~base` ends.
fn upper(base: &str, is_caret: bool) -> Option<String> {
    let version = crate::version::pep440(base)?;
    let numbers = version.release();
    let kept = if is_caret {
        // The first number that is not zero may not change.
        numbers.iter().position(|n| *n != 0).unwrap_or(numbers.len().saturating_sub(1))
    } else {
        numbers.len().saturating_sub(1).min(1)
    };
    let mut raised: Vec<u64> = numbers.iter().take(kept + 1).copied().collect();
    let last = raised.last_mut()?;
    *last = last.saturating_add(1);
    Some(format!("<{}", raised.iter().map(u64::to_string).collect::<Vec<_>>().join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poetry_constraints_become_ranges() {
        for (text, expected) in [
            ("^1.2.3", ">=1.2.3,<2"),
            ("^0.2.3", ">=0.2.3,<0.3"),
            ("^0.0.3", ">=0.0.3,<0.0.4"),
            ("^0", ">=0,<1"),
            ("~1.2.3", ">=1.2.3,<1.3"),
            ("~1", ">=1,<2"),
            ("~=1.4", "~=1.4"),
            ("*", ""),
            ("1.*", "==1.*"),
            (">=1, <2", ">=1,<2"),
            ("^1.0 || ^2.0", "^1.0 || ^2.0"),
        ] {
            assert_eq!(poetry_range(text), (false, expected.to_owned()), "{text}");
        }
        assert_eq!(poetry_range("1.82.8"), (true, "1.82.8".into()));
        assert_eq!(poetry_range("==1.82.8"), (true, "1.82.8".into()));
    }
}
