//! The order that Anthropic demands of a conversation.
//!
//! Roles alternate; a user's message starts with the results of all calls of
//! the message before; no text is blank; nothing is said that Anthropic has
//! no block for. What is decided here is listed in the folder's `mod.rs`.

use super::HERE;
use super::block::{self, Reader};
use crate::json::write::{ObjectWriter, array};
use crate::model::{CacheHint, Content, Part, Places, Request, Role, Thought, Turn};
use crate::repair::NO_RESULT;
use crate::{Dropped, EncodeError, Target};
use std::borrow::Cow;
use std::collections::HashMap;

/// What stands before an assistant's words that open a conversation.
const NO_BEGINNING: &str = "(The conversation begins.)";

/// What follows the beginning of an answer where the model takes none.
const GO_ON: &str = "(Go on.)";

/// A message on its way to the wire.
#[derive(Debug)]
pub(super) struct Message<'r> {
    role: Role,
    blocks: Vec<Block<'r>>,
}

#[derive(Debug)]
enum Block<'r> {
    Part(&'r Part),
    /// Text that stands for something else.
    Text(Cow<'r, str>, Option<&'r CacheHint>),
    /// The missing result of this call.
    Stub(&'r str),
}

/// All messages of a request; adds to `dropped` the places of what a model said
/// before and this dialect has no block for.
pub(super) fn arrange<'r>(
    request: &'r Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<Message<'r>>, EncodeError> {
    let mut messages: Vec<Message<'r>> = Vec::new();
    for (at, turn) in request.turns.iter().enumerate() {
        let (role, blocks) = say(turn, at, &request.places, dropped)?;
        if blocks.is_empty() {
            continue;
        }
        match messages.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => messages.push(Message { role, blocks }),
        }
    }
    let ends_with_user = request.turns.last().is_some_and(|turn| turn.role == Role::User);
    let said = messages.last().is_some_and(|last| last.role != Role::Assistant);
    if messages.is_empty() || (ends_with_user && !said) {
        return Err(invalid("there is no user message with content to answer"));
    }
    if messages.first().is_some_and(|first| first.role == Role::Assistant) {
        let blocks = vec![Block::Text(Cow::Borrowed(NO_BEGINNING), None)];
        messages.insert(0, Message { role: Role::User, blocks });
    }
    answer_calls(&mut messages)?;
    if target.no_prefill && is_prefilled(&messages) {
        let blocks = vec![Block::Text(Cow::Borrowed(GO_ON), None)];
        messages.push(Message { role: Role::User, blocks });
    }
    trim_prefill(&mut messages);
    Ok(messages)
}

/// A turn's role on the wire and what of it can be said.
fn say<'r>(
    turn: &'r Turn,
    at: usize,
    places: &Places,
    dropped: &mut Dropped,
) -> Result<(Role, Vec<Block<'r>>), EncodeError> {
    let mut blocks = Vec::with_capacity(turn.parts.len());
    // Only newer models know the role; what needs it names itself so.
    let own = turn.role == Role::System
        && turn
            .parts
            .iter()
            .any(|part| matches!(part.content, Content::Opaque { source: HERE, .. }));
    let role = match turn.role {
        Role::System if !own => Role::User,
        role => role,
    };
    let cannot =
        |place: String, part: &Part| EncodeError::Content { param: place, what: block::kind(part) };
    for (n, part) in turn.parts.iter().enumerate() {
        if block::is_blank(part) {
            continue;
        }
        match &part.content {
            Content::Text { text, .. } if turn.role == Role::System && !own => {
                let tagged = format!("<system-message>\n{text}\n</system-message>");
                blocks.push(Block::Text(Cow::Owned(tagged), part.cache.as_ref()));
            }
            Content::Reasoning(thought)
                if role != Role::Assistant || !replayable(part, thought) => {}
            Content::Opaque { source, plain: Some(plain), .. } if *source != HERE => {
                blocks.extend(plain.iter().map(Block::Part));
            }
            _ if !block::can_say(part) => {
                // What another provider's model said beside words is history
                // that cannot be told; a user's part is a question lost.
                if turn.role != Role::Assistant {
                    return Err(cannot(places.part(at, n), part));
                }
                dropped.add(places.part(at, n));
            }
            Content::ToolResult { parts, .. } => {
                let unsayable = parts.iter().enumerate().find(|(_, part)| !block::can_say(part));
                if let Some((inner, part)) = unsayable {
                    return Err(cannot(places.result_part(at, n, inner), part));
                }
                blocks.push(Block::Part(part));
            }
            _ => blocks.push(Block::Part(part)),
        }
    }
    Ok((role, blocks))
}

/// Whether Anthropic would recognise the thinking as its own: signed or
/// encrypted, and not marked as coming from elsewhere.
fn replayable(part: &Part, thought: &Thought) -> bool {
    let foreign = part.extensions.iter().any(|e| {
        e.source != HERE && e.name == "format" && !e.value.text().starts_with("\"anthropic")
    });
    (thought.signature.is_some() || (thought.redacted.is_some() && thought.text.is_none()))
        && !foreign
}

/// Puts results first, one for every call of the message before.
fn answer_calls<'r>(messages: &mut Vec<Message<'r>>) -> Result<(), EncodeError> {
    let mut calls: Vec<&'r str> = Vec::new();
    let mut at = 0;
    while let Some(message) = messages.get_mut(at) {
        match message.role {
            Role::User => settle(message, &std::mem::take(&mut calls))?,
            // The API has no place for a result but the next message.
            _ if !calls.is_empty() => {
                let mut stubs = Message { role: Role::User, blocks: Vec::new() };
                settle(&mut stubs, &std::mem::take(&mut calls))?;
                messages.insert(at, stubs);
            }
            Role::Assistant => {
                calls = message.blocks.iter().filter_map(Block::call).collect();
                no_results(message)?;
            }
            Role::System => no_results(message)?,
        }
        at += 1;
    }
    if !calls.is_empty() {
        let mut stubs = Message { role: Role::User, blocks: Vec::new() };
        settle(&mut stubs, &calls)?;
        messages.push(stubs);
    }
    Ok(())
}

fn settle<'r>(message: &mut Message<'r>, calls: &[&'r str]) -> Result<(), EncodeError> {
    // The answer to each call, and its rank among the answers.
    let mut answers: HashMap<&str, Option<(usize, Block<'r>)>> =
        calls.iter().map(|call| (*call, None)).collect();
    let mut others = Vec::with_capacity(message.blocks.len());
    for (rank, block) in std::mem::take(&mut message.blocks).into_iter().enumerate() {
        let Some(id) = block.result() else {
            others.push(block);
            continue;
        };
        let answer = answers.get_mut(id).ok_or_else(|| orphan(id))?;
        let rank = answer.as_ref().map_or(rank, |(first, _)| *first);
        *answer = Some((rank, block));
    }
    let mut results = Vec::with_capacity(calls.len());
    let mut stubs = Vec::new();
    for call in calls {
        match answers.remove(call) {
            Some(Some(result)) => results.push(result),
            Some(None) => stubs.push(Block::Stub(call)),
            // Two calls of one id, which a single result answers.
            None => {}
        }
    }
    results.sort_by_key(|(rank, _)| *rank);
    message.blocks =
        results.into_iter().map(|(_, block)| block).chain(stubs).chain(others).collect();
    Ok(())
}

fn no_results(message: &Message<'_>) -> Result<(), EncodeError> {
    match message.blocks.iter().find_map(Block::result) {
        Some(id) => Err(orphan(id)),
        None => Ok(()),
    }
}

fn orphan(id: &str) -> EncodeError {
    invalid(&format!(
        "the result of tool call `{id}` does not follow the assistant message that made the call; send both, in that order"
    ))
}

fn invalid(message: &str) -> EncodeError {
    EncodeError::Invalid { param: "messages".to_owned(), message: message.to_owned() }
}

/// An answer's beginning may not end in white space.
fn trim_prefill(messages: &mut [Message<'_>]) {
    let Some(last) = messages.last_mut().filter(|last| last.role == Role::Assistant) else {
        return;
    };
    if let Some(block) = last.blocks.last_mut()
        && let Block::Part(Part {
            content: Content::Text { text, citations },
            cache: None,
            extensions,
        }) = block
        && citations.is_empty()
        && extensions.is_empty()
        && text.trim_end() != text
    {
        *block = Block::Text(Cow::Borrowed(text.trim_end()), None);
    }
}

/// Whether the open tool loop, if there is one, starts with thinking.
pub(super) fn has_signed_loop(messages: &[Message<'_>]) -> bool {
    let [.., assistant, user] = messages else { return true };
    let open = user.blocks.iter().any(|block| block.answers().is_some());
    !open
        || matches!(
            assistant.blocks.first(),
            Some(Block::Part(Part { content: Content::Reasoning(_), .. }))
        )
}

/// Whether the conversation ends in the beginning of an answer.
pub(super) fn is_prefilled(messages: &[Message<'_>]) -> bool {
    messages.last().is_some_and(|last| last.role == Role::Assistant)
}

impl<'r> Block<'r> {
    /// The id of the call that this is.
    fn call(&self) -> Option<&'r str> {
        match self {
            Self::Part(Part { content: Content::ToolCall { id, .. }, .. }) => Some(id),
            _ => None,
        }
    }

    /// The id of the call that this is the client's result of.
    fn result(&self) -> Option<&'r str> {
        match self {
            Self::Part(Part { content: Content::ToolResult { id, .. }, .. }) => Some(id),
            _ => None,
        }
    }

    /// The id of the call that this answers, by a result or a stub.
    fn answers(&self) -> Option<&'r str> {
        match self {
            Self::Stub(id) => Some(id),
            _ => self.result(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Part(part) => block::encode(out, part, Reader::Upstream),
            Self::Text(text, cache) => {
                let mut object = ObjectWriter::new(out);
                object.member("type", "text");
                object.member("text", text);
                block::write_cache(&mut object, *cache, &[]);
                object.end();
            }
            Self::Stub(id) => {
                let mut object = ObjectWriter::new(out);
                object.member("type", "tool_result");
                object.member("tool_use_id", block::tool_id(id, &[], Reader::Upstream).as_ref());
                object.member("content", NO_RESULT);
                object.member("is_error", &true);
                object.end();
            }
        }
    }
}

/// Writes the list of messages.
pub(super) fn write(out: &mut Vec<u8>, messages: &[Message<'_>]) {
    array(out, messages, |out, message| {
        let mut object = ObjectWriter::new(out);
        object.member(
            "role",
            match message.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System => "system",
            },
        );
        array(object.key("content"), &message.blocks, |out, block| block.write(out));
        object.end();
    });
}
