//! What an OpenAI chat body says, found by walking plain JSON; shares nothing
//! with the crate's decoders and encoders.

use crate::wire;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) choices: BTreeMap<u64, Said>,
    /// prompt, completion, cached, reasoning.
    pub(crate) usage: Option<[u64; 4]>,
    pub(crate) error: bool,
}

/// What one choice says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) refusal: String,
    /// id, name, arguments.
    pub(crate) calls: Vec<(String, String, String)>,
    pub(crate) urls: Vec<String>,
    pub(crate) finish: Option<String>,
    indices: Vec<Option<u64>>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The facts of a whole answer.
pub(crate) fn answer(body: &Value) -> Answer {
    let mut answer = Answer::default();
    answer.take(body);
    answer.seal(true);
    answer
}

/// The facts of a stream.
pub(crate) fn stream(raw: &str) -> Answer {
    let mut answer = Answer::default();
    let mut done = false;
    wire::events(raw, |event| match event.data.trim() {
        "[DONE]" => done = true,
        data => {
            let chunk: Value = serde_json::from_str(data).unwrap();
            done |= chunk["object"] == "chat.completion.done";
            answer.take(&chunk);
        }
    });
    answer.seal(done);
    answer
}

impl Answer {
    fn take(&mut self, body: &Value) {
        self.error |= !body["error"].is_null();
        for choice in body["choices"].as_array().into_iter().flatten() {
            self.error |= !choice["error"].is_null();
            let index = choice["index"].as_u64().unwrap_or(0);
            let said = self.choices.entry(index).or_default();
            let message = if body["object"] == "chat.completion" || choice["delta"].is_null() {
                &choice["message"]
            } else {
                &choice["delta"]
            };
            said.take(message);
            match &choice["finish_reason"] {
                Value::String(word) if !word.is_empty() => said.finish = Some(word.clone()),
                _ => {}
            }
        }
        for usage in [&body["x_groq"]["usage"], &body["usage"]] {
            if usage["prompt_tokens"].is_u64() {
                self.usage = Some(usage_of(usage));
            }
        }
    }

    fn seal(&mut self, done: bool) {
        for said in self.choices.values_mut() {
            said.indices.clear();
            let word = said.finish.take().or(done.then(|| "stop".to_owned()));
            said.finish = word.map(|word| match word.as_str() {
                "eos" => "stop".to_owned(),
                "model_length" => "length".to_owned(),
                "tool_call" | "function_call" => "tool_calls".to_owned(),
                _ => word,
            });
            if !said.calls.is_empty() && said.finish.as_deref() == Some("stop") {
                said.finish = Some("tool_calls".to_owned());
            }
        }
    }
}

impl Said {
    fn take(&mut self, message: &Value) {
        match &message["content"] {
            Value::String(words) => self.text.push_str(words),
            Value::Array(parts) => {
                for part in parts {
                    self.text.push_str(&text(&part["text"]));
                    for thought in part["thinking"].as_array().into_iter().flatten() {
                        self.reasoning.push_str(&text(&thought["text"]));
                    }
                }
            }
            _ => {}
        }
        let plain = ["reasoning_content", "reasoning"].map(|name| text(&message[name]));
        let details: String = message["reasoning_details"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|detail| text(&detail["text"]))
            .collect();
        let spelled = plain.into_iter().chain([details]).find(|words| !words.is_empty());
        self.reasoning.push_str(&spelled.unwrap_or_default());
        self.refusal.push_str(&text(&message["refusal"]));
        for annotation in message["annotations"].as_array().into_iter().flatten() {
            self.urls.push(text(&annotation["url_citation"]["url"]));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            self.call(call);
        }
        let legacy = &message["function_call"];
        if legacy["name"].as_str().is_some_and(|name| !name.is_empty()) {
            self.calls.push((String::new(), text(&legacy["name"]), text(&legacy["arguments"])));
            self.indices.push(None);
        }
    }

    fn call(&mut self, call: &Value) {
        let (name, piece) = match &call["function"] {
            Value::Null => (text(&call["custom"]["name"]), text(&call["custom"]["input"])),
            function => (text(&function["name"]), text(&function["arguments"])),
        };
        let (id, index) = (text(&call["id"]), call["index"].as_u64());
        let known = index.and_then(|i| self.indices.iter().rposition(|have| *have == Some(i)));
        let known = known.filter(|at| id.is_empty() || self.calls[*at].0 == id || name.is_empty());
        let known = known.or_else(|| {
            let same = |have: &(String, String, String)| !id.is_empty() && have.0 == id;
            self.calls.iter().position(same)
        });
        if let Some(at) = known {
            self.calls[at].2.push_str(&piece);
        } else {
            self.calls.push((id, name, piece));
            self.indices.push(index);
        }
    }

    /// The same, where made-up ids cannot be compared and `{}` is nothing.
    pub(crate) fn without_made_ids(mut self, other: &Self) -> Self {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if other.calls.get(at).is_some_and(|call| call.0.is_empty()) {
                call.0.clear();
            }
            if other.calls.get(at).is_some_and(|call| call.2.is_empty()) && call.2 == "{}" {
                call.2.clear();
            }
        }
        self
    }
}

fn usage_of(usage: &Value) -> [u64; 4] {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let mut prompt = number(&usage["prompt_tokens"]);
    let mut completion = number(&usage["completion_tokens"]);
    let reasoning = number(&usage["completion_tokens_details"]["reasoning_tokens"])
        .max(number(&usage["reasoning_tokens"]));
    let total = number(&usage["total_tokens"]);
    if total == prompt + completion + reasoning {
        completion += reasoning;
    }
    // Mistral counts audio in the total alone.
    let audio = number(&usage["prompt_tokens_details"]["audio_tokens"]);
    if total == prompt + completion + audio {
        prompt += audio;
    }
    let cached = number(&usage["prompt_tokens_details"]["cached_tokens"])
        .max(number(&usage["cached_tokens"]))
        .max(number(&usage["num_cached_tokens"]))
        .max(number(&usage["prompt_cache_hit_tokens"]));
    [prompt, completion, cached.min(prompt), reasoning.min(completion)]
}

/// What a request says: the conversation as (speaker, kind, words), and its
/// parameters in one spelling.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) said: Vec<(String, String, String)>,
    pub(crate) parameters: BTreeMap<String, Value>,
    last_call: Option<String>,
}

/// The facts of a request.
pub(crate) fn request(body: &Value) -> Asked {
    let mut asked = Asked::default();
    for message in body["messages"].as_array().into_iter().flatten() {
        asked.message(message);
    }
    for (name, value) in body.as_object().into_iter().flatten() {
        asked.parameter(name, value);
    }
    asked
}

impl Asked {
    fn say(&mut self, who: &str, kind: &str, words: String) {
        if words.is_empty() {
            return;
        }
        match self.said.last_mut() {
            Some(last) if last.0 == who && last.1 == kind && kind == "text" => {
                last.2.push_str(&words);
            }
            _ => self.said.push((who.to_owned(), kind.to_owned(), words)),
        }
    }

    fn message(&mut self, message: &Value) {
        let who = match message["role"].as_str().unwrap() {
            "tool" if message["tool_call_id"].is_null() => {
                format!("tool {}", self.last_call.clone().unwrap())
            }
            "tool" => format!("tool {}", text(&message["tool_call_id"])),
            role => role.to_owned(),
        };
        for name in ["reasoning_content", "reasoning"] {
            self.say(&who, name, text(&message[name]));
        }
        match &message["content"] {
            Value::String(words) => self.say(&who, "text", words.clone()),
            Value::Array(parts) => {
                for part in parts {
                    let kind = text(&part["type"]);
                    let words = match kind.as_str() {
                        "text" => text(&part["text"]),
                        "image_url" => part["image_url"]["url"]
                            .as_str()
                            .map_or_else(|| text(&part["image_url"]), str::to_owned),
                        other => part[other].to_string(),
                    };
                    self.say(&who, &kind, words.replace("image/jpg", "image/jpeg"));
                    if part["cache_control"].is_object() {
                        self.say(&who, "cache", part["cache_control"].to_string());
                    }
                }
            }
            _ => {}
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            let words = format!("{} {} {}", call["id"], function["name"], function["arguments"]);
            self.say(&who, "call", words);
            self.last_call = Some(text(&call["id"]));
        }
    }

    fn parameter(&mut self, name: &str, value: &Value) {
        let parameter = match name {
            "messages" | "stream_options" | "metadata" => return,
            "max_tokens" | "max_completion_tokens" => "limit",
            "functions" => "tools",
            "function_call" => "tool_choice",
            name => name,
        };
        let empty =
            value.is_null() || *value == "" || *value == Value::Bool(false) && name == "stream";
        if empty || value.as_array().is_some_and(Vec::is_empty) {
            return;
        }
        let value = match (name, value) {
            ("tools", Value::Array(all)) => all
                .iter()
                .map(|one| {
                    let mut one = one.clone();
                    let fields = one.as_object_mut().unwrap();
                    if fields.contains_key("function") {
                        fields.insert("type".to_owned(), "function".into());
                    }
                    one
                })
                .collect(),
            ("stop", Value::String(one)) => serde_json::json!([one]),
            ("functions", Value::Array(all)) => all
                .iter()
                .map(|one| serde_json::json!({"type": "function", "function": one}))
                .collect(),
            ("tool_choice", Value::Object(choice)) if choice.contains_key("function") => {
                serde_json::json!({"type": "function", "function": choice["function"]})
            }
            ("tool_choice", Value::Object(choice)) if choice.contains_key("name") => {
                serde_json::json!({"type": "function", "function": {"name": choice["name"]}})
            }
            _ => value.clone(),
        };
        self.parameters.insert(parameter.to_owned(), value);
    }
}
