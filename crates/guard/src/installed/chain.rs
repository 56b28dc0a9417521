//! From a line of start-up code to the modules that it imports, and on: all of
//! that runs at every Python start, too.

use super::conduct::{self, Source, Sources};
use crate::finding::{Evidence, Finding, Kind};
use crate::judge::conduct::{self as combine, Open, Part};
use pycode::Role;
use pycode::fact::{When, excerpt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Modules that are followed from one line.
const MODULES_MAX: usize = 2000;

/// Source files by the names under which they are imported.
pub(super) struct Modules<'s> {
    by_name: BTreeMap<&'s str, &'s Source>,
    open: Open<'s>,
}

impl<'s> Modules<'s> {
    pub(super) fn of(sources: &'s Sources, open: Open<'s>) -> Self {
        let all = sources.values().flatten();
        Self { by_name: all.map(|source| (source.module.as_str(), source)).collect(), open }
    }

    /// What `text`, which stands on line `number` of `path` and runs at every
    /// Python start, does with all that it imports.
    pub(super) fn judge(
        &self,
        path: &Path,
        number: u32,
        text: &str,
        role: Role,
    ) -> Option<Finding> {
        let mut summary = pycode::apart(|| pycode::read(role, text.as_bytes()))?;
        for fact in &mut summary.facts {
            if number > 0 {
                fact.line = number;
            }
        }
        let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let module = if number > 0 { String::new() } else { module.to_owned() };
        let line = Source { path: path.to_owned(), module, summary: Arc::new(summary) };
        let mut all = vec![line];
        all.extend(self.reached(all.first()?).into_iter().map(|source| Source {
            path: source.path.clone(),
            module: source.module.clone(),
            summary: Arc::clone(&source.summary),
        }));
        let parts: Vec<Part<'_>> = all.iter().map(conduct::part).collect();
        let verdict = combine::at_start(&parts, self.open)?;
        let subject = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let when = "It runs at every Python start in this environment (pip, editors and scripts alike; no import is needed). That an installer recorded it makes it no better.";
        let mut finding = conduct::finding(&verdict, &all, subject.to_owned(), when);
        finding.kind = Kind::StartupCode;
        finding.rule = crate::rule::Rule::StartupHarm;
        let first = text.trim().lines().next().unwrap_or_default();
        let seen = format!("{} bytes, run at every start: {}", text.len(), excerpt(first));
        finding.evidence.retain(|seen| seen.place.as_ref().is_none_or(|p| *p.file != *path));
        let place = Some(super::about(path).at(number.max(1)));
        finding.evidence.insert(0, Evidence { place, text: seen });
        finding.do_first = "Start no Python here, pip neither. Cut the machine off the network, keep a copy of the file, and look for what it left behind. Then replace every secret that was readable here, from a clean machine.".into();
        Some(finding)
    }

    /// The modules that `first` imports, and those that they import.
    fn reached(&self, first: &Source) -> Vec<&'s Source> {
        let mut names = BTreeSet::new();
        let mut found: Vec<&'s Source> = Vec::new();
        let mut wanted = imports(first);
        while let Some(name) = wanted.pop() {
            if found.len() >= MODULES_MAX || !names.insert(name.clone()) {
                continue;
            }
            if let Some(source) = self.by_name.get(name.as_str()) {
                found.push(source);
                wanted.extend(imports(source));
            }
        }
        found
    }
}

/// The modules that a file imports: `a`, `a.b` and `a.b.c` for `a.b.c`. What it
/// calls names modules, too, and `from a import b` may name one.
fn imports(source: &Source) -> Vec<String> {
    let package = source.summary.is_package;
    let called = source.summary.calls.iter().filter(|(when, _)| *when == When::Import);
    let named = source.summary.imports.iter().chain(called.map(|(_, name)| name));
    named
        .flat_map(|name| {
            let name = combine::absolute(&source.module, package, name);
            let ends: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
            let parts = ends.into_iter().filter_map(|at| name.get(..at).map(str::to_owned));
            parts.chain([name.clone()]).collect::<Vec<_>>()
        })
        .collect()
}
