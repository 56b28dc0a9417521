//! Changes to a scanned request that leave every other byte as it is.
//!
//! The closed list of what the gateway may change on the way up: the model,
//! `stream_options.include_usage`, the output limit, what the deployment's
//! configuration and the provider's entry say, and keys that are not the
//! upstream's business.

use crate::{Json, head::Head, head::Metadata, head::keys::Role};
use bytes::Bytes;
use std::{borrow::Cow, ops::Range};

/// Changes to one body, to be made at once by [`apply`]. The last change to a
/// key counts.
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    head: &'a Head,
    body: &'a [u8],
    /// By the member's place.
    members: Vec<(usize, Change<'a>)>,
    /// New members, in order.
    inserts: Vec<(&'a str, Cow<'a, str>)>,
}

#[derive(Clone, Debug)]
enum Change<'a> {
    Remove,
    /// The span is the value's or lies in it; empty to insert.
    Replace(Range<usize>, Cow<'a, str>),
}

impl<'a> Edits<'a> {
    /// No changes yet to `body`, which is the one that was scanned.
    pub fn new(head: &'a Head, body: &'a [u8]) -> Self {
        Self { head, body, members: Vec::new(), inserts: Vec::new() }
    }

    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.inserts.is_empty()
    }

    /// Names the upstream's model.
    pub fn set_model(&mut self, model: &str) -> &mut Self {
        if self.head.model() == Some(model) {
            return self.undo("model");
        }
        self.put("model", quoted(model).into())
    }

    /// Asks for usage at the end of a stream; leaves other stream options.
    pub fn include_usage(&mut self) -> &mut Self {
        const ASKED: &str = r#"{"include_usage":true}"#;
        let Some(options) = &self.head.facts.stream_options else {
            return self.put("stream_options", ASKED.into());
        };
        if options.include_usage {
            return self.undo("stream_options");
        }
        let inside = options.inside..options.inside;
        let (span, text) = match &options.span {
            Some(span) => (span.clone(), "true"),
            None if options.is_empty => (inside, r#""include_usage":true"#),
            None => (inside, r#""include_usage":true,"#),
        };
        self.change("stream_options", Change::Replace(span, text.into()))
    }

    /// Sets the output limit: under the name the client used, and under `field`
    /// where it gave none.
    pub fn set_output_limit(&mut self, field: &'a str, tokens: u64) -> &mut Self {
        self.limit(field, tokens, |_| true)
    }

    /// Lowers the output limit to `tokens` where the client gave more or none.
    pub fn clamp_output_limit(&mut self, field: &'a str, tokens: u64) -> &mut Self {
        self.limit(field, tokens, |said| said > tokens)
    }

    fn limit(&mut self, field: &'a str, tokens: u64, over: impl Fn(u64) -> bool) -> &mut Self {
        let facts = &self.head.facts;
        let said = [
            ("max_tokens", facts.max_tokens),
            ("max_completion_tokens", facts.max_completion_tokens),
        ];
        let mut found = false;
        for (name, value) in said {
            let Some(value) = value else { continue };
            found = true;
            if over(value) {
                self.put(name, tokens.to_string().into());
            }
        }
        if !found {
            self.put(field, tokens.to_string().into());
        }
        self
    }

    /// Gives a key where the client gave none, or null.
    pub fn default_value(&mut self, name: &'a str, value: &'a Json) -> &mut Self {
        if self.head.raw(self.body, name).is_some() {
            return self;
        }
        self.put(name, value.text().into())
    }

    /// Gives a key this value, whatever the client gave.
    pub fn set(&mut self, name: &'a str, value: &'a Json) -> &mut Self {
        self.put(name, value.text().into())
    }

    /// Gives a key this JSON text, whatever the client gave.
    pub fn set_text(&mut self, name: &'a str, text: String) -> &mut Self {
        self.put(name, text.into())
    }

    /// Takes a key out.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.inserts.retain(|(inserted, _)| *inserted != name);
        self.undo(name);
        let places = self.head.places(self.body, name);
        self.members.extend(places.map(|(at, _)| (at, Change::Remove)));
        self
    }

    /// Takes out what is said to the gateway alone, and what of `metadata` is.
    pub fn remove_gateway_keys(&mut self) -> &mut Self {
        let head = self.head;
        for role in [Role::Gateway, Role::Credential] {
            for name in head.keys(role) {
                self.remove(name);
            }
        }
        match head.metadata() {
            Metadata::Absent | Metadata::Keep => self,
            Metadata::Remove => self.remove("metadata"),
            Metadata::Replace(text) => self.put("metadata", text.as_ref().into()),
        }
    }

    /// A key that stands twice keeps its last place: a reader's last word.
    fn put(&mut self, name: &'a str, text: Cow<'a, str>) -> &mut Self {
        let (head, body) = (self.head, self.body);
        let Some((last, member)) = head.places(body, name).last() else {
            self.inserts.retain(|(inserted, _)| *inserted != name);
            self.inserts.push((name, text));
            return self;
        };
        self.undo(name);
        let earlier = head.places(body, name).filter(|(at, _)| *at != last);
        self.members.extend(earlier.map(|(at, _)| (at, Change::Remove)));
        self.members.push((last, Change::Replace(member.value_span(), text)));
        self
    }

    /// For keys that the tables know: those stand once.
    fn change(&mut self, name: &str, change: Change<'a>) -> &mut Self {
        self.undo(name);
        if let Some((at, _)) = self.head.find(name) {
            self.members.push((at, change));
        }
        self
    }

    fn undo(&mut self, name: &str) -> &mut Self {
        for (at, _) in self.head.places(self.body, name) {
            self.members.retain(|(changed, _)| *changed != at);
        }
        self
    }

    /// Spans to cut and what to put there, in the body's order.
    fn cuts(&self) -> Vec<(Range<usize>, Cow<'_, str>)> {
        let all = &self.head.members;
        let removed = |at: usize| {
            self.members.iter().any(|(other, c)| *other == at && matches!(c, Change::Remove))
        };
        // From here on every member goes: the comma before them goes too.
        let kept = (0..all.len()).rev().find(|at| !removed(*at)).map_or(0, |last| last + 1);
        let mut cuts = Vec::with_capacity(self.members.len() + self.inserts.len() + 1);
        for (at, change) in &self.members {
            match change {
                Change::Replace(span, text) => cuts.push((span.clone(), Cow::from(text.as_ref()))),
                Change::Remove if *at >= kept => {}
                Change::Remove => {
                    if let (Some(gone), Some(next)) = (all.get(*at), all.get(at + 1)) {
                        cuts.push((gone.key_span().start..next.key_span().start, Cow::from("")));
                    }
                }
            }
        }
        let end = all.last().map_or(self.head.inside, |last| last.value_span().end);
        if let Some(first_gone) = all.get(kept) {
            let start = match kept.checked_sub(1).and_then(|last| all.get(last)) {
                Some(last_kept) => last_kept.value_span().end,
                None => first_gone.key_span().start,
            };
            cuts.push((start..end, Cow::from("")));
        }
        cuts.sort_by_key(|(span, _)| (span.start, span.end));
        for (place, (name, text)) in self.inserts.iter().enumerate() {
            let comma = if kept > 0 || place > 0 { "," } else { "" };
            cuts.push((end..end, format!("{comma}{}:{text}", quoted(name)).into()));
        }
        cuts
    }
}

/// Makes the changes: one new body, or the same one where there are none.
/// `body` is the one that was scanned.
pub fn apply(body: &Bytes, edits: &Edits<'_>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    let cuts = edits.cuts();
    let added: usize = cuts.iter().map(|(_, text)| text.len()).sum();
    let gone: usize = cuts.iter().map(|(span, _)| span.len()).sum();
    let mut out = Vec::with_capacity((body.len() + added).saturating_sub(gone));
    let mut done = 0;
    for (span, text) in &cuts {
        out.extend_from_slice(body.get(done..span.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        done = span.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    Bytes::from(out)
}

/// As a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    // Writing a string to a string has no way to fail.
    serde_json::to_string(text).unwrap_or_default()
}
