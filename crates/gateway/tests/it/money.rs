//! Budgets and rates: what is held, what is charged, and who is refused how.

use crate::harness::{
    Answer, Bench, CANNED_COST_NANOUSD, NOW_MS, config, deployment, deployment_with, next, read,
    read_until,
};
use base::NanoUsd;
use ledger::{Allowance, CostSource, Ending, Subject, Window, WindowUnit};
use serde_json::json;
use std::sync::Arc;
use testkit::canned::{self, Reply};
use testkit::{Gate, Script, Upstream};

const PATH: &str = "/v1/chat/completions";
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

/// What [`CHAT`] may cost at most: its bytes as tokens, and its output limit.
const WORST_NANOUSD: i64 = CHAT.len() as i64 * 1000 + 9 * 2000;

async fn one(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, sections)).await;
    (upstream, bench)
}

#[tokio::test]
async fn settled_equals_the_cost_by_price_and_the_headers_say_so() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let limit = NanoUsd(1_000_000);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    for round in 1..=3 {
        let answer = bench.post(PATH, &key, CHAT).answer().await;
        let dollars = |nanousd: i64| NanoUsd(nanousd).to_string();
        assert_eq!(
            answer.header("x-litellm-response-cost"),
            Some(dollars(CANNED_COST_NANOUSD).as_str())
        );
        for (name, cost) in [
            ("x-litellm-response-cost-original", CANNED_COST_NANOUSD),
            ("x-litellm-response-cost-input", 11 * 1000),
            ("x-litellm-response-cost-output", 7 * 2000),
        ] {
            assert_eq!(answer.header(name), Some(dollars(cost).as_str()), "{name}");
        }
        assert_eq!(answer.header("x-litellm-response-cost-cache-read"), None);
        assert_eq!(answer.header("x-litellm-response-duration-ms"), Some("0.0"));
        assert_eq!(answer.header("x-litellm-overhead-duration-ms"), Some("0.0"));
        assert_eq!(
            answer.header("x-litellm-key-spend"),
            Some(dollars(round * CANNED_COST_NANOUSD).as_str())
        );
        assert_eq!(answer.header("x-litellm-key-max-budget"), Some(dollars(limit.0).as_str()));
    }
    let usage = bench.money(&key, limit);
    assert_eq!((usage.spent, usage.held), (3 * CANNED_COST_NANOUSD, 0));
    let by_master = bench.chat(CHAT).answer().await;
    assert_eq!(by_master.header("x-litellm-key-spend"), Some("0.000025"));
    for (record, opened) in bench.records(4).await.iter().zip(bench.opened()) {
        assert_eq!((record.cost, record.cost_source), (NanoUsd(25_000), CostSource::Computed));
        assert_eq!((record.id, opened.reserved), (opened.id, NanoUsd(WORST_NANOUSD)));
        assert_eq!(record.key_hash, Some(bench.hash(&key)));
    }
}

#[tokio::test]
async fn the_catalogues_price_counts_where_none_is_configured() {
    let upstream = Upstream::start().await;
    let list = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/gpt-4o-mini, \
         api_base: \"{}\", api_key: sk-upstream-0000}}\n",
        upstream.url()
    );
    let bench = Bench::new(&list).await;
    upstream.script(canned::openai_chat("Hello"));
    bench.chat(CHAT).answer().await;
    let record = bench.record().await;
    // $0.15 and $0.60 a million tokens.
    assert_eq!(record.cost, NanoUsd(11 * 150 + 7 * 600));
    assert_eq!(record.price_version.as_deref(), Some(catalog::data_version().0));
}

#[tokio::test]
async fn a_provider_that_charges_less_at_night_is_paid_less_at_night() {
    let upstream = Upstream::start().await;
    let list = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: deepseek/deepseek-flash, \
         api_base: \"{}\", api_key: sk-upstream-0000}}\n",
        upstream.url()
    );
    let bench = Bench::new(&list).await;
    let cost = async |calls| bench.records(calls).await.remove(calls - 1).cost;
    upstream.script(canned::openai_chat("Hello"));
    bench.chat(CHAT).answer().await;
    let ordinary = NanoUsd(11 * 300 + 7 * 1200);
    // A Tuesday, 10:39 UTC; 23:39; Wednesday, 06:39.
    assert_eq!(cost(1).await, NanoUsd(ordinary.0 / 2));
    bench.clock.advance_ms(13 * 3_600_000);
    let gate = Gate::new();
    let whole = canned::openai_chat("Hello").into_steps();
    upstream.script(Script::on("/chat/completions").stall(&gate).steps(whole));
    let call = tokio::spawn(bench.chat(CHAT).answer());
    gate.reached().await;
    bench.clock.advance_ms(7 * 3_600_000);
    gate.open();
    call.await.unwrap();
    assert_eq!(cost(2).await, ordinary, "which end counts is not known: the dearer one");
}

#[tokio::test]
async fn records_reach_the_database_with_the_keys_balance() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000))).await;
    for _ in 0..2 {
        bench.post(PATH, &key, CHAT).answer().await;
    }
    bench.drained(2).await;
    let store = bench.gateway.store();
    let mut stored = store.spend_logs(ledger::SpendFilter::default(), 10, 0).await.unwrap();
    stored.sort_by_key(|record| record.id);
    let mut records = bench.records(2).await;
    records.sort_by_key(|record| record.id);
    assert_eq!(stored, records);
    let row = store.key_by_hash(bench.hash(&key)).await.unwrap().unwrap();
    assert_eq!(row.spend, NanoUsd(2 * CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn concurrent_calls_never_exceed_a_budget() {
    let (upstream, bench) = one("").await;
    // Every answer costs all that was reserved for it.
    let usage = json!({"prompt_tokens": CHAT.len(), "completion_tokens": 9,
                       "total_tokens": CHAT.len() + 9});
    let body = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
                     "finish_reason": "stop"}],
        "usage": usage});
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate).json(200, body.to_string()).always());
    let limit = NanoUsd(5 * WORST_NANOUSD + WORST_NANOUSD / 2);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let bench = Arc::new(bench);
    let calls: Vec<_> =
        (0..40).map(|_| tokio::spawn(bench.post(PATH, &key, CHAT).answer())).collect();
    upstream.received_at_least(5).await;
    assert_eq!(bench.money(&key, limit).held, 5 * WORST_NANOUSD);
    gate.open();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap().status.as_u16());
    }
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 400 | 429)), "{statuses:?}");
    assert_eq!(answered, 5, "exactly what the budget pays for");
    let spent: i64 = bench.records(5).await.iter().map(|record| record.cost.0).sum();
    assert_eq!(spent, 5 * WORST_NANOUSD);
    let usage = bench.money(&key, limit);
    assert_eq!((usage.spent, usage.held), (spent, 0));
    assert!(spent <= limit.0);
}

#[tokio::test]
async fn a_call_without_an_output_limit_is_clamped_to_a_share_of_what_is_left() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let input = body.len() as i64 * 1000;
    // Enough for 4,000 tokens of output beside the input.
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(input + 4000 * 2000))).await;
    let answer = bench.post(PATH, &key, body).answer().await;
    assert_eq!(answer.status, 200);
    let sent = upstream.received()[0].json();
    let limit = sent.get("max_tokens").or(sent.get("max_completion_tokens")).unwrap();
    assert_eq!(limit, 1000, "a quarter");
    assert_eq!(bench.opened()[0].reserved, NanoUsd(input + 1000 * 2000));

    // Without a budget the body stays as it is.
    bench.chat(body).answer().await;
    assert_eq!(upstream.received()[1].body, body.replace("\"m\"", "\"gpt-up\""));
}

#[tokio::test]
async fn a_shortfall_names_the_limit_what_is_spent_and_the_reset() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let limit = NanoUsd(CANNED_COST_NANOUSD + WORST_NANOUSD - 1);
    let key = bench
        .key(|key| {
            key.max_budget = Some(limit);
            key.set_budget_duration(Some(Window::new(1, WindowUnit::Day).unwrap()), NOW_MS);
        })
        .await;
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
    let refused = bench.post(PATH, &key, CHAT).answer().await;
    assert_eq!(refused.status, 400);
    let error = &refused.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("budget_exceeded"), &json!("400")));
    let message = refused.message();
    for part in [
        format!("Budget has been exceeded! Current cost: {}, ", NanoUsd(CANNED_COST_NANOUSD)),
        format!("Max budget: {limit}."),
        "this key's own and resets at 2026-03-25T00:00:00".to_owned(),
    ] {
        assert!(message.contains(&part), "{part:?} in {message}");
    }
    assert_eq!(bench.settled(), 1, "a refused call leaves no record");
    assert_eq!(upstream.received().len(), 1, "and reaches nobody");

    bench.clock.advance_ms(86_400_000);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200, "a new day");
}

#[tokio::test]
async fn money_that_others_hold_is_told_apart_from_money_that_is_spent() {
    let (upstream, bench) = one("").await;
    let gate = Gate::new();
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    upstream.script(Script::on("").stall(&gate).json(200, body).always());
    let limit = NanoUsd(WORST_NANOUSD + 1);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let holding = bench.post(PATH, &key, CHAT).answer();
    let other = async {
        gate.reached().await;
        let refused = bench.post(PATH, &key, CHAT).answer().await;
        // Clients try again after a 429, and never after a 400.
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1")));
        assert_eq!(refused.json()["error"]["type"], "budget_held");
        let held = format!("held: {}", NanoUsd(WORST_NANOUSD));
        assert!(refused.message().contains(&held), "{}", refused.message());
        gate.open();
    };
    tokio::join!(holding, other);
    assert_eq!(bench.money(&key, limit).spent, CANNED_COST_NANOUSD);
    let spent = bench.post(PATH, &key, CHAT).answer().await;
    assert_eq!(spent.json()["error"]["type"], "budget_exceeded");
    assert_eq!(spent.status, 400);
}

#[tokio::test]
async fn an_unknown_price_under_a_budget_is_refused_or_charged_at_the_ceiling() {
    let list = |url: &str| {
        format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/nobody-knows, \
             api_base: \"{url}\", api_key: sk-upstream-0000}}\n"
        )
    };
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let bench = Bench::new(&list(&upstream.url())).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd::MAX)).await;
    let refused = bench.post(PATH, &key, CHAT).answer().await;
    assert_eq!((refused.status.as_u16(), upstream.received().len()), (400, 0));
    assert!(refused.message().contains("no known price"), "{}", refused.message());
    let uncapped = bench.key(|_| ()).await;
    assert_eq!(bench.post(PATH, &uncapped, CHAT).answer().await.status, 200);

    let ceiling = "keymoat: {unknown_price: {ceiling_per_call_usd: 0.5}}\n";
    let bench = Bench::new(&format!("{}{ceiling}", list(&upstream.url()))).await;
    let limit = NanoUsd(1_200_000_000);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let statuses = [
        bench.post(PATH, &key, CHAT).answer().await.status.as_u16(),
        bench.post(PATH, &key, CHAT).answer().await.status.as_u16(),
        bench.post(PATH, &key, CHAT).answer().await.status.as_u16(),
    ];
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(bench.money(&key, limit).spent, 1_000_000_000);
    assert_eq!(bench.records(2).await[0].cost_source, CostSource::Estimated);
}

#[tokio::test]
async fn a_dearer_answer_than_the_worst_case_is_charged_in_full_all_the_same() {
    let (upstream, bench) = one("").await;
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]))
        .replace("\"completion_tokens\":7", "\"completion_tokens\":700");
    upstream.script(Script::on("").json(200, body));
    let limit = NanoUsd(WORST_NANOUSD);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
    assert_eq!(bench.money(&key, limit).spent, 11 * 1000 + 700 * 2000);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 400);
}

#[tokio::test]
async fn the_whole_proxys_budget_binds_every_key_and_the_administrator() {
    let limit = format!("litellm_settings: {{max_budget: {}}}\n", NanoUsd(2 * WORST_NANOUSD));
    let (upstream, bench) = one(&limit).await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|_| ()).await;
    let mut answered = 0;
    loop {
        let call = if answered % 2 == 0 { bench.chat(CHAT) } else { bench.post(PATH, &key, CHAT) };
        let answer = call.answer().await;
        if answer.status != 200 {
            assert!(answer.message().starts_with("Budget has been exceeded!"));
            break;
        }
        answered += 1;
    }
    let spent: i64 = bench.records(answered).await.iter().map(|record| record.cost.0).sum();
    assert!(spent <= 2 * WORST_NANOUSD && spent + WORST_NANOUSD > 2 * WORST_NANOUSD, "{spent}");
}

/// LiteLLM's words, in order.
fn assert_rate_limited(answer: &Answer, kind: &str, limit: u64) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    let message = answer.message();
    let expected = [
        "Rate limit exceeded for api_key: ".to_owned(),
        format!("Limit type: {kind}. Current limit: {limit}, Remaining: "),
    ];
    for part in expected {
        assert!(message.contains(&part), "{part:?} in {message}");
    }
    assert_eq!(answer.header("rate_limit_type"), Some(kind));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn requests_a_minute_are_counted_and_come_back() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.rpm_limit = Some(2)).await;
    for _ in 0..2 {
        let answer = bench.post(PATH, &key, CHAT).answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-litellm-key-rpm-limit"), Some("2"));
    }
    assert_rate_limited(&bench.post(PATH, &key, CHAT).answer().await, "requests", 2);
    bench.clock.advance_ms(60_000);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
}

#[tokio::test]
async fn a_call_with_retries_counts_as_one_request() {
    let (upstream, bench) = one("router_settings: {num_retries: 2}\n").await;
    let headers = [("content-type", "application/json"), ("retry-after-ms", "1")];
    upstream.script(Script::on("").answer(500, &headers, "{}").times(2));
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.rpm_limit = Some(2)).await;
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 429);
}

#[tokio::test]
async fn tokens_a_minute_are_held_by_worst_case_and_settled_by_usage() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let worst = CHAT.len().div_ceil(4) as u64 + 9;
    let key = bench.key(|key| key.tpm_limit = Some(worst + 18)).await;
    let usage = || {
        let subject = Subject::Key(bench.hash(&key));
        bench.usage(Allowance::tokens_per_minute(subject, worst + 18))
    };
    for round in 1..=2 {
        assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
        assert_eq!((usage().spent, usage().held), (round * 18, 0));
    }
    assert_rate_limited(&bench.post(PATH, &key, CHAT).answer().await, "tokens", worst + 18);
    bench.clock.advance_ms(60_000);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
}

#[tokio::test]
async fn a_token_rate_cuts_no_answer_short() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat("Hello").always());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let key = bench.key(|key| key.tpm_limit = Some(36)).await;
    for status in [200, 200, 429] {
        assert_eq!(bench.post(PATH, &key, body).answer().await.status, status);
    }
    let sent = upstream.received()[0].json();
    assert!(sent.get("max_tokens").is_none() && sent.get("max_completion_tokens").is_none());

    let key = bench.key(|key| key.tpm_limit = Some(36)).await;
    let large = r#"{"model":"m","messages":[],"max_tokens":36}"#;
    let refused = bench.post(PATH, &key, large).answer().await;
    assert_eq!(refused.status, 429);
    assert!(!refused.headers.contains_key("retry-after"), "no waiting helps");
    assert_eq!(refused.headers["x-should-retry"], "false");
}

#[tokio::test]
async fn parallel_requests_are_refused_and_a_place_comes_back_with_the_body() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]).always());
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;

    // Read to its end.
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    next(&mut body).await.unwrap();
    assert_eq!(bench.in_flight(&key, 1), 1);
    let refused = bench.post(PATH, &key, CHAT).answer().await;
    assert_rate_limited(&refused, "max_parallel_requests", 1);
    while next(&mut body).await.is_some() {}
    assert_eq!(bench.in_flight(&key, 1), 0, "the end is enough, the body need not be dropped");
    drop(body);

    // Dropped in the middle.
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    next(&mut body).await.unwrap();
    drop(body);
    // It is read to its end first.
    while bench.in_flight(&key, 1) > 0 {
        tokio::task::yield_now().await;
    }

    // Refused upstream, and whole.
    upstream.forget();
    upstream.script(canned::openai_error(400)).script(canned::openai_chat("Hello"));
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 400);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
    assert_eq!(bench.in_flight(&key, 1), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_or_ends_with_an_error_gives_its_place_back() {
    let (upstream, bench) = one("").await;
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    upstream.script(Script::on("").sse(&events[..2]));
    upstream.script(canned::openai_error_in_stream(&["Hel"]));
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    for _ in 0..2 {
        let body = bench.post(PATH, &key, STREAM).send().await.into_body();
        read(body).await;
        assert_eq!(bench.in_flight(&key, 1), 0);
    }
}

#[tokio::test]
async fn the_whole_proxys_parallel_limit_binds_all() {
    let upstream = Upstream::start().await;
    let yaml = config(&[deployment("m", "openai/gpt-up", &upstream.url())], "");
    let bench = Bench::with_general(&yaml, "global_max_parallel_requests: 1").await;
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]).always());
    let mut body = bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    assert_eq!(bench.chat(CHAT).answer().await.status, 429);
    drop(body);
    // It is read to its end first.
    while bench.chat(STREAM).answer().await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_is_charged_like_its_unary_twin() {
    let (upstream, bench) = one("").await;
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]));
    let limit = NanoUsd(1_000_000);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let answer = bench.post(PATH, &key, STREAM).answer().await;
    assert!(!answer.text().contains("usage"), "it was not asked for");
    let usage = bench.money(&key, limit);
    assert_eq!((usage.spent, usage.held), (CANNED_COST_NANOUSD, 0));
    assert_eq!(bench.record().await.ending, Ending::Complete);
}

#[tokio::test]
async fn tools_pictures_and_unknown_keys_reserve_more_than_their_bytes() {
    let upstream = Upstream::start().await;
    let list = [deployment_with("m", "openai/gpt-up", &upstream.url(), "num_retries: 0").replace(
        "    litellm_params",
        "    model_info: {max_input_tokens: 50000, max_output_tokens: 60}\n    litellm_params",
    )];
    let bench = Bench::new(&config(&list, "")).await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.max_budget = Some(NanoUsd::MAX)).await;
    let picture = r#"[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]"#;
    for (body, input, output) in [
        (CHAT.replace("\"Hi\"", picture), 50_000, 9),
        (CHAT.replace("{\"model\"", "{\"turbo\":true,\"model\""), 50_000, 60),
        (CHAT.to_owned(), CHAT.len() as i64, 9),
    ] {
        let before = bench.opened().len();
        bench.post(PATH, &key, body).answer().await;
        assert_eq!(bench.opened()[before].reserved, NanoUsd(input * 1000 + output * 2000));
    }
}
