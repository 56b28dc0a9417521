//! `usage`, as OpenAI says it and as the compatible providers do.
//!
//! Every spelling of a figure that was seen is read; figures that contradict
//! the totals are clamped, since money is computed from the differences.

use super::object::{Object, whole};
use super::write::ObjectWriter;
use crate::{Json, Usage};
use base::Decimal;
use serde_json::value::RawValue;

/// Reads `usage`; `None` if it is not an object or has no counts.
pub(crate) fn decode(raw: &RawValue) -> Option<Usage> {
    let usage = Object::parse(raw.get()).ok()?;
    let input = usage.whole("prompt_tokens").or_else(|| usage.whole("input_tokens"));
    let output = usage.whole("completion_tokens").or_else(|| usage.whole("output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let input = input.unwrap_or(0);
    let mut output = output.unwrap_or(0);
    let details = usage.object("prompt_tokens_details").unwrap_or_default();
    let out_details = usage.object("completion_tokens_details").unwrap_or_default();

    let cached = [
        details.whole("cached_tokens"),
        usage.whole("prompt_cache_hit_tokens"), // DeepSeek
        usage.whole("cached_tokens"),           // Together, Hugging Face
        usage.whole("num_cached_tokens"),       // Mistral
        usage.whole("cache_read_input_tokens"), // LiteLLM
    ];
    // Grok on Azure reported more cached tokens than prompt tokens.
    let cache_read = cached.into_iter().flatten().max().unwrap_or(0).min(input);
    let by_lifetime = details.object("cache_creation_token_details").unwrap_or_default();
    let written_1h = by_lifetime.whole("ephemeral_1h_input_tokens").unwrap_or(0);
    let written = details
        .whole("cache_write_tokens")
        .or_else(|| details.whole("cache_creation_tokens"))
        .or_else(|| usage.whole("cache_creation_input_tokens"))
        .unwrap_or(0)
        .max(written_1h)
        .min(input - cache_read);
    let cache_write_1h = written_1h.min(written);

    let reasoning = out_details.whole("reasoning_tokens");
    let reasoning = reasoning.or_else(|| usage.whole("reasoning_tokens")).unwrap_or(0);
    // xAI leaves reasoning out of `completion_tokens` but not out of the total.
    if let Some(total) = usage.whole("total_tokens") {
        let missing = total.saturating_sub(input.saturating_add(output));
        output = output.saturating_add(missing.min(reasoning));
    }
    Some(Usage {
        input,
        cache_read,
        cache_write_5m: written - cache_write_1h,
        cache_write_1h,
        input_audio: details.whole("audio_tokens").unwrap_or(0).min(input),
        output,
        reasoning: reasoning.min(output),
        output_audio: out_details.whole("audio_tokens").unwrap_or(0).min(output),
        searches: searches(&usage),
        stated_cost: usage.get("cost").and_then(cost).or_else(|| ticks(&usage)),
    })
}

fn searches(usage: &Object<'_>) -> u64 {
    let of = |name: &str| usage.object(name)?.whole("web_search_requests");
    of("server_tool_use")
        .or_else(|| of("server_tool_use_details")) // OpenRouter
        .or_else(|| usage.whole("num_sources_used")) // xAI bills by source
        .unwrap_or(0)
}

/// OpenRouter's number, or Perplexity's object with a total.
fn cost(raw: &RawValue) -> Option<Decimal> {
    match Object::parse(raw.get()) {
        Ok(parts) => parts.get("total_cost")?.get().parse().ok(),
        Err(_) => raw.get().trim().parse().ok(),
    }
}

/// xAI's ten-thousand-millionths of a dollar.
fn ticks(usage: &Object<'_>) -> Option<Decimal> {
    let ticks = whole(usage.get("cost_in_usd_ticks")?)?;
    Some(Decimal::new(i64::try_from(ticks).ok()?, 10))
}

/// Writes the members of `usage`.
pub(crate) fn encode(usage: &Usage, out: &mut ObjectWriter<'_>) {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    out.member("prompt_tokens", &usage.input);
    out.member("completion_tokens", &usage.output);
    out.member("total_tokens", &usage.total());
    out.object("prompt_tokens_details", |details| {
        details.member("cached_tokens", &usage.cache_read);
        details.member("audio_tokens", &usage.input_audio);
        if written > 0 {
            details.member("cache_write_tokens", &written);
            details.object("cache_creation_token_details", |split| {
                split.member("ephemeral_5m_input_tokens", &usage.cache_write_5m);
                split.member("ephemeral_1h_input_tokens", &usage.cache_write_1h);
            });
        }
    });
    out.object("completion_tokens_details", |details| {
        details.member("reasoning_tokens", &usage.reasoning);
        details.member("audio_tokens", &usage.output_audio);
    });
    if written > 0 || usage.cache_read > 0 {
        out.member("cache_creation_input_tokens", &written);
        out.member("cache_read_input_tokens", &usage.cache_read);
    }
    if usage.searches > 0 {
        out.object("server_tool_use", |tools| {
            tools.member("web_search_requests", &usage.searches);
        });
    }
    // As raw text: a float would round what the provider stated.
    let cost = usage.stated_cost.and_then(|cost| Json::parse(cost.to_string()).ok());
    out.maybe("cost", cost.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Usage {
        decode(&RawValue::from_string(text.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn xai_leaves_reasoning_out_of_completion_but_not_of_the_total() {
        let usage = read(
            r#"{"prompt_tokens":291,"completion_tokens":26,"total_tokens":513,
                "completion_tokens_details":{"reasoning_tokens":196}}"#,
        );
        assert_eq!((usage.output, usage.reasoning, usage.total()), (222, 196, 513));
    }

    #[test]
    fn more_cached_than_prompt_is_clamped() {
        let usage = read(
            r#"{"prompt_tokens":7,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":161}}"#,
        );
        assert_eq!(usage.cache_read, 7);
    }

    #[test]
    fn every_spelling_of_cache_hits_is_read() {
        for field in ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"] {
            let usage =
                read(&format!(r#"{{"prompt_tokens":9,"completion_tokens":1,"{field}":4}}"#));
            assert_eq!(usage.cache_read, 4, "{field}");
        }
    }

    #[test]
    fn stated_costs_are_exact() {
        let usage = read(r#"{"prompt_tokens":1,"completion_tokens":1,"cost":1.25e-05}"#);
        assert_eq!(usage.stated_cost.unwrap().to_string(), "0.0000125");
        let usage =
            read(r#"{"prompt_tokens":1,"completion_tokens":1,"cost_in_usd_ticks":1000000}"#);
        assert_eq!(usage.stated_cost.unwrap().to_string(), "0.0001");
        let usage =
            read(r#"{"prompt_tokens":1,"completion_tokens":1,"cost":{"total_cost":0.006}}"#);
        assert_eq!(usage.stated_cost.unwrap().to_string(), "0.006");
    }
}
