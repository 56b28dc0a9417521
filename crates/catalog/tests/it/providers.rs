//! The provider table: complete, unambiguous, and fit to be called.

use base::Origin;
use catalog::{Auth, OutputLimit, provider, providers, unsupported, unsupported_providers};
use dialect::Endpoint;
use dialect::{Dialect, OutputLimitField};
use std::collections::HashSet;

/// The OpenAI-compatible prefixes of LiteLLM 1.109: those it keeps as data …
const AS_DATA: &str = "publicai helicone veniceai xiaomi_mimo scaleway synthetic apertis nano-gpt \
    poe zerogpu chutes abliteration llamagate gmi sarvam assemblyai charity_engine aihubmix aiand \
    crusoe darkbloom neosantara tensormesh parasail libertai empiriolabs meta cognition \
    coralbricks cortecs pinstripes scx-ai prism hostinger_router sail reka openinfer \
    inferenceapis refuseless kyma streamlake";

/// … and those it keeps in code.
const IN_CODE: &str = "ai21 ai21_chat aiml aiohttp_openai amazon_nova azure_ai baseten \
    bedrock_mantle bigmodel cerebras chatgpt clarifai clf_ai_gateway cloudflare codestral cometapi \
    compactifai custom_openai dashscope databricks datarobot deepinfra deepseek \
    docker_model_runner edenai empower featherless_ai fireworks_ai friendliai galadriel github \
    github_copilot gradient_ai groq heroku hosted_vllm hyperbolic inception lambda_ai lemonade \
    litellm_proxy llamafile lm_studio maritalk meta_llama minimax mistral modelscope moonshot \
    morph nadir nebius novita nscale nvidia_nim openai openai_like opencode_go openrouter \
    ovhcloud perplexity qwen_ai_platform qwencloud sambanova snowflake tencent \
    text-completion-codestral text-completion-openai together_ai v0 vercel_ai_gateway \
    volcengine wandb xai xinference zai";

const OTHER_DOORS: &str =
    "anthropic ollama ollama_chat huggingface gemini cohere cohere_chat voyage jina_ai infinity";

#[test]
fn every_openai_compatible_prefix_has_a_row() {
    assert_eq!(AS_DATA.split_whitespace().count(), 41);
    // `ai21` and `ai21_chat` are one provider, and Anyscale's service is no more.
    assert_eq!(IN_CODE.split_whitespace().count(), 76);
    assert!(unsupported("anyscale").is_some());
    for id in [AS_DATA, IN_CODE, OTHER_DOORS].into_iter().flat_map(str::split_whitespace) {
        assert!(provider(id).is_some(), "{id}");
    }
    let openai = providers().filter(|p| p.dialect == Dialect::OpenAiChat).count();
    assert!(openai >= 117, "{openai}");
    assert!(openai + unsupported_providers().count() >= 150);
}

#[test]
fn ids_are_sorted_and_no_two_rows_claim_one_name() {
    let ids: Vec<_> = providers().map(|p| p.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let unsupported_ids: Vec<_> = unsupported_providers().map(|p| p.id).collect();
    assert!(unsupported_ids.is_sorted(), "{unsupported_ids:?}");
    let mut seen = HashSet::new();
    for provider in providers() {
        for name in provider.aliases.iter().chain([&provider.id]) {
            assert!(seen.insert(*name), "{name} twice");
            assert_eq!(catalog::provider(name).map(|p| p.id), Some(provider.id));
        }
    }
    for id in unsupported_ids {
        assert!(seen.insert(id), "{id} twice");
        assert_eq!(unsupported(id).map(|p| p.id), Some(id));
        assert!(!unsupported(id).unwrap().missing.is_empty(), "{id}");
    }
    assert!(provider("").is_none() && provider("OpenAI").is_none() && unsupported("").is_none());
}

#[test]
fn base_urls_are_canonical_and_plain_http_is_for_this_machine_only() {
    for provider in providers() {
        let Some(base) = provider.base_url else { continue };
        assert!(!base.ends_with('/'), "{base}");
        let filled = provider.fill(|_| Some("filled".into())).unwrap().unwrap();
        assert!(!filled.contains(['{', '}']), "{filled}");
        let (origin, path) = Origin::parse_base(&filled).unwrap();
        assert_eq!(format!("{origin}{path}"), filled, "{}", provider.id);
        assert!(provider.owns(&filled), "{}", provider.id);
        let loopback = ["localhost", "127.0.0.1"].contains(&origin.host());
        assert_eq!(base.starts_with("http://"), loopback, "{base}");
        assert_eq!(provider.local, loopback, "{}", provider.id);
    }
}

#[test]
fn names_of_variables_and_headers_are_spelled_as_such() {
    let variable = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let header = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    for provider in providers() {
        let envs = provider.key_envs.iter().chain(&provider.base_url_envs).copied();
        for name in envs.chain(provider.template_envs()) {
            assert!(variable(name), "{}: {name}", provider.id);
        }
        for (name, value) in &provider.quirks.headers {
            assert!(header(name) && !value.is_empty(), "{}: {name}", provider.id);
        }
        if let Auth::Header(name) = provider.auth {
            assert!(header(name) && name == name.to_ascii_lowercase(), "{}", provider.id);
        }
        let payable = !provider.key_envs.is_empty() || provider.key_optional || provider.oauth;
        assert!(payable || provider.id == "aiohttp_openai", "{}", provider.id);
    }
}

#[test]
fn every_provider_serves_something_at_a_path() {
    let all = [
        Endpoint::Chat,
        Endpoint::Completions,
        Endpoint::Embeddings,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::CountTokens,
        Endpoint::Models,
    ];
    for provider in providers() {
        let paths: Vec<_> =
            all.into_iter().filter_map(|endpoint| provider.path(endpoint)).collect();
        assert!(!paths.is_empty(), "{}", provider.id);
        assert!(paths.iter().all(|path| path.starts_with('/')), "{}: {paths:?}", provider.id);
    }
}

#[test]
fn requests_go_where_recordings_went() {
    let url = |id: &str, endpoint| {
        let provider = provider(id).unwrap();
        let base = provider.fill(|name| Some(name.to_ascii_lowercase().replace('_', "-"))).unwrap();
        provider.path(endpoint).map(|path| base.unwrap_or_default() + path)
    };
    for (id, endpoint, expected) in [
        ("openai", Endpoint::Chat, "https://api.openai.com/v1/chat/completions"),
        ("anthropic", Endpoint::Messages, "https://api.anthropic.com/v1/messages"),
        ("anthropic", Endpoint::CountTokens, "https://api.anthropic.com/v1/messages/count_tokens"),
        ("perplexity", Endpoint::Chat, "https://api.perplexity.ai/chat/completions"),
        ("perplexity", Endpoint::Embeddings, "https://api.perplexity.ai/v1/embeddings"),
        ("mistral", Endpoint::Embeddings, "https://api.mistral.ai/v1/embeddings"),
        ("zai", Endpoint::Chat, "https://api.z.ai/api/paas/v4/chat/completions"),
        ("voyage", Endpoint::Embeddings, "https://api.voyageai.com/v1/embeddings"),
        ("ollama", Endpoint::Chat, "http://localhost:11434/v1/chat/completions"),
        (
            "snowflake",
            Endpoint::Chat,
            "https://snowflake-account-id.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
        ),
        (
            "gemini",
            Endpoint::GenerateContent,
            "https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent",
        ),
        (
            "gemini",
            Endpoint::Embeddings,
            "https://generativelanguage.googleapis.com/v1beta/openai/embeddings",
        ),
        (
            "bedrock_mantle",
            Endpoint::Chat,
            "https://bedrock-mantle.aws-region.api.aws/v1/chat/completions",
        ),
        (
            "text-completion-codestral",
            Endpoint::Completions,
            "https://codestral.mistral.ai/v1/fim/completions",
        ),
    ] {
        assert_eq!(url(id, endpoint).as_deref(), Some(expected));
    }
    for (id, endpoint) in [
        ("anthropic", Endpoint::Chat),
        ("openai", Endpoint::Messages),
        ("text-completion-openai", Endpoint::Chat),
        ("chatgpt", Endpoint::Chat),
        ("voyage", Endpoint::Chat),
    ] {
        assert_eq!(url(id, endpoint), None, "{id}");
    }
}

#[test]
fn quirks_are_read_from_the_row() {
    let anthropic = provider("anthropic").unwrap();
    assert_eq!(anthropic.auth, Auth::Header("x-api-key"));
    let gemini = catalog::provider("gemini").unwrap();
    let auth = |endpoint| gemini.served(endpoint).map(|served| served.auth);
    assert_eq!(auth(Endpoint::GenerateContent), Some(Auth::Header("x-goog-api-key")));
    assert_eq!(auth(Endpoint::Embeddings), Some(Auth::Bearer));
    assert_eq!(&*anthropic.quirks.headers, [("anthropic-version", "2023-06-01")]);
    assert_eq!(&*anthropic.base_url_envs, ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"]);
    let publicai = provider("publicai").unwrap();
    assert!(publicai.quirks.text_content);
    assert_eq!(publicai.output_limit("any"), OutputLimit::MaxTokens);
    let streamlake = provider("streamlake").unwrap();
    assert_eq!(streamlake.output_limit("any"), OutputLimit::MaxCompletionTokens);
    assert!(streamlake.quirks.keeps_cache_control);
    let openai = provider("openai").unwrap();
    assert_eq!(openai.output_limit("o3-mini"), OutputLimit::MaxCompletionTokens);
    assert_eq!(openai.output_limit("gpt-4o"), OutputLimit::AsSent);
    assert_eq!(OutputLimit::AsSent.field(), OutputLimitField::MaxTokens);
    let limit = OutputLimit::MaxCompletionTokens;
    assert_eq!(limit.field(), OutputLimitField::MaxCompletionTokens);
    assert!(openai.quirks.developer_role && !publicai.quirks.developer_role);
    let scx = provider("scx-ai").unwrap();
    assert_eq!(scx.quirks.temperature_max, Some("1.99".parse().unwrap()));
    let mistral = provider("mistral").unwrap();
    assert_eq!(&*mistral.quirks.renames, [("seed", "random_seed")]);
    assert!(mistral.quirks.no_stream_options && !openai.quirks.no_stream_options);
    assert!(provider("parasail").unwrap().quirks.store_false);
    assert!(provider("openrouter").unwrap().billing.states_cost.is_some());
}

#[test]
fn every_billing_fact_names_the_page_that_states_it() {
    for provider in providers() {
        let billing = &provider.billing;
        assert_eq!(billing.free_errors.is_empty(), billing.free_errors_source.is_none());
        for source in [billing.free_errors_source, billing.bills_refusals, billing.states_cost] {
            let is_url = source.is_none_or(|source| source.starts_with("https://"));
            assert!(is_url, "{}: {source:?}", provider.id);
        }
        assert_eq!(billing.sends_no_bill, provider.local, "{}", provider.id);
    }
}

#[test]
fn a_refusal_is_free_and_a_server_error_only_where_the_row_says_so() {
    let free = |id: &str, status| provider(id).unwrap().billing.is_free(status, true);
    for status in [400, 401, 403, 404, 413, 422, 429] {
        assert!(free("together_ai", status), "{status}");
    }
    for status in [408, 424, 499, 500, 502, 503, 504, 520, 524, 529] {
        assert!(!free("together_ai", status), "{status}");
    }
    assert!(free("anthropic", 529) && free("anthropic", 503) && free("openai", 500));
    assert!(!free("anthropic", 520) && !free("openai", 524), "a proxy in between says so");
    let elsewhere = |id: &str| provider(id).unwrap().billing.is_free(503, false);
    assert!(!elsewhere("openai"), "its prefix is used for any compatible server");
    assert!(elsewhere("anthropic"));
}
