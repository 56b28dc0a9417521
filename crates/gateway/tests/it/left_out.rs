//! Model groups that are configured and cannot be served, and names that nobody
//! configured.

use crate::harness::{Bench, MASTER, config, deployment, deployment_with};
use testkit::{Upstream, canned};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
const MESSAGE: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

/// A deployment whose key is in no variable.
fn without_key(group: &str) -> String {
    format!(
        "  - model_name: {group}\n    litellm_params: {{model: openai/x, api_key: os.environ/UNSET_KEY}}\n"
    )
}

async fn bench(list: &[String], sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let mut all = list.to_vec();
    all.push(deployment("served", "openai/gpt-up", &upstream.url()));
    (upstream, Bench::new(&config(&all, sections)).await)
}

#[tokio::test]
async fn a_call_to_a_group_that_cannot_be_served_hears_the_reason_in_its_dialect() {
    let (upstream, bench) = bench(&[without_key("m"), without_key("wild/*")], "").await;
    let wild = CHAT.replace("\"m\"", "\"wild/card\"");
    for body in [CHAT, wild.as_str()] {
        let answer = bench.chat(body.to_owned()).answer().await;
        assert_eq!(answer.status, 503);
        let message = answer.message();
        assert!(message.contains("the environment variable UNSET_KEY is not set"), "{message}");
        assert_eq!(answer.json()["error"]["type"], "model_not_served");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert!(answer.header("x-litellm-call-id").is_some());
    }
    let answer = bench.message(MESSAGE).answer().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (503, &"error".into()));
    assert!(answer.message().contains("UNSET_KEY"), "{}", answer.message());
    assert!(upstream.received().is_empty());
    let key = bench.key(|key| key.models = vec!["served".into()]).await;
    let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
    assert!(!answer.text().contains("UNSET_KEY"), "a key learns of its own models only");
}

#[tokio::test]
async fn the_deployments_that_are_left_serve_their_group() {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let list = [without_key("m"), deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    for _ in 0..8 {
        assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_group_that_cannot_be_served_falls_back() {
    let sections = "router_settings: {fallbacks: [{m: [also-out, served]}]}\n";
    let (upstream, bench) = bench(&[without_key("m"), without_key("also-out")], sections).await;
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    assert_eq!(upstream.received().len(), 1);
    let off = CHAT.replace("{\"model\"", "{\"disable_fallbacks\":true,\"model\"");
    assert_eq!(bench.chat(off).answer().await.status, 503);
}

/// What the client hears is why its own group failed.
#[tokio::test]
async fn a_fallback_that_cannot_be_served_is_passed_over() {
    let upstream = Upstream::start().await;
    upstream.script(crate::retries::soon(500).always());
    let list = [deployment("m", "openai/gpt-up", &upstream.url()), without_key("out")];
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [out]}]}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 500, "{}", answer.text());
}

#[tokio::test]
async fn what_a_guardrail_covers_is_not_called_until_it_is_accepted() {
    let guardrails = "guardrails: [{guardrail_name: pii, litellm_params: {guardrail: presidio, \
                      mode: pre_call, default_on: true}}]\n";
    let (upstream, bench) = bench(&[], guardrails).await;
    let served = CHAT.replace("\"m\"", "\"served\"");
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages"] {
        let answer = bench.post(path, MASTER, served.clone()).answer().await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.message().contains("`guardrails` is configured"), "{}", answer.message());
    }
    assert!(upstream.received().is_empty());
    let list = [deployment("served", "openai/gpt-up", &upstream.url())];
    let accepted = format!("{guardrails}keymoat: {{accept_missing: [guardrails]}}\n");
    bench.reload(&config(&list, &accepted)).await.unwrap();
    assert_eq!(bench.chat(served).answer().await.status, 200);
}

#[tokio::test]
async fn a_default_fallback_answers_for_a_name_that_nobody_configured() {
    for sections in [
        "router_settings: {default_fallbacks: [served]}\n",
        "litellm_settings: {default_fallbacks: [served]}\n",
        "router_settings: {fallbacks: [{\"*\": [served]}]}\n",
    ] {
        let (upstream, bench) = bench(&[], sections).await;
        let answer = bench.chat(CHAT).answer().await;
        assert_eq!(answer.status, 200, "{sections}: {}", answer.text());
        assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
        let answer = bench.message(MESSAGE).answer().await;
        assert_eq!(answer.status, 200, "{sections}: {}", answer.text());
        assert_eq!(upstream.received().len(), 2);
    }
}

#[tokio::test]
async fn a_default_fallback_is_for_those_who_may_use_it() {
    let sections = "router_settings: {default_fallbacks: [served]}\n";
    let (upstream, bench) = bench(&[], sections).await;
    let chat = async |models: &[&str], body: String| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let key = bench.key(|key| key.models = models).await;
        bench.post("/v1/chat/completions", &key, body).answer().await
    };
    let refused = chat(&["served"], CHAT.to_owned()).await;
    assert!(matches!(refused.status.as_u16(), 401 | 403), "{}", refused.status);
    let unknown = chat(&["m"], CHAT.to_owned()).await;
    assert!(unknown.message().contains("Invalid model name"), "{}", unknown.text());
    let off = CHAT.replace("{\"model\"", "{\"disable_fallbacks\":true,\"model\"");
    assert!(chat(&[], off).await.message().contains("Invalid model name"));
    assert!(upstream.received().is_empty());
    assert_eq!(chat(&["m", "served"], CHAT.to_owned()).await.status, 200);
    assert_eq!(chat(&[], CHAT.to_owned()).await.status, 200);
}

#[tokio::test]
async fn without_a_default_an_unknown_name_is_refused_as_ever() {
    let (_upstream, bench) = bench(&[without_key("m")], "").await;
    let unknown = CHAT.replace("\"m\"", "\"unknown\"");
    let answer = bench.chat(unknown).answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("Invalid model name"), "{}", answer.message());
}

#[tokio::test]
async fn a_key_for_one_model_cannot_choose_another_at_a_gateway_upstream() {
    let (upstream, bench) = bench(&[], "").await;
    let body = r#"{"model":"served","extra_body":{"model":"dear"},"messages":[{"role":"user","content":"Hi"}]}"#;
    let key = bench.key(|key| key.models = vec!["served".into()]).await;
    for (path, rest) in [
        ("/v1/chat/completions", r#""messages":[{"role":"user","content":"Hi"}]"#),
        ("/v1/messages", r#""max_tokens":9,"messages":[{"role":"user","content":"Hi"}]"#),
        ("/v1/completions", r#""prompt":"Hi""#),
        ("/v1/embeddings", r#""input":"Hi""#),
    ] {
        let body = format!(r#"{{"model":"served","extra_body":{{"model":"dear"}},{rest}}}"#);
        let answer = bench.post(path, &key, body).answer().await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.message().contains("extra_body"), "{path}: {}", answer.text());
    }
    assert!(upstream.received().is_empty());
    let free = bench.key(|_| {}).await;
    assert_eq!(bench.post("/v1/chat/completions", &free, body).answer().await.status, 200);
}

#[tokio::test]
async fn rules_of_access_hold_at_each_surface() {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let list = [deployment_with("m", "openai/gpt-up", &upstream.url(), "")];
    let bench = Bench::with_general(&config(&list, ""), "enforce_user_param: true").await;
    for (path, body) in [("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGE)] {
        let answer = bench.post(path, MASTER, body).answer().await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.message().contains("'user' param not passed in"), "{}", answer.message());
    }
    let named = CHAT.replace("{\"model\"", "{\"user\":\"u\",\"model\"");
    assert_eq!(bench.chat(named).answer().await.status, 200);
    let named = MESSAGE.replace("{\"model\"", "{\"metadata\":{\"user_id\":\"u\"},\"model\"");
    assert_eq!(bench.message(named).answer().await.status, 200);

    // These calls come from no address.
    let bench = Bench::with_general(&config(&list, ""), "allowed_ips: [10.0.0.1]").await;
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 403);
    assert!(answer.message().contains("IP address not allowed"), "{}", answer.message());
    let routes = "allowed_routes: [/v1/messages]";
    let bench = Bench::with_general(&config(&list, ""), routes).await;
    assert_eq!(bench.chat(CHAT).answer().await.status, 403);
    assert_eq!(bench.message(MESSAGE).answer().await.status, 200);
}
