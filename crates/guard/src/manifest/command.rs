//! Command lines that install or start packages: pip, uv, pipx, npm, npx and
//! their kin, as they stand in Dockerfiles, CI files and configurations of
//! agents and editors.
//!
//! Words are split as a shell splits them; nothing is expanded, nothing is
//! executed. A word with a variable in it is a gap.

use super::{Reading, requirements, shell};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Package, Place, Source, Standing};
use crate::python::requirement::quoted;
use crate::version::Version;

/// Shells inside shells.
const DEPTH_MAX: usize = 4;

/// Who starts a command, and how often.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// An agent or an editor, by itself, again and again, on a person's machine.
    Agent,
    /// A build or a pipeline.
    Build,
}

/// Adds what every command of a script would install or start; its first line
/// is at `place`.
pub(super) fn script(text: &str, place: &Place, starts: Starts, reading: &mut Reading) {
    nested(text, place, starts, reading, 0);
}

fn nested(text: &str, place: &Place, starts: Starts, reading: &mut Reading, depth: usize) {
    for (line, words) in shell::commands(text) {
        command(&words, &place.at(place.line.max(1) + line), starts, reading, depth);
    }
}

/// Adds what one command, already split into words, would install or start.
pub(super) fn words(words: &[String], place: &Place, starts: Starts, reading: &mut Reading) {
    command(words, place, starts, reading, 0);
}

fn command(words: &[String], place: &Place, starts: Starts, reading: &mut Reading, depth: usize) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut words = bare(&words);
    let Some((first, rest)) = words.split_first() else { return };
    let program = program(first);
    if matches!(program, "sh" | "bash" | "dash" | "zsh" | "ash") {
        let inner = rest.iter().skip_while(|w| !(w.starts_with('-') && w.ends_with('c'))).nth(1);
        if let Some(inner) = inner.filter(|_| depth < DEPTH_MAX) {
            nested(inner, place, starts, reading, depth + 1);
        }
        return;
    }
    if program.starts_with("python") || program == "py" {
        let Some((flag, after)) = rest.split_first() else { return };
        if *flag != "-m" {
            return;
        }
        words = after;
    }
    let mut fetch = Fetch { place, starts, reading };
    let kept: Vec<&str> = words.iter().take(3).map(|word| self::program(word)).collect();
    let after = |count: usize| words.get(count..).unwrap_or_default();
    match kept.as_slice() {
        ["uvx", ..] => fetch.python_tool("uvx", after(1)),
        ["uv", "tool", "run"] => fetch.python_tool("uv tool run", after(3)),
        ["uv", "tool", "install"] => fetch.python_tool("uv tool install", after(3)),
        ["uv", "run", ..] => fetch.with(after(2)),
        ["uv", "pip", "install"] => fetch.pip(after(3)),
        ["pipx", "run", ..] => fetch.python_tool("pipx run", after(2)),
        ["pipx", "install", ..] => fetch.python_tool("pipx install", after(2)),
        [pip, "install" | "download" | "wheel", ..] if is_pip(pip) => fetch.pip(after(2)),
        ["npx" | "bunx" | "pnpx", ..] => {
            fetch.node_tool(kept.first().copied().unwrap_or("npx"), after(1));
        }
        ["npm", "exec" | "x", ..] => fetch.node_tool("npm exec", after(2)),
        ["pnpm" | "yarn", "dlx", ..] | ["bun", "x", ..] => fetch.node_tool("dlx", after(2)),
        ["npm", "install" | "i" | "add", ..]
            if words.iter().any(|w| matches!(*w, "-g" | "--global")) =>
        {
            fetch.node_globals(after(2));
        }
        _ => {}
    }
}

/// Without assignments and words that start another command.
fn bare<'w, 't>(words: &'w [&'t str]) -> &'w [&'t str] {
    let mut words = words;
    while let Some((first, rest)) = words.split_first() {
        let assigns = first.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        let leads = matches!(*first, "/c" | "/C")
            || matches!(
                program(first),
                "sudo"
                    | "env"
                    | "exec"
                    | "time"
                    | "nohup"
                    | "command"
                    | "then"
                    | "do"
                    | "else"
                    | "if"
                    | "!"
                    | "cmd"
                    | "/c"
                    | "/C"
                    | "@"
                    | "-E"
                    | "-H"
                    | "nice"
                    | "xvfb-run"
            );
        if !assigns && !leads {
            break;
        }
        words = rest;
    }
    words
}

/// The name of a program, without its folder and the ending it has on Windows.
fn program(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let known = [".exe", ".cmd", ".ps1"].iter().find_map(|ending| name.strip_suffix(ending));
    // A scope or a path is no program.
    if word.starts_with('@') { word } else { known.unwrap_or(name) }
}

fn is_pip(name: &str) -> bool {
    name.strip_prefix("pip")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// Options of pip and of the tools that take a value in the next word.
const VALUED: &[&str] = &[
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-e",
    "--editable",
    "-f",
    "--find-links",
    "-t",
    "--target",
    "--prefix",
    "--root",
    "--python",
    "-p",
    "--platform",
    "--python-version",
    "--implementation",
    "--abi",
    "--no-binary",
    "--only-binary",
    "--progress-bar",
    "--timeout",
    "--retries",
    "--cache-dir",
    "--src",
    "--upgrade-strategy",
    "--config-settings",
    "-C",
    "--global-option",
    "--log",
    "--proxy",
    "--cert",
    "--client-cert",
    "--report",
    "--group",
    "--directory",
    "--project",
    "--env-file",
    "--exclude-newer",
    "--index-strategy",
    "--resolution",
    "--link-mode",
    "--suffix",
    "--pip-args",
    "--registry",
    "-d",
    "--dest",
    "-w",
    "--wheel-dir",
];
/// Options that say where packages come from.
const ORIGIN: &[&str] =
    &["-i", "--index-url", "--extra-index-url", "--trusted-host", "--default-index", "--index"];

struct Fetch<'f> {
    place: &'f Place,
    starts: Starts,
    reading: &'f mut Reading,
}

impl Fetch<'_> {
    fn pip(&mut self, words: &[&str]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').unwrap_or((word, ""));
            if ORIGIN.contains(&option) {
                let value =
                    if value.is_empty() { words.next().copied().unwrap_or("") } else { value };
                self.origin(option, value);
            } else if VALUED.contains(word) {
                words.next();
            } else if !word.starts_with('-') && !is_own(word) {
                self.python("pip install", word);
            }
        }
    }

    /// `uvx [OPTIONS] NAME [ARGUMENTS]` and its kin: one package, or the ones
    /// that options name.
    fn python_tool(&mut self, tool: &str, words: &[&str]) {
        let mut words = words.iter();
        let mut named = false;
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').unwrap_or((word, ""));
            let is_option = word.starts_with('-');
            let mut value =
                || if value.is_empty() { words.next().copied().unwrap_or("") } else { value };
            match option {
                _ if !is_option => {
                    if !named && !is_own(word) {
                        self.python(tool, word);
                    }
                    // The rest are the tool's own arguments.
                    return;
                }
                "--from" | "--spec" => {
                    let spec = value();
                    named = true;
                    if !is_own(spec) {
                        self.python(tool, spec);
                    }
                }
                "--with" | "--preinstall" => {
                    for spec in value().split(',') {
                        self.python(tool, spec);
                    }
                }
                option if ORIGIN.contains(&option) => {
                    let value = value();
                    self.origin(option, value);
                }
                option if VALUED.contains(&option) => {
                    value();
                }
                _ => {}
            }
        }
    }

    /// `uv run --with NAME …`: the project's own lock fixes the rest.
    fn with(&mut self, words: &[&str]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').unwrap_or((word, ""));
            if option == "--with" {
                let value =
                    if value.is_empty() { words.next().copied().unwrap_or("") } else { value };
                for spec in value.split(',').filter(|spec| !spec.is_empty()) {
                    self.python("uv run --with", spec);
                }
            } else if VALUED.contains(word) {
                words.next();
            } else if !word.starts_with('-') {
                return;
            }
        }
    }

    fn node_tool(&mut self, tool: &str, words: &[&str]) {
        let mut words = words.iter();
        let mut named = false;
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').unwrap_or((word, ""));
            match option {
                "-p" | "--package" => {
                    let spec =
                        if value.is_empty() { words.next().copied().unwrap_or("") } else { value };
                    named = true;
                    self.node(tool, spec);
                }
                "-c" | "--call" => return,
                "--registry" if value.is_empty() => {
                    words.next();
                }
                _ if word.starts_with('-') => {}
                _ => {
                    if !named {
                        self.node(tool, word);
                    }
                    return;
                }
            }
        }
    }

    fn node_globals(&mut self, words: &[&str]) {
        for word in words.iter().filter(|word| !word.starts_with('-') && !is_own(word)) {
            self.node("npm install -g", word);
        }
    }

    /// One Python package, as a tool or pip takes it.
    fn python(&mut self, tool: &str, spec: &str) {
        if self.varies(spec) {
            return;
        }
        // uv and npm share `name@version`; PEP 508 has an address there.
        let line = match spec.split_once('@') {
            Some((name, "latest")) if !name.contains(' ') => name.to_owned(),
            Some((name, version)) if crate::version::pep440(version).is_some() => {
                format!("{name}=={version}")
            }
            _ => spec.to_owned(),
        };
        let refuse = |_: &std::path::Path| Err(String::new());
        let mut read = requirements::read(&line, self.place, &refuse);
        moved(&mut read, self.place);
        let loose = read.packages.iter().any(|package| match &package.source {
            Source::Registry { .. } => package.version.is_none(),
            Source::Vcs { commit, .. } => commit.is_none(),
            _ => false,
        });
        if loose {
            self.floats(tool, spec);
        }
        self.reading.append(read);
    }

    fn node(&mut self, tool: &str, spec: &str) {
        if self.varies(spec) || is_own(spec) || spec.is_empty() {
            return;
        }
        let from = usize::from(spec.starts_with('@'));
        let at = spec.get(from..).and_then(|rest| rest.find('@')).map(|at| at + from);
        let (name, version) = match at {
            Some(at) => {
                (spec.get(..at).unwrap_or_default(), spec.get(at + 1..).unwrap_or_default())
            }
            None => (spec, ""),
        };
        if name.is_empty() || name.contains([':', ' ']) {
            return;
        }
        let place = self.place.clone();
        let mut package = Package::new(Ecosystem::Npm, name, Standing::Asked, place);
        let exact =
            version.split('.').count() >= 3 && Version::read(Ecosystem::Npm, version).is_ordered();
        if exact {
            package = package.at_version(version);
        } else {
            package.range = (!version.is_empty()).then(|| version.to_owned());
            self.floats(tool, spec);
        }
        self.reading.packages.push(package);
    }

    fn origin(&mut self, option: &str, value: &str) {
        if self.varies(value) {
            return;
        }
        // uv's names for the same things.
        let option = match option {
            "--default-index" => "--index-url",
            "--index" => "--extra-index-url",
            other => other,
        };
        let refuse = |_: &std::path::Path| Err(String::new());
        let mut read = requirements::read(&format!("{option} {value}"), self.place, &refuse);
        moved(&mut read, self.place);
        self.reading.append(read);
    }

    /// Returns true if `word` depends on something that is not written here; a gap then.
    fn varies(&mut self, word: &str) -> bool {
        let varies = word.contains('$') || word.contains("{{") || word.contains("%(");
        if varies {
            self.reading.gaps.push(Gap {
                why: Why::Floating,
                subject: quoted(word),
                place: Some(self.place.clone()),
                text: "what is fetched depends on a variable".into(),
                do_first: "Write the name and the version into the file.".into(),
            });
        }
        varies
    }

    fn floats(&mut self, tool: &str, spec: &str) {
        let (severity, meaning, do_first) = match self.starts {
            Starts::Agent => (
                Severity::Medium,
                "Each start fetches whatever release is the newest at that moment, and runs it with the rights of the person at the keyboard. The first known victim of March 2026 got the bad release in this way, six minutes after its upload.",
                "Name the version (name@1.2.3), or install the tool from a lock file with hashes and start that.",
            ),
            Starts::Build => (
                Severity::Low,
                "Each build fetches whatever release is the newest at that moment: two builds of one commit differ, and a bad release comes in by itself.",
                "Install from a lock file with hashes; for a single tool, name the version.",
            ),
        };
        self.reading.findings.push(Finding {
            rule: crate::rule::Rule::NotFixed,
            severity,
            kind: Kind::Pin,
            subject: format!("{tool} {}", quoted(spec)),
            evidence: vec![Evidence {
                place: Some(self.place.clone()),
                text: "names no version that is fixed".into(),
            }],
            meaning: meaning.into(),
            do_first: do_first.into(),
            advisories: Vec::new(),
        });
    }
}

/// Returns true if `word` means something that lies here: the project itself, a file.
fn is_own(word: &str) -> bool {
    word.is_empty()
        || word == "."
        || word.starts_with([',', '<', '>'])
        || word.starts_with(".[")
        || word.starts_with("./")
        || word.starts_with("../")
        || word.starts_with('/')
        || word.starts_with("~/")
        || (crate::python::artefact::is_artefact(word) && !word.contains("://"))
}

/// Puts everything in `read` at `place`.
fn moved(read: &mut Reading, place: &Place) {
    for package in &mut read.packages {
        package.place = place.clone();
    }
    for gap in &mut read.gaps {
        gap.place = Some(place.clone());
    }
    for evidence in read.findings.iter_mut().flat_map(|finding| &mut finding.evidence) {
        evidence.place = Some(place.clone());
    }
}
