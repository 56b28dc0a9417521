//! The house rules that a machine can check, over the whole workspace.
//!
//! Reads `cargo metadata` and the sources as text; it knows no syntax, so a
//! rule here is a plain word in a plain place. What the compiler or clippy can
//! refuse is refused there (see `clippy.toml`), not here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Lowest first: a crate may import only what stands before it.
const ORDER: [&str; 20] = [
    "base",
    "sandbox",
    "dialect",
    "catalog",
    "config",
    "telemetry",
    "ledger",
    "vault",
    "pycode",
    "advisory",
    "guard",
    "egress",
    "listener",
    "store",
    "gateway",
    "simulator",
    "incident",
    "forward",
    "console",
    "keymoat",
];
/// Members outside of the order: tools, which the product never imports.
const TOOLS: [&str; 2] = ["testkit", "bench"];

const LINES_MAX: usize = 800;
const LINES_MEDIAN_AIM: usize = 200;
const LINES_NINTH_DECILE_AIM: usize = 600;

/// Words that stand nowhere in the project, put together so that this file may name them.
const WORDS_NOWHERE: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];
const MACROS_NOWHERE: [&str; 3] =
    [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")];

/// A word that only the named crates may use in their sources.
const CHOKE_POINTS: [(&str, &[&str]); 4] = [
    ("TcpStream::connect", &["egress"]),
    ("lookup_host", &["egress"]),
    ("rusqlite", &["store"]),
    ("env::var", &["config"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(of: &Value) -> &str {
    of["name"].as_str().unwrap()
}

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn shown(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|e| e == "rs")
    }

    /// The crate whose product code this is; `None` for tests, tools and the rest.
    fn product_crate(&self) -> Option<String> {
        let mut parts = self.path.strip_prefix(root()).ok()?.iter();
        let is = |part: Option<&std::ffi::OsStr>, word| part.is_some_and(|p| p == word);
        if !is(parts.next(), "crates") {
            return None;
        }
        let name = parts.next()?.to_str()?.to_owned();
        (is(parts.next(), "src") && !TOOLS.contains(&name.as_str())).then_some(name)
    }

    /// The text before the unit tests at its foot, without comments.
    fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Every text file that people write: sources, docs, scripts, configuration.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped = ["target", ".git", "testdata", "__pycache__", "node_modules", "LICENSE"];
            if skipped.contains(&name.as_str()) || name.starts_with(".venv") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            let written =
                ["rs", "toml", "md", "py", "sh", "yaml", "yml", "txt", ""].contains(&kind);
            if let Some(text) = fs::read_to_string(&path).ok().filter(|_| written) {
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Why `from` may not depend on `on`, if it may not.
fn forbidden_import(from: &str, on: &str, kind: Option<&str>) -> Option<String> {
    let place = |name: &str| ORDER.iter().position(|&n| n == name);
    let told = |why: &str| Some(format!("{from} → {on}: {why}"));
    if on == "testkit" && kind == Some("dev") {
        return None;
    }
    if TOOLS.contains(&on) {
        return told("tools are dev-dependencies only (and bench is nobody's)");
    }
    if on == "simulator" && from != "keymoat" {
        return told("the simulator stands behind a real HTTP hop; only keymoat starts it");
    }
    match (place(from), place(on)) {
        (_, None) => told("has no place in ORDER (crates/testkit/tests/it/tidy.rs)"),
        (Some(from_at), Some(on_at)) if on_at >= from_at => told("imports upwards"),
        (None, _) if from != "testkit" => told("tools measure from outside"),
        (None, _) if on != "base" => told("testkit knows no crate of the product but base"),
        _ => None,
    }
}

#[test]
fn the_import_rule_refuses_what_it_should() {
    assert_eq!(forbidden_import("gateway", "egress", None), None);
    assert_eq!(forbidden_import("gateway", "testkit", Some("dev")), None);
    assert_eq!(forbidden_import("keymoat", "simulator", None), None);
    for (from, on) in [
        ("ledger", "store"),
        ("base", "base"),
        ("gateway", "testkit"),
        ("gateway", "simulator"),
        ("testkit", "gateway"),
        ("bench", "base"),
        ("keymoat", "bench"),
        ("keymoat", "newcomer"),
    ] {
        assert!(forbidden_import(from, on, None).is_some(), "{from} → {on}");
    }
}

#[test]
fn crates_import_only_what_stands_below_them() {
    let packages = packages();
    let ours: Vec<&str> = packages.iter().map(name).collect();
    let mut broken = Vec::new();
    for package in &packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            if ours.contains(&name(dependency)) {
                let kind = dependency["kind"].as_str();
                broken.extend(forbidden_import(name(package), name(dependency), kind));
            }
        }
    }
    assert_none("imports go downwards only (docs/architecture.md)", &broken);
}

#[test]
fn every_crate_has_a_description_and_every_module_opens_with_its_sentence() {
    let mut broken = Vec::new();
    for package in packages() {
        if package["description"].as_str().is_none_or(str::is_empty) {
            broken.push(format!("{}: no description in Cargo.toml", name(&package)));
        }
    }
    let modules = sources();
    // A test module's name and its tests' names say it all.
    let is_product = |s: &&Source| s.is_rust() && s.path.iter().all(|part| part != "it");
    let undocumented = modules.iter().filter(is_product).filter(|s| !s.text.starts_with("//!"));
    broken.extend(undocumented.map(|s| format!("{}: does not open with `//!`", s.shown())));
    assert_none("say what it is and what it is not", &broken);
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let reasons = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut broken = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let theirs = !dependency["source"].is_null();
            if theirs && !reasons.contains(&format!("| {} |", name(dependency))) {
                broken.push(format!("{} (used by {})", name(dependency), name(&package)));
            }
        }
    }
    broken.sort();
    broken.dedup();
    assert_none("name it in docs/dependencies.md: why, what it pulls in, who keeps it", &broken);
}

#[test]
fn no_file_holds_two_ideas() {
    let sources = sources();
    let code: Vec<(usize, String)> = sources
        .iter()
        .filter(|s| s.path.extension().is_some_and(|e| e == "rs" || e == "py"))
        .map(|s| (s.text.lines().count(), s.shown()))
        .collect();
    let long = code.iter().filter(|(lines, _)| *lines > LINES_MAX);
    let long: Vec<String> = long.map(|(lines, path)| format!("{path}: {lines}")).collect();
    let mut lengths: Vec<usize> = code.iter().map(|(lines, _)| *lines).collect();
    lengths.sort_unstable();
    println!(
        "{} files; lines: median {} (aim {LINES_MEDIAN_AIM}), ninth decile {} (aim {LINES_NINTH_DECILE_AIM}), longest {}",
        lengths.len(),
        lengths[lengths.len() / 2],
        lengths[lengths.len() * 9 / 10],
        lengths[lengths.len() - 1],
    );
    assert_none("over 800 lines; split it by idea", &long);
}

/// Whether `word` stands in `line` as a word or a path of its own.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|l| l.chars().next_back());
        !(word.starts_with('/')
            && before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c)))
    })
}

#[test]
fn forbidden_words_stand_nowhere() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| !s.path.ends_with("Cargo.lock")) {
        for (number, line) in source.text.lines().enumerate() {
            let words = WORDS_NOWHERE.iter().filter(|word| stands_in(line, word));
            let macros = MACROS_NOWHERE.iter().filter(|m| source.is_rust() && line.contains(**m));
            for word in words.chain(macros) {
                broken.push(format!("{}:{}: {word}", source.shown(), number + 1));
            }
        }
    }
    assert_none("registry hosts, paths of one machine and left-overs", &broken);
    assert!(stands_in(concat!("cd /wo", "rk/x"), concat!("/wo", "rk/")));
    assert!(!stands_in(concat!("net/wo", "rk/x"), concat!("/wo", "rk/")));
}

#[test]
fn choke_points_are_the_only_way() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust()) {
        let Some(of) = source.product_crate() else { continue };
        let code = source.code();
        for (word, allowed) in CHOKE_POINTS {
            if code.contains(word) && !allowed.contains(&of.as_str()) {
                broken.push(format!("{}: {word} (only {})", source.shown(), allowed.join(", ")));
            }
        }
    }
    for package in packages() {
        let dependencies = package["dependencies"].as_array().unwrap();
        if name(&package) != "store" && dependencies.iter().any(|d| name(d) == "rusqlite") {
            broken.push(format!("{} depends on rusqlite (only store)", name(&package)));
        }
    }
    assert_none("go through the crate that owns it", &broken);
}

/// Crates whose top-level modules import one way only.
const ONE_WAY: [&str; 5] = ["dialect", "pycode", "advisory", "guard", "incident"];

/// The top-level modules of crate `of`, each with those that it imports.
fn imports(of: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = root().join("crates").join(of).join("src");
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|s| s.product_crate().as_deref() == Some(of)) {
        let inside = source.path.strip_prefix(&folder).unwrap();
        let top = Path::new(inside.iter().next().unwrap()).file_stem().unwrap();
        let named = imports.entry(top.to_string_lossy().into_owned()).or_default();
        for path in source.code().split("crate::").skip(1) {
            let words = path.split_once([';', ')']).map_or(path, |(path, _)| path);
            let list = words.strip_prefix('{').map(|list| list.split([',', '}']));
            let all: Vec<&str> = list.map_or_else(|| vec![words], Iterator::collect);
            let first = |path: &&str| {
                let end = path.trim().find(|l: char| !l.is_alphanumeric() && l != '_');
                path.trim().split_at(end.unwrap_or(path.trim().len())).0.to_owned()
            };
            named.extend(all.iter().map(first));
        }
    }
    let modules: BTreeSet<String> = imports.keys().cloned().collect();
    for (module, named) in &mut imports {
        named.retain(|name| modules.contains(name) && name != module);
    }
    imports.remove("lib");
    imports
}

/// Folders of crate `dialect` that are a wire format each.
const DIALECTS: [&str; 2] = ["openai_chat", "anthropic_messages"];

#[test]
fn dialects_do_not_know_each_other() {
    let folder = root().join("crates/dialect/src");
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust()) {
        let Ok(inside) = source.path.strip_prefix(&folder) else { continue };
        let Some(own) = DIALECTS.iter().find(|name| inside.starts_with(name)) else { continue };
        let names = |other: &&str| source.code().contains(&format!("{other}::"));
        let others = DIALECTS.iter().filter(|other| *other != own).filter(|other| names(other));
        broken.extend(others.map(|other| format!("{}: {other}", source.shown())));
    }
    assert_none("what two dialects need is kept beside their folders", &broken);
    for name in DIALECTS {
        assert!(folder.join(name).join("request.rs").is_file(), "{name} is a dialect's folder");
    }
}

#[test]
fn only_dialect_asks_which_format_it_has() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust()) {
        if source.product_crate().is_none_or(|of| of == "dialect") {
            continue;
        }
        for (at, line) in source.code().lines().enumerate() {
            // A variant; functions are in lower case and constants in upper case.
            let is_variant = |rest: &&str| {
                let mut letters = rest.chars();
                letters.next().is_some_and(char::is_uppercase)
                    && letters.next().is_some_and(char::is_lowercase)
            };
            let named = ["Dialect::", "Surface::"].iter().flat_map(|word| line.split(word).skip(1));
            if named.into_iter().any(|rest| is_variant(&rest)) {
                broken.push(format!("{}: {}: {}", source.shown(), at + 1, line.trim()));
            }
        }
    }
    let rule = "a format's own rules are in its folder of dialect, an endpoint's in SURFACES";
    assert_none(rule, &broken);
}

#[test]
fn modules_import_one_way() {
    let mut circles = Vec::new();
    for of in ONE_WAY {
        let imports = imports(of);
        for start in imports.keys() {
            let (mut open, mut seen) = (vec![start], BTreeSet::new());
            while let Some(module) = open.pop() {
                let next = imports.get(module).into_iter().flatten();
                open.extend(next.filter(|name| seen.insert(*name)));
            }
            if seen.contains(start) {
                circles.push(format!("{of}: {start}"));
            }
        }
    }
    assert_none("these modules import themselves through others", &circles);
    assert!(imports("guard")["tree"].contains("manifest"), "imports are read");
}
