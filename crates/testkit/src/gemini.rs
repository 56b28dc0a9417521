//! The pretend provider, as Google speaks: model and stream in the path, calls
//! whole and without ids, signatures beside them.

use crate::canned::{self, Reply};
use crate::{Request, Script, Step};
use serde_json::{Value, json};

/// Signature of every call.
pub const SIGNATURE: &str = "c2lnbmF0dXJl";

/// The steps that answer `request`; `None` for a path that is none of Google's.
pub(crate) fn answer(request: &Request) -> Option<Vec<Step>> {
    let (_, named) = request.route().rsplit_once("/models/")?;
    let (model, verb) = named.split_once(':')?;
    let body = request.json();
    let script = match verb {
        "generateContent" => Script::on("").json(200, body_of(&reply_to(&body, model))),
        "streamGenerateContent" => Script::on("").sse(events_of(&reply_to(&body, model))),
        "countTokens" => Script::on("").json(200, json!({"totalTokens": 9}).to_string()),
        _ => return None,
    };
    let refused = model.strip_prefix("error-").and_then(|status| status.parse().ok());
    Some(refused.map_or(script, error).into_steps())
}

/// Google's error of that status.
pub fn error(status: u16) -> Script {
    let word = match status {
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        400 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    let inner =
        json!({"code": status, "message": format!("upstream says {status}"), "status": word});
    Script::on("").json(status, json!({ "error": inner }).to_string())
}

/// Repeats the user's last words, or calls the first function that is offered.
fn reply_to(body: &Value, model: &str) -> Reply {
    let contents = body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts = contents.last().and_then(|content| content["parts"].as_array());
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    let result = parts.iter().find(|part| part["functionResponse"].is_object());
    let function = &body["tools"][0]["functionDeclarations"][0]["name"];
    let mut reply = Reply { model: model.to_owned(), ..Reply::default() };
    match (result, function.as_str()) {
        (None, Some(name)) => reply.tool_calls.push(canned::ToolCall {
            id: String::new(),
            name: name.to_owned(),
            arguments: "{}".to_owned(),
        }),
        (result, _) => {
            let words = parts.iter().filter_map(|part| part["text"].as_str());
            let told = result.map(|part| part["functionResponse"]["response"].to_string());
            let said: String = words.map(str::to_owned).chain(told).collect();
            reply.text = vec!["You said: ".to_owned()];
            reply.text.extend(canned::pieces(&said, 8));
        }
    }
    reply
}

fn chunk(reply: &Reply, parts: &Value, is_last: bool) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    let mut usage = json!({"promptTokenCount": canned::INPUT_TOKENS});
    if is_last {
        candidate["finishReason"] = json!("STOP");
        usage["candidatesTokenCount"] = json!(canned::OUTPUT_TOKENS);
        usage["totalTokenCount"] = json!(canned::INPUT_TOKENS + canned::OUTPUT_TOKENS);
    }
    json!({"candidates": [candidate], "usageMetadata": usage,
           "modelVersion": reply.model, "responseId": "resp-canned"})
}

fn calls(reply: &Reply) -> impl Iterator<Item = Value> {
    reply.tool_calls.iter().map(|call| {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        json!({"functionCall": {"name": call.name, "args": args}, "thoughtSignature": SIGNATURE})
    })
}

/// A whole answer.
pub fn body_of(reply: &Reply) -> String {
    let text = (!reply.text.is_empty()).then(|| json!({"text": reply.text.concat()}));
    let parts: Vec<Value> = text.into_iter().chain(calls(reply)).collect();
    chunk(reply, &json!(parts), true).to_string()
}

/// The events of a stream.
pub fn events_of(reply: &Reply) -> Vec<String> {
    let texts = reply.text.iter().map(|text| json!({ "text": text }));
    let mut chunks: Vec<Value> =
        texts.chain(calls(reply)).map(|part| chunk(reply, &json!([part]), false)).collect();
    // Newer models say the end in a chunk of its own.
    chunks.push(chunk(reply, &json!([{"text": ""}]), true));
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}
