//! The one reader of usage for each dialect: for the bill, the record and
//! translation, unary and streamed.
//!
//! Brings the providers' reports into one shape: which counts are part of which,
//! and what a provider leaves out. Odd values count as not reported.

use crate::Usage;
use base::Decimal;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A report of usage in OpenAI's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The counts.
    pub usage: Usage,
    /// The output is reported as a number, be it zero.
    pub has_output: bool,
}

/// Reads an OpenAI-like `usage` object; `None` if it reports nothing.
pub fn openai(raw: &[u8]) -> Option<Usage> {
    openai_report(raw).map(|report| report.usage)
}

/// As [`openai`], with what the report lacks.
pub fn openai_report(raw: &[u8]) -> Option<Report> {
    let said: OpenAi<'_> = serde_json::from_slice(raw).ok()?;
    let reported = |count: Option<Count>| count.and_then(|count| count.0);
    let prompt_tokens = reported(said.prompt_tokens).or(reported(said.input_tokens));
    let completion_tokens = reported(said.completion_tokens).or(reported(said.output_tokens));
    prompt_tokens.or(completion_tokens).or(reported(said.total_tokens))?;
    let stated_cost = said.stated_cost();
    let get = |count: Option<Count>| reported(count).unwrap_or(0);
    let input_details = said.prompt_tokens_details.unwrap_or_default();
    let output_details = said.completion_tokens_details.unwrap_or_default();

    let total = get(said.total_tokens);
    let reasoning = get(output_details.reasoning_tokens.or(said.reasoning_tokens));
    let mut output = completion_tokens.unwrap_or(0);
    // Some report more reasoning than output; a total tells which is right.
    if reported(said.total_tokens).is_none() {
        output = output.max(reasoning);
    }
    let mut input = prompt_tokens.unwrap_or_else(|| total.saturating_sub(output));
    // Mistral leaves audio out of its input, but not out of the total.
    let input_audio = get(input_details.audio_tokens);
    if input.saturating_add(output) < total && input_audio > input {
        input = input.saturating_add(input_audio);
    }
    // xAI does the same with reasoning, and Gemini with its thoughts, which it
    // reports nowhere else.
    let is_xais = completion_tokens
        .is_some_and(|output| input.saturating_add(output).saturating_add(reasoning) == total);
    if is_xais {
        output = completion_tokens.unwrap_or(0).saturating_add(reasoning);
    } else if prompt_tokens.is_some() && completion_tokens.is_some() {
        output = output.max(total.saturating_sub(input));
    }
    let cache_read = [
        input_details.cached_tokens,
        said.prompt_cache_hit_tokens,
        said.cached_tokens,
        said.num_cached_tokens,
        said.cache_read_input_tokens,
    ]
    .into_iter()
    .flatten()
    .filter_map(|count| count.0)
    .max()
    .unwrap_or(0)
    .min(input);
    let split = input_details.cache_creation_token_details.unwrap_or_default();
    let cache_write_1h = get(split.ephemeral_1h_input_tokens);
    let cache_write = get(input_details.cache_write_tokens)
        .max(get(input_details.cache_creation_tokens))
        .max(get(said.cache_creation_input_tokens))
        .max(cache_write_1h)
        .min(input - cache_read);
    let cache_write_1h = cache_write_1h.min(cache_write);
    let searches = [
        said.server_tool_use_details.and_then(|used| used.web_search_requests),
        said.server_tool_use.and_then(|used| used.web_search_requests),
        said.num_sources_used,
        said.num_search_queries,
    ];
    let usage = Usage {
        input,
        cache_read,
        cache_write_5m: cache_write - cache_write_1h,
        cache_write_1h,
        input_audio: input_audio.min(input),
        output,
        reasoning: reasoning.min(output),
        output_audio: get(output_details.audio_tokens).min(output),
        searches: searches.into_iter().flatten().filter_map(|count| count.0).max().unwrap_or(0),
        stated_cost,
    };
    Some(Report { usage, has_output: completion_tokens.is_some() })
}

impl OpenAi<'_> {
    fn stated_cost(&self) -> Option<Decimal> {
        // xAI's unit: ten thousand millions to the dollar.
        let ticks = || {
            let ticks = i64::try_from(self.cost_in_usd_ticks?.0?).ok()?;
            Some(Decimal::new(ticks, 10))
        };
        let own = self.cost.and_then(stated_cost).or_else(ticks)?;
        // OpenRouter takes a fee of its own; the provider whose key the account
        // holds sends another bill
        // (https://openrouter.ai/docs/use-cases/usage-accounting, July 2026).
        if self.is_byok.is_none_or(|raw| raw.get() != "true") {
            return Some(own);
        }
        let details: Option<CostDetails<'_>> =
            self.cost_details.and_then(|raw| serde_json::from_str(raw.get()).ok());
        match details.and_then(|details| details.upstream_inference_cost) {
            Some(upstream) => sum(own, dollars(upstream.get())?),
            None => Some(own),
        }
    }
}

/// Both together; `None` where that is more than a decimal holds.
fn sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    let scale = a.scale().max(b.scale());
    let at_scale = |amount: Decimal| {
        let further = u32::from(scale - amount.scale());
        amount.mantissa().checked_mul(10_i64.checked_pow(further)?)
    };
    Some(Decimal::new(at_scale(a)?.checked_add(at_scale(b)?)?, scale))
}

/// Anthropic's usage, put together from the events of a stream: each field is
/// the largest that was reported, never a sum, since all are running totals.
#[derive(Clone, Debug, Default)]
pub struct Anthropic {
    said: bool,
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    searches: Option<u64>,
    service_tier: Option<String>,
}

impl Anthropic {
    /// Takes in a `usage` object; one that cannot be read changes nothing.
    /// Returns true if it reports output tokens.
    pub fn merge(&mut self, raw: &[u8]) -> bool {
        let Ok(said) = serde_json::from_slice::<AnthropicSaid>(raw) else { return false };
        let reported = |count: Option<Count>| count.and_then(|count| count.0);
        let has_output = reported(said.output_tokens).is_some();
        let set = |field: &mut Option<u64>, said: Option<Count>| {
            if let Some(count) = reported(said) {
                *field = Some(field.map_or(count, |known| known.max(count)));
            }
        };
        self.said |= has_output || reported(said.input_tokens).is_some();
        set(&mut self.input, said.input_tokens);
        set(&mut self.output, said.output_tokens);
        set(&mut self.cache_read, said.cache_read_input_tokens);
        set(&mut self.cache_write, said.cache_creation_input_tokens);
        if let Some(split) = said.cache_creation {
            set(&mut self.cache_write_5m, split.ephemeral_5m_input_tokens);
            set(&mut self.cache_write_1h, split.ephemeral_1h_input_tokens);
        }
        if let Some(details) = said.output_tokens_details {
            set(&mut self.reasoning, details.thinking_tokens);
        }
        if let Some(used) = said.server_tool_use {
            set(&mut self.searches, used.web_search_requests);
        }
        if let Some(Word(Some(tier))) = said.service_tier {
            self.service_tier = Some(tier);
        }
        has_output
    }

    /// The tier that served the answer, once.
    pub fn take_service_tier(&mut self) -> Option<String> {
        self.service_tier.take()
    }

    /// Returns true if input and output are both reported.
    pub fn is_complete(&self) -> bool {
        self.output.is_some() && self.usage().is_some_and(|usage| usage.input > 0)
    }

    /// What is known by now; `None` before anything was said.
    pub fn usage(&self) -> Option<Usage> {
        if !self.said {
            return None;
        }
        let get = |field: Option<u64>| field.unwrap_or(0);
        let split = get(self.cache_write_5m).saturating_add(get(self.cache_write_1h));
        let cache_write = self.cache_write.unwrap_or(split);
        let cache_write_1h = get(self.cache_write_1h).min(cache_write);
        let cache_read = get(self.cache_read);
        let output = get(self.output);
        Some(Usage {
            input: get(self.input).saturating_add(cache_read).saturating_add(cache_write),
            cache_read,
            cache_write_5m: cache_write - cache_write_1h,
            cache_write_1h,
            input_audio: 0,
            output,
            reasoning: get(self.reasoning).min(output),
            output_audio: 0,
            searches: get(self.searches),
            stated_cost: None,
        })
    }
}

/// A number (OpenRouter) or an object with a total (Perplexity), in dollars.
fn stated_cost(raw: &RawValue) -> Option<Decimal> {
    #[derive(Deserialize)]
    struct Costs<'a> {
        #[serde(borrow)]
        total_cost: &'a RawValue,
    }
    let text = raw.get();
    if text.starts_with('{') {
        let costs: Costs<'_> = serde_json::from_str(text).ok()?;
        return dollars(costs.total_cost.get());
    }
    dollars(text)
}

/// Floats that were summed carry digits that no price has: then the nearest
/// with 15 digits after the point.
fn dollars(text: &str) -> Option<Decimal> {
    let exact = text.parse().ok();
    exact
        .or_else(|| {
            let float: f64 = text.parse().ok()?;
            format!("{float:.15}").parse().ok()
        })
        .filter(|cost: &Decimal| cost.mantissa() >= 0)
}

#[derive(Deserialize)]
struct OpenAi<'a> {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    reasoning_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    prompt_cache_hit_tokens: Option<Count>,
    cached_tokens: Option<Count>,
    num_cached_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    server_tool_use_details: Option<ServerTools>,
    server_tool_use: Option<ServerTools>,
    num_sources_used: Option<Count>,
    num_search_queries: Option<Count>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    cost_in_usd_ticks: Option<Count>,
    #[serde(borrow)]
    is_byok: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
    cache_creation_tokens: Option<Count>,
    cache_creation_token_details: Option<CacheCreation>,
    audio_tokens: Option<Count>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
    audio_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct ServerTools {
    web_search_requests: Option<Count>,
}

#[derive(Deserialize)]
struct AnthropicSaid {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<AnthropicOutput>,
    server_tool_use: Option<ServerTools>,
    service_tier: Option<Word>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<Count>,
    ephemeral_1h_input_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct AnthropicOutput {
    thinking_tokens: Option<Count>,
}

/// A count of tokens; `None` if it is written as anything but a number from 0 up.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count)))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(count).ok()))
    }

    fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
        Ok(Count((count >= 0.0).then_some(count as u64)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}

/// A string, or nothing where it is something else.
struct Word(Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}
