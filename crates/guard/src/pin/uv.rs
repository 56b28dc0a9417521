//! `uv.lock` → pins: what the project needs, by walking its graph, each with
//! the markers along the paths to it put together.

use super::marker::When;
use super::{Choice, Gap, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::{Hash, Place, Source};
use crate::manifest::uv_lock::{From, source};
use crate::manifest::{Malformed, toml_file};
use crate::name::pep503;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use toml::Spanned;

/// Steps after which the walk is given up: cycles settle long before.
const VISITS_MAX: usize = 500_000;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    requires_python: Option<String>,
    #[serde(default)]
    package: Vec<Entry>,
    #[serde(default)]
    manifest: Manifest,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifest {
    requirements: Vec<Needed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    name: Spanned<String>,
    version: Option<String>,
    #[serde(default)]
    source: From<'static>,
    #[serde(default)]
    resolution_markers: Vec<String>,
    sdist: Option<Artefact>,
    #[serde(default)]
    wheels: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<Needed>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Needed>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Needed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Artefact {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
    size: Option<u64>,
    upload_time: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Needed {
    name: String,
    version: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
    marker: Option<String>,
}

/// A package, or what one of its extras adds to it.
type Node = (usize, Option<String>);

/// What the text of such a lock says is to be installed.
pub(super) fn read(text: &str, place: &Place, choice: &Choice) -> Result<Plan, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut walk = Walk::new(&file.package);
    let own: Vec<usize> = (0..file.package.len()).filter(|at| walk.is_own(*at)).collect();
    let is_top = |at: &usize| {
        let source = file.package.get(*at).map(|entry| &entry.source);
        source.is_some_and(|source| source.is_at("."))
    };
    let top: Vec<usize> = own.iter().copied().filter(is_top).collect();
    let roots = if choice.all || top.is_empty() { own } else { top };
    let mut unknown: BTreeSet<&str> =
        choice.extras.iter().chain(&choice.groups).map(String::as_str).collect();
    for root in &roots {
        walk.reach((*root, None), &When::always());
        let Some(entry) = file.package.get(*root) else { continue };
        for extra in entry.optional_dependencies.keys() {
            let chosen = choice.extras.iter().find(|chosen| pep503(chosen) == pep503(extra));
            if chosen.is_some() || choice.all {
                walk.reach((*root, Some(extra.clone())), &When::always());
            }
            unknown.remove(chosen.map_or("", String::as_str));
        }
        for (group, needs) in &entry.dev_dependencies {
            let chosen = choice.groups.iter().find(|chosen| pep503(chosen) == pep503(group));
            if chosen.is_some() || choice.all {
                walk.needs(&(*root, None), needs, &When::always());
            }
            unknown.remove(chosen.map_or("", String::as_str));
        }
    }
    walk.needs(&(usize::MAX, None), &file.manifest.requirements, &When::always());
    walk.run();
    let mut plan = Plan { requires_python: file.requires_python.clone(), ..Plan::default() };
    if !walk.open.is_empty() {
        plan.gaps.push(Gap {
            why: Unpinned::Marker,
            subject: "the lock".to_owned(),
            place: Some(place.clone()),
            text: "its graph is too tangled to be walked through".to_owned(),
            do_first: "Write the file with `uv export`, and look at it with `keymoat pin --check`."
                .to_owned(),
        });
    }
    for name in unknown {
        plan.gaps.push(Gap {
            why: Unpinned::Floating,
            subject: name.to_owned(),
            place: Some(place.clone()),
            text: "the project has no extra and no group of this name".to_owned(),
            do_first: "Correct the name, or lock anew.".to_owned(),
        });
    }
    let (reached, via) = (walk.reached, walk.via);
    for (at, entry) in file.package.iter().enumerate() {
        let Some(when) = reached.get(&(at, None)) else { continue };
        let source = source(entry.source.clone());
        if source == Source::Own || when.is_never() {
            continue;
        }
        let place = place.at(lines.at(entry.name.span().start));
        let mut pin = Pin::new(entry.name.get_ref(), place);
        pin.version.clone_from(&entry.version);
        pin.source = source;
        pin.files = entry.sdist.iter().chain(&entry.wheels).map(Artefact::pinned).collect();
        pin.marker = when.text();
        pin.via = via.get(&at).into_iter().flatten().cloned().collect();
        if when.too_long {
            plan.gaps.push(pin.gap(
                Unpinned::Marker,
                "the marker that says when it is wanted grew too long; it is written without one",
                "Write the file with `uv export`, and look at it with `keymoat pin --check`.",
            ));
        }
        if when.speaks_of("extra") {
            plan.gaps.push(pin.gap(
                Unpinned::Marker,
                "it belongs to extras or groups that exclude each other",
                "Write the file with `uv export` for one of them, and look at it with `keymoat pin --check`.",
            ));
        }
        plan.pins.push(pin);
    }
    if plan.pins.is_empty() && !file.package.is_empty() && roots.is_empty() {
        plan.notes.push("the lock names no project of its own, so nothing in it is asked for; --all takes everything".into());
    }
    Ok(plan)
}

struct Walk<'f> {
    entries: &'f [Entry],
    by_name: BTreeMap<String, Vec<usize>>,
    reached: BTreeMap<Node, When>,
    via: BTreeMap<usize, BTreeSet<String>>,
    open: VecDeque<Node>,
}

impl<'f> Walk<'f> {
    fn new(entries: &'f [Entry]) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            by_name.entry(pep503(entry.name.get_ref())).or_default().push(at);
        }
        let (reached, via, open) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { entries, by_name, reached, via, open }
    }

    fn is_own(&self, at: usize) -> bool {
        self.entries.get(at).is_some_and(|entry| source(entry.source.clone()) == Source::Own)
    }

    fn reach(&mut self, node: Node, when: &When) {
        let before = self.reached.get(&node);
        let after = before.map_or_else(|| when.clone(), |before| before.or(when));
        if before != Some(&after) {
            self.reached.insert(node.clone(), after);
            self.open.push_back(node);
        }
    }

    fn run(&mut self) {
        let mut visits = 0;
        while visits < VISITS_MAX
            && let Some(node) = self.open.pop_front()
        {
            visits += 1;
            let Some(when) = self.reached.get(&node).cloned() else { continue };
            let Some(entry) = self.entries.get(node.0) else { continue };
            let needs = match &node.1 {
                None => Some(&entry.dependencies),
                Some(extra) => {
                    let same = |(name, _): &(&String, &Vec<Needed>)| pep503(name) == pep503(extra);
                    entry.optional_dependencies.iter().find(same).map(|(_, needs)| needs)
                }
            };
            if let Some(needs) = needs {
                self.needs(&node, needs, &when);
            }
        }
    }

    fn needs(&mut self, node: &Node, needs: &[Needed], when: &When) {
        let entries = self.entries;
        for needed in needs {
            let targets: Vec<usize> =
                self.by_name.get(&pep503(&needed.name)).cloned().unwrap_or_default();
            let targets: Vec<usize> = targets
                .into_iter()
                .filter(|at| {
                    let version = entries.get(*at).and_then(|entry| entry.version.as_ref());
                    needed.version.is_none() || needed.version.as_ref() == version
                })
                .collect();
            let own = needed.marker.as_deref().map(marker);
            let when = own.map_or_else(|| when.clone(), |own| when.and(&own));
            if when.is_never() {
                continue;
            }
            for at in &targets {
                let Some(entry) = entries.get(*at) else { continue };
                let mut here = when.clone();
                if targets.len() > 1 {
                    let forks = entry.resolution_markers.iter().map(|text| marker(text));
                    if let Some(forks) = forks.reduce(|a, b| a.or(&b)) {
                        here = here.and(&forks);
                    }
                }
                if let Some(parent) = entries.get(node.0).filter(|_| !self.is_own(node.0)) {
                    self.via.entry(*at).or_default().insert(pep503(parent.name.get_ref()));
                }
                self.reach((*at, None), &here);
                for extra in &needed.extra {
                    self.reach((*at, Some(extra.clone())), &here);
                }
            }
        }
    }
}

/// What is no marker is taken for always: too much harms less than too little.
fn marker(text: &str) -> When {
    When::read(text, &|_| None).unwrap_or_else(When::always)
}

impl Artefact {
    fn pinned(&self) -> PinnedFile {
        PinnedFile {
            name: self.filename.clone(),
            url: self.url.clone(),
            path: self.path.as_ref().map(Into::into),
            size: self.size,
            uploaded: self.upload_time.clone(),
            hashes: self.hash.as_deref().and_then(Hash::read).into_iter().collect(),
        }
    }
}
