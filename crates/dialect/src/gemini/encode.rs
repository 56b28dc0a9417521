//! A neutral request as Gemini takes it.

use super::HERE;
use super::extension::write_under;
use super::part::{self, Names};
use crate::json::write::{ObjectWriter, array};
use crate::model::{
    Content, Extension, OutputFormat, Part, Places, Reasoning, ReasoningMode, Request, Role, Tool,
    ToolChoice, Weight,
};
use crate::repair::{self, Message, Order, Piece};
use crate::{Dropped, EncodeError, Json, Target};
use std::borrow::Cow;

/// Writes the body of `:generateContent` for `target`, and to `dropped` the names
/// of what is left out.
///
/// # Errors
/// Names the parameter that Gemini cannot honour, or the part of the
/// conversation that it has no form for.
pub fn encode(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, EncodeError> {
    leave_out(request, target, dropped)?;
    let messages = arrange(request, dropped)?;
    let calls = request.turns.iter().flat_map(|turn| &turn.parts);
    let names: Names<'_> = calls
        .filter_map(|part| match &part.content {
            Content::ToolCall { id, name, .. } => Some((&**id, &**name)),
            _ => None,
        })
        .collect();
    let mut body = Vec::with_capacity(4_096);
    let mut object = ObjectWriter::new(&mut body);
    array(object.key("contents"), &messages, |out, message| {
        write_content(out, message, &names, target);
    });
    let system: Vec<&Part> = request.system.iter().filter(|part| !part.is_blank()).collect();
    if !system.is_empty() {
        object.object("systemInstruction", |inner| {
            array(inner.key("parts"), system, |out, part| part::encode(out, part, &names, false));
        });
    }
    if !request.tools.is_empty() || request.extensions.iter().any(|e| e.name == SEARCH) {
        write_tools(object.key("tools"), request, target, dropped)?;
    }
    write_tool_config(&mut object, request, target, dropped)?;
    object.object("generationConfig", |config| write_generation(config, request, target));
    write_under(&mut object, "", &request.extensions);
    object.end();
    Ok(body)
}

fn unwanted(target: &Target<'_>, param: &str) -> bool {
    target.additional_drop_params.iter().any(|name| name == param)
}

/// Names what Gemini cannot be told.
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
    let biased = sampling.logit_bias.as_ref().is_some_and(|bias| bias.text() != "{}");
    let refused = |name: &&str| target.refused.names(None).any(|refused| refused == *name);
    let mut names: Vec<&str> = sampling.chosen().filter(refused).collect();
    if biased {
        names.push("logit_bias");
    }
    let foreign = || request.extensions.iter().filter(|e| e.source != HERE);
    let heavy = |e: &&Extension| e.weight == Weight::Meaning && e.name != SEARCH;
    names.extend(foreign().filter(heavy).map(|e| e.name.as_str()));
    for param in names.into_iter().filter(|name| !unwanted(target, name)) {
        if !target.drop_params {
            return Err(EncodeError::Unsupported { param: param.to_owned() });
        }
        dropped.add(param);
    }
    for e in foreign().filter(|e| e.weight == Weight::Hint) {
        dropped.add(&e.name);
    }
    let hints = [
        ("user", request.user.is_some()),
        ("service_tier", request.service_tier.as_deref().is_some_and(|tier| tier != "auto")),
        ("parallel_tool_calls", request.parallel_tool_calls == Some(false)),
    ];
    for (name, _) in hints.into_iter().filter(|(_, is_said)| *is_said) {
        dropped.add(name);
    }
    match request.system.iter().enumerate().find(|(_, part)| !part::can_say(part)) {
        None => Ok(()),
        Some((at, part)) => {
            Err(EncodeError::Content { param: format!("system[{at}]"), what: part.kind() })
        }
    }
}

/// The messages as Gemini takes them.
fn arrange<'r>(
    request: &'r Request,
    dropped: &mut Dropped,
) -> Result<Vec<Message<'r>>, EncodeError> {
    let mut arranged = |order| {
        repair::arranged(&request.turns, order, |message| {
            let message = say(message, &request.places, dropped)?;
            Ok(Some(message).filter(|message| !message.pieces.is_empty()))
        })
    };
    let mut messages = arranged(Order::of_gemini())?;
    if messages.is_empty() {
        // Instructions alone are a question to Gemini, next to an empty text.
        messages = arranged(Order { refuses_blank: false, ..Order::of_gemini() })?;
    }
    if messages.is_empty() {
        let message = "there is no message with content to answer".to_owned();
        return Err(EncodeError::Invalid { param: "messages".to_owned(), message });
    }
    Ok(messages)
}

/// Keeps the parts of a turn that this dialect can say.
fn say<'r>(
    mut message: Message<'r>,
    places: &Places,
    dropped: &mut Dropped,
) -> Result<Message<'r>, EncodeError> {
    let role = message.role;
    let cannot =
        |place: String, part: &Part| EncodeError::Content { param: place, what: part.kind() };
    let mut said = Vec::with_capacity(message.pieces.len());
    for piece in std::mem::take(&mut message.pieces) {
        match &piece.part.content {
            Content::Reasoning(_) if role != Role::Assistant || !part::can_say(&piece.part) => {}
            Content::Opaque { source, plain: Some(_), .. } if *source != HERE => {
                said.extend(plain(&piece));
            }
            _ if !part::can_say(&piece.part) => {
                // What another provider's model said beside words is history that
                // cannot be told; a user's part is a question lost.
                if role != Role::Assistant {
                    return Err(cannot(piece.place(places), &piece.part));
                }
                dropped.add(piece.place(places));
            }
            Content::ToolResult { parts, .. } => {
                let unsayable = parts.iter().enumerate().find(|(_, part)| !part::can_say(part));
                if let Some((inner, part)) = unsayable {
                    return Err(cannot(piece.inner_place(places, inner), part));
                }
                said.push(piece);
            }
            _ => said.push(piece),
        }
    }
    message.pieces = said;
    Ok(message)
}

/// The plain parts of a block of another dialect's.
fn plain<'r>(piece: &Piece<'r>) -> Vec<Piece<'r>> {
    let parts: Vec<Cow<'r, Part>> = match &piece.part {
        Cow::Borrowed(Part { content: Content::Opaque { plain: Some(plain), .. }, .. }) => {
            plain.iter().map(Cow::Borrowed).collect()
        }
        _ => Vec::new(),
    };
    parts.into_iter().map(|part| piece.replaced(part)).collect()
}

fn write_content(out: &mut Vec<u8>, message: &Message<'_>, names: &Names<'_>, target: &Target<'_>) {
    let mut object = ObjectWriter::new(out);
    object.member("role", if message.role == Role::Assistant { "model" } else { "user" });
    // Of calls in one message, the first has the signature.
    let mut signs = target.thinking_levels;
    array(object.key("parts"), &message.pieces, |out, piece| {
        let is_call = matches!(piece.part.content, Content::ToolCall { .. });
        part::encode(out, &piece.part, names, signs && is_call);
        signs &= !is_call;
    });
    object.end();
}

/// OpenAI's wish for a search, which Gemini has a tool for.
const SEARCH: &str = "web_search_options";

/// All functions stand in one entry, tools of Gemini's own in one each.
fn write_tools(
    out: &mut Vec<u8>,
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<(), EncodeError> {
    let mut own: Vec<&Json> = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Opaque { source, tool, .. } if *source == HERE => own.push(tool),
            Tool::Opaque { kind, .. } => {
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
            Tool::Function { .. } => {}
        }
    }
    let is_function = |tool: &&Tool| matches!(tool, Tool::Function { .. });
    let mut functions: Vec<u8> = Vec::new();
    array(&mut functions, request.tools.iter().filter(is_function), write_function);
    let mut entries: Vec<Vec<u8>> = Vec::new();
    if functions != b"[]" {
        entries.push([b"{\"functionDeclarations\":", functions.as_slice(), b"}"].concat());
    }
    if request.extensions.iter().any(|e| e.source != HERE && e.name == SEARCH) {
        entries.push(br#"{"googleSearch":{}}"#.to_vec());
    }
    entries.extend(own.into_iter().map(|tool| tool.text().as_bytes().to_vec()));
    array(out, entries, |out, entry| out.extend_from_slice(&entry));
    Ok(())
}

fn write_function(out: &mut Vec<u8>, tool: &Tool) {
    let Tool::Function { name, description, parameters, extensions, .. } = tool else { return };
    let mut object = ObjectWriter::new(out);
    object.member("name", name);
    object.maybe("description", description.as_ref());
    if let Some(parameters) = parameters.as_ref().filter(|schema| schema.text() != "{}") {
        object.member("parametersJsonSchema", &without_dialect(parameters));
    }
    write_under(&mut object, "", extensions);
    object.end();
}

/// A schema without `$schema`, which Gemini refuses.
fn without_dialect(schema: &Json) -> Json {
    use crate::json::read::{Members, Raw};
    use crate::json::rewrite::{Change, object};
    let raw = Raw::from(schema);
    let members = Members::of(raw).filter(|members| members.last("$schema").is_some());
    let changed = members.and_then(|members| {
        object(&members, |name, _| if name == "$schema" { Change::Gone } else { Change::None })
    });
    changed.and_then(|text| Json::parse(text).ok()).unwrap_or_else(|| schema.clone())
}

fn write_tool_config(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<(), EncodeError> {
    let own = |e: &Extension| e.source == HERE && e.name.starts_with("toolConfig.");
    let chosen: Option<(&str, &[String])> = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some(("AUTO", &[])),
        Some(ToolChoice::None) => Some(("NONE", &[])),
        Some(ToolChoice::Required) => Some(("ANY", &[])),
        Some(ToolChoice::Named(name)) => Some(("ANY", std::slice::from_ref(name))),
        Some(ToolChoice::Allowed { required: true, names }) => Some(("ANY", names)),
        Some(ToolChoice::Allowed { required: false, names }) => Some(("VALIDATED", names)),
        Some(ToolChoice::Opaque(_)) => {
            if !target.drop_params {
                return Err(EncodeError::Unsupported { param: "tool_choice".to_owned() });
            }
            dropped.add("tool_choice");
            None
        }
    };
    // A choice without functions is refused.
    let has_functions = request.tools.iter().any(|tool| matches!(tool, Tool::Function { .. }));
    let chosen = chosen.filter(|_| has_functions);
    if chosen.is_none() && !request.extensions.iter().any(own) {
        return Ok(());
    }
    object.object("toolConfig", |config| {
        if let Some((mode, names)) = chosen {
            config.object("functionCallingConfig", |calling| {
                calling.member("mode", mode);
                if !names.is_empty() {
                    calling.member("allowedFunctionNames", names);
                }
            });
        }
        write_under(config, "toolConfig.", &request.extensions);
    });
    Ok(())
}

fn write_generation(config: &mut ObjectWriter<'_>, request: &Request, target: &Target<'_>) {
    let sampling = &request.sampling;
    let refused = |name: &str| target.refused.names(None).any(|refused| refused == name);
    let wanted = |name: &str| !(unwanted(target, name) || target.drop_params && refused(name));
    macro_rules! maybe {
        ($name:literal, $param:literal, $value:expr) => {
            config.maybe($name, $value.as_ref().filter(|_| wanted($param)));
        };
    }
    if !unwanted(target, "max_tokens") {
        config.maybe("maxOutputTokens", request.max_output_tokens.as_ref());
    }
    maybe!("temperature", "temperature", sampling.temperature);
    maybe!("topP", "top_p", sampling.top_p);
    maybe!("topK", "top_k", sampling.top_k);
    maybe!("seed", "seed", sampling.seed);
    maybe!("presencePenalty", "presence_penalty", sampling.presence_penalty);
    maybe!("frequencyPenalty", "frequency_penalty", sampling.frequency_penalty);
    maybe!("candidateCount", "n", sampling.n);
    maybe!("responseLogprobs", "logprobs", sampling.logprobs);
    maybe!("logprobs", "top_logprobs", sampling.top_logprobs);
    if !request.stop.is_empty() && wanted("stop") {
        config.member("stopSequences", &request.stop);
    }
    match request.output_format.as_ref().filter(|_| wanted("response_format")) {
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::JsonObject) => config.member("responseMimeType", "application/json"),
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            config.member("responseMimeType", "application/json");
            config.member("responseJsonSchema", &without_dialect(schema));
        }
    }
    write_thinking(config, request, target);
    write_under(config, "generationConfig.", &request.extensions);
}

/// Budgets for the efforts of models that think with a budget: those that
/// Google's own compatible endpoint takes
/// (<https://ai.google.dev/gemini-api/docs/openai>).
fn budget_of(effort: &str) -> i64 {
    match effort {
        "none" => 0,
        "minimal" | "low" => 1_024,
        "medium" => 8_192,
        _ => 24_576,
    }
}

/// The level of a model that thinks in levels.
fn level_of(effort: &str) -> &'static str {
    match effort {
        "none" | "minimal" => "minimal",
        "low" => "low",
        "medium" => "medium",
        _ => "high",
    }
}

fn write_thinking(config: &mut ObjectWriter<'_>, request: &Request, target: &Target<'_>) {
    const PREFIX: &str = "generationConfig.thinkingConfig.";
    let names = ["reasoning_effort", "reasoning", "thinking"];
    let wish =
        request.reasoning.as_ref().filter(|_| !names.iter().any(|name| unwanted(target, name)));
    let own = |e: &&Extension| e.source == HERE && e.name.starts_with(PREFIX);
    let has_own = request.extensions.iter().any(|e| own(&e));
    let wish = wish.filter(|_| target.reasons != Some(false));
    if wish.is_none() && !has_own {
        return;
    }
    let hides = request.extensions.iter().filter(own).any(|e| e.name.ends_with("includeThoughts"));
    config.object("thinkingConfig", |thinking| {
        if let Some(Reasoning { effort, budget_tokens, mode }) = wish {
            let is_off =
                *mode == Some(ReasoningMode::Disabled) || effort.as_deref() == Some("none");
            match (budget_tokens, effort) {
                _ if is_off && target.thinking_levels => {
                    thinking.member("thinkingLevel", "minimal");
                }
                _ if is_off => thinking.member("thinkingBudget", &0_u64),
                (Some(budget), _) => thinking.member("thinkingBudget", budget),
                (None, Some(effort)) if target.thinking_levels => {
                    thinking.member("thinkingLevel", level_of(effort));
                }
                (None, Some(effort)) => thinking.member("thinkingBudget", &budget_of(effort)),
                (None, None) if target.thinking_levels => {}
                (None, None) => thinking.member("thinkingBudget", &-1_i64),
            }
            if !is_off && !hides {
                thinking.member("includeThoughts", &true);
            }
        }
        write_under(thinking, PREFIX, &request.extensions);
    });
}
