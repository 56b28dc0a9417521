//! How much Claude thinks, and what that forbids beside it.
//!
//! Newer models take `adaptive` with an effort, older ones a budget in tokens
//! that must be at least 1,024 and below `max_tokens`.

use crate::anthropic_messages::extension;
use crate::json::write::ObjectWriter;
use crate::model::{LEAST_BUDGET_TOKENS, Reasoning, ReasoningMode, Request};
use crate::{EncodeError, Target};

/// `max_tokens` where neither client nor target knows a limit.
const DEFAULT_MAX_TOKENS: u64 = 4_096;

/// What goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Nothing is said: the model's default.
    Unsaid,
    Off,
    Budget(u64),
    Adaptive,
}

/// The output limit, the thinking and the effort, which depend on each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<'r> {
    pub(super) max_tokens: u64,
    pub(super) thinking: Thinking,
    pub(super) effort: Option<&'r str>,
}

impl Plan<'_> {
    pub(super) fn thinks(&self) -> bool {
        matches!(self.thinking, Thinking::Budget(_) | Thinking::Adaptive)
    }

    pub(super) fn write(&self, object: &mut ObjectWriter<'_>, request: &Request) {
        let kind = match self.thinking {
            Thinking::Unsaid => return,
            Thinking::Off => "disabled",
            Thinking::Budget(_) => "enabled",
            Thinking::Adaptive => "adaptive",
        };
        let mut thinking = ObjectWriter::new(object.key("thinking"));
        thinking.member("type", kind);
        if let Thinking::Budget(tokens) = self.thinking {
            thinking.member("budget_tokens", &tokens);
        }
        extension::write_under(&mut thinking, "thinking.", &request.extensions);
        thinking.end();
    }
}

/// What the conversation allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allows {
    /// The open tool loop starts with thinking that its provider signed, or
    /// there is no open tool loop.
    pub(super) signed_loop: bool,
    /// The last message is the model's own beginning of an answer.
    pub(super) prefilled: bool,
}

pub(super) fn plan<'r>(
    request: &'r Request,
    reasoning: Option<&'r Reasoning>,
    target: &Target<'_>,
    allows: Allows,
) -> Result<Plan<'r>, EncodeError> {
    let ceiling = target.max_output_tokens;
    let asked = request.max_output_tokens.map(|n| n.min(ceiling.unwrap_or(n)));
    let mut plan = Plan {
        max_tokens: asked.or(ceiling).unwrap_or(DEFAULT_MAX_TOKENS),
        thinking: Thinking::Unsaid,
        effort: None,
    };
    let Some(reasoning) = reasoning.filter(|_| target.reasons != Some(false)) else {
        return Ok(plan);
    };
    // Anthropic's clients may set an effort without thinking; then it stands
    // among the extensions and is written from there.
    let effort_alone = extension::find(&request.extensions, "output_config.effort").is_some();
    let effort = reasoning.effort.as_deref().filter(|_| !effort_alone);
    match (reasoning.mode, reasoning.budget_tokens, effort) {
        // As little as can be had of what cannot be switched off.
        (Some(ReasoningMode::Disabled), ..) | (None, None, Some("none"))
            if target.always_thinks =>
        {
            plan.effort = Some("low").filter(|_| !effort_alone);
        }
        (Some(ReasoningMode::Disabled), ..) => plan.thinking = Thinking::Off,
        (None, None, None) => {}
        (None, None, Some("none")) => {
            plan.thinking = if target.adaptive_thinking { Thinking::Off } else { Thinking::Unsaid };
        }
        (mode, budget, effort) if target.adaptive_thinking => {
            plan.thinking = Thinking::Adaptive;
            plan.effort = match (mode, effort) {
                (Some(ReasoningMode::Adaptive), effort) => effort,
                (_, Some("minimal")) => Some("low"),
                (_, Some(effort)) => Some(target.effort(effort)),
                (_, None) => budget.map(effort_of),
            };
        }
        (_, Some(budget), _) => {
            if budget < LEAST_BUDGET_TOKENS {
                return Err(invalid(format!(
                    "{budget} is below the least thinking budget, {LEAST_BUDGET_TOKENS}"
                )));
            }
            plan.thinking = Thinking::Budget(budget);
            make_room(&mut plan, budget, asked.is_some(), ceiling)?;
        }
        (_, None, effort) => {
            let budget = budget_of(effort.unwrap_or("high"))?;
            if asked.is_none() && ceiling.is_none() {
                plan.max_tokens = plan.max_tokens.max(budget + DEFAULT_MAX_TOKENS);
            }
            // An effort is a wish: a small output limit shrinks it, or
            // leaves no room to think at all.
            let budget = budget.min(plan.max_tokens.saturating_sub(1));
            if budget >= LEAST_BUDGET_TOKENS {
                plan.thinking = Thinking::Budget(budget);
            }
        }
    }
    let forbidden = match plan.thinking {
        Thinking::Budget(_) => !allows.signed_loop || allows.prefilled,
        // Adaptive thinking takes a tool loop that starts without thinking.
        Thinking::Adaptive => allows.prefilled,
        Thinking::Unsaid | Thinking::Off => false,
    };
    if forbidden {
        plan.thinking = Thinking::Unsaid;
    }
    Ok(plan)
}

/// An explicit budget must fit below the limit; a limit that nobody asked for
/// gives way.
fn make_room(
    plan: &mut Plan<'_>,
    budget: u64,
    asked: bool,
    ceiling: Option<u64>,
) -> Result<(), EncodeError> {
    if budget < plan.max_tokens {
        return Ok(());
    }
    let roomy = budget.saturating_add(DEFAULT_MAX_TOKENS);
    if asked || ceiling.is_some_and(|most| budget >= most) {
        let limit = plan.max_tokens;
        return Err(invalid(format!(
            "{budget} is not below the output limit of {limit} tokens; lower the budget or raise the limit"
        )));
    }
    plan.max_tokens = roomy.min(ceiling.unwrap_or(roomy));
    Ok(())
}

fn budget_of(effort: &str) -> Result<u64, EncodeError> {
    Ok(match effort {
        "minimal" | "low" => 1_024,
        "medium" => 2_048,
        "high" => 4_096,
        "xhigh" => 8_192,
        "max" => 16_384,
        _ => {
            return Err(EncodeError::Invalid {
                param: "reasoning_effort".to_owned(),
                message: format!(
                    "`{effort}` is none of none, minimal, low, medium, high, xhigh, max"
                ),
            });
        }
    })
}

fn effort_of(budget: u64) -> &'static str {
    match budget {
        0..=1_024 => "low",
        1_025..=2_048 => "medium",
        _ => "high",
    }
}

fn invalid(message: String) -> EncodeError {
    EncodeError::Invalid { param: "thinking.budget_tokens".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Allows = Allows { signed_loop: true, prefilled: false };

    fn effort(effort: &str) -> Reasoning {
        Reasoning { effort: Some(effort.to_owned()), ..Reasoning::default() }
    }

    fn budget(tokens: u64) -> Reasoning {
        Reasoning {
            budget_tokens: Some(tokens),
            mode: Some(ReasoningMode::Enabled),
            ..Reasoning::default()
        }
    }

    fn limit(tokens: u64) -> Request {
        Request { max_output_tokens: Some(tokens), ..Request::default() }
    }

    #[test]
    fn an_effort_becomes_a_budget_that_fits_below_the_limit() {
        let target = Target::default();
        for (limit_tokens, asked, expected) in [
            (10_000, "low", Thinking::Budget(1_024)),
            (10_000, "medium", Thinking::Budget(2_048)),
            (10_000, "high", Thinking::Budget(4_096)),
            (10_000, "xhigh", Thinking::Budget(8_192)),
            (3_000, "high", Thinking::Budget(2_999)),
            (1_024, "high", Thinking::Unsaid),
            (10_000, "none", Thinking::Unsaid),
        ] {
            let (request, reasoning) = (limit(limit_tokens), effort(asked));
            let plan = plan(&request, Some(&reasoning), &target, FREE).unwrap();
            assert_eq!((plan.thinking, plan.max_tokens), (expected, limit_tokens), "{asked}");
        }
    }

    #[test]
    fn an_effort_becomes_adaptive_where_the_model_adapts() {
        let target = Target { adaptive_thinking: true, max_effort: true, ..Target::default() };
        let newer = Target { xhigh_effort: true, ..target.clone() };
        for (asked, sent, target) in [
            ("minimal", "low", &target),
            ("medium", "medium", &target),
            ("xhigh", "high", &target),
            ("max", "max", &target),
            ("xhigh", "xhigh", &newer),
        ] {
            let (request, reasoning) = (limit(100), effort(asked));
            let plan = plan(&request, Some(&reasoning), target, FREE).unwrap();
            assert_eq!((plan.thinking, plan.effort), (Thinking::Adaptive, Some(sent)));
        }
        let (request, reasoning) = (limit(100), effort("none"));
        let plan = plan(&request, Some(&reasoning), &target, FREE).unwrap();
        assert_eq!(plan.thinking, Thinking::Off);
    }

    #[test]
    fn what_always_thinks_is_asked_to_think_little_and_what_never_does_is_not_asked() {
        let always = Target { adaptive_thinking: true, always_thinks: true, ..Target::default() };
        let off = Reasoning { mode: Some(ReasoningMode::Disabled), ..Reasoning::default() };
        let request = limit(100);
        for wish in [effort("none"), off] {
            let plan = plan(&request, Some(&wish), &always, FREE).unwrap();
            assert_eq!((plan.thinking, plan.effort), (Thinking::Unsaid, Some("low")));
        }
        let never = Target { reasons: Some(false), ..Target::default() };
        let request = limit(9_000);
        for wish in [effort("high"), budget(2_000)] {
            let plan = plan(&request, Some(&wish), &never, FREE).unwrap();
            assert_eq!((plan.thinking, plan.effort), (Thinking::Unsaid, None));
        }
    }

    #[test]
    fn a_budget_that_does_not_fit_is_refused_and_an_unasked_limit_gives_way() {
        let (tight, equal) = (limit(2_000), budget(2_000));
        let refused = plan(&tight, Some(&equal), &Target::default(), FREE);
        assert!(matches!(refused, Err(EncodeError::Invalid { .. })));
        let request = Request::default();
        let reasoning = budget(10_000);
        let roomy = plan(&request, Some(&reasoning), &Target::default(), FREE).unwrap();
        assert_eq!((roomy.max_tokens, roomy.thinking), (14_096, Thinking::Budget(10_000)));
        let capped = Target { max_output_tokens: Some(10_000), ..Target::default() };
        assert!(plan(&request, Some(&reasoning), &capped, FREE).is_err());
    }

    #[test]
    fn a_loop_without_its_thinking_runs_without() {
        let (request, reasoning) = (limit(9_000), budget(2_000));
        let lost = Allows { signed_loop: false, ..FREE };
        let off = plan(&request, Some(&reasoning), &Target::default(), lost).unwrap();
        assert_eq!(off.thinking, Thinking::Unsaid);
        let adaptive = Target { adaptive_thinking: true, ..Target::default() };
        let on = plan(&request, Some(&reasoning), &adaptive, lost).unwrap();
        assert_eq!((on.thinking, on.effort), (Thinking::Adaptive, Some("medium")));
    }
}
