//! An operator's wish that a model thinks, for a client's own request that says
//! nothing of it and otherwise goes up as it came.
//!
//! The client's words go before the wish: where its limit, its tool choice, its
//! sampling or its conversation leave no room, the model is not asked.

use super::thinking::{self, Allows, Thinking};
use super::{conversation, request};
use crate::Target;
use crate::model::{Reasoning, Request, ToolChoice};

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
    let wish = within(wish.clone(), request.max_output_tokens)?;
    let messages = conversation::arrange(&request, target).ok()?;
    let allows = Allows {
        signed_loop: conversation::has_signed_loop(&messages),
        prefilled: conversation::is_prefilled(&messages),
    };
    let plan = thinking::plan(&request, Some(&wish), target, allows).ok()?;
    Some(Added {
        thinking: match plan.thinking {
            Thinking::Unsaid => None,
            Thinking::Off => Some(r#"{"type":"disabled"}"#.to_owned()),
            Thinking::Budget(tokens) => {
                Some(format!(r#"{{"type":"enabled","budget_tokens":{tokens}}}"#))
            }
            Thinking::Adaptive => Some(r#"{"type":"adaptive"}"#.to_owned()),
        },
        effort: plan.effort.map(str::to_owned),
    })
}

/// The wish with a budget below the output limit; none where that is below
/// Anthropic's least.
pub fn within(mut wish: Reasoning, limit_tokens: Option<u64>) -> Option<Reasoning> {
    if let (Some(budget), Some(limit)) = (wish.budget_tokens, limit_tokens)
        && budget >= limit
    {
        let room = limit.saturating_sub(1);
        wish.budget_tokens = Some(room).filter(|room| *room >= thinking::LEAST_BUDGET);
        wish.budget_tokens?;
    }
    Some(wish)
}

/// What thinking forbids, and the client asks for.
fn leaves_room(request: &Request) -> bool {
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Opaque(_))
    );
    !forced && request.sampling.chosen().next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReasoningMode;

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
}
