//! What the pretend provider says, in OpenAI's chat format.

use bytes::Bytes;
use http_body::Frame;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default)]
    max_completion_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    #[default]
    None,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Content {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().map(|part| part.text.as_str()).collect(),
            Self::None => String::new(),
        }
    }
}

/// An answer to one request.
pub(crate) struct Answer {
    asked: Asked,
    words: Vec<String>,
    cut: bool,
}

impl Answer {
    /// Reads the request and makes up an answer.
    pub(crate) fn to(body: &[u8]) -> Result<Self, String> {
        let asked: Asked = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let last = asked.messages.iter().rev().find(|message| message.role == "user");
        let question = last.map(|message| message.content.text()).unwrap_or_default();
        let quoted: String = question.chars().take(200).collect();
        let text = format!(
            "You asked: \u{201c}{quoted}\u{201d}. This is Keymoat's built-in demo model: the answer is \
             made up, but it came over HTTP through the whole gateway, with your key checked, its \
             cost reserved and recorded. Add a real provider in config.yaml and ask again."
        );
        let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let limit = asked.max_completion_tokens.or(asked.max_tokens).unwrap_or(usize::MAX);
        let cut = words.len() > limit;
        words.truncate(limit);
        Ok(Self { asked, words, cut })
    }

    /// Whether the client wants a stream.
    pub(crate) fn streams(&self) -> bool {
        self.asked.stream
    }

    /// The whole answer.
    pub(crate) fn whole(&self) -> String {
        json!({
            "id": "chatcmpl-demo", "object": "chat.completion", "created": CREATED_UNIX_S,
            "model": self.asked.model,
            "choices": [{
                "index": 0, "finish_reason": self.finish(), "logprobs": null,
                "message": {"role": "assistant", "content": self.words.concat()},
            }],
            "usage": self.usage(),
        })
        .to_string()
    }

    /// The answer as a stream's events.
    pub(crate) fn chunks(&self) -> Vec<String> {
        let chunk = |choices: serde_json::Value, usage: serde_json::Value| {
            let mut chunk = json!({
                "id": "chatcmpl-demo", "object": "chat.completion.chunk",
                "created": CREATED_UNIX_S, "model": self.asked.model, "choices": choices,
            });
            if let (Some(chunk), false) = (chunk.as_object_mut(), usage.is_null()) {
                chunk.insert("usage".into(), usage);
            }
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: serde_json::Value, finish: serde_json::Value| {
            let choice = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
            chunk(choice, serde_json::Value::Null)
        };
        let none = serde_json::Value::Null;
        let mut chunks = vec![delta(json!({"role": "assistant", "content": ""}), none.clone())];
        chunks.extend(self.words.iter().map(|word| delta(json!({"content": word}), none.clone())));
        chunks.push(delta(json!({}), json!(self.finish())));
        if self.asked.stream_options.as_ref().is_some_and(|options| options.include_usage) {
            chunks.push(chunk(json!([]), self.usage()));
        }
        chunks.push("data: [DONE]\n\n".to_owned());
        chunks
    }

    fn finish(&self) -> &'static str {
        if self.cut { "length" } else { "stop" }
    }

    fn usage(&self) -> serde_json::Value {
        let asked: usize = self.asked.messages.iter().map(|m| m.content.text().len()).sum();
        let (input, output) = (asked.div_ceil(4) + 4, self.words.len());
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }
}

/// No clock here: the day of the first release.
const CREATED_UNIX_S: u64 = 1_795_219_200;

/// OpenAI's error body.
pub(crate) fn error(message: &str) -> String {
    json!({"error": {
        "message": message, "type": "invalid_request_error", "param": null, "code": null,
    }})
    .to_string()
}

/// Chunks as they come from a model: one after the other.
pub(crate) struct Paced {
    chunks: std::vec::IntoIter<String>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Between two chunks: 50 words a second.
const PAUSE: Duration = Duration::from_millis(20);

impl Paced {
    pub(crate) fn new(chunks: Vec<String>) -> Self {
        Self { chunks: chunks.into_iter(), pause: None }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let next = self.chunks.next().map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
        if next.is_some() {
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn the_stream_says_what_the_whole_answer_says() {
        let body = br#"{"model":"demo","stream":true,"stream_options":{"include_usage":true},
            "messages":[{"role":"user","content":[{"type":"text","text":"Hello?"}]}]}"#;
        let answer = Answer::to(body).unwrap();
        let whole: serde_json::Value = serde_json::from_str(&answer.whole()).unwrap();
        let mut said = String::new();
        let mut usage = serde_json::Value::Null;
        for chunk in answer.chunks() {
            let data = chunk.strip_prefix("data: ").unwrap().trim_end();
            if data == "[DONE]" {
                continue;
            }
            let chunk: serde_json::Value = serde_json::from_str(data).unwrap();
            said += chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            if chunk.get("usage").is_some() {
                usage = chunk["usage"].clone();
            }
        }
        assert_eq!(said, whole["choices"][0]["message"]["content"]);
        assert!(said.contains("Hello?"));
        assert_eq!(usage, whole["usage"]);
    }

    #[test]
    fn max_tokens_cuts_the_answer_and_says_so() {
        let body = br#"{"messages":[{"role":"user","content":"x"}],"max_tokens":3}"#;
        let whole: serde_json::Value =
            serde_json::from_str(&Answer::to(body).unwrap().whole()).unwrap();
        assert_eq!(whole["choices"][0]["finish_reason"], "length");
        assert_eq!(whole["usage"]["completion_tokens"], 3);
    }
}
