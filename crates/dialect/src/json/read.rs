//! Reading JSON whose members are not all known.
//!
//! Text is checked once, as a whole ([`Raw::check`]); what is inside is then
//! read level by level, only when asked for, and never checked again. No tree
//! is built. One meaning for every dialect, that of the Python and JavaScript
//! servers that the gateway is used in place of:
//!
//! - an explicit `null` counts as absent;
//! - of a key written twice the last counts;
//! - keys and strings are what their escapes say; half a surrogate pair is
//!   U+FFFD;
//! - what nobody took out of an [`Object`] is left, in order, as it was
//!   written.
//!
//! [`Members`] keeps nulls and repetitions, for those who change a body.

use super::Json;
use super::check::{Checker, DEPTH_MAX, Fault};
use super::escape::unescaped;
use super::index::Index;
use super::skim::Skim;
use serde::Deserialize;
use serde_json::{Number, value::RawValue};
use std::borrow::Cow;
use std::fmt;

/// Text that is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(String);

impl Malformed {
    /// Says what is wrong with `text`, and where.
    #[cold]
    pub(crate) fn new(text: &[u8], fault: Fault) -> Self {
        match (fault, serde_json::from_slice::<&RawValue>(text)) {
            (Fault::TooDeep, _) => Self(format!("it nests deeper than {DEPTH_MAX} levels")),
            (Fault::Syntax, Err(error)) => Self(error.to_string()),
            (Fault::Syntax, Ok(_)) => Self("it has another type".to_owned()),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole body, checked, with an index of its long values.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    text: &'a str,
    /// `None` for a body that is too long for it.
    index: Option<Index>,
}

impl<'a> Body<'a> {
    /// Checks bytes that are one JSON value.
    ///
    /// # Errors
    /// If they are none.
    pub(crate) fn check(body: &'a [u8]) -> Result<Self, Wrong> {
        let malformed = |fault| not_an_object(&Malformed::new(body, fault));
        let text = std::str::from_utf8(body).map_err(|_| malformed(Fault::Syntax))?;
        let checker = Checker::new(body);
        if u32::try_from(body.len()).is_err() {
            checker.only_value(&mut ()).map_err(malformed)?;
            return Ok(Self { text, index: None });
        }
        let mut index = Index::default();
        checker.only_value(&mut index).map_err(malformed)?;
        Ok(Self { text, index: Some(index) })
    }

    /// The body as an object.
    ///
    /// # Errors
    /// If it is another value.
    pub(crate) fn object(&self) -> Result<Object<'_>, Wrong> {
        let raw = Raw { text: self.text, at: 0, index: self.index.as_ref() };
        Object::of(raw).map_err(|_| not_an_object(&"it has another type"))
    }
}

fn not_an_object(what: &dyn fmt::Display) -> Wrong {
    Wrong::new("", format!("the body is not a JSON object: {what}"))
}

/// A JSON value as its source wrote it, checked, without white space around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    text: &'a str,
    /// Its place in the text that the index is of.
    at: usize,
    index: Option<&'a Index>,
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self::checked(raw.get())
    }
}

impl<'a> From<&'a Json> for Raw<'a> {
    fn from(json: &'a Json) -> Self {
        Self::checked(json.text())
    }
}

impl<'a> Raw<'a> {
    /// Checks bytes that are one JSON value.
    pub(crate) fn check(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::check_text(text),
            Err(_) => Err(Malformed::new(bytes, Fault::Syntax)),
        }
    }

    /// Checks text that is one JSON value.
    pub(crate) fn check_text(text: &'a str) -> Result<Self, Malformed> {
        match Checker::new(text.as_bytes()).only_value(&mut ()) {
            Ok(()) => Ok(Self::checked(text.trim_matches([' ', '\n', '\r', '\t']))),
            Err(fault) => Err(Malformed::new(text.as_bytes(), fault)),
        }
    }

    /// Text of a value in a body that was checked as a whole.
    pub(crate) fn checked(text: &'a str) -> Self {
        Self { text, at: 0, index: None }
    }

    /// The text.
    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    /// Returns true for a string.
    pub(crate) fn is_string(self) -> bool {
        self.text.starts_with('"')
    }

    /// Returns true for `null`.
    pub(crate) fn is_null(self) -> bool {
        self.text == "null"
    }

    /// The value as a `T`, if it is one. For small values: it is checked again.
    pub(crate) fn read<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.text).ok()
    }

    /// The text of a string.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        self.text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(unescaped)
    }
}

impl<'a> Raw<'a> {
    fn skim(self) -> Skim<'a> {
        Skim::indexed(self.text.as_bytes(), self.index, self.at)
    }

    /// The value inside this one that `skim` is before; moves it past.
    fn inner(self, skim: &mut Skim<'_>) -> Option<Self> {
        let span = skim.value()?;
        let at = self.at + span.start;
        Some(Self { text: self.text.get(span)?, at, index: self.index })
    }
}

/// The members of an object in order, nulls and repetitions too.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Members<'a> {
    /// The members of an object; `None` for another value.
    pub(crate) fn of(raw: Raw<'a>) -> Option<Self> {
        let text = raw.text;
        let mut skim = raw.skim();
        let mut members = Vec::with_capacity(8);
        let mut more = skim.enter(b'{')?;
        while more {
            let key = text.get(skim.key_span()?)?;
            members.push((unescaped(key), raw.inner(&mut skim)?));
            more = skim.more(b'}')?;
        }
        Some(Self(members))
    }

    /// The last value of `key`.
    pub(crate) fn last(&self, key: &str) -> Option<Raw<'a>> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

/// The members of an object in order, without nulls and each key once.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// Up to so many members, each is compared with all others.
const FEW: usize = 24;

/// Drops nulls, and all but the last of members with the same key.
fn keep_last<'a>(mut members: Vec<(Cow<'a, str>, Raw<'a>)>) -> Vec<(Cow<'a, str>, Raw<'a>)> {
    let mut repeated: Vec<usize> = Vec::new();
    if members.len() <= FEW {
        for (at, (key, _)) in members.iter().enumerate() {
            if members.iter().skip(at + 1).any(|(later, _)| later == key) {
                repeated.push(at);
            }
        }
    } else {
        let mut order: Vec<(&str, usize)> =
            members.iter().enumerate().map(|(at, (key, _))| (key.as_ref(), at)).collect();
        order.sort_unstable();
        repeated.extend(order.windows(2).filter_map(|pair| match pair {
            [(a, at), (b, _)] if a == b => Some(*at),
            _ => None,
        }));
        repeated.sort_unstable();
    }
    let mut at = 0;
    members.retain(|(_, value)| {
        let keep = !value.is_null() && repeated.binary_search(&at).is_err();
        at += 1;
        keep
    });
    members
}

impl<'a> Object<'a> {
    /// Reads a value that is an object.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn of(raw: Raw<'a>) -> Result<Self, Wrong> {
        match Members::of(raw) {
            Some(Members(members)) => Ok(Self { members: keep_last(members) }),
            None => Err(Wrong::new("", "must be an object")),
        }
    }

    /// Checks and reads text that is an object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let raw = Raw::check_text(text)?;
        Self::of(raw).map_err(|_| Malformed("it is no object".to_owned()))
    }

    /// Checks and reads a whole body that is short, or of which little is read.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Wrong> {
        let raw = Raw::check(body).map_err(|malformed| not_an_object(&malformed))?;
        Self::of(raw).map_err(|_| not_an_object(&"it has another type"))
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Raw<'a>> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Takes the value of `key` out, so that it is not among what is left.
    pub(crate) fn take(&mut self, key: &str) -> Option<Raw<'a>> {
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(at).1)
    }

    /// The value of `key` as an object, if it is one.
    pub(crate) fn object(&self, key: &str) -> Option<Object<'a>> {
        Object::of(self.get(key)?).ok()
    }

    /// The value of `key` as text, if it is a string.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        string(self.get(key)?)
    }

    /// The value of `key` as text, if it is a string that is not empty.
    pub(crate) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// The value of `key` as a whole number, if it is one.
    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        whole(self.get(key)?)
    }

    /// Takes a member out as a `T`, which `expected` describes.
    pub(crate) fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Wrong> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        raw.read().map(Some).ok_or_else(|| Wrong::new(name, format!("must be {expected}")))
    }

    /// Takes a member out that must be a string.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        string(raw).map(Some).ok_or_else(|| Wrong::new(name, "must be a string"))
    }

    /// Takes a member out that must be there and be a string.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<String, Wrong> {
        self.string(name)?.ok_or_else(|| Wrong::new(name, "is required"))
    }

    /// Returns true if nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All members that are left, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// The items of a list, if it is one; nulls stay.
pub(crate) fn items(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    let mut skim = raw.skim();
    let mut items = Vec::new();
    let mut more = skim.enter(b'[')?;
    while more {
        items.push(raw.inner(&mut skim)?);
        more = skim.more(b']')?;
    }
    Some(items)
}

/// The items of a value that must be a list.
pub(crate) fn list(raw: Raw<'_>) -> Result<Vec<Raw<'_>>, Wrong> {
    items(raw).ok_or_else(|| Wrong::new("", "must be a list"))
}

/// The text of a string.
pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    raw.string().map(Cow::into_owned)
}

/// A whole number, also when written as `100.0`.
pub(crate) fn whole(raw: Raw<'_>) -> Option<u64> {
    let number: Number = raw.read()?;
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float >= 0.0 && float.fract() == 0.0 && float < 9.0e15).then_some(float as u64)
    })
}

/// A fault in a value, and the path to it from the value that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Empty for the value itself.
    pub(crate) path: String,
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn new(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }

    /// The same, seen from one level up.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }

    /// The same, seen from the list that holds the reader's value.
    pub(crate) fn at(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_same_keys_counts_and_null_is_absent() {
        let object = Object::parse(r#"{"a":1,"b":null,"a":2,"c":3}"#).unwrap();
        assert_eq!(object.whole("a"), Some(2));
        assert!(object.get("b").is_none());
        assert_eq!(object.members().count(), 2);
        let object = Object::parse(r#"{"a":1,"a":null}"#).unwrap();
        assert!(object.is_empty(), "the last word is null");
        let many: Vec<String> = (0..60).map(|n| format!("\"k{}\":{n}", n % 40)).collect();
        let text = format!("{{{}}}", many.join(","));
        let object = Object::parse(&text).unwrap();
        assert_eq!((object.members().count(), object.whole("k3")), (40, Some(43)));
    }

    #[test]
    fn keys_may_be_escaped_and_whole_floats_are_whole() {
        let object = Object::parse(r#"{"\u0061":100.0,"b":1.5,"c":-1}"#).unwrap();
        assert_eq!(object.whole("a"), Some(100));
        assert_eq!(object.whole("b"), None);
        assert_eq!(object.whole("c"), None);
    }

    #[test]
    fn members_of_an_object_that_is_changed_are_all_there() {
        let text = r#" {"a" : null, "a": [1, {"b":"}"}],"\ud800":"\n"} "#;
        let members = Members::of(Raw::check_text(text).unwrap()).unwrap();
        let found: Vec<(&str, &str)> =
            members.0.iter().map(|(name, value)| (name.as_ref(), value.text())).collect();
        assert_eq!(found, [("a", "null"), ("a", r#"[1, {"b":"}"}]"#), ("\u{fffd}", r#""\n""#)]);
        assert!(Members::of(Raw::check_text("[]").unwrap()).is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        let wrong = Object::of_body(b"{\"a\":}").unwrap_err();
        assert_eq!((wrong.path.as_str(), wrong.what.contains("line 1")), ("", true), "{wrong:?}");
        assert!(Object::of_body(b"[]").unwrap_err().what.starts_with("the body is not"));
        assert!(Object::of_body(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(Wrong::new("b", "x").at(2).within("a").path, "a[2].b");
    }
}
