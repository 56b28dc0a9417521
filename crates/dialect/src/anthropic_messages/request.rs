//! Anthropic's request body: read here, written by `request_encode`.

use super::HERE;
pub use super::request_encode::encode;
use crate::anthropic_messages::extension::{self, extension, rest};
use crate::blocks::{cache_control, decode_content};
use crate::json::read::{Body, Object, Raw, Wrong, list};
use crate::model::{
    Extension, OutputFormat, Reasoning, ReasoningMode, Request, Role, Sampling, Tool, ToolChoice,
    Turn,
};
use crate::strict_schema;
use crate::{DecodeError, Json};

/// Reads a body of `POST /v1/messages` or `/v1/messages/count_tokens`; a
/// missing `max_tokens` is left for the encoder to fill.
///
/// # Errors
/// Names the first member that is missing or of the wrong type.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    read(body).map_err(DecodeError::from)
}

fn read(body: &[u8]) -> Result<Request, Wrong> {
    let body = Body::check(body)?;
    let mut fields = body.object()?;
    let mut request = Request {
        model: fields.required_string("model")?,
        turns: turns(fields.take("messages"))?,
        max_output_tokens: fields.read("max_tokens", "a positive whole number")?,
        stop: fields.read("stop_sequences", "a list of strings")?.unwrap_or_default(),
        stream: fields.read("stream", "true or false")?.unwrap_or(false),
        // Anthropic always sends usage.
        include_usage: true,
        service_tier: fields.string("service_tier")?,
        sampling: Sampling {
            temperature: fields.read("temperature", "a number")?,
            top_p: fields.read("top_p", "a number")?,
            top_k: fields.read("top_k", "a whole number")?,
            ..Sampling::default()
        },
        ..Request::default()
    };
    if let Some(system) = fields.take("system") {
        request.system = decode_content(system).map_err(|e| e.within("system"))?;
    }
    if let Some(tools) = fields.take("tools") {
        request.tools = list(tools)
            .and_then(|tools| {
                tools.into_iter().enumerate().map(|(i, t)| tool(t).map_err(|e| e.at(i))).collect()
            })
            .map_err(|e| e.within("tools"))?;
    }
    if let Some(choice) = fields.take("tool_choice") {
        tool_choice(choice, &mut request).map_err(|e| e.within("tool_choice"))?;
    }
    if let Some(raw) = fields.take("thinking") {
        request.reasoning =
            Some(thinking(raw, &mut request.extensions).map_err(|e| e.within("thinking"))?);
    }
    let old_format = fields.take("output_format");
    if let Some(raw) = fields.take("output_config") {
        output_config(raw, &mut request).map_err(|e| e.within("output_config"))?;
    }
    if let Some(raw) = old_format {
        format(raw, "output_format", &mut request).map_err(|e| e.within("output_format"))?;
    }
    if let Some(raw) = fields.take("metadata") {
        metadata(raw, &mut request).map_err(|e| e.within("metadata"))?;
    }
    let (cache, unusual) = cache_control(&mut fields)?;
    request.cache = cache;
    request.extensions.extend(unusual);
    request.extensions.extend(rest("", &fields));
    for field in &mut request.extensions {
        field.weight = extension::weight(field);
    }
    Ok(request)
}

fn turns(raw: Option<Raw<'_>>) -> Result<Vec<Turn>, Wrong> {
    let raw = raw.ok_or_else(|| Wrong::new("messages", "is required"))?;
    list(raw)
        .and_then(|messages| {
            messages.into_iter().enumerate().map(|(i, m)| turn(m).map_err(|e| e.at(i))).collect()
        })
        .map_err(|e| e.within("messages"))
}

fn turn(raw: Raw<'_>) -> Result<Turn, Wrong> {
    let mut message = Object::of(raw)?;
    let role = match message.required_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Wrong::new("role", "must be `user`, `assistant` or `system`")),
    };
    let content = message.take("content").ok_or_else(|| Wrong::new("content", "is required"))?;
    let mut parts = decode_content(content).map_err(|e| e.within("content"))?;
    // The model wants results first; a stable sort keeps all else in order.
    parts.sort_by_key(|part| !matches!(part.content, crate::model::Content::ToolResult { .. }));
    Ok(Turn { role, name: None, parts })
}

fn tool(raw: Raw<'_>) -> Result<Tool, Wrong> {
    let mut tool = Object::of(raw)?;
    if let Some(kind) = tool.string("type")?.filter(|kind| kind != "custom") {
        return Ok(Tool::Opaque { source: HERE, kind, tool: raw.into() });
    }
    let (cache, unusual) = cache_control(&mut tool)?;
    let name = tool.required_string("name")?;
    let description = tool.string("description")?;
    let parameters = tool.take("input_schema").map(Json::from);
    let mut strict = tool.read("strict", "true or false")?;
    let mut extensions = rest("", &tool);
    extensions.extend(unusual);
    // A promise that only Anthropic makes (optional properties) is its own.
    if strict == Some(true)
        && parameters.as_ref().is_some_and(|p| !strict_schema::fits(p))
        && let Ok(value) = Json::of(&true)
    {
        strict = None;
        extensions.push(extension("strict", value));
    }
    Ok(Tool::Function { name, description, parameters, strict, cache, extensions })
}

fn tool_choice(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut choice = Object::of(raw)?;
    let kind = choice.required_string("type")?;
    let disabled: Option<bool> = choice.read("disable_parallel_tool_use", "true or false")?;
    request.tool_choice = Some(match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_string("name")?),
        _ => {
            request.tool_choice = Some(ToolChoice::Opaque(extension("tool_choice", raw)));
            return Ok(());
        }
    });
    request.parallel_tool_calls = disabled.map(|disabled| !disabled);
    request.extensions.extend(rest("tool_choice.", &choice));
    Ok(())
}

/// Reads `thinking`; what the model has no place for goes to `extensions`.
fn thinking(raw: Raw<'_>, extensions: &mut Vec<Extension>) -> Result<Reasoning, Wrong> {
    let mut thinking = Object::of(raw)?;
    let mode = match thinking.required_string("type")?.as_str() {
        "enabled" => ReasoningMode::Enabled,
        "disabled" => ReasoningMode::Disabled,
        "adaptive" => ReasoningMode::Adaptive,
        _ => return Err(Wrong::new("type", "must be `enabled`, `disabled` or `adaptive`")),
    };
    let budget_tokens = thinking.read("budget_tokens", "a positive whole number")?;
    extensions.extend(rest("thinking.", &thinking));
    Ok(Reasoning { effort: None, budget_tokens, mode: Some(mode) })
}

fn output_config(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = Object::of(raw)?;
    if let Some(raw) = config.take("effort") {
        let effort: String = serde_json::from_str(raw.text())
            .map_err(|_| Wrong::new("effort", "must be a string"))?;
        let reasoning = request.reasoning.get_or_insert_default();
        // Without adaptive thinking the effort says how much to write, and
        // must not switch thinking on when it is written back.
        if reasoning.mode != Some(ReasoningMode::Adaptive) {
            request.extensions.push(extension("output_config.effort", raw));
        }
        reasoning.effort = Some(effort);
    }
    if let Some(raw) = config.take("format") {
        format(raw, "output_config.format", request).map_err(|e| e.within("format"))?;
    }
    request.extensions.extend(rest("output_config.", &config));
    Ok(())
}

fn format(raw: Raw<'_>, name: &str, request: &mut Request) -> Result<(), Wrong> {
    let mut format = Object::of(raw)?;
    if format.required_string("type")? != "json_schema" {
        request.extensions.push(extension(name, raw));
        return Ok(());
    }
    let schema = format.take("schema").ok_or_else(|| Wrong::new("schema", "is required"))?;
    let schema = Json::from(schema);
    request.output_format = Some(OutputFormat::JsonSchema {
        name: None,
        description: None,
        // Anthropic promises it always, OpenAI where it is asked to and can.
        strict: strict_schema::fits(&schema).then_some(true),
        schema,
    });
    Ok(())
}

fn metadata(raw: Raw<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut metadata = Object::of(raw)?;
    request.user = metadata.string("user_id")?;
    if !metadata.is_empty() {
        request.extensions.push(extension("metadata", raw));
    }
    Ok(())
}
