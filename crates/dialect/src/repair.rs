//! Conversations in the order that a target demands.
//!
//! Works on the neutral model, so that it is the same whatever dialect a
//! conversation came in and whatever dialect it goes out in: what differs is
//! the target's [`Order`]. Parts are moved, never copied.

use crate::model::{Content, Part, Places, Role, Turn};
use crate::{Dialect, EncodeError, Target};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The result of a tool call that has none.
pub(crate) const NO_RESULT: &str = "This tool call has no result.";

/// A user's message before an assistant's words that open a conversation.
const NO_BEGINNING: &str = "(The conversation begins.)";

/// A user's message after the beginning of an answer, for models that take none.
const GO_ON: &str = "(Go on.)";

/// The order that a target demands of a conversation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    /// Instructions in the middle of a conversation.
    pub(crate) system: System,
    /// Text that is blank is refused: it goes.
    pub(crate) refuses_blank: bool,
    /// Two messages of one role in a row are one.
    pub(crate) alternates: bool,
    /// A result that does not follow its call is an error here; otherwise its
    /// provider says what is wrong with it.
    pub(crate) refuses_orphans: bool,
    /// The first message is a user's.
    pub(crate) begins_with_user: bool,
    /// The last message is a user's.
    pub(crate) ends_with_user: bool,
}

/// The places where a target takes instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum System {
    /// Anywhere.
    #[default]
    Anywhere,
    /// Before the conversation only: the encoder has put them there.
    First,
    /// In a user's words, but for a message with blocks that only this dialect
    /// has: newer models know the role, and what needs it names itself so.
    Told(Dialect),
}

impl Order {
    /// The order for servers of OpenAI's dialect, by the target's flags.
    pub(crate) fn of_chat(target: &Target<'_>) -> Self {
        let system = if target.system_first { System::First } else { System::Anywhere };
        Self { system, alternates: target.alternates, ..Self::default() }
    }

    /// The order for Gemini.
    pub(crate) fn of_gemini() -> Self {
        Self {
            system: System::Told(Dialect::Gemini),
            refuses_blank: true,
            alternates: true,
            refuses_orphans: true,
            begins_with_user: true,
            ends_with_user: false,
        }
    }

    /// The order for Anthropic.
    pub(crate) fn of_claude(target: &Target<'_>) -> Self {
        Self {
            system: System::Told(Dialect::AnthropicMessages),
            refuses_blank: true,
            alternates: true,
            refuses_orphans: true,
            begins_with_user: true,
            ends_with_user: target.no_prefill,
        }
    }
}

/// A part of a message, and where it stood in the request.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'r> {
    pub(crate) part: Cow<'r, Part>,
    /// The turn's number.
    turn: usize,
    /// The part's number in it.
    at: usize,
}

impl<'r> Piece<'r> {
    /// The same place, another part.
    pub(crate) fn replaced(&self, part: Cow<'r, Part>) -> Self {
        Self { part, ..*self }
    }

    /// Its place, as the client numbers it.
    pub(crate) fn place(&self, places: &Places) -> String {
        places.part(self.turn, self.at)
    }

    /// The place of a part inside a tool's result.
    pub(crate) fn inner_place(&self, places: &Places, inner: usize) -> String {
        places.result_part(self.turn, self.at, inner)
    }

    /// The id of the call that this is.
    fn call(&self) -> Option<&'r str> {
        match self.part {
            Cow::Borrowed(Part { content: Content::ToolCall { id, .. }, .. }) => Some(id),
            _ => None,
        }
    }

    /// The id of the call that this is the result of.
    pub(crate) fn result(&self) -> Option<&str> {
        match &self.part.content {
            Content::ToolResult { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// One speaker's words, on their way out.
#[derive(Clone, Debug)]
pub(crate) struct Message<'r> {
    pub(crate) role: Role,
    pub(crate) name: Option<&'r str>,
    pub(crate) pieces: Vec<Piece<'r>>,
    turn: usize,
}

impl<'r> Message<'r> {
    fn of(turn: usize, said: &'r Turn) -> Self {
        let parts = said.parts.iter().enumerate();
        let pieces = parts.map(|(at, part)| Piece { part: Cow::Borrowed(part), turn, at });
        Self { role: said.role, name: said.name.as_deref(), pieces: pieces.collect(), turn }
    }

    /// A user's message that says what nobody said.
    fn made(turn: usize, text: &str) -> Self {
        let part = Cow::Owned(text_part(text.to_owned()));
        Self { role: Role::User, name: None, pieces: vec![Piece { part, turn, at: 0 }], turn }
    }

    /// Turns a message of the role `system` into one of a user's, whose texts
    /// say what they were.
    fn tag_system(&mut self) {
        self.role = Role::User;
        for piece in &mut self.pieces {
            if let Content::Text { text, .. } = &piece.part.content {
                let tagged = format!("<system-message>\n{text}\n</system-message>");
                let cache = piece.part.cache.clone();
                piece.part = Cow::Owned(Part { cache, ..text_part(tagged) });
            }
        }
    }

    /// The ids of an assistant's calls, each once.
    fn calls(&self) -> Vec<&'r str> {
        let mut seen = HashSet::new();
        let calls = self.pieces.iter().filter(|_| self.role == Role::Assistant);
        calls.filter_map(Piece::call).filter(|call| seen.insert(*call)).collect()
    }
}

fn text_part(text: String) -> Part {
    Content::Text { text, citations: Vec::new() }.into()
}

/// A turn as the target takes it; `None` for one that is said elsewhere.
fn admitted(mut message: Message<'_>, order: Order) -> Option<Message<'_>> {
    if order.refuses_blank {
        message.pieces.retain(|piece| !piece.part.is_blank());
    }
    let is_own = |piece: &Piece<'_>, dialect| matches!(piece.part.content, Content::Opaque { source, .. } if source == dialect);
    match order.system {
        _ if message.role != Role::System => {}
        System::Anywhere => {}
        System::First => return None,
        System::Told(dialect) if message.pieces.iter().any(|piece| is_own(piece, dialect)) => {}
        System::Told(_) => message.tag_system(),
    }
    Some(message)
}

/// The messages of `turns`, in order: what `say` makes of each, without those
/// of which it leaves nothing, the results of an assistant's calls right after
/// it, one for each call. A missing result is replaced by one that says so, and
/// of two results for one call the later is kept.
///
/// # Errors
/// Those of `say`, and a result without its call where the target refuses it.
pub(crate) fn arranged<'r>(
    turns: &'r [Turn],
    order: Order,
    say: impl FnMut(Message<'r>) -> Result<Option<Message<'r>>, EncodeError>,
) -> Result<Vec<Message<'r>>, EncodeError> {
    let messages = turns.iter().enumerate().map(|(turn, said)| Message::of(turn, said));
    let messages = messages.filter_map(|message| admitted(message, order));
    let said: Result<Vec<Option<Message<'r>>>, EncodeError> = messages.map(say).collect();
    let said = said?.into_iter().flatten().collect();
    let mut messages = answered(joined(said, order), order);
    if order.refuses_orphans {
        refuse_orphans(&messages)?;
    }
    let is_assistant = |message: &Message<'_>| message.role == Role::Assistant;
    if order.begins_with_user && messages.first().is_some_and(is_assistant) {
        messages.insert(0, Message::made(0, NO_BEGINNING));
    }
    if order.ends_with_user && messages.last().is_some_and(is_assistant) {
        messages.push(Message::made(turns.len(), GO_ON));
    }
    Ok(messages)
}

/// The messages, those of one role in a row made one where the target demands
/// it.
fn joined(messages: Vec<Message<'_>>, order: Order) -> Vec<Message<'_>> {
    if !order.alternates {
        return messages;
    }
    let mut joined: Vec<Message<'_>> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.role == message.role => last.pieces.extend(message.pieces),
            _ => joined.push(message),
        }
    }
    joined
}

fn answered(messages: Vec<Message<'_>>, order: Order) -> Vec<Message<'_>> {
    let mut placed = Vec::with_capacity(messages.len());
    let mut rest = messages.into_iter().peekable();
    let mut changed = false;
    while let Some(message) = rest.next() {
        let (calls, turn) = (message.calls(), message.turn);
        placed.push(message);
        if calls.is_empty() || is_answered(&calls, rest.peek()) {
            continue;
        }
        let mut window = Vec::new();
        while let Some(next) = rest.next_if(|next| next.role != Role::Assistant) {
            window.push(next);
        }
        settle(&calls, turn, window, &mut placed);
        changed = true;
    }
    if changed { joined(placed, order) } else { placed }
}

/// Returns true if the next message has exactly one result for each call, before
/// all else.
fn is_answered(calls: &[&str], next: Option<&Message<'_>>) -> bool {
    let Some(next) = next.filter(|next| next.role == Role::User) else { return false };
    let results: HashSet<&str> = next.pieces.iter().map_while(Piece::result).collect();
    let count = next.pieces.iter().filter(|piece| piece.result().is_some()).count();
    count == calls.len() && calls.iter().all(|call| results.contains(call))
}

/// Adds the messages of `window` to `placed`, the results of `calls` first.
fn settle<'r>(
    calls: &[&'r str],
    turn: usize,
    window: Vec<Message<'r>>,
    placed: &mut Vec<Message<'r>>,
) {
    let mut ranks: HashMap<&'r str, Option<usize>> =
        calls.iter().map(|call| (*call, None)).collect();
    let mut results: Vec<Piece<'r>> = Vec::with_capacity(calls.len());
    let mut rest = Vec::with_capacity(window.len());
    let turn = window.first().map_or(turn, |first| first.turn);
    for mut message in window {
        let was_empty = message.pieces.is_empty();
        let is_user = message.role == Role::User;
        for piece in std::mem::take(&mut message.pieces) {
            match piece.result().filter(|_| is_user).and_then(|id| ranks.get_mut(id)) {
                None => message.pieces.push(piece),
                Some(rank @ None) => {
                    *rank = Some(results.len());
                    results.push(piece);
                }
                Some(Some(rank)) => {
                    if let Some(known) = results.get_mut(*rank) {
                        *known = piece;
                    }
                }
            }
        }
        if was_empty || !message.pieces.is_empty() {
            rest.push(message);
        }
    }
    let missing = calls.iter().filter(|call| ranks.get(*call) == Some(&None));
    let stubs = missing.map(|call| Piece { part: Cow::Owned(stub(call)), turn, at: 0 });
    results.extend(stubs);
    placed.push(Message { role: Role::User, name: None, pieces: results, turn });
    placed.extend(rest);
}

fn stub(call: &str) -> Part {
    let parts = vec![text_part(NO_RESULT.to_owned())];
    Content::ToolResult { id: call.to_owned(), parts, is_error: true }.into()
}

fn refuse_orphans(messages: &[Message<'_>]) -> Result<(), EncodeError> {
    let mut calls: HashSet<&str> = HashSet::new();
    for message in messages {
        let orphan = message.pieces.iter().filter_map(Piece::result);
        if let Some(id) = { orphan }.find(|id| !calls.contains(id)) {
            return Err(EncodeError::Invalid {
                param: "messages".to_owned(),
                message: format!(
                    "the result of tool call `{id}` does not follow the assistant message that made the call; send both, in that order"
                ),
            });
        }
        calls = message.calls().into_iter().collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolKind;

    const CHAT: Order = Order {
        system: System::Anywhere,
        refuses_blank: false,
        alternates: false,
        refuses_orphans: false,
        begins_with_user: false,
        ends_with_user: false,
    };

    fn turn(role: Role, parts: Vec<Content>) -> Turn {
        Turn { role, name: None, parts: parts.into_iter().map(Part::from).collect() }
    }

    fn text(text: &str) -> Content {
        Content::Text { text: text.to_owned(), citations: Vec::new() }
    }

    fn call(id: &str) -> Content {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), String::new());
        Content::ToolCall { id, name, arguments, kind: ToolKind::Function }
    }

    fn result(id: &str, words: &str) -> Content {
        Content::ToolResult { id: id.to_owned(), parts: vec![text(words).into()], is_error: false }
    }

    fn shown(messages: &[Message<'_>]) -> Vec<String> {
        let words = |piece: &Piece<'_>| match &piece.part.content {
            Content::Text { text, .. } => text.clone(),
            Content::ToolCall { id, .. } => format!("call {id}"),
            Content::ToolResult { id, parts, .. } => {
                let Content::Text { text, .. } = &parts[0].content else { unreachable!() };
                format!("{id}={text}")
            }
            _ => unreachable!(),
        };
        let shown = |message: &Message<'_>| {
            let parts: Vec<String> = message.pieces.iter().map(words).collect();
            format!("{:?} {}", message.role, parts.join("|"))
        };
        messages.iter().map(shown).collect()
    }

    fn arrange(turns: &[Turn], order: Order) -> Vec<String> {
        shown(&arranged(turns, order, |message| Ok(Some(message))).unwrap())
    }

    #[test]
    fn results_follow_their_calls_and_each_call_has_one() {
        let turns = [
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("a"), call("b"), call("c")]),
            turn(Role::User, vec![result("b", "1")]),
            turn(Role::System, vec![text("note")]),
            turn(Role::User, vec![result("a", "2"), result("b", "3"), text("and?")]),
            turn(Role::Assistant, vec![call("d")]),
        ];
        let expected = [
            "User q",
            "Assistant call a|call b|call c",
            "User b=3|a=2|c=This tool call has no result.",
            "System note",
            "User and?",
            "Assistant call d",
            "User d=This tool call has no result.",
        ];
        assert_eq!(arrange(&turns, CHAT), expected);
    }

    #[test]
    fn an_orderly_conversation_stays_and_an_orphan_is_its_providers_to_judge() {
        let turns = [
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("a")]),
            turn(Role::User, vec![result("a", "1"), text("and?")]),
            turn(Role::User, vec![result("lost", "2")]),
        ];
        let expected = ["User q", "Assistant call a", "User a=1|and?", "User lost=2"];
        assert_eq!(arrange(&turns, CHAT), expected);
        let strict = Order { refuses_orphans: true, ..CHAT };
        let refused = arranged(&turns, strict, |message| Ok(Some(message)));
        assert!(refused.unwrap_err().to_string().contains("`lost`"));
    }

    #[test]
    fn roles_alternate_where_they_must_and_calls_of_two_turns_are_answered_together() {
        let turns = [
            turn(Role::Assistant, vec![text("hi")]),
            turn(Role::Assistant, vec![call("a")]),
            turn(Role::Assistant, vec![call("b")]),
            turn(Role::User, vec![text("x")]),
            turn(Role::User, vec![result("b", "2"), result("a", "1")]),
            turn(Role::Assistant, vec![text("begin")]),
        ];
        let order = Order::of_claude(&Target { no_prefill: true, ..Target::default() });
        let expected = [
            "User (The conversation begins.)",
            "Assistant hi|call a|call b",
            "User b=2|a=1|x",
            "Assistant begin",
            "User (Go on.)",
        ];
        assert_eq!(arrange(&turns, order), expected);
    }

    #[test]
    fn nothing_is_left_of_a_message_that_cannot_be_said() {
        let turns = [
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![text("gone")]),
            turn(Role::User, vec![text("r")]),
        ];
        let order = Order { alternates: true, ..CHAT };
        let said = arranged(&turns, order, |message| {
            Ok(Some(message).filter(|message| message.role == Role::User))
        });
        assert_eq!(shown(&said.unwrap()), ["User q|r"]);
    }

    #[test]
    fn a_system_message_in_the_middle_is_where_the_target_takes_it() {
        let turns = [
            turn(Role::User, vec![text("q"), text(" \n")]),
            turn(Role::System, vec![text("note")]),
        ];
        let told = Order { system: System::Told(Dialect::AnthropicMessages), ..CHAT };
        let tagged = "User <system-message>\nnote\n</system-message>";
        assert_eq!(arrange(&turns, told), ["User q| \n", tagged]);
        let first = Order { system: System::First, refuses_blank: true, ..CHAT };
        assert_eq!(arrange(&turns, first), ["User q"]);
        assert_eq!(arrange(&turns, CHAT), ["User q| \n", "System note"]);
    }

    /// Each was looked for among all others.
    #[test]
    fn many_calls_in_one_turn_take_no_longer_than_they_must() {
        let ids: Vec<String> = (0..50_000).map(|n| format!("call_{n}")).collect();
        let results = ids.iter().rev().map(|id| result(id, "r")).chain([result("call_1", "s")]);
        let turns = [
            turn(Role::Assistant, ids.iter().map(|id| call(id)).collect()),
            turn(Role::User, results.collect()),
        ];
        let said = arranged(&turns, Order::of_claude(&Target::default()), |m| Ok(Some(m))).unwrap();
        assert_eq!(said.last().map(|message| message.pieces.len()), Some(50_000));
    }
}
