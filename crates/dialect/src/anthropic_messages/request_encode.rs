//! A neutral request as Anthropic takes it.

use super::block::{self, Reader, write_cache};
use super::thinking::{self, Allows, Plan};
use super::{HERE, JSON_TOOL, conversation, schema};
use crate::anthropic_messages::extension;
use crate::json::write::{ObjectWriter, array, put};
use crate::model::{
    Content, Extension, OutputFormat, Part, Reasoning, Request, Tool, ToolChoice, Weight,
};
use crate::{Dropped, EncodeError, Json, Target, tool_schema};
use serde_json::Number;

/// Writes the body of `POST /v1/messages` for `target`, and to `dropped` the
/// names of what is left out.
///
/// # Errors
/// Names the parameter that Anthropic cannot honour, or whose value it would
/// refuse, or the part of the conversation that it has no block for.
pub fn encode(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, EncodeError> {
    leave_out(request, target, dropped)?;
    let messages = conversation::arrange(request, target, dropped)?;
    let allows = Allows {
        signed_loop: conversation::has_signed_loop(&messages),
        prefilled: conversation::is_prefilled(&messages),
    };
    let plan = thinking::plan(request, reasoning(request, target), target, allows)?;
    let form = Form::of(request, target)?;
    let tools = tools(request, target, dropped)?;

    let mut body = Vec::with_capacity(4_096);
    let mut object = ObjectWriter::new(&mut body);
    object.member("model", target.model);
    object.member("max_tokens", &plan.max_tokens);
    if request.stream {
        object.member("stream", &true);
    }
    write_system(&mut object, request, &form, target);
    conversation::write(object.key("messages"), &messages);
    if !tools.is_empty() || matches!(form, Form::StandIn(_)) {
        write_tools(object.key("tools"), &tools, &form, target);
        let free = plan.thinks() || target.no_forced_tool || names_a_dropped_tool(request, &tools);
        write_tool_choice(&mut object, request, &tools, &form, free);
    }
    plan.write(&mut object, request);
    write_output_config(&mut object, request, &form, &plan);
    write_sampling(&mut object, request, target, &plan);
    let stop = || request.stop.iter().filter(|text| !text.trim().is_empty());
    if stop().next().is_some() && !unwanted(target, "stop") {
        array(object.key("stop_sequences"), stop(), put);
    }
    if extension::find(&request.extensions, "metadata").is_none()
        && !unwanted(target, "user")
        && let Some(user) = &request.user
    {
        let mut metadata = ObjectWriter::new(object.key("metadata"));
        metadata.member("user_id", user);
        metadata.end();
    }
    match request.service_tier.as_deref() {
        Some(tier @ ("auto" | "standard_only")) => object.member("service_tier", tier),
        Some("default") => object.member("service_tier", "standard_only"),
        // Another provider's tier: it changes speed and price there only.
        Some(_) => dropped.add("service_tier"),
        None => {}
    }
    write_cache(&mut object, request.cache.as_ref(), &request.extensions);
    extension::write(&mut object, &request.extensions);
    for e in request.extensions.iter().filter(|e| e.source != HERE && is_ours(&e.name)) {
        object.raw(&e.name, e.value.text());
    }
    object.end();
    Ok(body)
}

fn unwanted(target: &Target<'_>, param: &str) -> bool {
    target.additional_drop_params.iter().any(|name| name == param)
}

/// Anthropic's own parameters that OpenAI's clients send beside theirs.
fn is_ours(name: &str) -> bool {
    matches!(name, "context_management" | "mcp_servers" | "container" | "inference_geo" | "speed")
}

/// Names what Anthropic cannot be told.
///
/// # Errors
/// The first of them that changes the answer's meaning, unless the target is to
/// go without.
fn leave_out(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    let set = |n: &Option<Number>| n.as_ref().and_then(Number::as_f64).is_some_and(|n| n != 0.0);
    let unknown = [
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|n| n > 0)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| bias.text() != "{}")),
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", set(&sampling.presence_penalty)),
        ("frequency_penalty", set(&sampling.frequency_penalty)),
    ];
    let foreign = || {
        let is_foreign = |e: &&Extension| e.source != HERE && !is_ours(&e.name);
        request.extensions.iter().filter(is_foreign)
    };
    let heavy = foreign().filter(|e| e.weight == Weight::Meaning).map(|e| e.name.as_str());
    let refused = sampling.chosen().filter(|name| refuses(target, name));
    let unknown = unknown.iter().filter(|(_, present)| *present).map(|(name, _)| *name);
    let mut names: Vec<&str> = unknown.chain(refused).collect();
    names.extend(heavy);
    for param in names.into_iter().filter(|name| !unwanted(target, name)) {
        if !target.drop_params {
            return Err(EncodeError::Unsupported { param: param.to_owned() });
        }
        dropped.add(param);
    }
    for e in foreign().filter(|e| e.weight == Weight::Hint) {
        dropped.add(&e.name);
    }
    match request.system.iter().enumerate().find(|(_, part)| !block::can_say(part)) {
        None => Ok(()),
        Some((at, part)) => {
            Err(EncodeError::Content { param: format!("system[{at}]"), what: block::kind(part) })
        }
    }
}

/// Whether the model refuses a parameter.
fn refuses(target: &Target<'_>, param: &str) -> bool {
    target.refused.names(None).any(|name| name == param)
}

/// The wish to think, unless it is to be left out.
fn reasoning<'r>(request: &'r Request, target: &Target<'_>) -> Option<&'r Reasoning> {
    let names = ["reasoning_effort", "reasoning", "thinking"];
    request.reasoning.as_ref().filter(|_| !names.iter().any(|name| unwanted(target, name)))
}

/// How the form of the answer is asked for.
enum Form<'r> {
    Free,
    /// In words, after the system prompt.
    Told,
    /// By `output_config.format`.
    Native(&'r Json),
    /// By a tool that stands in for it.
    StandIn(&'r Json),
}

impl<'r> Form<'r> {
    fn of(request: &'r Request, target: &Target<'_>) -> Result<Self, EncodeError> {
        if unwanted(target, "response_format") {
            return Ok(Self::Free);
        }
        let schema = match &request.output_format {
            None | Some(OutputFormat::Text) => return Ok(Self::Free),
            Some(OutputFormat::JsonObject) => return Ok(Self::Told),
            Some(OutputFormat::JsonSchema { schema, .. }) => schema,
        };
        // A map can only be asked for by the tool.
        if target.native_json_schema && schema::free_keys(schema).is_none() {
            return Ok(Self::Native(schema));
        }
        let taken = |tool: &Tool| matches!(tool, Tool::Function { name, .. } if name == JSON_TOOL);
        if request.tools.iter().any(taken) {
            return Err(EncodeError::Invalid {
                param: "tools".to_owned(),
                message: format!("the name `{JSON_TOOL}` is reserved"),
            });
        }
        Ok(Self::StandIn(schema))
    }

    fn instruction(&self, request: &Request, target: &Target<'_>) -> Option<&'static str> {
        match self {
            Self::Told => Some(
                "Answer with a single JSON object and nothing else: no words around it, no code fence.",
            ),
            Self::StandIn(_)
                if !request.tools.is_empty()
                    || request.reasoning.is_some()
                    || target.no_forced_tool =>
            {
                Some(
                    "Give your final answer only by calling the tool `keymoat_json_answer`, never as plain text.",
                )
            }
            _ => None,
        }
    }
}

fn write_system(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    form: &Form<'_>,
    target: &Target<'_>,
) {
    let instruction = form
        .instruction(request, target)
        .map(|text| Part::from(Content::Text { text: text.to_owned(), citations: Vec::new() }));
    let said = |part: &&Part| !part.is_blank();
    let parts: Vec<&Part> = request.system.iter().filter(said).chain(&instruction).collect();
    match parts.as_slice() {
        [] => {}
        [Part { content: Content::Text { text, citations }, cache: None, extensions, .. }]
            if citations.is_empty() && extensions.is_empty() =>
        {
            object.member("system", text);
        }
        parts => array(object.key("system"), parts, |out, part| {
            block::encode(out, part, Reader::Upstream);
        }),
    }
}

/// The tools that the target may see.
fn tools<'r>(
    request: &'r Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<&'r Tool>, EncodeError> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        Some(ToolChoice::Opaque(e)) if e.source != HERE => {
            if !target.drop_params {
                return Err(EncodeError::Unsupported { param: "tool_choice".to_owned() });
            }
            dropped.add("tool_choice");
            None
        }
        _ => None,
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Opaque { source, kind, .. } if *source != HERE => {
                if !target.drop_params {
                    return Err(EncodeError::Invalid {
                        param: "tools".to_owned(),
                        message: format!(
                            "a tool of type `{kind}` is not supported by this model's provider; leave it out, or set `drop_params: true`"
                        ),
                    });
                }
                dropped.add(format!("tools[{at}]: {kind}"));
            }
            Tool::Function { name, strict, parameters, .. } => {
                if *strict == Some(true)
                    && target.native_json_schema
                    && !target.drop_params
                    && let Some(path) = parameters.as_ref().and_then(schema::free_keys)
                {
                    return Err(EncodeError::Invalid {
                        param: format!("tools[{at}].function.parameters{path}"),
                        message: "an object whose keys are not listed cannot be followed exactly; list them, or leave `strict` out".to_owned(),
                    });
                }
                if allowed.is_none_or(|names| names.contains(name)) {
                    tools.push(tool);
                }
            }
            Tool::Opaque { .. } => tools.push(tool),
        }
    }
    Ok(tools)
}

fn write_tools(out: &mut Vec<u8>, tools: &[&Tool], form: &Form<'_>, target: &Target<'_>) {
    let stand_in = match form {
        Form::StandIn(schema) => Some(Tool::Function {
            name: JSON_TOOL.to_owned(),
            description: Some("Takes the final answer, in the form that was asked for.".to_owned()),
            parameters: Some((*schema).clone()),
            strict: None,
            cache: None,
            extensions: Vec::new(),
        }),
        _ => None,
    };
    array(out, tools.iter().copied().chain(&stand_in), |out, tool| {
        write_tool(out, tool, target);
    });
}

fn write_tool(out: &mut Vec<u8>, tool: &Tool, target: &Target<'_>) {
    let (name, description, parameters, strict, cache, extensions) = match tool {
        Tool::Function { name, description, parameters, strict, cache, extensions } => {
            (name, description, parameters, strict, cache, extensions)
        }
        Tool::Opaque { tool, .. } => {
            out.extend_from_slice(tool.text().as_bytes());
            return;
        }
    };
    // Strict tools came with structured output: a model without the one
    // refuses the other.
    let strict = strict.filter(|_| target.native_json_schema);
    let free = || parameters.as_ref().and_then(schema::free_keys).is_some();
    let strict = strict.filter(|strict| !*strict || !free());
    let mut object = ObjectWriter::new(out);
    object.member("name", name);
    object.maybe("description", description.as_ref());
    match parameters {
        None => object.raw("input_schema", tool_schema::NO_PARAMETERS),
        Some(parameters) => {
            let typed = tool_schema::flat(parameters, false);
            let typed = typed.as_ref().unwrap_or(parameters);
            let closed = if strict == Some(true) { schema::closed(typed) } else { None };
            object.raw("input_schema", closed.as_ref().unwrap_or(typed).text());
        }
    }
    object.maybe("strict", strict.as_ref());
    write_cache(&mut object, cache.as_ref(), extensions);
    extension::write(&mut object, extensions);
    object.end();
}

/// Returns true if the tool that must be called is one that was left out.
fn names_a_dropped_tool(request: &Request, tools: &[&Tool]) -> bool {
    let Some(ToolChoice::Named(wanted)) = &request.tool_choice else { return false };
    let named = |tool: &Tool| tool.name().as_deref() == Some(wanted.as_str());
    request.tools.iter().any(named) && !tools.iter().any(|tool| named(tool))
}

fn write_tool_choice(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    tools: &[&Tool],
    form: &Form<'_>,
    free: bool,
) {
    if let Some(ToolChoice::Opaque(e)) = &request.tool_choice
        && e.source == HERE
    {
        object.raw("tool_choice", e.value.text());
        return;
    }
    let serial = request.parallel_tool_calls.map(|parallel| !parallel);
    let asked = match &request.tool_choice {
        Some(ToolChoice::None) => Some(("none", None)),
        Some(ToolChoice::Named(name)) => Some(("tool", Some(name.as_str()))),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
            Some(("any", None))
        }
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. } | ToolChoice::Opaque(_)) => {
            Some(("auto", None))
        }
        None => serial.map(|_| ("auto", None)),
    };
    let chosen = match (form, asked) {
        // The answer is a tool call too: some tool must be called, and where
        // no other may be, this one.
        (Form::StandIn(_), None | Some(("auto" | "any", _))) if !tools.is_empty() => {
            Some(("any", None))
        }
        (Form::StandIn(_), None | Some(("auto" | "any" | "none", _))) => {
            Some(("tool", Some(JSON_TOOL)))
        }
        (_, asked) => asked,
    };
    let chosen = match chosen {
        Some(("any" | "tool", _)) if free => Some(("auto", None)),
        chosen => chosen,
    };
    let Some((kind, name)) = chosen else { return };
    let mut choice = ObjectWriter::new(object.key("tool_choice"));
    choice.member("type", kind);
    choice.maybe("name", name.as_ref());
    if kind != "none" {
        choice.maybe("disable_parallel_tool_use", serial.as_ref());
    }
    extension::write_under(&mut choice, "tool_choice.", &request.extensions);
    choice.end();
}

fn write_output_config(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    form: &Form<'_>,
    plan: &Plan<'_>,
) {
    let native = match form {
        Form::Native(schema) => Some(*schema),
        _ => None,
    };
    let own = |e: &Extension| e.source == HERE && e.name.starts_with("output_config.");
    if native.is_none() && plan.effort.is_none() && !request.extensions.iter().any(own) {
        return;
    }
    let mut config = ObjectWriter::new(object.key("output_config"));
    config.maybe("effort", plan.effort.as_ref());
    if let Some(given) = native {
        let closed = schema::closed(given);
        let mut format = ObjectWriter::new(config.key("format"));
        format.member("type", "json_schema");
        format.raw("schema", closed.as_ref().unwrap_or(given).text());
        format.end();
    }
    extension::write_under(&mut config, "output_config.", &request.extensions);
    config.end();
}

fn write_sampling(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    target: &Target<'_>,
    plan: &Plan<'_>,
) {
    let sampling = &request.sampling;
    let wanted = |name: &str| !unwanted(target, name) && !refuses(target, name);
    let value = |n: &Number| n.as_f64().unwrap_or(1.0);
    let temperature = sampling
        .temperature
        .as_ref()
        .filter(|_| wanted("temperature"))
        .map(|t| match value(t) {
            t if t > 1.0 => Number::from(1),
            t if t < 0.0 => Number::from(0),
            _ => t.clone(),
        })
        .filter(|t| !plan.thinks() || (value(t) - 1.0).abs() < f64::EPSILON);
    object.maybe("temperature", temperature.as_ref());
    let top_p = sampling.top_p.as_ref().filter(|_| wanted("top_p") && temperature.is_none());
    object.maybe("top_p", top_p.filter(|p| !plan.thinks() || value(p) >= 0.95));
    let top_k = sampling.top_k.filter(|_| wanted("top_k") && !plan.thinks());
    object.maybe("top_k", top_k.as_ref());
}
