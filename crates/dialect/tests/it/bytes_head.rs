//! What a scan of a request finds and refuses.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use dialect::Surface;
use dialect::head::{CostSignals, Head, HeadError, Metadata, ServerTools, keys::Role};
use proptest::prelude::*;

fn chat(body: &str) -> Result<Head, HeadError> {
    Head::scan(body.as_bytes(), Surface::OpenAiChat)
}

#[test]
fn the_values_that_matter_are_read() {
    let body = r#" {"model":"gr\u006fup","stream" : true,"stream_options":{"include_usage":true},
        "max_tokens":5,"max_completion_tokens":7,"n":3,"service_tier":"flex","user":"u",
        "num_retries":2,"timeout":1.5,"stream_timeout":"30","drop_params":true,
        "tags":["a"],"metadata":{"tags":["b"],"trace_id":"t"},"fallbacks":["f1",{"model":"f2"},
        {"group":["f3"]},{"other":["f4"]}],"thinking":{"type":"enabled","budget_tokens":99},
        "messages":[],"frobnicate":1} "#;
    let head = chat(body).unwrap();
    assert_eq!(head.model(), Some("group"));
    assert!(head.stream() && head.include_usage());
    assert_eq!(head.max_output_tokens(), Some(7));
    assert_eq!(head.n(), 3);
    assert_eq!(head.service_tier(), Some("flex"));
    assert_eq!(head.user(), Some("u"));
    assert_eq!(head.num_retries(), Some(2));
    assert_eq!(head.timeout_ms(), Some(1500));
    assert_eq!(head.stream_timeout_ms(), Some(30_000));
    assert_eq!(head.drop_params(), Some(true));
    assert_eq!(head.thinking_budget_tokens(), Some(99));
    assert_eq!(head.tags().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["a", "b"]);
    assert_eq!(
        head.fallbacks().iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["f1", "f2", "f3"]
    );
    assert_eq!(head.metadata(), &Metadata::Remove);
    assert_eq!(head.unknown(body.as_bytes()).collect::<Vec<_>>(), ["\"frobnicate\""]);
    assert_eq!(
        head.keys(Role::Gateway).collect::<Vec<_>>(),
        ["num_retries", "timeout", "stream_timeout", "drop_params", "tags", "fallbacks"]
    );
}

#[test]
fn null_is_nothing_said() {
    let head = chat(
        r#"{"model":null,"stream":null,"stream_options":null,"max_tokens":null,"n":null,
        "user":null,"metadata":null,"litellm_metadata":null,"tags":null,"fallbacks":null,
        "timeout":null,"thinking":null,"tools":null,"service_tier":null}"#,
    )
    .unwrap();
    assert_eq!(head.model(), None);
    assert!(!head.stream() && !head.include_usage());
    assert_eq!((head.max_output_tokens(), head.n()), (None, 1));
    assert!(head.tags().is_empty() && head.fallbacks().is_empty());
}

#[test]
fn the_end_user_is_looked_for_in_litellms_order() {
    let user = |body: &str| chat(body).unwrap().user().map(str::to_owned);
    assert_eq!(
        user(r#"{"metadata":{"user_id":"m"},"litellm_metadata":{"user":"l"},"user":"u"}"#),
        Some("u".into())
    );
    assert_eq!(
        user(
            r#"{"safety_identifier":"s","metadata":{"user_id":"m"},"litellm_metadata":{"user":"l"}}"#
        ),
        Some("l".into())
    );
    assert_eq!(user(r#"{"safety_identifier":"s","metadata":{"user_id":"m"}}"#), Some("m".into()));
    assert_eq!(user(r#"{"safety_identifier":"s","metadata":"odd"}"#), Some("s".into()));
}

#[test]
fn metadata_goes_upstream_only_in_the_providers_own_form() {
    let openai = |body: &str| chat(body).unwrap().metadata().clone();
    assert_eq!(openai("{}"), Metadata::Absent);
    assert_eq!(openai(r#"{"metadata":{"team":"a"}}"#), Metadata::Keep);
    assert_eq!(openai(r#"{"metadata":{"team":1}}"#), Metadata::Remove);
    assert_eq!(openai(r#"{"metadata":{"trace_id":"a"}}"#), Metadata::Remove);
    let anthropic = |body: &str| {
        Head::scan(body.as_bytes(), Surface::AnthropicMessages).unwrap().metadata().clone()
    };
    assert_eq!(anthropic(r#"{"metadata":{"user_id":"a"}}"#), Metadata::Keep);
    assert_eq!(
        anthropic(r#"{"metadata":{"tags":["t"],"user_id":"a"}}"#),
        Metadata::Replace(r#"{"user_id":"a"}"#.into())
    );
    assert_eq!(anthropic(r#"{"metadata":{"tags":["t"]}}"#), Metadata::Remove);
}

#[test]
fn text_that_readers_take_in_different_ways_is_refused() {
    let refused = |body: &str| chat(body).unwrap_err();
    assert_eq!(refused("\u{feff}{}"), HeadError::ByteOrderMark);
    assert_eq!(refused(r#"{"model":"a","model":"b"}"#), HeadError::Duplicate { key: "model" });
    assert_eq!(refused(r#"{"model":"a","mod\u0065l":"b"}"#), HeadError::Duplicate { key: "model" });
    for found in ["Model", "MODEL", "mOdel"] {
        assert_eq!(
            refused(&format!(r#"{{"model":"a","{found}":"b"}}"#)),
            HeadError::Lookalike { found: found.into(), key: "model" }
        );
    }
    assert!(matches!(refused("{\"\u{17f}tream\":true}"), HeadError::Lookalike { .. }));
    assert!(matches!(refused(r#"{"Mode\u006c":1}"#), HeadError::Lookalike { .. }));
    assert!(matches!(
        refused(r#"{"stream_options":{"Include_Usage":true}}"#),
        HeadError::Lookalike { .. }
    ));
    assert!(matches!(
        refused(r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#),
        HeadError::Duplicate { .. }
    ));
    for body in ["", "[]", "null", "{", "{} x", "{}{}", "{\"a\":1,}", "{'a':1}", "{\"a\":NaN}"] {
        assert!(matches!(refused(body), HeadError::Syntax(_)), "{body}");
    }
    let bytes = b"{\"messages\":[\"\xff\"]}";
    assert_eq!(Head::scan(bytes, Surface::OpenAiChat), Err(HeadError::NotUtf8 { at: 14 }));
}

#[test]
fn values_that_cannot_be_limited_are_refused() {
    for body in [
        r#"{"stream":"true"}"#,
        r#"{"stream":1}"#,
        r#"{"max_tokens":-1}"#,
        r#"{"max_tokens":1.5}"#,
        r#"{"max_tokens":"5"}"#,
        r#"{"n":[2]}"#,
        r#"{"model":["a"]}"#,
        r#"{"stream_options":[]}"#,
        r#"{"stream_options":{"include_usage":1}}"#,
        r#"{"user":7}"#,
        r#"{"tags":"a"}"#,
        r#"{"timeout":"soon"}"#,
        r#"{"timeout":-1}"#,
        r#"{"timeout":true}"#,
        r#"{"thinking":{"budget_tokens":"many"}}"#,
        r#"{"fallbacks":"a"}"#,
    ] {
        let error = chat(body).unwrap_err();
        assert!(matches!(error, HeadError::WrongType { .. }), "{body}: {error:?}");
        assert!(error.param().is_some_and(|key| body.contains(key.split('.').next().unwrap())));
    }
    let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(2000));
    assert_eq!(chat(&long), Err(HeadError::TooLong { key: "model", max: 1024 }));
    let many = (0..600).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(",");
    assert_eq!(chat(&format!("{{{many}}}")), Err(HeadError::TooManyKeys));
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let nested =
        |depth: usize| format!(r#"{{"messages":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(chat(&nested(255)).is_ok());
    assert_eq!(chat(&nested(256)), Err(HeadError::TooDeep));
    assert_eq!(chat(&nested(100_000)), Err(HeadError::TooDeep));
    assert!(matches!(chat(&"[".repeat(100_000)), Err(HeadError::Syntax(_))));
    assert!(chat(&format!(r#"{{"messages":["{}"]}}"#, "[".repeat(100_000))).is_ok());
}

fn signals(surface: Surface, body: &str) -> CostSignals {
    Head::scan(body.as_bytes(), surface).unwrap().cost_signals(body.as_bytes())
}

#[test]
fn text_bounds_the_input() {
    let plain = CostSignals { bytes_bound_input: true, ..CostSignals::default() };
    for body in [
        r#"{"messages":[{"role":"user","content":"an \"image_url\" of http://x/ [\"file\"]"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}],"name":"n"}]}"#,
        r#"{"messages":[{"role":"assistant","content":null,"audio":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"image_url\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}]}"#,
    ] {
        assert_eq!(signals(Surface::OpenAiChat, body), plain, "{body}");
    }
    let body = r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"a"}]}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"1","name":"f","input":{"type":"image","source":1}}]}]}"#;
    assert_eq!(signals(Surface::AnthropicMessages, body), plain);
    for body in [r#"{"input":["a","b"]}"#, r#"{"input":[[1,2]]}"#] {
        assert_eq!(signals(Surface::OpenAiEmbeddings, body), plain);
    }
}

#[test]
fn what_is_not_text_does_not_bound_the_input() {
    for body in [
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"image\u005furl","image_url":{"url":"https://x/"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"","image\u005furl":"https://x/"}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"image_url":"https://x/"}]}]}"#,
        r#"{"messages":[{"role":"user","content":"a","images":["aGk="]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#,
        r#"{"messages":[{"role":"user","content":{"type":"text"}}]}"#,
        r#"{"messages":"odd"}"#,
        r#"{"messages":[],"previous_response_id":"r"}"#,
        r#"{"messages":[],"web_search_options":{}}"#,
        r#"{"messages":[],"tools":[{"type":"web_search"}]}"#,
    ] {
        assert!(!signals(Surface::OpenAiChat, body).bytes_bound_input, "{body}");
    }
    for body in [
        r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"x"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"document","source":{}}]}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"x"}]}]}"#,
        r#"{"messages":[],"system":[{"type":"image"}]}"#,
        r#"{"messages":[],"mcp_servers":[{}]}"#,
        r#"{"messages":[],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
    ] {
        assert!(!signals(Surface::AnthropicMessages, body).bytes_bound_input, "{body}");
    }
    assert!(!signals(Surface::OpenAiEmbeddings, r#"{"input":[{"image":"x"}]}"#).bytes_bound_input);
}

#[test]
fn tools_tiers_and_unknown_keys_are_told_apart() {
    let function = signals(
        Surface::OpenAiChat,
        r#"{"messages":[],"tools":[{"function":{"type":"web_search"},"type":"function"}]}"#,
    );
    assert!(function.tools && function.server_tools == ServerTools::None);
    assert!(function.bytes_bound_input);
    let server = signals(Surface::AnthropicMessages, r#"{"tools":[{"type":"bash_20250124"}]}"#);
    assert!(server.tools && server.server_tools == ServerTools::Prompts);
    assert!(!server.bytes_bound_input);
    let none = signals(Surface::OpenAiChat, r#"{"tools":[],"service_tier":null}"#);
    assert_eq!(none, CostSignals { bytes_bound_input: true, ..CostSignals::default() });
    assert!(signals(Surface::OpenAiChat, r#"{"service_tier":"priority"}"#).price_keys);
    assert!(signals(Surface::AnthropicMessages, r#"{"speed":"fast"}"#).price_keys);
    assert!(signals(Surface::OpenAiChat, r#"{"x":1}"#).unknown_keys);
}

/// A reader who knows only plain spellings took these for functions.
#[test]
fn server_tools_cannot_hide() {
    for tools in [
        r#"[{"\u0074ype":"web_search_20250305","name":"web_search","max_uses":1}]"#,
        r#"[{"type":"\u0077eb_search_20250305","max_uses":1}]"#,
        r#"[{"type":"function","type":"web_search_20250305","max_uses":1}]"#,
        r#"[{"google_search":{}}]"#,
        r#"[{"type":"function","function":{},"google_search":{}}]"#,
        r#"[{"type":"code_execution_20250825","name":"code_execution"}]"#,
        r#"[{"type":"web_search_20250305","name":"web_search"}]"#,
        r#"{"type":"function"}"#,
    ] {
        for surface in [Surface::OpenAiChat, Surface::AnthropicMessages] {
            let body = format!(r#"{{"tools":{tools}}}"#);
            assert_eq!(signals(surface, &body).server_tools, ServerTools::Unbounded, "{body}");
        }
    }
}

#[test]
fn server_tools_run_as_often_as_they_say() {
    let of = |tools: &str| {
        signals(Surface::AnthropicMessages, &format!(r#"{{"tools":{tools}}}"#)).server_tools
    };
    assert_eq!(
        of(
            r#"[{"type":"web_search_20250305","name":"web_search","max_uses":3},{"name":"f","input_schema":{}}]"#
        ),
        ServerTools::Loop { rounds: 3, searches: 3 }
    );
    assert_eq!(
        of(
            r#"[{"type":"web_search_20260209","max_uses":3},{"type":"web_fetch_20250910","max_uses":20}]"#
        ),
        ServerTools::Loop { rounds: 20, searches: 3 }
    );
    assert_eq!(
        of(r#"[{"name":"f","description":"d","input_schema":{"type":"object"},"type":null}]"#),
        ServerTools::None
    );
}

#[test]
fn errors_name_the_key_and_what_to_do() {
    assert_eq!(
        chat(r#"{"max_tokens":-1}"#).unwrap_err().to_string(),
        "`max_tokens` must be a whole number, 0 or more"
    );
    assert_eq!(
        chat(r#"{"Model":"a"}"#).unwrap_err().to_string(),
        "`Model` is not a parameter; did you mean `model`?"
    );
}

proptest! {
    #[test]
    fn no_body_panics_a_scan(body in prop::collection::vec(any::<u8>(), 0..80)) {
        for surface in [Surface::OpenAiChat, Surface::AnthropicMessages] {
            if let Ok(head) = Head::scan(&body, surface) {
                prop_assert_eq!(head.surface(), surface);
            }
        }
    }

    #[test]
    fn no_damage_to_a_body_panics_a_scan(at in 0_usize..300, byte in any::<u8>()) {
        let mut body = br#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"tools":[{"type":"function"}],"metadata":{"user_id":"a"},"fallbacks":[{"a":["b"]}]}"#.to_vec();
        if let Some(place) = body.get_mut(at) {
            *place = byte;
        }
        if let Ok(head) = Head::scan(&body, Surface::OpenAiChat) {
            prop_assert!(head.cost_signals(&body).tools || head.has_unknown());
        }
        let cut_short = at < body.len();
        body.truncate(at);
        prop_assert!(!cut_short || Head::scan(&body, Surface::OpenAiChat).is_err());
    }
}
