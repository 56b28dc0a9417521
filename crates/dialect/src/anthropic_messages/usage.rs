//! Anthropic's usage object: input without cache, three kinds of cache,
//! output; figures that come later overwrite, and never add.

use super::wire::{Fields, Object, Wrong, extension};
use crate::Usage;
use crate::model::Extension;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The figures as they stand on the wire; absent ones keep their last value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    ephemeral_5m: Option<u64>,
    ephemeral_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
}

/// What a usage object says besides figures.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) service_tier: Option<String>,
    /// Named `usage.…`.
    pub(super) extensions: Vec<Extension>,
}

/// A number of tokens; anything that is none counts as not said, because a
/// usage object must not break an answer.
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let whole = serde_json::from_str::<u64>(raw.get()).ok();
        let float = || serde_json::from_str::<f64>(raw.get()).ok().filter(|f| *f >= 0.0);
        Ok(Self(whole.or_else(|| float().map(|f| f as u64))))
    }
}

fn count(fields: &mut Fields<'_>, name: &str) -> Option<u64> {
    fields.read::<Count>(name, "a number").ok().flatten().and_then(|count| count.0)
}

impl Figures {
    /// Reads a usage object over what is known.
    pub(super) fn merge(&mut self, raw: &RawValue) -> Result<Remarks, Wrong> {
        let mut usage = Fields::of(raw)?;
        let overwrite = |slot: &mut Option<u64>, said: Option<u64>| *slot = said.or(*slot);
        overwrite(&mut self.input, count(&mut usage, "input_tokens"));
        overwrite(&mut self.cache_read, count(&mut usage, "cache_read_input_tokens"));
        overwrite(&mut self.cache_write, count(&mut usage, "cache_creation_input_tokens"));
        overwrite(&mut self.output, count(&mut usage, "output_tokens"));
        if let Some(Ok(mut split)) = usage.take("cache_creation").map(Fields::of) {
            overwrite(&mut self.ephemeral_5m, count(&mut split, "ephemeral_5m_input_tokens"));
            overwrite(&mut self.ephemeral_1h, count(&mut split, "ephemeral_1h_input_tokens"));
        }
        if let Some(Ok(mut details)) = usage.take("output_tokens_details").map(Fields::of) {
            overwrite(&mut self.thinking, count(&mut details, "thinking_tokens"));
        }
        let mut extensions = Vec::new();
        if let Some(raw) = usage.take("server_tool_use")
            && let Ok(mut tools) = Fields::of(raw)
        {
            overwrite(&mut self.searches, count(&mut tools, "web_search_requests"));
            if tools.members().any(|(_, value)| !matches!(value.get(), "0" | "null")) {
                extensions.push(extension("usage.server_tool_use", raw.into()));
            }
        }
        let service_tier = usage.string("service_tier").ok().flatten();
        extensions.extend(usage.rest("usage."));
        Ok(Remarks { service_tier, extensions })
    }

    /// In the model's terms: totals, and parts of them.
    pub(super) fn usage(&self) -> Usage {
        let said = |figure: Option<u64>| figure.unwrap_or(0);
        let (five, hour) = (said(self.ephemeral_5m), said(self.ephemeral_1h));
        // The split may lag behind the total (a later event repeats only the
        // total): what it does not explain was written for the default time.
        let written = self.cache_write.unwrap_or_else(|| five.saturating_add(hour));
        let cache_write_1h = hour.min(written);
        let cache_write_5m = written - cache_write_1h;
        let cache_read = said(self.cache_read);
        Usage {
            input: said(self.input).saturating_add(cache_read).saturating_add(written),
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output: said(self.output),
            reasoning: said(self.thinking),
            searches: said(self.searches),
            ..Usage::default()
        }
    }
}

/// Writes a usage object. `extensions` are named `usage.…`.
pub(super) fn write(
    out: &mut Vec<u8>,
    usage: &Usage,
    service_tier: Option<&String>,
    extensions: &[Extension],
) {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let plain = usage.input.saturating_sub(usage.cache_read).saturating_sub(written);
    let mut object = Object::open(out);
    object.put("input_tokens", &plain);
    object.put("cache_creation_input_tokens", &written);
    object.put("cache_read_input_tokens", &usage.cache_read);
    let mut split = Object::open(object.key("cache_creation"));
    split.put("ephemeral_5m_input_tokens", &usage.cache_write_5m);
    split.put("ephemeral_1h_input_tokens", &usage.cache_write_1h);
    split.close();
    object.put("output_tokens", &usage.output);
    if usage.reasoning > 0 {
        let mut details = Object::open(object.key("output_tokens_details"));
        details.put("thinking_tokens", &usage.reasoning);
        details.close();
    }
    let whole = super::wire::find(extensions, "usage.server_tool_use").is_some();
    if usage.searches > 0 && !whole {
        let mut tools = Object::open(object.key("server_tool_use"));
        tools.put("web_search_requests", &usage.searches);
        tools.close();
    }
    // OpenAI's word for what Anthropic calls standard.
    let tier = service_tier.map(|tier| if tier == "default" { "standard" } else { tier });
    object.put_some("service_tier", tier.as_ref());
    object.extensions_under("usage.", extensions);
    object.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(bodies: &[&str]) -> Usage {
        let mut figures = Figures::default();
        for body in bodies {
            let raw: &RawValue = serde_json::from_str(body).unwrap();
            figures.merge(raw).unwrap();
        }
        figures.usage()
    }

    #[test]
    fn input_is_the_sum_of_fresh_read_and_written() {
        let usage = merged(&[r#"{"input_tokens":3,"cache_read_input_tokens":100,
            "cache_creation_input_tokens":30,"output_tokens":7,
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#]);
        assert_eq!((usage.input, usage.cache_read), (133, 100));
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h, usage.output), (10, 20, 7));
    }

    #[test]
    fn a_later_report_overwrites_what_it_says_and_keeps_the_rest() {
        let usage = merged(&[
            r#"{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}"#,
            r#"{"output_tokens":40}"#,
            r#"{"input_tokens":12,"output_tokens":41,"cache_read_input_tokens":null}"#,
        ]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (17, 5, 41));
    }

    #[test]
    fn cache_writes_without_a_split_are_of_the_default_lifetime() {
        let usage = merged(&[r#"{"input_tokens":1,"cache_creation_input_tokens":9}"#]);
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h, usage.input), (9, 0, 10));
    }

    #[test]
    fn nonsense_figures_are_figures_not_said() {
        let usage = merged(&[r#"{"input_tokens":"many","output_tokens":-4,"service_tier":7}"#]);
        assert_eq!(usage, Usage::default());
    }
}
