//! Content blocks, written; `crate::blocks` reads them.

use super::HERE;
use crate::Json;
use crate::anthropic_messages::extension;
use crate::json::read::Raw;
use crate::json::write::{ObjectWriter, array};
use crate::model::{
    CacheHint, Citation, Content, Extension, Media, Origin, Part, Sealed, Thought, ToolKind,
};
use crate::tool_ids;
use base64::Engine as _;
use std::borrow::Cow;

/// Who reads what we write: it decides how tool ids are spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Anthropic, as our upstream.
    Upstream,
    /// An Anthropic client.
    Client,
}

/// Types of pictures that Anthropic takes
/// (<https://platform.claude.com/docs/en/build-with-claude/vision>).
const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Whether this dialect has a block for the part.
pub(super) fn can_say(part: &Part) -> bool {
    match &part.content {
        Content::Audio { .. } | Content::Image { source: Media::Text(_), .. } => false,
        Content::Opaque { source, .. } => *source == HERE,
        Content::Image { source: Media::Base64 { media_type, data }, .. } => {
            IMAGE_TYPES.contains(&picture_type(media_type, data))
        }
        Content::Document { source: Media::Base64 { media_type, data }, .. } => {
            media_type == "application/pdf" || plain_text(media_type, data).is_some()
        }
        _ => true,
    }
}

/// The kind of a part that [`can_say`] does not admit, for errors.
pub(super) fn kind(part: &Part) -> String {
    match &part.content {
        Content::Image { source: Media::Base64 { media_type, .. }, .. }
        | Content::Document { source: Media::Base64 { media_type, .. }, .. } => {
            format!("media of type {media_type}")
        }
        _ => part.kind(),
    }
}

/// Writes the part's block; the part is one that [`can_say`] admits.
pub(super) fn encode(out: &mut Vec<u8>, part: &Part, reader: Reader) {
    if let Content::Opaque { block, .. } = &part.content {
        out.extend_from_slice(block.text().as_bytes());
        return;
    }
    let mut block = ObjectWriter::new(out);
    match &part.content {
        Content::Text { text, citations } => {
            block.member("type", "text");
            block.member("text", text);
            write_citations(&mut block, citations, reader);
        }
        Content::Refusal(text) => {
            block.member("type", "text");
            block.member("text", text);
        }
        Content::Image { source, .. } => {
            block.member("type", "image");
            write_media(block.key("source"), source);
        }
        Content::Document { source, title, context, citations } => {
            block.member("type", "document");
            write_media(block.key("source"), source);
            block.maybe("title", title.as_ref());
            block.maybe("context", context.as_ref());
            if let Some(enabled) = citations {
                let mut citations = ObjectWriter::new(block.key("citations"));
                citations.member("enabled", enabled);
                citations.end();
            }
        }
        Content::ToolCall { id, name, arguments, kind } => {
            block.member("type", "tool_use");
            block.member("id", tool_id(id, part.signature.as_ref(), reader).as_ref());
            block.member("name", name);
            block.raw("input", &input(arguments, *kind));
        }
        Content::ToolResult { id, parts, is_error } => {
            block.member("type", "tool_result");
            block.member("tool_use_id", tool_id(id, None, reader).as_ref());
            write_result(&mut block, parts, reader);
            if *is_error {
                block.member("is_error", &true);
            }
        }
        Content::Reasoning(thought) => write_thought(&mut block, thought),
        Content::Audio { .. } | Content::Opaque { .. } => {}
    }
    write_cache(&mut block, part.cache.as_ref(), &part.extensions);
    extension::write(&mut block, &part.extensions);
    block.end();
}

/// A cache hint, unless the extensions hold the whole of it.
pub(super) fn write_cache(
    object: &mut ObjectWriter<'_>,
    cache: Option<&CacheHint>,
    extensions: &[Extension],
) {
    if let (Some(hint), None) = (cache, extension::find(extensions, "cache_control")) {
        let mut control = ObjectWriter::new(object.key("cache_control"));
        control.member("type", "ephemeral");
        control.maybe("ttl", hint.ttl.as_ref());
        control.end();
    }
}

pub(super) fn tool_id<'i>(id: &'i str, signature: Option<&Sealed>, reader: Reader) -> Cow<'i, str> {
    match reader {
        Reader::Upstream => tool_ids::for_upstream(id),
        Reader::Client => tool_ids::for_client(id, signature),
    }
}

pub(super) fn write_thought(block: &mut ObjectWriter<'_>, thought: &Thought) {
    let thought = thought.of(Origin::Anthropic);
    if let (Some(data), None, None) = (&thought.redacted, &thought.text, &thought.signature) {
        block.member("type", "redacted_thinking");
        block.member("data", &data.text);
    } else {
        let signature = thought.signature.as_ref().map(|signature| signature.text.as_str());
        block.member("type", "thinking");
        block.member("thinking", thought.text.as_deref().unwrap_or_default());
        block.member("signature", signature.unwrap_or_default());
    }
}

/// The arguments as the object that `input` must be.
pub(super) fn input(arguments: &str, kind: ToolKind) -> Cow<'_, str> {
    let wrapped = |name: &str| {
        let mut out = Vec::with_capacity(arguments.len() + 16);
        let mut object = ObjectWriter::new(&mut out);
        object.member(name, arguments);
        object.end();
        Cow::Owned(String::from_utf8(out).unwrap_or_else(|_| "{}".to_owned()))
    };
    match kind {
        ToolKind::Custom => wrapped("input"),
        ToolKind::Function if arguments.trim().is_empty() => Cow::Borrowed("{}"),
        ToolKind::Function => match Raw::check_text(arguments) {
            Ok(value) if value.text().starts_with('{') => Cow::Borrowed(value.text()),
            // A model's slip in the history must not make the conversation
            // unusable: it sees what it wrote, as text.
            _ => wrapped("arguments"),
        },
    }
}

fn write_result(block: &mut ObjectWriter<'_>, parts: &[Part], reader: Reader) {
    let said = |part: &&Part| can_say(part) && !part.is_blank();
    match parts {
        [] => {}
        [Part { content: Content::Text { text, citations }, cache: None, extensions, .. }]
            if extensions.is_empty() && citations.is_empty() =>
        {
            if !text.trim().is_empty() {
                block.member("content", text);
            }
        }
        _ => array(block.key("content"), parts.iter().filter(said), |out, part| {
            encode(out, part, reader);
        }),
    }
}

fn write_citations(block: &mut ObjectWriter<'_>, citations: &[Citation], reader: Reader) {
    let mut written = citations.iter().filter_map(|c| citation_json(c, reader)).peekable();
    if written.peek().is_some() {
        array(block.key("citations"), written, |out, json| {
            out.extend_from_slice(json.text().as_bytes());
        });
    }
}

/// The citation in Anthropic's form: its own as it was; for a client, a
/// foreign link as a search result. An upstream takes back only its own.
pub(super) fn citation_json(citation: &Citation, reader: Reader) -> Option<Cow<'_, Json>> {
    let (source, json) = &citation.source;
    if *source == HERE {
        return Some(Cow::Borrowed(json));
    }
    let url = citation.url.as_ref().filter(|_| reader == Reader::Client)?;
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.member("type", "web_search_result_location");
    object.member("cited_text", "");
    object.member("encrypted_index", "");
    object.member("title", &citation.title);
    object.member("url", url);
    object.end();
    Json::parse(String::from_utf8(out).ok()?).ok().map(Cow::Owned)
}

fn write_media(out: &mut Vec<u8>, media: &Media) {
    let mut source = ObjectWriter::new(out);
    match media {
        Media::Base64 { media_type, data } => {
            if let Some(text) = plain_text(media_type, data) {
                source.member("type", "text");
                source.member("media_type", "text/plain");
                source.member("data", &text);
            } else {
                source.member("type", "base64");
                source.member("media_type", picture_type(media_type, data));
                source.member("data", data);
            }
        }
        Media::Url(url) => {
            source.member("type", "url");
            source.member("url", url);
        }
        Media::FileId(id) => {
            source.member("type", "file");
            source.member("file_id", id);
        }
        Media::Text(text) => {
            source.member("type", "text");
            source.member("media_type", "text/plain");
            source.member("data", text);
        }
    }
    source.end();
}

/// The type of base64 media: what the bytes of a picture say goes first.
fn picture_type<'m>(stated: &'m str, data: &str) -> &'m str {
    match image_type(data) {
        Some(known) => known,
        None if stated == "image/jpg" => "image/jpeg",
        None => stated,
    }
}

/// What the first bytes of a picture say: stated types are often wrong, and
/// Anthropic checks.
fn image_type(base64: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 5] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGODdh", "image/gif"),
        ("R0lGODlh", "image/gif"),
        ("UklGR", "image/webp"),
    ];
    MAGIC.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, kind)| *kind)
}

/// Anthropic's base64 documents are PDFs; text goes as text.
fn plain_text(media_type: &str, data: &str) -> Option<String> {
    if !media_type.starts_with("text/") && media_type != "application/json" {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{decode, decode_content};

    fn rewritten(block: &str) -> String {
        let raw = Raw::check_text(block).unwrap();
        let mut out = Vec::new();
        encode(&mut out, &decode(raw).unwrap(), Reader::Upstream);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blocks_come_back_as_they_were() {
        for block in [
            r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}"#,
            r#"{"type":"text","text":"a","citations":[{"type":"char_location","start":1.50}]}"#,
            r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral","scope":"all"}}"#,
            r#"{"type":"image","source":{"type":"url","url":"https://x.test/a.png"}}"#,
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"title":"t","context":"c","citations":{"enabled":true}}"#,
            r#"{"type":"document","source":{"type":"content","content":[]}}"#,
            r#"{"type":"tool_use","id":"t1","name":"f","input":{"a": 1.0},"caller":{"type":"direct"}}"#,
            r#"{"type":"tool_result","tool_use_id":"t1","content":[{"type":"image","source":{"type":"file","file_id":"f"}},{"type":"tool_reference","tool_name":"x"}],"is_error":true}"#,
            r#"{"type":"thinking","thinking":"","signature":"sig"}"#,
            r#"{"type":"redacted_thinking","data":"xyz"}"#,
            r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[]}"#,
        ] {
            assert_eq!(rewritten(block), block);
        }
    }

    #[test]
    fn arguments_that_are_no_object_are_wrapped_not_refused() {
        assert_eq!(input("", ToolKind::Function), "{}");
        assert_eq!(input("{\"a\":", ToolKind::Function), r#"{"arguments":"{\"a\":"}"#);
        assert_eq!(input("[1]", ToolKind::Function), r#"{"arguments":"[1]"}"#);
        assert_eq!(input("ls -l", ToolKind::Custom), r#"{"input":"ls -l"}"#);
    }

    #[test]
    fn a_pictures_bytes_decide_its_type() {
        let block = r#"{"type":"image","source":{"type":"base64","media_type":"image/jpg","data":"/9j/4AAQ"}}"#;
        assert!(rewritten(block).contains(r#""media_type":"image/jpeg""#));
    }

    #[test]
    fn what_is_missing_is_named_by_its_path() {
        let raw = Raw::check_text(
            r#"[{"type":"text","text":"a"},{"type":"image","source":{"type":"url"}}]"#,
        )
        .unwrap();
        let error: crate::DecodeError = decode_content(raw).unwrap_err().within("content").into();
        assert_eq!(error.param.as_deref(), Some("content[1].source.url"));
    }
}
