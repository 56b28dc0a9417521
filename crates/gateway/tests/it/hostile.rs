//! Upstreams that lie, leak and break; clients that ask for too much.

use crate::harness::{
    Bench, CANNED_COST_NANOUSD, PROVIDER_KEY, config, deployment, deployment_with, next, read,
    read_until,
};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use testkit::canned::{self, Reply};
use testkit::{Gate, Script, Upstream};

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const WHOLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
const CLAUDE: &str =
    r#"{"model":"m","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#;
const NO_RETRIES: &str = "router_settings: {num_retries: 0}\n";
const LONG: usize = (16 << 20) + 10;

async fn served(model: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let one = deployment("m", model, &upstream.url());
    let bench = Bench::new(&config(&[one], NO_RETRIES)).await;
    (upstream, bench)
}

/// Two deployments of one group, so that either could cool down.
async fn two(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let one = |name: &str| deployment("m", name, &upstream.url());
    let both = [one("openai/gpt-a"), one("openai/gpt-b")];
    let bench = Bench::new(&config(&both, &format!("{NO_RETRIES}{sections}"))).await;
    (upstream, bench)
}

fn chat_events() -> Vec<String> {
    canned::openai_chat_events(&Reply::text("gpt-canned", &["Hel", "lo"]))
}

/// The provider's key as JSON may spell it.
fn escaped_key() -> String {
    PROVIDER_KEY.replace('-', "\\u002d")
}

#[tokio::test]
async fn a_clients_own_mistakes_cool_no_deployment() {
    let (upstream, bench) = two("").await;
    let bad = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}"#;
    for _ in 0..20 {
        // Chat models have no embeddings path that a messages client could use:
        // refused before anything is sent.
        let answer = bench.post("/v1/messages", crate::harness::MASTER, "{\"model\":\"m\"}");
        assert_eq!(answer.answer().await.status, 400);
    }
    upstream.script(canned::openai_chat("ok").always());
    assert_eq!(bench.chat(bad).answer().await.status, 200, "still served");
}

#[tokio::test]
async fn a_clients_short_timeout_cools_no_deployment() {
    let (upstream, bench) = two("").await;
    let gate = Gate::new();
    upstream.script(Script::on("/chat/completions").stall(&gate).times(12));
    tokio::time::pause();
    for _ in 0..12 {
        let body = WHOLE.replace("\"model\"", "\"timeout\":0.05,\"model\"");
        assert_eq!(bench.chat(body).answer().await.status, 408);
    }
    tokio::time::resume();
    upstream.script(canned::openai_chat("ok").always());
    assert_eq!(bench.chat(WHOLE).answer().await.status, 200);
}

#[tokio::test]
async fn an_error_inside_a_stream_leaks_no_key_however_it_is_spelled() {
    for key in [PROVIDER_KEY.to_owned(), escaped_key()] {
        let (upstream, bench) = served("openai/gpt-up").await;
        let error = format!(
            "data: {{\"error\":{{\"message\":\"bad key {key}\",\"code\":\"{key}\",\
             \"type\":\"server_error\"}}}}\n\n"
        );
        let events = [&chat_events()[..2], &[error]].concat();
        upstream.script(Script::on("/chat/completions").sse(&events));
        let answer = bench.chat(STREAM).answer().await;
        assert!(answer.text().contains("Hel") && answer.text().contains("bad key"));
        assert!(!answer.text().contains(PROVIDER_KEY) && !answer.text().contains(&key));
        assert_eq!(bench.record().await.ending, Ending::UpstreamErrorAfter);
    }
}

#[tokio::test]
async fn an_error_to_a_translated_client_leaks_no_key() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let error = format!("data: {{\"error\":{{\"message\":\"bad key {PROVIDER_KEY}\"}}}}\n\n");
    upstream.script(Script::on("/chat/completions").sse([&chat_events()[..2], &[error]].concat()));
    let answer = bench.message(CLAUDE).answer().await;
    assert!(answer.text().contains("event: error\n") && answer.text().contains("bad key"));
    assert!(!answer.text().contains(PROVIDER_KEY));
}

#[tokio::test]
async fn an_error_answer_leaks_no_key_however_it_is_spelled() {
    for key in [PROVIDER_KEY.to_owned(), escaped_key()] {
        let (upstream, bench) = served("openai/gpt-up").await;
        let body =
            format!("{{\"error\":{{\"message\":\"no\",\"code\":\"x\",\"debug\":\"{key}\"}}}}");
        let echo = [("content-type", "application/json"), ("x-echo", PROVIDER_KEY)];
        upstream.script(Script::on("/chat/completions").answer(400, &echo, body));
        let answer = bench.chat(WHOLE).answer().await;
        assert_eq!((answer.status.as_u16(), answer.message().as_str()), (400, "no"));
        assert!(!answer.text().contains(&key), "{}", answer.text());
        assert_eq!(answer.header("llm_provider-x-echo"), None);
    }
}

/// Each attempt costs the same again, and its answer cannot be read either.
#[tokio::test]
async fn an_answer_in_an_encoding_that_nobody_asked_for_is_not_asked_for_again() {
    for (stream, body) in [(false, WHOLE), (true, STREAM)] {
        let upstream = Upstream::start().await;
        let list = [deployment("m", "openai/gpt-up", &upstream.url())];
        let bench = Bench::new(&config(&list, "router_settings: {num_retries: 3}\n")).await;
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let headers = [("content-type", kind), ("content-encoding", "x-odd")];
        upstream.script(Script::on("").answer(200, &headers, "\u{1}\u{2}").always());
        assert_eq!(bench.chat(body).answer().await.status, 502);
        assert_eq!((upstream.received().len(), bench.settled()), (1, 1));
    }
}

#[tokio::test]
async fn a_refused_provider_key_does_not_read_as_the_clients() {
    let (upstream, bench) = served("openai/gpt-up").await;
    upstream.script(canned::openai_error(401));
    let answer = bench.chat(WHOLE).answer().await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), None);
    assert!(answer.message().starts_with("The provider refused the gateway's credential"));
}

#[tokio::test]
async fn half_an_event_after_the_last_choice_is_not_passed_on() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let events = chat_events();
    let finished = events.iter().position(|event| event.contains("\"stop\"")).unwrap();
    let mut sent = events[..=finished].to_vec();
    sent.push("data: {\"id\":\"x\",\"usage\":{\"prompt".to_owned());
    upstream.script(Script::on("/chat/completions").sse(&sent));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().ends_with("\n\n"), "{}", answer.text());
    assert!(!answer.text().contains("\"prompt"));
    assert_eq!(bench.record().await.ending, Ending::CompleteWithoutUsage);
}

#[tokio::test]
async fn a_choice_that_never_came_is_no_end() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let events = chat_events();
    upstream.script(Script::on("/chat/completions").sse(&events[..events.len() - 1]));
    let answer = bench.chat(STREAM.replace("\"model\"", "\"n\":2,\"model\"")).answer().await;
    assert!(answer.text().contains("\"error\""), "{}", answer.text());
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorAfter);
}

#[tokio::test]
async fn an_event_too_long_to_observe_passes_and_the_usage_after_it_counts() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "keymoat: {response_model: upstream}\n")).await;
    let long = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(LONG));
    let events = chat_events();
    let all = [&events[..2], &[long], &events[2..]].concat();
    upstream.script(Script::on("/chat/completions").sse(&all));
    let answer = bench.chat(STREAM).answer().await;
    // The usage was asked for by the gateway alone.
    let shown: Vec<_> =
        all.iter().filter(|event| !event.contains("\"choices\":[]")).cloned().collect();
    let whole = shown.concat();
    assert_eq!(answer.body.len(), whole.len());
    assert!(answer.body == whole.as_bytes());
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost_source), (Ending::Complete, CostSource::Computed));
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn an_event_too_long_to_translate_is_an_error_and_never_the_upstreams_bytes() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let long = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(LONG));
    let events = chat_events();
    upstream.script(
        Script::on("/chat/completions").sse([&events[..2], &[long], &events[2..]].concat()),
    );
    let answer = bench.message(CLAUDE).answer().await;
    assert!(!answer.text().contains("yyyy"));
    assert!(answer.text().contains("event: error\n"), "{}", answer.text());
    assert!(!answer.text().contains("message_stop"));
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorAfter);
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_is_told_as_one() {
    for late in [false, true] {
        let (upstream, bench) = served("openai/gpt-up").await;
        let gate = Gate::new();
        let json = canned::openai_chat("Hello").into_steps();
        upstream.script(Script::on("/chat/completions").stall(&gate).steps(json));
        if !late {
            gate.open();
        }
        let call = bench.chat(STREAM).send();
        let response = if late {
            let paused = async {
                gate.reached().await;
                tokio::time::pause();
                std::future::pending::<()>().await;
            };
            let response =
                tokio::select! { answer = call => answer, () = paused => unreachable!() };
            tokio::time::resume();
            gate.open();
            response
        } else {
            call.await
        };
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/event-stream"));
        let text = read(response.into_body()).await;
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains("Hello") && text.ends_with("data: [DONE]\n\n"), "{text}");
        let data =
            |line: &str| line.is_empty() || line.starts_with(':') || line.starts_with("data: ");
        assert!(text.lines().all(data), "{text}");
    }
}

#[tokio::test]
async fn an_answer_in_an_encoding_that_nobody_asked_for_is_an_error() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    upstream.script(
        Script::on("/chat/completions").when_header("accept-encoding", "identity").answer(
            200,
            &gzip,
            "\x1f\u{8b}...",
        ),
    );
    assert_eq!(bench.chat(WHOLE).answer().await.status, 502);
}

#[tokio::test]
async fn an_upstreams_other_success_is_passed_through() {
    let (upstream, bench) = served("openai/gpt-up").await;
    upstream.script(
        Script::on("/chat/completions")
            .json(202, canned::openai_chat_body(&Reply::text("m", &["a"]))),
    );
    assert_eq!(bench.chat(WHOLE).answer().await.status, 202);
}

#[tokio::test]
async fn an_idempotency_key_means_another_for_each_key() {
    let (upstream, bench) = served("openai/gpt-up").await;
    upstream.script(canned::openai_chat("ok").always());
    let keys = [bench.key(|_| {}).await, bench.key(|_| {}).await];
    for key in [&keys[0], &keys[0], &keys[1]] {
        let call = bench.post("/v1/chat/completions", key, WHOLE);
        assert_eq!(call.header("idempotency-key", "order-7").answer().await.status, 200);
    }
    let seen: Vec<String> = upstream
        .received()
        .iter()
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert!(seen[0] == seen[1] && seen[0] != seen[2] && seen[0] != "order-7", "{seen:?}");
}

#[tokio::test]
async fn a_place_in_flight_is_taken_before_the_body_and_kept_while_an_answer_is_drained() {
    let upstream = Upstream::start().await;
    let drained = deployment_with("m", "anthropic/claude-up", &upstream.url(), "");
    let bench = Bench::new(&config(&[drained], NO_RETRIES)).await;
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    let gate = Gate::new();
    upstream.script(
        Script::on("/messages")
            .sse_head()
            .sse_events(&canned::anthropic_events(&Reply::text("c", &["Hel"]))[..4])
            .stall(&gate)
            .sse_end(),
    );
    let mut body = bench.post("/v1/messages", &key, CLAUDE).send().await.into_body();
    read_until(&mut body, "Hel").await;
    assert_eq!(bench.in_flight(&key, 1), 1);
    let refused = bench.post("/v1/messages", &key, "not read at all").answer().await;
    assert_eq!(refused.status, 429);
    drop(body);
    assert_eq!((bench.settled(), bench.in_flight(&key, 1)), (0, 1));
    gate.open();
    bench.records(1).await;
    while bench.in_flight(&key, 1) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn pings_without_end_do_not_pile_up() {
    let (upstream, bench) = served("openai/gpt-up").await;
    let comments = vec![format!(": {}\n\n", "p".repeat(1000)); 400];
    let gate = Gate::new();
    upstream.script(
        Script::on("/chat/completions")
            .sse_head()
            .sse_events(&comments)
            .stall(&gate)
            .sse_events(chat_events())
            .sse_end(),
    );
    let mut body = bench.chat(STREAM).send().await.into_body();
    assert!(next(&mut body).await.unwrap().starts_with(b": pp"), "before the gate opens");
    gate.open();
    assert!(read(body).await.ends_with(b"data: [DONE]\n\n"));
}

/// A 45 MB body of 1.4 million messages took most of a gigabyte to translate.
#[tokio::test]
async fn a_body_of_very_many_values_is_not_translated() {
    let (upstream, bench) = served("anthropic/claude-up").await;
    let messages = vec![r#"{"role":"user","content":"a"}"#; 170_000].join(",");
    let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{messages}]}}"#);
    let refused = bench.chat(body).answer().await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("JSON values"), "{}", refused.text());
    assert_eq!(upstream.connections_accepted(), 0);
}
