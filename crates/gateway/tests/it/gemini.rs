//! Google's format at both ends: who calls it, what reaches it, what it costs.

use crate::harness::{Bench, deployment};
use serde_json::{Value, json};
use testkit::{Script, Upstream, canned};

const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":3,"totalTokenCount":14},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#;
const ASK: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"maxOutputTokens":50}}"#;
const WHOLE: &str = "/v1beta/models/m:generateContent";
const STREAM: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1beta/models/m:streamGenerateContent";

async fn bench(model: &str) -> (Upstream, Bench, String) {
    let upstream = Upstream::start().await;
    let list = format!("model_list:\n{}", deployment("m", model, &upstream.url()));
    let bench = Bench::new(&list).await;
    let key = bench.key(|_| {}).await;
    (upstream, bench, key)
}

fn sent(upstream: &Upstream) -> (String, Value) {
    let request = upstream.received().pop().unwrap();
    (request.path.clone(), serde_json::from_slice(&request.body).unwrap())
}

#[tokio::test]
async fn a_client_of_googles_reaches_google_with_its_own_bytes() {
    let (upstream, bench, key) = bench("gemini/gemini-2.5-flash").await;
    upstream.script(Script::on("").json(200, ANSWER));
    let answer = bench.post(WHOLE, &key, ASK).answer().await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, ANSWER));
    let request = upstream.received().pop().unwrap();
    assert_eq!(request.path, "/models/gemini-2.5-flash:generateContent");
    assert_eq!(request.body, ASK.as_bytes());
    let headers: Vec<_> =
        request.headers.iter().filter(|(name, _)| name == "x-goog-api-key").collect();
    assert_eq!(headers.len(), 1, "the provider's own key, and not the client's");
    assert!(!format!("{headers:?}").contains(&key));
    let record = bench.record().await;
    assert_eq!((record.usage.input, record.usage.output), (9, 5));
}

#[tokio::test]
async fn a_stream_of_googles_passes_byte_for_byte_and_is_charged() {
    let (upstream, bench, key) = bench("gemini/gemini-2.5-flash").await;
    let events = [
        r#"{"candidates":[{"content":{"parts":[{"text":"He"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9}}"#,
        ANSWER,
    ];
    upstream.script(Script::on("").sse(events.map(|event| format!("data: {event}\r\n\r\n"))));
    let answer = bench.post(STREAM, &key, ASK).answer().await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.text(), events.map(|event| format!("data: {event}\r\n\r\n")).concat());
    let (path, _) = sent(&upstream);
    assert_eq!(path, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    let record = bench.record().await;
    assert_eq!((record.usage.input, record.usage.output), (9, 5));
}

#[tokio::test]
async fn clients_of_openai_and_anthropic_reach_google() {
    let (upstream, bench, key) = bench("gemini/gemini-2.5-flash").await;
    upstream.script(Script::on("").json(200, ANSWER).always());
    let chat =
        json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]});
    let answer = bench.post("/v1/chat/completions", &key, chat.to_string()).answer().await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    let (path, body) = sent(&upstream);
    assert_eq!(path, "/models/gemini-2.5-flash:generateContent");
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "Hi"}]}]));
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 50);
    assert!(body.get("model").is_none() && body.get("stream").is_none(), "{body}");
    let answer = bench.post("/v1/messages", &key, chat.to_string()).answer().await.json();
    assert_eq!(answer["content"][0]["text"], "Hello");
    let mut streamed = chat;
    streamed["stream"] = json!(true);
    upstream.forget();
    upstream.script(Script::on("").sse([format!("data: {ANSWER}\n\n")]));
    let answer = bench.post("/v1/chat/completions", &key, streamed.to_string()).answer().await;
    assert!(answer.text().contains("Hello") && answer.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(sent(&upstream).0, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
}

#[tokio::test]
async fn a_client_of_googles_reaches_openai_and_anthropic() {
    let (upstream, bench, key) = bench("openai/gpt-up").await;
    upstream.script(canned::openai_chat("Hello"));
    let answer = bench.post(WHOLE, &key, ASK).answer().await.json();
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "Hello");
    assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
    assert!(answer["usageMetadata"]["totalTokenCount"].as_u64().unwrap() > 0);
    let (_, body) = sent(&upstream);
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Hi"}]));
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]));
    let answer = bench.post(STREAM, &key, ASK).answer().await;
    let events: Vec<Value> = answer
        .text()
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .collect();
    let text: String = events
        .iter()
        .filter_map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "Hello");
    assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    assert_eq!(sent(&upstream).1["stream"], true);
    let (upstream, bench, key) = self::bench("anthropic/claude-sonnet-4-5").await;
    upstream.script(canned::anthropic_message("Hello"));
    let answer = bench.post(WHOLE, &key, ASK).answer().await.json();
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "Hello");
    assert_eq!(sent(&upstream).1["max_tokens"], 50);
}

#[tokio::test]
async fn a_cap_limits_the_output_of_a_request_of_googles() {
    let (upstream, bench, _) = bench("gemini/gemini-2.5-flash").await;
    upstream.script(Script::on("").json(200, ANSWER).always());
    let key = bench.key(|key| key.max_budget = Some(base::NanoUsd(20_000_000))).await;
    let ask = ASK.replace("50", "50000");
    assert_eq!(bench.post(WHOLE, &key, ask).answer().await.status, 200);
    let limit = sent(&upstream).1["generationConfig"]["maxOutputTokens"].as_u64().unwrap();
    assert!(limit < 50_000, "{limit}");
}

#[tokio::test]
async fn errors_and_counts_are_in_googles_words() {
    let (upstream, bench, key) = bench("openai/gpt-up").await;
    let count = bench.post("/v1beta/models/m:countTokens", &key, ASK).answer().await.json();
    assert!(count["totalTokens"].as_u64().unwrap() > 0, "{count}");
    let refused = bench.post(WHOLE, "sk-wrong", ASK).answer().await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["status"], "UNAUTHENTICATED");
    let unknown = bench.post("/v1beta/models/nobody:generateContent", &key, ASK).answer().await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    upstream.script(canned::openai_error(429).always());
    let limited = bench.post(WHOLE, &key, ASK).answer().await;
    assert_eq!(limited.json()["error"]["status"], "RESOURCE_EXHAUSTED", "{}", limited.text());
}

#[tokio::test]
async fn a_stream_without_alt_sse_is_one_array() {
    let (upstream, bench, key) = bench("gemini/gemini-2.5-flash").await;
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"He, ]"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9}}"#;
    let events = [first, ANSWER].map(|event| format!("data: {event}\r\n\r\n"));
    upstream.script(Script::on("").sse(events));
    let answer = bench.post(ARRAY, &key, ASK).answer().await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    let expected: Vec<Value> =
        [first, ANSWER].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(answer.json(), Value::from(expected));
    assert_eq!(sent(&upstream).0, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(bench.record().await.usage.output, 5);
}

#[tokio::test]
async fn an_array_is_translated_and_holds_errors_as_elements() {
    let (upstream, bench, key) = bench("openai/gpt-up").await;
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]));
    let answer = bench.post(ARRAY, &key, ASK).answer().await.json();
    let elements = answer.as_array().unwrap();
    let text = elements
        .iter()
        .filter_map(|element| element["candidates"][0]["content"]["parts"][0]["text"].as_str());
    assert_eq!(text.collect::<String>(), "Hello");
    assert_eq!(elements.last().unwrap()["candidates"][0]["finishReason"], "STOP");

    upstream.script(canned::openai_error_in_stream(&["Hel"]));
    let answer = bench.post(ARRAY, &key, ASK).answer().await;
    assert_eq!(answer.status, 200);
    let elements = answer.json();
    let error = &elements.as_array().unwrap().last().unwrap()["error"];
    assert!(error["message"].is_string(), "{elements}");

    upstream.script(canned::openai_error(400));
    let refused = bench.post(ARRAY, &key, ASK).answer().await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()[0]["error"]["status"], "INVALID_ARGUMENT", "{}", refused.text());
}

#[tokio::test]
async fn a_deployments_parameters_are_said_in_googles_words() {
    let upstream = Upstream::start().await;
    let deployment = deployment("m", "gemini/gemini-2.5-flash", &upstream.url());
    let own =
        "      temperature: 0.2\n      max_tokens: 100\n      additional_drop_params: [top_k]\n";
    let bench = Bench::new(&format!("model_list:\n{deployment}{own}")).await;
    let key = bench.key(|_| {}).await;
    upstream.script(Script::on("").json(200, ANSWER).always());
    let ask = ASK.replace("50", "50,\"topK\":3");
    let answer = bench.post(WHOLE, &key, ask).answer().await;
    assert_eq!(answer.header("x-keymoat-dropped"), Some("generationConfig.topK"));
    let config = sent(&upstream).1["generationConfig"].clone();
    assert_eq!(config, json!({"temperature": 0.2, "maxOutputTokens": 50}));
    let bare = r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#;
    bench.post(WHOLE, &key, bare).answer().await;
    assert_eq!(sent(&upstream).1["generationConfig"]["maxOutputTokens"], 100);
}

#[tokio::test]
async fn an_endpoint_with_a_scheme_of_its_own_gets_the_key_in_that() {
    let (upstream, bench, key) = bench("gemini/gemini-embedding-001").await;
    upstream.script(canned::embeddings(1));
    let body = json!({"model": "m", "input": "Hi"}).to_string();
    let answer = bench.post("/v1/embeddings", &key, body).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = upstream.received().pop().unwrap();
    assert_eq!(request.path, "/openai/embeddings");
    let bearer = request.header("authorization").unwrap();
    assert!(bearer.starts_with("Bearer ") && !bearer.contains(&key));
    assert_eq!(request.header("x-goog-api-key"), None);
}
