//! Text that is executed, and programs that are started.

use crate::call::{Args, content};
use crate::commands;
use crate::fact::{Deed, Summary};
use crate::places;
use crate::run::{self, Mode, Run, path};
use crate::tables;
use crate::value::{Abs, Marks};

/// Texts in texts that are read.
const NESTED_MAX: u32 = 4;
/// The longest executed text that is read, in bytes.
const INNER_MAX: usize = 4 << 20;
/// What no honest program does that another one writes to a file.
const PLANTED: [Deed; 4] =
    [Deed::ExecutesHidden, Deed::ExecutesFetched, Deed::ExecutesMedia, Deed::SendsSecrets];

impl<'t, 's> Run<'t, 's> {
    /// `exec(text)`: what it comes from, and what it does where it is known.
    pub(crate) fn execute(&mut self, text: &Abs<'t, 's>, how: &str, line: u32) {
        let marks = text.all_marks();
        // No text of its own is what `exec(lsb.reveal("a.png"))` is given.
        let media = marks.has(Marks::MEDIA) && text.raw().is_none();
        let carried = carried(marks).or(media.then_some(Deed::ExecutesMedia));
        // What nobody can read in the file itself is hidden, whatever hides it.
        let computed = text.raw().is_none() && marks.has(Marks::COMPUTED);
        if let Some(deed) = carried.or(computed.then_some(Deed::ExecutesHidden)) {
            self.note(deed, line, how);
        } else if marks.has(Marks::READ) && text.raw().is_none() {
            let file = self.file.clone();
            self.note(Deed::ExecutesFile, line, &file);
        }
        if let Some(raw) = text.raw() {
            let inner = self.inner(&String::from_utf8_lossy(raw));
            self.note_inner(inner, line);
        }
    }

    /// `file.write(text)`: what the text would do if it were a program.
    pub(crate) fn write(&mut self, text: &Abs<'t, 's>, line: u32) {
        let Some(raw) = text.raw() else { return };
        let code = String::from_utf8_lossy(raw).into_owned();
        if !["exec", "eval", "import"].iter().any(|word| code.contains(word)) {
            return;
        }
        let inner = self.inner(&code);
        let bad = |fact: &&crate::fact::Fact| {
            fact.when == crate::fact::When::Import && PLANTED.contains(&fact.deed)
        };
        if let Some(fact) = inner.facts.iter().find(bad) {
            let what = fact.what.clone();
            self.note(Deed::Plants, line, &what);
        }
    }

    /// What `code` does, read as a file of its own.
    fn inner(&mut self, code: &str) -> Summary {
        if self.nested >= NESTED_MAX || code.len() > INNER_MAX {
            self.cut_short |= code.len() > INNER_MAX;
            return Summary::default();
        }
        // To read it again and again costs as much as to run it.
        self.charge(code.len() as u64 / 4);
        if !self.step() {
            return Summary::default();
        }
        let tree = crate::parse::parse(code);
        let (summary, steps) =
            run::run(code, &tree.body, Mode::Module, self.nested + 1, self.steps());
        self.charge(steps.saturating_sub(self.steps()));
        self.cut_short |= summary.cut_short || tree.too_deep;
        summary
    }

    /// A program is started.
    pub(crate) fn spawn(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let mut parts: Vec<&Abs<'t, 's>> = Vec::new();
        for (name, value) in args {
            if matches!(name, None | Some("args" | "executable" | "input")) {
                match value.items() {
                    Some(items) => parts.extend(items.iter().take(4096)),
                    None => parts.push(value),
                }
            }
        }
        let words: Vec<std::borrow::Cow<'_, str>> = parts
            .iter()
            .map(|part| match (part.raw(), part.dotted()) {
                (Some(raw), _) => String::from_utf8_lossy(raw),
                (None, Some("sys.executable")) => "python".into(),
                _ => "\u{fffc}".into(),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(|word| &**word).collect();
        let command = words.join(" ");
        let all = parts.iter().fold(Marks::default(), |marks, part| marks.with(part.all_marks()));
        let program = command.split_whitespace().next().unwrap_or_default();
        let python = parts.first().is_some_and(|part| part.marks.has(Marks::PYTHON))
            || all.has(Marks::PYTHON) && dotted.starts_with("os.")
            || is_python(program);
        let shown = format!("{dotted}: {command}");

        // What a tool is given is not executed by it.
        let of_program = parts.first().map(|part| part.all_marks()).unwrap_or_default();
        let runs = python
            || commands::is_interpreter(program)
            || parts.len() < 2
            || words.first().is_none_or(|word| *word == "\u{fffc}");
        if let Some(deed) = carried(if runs { all } else { of_program }) {
            self.note(deed, line, &shown);
        }
        let given = ["-c", "-e", "-", "-Command", "-EncodedCommand", "-enc"];
        let code = words.iter().position(|word| given.contains(word));
        let inline = code.and_then(|at| parts.get(at + 1));
        let script = commands::is_interpreter(program);
        if (python || script) && (code.is_some() || args.iter().any(|(n, _)| *n == Some("input"))) {
            self.note(Deed::SpawnsCode, line, &shown);
        } else if commands::fetches(&command) || command.contains("| sh") || command.contains("|sh")
        {
            self.note(Deed::SpawnsShell, line, &shown);
        } else {
            self.note(Deed::Spawns, line, &shown);
        }
        self.starts_file(&words, python, args, line);
        let piped = args.iter().any(|(name, value)| {
            matches!(name, Some("stdin" | "stdout"))
                && value.dotted().is_some_and(|d| d.starts_with("socket."))
        });
        if piped || commands::gives_shell(&command) {
            self.note(Deed::GivesShell, line, &shown);
        }
        if python && let Some(raw) = inline.and_then(|code| code.raw()) {
            let code = String::from_utf8_lossy(raw).into_owned();
            let inner = self.inner(&code);
            self.note_inner(inner, line);
        }
        self.command(&command, all, line)
    }

    /// Notes a file of its own that a program is started with, or that is the
    /// program.
    fn starts_file(&mut self, words: &[&str], python: bool, args: &Args<'t, 's>, line: u32) {
        let silent = args.iter().any(|(name, value)| {
            *name == Some("start_new_session")
                || value.dotted().is_some_and(|dotted| dotted.ends_with("DEVNULL"))
        }) || words.iter().any(|word| matches!(*word, "nohup" | "setsid"));
        let note = if silent { " (silenced)" } else { "" };
        if python && let Some(at) = words.iter().position(|word| *word == "-m") {
            let module = words.get(at + 1).copied().unwrap_or_default();
            if !module.is_empty() && !tables::is_tool(module) {
                self.note(Deed::StartsFile, line, &format!("-m {module}{note}"));
            }
            return;
        }
        let own = words
            .iter()
            .flat_map(|word| word.split_whitespace())
            .find(|word| word.contains(crate::eval::HERE));
        if let Some(own) = own {
            self.note(Deed::StartsFile, line, &format!("{own}{note}"));
        }
    }

    /// What the words of a command say about it.
    fn command(&mut self, command: &str, all: Marks, line: u32) -> Abs<'t, 's> {
        let mut marks = Marks::default();
        let words = || command.split(|l: char| l.is_whitespace() || "'\";|&()<>".contains(l));
        let head: String = command.chars().take(2000).collect();
        let has = |text: &str| head.contains(text);
        if words().any(|word| matches!(word, "printenv" | "env" | "set")) && !has("/usr/bin/env ") {
            self.note(Deed::ReadsEnvironment, line, command);
            marks = marks.with(Marks::LOOT);
        }
        let secrets =
            words().take(2000).fold(Marks::default(), |m, word| m.with(places::marks(word)));
        if secrets.secrets().next().is_some() {
            self.read_secrets(secrets, command, line);
            marks = marks.with(Marks::LOOT);
        }
        if commands::tells_secrets(&head) {
            self.note(Deed::ReadsSecrets, line, command);
            marks = marks.with(Marks::LOOT);
        }
        if commands::fetches(&head) {
            self.note(Deed::Talks, line, command);
            marks = marks.with(Marks::FETCHED);
            if all.has(Marks::LOOT) || marks.has(Marks::LOOT) {
                self.note(Deed::SendsSecrets, line, command);
            }
        }
        if commands::executes_fetched(&head) {
            self.note(Deed::ExecutesFetched, line, command);
        }
        if commands::is_encoded(&head) {
            self.note(Deed::ExecutesHidden, line, command);
        }
        if commands::installs_itself(&head) || secrets.has(Marks::PERSISTS) && has(">") {
            self.note(Deed::Persists, line, command);
        }
        if commands::installs(&head) {
            self.note(Deed::Installs, line, command);
        }
        if commands::drives_agent(&head) {
            self.note(Deed::DrivesAgent, line, command);
        }
        if commands::publishes(&head) {
            self.note(Deed::Publishes, line, command);
        }
        if commands::destroys(&head) {
            self.note(Deed::Destroys, line, command);
        }
        if has("git clone ") && (has("://") || has("git@")) {
            self.note(Deed::Talks, line, command);
            self.note(Deed::Drops, line, command);
        }
        let unpacks = has("base64 -d") || has("base64 --decode") || has("b64decode");
        if unpacks && (has("| sh") || has("|sh") || has("| bash") || has("|bash") || has("exec(")) {
            self.note(Deed::ExecutesHidden, line, command);
        }
        path("subprocess.Popen()".into()).and(marks)
    }

    /// `process.communicate(text)`, `process.stdin.write(text)`.
    pub(crate) fn feed(&mut self, args: &Args<'t, 's>, line: u32) {
        if let Some(deed) = carried(content(args)) {
            self.note(deed, line, "given to a program that was started");
        }
    }
}

/// What it means that something with these marks is executed.
pub(crate) fn carried(marks: Marks) -> Option<Deed> {
    if marks.has(Marks::MEDIA) && (marks.has(Marks::DECODED) || marks.has(Marks::FETCHED)) {
        Some(Deed::ExecutesMedia)
    } else if marks.has(Marks::FETCHED) {
        Some(Deed::ExecutesFetched)
    } else if marks.has(Marks::DECODED) {
        Some(Deed::ExecutesHidden)
    } else {
        None
    }
}

fn is_python(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|rest| rest.chars().all(|l| l.is_ascii_digit() || matches!(l, '.' | 'w')))
}
