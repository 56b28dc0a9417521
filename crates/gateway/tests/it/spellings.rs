//! A provider's key in any spelling, at any place where a provider has a say,
//! reaches neither the client nor the log.

use crate::harness::{Answer, Bench, MASTER, PROVIDER_KEY, config, deployment};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use testkit::{Script, Upstream};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECTIONS: &str = "router_settings: {num_retries: 0, disable_cooldowns: true}\n";

/// Each as it is written in the source of a JSON string.
fn spellings() -> Vec<(&'static str, String)> {
    let key = PROVIDER_KEY;
    let each = |spell: fn(u8) -> String| key.bytes().map(spell).collect::<String>();
    let (first, last) = key.split_at(key.len() / 2);
    vec![
        ("plain", key.to_owned()),
        ("upper case", key.to_uppercase()),
        ("reversed", key.chars().rev().collect()),
        ("spaced", format!("{first} {last}")),
        ("two lines", format!("{first}\\n{last}")),
        ("escaped", each(|byte| format!("\\u{byte:04x}"))),
        ("escaped twice", each(|byte| format!("\\\\u{byte:04x}"))),
        ("hex", each(|byte| format!("{byte:02x}"))),
        ("upper hex", each(|byte| format!("{byte:02X}"))),
        ("percent", each(|byte| format!("%{byte:02X}"))),
        ("entities", each(|byte| format!("&#{byte};"))),
        ("hex entities", each(|byte| format!("&#x{byte:x};"))),
        ("base64", STANDARD.encode(key)),
        ("base64 of a header", STANDARD.encode(format!("Bearer {key}"))),
        ("base64 of basic", URL_SAFE.encode(format!(":{key}"))),
        ("base64 without padding", STANDARD_NO_PAD.encode(key)),
        ("first half", first.to_owned()),
        ("last half", last.to_owned()),
    ]
}

const PLACES: [&str; 10] = [
    "message of a 400",
    "message of a 401",
    "message of a 403",
    "code of a 500",
    "unknown member of a 400",
    "header of a 400",
    "header of a 200",
    "name of a header",
    "error inside a 200",
    "error inside a stream",
];

fn error(kind: &str, text: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"message":"Key: {text}.","type":"{kind}","param":null,"code":null}}}}"#
    )
}

/// What the upstream does to say `text` at `place`. `None` if it cannot be said
/// there.
fn script(place: &str, text: &str, openai: bool) -> Option<Script> {
    const JSON: (&str, &str) = ("content-type", "application/json");
    let message = error("odd_error", text);
    let named = format!("x-{}", text.to_lowercase());
    let script = Script::on("");
    // A header has no escapes.
    let is_escaped = text.contains('\\');
    let is_name = named.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some(match place {
        "message of a 400" => script.json(400, message),
        "message of a 401" => script.json(401, message),
        "message of a 403" => script.json(403, message),
        "code of a 500" => script.json(
            500,
            format!(
                r#"{{"error":{{"message":"no","type":"{text}","param":"{text}","code":"{text}"}}}}"#
            ),
        ),
        "unknown member of a 400" => script
            .json(400, format!(r#"{{"error":{{"message":"no","type":"x"}},"debug":["{text}"]}}"#)),
        "header of a 400" if !is_escaped => {
            script.answer(400, &[JSON, ("x-ratelimit-echo", text)], error("x", "none"))
        }
        "header of a 200" if !is_escaped => {
            script.answer(200, &[JSON, ("x-ratelimit-echo", text)], whole(openai))
        }
        "name of a header" if is_name => script.answer(200, &[JSON, (&named, "1")], whole(openai)),
        "error inside a 200" => script.json(200, message),
        "error inside a stream" => script.sse([format!("event: error\ndata: {message}\n\n")]),
        _ => return None,
    })
}

fn whole(openai: bool) -> String {
    let reply = testkit::canned::Reply::text("theirs", &["Hello"]);
    if openai {
        testkit::canned::openai_chat_body(&reply)
    } else {
        testkit::canned::anthropic_body(&reply)
    }
}

/// Everything that is logged at `INFO` and above, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text<'a>(&'a mut String);
        impl Visit for Text<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut lines = self.0.lock().unwrap();
        event.record(&mut Text(&mut lines));
        lines.push('\n');
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What a spelling may look like once a JSON reader has undone its escapes.
fn forms(spelled: &str) -> Vec<String> {
    let mut forms = vec![spelled.to_owned()];
    while let Some(last) = forms.last().filter(|last| last.contains('\\')) {
        let Ok(next) = serde_json::from_str::<String>(&format!("\"{last}\"")) else { break };
        forms.push(next);
    }
    // And as a header's name.
    forms.push(spelled.to_lowercase());
    forms
}

fn assert_gone(answer: &Answer, log: &str, spelled: &str, what: &str) {
    let headers = format!("{:?}", answer.headers);
    for (place, text) in [("body", answer.text()), ("headers", &headers), ("log", log)] {
        for form in forms(spelled) {
            assert!(!text.contains(&form), "{what}: {form} in the {place}: {text}");
        }
        let whole = base::Redactor::new(&[base::Secret::new(PROVIDER_KEY.into())]);
        assert!(!whole.finds(text.as_bytes()), "{what}: {place}: {text}");
    }
}

#[tokio::test]
async fn a_providers_key_leaves_in_no_spelling_from_no_place() {
    let lines = Lines::default();
    let _log = tracing::subscriber::set_default(lines.clone());
    for (model, path) in [
        ("openai/gpt-up", "/v1/chat/completions"),
        ("anthropic/claude-up", "/v1/messages"),
        ("anthropic/claude-up", "/v1/chat/completions"),
        ("openai/gpt-up", "/v1/messages"),
    ] {
        let openai = model.starts_with("openai");
        let upstream = Upstream::start().await;
        let list = [deployment("m", model, &upstream.url())];
        let bench = Bench::new(&config(&list, SECTIONS)).await;
        for place in PLACES {
            for (name, spelled) in spellings() {
                let Some(script) = script(place, &spelled, openai) else { continue };
                upstream.script(script);
                let stream = place == "error inside a stream";
                let body = format!(
                    "{{\"model\":\"m\",\"stream\":{stream},\"max_tokens\":9,\"messages\":\
                     [{{\"role\":\"user\",\"content\":\"Hi\"}}]}}"
                );
                let answer = bench.post(path, MASTER, body).answer().await;
                let log = std::mem::take(&mut *lines.0.lock().unwrap());
                let what = format!("{name} as {place}, {model} to {path}");
                assert_gone(&answer, &log, &spelled, &what);
                assert_eq!(upstream.unmatched(), 0, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_short_key_does_not_leave_either() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url()).replace(PROVIDER_KEY, "secret1")];
    let bench = Bench::new(&config(&list, SECTIONS)).await;
    for (status, text) in
        [(400, "secret1"), (400, "SECRET1"), (400, "c2VjcmV0MQ=="), (500, "1terces")]
    {
        upstream.script(Script::on("").json(status, error("x", text)));
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        let answer = bench.chat(body).answer().await;
        assert_eq!(answer.message(), "Key: [redacted].", "{text}");
    }
}

#[tokio::test]
async fn of_a_401_and_a_403_nothing_is_kept_but_the_class_and_the_providers_request_id() {
    let lines = Lines::default();
    let _log = tracing::subscriber::set_default(lines.clone());
    for (status, words) in [(401, "refused the gateway's credential"), (403, "does not let the")] {
        for inside in [false, true] {
            let upstream = Upstream::start().await;
            let list = [deployment("m", "openai/gpt-up", &upstream.url())];
            let bench = Bench::new(&config(&list, SECTIONS)).await;
            let body = format!(
                r#"{{"error":{{"message":"told secretly","type":"told","param":"told","code":"{}"}}}}"#,
                if status == 401 { "invalid_api_key" } else { "permission_denied" }
            );
            let headers = [
                ("content-type", "application/json"),
                ("x-request-id", "req_1"),
                ("x-told", "told"),
                ("retry-after", "7"),
            ];
            let script = Script::on("").answer(if inside { 200 } else { status }, &headers, body);
            upstream.script(script);
            let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
            let answer = bench.chat(body).answer().await;
            assert_eq!(answer.status.as_u16(), status);
            assert!(answer.message().contains(words), "{}", answer.text());
            assert!(!answer.text().contains("told"), "{}", answer.text());
            assert!(!format!("{:?}", answer.headers).contains("told"), "{:?}", answer.headers);
            assert_eq!(answer.header("retry-after"), None);
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            if !inside {
                assert_eq!(answer.header("llm_provider-x-request-id"), Some("req_1"));
            }
            let log = std::mem::take(&mut *lines.0.lock().unwrap());
            assert!(log.contains(&status.to_string()) && !log.contains("told"), "{log}");
        }
    }
}
