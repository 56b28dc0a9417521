//! Conversations and parameters as a target takes them, whatever the client
//! sent: shapes that providers refuse, limits that they state, and what an
//! earlier answer of the gateway brought back.

use dialect::{Dialect, Dropped, EncodeError, Target};
use serde_json::{Value, json};

/// What a client's `body` becomes for an upstream, and what was left out.
fn sent(
    from: Dialect,
    to: Dialect,
    mut body: Value,
    target: &Target<'_>,
) -> Result<(Value, String), EncodeError> {
    let members = body.as_object_mut().unwrap();
    members.entry("model").or_insert(json!("group"));
    members.entry("messages").or_insert(json!([{"role": "user", "content": "Hi"}]));
    let request = from.decode_request(body.to_string().as_bytes()).unwrap();
    let mut dropped = Dropped::default();
    let out = to.encode_request(&request, target, &mut dropped)?;
    Ok((serde_json::from_slice(&out).unwrap(), dropped.text()))
}

fn to_openai(body: Value, target: &Target<'_>) -> Value {
    sent(Dialect::AnthropicMessages, Dialect::OpenAiChat, body, target).unwrap().0
}

fn to_claude(body: Value, target: &Target<'_>) -> Value {
    sent(Dialect::OpenAiChat, Dialect::AnthropicMessages, body, target).unwrap().0
}

fn roles(sent: &Value) -> Vec<&str> {
    let messages = sent["messages"].as_array().unwrap();
    messages.iter().map(|message| message["role"].as_str().unwrap()).collect()
}

#[test]
fn instructions_from_anywhere_become_the_one_system_message_that_a_template_takes() {
    let body = json!({"system": "S", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "go on"},
        {"role": "system", "content": "Reminder"}]});
    let first = Target { system_first: true, ..Target::default() };
    let out = to_openai(body.clone(), &first);
    assert_eq!(roles(&out), ["system", "user", "assistant", "user"]);
    assert_eq!(out["messages"][0]["content"], "S\n\nReminder");
    let anywhere = to_openai(body, &Target::default());
    assert_eq!(roles(&anywhere), ["system", "user", "assistant", "user", "system"]);
    // Several of them at the beginning, and the other role that OpenAI has.
    let body = json!({"messages": [
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
        {"role": "user", "content": "q"}, {"role": "developer", "content": "c"}]});
    let out = sent(Dialect::OpenAiChat, Dialect::OpenAiChat, body, &first).unwrap().0;
    assert_eq!(roles(&out), ["system", "user"]);
    assert_eq!(out["messages"][0]["content"], "a\n\nb\n\nc");
}

#[test]
fn every_call_has_its_result_right_after_it_towards_openai_too() {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": id});
    let body = json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [call("toolu_a"), call("toolu_b"), call("toolu_c")]},
        {"role": "user", "content": [result("toolu_b")]},
        {"role": "user", "content": [result("toolu_a"), {"type": "text", "text": "and?"}]},
        {"role": "assistant", "content": [call("toolu_d")]}]});
    let out = to_openai(body, &Target::default());
    let shown: Vec<String> = out["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{} {}", m["role"], m["tool_call_id"]).replace(['"'], ""))
        .collect();
    let expected = [
        "user null",
        "assistant null",
        "tool toolu_b",
        "tool toolu_a",
        "tool toolu_c",
        "user null",
        "assistant null",
        "tool toolu_d",
    ];
    assert_eq!(shown, expected);
    assert!(out["messages"][4]["content"].to_string().contains("no result"), "{out}");
}

#[test]
fn roles_alternate_where_the_target_demands_it() {
    let body = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"}]});
    let target = Target { alternates: true, content_as_text: true, ..Target::default() };
    let out = to_openai(body, &target);
    assert_eq!(roles(&out), ["user", "assistant"]);
    assert_eq!(out["messages"][0]["content"], "a\nb");
}

#[test]
fn half_a_surrogate_pair_is_replaced_in_words_and_in_carried_json() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a\ud83d"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"x":"\ud83d"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"\ude00"}]}],"tools":[{"name":"f","description":"\ud83d","input_schema":{"type":"object","properties":{"x":{"description":"\udc00"}}}}]}"#;
    let request = Dialect::AnthropicMessages.decode_request(body.as_bytes()).unwrap();
    for to in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
        let out = to.encode_request(&request, &Target::default(), &mut Dropped::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("\\ud83d") && !text.contains("\\udc00"), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert!(read.to_string().contains("a\u{fffd}"), "{read}");
    }
}

/// Cursor sends these where the model's name has "claude" in it.
#[test]
fn anthropic_shaped_blocks_in_a_chat_request_reach_claude_in_both_modes() {
    let body = json!({"messages": [
        {"role": "user", "content": [
            {"type": "input_text", "text": "q"},
            {"type": "image", "source": {"type": "url", "url": "https://a.test/1.png"}},
            {"type": "input_image", "image_url": "https://a.test/2.png"},
            {"type": "input_file", "filename": "a.pdf",
             "file_data": "data:application/pdf;base64,JVBERi0="}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [
            {"type": "text", "text": "and?"},
            {"type": "tool_result", "tool_use_id": "t", "content": "RESULT-42"}]}]});
    for drop_params in [false, true] {
        let target = Target { drop_params, ..Target::default() };
        let out = to_claude(body.clone(), &target);
        let messages = &out["messages"];
        let kinds = |at: usize| -> Vec<&str> {
            let blocks = messages[at]["content"].as_array().unwrap();
            blocks.iter().map(|block| block["type"].as_str().unwrap()).collect()
        };
        assert_eq!(kinds(0), ["text", "image", "image", "document"]);
        assert_eq!(kinds(1), ["thinking", "tool_use"]);
        assert_eq!(kinds(2), ["tool_result", "text"]);
        assert_eq!(messages[1]["content"][1]["input"], json!({"a": 1}));
        assert_eq!(messages[2]["content"][0]["content"], "RESULT-42");
    }
}

#[test]
fn a_file_in_an_image_url_is_a_document_and_its_base64_has_no_line_breaks() {
    let image = |url: &str| {
        json!({"messages": [{"role": "user",
            "content": [{"type": "image_url", "image_url": {"url": url}}]}]})
    };
    let out = to_claude(image("data:application/pdf;base64,JVBE\nRi0="), &Target::default());
    assert_eq!(
        out["messages"][0]["content"][0],
        json!({"type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}})
    );
    let out = to_claude(image("data:text/plain;base64,aGVs\r\nbG8="), &Target::default());
    assert_eq!(out["messages"][0]["content"][0]["source"]["data"], "hello");
    let body = json!({"messages": [{"role": "user", "content": [{"type": "image", "source":
        {"type": "base64", "media_type": "image/png", "data": "iVBO\nRw0KGgo="}}]}]});
    let out = to_openai(body, &Target::default());
    let url = &out["messages"][0]["content"][0]["image_url"]["url"];
    assert_eq!(url, "data:image/png;base64,iVBORw0KGgo=");
}

#[test]
fn stop_sequences_are_kept_to_the_targets_number() {
    let body = json!({"stop_sequences": ["a", "b", "c", "d", "e"]});
    let four = Target { stop_max: Some(4), ..Target::default() };
    let (from, to) = (Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let refused = sent(from, to, body.clone(), &four).unwrap_err();
    assert_eq!(refused.param(), "stop");
    assert!(refused.to_string().contains("4 at most"), "{refused}");
    let lenient = Target { drop_params: true, ..four.clone() };
    let (out, dropped) = sent(from, to, body.clone(), &lenient).unwrap();
    assert_eq!((&out["stop"], &*dropped), (&json!(["a", "b", "c", "d"]), "stop[4]"));
    assert_eq!(to_openai(body, &Target::default())["stop"].as_array().unwrap().len(), 5);
    let fits = to_openai(json!({"stop_sequences": ["a"]}), &four);
    assert_eq!(fits["stop"], json!(["a"]));
    assert!(to_openai(json!({"stop_sequences": []}), &four).get("stop").is_none());
}

#[test]
fn what_a_providers_row_refuses_is_never_written() {
    let always = ["user", "service_tier", "parallel_tool_calls", "response_format"];
    let refused = dialect::Refused { always: &always, ..dialect::Refused::default() };
    let strict = Target { refused, ..Target::default() };
    let hints = json!({"metadata": {"user_id": "u"}, "service_tier": "auto"});
    let out = to_openai(hints, &strict);
    assert!(out.get("user").is_none() && out.get("service_tier").is_none(), "{out}");
    let serial = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    let (from, to) = (Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let error = sent(from, to, serial.clone(), &strict).unwrap_err();
    assert_eq!(error, EncodeError::Unsupported { param: "parallel_tool_calls".to_owned() });
    let lenient = Target { drop_params: true, ..strict };
    let (out, dropped) = sent(from, to, serial, &lenient).unwrap();
    assert_eq!(dropped, "parallel_tool_calls");
    assert!(out.get("parallel_tool_calls").is_none());
    let format = json!({"output_config": {"format": {"type": "json_schema",
        "schema": {"type": "object", "properties": {}}}}});
    assert_eq!(sent(from, to, format, &lenient).unwrap().1, "response_format");
}

#[test]
fn a_tools_alternatives_are_folded_towards_both_dialects() {
    let schema = json!({"type": ["object", "null"],
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    let flat = json!({"type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    let openai = json!({"tools": [{"type": "function",
        "function": {"name": "f", "strict": true, "parameters": schema}}]});
    let native = Target { native_json_schema: true, ..Target::default() };
    for target in [Target::default(), native] {
        let out = to_claude(openai.clone(), &target);
        let mut found = out["tools"][0]["input_schema"].clone();
        found.as_object_mut().unwrap().remove("additionalProperties");
        assert_eq!(found, flat);
    }
    let claude = json!({"tools": [{"name": "f", "input_schema": schema}]});
    let refusing = Target { flat_schemas: true, ..Target::default() };
    let out = to_openai(claude.clone(), &refusing);
    assert_eq!(out["tools"][0]["function"]["parameters"], flat);
    let other = to_openai(claude, &Target::default());
    assert_eq!(other["tools"][0]["function"]["parameters"], schema);
    let bare = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let out = to_openai(bare, &refusing);
    let parameters = &out["tools"][0]["function"]["parameters"];
    assert_eq!(*parameters, json!({"type": "object", "properties": {}}));
}

#[test]
fn a_choice_of_a_tool_that_was_dropped_is_dropped_with_it() {
    let lenient = Target { drop_params: true, ..Target::default() };
    let body = json!({
        "tools": [{"type": "web_search_20250305", "name": "web_search"},
                  {"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "web_search"}});
    let (from, to) = (Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let (out, dropped) = sent(from, to, body, &lenient).unwrap();
    assert_eq!(out["tools"].as_array().unwrap().len(), 1);
    assert!(out.get("tool_choice").is_none(), "{out}");
    assert_eq!(dropped, "tools[0]:%20web_search_20250305,tool_choice");
    let body = json!({
        "tools": [{"type": "custom", "name": "g", "custom": {"name": "g"}},
                  {"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "g"}}});
    let out = sent(to, from, body, &lenient).unwrap().0;
    assert_eq!(out["tools"].as_array().unwrap().len(), 1);
    assert_eq!(out["tool_choice"]["type"], "auto", "{out}");
}

#[test]
fn fields_that_no_table_knows_are_left_out_and_named_and_empty_ones_say_nothing() {
    let (anthropic, openai) = (Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let strict = Target::default();
    let body = json!({"brand_new": {"a": 1}, "mcp_servers": [], "container": null,
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}});
    let (out, dropped) = sent(anthropic, openai, body, &strict).unwrap();
    assert!(out.get("brand_new").is_none() && out.get("mcp_servers").is_none(), "{out}");
    let mut names: Vec<&str> = dropped.split(',').collect();
    names.sort_unstable();
    assert_eq!(names, ["brand_new", "context_management"]);
    let full = json!({"mcp_servers": [{"type": "url"}]});
    let error = sent(anthropic, openai, full, &strict).unwrap_err();
    assert_eq!(error, EncodeError::Unsupported { param: "mcp_servers".to_owned() });
    let body = json!({"brand_new": 1, "guided_json": null, "stop_token_ids": []});
    let (out, dropped) = sent(openai, anthropic, body, &strict).unwrap();
    assert!(out.get("brand_new").is_none(), "{out}");
    assert_eq!(dropped, "brand_new");
    let search = json!({"web_search_options": {}});
    let error = sent(openai, anthropic, search, &strict).unwrap_err();
    assert_eq!(error.param(), "web_search_options");
}

/// An answer of Claude's as chat clients keep it in their history.
fn kept_answer() -> Value {
    json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "thinking_blocks":
            [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}],
         "tool_calls": [{"id": "c1", "type": "function",
                         "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"}]})
}

#[test]
fn thinking_goes_back_to_who_takes_it_and_to_nobody_else() {
    let none = Target { takes_back: Some(&[]), ..Target::default() };
    let openai = Dialect::OpenAiChat;
    let out = sent(openai, openai, kept_answer(), &none).unwrap().0.to_string();
    assert!(!out.contains("reasoning_content") && !out.contains("thinking_blocks"), "{out}");
    let takes = ["reasoning_content"];
    let kind = Target { takes_back: Some(&takes), needs_reasoning: true, ..Target::default() };
    let out = sent(openai, openai, kept_answer(), &kind).unwrap().0;
    assert_eq!(out["messages"][1]["reasoning_content"], "hm");
    let claude = to_claude(kept_answer(), &Target::default());
    assert_eq!(claude["messages"][1]["content"][0]["signature"], "c2ln");

    // An Anthropic client that carries what the gateway showed it as thinking.
    let body = |thinking: Value| {
        json!({"messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [thinking,
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]}]})
    };
    let unsigned = json!({"type": "thinking", "thinking": "hm", "signature": ""});
    let out = to_openai(body(unsigned.clone()), &kind);
    assert_eq!(out["messages"][1]["reasoning_content"], "hm");
    let out = to_openai(body(json!({"type": "text", "text": "a"})), &kind);
    assert_eq!(out["messages"][1]["reasoning_content"], " ", "its provider insists on some");
    for silent in [none, Target::default()] {
        let out = to_openai(body(unsigned.clone()), &silent);
        assert!(out["messages"][1].get("reasoning_content").is_none(), "{out}");
    }
}
