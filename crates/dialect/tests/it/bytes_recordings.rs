//! What providers really sent: the tap agrees with a plain walk over the parsed
//! JSON, however the stream is cut, and no byte is changed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed"
)]

use crate::bytes_sse::cut;
use base::Decimal;
use bytes::Bytes;
use dialect::{
    Surface, Usage,
    head::Head,
    retouch,
    splice::{Edits, apply},
    sse::Framer,
    tap::{Observed, Tap},
};
use serde_json::Value;
use std::{fs, path::PathBuf};

struct Recording {
    name: String,
    surface: Surface,
    value: Value,
}

fn recordings() -> Vec<Recording> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // A second checkout may lie one level deeper.
    let root = ["../../../shared/recordings", "../../../../shared/recordings"]
        .into_iter()
        .map(|path| here.join(path))
        .find(|root| root.is_dir());
    let Some(root) = root else {
        println!("SKIPPED: no recordings beside the project");
        return Vec::new();
    };
    let mut found = Vec::new();
    for provider in fs::read_dir(root).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for api in fs::read_dir(provider.path()).unwrap().flatten() {
            let provider = provider.file_name().into_string().unwrap();
            let surface = match (provider.as_str(), api.file_name().to_str().unwrap()) {
                // Not OpenAI's format.
                ("ollama" | "cohere" | "gemini", "chat" | "embeddings")
                | ("writer", "completions-legacy") => continue,
                (_, "chat" | "openai-chat") => Surface::OpenAiChat,
                (_, "completions-legacy") => Surface::OpenAiCompletions,
                (_, "embeddings") => Surface::OpenAiEmbeddings,
                (_, "messages" | "anthropic-messages") => Surface::AnthropicMessages,
                _ => continue,
            };
            for file in fs::read_dir(api.path()).into_iter().flatten().flatten() {
                let path = file.path();
                if path.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let Ok(value) = serde_json::from_str(&text) else { continue };
                found.push(Recording { name: path.display().to_string(), surface, value });
            }
        }
    }
    assert!(found.len() > 300, "only {} recordings", found.len());
    found
}

/// The stream's bytes, and its documents by a naive reading.
fn stream(recording: &Recording) -> Option<(Vec<u8>, Vec<Value>)> {
    let response = &recording.value["response"];
    let raw = response["raw"].as_str()?;
    let wire = match response["body_kind"].as_str()? {
        "sse" => raw.to_owned(),
        "chunks" => raw.lines().flat_map(|line| ["data: ", line, "\n\n"]).collect(),
        _ => return None,
    };
    let documents = wire
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    Some((wire.into_bytes(), documents))
}

fn count(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// OpenAI's usage by plain walking.
fn openai_usage(usage: &Value) -> Option<Usage> {
    let has = |name: &str| usage.get(name).is_some_and(Value::is_number);
    if !has("prompt_tokens") && !has("total_tokens") {
        return None;
    }
    let reasoning = count(usage, "/completion_tokens_details/reasoning_tokens");
    let (mut output, total) = (count(usage, "/completion_tokens"), count(usage, "/total_tokens"));
    let mut input =
        if has("prompt_tokens") { count(usage, "/prompt_tokens") } else { total - output };
    if input + output < total {
        output += reasoning;
    }
    let audio = count(usage, "/prompt_tokens_details/audio_tokens");
    if input + output + audio == total {
        input += audio;
    }
    let cached = [
        "/prompt_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cached_tokens",
        "/num_cached_tokens",
    ]
    .map(|path| count(usage, path))
    .into_iter()
    .max()
    .unwrap();
    let cost = match usage.get("cost") {
        Some(Value::Object(costs)) => costs.get("total_cost").cloned(),
        Some(Value::Number(number)) => Some(Value::Number(number.clone())),
        _ => None,
    };
    // As a float and back: not the digits of the wire, which is what is proved.
    let cost =
        cost.map(|cost| format!("{:.15}", cost.as_f64().unwrap()).parse::<Decimal>().unwrap());
    let ticks = usage.get("cost_in_usd_ticks").and_then(Value::as_i64);
    Some(Usage {
        input,
        cache_read: cached.min(input),
        cache_write_5m: count(usage, "/prompt_tokens_details/cache_write_tokens"),
        cache_write_1h: 0,
        input_audio: audio,
        output,
        reasoning: reasoning.min(output),
        output_audio: count(usage, "/completion_tokens_details/audio_tokens"),
        searches: count(usage, "/num_sources_used")
            .max(count(usage, "/server_tool_use_details/web_search_requests")),
        stated_cost: cost.or(ticks.map(|ticks| Decimal::new(ticks, 10))),
    })
}

fn anthropic_usage(documents: &[Value]) -> Option<Usage> {
    let mut merged = serde_json::Map::new();
    for document in documents {
        for usage in
            [document.pointer("/message/usage"), document.get("usage")].into_iter().flatten()
        {
            for (name, value) in usage.as_object().into_iter().flatten() {
                if !value.is_null() {
                    merged.insert(name.clone(), value.clone());
                }
            }
        }
    }
    if merged.is_empty() {
        return None;
    }
    let merged = Value::Object(merged);
    let cache_read = count(&merged, "/cache_read_input_tokens");
    let cache_write = count(&merged, "/cache_creation_input_tokens");
    let hour = count(&merged, "/cache_creation/ephemeral_1h_input_tokens");
    Some(Usage {
        input: count(&merged, "/input_tokens") + cache_read + cache_write,
        cache_read,
        cache_write_5m: cache_write - hour,
        cache_write_1h: hour,
        output: count(&merged, "/output_tokens"),
        reasoning: count(&merged, "/output_tokens_details/thinking_tokens"),
        searches: count(&merged, "/server_tool_use/web_search_requests"),
        ..Usage::default()
    })
}

/// Usage and text by plain walking, for documents of either dialect.
fn walk(surface: Surface, documents: &[Value]) -> (Option<Usage>, bool, bool) {
    let is_anthropic = surface == Surface::AnthropicMessages;
    let usage = if is_anthropic {
        anthropic_usage(documents)
    } else {
        documents
            .iter()
            .filter_map(|document| {
                openai_usage(&document["usage"])
                    .or_else(|| openai_usage(&document["x_groq"]["usage"]))
            })
            .next_back()
    };
    let finished = documents.iter().any(|document| {
        let anthropic =
            document.get("stop_reason").or_else(|| document.pointer("/delta/stop_reason"));
        let choices = document["choices"].as_array().into_iter().flatten();
        let reasons = choices.filter_map(|choice| choice.get("finish_reason"));
        reasons
            .chain(anthropic.filter(|_| is_anthropic))
            .any(|reason| !reason.is_null() && *reason != "")
    });
    let failed = documents.iter().any(|document| {
        !document["error"].is_null()
            || document["choices"]
                .as_array()
                .is_some_and(|choices| choices.iter().any(|choice| !choice["error"].is_null()))
    });
    (usage, finished, failed)
}

/// Costs to the twelfth digit: floats say no more.
fn rounded(mut usage: Usage) -> Usage {
    usage.stated_cost = usage.stated_cost.map(|cost| {
        let float: f64 = cost.to_string().parse().unwrap();
        format!("{float:.12}").parse().unwrap()
    });
    usage
}

fn agree(name: &str, observed: &Observed, surface: Surface, documents: &[Value]) {
    let (usage, finished, failed) = walk(surface, documents);
    assert_eq!(observed.usage.map(rounded), usage.map(rounded), "{name}");
    assert_eq!(observed.finished, finished, "{name}");
    assert_eq!(observed.problem.is_some(), failed, "{name}: {:?}", observed.problem);
}

fn run(surface: Surface, pieces: &[&[u8]]) -> (Tap, Vec<u8>) {
    let mut framer = Framer::new();
    let mut tap = Tap::new(surface);
    let mut out = Vec::new();
    for piece in pieces {
        for frame in framer.push(&Bytes::copy_from_slice(piece)) {
            let frame = frame.bytes;
            tap.observe(&frame);
            out.extend_from_slice(&frame);
        }
    }
    let rest = framer.take_remainder();
    tap.observe(&rest);
    out.extend_from_slice(&rest);
    (tap, out)
}

#[test]
fn recorded_streams_are_relayed_to_the_byte_and_understood_at_any_split() {
    let mut seen = 0;
    for recording in recordings() {
        let Some((wire, documents)) = stream(&recording) else { continue };
        seen += 1;
        let lengths: Vec<usize> = recording.value["response"]["chunk_lens"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|length| usize::try_from(length.as_u64()?).ok())
            .collect();
        let odd: Vec<usize> =
            wire.iter().map(|byte| usize::from(*byte) % 61 + 1).take(97).collect();
        let mut first: Option<Observed> = None;
        for pieces in
            [vec![wire.as_slice()], cut(&wire, &lengths), cut(&wire, &[1]), cut(&wire, &odd)]
        {
            let (tap, out) = run(recording.surface, &pieces);
            assert_eq!(out, wire, "{}", recording.name);
            agree(&recording.name, tap.observed(), recording.surface, &documents);
            let observed = first.get_or_insert_with(|| tap.observed().clone());
            assert_eq!(observed, tap.observed(), "{}", recording.name);
            if tap.observed().problem.is_none() {
                assert!(tap.complete(), "{}", recording.name);
                assert!(
                    tap.observed().output_text_bytes > 0 || !tap.has_semantic(),
                    "{}",
                    recording.name
                );
            } else {
                assert!(!tap.complete(), "{}", recording.name);
            }
        }
    }
    println!("{seen} streams");
}

/// The JSON of a frame with one `data:` line.
fn document(frame: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(frame).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("data:"))?;
    serde_json::from_str(line.trim()).ok()
}

#[test]
fn recorded_frames_lose_null_usage_and_change_their_model_and_nothing_else() {
    let (mut stripped, mut named) = (0, 0);
    for recording in recordings() {
        let Some((wire, _)) = stream(&recording) else { continue };
        let mut framer = Framer::new();
        for frame in framer.push(&Bytes::from(wire)) {
            let frame = frame.bytes;
            let Some(mut expected) = document(&frame) else {
                assert_eq!(retouch::strip_null_usage(&frame), frame.as_ref());
                assert_eq!(retouch::set_model(&frame, "x"), frame.as_ref());
                continue;
            };
            let out = retouch::strip_null_usage(&frame);
            if expected.get("usage").is_some_and(Value::is_null) {
                expected.as_object_mut().unwrap().remove("usage");
                stripped += 1;
            } else {
                assert_eq!(out, frame.as_ref(), "{}", recording.name);
            }
            assert_eq!(document(&out).unwrap(), expected, "{}", recording.name);

            let out = retouch::set_model(&frame, "my \"group\"");
            let mut expected = document(&frame).unwrap();
            let place = if expected["model"].is_string() { "/model" } else { "/message/model" };
            match expected.pointer_mut(place).filter(|model| model.is_string()) {
                Some(model) => {
                    *model = "my \"group\"".into();
                    named += 1;
                }
                None => assert_eq!(out, frame.as_ref(), "{}", recording.name),
            }
            assert_eq!(document(&out).unwrap(), expected, "{}", recording.name);
        }
    }
    println!("{stripped} null usages, {named} models");
}

#[test]
fn recorded_answers_are_understood() {
    let mut seen = 0;
    for recording in recordings() {
        let response = &recording.value["response"];
        if response["body_kind"] != "json" || response["status"].as_u64().unwrap_or(200) >= 400 {
            continue;
        }
        seen += 1;
        let body = serde_json::to_vec(&response["body"]).unwrap();
        let observed = Tap::unary(recording.surface, &body);
        agree(
            &recording.name,
            &observed,
            recording.surface,
            std::slice::from_ref(&response["body"]),
        );
        let model = response["body"]["model"].as_str().filter(|model| !model.is_empty());
        assert_eq!(observed.model.as_deref(), model, "{}", recording.name);
    }
    println!("{seen} answers");
}

#[test]
fn recorded_requests_are_scanned_and_edited_in_place() {
    let mut seen = 0;
    let mut unknown = std::collections::BTreeMap::<String, u32>::new();
    for recording in recordings() {
        let request = &recording.value["request"]["body"];
        if !request.is_object() {
            continue;
        }
        seen += 1;
        let body = Bytes::from(serde_json::to_vec(request).unwrap());
        let head = Head::scan(&body, recording.surface)
            .unwrap_or_else(|error| panic!("{}: {error}", recording.name));
        assert_eq!(head.model(), request["model"].as_str(), "{}", recording.name);
        assert_eq!(head.stream(), request["stream"].as_bool().unwrap_or(false));
        for name in head.unknown(&body) {
            *unknown.entry(name.to_owned()).or_default() += 1;
        }
        let text = request.to_string();
        let messages = request["messages"].to_string();
        let has_media = [
            "\"image_url\"",
            "\"input_audio\"",
            "\"type\":\"image\"",
            "\"type\":\"document\"",
            "\"type\":\"file\"",
        ]
        .iter()
        .any(|media| messages.contains(media));
        assert!(
            !has_media || !head.cost_signals(&body).bytes_bound_input,
            "{} {text}",
            recording.name
        );

        let mut edits = Edits::new(&head, &body);
        edits.set_model("other").remove_gateway_keys();
        let there = apply(&body, &edits);
        let head = Head::scan(&there, recording.surface).unwrap();
        let mut edits = Edits::new(&head, &there);
        match request["model"].as_str() {
            Some(model) => edits.set_model(model),
            None => edits.remove("model"),
        };
        let mut expected = request.clone();
        if let Some(map) = expected.as_object_mut() {
            let kept: Value = serde_json::from_slice(&there).unwrap();
            map.retain(|key, _| !kept[key.as_str()].is_null() || request[key.as_str()].is_null());
        }
        let back: Value = serde_json::from_slice(&apply(&there, &edits)).unwrap();
        if head.raw(&there, "metadata").is_none() {
            assert_eq!(back, expected, "{}", recording.name);
        }
    }
    println!("{seen} requests; keys that no table knows: {unknown:?}");
}
