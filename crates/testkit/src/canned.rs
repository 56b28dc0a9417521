//! Answers that providers give, written by us from their documentation.
//!
//! Bodies and event lists for code that composes its own script, and whole
//! scripts for the common cases. Usage is always 11 tokens in and 7 out, so
//! that a test can state the cost.

use serde_json::{Value, json};

use crate::Script;

/// Input tokens that every canned answer reports.
pub const INPUT_TOKENS: u64 = 11;
/// Output tokens that every canned answer reports.
pub const OUTPUT_TOKENS: u64 = 7;

/// A tool call: id, function name, arguments as raw JSON text.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments, as the model spelled them.
    pub arguments: String,
}

/// What a canned answer says.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The model that the answer names.
    pub model: String,
    /// The text; a stream sends it in the given pieces.
    pub text: Vec<String>,
    /// Tool calls after the text.
    pub tool_calls: Vec<ToolCall>,
    /// Reasoning before the text, with its signature.
    pub reasoning: Option<(String, String)>,
    /// Whether a chat stream ends with a usage chunk.
    pub stream_usage: bool,
}

impl Reply {
    /// A reply of text alone, in these pieces.
    pub fn text(model: &str, pieces: &[&str]) -> Self {
        let text = pieces.iter().map(|&p| p.to_owned()).collect();
        Self { model: model.to_owned(), text, stream_usage: true, ..Self::default() }
    }
}

fn openai_usage() -> Value {
    json!({
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// The body of a unary chat completion.
pub fn openai_chat_body(reply: &Reply) -> String {
    let calls: Vec<Value> = reply
        .tool_calls
        .iter()
        .map(|call| {
            json!({"id": call.id, "type": "function",
                   "function": {"name": call.name, "arguments": call.arguments}})
        })
        .collect();
    let text = reply.text.concat();
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    if !calls.is_empty() {
        message =
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls});
    }
    let finish = if reply.tool_calls.is_empty() { "stop" } else { "tool_calls" };
    json!({
        "id": "chatcmpl-canned", "object": "chat.completion", "created": 1_700_000_000,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": openai_usage(),
        "system_fingerprint": "fp_canned",
    })
    .to_string()
}

/// The events of a streamed chat completion, `[DONE]` included.
pub fn openai_chat_events(reply: &Reply) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let body = json!({
            "id": "chatcmpl-canned", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": reply.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        });
        format!("data: {body}\n\n")
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    for piece in &reply.text {
        events.push(chunk(json!({"content": piece}), Value::Null));
    }
    for (index, call) in reply.tool_calls.iter().enumerate() {
        let start = json!({"index": index, "id": call.id, "type": "function",
                           "function": {"name": call.name, "arguments": ""}});
        events.push(chunk(json!({"tool_calls": [start]}), Value::Null));
        for piece in pieces(&call.arguments, 5) {
            let part = json!({"index": index, "function": {"arguments": piece}});
            events.push(chunk(json!({"tool_calls": [part]}), Value::Null));
        }
    }
    let finish = if reply.tool_calls.is_empty() { "stop" } else { "tool_calls" };
    events.push(chunk(json!({}), json!(finish)));
    if reply.stream_usage {
        let usage = json!({
            "id": "chatcmpl-canned", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": reply.model, "choices": [], "usage": openai_usage(),
        });
        events.push(format!("data: {usage}\n\n"));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// The body of a unary Anthropic message.
pub fn anthropic_body(reply: &Reply) -> String {
    let mut content = Vec::new();
    if let Some((thinking, signature)) = &reply.reasoning {
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": signature}));
    }
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text.concat()}));
    }
    for call in &reply.tool_calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        content.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
    }
    json!({
        "id": "msg_canned", "type": "message", "role": "assistant", "model": reply.model,
        "content": content, "stop_reason": anthropic_stop(reply), "stop_sequence": null,
        "usage": {"input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0,
                  "cache_read_input_tokens": 0, "output_tokens": OUTPUT_TOKENS},
    })
    .to_string()
}

/// The events of a streamed Anthropic message.
pub fn anthropic_events(reply: &Reply) -> Vec<String> {
    let event = |name: &str, body: Value| format!("event: {name}\ndata: {body}\n\n");
    let mut events = vec![
        event(
            "message_start",
            json!({"type": "message_start", "message": {
                "id": "msg_canned", "type": "message", "role": "assistant", "model": reply.model,
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0,
                          "cache_read_input_tokens": 0, "output_tokens": 1}}}),
        ),
        event("ping", json!({"type": "ping"})),
    ];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push(event(
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": start}),
        ));
        for delta in deltas {
            events.push(event(
                "content_block_delta",
                json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ));
        }
        events.push(event(
            "content_block_stop",
            json!({"type": "content_block_stop", "index": index}),
        ));
        index += 1;
    };
    if let Some((thinking, signature)) = &reply.reasoning {
        block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": thinking}),
                json!({"type": "signature_delta", "signature": signature}),
            ],
        );
    }
    if !reply.text.is_empty() {
        let deltas = reply.text.iter().map(|t| json!({"type": "text_delta", "text": t})).collect();
        block(json!({"type": "text", "text": ""}), deltas);
    }
    for call in &reply.tool_calls {
        let deltas = pieces(&call.arguments, 5)
            .into_iter()
            .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
            .collect();
        block(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}), deltas);
    }
    events.push(event(
        "message_delta",
        json!({"type": "message_delta",
               "delta": {"stop_reason": anthropic_stop(reply), "stop_sequence": null},
               "usage": {"output_tokens": OUTPUT_TOKENS}}),
    ));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}

fn anthropic_stop(reply: &Reply) -> &'static str {
    if reply.tool_calls.is_empty() { "end_turn" } else { "tool_use" }
}

/// Cuts text into pieces of at most `chars` characters.
pub fn pieces(text: &str, chars: usize) -> Vec<String> {
    let chars_all: Vec<char> = text.chars().collect();
    chars_all.chunks(chars.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// The body of an OpenAI error.
pub fn openai_error_body(kind: &str, code: Option<&str>, message: &str) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

/// The body of an Anthropic error.
pub fn anthropic_error_body(kind: &str, message: &str) -> String {
    json!({"type": "error", "error": {"type": kind, "message": message},
           "request_id": "req_canned"})
    .to_string()
}

/// The OpenAI `type` and `code` that go with a status.
pub fn openai_error_names(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        400 => ("invalid_request_error", None),
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("rate_limit_exceeded", Some("rate_limit_exceeded")),
        _ => ("server_error", None),
    }
}

/// The Anthropic error type that goes with a status.
pub fn anthropic_error_name(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// A chat completion, whole.
pub fn openai_chat(text: &str) -> Script {
    Script::on("/chat/completions").json(200, openai_chat_body(&Reply::text("gpt-canned", &[text])))
}

/// A chat completion, streamed in these pieces, with a usage chunk.
pub fn openai_chat_stream(text: &[&str]) -> Script {
    Script::on("/chat/completions").sse(openai_chat_events(&Reply::text("gpt-canned", text)))
}

/// An Anthropic message, whole.
pub fn anthropic_message(text: &str) -> Script {
    Script::on("/messages").json(200, anthropic_body(&Reply::text("claude-canned", &[text])))
}

/// An Anthropic message, streamed in these pieces.
pub fn anthropic_stream(text: &[&str]) -> Script {
    Script::on("/messages").sse(anthropic_events(&Reply::text("claude-canned", text)))
}

/// `count` embeddings of three dimensions each, as numbers.
pub fn embeddings(count: usize) -> Script {
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.25, -0.5, 1.0]}))
        .collect();
    let usage = json!({"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS});
    let body = json!({"object": "list", "data": data, "model": "embed-canned", "usage": usage});
    Script::on("/embeddings").json(200, body.to_string())
}

/// An OpenAI-shaped error with the names that go with its status.
pub fn openai_error(status: u16) -> Script {
    let (kind, code) = openai_error_names(status);
    Script::on("").json(status, openai_error_body(kind, code, "canned error"))
}

/// An Anthropic-shaped error with the type that goes with its status (529 included).
pub fn anthropic_error(status: u16) -> Script {
    Script::on("").json(status, anthropic_error_body(anthropic_error_name(status), "canned error"))
}

/// A 429 that asks to wait `retry_after_s` seconds.
pub fn rate_limited(retry_after_s: u64) -> Script {
    let (kind, code) = openai_error_names(429);
    let wait = retry_after_s.to_string();
    let headers = [("content-type", "application/json"), ("retry-after", wait.as_str())];
    Script::on("").answer(429, &headers, openai_error_body(kind, code, "slow down"))
}

/// The HTML page of a proxy in front of a dead provider.
pub fn html_502() -> Script {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    Script::on("").answer(502, &[("content-type", "text/html")], page)
}

/// A chat stream that turns into an error inside its 200, after `text`.
pub fn openai_error_in_stream(text: &[&str]) -> Script {
    let mut events = openai_chat_events(&Reply::text("gpt-canned", text));
    events.truncate(1 + text.len());
    let error = openai_error_body("server_error", None, "the engine stopped");
    events.push(format!("data: {error}\n\n"));
    Script::on("/chat/completions").sse(events)
}

/// An Anthropic stream that turns into an error inside its 200, after `text`.
pub fn anthropic_error_in_stream(text: &[&str]) -> Script {
    let mut events = anthropic_events(&Reply::text("claude-canned", text));
    events.truncate(3 + text.len());
    let error = anthropic_error_body("overloaded_error", "Overloaded");
    events.push(format!("event: error\ndata: {error}\n\n"));
    Script::on("/messages").sse(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streamed_text_and_arguments_join_to_the_unary_answer() {
        let mut reply = Reply::text("m", &["Hel", "lo"]);
        reply.tool_calls.push(ToolCall {
            id: "call_1".into(),
            name: "weather".into(),
            arguments: r#"{"city":"Zürich"}"#.into(),
        });
        let joined: String = openai_chat_events(&reply)
            .iter()
            .filter_map(|e| serde_json::from_str::<Value>(e.strip_prefix("data: ")?).ok())
            .filter_map(|v| {
                let arguments = v.pointer("/choices/0/delta/tool_calls/0/function/arguments")?;
                Some(arguments.as_str()?.to_owned())
            })
            .collect();
        assert_eq!(joined, reply.tool_calls[0].arguments);
        let unary: Value = serde_json::from_str(&anthropic_body(&reply)).unwrap();
        assert_eq!(unary["content"][0]["text"], "Hello");
        assert_eq!(unary["content"][1]["input"]["city"], "Zürich");
    }
}
