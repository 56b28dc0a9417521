//! What a gateway must know of a request before it goes on byte for byte.
//!
//! One validating pass; values that do not matter stay spans. Nothing is
//! decoded into a tree and nothing below the top level is judged, but for the
//! few values that route, limit or price a call. What each key means is data:
//! [`keys`]. Whether the bytes bound the cost: [`cost`].

pub mod cost;
mod flags;
mod identity;
pub mod keys;
mod read;

use crate::Surface;
use crate::json::check::{Checker, Fault};
use crate::json::index::Index;
use crate::json::read::{Malformed, Members, Raw, string};
use crate::json::skim::Skim;
use flags::{Signs, Watcher};
use keys::{Field, Key, Role};
use std::ops::Range;

pub use cost::{CostSignals, ServerTools};
pub use identity::Metadata;

/// The deepest nesting that is passed on, in brackets.
pub const DEPTH_MAX: usize = crate::json::check::DEPTH_MAX;
/// The most top-level keys.
pub const KEYS_MAX: usize = 512;
/// The longest model name, in bytes.
pub const MODEL_MAX_BYTES: usize = 1024;
/// The longest end user's name, in bytes.
pub const USER_MAX_BYTES: usize = 4096;
/// The most tags, and the most fallback models, of one request.
pub const LIST_MAX: usize = 64;
/// The longest tag, in bytes.
pub const TAG_MAX_BYTES: usize = 1024;

/// Why a body is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not UTF-8 throughout.
    #[error("the body is not valid UTF-8 (byte {at})")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// A byte order mark stands before the JSON.
    #[error("the body starts with a byte order mark; send plain UTF-8")]
    ByteOrderMark,
    /// Longer than spans can say.
    #[error("the body is longer than 4 GiB")]
    TooLarge,
    /// Not one JSON object.
    #[error("the body is not one JSON object: {0}")]
    Syntax(String),
    /// Brackets are nested too deep.
    #[error("the body nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Too many top-level keys.
    #[error("the body has more than {KEYS_MAX} top-level keys")]
    TooManyKeys,
    /// A key that matters stands twice.
    #[error("`{key}` stands twice in the body; send it once")]
    Duplicate {
        /// The key.
        key: &'static str,
    },
    /// A key that a careless reader would take for one that matters.
    #[error("`{found}` is not a parameter; did you mean `{key}`?")]
    Lookalike {
        /// As the client wrote it.
        found: String,
        /// What it looks like.
        key: &'static str,
    },
    /// A value that matters has another type.
    #[error("`{key}` must be {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// In words.
        expected: &'static str,
    },
    /// A value that matters is too long.
    #[error("`{key}` is longer than {max}")]
    TooLong {
        /// The key.
        key: &'static str,
        /// The limit, in bytes or entries.
        max: usize,
    },
}

impl HeadError {
    /// The parameter at fault, where one is.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Duplicate { key } | Self::WrongType { key, .. } | Self::TooLong { key, .. } => {
                Some(key)
            }
            Self::Lookalike { found, .. } => Some(found),
            _ => None,
        }
    }
}

/// A top-level member, as spans of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    key_start: u32,
    key_end: u32,
    value_start: u32,
    value_end: u32,
    pub(crate) key: Option<&'static Key>,
    /// Signs that were seen in its value.
    signs: Signs,
    /// The number of values, its own and those inside.
    values: u32,
}

impl Member {
    /// The same member at other places of a body whose length fits.
    pub(crate) fn moved(self, key_span: &Range<usize>, value_span: &Range<usize>) -> Self {
        Self {
            key_start: key_span.start as u32,
            key_end: key_span.end as u32,
            value_start: value_span.start as u32,
            value_end: value_span.end as u32,
            ..self
        }
    }

    pub(crate) fn key_span(&self) -> Range<usize> {
        self.key_start as usize..self.key_end as usize
    }

    pub(crate) fn value_span(&self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

/// What a scan found. Spans belong to the body that was scanned; methods that
/// take a body take that one.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub(crate) surface: Surface,
    /// After the opening brace.
    pub(crate) inside: usize,
    pub(crate) members: Vec<Member>,
    index: Index,
    pub(crate) facts: Facts,
}

/// The values that are read at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) model: Option<Box<str>>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Each with its field.
    pub(crate) output_limits: Vec<(Field, u64)>,
    pub(crate) choices: Option<u64>,
    pub(crate) thinking_budget: Option<u64>,
    pub(crate) service_tier: Option<Box<str>>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) metadata: Metadata,
    pub(crate) fallbacks: Vec<Box<str>>,
    pub(crate) num_retries: Option<u32>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) stream_timeout_ms: Option<u64>,
    pub(crate) drop_params: Option<bool>,
    pub(crate) disable_fallbacks: bool,
}

impl Head {
    /// Reads the top level of a request.
    ///
    /// # Errors
    /// [`HeadError`], for what no upstream should see: text that readers could
    /// take in different ways, or values that cannot be limited.
    pub fn scan(body: &[u8], surface: Surface) -> Result<Self, HeadError> {
        let text = std::str::from_utf8(body)
            .map_err(|error| HeadError::NotUtf8 { at: error.valid_up_to() })?;
        if text.starts_with('\u{feff}') {
            return Err(HeadError::ByteOrderMark);
        }
        if u32::try_from(text.len()).is_err() {
            return Err(HeadError::TooLarge);
        }
        let fault = |fault| refusal(body, fault);
        let mut checker = Checker::new(body);
        let mut index = Index::default();
        let mut members: Vec<Member> = Vec::with_capacity(16);
        let mut more = checker.enter_object().map_err(fault)?;
        let inside = text.find('{').map_or(0, |at| at + 1);
        while more {
            let quoted = checker.key().map_err(fault)?;
            let key = new_key(&members, text.get(quoted.clone()).unwrap_or_default(), surface)?;
            let (value, seen) = value(&mut checker, body, &quoted, &mut index).map_err(fault)?;
            members.push(Member { key, ..seen.moved(&quoted, &value) });
            more = checker.more_members().map_err(fault)?;
        }
        checker.end().map_err(fault)?;
        Self { surface, inside, members, index, facts: Facts::default() }.read(body)
    }

    /// Puts a head together for a body whose members are known.
    ///
    /// # Errors
    /// As [`Head::scan`] has them for values.
    pub(crate) fn made(
        surface: Surface,
        inside: usize,
        members: Vec<Member>,
        index: Index,
        body: &[u8],
    ) -> Result<Self, HeadError> {
        Self { surface, inside, members, index, facts: Facts::default() }.read(body)
    }

    /// Reads the values that matter.
    fn read(mut self, body: &[u8]) -> Result<Self, HeadError> {
        self.facts = read::facts(&self, body)?;
        Ok(self)
    }

    /// The ends of the long values.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    fn sees(&self, sign: Signs) -> bool {
        self.members.iter().any(|member| member.signs.has(sign))
    }

    /// The surface it was scanned as.
    pub fn surface(&self) -> Surface {
        self.surface
    }

    /// The model or model group that is asked for, where the body says.
    pub fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    /// Whether the answer is to come in pieces.
    pub fn stream(&self) -> bool {
        self.facts.stream
    }

    /// Whether the client asked for usage at the end of a stream.
    pub fn include_usage(&self) -> bool {
        self.facts.include_usage
    }

    /// The output limit in tokens: the greatest, where a client sends several.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.facts.output_limits.iter().map(|(_, tokens)| *tokens).max()
    }

    /// The tokens the model may think, where the client says.
    pub fn thinking_budget_tokens(&self) -> Option<u64> {
        self.facts.thinking_budget
    }

    /// The number of answers that are generated and paid for.
    pub fn n(&self) -> u64 {
        self.facts.choices.unwrap_or(1).max(1)
    }

    /// The end user, as the client names them.
    pub fn user(&self) -> Option<&str> {
        self.facts.user.as_deref()
    }

    /// The client's tags, from `tags`, `metadata` and `litellm_metadata`.
    pub fn tags(&self) -> &[Box<str>] {
        &self.facts.tags
    }

    /// The number of JSON values, those inside others too.
    pub fn values(&self) -> usize {
        self.members.iter().map(|member| member.values as usize).sum()
    }

    /// Returns true if the body may have hints of Anthropic's form for a cache.
    pub fn has_cache_control(&self) -> bool {
        self.sees(Signs::CACHE_CONTROL)
    }

    /// Returns true if the content of a message may be a list.
    pub fn has_content_list(&self) -> bool {
        self.sees(Signs::CONTENT_LIST)
    }

    /// Returns true if the body may have members that the gateway put into an
    /// earlier answer, see [`additions`](crate::additions).
    pub fn has_additions(&self) -> bool {
        self.sees(Signs::ADDITIONS)
    }

    /// The same of members that OpenAI's own answers have too.
    pub fn has_annotations(&self) -> bool {
        self.sees(Signs::ANNOTATIONS)
    }

    /// Returns true if a message may have a member for thinking.
    pub fn has_reasoning(&self) -> bool {
        self.sees(Signs::REASONING)
    }

    /// Returns true if a message may have the member `refusal`.
    pub fn has_refusal(&self) -> bool {
        self.sees(Signs::REFUSAL)
    }

    /// Returns true if a message may have the member `tool_calls`.
    pub fn has_tool_calls(&self) -> bool {
        self.sees(Signs::TOOL_CALLS)
    }

    /// Returns true if a message may have the role `developer`.
    pub fn has_developer(&self) -> bool {
        self.sees(Signs::DEVELOPER)
    }

    /// Returns true if there may be thinking without a signature, or citations
    /// that no provider can check.
    pub fn has_unsigned(&self) -> bool {
        self.sees(Signs::UNSIGNED)
    }

    /// Returns true if a system message may come after others, or, where
    /// `alternates`, two messages of one role in a row.
    pub fn may_be_disordered(&self, system_first: bool, alternates: bool) -> bool {
        (system_first && self.sees(Signs::LATE_SYSTEM))
            || (alternates && self.sees(Signs::REPEATED_ROLE))
    }

    /// What should become of `metadata` upstream.
    pub fn metadata(&self) -> &Metadata {
        &self.facts.metadata
    }

    /// The tier that the client asks for.
    pub fn service_tier(&self) -> Option<&str> {
        self.facts.service_tier.as_deref()
    }

    /// Models to fall back to, in the client's order.
    pub fn fallbacks(&self) -> &[Box<str>] {
        &self.facts.fallbacks
    }

    /// Whether the client wants no fallbacks.
    pub fn disable_fallbacks(&self) -> bool {
        self.facts.disable_fallbacks
    }

    /// How often to try again, where the client says.
    pub fn num_retries(&self) -> Option<u32> {
        self.facts.num_retries
    }

    /// How long the client waits for an answer, in milliseconds.
    pub fn timeout_ms(&self) -> Option<u64> {
        self.facts.timeout_ms
    }

    /// How long the client waits for a stream to begin, in milliseconds.
    pub fn stream_timeout_ms(&self) -> Option<u64> {
        self.facts.stream_timeout_ms
    }

    /// Whether to leave out what the target cannot honour, where said.
    pub fn drop_params(&self) -> Option<bool> {
        self.facts.drop_params
    }

    /// A key's value as JSON text, where it stands and is not null; the last
    /// one of a key that no table knows and that stands twice.
    pub fn raw<'b>(&self, body: &'b [u8], name: &str) -> Option<&'b [u8]> {
        let member = match self.find(name) {
            Some((_, member)) => member,
            None if self.has_unknown() => self.places(body, name).last()?.1,
            None => return None,
        };
        let raw = body.get(member.value_span())?;
        (raw != b"null").then_some(raw)
    }

    /// The text in a field, if there is one.
    pub fn text(&self, body: &[u8], field: Field) -> Option<String> {
        let (parent, inner) = field.parts();
        let raw = self.raw(body, parent)?;
        let value = match inner {
            None => Raw::check(raw).ok()?,
            Some(name) => Members::of(Raw::check(raw).ok()?)?.last(name)?,
        };
        string(value)
    }

    /// A walk over a key's value, where [`Head::raw`] has one.
    pub(crate) fn skim<'b>(&'b self, body: &'b [u8], name: &str) -> Option<Skim<'b>> {
        let raw = self.raw(body, name)?;
        let start = raw.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
        Some(Skim::indexed(raw, Some(&self.index), start))
    }

    /// Whether a known key stands in the body, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The known keys of a role, in the body's order.
    pub fn keys(&self, role: Role) -> impl Iterator<Item = &'static str> {
        self.members
            .iter()
            .filter_map(|member| member.key)
            .filter(move |key| key.role == role)
            .map(|key| key.name)
    }

    /// Whether keys stand in the body that no table knows.
    pub fn has_unknown(&self) -> bool {
        self.members.iter().any(|member| member.key.is_none())
    }

    /// Those keys, quoted as the client wrote them.
    pub fn unknown<'b>(&self, body: &'b [u8]) -> impl Iterator<Item = &'b str> {
        self.members
            .iter()
            .filter(|member| member.key.is_none())
            .filter_map(|member| std::str::from_utf8(body.get(member.key_span())?).ok())
    }

    /// The members of this name and their places, whether a table knows it or
    /// not: a key that is written with escapes is the key that it stands for.
    pub(crate) fn places(&self, body: &[u8], name: &str) -> impl Iterator<Item = (usize, &Member)> {
        self.members.iter().enumerate().filter(move |(_, member)| match member.key {
            Some(key) => key.name == name,
            None => is_named(body.get(member.key_span()).unwrap_or_default(), name),
        })
    }

    /// The member of a known key and its place.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Member)> {
        let is_it = |member: &&Member| member.key.is_some_and(|key| key.name == name);
        let at = self.members.iter().position(|member| is_it(&member))?;
        self.members.get(at).map(|member| (at, member))
    }
}

fn refusal(text: &[u8], fault: Fault) -> HeadError {
    match fault {
        Fault::TooDeep => HeadError::TooDeep,
        Fault::Syntax => HeadError::Syntax(Malformed::new(text, fault).to_string()),
    }
}

/// Checks the next value, whose key is at `quoted`; returns where it is, and a
/// member that knows what was seen in it.
fn value<'b>(
    checker: &mut Checker<'b>,
    body: &'b [u8],
    quoted: &Range<usize>,
    index: &mut Index,
) -> Result<(Range<usize>, Member), Fault> {
    let name = body.get(quoted.start + 1..quoted.end - 1).unwrap_or_default();
    let before = checker.values();
    let mut watcher = Watcher::new(index);
    let value = checker.value(name, 1, &mut watcher)?;
    let signs = watcher.signs;
    let values = u32::try_from(checker.values() - before).unwrap_or(u32::MAX);
    let member = Member { signs, values, ..Member::default() };
    Ok((value, member))
}

/// Checks a member that is put into a body, written as `"key":value`; returns
/// it as a member of a body that begins with it.
///
/// # Errors
/// As [`Head::scan`] has them.
pub(crate) fn added(
    text: &str,
    members: &[Member],
    surface: Surface,
    index: &mut Index,
) -> Result<Member, HeadError> {
    let fault = |fault| refusal(text.as_bytes(), fault);
    let mut checker = Checker::new(text.as_bytes());
    let quoted = checker.key().map_err(fault)?;
    let key = new_key(members, text.get(quoted.clone()).unwrap_or_default(), surface)?;
    let (span, seen) = value(&mut checker, text.as_bytes(), &quoted, index).map_err(fault)?;
    checker.end().map_err(fault)?;
    Ok(Member { key, ..seen.moved(&quoted, &span) })
}

/// The row of a key that follows `members`, as written with its quotes.
fn new_key(
    members: &[Member],
    quoted: &str,
    surface: Surface,
) -> Result<Option<&'static Key>, HeadError> {
    if members.len() == KEYS_MAX {
        return Err(HeadError::TooManyKeys);
    }
    let key = known(quoted, surface)?;
    let twice = |other: &Key| key.is_some_and(|key| std::ptr::eq(key, other));
    if members.iter().filter_map(|member| member.key).any(twice) {
        return Err(HeadError::Duplicate { key: key.map_or("", |key| key.name) });
    }
    Ok(key)
}

/// The row of a key, as written with its quotes.
fn known(quoted: &str, surface: Surface) -> Result<Option<&'static Key>, HeadError> {
    let plain = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let unescaped;
    let name = match plain {
        Some(plain) if !plain.contains('\\') => plain,
        _ => {
            unescaped = serde_json::from_str::<String>(quoted)
                .map_err(|error| HeadError::Syntax(format!("the key {quoted}: {error}")))?;
            unescaped.as_str()
        }
    };
    if let Some(key) = keys::find(surface, name) {
        return Ok(Some(key));
    }
    match keys::lookalike(surface, name) {
        Some(key) => Err(HeadError::Lookalike { found: name.to_owned(), key: key.name }),
        None => Ok(None),
    }
}

/// Whether a key, as written with its quotes, is `name`.
fn is_named(quoted: &[u8], name: &str) -> bool {
    if quoted.contains(&b'\\') {
        return serde_json::from_slice::<String>(quoted).is_ok_and(|text| text == name);
    }
    quoted.get(1..quoted.len().saturating_sub(1)) == Some(name.as_bytes())
}

/// Where `part`, a slice of `whole`, stands in it.
pub(crate) fn span(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}
