//! Reads typed values out of the tree and writes down what became of each key.
//!
//! Every reader either gives a value and records the field's verdict, or gives
//! nothing and records an error with place and hint; so one pass collects every
//! problem. Messages say what kind of thing stands there, never its text: any
//! value may be a secret in the wrong place.

use crate::env::{Env, Layered};
use crate::files::ReadFile;
use crate::missing::{Covers, Missing};
use crate::node::{Key, Kind, Node, Pos};
use crate::report::{Entry, Report, Verdict};
use crate::scalar;
use crate::suggest::nearest;
use base::{Decimal, Secret};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest list that a path may name in full, in characters.
const KEY_SHOWN_MAX: usize = 80;

/// A key with its value, about to be read.
#[derive(Clone)]
pub(crate) struct Field<'n> {
    pub(crate) path: String,
    pub(crate) name: &'n str,
    pub(crate) node: &'n Node,
    pub(crate) key_pos: Pos,
    verdict: Verdict,
    note: Cow<'static, str>,
}

impl<'n> Field<'n> {
    /// The top of a file.
    pub(crate) fn root(node: &'n Node) -> Self {
        Self {
            path: String::new(),
            name: "",
            node,
            key_pos: node.pos,
            verdict: Verdict::Exact,
            note: Cow::Borrowed(""),
        }
    }

    fn child(&self, key: &'n Key, node: &'n Node) -> Self {
        let shown = shown_key(&key.text);
        let path = if self.path.is_empty() { shown } else { format!("{}.{shown}", self.path) };
        Self {
            path,
            name: &key.text,
            node,
            key_pos: key.pos,
            verdict: Verdict::Exact,
            note: "".into(),
        }
    }

    fn item(&self, at: usize, node: &'n Node) -> Self {
        let path = format!("{}[{at}]", self.path);
        Self { path, node, key_pos: node.pos, verdict: Verdict::Exact, note: "".into(), ..*self }
    }

    /// The same field, honoured with a difference that `note` states.
    pub(crate) fn approximately(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.verdict = Verdict::Approximate;
        self.note = note.into();
        self
    }

    /// Whether nothing was given: null, or a reader gives its default.
    pub(crate) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// Off, empty or nothing: what switches a feature off.
    pub(crate) fn is_off(&self) -> bool {
        match &self.node.kind {
            Kind::Scalar { text, .. } => self.is_null() || scalar::bool_of(text) == Some(false),
            Kind::Seq(items) => items.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
        }
    }
}

/// Names can be secrets too, where a line is broken in the wrong place.
pub(crate) fn shown_key(key: &str) -> String {
    const MARKS: [&str; 9] =
        ["sk-", "sk_", "gsk_", "xai-", "AIza", "ghp_", "eyJ", "AKIA", "-----BEGIN"];
    if MARKS.iter().any(|mark| key.contains(mark)) {
        return base::redact::MASK.to_owned();
    }
    if key.chars().count() > KEY_SHOWN_MAX {
        return key.chars().take(KEY_SHOWN_MAX).chain(['…']).collect();
    }
    key.to_owned()
}

pub(crate) const NOT_A_KEY: &str = "a key holds only visible ASCII characters, and one at least";
pub(crate) const NOT_A_KEY_HINT: &str = "is there a line break or a stray character in it?";

/// Returns true if a header can carry `text` as a key.
pub(crate) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii() && !c.is_control())
}

/// A scalar's text after `os.environ/NAME` was looked up.
pub(crate) struct Text {
    pub(crate) value: String,
    /// The variable that it came from.
    pub(crate) variable: Option<String>,
}

/// What one load collects.
pub(crate) struct Reader<'e> {
    pub(crate) env: Layered<'e>,
    pub(crate) files: Vec<Arc<str>>,
    pub(crate) report: Report,
    /// Every value that must not be shown.
    pub(crate) hidden: Vec<Secret>,
    /// What relative paths in the file start from.
    pub(crate) base_dir: PathBuf,
    /// How many errors the report holds.
    pub(crate) errors: usize,
    /// Every file that was read or could not be read.
    pub(crate) read_files: Vec<ReadFile>,
    /// Protective settings that `keymoat.accept_missing` names.
    pub(crate) accepted: Vec<Accepted>,
    /// Protective settings that are not honoured and not accepted.
    pub(crate) missing: Vec<Missing>,
}

/// A name in `keymoat.accept_missing`.
pub(crate) struct Accepted {
    pub(crate) name: String,
    /// `keymoat.accept_missing[0]`
    pub(crate) at: (Pos, String),
    /// The configuration has the setting.
    pub(crate) used: bool,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(env: &'e dyn Env) -> Self {
        Self {
            env: Layered::new(env),
            files: Vec::new(),
            report: Report::default(),
            hidden: Vec::new(),
            base_dir: PathBuf::new(),
            errors: 0,
            read_files: Vec::new(),
            accepted: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Adds an entry; an empty hint is none.
    pub(crate) fn push(
        &mut self,
        pos: Pos,
        path: &str,
        verdict: Verdict,
        message: impl Into<String>,
        hint: &str,
    ) {
        let file = self.files.get(usize::from(pos.file)).cloned().unwrap_or_default();
        self.errors += usize::from(verdict == Verdict::Error);
        self.report.entries.push(Entry {
            file,
            line: pos.line,
            column: pos.column,
            path: path.to_owned(),
            verdict,
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            leaves_out: false,
        });
    }

    /// Adds an entry about a variable.
    pub(crate) fn push_variable(
        &mut self,
        name: &str,
        verdict: Verdict,
        message: &str,
        hint: &str,
    ) {
        self.errors += usize::from(verdict == Verdict::Error);
        self.report.entries.push(Entry {
            file: "environment".into(),
            line: 0,
            column: 0,
            path: name.to_owned(),
            verdict,
            message: message.to_owned(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            leaves_out: false,
        });
    }

    /// Records the field with the verdict that it carries.
    pub(crate) fn accept(&mut self, field: &Field<'_>) {
        self.push(field.key_pos, &field.path, field.verdict, field.note.as_ref(), "");
    }

    /// Records something wrong with the value.
    pub(crate) fn error(&mut self, field: &Field<'_>, message: impl Into<String>, hint: &str) {
        self.push(field.node.pos, &field.path, Verdict::Error, message, hint);
    }

    /// Records something that works but should be known.
    pub(crate) fn warning(&mut self, field: &Field<'_>, message: impl Into<String>, hint: &str) {
        self.push(field.key_pos, &field.path, Verdict::Warning, message, hint);
    }

    /// Records a key that is known and not honoured.
    pub(crate) fn unsupported(
        &mut self,
        field: &Field<'_>,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.push(field.key_pos, &field.path, Verdict::Unsupported, message, hint);
    }

    /// Records that the deployment which is being read is not served;
    /// [`crate::left_out`] names it in the message.
    pub(crate) fn leave_out(&mut self, field: &Field<'_>, message: impl Into<String>, hint: &str) {
        self.unsupported(field, message, hint);
        if let Some(entry) = self.report.entries.last_mut() {
            entry.leaves_out = true;
        }
    }

    /// Returns the variable that the field names, if it is not set or blank.
    pub(crate) fn unset_variable<'f>(&self, field: &'f Field<'_>) -> Option<&'f str> {
        let Kind::Scalar { text, .. } = &field.node.kind else { return None };
        let name = text.strip_prefix("os.environ/")?;
        let set = self.env.var(name).is_some_and(|value| !value.trim().is_empty());
        (!set).then_some(name)
    }

    /// As LiteLLM, takes a value from a variable that is not set for no value.
    /// Only for settings that neither protect nor bind: returns true, with a
    /// warning, if that is so.
    pub(crate) fn says_nothing(&mut self, field: &Field<'_>) -> bool {
        let Some(name) = self.unset_variable(field) else { return false };
        let message = format!(
            "the environment variable {} is not set: nothing is taken to be said here",
            shown_key(name)
        );
        self.warning(field, message, "");
        true
    }

    /// A key that no reader takes: known and unsupported, switched off, or
    /// unknown.
    pub(crate) fn leftover(&mut self, field: &Field<'_>, section: &crate::known_keys::Section) {
        if let Some(why) = section.why_unsupported(field.name) {
            let on_by_default = section.is_on_by_default(field.name);
            let protective = section.protective(field.name).filter(|_| !field.is_off());
            if let Some((name, why)) = protective {
                self.protective(field, name, why, Covers::Everything);
            } else if field.is_off() && !on_by_default {
                let note = "switched off, as it is here";
                self.push(field.key_pos, &field.path, Verdict::Exact, note, "");
            } else {
                self.unsupported(field, why, "");
            }
            return;
        }
        let hint = match nearest(field.name, section.names()) {
            Some(name) => format!("did you mean {name}?"),
            None => String::new(),
        };
        self.unsupported(field, "no such key is known: it has no effect", &hint);
    }

    /// The entries of a mapping; nothing for null, an error for anything else.
    pub(crate) fn fields<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        match &field.node.kind {
            Kind::Map(entries) => {
                entries.iter().map(|(key, node)| field.child(key, node)).collect()
            }
            _ if field.is_null() => Vec::new(),
            _ => {
                self.wrong_kind(field, "a mapping (key: value)");
                Vec::new()
            }
        }
    }

    /// The items of a list; nothing for null, an error for anything else.
    pub(crate) fn items<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        match &field.node.kind {
            Kind::Seq(items) => {
                items.iter().enumerate().map(|(at, node)| field.item(at, node)).collect()
            }
            _ if field.is_null() => Vec::new(),
            _ => {
                self.wrong_kind(field, "a list (lines that begin with '-')");
                Vec::new()
            }
        }
    }

    fn wrong_kind(&mut self, field: &Field<'_>, wanted: &str) {
        self.error(field, format!("expected {wanted}, found {}", field.node.describe()), "");
    }

    /// The text of a scalar with its variable looked up; `None` for null, and
    /// after an error. Records only errors.
    pub(crate) fn resolve(&mut self, field: &Field<'_>) -> Option<Text> {
        let Kind::Scalar { text, .. } = &field.node.kind else {
            self.wrong_kind(field, "a single value");
            return None;
        };
        if field.is_null() {
            return None;
        }
        let Some(name) = text.strip_prefix("os.environ/") else {
            return Some(Text { value: text.clone(), variable: None });
        };
        let problem = match self.env.var(name) {
            Some(value) if value.trim().is_empty() => "is set but empty",
            Some(value) => {
                self.hidden.push(Secret::new(value.clone()));
                return Some(Text { value, variable: Some(name.to_owned()) });
            }
            None => "is not set",
        };
        let shown = shown_key(name);
        let hint = format!("export {shown}=…, or set it under environment_variables");
        self.error(field, format!("the environment variable {shown} {problem}"), &hint);
        None
    }

    /// Reads a scalar through `parse`; records the field or an error.
    fn read<T>(
        &mut self,
        field: &Field<'_>,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.check(field, |text| parse(text).ok_or((format!("expected {wanted}"), "")))
    }

    /// As [`Self::read`], with the message and the hint given by `parse`.
    pub(crate) fn check<T>(
        &mut self,
        field: &Field<'_>,
        parse: impl FnOnce(&str) -> Result<T, (String, &'static str)>,
    ) -> Option<T> {
        if field.is_null() {
            self.accept(field);
            return None;
        }
        let text = self.resolve(field)?;
        match parse(text.value.trim()) {
            Ok(value) => {
                self.accept(field);
                Some(value)
            }
            Err((message, hint)) => {
                let from = match &text.variable {
                    Some(name) => {
                        format!(", found something else in the variable {}", shown_key(name))
                    }
                    None => String::new(),
                };
                self.error(field, format!("{message}{from}"), hint);
                None
            }
        }
    }

    pub(crate) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        self.read(field, "text", |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    pub(crate) fn bool(&mut self, field: &Field<'_>) -> Option<bool> {
        self.read(field, "true or false", scalar::bool_of)
    }

    pub(crate) fn whole(&mut self, field: &Field<'_>) -> Option<u64> {
        self.read(field, "a whole number", scalar::whole_of)
    }

    pub(crate) fn whole_u32(&mut self, field: &Field<'_>) -> Option<u32> {
        self.read(field, "a whole number up to 4294967295", |text| {
            scalar::whole_of(text).and_then(|whole| u32::try_from(whole).ok())
        })
    }

    /// A whole number of at least `least` and at most `most`.
    pub(crate) fn within(&mut self, field: &Field<'_>, least: u64, most: u64) -> Option<u64> {
        self.read(field, &format!("a whole number from {least} to {most}"), |text| {
            scalar::whole_of(text).filter(|whole| (least..=most).contains(whole))
        })
    }

    /// Seconds in the file, milliseconds here.
    pub(crate) fn seconds(&mut self, field: &Field<'_>) -> Option<u64> {
        self.read(field, "a number of seconds", scalar::seconds_to_ms)
    }

    /// As [`Self::seconds`], where nought stands for "no timeout of its own".
    pub(crate) fn timeout(&mut self, field: &Field<'_>) -> Option<u64> {
        self.seconds(field).filter(|ms| *ms > 0)
    }

    /// An amount that is not negative, exact.
    pub(crate) fn amount(&mut self, field: &Field<'_>) -> Option<Decimal> {
        self.read(field, "a number that is not negative, with at most 24 decimals", |text| {
            scalar::decimal_of(text).filter(|decimal| decimal.mantissa() >= 0)
        })
    }

    /// A value that must not be seen.
    pub(crate) fn secret(&mut self, field: &Field<'_>) -> Option<Arc<Secret>> {
        if field.is_null() {
            self.accept(field);
            return None;
        }
        let secret = self.secret_unrecorded(field)?;
        self.accept(field);
        Some(secret)
    }

    /// As [`Self::secret`], recording only errors.
    pub(crate) fn secret_unrecorded(&mut self, field: &Field<'_>) -> Option<Arc<Secret>> {
        let text = self.resolve(field)?;
        self.hidden.push(Secret::new(text.value.clone()));
        if text.variable.is_none() && text.value.starts_with('$') {
            let hint = "to take it from the environment, write os.environ/NAME";
            self.error(field, "'$' is not how a variable is named here", hint);
            return None;
        }
        if text.value.starts_with("oidc/") {
            let hint = "give the key itself through os.environ/NAME";
            self.error(field, "tokens from oidc/… are not fetched yet", hint);
            return None;
        }
        let value = text.value.trim();
        if !is_key(value) {
            self.error(field, NOT_A_KEY, NOT_A_KEY_HINT);
            return None;
        }
        Some(Arc::new(Secret::new(value.to_owned())))
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        field: &Field<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.read(field, &words.join(" or "), |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    /// A list of texts; a single text counts as a list of one.
    pub(crate) fn texts(&mut self, field: &Field<'_>) -> Vec<String> {
        if matches!(field.node.kind, Kind::Scalar { .. }) {
            return self.text(field).into_iter().collect();
        }
        let before = self.report.entries.len();
        let mut texts = Vec::new();
        for item in self.items(field) {
            if item.is_null() {
                self.error(&item, "expected text, found nothing", "");
            } else if let Some(text) = self.resolve(&item) {
                texts.push(text.value);
            }
        }
        if self.report.entries.len() == before {
            self.accept(field);
        }
        texts
    }

    /// Any value as JSON, its digits kept and its variables looked up.
    pub(crate) fn json(&mut self, field: &Field<'_>) -> Option<Box<RawValue>> {
        let before = self.report.entries.len();
        let json = scalar::to_json(field.node, &mut |node, text| {
            text.starts_with("os.environ/").then(|| {
                let inner = Field { node, ..field.clone() };
                self.resolve(&inner).map(|text| text.value).unwrap_or_default()
            })
        });
        if self.report.entries.len() > before {
            return None;
        }
        if let Ok(raw) = RawValue::from_string(json) {
            self.accept(field);
            Some(raw)
        } else {
            self.error(field, "this cannot be written as JSON", "");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Reader, shown_key};
    use crate::parse::parse;
    use std::collections::BTreeMap;

    #[test]
    fn each_reader_gives_a_value_or_one_located_error() {
        let yaml = "whole: 12\nbad: soon\nenv: os.environ/SET\nunset: os.environ/UNSET\nempty: os.environ/EMPTY\nlist: [1]\n";
        let tree = parse(yaml.as_bytes(), 0).0.unwrap();
        let env = BTreeMap::from([
            ("SET".to_owned(), "7".to_owned()),
            ("EMPTY".to_owned(), " ".to_owned()),
        ]);
        let mut reader = Reader::new(&env);
        let fields = reader.fields(&Field::root(&tree));
        let values: Vec<Option<u64>> = fields.iter().map(|field| reader.whole(field)).collect();
        assert_eq!(values, [Some(12), None, Some(7), None, None, None]);
        let entries: Vec<String> = reader
            .report
            .entries
            .iter()
            .map(|e| format!("{}:{} {} {}", e.line, e.column, e.verdict.as_str(), e.message))
            .collect();
        assert_eq!(
            entries,
            [
                "1:1 exact ",
                "2:6 error expected a whole number",
                "3:1 exact ",
                "4:8 error the environment variable UNSET is not set",
                "5:8 error the environment variable EMPTY is set but empty",
                "6:7 error expected a single value, found a list",
            ]
        );
    }

    #[test]
    fn names_that_look_like_keys_are_not_shown() {
        assert_eq!(shown_key("api_key:sk-1234567890"), "[redacted]");
        assert_eq!(shown_key("gpt-4o"), "gpt-4o");
        assert_eq!(shown_key(&"x".repeat(500)).chars().count(), 81);
    }
}
