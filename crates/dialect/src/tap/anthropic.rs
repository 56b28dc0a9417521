//! Anthropic's events and answers (wire formats, sections 3.2 and 4.2).

use super::{Facts, Marks, Problem};
use crate::json::skim::{self, Skim};

/// Kinds of blocks and deltas whose text is all that was generated. Claude 4
/// shows a summary of its thinking
/// (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, July 2026).
const MEASURED: [&[u8]; 5] =
    [b"text", b"text_delta", b"tool_use", b"input_json_delta", b"citations_delta"];

const WORD_MAX_BYTES: usize = 1024;

/// Reads one event of a stream. Its kind is its data's `type`, and the event's
/// name where that is missing.
pub(super) fn event(name: Option<&[u8]>, data: &[u8], facts: &mut Facts) -> Marks {
    let mut seen = Seen::default();
    // What was read before the text breaks stays.
    let _partial = top(&mut Skim::new(data), facts, &mut seen);
    let mut marks = Marks::default();
    match seen.kind.filter(|kind| !kind.is_empty()).or(name).unwrap_or_default() {
        b"content_block_delta" | b"content_block_start" => {
            marks.semantic = seen.semantic;
            marks.unmeasured = seen.unmeasured;
        }
        b"message_delta" => {
            marks.finish = seen.stop;
            let has_ended = seen.stop || facts.observed.finished;
            marks.final_usage = seen.output_reported && has_ended && facts.anthropic.is_complete();
        }
        b"message_stop" => marks.terminal = true,
        b"error" => marks.error = true,
        _ => marks.error = seen.problem.is_some(),
    }
    if marks.error {
        let problem = || seen.problem.unwrap_or_default();
        facts.observed.problem.get_or_insert_with(problem);
    }
    facts.observed.finished |= marks.finish;
    facts.settle_anthropic();
    marks
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8], facts: &mut Facts) {
    let mut seen = Seen::default();
    let _partial = top(&mut Skim::new(body), facts, &mut seen);
    facts.observed.finished |= seen.stop;
    facts.observed.problem = match seen.kind {
        Some(b"error") => Some(seen.problem.unwrap_or_default()),
        _ => seen.problem,
    };
    facts.settle_anthropic();
}

/// What an event holds, before its kind is known.
#[derive(Default)]
struct Seen<'a> {
    kind: Option<&'a [u8]>,
    semantic: bool,
    stop: bool,
    /// Output that no text measures.
    unmeasured: bool,
    /// The event's own usage, not that of a message in it, reports output tokens.
    output_reported: bool,
    problem: Option<Problem>,
}

impl Facts {
    fn settle_anthropic(&mut self) {
        if let Some(usage) = self.anthropic.usage() {
            self.observed.usage = Some(usage);
        }
    }

    fn model(&mut self, raw: &[u8]) {
        if self.observed.model.is_none() && !raw.is_empty() {
            self.observed.model = skim::unescape(raw, WORD_MAX_BYTES);
        }
    }

    /// Takes in usage; returns true if it reports output tokens.
    fn usage(&mut self, raw: &[u8]) -> bool {
        let has_output = self.anthropic.merge(raw);
        if let Some(tier) = self.anthropic.take_service_tier() {
            self.observed.service_tier = Some(tier);
        }
        has_output
    }
}

/// An event's top level; the members of a whole message and of
/// `message_start`'s are the same.
fn top<'a>(skim: &mut Skim<'a>, facts: &mut Facts, seen: &mut Seen<'a>) -> Option<()> {
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"type" => seen.kind = Some(skim.string_or_skip()?),
            b"delta" | b"content_block" => block(skim, facts, seen)?,
            b"content" => content(skim, facts, seen)?,
            b"message" => message(skim, facts)?,
            b"model" => facts.model(skim.string_or_skip()?),
            b"stop_reason" => seen.stop |= skim.raw()? != b"null",
            b"usage" => seen.output_reported |= facts.usage(skim.raw()?),
            b"error" => {
                let raw = skim.raw()?;
                if raw != b"null" {
                    seen.problem = Some(Problem::of(raw));
                }
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    Some(())
}

/// What `message_start` brings.
fn message(skim: &mut Skim<'_>, facts: &mut Facts) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"model" => facts.model(skim.string_or_skip()?),
            b"usage" => {
                facts.usage(skim.raw()?);
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    Some(())
}

fn content(skim: &mut Skim<'_>, facts: &mut Facts, seen: &mut Seen<'_>) -> Option<()> {
    if skim.peek()? != b'[' {
        return skim.skip();
    }
    let mut more = skim.enter(b'[')?;
    while more {
        block(skim, facts, seen)?;
        more = skim.more(b']')?;
    }
    Some(())
}

/// A block, the start of one, a delta of one, or the message's delta.
fn block(skim: &mut Skim<'_>, facts: &mut Facts, seen: &mut Seen<'_>) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"text" | b"thinking" | b"partial_json" | b"name" => {
                let length = skim.string_or_skip()?.len();
                seen.semantic |= length > 0;
                facts.observed.output_text_bytes += length as u64;
            }
            b"input" => {
                let length = skim.raw()?.len();
                // A stream's blocks start with `{}`; the text comes in deltas.
                if length > 2 {
                    facts.observed.output_text_bytes += length as u64;
                }
            }
            b"type" => {
                let kind = skim.string_or_skip()?;
                let preamble: [&[u8]; 4] = [b"text", b"thinking", b"text_delta", b"thinking_delta"];
                seen.semantic |= !preamble.contains(&kind) && kind != b"input_json_delta";
                seen.unmeasured |= !MEASURED.contains(&kind);
                facts.observed.has_unmeasured_output |= seen.unmeasured;
            }
            b"stop_reason" => seen.stop |= skim.raw()? != b"null",
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    Some(())
}
