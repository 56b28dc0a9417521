//! What became of every key: the report that `check-config` prints and that
//! `serve` obeys.

use base::{Redactor, Secret};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::sync::Arc;

/// How faithfully a key is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Means here what it means in LiteLLM (or is one of our own settings).
    Exact,
    /// Honoured, with a difference that the message states.
    Approximate,
    /// Understood, but risky or without effect.
    Warning,
    /// Not honoured, or not known at all.
    Unsupported,
    /// Cannot be read, or must not be served.
    Error,
}

impl Verdict {
    /// The word that stands in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::Warning => "warning",
            Self::Unsupported => "unsupported",
            Self::Error => "error",
        }
    }

    /// An ANSI colour; the word says the same without it.
    fn colour(self) -> &'static str {
        match self {
            Self::Exact => "32",
            Self::Approximate | Self::Warning => "33",
            Self::Unsupported => "35",
            Self::Error => "31",
        }
    }
}

/// One key, or one problem that has no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The file as it was named, or `environment`.
    pub file: Arc<str>,
    /// From 1; 0 where the entry is about the whole file or a variable.
    pub line: u32,
    /// From 1, in characters; 0 as above.
    pub column: u32,
    /// As in `model_list[0].litellm_params.rpm`; the name of a variable;
    /// empty for the whole file.
    pub path: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in one sentence; may be empty for [`Verdict::Exact`].
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// True if the problem leaves out one deployment, and the rest of the
    /// configuration can be served without it.
    pub leaves_out: bool,
}

impl Entry {
    /// Returns `file:line:column`, or as much of it as there is.
    pub fn place(&self) -> String {
        if self.line == 0 {
            self.file.to_string()
        } else {
            format!("{}:{}:{}", self.file, self.line, self.column)
        }
    }
}

/// A deployment that the configuration names and that is not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Model group that it would belong to; empty if the file gives no name.
    pub model_group: Arc<str>,
    /// Id that it would have; empty if the file gives neither an id nor a name.
    pub id: Arc<str>,
    /// `litellm_params.model` as it was written.
    pub model: Arc<str>,
    /// Reason in one sentence without its full stop; holds no secret.
    pub reason: Arc<str>,
    /// `file:line:column` of the reason.
    pub place: Arc<str>,
    /// True if nothing is wrong with the deployment, and it is held back by a
    /// setting that protects and is not honoured here.
    pub is_withheld: bool,
}

/// Every entry, in the order of the files; variables last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Secrets are removed from them by value.
    pub entries: Vec<Entry>,
    /// Number of items in `model_list`.
    pub models_configured: usize,
    /// Number of those that can be served.
    pub models_served: usize,
    /// The others, each with the reason.
    pub left_out: Vec<LeftOut>,
}

impl Report {
    /// Returns true if nothing of the configuration may be served.
    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| entry.verdict == Verdict::Error && !entry.leaves_out)
    }

    /// What `serve` prints when it starts: everything that is not exact.
    pub fn problems(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.verdict != Verdict::Exact)
    }

    /// How many entries got `verdict`.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.entries.iter().filter(|entry| entry.verdict == verdict).count()
    }

    /// For people: all keys as a table, then each that is not exact with its
    /// reason, the errors last, then one line that sums up.
    pub fn render_text(&self, colour: bool) -> String {
        let mut out = String::new();
        self.write_table(colour, &mut out);
        out.push_str(&self.render_problems(colour));
        self.write_summary(&mut out);
        out
    }

    /// For people: what is not exact, the errors last.
    pub fn render_problems(&self, colour: bool) -> String {
        let mut out = String::new();
        let mut problems: Vec<&Entry> = self.problems().collect();
        problems.sort_by_key(|entry| entry.verdict);
        for entry in problems {
            let word = paint(entry.verdict, entry.verdict.as_str(), colour);
            let path = if entry.path.is_empty() { "" } else { " " };
            writeln!(
                out,
                "{word}: {}{path}{}\n  {}",
                entry.place(),
                printable(&entry.path),
                printable(&entry.message)
            )
            .unwrap_or_default(); // a String takes all
            if let Some(hint) = &entry.hint {
                writeln!(out, "  hint: {}", printable(hint)).unwrap_or_default();
            }
            out.push('\n');
        }
        out
    }

    /// For programs: `{"entries": [{file, line, column, path, verdict, message, hint,
    /// leaves_out}], "models_configured": N, "models_served": N, "left_out": [{model_group, id,
    /// model, reason, place}]}`.
    pub fn render_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn write_table(&self, colour: bool, out: &mut String) {
        let keys: Vec<(String, &Entry)> = self
            .entries
            .iter()
            .filter(|entry| !entry.path.is_empty())
            .map(|entry| (entry.place(), entry))
            .collect();
        let place_width = keys.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
        let word_width = Verdict::Unsupported.as_str().len();
        for (place, entry) in &keys {
            let word = format!("{:<word_width$}", entry.verdict.as_str());
            let word = paint(entry.verdict, &word, colour);
            writeln!(out, "{place:<place_width$}  {word}  {}", printable(&entry.path))
                .unwrap_or_default();
        }
        if !keys.is_empty() {
            out.push('\n');
        }
    }

    fn write_summary(&self, out: &mut String) {
        let parts: Vec<String> = [
            (Verdict::Exact, "exact", "exact"),
            (Verdict::Approximate, "approximate", "approximate"),
            (Verdict::Unsupported, "unsupported", "unsupported"),
            (Verdict::Warning, "warning", "warnings"),
            (Verdict::Error, "error", "errors"),
        ]
        .into_iter()
        .map(|(verdict, one, many)| {
            let count = self.count(verdict);
            format!("{count} {}", if count == 1 { one } else { many })
        })
        .collect();
        let (parts, verdict) = (parts.join(", "), self.verdict());
        let mark = if self.has_errors() || self.models_configured == 0 { ": " } else { "\n" };
        writeln!(out, "{parts}{mark}{verdict}").unwrap_or_default();
    }

    /// Returns the outcome in a few words, such as `can be served: 2 of 5 models`.
    pub fn verdict(&self) -> String {
        let (served, configured) = (self.models_served, self.models_configured);
        if self.has_errors() {
            "keymoat refuses to serve this".to_owned()
        } else if configured == 0 {
            "can be served".to_owned()
        } else {
            let models = if configured == 1 { "model" } else { "models" };
            format!("can be served: {served} of {configured} {models}")
        }
    }

    /// Turns each deployment that is left out into an error.
    pub(crate) fn refuse_left_out(&mut self) {
        for entry in &mut self.entries {
            if std::mem::take(&mut entry.leaves_out) {
                entry.verdict = Verdict::Error;
            }
        }
    }

    /// Files in the order they were read, top to bottom; variables last. An
    /// entry that was met twice (an anchor, a shared credential) stays once.
    pub(crate) fn finish(&mut self, files: &[Arc<str>], secrets: &[Secret]) {
        let rank =
            |entry: &Entry| files.iter().position(|file| *file == entry.file).unwrap_or(usize::MAX);
        self.entries.sort_by_cached_key(|entry| (rank(entry), entry.line, entry.column));
        // A key that was readable and then judged otherwise is not exact.
        let judged: HashSet<(Arc<str>, String)> =
            self.problems().map(|entry| (entry.file.clone(), entry.path.clone())).collect();
        self.entries.retain(|entry| {
            entry.verdict != Verdict::Exact
                || !judged.contains(&(entry.file.clone(), entry.path.clone()))
        });
        let mut seen = HashSet::new();
        self.entries.retain(|entry| {
            seen.insert((
                entry.file.clone(),
                entry.line,
                entry.column,
                entry.path.clone(),
                entry.message.clone(),
            ))
        });
        self.redact(secrets);
    }

    fn redact(&mut self, secrets: &[Secret]) {
        // Thousands of entries have few distinct texts. Each secret is looked
        // for in those; mostly none is there.
        let mut texts = BTreeSet::new();
        for entry in &self.entries {
            texts.insert(without_indices(&entry.path));
            texts.insert(entry.message.clone());
            texts.extend(entry.hint.clone());
        }
        for LeftOut { model_group, id, model, reason, .. } in &self.left_out {
            texts.extend([model_group, id, model, reason].map(ToString::to_string));
        }
        let all = texts.into_iter().collect::<Vec<_>>().join("\n");
        if !Redactor::new(secrets).finds(all.as_bytes()) {
            return;
        }
        let redactor = Redactor::new(secrets);
        for LeftOut { model_group, id, model, reason, .. } in &mut self.left_out {
            for text in [model_group, id, model, reason] {
                *text = redactor.clean(text).into_owned().into();
            }
        }
        for entry in &mut self.entries {
            for text in [&mut entry.path, &mut entry.message] {
                if redactor.finds(text.as_bytes()) {
                    *text = redactor.clean(text).into_owned();
                }
            }
            if let Some(hint) = &mut entry.hint {
                *hint = redactor.clean(hint).into_owned();
            }
        }
    }
}

/// `model_list[12].model_name` without the 12.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let mut kept = parts.next().unwrap_or("").to_owned();
    for part in parts {
        kept.push('[');
        kept.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    kept
}

fn paint(verdict: Verdict, word: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{}m{word}\u{1b}[0m", verdict.colour()) } else { word.to_owned() }
}

/// A file must not be able to write to the terminal of who checks it.
fn printable(text: &str) -> String {
    text.chars()
        .map(
            |character| {
                if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Entry, Report, Verdict};
    use base::Secret;

    fn entry(line: u32, path: &str, verdict: Verdict, message: &str) -> Entry {
        let hint = (verdict == Verdict::Error).then(|| "write a number".to_owned());
        let (path, message) = (path.to_owned(), message.to_owned());
        let file = "c.yaml".into();
        Entry { file, line, column: 3, path, verdict, message, hint, leaves_out: false }
    }

    fn report() -> Report {
        Report {
            entries: vec![
                entry(12, "b.c", Verdict::Error, "not a number"),
                entry(2, "a", Verdict::Exact, ""),
                entry(3, "x", Verdict::Unsupported, "not here"),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn a_problem_that_leaves_a_deployment_out_does_not_refuse_the_rest() {
        let mut report = report();
        report.models_configured = 5;
        report.models_served = 2;
        report.entries[0].leaves_out = true;
        assert!(!report.has_errors());
        let text = report.render_text(false);
        assert!(text.ends_with("1 error\ncan be served: 2 of 5 models\n"), "{text}");
        report.refuse_left_out();
        assert!(report.has_errors());
        assert!(report.render_text(false).ends_with(": keymoat refuses to serve this\n"));
    }

    #[test]
    fn the_table_is_aligned_and_the_errors_come_last() {
        let mut report = report();
        report.finish(&["c.yaml".into()], &[]);
        assert_eq!(
            report.render_text(false),
            "c.yaml:2:3   exact        a\n\
             c.yaml:3:3   unsupported  x\n\
             c.yaml:12:3  error        b.c\n\
             \n\
             unsupported: c.yaml:3:3 x\n  not here\n\
             \n\
             error: c.yaml:12:3 b.c\n  not a number\n  hint: write a number\n\
             \n\
             1 exact, 0 approximate, 1 unsupported, 0 warnings, 1 error: keymoat refuses to serve this\n"
        );
        assert!(report.render_text(true).contains("\u{1b}[31merror\u{1b}[0m"));
    }

    #[test]
    fn secrets_go_by_value_and_control_characters_do_not_reach_the_terminal() {
        let mut report = report();
        report.entries.push(entry(4, "k\u{1b}[2J", Verdict::Warning, "see sk-very-secret"));
        report.finish(&["c.yaml".into()], &[Secret::new("sk-very-secret".into())]);
        let text = report.render_text(false);
        assert!(text.contains("see [redacted]") && !text.contains('\u{1b}'), "{text}");
        assert!(!report.render_json().contains("sk-very-secret"));
    }
}
