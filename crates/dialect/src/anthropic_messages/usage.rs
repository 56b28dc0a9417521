//! Anthropic's usage object: input without cache, three kinds of cache,
//! output; figures that come later overwrite, and never add.

use crate::Usage;
use crate::anthropic_messages::extension::{self, extension, rest};
use crate::json::read::{Object, Raw, Wrong};
use crate::json::write::ObjectWriter;
use crate::model::Extension;

/// Counts reported so far, read by the one reader of usage.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(crate::tap::usage::Anthropic);

/// Members that the reader of usage knows.
const COUNTS: [&str; 6] = [
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "cache_creation",
    "output_tokens_details",
];

/// What a usage object says besides figures.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) service_tier: Option<String>,
    /// Named `usage.…`.
    pub(super) extensions: Vec<Extension>,
}

impl Figures {
    /// Takes in a usage object.
    pub(super) fn merge(&mut self, raw: Raw<'_>) -> Result<Remarks, Wrong> {
        let mut usage = Object::of(raw)?;
        self.0.merge(raw.text().as_bytes());
        for name in COUNTS {
            usage.take(name);
        }
        let mut extensions = Vec::new();
        if let Some(raw) = usage.take("server_tool_use")
            && let Ok(mut tools) = Object::of(raw)
        {
            tools.take("web_search_requests");
            if tools.members().any(|(_, value)| !matches!(value.text(), "0" | "null")) {
                extensions.push(extension("usage.server_tool_use", raw));
            }
        }
        let service_tier = usage.string("service_tier").ok().flatten();
        extensions.extend(rest("usage.", &usage));
        Ok(Remarks { service_tier, extensions })
    }

    /// Totals, and parts of them.
    pub(super) fn usage(&self) -> Usage {
        self.0.usage().unwrap_or_default()
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
    let mut object = ObjectWriter::new(out);
    object.member("input_tokens", &plain);
    object.member("cache_creation_input_tokens", &written);
    object.member("cache_read_input_tokens", &usage.cache_read);
    let mut split = ObjectWriter::new(object.key("cache_creation"));
    split.member("ephemeral_5m_input_tokens", &usage.cache_write_5m);
    split.member("ephemeral_1h_input_tokens", &usage.cache_write_1h);
    split.end();
    object.member("output_tokens", &usage.output);
    if usage.reasoning > 0 {
        let mut details = ObjectWriter::new(object.key("output_tokens_details"));
        details.member("thinking_tokens", &usage.reasoning);
        details.end();
    }
    let whole = extension::find(extensions, "usage.server_tool_use").is_some();
    if usage.searches > 0 && !whole {
        let mut tools = ObjectWriter::new(object.key("server_tool_use"));
        tools.member("web_search_requests", &usage.searches);
        tools.end();
    }
    // OpenAI's word for what Anthropic calls standard.
    let tier = service_tier.map(|tier| if tier == "default" { "standard" } else { tier });
    object.maybe("service_tier", tier.as_ref());
    extension::write_under(&mut object, "usage.", extensions);
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(bodies: &[&str]) -> Usage {
        let mut figures = Figures::default();
        for body in bodies {
            let raw = Raw::check_text(body).unwrap();
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
