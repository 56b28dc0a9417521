//! A request, written for an OpenAI-compatible upstream.

use super::history;
use crate::json::write::{self, ObjectWriter, ToJson};
use crate::openai_chat::extension::{self, own};
use crate::openai_chat::part::encode_cache;
use crate::{
    Dialect, Dropped, EncodeError, OutputLimitField, Target,
    model::{Extension, OutputFormat, Reasoning, ReasoningMode, Request, Tool, ToolChoice, Weight},
    tool_schema,
};

/// Writes a chat completions request, and to `dropped` the names of what is
/// left out. A stream always asks for usage, unless the target does not know
/// how to be asked.
///
/// # Errors
/// Where the request holds what the target cannot be told: another dialect's
/// server tool or parameter, a link to a document, media for a text-only
/// provider. `drop_params` leaves parameters out instead, never content.
pub fn encode(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(1024);
    let mut body = Body { object: ObjectWriter::new(&mut out), target, dropped };
    body.object.member("model", target.model);
    history::encode(request, target, body.dropped, body.object.key("messages"))?;
    let tools = body.tools(request)?;
    body.tool_choice(request, &tools)?;
    body.sampling(request)?;
    body.output(request)?;
    body.reasoning(request)?;
    body.stream(request);
    body.hint("user", request.user.as_ref());
    body.hint("service_tier", request.service_tier.as_deref().map(tier).as_ref());
    if let Some(hint) = request.cache.as_ref().filter(|_| target.cache_control) {
        encode_cache(hint, &mut body.object);
    }
    body.extensions(request)?;
    body.object.end();
    Ok(out)
}

struct Body<'o, 't> {
    object: ObjectWriter<'o>,
    target: &'t Target<'t>,
    dropped: &'t mut Dropped,
}

impl Body<'_, '_> {
    fn wanted(&self, name: &str) -> bool {
        !self.target.additional_drop_params.iter().any(|dropped| dropped == name)
    }

    /// Writes a parameter that changes the answer: where the target refuses
    /// it, so does this.
    fn maybe<T: ToJson>(&mut self, name: &str, value: Option<&T>) -> Result<(), EncodeError> {
        let Some(value) = value.filter(|_| self.wanted(name)) else { return Ok(()) };
        if self.target.refused.always.contains(&name) {
            return self.refuse(name);
        }
        self.object.member(name, value);
        Ok(())
    }

    /// Writes a parameter that does not change the answer, unless the target
    /// refuses it.
    fn hint<T: ToJson>(&mut self, name: &str, value: Option<&T>) {
        if self.wanted(name) && !self.target.refused.always.contains(&name) {
            self.object.maybe(name, value);
        }
    }

    /// Refuses a parameter, unless what cannot be honoured is to be dropped.
    fn refuse(&mut self, param: impl Into<String>) -> Result<(), EncodeError> {
        let param = param.into();
        if self.target.drop_params {
            self.dropped.add(param);
            return Ok(());
        }
        Err(EncodeError::Unsupported { param })
    }

    /// Writes the tools that can be said; returns them.
    fn tools<'r>(&mut self, request: &'r Request) -> Result<Vec<&'r Tool>, EncodeError> {
        if !self.wanted("tools") {
            return Ok(Vec::new());
        }
        let mut said = Vec::with_capacity(request.tools.len());
        for (at, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Opaque { source, kind, .. } if *source != Dialect::OpenAiChat => {
                    self.refuse(format!("tools[{at}]: {kind}"))?;
                }
                _ => said.push(tool),
            }
        }
        if !said.is_empty() {
            let target = self.target;
            self.object.array("tools", &said, |out, tool| match tool {
                Tool::Opaque { tool, .. } => write::put(out, tool),
                Tool::Function { .. } => {
                    write::object(out, |object| function(tool, target, object));
                }
            });
        }
        Ok(said)
    }

    /// Writes what is said of `tools`, and nothing that refers to others.
    fn tool_choice(&mut self, request: &Request, tools: &[&Tool]) -> Result<(), EncodeError> {
        // Both are errors at OpenAI where there are no tools, and mean nothing.
        if !tools.is_empty() {
            self.maybe("parallel_tool_calls", request.parallel_tool_calls.as_ref())?;
        }
        let Some(choice) = &request.tool_choice else { return Ok(()) };
        let is_idle = matches!(choice, ToolChoice::Auto | ToolChoice::None) && tools.is_empty();
        let all_dropped = tools.is_empty() && !request.tools.is_empty();
        let is_dropped = |name: &str| {
            let named = |tool: &Tool| tool.name().as_deref() == Some(name);
            request.tools.iter().any(named) && !tools.iter().any(|tool| named(tool))
        };
        if all_dropped || is_idle || !self.wanted("tool_choice") {
            return Ok(());
        }
        match choice {
            ToolChoice::Auto => self.object.member("tool_choice", "auto"),
            ToolChoice::None => self.object.member("tool_choice", "none"),
            ToolChoice::Required => self.object.member("tool_choice", "required"),
            ToolChoice::Named(name) if is_dropped(name) => self.dropped.add("tool_choice"),
            ToolChoice::Named(name) => self.object.object("tool_choice", |choice| {
                choice.member("type", "function");
                choice.object("function", |function| function.member("name", name));
            }),
            ToolChoice::Allowed { required, names } => {
                let names: Vec<&String> = names.iter().filter(|name| !is_dropped(name)).collect();
                if names.is_empty() {
                    self.dropped.add("tool_choice");
                    return Ok(());
                }
                self.object.object("tool_choice", |choice| allowed(*required, &names, choice));
            }
            ToolChoice::Opaque(extension) if extension.source == Dialect::OpenAiChat => {
                self.object.member("tool_choice", &extension.value);
            }
            ToolChoice::Opaque(_) => self.refuse("tool_choice")?,
        }
        Ok(())
    }

    /// What the model refuses is refused here, or left out where it is the
    /// default or `drop_params` says so.
    fn sampling(&mut self, request: &Request) -> Result<(), EncodeError> {
        let sampling = &request.sampling;
        let effort = self.effort(request);
        let foreign = if self.target.only_openais_fields { "top_k" } else { "" };
        let refused: Vec<&str> = self.target.refused.names(effort).chain([foreign]).collect();
        let is_refused = |name: &&str| refused.contains(name) && self.wanted(name);
        let chosen: Vec<&str> = sampling.chosen().filter(is_refused).collect();
        for name in chosen {
            self.refuse(name)?;
        }
        let mut names = Names { body: self, refused: &refused };
        names.maybe("temperature", sampling.temperature.as_ref())?;
        names.maybe("top_p", sampling.top_p.as_ref())?;
        names.maybe("top_k", sampling.top_k.as_ref())?;
        names.maybe("seed", sampling.seed.as_ref())?;
        names.maybe("presence_penalty", sampling.presence_penalty.as_ref())?;
        names.maybe("frequency_penalty", sampling.frequency_penalty.as_ref())?;
        names.maybe("n", sampling.n.as_ref())?;
        names.maybe("logprobs", sampling.logprobs.as_ref())?;
        names.maybe("top_logprobs", sampling.top_logprobs.as_ref())?;
        names.maybe("logit_bias", sampling.logit_bias.as_ref())?;
        Ok(())
    }

    fn output(&mut self, request: &Request) -> Result<(), EncodeError> {
        let field = match self.target.output_limit_field {
            OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
            OutputLimitField::MaxTokens => "max_tokens",
        };
        if self.wanted("max_tokens") && self.wanted("max_completion_tokens") {
            // Agents ask for more than small models have.
            let most = self.target.max_output_tokens.unwrap_or(u64::MAX);
            let limit = request.max_output_tokens.map(|limit| limit.min(most));
            self.object.maybe(field, limit.as_ref());
        }
        self.stop(request)?;
        let Some(format) = &request.output_format else { return Ok(()) };
        if !self.wanted("response_format") {
            return Ok(());
        }
        if self.target.refused.always.contains(&"response_format") {
            return self.refuse("response_format");
        }
        self.object.object("response_format", |object| match format {
            OutputFormat::Text => object.member("type", "text"),
            OutputFormat::JsonObject => object.member("type", "json_object"),
            OutputFormat::JsonSchema { name, description, schema, strict } => {
                object.member("type", "json_schema");
                object.object("json_schema", |inner| {
                    inner.member("name", name.as_deref().unwrap_or("answer"));
                    inner.maybe("description", description.as_ref());
                    inner.member("schema", schema);
                    inner.maybe("strict", strict.as_ref());
                });
            }
        });
        Ok(())
    }

    fn stop(&mut self, request: &Request) -> Result<(), EncodeError> {
        let most = self.target.stop_max.unwrap_or(usize::MAX);
        let Some((first, rest)) = request.stop.split_at_checked(most) else {
            let stop = Some(&request.stop).filter(|stop| !stop.is_empty());
            return self.maybe("stop", stop);
        };
        if rest.is_empty() || !self.wanted("stop") {
            return self.maybe("stop", Some(&first).filter(|stop| !stop.is_empty()));
        }
        if !self.target.drop_params {
            let message = format!("this model's provider takes {most} at most");
            return Err(EncodeError::Invalid { param: "stop".to_owned(), message });
        }
        self.dropped.add(format!("stop[{most}]"));
        self.maybe("stop", Some(&first))
    }

    /// The effort in OpenAI's word. A client of this dialect who said it in
    /// another way is repeated (`thinking`, `reasoning` are extensions then).
    /// Another dialect's budget or effort is a wish: a model that does not
    /// think is not asked to.
    fn reasoning(&mut self, request: &Request) -> Result<(), EncodeError> {
        let effort = self.effort(request).map(str::to_owned);
        self.maybe("reasoning_effort", effort.as_ref())
    }

    fn effort<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let reasoning = request.reasoning.as_ref()?;
        let said = |name: &str| own(&request.extensions).any(|e| e.name == name);
        let effort = if said("reasoning") {
            None
        } else if said("thinking") {
            reasoning.effort.as_deref()
        } else if is_foreign(request, reasoning) {
            let wish = effort(reasoning).filter(|_| self.target.reasons != Some(false));
            wish.map(|effort| self.target.effort(effort))
        } else {
            reasoning.effort.as_deref()
        };
        effort.filter(|_| self.wanted("reasoning_effort"))
    }

    fn stream(&mut self, request: &Request) {
        if !request.stream {
            return;
        }
        self.object.member("stream", &true);
        if !self.target.no_stream_options && self.wanted("stream_options") {
            self.object.object("stream_options", |o| o.member("include_usage", &true));
        }
    }

    fn extensions(&mut self, request: &Request) -> Result<(), EncodeError> {
        for extension in &request.extensions {
            if extension.source == Dialect::OpenAiChat {
                if self.wanted(&extension.name) {
                    self.object.member(&extension.name, &extension.value);
                }
                continue;
            }
            match extension.weight {
                Weight::Nothing => {}
                Weight::Hint => self.dropped.add(&extension.name),
                Weight::Meaning => self.refuse(&extension.name)?,
            }
        }
        Ok(())
    }
}

/// Writes a choice among some of the tools.
fn allowed(required: bool, names: &[&String], choice: &mut ObjectWriter<'_>) {
    choice.member("type", "allowed_tools");
    choice.object("allowed_tools", |allowed| {
        allowed.member("mode", if required { "required" } else { "auto" });
        allowed.array("tools", names, |out, name| {
            write::object(out, |tool| {
                tool.member("type", "function");
                tool.object("function", |function| function.member("name", *name));
            });
        });
    });
}

/// Anthropic's word for not paying for speed is OpenAI's `default`.
fn tier(word: &str) -> &str {
    if word == "standard_only" { "default" } else { word }
}

/// Whether the wish to think came in another dialect's words: in this one,
/// `reasoning_effort` is all there is.
fn is_foreign(request: &Request, reasoning: &Reasoning) -> bool {
    let foreign = |e: &Extension| e.source != Dialect::OpenAiChat && e.name.ends_with(".effort");
    reasoning.mode.is_some()
        || reasoning.budget_tokens.is_some()
        || request.extensions.iter().any(foreign)
}

/// Writes members that the model does not refuse.
struct Names<'b, 'o, 't> {
    body: &'b mut Body<'o, 't>,
    refused: &'b [&'b str],
}

impl Names<'_, '_, '_> {
    fn maybe<T: ToJson>(&mut self, name: &str, value: Option<&T>) -> Result<(), EncodeError> {
        if self.refused.contains(&name) { Ok(()) } else { self.body.maybe(name, value) }
    }
}

/// The effort that a budget stands for, by the thresholds in common use.
fn effort(reasoning: &Reasoning) -> Option<&str> {
    if let Some(effort) = &reasoning.effort {
        return Some(effort);
    }
    match (reasoning.mode, reasoning.budget_tokens) {
        // Not every model knows `none`; what does not think is not asked to.
        (Some(ReasoningMode::Disabled | ReasoningMode::Adaptive), _) | (None, None) => None,
        (_, Some(0..=2048)) => Some("low"),
        (_, Some(2049..=8192)) | (Some(ReasoningMode::Enabled), None) => Some("medium"),
        (_, Some(_)) => Some("high"),
    }
}

fn function(tool: &Tool, target: &Target<'_>, object: &mut ObjectWriter<'_>) {
    let Tool::Function { name, description, parameters, strict, cache, extensions } = tool else {
        return;
    };
    let flat = parameters.as_ref().filter(|_| target.flat_schemas);
    let flat = flat.and_then(|schema| tool_schema::flat(schema, true));
    // What was folded allows more than `strict` can promise.
    let strict = strict.filter(|strict| !(*strict && flat.is_some()));
    let parameters = flat.as_ref().or(parameters.as_ref());
    object.member("type", "function");
    object.object("function", |function| {
        function.member("name", name);
        function.maybe("description", description.as_ref());
        function.maybe("parameters", parameters);
        function.maybe("strict", strict.as_ref());
        for extension in own(extensions) {
            if let Some(name) = extension.name.strip_prefix("function.") {
                function.member(name, &extension.value);
            }
        }
    });
    if let Some(hint) = cache.as_ref().filter(|_| target.cache_control) {
        encode_cache(hint, object);
    }
    extension::write(object, own(extensions).filter(|e| !e.name.starts_with("function.")));
}
