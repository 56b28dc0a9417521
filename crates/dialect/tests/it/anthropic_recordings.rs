//! Every recorded exchange in Anthropic's format says the same after a trip
//! through the neutral model.

use crate::anthropic_stream::{decode_all, encode_all};
use crate::facts_anthropic::{events_of, of_body, of_events, of_request};
use bytes::Bytes;
use dialect::anthropic_messages::{error, request, response, stream};
use dialect::model::Event;
use dialect::{Dropped, ErrorClass, Shown, Target, sse};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(crate) const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "msg_x", created_unix_s: 0, include_usage: true };

/// Every recording of the format, or nothing, loudly.
pub(crate) fn recordings() -> Vec<(PathBuf, Value)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A second checkout may lie one level deeper.
    let root = ["../../../shared/recordings", "../../../../shared/recordings"]
        .into_iter()
        .map(|path| here.join(path))
        .find(|root| root.is_dir());
    let Some(root) = root else {
        println!("SKIPPED: no recordings beside the project");
        return Vec::new();
    };
    let folders = [
        "anthropic/messages",
        "azure/anthropic-messages",
        "vertex/anthropic-messages",
        "bedrock/invoke-anthropic",
    ];
    let mut all = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let body = &recording["response"]["body"];
            // Amazon's path also serves the older completions format.
            if body.get("completion").is_none() {
                all.push((path, recording));
            }
        }
    }
    all
}

/// The events' data of a recorded stream.
fn stream_of(response: &Value) -> Option<Vec<Value>> {
    let raw = response["raw"].as_str()?;
    match response["body_kind"].as_str()? {
        "sse" => Some(events_of(raw).into_iter().map(|(_, data)| data).collect()),
        "chunks" => Some(raw.lines().map(|line| serde_json::from_str(line).unwrap()).collect()),
        _ => None,
    }
}

#[test]
fn recorded_requests_say_the_same_after_the_trip() {
    let mut tried = 0;
    for (path, recording) in recordings() {
        let body = &recording["request"]["body"];
        if !body["messages"].is_array() {
            continue;
        }
        let mut body = body.clone();
        // Vertex and Bedrock name the model in the URL.
        body["model"] = "claude".into();
        let target = Target {
            model: "claude",
            adaptive_thinking: body["thinking"]["type"] == "adaptive",
            native_json_schema: true,
            ..Target::default()
        };
        let bytes = serde_json::to_vec(&body).unwrap();
        let decoded = request::decode(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let written = request::encode(&decoded, &target, &mut Dropped::default())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let written: Value = serde_json::from_slice(&written).unwrap();
        tag_late_instructions(&mut body);
        let (mut before, mut after) = (of_request(&body), of_request(&written));
        if recording["response"]["status"] != 200 {
            // What the provider refused is what we mend.
            for facts in [&mut before, &mut after] {
                facts.as_object_mut().unwrap().remove("output_config");
            }
        }
        mended(&before, &mut after);
        assert_eq!(before, after, "{}", path.display());
        tried += 1;
    }
    assert!(tried == 0 || tried > 50, "only {tried} requests");
}

/// As the encoder does, because not every model takes the role.
fn tag_late_instructions(body: &mut Value) {
    for message in body["messages"].as_array_mut().unwrap() {
        let plain = |block: &Value| block["type"] == "text";
        if message["role"] != "system" || !message["content"].as_array().unwrap().iter().all(plain)
        {
            continue;
        }
        message["role"] = "user".into();
        for block in message["content"].as_array_mut().unwrap() {
            let text = block["text"].as_str().unwrap();
            block["text"] = format!("<system-message>\n{text}\n</system-message>").into();
        }
    }
}

/// Puts back what an encoder has leave to take away.
fn mended(before: &Value, after: &mut Value) {
    if before.get("temperature").is_some() && before.get("top_p").is_some() {
        after["top_p"] = before["top_p"].clone();
    }
}

#[test]
fn recorded_answers_say_the_same_after_the_trip() {
    let mut tried = 0;
    for (path, recording) in recordings() {
        let body = &recording["response"]["body"];
        if !body["content"].is_array() {
            continue;
        }
        let decoded = response::decode(&serde_json::to_vec(body).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let written: Value = serde_json::from_slice(&response::encode(&decoded, &SHOWN)).unwrap();
        let (before, mut after) = (of_body(body), of_body(&written));
        if !before.id.starts_with("msg_") {
            after.id.clone_from(&before.id);
        }
        assert_eq!(before, after, "{}", path.display());
        tried += 1;
    }
    assert!(tried == 0 || tried > 30, "only {tried} answers");
}

#[test]
fn recorded_streams_say_the_same_after_the_trip() {
    let mut tried = 0;
    for (path, recording) in recordings() {
        let Some(events) = stream_of(&recording["response"]) else { continue };
        let decoded = decode_all(events.iter().map(Value::to_string));
        let written = encode_all(&decoded, &SHOWN);
        let named = events_of(&written);
        for (name, data) in &named {
            assert_eq!(name.as_deref(), data["type"].as_str(), "every event has its line");
        }
        let (before, mut after) =
            (of_events(&events), of_events(named.iter().map(|(_, data)| data)));
        if !before.id.starts_with("msg_") {
            after.id.clone_from(&before.id);
        }
        // Empty text is not shown: it would be refused when it comes back.
        let mut expected = before;
        expected.blocks.retain(|block| block["text"] != "");
        for block in expected.blocks.iter_mut().chain(&mut after.blocks) {
            block.as_object_mut().unwrap().remove("caller");
        }
        assert_eq!(expected, after, "{}", path.display());
        tried += 1;
    }
    assert!(tried == 0 || tried > 25, "only {tried} streams");
}

#[test]
fn recorded_errors_have_their_class() {
    let mut tried = 0;
    for (path, recording) in recordings() {
        let status = recording["response"]["status"].as_u64().unwrap() as u16;
        if status == 200 {
            continue;
        }
        let body = serde_json::to_vec(&recording["response"]["body"]).unwrap();
        let error = error::decode(status, &body);
        let text = String::from_utf8(body).unwrap();
        let expected = match status {
            400 if text.contains("prompt is too long") => ErrorClass::ContextLength,
            400 => ErrorClass::BadRequest,
            401 => ErrorClass::Authentication,
            404 => ErrorClass::NotFound,
            503 => ErrorClass::Overloaded,
            other => panic!("{}: status {other} is new", path.display()),
        };
        assert_eq!(error.class, expected, "{}", path.display());
        assert!(text.contains(&error.message), "{}", path.display());
        tried += 1;
    }
    assert!(tried == 0 || tried >= 5, "only {tried} errors");
}

/// The model's events of a stream that arrives in pieces of these lengths.
fn in_pieces(raw: &str, mut length: impl FnMut() -> usize) -> Vec<Event> {
    let mut framer = sse::Framer::new();
    let mut decoder = stream::Decoder::new();
    let mut scratch = String::new();
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(raw.as_bytes());
    while !rest.is_empty() {
        let piece = rest.split_to(length().clamp(1, rest.len()));
        for frame in framer.push(&piece) {
            decoder.push(sse::parse(&frame.bytes, &mut scratch).unwrap(), &mut out).unwrap();
        }
    }
    let remainder = framer.take_remainder();
    decoder.push(sse::parse(&remainder, &mut scratch).unwrap(), &mut out).unwrap();
    decoder.finish(&mut out);
    out
}

#[test]
fn recorded_streams_are_the_same_however_they_are_cut() {
    let mut tried = 0;
    for (path, recording) in recordings() {
        let response = &recording["response"];
        let Some(raw) = response["raw"].as_str().filter(|_| response["body_kind"] == "sse") else {
            continue;
        };
        let whole = in_pieces(raw, || raw.len());
        assert_eq!(whole.last(), Some(&Event::End), "{}", path.display());
        let mut recorded =
            response["chunk_lens"].as_array().cloned().unwrap_or_default().into_iter();
        let as_recorded = || recorded.next().and_then(|n| n.as_u64()).unwrap_or(4_096) as usize;
        assert_eq!(in_pieces(raw, as_recorded), whole, "{}", path.display());
        assert_eq!(in_pieces(raw, || 1), whole, "{}", path.display());
        let mut seed = raw.len();
        let scattered = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % 97
        };
        assert_eq!(in_pieces(raw, scattered), whole, "{}", path.display());
        tried += 1;
    }
    assert!(tried == 0 || tried > 20, "only {tried} streams");
}
