//! What an upstream is told: no more than its model and its provider take, in
//! its own words, whoever said it.

use crate::harness::{Bench, MASTER, config, deployment_with};
use serde_json::{Value, json};
use testkit::Upstream;
use testkit::provider;

pub(crate) struct One {
    pub(crate) upstream: Upstream,
    pub(crate) bench: Bench,
}

/// A gateway with this one deployment, `m`.
pub(crate) async fn one(model: &str, more: &str) -> One {
    let upstream = Upstream::start_with(provider::answer).await;
    let list = [deployment_with("m", model, &upstream.url(), more)];
    let bench = Bench::new(&config(&list, "")).await;
    One { upstream, bench }
}

impl One {
    pub(crate) async fn post(&self, path: &str, more: Value) -> Result<Value, String> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        if path.ends_with("/messages") {
            body["max_tokens"] = json!(100);
        }
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.bench.post(path, MASTER, body.to_string()).answer().await;
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.message()));
        }
        Ok(self.upstream.received().last().unwrap().json())
    }

    pub(crate) async fn chat(&self, more: Value) -> Value {
        self.post("/v1/chat/completions", more).await.unwrap()
    }

    pub(crate) async fn message(&self, more: Value) -> Value {
        self.post("/v1/messages", more).await.unwrap()
    }
}

pub(crate) fn keys(sent: &Value) -> Vec<&str> {
    sent.as_object().unwrap().keys().map(String::as_str).collect()
}

const TOOL: &str = r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#;

fn tools() -> Value {
    serde_json::from_str(TOOL).unwrap()
}

/// They were written as they stand, after the translation.
#[tokio::test]
async fn a_deployments_own_words_are_translated_with_the_clients() {
    let one = self::one("anthropic/claude-sonnet-4-5", "reasoning_effort: high\nstop: [END]").await;
    let sent = one.chat(json!({"max_tokens": 9000})).await;
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 4096}));
    assert_eq!(sent["stop_sequences"], json!(["END"]));
    assert!(!keys(&sent).contains(&"reasoning_effort") && !keys(&sent).contains(&"stop"));
    let sent = one.chat(json!({"max_tokens": 9000, "reasoning_effort": "none"})).await;
    assert!(!keys(&sent).contains(&"thinking"), "the client's word stands: {sent}");

    let more = "user: team\nparallel_tool_calls: false";
    let one = self::one("anthropic/claude-sonnet-4-5", more).await;
    let sent = one.chat(json!({"tools": tools()})).await;
    assert_eq!(sent["metadata"], json!({"user_id": "team"}));
    assert_eq!(sent["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert!(!keys(&sent).contains(&"user") && !keys(&sent).contains(&"parallel_tool_calls"));
}

/// All four went up: Anthropic takes no two of them together.
#[tokio::test]
async fn a_deployments_wish_to_think_gives_way_to_what_the_client_asks_for() {
    let think = "thinking: {type: enabled, budget_tokens: 2000}";
    let one = self::one("anthropic/claude-sonnet-4-5", think).await;
    let narrow = json!({"max_tokens": 1000, "temperature": 0.2, "tools": tools(), "tool_choice": "required"});
    let sent = one.chat(narrow).await;
    assert!(!keys(&sent).contains(&"thinking"), "{sent}");
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.2), &json!(1000)));
    assert_eq!(sent["tool_choice"], json!({"type": "any"}));
    let sent = one.chat(json!({"max_tokens": 1500})).await;
    assert_eq!(sent["thinking"]["budget_tokens"], 1499);

    // Anthropic's own clients, whose bytes go up as they came.
    let sent = one.message(json!({"max_tokens": 4000})).await;
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 2000}));
    for said in [
        json!({"max_tokens": 1000}),
        json!({"max_tokens": 4000, "temperature": 0.2}),
        json!({"max_tokens": 4000, "tool_choice": {"type": "any"},
               "tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
    ] {
        let sent = one.message(said).await;
        assert!(!keys(&sent).contains(&"thinking"), "{sent}");
    }
    let off = json!({"max_tokens": 4000, "thinking": {"type": "disabled"}});
    assert_eq!(one.message(off).await["thinking"], json!({"type": "disabled"}));
}

#[tokio::test]
async fn anthropics_own_clients_get_a_deployments_parameters_in_anthropics_words() {
    let more = "max_completion_tokens: 50\nstop: END\nuser: team\nseed: 7\ntemperature: 1.5\n\
                parallel_tool_calls: false\nservice_tier: default";
    let one = self::one("anthropic/claude-sonnet-4-5", more).await;
    let sent = one.message(json!({"max_tokens": null})).await;
    assert_eq!(
        sent,
        json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 50, "stop_sequences": ["END"], "metadata": {"user_id": "team"},
            "temperature": 1, "service_tier": "standard_only"})
    );
    let sent = one
        .message(json!({"thinking": {"type": "enabled", "budget_tokens": 1024},
        "max_tokens": 2000, "metadata": {"user_id": "own"}}))
        .await;
    assert!(!keys(&sent).contains(&"temperature"), "refused beside thinking: {sent}");
    assert_eq!(sent["metadata"], json!({"user_id": "own"}));
    let adaptive =
        self::one("anthropic/claude-opus-4-7", "reasoning_effort: low\ntemperature: 0.2");
    let sent = adaptive.await.message(json!({})).await;
    assert_eq!(sent["thinking"], json!({"type": "adaptive"}));
    assert_eq!(sent["output_config"], json!({"effort": "low"}));
    assert!(!keys(&sent).contains(&"temperature"));
}

/// `extra_body` is the way to say what nobody weighs.
#[tokio::test]
async fn extra_body_goes_up_as_it_is_written() {
    let more = "extra_body: {reasoning_effort: high, zzz: 1}";
    let sent = self::one("anthropic/claude-sonnet-4-5", more).await.chat(json!({})).await;
    assert_eq!((&sent["reasoning_effort"], &sent["zzz"]), (&json!("high"), &json!(1)));
}

#[tokio::test]
async fn an_output_limit_of_the_deployment_never_stands_beside_the_clients() {
    let one = self::one("openai/gpt-4o", "max_tokens: 50").await;
    let sent = one.chat(json!({"max_completion_tokens": 9})).await;
    assert_eq!((&sent["max_completion_tokens"], sent.get("max_tokens")), (&json!(9), None));
    assert_eq!(one.chat(json!({})).await["max_tokens"], 50);
    // What the provider's entry renames, it renames whoever said it.
    let sent = self::one("openai/gpt-5", "max_tokens: 50").await.chat(json!({})).await;
    assert_eq!((&sent["max_completion_tokens"], sent.get("max_tokens")), (&json!(50), None));
    let sent = self::one("mistral/small", "seed: 7").await.chat(json!({})).await;
    assert_eq!((&sent["random_seed"], sent.get("seed")), (&json!(7), None));
}

/// "Extra inputs are not permitted", said Anthropic.
#[tokio::test]
async fn a_token_count_gets_only_what_it_knows() {
    let more = "max_tokens: 8192\ntemperature: 0.1\nreasoning_effort: high\nextra_body: {top_k: 3}";
    let one = self::one("anthropic/claude-sonnet-4-5", more).await;
    let sent = one.post("/v1/messages/count_tokens", json!({})).await.unwrap();
    assert_eq!(keys(&sent), ["messages", "model"]);
    let one = self::one("openai/embed-up", "temperature: 0.1\ndimensions: 3\nzzz: 1").await;
    let sent = one.post("/v1/embeddings", json!({"input": "a"})).await.unwrap();
    assert_eq!((&sent["dimensions"], &sent["zzz"]), (&json!(3), &json!(1)));
    assert!(!keys(&sent).contains(&"temperature"));
}

/// "`temperature` is deprecated for this model", said Anthropic.
#[tokio::test]
async fn what_the_model_is_known_to_refuse_is_refused_or_dropped() {
    let one = self::one("anthropic/claude-opus-4-7", "").await;
    let refused = one.post("/v1/chat/completions", json!({"temperature": 0.2})).await;
    assert!(refused.unwrap_err().starts_with("400 Bad Request `temperature`"));
    assert!(one.upstream.received().is_empty());
    let sent = one.chat(json!({"temperature": 1, "top_p": 1.0})).await;
    assert!(!keys(&sent).contains(&"temperature") && !keys(&sent).contains(&"top_p"));
    let sent = one.chat(json!({"temperature": 0.2, "drop_params": true})).await;
    assert!(!keys(&sent).contains(&"temperature"));
    // Its own dialect goes up as it came, unless what is refused may be dropped.
    assert_eq!(one.message(json!({"temperature": 0.2})).await["temperature"], 0.2);
    let sent = one.message(json!({"temperature": 0.2, "drop_params": true})).await;
    assert!(!keys(&sent).contains(&"temperature"));
    assert!(!keys(&sent).contains(&"drop_params"));
}

#[tokio::test]
async fn openais_reasoning_models_lose_what_they_refuse_where_it_may_be_dropped() {
    let five = self::one("openai/gpt-5", "drop_params: true").await;
    let sent = five.chat(json!({"temperature": 0.2, "top_k": 3, "seed": 7})).await;
    assert_eq!(keys(&sent), ["messages", "model", "seed"]);
    let sent = five.message(json!({"temperature": 0.2, "top_k": 3})).await;
    assert_eq!(keys(&sent), ["max_completion_tokens", "messages", "model"]);
    let strict = self::one("openai/gpt-5", "").await;
    assert_eq!(strict.chat(json!({"temperature": 0.2})).await["temperature"], 0.2);
    let refused = strict.post("/v1/messages", json!({"temperature": 0.2})).await;
    assert!(refused.unwrap_err().contains("`temperature`"));
    // Takes them while it does not reason, and does not unless it is asked to.
    let one = self::one("openai/gpt-5.1", "drop_params: true").await;
    assert_eq!(one.chat(json!({"temperature": 0.2})).await["temperature"], 0.2);
    let asked = json!({"temperature": 0.2, "reasoning_effort": "low"});
    assert!(!keys(&one.chat(asked).await).contains(&"temperature"));
    let plain = self::one("openai/gpt-4o", "drop_params: true").await;
    let sent = plain.chat(json!({"temperature": 0.2, "top_k": 3})).await;
    assert_eq!(keys(&sent), ["messages", "model", "temperature"]);
    // A server of any kind behind OpenAI's prefix.
    let other = self::one("openai/my-own", "drop_params: true").await;
    assert_eq!(other.chat(json!({"top_k": 3})).await["top_k"], 3);
}

#[tokio::test]
async fn a_claude_is_asked_for_what_the_catalogue_says_it_takes() {
    let one = self::one("anthropic/claude-mythos-preview", "").await;
    let schema = json!({"type": "json_schema", "json_schema": {"name": "a",
        "schema": {"type": "object", "properties": {}, "additionalProperties": false}}});
    let sent = one.chat(json!({"reasoning_effort": "xhigh", "response_format": schema})).await;
    assert_eq!(sent["thinking"], json!({"type": "adaptive"}));
    assert_eq!(sent["output_config"]["effort"], "xhigh");
    assert_eq!(sent["output_config"]["format"]["type"], "json_schema");
    assert!(!keys(&sent).contains(&"tools"));
    let sent = one.chat(json!({"reasoning_effort": "none"})).await;
    assert_eq!((sent.get("thinking"), &sent["output_config"]["effort"]), (None, &json!("low")));
    let begun = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I"}]);
    let sent = one.chat(json!({"messages": begun})).await;
    assert_eq!(sent["messages"][2]["role"], "user", "it takes no beginning of an answer");
    let unforced = self::one("anthropic/claude-sonnet-5-5", "").await;
    let sent = unforced.chat(json!({"tools": tools(), "tool_choice": "required"})).await;
    assert_eq!(sent["tool_choice"], json!({"type": "auto"}));
}

/// "only allowed when 'store' is enabled", said OpenAI.
#[tokio::test]
async fn metadata_goes_up_only_to_whom_it_is_meant_for() {
    let metadata = json!({"job_id": "7"});
    let stored = json!({"metadata": metadata, "store": true});
    let openai = self::one("openai/gpt-4o", "").await;
    assert!(!keys(&openai.chat(json!({"metadata": metadata})).await).contains(&"metadata"));
    assert_eq!(openai.chat(stored.clone()).await["metadata"], metadata);
    let unstored = json!({"metadata": metadata, "store": false});
    assert!(!keys(&openai.chat(unstored).await).contains(&"metadata"));
    let mistral = self::one("mistral/small", "").await;
    assert!(!keys(&mistral.chat(stored).await).contains(&"metadata"));
    let other = self::one("litellm_proxy/m", "").await;
    assert_eq!(other.chat(json!({"metadata": metadata})).await["metadata"], metadata);
    // A deployment's own is for the gateway's records, in LiteLLM as here.
    let own = self::one("litellm_proxy/m", "metadata: {team: a}").await;
    assert!(!keys(&own.chat(json!({})).await).contains(&"metadata"));
    let sent = openai.post("/v1/embeddings", json!({"input": "a", "metadata": metadata})).await;
    assert!(!keys(&sent.unwrap()).contains(&"metadata"));
}

#[tokio::test]
async fn messages_have_only_what_the_provider_takes() {
    let hint = json!({"type": "ephemeral"});
    let told = json!({"messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": hint},
                                     {"type": "text", "text": "b"}]}],
        "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": hint}]});
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);

    let openai = self::one("openai/gpt-4o", "").await.chat(told.clone()).await;
    assert_eq!(openai["messages"][0]["role"], "developer");
    assert_eq!(openai["messages"][1]["content"], parts);
    assert_eq!(openai["tools"][0].get("cache_control"), None);
    let groq = self::one("groq/llama-3.1-8b-instant", "").await.chat(told.clone()).await;
    assert_eq!(groq["messages"][0]["role"], "system");
    let deepseek = self::one("deepseek/deepseek-chat", "").await.chat(told.clone()).await;
    assert_eq!(deepseek["messages"][0]["role"], "system");
    assert_eq!(deepseek["messages"][1]["content"], "a\nb");
    let router = self::one("openrouter/some/model", "").await.chat(told.clone()).await;
    assert_eq!(router["messages"][1]["content"][0]["cache_control"], hint);
    // A Claude behind another gateway of OpenAI's dialect.
    let claude = self::one("openai/claude-sonnet-4-5", "").await.chat(told).await;
    assert_eq!(claude["messages"][1]["content"][0]["cache_control"], hint);
}

/// OpenAI has chat models answer in chat only.
#[tokio::test]
async fn text_completions_of_a_chat_model_are_a_chat() {
    let prompt = json!({"prompt": "Hi", "max_tokens": 9});
    let one = self::one("openai/gpt-4o", "").await;
    let body = json!({"model": "m", "prompt": "Hi", "max_tokens": 9});
    let answer = one.bench.post("/v1/completions", MASTER, body.to_string()).answer().await;
    assert_eq!(answer.json()["object"], "text_completion", "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["text"], "You said: Hi");
    let sent = &one.upstream.received()[0];
    assert_eq!(sent.route(), "/chat/completions");
    assert_eq!(sent.json()["messages"], json!([{"role": "user", "content": "Hi"}]));
    let streamed = json!({"model": "m", "prompt": "Hi", "stream": true});
    let answer = one.bench.post("/v1/completions", MASTER, streamed.to_string()).answer().await;
    assert!(answer.text().contains("text_completion"), "{}", answer.text());
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());

    let route = async |model: &str, more: &str, extra: Value| {
        let one = self::one(model, more).await;
        let mut body = prompt.clone();
        body["model"] = json!("m");
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = one.bench.post("/v1/completions", MASTER, body.to_string()).answer().await;
        let received = one.upstream.received();
        match received.first() {
            Some(sent) => sent.route().to_owned(),
            None => format!("{} {}", answer.status, answer.message()),
        }
    };
    // What chat has no word for goes where it may be served.
    assert_eq!(route("openai/gpt-4o", "", json!({"suffix": "x"})).await, "/completions");
    assert_eq!(route("openai/gpt-3.5-turbo-instruct", "", json!({})).await, "/completions");
    assert_eq!(route("openai/my-own", "", json!({})).await, "/completions");
    assert_eq!(route("groq/nobody-lists", "", json!({})).await, "/chat/completions");
    let refused = route("groq/nobody-lists", "", json!({"suffix": "x"})).await;
    assert!(refused.starts_with("400") && refused.contains("`suffix`"), "{refused}");
}
