//! An operator's wish that a model thinks, for a client's own request that says
//! nothing of it and otherwise goes up as it came.
//!
//! The client's words go before the wish: where its limit, its tool choice, its
//! sampling or its conversation leave no room, the model is not asked.

use super::thinking::{self, Allows, Thinking};
use super::{conversation, request};
use crate::json::read::Object;
use crate::model::{Reasoning, ReasoningMode, Request, ToolChoice};
use crate::{Dropped, Target};

/// What the wish adds to a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// The JSON text of `thinking`.
    pub thinking: Option<String>,
    /// `output_config.effort`.
    pub effort: Option<String>,
}

/// What `wish` adds to the body of a request to `target`; none where the
/// request leaves no room for it. `limit_tokens` stands where the body has no
/// output limit.
pub fn added(
    body: &[u8],
    wish: &Reasoning,
    limit_tokens: Option<u64>,
    target: &Target<'_>,
) -> Option<Added> {
    let mut request = request::decode(body).ok()?;
    if request.reasoning.is_some() || !leaves_room(&request) {
        return None;
    }
    request.max_output_tokens = request.max_output_tokens.or(limit_tokens);
    let wish = wish.clone().within(request.max_output_tokens)?;
    let messages = conversation::arrange(&request, target, &mut Dropped::default()).ok()?;
    let allows = Allows {
        signed_loop: conversation::has_signed_loop(&messages),
        prefilled: conversation::is_prefilled(&messages),
    };
    let plan = thinking::plan(&request, Some(&wish), target, allows).ok()?;
    Some(Added { thinking: text(plan.thinking), effort: plan.effort.map(str::to_owned) })
}

/// A client's own wish to think, as the model takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// The JSON text of `thinking`; `None` to leave it out.
    pub thinking: Option<String>,
    /// `output_config.effort`; `None` to leave it out.
    pub effort: Option<String>,
}

/// The wish to think in the body of a request as `target` takes it; `None` if
/// it takes it as it is. A model without adaptive thinking gets a budget, one
/// without budgets an effort, and one that does not think neither.
pub fn adjusted(body: &[u8], target: &Target<'_>) -> Option<Adjusted> {
    let request = request::decode(body).ok()?;
    let wish = request.reasoning.as_ref()?;
    let adapts = wish.mode == Some(ReasoningMode::Adaptive);
    let fits = match wish.mode {
        _ if target.reasons == Some(false) => false,
        Some(ReasoningMode::Adaptive) => target.adaptive_thinking,
        Some(ReasoningMode::Enabled) => !target.no_budgets,
        Some(ReasoningMode::Disabled) => !target.always_thinks,
        None => true,
    };
    let effort_fits = match wish.effort.as_deref() {
        None => true,
        Some(effort) => !target.no_effort && target.effort(effort) == effort,
    };
    if fits && effort_fits {
        return None;
    }
    let effort = || wish.effort.as_deref().map(|effort| target.effort(effort).to_owned());
    let kept = effort().filter(|_| !target.no_effort && target.reasons != Some(false));
    if fits {
        let thinking = Object::of_body(body).ok()?.get("thinking").map(|raw| raw.text().to_owned());
        return Some(Adjusted { thinking, effort: kept });
    }
    let messages = conversation::arrange(&request, target, &mut Dropped::default()).ok()?;
    let allows = Allows {
        signed_loop: conversation::has_signed_loop(&messages),
        prefilled: conversation::is_prefilled(&messages),
    };
    let wish = Reasoning { mode: wish.mode.filter(|_| !adapts), ..wish.clone() };
    // An adaptive wish without an effort is Anthropic's default, `high`.
    let wish = match (adapts, &wish.effort) {
        (true, None) => Reasoning { effort: Some("high".to_owned()), ..wish },
        _ => wish,
    };
    let wish = wish.within(request.max_output_tokens);
    let plan = thinking::plan(&request, wish.as_ref(), target, allows).ok()?;
    let effort = plan.effort.map(str::to_owned).or(kept).filter(|_| !target.no_effort);
    Some(Adjusted { thinking: text(plan.thinking), effort })
}

/// The JSON text of `thinking`, where something is said.
fn text(thinking: Thinking) -> Option<String> {
    match thinking {
        Thinking::Unsaid => None,
        Thinking::Off => Some(r#"{"type":"disabled"}"#.to_owned()),
        Thinking::Budget(tokens) => {
            Some(format!(r#"{{"type":"enabled","budget_tokens":{tokens}}}"#))
        }
        Thinking::Adaptive => Some(r#"{"type":"adaptive"}"#.to_owned()),
    }
}

/// What thinking forbids, and the client asks for.
fn leaves_room(request: &Request) -> bool {
    let forced = matches!(
        request.tool_choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Named(_)
                | ToolChoice::Allowed { .. }
                | ToolChoice::Opaque(_)
        )
    );
    !forced && request.sampling.chosen().next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn with(more: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{more}}}"#)
    }

    fn budget(tokens: u64) -> Reasoning {
        Reasoning {
            budget_tokens: Some(tokens),
            mode: Some(ReasoningMode::Enabled),
            ..Reasoning::default()
        }
    }

    fn asked(more: &str, wish: &Reasoning) -> Option<String> {
        let target = Target::default();
        added(with(more).as_bytes(), wish, None, &target).and_then(|added| added.thinking)
    }

    #[test]
    fn a_budget_is_added_where_the_client_leaves_room() {
        let wish = budget(2_000);
        let full = Some(r#"{"type":"enabled","budget_tokens":2000}"#.to_owned());
        assert_eq!(asked(r#","max_tokens":4000"#, &wish), full);
        let less = Some(r#"{"type":"enabled","budget_tokens":1499}"#.to_owned());
        assert_eq!(asked(r#","max_tokens":1500"#, &wish), less);
        for no_room in [
            r#","max_tokens":1000"#,
            r#","max_tokens":4000,"temperature":0.2"#,
            r#","max_tokens":4000,"top_k":3"#,
            r#","max_tokens":4000,"tool_choice":{"type":"any"}"#,
            r#","max_tokens":4000,"thinking":{"type":"disabled"}"#,
            r#","max_tokens":4000,"output_config":{"effort":"low"}"#,
        ] {
            assert_eq!(asked(no_room, &wish), None, "{no_room}");
        }
    }

    #[test]
    fn a_prefilled_answer_is_not_thought_about() {
        let body = r#"{"model":"m","max_tokens":4000,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}"#;
        let added = added(body.as_bytes(), &budget(2_000), None, &Target::default());
        assert_eq!(added, Some(Added::default()));
    }

    #[test]
    fn an_effort_is_one_where_the_model_adapts() {
        let wish = Reasoning { effort: Some("high".to_owned()), ..Reasoning::default() };
        let target = Target { adaptive_thinking: true, ..Target::default() };
        let added = added(with(r#","max_tokens":50"#).as_bytes(), &wish, None, &target).unwrap();
        assert_eq!(added.thinking.as_deref(), Some(r#"{"type":"adaptive"}"#));
        assert_eq!(added.effort.as_deref(), Some("high"));
    }

    #[test]
    fn a_clients_own_wish_becomes_what_the_model_takes() {
        let asked = |more: &str, target: &Target<'_>| {
            let adjusted = adjusted(with(more).as_bytes(), target)?;
            Some((adjusted.thinking.unwrap_or_default(), adjusted.effort.unwrap_or_default()))
        };
        let text = |thinking: &str, effort: &str| Some((thinking.to_owned(), effort.to_owned()));
        let older = Target { no_effort: true, ..Target::default() };
        let adaptive = r#","max_tokens":32000,"thinking":{"type":"adaptive"}"#;
        let budget = r#"{"type":"enabled","budget_tokens":4096}"#;
        assert_eq!(asked(adaptive, &older), text(budget, ""));
        let low = format!(r#"{adaptive},"output_config":{{"effort":"low"}}"#);
        let least = r#"{"type":"enabled","budget_tokens":1024}"#;
        assert_eq!(asked(&low, &older), text(least, ""));
        let narrow = r#","max_tokens":500,"thinking":{"type":"adaptive"}"#;
        assert_eq!(asked(narrow, &older), text("", ""));
        let alone = r#","max_tokens":500,"output_config":{"effort":"low"}"#;
        assert_eq!(asked(alone, &older), text("", ""));
        let never = Target { reasons: Some(false), ..older.clone() };
        assert_eq!(asked(&low, &never), text("", ""));
        let newer = Target { adaptive_thinking: true, no_budgets: true, ..Target::default() };
        let said = r#","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000}"#;
        assert_eq!(asked(said, &newer), text(r#"{"type":"adaptive"}"#, "medium"));
        assert_eq!(asked(adaptive, &newer), None);
        assert_eq!(asked(said, &older), None);
        let most = format!(r#"{adaptive},"output_config":{{"effort":"max"}}"#);
        assert_eq!(asked(&most, &newer), text(r#"{"type":"adaptive"}"#, "high"));
        assert_eq!(asked("", &older), None);
    }
}
