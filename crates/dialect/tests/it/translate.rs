//! From one dialect to another, through the one face; streams cut anywhere.

use crate::{arbitrary, facts};
use bytes::Bytes;
use dialect::{
    Dialect, Dropped, EncodeError, Shown, Target,
    fold::Fold,
    model::{Content, Event},
    sse,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const SHOWN: Shown<'static> =
    Shown { model: Some("group"), fallback_id: "id-0", created_unix_s: 1, include_usage: true };

/// Decodes a stream that arrives in pieces. Pings are left out: a line break
/// cut in two is framed as a blank line of its own.
pub(crate) fn decoded(dialect: Dialect, pieces: &[&[u8]]) -> Vec<Event> {
    let mut framer = sse::Framer::new();
    let mut decoder = dialect.stream_decoder();
    let mut events = Vec::new();
    for piece in pieces {
        for frame in framer.push(&Bytes::copy_from_slice(piece)) {
            let mut scratch = String::new();
            let event = frame;
            decoder.push(sse::parse(&event.bytes, &mut scratch).unwrap(), &mut events).unwrap();
        }
    }
    // The last event may lack its blank line.
    let rest = framer.take_remainder();
    let mut scratch = String::new();
    decoder.push(sse::parse(&rest, &mut scratch).unwrap(), &mut events).unwrap();
    decoder.finish(&mut events);
    events.retain(|event| *event != Event::Ping);
    events
}

fn encoded(dialect: Dialect, events: &[Event]) -> Vec<u8> {
    let mut encoder = dialect.stream_encoder(&SHOWN);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    out
}

#[test]
fn an_anthropic_client_reaches_an_openai_upstream() {
    let body = json!({
        "model": "group", "max_tokens": 100, "system": [{"type": "text", "text": "Be brief.",
            "cache_control": {"type": "ephemeral"}}],
        "context_management": {"edits": []},
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {"type": "text", "text": "Well?"}]},
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    });
    let request = Dialect::AnthropicMessages.decode_request(body.to_string().as_bytes()).unwrap();
    let target = Target { model: "m", ..Target::default() };
    let out =
        Dialect::OpenAiChat.encode_request(&request, &target, &mut Dropped::default()).unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    let said: Vec<String> = facts::request(&out)
        .said
        .into_iter()
        .map(|(who, kind, words)| format!("{who}/{kind}: {words}"))
        .collect();
    let expected = [
        "system/text: Be brief.",
        "user/text: Weather?",
        "assistant/call: \"toolu_1\" \"weather\" \"{}\"",
        "tool toolu_1/text: sunny",
        "user/text: Well?",
    ];
    assert_eq!(said, expected);
    let text = out.to_string();
    assert!(!text.contains("cache_control") && !text.contains("c2ln"), "{text}");
    assert_eq!(out["max_completion_tokens"], 100);
}

#[test]
fn an_anthropic_server_tool_is_refused_or_dropped_by_setting() {
    let body = json!({
        "model": "group", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    });
    let request = Dialect::AnthropicMessages.decode_request(body.to_string().as_bytes()).unwrap();
    let strict = Target { model: "m", ..Target::default() };
    let error =
        Dialect::OpenAiChat.encode_request(&request, &strict, &mut Dropped::default()).unwrap_err();
    assert!(error.to_string().contains("web_search"), "{error}");
    let lenient = Target { drop_params: true, ..strict };
    let out =
        Dialect::OpenAiChat.encode_request(&request, &lenient, &mut Dropped::default()).unwrap();
    assert!(!String::from_utf8(out).unwrap().contains("tools"));
}

#[test]
fn an_openai_client_reaches_an_anthropic_upstream_and_reads_its_stream() {
    let body = json!({"model": "group", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]});
    let request = Dialect::OpenAiChat.decode_request(body.to_string().as_bytes()).unwrap();
    let target = Target { model: "m", ..Target::default() };
    let out = Dialect::AnthropicMessages
        .encode_request(&request, &target, &mut Dropped::default())
        .unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out["messages"][0]["role"], "user");
    assert!(out["system"].to_string().contains("Be brief."));

    let raw = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n\
event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let events = decoded(Dialect::AnthropicMessages, &[raw.as_bytes()]);
    let out = String::from_utf8(encoded(Dialect::OpenAiChat, &events)).unwrap();
    let found = facts::stream(&out);
    assert_eq!(found.choices[&0].text, "Hello");
    assert_eq!(found.choices[&0].finish.as_deref(), Some("stop"));
    assert_eq!(found.usage, Some([12, 3, 7, 0]));
}

#[test]
fn a_whole_answer_without_a_reason_still_ends_for_an_agent() {
    let answer = |message: Value| {
        let choice = json!({"index": 0, "message": message, "finish_reason": ""});
        let body = json!({"id": "1", "model": "m", "choices": [choice]}).to_string();
        let answer = Dialect::OpenAiChat.decode_response(body.as_bytes()).unwrap();
        let body = Dialect::AnthropicMessages.encode_response(&answer, &SHOWN);
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["stop_reason"].as_str().map(str::to_owned)
    };
    let call = json!({"id": "call_1", "type": "function",
                      "function": {"name": "weather", "arguments": "{}"}});
    let calling = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    assert_eq!(answer(calling).as_deref(), Some("tool_use"));
    let talking = json!({"role": "assistant", "content": "hello"});
    assert_eq!(answer(talking).as_deref(), Some("end_turn"));
}

#[test]
fn an_error_inside_an_answer_is_found_in_either_dialect() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    assert_eq!(Dialect::AnthropicMessages.error_inside(body).unwrap().status, 529);
    let body = br#"{"error":{"code":503,"message":"busy"}}"#;
    assert_eq!(Dialect::OpenAiChat.error_inside(body).unwrap().status, 503);
    let message = br#"{"type":"message","content":[]}"#;
    assert!(Dialect::AnthropicMessages.error_inside(message).is_none());
}

/// What an Anthropic client's `body` becomes for an OpenAI upstream.
fn from_anthropic(mut body: Value, target: &Target<'_>) -> Result<Value, EncodeError> {
    let members = body.as_object_mut().unwrap();
    members.entry("model").or_insert(json!("group"));
    members.entry("max_tokens").or_insert(json!(9));
    members.entry("messages").or_insert(json!([{"role": "user", "content": "Hi"}]));
    let request = Dialect::AnthropicMessages.decode_request(body.to_string().as_bytes()).unwrap();
    let out = Dialect::OpenAiChat.encode_request(&request, target, &mut Dropped::default())?;
    Ok(serde_json::from_slice(&out).unwrap())
}

fn refused(body: Value, target: &Target<'_>) -> String {
    from_anthropic(body, target).unwrap_err().to_string()
}

#[test]
fn top_k_is_refused_or_dropped_where_openai_itself_answers() {
    let openai = Target { only_openais_fields: true, ..Target::default() };
    assert!(refused(json!({"top_k": 5}), &openai).contains("`top_k`"));
    let lenient = Target { drop_params: true, ..openai.clone() };
    assert!(from_anthropic(json!({"top_k": 5}), &lenient).unwrap().get("top_k").is_none());
    let named = ["top_k".to_owned()];
    let dropping = Target { additional_drop_params: &named, ..openai };
    assert!(from_anthropic(json!({"top_k": 5}), &dropping).unwrap().get("top_k").is_none());
    let other = from_anthropic(json!({"top_k": 5}), &Target::default()).unwrap();
    assert_eq!(other["top_k"], 5);
}

#[test]
fn a_model_that_does_not_think_is_not_asked_to() {
    let wishes = [
        json!({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}),
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        json!({"output_config": {"effort": "low"}}),
    ];
    let efforts = ["medium", "high", "low"];
    for (wish, effort) in wishes.into_iter().zip(efforts) {
        let unknown = from_anthropic(wish.clone(), &Target::default()).unwrap();
        assert_eq!(unknown["reasoning_effort"], effort, "{wish}");
        let plain = Target { reasons: Some(false), ..Target::default() };
        let plain = from_anthropic(wish.clone(), &plain).unwrap();
        assert!(plain.get("reasoning_effort").is_none(), "{wish}");
    }
    // What a client of this dialect asks for is the provider's to judge.
    let body = json!({"model": "m", "reasoning_effort": "max",
        "messages": [{"role": "user", "content": "Hi"}]});
    let request = Dialect::OpenAiChat.decode_request(body.to_string().as_bytes()).unwrap();
    let plain = Target { reasons: Some(false), ..Target::default() };
    let out =
        Dialect::OpenAiChat.encode_request(&request, &plain, &mut Dropped::default()).unwrap();
    assert!(String::from_utf8(out).unwrap().contains(r#""reasoning_effort":"max""#));
}

fn found(title: &str, text: &str) -> Value {
    json!({"type": "search_result", "source": "https://a.test", "title": title,
           "content": [{"type": "text", "text": text}]})
}

#[test]
fn search_results_and_content_documents_reach_an_openai_upstream_as_words() {
    let document = json!({"type": "document", "title": "D", "context": "C",
        "source": {"type": "content", "content": [{"type": "text", "text": "secret"}]}});
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let called = json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]});
    let result = json!({"role": "user", "content": [{"type": "tool_result",
        "tool_use_id": "toolu_1", "content": [found("T", "fact")]}]});
    for (messages, expected) in [
        (user(json!([found("T", "fact")])), "T\n\nhttps://a.test\n\nfact"),
        (user(json!([document])), "D\n\nC\n\nsecret"),
        (json!([{"role": "user", "content": "q"}, called, result]), "T\n\nhttps://a.test\n\nfact"),
    ] {
        for content_as_text in [false, true] {
            let target = Target { content_as_text, ..Target::default() };
            let out = from_anthropic(json!({ "messages": messages }), &target).unwrap();
            let last = out["messages"].as_array().unwrap().last().unwrap().clone();
            assert_eq!(last["content"], expected, "{last}");
        }
    }
    // Beside other words, both are there.
    let both = user(json!([found("T", "fact"), {"type": "text", "text": "what?"}]));
    let out = from_anthropic(json!({ "messages": both }), &Target::default()).unwrap();
    let texts: Vec<_> = out["messages"][0]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["T\n\nhttps://a.test\n\nfact", "what?"]);
}

#[test]
fn what_a_file_is_about_is_said_before_it() {
    let content = json!([{"type": "document", "title": "D", "context": "C",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}]);
    let body = json!({"messages": [{"role": "user", "content": content}]});
    let out = from_anthropic(body, &Target::default()).unwrap();
    let content = &out["messages"][0]["content"];
    assert_eq!((&content[0]["text"], &content[1]["type"]), (&json!("C"), &json!("file")));
}

#[test]
fn blocks_that_openai_has_no_form_for_are_refused_by_their_place_in_both_modes() {
    let upload = json!({"type": "hologram", "file_id": "f"});
    let words = json!({"type": "text", "text": "Hi"});
    let result = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": [words, upload]}]},
    ]);
    let link = json!({"type": "document", "source": {"type": "url", "url": "https://a.test"}});
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let text_only = Target { content_as_text: true, ..Target::default() };
    let picture = json!({"type": "image", "source": {"type": "url", "url": "https://a.test"}});
    for (messages, place, target) in [
        (user(json!([words, upload])), "messages[0].content[1]", Target::default()),
        (user(json!([upload])), "messages[0].content[0]", Target::default()),
        (result, "messages[2].content[0].content[1]", Target::default()),
        (user(json!([link])), "messages[0].content[0]", Target::default()),
        (user(json!([words, picture])), "messages[0].content[1]", text_only),
    ] {
        for drop_params in [false, true] {
            let target = Target { drop_params, ..target.clone() };
            let error = from_anthropic(json!({ "messages": messages }), &target).unwrap_err();
            assert_eq!(error.param(), place, "{error}");
            assert!(!error.to_string().contains("drop_params"), "{error}");
        }
    }
}

#[test]
fn what_speaks_to_a_server_tool_goes_with_the_tool() {
    let upload = json!({"type": "container_upload", "file_id": "f"});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, upload]},
        {"role": "system", "content": [{"type": "tool_addition", "tool": {}}]}]});
    let error = from_anthropic(body.clone(), &Target::default()).unwrap_err();
    assert_eq!(error.param(), "messages[0].content[1]");
    let lenient = Target { drop_params: true, ..Target::default() };
    let body = body.to_string();
    let request = Dialect::AnthropicMessages.decode_request(body.as_bytes()).unwrap();
    let mut dropped = Dropped::default();
    let out = Dialect::OpenAiChat.encode_request(&request, &lenient, &mut dropped).unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out["messages"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(dropped.text(), "messages[0].content[1],messages[1].content[0]");
    // A question of which nothing is left is not asked.
    let alone = json!({"messages": [{"role": "user", "content": [upload]}]});
    assert!(refused(alone, &lenient).contains("messages[0].content[0]"));
}

#[test]
fn parts_that_anthropic_has_no_form_for_are_refused_by_their_place_in_both_modes() {
    let odd = json!([{"type": "text", "text": "a"}, {"type": "video_url", "video_url": "u"}]);
    let call = json!({"id": "c1", "type": "function",
                      "function": {"name": "f", "arguments": "{}"}});
    let sound = json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]);
    let drawing = json!([{"type": "image_url",
        "image_url": {"url": "data:image/svg+xml;base64,PHN2Zz4="}}]);
    for (messages, place) in [
        (json!([{"role": "user", "content": odd}]), "messages[0].content[1]"),
        (
            json!([{"role": "system", "content": "s"}, {"role": "user", "content": sound}]),
            "messages[1].content[0]",
        ),
        (json!([{"role": "user", "content": drawing}]), "messages[0].content[0]"),
        (
            json!([{"role": "system", "content": odd}, {"role": "user", "content": "q"}]),
            "system[1]",
        ),
        (
            json!([{"role": "user", "content": "q"},
                   {"role": "assistant", "content": null, "tool_calls": [call]},
                   {"role": "tool", "tool_call_id": "c1", "content": odd}]),
            "messages[2].content[1]",
        ),
    ] {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let request = Dialect::OpenAiChat.decode_request(body.as_bytes()).unwrap();
        for drop_params in [false, true] {
            let target = Target { drop_params, ..Target::default() };
            let out = Dialect::AnthropicMessages.encode_request(
                &request,
                &target,
                &mut Dropped::default(),
            );
            let error = out.unwrap_err();
            assert!(matches!(error, EncodeError::Content { .. }), "{error}");
            assert_eq!(error.param(), place, "{error}");
        }
    }
}

/// A call as Gemini's compatible path makes it, and the chunk that says it.
fn signed_call() -> Value {
    json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"},
           "extra_content": {"google": {"thought_signature": "c2ln+/=="}}})
}

#[test]
fn a_thought_signature_beside_a_call_comes_back_from_an_anthropic_client() {
    let mut numbered = signed_call();
    numbered["index"] = json!(0);
    let chunk = json!({"id": "1", "model": "m", "choices": [{"index": 0,
        "delta": {"role": "assistant", "tool_calls": [numbered]}, "finish_reason": null}]});
    let end = json!({"id": "1", "model": "m", "choices": [
        {"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    let raw = format!("data: {chunk}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    let events = decoded(Dialect::OpenAiChat, &[raw.as_bytes()]);
    let mut fold = Fold::new();
    for event in &events {
        fold.push(event);
    }
    let message = json!({"role": "assistant", "content": null, "tool_calls": [signed_call()]});
    let whole = json!({"id": "1", "model": "m", "choices": [
        {"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    let unary = Dialect::OpenAiChat.decode_response(whole.to_string().as_bytes()).unwrap();
    assert_eq!(fold.finish(), unary, "the fold of the stream is the unary answer");

    let shown = Dialect::AnthropicMessages.encode_response(&unary, &SHOWN);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let id = shown["content"][0]["id"].clone();
    let streamed = String::from_utf8(encoded(Dialect::AnthropicMessages, &events)).unwrap();
    assert!(streamed.contains(id.as_str().unwrap()), "{id} is not in {streamed}");

    let messages = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": shown["content"]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": "r"}]},
    ]);
    let next = |target: &Target<'_>| {
        from_anthropic(json!({ "messages": messages }), target).unwrap()["messages"].clone()
    };
    let replayed = next(&Target::default());
    assert_eq!(replayed[1]["tool_calls"][0], signed_call());
    assert_eq!(replayed[2]["tool_call_id"], "call_1");
    // OpenAI refuses what it does not know, but for a model of Google's behind its name.
    let openai = Target { model: "gpt-4o", only_openais_fields: true, ..Target::default() };
    let without = next(&openai);
    assert!(without[1]["tool_calls"][0].get("extra_content").is_none(), "{without}");
    let google = next(&Target { keeps_signatures: true, ..openai });
    assert_eq!(google, replayed);
}

#[test]
fn a_signature_that_comes_late_is_still_beside_its_call() {
    let piece = |call: Value| {
        let delta = json!({"tool_calls": [call]});
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        format!("data: {}\n\n", json!({"id": "1", "model": "m", "choices": [choice]}))
    };
    let raw = piece(json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}))
        + &piece(json!({"index": 0, "extra_content": {"google": {}}}))
        + "data: [DONE]\n\n";
    let events = decoded(Dialect::OpenAiChat, &[raw.as_bytes()]);
    let again = encoded(Dialect::OpenAiChat, &events);
    for events in [events, decoded(Dialect::OpenAiChat, &[&again])] {
        let mut fold = Fold::new();
        for event in &events {
            fold.push(event);
        }
        let answer = fold.finish();
        assert_eq!(answer.choices[0].parts[0].extensions[0].name, "extra_content");
    }
}

fn to_anthropic(mut body: Value, target: &Target<'_>) -> Result<Value, EncodeError> {
    let members = body.as_object_mut().unwrap();
    members.entry("model").or_insert(json!("group"));
    members.entry("messages").or_insert(json!([{"role": "user", "content": "Hi"}]));
    let request = Dialect::OpenAiChat.decode_request(body.to_string().as_bytes()).unwrap();
    let out =
        Dialect::AnthropicMessages.encode_request(&request, target, &mut Dropped::default())?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn a_map_in_a_schema_is_asked_for_by_the_tool_that_stands_in() {
    let schema = json!({"type": "object", "required": ["tags"], "additionalProperties": false,
        "properties": {"tags": {"type": "object", "additionalProperties": {"type": "string"}}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    let native = Target { native_json_schema: true, ..Target::default() };
    let out = to_anthropic(json!({ "response_format": format }), &native).unwrap();
    assert_eq!(out["tools"][0]["input_schema"], schema);
    assert!(out.get("output_config").is_none(), "{out}");
    // A strict tool cannot promise it, and says so.
    let tool = json!({"type": "function",
        "function": {"name": "f", "parameters": schema, "strict": true}});
    let error = to_anthropic(json!({ "tools": [tool] }), &native).unwrap_err().to_string();
    assert!(error.contains("tools[0].function.parameters.properties.tags"), "{error}");
    let lenient = Target { drop_params: true, ..native };
    let out = to_anthropic(json!({ "tools": [tool] }), &lenient).unwrap();
    assert_eq!(out["tools"][0]["input_schema"], schema);
    assert!(out["tools"][0].get("strict").is_none());
}

#[test]
fn anthropics_promise_of_a_form_is_openais_where_openai_makes_it() {
    let schema = |required: Value| {
        json!({"type": "object", "additionalProperties": false,
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": required})
    };
    for (required, promise) in [(json!(["a", "b"]), json!(true)), (json!(["a"]), Value::Null)] {
        let schema = schema(required);
        let format = json!({"format": {"type": "json_schema", "schema": schema}});
        let tool = json!({"name": "f", "strict": true, "input_schema": schema});
        let body = json!({"output_config": format, "tools": [tool]});
        let out = from_anthropic(body, &Target::default()).unwrap();
        assert_eq!(out["response_format"]["json_schema"]["strict"], promise);
        assert_eq!(out["response_format"]["json_schema"]["schema"], schema);
        assert_eq!(out["tools"][0]["function"]["strict"], promise);
    }
}

#[test]
fn service_tiers_are_said_in_the_words_of_each_side() {
    let target = Target::default();
    for (theirs, ours) in [("standard_only", "default"), ("auto", "auto")] {
        let out = from_anthropic(json!({"service_tier": theirs}), &target).unwrap();
        assert_eq!(out["service_tier"], ours);
    }
    let answer = json!({"id": "1", "model": "m", "service_tier": "default",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    let answer = Dialect::OpenAiChat.decode_response(answer.to_string().as_bytes()).unwrap();
    let shown = Dialect::AnthropicMessages.encode_response(&answer, &SHOWN);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["usage"]["service_tier"], "standard");
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}});
    let answer = Dialect::AnthropicMessages.decode_response(answer.to_string().as_bytes()).unwrap();
    let shown = Dialect::OpenAiChat.encode_response(&answer, &SHOWN);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["service_tier"], "default");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_events(
        answer in arbitrary::openai_response(),
        size in 1_usize..40,
    ) {
        let raw = encoded(Dialect::OpenAiChat, &arbitrary::streamed(&answer, 3));
        let whole = decoded(Dialect::OpenAiChat, &[&raw]);
        let pieces: Vec<&[u8]> = raw.chunks(size).collect();
        prop_assert_eq!(decoded(Dialect::OpenAiChat, &pieces), whole);
    }

    #[test]
    fn an_openai_answer_streamed_to_an_anthropic_client_keeps_words_and_calls(
        answer in arbitrary::openai_response(),
        piece in 1_usize..9,
    ) {
        let mut answer = answer;
        answer.choices.truncate(1);
        // Free-form calls have no form there.
        answer.choices[0].parts.retain(|part| !matches!(
            part.content,
            Content::ToolCall { kind: dialect::model::ToolKind::Custom, .. }
        ));
        let raw = encoded(Dialect::AnthropicMessages, &arbitrary::streamed(&answer, piece));
        let mut fold = Fold::new();
        for event in decoded(Dialect::AnthropicMessages, &[&raw]) {
            fold.push(&event);
        }
        prop_assert!(fold.is_complete());
        let found = fold.finish();
        let said = |choice: &dialect::model::Choice| -> Vec<_> {
            choice.parts.iter().map(|part| part.content.clone())
                .map(|content| match content {
                    // A source has another form on each side.
                    Content::Text { text, .. } => Content::Text { text, citations: Vec::new() },
                    content => content,
                })
                .filter(|content| !matches!(content, Content::Reasoning(_)))
                .collect()
        };
        prop_assert_eq!(said(&found.choices[0]), said(&answer.choices[0]));
        let beside = |choice: &dialect::model::Choice| -> Vec<_> {
            choice.parts.iter()
                .filter(|part| matches!(part.content, Content::ToolCall { .. }))
                .map(|part| part.extensions.clone()).collect()
        };
        prop_assert_eq!(beside(&found.choices[0]), beside(&answer.choices[0]));
    }
}
