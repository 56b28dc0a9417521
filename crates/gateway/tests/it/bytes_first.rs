//! Same dialect on both sides: what the client wrote goes up, what the
//! provider wrote comes back, but for the closed list.

use crate::harness::{Bench, config, deployment, deployment_with};
use serde_json::json;
use testkit::canned::{self, Reply};
use testkit::random::Random;
use testkit::{Script, Upstream};

/// The one change that is made by default, switched off.
const UPSTREAM: &str = "keymoat: {response_model: upstream}\n";

async fn openai(more: &str, sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment_with("m", "openai/gpt-up", &upstream.url(), more)];
    let bench = Bench::new(&config(&list, sections)).await;
    (upstream, bench)
}

async fn anthropic(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "anthropic/claude-up", &upstream.url())];
    let bench = Bench::new(&config(&list, sections)).await;
    (upstream, bench)
}

/// Odd spacing, spelling of numbers, escapes, order, keys nobody knows.
const ODD: &str = "{ \"temperature\" : 1.0e-1,\n\t\"model\": \"m\" ,\"zzz\":[1E2, -0],\
    \"messages\":[{\"content\":\"\\u00e9\\/é\",\"role\":\"user\"}], \"a b\":null }";

#[tokio::test]
async fn the_upstream_sees_the_clients_bytes_but_for_the_model() {
    let (upstream, bench) = openai("", UPSTREAM).await;
    upstream.script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(ODD).answer().await.status, 200);
    let sent = &upstream.received()[0];
    assert_eq!(sent.body, ODD.replace("\"m\"", "\"gpt-up\""));
    assert_eq!((sent.method.as_str(), sent.route()), ("POST", "/chat/completions"));

    let (upstream, bench) = anthropic(UPSTREAM).await;
    let odd = ODD.replace("{ ", "{ \"max_tokens\":  9, ");
    upstream.script(canned::anthropic_message("Hello"));
    assert_eq!(bench.message(odd.clone()).answer().await.status, 200);
    assert_eq!(upstream.received()[0].body, odd.replace("\"m\"", "\"claude-up\""));
}

#[tokio::test]
async fn a_body_with_nothing_to_change_goes_up_as_it_came() {
    let upstream = Upstream::start().await;
    let list = [deployment("gpt-up", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    let body = ODD.replace("\"m\"", "\"gpt-up\"");
    upstream.script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(body.clone()).answer().await.status, 200);
    assert_eq!(upstream.received()[0].body, body);
}

#[tokio::test]
async fn a_large_body_that_was_spooled_goes_up_unchanged() {
    let (upstream, bench) = openai("", UPSTREAM).await;
    upstream.script(canned::openai_chat("Hello"));
    let text = "0123456789abcdef".repeat(160 << 10);
    let body =
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
    assert_eq!(bench.chat(body.clone()).answer().await.status, 200);
    assert!(upstream.received()[0].body == body.replacen("\"m\"", "\"gpt-up\"", 1));
}

#[tokio::test]
async fn a_whole_answer_comes_back_byte_for_byte() {
    for split in [&[][..], &[1], &[50, 51, 52, 100]] {
        let (upstream, bench) = openai("", UPSTREAM).await;
        let body = "{ \"zzz\": 1.50, \"id\":\"x\",\"model\" :\"theirs\",\"choices\":[{\"index\":0,\
            \"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}],\
            \"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18} }\n";
        let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let head = whole.len() - body.len();
        let offsets: Vec<usize> = split.iter().map(|at| head + at).collect();
        upstream.script(Script::on("").send_split(whole, &offsets));
        assert_eq!(bench.chat(ODD).answer().await.body, body);
        assert_eq!(bench.record().await.usage.output, 7);
    }
}

#[tokio::test]
async fn a_stream_comes_back_byte_for_byte_at_any_split() {
    let stream =
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let mut random = Random::new(5);
    // Comments, other line ends, fields nobody knows.
    let mut events = canned::openai_chat_events(&Reply::text("gpt", &["Hé", "l\u{1f980}lo"]));
    events.insert(1, ": a comment\n\n".to_owned());
    events.insert(2, "id: 7\r\nretry: 10\r\n\r\n".to_owned());
    events[3] = events[3].replace("\n\n", "\r\n\r\n").replace("data: {", "data:{ \"zzz\":1.0,");
    let whole = events.concat();
    let (upstream, bench) = openai("", UPSTREAM).await;
    for round in 1..=25 {
        let cut = |random: &mut Random| {
            let mut offsets: Vec<usize> = (0..6).map(|_| random.below(whole.len())).collect();
            offsets.sort_unstable();
            offsets
        };
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut from = 0;
        for at in cut(&mut random) {
            pieces.push(&whole.as_bytes()[from..at]);
            from = at;
        }
        pieces.push(&whole.as_bytes()[from..]);
        upstream.script(Script::on("").sse(pieces));
        let answer = bench.chat(stream).answer().await;
        assert_eq!(answer.text(), whole);
        assert_eq!(bench.records(round).await[round - 1].usage.output, 7);
    }
    let body = &upstream.received()[0].body;
    assert_eq!(body, &stream.replace("\"m\"", "\"gpt-up\""));
}

#[tokio::test]
async fn an_anthropic_stream_comes_back_byte_for_byte() {
    let (upstream, bench) = anthropic(UPSTREAM).await;
    let events = canned::anthropic_events(&Reply::text("claude", &["Hel", "lo"]));
    upstream.script(Script::on("").sse(&events));
    let body = r#"{"model":"m","stream":true,"max_tokens":9,"messages":[]}"#;
    let answer = bench.message(body).answer().await;
    assert_eq!(answer.text(), events.concat());
    assert_eq!(upstream.received()[0].body, body.replace("\"m\"", "\"claude-up\""));
}

#[tokio::test]
async fn usage_that_nobody_asked_for_is_asked_for_and_taken_out_again() {
    let (upstream, bench) = openai("", UPSTREAM).await;
    let mut events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let without: String = events.iter().filter(|e| !e.contains("\"usage\"")).cloned().collect();
    // As OpenAI does it: `usage: null` in every other chunk.
    for event in &mut events {
        if !event.contains("\"usage\"") && !event.contains("[DONE]") {
            *event = event.replace("}\n\n", ",\"usage\":null}\n\n");
        }
    }
    upstream.script(Script::on("").sse(&events).always());
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    assert_eq!(bench.chat(body).answer().await.text(), without);
    let sent = upstream.received()[0].json();
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    assert_eq!(bench.record().await.usage.input, 11, "and yet it is known");

    let other = r#"{"model":"m","stream":true,"stream_options":{"x":1},"messages":[]}"#;
    bench.chat(other).answer().await;
    let sent = upstream.received()[1].json();
    assert_eq!(sent["stream_options"], json!({"include_usage": true, "x": 1}));
}

#[tokio::test]
async fn an_answer_names_the_model_that_was_asked_for_and_is_the_providers_otherwise() {
    let (upstream, bench) = openai("", "").await;
    let body = canned::openai_chat_body(&Reply::text("gpt-theirs", &["Hello"]));
    upstream.script(Script::on("").json(200, body.clone()));
    let shown = body.replace("\"gpt-theirs\"", "\"m\"");
    assert_eq!(bench.chat(ODD).answer().await.text(), shown);
    let events = canned::openai_chat_events(&Reply::text("gpt-theirs", &["gpt-theirs", "lo"]));
    let whole = events.concat();
    let stream =
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let shown = whole.replace("\"model\":\"gpt-theirs\"", "\"model\":\"m\"");
    for at in [1, 40, 150, whole.len() / 2, whole.len() - 3] {
        let (first, rest) = whole.as_bytes().split_at(at);
        upstream.script(Script::on("").sse([first, rest]));
        assert_eq!(bench.chat(stream).answer().await.text(), shown);
    }

    let (upstream, bench) = anthropic("").await;
    let body = canned::anthropic_body(&Reply::text("claude-theirs", &["Hello"]));
    upstream.script(Script::on("").json(200, body.clone()));
    let ask = r#"{"model":"m","max_tokens":9,"messages":[]}"#;
    assert_eq!(bench.message(ask).answer().await.text(), body.replace("claude-theirs", "m"));
    let events = canned::anthropic_events(&Reply::text("claude-theirs", &["Hel", "lo"]));
    upstream.script(Script::on("").sse(&events));
    let stream = r#"{"model":"m","stream":true,"max_tokens":9,"messages":[]}"#;
    let shown = events.concat().replace("claude-theirs", "m");
    assert_eq!(bench.message(stream).answer().await.text(), shown);
}

#[tokio::test]
async fn an_answer_in_another_dialect_names_the_model_that_was_asked_for_too() {
    for (model, path) in
        [("anthropic/claude-up", "/v1/chat/completions"), ("openai/gpt-up", "/v1/messages")]
    {
        let upstream = Upstream::start().await;
        let bench = Bench::new(&config(&[deployment("m", model, &upstream.url())], "")).await;
        for stream in [false, true] {
            let reply = Reply::text("theirs", &["Hello"]);
            upstream.script(match (model.starts_with("openai"), stream) {
                (true, true) => Script::on("").sse(canned::openai_chat_events(&reply)),
                (true, false) => Script::on("").json(200, canned::openai_chat_body(&reply)),
                (false, true) => Script::on("").sse(canned::anthropic_events(&reply)),
                (false, false) => Script::on("").json(200, canned::anthropic_body(&reply)),
            });
            let body = format!(
                "{{\"model\":\"m\",\"max_tokens\":9,\"stream\":{stream},\"messages\":[{{\"role\":\
                 \"user\",\"content\":\"Hi\"}}]}}"
            );
            let answer = bench.post(path, crate::harness::MASTER, body).answer().await;
            let text = answer.text();
            assert!(text.contains("\"model\":\"m\"") && !text.contains("theirs"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_keys_own_alias_is_the_name_that_was_asked_for() {
    let (upstream, bench) = openai("", "").await;
    upstream.script(canned::openai_chat("Hello").always());
    let aliased = r#"{"aliases":{"fast":"m"}}"#;
    let key = bench.key(|key| key.settings = aliased.to_owned()).await;
    let body = r#"{"model":"fast","messages":[]}"#;
    let answer = bench.post("/v1/chat/completions", &key, body).answer().await;
    assert_eq!(answer.json()["model"], "fast");
}

#[tokio::test]
async fn after_a_fallback_an_answer_names_the_model_that_gave_it() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment("m", "openai/gpt-up", &first.url()),
        deployment("other", "openai/gpt-up", &second.url()),
    ];
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [other]}]}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    first.script(canned::openai_error(500).always());
    second.script(canned::openai_chat("Hello").always());
    assert_eq!(bench.chat(ODD).answer().await.json()["model"], "gpt-canned");
}

#[tokio::test]
async fn response_model_upstream_keeps_the_providers_own_name() {
    let (upstream, bench) = openai("", UPSTREAM).await;
    upstream.script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(ODD).answer().await.json()["model"], "gpt-canned");
}

#[tokio::test]
async fn an_error_of_the_same_dialect_comes_back_as_it_is() {
    let (upstream, bench) = openai("", "router_settings: {num_retries: 0}\n").await;
    let body = "{ \"error\": {\"message\":\"no\", \"type\":\"odd\",\"zzz\":1.0} }";
    upstream.script(Script::on("").json(422, body));
    let answer = bench.chat(ODD).answer().await;
    assert_eq!((answer.status.as_u16(), answer.text()), (422, body));
}

#[tokio::test]
async fn a_deployments_defaults_and_drops_are_the_only_other_changes() {
    let more =
        "temperature: 0.5\nseed: 7\nextra_body: {top_k: 3}\nadditional_drop_params: [logit_bias]";
    let (upstream, bench) = openai(more, "").await;
    upstream.script(canned::openai_chat("Hello"));
    let body = r#"{"model":"m", "temperature":0.10,"logit_bias":{}, "messages":[] }"#;
    bench.chat(body).answer().await;
    let sent = &upstream.received()[0];
    let json = sent.json();
    assert_eq!((&json["seed"], &json["top_k"]), (&json!(7), &json!(3)));
    assert!(json.get("logit_bias").is_none());
    let text = std::str::from_utf8(&sent.body).unwrap();
    assert!(text.contains(r#""temperature":0.10"#), "the client's own word stands: {text}");
}

#[tokio::test]
async fn the_providers_headers_come_back_under_litellms_names() {
    let (upstream, bench) = openai("", UPSTREAM).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-request-id", "req_1"),
        ("set-cookie", "session=1"),
    ];
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    upstream.script(Script::on("").answer(200, &headers, body));
    let answer = bench.chat(ODD).header("x-litellm-call-id", "call-7").answer().await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
    assert_eq!(answer.header("llm_provider-x-request-id"), Some("req_1"));
    assert_eq!(answer.header("llm_provider-set-cookie"), None);
    assert_eq!(answer.header("x-litellm-call-id"), Some("call-7"));
    assert_eq!(answer.header("x-request-id"), Some("call-7"));
    assert_eq!(answer.header("x-litellm-model-group"), Some("m"));
    assert_eq!(answer.header("x-litellm-model-name"), Some("openai/gpt-up"));
    assert_eq!(answer.header("x-litellm-model-api-base"), Some(upstream.url().as_str()));
    assert_eq!(bench.record().await.request_id.as_ref(), "call-7");
}

/// The deployment's took the client's away.
#[tokio::test]
async fn betas_of_client_and_deployment_go_up_together() {
    let upstream = Upstream::start().await;
    let more = "extra_headers: {anthropic-beta: \"context-1m-2025-08-07,one\"}";
    let list = [deployment_with("m", "anthropic/claude-up", &upstream.url(), more)];
    let bench = Bench::new(&config(&list, "")).await;
    upstream.script(canned::anthropic_message("Hi").always());
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    bench.message(body).header("anthropic-beta", "one,two").answer().await;
    bench.message(body).answer().await;
    let file = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"file","file":{"file_id":"file_1"}},{"type":"text","text":"Hi"}]}]}"#;
    bench.chat(file).answer().await;
    let sent: Vec<_> = upstream
        .received()
        .iter()
        .map(|sent| sent.header("anthropic-beta").unwrap().to_owned())
        .collect();
    let all = [
        "one,two,context-1m-2025-08-07",
        "context-1m-2025-08-07,one",
        "context-1m-2025-08-07,one,files-api-2025-04-14",
    ];
    assert_eq!(sent, all);
}
