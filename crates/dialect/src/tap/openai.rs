//! OpenAI's chunks and answers, chat and legacy completions, as OpenAI and
//! the compatible servers write them (wire formats, sections 3.2 and 4.1).

use super::{Facts, Marks, Problem, usage};
use crate::json::skim::{self, Skim};

const WORD_MAX_BYTES: usize = 1024;

/// The longest envelope that is remembered, in bytes.
const ENVELOPE_MAX_BYTES: usize = 1024;

/// What stood around the choices of the last chunk, where it said nothing of
/// usage, errors or ends. A stream's chunks repeat it to the letter, and what
/// was read once need not be read again.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// Up to and with the key `choices`.
    before: Vec<u8>,
    /// After the choices.
    after: Vec<u8>,
}

impl Envelope {
    fn remember(slot: &mut Vec<u8>, bytes: &[u8]) {
        slot.clear();
        if bytes.len() <= ENVELOPE_MAX_BYTES {
            slot.extend_from_slice(bytes);
        }
    }
}

/// Reads one event of a stream.
pub(super) fn chunk(data: &[u8], facts: &mut Facts) -> Marks {
    let mut marks = Marks::default();
    if data.trim_ascii() == b"[DONE]" {
        marks.terminal = true;
        return marks;
    }
    let mut envelope = std::mem::take(&mut facts.envelope);
    // What was read before the text breaks stays.
    let _partial = around_choices(data, &mut envelope, facts, &mut marks);
    facts.envelope = envelope;
    let all_ended = facts.observed.finished && facts.begun & !facts.ended == 0;
    marks.final_usage = marks.usage && all_ended && facts.is_complete_openai();
    marks
}

/// Reads a chunk, but for the parts of it that stood in the last one.
fn around_choices(
    data: &[u8],
    envelope: &mut Envelope,
    facts: &mut Facts,
    marks: &mut Marks,
) -> Option<()> {
    let known = !envelope.before.is_empty() && data.starts_with(&envelope.before);
    let mut skim = Skim::new(data);
    if known {
        skim.jump(envelope.before.len());
    } else {
        let mut more = skim.enter(b'{')?;
        loop {
            if !more {
                return Some(());
            }
            let key = skim.key()?;
            if key == b"choices" {
                break;
            }
            member(key, &mut skim, facts, marks)?;
            more = skim.more(b'}')?;
        }
        let silent = !(marks.usage || marks.error || marks.terminal);
        let before = if silent { data.get(..skim.at())? } else { &[] };
        Envelope::remember(&mut envelope.before, before);
    }
    choices(&mut skim, facts, marks)?;
    let after = data.get(skim.at()..)?;
    if after == envelope.after {
        return Some(());
    }
    let mut rest = Marks::default();
    while skim.more(b'}')? {
        let key = skim.key()?;
        member(key, &mut skim, facts, &mut rest)?;
    }
    let silent = !(rest.usage || rest.error || rest.terminal || rest.choices);
    Envelope::remember(&mut envelope.after, if silent { after } else { &[] });
    marks.add(rest);
    Some(())
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8], facts: &mut Facts) {
    let _partial = top(&mut Skim::new(body), facts, &mut Marks::default());
}

fn top(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    let mut more = skim.enter(b'{')?;
    while more {
        let key = skim.key()?;
        member(key, skim, facts, marks)?;
        more = skim.more(b'}')?;
    }
    Some(())
}

/// A member of the top level.
fn member(key: &[u8], skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    match key {
        b"choices" => choices(skim, facts, marks),
        b"usage" => {
            marks.usage |= take_usage(skim.raw()?, facts);
            Some(())
        }
        b"model" => {
            let name = skim.string_or_skip()?;
            if facts.observed.model.is_none() {
                facts.observed.model = word(name);
            }
            Some(())
        }
        b"service_tier" => {
            // Every chunk says it again: no allocation for that.
            let tier = skim.string_or_skip()?;
            let known = facts.observed.service_tier.as_ref();
            if !tier.is_empty() && known.is_none_or(|known| known.as_bytes() != tier) {
                facts.observed.service_tier = word(tier);
            }
            Some(())
        }
        b"object" => {
            marks.terminal |= skim.raw()? == b"\"chat.completion.done\"";
            Some(())
        }
        b"error" => error(skim, facts, marks),
        b"x_groq" => groq(skim, facts, marks),
        _ => skim.skip(),
    }
}

/// Whether `raw` said anything.
fn take_usage(raw: &[u8], facts: &mut Facts) -> bool {
    if raw == b"null" {
        return false;
    }
    let Some(usage::Report { usage, has_output }) = usage::openai_report(raw) else { return false };
    facts.has_output |= has_output;
    match &mut facts.observed.usage {
        Some(known) => known.merge(&usage),
        none => *none = Some(usage),
    }
    true
}

/// Groq also reports here, and nowhere else when nobody asked.
fn groq(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"usage" => {
                let raw = skim.raw()?;
                if !marks.usage && take_usage(raw, facts) {
                    marks.usage = true;
                }
            }
            b"error" => error(skim, facts, marks)?,
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    Some(())
}

fn error(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    let raw = skim.raw()?;
    if !matches!(raw, b"null" | b"false" | b"{}" | b"\"\"") {
        marks.error = true;
        facts.observed.problem.get_or_insert_with(|| Problem::of(raw));
    }
    Some(())
}

fn choices(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'[' {
        return skim.skip();
    }
    let mut more = skim.enter(b'[')?;
    while more {
        marks.choices = true;
        choice(skim, facts, marks)?;
        more = skim.more(b']')?;
    }
    Some(())
}

fn choice(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    let mut index = 0_u32;
    let mut finish = false;
    let mut failed = false;
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"delta" | b"message" => message(skim, facts, marks)?,
            b"text" => text(skim, facts, marks)?,
            b"index" => index = number(skim.raw()?),
            b"finish_reason" => {
                let reason = skim.raw()?;
                finish = !matches!(reason, b"null" | b"\"\"");
                failed = reason == b"\"error\"";
            }
            b"error" => error(skim, facts, marks)?,
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    if failed {
        marks.error = true;
        facts.observed.problem.get_or_insert_with(Problem::default);
    }
    let bit = 1_u128.checked_shl(index).unwrap_or(0);
    facts.begun |= bit;
    if finish {
        facts.ended |= bit;
        facts.observed.finished = true;
        marks.finish = true;
    }
    Some(())
}

/// A delta or a whole message.
fn message(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"content" | b"reasoning_content" | b"reasoning" | b"refusal" | b"thinking" => {
                text(skim, facts, marks)?;
            }
            b"tool_calls" => tool_calls(skim, facts, marks)?,
            b"function_call" => tool_call(skim, facts, marks)?,
            b"audio" | b"images" | b"reasoning_details" | b"thinking_blocks" => {
                let holds = !is_empty(skim.raw()?);
                marks.semantic |= holds;
                marks.unmeasured |= holds;
            }
            b"role" | b"annotations" | b"citations" => skim.skip()?,
            _ => marks.unmeasured |= !is_empty(skim.raw()?),
        }
        more = skim.more(b'}')?;
    }
    facts.observed.has_unmeasured_output |= marks.unmeasured;
    Some(())
}

/// Returns true if a JSON value says nothing.
fn is_empty(raw: &[u8]) -> bool {
    matches!(raw, b"null" | b"[]" | b"{}" | b"\"\"")
}

/// A text, or a list of parts with texts.
fn text(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    let length = match skim.peek()? {
        b'"' => skim.string()?.len(),
        b'[' => {
            let raw = skim.raw()?;
            if raw.len() > 2 { raw.len() } else { 0 }
        }
        _ => {
            skim.skip()?;
            0
        }
    };
    if length > 0 {
        marks.semantic = true;
        facts.observed.output_text_bytes += length as u64;
    }
    Some(())
}

fn tool_calls(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'[' {
        return skim.skip();
    }
    let mut more = skim.enter(b'[')?;
    while more {
        tool_call(skim, facts, marks)?;
        more = skim.more(b']')?;
    }
    Some(())
}

/// A call, or the function inside it.
fn tool_call(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    marks.semantic = true;
    // Calls nest one object (`function`, `custom`), whose members count alike.
    let mut depth = 0_u32;
    let mut more = skim.enter(b'{')?;
    loop {
        if !more {
            if depth == 0 {
                return Some(());
            }
            depth -= 1;
            more = skim.more(b'}')?;
            continue;
        }
        match skim.key()? {
            b"name" | b"arguments" | b"input" => {
                facts.observed.output_text_bytes += skim.string_or_skip()?.len() as u64;
            }
            b"function" | b"custom" if depth == 0 && skim.peek()? == b'{' => {
                depth = 1;
                more = skim.enter(b'{')?;
                continue;
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
}

fn word(raw: &[u8]) -> Option<String> {
    if raw.is_empty() { None } else { skim::unescape(raw, WORD_MAX_BYTES) }
}

/// A choice's index; far out of reach where it is none.
fn number(raw: &[u8]) -> u32 {
    std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
}
