//! Google's format: what was recorded, what a client of each dialect sees of it,
//! and the traps of the format.

use crate::recordings::{Recording, pick};
use bytes::Bytes;
use dialect::fold::Fold;
use dialect::gemini::{error, request, response, stream};
use dialect::head::Head;
use dialect::model::{Content, Event, Request};
use dialect::splice::{Edits, apply};
use dialect::tap::Tap;
use dialect::{Dialect, Dropped, ErrorClass, Shown, Surface, Target, sse};
use serde_json::{Value, json};

const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "id", created_unix_s: 0, include_usage: true };

/// What an answer says, whatever it is written in.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    text: String,
    thought: String,
    /// Names and arguments.
    calls: Vec<(String, Value)>,
    /// `stop`, `length`, `calls`, `filter` or another word.
    end: String,
    input: u64,
    output: u64,
}

impl Facts {
    fn google(&mut self, answer: &Value) {
        let candidate = &answer["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            let text = part["text"].as_str().unwrap_or_default();
            match part["thought"] == true {
                true => self.thought += text,
                false => self.text += text,
            }
            if let Some(name) = part["functionCall"]["name"].as_str() {
                let args = &part["functionCall"]["args"];
                let args = if args.is_null() { json!({}) } else { args.clone() };
                self.calls.push((name.to_owned(), args));
            }
        }
        if let Some(word) = candidate["finishReason"].as_str() {
            word.clone_into(&mut self.end);
        }
        let usage = &answer["usageMetadata"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        if usage["promptTokenCount"].is_u64() || usage["candidatesTokenCount"].is_u64() {
            self.input = count("promptTokenCount") + count("toolUsePromptTokenCount");
            self.output = count("totalTokenCount")
                .saturating_sub(self.input)
                .max(count("candidatesTokenCount") + count("thoughtsTokenCount"));
        }
    }

    /// The reason in the words that all dialects share.
    fn ended(mut self) -> Self {
        self.end = match &*self.end {
            "STOP" if self.calls.is_empty() => "stop",
            "STOP" => "calls",
            "MAX_TOKENS" => "length",
            "SAFETY" | "PROHIBITED_CONTENT" | "RECITATION" | "MODEL_ARMOR" => "filter",
            other => other,
        }
        .to_owned();
        self
    }

    fn of_google<'v>(answers: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut facts = Self::default();
        for answer in answers {
            facts.google(answer);
        }
        facts.ended()
    }

    fn of_openai(body: &Value) -> Self {
        let message = &body["choices"][0]["message"];
        let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
            let function = &call["function"];
            let arguments = function["arguments"].as_str().unwrap();
            (
                function["name"].as_str().unwrap().to_owned(),
                serde_json::from_str(arguments).unwrap(),
            )
        });
        let end = match body["choices"][0]["finish_reason"].as_str().unwrap_or_default() {
            "tool_calls" => "calls",
            "content_filter" => "filter",
            other => other,
        };
        let usage = &body["usage"];
        Self {
            text: message["content"].as_str().unwrap_or_default().to_owned(),
            thought: message["reasoning_content"].as_str().unwrap_or_default().to_owned(),
            calls: calls.collect(),
            end: end.to_owned(),
            input: usage["prompt_tokens"].as_u64().unwrap_or(0),
            output: usage["completion_tokens"].as_u64().unwrap_or(0),
        }
    }

    fn of_anthropic(body: &Value) -> Self {
        let mut facts = Self::default();
        for block in body["content"].as_array().into_iter().flatten() {
            match block["type"].as_str().unwrap() {
                "text" => facts.text += block["text"].as_str().unwrap(),
                "thinking" => facts.thought += block["thinking"].as_str().unwrap(),
                "tool_use" => facts
                    .calls
                    .push((block["name"].as_str().unwrap().to_owned(), block["input"].clone())),
                _ => {}
            }
        }
        let end = match body["stop_reason"].as_str().unwrap_or_default() {
            "end_turn" | "stop_sequence" => "stop",
            "tool_use" => "calls",
            "max_tokens" => "length",
            "refusal" => "filter",
            other => other,
        };
        end.clone_into(&mut facts.end);
        let usage = &body["usage"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        facts.input = count("input_tokens")
            + count("cache_read_input_tokens")
            + count("cache_creation_input_tokens");
        facts.output = count("output_tokens");
        facts
    }
}

fn recordings(api: &str) -> Vec<Recording> {
    pick(|provider, found| matches!(provider, "gemini" | "vertex") && found == api)
}

fn written(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The events' data of a stream's text.
fn events_of(raw: &str) -> Vec<Value> {
    let data = raw.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter(|data| data.trim() != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The model's events of a stream that arrives in pieces of these lengths, and
/// what the tap saw of it.
fn in_pieces(raw: &str, mut length: impl FnMut() -> usize) -> (Vec<Event>, Tap) {
    let (mut framer, mut tap) = (sse::Framer::new(), Tap::new(Surface::GeminiStream));
    let mut decoder = stream::Decoder::default();
    let (mut scratch, mut out) = (String::new(), Vec::new());
    let mut rest = Bytes::copy_from_slice(raw.as_bytes());
    while !rest.is_empty() {
        let piece = rest.split_to(length().clamp(1, rest.len()));
        for frame in framer.push(&piece) {
            tap.observe(&frame.bytes);
            decoder.push(sse::parse(&frame.bytes, &mut scratch).unwrap(), &mut out).unwrap();
        }
    }
    decoder.finish(&mut out);
    (out, tap)
}

/// What a client of `dialect` sees of a stream, folded to one answer.
fn seen_by(dialect: Dialect, events: &[Event]) -> Facts {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    let whole = fold.finish();
    let mut encoder = dialect.stream_encoder(&SHOWN);
    let mut text = Vec::new();
    for event in events {
        encoder.push(event, &mut text);
    }
    let text = String::from_utf8(text).unwrap();
    if dialect == Dialect::Gemini {
        return Facts::of_google(&events_of(&text));
    }
    // The stream is read back by the dialect's own decoder.
    let mut decoder = dialect.stream_decoder();
    let mut again = Vec::new();
    for frame in text.split("\n\n").filter(|frame| !frame.is_empty()) {
        let mut scratch = String::new();
        decoder.push(sse::parse(frame.as_bytes(), &mut scratch).unwrap(), &mut again).unwrap();
    }
    decoder.finish(&mut again);
    let mut fold = Fold::new();
    for event in &again {
        fold.push(event);
    }
    let read = fold.finish();
    let show = |answer| match dialect {
        Dialect::OpenAiChat => Facts::of_openai(&written(&dialect.encode_response(answer, &SHOWN))),
        _ => Facts::of_anthropic(&written(&dialect.encode_response(answer, &SHOWN))),
    };
    let (mut seen, whole) = (show(&read), show(&whole));
    if dialect == Dialect::AnthropicMessages {
        // Its first event says the input, which Gemini counts again later.
        seen.input = whole.input;
    }
    assert_eq!(seen, whole, "a stream says what a whole answer says");
    seen
}

#[test]
fn recorded_answers_say_the_same_to_clients_of_every_dialect() {
    let mut tried = 0;
    for recording in recordings("generate-content") {
        let is_answer = |body: &Value| body.get("predictions").is_none();
        let Some(body) = recording.body.filter(|body| recording.status == 200 && is_answer(body))
        else {
            continue;
        };
        let bytes = serde_json::to_vec(&body).unwrap();
        let answer = response::decode(&bytes).unwrap_or_else(|e| panic!("{}: {e}", recording.file));
        let before = Facts::of_google([&body]);
        let own = Facts::of_google([&written(&response::encode(&answer, &SHOWN))]);
        assert_eq!(own, before, "{}", recording.file);
        let observed = Tap::unary(Surface::GeminiGenerate, &bytes);
        assert_eq!(
            observed.usage.map(|usage| (usage.input, usage.output)),
            Some((before.input, before.output)),
            "{}",
            recording.file
        );
        assert_eq!(observed.usage, answer.usage, "{}", recording.file);
        if before.end.is_empty() || before.end.chars().any(char::is_uppercase) {
            continue;
        }
        let openai = written(&Dialect::OpenAiChat.encode_response(&answer, &SHOWN));
        assert_eq!(Facts::of_openai(&openai), before, "{}", recording.file);
        let anthropic = written(&Dialect::AnthropicMessages.encode_response(&answer, &SHOWN));
        assert_eq!(Facts::of_anthropic(&anthropic), before, "{}", recording.file);
        tried += 1;
    }
    assert!(tried == 0 || tried > 40, "only {tried} answers");
}

#[test]
fn recorded_streams_say_the_same_however_they_are_cut_and_to_whomever() {
    let mut tried = 0;
    for recording in recordings("stream-generate-content") {
        let Some(raw) = recording.raw else { continue };
        let before = Facts::of_google(&events_of(&raw));
        let (events, tap) = in_pieces(&raw, || usize::MAX);
        let mut odd = 0;
        for cut in [
            in_pieces(&raw, || 1).0,
            in_pieces(&raw, || {
                odd = odd * 7 % 251 + 3;
                odd
            })
            .0,
        ] {
            assert_eq!(cut, events, "{}", recording.file);
        }
        let usage = tap.observed().usage.unwrap_or_default();
        assert_eq!(
            (usage.input, usage.output),
            (before.input, before.output),
            "{}",
            recording.file
        );
        if before.end.is_empty() {
            assert!(!events.contains(&Event::End), "{}", recording.file);
            continue;
        }
        assert!(
            tap.complete() && tap.observed().usage_is_final == (before.input > 0),
            "{}",
            recording.file
        );
        for dialect in Dialect::ALL {
            let mut expected = before.clone();
            if expected.end.chars().any(char::is_uppercase) {
                expected.end.clear();
            }
            let mut seen = seen_by(dialect, &events);
            if expected.end.is_empty() {
                seen.end.clear();
            }
            assert_eq!(seen, expected, "{} to {dialect:?}", recording.file);
        }
        tried += 1;
    }
    assert!(tried == 0 || tried > 30, "only {tried} streams");
}

#[test]
fn recorded_requests_keep_their_bytes_and_say_the_same_after_the_trip() {
    let mut tried = 0;
    for api in ["generate-content", "stream-generate-content"] {
        for recording in recordings(api) {
            let Some(body) = recording.request.filter(|body| body["contents"].is_array()) else {
                continue;
            };
            let bytes = Bytes::from(serde_json::to_vec(&body).unwrap());
            let head = Head::scan(&bytes, Surface::GeminiGenerate)
                .unwrap_or_else(|e| panic!("{}: {e}", recording.file));
            assert_eq!(apply(&bytes, &Edits::new(&head, &bytes)), bytes, "{}", recording.file);
            let limit = &body["generationConfig"]["maxOutputTokens"];
            assert_eq!(head.max_output_tokens(), limit.as_u64(), "{}", recording.file);
            let first =
                request::decode(&bytes).unwrap_or_else(|e| panic!("{}: {e}", recording.file));
            let again = trip(&first, &recording.file);
            assert_eq!(said(&again), said(&first), "{}", recording.file);
            assert_eq!(again.tools.len(), first.tools.len(), "{}", recording.file);
            assert_eq!(again.sampling, first.sampling, "{}", recording.file);
            assert_eq!(again.tool_choice, first.tool_choice, "{}", recording.file);
            tried += 1;
        }
    }
    assert!(tried == 0 || tried > 30, "only {tried} requests");
}

fn trip(request: &Request, file: &str) -> Request {
    let target = Target { thinking_levels: true, ..Target::default() };
    let written = request::encode(request, &target, &mut Dropped::default());
    request::decode(&written.unwrap_or_else(|e| panic!("{file}: {e}"))).unwrap()
}

/// Texts, calls and results of a conversation, in order.
fn said(request: &Request) -> Vec<String> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.clone()).filter(|text| !text.trim().is_empty()),
            Content::ToolCall { id, name, arguments, .. } => {
                Some(format!("{id} {name} {arguments}"))
            }
            Content::ToolResult { id, parts, is_error } => {
                Some(format!("{id} {is_error} {parts:?}"))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn recorded_errors_have_their_class() {
    for recording in pick(|provider, _| provider == "gemini") {
        let Some(body) = recording.body.filter(|_| recording.status >= 400) else { continue };
        let error = error::decode(recording.status as u16, &serde_json::to_vec(&body).unwrap());
        let class = match (recording.status, body.to_string()) {
            (400, text) if text.contains("API_KEY_INVALID") => ErrorClass::Authentication,
            (400, _) => ErrorClass::BadRequest,
            (403, _) => ErrorClass::Permission,
            (404, _) => ErrorClass::NotFound,
            (429, _) => ErrorClass::RateLimit,
            (503, _) => ErrorClass::Overloaded,
            (status, text) => panic!("{}: {status} is new: {text}", recording.file),
        };
        assert_eq!(error.class, class, "{}", recording.file);
    }
}

fn encoded(body: &Value, target: &Target<'_>) -> Value {
    let request = Dialect::OpenAiChat.decode_request(body.to_string().as_bytes()).unwrap();
    written(&request::encode(&request, target, &mut Dropped::default()).unwrap())
}

/// OpenAI's words as Gemini takes them; each was a trap of some gateway.
#[test]
fn a_chat_request_becomes_googles() {
    let body = json!({"model": "m", "max_tokens": 9, "temperature": 0.5, "stop": ["x"], "n": 2,
        "messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"},
                 "extra_content": {"google": {"thought_signature": "c2ln"}}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call_2", "content": "{\"$ref\":\"x\"}"},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"b\":2}"},
            {"role": "user", "content": [{"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAA"}}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters":
            {"$schema": "x", "type": "object", "properties": {"a": {"type": "integer"}}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "reasoning_effort": "low"});
    let levels = Target { thinking_levels: true, ..Target::default() };
    let sent = encoded(&body, &levels);
    assert_eq!(sent["systemInstruction"], json!({"parts": [{"text": "s"}]}));
    assert_eq!(
        sent["contents"],
        json!([
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [
            {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "call_2", "name": "g", "args": {}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "call_2", "name": "g", "response": {"result": "{\"$ref\":\"x\"}"}}},
            {"functionResponse": {"id": "call_1", "name": "f", "response": {"b": 2}}},
            {"text": "look"},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAA"}}]}])
    );
    assert_eq!(
        sent["tools"],
        json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema":
        {"type": "object", "properties": {"a": {"type": "integer"}}}}]}])
    );
    assert_eq!(
        sent["toolConfig"],
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}})
    );
    assert_eq!(
        sent["generationConfig"],
        json!({"maxOutputTokens": 9, "temperature": 0.5,
        "candidateCount": 2, "stopSequences": ["x"],
        "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": true}})
    );
    let budget = encoded(&body, &Target::default());
    assert_eq!(budget["generationConfig"]["thinkingConfig"]["thinkingBudget"], 1024);
}

/// Gemini 3 refuses a call of another model's without the word that stands for none.
#[test]
fn a_foreign_call_has_the_signature_that_stands_for_none() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "tool", "tool_call_id": "b", "content": "2"}]});
    let levels = Target { thinking_levels: true, ..Target::default() };
    let parts = &encoded(&body, &levels)["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(parts[1].get("thoughtSignature").is_none());
    assert!(
        encoded(&body, &Target::default())["contents"][1]["parts"][0]
            .get("thoughtSignature")
            .is_none()
    );
}

/// Most of Google's calls have no id: their order and names say which is which.
#[test]
fn calls_without_ids_are_matched_by_name_and_order() {
    let body = json!({"contents": [{"parts": [{"text": "q"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"n": 1}}},
            {"function_call": {"name": "f", "args": {"n": 2}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "one"}}},
            {"function_response": {"name": "f", "response": {"error": "two"}}}]}],
        "system_instruction": {"parts": [{"text": "s"}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT",
            "properties": {"n": {"type": "INTEGER", "nullable": true}}}}]}],
        "generation_config": {"max_output_tokens": 7, "thinkingConfig": {"thinkingBudget": 0}}});
    let request = request::decode(body.to_string().as_bytes()).unwrap();
    let chat =
        Dialect::OpenAiChat.encode_request(&request, &Target::default(), &mut Dropped::default());
    let chat = written(&chat.unwrap());
    let calls = &chat["messages"][2]["tool_calls"];
    let (first, second) = (&calls[0]["id"], &calls[1]["id"]);
    assert!(first.as_str().unwrap().starts_with("call_") && first != second);
    assert_eq!(
        (&chat["messages"][3]["tool_call_id"], &chat["messages"][3]["content"]),
        (first, &json!("one"))
    );
    assert_eq!(&chat["messages"][4]["tool_call_id"], second);
    let schema = &chat["tools"][0]["function"]["parameters"];
    assert_eq!(schema["properties"]["n"]["type"], json!(["integer", "null"]));
    assert_eq!(request.max_output_tokens, Some(7));
    let head = Head::scan(body.to_string().as_bytes(), Surface::GeminiStream).unwrap();
    assert_eq!((head.max_output_tokens(), head.stream()), (Some(7), true));
}

/// The cap is kept by the output limit: it is set in whichever spelling the
/// client used, and in Google's first where it used none.
#[test]
fn the_output_limit_is_set_where_the_client_has_it() {
    for (body, expected) in [
        (r#"{"contents":[]}"#, r#"{"contents":[],"generationConfig":{"maxOutputTokens":5}}"#),
        (
            r#"{"generationConfig":{"topP":1},"contents":[]}"#,
            r#"{"generationConfig":{"maxOutputTokens":5,"topP":1},"contents":[]}"#,
        ),
        (
            r#"{"generationConfig":{"maxOutputTokens":9},"contents":[]}"#,
            r#"{"generationConfig":{"maxOutputTokens":5},"contents":[]}"#,
        ),
        (
            r#"{"generation_config":{"max_output_tokens":9},"contents":[]}"#,
            r#"{"generation_config":{"max_output_tokens":5},"contents":[]}"#,
        ),
    ] {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::scan(&bytes, Surface::GeminiGenerate).unwrap();
        let mut edits = Edits::new(&head, &bytes);
        let field =
            (Surface::GeminiGenerate.row().output_limit)(dialect::OutputLimitField::MaxTokens);
        edits.set_output_limit(field, 5);
        assert_eq!(apply(&bytes, &edits), expected);
    }
    for twice in [
        r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":2}}"#,
        r#"{"generationConfig":{"MaxOutputTokens":2}}"#,
    ] {
        assert!(Head::scan(twice.as_bytes(), Surface::GeminiGenerate).is_err(), "{twice}");
    }
}

#[test]
fn bytes_bound_the_cost_of_texts_and_of_nothing_else() {
    let bounded = |body: &str| {
        let head = Head::scan(body.as_bytes(), Surface::GeminiGenerate).unwrap();
        head.cost_signals(body.as_bytes()).bytes_bound_input
    };
    assert!(bounded(
        r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"q"},{"functionResponse":{"name":"f","response":{"a":1}}}]}],"tools":[{"functionDeclarations":[]}]}"#
    ));
    for open in [
        r#"{"contents":[{"parts":[{"inlineData":{"data":"AA"}}]}]}"#,
        r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","parts":[]}}]}]}"#,
        r#"{"contents":[{"parts":[{"fileData":{"fileUri":"u"}}]}]}"#,
        r#"{"contents":[{"parts":[{"te\u0078t":"q"}]}]}"#,
        r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#,
        r#"{"contents":[],"cachedContent":"c"}"#,
        r#"{"system_instruction":{"parts":{"file_data":{}}}}"#,
    ] {
        assert!(!bounded(open), "{open}");
    }
}

/// A signature of a whole turn comes with an empty text at the end.
#[test]
fn a_signature_survives_a_turn_through_openais_and_anthropics_clients() {
    let answer = json!({"candidates": [{"content": {"parts": [
        {"text": "hm", "thought": true}, {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}],
        "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}});
    let answer = response::decode(answer.to_string().as_bytes()).unwrap();
    let openai = written(&Dialect::OpenAiChat.encode_response(&answer, &SHOWN));
    let mut message = openai["choices"][0]["message"].clone();
    let id = message["tool_calls"][0]["id"].clone();
    message["role"] = json!("assistant");
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message,
        {"role": "tool", "tool_call_id": id, "content": "r"}]});
    let sent = encoded(&next, &Target::default());
    assert_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], "c2ln", "{sent}");
    let anthropic = written(&Dialect::AnthropicMessages.encode_response(&answer, &SHOWN));
    let blocks = anthropic["content"].clone();
    let call = blocks.as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
    let next = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "r"}]}]});
    let request = Dialect::AnthropicMessages.decode_request(next.to_string().as_bytes()).unwrap();
    let sent =
        written(&request::encode(&request, &Target::default(), &mut Dropped::default()).unwrap());
    let parts = sent["contents"][1]["parts"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["thoughtSignature"] == "c2ln"), "{sent}");
}

#[test]
fn a_prompt_that_is_refused_is_an_answer_that_a_filter_cut() {
    let body = br#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}"#;
    let answer =
        written(&Dialect::OpenAiChat.encode_response(&response::decode(body).unwrap(), &SHOWN));
    assert_eq!(answer["choices"][0]["finish_reason"], "content_filter");
    let observed = Tap::unary(Surface::GeminiGenerate, body);
    assert!(observed.usage_is_final && observed.finished);
    let (events, tap) =
        in_pieces(&format!("data: {}\r\n\r\n", std::str::from_utf8(body).unwrap()), || 9);
    assert!(events.contains(&Event::End) && tap.complete());
}

#[test]
fn a_stream_that_breaks_off_is_not_complete() {
    let begun = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":1}}\n\n";
    let (events, tap) = in_pieces(begun, || usize::MAX);
    assert!(!events.contains(&Event::End) && !tap.complete() && !tap.observed().usage_is_final);
    let failed = format!(
        "{begun}data: {{\"error\":{{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}}}\n\n"
    );
    let (events, tap) = in_pieces(&failed, || usize::MAX);
    assert!(
        matches!(events.last(), Some(Event::Error(error)) if error.class == ErrorClass::Overloaded)
    );
    assert!(tap.observed().problem.is_some() && !tap.complete());
}
