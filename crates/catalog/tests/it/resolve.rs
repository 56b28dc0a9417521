//! Which provider a name means, in LiteLLM's order.

use catalog::{Unresolved, resolve};

fn id(model: &str, explicit: Option<&str>, api_base: Option<&str>) -> (&'static str, String) {
    let (provider, upstream) = resolve(model, explicit, api_base).unwrap();
    (provider.id, upstream.to_owned())
}

fn is(model: &str, explicit: Option<&str>, api_base: Option<&str>, expected: (&str, &str)) {
    let (provider, upstream) = id(model, explicit, api_base);
    assert_eq!((provider, upstream.as_str()), expected, "{model} {explicit:?} {api_base:?}");
}

#[test]
fn an_explicit_provider_wins_and_is_cut_from_the_name() {
    is("gpt-4o", Some("azure_ai"), None, ("azure_ai", "gpt-4o"));
    is("openai/gpt-4o", Some("openai"), None, ("openai", "gpt-4o"));
    is(
        "deepseek/deepseek-chat",
        Some("openrouter"),
        None,
        ("openrouter", "deepseek/deepseek-chat"),
    );
    is("cohere_chat/command-r", Some("cohere"), None, ("cohere", "command-r"));
    is("x", Some(""), Some("https://models.example.com/v1"), ("custom_openai", "x"));
}

#[test]
fn a_known_prefix_is_the_provider() {
    is("openai/gpt-4o", None, None, ("openai", "gpt-4o"));
    is("openrouter/anthropic/claude-3", None, None, ("openrouter", "anthropic/claude-3"));
    is("ollama_chat/llama3", None, None, ("ollama", "llama3"));
    is("openai/*", None, None, ("openai", "*"));
    is("openai/x", None, Some("https://api.groq.com/openai/v1"), ("openai", "x"));
}

#[test]
fn the_host_of_the_api_base_names_the_provider() {
    let at = |url: &str| id("some-org/some-model", None, Some(url));
    for (url, provider) in [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://API.groq.com:443/openai/v1/", "groq"),
        ("https://api.openai.com/v1", "openai"),
        ("https://codestral.mistral.ai/v1", "codestral"),
        ("https://api.anthropic.com", "anthropic"),
        ("https://bedrock-mantle.eu-west-1.api.aws/v1", "bedrock_mantle"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwencloud"),
        // A look-alike host, a plain-text one, another port: someone's own server.
        ("https://api.groq.com.evil.com/openai/v1", "custom_openai"),
        ("http://api.groq.com/openai/v1", "custom_openai"),
        ("https://api.groq.com:8443/openai/v1", "custom_openai"),
        ("https://api.deepseek.com/anthropic", "custom_openai"),
        ("http://127.0.0.1:8080/v1", "custom_openai"),
        ("http://localhost:11434/v1", "custom_openai"),
    ] {
        assert_eq!(at(url), (provider, "some-org/some-model".to_owned()), "{url}");
    }
}

#[test]
fn a_bare_name_is_looked_up_in_the_price_data() {
    is("gpt-4o", None, None, ("openai", "gpt-4o"));
    is("claude-opus-4-8", None, None, ("anthropic", "claude-opus-4-8"));
    is("ft:gpt-4o-2024-08-06:acme::abc", None, None, ("openai", "ft:gpt-4o-2024-08-06:acme::abc"));
    // The price list comes before "any server at that base".
    is("gpt-4o", None, Some("http://127.0.0.1:9/v1"), ("openai", "gpt-4o"));
}

#[test]
fn new_names_of_openai_and_anthropic_are_known_by_their_shape() {
    is("claude-newfamily-9", None, None, ("anthropic", "claude-newfamily-9"));
    is("gpt-9-preview", None, None, ("openai", "gpt-9-preview"));
    is("o9-mini", None, None, ("openai", "o9-mini"));
    for other in ["gpt-oss-999b", "omni-thing", "claude-", "unknown-namespace/claude-opus-9"] {
        assert!(
            matches!(resolve(other, None, None), Err(Unresolved::UnknownModel { .. })),
            "{other}"
        );
    }
}

#[test]
fn any_other_server_is_openai_compatible() {
    is("my-model", None, Some("https://models.example.com/v1"), ("custom_openai", "my-model"));
    is("org/my-model", None, Some("http://10.0.0.1:8000"), ("custom_openai", "org/my-model"));
}

#[test]
fn what_is_not_supported_yet_is_refused_by_name() {
    for name in ["azure/gpt-4o", "bedrock/anthropic.claude-v2", "vertex_ai/gemini-2.5-pro"] {
        let error = resolve(name, None, None).unwrap_err();
        assert!(matches!(error, Unresolved::NotSupported(_)), "{name}: {error}");
    }
    let error = resolve("gpt-4o", Some("azure"), None).unwrap_err().to_string();
    assert!(error.starts_with("Azure OpenAI (`azure`) is not supported yet: it needs"), "{error}");
    assert!(error.contains("use azure_ai/"), "{error}");
    // A bare Bedrock name is Bedrock's, not Anthropic's.
    let error = resolve("anthropic.claude-opus-4-8", None, None).unwrap_err();
    assert!(matches!(error, Unresolved::NotSupported(u) if u.id.starts_with("bedrock")));
}

#[test]
fn an_unknown_name_says_what_is_near() {
    let error = resolve("opneai/gpt-4o", None, None).unwrap_err().to_string();
    assert!(error.contains("did you mean `openai`"), "{error}");
    let error = resolve("gpt-4o", Some("anthropc"), None).unwrap_err().to_string();
    assert!(
        error.contains("no provider is called `anthropc`; did you mean `anthropic`"),
        "{error}"
    );
    assert_eq!(resolve("openai/", None, None).unwrap_err(), Unresolved::Empty);
    assert!(matches!(resolve("", None, None), Err(Unresolved::UnknownModel { .. })));
}

#[test]
fn a_hostile_name_is_cut_and_shows_no_control_characters() {
    let name = "\u{1b}[31m".repeat(10_000);
    let error = resolve(&name, None, None).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
}
