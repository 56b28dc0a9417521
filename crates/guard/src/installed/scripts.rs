//! The commands of an environment, in its `bin`: whether its interpreter is
//! one, whether what installers generate for entry points is what they would
//! generate, and what nobody recorded.
//!
//! Only where `pyvenv.cfg` says that the folder is an environment's: the `bin`
//! of a system holds what others installed. What RECORD says of a command is
//! compared elsewhere, with everything else that it lists.

use super::distribution::Distribution;
use super::{about, finding};
use crate::files;
use crate::finding::{Evidence, Finding, Severity};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest generated command or list of entry points that is read, in bytes.
const FILE_MAX_BYTES: u64 = 256 << 10;
/// Entries of the folder that are looked at.
const ENTRIES_MAX: usize = 20_000;
/// Commands that one finding names; the rest are counted.
const SHOWN_MAX: usize = 10;
/// What makes an environment puts there, by how their names begin.
const OWN: [&str; 6] = ["activate", "Activate", "deactivate", "pydoc", "python", "pypy"];
/// Commands to which people give their secrets, or that others call by name.
const COMMON: [&str; 40] = [
    "sudo",
    "su",
    "ssh",
    "scp",
    "sftp",
    "ssh-add",
    "ssh-agent",
    "gpg",
    "git",
    "gh",
    "glab",
    "docker",
    "podman",
    "kubectl",
    "helm",
    "aws",
    "gcloud",
    "az",
    "op",
    "pass",
    "vault",
    "curl",
    "wget",
    "sh",
    "bash",
    "zsh",
    "env",
    "ls",
    "cat",
    "cp",
    "mv",
    "rm",
    "make",
    "node",
    "npm",
    "npx",
    "uv",
    "uvx",
    "pip",
    "poetry",
];
/// Lines that installers write into every command, without blanks around them.
const LINES: [&str; 20] = [
    "",
    "# -*- coding: utf-8 -*-",
    "# -*- coding:utf-8 -*-",
    "import re",
    "import sys",
    "' '''",
    "if __name__ == '__main__':",
    "if __name__ == \"__main__\":",
    r"sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])",
    r"sys.argv[0] = re.sub(r'(-script\.pyw?|\.exe)?$', '', sys.argv[0])",
    r#"sys.argv[0] = re.sub(r"(-script\.pyw|\.exe)?$", "", sys.argv[0])"#,
    r#"sys.argv[0] = re.sub(r"(-script\.pyw?|\.exe)?$", "", sys.argv[0])"#,
    "sys.argv[0] = sys.argv[0].removesuffix('.exe')",
    "sys.argv[0] = sys.argv[0].removesuffix(\".exe\")",
    "if sys.argv[0].endswith(\"-script.pyw\"):",
    "if sys.argv[0].endswith('-script.pyw'):",
    "elif sys.argv[0].endswith(\".exe\"):",
    "if sys.argv[0].endswith('.exe'):",
    "sys.argv[0] = sys.argv[0][:-11]",
    "sys.argv[0] = sys.argv[0][:-4]",
];

/// Adds what is odd about the commands of the environment `prefix`;
/// `is_recorded` says whether an installer recorded a path.
pub(super) fn judge(
    prefix: &Path,
    distributions: &[Distribution],
    is_recorded: &dyn Fn(&Path) -> bool,
    findings: &mut Vec<Finding>,
) {
    if !prefix.join("pyvenv.cfg").is_file() {
        return;
    }
    let bin = prefix.join("bin");
    let mut names: BTreeSet<String> = BTreeSet::new();
    for entry in fs::read_dir(&bin).into_iter().flatten().flatten().take(ENTRIES_MAX) {
        names.extend(entry.file_name().into_string().ok());
    }
    findings.extend(names.iter().filter_map(|name| interpreter(&bin.join(name), name)));
    for name in names.iter().filter(|name| name.starts_with("activate")) {
        findings.extend(activates(&bin.join(name)));
    }
    for distribution in distributions {
        for (name, target) in entry_points(&distribution.folder.join("entry_points.txt")) {
            let path = bin.join(&name);
            if let Some(odd) = names.contains(&name).then(|| odd_line(&path, &target)).flatten() {
                findings.push(changed(distribution, &path, &name, &target, odd));
            }
        }
    }
    let strange = |name: &&String| {
        let path = bin.join(name);
        !OWN.iter().any(|own| name.starts_with(own)) && !is_recorded(&path) && !path.is_dir()
    };
    let (common, rest): (Vec<&String>, Vec<&String>) =
        names.iter().filter(strange).partition(|name| COMMON.contains(&name.as_str()));
    findings.extend(unrecorded(&bin, &common, true));
    findings.extend(unrecorded(&bin, &rest, false));
}

/// What a shell reads to enter the environment starts nothing that was fetched.
fn activates(path: &Path) -> Option<Finding> {
    let text = String::from_utf8_lossy(&files::met(path, FILE_MAX_BYTES).ok()?).into_owned();
    let (number, what) = (1_u32..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .find_map(|(number, line)| Some((number, pycode::commands::harm(line)?)))?;
    Some(finding(
        crate::rule::Rule::OddCommand,
        Severity::High,
        path.display().to_string(),
        vec![Evidence { place: Some(about(path).at(number)), text: format!("it {what}") }],
        "A shell reads this file whenever somebody enters the environment, and it does more than to set variables.",
        "Do not enter the environment. Find out who changed the file, and make the environment again from a lock file.",
    ))
}

/// An interpreter is no script.
fn interpreter(path: &Path, name: &str) -> Option<Finding> {
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"))?;
    if !version.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b't') {
        return None;
    }
    let head = files::head(path, 2)?;
    (head == b"#!").then(|| {
        finding(
            crate::rule::Rule::OddCommand, Severity::High,
            path.display().to_string(),
            vec![Evidence { place: Some(about(path)), text: "begins with #!, as a script does".into() }],
            "What stands in the place of the interpreter is a script: it runs before, or instead of, every Python here, and no RECORD lists it.",
            "Read it, and start nothing from this environment before. Version managers have such scripts in folders of their own, never in an environment.",
        )
    })
}

/// The commands of an `entry_points.txt`: names, and what they call.
fn entry_points(path: &Path) -> Vec<(String, String)> {
    let bytes = files::met(path, FILE_MAX_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut found = Vec::new();
    let mut of_commands = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            of_commands = matches!(section.trim(), "console_scripts" | "gui_scripts");
        } else if let Some((name, target)) = line.split_once('=').filter(|_| of_commands) {
            let target = target.split('[').next().unwrap_or(target);
            let is_name = !name.contains('/') && !line.starts_with(['#', ';']);
            if is_name {
                let blank = |c: char| c.is_ascii_whitespace();
                found.push((name.trim().to_owned(), target.replace(blank, "")));
            }
        }
    }
    found
}

/// The first line of the command at `path` that no installer would write for
/// `target`; what is no text, a launcher for Windows, has none.
fn odd_line(path: &Path, target: &str) -> Option<(u32, String)> {
    let bytes = files::met(path, FILE_MAX_BYTES).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    if !text.starts_with("#!") {
        return None;
    }
    let (module, function) = target.split_once(':')?;
    let imported = function.split('.').next().unwrap_or(function);
    let own = [format!("from {module} import {imported}"), format!("sys.exit({function}())")];
    (1_u32..).zip(text.lines()).skip(1).find_map(|(number, line)| {
        let line = line.trim();
        let of_shell =
            number == 2 && line.starts_with("'''exec' ") && line.ends_with(" \"$0\" \"$@\"");
        let known = LINES.contains(&line) || own.iter().any(|own| own == line) || of_shell;
        (!known).then(|| (number, pycode::fact::excerpt(line)))
    })
}

fn changed(
    owner: &Distribution,
    path: &Path,
    name: &str,
    target: &str,
    (number, line): (u32, String),
) -> Finding {
    finding(
        crate::rule::Rule::OddCommand,
        Severity::Medium,
        format!("{name} of {}", owner.package.shown()),
        vec![
            Evidence { place: Some(about(path).at(number)), text: line },
            Evidence {
                place: Some(about(&owner.folder.join("entry_points.txt"))),
                text: format!("{name} is to call {target}"),
            },
        ],
        "An installer generates this command: a few lines that call one function. This one holds something else; whoever changed it may have changed RECORD as well.",
        "Read it. If nobody knows why it is so, make the environment anew from a lock file with hashes.",
    )
}

fn unrecorded(bin: &Path, names: &[&String], common: bool) -> Option<Finding> {
    let paths: Vec<PathBuf> = names.iter().map(|name| bin.join(name)).collect();
    if paths.is_empty() {
        return None;
    }
    let text =
        if common { "is in no RECORD, and stands before the system's" } else { "is in no RECORD" };
    let mut evidence: Vec<Evidence> = paths
        .iter()
        .take(SHOWN_MAX)
        .map(|path| Evidence { place: Some(about(path)), text: text.into() })
        .collect();
    if paths.len() > SHOWN_MAX {
        let text = format!("and {} more", paths.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    let (severity, meaning) = if common {
        (
            Severity::Medium,
            "A command of a name that everybody types lies in the environment, and no installer recorded it: while the environment is active, it runs in the place of the system's.",
        )
    } else {
        (
            Severity::Low,
            "Commands lie in the environment that no installer of Python packages recorded.",
        )
    };
    let many = if paths.len() == 1 { "command" } else { "commands" };
    let subject = format!("{} {many} in {}", paths.len(), bin.display());
    let do_first = "Find out what put them there. If nobody knows, make the environment anew.";
    Some(finding(crate::rule::Rule::OddCommand, severity, subject, evidence, meaning, do_first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(text: &str) -> Option<(u32, String)> {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("keymoat-script-{}-{next}", std::process::id()));
        fs::write(&path, text).unwrap();
        let odd = odd_line(&path, "pkg.cli:App.main");
        fs::remove_file(&path).unwrap();
        odd
    }

    #[test]
    fn what_pip_uv_and_others_generate_is_known_and_one_line_more_is_not() {
        let pip = "#!/e/bin/python3\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom pkg.cli import App\nif __name__ == '__main__':\n    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit(App.main())\n";
        let newer = "#!/e/bin/python3\nimport sys\nfrom pkg.cli import App\nif __name__ == '__main__':\n    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(App.main())\n";
        let uv = "#!/bin/sh\n'''exec' '/a long/bin/python' \"$0\" \"$@\"\n' '''\n# -*- coding: utf-8 -*-\nimport sys\nfrom pkg.cli import App\nif __name__ == \"__main__\":\n    if sys.argv[0].endswith(\"-script.pyw\"):\n        sys.argv[0] = sys.argv[0][:-11]\n    elif sys.argv[0].endswith(\".exe\"):\n        sys.argv[0] = sys.argv[0][:-4]\n    sys.exit(App.main())\n";
        for honest in [pip, newer, uv] {
            assert_eq!(odd(honest), None, "{honest}");
        }
        assert_eq!(
            odd(&pip.replace("import re\n", "import re, os; os.system('id')\n")).unwrap().0,
            3
        );
        assert_eq!(odd(&pip.replace("utf-8", "utf_7")).unwrap().0, 2);
        assert_eq!(odd(&newer.replace("pkg.cli", "pkg.other")).unwrap().0, 3);
        assert_eq!(odd("MZ"), None);
    }
}
