//! Every end of a stream has its rule and its record.

use crate::harness::{
    Bench, CANNED_COST_NANOUSD, config, deployment, local, next, read, read_until,
};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use testkit::canned::{self, Reply};
use testkit::{Gate, Outcome, Script, Upstream};

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const CLAUDE: &str =
    r#"{"model":"m","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#;

/// One upstream that speaks OpenAI, no retries.
async fn openai(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let one = deployment("m", "openai/gpt-up", &upstream.url());
    let bench = Bench::new(&config(&[one], &format!("{NO_RETRIES}{sections}"))).await;
    (upstream, bench)
}

/// One upstream that speaks Anthropic, no retries.
async fn anthropic(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let one = deployment("m", "anthropic/claude-up", &upstream.url());
    let bench = Bench::new(&config(&[one], &format!("{NO_RETRIES}{sections}"))).await;
    (upstream, bench)
}

const NO_RETRIES: &str = "router_settings: {num_retries: 0}\n";

fn chat_events() -> Vec<String> {
    canned::openai_chat_events(&Reply::text("gpt-canned", &["Hel", "lo"]))
}

fn message_events() -> Vec<String> {
    canned::anthropic_events(&Reply::text("claude-canned", &["Hel", "lo"]))
}

#[tokio::test]
async fn a_complete_stream_with_usage_is_computed_and_recorded_before_its_last_event() {
    let (upstream, bench) = openai("").await;
    upstream.script(canned::openai_chat_stream(&["Hel", "lo"]));
    let mut body = bench.chat(STREAM).send().await.into_body();
    let mut last = String::new();
    while let Some(piece) = next(&mut body).await {
        last.push_str(std::str::from_utf8(&piece).unwrap());
        if last.contains("[DONE]") {
            assert_eq!(bench.settled(), 1, "the record is written first");
        } else {
            assert_eq!(bench.settled(), 0);
        }
    }
    assert!(last.ends_with("data: [DONE]\n\n"));
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::Complete);
    assert_eq!(
        (record.cost, record.cost_source),
        (NanoUsd(CANNED_COST_NANOUSD), CostSource::Computed)
    );
    assert_eq!((record.usage.input, record.usage.output), (11, 7));
    assert_eq!(record.status, 200);
}

#[tokio::test]
async fn a_complete_stream_without_usage_is_estimated_from_its_bytes() {
    let (upstream, bench) = openai("").await;
    let mut events = chat_events();
    events.retain(|event| !event.contains("\"usage\""));
    upstream.script(Script::on("/chat/completions").sse(events));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::CompleteWithoutUsage);
    assert_eq!(record.cost_source, CostSource::Estimated);
    let (input, output) = ((STREAM.len() as i64 + 3) / 4, 2);
    assert_eq!(record.cost, NanoUsd(input * 1000 + output * 2000));
}

#[tokio::test]
async fn eof_after_every_choice_has_ended_is_an_end_but_no_done_is_invented() {
    let (upstream, bench) = openai("").await;
    let mut events = chat_events();
    events.retain(|event| !event.contains("[DONE]"));
    upstream.script(Script::on("/chat/completions").sse(&events));
    let answer = bench.chat(STREAM).answer().await;
    assert!(!answer.text().contains("[DONE]") && !answer.text().contains("error"));
    assert_eq!(bench.record().await.ending, Ending::Complete);
}

#[tokio::test]
async fn a_stream_whose_client_left_before_its_first_byte_is_read_to_its_end() {
    let (upstream, bench) = openai("").await;
    let gate = Gate::new();
    upstream.script(Script::on("/chat/completions").stall(&gate).sse(chat_events()));
    bench.chat(STREAM).hang_up_after(gate.reached()).await;
    assert_eq!(bench.settled(), 0);
    gate.open();
    let record = bench.record().await;
    assert_eq!(
        (record.ending, record.cost_source),
        (Ending::ClientGoneBefore, CostSource::Computed)
    );
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn a_stream_whose_client_left_in_the_middle_is_read_to_its_end() {
    let (upstream, bench) = openai("").await;
    let gate = Gate::new();
    let events = chat_events();
    upstream.script(
        Script::on("/chat/completions")
            .sse_head()
            .sse_events(&events[..2])
            .stall(&gate)
            .sse_events(&events[2..])
            .sse_end(),
    );
    let mut body = bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    drop(body);
    gate.open();
    let record = bench.record().await;
    assert_eq!(
        (record.ending, record.cost_source),
        (Ending::ClientGoneAfter, CostSource::Computed)
    );
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
    upstream.ended_at_least(1, Outcome::Answered).await;
}

#[tokio::test]
async fn a_server_that_sends_no_bill_is_cancelled_when_the_client_leaves() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[local("m", &upstream.url())], "")).await;
    let gate = Gate::new();
    let events = chat_events();
    let script = Script::on("").sse_head().sse_events(&events[..2]).stall(&gate);
    upstream.script(script.sse_events(&events[2..]).sse_end());
    let mut body = bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    drop(body);
    upstream.ended_at_least(1, Outcome::ClientGone).await;
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost), (Ending::ClientGoneAfter, NanoUsd::ZERO));
}

#[tokio::test]
async fn client_gone_mid_message_is_billed_the_input_that_the_provider_reported() {
    let (upstream, bench) = anthropic("").await;
    let gate = Gate::new();
    let events = message_events();
    upstream
        .script(Script::on("/messages").sse_head().sse_events(&events[..4]).stall(&gate).sse_end());
    let mut body = bench.message(CLAUDE).send().await.into_body();
    read_until(&mut body, "Hel").await;
    drop(body);
    gate.open();
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::ClientGoneAfter);
    assert_eq!(record.usage.input, 11);
    assert_eq!(record.cost, NanoUsd(11 * 1000 + 2000));
}

#[tokio::test]
async fn an_upstream_error_before_the_first_byte_is_the_clients_error_and_costs_nothing() {
    let (upstream, bench) = openai("").await;
    upstream.script(canned::openai_error(429));
    let answer = bench.chat(STREAM).answer().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.message(), "canned error");
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorBefore);
    assert_eq!((record.cost, record.cost_source), (NanoUsd::ZERO, CostSource::None));
    assert_eq!(record.error_class.as_deref(), Some("rate_limit"));
}

#[tokio::test]
async fn a_reset_mid_stream_becomes_a_typed_error_and_never_an_ending() {
    let (upstream, bench) = openai("").await;
    upstream
        .script(Script::on("/chat/completions").sse_head().sse_events(&chat_events()[..2]).reset());
    let answer = bench.chat(STREAM).answer().await;
    assert_broken_chat(answer.text());
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorAfter);
    assert_eq!(record.error_class.as_deref(), Some("server"));
}

#[tokio::test]
async fn eof_before_the_finish_is_a_typed_error_for_openai_clients() {
    let (upstream, bench) = openai("").await;
    upstream.script(Script::on("/chat/completions").sse(&chat_events()[..3]));
    let answer = bench.chat(STREAM).answer().await;
    assert_broken_chat(answer.text());
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorAfter);
}

#[tokio::test]
async fn half_an_event_is_never_sent_so_that_the_error_after_it_can_be_read() {
    let (upstream, bench) = openai("").await;
    let events = chat_events();
    let (half, _) = events[2].split_at(events[2].len() / 2);
    upstream.script(Script::on("/chat/completions").sse([&events[0], &events[1], half]));
    let answer = bench.chat(STREAM).answer().await;
    assert_broken_chat(answer.text());
    assert_eq!(answer.text().matches("\n\n").count(), 3, "{}", answer.text());
}

#[tokio::test]
async fn a_last_event_without_its_blank_line_is_still_an_end() {
    let (upstream, bench) = openai("").await;
    let whole = chat_events().concat();
    upstream.script(Script::on("/chat/completions").sse([whole.trim_end()]));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().trim_end().ends_with("data: [DONE]"), "{}", answer.text());
    assert!(!answer.text().contains("error"));
    assert_eq!(bench.record().await.ending, Ending::Complete);
}

#[tokio::test]
async fn eof_before_the_finish_is_a_typed_error_for_anthropic_clients() {
    let (upstream, bench) = anthropic("").await;
    // All but message_stop: even a stop reason is no end.
    let events = message_events();
    upstream.script(Script::on("/messages").sse(&events[..events.len() - 1]));
    let answer = bench.message(CLAUDE).answer().await;
    assert!(!answer.text().contains("message_stop"), "{}", answer.text());
    assert!(answer.text().contains("event: error\ndata: {\"type\":\"error\""), "{}", answer.text());
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorAfter);
}

#[tokio::test]
async fn a_translated_stream_that_breaks_gets_the_clients_error_and_no_ending() {
    let (upstream, bench) = anthropic("").await;
    upstream.script(Script::on("/messages").sse(&message_events()[..4]));
    let answer = bench.chat(STREAM).answer().await;
    assert_broken_chat(answer.text());

    let (upstream, bench) = openai("").await;
    upstream.script(Script::on("/chat/completions").sse(&chat_events()[..2]));
    let answer = bench.message(CLAUDE).answer().await;
    assert!(answer.text().contains("Hel"));
    assert!(answer.text().contains("event: error\n"), "{}", answer.text());
    assert!(
        !answer.text().contains("message_stop") && !answer.text().contains("stop_reason\":\"end")
    );
}

#[tokio::test]
async fn a_stream_that_stands_still_times_out_with_a_typed_error() {
    let (upstream, bench) = openai("keymoat: {idle_timeout_ms: 5000}\n").await;
    let gate = Gate::new();
    upstream.script(
        Script::on("/chat/completions").sse_head().sse_events(&chat_events()[..2]).stall(&gate),
    );
    let mut body = bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    gate.reached().await;
    tokio::time::pause();
    let rest = read(body).await;
    assert_broken_chat(std::str::from_utf8(&rest).unwrap());
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::Timeout);
    assert_eq!(record.error_class.as_deref(), Some("timeout"));
    assert!(record.cost > NanoUsd::ZERO, "what was sent is billed");
}

#[tokio::test]
async fn no_first_event_within_the_first_byte_time_is_a_timeout() {
    let (upstream, bench) =
        openai("keymoat: {first_byte_timeout_ms: 3000, peek_timeout_ms: 9000}\n").await;
    let gate = Gate::new();
    upstream.script(Script::on("/chat/completions").sse_head().stall(&gate));
    let call = bench.chat(STREAM).answer();
    let paused = async {
        gate.reached().await;
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! { answer = call => answer, () = paused => unreachable!() };
    assert_eq!(answer.status, 408);
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}

#[tokio::test]
async fn an_upstream_that_never_answers_a_unary_call_is_a_timeout() {
    let (upstream, bench) = openai("litellm_settings: {request_timeout: 4}\n").await;
    let gate = Gate::new();
    upstream.script(Script::on("/chat/completions").stall(&gate));
    let paused = async {
        gate.reached().await;
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let call = bench.chat(r#"{"model":"m","messages":[]}"#).answer();
    let answer = tokio::select! { answer = call => answer, () = paused => unreachable!() };
    assert_eq!(answer.status, 408);
    assert_eq!(answer.message(), "The provider did not answer within 4000 ms.");
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}

#[tokio::test]
async fn a_unary_answer_that_stops_in_the_middle_is_a_timeout_too() {
    let (upstream, bench) = openai("litellm_settings: {request_timeout: 4}\n").await;
    let gate = Gate::new();
    let json = [("content-type", "application/json")];
    upstream.script(
        Script::on("/chat/completions").answer_claiming(200, &json, 5000, "{\"id\":").stall(&gate),
    );
    let paused = async {
        gate.reached().await;
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let call = bench.chat(r#"{"model":"m","messages":[]}"#).answer();
    let answer = tokio::select! { answer = call => answer, () = paused => unreachable!() };
    assert_eq!(answer.status, 408);
    assert_eq!(bench.record().await.ending, Ending::Timeout);
}

#[tokio::test]
async fn garbage_in_place_of_http_is_a_gateway_error() {
    let (upstream, bench) = openai("").await;
    upstream.script(Script::on("/chat/completions").garbage(500, 3).close());
    let answer = bench.chat(STREAM).answer().await;
    assert_eq!(answer.status, 502);
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorBefore);
}

#[tokio::test]
async fn garbage_in_place_of_events_is_an_error_before_anything_was_sent() {
    let (upstream, bench) = openai("").await;
    let garbage: &[&[u8]] = &[b"\xff\xfe\0garbage\n\n", b"data: {not json\n\n"];
    upstream.script(Script::on("/chat/completions").sse(garbage.iter().copied()));
    let answer = bench.chat(STREAM).answer().await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(bench.record().await.ending, Ending::UpstreamErrorBefore);
}

#[tokio::test]
async fn an_html_page_is_an_error_with_its_status() {
    let (upstream, bench) = openai("").await;
    upstream.script(canned::html_502());
    let answer = bench.chat(STREAM).answer().await;
    assert_eq!(answer.status, 502);
    assert!(answer.json()["error"]["message"].is_string(), "typed, not the page as it is");
}

#[tokio::test]
async fn an_error_event_after_the_first_semantic_one_is_relayed_as_an_error() {
    let (upstream, bench) = openai("").await;
    upstream.script(canned::openai_error_in_stream(&["Hel"]));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().contains("Hel"));
    assert!(answer.text().contains("the engine stopped"));
    assert!(!answer.text().contains("[DONE]"));
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorAfter);
    assert_eq!(record.error_class.as_deref(), Some("server"));

    let (upstream, bench) = anthropic("").await;
    upstream.script(canned::anthropic_error_in_stream(&["Hel"]));
    let answer = bench.message(CLAUDE).answer().await;
    assert!(answer.text().contains("event: error\n") && answer.text().contains("Overloaded"));
    assert!(!answer.text().contains("message_stop"));
    assert_eq!(bench.record().await.error_class.as_deref(), Some("overloaded"));
}

#[tokio::test]
async fn a_unary_answer_cut_off_is_an_error_and_not_half_an_answer() {
    let (upstream, bench) = openai("").await;
    let json = [("content-type", "application/json")];
    upstream.script(
        Script::on("/chat/completions").answer_claiming(200, &json, 5000, "{\"id\":").close(),
    );
    let answer = bench.chat(r#"{"model":"m","messages":[]}"#).answer().await;
    assert_eq!(answer.status, 502);
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorBefore);
    assert_eq!(record.cost_source, CostSource::Estimated, "it may be billed");
}

/// What was sent, then an error event, and nothing that reads like an end.
fn assert_broken_chat(text: &str) {
    assert!(!text.contains("[DONE]"), "{text}");
    assert!(!text.contains(r#""finish_reason":"stop""#), "{text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let error: serde_json::Value =
        serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert!(error["error"]["message"].is_string(), "{text}");
}
