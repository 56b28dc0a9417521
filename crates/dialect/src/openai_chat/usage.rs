//! `usage` in OpenAI's shape, written; `crate::tap::usage` reads it.

use crate::json::read::Raw;
use crate::json::write::ObjectWriter;
use crate::{Json, Usage};

/// Reads `usage`; `None` if it is not an object or has no counts.
pub(crate) fn decode(raw: Raw<'_>) -> Option<Usage> {
    crate::tap::usage::openai(raw.text().as_bytes())
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
        decode(Raw::check_text(text).unwrap()).unwrap()
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
