//! Turns, written as `messages`.
//!
//! Tool results become one `tool` message each, before the rest of their turn.
//! A tool message takes text only, so pictures and documents in a result move
//! to the next user message, which says where they come from. Blocks that only
//! another dialect has are said in plain parts, or refused by name: of a user's
//! words and of a tool's result nothing is lost. Of what a model said before,
//! such a block is left out and named.
//!
//! Every call of a tool gets its result right after it ([`repair`]). Where the
//! target takes one system message only, instructions from anywhere in the
//! conversation are joined in it.

use crate::json::write::ObjectWriter;
use crate::openai_chat::extension::own;
use crate::openai_chat::part::{self, encode_cache, is_plain, plain};
use crate::openai_chat::{HERE, assistant};
use crate::{
    Dropped, EncodeError, Target,
    model::{Content, Extension, Media, Part, Places, Request, Role},
    repair::{self, Message, Order},
};
use std::borrow::Cow;

/// Writes the `messages` array, and to `dropped` the places of what a model
/// said before and this dialect has no form for.
pub(super) fn encode(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut system: Vec<(String, &Part)> = (0..)
        .zip(&request.system)
        .map(|(at, part): (usize, _)| (format!("system[{at}]"), part))
        .collect();
    if target.system_first {
        for (at, turn) in request.turns.iter().enumerate() {
            if turn.role == Role::System {
                let parts = turn.parts.iter().enumerate();
                system.extend(parts.map(|(part, p)| (request.places.part(at, part), p)));
            }
        }
    }
    let order = Order::of_chat(target);
    let messages = repair::arranged(&request.turns, order, |message| Ok(Some(message)))?;
    let mut history =
        History { target, places: &request.places, dropped, out, written: 0, moved: Vec::new() };
    history.out.push(b'[');
    history.system(&system)?;
    for message in &messages {
        history.turn(message)?;
    }
    history.flush()?;
    history.out.push(b']');
    Ok(())
}

/// What a tool message says of a failure; there is no flag for it.
const FAILED: &str = "The tool failed:";
/// What a tool message says where a result has no words.
const ELSEWHERE: &str = "The result is in the next user message.";

struct History<'a, 'r> {
    target: &'a Target<'a>,
    places: &'a Places,
    dropped: &'a mut Dropped,
    out: &'a mut Vec<u8>,
    /// Messages so far, which is also the index of the next.
    written: usize,
    /// Media out of tool results, waiting for a user message.
    moved: Vec<Cow<'r, Part>>,
}

fn refs<'p>(parts: &'p [Cow<'_, Part>]) -> Vec<&'p Part> {
    parts.iter().map(AsRef::as_ref).collect()
}

/// Says `name` of a part's message, if its first part carries it.
fn beside<'p>(parts: &[&'p Part], name: &str) -> Option<&'p Extension> {
    parts.iter().flat_map(|part| own(&part.extensions)).find(|e| e.name == name)
}

impl<'r> History<'_, 'r> {
    /// Opens message number `written`; the caller fills it.
    fn message(
        &mut self,
        fill: impl FnOnce(&mut ObjectWriter<'_>, &Target<'_>, &str) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if self.written > 0 {
            self.out.push(b',');
        }
        let path = format!("messages[{}]", self.written);
        self.written += 1;
        let mut message = ObjectWriter::new(self.out);
        fill(&mut message, self.target, &path)?;
        message.end();
        Ok(())
    }

    fn system(&mut self, parts: &[(String, &'r Part)]) -> Result<(), EncodeError> {
        let mut said = Vec::with_capacity(parts.len());
        for (path, part) in parts {
            said.extend(part::sayable([(|| path.clone(), *part)], self.target, self.dropped)?);
        }
        if self.target.system_first {
            return if said.is_empty() { Ok(()) } else { self.one_system(&refs(&said)) };
        }
        let starts = |part: &Part| {
            own(&part.extensions).any(|e| e.name == "message.role" || e.name == "message.name")
        };
        for group in said.chunk_by(|_, next| !starts(next)) {
            self.instructions(None, &refs(group))?;
        }
        Ok(())
    }

    /// The one system message that a chat template takes, as one string where
    /// it is words.
    fn one_system(&mut self, parts: &[&Part]) -> Result<(), EncodeError> {
        let texts: Option<Vec<&str>> = parts
            .iter()
            .map(|part| match &part.content {
                Content::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let hinted = self.target.cache_control && parts.iter().any(|part| part.cache.is_some());
        self.message(|message, target, path| {
            message.member("role", "system");
            match texts.filter(|_| !hinted || target.content_as_text) {
                Some(texts) => message.member("content", &texts.join("\n\n")),
                None => content(message, parts, "\n\n", target, path)?,
            }
            Ok(())
        })
    }

    fn instructions(&mut self, name: Option<&str>, parts: &[&Part]) -> Result<(), EncodeError> {
        self.message(|message, target, path| {
            let developer = beside(parts, "message.role")
                .is_some_and(|role| role.value.text() == "\"developer\"");
            let developer = developer && !target.no_developer_role;
            message.member("role", if developer { "developer" } else { "system" });
            message.maybe("name", name.as_ref());
            message.maybe("name", beside(parts, "message.name").map(|e| &e.value));
            content(message, parts, "\n", target, path)?;
            fields(message, parts);
            Ok(())
        })
    }

    fn turn(&mut self, turn: &'r Message<'_>) -> Result<(), EncodeError> {
        let places = self.places;
        if turn.role != Role::User {
            self.flush()?;
        }
        match turn.role {
            Role::System => {
                let parts = turn.pieces.iter().map(|piece| (|| piece.place(places), &*piece.part));
                let parts = part::sayable(parts, self.target, self.dropped)?;
                if parts.is_empty() && !turn.pieces.is_empty() {
                    return Ok(());
                }
                self.instructions(turn.name, &refs(&parts))
            }
            Role::Assistant => self.assistant(turn),
            Role::User => {
                let mut holds_results = false;
                let mut others = Vec::new();
                for piece in &turn.pieces {
                    if let Content::ToolResult { id, parts, is_error } = &piece.part.content {
                        holds_results = true;
                        let inner = parts.iter().enumerate();
                        let inner =
                            inner.map(|(n, part)| (move || piece.inner_place(places, n), part));
                        let parts = part::sayable(inner, self.target, self.dropped)?;
                        self.result(&piece.part, id, parts, *is_error)?;
                    } else {
                        others.push(piece);
                    }
                }
                if others.is_empty() && holds_results {
                    return Ok(());
                }
                let asked = others.first().copied();
                let others = others.into_iter().map(|piece| (|| piece.place(places), &*piece.part));
                let others = part::sayable(others, self.target, self.dropped)?;
                // A question of which nothing is left is not asked.
                if let Some(piece) = asked.filter(|_| others.is_empty() && !holds_results) {
                    let (param, what) = (piece.place(places), piece.part.kind());
                    return Err(EncodeError::Content { param, what });
                }
                let mut parts = std::mem::take(&mut self.moved);
                parts.extend(others);
                self.user(turn.name, &refs(&parts))
            }
        }
    }

    /// Sends what waits for a user message in one of its own.
    fn flush(&mut self) -> Result<(), EncodeError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let moved = std::mem::take(&mut self.moved);
        self.user(None, &refs(&moved))
    }

    fn user(&mut self, name: Option<&str>, parts: &[&Part]) -> Result<(), EncodeError> {
        self.message(|message, target, path| {
            message.member("role", "user");
            message.maybe("name", name.as_ref());
            content(message, parts, "\n", target, path)?;
            fields(message, parts);
            Ok(())
        })
    }

    fn result(
        &mut self,
        whole: &'r Part,
        id: &str,
        parts: Vec<Cow<'r, Part>>,
        is_error: bool,
    ) -> Result<(), EncodeError> {
        let is_media = |part: &Cow<'_, Part>| match &part.content {
            Content::Document { source, .. } => !matches!(source, Media::Text(_)),
            Content::Image { .. } | Content::Audio { .. } => true,
            _ => false,
        };
        let (media, texts): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_media);
        let (failed, elsewhere) = (plain(FAILED.to_owned()), plain(ELSEWHERE.to_owned()));
        let mut texts = refs(&texts);
        if is_error {
            // There is no flag for it here; the model must read it.
            texts.insert(0, &failed);
        }
        if !media.is_empty() {
            if texts.is_empty() {
                texts.push(&elsewhere);
            }
            self.moved.push(Cow::Owned(plain(format!("From the result of tool call {id}:"))));
            self.moved.extend(media);
        }
        self.message(|message, target, path| {
            message.member("role", "tool");
            message.member("tool_call_id", id);
            content(message, &texts, "\n", target, path)?;
            if let Some(hint) = whole.cache.as_ref().filter(|_| target.cache_control) {
                encode_cache(hint, message);
            }
            fields(message, &[whole]);
            message.maybe("name", beside(&[whole], "message.name").map(|e| &e.value));
            Ok(())
        })
    }

    fn assistant(&mut self, turn: &Message<'_>) -> Result<(), EncodeError> {
        for piece in &turn.pieces {
            if matches!(&piece.part.content, Content::Opaque { source, .. } if *source != HERE) {
                self.dropped.add(piece.place(self.places));
            }
        }
        let parts: Vec<&Part> = turn.pieces.iter().map(|piece| &*piece.part).collect();
        self.message(|message, target, path| {
            message.member("role", "assistant");
            message.maybe("name", turn.name.as_ref());
            let spoken: Vec<&Part> = parts
                .iter()
                .copied()
                .filter(|part| match &part.content {
                    Content::Text { text, .. } => {
                        !text.is_empty() || part.cache.is_some() && target.cache_control
                    }
                    Content::Opaque { source, .. } => *source == HERE,
                    // Mistral takes its thinking back where it stood.
                    Content::Reasoning(_) => own(&part.extensions).any(|e| e.name == "thinking"),
                    _ => false,
                })
                .collect();
            if !spoken.is_empty() {
                content(message, &spoken, "", target, path)?;
            } else if parts
                .iter()
                .any(|part| matches!(part.content, Content::ToolCall { .. } | Content::Refusal(_)))
            {
                message.null("content");
            } else {
                message.member("content", "");
            }
            let refusal = parts.iter().find_map(|part| match &part.content {
                Content::Refusal(text) => Some(text),
                _ => None,
            });
            message.maybe("refusal", refusal);
            assistant::encode_history_thoughts(&parts, target, message);
            let knows_extra = !target.only_openais_fields || target.keeps_signatures;
            assistant::encode_calls(&parts, knows_extra, message);
            fields(message, &parts);
            Ok(())
        })
    }
}

/// Writes what the message had beside its parts.
fn fields(message: &mut ObjectWriter<'_>, parts: &[&Part]) {
    for extension in parts.iter().flat_map(|part| own(&part.extensions)) {
        match extension.name.strip_prefix("message.") {
            None | Some("role" | "name") => {}
            Some(name) => message.member(name, &extension.value),
        }
    }
}

/// Writes `content`: a string where words are all there is, otherwise a list.
/// `between` stands between texts that must become one.
fn content(
    message: &mut ObjectWriter<'_>,
    parts: &[&Part],
    between: &str,
    target: &Target<'_>,
    path: &str,
) -> Result<(), EncodeError> {
    let path = format!("{path}.content");
    let keep_cache = target.cache_control && !target.content_as_text;
    let plain = parts.iter().all(|part| is_plain(part, keep_cache));
    let one_string = parts.len() < 2 || between.is_empty();
    if target.content_as_text || (plain && one_string) {
        let text = joined(parts, between, &path)?;
        message.member("content", &text);
        return Ok(());
    }
    let out = message.key("content");
    let start = out.len();
    for (at, part) in parts.iter().enumerate() {
        let before = out.len();
        out.push(if before == start { b'[' } else { b',' });
        if !part::encode(part, keep_cache, &format!("{path}[{at}]"), out)? {
            out.truncate(before);
        }
    }
    // Nothing of it can be said here.
    let said: &[u8] = if out.len() == start { b"\"\"" } else { b"]" };
    out.extend_from_slice(said);
    Ok(())
}

fn joined(parts: &[&Part], between: &str, path: &str) -> Result<String, EncodeError> {
    let mut text = String::new();
    let mut first = true;
    for part in parts {
        let words = match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => Cow::Borrowed(text.as_str()),
            Content::Document { source: Media::Text(_), .. } => part::document_text(part),
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::Opaque { .. } => {
                let message = "this model's provider takes text only".to_owned();
                return Err(EncodeError::Invalid { param: path.to_owned(), message });
            }
            Content::ToolCall { .. } | Content::ToolResult { .. } | Content::Reasoning(_) => {
                continue;
            }
        };
        if !first {
            text.push_str(between);
        }
        first = false;
        text.push_str(&words);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheHint, Turn};

    fn written(turns: Vec<Turn>) -> String {
        let request = Request { turns, ..Request::default() };
        let mut out = Vec::new();
        encode(&request, &Target::default(), &mut Dropped::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pictures_in_tool_results_move_behind_the_last_result_of_the_run() {
        let image = Part::from(Content::Image { source: Media::Url("u".to_owned()), detail: None });
        let result = |id: &str, parts| Turn {
            role: Role::User,
            name: None,
            parts: vec![Content::ToolResult { id: id.to_owned(), parts, is_error: false }.into()],
        };
        let text = written(vec![result("a", vec![image]), result("b", Vec::new())]);
        let (b, user) = (text.find("\"b\"").unwrap(), text.find("\"user\"").unwrap());
        assert!(b < user, "{text}");
        assert!(text.contains(r#"{"type":"image_url","image_url":{"url":"u"}}"#), "{text}");
    }

    #[test]
    fn cache_hints_are_not_sent_to_targets_that_refuse_them() {
        let mut part = plain("hi".to_owned());
        part.cache = Some(CacheHint { ttl: None });
        let text = written(vec![Turn { role: Role::User, name: None, parts: vec![part] }]);
        assert_eq!(text, r#"[{"role":"user","content":"hi"}]"#);
    }
}
