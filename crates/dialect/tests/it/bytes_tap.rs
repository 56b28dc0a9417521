//! What the tap sees of answers that we wrote.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use base::Decimal;
use dialect::{
    Surface, Usage,
    tap::{
        Class::{self, Finish, Neutral, Semantic, Terminal, UsageOnly},
        Observed, Tap, usage,
    },
};
use proptest::prelude::*;

fn classes(surface: Surface, data: &[&str]) -> (Vec<Class>, Tap) {
    let mut tap = Tap::new(surface);
    let seen =
        data.iter().map(|data| tap.observe(format!("data: {data}\n\n").as_bytes())).collect();
    (seen, tap)
}

fn chat(data: &[&str]) -> (Vec<Class>, Tap) {
    classes(Surface::OpenAiChat, data)
}

#[test]
fn a_chat_stream_is_read_from_preamble_to_end() {
    let (seen, tap) = chat(&[
        r#"{"choices":[],"model":"","prompt_filter_results":[]}"#,
        r#"{"model":"gpt-x","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
        r#"{"model":"gpt-x","choices":[{"index":0,"delta":{"content":"h\"i"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"model":"gpt-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        r#"{"model":"gpt-x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":4}}}"#,
        "[DONE]",
    ]);
    assert_eq!(seen, [Neutral, Neutral, Semantic, Finish, UsageOnly, Terminal]);
    let observed = tap.observed();
    assert_eq!(observed.model.as_deref(), Some("gpt-x"));
    assert_eq!(observed.service_tier.as_deref(), Some("default"));
    assert_eq!(observed.output_text_bytes, 4);
    assert_eq!(
        observed.usage,
        Some(Usage { input: 9, cache_read: 4, output: 2, ..Usage::default() })
    );
    assert!(tap.complete() && tap.is_terminal() && tap.has_semantic());
}

#[test]
fn every_kind_of_content_commits() {
    for delta in [
        r#"{"content":"a"}"#,
        r#"{"content":[{"type":"text","text":"a"}]}"#,
        r#"{"reasoning_content":"a","content":null}"#,
        r#"{"reasoning":"a"}"#,
        r#"{"refusal":"a"}"#,
        r#"{"tool_calls":[{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
        r#"{"function_call":{"name":"f"}}"#,
        r#"{"audio":{"data":"x"}}"#,
    ] {
        let (seen, _) = chat(&[&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)]);
        assert_eq!(seen, [Class::Semantic], "{delta}");
        assert!(seen[0].commits());
    }
    for delta in [
        r#"{"role":"assistant"}"#,
        r#"{"content":null}"#,
        r#"{"content":""}"#,
        r#"{"content":[],"tool_calls":[],"reasoning":null,"reasoning_details":[]}"#,
        r#"{"tool_calls":null,"audio":null}"#,
        "null",
    ] {
        let (seen, _) = chat(&[&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)]);
        assert_eq!(seen, [Class::Neutral], "{delta}");
    }
}

#[test]
fn what_stands_around_the_choices_is_read_whenever_it_changes() {
    let chunk = |before: &str, after: &str| {
        format!(r#"{{"id":"x"{before},"choices":[{{"delta":{{"content":"a"}}}}]{after}}}"#)
    };
    let plain = chunk("", r#","usage":null"#);
    for (before, after, class) in [
        ("", r#","usage":{"prompt_tokens":1}"#, Semantic),
        (r#","usage":{"prompt_tokens":1}"#, "", Semantic),
        ("", r#","error":{"message":"m"}"#, Class::Error),
        (r#","error":{"message":"m"}"#, "", Class::Error),
        ("", r#","choices":[{"finish_reason":"stop"}]"#, Finish),
        (r#","object":"chat.completion.done""#, "", Terminal),
    ] {
        let odd = chunk(before, after);
        let (seen, tap) = chat(&[&plain, &plain, &odd, &odd, &plain]);
        assert_eq!(seen, [Semantic, Semantic, class, class, Semantic], "{odd}");
        assert_eq!(tap.observed().output_text_bytes, 5);
        assert_eq!(tap.observed().usage.is_some(), odd.contains("prompt_tokens"));
    }
}

#[test]
fn one_chunk_may_hold_all() {
    let (seen, tap) = chat(&[
        r#"{"choices":[{"finish_reason":"tool_calls","index":0,"delta":{"role":"assistant","content":"ab","tool_calls":[{"index":0,"id":"x","function":{"name":"fn","arguments":"{}"}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
    ]);
    assert_eq!(seen, [Class::Finish]);
    assert!(tap.complete() && !tap.is_terminal() && tap.has_semantic());
    assert_eq!(tap.observed().output_text_bytes, 6);
    assert_eq!(tap.observed().usage.unwrap().total(), 3);
}

#[test]
fn an_end_is_proper_only_when_every_choice_has_ended() {
    let begun = r#"{"choices":[{"index":1,"delta":{"content":"a"}}]}"#;
    let (_, tap) = chat(&[
        r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        begun,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    assert!(tap.observed().finished && !tap.complete());
    let (_, tap) = chat(&[begun]);
    assert!(!tap.complete());
    let (_, tap) = chat(&[begun, "[DONE]"]);
    assert!(tap.complete());
    let (seen, tap) = chat(&[
        r#"{"object":"chat.completion.done","choices":[{"index":0,"delta":{"content":""},"message":{"content":"a"},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(seen, [Class::Terminal]);
    assert!(tap.complete());
    assert!(!Tap::new(Surface::OpenAiChat).complete());
}

#[test]
fn errors_in_a_stream_are_seen_and_spoil_the_end() {
    for (data, message, code) in [
        (r#"{"error":{"message":"m","type":"t","code":502}}"#, "m", Some("502")),
        (r#"{"error":"m"}"#, "m", None),
        (
            r#"{"choices":[{"index":0,"delta":{"content":""},"error":{"message":"m"},"finish_reason":"error"}]}"#,
            "m",
            None,
        ),
        (r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#, "", None),
    ] {
        let (seen, tap) = chat(&[data, "[DONE]"]);
        assert_eq!(seen, [Class::Error, Class::Terminal], "{data}");
        let problem = tap.observed().problem.as_ref().unwrap();
        assert_eq!((problem.message.as_str(), problem.code.as_deref()), (message, code));
        assert!(!tap.complete());
    }
    let (seen, tap) = chat(&[r#"{"error":null,"choices":[{"delta":{"content":"error"}}]}"#]);
    assert_eq!(seen, [Class::Semantic]);
    assert!(tap.observed().problem.is_none());
}

#[test]
fn an_anthropic_stream_is_read_from_preamble_to_end() {
    let (seen, tap) = classes(
        Surface::AnthropicMessages,
        &[
            r#"{"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":5,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1,"service_tier":"standard"}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type": "ping"}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":40,"output_tokens_details":{"thinking_tokens":9},"server_tool_use":{"web_search_requests":2}}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(
        seen,
        [Neutral, Neutral, Semantic, Neutral, Neutral, Semantic, Neutral, Finish, Terminal]
    );
    assert_eq!(
        tap.observed().usage,
        Some(Usage {
            input: 42,
            cache_read: 7,
            cache_write_5m: 10,
            cache_write_1h: 20,
            output: 40,
            reasoning: 9,
            searches: 2,
            ..Usage::default()
        })
    );
    assert_eq!(tap.observed().model.as_deref(), Some("claude-x"));
    assert_eq!(tap.observed().service_tier.as_deref(), Some("standard"));
    assert!(tap.complete());
}

#[test]
fn anthropic_ends_with_message_stop_only() {
    let finish = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#;
    let (seen, tap) = classes(Surface::AnthropicMessages, &[finish]);
    assert_eq!(seen, [Class::Finish]);
    assert!(!tap.complete());
    let (seen, tap) = classes(
        Surface::AnthropicMessages,
        &[
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(seen, [Class::Error, Class::Terminal]);
    assert_eq!(tap.observed().problem.as_ref().unwrap().kind.as_deref(), Some("overloaded_error"));
    assert!(!tap.complete());
    let mut tap = Tap::new(Surface::AnthropicMessages);
    assert_eq!(tap.observe(b"event: message_stop\ndata: {}\n\n"), Class::Terminal);
}

#[test]
fn anthropics_reports_are_running_totals_of_which_the_largest_counts() {
    let mut merged = usage::Anthropic::default();
    assert_eq!(merged.usage(), None);
    merged.merge(br#"{"input_tokens":100,"cache_read_input_tokens":50,"output_tokens":1}"#);
    merged.merge(br#"{"output_tokens":7}"#);
    merged.merge(br#"{"input_tokens":90,"output_tokens":9,"cache_read_input_tokens":null}"#);
    merged.merge(b"odd");
    assert_eq!(
        merged.usage(),
        Some(Usage { input: 150, cache_read: 50, output: 9, ..Usage::default() })
    );
    let mut unsplit = usage::Anthropic::default();
    unsplit.merge(br#"{"input_tokens":1,"cache_creation_input_tokens":8,"output_tokens":1}"#);
    assert_eq!(unsplit.usage().unwrap().cache_write_5m, 8);
}

#[test]
fn each_providers_arithmetic_comes_out_the_same() {
    let of = |text: &str| usage::openai(text.as_bytes()).unwrap();
    let xai = of(
        r#"{"prompt_tokens":291,"completion_tokens":26,"total_tokens":513,"completion_tokens_details":{"reasoning_tokens":196},"num_sources_used":3,"cost_in_usd_ticks":1176500}"#,
    );
    assert_eq!((xai.output, xai.reasoning, xai.searches), (222, 196, 3));
    assert_eq!(xai.stated_cost, Some("0.00011765".parse::<Decimal>().unwrap()));
    let deepseek = of(
        r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}"#,
    );
    assert_eq!(deepseek.cache_read, 6);
    let azure_grok = of(
        r#"{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":161}}"#,
    );
    assert_eq!(azure_grok.cache_read, 7);
    let openrouter = of(
        r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cost":1.5e-05,"completion_tokens_details":null,"prompt_tokens_details":{"cache_write_tokens":5,"cached_tokens":2}}"#,
    );
    assert_eq!((openrouter.cache_read, openrouter.cache_write_5m), (2, 5));
    assert_eq!(openrouter.stated_cost, Some("0.000015".parse().unwrap()));
    let perplexity = of(
        r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cost":{"request_cost":0.005,"total_cost":0.006}}"#,
    );
    assert_eq!(perplexity.stated_cost, Some("0.006".parse().unwrap()));
    let voxtral = of(
        r#"{"prompt_tokens":9,"completion_tokens":201,"total_tokens":585,"prompt_tokens_details":{"audio_tokens":375}}"#,
    );
    assert_eq!((voxtral.input, voxtral.input_audio), (384, 375));
    let voyage = of(r#"{"total_tokens":12}"#);
    assert_eq!((voyage.input, voyage.output), (12, 0));
    let odd = of(
        r#"{"prompt_tokens":9.0,"completion_tokens":-1,"cached_tokens":"x","cost":0.1000000000000000055511151231257827}"#,
    );
    assert_eq!((odd.input, odd.output, odd.cache_read), (9, 0, 0));
    assert_eq!(odd.stated_cost, Some("0.1".parse().unwrap()));
    for nothing in ["{}", "null", "[]", r#"{"prompt_tokens":null}"#, "{\"a\""] {
        assert_eq!(usage::openai(nothing.as_bytes()), None, "{nothing}");
    }
}

#[test]
fn groq_reports_usage_under_its_own_name() {
    let (seen, tap) = chat(&[
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}"#,
    ]);
    assert_eq!(seen, [Class::Finish]);
    assert_eq!(tap.observed().usage.unwrap().total(), 3);
}

#[test]
fn whole_answers_are_read_too() {
    let observed = Tap::unary(
        Surface::OpenAiChat,
        br#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"abc"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
    );
    assert_eq!(observed.model.as_deref(), Some("m"));
    assert_eq!((observed.output_text_bytes, observed.finished), (3, true));
    assert_eq!(observed.usage.unwrap().output, 2);

    let failed = Tap::unary(
        Surface::OpenAiChat,
        br#"{"choices":[{"error":{"message":"down","code":502},"finish_reason":"error"}]}"#,
    );
    assert_eq!(failed.problem.unwrap().message, "down");

    let observed = Tap::unary(
        Surface::AnthropicMessages,
        br#"{"type":"message","model":"c","content":[{"type":"text","text":"abc"},{"type":"tool_use","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}"#,
    );
    assert_eq!((observed.output_text_bytes, observed.finished), (11, true));
    assert_eq!(observed.usage.unwrap().total(), 7);
    let failed = Tap::unary(
        Surface::AnthropicMessages,
        br#"{"type":"error","error":{"type":"api_error","message":"m"}}"#,
    );
    assert_eq!(failed.problem.unwrap().message, "m");

    let legacy = Tap::unary(
        Surface::OpenAiCompletions,
        br#"{"choices":[{"text":"abc","index":0,"logprobs":null,"finish_reason":"length"}]}"#,
    );
    assert_eq!((legacy.output_text_bytes, legacy.finished), (3, true));
    let embeddings = Tap::unary(
        Surface::OpenAiEmbeddings,
        br#"{"data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":5,"total_tokens":5}}"#,
    );
    assert_eq!(embeddings.usage.unwrap().input, 5);
}

#[test]
fn frames_without_data_are_neutral() {
    let mut tap = Tap::new(Surface::OpenAiChat);
    for frame in
        [": OPENROUTER PROCESSING\n\n", "\n", "event: x\n\n", "data:\n\n", "data: null\n\n"]
    {
        assert_eq!(tap.observe(frame.as_bytes()), Class::Neutral, "{frame:?}");
    }
    assert_eq!(tap.observe(b"data: [DONE]"), Class::Terminal);
}

#[test]
fn data_on_several_lines_is_one_event() {
    let mut tap = Tap::new(Surface::OpenAiChat);
    let frame = b"data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}}]}\n\n";
    assert_eq!(tap.observe(frame), Class::Semantic);
}

proptest! {
    #[test]
    fn no_damage_to_a_frame_panics_a_tap(at in 0_usize..400, byte in any::<u8>(), cut in any::<bool>()) {
        let frames: [&[u8]; 2] = [
            br#"data: {"model":"gpt-x","choices":[{"index":0,"delta":{"content":"a","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":1}},"x_groq":{"usage":null},"error":{"message":"a"}}"#,
            br#"data: {"type":"message_start","message":{"model":"c","usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":1}}},"delta":{"text":"a","stop_reason":"b"},"error":{"message":"m"}}"#,
        ];
        for frame in frames {
            let mut frame = frame.to_vec();
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
            if cut {
                frame.truncate(at);
            }
            for surface in [Surface::OpenAiChat, Surface::AnthropicMessages] {
                Tap::new(surface).observe(&frame);
                let _ = Tap::unary(surface, &frame);
                let _ = dialect::retouch::set_model(&frame, "x");
                let _ = dialect::retouch::strip_usage(&frame);
            }
        }
    }
}

fn observed(surface: Surface, events: &[&str]) -> Observed {
    let mut tap = Tap::new(surface);
    for event in events {
        tap.observe(event.as_bytes());
    }
    tap.observed().clone()
}

#[test]
fn openais_usage_is_final_with_the_last_finish_reason_or_after_it() {
    const EARLY: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n";
    const END: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\n";
    const OTHER: &str = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    let chat = |events: &[&str]| observed(Surface::OpenAiChat, events);
    assert!(!chat(&[EARLY, END, DONE]).usage_is_final, "a running total");
    assert!(!chat(&[EARLY, OTHER, END, USAGE]).usage_is_final, "another choice goes on");
    let whole = chat(&[EARLY, END, USAGE, DONE]);
    assert!(whole.usage_is_final);
    assert_eq!(whole.usage.unwrap().output, 9);
    let with_finish = END
        .replace("\"finish", "\"x\":0,\"finish")
        .replace("]}\n", "],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n");
    assert!(chat(&[EARLY, &with_finish]).usage_is_final);
    // A later report of less does not lower an earlier one.
    let lower = USAGE.replace("\"prompt_tokens\":5", "\"prompt_tokens\":2");
    assert_eq!(chat(&[EARLY, END, &lower]).usage.unwrap().input, 5);
}

#[test]
fn anthropics_usage_is_final_with_the_output_tokens_of_message_delta() {
    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n";
    const DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let messages = |events: &[&str]| observed(Surface::AnthropicMessages, events);
    let half = messages(&[START, DELTA, STOP]);
    assert!(half.usage.is_some() && !half.usage_is_final);
    let with_usage = |usage: &str| DELTA.replace("}}\n", &format!("}},\"usage\":{usage}}}\n"));
    assert!(!messages(&[START, &with_usage("{\"input_tokens\":5}"), STOP]).usage_is_final);
    let whole = messages(&[START, &with_usage("{\"output_tokens\":9}"), STOP]);
    assert!(whole.usage_is_final);
    assert_eq!(whole.usage.unwrap().output, 9);
}

#[test]
fn output_that_no_text_measures_is_noticed() {
    let chat = |delta: &str| {
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
        observed(Surface::OpenAiChat, &[&event]).has_unmeasured_output
    };
    assert!(chat(r#"{"audio":{"data":"AAAA"}}"#));
    assert!(chat(
        r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}"#
    ));
    assert!(chat(r#"{"thinking_blocks":[{"type":"redacted_thinking","data":"x"}]}"#));
    assert!(chat(r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}"#));
    assert!(chat(r#"{"hologram":"x"}"#), "a member that nobody knows");
    assert!(!chat(r#"{"role":"assistant","content":"a","refusal":null,"hologram":null}"#));
    assert!(!chat(r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#));
    let block = |kind: &str| {
        let event = format!(
            "data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"{kind}\"}}}}\n\n"
        );
        observed(Surface::AnthropicMessages, &[&event]).has_unmeasured_output
    };
    assert!(block("thinking") && block("redacted_thinking") && block("server_tool_use"));
    assert!(!block("text") && !block("tool_use"));
}

#[test]
fn a_bring_your_own_key_answer_adds_the_upstreams_cost() {
    let stated = |usage: &str| {
        let body = format!("{{\"choices\":[],\"usage\":{usage}}}");
        Tap::unary(Surface::OpenAiChat, body.as_bytes())
            .usage
            .unwrap()
            .stated_cost
            .map(|cost| cost.to_string())
    };
    let usage = |rest: &str| format!("{{\"prompt_tokens\":1,\"completion_tokens\":1,{rest}}}");
    let details = "\"cost_details\":{\"upstream_inference_cost\":0.0125}";
    assert_eq!(
        stated(&usage(&format!("\"cost\":0.001,\"is_byok\":true,{details}"))).as_deref(),
        Some("0.0135")
    );
    assert_eq!(
        stated(&usage(&format!("\"cost\":0.001,\"is_byok\":false,{details}"))).as_deref(),
        Some("0.001")
    );
    assert_eq!(
        stated(&usage("\"cost\":0.5,\"is_byok\":1,\"cost_details\":7")).as_deref(),
        Some("0.5")
    );
}

/// They were billed at the price of five minutes.
#[test]
fn cache_writes_for_an_hour_are_read_from_openais_shape() {
    let split = r#"{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cache_write_tokens":30,"cache_creation_token_details":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}}"#;
    let usage = usage::openai(split.as_bytes()).unwrap();
    assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (10, 20));
    let only = r#"{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cache_creation_tokens":30}}"#;
    assert_eq!(usage::openai(only.as_bytes()).unwrap().cache_write_5m, 30);
}

#[test]
fn the_spelling_of_responses_is_read_too() {
    let text = r#"{"input_tokens":7,"output_tokens":9,"total_tokens":16,"reasoning_tokens":4}"#;
    let usage = usage::openai(text.as_bytes()).unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning), (7, 9, 4));
}

#[test]
fn output_that_only_the_total_shows_is_output() {
    let output = |text: &str| usage::openai(text.as_bytes()).unwrap().output;
    let thoughts = r#"{"prompt_tokens":10,"completion_tokens":1,"total_tokens":1010}"#;
    assert_eq!(output(thoughts), 1000);
    let reasoning = r#"{"prompt_tokens":10,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":999}}"#;
    assert_eq!(output(reasoning), 999);
    let odd = r#"{"prompt_tokens":43,"completion_tokens":10,"total_tokens":53,"completion_tokens_details":{"reasoning_tokens":11}}"#;
    assert_eq!(output(odd), 10, "recorded: the total decides");
}

#[test]
fn a_report_that_lacks_a_part_is_not_final() {
    let chat = |usage: &str| {
        let body = format!(
            r#"{{"choices":[{{"index":0,"message":{{"content":"yes"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        );
        Tap::unary(Surface::OpenAiChat, body.as_bytes()).usage_is_final
    };
    assert!(chat(r#"{"prompt_tokens":10,"completion_tokens":1}"#));
    for usage in [
        r#"{"prompt_tokens":10}"#,
        r#"{"prompt_tokens":10,"completion_tokens":null}"#,
        r#"{"prompt_tokens":"10","completion_tokens":"1000"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":-7}"#,
        r#"{"prompt_tokens":0,"completion_tokens":9}"#,
        r#"{"completion_tokens":9}"#,
        r#"{"total_tokens":1010}"#,
        "{}",
        "[]",
    ] {
        assert!(!chat(usage), "{usage}");
    }
    let message = |usage: &str| {
        let body = format!(
            r#"{{"type":"message","content":[{{"type":"text","text":"yes"}}],"stop_reason":"end_turn","usage":{usage}}}"#
        );
        Tap::unary(Surface::AnthropicMessages, body.as_bytes()).usage_is_final
    };
    assert!(message(r#"{"input_tokens":10,"output_tokens":1}"#));
    assert!(message(r#"{"input_tokens":0,"cache_read_input_tokens":9,"output_tokens":1}"#));
    for usage in [
        r#"{"input_tokens":10}"#,
        r#"{"output_tokens":9}"#,
        r#"{"input_tokens":0,"output_tokens":9}"#,
    ] {
        assert!(!message(usage), "{usage}");
    }
    let embedding = |usage: &str| {
        let body = format!(r#"{{"data":[],"usage":{usage}}}"#);
        Tap::unary(Surface::OpenAiEmbeddings, body.as_bytes()).usage_is_final
    };
    assert!(embedding(r#"{"prompt_tokens":8,"total_tokens":8}"#));
    assert!(!embedding(r#"{"prompt_tokens":0,"total_tokens":0}"#));
}

#[test]
fn output_after_a_final_report_makes_it_a_running_one() {
    const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n";
    const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\n";
    const MORE: &str = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
    const AUDIO: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"AAAA\"}}}]}\n\n";
    assert!(observed(Surface::OpenAiChat, &[END]).usage_is_final);
    assert!(!observed(Surface::OpenAiChat, &[END, MORE]).usage_is_final);
    assert!(!observed(Surface::OpenAiChat, &[END, AUDIO]).usage_is_final);
    let delta = |reason: &str| {
        format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":{reason}}},\"usage\":{{\"output_tokens\":1}}}}\n\n"
        )
    };
    let messages = |events: &[&str]| observed(Surface::AnthropicMessages, events).usage_is_final;
    assert!(messages(&[START, &delta("\"end_turn\"")]));
    assert!(!messages(&[START, &delta("null")]), "the answer has not ended");
    let text = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    assert!(!messages(&[START, &delta("\"end_turn\""), text]));
}
