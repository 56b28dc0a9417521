//! Facts → what they add up to.
//!
//! One fact is a capability, and honest packages have them all. What none of
//! them does is to combine certain ones at import or at installation, when
//! nobody has asked for anything: that is judged here, for each file and then
//! for the package as a whole.

use crate::finding::Severity;
use pycode::fact::{Deed, Fact, Summary, When};
use std::collections::BTreeMap;

/// A file of a package, as its code is named in imports.
pub(crate) struct Part<'a> {
    /// `package.module`; for a program that is run by itself, nothing.
    pub(crate) module: String,
    /// What it does.
    pub(crate) summary: &'a Summary,
}

/// What one file adds up to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict<'a> {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What gave it away, with the number of its file among the parts; the
    /// most telling first.
    pub(crate) evidence: Vec<(usize, &'a Fact)>,
    /// Why that is not honest, in a sentence.
    pub(crate) because: &'static str,
}

/// What each file of a package adds up to, and then the package.
pub(crate) fn judge<'a>(parts: &'a [Part<'a>]) -> Vec<Verdict<'a>> {
    let reached: Vec<Vec<(usize, &Fact)>> = reached(parts);
    let mut verdicts: Vec<Verdict<'a>> = reached.iter().filter_map(|facts| file(facts)).collect();
    if verdicts.is_empty() {
        let all: Vec<(usize, &Fact)> = reached.into_iter().flatten().collect();
        verdicts.extend(package(&all));
    }
    verdicts
}

/// What the files that run at every Python start add up to. Honest start-up
/// code arranges imports; it needs no program, no network and no secret.
pub(crate) fn at_start<'a>(parts: &'a [Part<'a>]) -> Option<Verdict<'a>> {
    const NEVER: [Deed; 9] = [
        Deed::SpawnsCode,
        Deed::SpawnsShell,
        Deed::Spawns,
        Deed::Talks,
        Deed::ReadsSecrets,
        Deed::Drops,
        Deed::Plants,
        Deed::Persists,
        Deed::Packs,
    ];
    if let Some(mut verdict) = judge(parts).into_iter().max_by_key(|verdict| verdict.severity) {
        verdict.severity = Severity::Critical;
        return Some(verdict);
    }
    let all = reached(parts).into_iter().flatten();
    let evidence: Vec<(usize, &Fact)> =
        all.filter(|(_, fact)| NEVER.contains(&fact.deed)).collect();
    let because =
        "Start-up code that starts programs, talks to the network or reads secrets is not honest.";
    (!evidence.is_empty()).then_some(Verdict { severity: Severity::Critical, evidence, because })
}

/// For each file, what happens when it is imported: in itself, and in the
/// functions of its package that it calls.
fn reached<'a>(parts: &'a [Part<'a>]) -> Vec<Vec<(usize, &'a Fact)>> {
    let modules: BTreeMap<&str, usize> =
        parts.iter().enumerate().map(|(index, part)| (part.module.as_str(), index)).collect();
    let mut all = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let here = part.summary.facts.iter().filter(|fact| fact.when == When::Import);
        let mut facts: Vec<(usize, &Fact)> = here.map(|fact| (index, fact)).collect();
        for call in &part.summary.calls {
            let call = absolute(&part.module, part.summary.is_package, call);
            let Some((module, name)) = call.rsplit_once('.') else { continue };
            let Some(other) = modules.get(module).copied() else { continue };
            let Some(called) = parts.get(other) else { continue };
            let inside = |fact: &&Fact| match &fact.when {
                When::Function(of) => of == name,
                _ => false,
            };
            facts.extend(called.summary.facts.iter().filter(inside).map(|fact| (other, fact)));
        }
        all.push(facts);
    }
    all
}

/// A dotted name as seen from `module`: `..x.f` in `a.b.c` is `a.x.f`.
pub(crate) fn absolute(module: &str, is_package: bool, dotted: &str) -> String {
    let name = dotted.trim_start_matches('.');
    let dots = dotted.len() - name.len();
    if dots == 0 {
        return dotted.to_owned();
    }
    let up = if is_package { dots - 1 } else { dots };
    let parts: Vec<&str> = module.split('.').collect();
    let base = parts.get(..parts.len().saturating_sub(up)).unwrap_or_default().join(".");
    if base.is_empty() || name.is_empty() {
        format!("{base}{name}")
    } else {
        format!("{base}.{name}")
    }
}

fn file<'a>(facts: &[(usize, &'a Fact)]) -> Option<Verdict<'a>> {
    let has = |deed: Deed| facts.iter().any(|(_, fact)| fact.deed == deed);
    let kinds = secrets(facts);
    let talks = has(Deed::Talks);
    let steals = has(Deed::ReadsSecrets);
    let because = |severity, because, deeds: &[Deed]| {
        let mut evidence: Vec<(usize, &'a Fact)> = Vec::new();
        for deed in deeds {
            evidence.extend(facts.iter().filter(|(_, fact)| fact.deed == *deed));
        }
        Some(Verdict { severity, evidence, because })
    };
    if has(Deed::ExecutesMedia) {
        let why = "It executes what a file of sound or pictures carries: no such file has code in it unless somebody hid it there.";
        return because(
            Severity::Critical,
            why,
            &[Deed::ExecutesMedia, Deed::Talks, Deed::Drops, Deed::SpawnsCode],
        );
    }
    if has(Deed::ExecutesHidden) {
        let why = "It decodes a text that nobody can read and executes it. Honest code has no reason to hide.";
        let more = [
            Deed::ExecutesHidden,
            Deed::SpawnsCode,
            Deed::ReadsSecrets,
            Deed::ReadsEnvironment,
            Deed::Talks,
            Deed::Persists,
        ];
        return because(Severity::Critical, why, &more);
    }
    if has(Deed::ExecutesFetched) {
        let why = "It fetches something and executes it: what runs is decided by whoever holds the other end, each time anew.";
        return because(
            Severity::Critical,
            why,
            &[Deed::ExecutesFetched, Deed::Talks, Deed::Drops],
        );
    }
    if has(Deed::SendsSecrets) {
        let why = "It reads secrets and sends them away.";
        let all = [
            Deed::SendsSecrets,
            Deed::ReadsSecrets,
            Deed::ReadsEnvironment,
            Deed::Packs,
            Deed::Talks,
        ];
        return because(Severity::Critical, why, &all);
    }
    if steals && (talks || has(Deed::Packs)) {
        let why = "It opens places where secrets are kept, and it packs something or talks to the network.";
        return because(
            Severity::Critical,
            why,
            &[Deed::ReadsSecrets, Deed::Packs, Deed::Talks, Deed::ReadsEnvironment],
        );
    }
    if has(Deed::Persists) && (talks || steals || has(Deed::SpawnsCode) || has(Deed::Drops)) {
        let why = "It puts something where it comes back by itself, and fetches, starts or reads what it needs for that.";
        return because(
            Severity::Critical,
            why,
            &[Deed::Persists, Deed::Drops, Deed::Talks, Deed::SpawnsCode, Deed::ReadsSecrets],
        );
    }
    if has(Deed::Drops) && (has(Deed::Spawns) || has(Deed::SpawnsCode) || has(Deed::SpawnsShell)) {
        let why = "It fetches a file and starts a program.";
        return because(
            Severity::Critical,
            why,
            &[Deed::Drops, Deed::Spawns, Deed::SpawnsCode, Deed::SpawnsShell, Deed::Talks],
        );
    }
    if has(Deed::Plants) {
        let starts = has(Deed::Spawns) || has(Deed::SpawnsCode) || has(Deed::SpawnsShell);
        let why = "It writes a program that hides or fetches what it executes.";
        let severity = if starts { Severity::Critical } else { Severity::High };
        return because(
            severity,
            why,
            &[Deed::Plants, Deed::Spawns, Deed::SpawnsCode, Deed::SpawnsShell],
        );
    }
    if kinds >= 3 {
        let why =
            "It opens places of several kinds of secrets. Honest code reads what belongs to it.";
        return because(Severity::High, why, &[Deed::ReadsSecrets]);
    }
    if has(Deed::Persists) {
        let why = "It puts something where it comes back by itself.";
        return because(Severity::High, why, &[Deed::Persists]);
    }
    if has(Deed::Disguises) || has(Deed::Encoded) {
        let why = "It is written so that people and tools read something else than Python does.";
        return because(Severity::High, why, &[Deed::Disguises, Deed::Encoded]);
    }
    None
}

/// What lies in several files of one package, each too little by itself.
fn package<'a>(facts: &[(usize, &'a Fact)]) -> Option<Verdict<'a>> {
    let of = |deed: Deed| facts.iter().filter(move |(_, fact)| fact.deed == deed).copied();
    let sources = secrets(facts);
    let sinks = of(Deed::Talks).next().is_some();
    if sources < 2 || !sinks {
        return None;
    }
    let evidence = of(Deed::ReadsSecrets).chain(of(Deed::Packs)).chain(of(Deed::Talks));
    let because = "Its files together read several kinds of secrets and talk to the network when they are imported.";
    Some(Verdict { severity: Severity::High, evidence: evidence.collect(), because })
}

/// How many kinds of secrets are read.
fn secrets(facts: &[(usize, &Fact)]) -> usize {
    let kinds = facts.iter().filter(|(_, fact)| fact.deed == Deed::ReadsSecrets);
    let mut kinds: Vec<&str> =
        kinds.map(|(_, fact)| fact.what.split(':').next().unwrap_or_default()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len()
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn relative_names_are_seen_from_where_they_stand() {
        assert_eq!(absolute("a.b.c", false, ".x.f"), "a.b.x.f");
        assert_eq!(absolute("a.b.c", false, "..x.f"), "a.x.f");
        assert_eq!(absolute("a.b", true, ".x.f"), "a.b.x.f");
        assert_eq!(absolute("a", true, ".f"), "a.f");
        assert_eq!(absolute("a", false, "....f"), "f");
        assert_eq!(absolute("a.b", false, "os.path"), "os.path");
    }
}
