//! What other dialects' conversations become on the way to Claude.

use dialect::anthropic_messages::{JSON_TOOL, request, response};
use dialect::model::{
    Content, Extension, OutputFormat, Part, Reasoning, ReasoningMode, Request, Role, Sampling,
    Sealed, Thought, Tool, ToolChoice, ToolKind, Turn, Weight,
};
use dialect::{Dialect, Dropped, EncodeError, Json, Target};
use serde_json::{Number, Value, json};

fn text(text: &str) -> Part {
    Content::Text { text: text.to_owned(), citations: Vec::new() }.into()
}

fn call(id: &str) -> Part {
    let (name, arguments) = ("f".to_owned(), String::new());
    Content::ToolCall { id: id.to_owned(), name, arguments, kind: ToolKind::Function }.into()
}

fn result(id: &str, words: &str) -> Part {
    Content::ToolResult { id: id.to_owned(), parts: vec![text(words)], is_error: false }.into()
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, name: None, parts }
}

fn user(words: &str) -> Turn {
    turn(Role::User, vec![text(words)])
}

fn asking(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

fn json(text: &str) -> Json {
    Json::parse(text.to_owned()).unwrap()
}

fn function(name: &str) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        extensions: Vec::new(),
    }
}

fn sent_to(request: &Request, target: &Target<'_>) -> Value {
    serde_json::from_slice(&request::encode(request, target, &mut Dropped::default()).unwrap())
        .unwrap()
}

fn sent(request: &Request) -> Value {
    sent_to(request, &Target::default())
}

#[test]
fn results_of_one_answer_go_into_one_message_before_the_words() {
    let body = sent(&asking(vec![
        user("go"),
        turn(Role::Assistant, vec![call("a")]),
        turn(Role::Assistant, vec![call("b")]),
        turn(Role::User, vec![result("b", "B")]),
        user("and then?"),
        turn(Role::User, vec![result("a", "A"), result("b", "B again")]),
    ]));
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    let ids: Vec<_> =
        messages[2]["content"].as_array().unwrap().iter().map(|b| &b["tool_use_id"]).collect();
    assert_eq!(ids, [&json!("b"), &json!("a"), &Value::Null]);
    assert_eq!(messages[2]["content"][0]["content"], "B again", "the later of two stands");
}

#[test]
fn a_call_without_a_result_gets_one_that_says_so() {
    let body =
        sent(&asking(vec![user("go"), turn(Role::Assistant, vec![call("a")]), user("never mind")]));
    let stub = &body["messages"][2]["content"][0];
    assert_eq!((&stub["tool_use_id"], &stub["is_error"]), (&json!("a"), &json!(true)));
    let last = sent(&asking(vec![user("go"), turn(Role::Assistant, vec![call("a")])]));
    assert_eq!(last["messages"][2]["role"], "user");
}

#[test]
fn a_result_without_its_call_is_refused_by_name() {
    for turns in [
        vec![turn(Role::User, vec![result("a", "A")])],
        vec![
            user("x"),
            turn(Role::Assistant, vec![call("b")]),
            turn(Role::User, vec![result("a", "A")]),
        ],
    ] {
        let error = request::encode(&asking(turns), &Target::default(), &mut Dropped::default())
            .unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
    }
}

#[test]
fn blank_text_is_left_out_and_a_prefill_is_trimmed() {
    let body = sent(&Request {
        system: vec![text(" "), text("be kind")],
        ..asking(vec![
            turn(Role::User, vec![text(""), text("hi")]),
            turn(Role::Assistant, vec![text("\n"), text("Well, \n")]),
        ])
    });
    assert_eq!(body["system"], "be kind");
    assert_eq!(body["messages"][0]["content"], json!([{"type":"text","text":"hi"}]));
    assert_eq!(body["messages"][1]["content"], json!([{"type":"text","text":"Well,"}]));
}

#[test]
fn a_conversation_without_words_is_refused() {
    for turns in [
        vec![],
        vec![user("  ")],
        vec![user("a"), turn(Role::Assistant, vec![text("b")]), user("")],
    ] {
        let error = request::encode(&asking(turns), &Target::default(), &mut Dropped::default())
            .unwrap_err();
        assert!(matches!(error, EncodeError::Invalid { .. }));
    }
}

#[test]
fn a_conversation_that_the_assistant_opens_starts_with_a_user_all_the_same() {
    let body = sent(&asking(vec![turn(Role::Assistant, vec![text("Hello!")]), user("hi")]));
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(body["messages"][1]["content"][0]["text"], "Hello!");
}

#[test]
fn late_instructions_become_tagged_text_where_they_stood() {
    let body =
        sent(&asking(vec![user("a"), turn(Role::System, vec![text("be brief")]), user("b")]));
    let content = &body["messages"][0]["content"];
    assert_eq!(content[1]["text"], "<system-message>\nbe brief\n</system-message>");
    assert_eq!(content[2]["text"], "b");
}

#[test]
fn ids_that_anthropic_refuses_are_spelled_and_read_back() {
    let body = sent(&asking(vec![
        user("go"),
        turn(Role::Assistant, vec![call("functions.f:0")]),
        turn(Role::User, vec![result("functions.f:0", "A")]),
    ]));
    let id = body["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], id);
    let again = request::decode(
        body.to_string().replace("\"max_tokens\":", "\"model\":\"m\",\"max_tokens\":").as_bytes(),
    );
    let again = again.unwrap();
    assert!(
        matches!(&again.turns[1].parts[0].content, Content::ToolCall { id, .. } if id == "functions.f:0")
    );
}

#[test]
fn thinking_without_a_signature_or_with_anothers_is_not_replayed() {
    let thought = |signature: Option<Sealed>| {
        let text = Some("hm".to_owned());
        Content::Reasoning(Thought { text, signature, redacted: None }).into()
    };
    let answer = vec![
        thought(None),
        thought(Some(Sealed::googles("g"))),
        thought(Some(Sealed::claudes("a"))),
        text("b"),
    ];
    let body = sent(&asking(vec![user("a"), turn(Role::Assistant, answer), user("c")]));
    let content = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(content.len(), 2);
    assert_eq!(content[0]["signature"], "a");
}

#[test]
fn a_tool_loop_whose_thinking_is_gone_runs_without_thinking() {
    let signed =
        Content::Reasoning(Thought { signature: Some(Sealed::claudes("s")), ..Thought::default() });
    let request = |first: Vec<Part>| Request {
        reasoning: Some(Reasoning { effort: Some("high".to_owned()), ..Reasoning::default() }),
        max_output_tokens: Some(9_000),
        ..asking(vec![
            user("go"),
            turn(Role::Assistant, first.into_iter().chain([call("a")]).collect()),
            turn(Role::User, vec![result("a", "A")]),
        ])
    };
    assert!(sent(&request(vec![])).get("thinking").is_none());
    let kept = sent(&request(vec![signed.into()]));
    assert_eq!(kept["thinking"], json!({"type":"enabled","budget_tokens":4096}));
    assert_eq!(
        kept["messages"][1]["content"][0],
        json!({"type":"thinking","thinking":"","signature":"s"})
    );
}

#[test]
fn thinking_forbids_forced_tools_and_warm_sampling() {
    let request = Request {
        reasoning: Some(Reasoning {
            budget_tokens: Some(2_000),
            mode: Some(ReasoningMode::Enabled),
            effort: None,
        }),
        max_output_tokens: Some(9_000),
        tools: vec![function("f")],
        tool_choice: Some(ToolChoice::Required),
        sampling: Sampling {
            temperature: Number::from_f64(0.5),
            top_p: Number::from_f64(0.9),
            top_k: Some(4),
            ..Sampling::default()
        },
        ..asking(vec![user("go")])
    };
    let body = sent(&request);
    assert_eq!(body["tool_choice"], json!({"type":"auto"}));
    for gone in ["temperature", "top_p", "top_k"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
}

#[test]
fn temperature_is_clamped_and_top_p_yields_to_it() {
    let sampling = Sampling {
        temperature: Number::from_f64(1.7),
        top_p: Number::from_f64(0.9),
        ..Sampling::default()
    };
    let body = sent(&Request { sampling, ..asking(vec![user("go")]) });
    assert_eq!(body["temperature"], 1);
    assert!(body.get("top_p").is_none());
    let sampling = Sampling { top_p: Number::from_f64(0.9), ..Sampling::default() };
    assert_eq!(sent(&Request { sampling, ..asking(vec![user("go")]) })["top_p"], 0.9);
}

#[test]
fn the_output_limit_is_the_clients_or_the_targets_or_a_stated_one() {
    let free = asking(vec![user("go")]);
    let capped = Target { max_output_tokens: Some(64_000), ..Target::default() };
    assert_eq!(sent(&free)["max_tokens"], 4_096);
    assert_eq!(sent_to(&free, &capped)["max_tokens"], 64_000);
    let asked = Request { max_output_tokens: Some(100_000), ..free };
    assert_eq!(sent(&asked)["max_tokens"], 100_000);
    assert_eq!(sent_to(&asked, &capped)["max_tokens"], 64_000);
}

#[test]
fn what_claude_cannot_do_is_refused_by_name_unless_dropped() {
    let with = |sampling| Request { sampling, ..asking(vec![user("go")]) };
    let audio = Content::Audio { data: "AAAA".to_owned(), format: "wav".to_owned() };
    let foreign = Extension {
        weight: Weight::Meaning,
        ..Extension::new(Dialect::OpenAiChat, "web_search_options", json("{}"))
    };
    let half = Number::from_f64(0.5);
    for (request, param) in [
        (with(Sampling { n: Some(2), ..Sampling::default() }), "n"),
        (with(Sampling { logprobs: Some(true), ..Sampling::default() }), "logprobs"),
        (
            with(Sampling { logit_bias: Some(json("{\"1\":1}")), ..Sampling::default() }),
            "logit_bias",
        ),
        (with(Sampling { seed: Some(Number::from(1)), ..Sampling::default() }), "seed"),
        (with(Sampling { presence_penalty: half, ..Sampling::default() }), "presence_penalty"),
        (Request { extensions: vec![foreign], ..asking(vec![user("go")]) }, "web_search_options"),
    ] {
        let refused =
            request::encode(&request, &Target::default(), &mut Dropped::default()).unwrap_err();
        assert_eq!(refused, EncodeError::Unsupported { param: param.to_owned() });
        let lenient = Target { drop_params: true, ..Target::default() };
        let mut dropped = Dropped::default();
        assert!(request::encode(&request, &lenient, &mut dropped).is_ok(), "{param}");
        assert_eq!(dropped.text(), param);
    }
    // Content is no parameter.
    let spoken = asking(vec![turn(Role::User, vec![text("a"), audio.into()])]);
    for drop_params in [false, true] {
        let target = Target { drop_params, ..Target::default() };
        let refused = request::encode(&spoken, &target, &mut Dropped::default()).unwrap_err();
        assert_eq!(refused.param(), "messages[0].content[1]");
        assert!(!refused.to_string().contains("drop_params"), "{refused}");
    }
    let harmless = Sampling {
        n: Some(1),
        logprobs: Some(false),
        presence_penalty: Some(Number::from(0)),
        ..Sampling::default()
    };
    assert!(request::encode(&with(harmless), &Target::default(), &mut Dropped::default()).is_ok());
    let named = ["seed".to_owned()];
    let dropping = Target { additional_drop_params: &named, ..Target::default() };
    let seeded = with(Sampling { seed: Some(Number::from(1)), ..Sampling::default() });
    assert!(request::encode(&seeded, &dropping, &mut Dropped::default()).is_ok());
}

#[test]
fn hints_for_other_providers_are_dropped_in_silence() {
    let hint = |name: &str| Extension {
        weight: Weight::Hint,
        ..Extension::new(Dialect::OpenAiChat, name, json("\"x\""))
    };
    let extensions =
        ["store", "verbosity", "prompt_cache_key", "metadata", "modalities"].map(hint).to_vec();
    let service_tier = Some("flex".to_owned());
    let body = sent(&Request {
        extensions,
        service_tier,
        user: Some("u".to_owned()),
        ..asking(vec![user("go")])
    });
    assert_eq!(body["metadata"], json!({"user_id": "u"}));
    for gone in ["store", "verbosity", "prompt_cache_key", "modalities", "service_tier"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
}

#[test]
fn serial_tools_and_allowed_tools_are_said_anthropics_way() {
    let tools = vec![function("f"), function("g")];
    let serial = Request {
        tools: tools.clone(),
        parallel_tool_calls: Some(false),
        ..asking(vec![user("go")])
    };
    assert_eq!(
        sent(&serial)["tool_choice"],
        json!({"type":"auto","disable_parallel_tool_use":true})
    );
    assert_eq!(sent(&serial)["tools"][0]["input_schema"], json!({"type":"object","properties":{}}));
    let some = Request {
        tools,
        tool_choice: Some(ToolChoice::Allowed { required: true, names: vec!["g".to_owned()] }),
        ..asking(vec![user("go")])
    };
    assert_eq!(sent(&some)["tool_choice"], json!({"type":"any"}));
    assert_eq!(sent(&some)["tools"].as_array().unwrap().len(), 1);
    let none = Request { tool_choice: Some(ToolChoice::Required), ..asking(vec![user("go")]) };
    assert!(sent(&none).get("tool_choice").is_none(), "a choice without tools is refused upstream");
}

#[test]
fn a_schema_goes_natively_where_the_model_takes_it() {
    let schema = json(r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}"#);
    let output_format = Some(OutputFormat::JsonSchema {
        name: Some("x".to_owned()),
        description: None,
        schema,
        strict: Some(true),
    });
    let request = Request { output_format, ..asking(vec![user("go")]) };
    let native = Target { native_json_schema: true, ..Target::default() };
    let format = &sent_to(&request, &native)["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(
        format["schema"]["properties"]["n"],
        json!({"type":"integer","description":"(minimum: 1)"})
    );
    assert_eq!(format["schema"]["additionalProperties"], false);

    let stood_in = sent(&request);
    assert_eq!(stood_in["tools"][0]["name"], JSON_TOOL);
    assert_eq!(stood_in["tool_choice"], json!({"type":"tool","name":JSON_TOOL}));
    let with_tools = sent(&Request { tools: vec![function("f")], ..request });
    assert_eq!(with_tools["tool_choice"], json!({"type":"any"}));
    assert!(with_tools["system"].as_str().unwrap().contains(JSON_TOOL));
}

#[test]
fn a_stand_ins_call_is_the_answers_text() {
    let body = json!({"id":"msg_1","type":"message","role":"assistant","model":"m","stop_reason":"tool_use",
        "content":[{"type":"tool_use","id":"toolu_1","name":JSON_TOOL,"input":{"a":1}}],
        "usage":{"input_tokens":1,"output_tokens":1}});
    let answer = response::decode(body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.choices[0].parts, [text(r#"{"a":1}"#)]);
    assert_eq!(answer.choices[0].finish, Some(dialect::model::Finish::Stop));
}

#[test]
fn any_json_is_asked_for_in_words() {
    let request =
        Request { output_format: Some(OutputFormat::JsonObject), ..asking(vec![user("go")]) };
    assert!(sent(&request)["system"].as_str().unwrap().contains("JSON object"));
}

#[test]
fn an_effort_of_anthropics_client_does_not_switch_thinking_on() {
    let body = br#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"a"}],"output_config":{"effort":"low"}}"#;
    let request = request::decode(body).unwrap();
    assert_eq!(request.reasoning.as_ref().unwrap().effort.as_deref(), Some("low"));
    for adaptive_thinking in [false, true] {
        let body = sent_to(&request, &Target { adaptive_thinking, ..Target::default() });
        assert_eq!(body["output_config"], json!({"effort":"low"}));
        assert!(body.get("thinking").is_none());
    }
}

#[test]
fn what_a_client_gets_wrong_is_named_where_it_stands() {
    for (body, param) in [
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":[{"role":"tool","content":"a"}]}"#, "messages[0].role"),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#, "messages[0].content"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages[0].content[0].text",
        ),
        (r#"{"model":"m","messages":[],"max_tokens":"9"}"#, "max_tokens"),
        (r#"{"model":"m","messages":[],"tools":[{}]}"#, "tools[0].name"),
        (r#"{"model":"m","messages":[],"thinking":{"type":"on"}}"#, "thinking.type"),
    ] {
        let error = request::decode(body.as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
        assert!(error.message.starts_with(param), "{error}");
    }
    assert!(request::decode(b"nonsense").unwrap_err().message.contains("not a JSON object"));
}

#[test]
fn a_coding_clients_request_reaches_an_openai_target() {
    let body = json!({
        "model": "m", "max_tokens": 32000, "stream": true,
        "system": [{"type":"text","text":"You code.","cache_control":{"type":"ephemeral"}}],
        "messages": [
            {"role":"user","content":"go"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},
                {"type":"tool_use","id":"toolu_km_call_5f1","name":"Read","input":{"path":"a"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_km_call_5f1","content":"text"}]}
        ],
        "tools": [{"name":"Read","input_schema":{"type":"object"},"eager_input_streaming":true}],
        "thinking": {"type":"adaptive","display":"summarized"},
        "output_config": {"effort":"medium"},
        "context_management": {"edits":[]},
        "metadata": {"user_id":"u"}
    });
    let request = request::decode(body.to_string().as_bytes()).unwrap();
    let written = dialect::openai_chat::request::encode(
        &request,
        &Target::default(),
        &mut Dropped::default(),
    )
    .unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["reasoning_effort"], "medium");
    assert_eq!(written["messages"][2]["tool_calls"][0]["id"], "call_1", "its own id comes back");
    assert_eq!(written["messages"][3]["tool_call_id"], "call_1");
}

#[test]
fn an_openai_clients_request_reaches_claude() {
    let body = json!({
        "model": "m", "max_tokens": 9000, "reasoning": {"effort":"low"}, "num_retries": 2, "store": false,
        "messages": [{"role":"system","content":"Be kind."},{"role":"user","content":"hi"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},
            {"role":"tool","tool_call_id":"call_1","content":"done"}],
        "tools": [{"type":"function","function":{"name":"f"}}]
    });
    let request = dialect::openai_chat::request::decode(body.to_string().as_bytes()).unwrap();
    let body = sent_to(&request, &Target { adaptive_thinking: true, ..Target::default() });
    assert_eq!(body["system"], "Be kind.");
    assert_eq!(body["thinking"], json!({"type":"adaptive"}));
    assert_eq!(body["output_config"], json!({"effort":"low"}));
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type":"tool_use","id":"call_1","name":"f","input":{}}])
    );
    for gone in ["num_retries", "store", "reasoning"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
}
