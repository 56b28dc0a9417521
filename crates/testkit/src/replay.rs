//! Recorded exchanges, answered again byte for byte.
//!
//! Reads the shared recording format (one JSON file an exchange; body kinds
//! `json`, `sse`, `ndjson`, `text`, `chunks`, and `base64` for the binary
//! ones) and turns its response into steps. It does not judge the request:
//! whoever plays the client does.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::random::Random;
use crate::script::{self, Step, split_at};

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body_kind: String,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    raw: Option<String>,
    base64: Option<String>,
    chunk_lens: Option<Vec<usize>>,
}

/// Where a stream is cut into writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Where the recorded client received it, or one write when unknown.
    Original,
    /// One write a byte.
    Bytes,
    /// Pieces of 1 to 64 bytes that follow from the seed.
    Random(u64),
}

/// One recorded answer.
#[derive(Clone, Debug)]
pub struct Recording {
    status: u16,
    headers: Vec<(String, String)>,
    /// The body, as the upstream sends it.
    pub body: Bytes,
    streamed: bool,
    chunk_lens: Vec<usize>,
}

impl Recording {
    /// Reads a recording; an error names the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let told = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
        };
        let text = fs::read(path).map_err(|cause| told(&cause.to_string()))?;
        Self::from_text(&text)
            .map_err(|cause| told(&cause.to_string()))?
            .ok_or_else(|| told("no response that can be replayed"))
    }

    /// Reads the text of a recording file; `None` when its response lacks what its kind needs.
    pub fn from_text(text: &[u8]) -> serde_json::Result<Option<Self>> {
        let File { response } = serde_json::from_slice(text)?;
        Ok(Self::from_response(response))
    }

    fn from_response(response: Response<'_>) -> Option<Self> {
        let kind = response.body_kind.as_str();
        let body: Bytes = match kind {
            // The recorded spelling, key order and white space included.
            "json" => response.body?.get().to_owned().into(),
            "eventstream" | "binary" => {
                base64::engine::general_purpose::STANDARD.decode(response.base64?).ok()?.into()
            }
            "chunks" => reframe(&response.raw?).into(),
            _ => response.raw?.into(),
        };
        let skip = ["content-length", "transfer-encoding", "content-encoding", "connection"];
        let headers = response.headers.into_iter();
        let mut headers: Vec<(String, String)> =
            headers.filter(|(name, _)| !skip.contains(&name.to_lowercase().as_str())).collect();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let kind = match kind {
                "sse" | "chunks" => "text/event-stream",
                "ndjson" => "application/x-ndjson",
                _ => "application/json",
            };
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        Some(Self {
            status: response.status,
            headers,
            body,
            streamed: matches!(kind, "sse" | "chunks" | "ndjson" | "eventstream"),
            chunk_lens: response.chunk_lens.unwrap_or_default(),
        })
    }

    /// The steps that send it: chunked when it was a stream, else with its length.
    pub fn steps(&self, split: Split) -> Vec<Step> {
        let length = self.body.len().to_string();
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let framing = ("transfer-encoding", "chunked");
        headers.push(if self.streamed { framing } else { ("content-length", &length) });
        let mut steps = vec![Step::Send(script::head(self.status, &headers))];
        let pieces = split_at(&self.body, &self.cuts(split));
        if self.streamed {
            let mut chunks: Vec<Bytes> = pieces.iter().map(|piece| script::chunk(piece)).collect();
            chunks.push(Bytes::from_static(b"0\r\n\r\n"));
            steps.push(Step::SendPieces(chunks));
        } else {
            steps.push(Step::SendPieces(pieces));
        }
        steps
    }

    fn cuts(&self, split: Split) -> Vec<usize> {
        match split {
            Split::Bytes => (1..self.body.len()).collect(),
            Split::Random(seed) => Random::new(seed).cuts(self.body.len(), 64),
            Split::Original => self
                .chunk_lens
                .iter()
                .scan(0, |at, len| {
                    *at += len;
                    Some(*at)
                })
                .collect(),
        }
    }
}

/// Frames one JSON event a line as server-sent events, with the event name that
/// Anthropic's grammar wants and the end marker that OpenAI's does.
fn reframe(lines: &str) -> String {
    let mut out = String::new();
    let mut named = false;
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(name) = event["type"].as_str() {
            named = true;
            out.push_str("event: ");
            out.push_str(name);
            out.push('\n');
        }
        out.push_str("data: ");
        out.push_str(line);
        out.push_str("\n\n");
    }
    if !named {
        out.push_str("data: [DONE]\n\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_split_sends_the_same_body() {
        let raw = "data: {\"a\":1}\n\n: ping\n\ndata: [DONE]\n\n";
        let file = json!({"response": {
            "status": 200, "headers": {"content-type": "text/event-stream"},
            "body_kind": "sse", "raw": raw, "chunk_lens": [5, 9, 100]}});
        let recording = Recording::from_text(file.to_string().as_bytes()).unwrap().unwrap();
        for split in [Split::Original, Split::Bytes, Split::Random(3)] {
            let Step::SendPieces(chunks) = &recording.steps(split)[1] else { panic!() };
            let data: Vec<u8> = chunks
                .iter()
                .flat_map(|chunk| {
                    let at = chunk.windows(2).position(|w| w == b"\r\n").unwrap();
                    chunk[at + 2..chunk.len() - 2].to_vec()
                })
                .collect();
            assert_eq!(String::from_utf8(data).unwrap(), raw, "{split:?}");
        }
    }

    #[test]
    fn a_json_body_keeps_its_spelling() {
        let text =
            br#"{"response":{"status":200,"body_kind":"json","body":{ "z":1.0, "a":[1e3] }}}"#;
        let recording = Recording::from_text(text).unwrap().unwrap();
        assert_eq!(recording.body, r#"{ "z":1.0, "a":[1e3] }"#);
    }

    #[test]
    fn a_line_recording_gets_the_framing_of_its_dialect() {
        assert_eq!(reframe("{\"id\":1}\n"), "data: {\"id\":1}\n\ndata: [DONE]\n\n");
        assert_eq!(reframe("{\"type\":\"ping\"}"), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }
}
