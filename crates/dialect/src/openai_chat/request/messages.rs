//! `messages`, read into turns.
//!
//! System and developer messages before the first other message are the
//! request's instructions; later ones are turns. Tool messages in a row are one
//! user turn. What a message has beside its parts travels on its first part as
//! an extension named `message.` + field.

use crate::json::read::{Object, Raw, string};
use crate::openai_chat::assistant;
use crate::openai_chat::extension::rest;
use crate::openai_chat::made_id;
use crate::openai_chat::part::{cache_hint, decode_content, name_extension};
use crate::{
    DecodeError,
    model::{Content, Part, Place, Places, Request, Role, Turn},
};
use std::collections::{HashMap, VecDeque};

pub(super) fn decode(messages: Vec<Raw<'_>>) -> Result<Request, DecodeError> {
    let mut reader = Reader::default();
    for (at, raw) in messages.into_iter().enumerate() {
        reader.message(raw, at)?;
    }
    let Reader { system, turns, places, .. } = reader;
    Ok(Request { system, turns, places, ..Request::default() })
}

#[derive(Default)]
struct Reader {
    system: Vec<Part>,
    turns: Vec<Turn>,
    places: Places,
    /// The turn being filled with tool results, if the last message was one.
    in_results: bool,
    /// Whether the last message was a leading developer message.
    after_developer: bool,
    /// Calls by name, since results of legacy functions carry no id.
    function_ids: HashMap<String, String>,
    /// Calls of the last assistant message that wait for results without id.
    unanswered: VecDeque<String>,
}

impl Reader {
    fn message(&mut self, raw: Raw<'_>, at: usize) -> Result<(), DecodeError> {
        let path = &*format!("messages[{at}]");
        let mut message =
            Object::of(raw).map_err(|_| DecodeError::wrong_type(path, "an object"))?;
        let role = message.take("role").and_then(string);
        let role =
            role.ok_or_else(|| DecodeError::wrong_type(format!("{path}.role"), "a string"))?;
        match role.as_str() {
            "tool" | "function" => return self.result(message, path, at),
            _ => self.in_results = false,
        }
        let cache = cache_hint(&mut message);
        let name = message.take("name").and_then(string);
        let mut parts = match role.as_str() {
            "assistant" => {
                let parts = assistant::decode(&mut message, path, path)?;
                self.remember_calls(&parts);
                parts
            }
            "system" | "developer" | "user" => match message.take("content") {
                Some(content) => decode_content(content, &format!("{path}.content"))?,
                None => Vec::new(),
            },
            _ => {
                let message = format!("`{path}.role`: no role is called `{role}`");
                return Err(DecodeError::invalid(format!("{path}.role"), message));
            }
        };
        let leading = self.turns.is_empty() && matches!(role.as_str(), "system" | "developer");
        let mut beside = rest("message.", &message);
        beside.retain(|extension| extension.value.text() != "[]");
        if role == "developer" || (leading && self.after_developer) {
            beside.extend(name_extension("message.role", &role));
        }
        self.after_developer = leading && role == "developer";
        if leading && let Some(name) = &name {
            beside.extend(name_extension("message.name", name));
        }
        if parts.is_empty() && (!beside.is_empty() && !leading) {
            parts.push(assistant::carrier());
        }
        if let (Some(first), false) = (parts.first_mut(), beside.is_empty()) {
            first.extensions.extend(beside);
        }
        if let Some(last) = parts.last_mut()
            && last.cache.is_none()
        {
            last.cache = cache;
        }
        if leading {
            self.system.extend(parts);
        } else {
            let role = match role.as_str() {
                "assistant" => Role::Assistant,
                "user" => Role::User,
                _ => Role::System,
            };
            // Results in Anthropic's blocks, which come first in their turn.
            parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult { .. }));
            self.turns.push(Turn { role, name, parts });
            self.places.push(Place::Message(at));
        }
        Ok(())
    }

    fn result(
        &mut self,
        mut message: Object<'_>,
        path: &str,
        at: usize,
    ) -> Result<(), DecodeError> {
        let id = message.take("tool_call_id").and_then(string);
        let id = match (id, message.filled("name")) {
            (Some(id), _) => id,
            (None, Some(name)) => {
                self.function_ids.get(&name).cloned().unwrap_or_else(|| made_id(&name, 0))
            }
            // Some clients leave it out where there is one call to answer.
            (None, None) => self.unanswered.pop_front().ok_or_else(|| {
                let path = format!("{path}.tool_call_id");
                DecodeError::invalid(&path, format!("`{path}` is missing"))
            })?,
        };
        let cache = cache_hint(&mut message);
        let parts = match message.take("content") {
            Some(content) => decode_content(content, &format!("{path}.content"))?,
            None => Vec::new(),
        };
        let content = Content::ToolResult { id, parts, is_error: false };
        let extensions = rest("message.", &message);
        let part = Part { cache, extensions, ..Part::from(content) };
        match self.turns.last_mut() {
            Some(turn) if self.in_results => turn.parts.push(part),
            _ => {
                self.turns.push(Turn { role: Role::User, name: None, parts: vec![part] });
                self.places.push(Place::Results(at));
            }
        }
        self.in_results = true;
        Ok(())
    }

    fn remember_calls(&mut self, parts: &[Part]) {
        self.unanswered.clear();
        for part in parts {
            if let Content::ToolCall { id, name, .. } = &part.content {
                self.function_ids.insert(name.clone(), id.clone());
                self.unanswered.push_back(id.clone());
            }
        }
    }
}
