//! A cap is kept whatever the provider says, leaves out or invents: the amount
//! held is released only on evidence.

use crate::harness::{
    Bench, CANNED_COST_NANOUSD, config, deployment, deployment_with, local, next, read, read_until,
};
use base::NanoUsd;
use ledger::{Allowance, CostSource, Ending, Subject};
use serde_json::json;
use std::time::Duration;
use testkit::canned::{self, Reply};
use testkit::{Gate, Outcome, Script, Upstream};

const PATH: &str = "/v1/chat/completions";
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const LIMIT: NanoUsd = NanoUsd(1_000_000_000);

/// One deployment of `model`, no retries, and a key with a budget.
async fn capped(model: &str) -> (Upstream, Bench, String) {
    capped_with(model, "").await
}

async fn capped_with(model: &str, sections: &str) -> (Upstream, Bench, String) {
    let upstream = Upstream::start().await;
    let one = deployment_with("m", model, &upstream.url(), "num_retries: 0");
    let bench = Bench::new(&config(&[one], sections)).await;
    let key = bench.key(|key| key.max_budget = Some(LIMIT)).await;
    (upstream, bench, key)
}

fn event(data: &serde_json::Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(delta: &serde_json::Value, usage: &serde_json::Value) -> String {
    event(&json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": usage}))
}

#[tokio::test]
async fn output_that_is_no_text_is_charged_when_the_client_leaves_early() {
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    let gate = Gate::new();
    let audio = chunk(&json!({"audio": {"data": "A".repeat(4000)}}), &json!(null));
    let end = event(&json!({"id": "x", "object": "chat.completion.chunk", "created": 1,
        "model": "gpt", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    let usage = event(&json!({"id": "x", "object": "chat.completion.chunk", "created": 1,
        "model": "gpt", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 900,
        "total_tokens": 905, "completion_tokens_details": {"audio_tokens": 890}}}));
    let head = Script::on("").sse_head().sse_events([&audio]).stall(&gate);
    let done = "data: [DONE]\n\n".to_owned();
    upstream.script(head.sse_events([&audio, &end, &usage, &done]).sse_end());
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    next(&mut body).await.unwrap();
    drop(body);
    gate.open();
    let record = bench.record().await;
    assert_eq!((record.cost_source, record.usage.output), (CostSource::Computed, 900));
    assert_eq!(record.cost, NanoUsd(5 * 1000 + 900 * 2000));
}

#[tokio::test]
async fn half_a_report_of_usage_is_not_the_final_word() {
    // Anthropic: the output is reported in message_delta, which says nothing here.
    let (upstream, bench, key) = capped("anthropic/claude-up").await;
    let events: Vec<String> = canned::anthropic_events(&Reply::text("c", &["Hello"]))
        .into_iter()
        .map(|event| match event.contains("message_delta") {
            true => "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n".to_owned(),
            false => event,
        })
        .collect();
    upstream.script(Script::on("").sse(&events).always());
    let (native, translated) = ("/v1/messages", PATH);
    for path in [native, translated] {
        bench.post(path, &key, STREAM).answer().await;
    }
    for record in bench.records(2).await {
        assert_eq!(record.cost_source, CostSource::Estimated);
        assert_eq!(record.cost, NanoUsd(11 * 1000 + 9 * 2000), "the output that was allowed");
    }

    // OpenAI: usage with the first chunk, and never again.
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    let first = chunk(
        &json!({"content": "Hello"}),
        &json!({"prompt_tokens": 5,
        "completion_tokens": 1, "total_tokens": 6}),
    );
    let end = event(&json!({"id": "x", "object": "chat.completion.chunk", "created": 1,
        "model": "gpt", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    let done = "data: [DONE]\n\n".to_owned();
    upstream.script(Script::on("").sse([first, end, done]));
    bench.post(PATH, &key, STREAM).answer().await;
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::CompleteWithoutUsage);
    assert_eq!(record.cost_source, CostSource::Estimated);
    assert_eq!(record.cost, NanoUsd(5 * 1000 + 9 * 2000));
}

#[tokio::test]
async fn a_refusal_that_the_provider_charges_is_charged() {
    let (upstream, bench, key) = capped("azure_ai/gpt-up").await;
    let filtered = json!({"error": {"code": "content_filter", "param": "prompt", "type": null,
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "status": 400}});
    upstream.script(Script::on("").json(400, filtered.to_string()));
    upstream.script(canned::openai_error(400));
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 400);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 400);
    let records = bench.records(2).await;
    assert_eq!(records[0].cost, bench.opened()[0].reserved);
    assert_eq!((records[1].cost, records[1].cost_source), (NanoUsd::ZERO, CostSource::None));
}

#[tokio::test]
async fn errors_that_the_provider_does_not_charge_leave_a_budget_untouched() {
    let (upstream, bench, key) = capped("anthropic/claude-up").await;
    for status in [529, 503, 500] {
        upstream.script(canned::anthropic_error(status).times(20));
    }
    for _ in 0..60 {
        let answer = bench.post("/v1/messages", &key, CHAT).answer().await;
        assert!(answer.status.is_server_error());
    }
    let records = bench.records(60).await;
    assert!(records.iter().all(|record| record.cost == NanoUsd::ZERO), "{records:?}");
    let usage = bench.money(&key, LIMIT);
    assert_eq!((usage.spent, usage.held), (0, 0));
}

#[tokio::test]
async fn an_error_in_the_stream_before_any_output_is_charged_like_its_status() {
    let (upstream, bench, key) = capped("anthropic/claude-up").await;
    let start = canned::anthropic_events(&Reply::text("c", &["Hello"])).remove(0);
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    upstream.script(Script::on("").sse([start.as_str(), error]));
    bench.post("/v1/messages", &key, STREAM).answer().await;
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorBefore);
    assert_eq!(record.cost, NanoUsd(11 * 1000 + 2000), "usage as reported");
}

#[tokio::test]
async fn an_error_of_a_proxy_in_between_says_nothing_of_the_bill() {
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    // The last two are free at OpenAI, of which this server says nothing.
    for status in [502, 504, 520, 524, 408, 500, 503] {
        upstream.script(Script::on("").json(status, "{}"));
    }
    for _ in 0..7 {
        bench.post(PATH, &key, CHAT).answer().await;
    }
    for (record, opened) in bench.records(7).await.iter().zip(bench.opened()) {
        assert_eq!((record.cost, record.cost_source), (opened.reserved, CostSource::Estimated));
    }
}

#[tokio::test]
async fn a_stated_cost_counts_only_where_the_row_says_so_and_no_price_is_configured() {
    let answer = |cost: &str| {
        json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices":
            [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
              "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
                "cost": serde_json::from_str::<serde_json::Value>(cost).unwrap()}})
        .to_string()
    };
    for (model, cost) in [("openai/gpt-up", "0"), ("openai/gpt-up", "7.1"), ("openrouter/a/b", "0")]
    {
        let (upstream, bench, key) = capped(model).await;
        upstream.script(Script::on("").json(200, answer(cost)));
        bench.post(PATH, &key, CHAT).answer().await;
        let record = bench.record().await;
        assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD), "{model} states {cost}");
        assert_eq!(record.cost_source, CostSource::Computed);
    }
    let upstream = Upstream::start().await;
    let list = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openrouter/a/b, \
         api_base: \"{}\", api_key: sk-upstream-0000}}\n",
        upstream.url()
    );
    let bench = Bench::new(&list).await;
    upstream.script(Script::on("").json(200, answer("0.000001")));
    bench.chat(CHAT).answer().await;
    let record = bench.record().await;
    assert_eq!((record.cost, record.cost_source), (NanoUsd(1000), CostSource::Provider));
}

#[tokio::test]
async fn usage_that_no_model_can_have_locks_no_budget_and_cools_the_deployment() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let one = |url: &str, order| {
        let limits =
            "    model_info: {max_input_tokens: 1000, max_output_tokens: 100}\n    litellm_params";
        deployment_with("m", "openai/gpt-up", url, &format!("num_retries: 0\norder: {order}"))
            .replace("    litellm_params", limits)
    };
    let list = [one(&first.url(), 1), one(&second.url(), 2)];
    let bench = Bench::new(&config(&list, "litellm_settings: {max_budget: 1}\n")).await;
    let body = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 18_446_744_073_709_551_615_u64}});
    first.script(Script::on("").json(200, body.to_string()).always());
    second.script(canned::openai_chat("Hello").always());
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    let record = bench.record().await;
    assert_eq!(record.cost_source, CostSource::OutOfBounds);
    assert_eq!((record.cost, record.usage.output), (NanoUsd(11 * 1000 + 100 * 2000), 100));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!((first.received().len(), second.received().len()), (1, 1), "it cools down");
}

/// The shared budget of all keys, as it is now.
fn shared(bench: &Bench, limit: NanoUsd) -> ledger::CellUsage {
    bench.usage(Allowance::money(Subject::Proxy, limit, None))
}

#[tokio::test]
async fn one_key_cannot_use_up_a_shared_budget_with_calls_of_unknown_cost() {
    let sections = "litellm_settings: {max_budget: 0.001}\nkeymoat: {drain: {max_ms: 1}}\n";
    let (upstream, bench, _) = capped_with("openai/gpt-up", sections).await;
    let (limit, worst) = (NanoUsd(1_000_000), CHAT.len() as i64 * 1000 + 9 * 2000);
    let (bad, good) = (bench.key(|_| {}).await, bench.key(|_| {}).await);
    let gate = Gate::new();
    upstream.script(Script::on("").when_body_has("Hi").stall(&gate).times(1));
    bench.post(PATH, &bad, CHAT).hang_up_after(gate.reached()).await;
    let record = bench.record().await;
    assert_eq!((record.cost, record.cost_source), (NanoUsd(worst), CostSource::Estimated));
    // More than five percent of the limit: this key must wait, others need not.
    upstream.script(canned::openai_chat("Hello").always());
    let refused = bench.post(PATH, &bad, CHAT).answer().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["error"]["type"], "estimated_share_reached");
    assert_eq!(bench.post(PATH, &good, CHAT).answer().await.status, 200);
    assert!(shared(&bench, limit).spent < worst + 2 * CANNED_COST_NANOUSD);
}

#[tokio::test]
async fn calls_that_were_abandoned_count_against_their_key_until_their_cost_is_known() {
    let sections = "litellm_settings: {max_budget: 0.001}\n";
    let (upstream, bench, _) = capped_with("openai/gpt-up", sections).await;
    let key = bench.key(|_| {}).await;
    let gate = Gate::new();
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    upstream.script(Script::on("").stall(&gate).json(200, body));
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 429);
    gate.open();
    assert_eq!(bench.record().await.cost, NanoUsd(CANNED_COST_NANOUSD));
    upstream.script(canned::openai_chat("Hello"));
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
}

#[tokio::test]
async fn a_clients_own_time_limit_ends_the_wait_and_not_the_attempt() {
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    for path in [PATH, "/v1/messages"] {
        for body in [CHAT, STREAM] {
            let gate = Gate::new();
            let reply = Reply::text("gpt", &["Hello"]);
            let script = Script::on("").stall(&gate);
            upstream.script(match body {
                CHAT => script.json(200, canned::openai_chat_body(&reply)),
                _ => script.sse(canned::openai_chat_events(&reply)),
            });
            let (before, asked) = (bench.settled(), upstream.received().len());
            let call = bench.post(path, &key, body).header("x-litellm-timeout", "0.02");
            let answer = call.header("x-litellm-num-retries", "10").answer().await;
            assert_eq!(answer.status, 408, "{}", answer.text());
            assert!(answer.message().contains("20 ms"), "{}", answer.text());
            assert_eq!((bench.settled(), upstream.received().len()), (before, asked + 1));
            gate.open();
            let record = bench.records(before + 1).await.pop().unwrap();
            assert_eq!(
                (record.ending, record.cost_source),
                (Ending::Timeout, CostSource::Computed)
            );
            assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
        }
    }
}

#[tokio::test]
async fn a_web_search_is_charged_to_keys_without_a_budget_too() {
    let upstream = Upstream::start().await;
    let list = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: gemini/gemini-2.5-flash, \
         api_base: \"{}\", api_key: sk-upstream-0000}}\n",
        upstream.url()
    );
    let bench = Bench::new(&list).await;
    let answer = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["hello"]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1,"totalTokenCount":10}}"#;
    upstream.script(Script::on("").json(200, answer).always());
    let body = CHAT.replace("\"max_tokens\"", "\"web_search_options\":{},\"max_tokens\"");
    let key = bench.key(|_| {}).await;
    assert_eq!(bench.post(PATH, &key, body).answer().await.status, 200);
    let record = bench.record().await;
    assert!(record.cost > NanoUsd(10_000_000), "a search costs cents: {}", record.cost);
}

#[tokio::test]
async fn what_comes_after_an_error_event_counts() {
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    let error = event(&json!({"error": {"message": "oops", "type": "server_error"}}));
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let all = [&events[..2], &[error], &events[2..]].concat();
    upstream.script(Script::on("").sse(&all));
    let answer = bench.post(PATH, &key, STREAM).answer().await;
    assert!(answer.text().contains("oops") && answer.text().ends_with("data: [DONE]\n\n"));
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorAfter);
    assert_eq!(record.cost_source, CostSource::Computed);
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn a_rate_of_tokens_keeps_what_it_held_where_the_usage_is_not_known() {
    let (upstream, bench, _) = capped("openai/gpt-up").await;
    let key = bench.key(|key| key.tpm_limit = Some(200)).await;
    let body = CHAT.replace("\"max_tokens\":9", "\"max_tokens\":90");
    let silent = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "y"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0}});
    upstream.script(Script::on("").json(200, silent.to_string()).always());
    assert_eq!(bench.post(PATH, &key, body.clone()).answer().await.status, 200);
    assert_eq!(bench.post(PATH, &key, body).answer().await.status, 429, "116 of 200 are used");
}

#[tokio::test]
async fn a_long_stream_counts_in_the_minute_in_which_it_streams() {
    let (upstream, bench, _) = capped("openai/gpt-up").await;
    let key = bench.key(|key| key.tpm_limit = Some(100_000)).await;
    let gate = Gate::new();
    let text = chunk(&json!({"content": "word ".repeat(800)}), &json!(null));
    let events = canned::openai_chat_events(&Reply::text("gpt", &["end"]));
    let head = Script::on("").sse_head().sse_events([&text]).stall(&gate);
    upstream.script(head.sse_events(&events[1..]).sse_end());
    let tokens =
        || bench.usage(Allowance::tokens_per_minute(Subject::Key(bench.hash(&key)), 100_000));
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    read_until(&mut body, "word").await;
    advance(&gate, 2).await;
    assert_eq!(tokens().spent, 0, "the stream has not looked at the clock yet");
    read_until(&mut body, ": keep-alive").await;
    assert!(tokens().spent >= 1_000, "{:?}", tokens());
    tokio::time::resume();
    gate.open();
    read(body).await;
    bench.record().await;
    assert_eq!(tokens().held, 0);
}

#[tokio::test]
async fn a_translated_stream_that_fails_at_once_keeps_its_place_while_it_is_read() {
    let (upstream, bench, _) = capped("openai/gpt-up").await;
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    let gate = Gate::new();
    let text = chunk(&json!({"content": "Hel"}), &json!(null));
    let error = event(&json!({"error": {"message": "oops", "type": "server_error"}}));
    let head = Script::on("").sse_head().sse_events([text + &error]);
    upstream.script(head.stall(&gate).sse_end());
    let answer = bench.post("/v1/messages", &key, STREAM).answer().await;
    assert!(answer.text().contains("oops"), "{}", answer.text());
    assert_eq!(bench.in_flight(&key, 1), 1);
    gate.open();
    bench.record().await;
    while bench.in_flight(&key, 1) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn usage_in_the_same_piece_as_an_error_counts_after_a_translation_too() {
    let (upstream, bench, key) = capped("openai/gpt-up").await;
    let error = event(&json!({"error": {"message": "oops", "type": "server_error"}}));
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let all = [&events[..2], &[error], &events[2..]].concat().concat();
    upstream.script(Script::on("").sse_head().sse_events([all]).sse_end());
    let answer = bench.post("/v1/messages", &key, STREAM).answer().await;
    assert!(answer.text().contains("oops") && !answer.text().contains("message_stop"));
    let record = bench.record().await;
    assert_eq!(
        (record.cost_source, record.cost),
        (CostSource::Computed, NanoUsd(CANNED_COST_NANOUSD))
    );
}

/// Moves paused time on once `gate` is reached.
async fn advance(gate: &Gate, seconds: u64) {
    gate.reached().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn a_stream_is_kept_alive_after_its_first_token_in_the_form_of_its_surface() {
    for (path, ping) in [(PATH, ": keep-alive\n\n"), ("/v1/messages", "event: ping\n")] {
        let (upstream, bench, key) = capped("openai/gpt-up").await;
        let gate = Gate::new();
        let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
        let head = Script::on("").sse_head().sse_events(&events[..2]);
        upstream.script(head.stall(&gate).sse_events(&events[2..]).sse_end());
        let mut body = bench.post(path, &key, STREAM).send().await.into_body();
        read_until(&mut body, "Hel").await;
        advance(&gate, 0).await;
        for _ in 0..3 {
            let silence = tokio::time::Instant::now();
            read_until(&mut body, ping).await;
            assert_eq!(silence.elapsed().as_secs(), 10);
        }
        tokio::time::resume();
        gate.open();
        let rest = read(body).await;
        assert!(rest.windows(2).any(|window| window == b"lo"));
        assert_eq!(bench.record().await.ending, Ending::Complete);
    }
}

#[tokio::test]
async fn comments_without_an_answer_do_not_keep_a_stream_open() {
    let sections = "keymoat: {idle_timeout_ms: 25000}\n";
    let (upstream, bench, key) = capped_with("openai/gpt-up", sections).await;
    let gate = Gate::new();
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let head = Script::on("").sse_head().sse_events(&events[..2]).sse_events([": thinking\n\n"]);
    upstream.script(head.stall(&gate));
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    advance(&gate, 0).await;
    let begun = tokio::time::Instant::now();
    let rest = read(body).await;
    let rest = String::from_utf8_lossy(&rest);
    assert_eq!(begun.elapsed().as_secs(), 25, "{rest}");
    assert!(rest.contains("did not go on within 25000 ms"), "{rest}");
    tokio::time::resume();
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}

#[tokio::test]
async fn an_answer_to_a_stream_that_is_none_has_the_streams_time_limit() {
    let sections = "litellm_settings: {request_timeout: 8}\n";
    let (upstream, bench, key) = capped_with("openai/gpt-up", sections).await;
    let gate = Gate::new();
    let json = [("content-type", "application/json")];
    upstream.script(Script::on("").answer_claiming(200, &json, 999, "{").stall(&gate));
    let call = bench.post(PATH, &key, STREAM).answer();
    let paused = async {
        advance(&gate, 0).await;
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! { answer = call => answer, () = paused => unreachable!() };
    tokio::time::resume();
    assert!(answer.text().contains("did not answer within 8000 ms"), "{}", answer.text());
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}

#[tokio::test]
async fn a_whole_answer_keeps_its_place_in_flight_until_it_is_sent() {
    let (upstream, bench, _) = capped("openai/gpt-up").await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    let mut body = bench.post(PATH, &key, CHAT).send().await.into_body();
    assert_eq!(bench.in_flight(&key, 1), 1, "not read yet");
    let bytes = next(&mut body).await.unwrap();
    assert_eq!(bench.in_flight(&key, 1), 1, "not sent yet");
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 429);
    drop(bytes);
    assert_eq!(bench.in_flight(&key, 1), 0);
}

#[tokio::test]
async fn a_lowered_output_limit_is_stated_in_a_header() {
    let (upstream, bench, _) = capped("openai/gpt-up").await;
    upstream.script(canned::openai_chat("Hello").always());
    let body = CHAT.replace("\"max_tokens\":9", "\"max_tokens\":32000");
    // $0.02: 10,000 tokens of output at most.
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(20_000_000))).await;
    let answer = bench.post(PATH, &key, body.clone()).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.received()[0].json()["max_tokens"].as_u64().unwrap();
    assert!((4_096..10_000).contains(&sent), "{sent}");
    assert_eq!(answer.header("x-keymoat-max-tokens"), Some(sent.to_string().as_str()));
    assert!(bench.opened()[0].reserved <= NanoUsd(20_000_000));
    // What the floor costs is still too dear.
    let poor = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000))).await;
    assert_eq!(bench.post(PATH, &poor, body).answer().await.status, 400);
}

#[tokio::test]
async fn retries_count_as_requests_where_the_operator_says_so() {
    for (setting, attempts) in [("false", 3), ("true", 2)] {
        let upstream = Upstream::start().await;
        let one = deployment("m", "openai/gpt-up", &upstream.url());
        let sections = format!(
            "keymoat: {{retries_count_as_requests: {setting}}}\nrouter_settings: {{num_retries: 2}}\n"
        );
        let bench = Bench::new(&config(&[one], &sections)).await;
        upstream.script(canned::openai_error(500).always());
        let key = bench.key(|key| key.rpm_limit = Some(2)).await;
        let call = tokio::spawn(bench.post(PATH, &key, CHAT).answer());
        upstream.received_at_least(1).await;
        tokio::time::pause();
        let answer = call.await.unwrap();
        tokio::time::resume();
        assert_eq!(upstream.received().len(), attempts, "{setting}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_server_of_ones_own_is_cancelled_at_the_clients_time_limit() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[local("m", &upstream.url())], "")).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate));
    let answer = bench.chat(CHAT).header("x-litellm-timeout", "0.02").answer().await;
    assert_eq!(answer.status, 408);
    upstream.ended_at_least(1, Outcome::ClientGone).await;
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}
