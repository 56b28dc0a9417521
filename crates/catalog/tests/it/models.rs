//! The model table against the price file that it was made from.

use base::Decimal;
use catalog::{Model, data_version, model, models, models_of};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Not models: a template, and rules for names that are not listed.
const NOT_MODELS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

#[test]
fn the_table_says_where_it_is_from() {
    assert_eq!(data_version(), ("1.109.1", "2026-11"));
}

#[test]
fn keys_are_sorted_unique_and_each_is_found() {
    let keys: Vec<_> = models().map(Model::key).collect();
    assert!(keys.len() >= 4_500, "{}", keys.len());
    let lower: Vec<_> = keys.iter().map(|key| key.to_ascii_lowercase()).collect();
    for pair in lower.windows(2) {
        assert!(pair[0].as_bytes() < pair[1].as_bytes(), "{pair:?}");
    }
    for found in models() {
        let id = found.provider_id();
        let key = model(id, found.upstream_model()).unwrap().key();
        // Vertex AI lists some names twice: bare, and after its prefix, which comes first.
        let prefixed = format!("{id}/{}", found.key());
        assert!(key == found.key() || key == prefixed, "{key} for {}", found.key());
    }
}

#[test]
fn every_price_is_a_decimal_under_a_known_name() {
    for model in models() {
        for (name, text) in model.price_fields() {
            let value = if name.starts_with("off_peak.w") { "0" } else { text };
            let value: Decimal = value.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}"));
            let read = catalog::Prices::from_overrides([(name, value)]);
            assert!(read.is_ok(), "{}: {read:?}", model.key());
        }
    }
}

#[test]
fn a_familiar_model_says_what_it_can_do() {
    let model = model("openai", "gpt-4o").unwrap();
    assert_eq!((model.key(), model.provider(), model.mode()), ("gpt-4o", "openai", "chat"));
    assert_eq!(model.upstream_model(), "gpt-4o");
    assert_eq!(
        (model.max_input_tokens(), model.max_output_tokens()),
        (Some(128_000), Some(16_384))
    );
    assert_eq!(model.price("input_cost_per_token"), Some("2.5e-06"));
    assert_eq!(
        (model.supports("vision"), model.supports("supports_vision")),
        (Some(true), Some(true))
    );
    assert_eq!(model.supports("flying"), None);
    let opus = catalog::model("anthropic", "claude-opus-4-8").unwrap();
    assert_eq!(
        (opus.supports("assistant_prefill"), opus.supports("sampling_params")),
        (Some(false), Some(false))
    );
    assert_eq!(opus.fact("prompt_cache_min_tokens"), Some("1024"));
}

#[test]
fn prices_are_spelled_as_their_source_spells_them() {
    for (provider, name, field, text) in [
        ("openai", "gpt-4o", "output_cost_per_token_batches", "5e-06"),
        ("openai", "gpt-4o", "cache_read_input_token_cost", "1.25e-06"),
        ("anthropic", "claude-opus-4-8", "cache_creation_input_token_cost_above_1hr", "1e-05"),
        ("anthropic", "claude-opus-4-8", "search_context_high", "0.01"),
        ("anthropic", "claude-opus-4-8", "uplift_fast", "2.0"),
        ("dashscope", "qwen-flash", "input_cost_per_token@256000-1000000", "2.5e-07"),
        ("opencode_go", "gpt-6-luna", "input_cost_per_token", "1.0000000000000001e-07"),
        ("gemini", "gemini-2.5-pro", "input_cost_per_token_above_200k_tokens", "2.5e-06"),
        ("exa_ai", "search", "input_cost_per_query#26-100", "0.025"),
        ("deepseek", "deepseek-flash", "off_peak.input_cost_per_token", "1.5e-07"),
    ] {
        let model = model(provider, name).unwrap_or_else(|| panic!("{provider}/{name}"));
        assert_eq!(model.price(field), Some(text), "{provider}/{name}");
    }
}

#[test]
fn names_are_found_with_their_decorations_but_never_at_another_provider() {
    let key = |provider: &str, name: &str| model(provider, name).map(Model::key);
    assert_eq!(key("openai", "GPT-4o"), Some("gpt-4o"));
    assert_eq!(key("openai", "gpt-4o-2031-01-02"), Some("gpt-4o"));
    assert_eq!(key("openai", "ft:gpt-4o-2024-08-06:acme:bot:a1"), Some("ft:gpt-4o-2024-08-06"));
    assert_eq!(key("anthropic", "claude-opus-4-8-20310101"), Some("claude-opus-4-8"));
    assert_eq!(key("gemini", "models/gemini-2.5-pro"), Some("gemini/gemini-2.5-pro"));
    assert_eq!(key("gemini", "gemini-2.5-pro-001"), Some("gemini/gemini-2.5-pro"));
    assert_eq!(
        key("fireworks_ai", "deepseek-v3"),
        Some("fireworks_ai/accounts/fireworks/models/deepseek-v3")
    );
    assert_eq!(
        key("text-completion-openai", "gpt-3.5-turbo-instruct"),
        Some("gpt-3.5-turbo-instruct")
    );
    assert_eq!(key("azure_ai", "gpt-4o"), Some("azure/gpt-4o"));
    assert_eq!(key("anthropic", "gpt-4o"), None);
    assert_eq!(key("openai", "claude-opus-4-8"), None);
    assert_eq!(key("custom_openai", "gpt-4o"), None);
    for name in ["", "-", "ft:", "ft:x:", "models/", "--", "gpt-4o-9999-99"] {
        assert_eq!(key("openai", name), None, "{name}");
    }
}

#[test]
fn the_models_of_a_provider_are_its_own() {
    let of = |id: &str| models_of(id).map(Model::upstream_model).collect::<Vec<_>>();
    assert!(of("groq").len() >= 10 && of("groq").iter().all(|name| !name.starts_with("groq/")));
    assert!(of("anthropic").contains(&"claude-opus-4-8"));
    assert!(of("vertex_ai").len() > of("vertex_ai-anthropic_models").len());
    assert_eq!(of("cohere_chat"), of("cohere"));
    assert!(of("openai").contains(&"gpt-4o") && !of("text-completion-openai").contains(&"gpt-4o"));
    assert_eq!(of("no-such-provider").len(), 0);
}

#[test]
fn a_lookup_is_quick() {
    // The best of many, so that a busy machine does not fail it; a scan of the
    // whole table would take hundreds of microseconds.
    let best = (0..200)
        .map(|_| {
            let begun = Instant::now();
            assert!(std::hint::black_box(model("openai", "gpt-4o-mini")).is_some());
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_micros(200), "{best:?}");
}

#[test]
fn every_entry_of_the_shared_price_file_is_here_with_equal_prices() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models/model_prices.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no shared price file at ../shared/data/models/model_prices.json");
        return;
    };
    let mut source: Map<String, Value> = serde_json::from_str(&text).unwrap();
    for name in NOT_MODELS {
        assert!(source.remove(name).is_some());
    }
    let spellings = spellings(&text);
    let mut ours: HashMap<_, _> = models().map(|model| (model.key(), model)).collect();
    let mut compared = 0;
    for (key, entry) in &source {
        let model = ours.remove(key.as_str()).unwrap_or_else(|| panic!("{key} is missing"));
        compared += compare(key, entry.as_object().unwrap(), model, &spellings);
    }
    assert!(ours.is_empty(), "not in the source: {:?}", ours.keys());
    assert!(compared > 15_000, "{compared}");
}

/// The numbers of the file by the text that stands there, per key and field.
/// serde_json would hand out floats, which is what must not happen.
fn spellings(text: &str) -> HashMap<(String, String), String> {
    use serde_json::value::RawValue;
    let entries: HashMap<String, HashMap<String, Box<RawValue>>> =
        serde_json::from_str(text).unwrap();
    let flat = entries.into_iter().flat_map(|(key, fields)| {
        fields.into_iter().map(move |(name, raw)| ((key.clone(), name), raw.get().to_owned()))
    });
    flat.collect()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn compare(
    key: &str,
    entry: &Map<String, Value>,
    model: Model,
    spellings: &HashMap<(String, String), String>,
) -> usize {
    let spelled = |name: &str| spellings[&(key.to_owned(), name.to_owned())].as_str();
    let mut compared = 0;
    for (name, value) in entry {
        match value {
            Value::Number(_) => {
                let expected = spelled(name);
                let found = match name.as_str() {
                    "max_input_tokens" => model.max_input_tokens().map(|n| n.to_string()),
                    "max_output_tokens" => model.max_output_tokens().map(|n| n.to_string()),
                    _ => model.price(name).or_else(|| model.fact(name)).map(str::to_owned),
                };
                let found = found.unwrap_or_else(|| panic!("{key}: {name} is missing"));
                assert_eq!(decimal(&found), decimal(expected), "{key}: {name}");
                if name.contains("cost") {
                    assert_eq!(found, expected, "{key}: {name} is spelled otherwise");
                    compared += 1;
                }
            }
            Value::Bool(holds) => assert_eq!(model.supports(name), Some(*holds), "{key}: {name}"),
            Value::Object(_) | Value::Array(_) => {
                compared += compare_nested(key, name, spelled(name), model);
            }
            _ => {}
        }
    }
    assert_eq!(
        Some(model.mode()).filter(|m| !m.is_empty()),
        entry.get("mode").and_then(Value::as_str)
    );
    assert_eq!(Some(model.provider()), entry["litellm_provider"].as_str());
    assert_eq!(model.deprecation_date(), entry.get("deprecation_date").and_then(Value::as_str));
    compared
}

fn compare_nested(key: &str, name: &str, raw: &str, model: Model) -> usize {
    use serde_json::value::RawValue;
    type Fields = HashMap<String, Box<RawValue>>;
    let mut compared = 0;
    let mut same = |flat: &str, expected: &str| {
        assert_eq!(model.price(flat), Some(expected), "{key}: {flat}");
        compared += 1;
    };
    match name {
        "search_context_cost_per_query" => {
            for (size, price) in serde_json::from_str::<Fields>(raw).unwrap() {
                same(&size.replace("search_context_size_", "search_context_"), price.get());
            }
        }
        "guardrail_cost_per_unit" => {
            for (unit, price) in serde_json::from_str::<Fields>(raw).unwrap() {
                same(&format!("guardrail_cost_per_unit.{unit}"), price.get());
            }
        }
        "off_peak_pricing" => {
            for (field, price) in serde_json::from_str::<Fields>(raw).unwrap() {
                if field.contains("cost") {
                    same(&format!("off_peak.{field}"), price.get());
                }
            }
        }
        "provider_specific_entry" => {
            for (field, factor) in serde_json::from_str::<Fields>(raw).unwrap() {
                if ["us", "fast"].contains(&field.as_str()) {
                    same(&format!("uplift_{field}"), factor.get());
                }
            }
        }
        "tiered_pricing" => {
            for tier in serde_json::from_str::<Vec<Fields>>(raw).unwrap() {
                let (mark, range) = match tier.get("range") {
                    Some(range) => ('@', range),
                    None => ('#', &tier["max_results_range"]),
                };
                let range: Vec<f64> = serde_json::from_str(range.get()).unwrap();
                for (field, price) in tier.iter().filter(|(field, _)| field.contains("cost")) {
                    same(&format!("{field}{mark}{}-{}", range[0], range[1]), price.get());
                }
            }
        }
        _ => {}
    }
    compared
}
