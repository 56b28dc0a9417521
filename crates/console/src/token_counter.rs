//! `POST /utils/token_counter`: an estimate of a prompt's tokens.

use crate::App;
use crate::caller::anyone;
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use axum::extract::Request;
use dialect::count::{self, Hidden};
use dialect::openai_chat;
use gateway::deployment::Candidate;
use gateway::principal::resolve_model;
use gateway::{Failure, Runtime};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Counted<'a> {
    total_tokens: u64,
    request_model: &'a str,
    model_used: &'a str,
    /// No provider's own: an estimate that is meant to err upwards.
    tokenizer_type: &'static str,
    original_response: (),
}

pub(crate) async fn count(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let model = fields.text("model")?.flatten();
    let model = model.ok_or_else(|| invalid("model", "is required: the name of a model group"))?;
    let total_tokens = input_tokens(&mut fields)?;
    let runtime = app.gateway.runtime();
    let meant = resolve_model(&principal, &model, runtime.compat)?;
    let used = used_by(&runtime, meant);
    reply::json(&Counted {
        total_tokens,
        request_model: &model,
        model_used: used.as_deref().unwrap_or(meant),
        tokenizer_type: "estimate",
        original_response: (),
    })
}

/// The model that a call would go to first, as LiteLLM writes it.
fn used_by(runtime: &Runtime, model: &str) -> Option<String> {
    let found = runtime.routes.find(model)?;
    let first = found.group.deployments.first()?;
    let candidate = Candidate::new(first, found.captured.as_deref(), true);
    Some(format!("{}/{}", first.provider.id, candidate.upstream_model))
}

#[derive(Serialize)]
struct Chat<'a> {
    model: &'static str,
    messages: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a RawValue,
}

/// An estimate for the conversation in `messages`, with `tools`, or for the
/// text in `prompt`.
pub(crate) fn input_tokens(fields: &mut Fields<'_>) -> Result<u64, Failure> {
    let raw = |text: &'_ str| serde_json::from_str::<Box<RawValue>>(text);
    let unreadable = |error: serde_json::Error| Failure::internal(error.to_string());
    let messages = match (fields.raw("messages"), fields.raw("prompt")) {
        (Some(messages), _) => raw(messages).map_err(unreadable)?,
        (None, Some(prompt)) => {
            let content = raw(prompt).map_err(unreadable)?;
            let message = [Message { role: "user", content: &content }];
            serde_json::value::to_raw_value(&message).map_err(unreadable)?
        }
        (None, None) => {
            return Err(invalid("messages", "is required: a conversation, or a text in `prompt`"));
        }
    };
    let tools = fields.raw("tools").map(raw).transpose().map_err(unreadable)?;
    let chat = Chat { model: "m", messages: &messages, tools: tools.as_deref() };
    let body = serde_json::to_vec(&chat).map_err(unreadable)?;
    let request = openai_chat::request::decode(&body).map_err(Failure::of_decode)?;
    // The model is not looked at: the figure errs upwards for all of them.
    Ok(count::estimate_input_tokens(&request, Hidden::CLAUDE))
}
