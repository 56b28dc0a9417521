//! Code that runs at every Python start, without anybody importing it.
//!
//! `.pth` lines as the `site` module reads them, `.start` files (PEP 829), and
//! the modules `sitecustomize` and `usercustomize`. Judged whatever RECORD
//! says: the wheel that stole credentials in March 2026 listed its `.pth`,
//! with the right hash. Nothing is executed; the traits below are words, and
//! what they miss is still reported as unknown code.

use super::chain::Modules;
use super::conduct::Sources;
use super::{about, plain, unreadable};
use crate::files;
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::judge::conduct::Open;
use crate::manifest::Reading;
use crate::python;
use pycode::Role;
use std::path::Path;

/// The largest start-up file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 16 << 20;
/// An honest line is shorter, in bytes.
const LINE_HONEST_MAX: usize = 1024;
/// Of a line that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 120;

/// SHA-256 of lines that well-known tools write, without blanks at their end.
const KNOWN_SHA256: [&str; 3] = [
    // coverage 7: measures a process only if its environment asks for it
    "2cbb286eeaf39b2cd7d68cb09c1bc3cfb0cc8d27da949004d0c22698f127f270",
    // setuptools: its own distutils, or the standard library's
    "2f70c2fa9227e9db9348215d9c7b246d2786aac7516f86d71a5952c7c225aa16",
    "792f1e64bdbc639bc9e69672208025d82d37f615b5a6bbff981b444ec1f214a5",
];
/// Lines that well-known tools write with names of their own in them; `{}`
/// stands for names of modules.
const KNOWN_LINES: [&str; 5] = [
    "import _virtualenv",
    "import pywin32_bootstrap",
    "import __editable___{}_finder; __editable___{}_finder.install()",
    "import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1).f_locals['sitedir'], *({}));importlib = has_mfs and __import__('importlib.util');has_mfs and __import__('importlib.machinery');m = has_mfs and sys.modules.setdefault({}, importlib.util.module_from_spec(importlib.machinery.PathFinder.find_spec({}, [os.path.dirname(p)])));m = m or sys.modules.setdefault({}, types.ModuleType({}));mp = (m or []) and m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p)",
    "import sys, types, os;p = os.path.join(sys._getframe(1).f_locals['sitedir'], *({}));importlib = __import__('importlib.util');__import__('importlib.machinery');m = sys.modules.setdefault({}, importlib.util.module_from_spec(importlib.machinery.PathFinder.find_spec({}, [os.path.dirname(p)])));m = m or sys.modules.setdefault({}, types.ModuleType({}));mp = (m or []) and m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p)",
];
/// What may follow the two lines of namespace packages.
const KNOWN_TAIL: &str = ";m and setattr(sys.modules[{}], {}, m)";
/// The module that Debian's and Ubuntu's Python ships, without its comment.
const KNOWN_MODULE: &str =
    "try: import apport_python_hook except ImportError: pass else: apport_python_hook.install()";

/// What code can do that start-up code has no business doing, and the words
/// that give it away.
const TRAITS: [(&str, &[&str]); 5] = [
    (
        "starts programs",
        &[
            "subprocess",
            "Popen",
            "os.system",
            "os.exec",
            "os.spawn",
            "posix_spawn",
            "pty.",
            "ctypes",
            "sys.executable",
        ],
    ),
    (
        "talks to the network",
        &[
            "socket",
            "urllib",
            "urlopen",
            "http.client",
            "httplib",
            "requests",
            "httpx",
            "aiohttp",
            "curl ",
            "wget ",
        ],
    ),
    (
        "decodes hidden text",
        &[
            "base64",
            "b64decode",
            "b85decode",
            "a85decode",
            "unhexlify",
            "fromhex",
            "zlib",
            "lzma",
            "bz2",
            "marshal",
            "codecs.decode",
            "rot13",
        ],
    ),
    (
        "executes text as code",
        &["exec(", "exec (", "eval(", "eval (", "compile(", "runpy", "execfile"],
    ),
    (
        "reads where secrets are kept",
        &[
            ".ssh",
            ".aws",
            ".kube",
            ".netrc",
            "/.env",
            "\".env",
            "'.env",
            "credentials",
            "id_rsa",
            "environ.items",
            "environ.copy",
            "dict(os.environ",
            "169.254.169.254",
        ],
    ),
];

/// Adds the start-up code of `site`, whose entries are `names`, to `reading`.
pub(super) fn judge(site: &Path, names: &[String], sources: &Sources, reading: &mut Reading) {
    let modules = Modules::of(sources, &on_disk);
    for name in names {
        let path = site.join(name);
        if name.strip_suffix(".pth").is_some() {
            each(&path, &modules, reading, pth);
        } else if name.strip_suffix(".start").is_some() {
            each(&path, &modules, reading, start);
        }
    }
    // sitecustomize may also lie beside the standard library.
    let library = site.parent().map(|parent| (parent, super::names_in(parent).unwrap_or_default()));
    let here = names.iter().map(|name| site.join(name));
    let beside = library.into_iter().flat_map(|(folder, names)| {
        names.into_iter().map(|name| folder.join(name)).collect::<Vec<_>>()
    });
    for path in here.chain(beside) {
        let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next());
        if matches!(stem, Some("sitecustomize" | "usercustomize")) {
            let path = if path.is_dir() { path.join("__init__.py") } else { path };
            each(&path, &modules, reading, module);
        }
    }
}

/// The content of a file on the disk that code names.
pub(super) fn on_disk(path: &Path) -> Option<Vec<u8>> {
    files::met(path, FILE_MAX_BYTES).ok()
}

fn each(
    path: &Path,
    modules: &Modules<'_>,
    reading: &mut Reading,
    judge: fn(&Path, &str, &Modules<'_>) -> Vec<Finding>,
) {
    match files::met(path, FILE_MAX_BYTES) {
        // Python takes a byte order mark, and another encoding where UTF-8 fails.
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            reading.findings.extend(judge(path, text, modules));
        }
        Err(why) => reading.gaps.push(unreadable(path, &why)),
    }
}

/// The lines of a `.pth` file. Python up to 3.12 ends them at line feeds and
/// carriage returns, later ones wherever `str.splitlines` does. Where the two
/// differ, both are told: what is a comment or a path to one runs in the other.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1_u32..).zip(text.split(['\n', '\r'])).flat_map(|(number, line)| {
        let parts = python::lines(line).filter(move |part| part.len() < line.len());
        std::iter::once(line).chain(parts).map(move |line| (number, line))
    })
}

/// Returns true if a file of this name may run when Python starts.
pub(super) fn may_start(file: &str) -> bool {
    [".pth", ".start"].iter().any(|ending| file.ends_with(ending)) || is_module(file)
}

/// Returns true if Python imports a module of this name by itself.
pub(super) fn is_module(file: &str) -> bool {
    matches!(file.split('.').next(), Some("sitecustomize" | "usercustomize"))
}

/// What such a file, which is shown as `path`, does with `sources` beside it.
pub(super) fn of_file(path: &Path, text: &str, sources: &Sources, open: Open<'_>) -> Vec<Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let modules = Modules::of(sources, open);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("pth") => pth(path, text, &modules),
        Some("start") => start(path, text, &modules),
        _ => module(path, text, &modules),
    }
}

/// Lines that begin with `import` and a blank are executed; others are paths.
fn pth(path: &Path, text: &str, modules: &Modules<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in lines(text) {
        let runs = line.starts_with("import ") || line.starts_with("import\t");
        if !runs {
            findings.extend(outside(path, line, number));
            continue;
        }
        let known = is_known(line.trim_end());
        let found = traits(line);
        let long = line.len() > LINE_HONEST_MAX;
        // Also where the line itself is known: what it imports need not be.
        if let Some(bad) = modules.judge(path, number, line, Role::Module) {
            findings.push(bad);
            continue;
        }
        if known {
            continue;
        }
        let severity = match found.as_slice() {
            [] if !long => Severity::Medium,
            // A text that can be read was judged by what it says.
            ["executes text as code"] if !long && is_readable(line) => Severity::Medium,
            ["executes text as code" | "decodes hidden text"] if !long => Severity::High,
            _ => Severity::Critical,
        };
        let mut evidence = vec![Evidence {
            place: Some(about(path).at(number)),
            text: format!("line of {} bytes: {}", line.len(), shown(line)),
        }];
        if !found.is_empty() {
            evidence.push(Evidence { place: None, text: found.join(", ") });
        }
        findings.push(finding(path, severity, evidence));
    }
    findings
}

/// Returns true if everything that a line executes is a text in it.
fn is_readable(line: &str) -> bool {
    let calls = ["exec(", "eval("];
    let after = |call: &str| line.split(call).skip(1).map(str::trim_start).collect::<Vec<_>>();
    calls.iter().flat_map(|call| after(call)).all(|rest| rest.starts_with(['"', '\'']))
        && !["exec (", "eval (", "compile", "runpy", "execfile"].iter().any(|w| line.contains(w))
}

/// A line that adds a path of another place to the search for modules.
fn outside(path: &Path, line: &str, number: u32) -> Option<Finding> {
    let added = line.trim_end();
    if added.is_empty() || added.starts_with('#') || added.trim() != added {
        return None;
    }
    let site = path.parent()?;
    let added = site.join(added);
    if plain(&added).starts_with(super::prefix_of(site)) {
        return None;
    }
    Some(Finding {
rule: crate::rule::Rule::StartupPath,
        severity: Severity::Low,
        kind: Kind::Origin,
        subject: path.file_name()?.to_str()?.to_owned(),
        evidence: vec![Evidence {
            place: Some(about(path).at(number)),
            text: format!("adds {} to the search for modules", added.display()),
        }],
        meaning: "Modules are also taken from outside of the environment. Editable installations do that; nothing there is recorded or compared.".into(),
        do_first: "Make sure that the path is yours and that nobody else can write to it.".into(),
        advisories: Vec::new(),
    })
}

/// `module:callable` lines, called at every start.
fn start(path: &Path, text: &str, modules: &Modules<'_>) -> Vec<Finding> {
    let called = (1_u32..).zip(text.lines()).filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let called: Vec<(u32, &str)> = called.collect();
    let bad = called.iter().find_map(|(number, line)| {
        let (module, function) = line.trim().split_once(':').unwrap_or((line.trim(), "main"));
        let calls = format!("import {module}\n{module}.{function}()");
        modules.judge(path, *number, &calls, Role::Module)
    });
    if let Some(bad) = bad {
        return vec![bad];
    }
    let evidence: Vec<Evidence> = called
        .into_iter()
        .map(|(number, line)| Evidence {
            place: Some(about(path).at(number)),
            text: format!("calls {}", shown(line)),
        })
        .collect();
    if evidence.is_empty() { Vec::new() } else { vec![finding(path, Severity::Medium, evidence)] }
}

/// A module that Python imports by itself.
fn module(path: &Path, text: &str, modules: &Modules<'_>) -> Vec<Finding> {
    let is_source = path.extension().is_some_and(|e| e == "py");
    if is_source && let Some(bad) = modules.judge(path, 0, text, Role::of(path)) {
        return vec![bad];
    }
    let code: Vec<&str> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    if is_source && (code.is_empty() || code.join(" ") == KNOWN_MODULE) {
        return Vec::new();
    }
    let found =
        if is_source { traits(&code.join("\n")) } else { vec!["is compiled: it cannot be read"] };
    let severity = if is_source && found.len() > 1 { Severity::Critical } else { Severity::High };
    let first = code.first().copied().unwrap_or_default();
    let mut evidence = vec![Evidence {
        place: Some(about(path)),
        text: if is_source { shown(first) } else { found.concat() },
    }];
    if is_source && !found.is_empty() {
        evidence.push(Evidence { place: None, text: found.join(", ") });
    }
    vec![finding(path, severity, evidence)]
}

fn finding(path: &Path, severity: Severity, evidence: Vec<Evidence>) -> Finding {
    let rule = match severity {
        Severity::Critical => crate::rule::Rule::StartupHarm,
        _ => crate::rule::Rule::StartupUnknown,
    };
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let in_package = name == "__init__.py";
    let folder = path.parent().and_then(Path::file_name).and_then(|n| n.to_str());
    let subject = if in_package { folder.unwrap_or(name) } else { name };
    let (meaning, do_first) = if severity == Severity::Critical {
        (
            "It runs at every Python start in this environment (pip, editors and scripts alike; no import is needed) and does what no honest start-up file does. That an installer recorded it makes it no better.",
            "Start no Python here, pip neither. Cut the machine off the network, keep a copy of the file, and look for what it left behind. Then replace every secret that was readable here, from a clean machine.",
        )
    } else {
        (
            "It runs at every Python start in this environment, without being imported, and is not known to this version of keymoat.",
            "Find out which tool put it there, and read it. If nobody knows, treat it as hostile.",
        )
    };
    Finding {
        rule,
        severity,
        kind: Kind::StartupCode,
        subject: subject.to_owned(),
        evidence,
        meaning: meaning.into(),
        do_first: do_first.into(),
        advisories: Vec::new(),
    }
}

fn traits(code: &str) -> Vec<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    TRAITS.iter().filter(|(_, words)| has(words)).map(|(what, _)| *what).collect()
}

fn is_known(line: &str) -> bool {
    let sha256 = crate::installed::sha256_of(line.as_bytes());
    if KNOWN_SHA256.contains(&sha256.as_str()) {
        return true;
    }
    KNOWN_LINES.iter().any(|known| {
        fits(line, known)
            || known.contains("sitedir") && fits(line, &format!("{known}{KNOWN_TAIL}"))
    })
}

/// Returns true if `line` is `pattern` with names of modules, or tuples of such names
/// in quotes, in the place of each `{}`.
fn fits(line: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once("{}") else { return line == pattern };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let inside = |l: char| l.is_ascii_alphanumeric() || matches!(l, '_' | '.' | '\'' | ',' | ' ');
    let most = rest.find(|l| !inside(l)).unwrap_or(rest.len());
    (1..=most).any(|end| rest.get(end..).is_some_and(|rest| fits(rest, after)))
}

fn shown(line: &str) -> String {
    let mut text: String = line.trim().chars().take(SHOWN_MAX_CHARS).collect();
    if line.trim().chars().count() > SHOWN_MAX_CHARS {
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pth(path: &Path, text: &str) -> Vec<Finding> {
        super::pth(path, text, &Modules::of(&Sources::new(), &|_| None))
    }

    fn module(path: &Path, text: &str) -> Vec<Finding> {
        super::module(path, text, &Modules::of(&Sources::new(), &|_| None))
    }

    fn start(path: &Path, text: &str) -> Vec<Finding> {
        super::start(path, text, &Modules::of(&Sources::new(), &|_| None))
    }

    fn severities(text: &str) -> Vec<Severity> {
        pth(Path::new("x.pth"), text).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn what_well_known_tools_write_is_quiet() {
        let namespace = KNOWN_LINES[3].replacen("{}", "'google',", 1).replace("{}", "'google'");
        let nested = format!(
            "{}{}",
            KNOWN_LINES[4].replacen("{}", "'a', 'b'", 1).replace("{}", "'a.b'"),
            ";m and setattr(sys.modules['a'], 'b', m)"
        );
        for quiet in [
            "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; enabled and __import__('_distutils_hack').add_shim(); \n",
            "import _virtualenv\n",
            "import __editable___my_pkg_1_0_finder; __editable___my_pkg_1_0_finder.install()",
            &namespace,
            &nested,
            "# import os\n\n./elsewhere\nimportant/path\n import os\n",
        ] {
            assert_eq!(severities(quiet), [], "{quiet}");
        }
    }

    #[test]
    fn the_launcher_of_march_2026_is_critical_in_plain_words() {
        let line = "import os, subprocess, sys; subprocess.Popen([sys.executable, \"-c\", \"import base64; exec(base64.b64decode('cGFzcw=='))\"])";
        let findings = pth(Path::new("site-packages/litellm_init.pth"), line);
        assert_eq!(findings[0].severity, Severity::Critical);
        assert_eq!(findings[0].subject, "litellm_init.pth");
        assert!(findings[0].meaning.contains("runs at every Python start"));
    }

    #[test]
    fn unknown_code_is_reported_whatever_it_looks_like() {
        assert_eq!(severities("import thing"), [Severity::Medium]);
        assert_eq!(severities("import\tthing; thing.go()"), [Severity::Medium]);
        assert_eq!(severities("import os;exec('x')"), [Severity::Medium]);
        assert_eq!(severities("import os;exec(os.x)"), [Severity::High]);
        assert_eq!(severities(&format!("import x; '{}'", "a".repeat(2000))), [Severity::Critical]);
        // A known line with something behind it is not that line.
        assert_eq!(
            severities("import _virtualenv; import os; os.system('x')"),
            [Severity::Critical]
        );
        let editable = "import __editable___a_finder; import evil; __editable___a_finder.install()";
        assert_eq!(severities(editable), [Severity::Medium]);
        assert_eq!(severities("a\rimport thing"), [Severity::Medium]);
        // Python from 3.13 on ends lines here as well.
        assert_eq!(severities("# a\u{c}import thing"), [Severity::Medium]);
        assert_eq!(severities("# a\u{2028}import thing"), [Severity::Medium]);
        // Up to 3.12 a form feed is a blank, and the line goes on.
        assert!(severities("import os;\u{c}exec(os.x)").contains(&Severity::High));
    }

    #[test]
    fn a_path_of_another_place_is_told() {
        let path = Path::new("env/lib/python3.12/site-packages/x.pth");
        let of = |text| pth(path, text).len();
        assert_eq!(of("/home/me/project/src\n"), 1);
        assert_eq!(of("../../../../elsewhere\n"), 1);
        assert_eq!(of("./here\n../../../share\n"), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(import |[ -~\n\r\té]){0,80}") {
            let path = Path::new("site-packages/x.pth");
            let _: usize = pth(path, &text).len() + start(path, &text).len() + module(path, &text).len();
            let _: (bool, bool) = (super::super::record::rows(&text).is_ok(), super::super::metadata::name_and_version(&text).0.is_some());
        }
    }

    #[test]
    fn sitecustomize_is_high_and_worse_with_traits() {
        let of = |text| module(Path::new("sitecustomize.py"), text).first().map(|f| f.severity);
        assert_eq!(of("# nothing\n\n"), None);
        assert_eq!(
            of(
                "# c\ntry:\n    import apport_python_hook\nexcept ImportError:\n    pass\nelse:\n    apport_python_hook.install()\n"
            ),
            None
        );
        assert_eq!(of("import site"), Some(Severity::High));
        assert_eq!(of("import socket, subprocess\n"), Some(Severity::Critical));
    }
}
