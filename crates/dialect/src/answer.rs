//! Answers that hold nothing.
//!
//! A provider that answers 200 and says nothing has failed, whatever it calls
//! it: no choice; no vector; at Anthropic neither content nor a reason for the end. A
//! choice without content is an answer, if a poor one: providers send them
//! (OpenRouter, recorded).

use crate::Surface;
use crate::json::skim::Skim;

/// Returns true if a whole answer to a request of this surface is JSON and
/// holds nothing.
pub fn is_empty(surface: Surface, body: &[u8]) -> bool {
    let mut skim = Skim::new(body);
    let found = match surface {
        Surface::OpenAiChat | Surface::OpenAiCompletions => top(&mut skim, |key, skim| match key {
            b"choices" => choices(skim),
            _ => skim.skip().map(|()| false),
        }),
        Surface::OpenAiEmbeddings => top(&mut skim, |key, skim| {
            let is_list = skim.peek()? == b'[';
            Some(says_something(skim)? && key == b"data" && is_list)
        }),
        Surface::AnthropicMessages => top(&mut skim, |key, skim| match key {
            b"content" | b"stop_reason" => says_something(skim),
            _ => skim.skip().map(|()| false),
        }),
        // A prompt that is refused has no candidates, and says so.
        Surface::GeminiGenerate | Surface::GeminiStream => top(&mut skim, |key, skim| {
            let says = says_something(skim)?;
            Some(says && matches!(key, b"candidates" | b"promptFeedback"))
        }),
        Surface::GeminiCountTokens => top(&mut skim, |key, skim| {
            let says = says_something(skim)?;
            Some(says && key == b"totalTokens")
        }),
        Surface::AnthropicCountTokens => top(&mut skim, |key, skim| {
            let says = says_something(skim)?;
            Some(says && key == b"input_tokens")
        }),
    };
    found == Some(false)
}

/// Returns true if `look` says so of a member; `None` if the text is no object.
fn top<'a>(
    skim: &mut Skim<'a>,
    look: impl Fn(&'a [u8], &mut Skim<'a>) -> Option<bool>,
) -> Option<bool> {
    let mut found = false;
    let mut more = skim.enter(b'{')?;
    while more {
        let key = skim.key()?;
        found |= look(key, skim)?;
        more = skim.more(b'}')?;
    }
    Some(found)
}

fn choices(skim: &mut Skim<'_>) -> Option<bool> {
    if skim.peek()? != b'[' {
        return skim.skip().map(|()| false);
    }
    let mut found = false;
    let mut more = skim.enter(b'[')?;
    while more {
        found |= if skim.peek()? == b'{' { choice(skim)? } else { skim.skip().map(|()| false)? };
        more = skim.more(b']')?;
    }
    Some(found)
}

fn choice(skim: &mut Skim<'_>) -> Option<bool> {
    top(skim, |key, skim| match key {
        b"message" | b"delta" | b"finish_reason" => says_something(skim),
        b"text" => Some(skim.raw()? != b"null"),
        _ => skim.skip().map(|()| false),
    })
}

/// Moves past a value; returns true unless it is empty.
fn says_something(skim: &mut Skim<'_>) -> Option<bool> {
    let raw = skim.raw()?;
    let is_empty = match raw {
        b"null" | b"\"\"" => true,
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
        _ => false,
    };
    Some(!is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Surface::{
        AnthropicCountTokens, AnthropicMessages, OpenAiChat, OpenAiCompletions, OpenAiEmbeddings,
    };

    #[test]
    fn an_answer_without_a_choice_or_a_reason_is_empty() {
        for (surface, body, expected) in [
            (OpenAiChat, "{}", true),
            (OpenAiChat, r#"{"id":"x","object":"chat.completion"}"#, true),
            (OpenAiChat, r#"{"choices":null}"#, true),
            (OpenAiChat, r#"{"choices":[ ],"usage":{"total_tokens":3}}"#, true),
            (OpenAiChat, r#"{"choices":[{}]}"#, true),
            (OpenAiChat, r#"{"choices":[{"message":{"role":"assistant","content":""}}]}"#, false),
            (OpenAiChat, r#"{"choices":[{"index":0,"message":null}]}"#, true),
            (OpenAiChat, r#"{"choices":[{"message":{"content":"a"}}]}"#, false),
            (OpenAiChat, r#"{"choices":[{"message":{"tool_calls":[{}]}}]}"#, false),
            (
                OpenAiChat,
                r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#,
                false,
            ),
            (OpenAiCompletions, r#"{"choices":[{"text":null}]}"#, true),
            (OpenAiCompletions, r#"{"choices":[{"text":""}]}"#, false),
            (OpenAiCompletions, r#"{"choices":[{"text":"a"}]}"#, false),
            (OpenAiEmbeddings, "{}", true),
            (OpenAiEmbeddings, r#"{"data":[]}"#, true),
            (OpenAiEmbeddings, r#"{"data":[{}]}"#, false),
            (AnthropicMessages, r#"{"content":[],"stop_reason":null}"#, true),
            (AnthropicMessages, r#"{"content":[],"stop_reason":"end_turn"}"#, false),
            (AnthropicMessages, r#"{"content":[{"type":"text"}]}"#, false),
            (AnthropicMessages, "{}", true),
            (AnthropicCountTokens, r#"{"input_tokens":3}"#, false),
            (AnthropicCountTokens, "{}", true),
        ] {
            assert_eq!(is_empty(surface, body.as_bytes()), expected, "{surface:?} {body}");
        }
    }

    /// It is unreadable, which is said in other words.
    #[test]
    fn what_is_no_json_is_not_called_empty() {
        for body in ["", "<html>", "[]", "{\"choices\":", "null"] {
            assert!(!is_empty(OpenAiChat, body.as_bytes()), "{body}");
        }
    }
}
