//! What a provider's row says that it refuses is not sent to it, whoever put
//! it into the request: the client, another dialect, or an earlier answer.

use crate::harness::MASTER;
use crate::words::{keys, one};
use serde_json::{Value, json};

/// An answer of Claude's in a chat client's history.
fn history() -> Value {
    json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm",
         "provider_specific_fields": {"a": 1},
         "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}],
         "tool_calls": [{"id": "c1", "type": "function",
                         "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"}])
}

#[tokio::test]
async fn what_an_earlier_answer_brought_is_not_sent_to_who_refuses_it() {
    for model in ["fireworks_ai/llama", "groq/llama", "mistral/small", "cerebras/llama"] {
        let sent = one(model, "").await.chat(json!({"messages": history()})).await;
        let message = &sent["messages"][1];
        assert_eq!(keys(message), ["content", "role", "tool_calls"], "{model}");
    }
    let sent = one("openai/gpt-4o", "").await.chat(json!({"messages": history()})).await;
    assert_eq!(keys(&sent["messages"][1]), ["content", "refusal", "role", "tool_calls"]);
    // A server of any kind behind OpenAI's prefix may want its own back.
    let unknown = one("openai/a-model-nobody-lists", "").await;
    let sent = unknown.chat(json!({"messages": history()})).await;
    assert_eq!(keys(&sent["messages"][1]), ["content", "refusal", "role", "tool_calls"]);
    let own = json!({"messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        {"role": "user", "content": "r"}]});
    assert_eq!(unknown.chat(own.clone()).await["messages"], own["messages"]);
    for model in ["deepseek/deepseek-reasoner", "moonshot/kimi-k2.5", "litellm_proxy/x"] {
        let sent = one(model, "").await.chat(json!({"messages": history()})).await;
        assert_eq!(sent["messages"][1]["reasoning_content"], "hm", "{model}");
    }
    // What is said by nobody but the provider stays as it is, to the byte.
    let plain = json!({"messages": [{"role": "user", "content": "the \"reasoning\" of it"}]});
    let sent = one("groq/llama", "").await.chat(plain.clone()).await;
    assert_eq!(sent["messages"], plain["messages"]);
}

#[tokio::test]
async fn a_provider_that_insists_on_reasoning_gets_some() {
    let mut lost = history();
    lost[1] = json!({"role": "assistant", "content": null, "tool_calls": lost[1]["tool_calls"]});
    let kimi = one("moonshot/kimi-k2.5", "").await;
    let sent = kimi.chat(json!({"messages": lost})).await;
    assert_eq!(sent["messages"][1]["reasoning_content"], " ");
    let claude = json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]}]});
    let sent = kimi.message(claude).await;
    assert_eq!(sent["messages"][1]["reasoning_content"], "hm");
    let old = one("moonshot/moonshot-v1-8k", "").await;
    let sent = old.chat(json!({"messages": lost})).await;
    assert!(sent["messages"][1].get("reasoning_content").is_none(), "{sent}");
}

/// A session that a fallback moves from another provider to Claude.
#[tokio::test]
async fn thinking_that_claude_did_not_sign_is_not_shown_to_it() {
    let one = one("anthropic/claude-sonnet-4-5", "").await;
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"});
    let body = |signature: &str| {
        json!({"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [{"role": "user", "content": "q"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": signature}, call]},
                {"role": "user", "content": [result]}]})
    };
    let sent = one.message(body("")).await;
    assert_eq!(sent["messages"][1]["content"], json!([call]));
    assert!(sent.get("thinking").is_none(), "a loop without its thinking runs without: {sent}");
    let sent = one.message(body("c2ln")).await;
    assert_eq!(sent["messages"], body("c2ln")["messages"]);
    assert_eq!(sent["thinking"]["budget_tokens"], 2000);
}

#[tokio::test]
async fn one_system_message_comes_first_where_a_chat_template_reads_it() {
    let late = json!({"messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": "hi"},
        {"role": "developer", "content": "Reminder"}]});
    let twice = json!({"messages": [
        {"role": "system", "content": "S"}, {"role": "system", "content": "Reminder"},
        {"role": "user", "content": "hi"}]});
    let merged = json!([{"role": "system", "content": "S\n\nReminder"},
                        {"role": "user", "content": "hi"}]);
    for model in [
        "hosted_vllm/qwen3.6-27b",
        "ollama/qwen",
        "deepseek/deepseek-chat",
        "mistral/small",
        "groq/llama",
    ] {
        let one = one(model, "").await;
        for body in [&late, &twice] {
            assert_eq!(one.chat(body.clone()).await["messages"], merged, "{model}");
        }
        let claude = json!({"system": "S", "messages": [{"role": "user", "content": "hi"},
            {"role": "system", "content": "Reminder"}]});
        assert_eq!(one.message(claude).await["messages"], merged, "{model}");
    }
    for model in ["openai/gpt-4o", "openai/a-model-nobody-lists"] {
        let openai = one(model, "").await;
        assert_eq!(openai.chat(late.clone()).await["messages"], late["messages"], "{model}");
    }
    // A server of any kind behind OpenAI's prefix, and a coding agent of
    // Anthropic's dialect.
    let claude = json!({"system": "S", "messages": [{"role": "user", "content": "hi"},
        {"role": "system", "content": "Reminder"}]});
    let unknown = one("openai/a-model-nobody-lists", "").await;
    assert_eq!(unknown.message(claude).await["messages"], merged);
    let perplexity = one("perplexity/sonar", "").await;
    let twice = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]});
    let sent = perplexity.chat(twice).await;
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1, "{sent}");
}

/// Claude Code's id is a JSON text of some 150 characters.
#[tokio::test]
async fn an_end_users_id_fits_its_provider() {
    let id = format!(r#"{{"device_id":"{}","session_id":"{}"}}"#, "d".repeat(64), "s".repeat(36));
    let body = json!({"metadata": {"user_id": id}});
    let openai = one("openai/gpt-4o", "").await;
    let sent = openai.message(body.clone()).await;
    assert_eq!(sent["user"].as_str().unwrap().len(), 64);
    assert!(!sent["user"].as_str().unwrap().contains("dddddddd"));
    assert_eq!(openai.message(body.clone()).await["user"], sent["user"], "the same every time");
    let same = openai.chat(json!({ "user": id })).await;
    assert_eq!(same["user"], sent["user"], "in the same dialect too");
    let sent = one("zai/glm-5", "").await.message(body.clone()).await;
    assert!(sent["user"].as_str().unwrap().len() <= 128);
    let claude = one("anthropic/claude-sonnet-4-5", "").await;
    assert_eq!(claude.message(body.clone()).await["metadata"], body["metadata"]);
    let sent = claude.chat(json!({"user": "a.b@example.com"})).await;
    let user = sent["metadata"]["user_id"].as_str().unwrap();
    assert!(!user.contains('@') && user.len() == 64, "{user}");
}

#[tokio::test]
async fn fields_that_mistral_refuses_never_reach_it() {
    for model in ["mistral/small", "codestral/codestral-latest"] {
        let one = one(model, "").await;
        let sent = one.message(json!({"metadata": {"user_id": "u"}, "service_tier": "auto"})).await;
        assert_eq!(keys(&sent), ["max_tokens", "messages", "model"], "{model}");
        let sent = one
            .chat(json!({"user": "u", "store": true, "service_tier": "auto", "tools": [],
                         "tool_choice": "auto"}))
            .await;
        assert_eq!(keys(&sent), ["messages", "model"], "{model}");
        let sent = one.chat(json!({"logprobs": true, "drop_params": true})).await;
        assert_eq!(keys(&sent), ["messages", "model"], "{model}");
    }
}

/// Cerebras and Google AI Studio refuse `store`; the first takes no other member of
/// OpenAI's account either.
#[tokio::test]
async fn fields_of_openais_account_never_reach_providers_that_refuse_them() {
    for model in ["cerebras/llama"] {
        let one = one(model, "").await;
        let sent = one.chat(json!({"store": true, "safety_identifier": "u"})).await;
        assert_eq!(keys(&sent), ["messages", "model"], "{model}");
    }
    let openai = one("openai/gpt-4o", "").await;
    assert_eq!(openai.chat(json!({"store": true})).await["store"], true);
}

#[tokio::test]
async fn a_tools_alternatives_are_folded_where_the_provider_refuses_them() {
    let schema = json!({"type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    let flat = json!({"type": "object", "properties": schema["properties"]});
    let function = |schema: &Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]});
    let tool = |schema: &Value| json!({"tools": [{"name": "f", "input_schema": schema}]});
    let openai = one("openai/gpt-4o", "").await;
    for sent in [openai.chat(function(&schema)).await, openai.message(tool(&schema)).await] {
        assert_eq!(sent["tools"][0]["function"]["parameters"], flat);
    }
    let claude = one("anthropic/claude-sonnet-4-5", "").await;
    for sent in [claude.chat(function(&schema)).await, claude.message(tool(&schema)).await] {
        assert_eq!(sent["tools"][0]["input_schema"], flat);
    }
    let other = one("hosted_vllm/x", "").await.chat(function(&schema)).await;
    assert_eq!(other["tools"][0]["function"]["parameters"], schema);
}

#[tokio::test]
async fn content_that_claude_cannot_be_shown_is_refused_by_its_place_in_both_modes() {
    let one = one("anthropic/claude-sonnet-4-5", "").await;
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q"},
        {"role": "user", "content": [{"type": "text", "text": "a"},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]}]});
    for drop_params in [false, true] {
        let mut body = body.clone();
        body["drop_params"] = json!(drop_params);
        let answer = one.bench.chat(body.to_string()).answer().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["param"], "messages[2].content[1]");
        let message = answer.message();
        assert!(message.contains("input_audio") && !message.contains("drop_params"), "{message}");
    }
    assert!(one.upstream.received().is_empty());
}

#[tokio::test]
async fn what_was_left_out_is_named_in_a_header() {
    let claude = one("anthropic/claude-opus-4-7", "").await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let body = json!({"model": "m", "messages": messages, "temperature": 0.2, "seed": 1,
        "drop_params": true, "brand\nnew": {"a": 1}, "store": false});
    let answer = claude.bench.chat(body.to_string()).answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-keymoat-dropped"), Some("seed,temperature,brand%0Anew"));
    let plain = json!({"model": "m", "messages": messages});
    let answer = claude.bench.chat(plain.to_string()).answer().await;
    assert_eq!(answer.header("x-keymoat-dropped"), None);
    // In the same dialect, and in a stream.
    let mistral = one("mistral/small", "").await;
    let body = json!({"model": "m", "stream": true, "messages": messages, "user": "u"});
    let answer = mistral.bench.chat(body.to_string()).answer().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-keymoat-dropped")), (200, Some("user")));
    // A field that the next coding agent brings is no reason to refuse it.
    let openai = one("openai/gpt-4o", "").await;
    let body = json!({"model": "m", "max_tokens": 9, "messages": messages, "mcp_servers": [],
        "brand_new": {"a": 1}});
    let answer = openai.bench.post("/v1/messages", MASTER, body.to_string()).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-keymoat-dropped"), Some("brand_new"));
}

#[tokio::test]
async fn tools_that_a_deployment_drops_leave_no_choice_behind() {
    let one = one("openai/gpt-4o", "additional_drop_params: [tools]").await;
    let tools = json!([{"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {}}}}]);
    let sent = one
        .chat(json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": true}))
        .await;
    assert_eq!(keys(&sent), ["messages", "model"]);
}

#[tokio::test]
async fn under_drop_params_an_older_claude_gets_a_budget_and_a_newer_one_an_effort() {
    let adaptive = json!({"max_tokens": 32000, "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"}});
    let sonnet = one("anthropic/claude-sonnet-4-5", "drop_params: true").await;
    let sent = sonnet.message(adaptive.clone()).await;
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert!(sent.get("output_config").is_none(), "{sent}");
    let strict = one("anthropic/claude-sonnet-4-5", "").await;
    assert_eq!(strict.message(adaptive.clone()).await["thinking"], adaptive["thinking"]);
    let opus = one("anthropic/claude-opus-4-7", "drop_params: true").await;
    let sent = opus.message(adaptive.clone()).await;
    assert_eq!(
        (&sent["thinking"], &sent["output_config"]),
        (&adaptive["thinking"], &adaptive["output_config"])
    );
    let budget =
        json!({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let sent = opus.message(budget.clone()).await;
    assert_eq!(sent["thinking"], json!({"type": "adaptive"}));
    assert_eq!(sent["output_config"], json!({"effort": "medium"}));
    let both = one("anthropic/claude-opus-4-6", "drop_params: true").await;
    assert_eq!(both.message(budget.clone()).await["thinking"], budget["thinking"]);
    let old = one("anthropic/claude-3-5-sonnet-20241022", "drop_params: true").await;
    let sent = old.message(adaptive.clone()).await;
    assert!(sent.get("thinking").is_none() && sent.get("output_config").is_none(), "{sent}");
    // Of a model that nobody knows, nothing is known to be refused.
    let other = one("anthropic/a-model-nobody-lists", "drop_params: true").await;
    let sent = other.message(adaptive.clone()).await;
    assert_eq!(
        (&sent["thinking"], &sent["output_config"]),
        (&adaptive["thinking"], &adaptive["output_config"])
    );
    // Sampling that it refuses.
    let warm = json!({"temperature": 0.5, "top_p": 0.9});
    let sent = sonnet.message(warm.clone()).await;
    assert_eq!((&sent["temperature"], sent.get("top_p")), (&json!(0.5), None));
    let mut thinking = budget;
    thinking.as_object_mut().unwrap().extend(warm.as_object().unwrap().clone());
    let sent = sonnet.message(thinking).await;
    assert!(sent.get("temperature").is_none() && sent.get("top_p").is_none(), "{sent}");
}

#[tokio::test]
async fn a_token_count_has_claudes_hidden_prompt_for_claude_alone() {
    let tools = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let mut counts = Vec::new();
    for model in ["openai/gpt-4o", "openrouter/anthropic/claude-sonnet-4.5"] {
        let one = one(model, "").await;
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        body["tools"] = tools["tools"].clone();
        let call = one.bench.post("/v1/messages/count_tokens", MASTER, body.to_string());
        counts.push(call.answer().await.json()["input_tokens"].as_u64().unwrap());
    }
    assert!(counts[0] < 100 && counts[1] > 600, "{counts:?}");
}

/// LiteLLM's configurations have `stream: true` there, without effect.
#[tokio::test]
async fn a_deployment_cannot_ask_for_a_stream() {
    let one = one("openai/gpt-4o", "stream: true").await;
    let sent = one.chat(json!({})).await;
    assert_eq!(keys(&sent), ["messages", "model"]);
}
