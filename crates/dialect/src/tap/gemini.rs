//! Gemini's events and answers.

use super::{Facts, Marks, Problem};
use crate::gemini::{self, usage};
use crate::json::read::Raw;
use crate::json::skim::{self, Skim};

const WORD_MAX_BYTES: usize = 1024;

/// Reads one event of a stream: an answer that holds what is new.
pub(super) fn event(data: &[u8], facts: &mut Facts) -> Marks {
    let mut marks = Marks::default();
    // What was read before the text breaks stays.
    let _partial = top(&mut Skim::new(data), facts, &mut marks);
    facts.observed.has_unmeasured_output |= marks.unmeasured;
    facts.observed.finished |= marks.finish;
    let all_ended = facts.observed.finished && facts.begun & !facts.ended == 0;
    marks.final_usage = marks.usage && all_ended && facts.is_complete_gemini();
    marks
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8], facts: &mut Facts) {
    let marks = event(body, facts);
    facts.observed.has_unmeasured_output |= marks.unmeasured;
}

impl Facts {
    /// Returns true if input and output are both reported.
    pub(super) fn is_complete_gemini(&self) -> bool {
        let has_output = self.has_output || self.blocked;
        has_output && self.observed.usage.is_some_and(|usage| usage.input > 0)
    }
}

fn top(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"candidates" => candidates(skim, facts, marks)?,
            b"usageMetadata" => report(skim.raw()?, facts, marks),
            b"modelVersion" => {
                let raw = skim.string_or_skip()?;
                if facts.observed.model.is_none() && !raw.is_empty() {
                    facts.observed.model = skim::unescape(raw, WORD_MAX_BYTES);
                }
            }
            b"promptFeedback" => {
                if memchr::memmem::find(skim.raw()?, b"blockReason").is_some() {
                    facts.blocked = true;
                    marks.finish = true;
                }
            }
            b"error" => {
                let raw = skim.raw()?;
                if raw != b"null" {
                    marks.error = true;
                    facts.observed.problem = Some(Problem::of(raw));
                }
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    Some(())
}

fn report(raw: &[u8], facts: &mut Facts, marks: &mut Marks) {
    let Some(mut usage) = Raw::check(raw).ok().and_then(usage::read) else { return };
    usage.searches = facts.searches;
    facts.has_output |= usage.output > 0 || facts.semantic;
    facts.observed.usage = Some(usage);
    marks.usage = true;
}

fn candidates(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'[' {
        return skim.skip();
    }
    let mut place = 0;
    let mut more = skim.enter(b'[')?;
    while more {
        candidate(skim, place, facts, marks)?;
        place += 1;
        more = skim.more(b']')?;
    }
    Some(())
}

fn candidate(skim: &mut Skim<'_>, place: u32, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    marks.choices = true;
    let (mut number, mut ends) = (place, false);
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"index" => {
                let said = std::str::from_utf8(skim.raw()?).ok().and_then(|raw| raw.parse().ok());
                number = said.unwrap_or(place);
            }
            b"content" => content(skim, facts, marks)?,
            b"finishReason" => ends |= skim.raw()? != b"null",
            b"groundingMetadata" => {
                let raw = skim.raw()?;
                if Raw::check(raw).is_ok_and(gemini::response::is_searched) {
                    facts.searches = 1;
                }
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    let bit = 1_u128.checked_shl(number).unwrap_or(0);
    facts.begun |= bit;
    if ends {
        facts.ended |= bit;
        marks.finish = true;
    }
    Some(())
}

fn content(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        let is_parts = skim.key()? == b"parts";
        if is_parts && skim.peek()? == b'[' {
            let mut parts = skim.enter(b'[')?;
            while parts {
                part(skim, facts, marks)?;
                parts = skim.more(b']')?;
            }
        } else {
            skim.skip()?;
        }
        more = skim.more(b'}')?;
    }
    Some(())
}

/// Thoughts are shown as summaries, and pictures and code have no text: their
/// length says nothing of what was made.
fn part(skim: &mut Skim<'_>, facts: &mut Facts, marks: &mut Marks) -> Option<()> {
    if skim.peek()? != b'{' {
        return skim.skip();
    }
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"text" => {
                let length = skim.string_or_skip()?.len();
                marks.semantic |= length > 0;
                facts.observed.output_text_bytes += length as u64;
            }
            b"thought" => marks.unmeasured |= skim.raw()? == b"true",
            b"thoughtSignature" => {
                marks.unmeasured = true;
                skim.skip()?;
            }
            b"functionCall" => {
                let length = skim.raw()?.len();
                marks.semantic = true;
                facts.observed.output_text_bytes += length as u64;
            }
            _ => {
                marks.semantic = true;
                marks.unmeasured = true;
                skim.skip()?;
            }
        }
        more = skim.more(b'}')?;
    }
    Some(())
}
