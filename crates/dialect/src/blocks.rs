//! Content blocks in Anthropic's form, read.
//!
//! Anthropic's clients send them, and so do OpenAI's where they take the model
//! for Claude. A block that the model has no part for, or whose inside is of an
//! unknown kind, travels whole as [`Content::Opaque`], with its plain form
//! ([`plain`]) for other dialects.

mod plain;

use crate::json::escape::mended;
use crate::json::read::{Object, Raw, Wrong, list, string};
use crate::model::{
    CacheHint, Citation, Content, Extension, Media, Part, Sealed, Thought, ToolKind,
};
use crate::{DecodeError, Dialect, Json, media::compact, tool_ids};

/// The dialect whose blocks these are.
const SOURCE: Dialect = Dialect::AnthropicMessages;

/// Returns true for blocks of a request that have no other form in any dialect:
/// OpenAI's clients send them where they take the model for Claude.
pub(crate) fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "image"
            | "document"
            | "tool_use"
            | "tool_result"
            | "redacted_thinking"
            | "search_result"
            | "server_tool_use"
            | "container_upload"
    ) || kind.ends_with("_tool_result")
}

/// Reads one block, which is at `path` of the client's request.
///
/// # Errors
/// Names what is missing or of the wrong type.
pub(crate) fn decode_at_path(raw: Raw<'_>, path: &str) -> Result<Part, DecodeError> {
    decode(raw).map_err(|error| error.within(path).into())
}

/// A block that travels whole, in a request.
fn opaque(raw: Raw<'_>, kind: &str) -> Content {
    let speaks_to_tool =
        matches!(kind, "container_upload" | "tool_addition" | "tool_removal" | "server_tool_use")
            || kind.ends_with("_tool_result");
    Content::Opaque {
        source: SOURCE,
        kind: kind.to_owned(),
        block: raw.into(),
        plain: plain::of(raw),
        speaks_to_tool,
    }
}

/// A block of an answer that travels whole: it is shown to its own dialect's
/// clients alone.
pub(crate) fn answered(block: Json) -> Content {
    let kind = Object::of((&block).into()).ok().and_then(|block| block.text("type"));
    let kind = kind.unwrap_or_default();
    Content::Opaque { source: SOURCE, kind, block, plain: None, speaks_to_tool: false }
}

/// Content as a string or as a list of blocks.
pub(crate) fn decode_content(raw: Raw<'_>) -> Result<Vec<Part>, Wrong> {
    if raw.is_string() {
        let text =
            string(raw).ok_or_else(|| Wrong::new("", "must be a string or a list of blocks"))?;
        return Ok(vec![Content::Text { text, citations: Vec::new() }.into()]);
    }
    list(raw)
        .map_err(|_| Wrong::new("", "must be a string or a list of blocks"))?
        .into_iter()
        .enumerate()
        .map(|(at, block)| decode(block).map_err(|e| e.at(at)))
        .collect()
}

/// One block of a message.
pub(crate) fn decode(raw: Raw<'_>) -> Result<Part, Wrong> {
    decode_at(raw, true)
}

fn decode_at(raw: Raw<'_>, outermost: bool) -> Result<Part, Wrong> {
    let mut block = Object::of(raw)?;
    let kind = block.required_string("type")?;
    let opaque = || Ok(opaque(raw, &kind).into());
    let mut carried = None;
    let content = match kind.as_str() {
        "text" => {
            let citations = block.take("citations").map(citations).transpose();
            Content::Text {
                text: block.required_string("text")?,
                citations: citations.map_err(|e| e.within("citations"))?.unwrap_or_default(),
            }
        }
        "image" => match media(block.take("source"))? {
            Some(source) => Content::Image { source, detail: None },
            None => return opaque(),
        },
        "document" => {
            let Some(source) = media(block.take("source"))? else { return opaque() };
            let Ok(citations) = enabled(block.take("citations")) else { return opaque() };
            let (title, context) = (block.string("title")?, block.string("context")?);
            Content::Document { source, title, context, citations }
        }
        "tool_use" => {
            let id;
            (id, carried) = tool_ids::original(block.required_string("id")?);
            let name = block.required_string("name")?;
            let arguments = block.take("input").map_or("{}", Raw::text);
            let arguments = mended(arguments);
            Content::ToolCall { id, name, arguments, kind: ToolKind::Function }
        }
        // A result inside a result has no meaning; not descending bounds the depth.
        "tool_result" if outermost => Content::ToolResult {
            id: tool_ids::original(block.required_string("tool_use_id")?).0,
            parts: match block.take("content") {
                Some(content) => result_content(content).map_err(|e| e.within("content"))?,
                None => Vec::new(),
            },
            is_error: block.read("is_error", "true or false")?.unwrap_or(false),
        },
        "thinking" => Content::Reasoning(Thought {
            text: block.string("thinking")?.filter(|text| !text.is_empty()),
            signature: block.string("signature")?.filter(|s| !s.is_empty()).map(Sealed::claudes),
            redacted: None,
        }),
        "redacted_thinking" => Content::Reasoning(Thought {
            redacted: Some(Sealed::claudes(block.required_string("data")?)),
            ..Thought::default()
        }),
        _ => return opaque(),
    };
    let (cache, unusual) = cache_control(&mut block)?;
    let mut extensions = Extension::of_rest(SOURCE, "", &block);
    extensions.extend(unusual);
    Ok(Part { content, signature: carried, cache, extensions })
}

fn result_content(raw: Raw<'_>) -> Result<Vec<Part>, Wrong> {
    if raw.is_string() {
        return decode_content(raw);
    }
    let blocks = list(raw).map_err(|_| Wrong::new("", "must be a string or a list of blocks"))?;
    let decode = |(at, block)| decode_at(block, false).map_err(|e: Wrong| e.at(at));
    blocks.into_iter().enumerate().map(decode).collect()
}

fn enabled(raw: Option<Raw<'_>>) -> Result<Option<bool>, Wrong> {
    let Some(raw) = raw else { return Ok(None) };
    let mut citations = Object::of(raw)?;
    let enabled = citations.read("enabled", "true or false")?;
    if citations.is_empty() { Ok(enabled) } else { Err(Wrong::new("citations", "is unknown")) }
}

/// `None`: of a kind that the model lacks.
fn media(raw: Option<Raw<'_>>) -> Result<Option<Media>, Wrong> {
    let raw = raw.ok_or_else(|| Wrong::new("source", "is required"))?;
    let read = |raw| -> Result<Option<Media>, Wrong> {
        let mut source = Object::of(raw)?;
        let kind = source.required_string("type")?;
        let media = match kind.as_str() {
            "base64" => Media::Base64 {
                media_type: source.required_string("media_type")?,
                data: compact(&source.required_string("data")?).into_owned(),
            },
            "url" => Media::Url(source.required_string("url")?),
            "file" => Media::FileId(source.required_string("file_id")?),
            "text" => {
                let plain = source.string("media_type")?.is_none_or(|t| t == "text/plain");
                let data = source.required_string("data")?;
                if !plain {
                    return Ok(None);
                }
                Media::Text(data)
            }
            _ => return Ok(None),
        };
        Ok(source.is_empty().then_some(media))
    };
    read(raw).map_err(|e| e.within("source"))
}

/// A cache hint, and the whole of it where it says more than its lifetime.
pub(crate) fn cache_control(
    fields: &mut Object<'_>,
) -> Result<(Option<CacheHint>, Option<Extension>), Wrong> {
    let Some(raw) = fields.take("cache_control") else { return Ok((None, None)) };
    let read = |raw| -> Result<_, Wrong> {
        let mut control = Object::of(raw)?;
        let ephemeral = control.string("type")?.is_none_or(|kind| kind == "ephemeral");
        Ok((control.string("ttl")?, ephemeral && control.is_empty()))
    };
    let (ttl, usual) = read(raw).map_err(|e| e.within("cache_control"))?;
    let whole = (!usual).then(|| Extension::new(SOURCE, "cache_control", raw));
    Ok((Some(CacheHint { ttl }), whole))
}

fn citations(raw: Raw<'_>) -> Result<Vec<Citation>, Wrong> {
    list(raw)?
        .into_iter()
        .enumerate()
        .map(|(at, raw)| citation(raw).map_err(|e| e.at(at)))
        .collect()
}

/// A citation; its positions are in the cited source, so the model's
/// `start` and `end` (positions in the answer) stay unknown.
pub(crate) fn citation(raw: Raw<'_>) -> Result<Citation, Wrong> {
    let mut fields = Object::of(raw)?;
    Ok(Citation {
        url: fields.string("url").ok().flatten(),
        title: match fields.string("title").ok().flatten() {
            Some(title) => Some(title),
            None => fields.string("document_title").ok().flatten(),
        },
        start: None,
        end: None,
        source: (SOURCE, raw.into()),
    })
}
