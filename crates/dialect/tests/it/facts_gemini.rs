//! What Google's bodies and streams say, found by walking plain JSON; shares
//! nothing with the crate's decoders and encoders.

use crate::wire;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) candidates: BTreeMap<u64, Said>,
    /// prompt, output, cached, thoughts.
    pub(crate) usage: [u64; 4],
    pub(crate) blocked: bool,
}

/// What one candidate says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thoughts: String,
    /// Id, name, arguments.
    pub(crate) calls: Vec<(String, String, Value)>,
    pub(crate) signatures: Vec<String>,
    /// Pictures, code and the like.
    pub(crate) others: Vec<Value>,
    pub(crate) finish: Option<String>,
}

/// A member in either of protobuf's spellings.
pub(crate) fn get<'v>(value: &'v Value, camel: &str) -> &'v Value {
    let snake: String = camel
        .chars()
        .flat_map(|c| {
            let mark = c.is_ascii_uppercase().then_some('_');
            mark.into_iter().chain([c.to_ascii_lowercase()])
        })
        .collect();
    if value[camel].is_null() { &value[snake.as_str()] } else { &value[camel] }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The facts of a whole answer.
pub(crate) fn answer(body: &Value) -> Answer {
    let mut answer = Answer::default();
    answer.take(body);
    answer.seal();
    answer
}

/// The facts of a stream.
pub(crate) fn stream(raw: &str) -> Answer {
    let mut answer = Answer::default();
    wire::events(raw, |event| {
        if event.data.trim() != "[DONE]" {
            answer.take(&serde_json::from_str(event.data).unwrap());
        }
    });
    answer.seal();
    answer
}

impl Answer {
    fn take(&mut self, body: &Value) {
        assert!(body["error"].is_null(), "{body}");
        if self.id.is_empty() {
            self.id = text(&body["responseId"]);
            self.model = text(&body["modelVersion"]);
        }
        self.blocked |= body["promptFeedback"]["blockReason"].is_string();
        for (at, candidate) in body["candidates"].as_array().into_iter().flatten().enumerate() {
            let index = candidate["index"].as_u64().unwrap_or(at as u64);
            let said = self.candidates.entry(index).or_default();
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                said.take(part);
            }
            if let Some(word) = candidate["finishReason"].as_str() {
                said.finish = Some(word.to_owned());
            }
        }
        let usage = &body["usageMetadata"];
        let number = |name: &str| usage[name].as_u64().unwrap_or(0);
        let names = ["totalTokenCount", "promptTokenCount", "candidatesTokenCount"];
        if names.into_iter().any(|name| usage[name].is_u64()) {
            let prompt = number("promptTokenCount") + number("toolUsePromptTokenCount");
            let thoughts = number("thoughtsTokenCount");
            let output = (number("candidatesTokenCount") + thoughts)
                .max(number("totalTokenCount").saturating_sub(prompt));
            let said = [prompt, output, number("cachedContentTokenCount"), thoughts];
            for (known, said) in self.usage.iter_mut().zip(said) {
                // The last word counts; a report may leave a count out.
                *known = if said > 0 { said } else { *known };
            }
        }
    }

    fn seal(&mut self) {
        for said in self.candidates.values_mut() {
            said.finish.get_or_insert_with(|| "STOP".to_owned());
            said.signatures.retain(|signature| !signature.is_empty());
        }
    }
}

impl Said {
    fn take(&mut self, part: &Value) {
        self.signatures.push(text(get(part, "thoughtSignature")));
        let call = get(part, "functionCall");
        if part["thought"] == true {
            self.thoughts.push_str(&text(&part["text"]));
        } else if part["text"].is_string() {
            self.text.push_str(&text(&part["text"]));
        } else if call["name"].is_string() {
            let args = if call["args"].is_null() { &serde_json::json!({}) } else { &call["args"] };
            self.calls.push((text(&call["id"]), text(&call["name"]), args.clone()));
        } else if call.is_null() && part.as_object().is_some_and(|part| !part.is_empty()) {
            self.others.push(part.clone());
        }
    }

    /// The same, where made-up ids cannot be compared.
    pub(crate) fn without_made_ids(mut self, other: &Self) -> Self {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if other.calls.get(at).is_some_and(|call| call.0.is_empty()) {
                assert!(!call.0.is_empty(), "a made id");
                call.0.clear();
            }
        }
        self
    }
}

/// What a request says: the conversation as (speaker, kind, words).
pub(crate) fn request(body: &Value) -> Vec<(String, String, String)> {
    let mut said = Vec::new();
    let system = get(body, "systemInstruction");
    parts(&system["parts"], "system", &mut said);
    for content in body["contents"].as_array().into_iter().flatten() {
        let who = content["role"].as_str().unwrap_or("user");
        parts(&content["parts"], who, &mut said);
    }
    said
}

fn parts(parts: &Value, who: &str, said: &mut Vec<(String, String, String)>) {
    let alone = std::slice::from_ref(parts);
    for part in parts.as_array().map_or(alone, Vec::as_slice) {
        let (call, result) = (get(part, "functionCall"), get(part, "functionResponse"));
        let (data, file) = (get(part, "inlineData"), get(part, "fileData"));
        let signature = text(get(part, "thoughtSignature"));
        let (kind, words) = if part["thought"] == true {
            // Without a signature nobody could check it.
            ("thought", if signature.is_empty() { String::new() } else { text(&part["text"]) })
        } else if part["text"].is_string() {
            ("text", text(&part["text"]))
        } else if call["name"].is_string() {
            ("call", format!("{} {}", call["name"], call["args"]))
        } else if result["name"].is_string() {
            // `output` alone is all of a response, and so is `result`.
            let response =
                result["response"].to_string().replacen("{\"output\":", "{\"result\":", 1);
            ("result", format!("{} {response}", result["name"]))
        } else if data["data"].is_string() {
            let data = text(&data["data"]).replace('-', "+").replace('_', "/");
            ("data", data)
        } else if get(file, "fileUri").is_string() {
            ("file", get(file, "fileUri").to_string())
        } else if part.is_null() {
            continue;
        } else {
            ("other", part.to_string())
        };
        for (kind, words) in [(kind, words), ("signature", signature)] {
            if !words.is_empty() {
                said.push((who.to_owned(), kind.to_owned(), words));
            }
        }
    }
}
