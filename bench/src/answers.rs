//! The bytes that the scripted upstream sends, made once.

use serde_json::json;

/// Events in a streamed answer that carry text.
pub(crate) const CHUNKS: usize = 200;
const TEXT_BYTES: usize = 1_600; // with the envelope about 2 kB

/// A prepared answer: the unary bytes, and the pieces of the stream.
pub(crate) struct Answers {
    pub(crate) unary: Vec<u8>,
    pub(crate) stream: Vec<Vec<u8>>,
}

fn whole(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}

fn streamed(events: Vec<String>) -> Vec<Vec<u8>> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.into_iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
    let mut pieces: Vec<Vec<u8>> = chunks.map(String::into_bytes).collect();
    if let Some(first) = pieces.first_mut() {
        first.splice(0..0, head.bytes());
    }
    if let Some(last) = pieces.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    pieces
}

/// OpenAI chat completions.
pub(crate) fn openai() -> Answers {
    let usage = json!({"prompt_tokens": 250, "completion_tokens": 400, "total_tokens": 650});
    let body = json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000,
        "model": "gpt-bench", "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                     "message": {"role": "assistant", "content": "word ".repeat(TEXT_BYTES / 5)}}],
    });
    let chunk = |choices: serde_json::Value| {
        let body = json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk",
            "created": 1_700_000_000, "model": "gpt-bench", "choices": choices});
        format!("data: {body}\n\n")
    };
    let delta = |delta: serde_json::Value, finish: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]))
    };
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    events.extend((0..CHUNKS).map(|_| delta(json!({"content": "word "}), None)));
    events.push(delta(json!({}), Some("stop")));
    let last = json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk",
        "created": 1_700_000_000, "model": "gpt-bench", "choices": [], "usage": usage});
    events.push(format!("data: {last}\n\ndata: [DONE]\n\n"));
    Answers { unary: whole(&body.to_string()), stream: streamed(events) }
}

/// Anthropic messages.
pub(crate) fn anthropic() -> Answers {
    let usage = json!({"input_tokens": 250, "output_tokens": 400});
    let body = json!({
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-bench",
        "content": [{"type": "text", "text": "word ".repeat(TEXT_BYTES / 5)}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    });
    let event = |name: &str, body: serde_json::Value| format!("event: {name}\ndata: {body}\n\n");
    let start = json!({"type": "message_start", "message": {
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-bench",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}});
    let block = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": ""}});
    let text = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "text_delta", "text": "word "}});
    let mut events = vec![event("message_start", start) + &event("content_block_start", block)];
    events.extend((0..CHUNKS).map(|_| event("content_block_delta", text.clone())));
    let stop = json!({"type": "content_block_stop", "index": 0});
    let end = json!({"type": "message_delta", "usage": {"output_tokens": 400},
        "delta": {"stop_reason": "end_turn", "stop_sequence": null}});
    events.push(
        event("content_block_stop", stop)
            + &event("message_delta", end)
            + &event("message_stop", json!({"type": "message_stop"})),
    );
    Answers { unary: whole(&body.to_string()), stream: streamed(events) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unary_answers_are_about_two_kilobytes_and_streams_have_their_chunks() {
        for answers in [openai(), anthropic()] {
            assert!((1_800..2_300).contains(&answers.unary.len()), "{}", answers.unary.len());
            assert!((CHUNKS + 2..=CHUNKS + 3).contains(&answers.stream.len()));
            assert!(answers.stream.concat().ends_with(b"\r\n0\r\n\r\n"));
        }
    }
}
