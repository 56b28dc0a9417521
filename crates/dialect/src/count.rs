//! How many tokens a request may have, without a tokenizer.
//!
//! Two figures for two uses. [`estimate_input_tokens`] answers clients that
//! ask: near the truth, and above it, because a client that trusts too low a
//! figure runs into the window. [`input_bound_tokens`] is for money: no
//! provider's count can exceed it, or there is no bound.

use crate::Json;
use crate::model::{Content, Media, Part, Request, Tool};
use base64::Engine as _;

/// Roles and separators around one message.
const MESSAGE_TOKENS: u64 = 8;
/// The provider's own wrapping of one tool.
const TOOL_TOKENS: u64 = 24;
/// Tokens that a provider adds to a prompt by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The prompt that explains tools, once where there are any.
    tools: u64,
    /// The prompt that explains a JSON schema, without the schema.
    format: u64,
}

impl Hidden {
    /// Claude's own (<https://platform.claude.com/docs/en/agents-and-tools/tool-use>,
    /// "Pricing": up to 589 tokens for tools).
    pub const CLAUDE: Self = Self { tools: 600, format: 300 };
    /// Of other models, whose templates put a few words around tools.
    pub const OTHERS: Self = Self { tools: 16, format: 32 };
}
/// The most tokens that a provider counts for one picture.
const IMAGE_TOKENS: u64 = 4_784;
/// Pixels that make one token.
const PIXELS_PER_TOKEN: u64 = 750;
/// Text and picture of one page.
const PAGE_TOKENS: u64 = 5_000;
/// What a tool of the provider's own says about itself.
const SERVER_TOOL_TOKENS: u64 = 1_500;

/// An estimate of a request's input tokens that is meant to err upwards, by
/// a tenth to a half for most texts.
pub fn estimate_input_tokens(request: &Request, hidden: Hidden) -> u64 {
    let system = parts_tokens(&request.system);
    let turns = request.turns.iter().map(|turn| {
        let name = turn.name.as_deref().map_or(0, text_tokens);
        MESSAGE_TOKENS.saturating_add(name).saturating_add(parts_tokens(&turn.parts))
    });
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function { name, description, parameters, .. } => TOOL_TOKENS
            .saturating_add(text_tokens(name))
            .saturating_add(description.as_deref().map_or(0, text_tokens))
            .saturating_add(parameters.as_ref().map_or(0, json_tokens)),
        Tool::Opaque { tool, .. } => SERVER_TOOL_TOKENS.saturating_add(json_tokens(tool)),
    });
    let explained = if request.tools.is_empty() { 0 } else { hidden.tools };
    let format = match &request.output_format {
        Some(crate::model::OutputFormat::JsonSchema { schema, .. }) => {
            hidden.format.saturating_add(json_tokens(schema))
        }
        _ => 0,
    };
    [MESSAGE_TOKENS, system, explained, format]
        .into_iter()
        .chain(turns)
        .chain(tools)
        .fold(0, u64::saturating_add)
}

/// The most input tokens that a body of text can have at any provider: a
/// byte-pair token is at least one byte, and what providers add around
/// messages and tools is small. `None` where the bytes bound nothing:
/// pictures, documents, sound, links, files, and whatever else the provider
/// adds by itself.
///
/// `body_bytes` is the length of the JSON body, which is never shorter than
/// the text in it.
pub fn input_bound_tokens(request: &Request, body_bytes: u64) -> Option<u64> {
    let opaque_tool = request.tools.iter().any(|tool| matches!(tool, Tool::Opaque { .. }));
    let adds_input = |name: &str| {
        matches!(
            name,
            "mcp_servers"
                | "container"
                | "previous_response_id"
                | "conversation"
                | "web_search_options"
                | "prompt"
                | "plugins"
        )
    };
    let hidden = request.extensions.iter().any(|e| adds_input(&e.name));
    let mut parts = request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.parts));
    if opaque_tool || hidden || !parts.all(is_text) {
        return None;
    }
    let (messages, tools) = (request.turns.len(), request.tools.len());
    Some(text_bound_tokens(body_bytes, messages as u64, tools as u64))
}

/// The bound of [`input_bound_tokens`] for a body that is known to hold only
/// text and function tools.
pub fn text_bound_tokens(body_bytes: u64, messages: u64, tools: u64) -> u64 {
    // Twice what the estimate takes for the hidden prompts, so that a
    // provider's next edition of them still fits.
    let hidden = 2 * (Hidden::CLAUDE.tools + Hidden::CLAUDE.format);
    body_bytes
        .saturating_add(messages.saturating_mul(2 * MESSAGE_TOKENS))
        .saturating_add(tools.saturating_mul(4 * TOOL_TOKENS))
        .saturating_add(hidden)
}

fn is_text(part: &Part) -> bool {
    match &part.content {
        Content::Text { .. } | Content::Refusal(_) | Content::ToolCall { .. } => true,
        Content::Reasoning(thought) => thought.redacted.is_none(),
        Content::ToolResult { parts, .. } => parts.iter().all(is_text),
        Content::Document { source, .. } => matches!(source, Media::Text(_)),
        Content::Image { .. } | Content::Audio { .. } | Content::Opaque { .. } => false,
    }
}

fn parts_tokens(parts: &[Part]) -> u64 {
    parts.iter().map(part_tokens).fold(0, u64::saturating_add)
}

fn part_tokens(part: &Part) -> u64 {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => text_tokens(text),
        Content::Image { source, .. } => image_tokens(source),
        Content::Document { source, title, context, .. } => {
            let words = [title, context].into_iter().flatten().map(|text| text_tokens(text));
            document_tokens(source).saturating_add(words.sum())
        }
        // A second of sound is ten to thirty tokens and some kilobytes.
        Content::Audio { data, .. } => (data.len() as u64).div_ceil(100),
        Content::ToolCall { id, name, arguments, .. } => {
            MESSAGE_TOKENS * 2 + text_tokens(id) + text_tokens(name) + text_tokens(arguments)
        }
        Content::ToolResult { id, parts, .. } => {
            (MESSAGE_TOKENS * 2 + text_tokens(id)).saturating_add(parts_tokens(parts))
        }
        Content::Reasoning(thought) => {
            let text = thought.text.as_deref().map_or(0, text_tokens);
            let sealed =
                thought.redacted.as_ref().map_or(0, |data| (data.text.len() as u64).div_ceil(3));
            text.saturating_add(sealed).saturating_add(MESSAGE_TOKENS)
        }
        Content::Opaque { block, .. } => json_tokens(block).saturating_add(MESSAGE_TOKENS),
    }
}

fn json_tokens(json: &Json) -> u64 {
    text_tokens(json.text())
}

/// Letters and spaces make words, three to five to a token; digits, signs and
/// everything beyond ASCII come in smaller pieces.
fn text_tokens(text: &str) -> u64 {
    let words = text.bytes().filter(|b| b.is_ascii_alphabetic() || *b == b' ').count() as u64;
    let others = text.len() as u64 - words;
    (words * 2 + others * 4).div_ceil(6)
}

fn image_tokens(source: &Media) -> u64 {
    let Media::Base64 { data, .. } = source else { return IMAGE_TOKENS };
    png_pixels(data).map_or(IMAGE_TOKENS, |pixels| {
        (pixels / PIXELS_PER_TOKEN).saturating_add(100).min(IMAGE_TOKENS)
    })
}

/// Width times height, from a PNG's header.
fn png_pixels(base64: &str) -> Option<u64> {
    let header = base64::engine::general_purpose::STANDARD.decode(base64.get(..32)?).ok()?;
    let side = |at: usize| -> Option<u64> {
        let bytes: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    };
    if !header.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    side(16)?.checked_mul(side(20)?)
}

fn document_tokens(source: &Media) -> u64 {
    match source {
        Media::Text(text) => text_tokens(text),
        Media::Url(_) | Media::FileId(_) => PAGE_TOKENS * 4,
        Media::Base64 { data, .. } => {
            let bytes = (data.len() as u64 / 4).saturating_mul(3);
            let pages =
                base64::engine::general_purpose::STANDARD.decode(data).map_or(0, |b| pdf_pages(&b));
            if pages > 0 { pages.saturating_mul(PAGE_TOKENS) } else { (bytes / 4).max(PAGE_TOKENS) }
        }
    }
}

/// Page objects that a PDF shows uncompressed.
fn pdf_pages(pdf: &[u8]) -> u64 {
    memchr::memmem::find_iter(pdf, b"/Type")
        .filter(|at| {
            let rest = pdf.get(at + 5..).unwrap_or_default().trim_ascii_start();
            rest.strip_prefix(b"/Page").is_some_and(|after| after.first() != Some(&b's'))
        })
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, Turn};

    fn saying(content: Content) -> Request {
        let turn = Turn { role: Role::User, name: None, parts: vec![content.into()] };
        Request { turns: vec![turn], ..Request::default() }
    }

    fn text(text: &str) -> Request {
        saying(Content::Text { text: text.to_owned(), citations: Vec::new() })
    }

    #[test]
    fn prose_and_numbers_are_overestimated_within_reason() {
        // 44 letters and spaces and a full stop: ten tokens in common vocabularies.
        let prose = "The quick brown fox jumps over the lazy dog.";
        let estimate = estimate_input_tokens(&text(prose), Hidden::CLAUDE) - 2 * MESSAGE_TOKENS;
        assert!((10..=20).contains(&estimate), "{estimate}");
        let digits =
            estimate_input_tokens(&text("3.14159265358979"), Hidden::CLAUDE) - 2 * MESSAGE_TOKENS;
        assert!(digits >= 8, "{digits}");
        let cjk = estimate_input_tokens(&text("今天天气很好"), Hidden::CLAUDE) - 2 * MESSAGE_TOKENS;
        assert!((6..=18).contains(&cjk), "{cjk}");
    }

    #[test]
    fn more_text_is_never_fewer_tokens() {
        let mut last = 0;
        for length in 0..200 {
            let estimate = estimate_input_tokens(&text(&"a1 ".repeat(length)), Hidden::OTHERS);
            assert!(estimate >= last);
            last = estimate;
        }
    }

    #[test]
    fn a_png_is_counted_by_its_size() {
        let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        header.extend_from_slice(&[0, 0, 2, 0, 0, 0, 1, 0]);
        let data = base64::engine::general_purpose::STANDARD.encode(&header);
        let png = Media::Base64 { media_type: "image/png".to_owned(), data };
        assert_eq!(image_tokens(&png), 512 * 256 / 750 + 100);
    }

    #[test]
    fn pages_of_a_pdf_are_counted() {
        assert_eq!(
            pdf_pages(b"<< /Type /Pages >> << /Type /Page >> <</Type/Page/Parent 1 0 R>>"),
            2
        );
    }

    #[test]
    fn text_is_bounded_by_its_bytes_and_pictures_are_not() {
        let bound = input_bound_tokens(&text("hello"), 100).unwrap();
        assert!((100..=100 + 16 + 1_800).contains(&bound), "{bound}");
        let image = saying(Content::Image {
            source: Media::Url("https://x.test".to_owned()),
            detail: None,
        });
        assert_eq!(input_bound_tokens(&image, 100), None);
        let result = Content::ToolResult {
            id: "a".to_owned(),
            parts: image.turns[0].parts.clone(),
            is_error: false,
        };
        assert_eq!(input_bound_tokens(&saying(result), 100), None);
    }

    #[test]
    fn an_estimate_of_text_is_below_its_bound() {
        let long = "Some words, 12 numbers; {\"json\": [1, 2]} ümläut 漢字 ".repeat(500);
        let request = text(&long);
        let bound = input_bound_tokens(&request, long.len() as u64).unwrap();
        assert!(estimate_input_tokens(&request, Hidden::CLAUDE) < bound);
    }

    #[test]
    fn hidden_prompts_are_counted_for_the_model_that_has_them() {
        let tool = Tool::Function {
            name: "f".to_owned(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
            extensions: Vec::new(),
        };
        let request = Request { tools: vec![tool], ..text("hi") };
        let [claude, other] =
            [Hidden::CLAUDE, Hidden::OTHERS].map(|hidden| estimate_input_tokens(&request, hidden));
        assert_eq!(claude - other, Hidden::CLAUDE.tools - Hidden::OTHERS.tools);
        assert!(other < 100, "{other}");
    }
}
