//! The parts of a message, in both directions.

use super::HERE;
use super::extension::{rest, take};
use super::seal;
use crate::Json;
use crate::json::read::{Members, Object, Raw, Wrong, list, string};
use crate::json::write::{ObjectWriter, array, json};
use crate::media;
use crate::model::{Content, Media, Origin, Part, Thought, ToolKind};
use crate::tool_ids;
use std::collections::{HashMap, HashSet, VecDeque};

/// Stands for the signature of a call that no model of Google's made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = seal::NONE;

/// The ids of a conversation's calls, for calls and results that have none.
#[derive(Debug, Default)]
pub(super) struct Ids {
    made: usize,
    /// Calls without a result, by the tool's name and in order.
    open: HashMap<String, VecDeque<String>>,
    /// Calls whose results have named them.
    answered: HashSet<String>,
}

impl Ids {
    /// The id of the next call.
    pub(super) fn call(&mut self, name: &str, id: Option<String>) -> String {
        self.made += 1;
        let made = || format!("call_{:016x}", tool_ids::digest(name, self.made));
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(made);
        self.open.entry(name.to_owned()).or_default().push_back(id.clone());
        id
    }

    /// The id of a result's call: the oldest of that name that has none.
    fn result(&mut self, name: &str, id: Option<String>) -> String {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.answered.insert(id.clone());
            return id;
        }
        while let Some(id) = self.open.get_mut(name).and_then(VecDeque::pop_front) {
            if !self.answered.contains(&id) {
                return id;
            }
        }
        format!("call_{:016x}", tool_ids::digest(name, 0))
    }
}

/// Reads a part.
pub(super) fn decode(raw: Raw<'_>, ids: &mut Ids) -> Result<Part, Wrong> {
    let mut fields = Object::of(raw)?;
    let is_thought = take(&mut fields, "thought").is_some_and(|raw| raw.text() == "true");
    let sealed = take(&mut fields, "thoughtSignature").and_then(string).and_then(seal::read);
    let (signature, redacted) = match sealed {
        Some(seal::Read::Signature(signature)) => (Some(signature), None),
        Some(seal::Read::Redacted(redacted)) => (None, Some(redacted)),
        None => (None, None),
    };
    let content = if let Some(text) = fields.string("text")? {
        if is_thought {
            let text = Some(text).filter(|text| !text.is_empty());
            let thought = Thought { text, signature, redacted };
            return Ok(Content::Reasoning(thought).into());
        }
        Content::Text { text, citations: Vec::new() }
    } else if let Some(data) = take(&mut fields, "inlineData") {
        inline(data).map_err(|e| e.within("inlineData"))?
    } else if let Some(file) = take(&mut fields, "fileData") {
        let (content, media_type) = linked(file).map_err(|e| e.within("fileData"))?;
        let mut part = Part::from(content);
        part.signature = signature;
        part.extensions = media_type.into_iter().collect();
        part.extensions.extend(rest("", &fields));
        return Ok(part);
    } else if let Some(call) = take(&mut fields, "functionCall") {
        call_of(call, ids).map_err(|e| e.within("functionCall"))?
    } else if let Some(result) = take(&mut fields, "functionResponse") {
        result_of(result, ids).map_err(|e| e.within("functionResponse"))?
    } else {
        let kind = fields.members().next().map(|(name, _)| name.to_owned()).unwrap_or_default();
        Content::Opaque {
            source: HERE,
            plain: plain(&fields, &kind),
            kind,
            block: raw.into(),
            speaks_to_tool: false,
        }
    };
    let is_opaque = matches!(content, Content::Opaque { .. });
    let mut part = Part { signature, ..content.into() };
    if !is_opaque {
        part.extensions = rest("", &fields);
    }
    Ok(part)
}

fn inline(raw: Raw<'_>) -> Result<Content, Wrong> {
    let mut fields = Object::of(raw)?;
    let media_type = take(&mut fields, "mimeType").and_then(string).unwrap_or_default();
    let data = fields.required_string("data")?;
    let title = take(&mut fields, "displayName").and_then(string);
    // Google's clients write the alphabet for URLs.
    let data = data.replace('-', "+").replace('_', "/");
    if let Some(format) = media_type.strip_prefix("audio/") {
        let format = if format == "mpeg" { "mp3" } else { format };
        return Ok(Content::Audio { data, format: format.to_owned() });
    }
    Ok(visible(media::of_base64(&media_type, &data), &media_type, title))
}

fn linked(raw: Raw<'_>) -> Result<(Content, Option<crate::model::Extension>), Wrong> {
    let mut fields = Object::of(raw)?;
    let stated = take(&mut fields, "mimeType");
    let uri = take(&mut fields, "fileUri").and_then(string);
    let uri = uri.ok_or_else(|| Wrong::new("fileUri", "is required"))?;
    let media_type = stated.and_then(string).unwrap_or_default();
    let kept = stated.map(|raw| super::extension::extension("mimeType", raw));
    Ok((visible(Media::Url(uri), &media_type, None), kept))
}

fn visible(source: Media, media_type: &str, title: Option<String>) -> Content {
    let actual = match &source {
        Media::Base64 { media_type, .. } => media_type,
        _ => media_type,
    };
    if actual.starts_with("image/") {
        return Content::Image { source, detail: None };
    }
    Content::Document { source, title, context: None, citations: None }
}

fn call_of(raw: Raw<'_>, ids: &mut Ids) -> Result<Content, Wrong> {
    let mut fields = Object::of(raw)?;
    let name = fields.required_string("name")?;
    let id = ids.call(&name, fields.string("id")?);
    let arguments = fields.take("args").map_or("{}", Raw::text).to_owned();
    Ok(Content::ToolCall { id, name, arguments, kind: ToolKind::Function })
}

fn result_of(raw: Raw<'_>, ids: &mut Ids) -> Result<Content, Wrong> {
    let mut fields = Object::of(raw)?;
    let name = fields.required_string("name")?;
    let id = ids.result(&name, fields.string("id")?);
    let (text, is_error) = fields.take("response").map(said).unwrap_or_default();
    let mut parts = vec![Part::from(Content::Text { text, citations: Vec::new() })];
    if let Some(more) = fields.take("parts") {
        for (at, raw) in list(more).map_err(|e| e.within("parts"))?.into_iter().enumerate() {
            parts.push(decode(raw, ids).map_err(|e| e.at(at).within("parts"))?);
        }
    }
    Ok(Content::ToolResult { id, parts, is_error })
}

/// The text of a tool's response, and whether it is that of a failure.
fn said(raw: Raw<'_>) -> (String, bool) {
    if let Some(members) = Members::of(raw)
        && let [(name, value)] = members.0.as_slice()
        && let Some(text) = string(*value)
        && matches!(&**name, "result" | "output" | "error")
    {
        return (text, name == "error");
    }
    (raw.text().to_owned(), false)
}

/// Code that Gemini ran, and what came of it, as text.
fn plain(fields: &Object<'_>, kind: &str) -> Option<Vec<Part>> {
    let inner = fields.object(kind)?;
    let text = match kind {
        "executableCode" | "executable_code" => {
            let language = inner.text("language").unwrap_or_default().to_ascii_lowercase();
            format!("```{language}\n{}\n```", inner.text("code")?)
        }
        "codeExecutionResult" | "code_execution_result" => {
            format!("```\n{}\n```", inner.text("output").unwrap_or_default())
        }
        _ => return None,
    };
    Some(vec![Content::Text { text, citations: Vec::new() }.into()])
}

/// Returns true if this dialect has a form for the part.
pub(super) fn can_say(part: &Part) -> bool {
    match &part.content {
        Content::Text { .. }
        | Content::Refusal(_)
        | Content::Audio { .. }
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::ToolCall { .. }
        | Content::ToolResult { .. } => true,
        Content::Reasoning(thought) => thought.of(Origin::Google).signature.is_some(),
        Content::Opaque { source, .. } => *source == HERE,
    }
}

/// The tools' names, by the ids of their calls.
pub(super) type Names<'r> = HashMap<&'r str, &'r str>;

/// Writes a part; with `signs`, a call without a signature gets one that the
/// model takes for none.
pub(super) fn encode(out: &mut Vec<u8>, part: &Part, names: &Names<'_>, signs: bool) {
    if let Content::Opaque { block, .. } = &part.content {
        out.extend_from_slice(block.text().as_bytes());
        return;
    }
    let mut object = ObjectWriter::new(out);
    let mut signature = part.signature.as_ref();
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => object.member("text", text),
        Content::Reasoning(thought) => {
            object.member("text", thought.text.as_deref().unwrap_or_default());
            object.member("thought", &true);
            signature = thought.signature.as_ref();
        }
        Content::Image { source, .. } => write_media(&mut object, source, part, None),
        Content::Document { source, title, .. } => {
            write_media(&mut object, source, part, title.as_deref());
        }
        Content::Audio { data, format } => object.object("inlineData", |inner| {
            inner.member("mimeType", &format!("audio/{format}"));
            inner.member("data", data);
        }),
        Content::ToolCall { id, name, arguments, .. } => {
            object.object("functionCall", |call| {
                call.member("id", id);
                call.member("name", name);
                call.raw("args", &object_text(arguments, "input"));
            });
        }
        Content::ToolResult { id, parts, is_error } => {
            object.object("functionResponse", |result| {
                result.member("id", id);
                result.member("name", names.get(&**id).unwrap_or(&"tool"));
                write_result(result, parts, *is_error, names);
            });
        }
        Content::Opaque { .. } => {}
    }
    let signature = signature.filter(|sealed| sealed.origin == Origin::Google);
    match signature {
        Some(sealed) => object.member("thoughtSignature", &sealed.text),
        None if signs => {
            object.member("thoughtSignature", NO_SIGNATURE);
        }
        None => {}
    }
    for e in part.extensions.iter().filter(|e| e.source == HERE && e.name != "mimeType") {
        object.raw(&e.name, e.value.text());
    }
    object.end();
}

fn write_media(object: &mut ObjectWriter<'_>, source: &Media, part: &Part, title: Option<&str>) {
    match source {
        Media::Base64 { media_type, data } => object.object("inlineData", |inner| {
            inner.member("mimeType", media_type);
            inner.member("data", data);
            inner.maybe("displayName", title.as_ref());
        }),
        Media::Url(uri) | Media::FileId(uri) => object.object("fileData", |inner| {
            let stated = part.extensions.iter().find(|e| e.source == HERE && e.name == "mimeType");
            match (stated, by_name(uri)) {
                (Some(stated), _) => inner.raw("mimeType", stated.value.text()),
                (None, Some(known)) => inner.member("mimeType", known),
                (None, None) => {}
            }
            inner.member("fileUri", uri);
        }),
        Media::Text(text) => object.member("text", text),
    }
}

/// The media type that a link's name shows.
fn by_name(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let (_, ending) = path.rsplit_once('.')?;
    Some(match &*ending.to_ascii_lowercase() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp4" => "video/mp4",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        _ => return None,
    })
}

/// JSON text that is an object, as it is; other text as the member `name` of one.
fn object_text(text: &str, name: &str) -> String {
    if text.trim().is_empty() {
        return "{}".to_owned();
    }
    match Raw::check_text(text) {
        Ok(raw) if raw.text().starts_with('{') => raw.text().to_owned(),
        _ => json(|object| object.member(name, text))
            .map_or_else(String::new, |json| json.text().to_owned()),
    }
}

fn write_result(result: &mut ObjectWriter<'_>, parts: &[Part], is_error: bool, names: &Names<'_>) {
    let is_text = |part: &&Part| matches!(part.content, Content::Text { .. } | Content::Refusal(_));
    let text: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => Some(&**text),
            _ => None,
        })
        .collect();
    result.raw("response", &response_text(&text.join("\n"), is_error));
    if !parts.iter().all(|part| is_text(&part)) {
        let others = parts.iter().filter(|part| !is_text(part));
        array(result.key("parts"), others, |out, part| encode(out, part, names, false));
    }
}

/// A response as an object. A schema's `$ref` in it is refused by Gemini, so that
/// such an object goes as text.
fn response_text(text: &str, is_error: bool) -> String {
    let name = if is_error { "error" } else { "result" };
    let own = Raw::check_text(text).ok().filter(|raw| {
        let read_back = said(*raw);
        raw.text().starts_with('{')
            && read_back == (text.to_owned(), false)
            && !text.contains("$ref")
    });
    match own.filter(|_| !is_error) {
        Some(raw) => raw.text().to_owned(),
        None => json(|object| object.member(name, text))
            .map_or_else(String::new, |json: Json| json.text().to_owned()),
    }
}
