//! Changes to a scanned request that leave every other byte as it is.
//!
//! The closed list of what the gateway may change on the way up: the model,
//! `stream_options.include_usage`, the output limit, what the deployment's
//! configuration and the provider's entry say, and keys that are not the
//! upstream's business.

mod plan;

use crate::head::keys::{self, Field, Role};
use crate::head::{self, Head, HeadError, Metadata};
use crate::json::index::Index;
use crate::json::read::{Members, Raw};
use crate::json::rewrite::{self, Change as Value};
use crate::json::write::quoted;
use crate::{Dropped, Json};
use bytes::Bytes;
use plan::Plan;
use std::{borrow::Cow, ops::Range};

/// Changes to one body, to be made at once by [`apply`]. The last change to a
/// key counts.
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    head: &'a Head,
    body: &'a [u8],
    members: Vec<(Place<'a>, Change<'a>)>,
    /// New members, in order.
    inserts: Vec<(&'a str, Cow<'a, str>)>,
}

/// A member by its number, or one inside its object by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'a> {
    member: usize,
    inner: Option<&'a str>,
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

    /// Asks for usage at the end of a stream, where the surface has a field for
    /// it; leaves other stream options.
    pub fn include_usage(&mut self) -> &mut Self {
        match keys::usage_flag(self.head.surface()) {
            Some(field) if !self.head.include_usage() => self.set_field(field, "true".into()),
            _ => self,
        }
    }

    /// Sets the output limit: in the fields that the client used, and in `field`
    /// if it gave none.
    pub fn set_output_limit(&mut self, field: impl Into<Field>, tokens: u64) -> &mut Self {
        self.limit(field.into(), tokens, |_| true)
    }

    /// Lowers the output limit to `tokens` where the client gave more or none.
    pub fn clamp_output_limit(&mut self, field: impl Into<Field>, tokens: u64) -> &mut Self {
        self.limit(field.into(), tokens, |said| said > tokens)
    }

    fn limit(&mut self, field: Field, tokens: u64, over: impl Fn(u64) -> bool) -> &mut Self {
        let head = self.head;
        let said = &head.facts.output_limits;
        for (field, _) in said.iter().filter(|(_, said)| over(*said)) {
            self.set_field(*field, tokens.to_string().into());
        }
        if said.is_empty() {
            self.set_field(field, tokens.to_string().into());
        }
        self
    }

    /// Gives a field this JSON text, whatever the client gave. The object that
    /// it belongs in is made where there is none.
    pub fn set_field(&mut self, field: Field, text: Cow<'a, str>) -> &mut Self {
        let (parent, Some(name)) = field.parts() else { return self.put(field.parts().0, text) };
        let (head, body) = (self.head, self.body);
        let Some((member, found)) = head.places(body, parent).last() else {
            return self.insert_inside(parent, name, &text);
        };
        let whole = Place { member, inner: None };
        if let Some((_, change)) = self.members.iter_mut().find(|(place, _)| *place == whole) {
            let object = match change {
                Change::Replace(_, object) => with_member(object, name, &text),
                Change::Remove => with_member("{}", name, &text),
            };
            *change = Change::Replace(found.value_span(), object.into());
            return self;
        }
        let place = Place { member, inner: Some(name) };
        self.members.retain(|(changed, _)| *changed != place);
        let value = body.get(found.value_span()).unwrap_or_default();
        let value = std::str::from_utf8(value).unwrap_or_default();
        let Some(members) = Members::of(Raw::checked(value)) else {
            let object = with_member("{}", name, &text);
            self.members.push((whole, Change::Replace(found.value_span(), object.into())));
            return self;
        };
        let start = found.value_span().start;
        let (span, text) = if let Some(known) = members.last(name) {
            let span = head::span(value, known.text());
            (start + span.start..start + span.end, text)
        } else {
            let comma = if members.0.is_empty() { "" } else { "," };
            (start + 1..start + 1, format!("{}:{text}{comma}", quoted(name)).into())
        };
        self.members.push((place, Change::Replace(span, text)));
        self
    }

    fn insert_inside(&mut self, parent: &'a str, name: &str, text: &str) -> &mut Self {
        let inserted = self.inserts.iter_mut().find(|(inserted, _)| *inserted == parent);
        match inserted {
            Some((_, object)) => *object = with_member(object, name, text).into(),
            None => self.inserts.push((parent, with_member("{}", name, text).into())),
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
        self.members.extend(places.map(|(at, _)| (whole(at), Change::Remove)));
        self
    }

    /// Takes a parameter out with all that refers to it, and names it in
    /// `dropped` if the client gave it.
    pub fn leave_out(&mut self, name: &str, dropped: &mut Dropped) -> &mut Self {
        if self.head.raw(self.body, name).is_some() {
            dropped.add(name);
        }
        self.remove(name);
        // Nothing may refer to a tool that is not there.
        let referring: &[&str] = match name {
            "tools" => &["tool_choice", "parallel_tool_calls"],
            "functions" => &["function_call"],
            _ => &[],
        };
        for name in referring {
            self.remove(name);
        }
        self
    }

    /// Gives a key's value to another key, unless that has one.
    pub fn rename(&mut self, from: &str, to: &'a str) -> &mut Self {
        let Some(raw) = self.head.raw(self.body, from) else { return self };
        let Ok(text) = std::str::from_utf8(raw) else { return self };
        // A null beside it says nothing: what is said must not go with it.
        if self.head.raw(self.body, to).is_none() {
            self.set_text(to, text.to_owned());
        }
        self.remove(from)
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
        self.members.extend(earlier.map(|(at, _)| (whole(at), Change::Remove)));
        self.members.push((whole(last), Change::Replace(member.value_span(), text)));
        self
    }

    fn undo(&mut self, name: &str) -> &mut Self {
        for (at, _) in self.head.places(self.body, name) {
            self.members.retain(|(changed, _)| changed.member != at);
        }
        self
    }

    /// Returns true if a member goes.
    fn removes(&self, member: usize) -> bool {
        self.members
            .iter()
            .any(|(place, change)| place.member == member && matches!(change, Change::Remove))
    }

    /// The changes to the body, in its order.
    fn plan(&self) -> Plan<'_> {
        let all = &self.head.members;
        // From here on every member goes: the comma before them goes too.
        let kept = (0..all.len()).rev().find(|at| !self.removes(*at)).map_or(0, |last| last + 1);
        let mut cuts = Vec::with_capacity(self.members.len() + 1);
        for (place, change) in &self.members {
            match change {
                Change::Replace(span, text) => cuts.push((span.clone(), text.as_ref())),
                Change::Remove if place.member >= kept => {}
                Change::Remove => {
                    if let (Some(gone), Some(next)) =
                        (all.get(place.member), all.get(place.member + 1))
                    {
                        cuts.push((gone.key_span().start..next.key_span().start, ""));
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
            cuts.push((start..end, ""));
        }
        let inserted = |(name, text): &(&str, Cow<'_, str>)| format!("{}:{text}", quoted(name));
        let inserts = self.inserts.iter().map(inserted).collect();
        Plan::new(cuts, end, inserts, kept == 0)
    }

    /// Makes the changes, and the head of the new body without scanning what
    /// did not change.
    ///
    /// # Errors
    /// If the new body is one that [`Head::scan`] refuses.
    pub fn applied(&self, body: &Bytes) -> Result<(Bytes, Head), HeadError> {
        let plan = self.plan();
        let surface = self.head.surface();
        let made = plan.made(body);
        if u32::try_from(made.len()).is_err() {
            return Err(HeadError::TooLarge);
        }
        let mut index = self.head.index().moved(|span| plan.moved(&span));
        let mut members = Vec::with_capacity(self.head.members.len() + plan.inserts.len());
        for (at, member) in self.head.members.iter().enumerate() {
            if self.removes(at) {
                continue;
            }
            let key = plan.start(member.key_span().start)..plan.end(member.key_span().end);
            let value = plan.start(member.value_span().start)..plan.end(member.value_span().end);
            let is_changed = self.members.iter().any(|(place, _)| place.member == at);
            let mut moved = member.moved(&key, &value);
            if is_changed {
                // What is in it is not what was: it is looked at as if it were new.
                let text = made.get(key.start..value.end).unwrap_or_default();
                let text = std::str::from_utf8(text).unwrap_or_default();
                let mut piece = Index::default();
                let seen = head::added(text, &[], surface, &mut piece)?;
                index.add(&piece, key.start);
                moved = seen.moved(&key, &value);
            }
            members.push(moved);
        }
        let mut at = plan.end(plan.end);
        for (number, text) in plan.inserts.iter().enumerate() {
            at += usize::from(number > 0 || !plan.is_alone);
            let mut piece = Index::default();
            let seen = head::added(text, &members, surface, &mut piece)?;
            index.add(&piece, at);
            let moved = |span: Range<usize>| at + span.start..at + span.end;
            members.push(seen.moved(&moved(seen.key_span()), &moved(seen.value_span())));
            at += text.len();
        }
        index.sort();
        let head = Head::made(surface, self.head.inside, members, index, &made)?;
        Ok((made, head))
    }
}

/// A whole member.
fn whole<'a>(member: usize) -> Place<'a> {
    Place { member, inner: None }
}

/// The JSON text of an object with a member more, or with another value of it;
/// of an object with that member alone, where `object` is none.
fn with_member(object: &str, name: &str, text: &str) -> String {
    let alone = || format!("{{{}:{text}}}", quoted(name));
    let Ok(raw) = Raw::check_text(object) else { return alone() };
    let Some(members) = Members::of(raw) else { return alone() };
    let changed = rewrite::object(&members, |member, _| match member == name {
        true => Value::To(text.to_owned()),
        false => Value::None,
    });
    match (changed, raw.text().strip_suffix('}')) {
        (Some(changed), _) => changed,
        (None, Some(open)) if !members.0.is_empty() => format!("{open},{}:{text}}}", quoted(name)),
        _ => alone(),
    }
}

/// Makes the changes: one new body, or the same one where there are none.
/// `body` is the one that was scanned.
pub fn apply(body: &Bytes, edits: &Edits<'_>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.plan().made(body)
}
