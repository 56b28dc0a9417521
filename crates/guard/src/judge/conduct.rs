//! Facts → what they add up to, from each way into the code.
//!
//! One fact is a capability, and honest packages have them all. What none of
//! them does is to combine certain ones at import, at installation or in a hook
//! that another program calls, when nobody has asked for anything: that is
//! judged here, for each file and then for the package as a whole. A few things
//! are harm wherever they are; where nothing is seen to call them they weigh
//! less.

use super::loaded;
use super::part::{HARM, place_of};
pub(crate) use super::part::{Open, Part};
use crate::finding::Severity;
use crate::rule::Rule;
use pycode::fact::{Deed, Fact, When};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Places in the code that are looked at from one root.
const NODES_MAX: usize = 4000;

/// A way into the code of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    /// A module is imported.
    Import,
    /// It is built or installed.
    Install,
    /// It is run as a program: `__main__.py`, or a file that the package starts.
    Program,
    /// Another program calls a hook in it: the group and the name of an entry point.
    Hook(String),
    /// A person runs a command.
    Command(String),
    /// Nothing was seen to call it: the function.
    Unreached(String),
}

impl Root {
    /// When code that is reached from here runs, as a sentence.
    pub(crate) fn words(&self, module: &str) -> String {
        match self {
            Self::Import => {
                format!("It runs as soon as `{module}` is imported; nobody needs to call it.")
            }
            Self::Install => {
                "It runs when this is built or installed from source, before anybody has used it."
                    .to_owned()
            }
            Self::Program => format!("It runs when `{module}` is run as a program."),
            Self::Hook(name) => format!(
                "It runs when another program loads its plug-in ({name}); nobody needs to import it."
            ),
            Self::Command(name) => format!("It runs when somebody starts the command `{name}`."),
            Self::Unreached(function) => format!(
                "It is in the function `{function}`, and nothing was seen to call that at import."
            ),
        }
    }

    fn most(&self) -> Severity {
        match self {
            Self::Import | Self::Install | Self::Program | Self::Hook(_) => Severity::Critical,
            Self::Command(_) | Self::Unreached(_) => Severity::Medium,
        }
    }
}

/// A function of the package that something else calls, and as what.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The module that it is in.
    pub(crate) module: String,
    /// The function, or a class whose methods are called; nothing means every
    /// function of the module.
    pub(crate) function: Option<String>,
    /// As what.
    pub(crate) root: Root,
}

/// What one file adds up to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict<'a> {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The rule that it breaks.
    pub(crate) rule: Rule,
    /// From where it is reached.
    pub(crate) root: Root,
    /// What gave it away, with the number of its file among the parts; the
    /// most telling first.
    pub(crate) evidence: Vec<(usize, &'a Fact)>,
    /// Why that is not honest, in a sentence.
    pub(crate) because: &'static str,
}

/// What each file of a package adds up to, from every root, and then the
/// package. `entries` are what others call in it, `open` gives its data.
pub(crate) fn judge<'a>(
    parts: &'a [Part<'a>],
    entries: &[Entry],
    open: Open<'_>,
) -> Vec<Verdict<'a>> {
    let graph = Graph::of(parts);
    let imported = imported(parts);
    let mut seen: BTreeSet<(usize, &Fact)> = BTreeSet::new();
    let mut verdicts: Vec<Verdict<'a>> = Vec::new();
    let mut all: Vec<(usize, &Fact)> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let is_setup = part.path.file_name().is_some_and(|name| name == "setup.py");
        let is_program = part.module.ends_with("__main__");
        let root = if is_setup { Root::Install } else { Root::Import };
        let mut starts = vec![Node::Import(index)];
        if is_program {
            starts.push(Node::Main(index));
        }
        let root = if is_program { Root::Program } else { root };
        let facts = graph.reached(starts);
        // A program that somebody starts may fetch and start what it likes.
        let judged = if is_program { harm(&facts, &root) } else { file(&facts, root, parts, open) };
        let above = part.module.rsplit_once('.').map(|(above, _)| above);
        let is_imported = imported.contains(&part.module)
            || above.is_some_and(|above| is_test(above) && imported.contains(above));
        verdicts.extend(judged.map(|verdict| of_test(verdict, &part.module, is_imported)));
        seen.extend(facts.iter().copied());
        all.extend(facts);
    }
    for entry in entries {
        let facts = graph.reached(graph.nodes(&entry.module, entry.function.as_deref()));
        let facts: Vec<(usize, &Fact)> =
            facts.into_iter().filter(|fact| !seen.contains(fact)).collect();
        let full = matches!(entry.root, Root::Install | Root::Hook(_));
        let judged = if full {
            file(&facts, entry.root.clone(), parts, open)
        } else {
            harm(&facts, &entry.root)
        };
        if judged.is_some() {
            seen.extend(facts.iter().copied());
        }
        verdicts.extend(judged);
    }
    if verdicts.is_empty() {
        verdicts.extend(package(&all));
    }
    verdicts.extend(unreached(parts, &seen));
    verdicts
}

/// What the files that run at every Python start add up to. Honest start-up
/// code arranges imports; it needs no program, no network and no secret.
pub(crate) fn at_start<'a>(parts: &'a [Part<'a>], open: Open<'_>) -> Option<Verdict<'a>> {
    const NEVER: [Deed; 15] = [
        Deed::SpawnsCode,
        Deed::SpawnsShell,
        Deed::Spawns,
        Deed::Talks,
        Deed::ReadsSecrets,
        Deed::Drops,
        Deed::Plants,
        Deed::Persists,
        Deed::Packs,
        Deed::ExecutesFile,
        Deed::StartsFile,
        Deed::Installs,
        Deed::Captures,
        Deed::DrivesAgent,
        Deed::Destroys,
    ];
    let reached = |verdict: &Verdict<'_>| !matches!(verdict.root, Root::Unreached(_));
    let worst = judge(parts, &[], open).into_iter().filter(reached);
    if let Some(mut verdict) = worst.max_by_key(|verdict| verdict.severity) {
        verdict.severity = Severity::Critical;
        return Some(verdict);
    }
    let graph = Graph::of(parts);
    let all = (0..parts.len()).flat_map(|index| graph.reached(vec![Node::Import(index)]));
    let evidence: Vec<(usize, &Fact)> =
        all.filter(|(_, fact)| NEVER.contains(&fact.deed)).collect();
    let because =
        "Start-up code that starts programs, talks to the network or reads secrets is not honest.";
    (!evidence.is_empty()).then_some(Verdict {
        severity: Severity::Critical,
        rule: Rule::StartupHarm,
        root: Root::Import,
        evidence,
        because,
    })
}

/// A place in the code of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// What happens when a file is imported.
    Import(usize),
    /// What happens when it is run.
    Main(usize),
    /// One function of it.
    Function(usize, String),
}

/// The files of a package, and what in them calls what.
struct Graph<'a> {
    parts: &'a [Part<'a>],
    modules: BTreeMap<&'a str, usize>,
    /// Names of the functions of each file in which something was seen.
    functions: Vec<BTreeSet<&'a str>>,
    paths: BTreeMap<PathBuf, usize>,
}

impl<'a> Graph<'a> {
    fn of(parts: &'a [Part<'a>]) -> Self {
        let name = |when: &'a When| match when {
            When::Function(name) => Some(name.as_str()),
            When::Import | When::Main => None,
        };
        let functions = parts.iter().map(|part| {
            let facts = part.summary.facts.iter().filter_map(|fact| name(&fact.when));
            facts.chain(part.summary.calls.iter().filter_map(|(when, _)| name(when))).collect()
        });
        Self {
            parts,
            modules: parts.iter().enumerate().map(|(i, part)| (part.module.as_str(), i)).collect(),
            functions: functions.collect(),
            paths: parts.iter().enumerate().map(|(i, part)| (part.path.to_owned(), i)).collect(),
        }
    }

    /// What is done from `starts` on, each once.
    fn reached(&self, starts: Vec<Node>) -> Vec<(usize, &'a Fact)> {
        let mut open = starts;
        let mut nodes: BTreeSet<Node> = BTreeSet::new();
        let mut facts = Vec::new();
        while let Some(node) = open.pop() {
            if nodes.len() >= NODES_MAX || !nodes.insert(node.clone()) {
                continue;
            }
            let (index, wanted) = match &node {
                Node::Import(index) => (*index, When::Import),
                Node::Main(index) => (*index, When::Main),
                Node::Function(index, name) => (*index, When::Function(name.clone())),
            };
            let Some(part) = self.parts.get(index) else { continue };
            for fact in part.summary.facts.iter().filter(|fact| fact.when == wanted) {
                facts.push((index, fact));
                if matches!(fact.deed, Deed::StartsFile | Deed::ExecutesFile) {
                    open.extend(self.started(part, &fact.what));
                }
            }
            for (_, call) in part.summary.calls.iter().filter(|(when, _)| *when == wanted) {
                let call = absolute(&part.module, part.summary.is_package, call);
                if let Some(name) = call.strip_prefix("?.") {
                    let own = part.module.split('.').next();
                    open.extend(self.anywhere(own, name));
                } else if let Some((module, name)) = call.rsplit_once('.') {
                    open.extend(self.nodes(module, Some(name)));
                }
            }
        }
        facts
    }

    /// The function `name` of `module`; of a class, what making an object calls.
    fn nodes(&self, module: &str, name: Option<&str>) -> Vec<Node> {
        let Some(index) = self.modules.get(module).copied() else { return Vec::new() };
        let Some(functions) = self.functions.get(index) else { return Vec::new() };
        let made = ["__init__", "__new__", "__post_init__", "__call__"];
        let fits = |function: &&&str| match name {
            None => true,
            Some(name) => {
                **function == name
                    || function
                        .strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix('.'))
                        .is_some_and(|method| made.contains(&method) || self.is_built(index, name))
            }
        };
        functions.iter().filter(fits).map(|f| Node::Function(index, (*f).to_owned())).collect()
    }

    /// Returns true if `class` is one whose methods a build calls.
    fn is_built(&self, index: usize, class: &str) -> bool {
        let build = ["initialize", "finalize", "run", "build_extensions", "clean"];
        let functions = self.functions.get(index);
        build.iter().any(|method| {
            functions.is_some_and(|all| all.contains(format!("{class}.{method}").as_str()))
        })
    }

    /// Functions called `name` in modules of the package `own`.
    fn anywhere(&self, own: Option<&str>, name: &str) -> Vec<Node> {
        let of_package =
            |part: &Part<'_>| own.is_some_and(|own| part.module.split('.').next() == Some(own));
        let parts = self.parts.iter().enumerate().filter(|(_, part)| of_package(part));
        parts
            .filter(|(index, _)| self.functions.get(*index).is_some_and(|f| f.contains(name)))
            .map(|(index, _)| Node::Function(index, name.to_owned()))
            .collect()
    }

    /// The file that `what`, a fact of `part`, starts.
    fn started(&self, part: &Part<'_>, what: &str) -> Vec<Node> {
        let what = what.strip_suffix(" (silenced)").unwrap_or(what);
        let index = if let Some(module) = what.strip_prefix("-m ") {
            let main = format!("{module}.__main__");
            self.modules.get(module).or_else(|| self.modules.get(main.as_str()))
        } else {
            place_of(part.path, what).and_then(|path| self.paths.get(&path))
        };
        index.map(|index| vec![Node::Import(*index), Node::Main(*index)]).unwrap_or_default()
    }
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

/// What is harm by itself among `facts`, which are reached from `root`.
fn harm<'a>(facts: &[(usize, &'a Fact)], root: &Root) -> Option<Verdict<'a>> {
    let evidence: Vec<(usize, &'a Fact)> =
        facts.iter().filter(|(_, fact)| HARM.contains(&fact.deed)).copied().collect();
    let first = evidence.first()?.1.deed;
    let because = match first {
        Deed::ExecutesFetched => {
            "It fetches something and executes it: what runs is decided by whoever holds the other end, each time again."
        }
        Deed::SendsSecrets => "It reads secrets and sends them away.",
        Deed::GivesShell => "It gives a shell to the other end of a connection.",
        _ => {
            "It decodes a text that nobody can read and executes it. Honest code has no reason to hide."
        }
    };
    Some(Verdict {
        severity: root.most(),
        rule: rule_of(first),
        root: root.clone(),
        evidence,
        because,
    })
}

fn rule_of(deed: Deed) -> Rule {
    match deed {
        Deed::ExecutesFetched => Rule::ExecutesFetched,
        Deed::SendsSecrets => Rule::SendsSecrets,
        Deed::GivesShell => Rule::GivesShell,
        _ => Rule::ExecutesHidden,
    }
}

/// Returns true if a module is a test: it is installed and never imported.
fn is_test(module: &str) -> bool {
    module.split('.').any(|part| {
        matches!(part, "tests" | "test" | "testing" | "examples" | "benchmarks")
            || part.starts_with("test_")
    })
}

/// What is in a test weighs less: it is installed, and nobody imports it.
fn of_test<'a>(mut verdict: Verdict<'a>, module: &str, imported: bool) -> Verdict<'a> {
    // Tests beside the package are lowered where a source archive is read.
    let inside = module.split_once('.').is_some_and(|(_, inside)| is_test(inside));
    if inside && !imported && verdict.root == Root::Import {
        verdict.severity = verdict.severity.min(Severity::Medium);
    }
    verdict
}

/// Modules that the package itself imports from what is no test.
fn imported(parts: &[Part<'_>]) -> BTreeSet<String> {
    let own = parts.iter().filter(|part| !is_test(&part.module));
    own.flat_map(|part| {
        let package = part.summary.is_package;
        part.summary.imports.iter().map(move |name| absolute(&part.module, package, name))
    })
    // `from a import b` may name the module `a.b`: all below `a` count as imported.
    .collect()
}

/// Harm that nothing was seen to reach, one verdict a file.
fn unreached<'a>(parts: &'a [Part<'a>], seen: &BTreeSet<(usize, &Fact)>) -> Vec<Verdict<'a>> {
    let mut verdicts = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !is_test(&part.module)) {
        let facts: Vec<(usize, &'a Fact)> = part
            .summary
            .facts
            .iter()
            .map(|fact| (index, fact))
            .filter(|fact| !seen.contains(fact))
            .collect();
        let function = facts.iter().find_map(|(_, fact)| match &fact.when {
            When::Function(name) if HARM.contains(&fact.deed) => Some(name.clone()),
            _ => None,
        });
        let root = match function {
            Some(function) => Root::Unreached(function),
            None => Root::Command(part.module.clone()),
        };
        verdicts.extend(harm(&facts, &root));
    }
    verdicts
}

/// Programs that build or unpack: what they are started with is not what was
/// fetched.
const TOOLS: [&str; 26] = [
    "cmake",
    "make",
    "ninja",
    "git",
    "tar",
    "unzip",
    "cargo",
    "rustc",
    "gcc",
    "g++",
    "cc",
    "clang",
    "meson",
    "pkg-config",
    "ldconfig",
    "nvcc",
    "go",
    "swig",
    "protoc",
    "uname",
    "file",
    "ldd",
    "xcrun",
    "sw_vers",
    "nvidia-smi",
    "lsb_release",
];

/// Returns true if the fact is the start of a program that only builds.
fn is_tool(fact: &Fact) -> bool {
    let command = fact.what.split_once(": ").map_or("", |(_, command)| command);
    let program = command.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let fixed = !command.contains("/tmp") && !command.contains(" -c ");
    TOOLS.contains(&name) || (name.starts_with("python") && fixed && !command.contains('\u{fffc}'))
}

fn file<'a>(
    facts: &[(usize, &'a Fact)],
    root: Root,
    parts: &[Part<'_>],
    open: Open<'_>,
) -> Option<Verdict<'a>> {
    let has = |deed: Deed| facts.iter().any(|(_, fact)| fact.deed == deed);
    let kinds = secrets(facts);
    let talks = has(Deed::Talks);
    let steals = has(Deed::ReadsSecrets);
    let starts = facts.iter().any(|(_, fact)| {
        matches!(fact.deed, Deed::Spawns | Deed::SpawnsCode | Deed::SpawnsShell) && !is_tool(fact)
    });
    let installing = root == Root::Install;
    let of = |severity: Severity, rule, because: &'static str, deeds: &[Deed]| {
        let mut evidence: Vec<(usize, &'a Fact)> = Vec::new();
        for deed in deeds {
            evidence.extend(facts.iter().filter(|(_, fact)| fact.deed == *deed));
        }
        Some(Verdict {
            severity: severity.min(root.most()),
            rule,
            root: root.clone(),
            evidence,
            because,
        })
    };
    if has(Deed::ExecutesMedia) {
        let why = "It executes what a file of sound or pictures carries: no such file has code in it unless somebody hid it there.";
        let more = [Deed::ExecutesMedia, Deed::Talks, Deed::Drops, Deed::SpawnsCode];
        return of(Severity::Critical, Rule::ExecutesMedia, why, &more);
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
        return of(Severity::Critical, Rule::ExecutesHidden, why, &more);
    }
    if has(Deed::ExecutesFetched) {
        let why = "It fetches something and executes it: what runs is decided by whoever holds the other end, each time again.";
        let more = [Deed::ExecutesFetched, Deed::Talks, Deed::Drops];
        return of(Severity::Critical, Rule::ExecutesFetched, why, &more);
    }
    if has(Deed::GivesShell) {
        let why = "It gives a shell to the other end of a connection: whoever holds that end is at the keyboard.";
        return of(
            Severity::Critical,
            Rule::GivesShell,
            why,
            &[Deed::GivesShell, Deed::Talks, Deed::Spawns],
        );
    }
    if has(Deed::SendsSecrets) {
        let why = "It reads secrets and sends them away.";
        let more = [
            Deed::SendsSecrets,
            Deed::ReadsSecrets,
            Deed::ReadsEnvironment,
            Deed::Packs,
            Deed::Talks,
        ];
        return of(Severity::Critical, Rule::SendsSecrets, why, &more);
    }
    if has(Deed::SendsKey) {
        let why =
            "It sends the value of a variable that holds a secret to a host that did not issue it.";
        return of(Severity::Critical, Rule::SendsSecrets, why, &[Deed::SendsKey, Deed::Talks]);
    }
    if has(Deed::SendsInput) {
        let why = "It puts a function of its own in the place of another module's, and sends on what that one was given.";
        let more = [Deed::SendsInput, Deed::Patches, Deed::Captures, Deed::Talks];
        return of(Severity::Critical, Rule::SendsInput, why, &more);
    }
    if has(Deed::Captures) && talks {
        let why = "It takes what a person types, shows or copies, and talks to the network.";
        return of(Severity::Critical, Rule::SendsInput, why, &[Deed::Captures, Deed::Talks]);
    }
    if steals && (talks || has(Deed::Packs)) {
        let why = "It opens places where secrets are kept, and it packs something or talks to the network.";
        let more = [Deed::ReadsSecrets, Deed::Packs, Deed::Talks, Deed::ReadsEnvironment];
        return of(Severity::Critical, Rule::SendsSecrets, why, &more);
    }
    if has(Deed::Destroys) {
        let why = "It makes files of a person or a system unusable.";
        return of(Severity::Critical, Rule::Destroys, why, &[Deed::Destroys]);
    }
    if has(Deed::Persists) && (talks || steals || has(Deed::SpawnsCode) || has(Deed::Drops)) {
        let why = "It puts something where it comes back by itself, and fetches, starts or reads what it needs for that.";
        let more = [Deed::Persists, Deed::Drops, Deed::Talks, Deed::SpawnsCode, Deed::ReadsSecrets];
        return of(Severity::Critical, Rule::Persists, why, &more);
    }
    if has(Deed::Drops) && has(Deed::AddsPath) {
        let why = "It fetches code and has Python import it: what runs is decided by whoever holds the other end.";
        let more = [Deed::Drops, Deed::AddsPath, Deed::Talks];
        return of(Severity::Critical, Rule::ExecutesFetched, why, &more);
    }
    if let Some(found) = loaded::files_in(facts, parts, open) {
        let (severity, rule, because, fact) = found;
        let evidence = vec![fact];
        return Some(Verdict { severity, rule, root, evidence, because });
    }
    if has(Deed::Drops) && starts {
        let why = "It fetches a file and starts a program.";
        let more = [Deed::Drops, Deed::Spawns, Deed::SpawnsCode, Deed::SpawnsShell, Deed::Talks];
        let unknown = |fact: &Fact| {
            let command = fact.what.split_once(": ").map_or("", |(_, command)| command);
            command.trim_matches(['\u{fffc}', ' ', '/']).is_empty()
        };
        let spawned = facts.iter().filter(|(_, fact)| {
            matches!(fact.deed, Deed::Spawns | Deed::SpawnsCode | Deed::SpawnsShell)
                && !is_tool(fact)
        });
        // Builds fetch sources and call compilers by names that they compute.
        let build = installing && spawned.map(|(_, fact)| fact).all(|fact| unknown(fact));
        let checked = has(Deed::Verifies) || build;
        let severity = if checked { Severity::Medium } else { Severity::Critical };
        return of(severity, Rule::FetchesAndStarts, why, &more);
    }
    if has(Deed::Plants) {
        let why = "It writes a program that hides or fetches what it executes.";
        let started = has(Deed::Spawns) || has(Deed::SpawnsCode) || has(Deed::SpawnsShell);
        let severity = if started { Severity::Critical } else { Severity::High };
        let more = [Deed::Plants, Deed::Spawns, Deed::SpawnsCode, Deed::SpawnsShell];
        return of(severity, Rule::Plants, why, &more);
    }
    if has(Deed::DrivesAgent) {
        let why = "It has a coding agent of this machine act without asking anybody.";
        return of(Severity::High, Rule::DrivesAgent, why, &[Deed::DrivesAgent]);
    }
    if has(Deed::Publishes) && !installing {
        let why = "It publishes packages or pushes code with the credentials that it finds here: so do worms.";
        return of(Severity::High, Rule::Publishes, why, &[Deed::Publishes]);
    }
    if kinds >= 3 {
        let why =
            "It opens places of several kinds of secrets. Honest code reads what belongs to it.";
        return of(Severity::High, Rule::ReadsSecrets, why, &[Deed::ReadsSecrets]);
    }
    if has(Deed::Persists) {
        let why = "It puts something where it comes back by itself.";
        return of(Severity::High, Rule::Persists, why, &[Deed::Persists]);
    }
    if has(Deed::Installs) {
        let why = "It has a package manager install something: what comes is not in this package, and no lock names it.";
        let severity = if installing { Severity::Medium } else { Severity::High };
        return of(severity, Rule::Installs, why, &[Deed::Installs]);
    }
    if let Some(quiet) = facts.iter().find(|(_, fact)| starts_program(fact)) {
        let why = "It starts a program that it carries along. Nobody can say by reading Python what that one does.";
        let silent = quiet.1.what.ends_with(" (silenced)");
        let severity = if silent { Severity::High } else { Severity::Medium };
        return of(severity, Rule::StartsFile, why, &[Deed::StartsFile, Deed::Spawns]);
    }
    if has(Deed::Disguises) || has(Deed::Encoded) {
        let why = "It is written so that people and tools read something else than Python does.";
        return of(Severity::High, Rule::Disguises, why, &[Deed::Disguises, Deed::Encoded]);
    }
    if let Some((_, added)) = facts.iter().find(|(_, fact)| fact.deed == Deed::AddsPath)
        && added.what.contains('.')
    {
        let why = "It has Python import from an archive that it carries: what is in it is not what people read.";
        return of(Severity::Medium, Rule::AddsPath, why, &[Deed::AddsPath]);
    }
    if has(Deed::Unchecks) {
        let why = "It turns off the checks of certificates for everything in the same process.";
        return of(Severity::Medium, Rule::Unchecks, why, &[Deed::Unchecks]);
    }
    None
}

/// Returns true if the fact is the start of a carried file that is no Python.
fn starts_program(fact: &Fact) -> bool {
    let what = fact.what.strip_suffix(" (silenced)").unwrap_or(&fact.what);
    let python = [".py", ".pyw"].iter().any(|ending| what.ends_with(ending));
    let itself = what.ends_with("/__file__");
    fact.deed == Deed::StartsFile && !python && !itself && !what.starts_with("-m ")
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
    Some(Verdict {
        severity: Severity::High,
        rule: Rule::ReadsSecrets,
        root: Root::Import,
        evidence: evidence.collect(),
        because,
    })
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
