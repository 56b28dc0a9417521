//! Speed of the request path, by body size:
//! `cargo run --release -p dialect --example throughput [SECONDS_PER_ROW]`.
//!
//! The bodies are what coding agents send: a long system prompt, tools with
//! schemas, and turns of source code with escapes and text beyond ASCII. Each
//! figure is the best of several rounds, so that other work on the machine
//! hardly counts.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use bytes::Bytes;
use dialect::Surface;
use dialect::head::Head;
use dialect::splice::{self, Edits};
use dialect::{Dialect, Dropped, Target};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Source code as a tool's result holds it: quotes, tabs, line breaks.
const CODE: &str = "fn parse_header(line: &str) -> Result<(&str, &str), Error> {\n\tlet (name, value) = line.split_once(\": \").ok_or(Error::NoColon)?;\n\tif name.is_empty() || name.contains('\\\\') {\n\t\treturn Err(Error::BadName(format!(\"{name:?} in \\\"{line}\\\"\")));\n\t}\n\tOk((name, value.trim()))\n}\n\n";
/// Prose, mostly ASCII.
const PROSE: &str = "The reader keeps the order of keys and the spelling of numbers, so a cached prefix stays valid. Please check the naïve approach first – it may be good enough – and say what you have measured. ";
/// Text beyond ASCII.
const OTHER: &str = "請先閱讀測試,然後修改程式碼。Пожалуйста, проверьте результат. 🎉 ";

/// The text of turn number `n`, of at least `bytes` bytes.
fn text(n: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 512);
    let mut at = n;
    while text.len() < bytes {
        text.push_str(match at % 10 {
            0 | 5 => PROSE,
            9 => OTHER,
            _ => CODE,
        });
        at += 1;
    }
    text
}

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "path": {"type": "string", "description": "Absolute path of the file."},
        "offset": {"type": "integer", "minimum": 0}, "limit": {"type": "integer"}},
        "required": ["path"], "additionalProperties": false})
}

/// A chat request of about `bytes` bytes.
fn openai(bytes: usize) -> Vec<u8> {
    let piece = (bytes / 12).clamp(60, 6_000);
    let mut messages = vec![json!({"role": "system", "content": text(0, piece)})];
    let mut said = piece;
    let mut n = 1;
    while said < bytes {
        let (id, words) = (format!("call_{n}"), text(n, piece));
        said += words.len() + words.len() / 12 + 300;
        let arguments = json!({"path": format!("/src/module_{n}.rs"), "limit": n}).to_string();
        messages.push(json!({"role": "user", "content": [{"type": "text", "text": "Go on."}]}));
        messages.push(json!({"role": "assistant", "content": "I read the file.", "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "read", "arguments": arguments}}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": words}));
        n += 1;
    }
    let tool = json!({"type": "function", "function":
        {"name": "read", "description": "Reads a file.", "parameters": schema()}});
    let body = json!({"model": "group", "stream": true, "max_tokens": 4096, "messages": messages,
        "tools": [tool], "temperature": 0.2});
    body.to_string().into_bytes()
}

/// A messages request of about `bytes` bytes.
fn anthropic(bytes: usize) -> Vec<u8> {
    let piece = (bytes / 12).clamp(60, 6_000);
    let mut messages = vec![json!({"role": "user", "content": "Begin."})];
    let mut said = piece;
    let mut n = 1;
    while said < bytes {
        let (id, words) = (format!("toolu_{n}"), text(n, piece));
        said += words.len() + words.len() / 12 + 300;
        messages.push(json!({"role": "assistant", "content": [
            {"type": "text", "text": "I read the file."},
            {"type": "tool_use", "id": id, "name": "read",
             "input": {"path": format!("/src/module_{n}.rs"), "limit": n}}]}));
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": words}]},
            {"type": "text", "text": "Go on."}]}));
        n += 1;
    }
    let tool = json!({"name": "read", "description": "Reads a file.", "input_schema": schema()});
    let system = json!([{"type": "text", "text": text(0, piece),
        "cache_control": {"type": "ephemeral"}}]);
    let body = json!({"model": "group", "stream": true, "max_tokens": 4096, "system": system,
        "messages": messages, "tools": [tool]});
    body.to_string().into_bytes()
}

/// The best time that `work` takes, measured for `whole` in all.
fn best(whole: Duration, mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < whole {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
    }
    best
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.5);
    let whole = Duration::from_secs_f64(seconds);
    let gigabytes = |bytes: usize, time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    println!("{:<36} {:>9} {:>9} {:>9}", "", "1 KB", "100 KB", "1,000 KB");
    let row = |name: &str, unit: f64, figures: [f64; 3]| {
        let [a, b, c] = figures.map(|figure| figure * unit);
        println!("{name:<36} {a:>9.2} {b:>9.2} {c:>9.2}");
    };
    let sizes = [1_000, 100_000, 1_000_000];
    for (name, surface, make) in [
        ("OpenAI chat", Surface::OpenAiChat, openai as fn(usize) -> Vec<u8>),
        ("Anthropic messages", Surface::AnthropicMessages, anthropic),
    ] {
        let bodies = sizes.map(make);
        let scan = bodies.each_ref().map(|body| {
            let time = best(whole, || {
                let _head = black_box(Head::scan(black_box(body), surface));
            });
            gigabytes(body.len(), time)
        });
        row(&format!("{name}: scan, GB/s"), 1.0, scan);
        let bound = bodies.each_ref().map(|body| {
            let Ok(head) = Head::scan(body, surface) else { return 0.0 };
            let time = best(whole, || {
                let _signals = black_box(head.cost_signals(black_box(body)));
            });
            gigabytes(body.len(), time)
        });
        row(&format!("{name}: cost signals, GB/s"), 1.0, bound);
        let edit = bodies.each_ref().map(|body| {
            let Ok(head) = Head::scan(body, surface) else { return 0.0 };
            let body = Bytes::from(body.clone());
            let time = best(whole, || {
                let mut edits = Edits::new(&head, &body);
                edits.set_model("another-model").set_output_limit("max_tokens", 1000);
                let _sent = black_box(splice::apply(black_box(&body), &edits));
            });
            gigabytes(body.len(), time)
        });
        row(&format!("{name}: edit, GB/s"), 1.0, edit);
        let scanned = bodies.each_ref().map(|body| {
            let Ok(head) = Head::scan(body, surface) else { return 0.0 };
            let body = Bytes::from(body.clone());
            let time = best(whole, || {
                let mut edits = Edits::new(&head, &body);
                edits.set_text("temperature", "1".to_owned()).remove("tools");
                let _sent = black_box(edits.applied(black_box(&body)).is_ok());
            });
            gigabytes(body.len(), time)
        });
        row(&format!("{name}: edit and head, GB/s"), 1.0, scanned);
        let from = surface.dialect();
        for to in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let translated = bodies.each_ref().map(|body| {
                let time = best(whole, || {
                    let request = from.decode_request(black_box(body)).ok();
                    let target = Target { model: "m", ..Target::default() };
                    let sent = request
                        .map(|r| to.encode_request(&r, &target, &mut Dropped::default()).is_ok());
                    assert_eq!(black_box(sent), Some(true), "it can be translated");
                });
                gigabytes(body.len(), time)
            });
            row(&format!("{name} to {to:?}, MB/s"), 1000.0, translated);
        }
        let decoded = bodies.each_ref().map(|body| {
            let time = best(whole, || {
                let _request = black_box(from.decode_request(black_box(body)).is_ok());
            });
            gigabytes(body.len(), time)
        });
        row(&format!("{name}: decode alone, MB/s"), 1000.0, decoded);
    }
}
