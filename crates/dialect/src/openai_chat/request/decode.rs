//! A client's request, read.

use crate::json::read::{Body, Object, Raw, items, string, whole};
use crate::openai_chat::extension::{extension, fields_of_request, rest};
use crate::openai_chat::part::cache_hint;
use crate::{
    DecodeError, Dialect, Json,
    model::{OutputFormat, Reasoning, ReasoningMode, Request, Sampling, Tool, ToolChoice},
};
use serde::Deserialize;

/// Reads a chat completions request.
///
/// # Errors
/// Where the body is no JSON object, lacks `messages`, or a known parameter has
/// the wrong type; the message names the parameter.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let body = Body::check(body)?;
    let mut fields = body.object()?;
    let messages = fields.take("messages");
    let messages =
        messages.ok_or_else(|| DecodeError::invalid("messages", "`messages` is missing"))?;
    let messages = items(messages)
        .filter(|list| !list.is_empty())
        .ok_or_else(|| DecodeError::wrong_type("messages", "a list with at least one message"))?;
    let Request { system, turns, places, .. } = super::messages::decode(messages)?;

    let mut request = Request { system, turns, places, ..decode_parameters(&mut fields)? };
    request.tools = tools(&mut fields)?;
    request.tool_choice = tool_choice(&mut fields)?;
    request.output_format = output_format(&mut fields)?;
    if let Some(raw) = fields.get("thinking") {
        let (mode, budget) = thinking(raw)?;
        let reasoning = request.reasoning.get_or_insert_with(Reasoning::default);
        reasoning.mode = mode;
        reasoning.budget_tokens = budget;
    } else if let Some(wish) = fields.object("reasoning") {
        openrouter_reasoning(&wish, request.reasoning.get_or_insert_with(Reasoning::default));
    }
    request.extensions = fields_of_request(&fields);
    Ok(request)
}

/// The parameters that legacy completions share with chat.
pub(crate) fn decode_parameters(fields: &mut Object<'_>) -> Result<Request, DecodeError> {
    let model = fields.take("model");
    let model = match model {
        Some(raw) => string(raw).ok_or_else(|| DecodeError::wrong_type("model", "a string"))?,
        // Azure's paths name the model; the gateway fills it in.
        None => String::new(),
    };
    let limit = typed(fields, "max_tokens", "a whole number", whole)?;
    let completion_limit = typed(fields, "max_completion_tokens", "a whole number", whole)?;
    if limit.is_some() && completion_limit.is_some() {
        let message = "`max_tokens` and `max_completion_tokens` exclude each other; \
                       keep `max_completion_tokens`";
        return Err(DecodeError::invalid("max_tokens", message));
    }
    let sampling = Sampling {
        temperature: typed(fields, "temperature", "a number", read)?,
        top_p: typed(fields, "top_p", "a number", read)?,
        top_k: typed(fields, "top_k", "a whole number", whole)?,
        seed: typed(fields, "seed", "a whole number", read)?,
        presence_penalty: typed(fields, "presence_penalty", "a number", read)?,
        frequency_penalty: typed(fields, "frequency_penalty", "a number", read)?,
        n: typed(fields, "n", "a whole number", whole)?,
        logprobs: typed(fields, "logprobs", "true or false", read)?,
        top_logprobs: typed(fields, "top_logprobs", "a whole number", whole)?,
        logit_bias: fields.take("logit_bias").map(Json::from),
    };
    let include_usage = match fields.take("stream_options") {
        None => false,
        Some(raw) => {
            let options = Object::of(raw);
            let mut options =
                options.map_err(|_| DecodeError::wrong_type("stream_options", "an object"))?;
            typed(&mut options, "include_usage", "true or false", read)?.unwrap_or(false)
        }
    };
    let effort = typed(fields, "reasoning_effort", "a string", string)?;
    Ok(Request {
        model,
        sampling,
        include_usage,
        max_output_tokens: limit.or(completion_limit),
        parallel_tool_calls: typed(fields, "parallel_tool_calls", "true or false", read)?,
        reasoning: effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }),
        stop: stop(fields)?,
        stream: typed(fields, "stream", "true or false", read)?.unwrap_or(false),
        user: typed(fields, "user", "a string", string)?,
        service_tier: typed(fields, "service_tier", "a string", string)?,
        cache: cache_hint(fields),
        ..Request::default()
    })
}

fn read<T: for<'de> Deserialize<'de>>(raw: Raw<'_>) -> Option<T> {
    serde_json::from_str(raw.text()).ok()
}

fn typed<T>(
    fields: &mut Object<'_>,
    name: &str,
    wanted: &str,
    read: impl Fn(Raw<'_>) -> Option<T>,
) -> Result<Option<T>, DecodeError> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    read(raw).map(Some).ok_or_else(|| DecodeError::wrong_type(name, wanted))
}

fn stop(fields: &mut Object<'_>) -> Result<Vec<String>, DecodeError> {
    let Some(raw) = fields.take("stop") else { return Ok(Vec::new()) };
    let all = match string(raw) {
        Some(text) => Some(vec![text]),
        None => items(raw).and_then(|list| list.into_iter().map(string).collect()),
    };
    let mut all =
        all.ok_or_else(|| DecodeError::wrong_type("stop", "a string or a list of strings"))?;
    all.retain(|text| !text.is_empty());
    Ok(all)
}

fn tools(fields: &mut Object<'_>) -> Result<Vec<Tool>, DecodeError> {
    let mut found = Vec::new();
    if let Some(raw) = fields.take("tools") {
        let list = items(raw).ok_or_else(|| DecodeError::wrong_type("tools", "a list"))?;
        for (at, item) in list.into_iter().enumerate() {
            found.push(tool(item, &format!("tools[{at}]"))?);
        }
    }
    if let Some(raw) = fields.take("functions") {
        let list = items(raw).ok_or_else(|| DecodeError::wrong_type("functions", "a list"))?;
        for (at, item) in list.into_iter().enumerate() {
            let path = format!("functions[{at}]");
            let inner =
                Object::of(item).map_err(|_| DecodeError::wrong_type(&path, "an object"))?;
            found.push(function(inner, Object::default(), &path)?);
        }
    }
    Ok(found)
}

fn tool(raw: Raw<'_>, path: &str) -> Result<Tool, DecodeError> {
    let mut outer = Object::of(raw).map_err(|_| DecodeError::wrong_type(path, "an object"))?;
    let kind = outer.filled("type");
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        let tool = Json::from(raw);
        return Ok(Tool::Opaque { source: Dialect::OpenAiChat, kind, tool });
    }
    outer.take("type");
    match outer.take("function") {
        Some(raw) => {
            let path = format!("{path}.function");
            let inner = Object::of(raw).map_err(|_| DecodeError::wrong_type(&path, "an object"))?;
            function(inner, outer, &path)
        }
        // The flat form of the responses API, which some clients send here.
        None if outer.get("name").is_some() => function(outer, Object::default(), path),
        None => Err(DecodeError::invalid(path, format!("`{path}.function` is missing"))),
    }
}

fn function(mut inner: Object<'_>, mut outer: Object<'_>, path: &str) -> Result<Tool, DecodeError> {
    let name = inner.take("name").and_then(string).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| DecodeError::wrong_type(format!("{path}.name"), "a name"))?;
    let description = inner.take("description").and_then(string);
    let parameters = inner.take("parameters").map(Json::from);
    let strict = inner.take("strict").and_then(read);
    let cache = cache_hint(&mut outer).or_else(|| cache_hint(&mut inner));
    let mut extensions = rest("", &outer);
    extensions.extend(rest("function.", &inner));
    Ok(Tool::Function { name, description, parameters, strict, cache, extensions })
}

fn tool_choice(fields: &mut Object<'_>) -> Result<Option<ToolChoice>, DecodeError> {
    let legacy = fields.take("function_call");
    let (name, raw) = match (fields.take("tool_choice"), legacy) {
        (Some(raw), _) => ("tool_choice", raw),
        (None, Some(raw)) => ("function_call", raw),
        (None, None) => return Ok(None),
    };
    let wrong = || {
        DecodeError::wrong_type(
            name,
            "`auto`, `none`, `required` or `{\"type\":\"function\",\"function\":{\"name\":…}}`",
        )
    };
    if let Some(word) = string(raw) {
        return word_choice(&word).map(Some).ok_or_else(wrong);
    }
    let choice = Object::of(raw).map_err(|_| wrong())?;
    let kind = choice.filled("type");
    let inner = choice.object("function");
    let named = inner.and_then(|f| f.filled("name")).or_else(|| choice.filled("name"));
    if kind.as_deref() == Some("allowed_tools")
        && let Some(allowed) = allowed(&choice)
    {
        return Ok(Some(allowed));
    }
    match (kind.as_deref(), named) {
        (None | Some("function" | "tool"), Some(name)) => Ok(Some(ToolChoice::Named(name))),
        (Some(word), None) if word_choice(word).is_some() => Ok(word_choice(word)),
        (Some("function" | "tool") | None, None) => Err(wrong()),
        _ => Ok(Some(ToolChoice::Opaque(extension(name, raw)))),
    }
}

/// A choice among some of the tools, in chat's form or in that of responses;
/// `None` if one of them is no function.
fn allowed(choice: &Object<'_>) -> Option<ToolChoice> {
    let inner = choice.object("allowed_tools");
    let inner = inner.as_ref().unwrap_or(choice);
    let name = |tool: Raw<'_>| {
        let tool = Object::of(tool).ok()?;
        let is_function = tool.text("type").is_none_or(|kind| kind == "function");
        let named = tool.object("function").and_then(|function| function.filled("name"));
        named.or_else(|| tool.filled("name")).filter(|_| is_function)
    };
    let names: Vec<String> =
        items(inner.get("tools")?)?.into_iter().map(name).collect::<Option<_>>()?;
    let required = inner.text("mode").as_deref() == Some("required");
    (!names.is_empty()).then_some(ToolChoice::Allowed { required, names })
}

fn word_choice(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn output_format(fields: &mut Object<'_>) -> Result<Option<OutputFormat>, DecodeError> {
    let Some(raw) = fields.get("response_format") else { return Ok(None) };
    let wrong = || DecodeError::wrong_type("response_format", "an object with a `type`");
    let format = Object::of(raw).map_err(|_| wrong())?;
    let found = match format.filled("type").ok_or_else(wrong)?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => match format.get("response_schema").or_else(|| format.get("schema")) {
            // LiteLLM's and llama.cpp's spelling of a schema.
            Some(schema) => OutputFormat::JsonSchema {
                name: None,
                description: None,
                schema: Json::from(schema),
                strict: None,
            },
            None => OutputFormat::JsonObject,
        },
        "json_schema" => {
            let path = "response_format.json_schema";
            let inner = format
                .object("json_schema")
                .ok_or_else(|| DecodeError::wrong_type(path, "an object"))?;
            let schema = inner.get("schema");
            OutputFormat::JsonSchema {
                name: inner.filled("name"),
                description: inner.text("description"),
                schema: schema.map(Json::from).ok_or_else(|| {
                    DecodeError::invalid(path, format!("`{path}.schema` is missing"))
                })?,
                strict: inner.get("strict").and_then(read),
            }
        }
        // Grammars and the like stay as they are, for servers that know them.
        _ => return Ok(None),
    };
    fields.take("response_format");
    Ok(Some(found))
}

fn thinking(raw: Raw<'_>) -> Result<(Option<ReasoningMode>, Option<u64>), DecodeError> {
    let wrong = || DecodeError::wrong_type("thinking", "an object with a `type`");
    let wish = Object::of(raw).map_err(|_| wrong())?;
    let mode = match wish.filled("type").as_deref() {
        Some("enabled") => Some(ReasoningMode::Enabled),
        Some("disabled") => Some(ReasoningMode::Disabled),
        Some("adaptive" | "auto") => Some(ReasoningMode::Adaptive),
        _ => None,
    };
    Ok((mode, wish.whole("budget_tokens")))
}

/// OpenRouter's `reasoning: {effort, max_tokens, enabled}`; it stays among the
/// extensions too, and is what goes back out.
fn openrouter_reasoning(wish: &Object<'_>, reasoning: &mut Reasoning) {
    if reasoning.effort.is_none() {
        reasoning.effort = wish.filled("effort");
    }
    reasoning.budget_tokens = wish.whole("max_tokens");
    reasoning.mode = match wish.get("enabled").and_then(read) {
        Some(true) => Some(ReasoningMode::Enabled),
        Some(false) => Some(ReasoningMode::Disabled),
        None if reasoning.budget_tokens.is_some() => Some(ReasoningMode::Enabled),
        None => None,
    };
}
