//! A provider's key stays with its provider; a client's stays with us.

use crate::harness::{Answer, Bench, MASTER, PROVIDER_KEY, config, deployment, deployment_with};
use testkit::canned::{self, Reply};
use testkit::{Script, Upstream};

const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const NO_RETRIES: &str = "router_settings: {num_retries: 0}\n";

async fn one(model: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment("m", model, &upstream.url())];
    let bench = Bench::new(&config(&list, NO_RETRIES)).await;
    (upstream, bench)
}

/// Neither in the answer nor in any record.
async fn assert_no_leak(bench: &Bench, answer: &Answer, records: usize) {
    assert!(!answer.text().contains(PROVIDER_KEY), "{}", answer.text());
    let headers = format!("{:?}", answer.headers);
    assert!(!headers.contains(PROVIDER_KEY), "{headers}");
    let records = format!("{:?} {:?}", bench.records(records).await, bench.opened());
    assert!(!records.contains(PROVIDER_KEY), "{records}");
}

#[tokio::test]
async fn a_key_echoed_in_an_error_status_never_reaches_the_client() {
    let message = format!("Incorrect API key provided: {PROVIDER_KEY}. Find yours elsewhere.");
    for (model, path) in [
        ("openai/gpt-up", "/v1/chat/completions"),
        ("anthropic/claude-up", "/v1/messages"),
        ("anthropic/claude-up", "/v1/chat/completions"),
        ("openai/gpt-up", "/v1/messages"),
    ] {
        for status in [401, 400, 500] {
            let (upstream, bench) = one(model).await;
            let body = canned::openai_error_body(PROVIDER_KEY, Some(PROVIDER_KEY), &message)
                .replace("\"param\":null", &format!("\"param\":\"{PROVIDER_KEY}\""));
            let headers = [("content-type", "application/json"), ("x-echo", PROVIDER_KEY)];
            upstream.script(Script::on("").answer(status, &headers, body));
            let answer = bench.post(path, MASTER, CHAT).answer().await;
            assert!(!answer.status.is_success());
            // Errors about the key itself are replaced whole, whatever their status.
            let message = answer.message();
            let is_left_out = message.contains("words are left out");
            assert!(is_left_out || (status != 401 && message.contains("[redacted]")), "{message}");
            assert_no_leak(&bench, &answer, 1).await;
        }
    }
}

#[tokio::test]
async fn a_key_echoed_inside_a_200_never_reaches_the_client() {
    let (upstream, bench) = one("openai/gpt-up").await;
    let body = canned::openai_error_body("x", Some(PROVIDER_KEY), &format!("bad {PROVIDER_KEY}"));
    upstream.script(Script::on("").json(200, body));
    let answer = bench.chat(CHAT).answer().await;
    assert!(answer.message().contains("bad [redacted]"), "{}", answer.text());
    assert_no_leak(&bench, &answer, 1).await;
}

#[tokio::test]
async fn a_key_echoed_in_a_header_of_an_answer_never_reaches_the_client() {
    let (upstream, bench) = one("openai/gpt-up").await;
    let echo = format!("Bearer {PROVIDER_KEY}");
    let headers = [("content-type", "application/json"), ("x-ratelimit-echo", echo.as_str())];
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    upstream.script(Script::on("").answer(200, &headers, body));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 200);
    assert_no_leak(&bench, &answer, 1).await;
}

#[tokio::test]
async fn a_key_echoed_by_a_stream_never_reaches_the_client() {
    let error = canned::openai_error_body("x", Some(PROVIDER_KEY), &format!("bad {PROVIDER_KEY}"));
    let anthropic = canned::anthropic_error_body("api_error", &format!("bad {PROVIDER_KEY}"));
    for text in [&[][..], &["Hel"]] {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let (upstream, bench) = one("openai/gpt-up").await;
            let mut events = canned::openai_chat_events(&Reply::text("gpt", text));
            events.truncate(1 + text.len());
            // Cut in the middle of the key, and the rest without a blank line.
            let event = format!("data: {error}\n\n");
            let at = event.find(PROVIDER_KEY).unwrap() + 9;
            let (start, rest) = event.split_at(at);
            events.extend([start.to_owned(), rest.trim_end().to_owned()]);
            upstream.script(Script::on("").sse(events));
            let answer = bench.post(path, MASTER, STREAM).answer().await;
            assert!(answer.text().contains("bad [redacted]"), "{path}: {}", answer.text());
            assert_no_leak(&bench, &answer, 1).await;

            let (upstream, bench) = one("anthropic/claude-up").await;
            let all = canned::anthropic_events(&Reply::text("claude", &["Hel"]));
            let kept = if text.is_empty() { 2 } else { 4 };
            let mut events = all[..kept].to_vec();
            events.push(format!("event: error\ndata: {anthropic}\n\n"));
            upstream.script(Script::on("").sse(events));
            let answer = bench.post(path, MASTER, STREAM).answer().await;
            assert!(answer.text().contains("bad [redacted]"), "{path}: {}", answer.text());
            assert_no_leak(&bench, &answer, 1).await;
        }
    }
}

#[tokio::test]
async fn nothing_of_the_clients_identity_reaches_the_upstream() {
    for (model, header, expected) in [
        ("openai/gpt-up", "authorization", format!("Bearer {PROVIDER_KEY}")),
        ("anthropic/claude-up", "x-api-key", PROVIDER_KEY.to_owned()),
    ] {
        let (upstream, bench) = one(model).await;
        let openai = model.starts_with("openai");
        let script =
            if openai { canned::openai_chat("Hello") } else { canned::anthropic_message("Hello") };
        upstream.script(script.always());
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let answer = bench
                .post(path, MASTER, CHAT)
                .header("x-api-key", "sk-client-secret-key")
                .header("api-key", "sk-client-secret-key")
                .header("x-goog-api-key", "sk-client-secret-key")
                .header("cookie", "session=sk-client-secret-key")
                .header("proxy-authorization", "Basic sk-client-secret-key")
                .header("x-forwarded-for", "192.0.2.7")
                .header("openai-organization", "org-client")
                .header("x-litellm-tags", "a,b")
                .answer()
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        for sent in upstream.received() {
            let all = format!("{:?}", sent.headers);
            for secret in [MASTER, "sk-client-secret-key", "192.0.2.7", "org-client", "litellm"] {
                assert!(!all.contains(secret), "{secret} in {all}");
            }
            assert_eq!(sent.header(header), Some(expected.as_str()));
            assert_eq!(all.matches(PROVIDER_KEY).count(), 1);
        }
    }
}

#[tokio::test]
async fn what_would_choose_the_host_or_the_key_is_refused() {
    let (upstream, bench) = one("openai/gpt-up").await;
    let evil = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello"));
    let body = format!(
        "{{\"api_base\":\"{0}\",\"base_url\":\"{0}\",\"api_key\":\"sk-evil\",\"model\":\"m\",\
         \"custom_llm_provider\":\"anthropic\",\"extra_headers\":{{\"host\":\"evil\"}},\
         \"API_BASE\":\"{0}\",\"messages\":[]}}",
        evil.url()
    );
    let answer = bench.chat(body).answer().await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(evil.connections_accepted(), 0);

    let body = "{\"api_base\":\"http://192.0.2.1\",\"api_key\":\"sk-evil\",\"model\":\"m\",\"messages\":[]}";
    let answer = bench.chat(body).answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("`api_base`") && !answer.text().contains("sk-evil"));
    assert_eq!(upstream.connections_accepted(), 0, "and no call is made with another key");
}

/// They were taken out on the way, without a word.
#[tokio::test]
async fn headers_with_a_credential_that_the_operator_writes_out_are_sent() {
    let upstream = Upstream::start().await;
    let more = "extra_headers: {Ocp-Apim-Subscription-Key: apim-1234567, Authorization: Basic \
                b3A6c2VjcmV0, X-Team: red}";
    let own = deployment_with("m", "openai/gpt-up", &upstream.url(), more);
    let bench = Bench::new(&config(&[own], NO_RETRIES)).await;
    upstream.script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    let sent = &upstream.received()[0];
    assert_eq!(sent.header("ocp-apim-subscription-key"), Some("apim-1234567"));
    assert_eq!(sent.header("authorization"), Some("Basic b3A6c2VjcmV0"));
    assert_eq!(sent.header("x-team"), Some("red"));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_moves_no_key() {
    let (upstream, bench) = one("openai/gpt-up").await;
    let evil = Upstream::start().await;
    let there = evil.url();
    upstream.script(Script::on("").answer(307, &[("location", &there)], ""));
    let answer = bench.chat(CHAT).answer().await;
    assert!(answer.status.is_client_error() || answer.status.is_server_error());
    assert_eq!(evil.connections_accepted(), 0);
}

#[tokio::test]
async fn without_a_key_or_with_a_wrong_one_nothing_is_called() {
    let (upstream, bench) = one("openai/gpt-up").await;
    let wrong = "sk-00000000000000000000000000000000";
    for (name, value) in
        [("authorization", format!("Bearer {wrong}")), ("authorization", String::new())]
    {
        let answer = bench.chat(CHAT).header(name, &value).answer().await;
        assert_eq!(answer.status, 401);
        assert!(!answer.text().contains(wrong));
    }
    let blocked = bench.key(|key| key.blocked = true).await;
    let expired = bench.key(|key| key.expires_at_ms = Some(crate::harness::NOW_MS)).await;
    let other = bench.key(|key| key.models = vec!["other".into()]).await;
    for (key, status, word) in
        [(blocked, 401, "blocked"), (expired, 400, "Expired"), (other, 403, "key not allowed")]
    {
        let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.message().contains(word), "{}", answer.text());
    }
    assert!(upstream.received().is_empty());
    assert_eq!(bench.settled(), 0);
}
