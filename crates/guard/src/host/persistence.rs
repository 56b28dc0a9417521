//! What starts by itself: units, cron, autostart, shell profiles, and the hooks
//! of git, editors and coding agents. Read as text, never asked of a manager.

use super::Host;
use crate::files;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 4 << 20;
/// Folders that are walked through in search of projects, and how deep.
const FOLDERS_MAX: usize = 200_000;
const DEPTH_MAX: usize = 8;
const SKIPPED: [&str; 8] = [
    "node_modules",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "target",
    "proc",
    "sys",
    "dev",
];

/// By what something is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Starter {
    /// A unit of the service manager.
    Unit,
    /// A table or script of cron.
    Cron,
    /// A graphical session.
    Session,
    /// A shell, or every program: profiles, preloaded libraries.
    Shell,
    /// A sign-in over SSH.
    Ssh,
    /// Git, at a commit, a checkout or a fetch.
    Git,
    /// An editor that opens a folder.
    Editor,
    /// A coding agent.
    Agent,
    /// Python's own tools: pip, IPython, Jupyter.
    Python,
}

impl Starter {
    /// For people, many of them.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Unit => "units of the service manager",
            Self::Cron => "cron entries",
            Self::Session => "programs of the graphical session",
            Self::Shell => "lines that run in every shell or program",
            Self::Ssh => "commands at a sign-in over SSH",
            Self::Git => "git hooks",
            Self::Editor => "tasks that an editor runs when it opens a folder",
            Self::Agent => "hooks of coding agents",
            Self::Python => "settings and start-up files of Python's tools",
        }
    }

    /// Returns true if its text is one program with arguments.
    pub(crate) fn starts_one(self) -> bool {
        !matches!(self, Self::Shell | Self::Git | Self::Python)
    }
}

/// One thing that starts by itself.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// By what.
    pub(crate) starter: Starter,
    /// The file that says so.
    pub(crate) path: PathBuf,
    /// The line, from 1; 0 where there is none.
    pub(crate) line: u32,
    /// What is run.
    pub(crate) command: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Everything that starts by itself; of shells' and hooks' files, each line.
    pub(crate) entries: Vec<Entry>,
    /// Files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// What could not be, and why.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
}

/// Everything that starts by itself on `host`, and in projects below `paths`.
pub(crate) fn find(host: &Host, paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for folder in ["/etc/systemd/system", "/etc/systemd/user"] {
        units(&host.path(folder), &mut found);
    }
    for file in ["/etc/crontab", "/etc/anacrontab"] {
        found.lines(&host.path(file), Starter::Cron, cron_line);
    }
    for folder in ["/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"] {
        found.each(&host.path(folder), Starter::Cron, cron_line);
    }
    for folder in ["/etc/cron.hourly", "/etc/cron.daily", "/etc/profile.d"] {
        found.each(&host.path(folder), Starter::Shell, shell_line);
    }
    for file in ["/etc/profile", "/etc/bash.bashrc", "/etc/environment", "/etc/rc.local"] {
        found.lines(&host.path(file), Starter::Shell, shell_line);
    }
    found.lines(&host.path("/etc/ld.so.preload"), Starter::Shell, |line| {
        shell_line(line).map(|library| format!("LD_PRELOAD={library}"))
    });
    for home in host.homes() {
        of_home(home, &mut found);
    }
    for top in host.homes().iter().chain(paths) {
        projects(top, &mut found);
    }
    found.files.sort();
    found.files.dedup();
    found
}

fn of_home(home: &Path, found: &mut Found) {
    for folder in [".config/systemd/user", ".local/share/systemd/user"] {
        units(&home.join(folder), found);
    }
    found.each(&home.join(".config/autostart"), Starter::Session, |line| {
        line.strip_prefix("Exec=").map(str::to_owned)
    });
    for file in [
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".bash_logout",
        ".bash_aliases",
        ".profile",
        ".zshrc",
        ".zshenv",
        ".zprofile",
        ".zlogin",
        ".xprofile",
        ".xinitrc",
        ".pam_environment",
        ".config/fish/config.fish",
    ] {
        found.lines(&home.join(file), Starter::Shell, shell_line);
    }
    for folder in [".config/fish/conf.d", ".config/environment.d", ".bashrc.d"] {
        found.each(&home.join(folder), Starter::Shell, shell_line);
    }
    found.lines(&home.join(".ssh/rc"), Starter::Ssh, shell_line);
    found.lines(&home.join(".ssh/authorized_keys"), Starter::Ssh, |line| {
        let (_, rest) = line.split_once("command=\"")?;
        rest.split('"').next().map(str::to_owned)
    });
    for file in
        [".config/pip/pip.conf", ".pip/pip.conf", "Library/Application Support/pip/pip.conf"]
    {
        found.lines(&home.join(file), Starter::Python, pip_line);
    }
    python_startup(home, found);
    found.lines(&home.join(".gitconfig"), Starter::Git, git_line);
    found.lines(&home.join(".config/git/config"), Starter::Git, git_line);
}

/// `ExecStart=…` and its kin, in units and in what is dropped in beside them.
fn units(folder: &Path, found: &mut Found) {
    for path in names_in(folder) {
        if path.is_dir() {
            if path.extension().is_some_and(|ending| ending == "d") {
                units(&path, found);
            }
            continue;
        }
        let is_link = fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink());
        if !is_link {
            found.lines(&path, Starter::Unit, |line| {
                let (name, command) = line.split_once('=')?;
                name.trim().starts_with("Exec").then(|| {
                    command.trim().trim_start_matches(['-', '@', '+', '!', ':']).to_owned()
                })
            });
        }
    }
}

fn cron_line(line: &str) -> Option<String> {
    let line = line.trim();
    let is_schedule = line.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c == '@');
    is_schedule.then(|| line.to_owned())
}

fn shell_line(line: &str) -> Option<String> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then(|| line.to_owned())
}

/// Settings of pip that start another Python or take packages from elsewhere.
fn pip_line(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let tells = matches!(
        name.as_str(),
        "python"
            | "index-url"
            | "extra-index-url"
            | "trusted-host"
            | "find-links"
            | "proxy"
            | "cert"
    );
    tells.then(|| format!("pip: {name} = {}", value.trim()))
}

/// Files of Python that IPython and Jupyter run at every start; of each, what
/// its code does at once.
fn python_startup(home: &Path, found: &mut Found) {
    let mut files = names_in(&home.join(".ipython/profile_default/startup"));
    files.push(home.join(".ipython/profile_default/ipython_config.py"));
    files.push(home.join(".pythonrc"));
    files.push(home.join(".pythonrc.py"));
    for name in ["server", "notebook", "lab", "console"] {
        files.push(home.join(format!(".jupyter/jupyter_{name}_config.py")));
    }
    for path in files {
        if !path.extension().is_some_and(|e| e == "py" || e == "ipy")
            && !path.ends_with(".pythonrc")
        {
            continue;
        }
        let Some(text) = found.text(&path) else { continue };
        let read = || pycode::read(pycode::Role::Module, text.as_bytes());
        let facts = pycode::apart(read).unwrap_or_default().facts;
        for fact in facts.into_iter().filter(|fact| fact.when == pycode::fact::When::Import) {
            let command = format!("python: {}: {}", fact.deed.verb(), fact.what);
            found.entries.push(Entry {
                starter: Starter::Python,
                path: path.clone(),
                line: fact.line,
                command,
            });
        }
    }
}

/// Settings of git that name a program to run.
fn git_line(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let runs = matches!(name.as_str(), "hookspath" | "fsmonitor" | "sshcommand" | "gitproxy");
    let value = value.trim();
    (runs && !matches!(value, "true" | "false")).then(|| format!("{name} = {value}"))
}

/// Hooks of projects below `top`.
fn projects(top: &Path, found: &mut Found) {
    let (mut folders, mut seen) = (vec![(top.to_owned(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        seen += 1;
        if seen > FOLDERS_MAX {
            let text = "there are more folders than one search walks through".to_owned();
            found.unreadable.push((top.to_owned(), text));
            return;
        }
        match folder.file_name().and_then(|name| name.to_str()) {
            Some(".git") => {
                git(&folder, found);
                continue;
            }
            Some(".vscode") => {
                tasks(&folder.join("tasks.json"), Starter::Editor, "folderOpen", found);
            }
            Some(".cursor") => tasks(&folder.join("hooks.json"), Starter::Agent, "command", found),
            Some(".claude" | ".gemini") => {
                for file in ["settings.json", "settings.local.json"] {
                    tasks(&folder.join(file), Starter::Agent, "\"hooks\"", found);
                }
            }
            _ => {}
        }
        if depth >= DEPTH_MAX {
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let skipped = name.to_str().is_none_or(|name| SKIPPED.contains(&name));
            if !skipped && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
}

fn git(folder: &Path, found: &mut Found) {
    for path in names_in(&folder.join("hooks")) {
        if path.extension().is_none_or(|ending| ending != "sample") {
            found.lines(&path, Starter::Git, shell_line);
        }
    }
    found.lines(&folder.join("config"), Starter::Git, git_line);
}

/// Every `"command": "…"` of a file that holds `word`; such files may have
/// comments, so they are not parsed as a whole.
fn tasks(path: &Path, starter: Starter, word: &str, found: &mut Found) {
    let Some(text) = found.text(path) else { return };
    if !text.contains(word) {
        return;
    }
    for (line, rest) in (1_u32..).zip(text.lines()) {
        for (at, _) in rest.match_indices("\"command\"") {
            let value = rest.get(at + 9..).unwrap_or_default().trim_start();
            let value = value.strip_prefix(':').unwrap_or_default().trim_start();
            let mut texts = serde_json::Deserializer::from_str(value).into_iter::<String>();
            if let Some(Ok(command)) = texts.next() {
                found.entries.push(Entry { starter, path: path.to_owned(), line, command });
            }
        }
    }
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

impl Found {
    fn text(&mut self, path: &Path) -> Option<String> {
        if !path.is_file() {
            return None;
        }
        match files::bytes(path, FILE_MAX_BYTES) {
            Ok(bytes) => {
                self.files.push(path.to_owned());
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            Err(why) => {
                self.unreadable.push((path.to_owned(), why));
                None
            }
        }
    }

    fn lines(&mut self, path: &Path, starter: Starter, command: impl Fn(&str) -> Option<String>) {
        let Some(text) = self.text(path) else { return };
        for (line, text) in (1_u32..).zip(text.lines()) {
            if let Some(command) = command(text) {
                self.entries.push(Entry { starter, path: path.to_owned(), line, command });
            }
        }
    }

    fn each(
        &mut self,
        folder: &Path,
        starter: Starter,
        command: impl Fn(&str) -> Option<String> + Copy,
    ) {
        for path in names_in(folder) {
            self.lines(&path, starter, command);
        }
    }
}
