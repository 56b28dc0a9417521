//! A pretend provider with manners: answers OpenAI, Anthropic and (in `gemini`)
//! Google requests.
//!
//! It follows the request (tools are called, schemas are filled, streams are
//! streamed, usage is reported only when asked for) and is otherwise
//! repeatable. The upstream *model name* chooses a misfortune:
//!
//! | model contains | what happens |
//! |---|---|
//! | `error-NNN` | that status, in the dialect of the path; 429 with `retry-after: 1` |
//! | `error-html` | a 502 with an HTML page |
//! | `error-in-stream` | an error inside a 200 stream, after one piece of text |
//! | `error-first-event` | an error as the first event of a 200 stream |
//! | `truncate` | the connection closes in the middle of the answer |
//! | `reset` | the connection is reset before the head |
//! | `stall` | silence after the request, for ten minutes |
//! | `pause-NNN` | that many milliseconds between events |

use base64::Engine as _;
use serde_json::{Value, json};

use crate::canned::{self, Reply, ToolCall};
use crate::{Request, Script, Step};

const STALL_MS: u64 = 600_000;
const EMBEDDING: [f32; 3] = [0.25, -0.5, 1.0];

/// The steps that answer `request`; `None` for a path that no provider has.
pub fn answer(request: &Request) -> Option<Vec<Step>> {
    let route = request.route();
    let body = request.json();
    if route.ends_with("/chat/completions") {
        Some(converse(&body, Dialect::OpenAi))
    } else if route.ends_with("/messages") {
        Some(converse(&body, Dialect::Anthropic))
    } else if route.ends_with("/messages/count_tokens") {
        Some(json_ok(&json!({"input_tokens": canned::INPUT_TOKENS})))
    } else if route.ends_with("/completions") {
        Some(text_completion(&body))
    } else if route.ends_with("/embeddings") {
        Some(misfortune(&body, Dialect::OpenAi).unwrap_or_else(|| embeddings(&body)))
    } else if route.ends_with("/models") {
        let model = json!({"id": "gpt-pretend", "object": "model", "created": 1, "owned_by": "us"});
        Some(json_ok(&json!({"object": "list", "data": [model]})))
    } else {
        crate::gemini::answer(request)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    OpenAi,
    Anthropic,
}

fn model_of(body: &Value) -> &str {
    body["model"].as_str().unwrap_or_default()
}

fn converse(body: &Value, dialect: Dialect) -> Vec<Step> {
    if let Some(steps) = misfortune(body, dialect) {
        return steps;
    }
    let reply = reply_to(body, dialect);
    let streamed = body["stream"] == true;
    let model = model_of(body);
    let script = match (dialect, streamed) {
        (Dialect::OpenAi, false) => Script::on("").json(200, canned::openai_chat_body(&reply)),
        (Dialect::Anthropic, false) => Script::on("").json(200, canned::anthropic_body(&reply)),
        (Dialect::OpenAi, true) => Script::on("").sse(canned::openai_chat_events(&reply)),
        (Dialect::Anthropic, true) => Script::on("").sse(canned::anthropic_events(&reply)),
    };
    let mut steps = script.into_steps();
    if let Some(ms) = number_after(model, "pause-") {
        let paced = steps.into_iter().flat_map(|step| [Step::PauseMs(ms), step]);
        steps = paced.skip(1).collect();
    }
    if model.contains("truncate") {
        let keep = if streamed { steps.len() / 2 } else { 1 };
        steps.truncate(keep);
        steps.push(Step::Close);
    }
    steps
}

fn misfortune(body: &Value, dialect: Dialect) -> Option<Vec<Step>> {
    let model = model_of(body);
    let script = if model.contains("error-html") {
        canned::html_502()
    } else if model.contains("error-in-stream") {
        match dialect {
            Dialect::OpenAi => canned::openai_error_in_stream(&["Hel"]),
            Dialect::Anthropic => canned::anthropic_error_in_stream(&["Hel"]),
        }
    } else if model.contains("error-first-event") {
        match dialect {
            Dialect::OpenAi => {
                let error = canned::openai_error_body("server_error", None, "no capacity");
                Script::on("").sse([format!("data: {error}\n\n")])
            }
            Dialect::Anthropic => {
                let error = canned::anthropic_error_body("overloaded_error", "Overloaded");
                Script::on("").sse([format!("event: error\ndata: {error}\n\n")])
            }
        }
    } else if let Some(status) = number_after(model, "error-") {
        let status = status as u16;
        match dialect {
            Dialect::OpenAi if status == 429 => canned::rate_limited(1),
            Dialect::OpenAi => canned::openai_error(status),
            Dialect::Anthropic => canned::anthropic_error(status),
        }
    } else if model.contains("reset") {
        Script::on("").reset()
    } else if model.contains("stall") {
        Script::on("").step(Step::PauseMs(STALL_MS)).close()
    } else {
        return None;
    };
    Some(script.into_steps())
}

fn number_after(text: &str, prefix: &str) -> Option<u64> {
    let (_, rest) = text.split_once(prefix)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a polite model says: calls the tools it is given, fills the schema it
/// is shown, thinks when told to, and otherwise repeats the user's last words.
fn reply_to(body: &Value, dialect: Dialect) -> Reply {
    let mut reply = Reply { model: model_of(body).to_owned(), ..Reply::default() };
    reply.stream_usage =
        dialect == Dialect::Anthropic || body["stream_options"]["include_usage"] == true;
    if body["thinking"]["type"] == "enabled" || body["thinking"]["type"] == "adaptive" {
        reply.reasoning = Some(("The user wants an answer.".into(), "c2lnbmF0dXJl".into()));
    }
    let last = body["messages"].as_array().and_then(|m| m.last()).cloned().unwrap_or_default();
    let answers_tool = last["role"] == "tool" || last["content"][0]["type"] == "tool_result";
    let calls = if answers_tool { Vec::new() } else { tool_calls(body) };
    if !calls.is_empty() {
        reply.tool_calls = calls;
    } else if let Some(schema) = output_schema(body) {
        reply.text = canned::pieces(&fill(schema).to_string(), 6);
    } else {
        let said = last_text(&last);
        reply.text = vec!["You said: ".to_owned()];
        reply.text.extend(canned::pieces(&said, 8));
    }
    reply
}

fn last_text(message: &Value) -> String {
    let content = &message["content"];
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| {
        part["text"].as_str().map(str::to_owned).or_else(|| {
            let inner = &part["content"];
            (part["type"] == "tool_result").then(|| last_text(&json!({"content": inner})))
        })
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn output_schema(body: &Value) -> Option<&Value> {
    ["/response_format/json_schema/schema", "/output_format/schema", "/output_config/format/schema"]
        .iter()
        .find_map(|path| body.pointer(path))
}

fn tool_calls(body: &Value) -> Vec<ToolCall> {
    let choice = &body["tool_choice"];
    if *choice == "none" || choice["type"] == "none" {
        return Vec::new();
    }
    let forced = choice["function"]["name"].as_str().or_else(|| choice["name"].as_str());
    let one = body["parallel_tool_calls"] == false || choice["disable_parallel_tool_use"] == true;
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools
        .iter()
        .filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            let name = function["name"].as_str()?;
            let schema = function.get("parameters").or_else(|| function.get("input_schema"))?;
            (forced.is_none() || forced == Some(name)).then_some((name, schema))
        })
        .take(if one { 1 } else { 2 })
        .enumerate()
        .map(|(index, (name, schema))| ToolCall {
            id: format!("call_canned_{index}"),
            name: name.to_owned(),
            arguments: fill(schema).to_string(),
        })
        .collect()
}

/// A value that satisfies a simple JSON schema.
fn fill(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object();
            properties
                .into_iter()
                .flatten()
                .map(|(name, property)| (name.clone(), fill(property)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Some("array") => json!([fill(&schema["items"])]),
        Some("integer" | "number") => json!(21),
        Some("boolean") => json!(true),
        _ => json!("Paris"),
    }
}

fn embeddings(body: &Value) -> Vec<Step> {
    let count = match &body["input"] {
        Value::Array(items) if items.first().is_some_and(Value::is_number) => 1,
        Value::Array(items) => items.len(),
        _ => 1,
    };
    let vector = if body["encoding_format"] == "base64" {
        let bytes: Vec<u8> = EMBEDDING.iter().flat_map(|f| f.to_le_bytes()).collect();
        json!(base64::engine::general_purpose::STANDARD.encode(bytes))
    } else {
        json!(EMBEDDING)
    };
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let usage =
        json!({"prompt_tokens": canned::INPUT_TOKENS, "total_tokens": canned::INPUT_TOKENS});
    json_ok(&json!({"object": "list", "data": data, "model": model_of(body), "usage": usage}))
}

fn text_completion(body: &Value) -> Vec<Step> {
    let whole = json!({
        "id": "cmpl-canned", "object": "text_completion", "created": 1_700_000_000,
        "model": model_of(body),
        "choices": [{"index": 0, "text": "Hello", "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": canned::INPUT_TOKENS, "completion_tokens": canned::OUTPUT_TOKENS,
                  "total_tokens": canned::INPUT_TOKENS + canned::OUTPUT_TOKENS},
    });
    if body["stream"] == true {
        let events = [format!("data: {whole}\n\n"), "data: [DONE]\n\n".to_owned()];
        return Script::on("").sse(events).into_steps();
    }
    json_ok(&whole)
}

fn json_ok(body: &Value) -> Vec<Step> {
    Script::on("").json(200, body.to_string()).into_steps()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misfortune_is_read_from_the_model_name() {
        assert_eq!(number_after("gpt-error-429-x", "error-"), Some(429));
        assert_eq!(number_after("gpt-4o", "error-"), None);
        assert!(misfortune(&json!({"model": "gpt-4o"}), Dialect::OpenAi).is_none());
        assert!(misfortune(&json!({"model": "a-error-500"}), Dialect::Anthropic).is_some());
    }

    #[test]
    fn tools_are_called_with_arguments_that_fit_their_schema() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"},
            "unit": {"enum": ["C", "F"]}}});
        let tool = |name: &str| {
            json!({"type": "function",
            "function": {"name": name, "parameters": schema}})
        };
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
                          "tools": [tool("a"), tool("b")]});
        let reply = reply_to(&body, Dialect::OpenAi);
        assert_eq!(reply.tool_calls.len(), 2);
        let arguments: Value = serde_json::from_str(&reply.tool_calls[1].arguments).unwrap();
        assert_eq!(arguments, json!({"city": "Paris", "days": 21, "unit": "C"}));
    }
}
