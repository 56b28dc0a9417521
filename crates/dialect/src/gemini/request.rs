//! Gemini's request body: read here, written by `encode`.

use super::HERE;
pub use super::encode::encode;
use super::extension::{self, extension, rest, take};
use super::part::{self, Ids};
use crate::json::read::{Body, Members, Object, Raw, Wrong, items, list, string};
use crate::json::write::{ObjectWriter, array};
use crate::model::{
    Content, OutputFormat, Part, Reasoning, ReasoningMode, Request, Role, Tool, ToolChoice, Turn,
};
use crate::{DecodeError, Json};

/// Schemas inside schemas that are read.
const DEPTH_MAX: usize = 64;

/// Reads a body of `:generateContent` or `:streamGenerateContent`, or the request
/// inside of one of `:countTokens`. The model and the wish to stream are not in
/// it.
///
/// # Errors
/// Names the first member that is missing or of the wrong type.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let body = Body::check(body)?;
    let mut fields = body.object()?;
    let request = match take(&mut fields, "generateContentRequest") {
        Some(inner) => {
            Object::of(inner).and_then(read).map_err(|e| e.within("generateContentRequest"))
        }
        None => read(fields),
    };
    request.map_err(DecodeError::from)
}

fn read(mut fields: Object<'_>) -> Result<Request, Wrong> {
    let _in_the_path = fields.take("model");
    let mut ids = Ids::default();
    let contents = fields.take("contents").ok_or_else(|| Wrong::new("contents", "is required"))?;
    let mut request = Request {
        turns: turns(contents, &mut ids).map_err(|e| e.within("contents"))?,
        // Gemini always sends usage.
        include_usage: true,
        ..Request::default()
    };
    if let Some(system) = take(&mut fields, "systemInstruction") {
        request.system = instruction(system).map_err(|e| e.within("systemInstruction"))?;
    }
    if let Some(tools) = fields.take("tools") {
        for (at, raw) in list(tools).map_err(|e| e.within("tools"))?.into_iter().enumerate() {
            tool(raw, &mut request.tools).map_err(|e| e.at(at).within("tools"))?;
        }
    }
    if let Some(config) = take(&mut fields, "toolConfig") {
        tool_config(config, &mut request).map_err(|e| e.within("toolConfig"))?;
    }
    if let Some(config) = take(&mut fields, "generationConfig") {
        generation(config, &mut request).map_err(|e| e.within("generationConfig"))?;
    }
    request.extensions.extend(rest("", &fields));
    for field in &mut request.extensions {
        field.weight = extension::weight(field);
    }
    Ok(request)
}

fn turns(raw: Raw<'_>, ids: &mut Ids) -> Result<Vec<Turn>, Wrong> {
    let contents = list(raw)?.into_iter().enumerate();
    contents.map(|(at, raw)| turn(raw, ids).map_err(|e| e.at(at))).collect()
}

fn turn(raw: Raw<'_>, ids: &mut Ids) -> Result<Turn, Wrong> {
    let mut content = Object::of(raw)?;
    let role = match content.string("role")?.as_deref() {
        Some("user" | "function") | None => Role::User,
        Some("model") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => return Err(Wrong::new("role", "must be `user` or `model`")),
    };
    let mut parts = parts(&mut content, ids)?;
    // The model wants results first; a stable sort keeps all else in order.
    parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult { .. }));
    Ok(Turn { role, name: None, parts })
}

fn parts(content: &mut Object<'_>, ids: &mut Ids) -> Result<Vec<Part>, Wrong> {
    let Some(raw) = content.take("parts") else { return Ok(Vec::new()) };
    // One part may stand for a list of one, as in Google's own JSON reader.
    let all = items(raw).unwrap_or_else(|| vec![raw]);
    let mut parts: Vec<Part> = Vec::with_capacity(all.len());
    for (at, raw) in all.into_iter().enumerate() {
        let part = part::decode(raw, ids).map_err(|e| e.at(at).within("parts"))?;
        if let Some(Part { content: Content::Reasoning(last), .. }) = parts.last_mut()
            && let Content::Reasoning(next) = &part.content
            && last.signature.is_none()
            && last.redacted.is_none()
        {
            // SDKs send the pieces of a stream back one by one; the last is signed.
            if let Some(text) = &next.text {
                last.text.get_or_insert_default().push_str(text);
            }
            last.signature.clone_from(&next.signature);
            last.redacted.clone_from(&next.redacted);
            continue;
        }
        parts.push(part);
    }
    Ok(parts)
}

fn instruction(raw: Raw<'_>) -> Result<Vec<Part>, Wrong> {
    if let Some(text) = string(raw) {
        return Ok(vec![Content::Text { text, citations: Vec::new() }.into()]);
    }
    parts(&mut Object::of(raw)?, &mut Ids::default())
}

/// One entry of `tools` holds any number of functions, or a tool of Gemini's own.
fn tool(raw: Raw<'_>, tools: &mut Vec<Tool>) -> Result<(), Wrong> {
    let mut entry = Object::of(raw)?;
    if let Some(declared) = take(&mut entry, "functionDeclarations") {
        let all = list(declared).map_err(|e| e.within("functionDeclarations"))?;
        for (at, raw) in all.into_iter().enumerate() {
            let read = function(raw).map_err(|e| e.at(at).within("functionDeclarations"))?;
            tools.push(read);
        }
    }
    for (name, value) in entry.members() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.member(name, &value);
        object.end();
        let text = String::from_utf8(out).unwrap_or_default();
        if let Ok(tool) = Json::parse(text) {
            tools.push(Tool::Opaque { source: HERE, kind: name.to_owned(), tool });
        }
    }
    Ok(())
}

fn function(raw: Raw<'_>) -> Result<Tool, Wrong> {
    let mut function = Object::of(raw)?;
    let name = function.required_string("name")?;
    let description = function.string("description")?;
    let json_schema = take(&mut function, "parametersJsonSchema").map(Json::from);
    let parameters = function.take("parameters").and_then(schema);
    Ok(Tool::Function {
        name,
        description,
        parameters: json_schema.or(parameters),
        strict: None,
        cache: None,
        extensions: rest("", &function),
    })
}

/// Google's subset of OpenAPI as JSON Schema: types in lower case, `nullable` as
/// a type.
fn schema(raw: Raw<'_>) -> Option<Json> {
    let mut out = Vec::new();
    write_schema(raw, &mut out, 0);
    Json::parse(String::from_utf8(out).ok()?).ok()
}

fn write_schema(raw: Raw<'_>, out: &mut Vec<u8>, depth: usize) {
    let Some(members) = Members::of(raw).filter(|_| depth < DEPTH_MAX) else {
        out.extend_from_slice(raw.text().as_bytes());
        return;
    };
    let nullable = members.last("nullable").is_some_and(|raw| raw.text() == "true");
    let mut object = ObjectWriter::new(out);
    for (name, value) in &members.0 {
        match (&**name, string(*value)) {
            ("nullable", _) => {}
            ("type", Some(kind)) => {
                let kind = kind.to_ascii_lowercase();
                if nullable {
                    object.member("type", &[&*kind, "null"][..]);
                } else {
                    object.member("type", &kind);
                }
            }
            ("properties" | "$defs" | "defs", _) => match Members::of(*value) {
                Some(all) => object.object(name, |object| {
                    for (name, value) in &all.0 {
                        write_schema(*value, object.key(name), depth + 1);
                    }
                }),
                None => object.member(name, value),
            },
            ("items" | "additionalProperties", _) => {
                write_schema(*value, object.key(name), depth + 1);
            }
            ("anyOf" | "prefixItems", _) => match items(*value) {
                Some(all) => {
                    array(object.key(name), all, |out, one| write_schema(one, out, depth + 1));
                }
                None => object.member(name, value),
            },
            _ => object.member(name, value),
        }
    }
    object.end();
}

fn tool_config(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = Object::of(raw)?;
    if let Some(raw) = take(&mut config, "functionCallingConfig") {
        let mut calling = Object::of(raw).map_err(|e| e.within("functionCallingConfig"))?;
        let mode = calling.string("mode")?.unwrap_or_default().to_ascii_uppercase();
        let names = take(&mut calling, "allowedFunctionNames").and_then(items).unwrap_or_default();
        let names: Vec<String> = names.into_iter().filter_map(string).collect();
        request.tool_choice = match (&*mode, names.as_slice()) {
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", [name]) => Some(ToolChoice::Named(name.clone())),
            ("ANY", []) => Some(ToolChoice::Required),
            ("ANY", _) => Some(ToolChoice::Allowed { required: true, names }),
            ("VALIDATED", [_, ..]) => Some(ToolChoice::Allowed { required: false, names }),
            ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
            _ => None,
        };
    }
    request.extensions.extend(rest("toolConfig.", &config));
    Ok(())
}

fn generation(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = Object::of(raw)?;
    macro_rules! read {
        ($name:literal, $expected:literal) => {
            match take(&mut config, $name) {
                None => None,
                Some(raw) => Some(
                    raw.read().ok_or_else(|| Wrong::new($name, concat!("must be ", $expected)))?,
                ),
            }
        };
    }
    request.max_output_tokens = read!("maxOutputTokens", "a positive whole number");
    request.stop = read!("stopSequences", "a list of strings").unwrap_or_default();
    let sampling = &mut request.sampling;
    sampling.temperature = read!("temperature", "a number");
    sampling.top_p = read!("topP", "a number");
    // Written as `40.0` by some clients.
    sampling.top_k = take(&mut config, "topK").and_then(crate::json::read::whole);
    sampling.seed = read!("seed", "a number");
    sampling.presence_penalty = read!("presencePenalty", "a number");
    sampling.frequency_penalty = read!("frequencyPenalty", "a number");
    sampling.n = read!("candidateCount", "a positive whole number");
    sampling.logprobs = read!("responseLogprobs", "true or false");
    sampling.top_logprobs = read!("logprobs", "a whole number");
    let given = take(&mut config, "responseJsonSchema").map(Json::from);
    let given = given.or_else(|| take(&mut config, "responseSchema").and_then(schema));
    let media_type = take(&mut config, "responseMimeType").and_then(string);
    request.output_format = match (media_type.as_deref(), given) {
        (Some("application/json") | None, Some(schema)) => {
            Some(OutputFormat::JsonSchema { name: None, description: None, schema, strict: None })
        }
        (Some("application/json"), None) => Some(OutputFormat::JsonObject),
        (Some("text/plain"), _) | (None, None) => None,
        (Some(other), given) => {
            if let Ok(value) = Json::of(other) {
                request.extensions.push(extension("generationConfig.responseMimeType", value));
            }
            if let Some(schema) = given {
                request.extensions.push(extension("generationConfig.responseSchema", schema));
            }
            None
        }
    };
    if let Some(raw) = take(&mut config, "thinkingConfig") {
        thinking(raw, request).map_err(|e| e.within("thinkingConfig"))?;
    }
    request.extensions.extend(rest("generationConfig.", &config));
    Ok(())
}

/// A budget of 0 is none, and of -1 what the model sees fit.
fn thinking(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = Object::of(raw)?;
    let budget: Option<i64> = take(&mut config, "thinkingBudget").and_then(Raw::read);
    let level = take(&mut config, "thinkingLevel").and_then(string);
    let level = level.map(|level| level.to_ascii_lowercase());
    let effort = level.filter(|level| level != "thinking_level_unspecified");
    let shows = take(&mut config, "includeThoughts").map(Raw::text);
    let mode = match budget {
        Some(0) => Some(ReasoningMode::Disabled),
        Some(budget) if budget < 0 => Some(ReasoningMode::Adaptive),
        Some(_) => Some(ReasoningMode::Enabled),
        None if effort.is_none() && shows == Some("true") => Some(ReasoningMode::Adaptive),
        None => None,
    };
    if mode.is_some() || effort.is_some() {
        let budget_tokens = budget.and_then(|budget| u64::try_from(budget).ok()).filter(|n| *n > 0);
        request.reasoning = Some(Reasoning { effort, budget_tokens, mode });
    }
    if let (Some("false"), Ok(value)) = (shows, Json::of(&false)) {
        request
            .extensions
            .push(extension("generationConfig.thinkingConfig.includeThoughts", value));
    }
    request.extensions.extend(rest("generationConfig.thinkingConfig.", &config));
    Ok(())
}
