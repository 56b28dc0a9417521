//! What Anthropic's bodies and streams say, extracted by walking plain JSON.
//! Shares nothing with the encoders.

use serde_json::{Value, json};

/// An answer's facts, from a body or gathered from a stream.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct AnswerFacts {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) blocks: Vec<Value>,
    pub(crate) stop_reason: Value,
    pub(crate) stop_sequence: Value,
    pub(crate) stop_details: Value,
    /// Input, cache read, cache written, output, searches.
    pub(crate) usage: [u64; 5],
    /// The last event of a stream; `message_stop` for a body.
    pub(crate) last: String,
}

pub(crate) fn of_body(body: &Value) -> AnswerFacts {
    AnswerFacts {
        id: text(&body["id"]),
        model: text(&body["model"]),
        blocks: body["content"].as_array().unwrap().iter().map(block).collect(),
        stop_reason: body["stop_reason"].clone(),
        stop_sequence: body["stop_sequence"].clone(),
        stop_details: body["stop_details"].clone(),
        usage: usage(&[&body["usage"]]),
        last: "message_stop".to_owned(),
    }
}

/// The data of a stream's events. Reads only what the fixtures and our
/// encoder write: one `data:` line an event.
pub(crate) fn events_of(stream: &str) -> Vec<(Option<String>, Value)> {
    let mut events = Vec::new();
    let mut name = None;
    for line in stream.lines() {
        if let Some(rest) = line.strip_prefix("event:") {
            name = Some(rest.trim().to_owned());
        } else if let Some(data) = line.strip_prefix("data:") {
            events.push((name.take(), serde_json::from_str(data.trim()).unwrap()));
        }
    }
    events
}

/// Gathers a stream as Anthropic's SDKs do, and insists on its grammar.
pub(crate) fn of_events<'a>(events: impl IntoIterator<Item = &'a Value>) -> AnswerFacts {
    let mut facts = AnswerFacts::default();
    let mut open: Option<(u64, Value, String)> = None;
    let mut usages = Vec::new();
    for event in events {
        let kind = text(&event["type"]);
        assert!(!matches!(facts.last.as_str(), "message_stop" | "error"), "{kind} after the end");
        match kind.as_str() {
            "message_start" => {
                if facts.last.is_empty() {
                    facts.id = text(&event["message"]["id"]);
                    facts.model = text(&event["message"]["model"]);
                    usages.push(&event["message"]["usage"]);
                }
            }
            "content_block_start" => {
                assert!(open.is_none(), "a block opens inside another");
                let index = event["index"].as_u64().unwrap();
                assert_eq!(index, facts.blocks.len() as u64, "indexes are dense");
                open = Some((index, event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let (index, block, input) = open.as_mut().unwrap();
                assert_eq!(event["index"].as_u64(), Some(*index));
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => input.push_str(delta["partial_json"].as_str().unwrap()),
                    "citations_delta" => {
                        if !block["citations"].is_array() {
                            block["citations"] = json!([]);
                        }
                        block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    other => panic!("unknown delta {other}"),
                }
            }
            "content_block_stop" => {
                let (_, mut gathered, input) = open.take().unwrap();
                if !input.is_empty() {
                    gathered["input"] = serde_json::from_str(&input).unwrap();
                }
                facts.blocks.push(block(&gathered));
            }
            "message_delta" => {
                assert!(open.is_none(), "the message ends inside a block");
                facts.stop_reason = event["delta"]["stop_reason"].clone();
                facts.stop_sequence = event["delta"]["stop_sequence"].clone();
                facts.stop_details = event["delta"]["stop_details"].clone();
                usages.push(&event["usage"]);
            }
            "message_stop" | "ping" | "error" => {}
            other => panic!("unknown event {other}"),
        }
        if kind != "ping" {
            facts.last = kind;
        }
    }
    facts.usage = usage(&usages);
    facts
}

/// A block without what is empty either way.
fn block(block: &Value) -> Value {
    let mut block = block.clone();
    let members = block.as_object_mut().unwrap();
    if members.get("citations").is_some_and(|c| c.is_null() || c == &json!([])) {
        members.remove("citations");
    }
    block
}

/// Later objects overwrite earlier ones, figure by figure.
fn usage(usages: &[&Value]) -> [u64; 5] {
    let last = |path: &str| {
        usages.iter().rev().find_map(|usage| usage.pointer(path)?.as_u64()).unwrap_or(0)
    };
    [
        last("/input_tokens"),
        last("/cache_read_input_tokens"),
        last("/cache_creation_input_tokens"),
        last("/output_tokens"),
        last("/server_tool_use/web_search_requests"),
    ]
}

fn append(to: &mut Value, more: &Value) {
    *to = Value::String(text(to) + &text(more));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A request with every spelling of the same thing made one.
pub(crate) fn of_request(body: &Value) -> Value {
    let mut facts = json!({});
    for (name, value) in body.as_object().unwrap() {
        match (name.as_str(), value) {
            (_, Value::Null) | ("stream", Value::Bool(false)) | ("model", _) => {}
            ("system", content) => facts["system"] = blocks(content),
            ("messages", Value::Array(messages)) => facts["messages"] = merged(messages),
            ("output_format", format) => facts["output_config"]["format"] = format.clone(),
            ("output_config", Value::Object(config)) => {
                for (name, value) in config {
                    facts["output_config"][name] = value.clone();
                }
            }
            ("tools", Value::Array(tools)) => facts["tools"] = tools.iter().map(tool).collect(),
            // 1 and 1.0 are the same temperature.
            ("temperature" | "top_p", number) => facts[name] = json!(number.as_f64()),
            _ => facts[name] = value.clone(),
        }
    }
    facts
}

fn tool(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if tool["type"] == "custom" {
        tool.as_object_mut().unwrap().remove("type");
    }
    tool
}

fn merged(messages: &[Value]) -> Value {
    let mut all: Vec<(Value, Vec<Value>)> = Vec::new();
    for message in messages {
        let Value::Array(mut content) = blocks(&message["content"]) else { panic!("no list") };
        match all.last_mut() {
            Some((role, before)) if *role == message["role"] => before.append(&mut content),
            _ => all.push((message["role"].clone(), content)),
        }
    }
    all.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

fn blocks(content: &Value) -> Value {
    let list = match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        other => panic!("content is {other}"),
    };
    let blocks = list.into_iter().map(|mut block| {
        if block["type"] == "tool_result" {
            let content = block.get("content").map_or_else(|| json!([]), blocks);
            block["content"] = content;
            if block["is_error"] == json!(false) {
                block.as_object_mut().unwrap().remove("is_error");
            }
        }
        block
    });
    blocks
        .filter(|block| block["type"] != "text" || !text(&block["text"]).trim().is_empty())
        .collect()
}
