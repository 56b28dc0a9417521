//! A conversation as Anthropic takes it.
//!
//! Its order is made by `crate::repair`; here nothing is said that Anthropic has
//! no block for. What is decided is listed in the folder's `mod.rs`.

use super::HERE;
use super::block::{self, Reader};
use crate::json::write::{ObjectWriter, array};
use crate::model::{Content, Origin, Part, Places, Request, Role, Thought};
use crate::repair::{self, Message, Order, Piece};
use crate::{Dropped, EncodeError, Target};
use std::borrow::Cow;

/// All messages of a request; adds to `dropped` the places of what a model said
/// before and this dialect has no block for.
pub(super) fn arrange<'r>(
    request: &'r Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<Message<'r>>, EncodeError> {
    let mut last_said = None;
    let order = Order::of_claude(target);
    let mut messages = repair::arranged(&request.turns, order, |message| {
        let message = say(message, &request.places, dropped)?;
        let message = message.filter(|message| !message.pieces.is_empty());
        last_said = message.as_ref().map(|message| message.role).or(last_said);
        Ok(message)
    })?;
    let ends_with_user = request.turns.last().is_some_and(|turn| turn.role == Role::User);
    if last_said.is_none_or(|role| ends_with_user && role == Role::Assistant) {
        let message = "there is no user message with content to answer".to_owned();
        return Err(EncodeError::Invalid { param: "messages".to_owned(), message });
    }
    trim_prefill(&mut messages);
    Ok(messages)
}

/// Keeps the parts of a turn that this dialect can say.
fn say<'r>(
    mut message: Message<'r>,
    places: &Places,
    dropped: &mut Dropped,
) -> Result<Option<Message<'r>>, EncodeError> {
    let role = message.role;
    let cannot =
        |place: String, part: &Part| EncodeError::Content { param: place, what: block::kind(part) };
    let mut said = Vec::with_capacity(message.pieces.len());
    for piece in std::mem::take(&mut message.pieces) {
        match (&piece.part.content, &piece.part) {
            (Content::Reasoning(thought), _) if role != Role::Assistant || !is_claudes(thought) => {
            }
            (Content::Opaque { source, plain: Some(_), .. }, _) if *source != HERE => {
                said.extend(plain(&piece));
            }
            (_, part) if !block::can_say(part) => {
                // What another provider's model said beside words is history
                // that cannot be told; a user's part is a question lost.
                if role != Role::Assistant {
                    return Err(cannot(piece.place(places), part));
                }
                dropped.add(piece.place(places));
            }
            (Content::ToolResult { parts, .. }, _) => {
                let unsayable = parts.iter().enumerate().find(|(_, part)| !block::can_say(part));
                if let Some((inner, part)) = unsayable {
                    return Err(cannot(piece.inner_place(places, inner), part));
                }
                said.push(piece);
            }
            _ => said.push(piece),
        }
    }
    message.pieces = said;
    Ok(Some(message))
}

/// The plain parts of a block of another dialect's.
fn plain<'r>(piece: &Piece<'r>) -> Vec<Piece<'r>> {
    let parts: Vec<Cow<'r, Part>> = match &piece.part {
        Cow::Borrowed(Part { content: Content::Opaque { plain: Some(plain), .. }, .. }) => {
            plain.iter().map(Cow::Borrowed).collect()
        }
        _ => Vec::new(),
    };
    parts.into_iter().map(|part| piece.replaced(part)).collect()
}

/// Returns true if Claude would recognise the thinking as its own: signed or
/// encrypted by a Claude.
fn is_claudes(thought: &Thought) -> bool {
    let own = thought.of(Origin::Anthropic);
    own.signature.is_some() || (own.redacted.is_some() && own.text.is_none())
}

/// An answer's beginning may not end in white space.
fn trim_prefill(messages: &mut [Message<'_>]) {
    let Some(last) = messages.last_mut().filter(|last| last.role == Role::Assistant) else {
        return;
    };
    if let Some(piece) = last.pieces.last_mut()
        && let Part { content: Content::Text { text, citations }, cache: None, extensions, .. } =
            &*piece.part
        && citations.is_empty()
        && extensions.is_empty()
        && text.trim_end() != text
    {
        let text = text.trim_end().to_owned();
        piece.part = Cow::Owned(Content::Text { text, citations: Vec::new() }.into());
    }
}

/// Returns true if the open tool loop, if there is one, starts with thinking.
pub(super) fn has_signed_loop(messages: &[Message<'_>]) -> bool {
    let [.., assistant, user] = messages else { return true };
    let is_open = user.pieces.iter().any(|piece| piece.result().is_some());
    let first = assistant.pieces.first().map(|piece| &piece.part.content);
    !is_open || matches!(first, Some(Content::Reasoning(_)))
}

/// Returns true if the conversation ends in the beginning of an answer.
pub(super) fn is_prefilled(messages: &[Message<'_>]) -> bool {
    messages.last().is_some_and(|last| last.role == Role::Assistant)
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
        array(object.key("content"), &message.pieces, |out, piece| {
            block::encode(out, &piece.part, Reader::Upstream);
        });
        object.end();
    });
}
