//! Answers: the text of each choice, nothing else.

use crate::json::write;
use crate::openai_chat::{finish, usage};
use crate::{
    Shown,
    model::{Content, Response},
};

/// Writes a text completion. Reasoning and tool calls have no place in it.
pub fn encode(response: &Response, shown: &Shown<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write::object(&mut out, |object| {
        let id = if response.id.is_empty() { shown.fallback_id } else { &response.id };
        object.member("id", id);
        object.member("object", "text_completion");
        object.member("created", &response.created_unix_s.unwrap_or(shown.created_unix_s));
        object.member("model", shown.model.unwrap_or(&response.model));
        object.array("choices", response.choices.iter().enumerate(), |out, (at, choice)| {
            let text: String = choice.parts.iter().filter_map(words).collect();
            write::object(out, |object| {
                object.member("text", &text);
                object.member("index", &at);
                object.null("logprobs");
                let word = choice.finish.as_ref().map(|finish| finish::encode(finish).0);
                object.member("finish_reason", &word);
            });
        });
        if let Some(used) = &response.usage {
            object.object("usage", |object| usage::encode(used, object));
        }
    });
    out
}

fn words(part: &crate::model::Part) -> Option<&str> {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => Some(text),
        _ => None,
    }
}
