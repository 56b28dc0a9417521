//! Content parts of requests: `text`, `image_url`, `file`, `input_audio`, and
//! what compatible providers add (`document_url`, `thinking`).
//!
//! A part of a type that is not known stays whole and goes back out whole; a
//! block that only another dialect has is said in plain parts or refused.

use super::HERE;
use crate::json::read::{Object, Raw, items, string};
use crate::json::write::{self, ObjectWriter};
use crate::openai_chat::extension::{self, extension, rest};
use crate::{
    DecodeError, Dropped, EncodeError, Json, Target, blocks, media,
    model::{CacheHint, Content, Extension, Media, Part, Sealed, Thought},
};
use std::borrow::Cow;

/// `content`, a string or a list; empty strings and lists are no parts.
pub(super) fn decode_content(raw: Raw<'_>, path: &str) -> Result<Vec<Part>, DecodeError> {
    if let Some(text) = string(raw) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![plain(text)] });
    }
    let wrong = || DecodeError::wrong_type(path, "a string or a list of parts");
    let list = items(raw).ok_or_else(wrong)?;
    let mut parts = Vec::with_capacity(list.len());
    for (at, item) in list.into_iter().enumerate() {
        if let Some(text) = string(item) {
            parts.push(plain(text));
        } else {
            parts.push(decode(item, &format!("{path}[{at}]"))?);
        }
    }
    Ok(parts)
}

/// Words without more.
pub(crate) fn plain(text: String) -> Part {
    Part::from(Content::Text { text, citations: Vec::new() })
}

/// `cache_control`, as LiteLLM's and OpenRouter's clients place it.
pub(super) fn cache_hint(object: &mut Object<'_>) -> Option<CacheHint> {
    let control = object.take("cache_control")?;
    let control = Object::of(control).ok()?;
    Some(CacheHint { ttl: control.filled("ttl") })
}

fn decode(raw: Raw<'_>, path: &str) -> Result<Part, DecodeError> {
    let Ok(mut object) = Object::of(raw) else {
        return Err(DecodeError::wrong_type(path, "an object with a `type`"));
    };
    let kind = object.take("type").and_then(string).unwrap_or_default();
    let cache = cache_hint(&mut object);
    let mut extensions = Vec::new();
    let content = match kind.as_str() {
        "text" | "input_text" | "output_text" => {
            let text = object.take("text").and_then(string);
            let text =
                text.ok_or_else(|| DecodeError::wrong_type(format!("{path}.text"), "a string"))?;
            Content::Text { text, citations: Vec::new() }
        }
        "refusal" => {
            let text = object.take("refusal").and_then(string);
            Content::Refusal(
                text.ok_or_else(|| DecodeError::wrong_type(format!("{path}.refusal"), "a string"))?,
            )
        }
        "image_url" => image(&mut object, path)?,
        "input_image" => match object.take("file_id").and_then(string) {
            Some(id) => Content::Image { source: Media::FileId(id), detail: None },
            None => image(&mut object, path)?,
        },
        "file" => {
            let path = format!("{path}.file");
            let raw =
                object.take("file").ok_or_else(|| DecodeError::wrong_type(&path, "an object"))?;
            let mut inner =
                Object::of(raw).map_err(|_| DecodeError::wrong_type(&path, "an object"))?;
            let file = file(&mut inner, &path, &mut extensions)?;
            extensions.extend(rest("file.", &inner));
            file
        }
        "input_file" => file(&mut object, path, &mut extensions)?,
        "input_audio" => audio(&mut object, path)?,
        "document_url" => {
            let url = object.take("document_url").and_then(string);
            let url = url.ok_or_else(|| {
                DecodeError::wrong_type(format!("{path}.document_url"), "a string")
            })?;
            extensions.extend(name_extension(LINK, "document_url"));
            let title = object.take("document_name").and_then(string);
            let source = media::of_url(&url);
            Content::Document { source, title, context: None, citations: None }
        }
        kind if blocks::is_known(kind) => return blocks::decode_at_path(raw, path),
        "thinking" => {
            let signature = object.take("signature").and_then(string).filter(|s| !s.is_empty());
            let signature = signature.map(Sealed::claudes);
            extensions.push(extension("thinking", raw));
            let text = object.take("thinking").map(thinking_text).unwrap_or_default();
            let part = Content::Reasoning(Thought { text: Some(text), signature, redacted: None });
            return Ok(Part { cache, extensions, ..Part::from(part) });
        }
        _ => {
            let content = Content::Opaque {
                source: HERE,
                kind,
                block: raw.into(),
                plain: None,
                speaks_to_tool: false,
            };
            return Ok(Part::from(content));
        }
    };
    extensions.extend(rest("", &object));
    Ok(Part { cache, extensions, ..Part::from(content) })
}

/// Mistral's thinking: a string or a list of texts.
pub(super) fn thinking_text(raw: Raw<'_>) -> String {
    let text_of = |item: Raw<'_>| {
        string(item).or_else(|| Object::of(item).ok()?.text("text")).unwrap_or_default()
    };
    match items(raw) {
        Some(list) => list.into_iter().map(text_of).collect(),
        None => text_of(raw),
    }
}

/// An extension that holds a string.
pub(super) fn name_extension(name: &str, value: &str) -> Option<Extension> {
    let value = Json::of(value).ok()?;
    Some(extension(name, value))
}

fn image(object: &mut Object<'_>, path: &str) -> Result<Content, DecodeError> {
    let path = format!("{path}.image_url");
    let raw = object
        .take("image_url")
        .ok_or_else(|| DecodeError::wrong_type(&path, "an object with a `url`"))?;
    let (url, detail) = match string(raw) {
        Some(url) => (Some(url), None),
        None => match Object::of(raw) {
            Ok(inner) => (inner.filled("url"), inner.filled("detail")),
            Err(_) => (None, None),
        },
    };
    let url = url.ok_or_else(|| DecodeError::wrong_type(format!("{path}.url"), "a string"))?;
    let source = media::of_url(&url);
    // Clients send files of any kind this way: what a picture is not is a
    // document.
    if let Media::Base64 { media_type, .. } = &source
        && !media_type.starts_with("image/")
        && media_type != "application/octet-stream"
    {
        return Ok(Content::Document { source, title: None, context: None, citations: None });
    }
    Ok(Content::Image { source, detail })
}

/// A file, by the members of chat's `file` and of responses' `input_file`.
fn file(
    inner: &mut Object<'_>,
    path: &str,
    extensions: &mut Vec<Extension>,
) -> Result<Content, DecodeError> {
    let title = inner.take("filename").and_then(string);
    let format = inner.take("format").and_then(string);
    let source = if let Some(data) = inner.take("file_data").and_then(string) {
        match media::of_url(&data) {
            Media::Url(_) if !data.contains(':') => {
                media::of_base64(format.as_deref().unwrap_or("application/pdf"), &data)
            }
            source => {
                if matches!(source, Media::Url(_)) {
                    // OpenRouter takes links there.
                    extensions.extend(name_extension(LINK, "file_data"));
                }
                source
            }
        }
    } else if let Some(url) = inner.take("file_url").and_then(string) {
        media::of_url(&url)
    } else if let Some(id) = inner.take("file_id").and_then(string) {
        if id.starts_with("https://") || id.starts_with("http://") || id.starts_with("data:") {
            media::of_url(&id)
        } else {
            Media::FileId(id)
        }
    } else {
        return Err(DecodeError::invalid(path, format!("`{path}` needs `file_data` or `file_id`")));
    };
    Ok(Content::Document { source, title, context: None, citations: None })
}

fn audio(object: &mut Object<'_>, path: &str) -> Result<Content, DecodeError> {
    let path = format!("{path}.input_audio");
    let inner = object.take("input_audio").and_then(|raw| Object::of(raw).ok());
    let inner = inner.ok_or_else(|| DecodeError::wrong_type(&path, "an object"))?;
    let data = inner
        .text("data")
        .ok_or_else(|| DecodeError::wrong_type(format!("{path}.data"), "a string"))?;
    let format = inner.text("format").unwrap_or_else(|| "wav".to_owned());
    Ok(Content::Audio { data, format })
}

/// The parts of a user's message, of instructions or of a result, each with its
/// place in the client's request, as they can be written.
///
/// # Errors
/// Names the first part that has no form here: content is never left out. What
/// belongs to a server tool goes with the tool, where that is to be dropped.
pub(super) fn sayable<'p, P: FnOnce() -> String>(
    parts: impl IntoIterator<Item = (P, &'p Part)>,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<Cow<'p, Part>>, EncodeError> {
    let mut said = Vec::new();
    for (place, part) in parts {
        let what = match &part.content {
            Content::Opaque { source, kind, plain, speaks_to_tool, .. } if *source != HERE => {
                if let Some(plain) = plain {
                    said.extend(plain.iter().map(Cow::Borrowed));
                    continue;
                }
                if target.drop_params && *speaks_to_tool {
                    dropped.add(place());
                    continue;
                }
                kind.clone()
            }
            Content::ToolCall { .. } => "tool_use".to_owned(),
            Content::ToolResult { .. } => "tool_result".to_owned(),
            Content::Reasoning(_) if own(&part.extensions).all(|e| e.name != "thinking") => {
                "thinking".to_owned()
            }
            Content::Document { source: Media::Url(_), .. } if link(part).is_none() => {
                "a link to a document".to_owned()
            }
            content if target.content_as_text && !is_text(content) => part.kind(),
            // A file has no field for what is to be known about it.
            Content::Document { source, context: Some(context), .. }
                if !matches!(source, Media::Text(_)) =>
            {
                said.extend([Cow::Owned(plain(context.clone())), Cow::Borrowed(part)]);
                continue;
            }
            _ => {
                said.push(Cow::Borrowed(part));
                continue;
            }
        };
        return Err(EncodeError::Content { param: place(), what });
    }
    Ok(said)
}

/// Returns true for content that can be part of one string.
fn is_text(content: &Content) -> bool {
    match content {
        Content::Document { source, .. } => matches!(source, Media::Text(_)),
        Content::Image { .. } | Content::Audio { .. } | Content::Opaque { .. } => false,
        _ => true,
    }
}

/// A text document as words: its title, what to know about it, its text.
pub(super) fn document_text(part: &Part) -> Cow<'_, str> {
    let Content::Document { source: Media::Text(text), title, context, .. } = &part.content else {
        return Cow::Borrowed("");
    };
    match (title, context) {
        (None, None) => Cow::Borrowed(text),
        (title, context) => {
            let all: Vec<&str> =
                title.iter().chain(context).map(String::as_str).chain([text.as_str()]).collect();
            Cow::Owned(all.join("\n\n"))
        }
    }
}

/// Whether a part can be said as a bare string.
pub(super) fn is_plain(part: &Part, keep_cache: bool) -> bool {
    matches!(part.content, Content::Text { .. })
        && !(keep_cache && part.cache.is_some())
        && own(&part.extensions).all(|e| e.name.starts_with("message."))
}

/// This dialect's extensions.
pub(super) fn own(extensions: &[Extension]) -> impl Iterator<Item = &Extension> {
    extensions.iter().filter(|e| e.source == HERE)
}

/// Writes a part of a `content` list; `false` if the part has no place there
/// and nothing was written.
pub(super) fn encode(
    part: &Part,
    keep_cache: bool,
    path: &str,
    out: &mut Vec<u8>,
) -> Result<bool, EncodeError> {
    let cannot = |message: &str| EncodeError::Invalid {
        param: path.to_owned(),
        message: message.to_owned(),
    };
    let kind = match &part.content {
        Content::Text { .. } | Content::Document { source: Media::Text(_), .. } => "text",
        Content::Refusal(_) => "refusal",
        Content::Image { source: Media::FileId(_), .. } => "file",
        Content::Image { source: Media::Text(_), .. } => {
            return Err(cannot("a picture cannot be given as text"));
        }
        Content::Image { .. } => "image_url",
        Content::Document { .. } if link(part) == Some("\"document_url\"") => "document_url",
        Content::Document { .. } => "file",
        Content::Audio { .. } => "input_audio",
        Content::Opaque { source: HERE, block, .. } => {
            write::put(out, block);
            return Ok(true);
        }
        Content::Reasoning(_) => {
            let Some(kept) = own(&part.extensions).find(|e| e.name == "thinking") else {
                return Ok(false);
            };
            write::put(out, &kept.value);
            return Ok(true);
        }
        Content::ToolCall { .. } | Content::ToolResult { .. } | Content::Opaque { .. } => {
            return Ok(false);
        }
    };
    write::object(out, |object| {
        object.member("type", kind);
        encode_content(part, object);
        if let Some(hint) = part.cache.as_ref().filter(|_| keep_cache) {
            encode_cache(hint, object);
        }
        let here = |e: &&Extension| {
            e.name != LINK && !e.name.starts_with("message.") && !e.name.starts_with("file.")
        };
        extension::write(object, own(&part.extensions).filter(here));
    });
    Ok(true)
}

/// The extension that says in which field a document's link stood.
const LINK: &str = "link";

/// The JSON name of the field in which a document's link stood.
fn link(part: &Part) -> Option<&str> {
    own(&part.extensions).find(|e| e.name == LINK).map(|e| e.value.text())
}

/// Writes `cache_control`.
pub(super) fn encode_cache(hint: &CacheHint, object: &mut ObjectWriter<'_>) {
    object.object("cache_control", |control| {
        control.member("type", "ephemeral");
        control.maybe("ttl", hint.ttl.as_ref());
    });
}

fn encode_content(part: &Part, object: &mut ObjectWriter<'_>) {
    match &part.content {
        Content::Text { text, .. } => object.member("text", text),
        Content::Refusal(text) => object.member("refusal", text),
        Content::Image { source: Media::FileId(id), .. } => {
            object.object("file", |file| file.member("file_id", id));
        }
        Content::Image { source, detail } => object.object("image_url", |image| {
            image.member("url", &url_of(source));
            image.maybe("detail", detail.as_ref());
        }),
        Content::Document { source, title, .. } if link(part) == Some("\"document_url\"") => {
            object.member("document_url", &url_of(source));
            object.maybe("document_name", title.as_ref());
        }
        Content::Document { source: Media::Text(_), .. } => {
            object.member("text", &document_text(part));
        }
        Content::Document { source, title, .. } => object.object("file", |file| {
            if let Media::FileId(id) = source {
                file.member("file_id", id);
                file.maybe("filename", title.as_ref());
            } else {
                // OpenAI refuses `file_data` without a name.
                file.member("file_data", &url_of(source));
                file.member("filename", title.as_deref().unwrap_or("document.pdf"));
            }
            for extension in own(&part.extensions) {
                if let Some(name) = extension.name.strip_prefix("file.") {
                    file.member(name, &extension.value);
                }
            }
        }),
        Content::Audio { data, format } => object.object("input_audio", |audio| {
            audio.member("data", data);
            audio.member("format", format);
        }),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Reasoning(_)
        | Content::Opaque { .. } => {}
    }
}

/// The URL that says a source.
pub(super) fn url_of(source: &Media) -> String {
    match source {
        Media::Base64 { media_type, data } => media::data_url(media_type, data),
        Media::Url(url) => url.clone(),
        Media::FileId(id) => id.clone(),
        Media::Text(text) => text.clone(),
    }
}
