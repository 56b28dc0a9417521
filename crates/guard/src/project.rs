//! Files of a project that start programs when its folder is opened, entered,
//! tested or built: settings of editors, agents and containers, hooks, and
//! Python that test runners import.
//!
//! Read as text and, where it is Python, as code. A file that starts nothing
//! odd is passed over.

use crate::files;
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::Place;
use crate::judge::conduct::{self, Part, Root};
use crate::manifest::Reading;
use crate::rule::Rule;
use pycode::commands;
use std::path::Path;

/// The largest such file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 4 << 20;
/// Lines of evidence for one finding.
const EVIDENCE_MAX: usize = 8;

/// When a file of a project has its commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    /// As soon as the folder is opened or entered.
    Opened,
    /// When somebody builds, tests or commits.
    Built,
    /// Python that a tool imports.
    Imported,
    /// Settings that say where packages come from.
    Settings,
}

/// When the file at `path` runs something, by its name; nothing if it does not.
fn runs(path: &Path) -> Option<Runs> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let folder = folder.unwrap_or_default();
    let above = path.ancestors().nth(2).and_then(Path::file_name).and_then(|name| name.to_str());
    Some(match (folder, name) {
        (".vscode" | ".cursor" | ".zed" | ".idea" | ".claude" | ".gemini" | ".codex", file)
            if [".json", ".toml", ".xml"].iter().any(|ending| file.ends_with(ending)) =>
        {
            Runs::Opened
        }
        (".devcontainer", "devcontainer.json")
        | (_, ".devcontainer.json" | ".envrc" | ".mise.toml" | ".autoenv" | ".env.fish") => {
            Runs::Opened
        }
        _ if above == Some(".devcontainer") && name == "devcontainer.json" => Runs::Opened,
        (".husky" | ".githooks" | "hooks", file) if folder != "hooks" || above == Some(".git") => {
            if file.ends_with(".sample") {
                return None;
            }
            Runs::Built
        }
        (
            _,
            "Makefile"
            | "makefile"
            | "GNUmakefile"
            | "justfile"
            | "Justfile"
            | "Taskfile.yml"
            | ".pre-commit-config.yaml"
            | "lefthook.yml"
            | "package.json"
            | "tox.ini"
            | "Rakefile",
        ) => Runs::Built,
        (
            _,
            "conftest.py"
            | "noxfile.py"
            | "tasks.py"
            | "fabfile.py"
            | "dodo.py"
            | "sitecustomize.py"
            | "usercustomize.py"
            | "hatch_build.py"
            | "pdm_build.py"
            | "setup.py"
            | "SConstruct"
            | "wscript"
            | "jupyter_server_config.py"
            | "jupyter_notebook_config.py",
        ) => Runs::Imported,
        (_, "uv.toml" | "pip.conf" | "pip.ini" | ".npmrc" | ".pypirc") => Runs::Settings,
        _ => return None,
    })
}

/// Returns true if the file at `path` may start a program by itself.
pub(crate) fn is_one(path: &Path) -> bool {
    runs(path).is_some()
}

/// What the file at `path` starts.
pub(crate) fn read(path: &Path) -> Reading {
    let mut reading = Reading::default();
    let Some(runs) = runs(path) else { return reading };
    let bytes = match files::met(path, FILE_MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(why) => {
            reading.gaps.push(crate::installed::unreadable(path, &why));
            return reading;
        }
    };
    if runs == Runs::Imported {
        reading.findings.extend(imported(path, &bytes));
        return reading;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if runs == Runs::Settings {
        reading.findings.extend(settings(path, &text));
        return reading;
    }
    reading.findings.extend(started(path, &text, runs));
    reading
}

/// Python that a tool imports.
fn imported(path: &Path, bytes: &[u8]) -> Vec<Finding> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let role = pycode::Role::of(path);
    let Some(summary) = pycode::apart(|| pycode::read(role, bytes)) else { return Vec::new() };
    let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let parts = [Part { module, path, summary: &summary }];
    let open = |file: &Path| files::met(file, FILE_MAX_BYTES).ok();
    let when = match name {
        "conftest.py" => "pytest imports it when tests are collected",
        "setup.py" | "hatch_build.py" | "pdm_build.py" => {
            "it runs when the project is built or installed"
        }
        "sitecustomize.py" | "usercustomize.py" => {
            "Python imports it at every start in this folder"
        }
        _ => "a tool imports it when it is started in this folder",
    };
    let verdicts = conduct::judge(&parts, &[], &open);
    let made = verdicts.into_iter().map(|verdict| {
        let evidence = verdict.evidence.iter().take(EVIDENCE_MAX).map(|(_, fact)| Evidence {
            place: Some(Place::whole(path).at(fact.line)),
            text: format!("{}: {}", fact.deed.verb(), fact.what),
        });
        let when = match &verdict.root {
            Root::Unreached(function) => format!("It is in the function `{function}`; {when}."),
            _ => format!("Nobody needs to call it: {when}."),
        };
        Finding {
            rule: verdict.rule,
            severity: verdict.severity,
            kind: Kind::Code,
            subject: path.display().to_string(),
            evidence: evidence.collect(),
            meaning: format!("{} {when}", verdict.because),
            do_first: "Run nothing in this folder, no tests either. Read the file, and find out who wrote it.".into(),
            advisories: Vec::new(),
        }
    });
    made.collect()
}

/// Commands in settings, hooks and recipes.
fn started(path: &Path, text: &str, runs: Runs) -> Vec<Finding> {
    let mut harm: Vec<Evidence> = Vec::new();
    let mut hooks: Vec<Evidence> = Vec::new();
    let automatic =
        text.contains("folderOpen") || text.contains("\"hooks\"") || text.contains("SessionStart");
    for (number, line) in (1_u32..).zip(text.lines()) {
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') || trimmed.starts_with("//") {
            continue;
        }
        let place = || Some(Place::whole(path).at(number));
        // A command may be a text in JSON, or all of the line.
        let texts =
            || std::iter::once(line).chain(line.split('"').map(|t| t.trim_end_matches('\\')));
        if let Some(what) = texts().find_map(commands::harm) {
            harm.push(Evidence {
                place: place(),
                text: format!("{what}: {}", pycode::fact::excerpt(trimmed)),
            });
        } else if runs == Runs::Opened && automatic && runs_hidden_script(line) {
            hooks.push(Evidence { place: place(), text: pycode::fact::excerpt(trimmed) });
        }
    }
    let subject = path.display().to_string();
    let mut found = Vec::new();
    if !harm.is_empty() {
        harm.truncate(EVIDENCE_MAX);
        let (severity, when) = match runs {
            Runs::Opened => {
                (Severity::High, "It is enough to open the folder, or to start an agent in it.")
            }
            _ => (Severity::Medium, "It runs when somebody builds, tests or commits here."),
        };
        found.push(Finding {
            rule: Rule::ProjectHarm,
            severity,
            kind: Kind::Persistence,
            subject: subject.clone(),
            evidence: harm,
            meaning: format!("A file of this project has a command run that does harm. {when}"),
            do_first: "Do not open the folder in an editor, and start no agent in it. Read the file as text, and find out who wrote it.".into(),
            advisories: Vec::new(),
        });
    }
    if !hooks.is_empty() {
        hooks.truncate(EVIDENCE_MAX);
        found.push(Finding {
            rule: Rule::StartsProgram,
            severity: Severity::Medium,
            kind: Kind::Persistence,
            subject,
            evidence: hooks,
            meaning: "A script that comes with the project is started when the folder is opened, or when an agent begins to work in it.".into(),
            do_first: "Read the script before the folder is opened in an editor or given to an agent.".into(),
            advisories: Vec::new(),
        });
    }
    found
}

/// Returns true if a line has an interpreter run a script from a hidden folder.
fn runs_hidden_script(line: &str) -> bool {
    let mut words = line
        .split(|letter: char| letter.is_whitespace() || "\"',:[]{}".contains(letter))
        .filter(|word| !word.is_empty())
        .skip_while(|word| {
            !matches!(
                word.rsplit('/').next().unwrap_or(word),
                "node"
                    | "bun"
                    | "deno"
                    | "python"
                    | "python3"
                    | "sh"
                    | "bash"
                    | "zsh"
                    | "npx"
                    | "tsx"
            )
        })
        .skip(1);
    words.any(|word| {
        let hidden =
            word.split('/').any(|part| part.len() > 1 && part.starts_with('.') && part != "..");
        let ending = word.rsplit_once('.').map(|(_, ending)| ending);
        hidden && matches!(ending, Some("js" | "mjs" | "cjs" | "ts" | "py" | "sh"))
    })
}

/// Settings of installers.
fn settings(path: &Path, text: &str) -> Option<Finding> {
    let mut seen = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let (name, value) = (name.trim(), value.trim());
        if name.starts_with('#') || value.is_empty() {
            continue;
        }
        let address = value.contains("http://")
            && !value.contains("://localhost")
            && !value.contains("://127.0.0.1");
        let unchecked = matches!(name, "allow-insecure-host" | "trusted-host" | "python")
            || name == "strict-ssl" && value == "false"
            || name == "index-strategy" && value.contains("unsafe")
            || name == "extra-index-url";
        if address || unchecked {
            let place = Some(Place::whole(path).at(number));
            // Addresses of private indexes carry passwords; the name is enough.
            seen.push(Evidence { place, text: name.to_owned() });
        }
    }
    if seen.is_empty() {
        return None;
    }
    Some(Finding {
        rule: Rule::IndexSettings,
        severity: Severity::Medium,
        kind: Kind::Origin,
        subject: path.display().to_string(),
        evidence: seen,
        meaning: "Settings in this folder have packages come over a way that is not checked, or from more than one place.".into(),
        do_first: "Use one index, over https, with certificates that are checked.".into(),
        advisories: Vec::new(),
    })
}
