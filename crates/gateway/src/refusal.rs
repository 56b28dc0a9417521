//! How a refused allowance is told to a client, in LiteLLM's words.

use crate::error::{Compat, Failure, Fault};
use crate::header_names::SHOULD_RETRY;
use crate::permit::Refused;
use base::NanoUsd;
use dialect::contract::UnknownModel;
use dialect::{Dialect, ErrorClass};
use http::{HeaderName, HeaderValue, StatusCode};
use ledger::{Cause, Refusal, Subject, Unit};

/// A permit was refused.
pub fn of_permit(refused: Refused, compat: Compat) -> Failure {
    match refused {
        Refused::Allowance(refusal) => of_allowance(&refusal, compat),
        Refused::Unpriced => Failure::bad_request(
            "This model has no known price, and the key has a budget: its cost could not be \
             capped. Give the deployment input_cost_per_token and output_cost_per_token, or set \
             keymoat.unknown_price.",
        )
        .kind("unknown_price")
        .param("model"),
        Refused::Unbounded(key) => Failure::bad_request(format!(
            "The cost of a call with `{key}` cannot be limited beforehand, and the key has a \
             budget. Leave it out{}.",
            if key == "tools" { ", or give each web search tool a `max_uses`" } else { "" }
        ))
        .kind("unbounded_cost")
        .param(key),
        Refused::DeploymentFull => Failure::new(
            ErrorClass::RateLimit,
            Fault::Gateway,
            "The deployment is serving as many calls as it may.",
        ),
        Refused::ShareReached(reached) if reached.is_held => Failure::new(
            ErrorClass::RateLimit,
            Fault::Client,
            format!(
                "This key's running calls hold {} of the budget that all keys share; with {} one \
                 key begins no more. Try again when some have ended.",
                reached.abandoned, reached.most,
            ),
        )
        .kind("budget_held")
        .retry_after_ms(Some(1_000)),
        Refused::ShareReached(reached) => Failure::new(
            ErrorClass::RateLimit,
            Fault::Client,
            format!(
                "This key has ended too many calls before their cost was known: {} of the shared \
                 budget is charged for them by estimate and {} is held, of at most {} \
                 (keymoat.estimated_share_max_percent). Other keys are served. Read answers to \
                 their end, and do not set time limits that they cannot keep.",
                reached.charged, reached.abandoned, reached.most,
            ),
        )
        .kind("estimated_share_reached")
        .retry_after_ms(Some(60_000)),
        Refused::Crowded => Failure::new(
            ErrorClass::RateLimit,
            Fault::Client,
            "Too many of this key's calls are still being read to their end after their clients \
             have gone; try again when some have ended.",
        )
        .kind("abandoned_calls")
        .retry_after_ms(Some(1_000)),
        Refused::SpoolFull => Failure::new(
            ErrorClass::Overloaded,
            Fault::Gateway,
            "The spool of spend records is full; new calls are refused until the store takes them.",
        )
        .kind("spool_full"),
        Refused::Journal(error) => {
            let mut failure = Failure::new(
                ErrorClass::Overloaded,
                Fault::Gateway,
                "The call could not be recorded, and was therefore not made.",
            );
            failure.cause = Some(error.to_string());
            failure
        }
    }
}

/// The model group is configured, and none of its deployments can be served.
/// No retry changes that before the configuration does.
pub fn of_left_out(model_group: &str, reason: &str) -> Failure {
    let message = format!(
        "The model group `{model_group}` is configured and cannot be served: {reason}. \
         `keymoat check-config` says what to do."
    );
    let mut failure = Failure::new(ErrorClass::Overloaded, Fault::Gateway, message)
        .kind("model_not_served")
        .param("model");
    failure.headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    failure
}

/// Nobody configured the model.
pub fn of_unknown_model(route: &str, dialect: Dialect, model: &str) -> Failure {
    let failure = match dialect.contract().unknown_model {
        UnknownModel::BadRequest => Failure::bad_request(format!(
            "{{'error': '{route}: Invalid model name passed in model={model}. Call `/v1/models` to \
             view available models for your key.'}}"
        )),
        UnknownModel::NotFound => Failure::new(
            ErrorClass::NotFound,
            Fault::Client,
            format!(
                "There is no model `{model}` here. GET /v1/models lists the models that this key \
                 may use."
            ),
        ),
    };
    failure.param("model")
}

/// An allowance has not enough left.
pub fn of_allowance(refusal: &Refusal, compat: Compat) -> Failure {
    if refusal.allowance.unit == Unit::Money {
        return over_budget(refusal, compat);
    }
    let limit_type = match refusal.allowance.unit {
        Unit::Requests => "requests",
        Unit::InFlight => "max_parallel_requests",
        Unit::Tokens | Unit::Money => "tokens",
    };
    let resets_at = refusal.resets_at_ms.map(|at| {
        // Whole seconds, and never too soon.
        let text = base::clock::rfc3339(at.saturating_add(999));
        format!("{} UTC", text.get(..19).unwrap_or_default().replace('T', " "))
    });
    let resets =
        resets_at.as_ref().map_or_else(String::new, |at| format!(" Limit resets at: {at}"));
    // More than the whole allowance, or an allowance of nothing: no waiting helps.
    let never = refusal.cause == Cause::TooLarge || refusal.allowance.limit <= 0;
    let advice = match refusal.allowance.unit {
        Unit::Tokens if never => format!(
            "{} This call may use up to {} tokens; a smaller max_tokens lowers that.",
            if resets.is_empty() { "" } else { "." },
            refusal.asked
        ),
        _ => String::new(),
    };
    // As LiteLLM says, where only calls that are still running stand in the way.
    let wait_ms = refusal.retry_after_ms.map_or(60_000, i64::unsigned_abs);
    let (kind, value) = descriptor(&refusal.allowance.subject);
    let mut failure = Failure::new(
        ErrorClass::RateLimit,
        Fault::Client,
        format!(
            "Rate limit exceeded for {kind}: {value}. Limit type: {limit_type}. Current limit: {}, \
             Remaining: {}.{resets}{advice}",
            refusal.allowance.limit,
            (refusal.allowance.limit - refusal.spent - refusal.held).max(0),
        ),
    )
    .retry_after_ms((!never).then_some(wait_ms));
    let headers = &mut failure.headers;
    headers.insert(RATE_LIMIT_TYPE, HeaderValue::from_static(limit_type));
    if let Some(at) = resets_at.and_then(|at| HeaderValue::try_from(at).ok()) {
        headers.insert(RESET_AT, at);
    }
    if never {
        // The official clients try a 429 again unless this forbids it.
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    failure
}

const RATE_LIMIT_TYPE: HeaderName = HeaderName::from_static("rate_limit_type");
const RESET_AT: HeaderName = HeaderName::from_static("reset_at");

fn over_budget(refusal: &Refusal, compat: Compat) -> Failure {
    if refusal.cause == Cause::Held {
        return held_budget(refusal);
    }
    let (spent, limit) = (NanoUsd(refusal.spent), NanoUsd(refusal.allowance.limit));
    let status = match compat {
        Compat::V1_83 => StatusCode::BAD_REQUEST,
        Compat::V1_109 => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let detail = match refusal.cause {
        Cause::Spent | Cause::Held => String::new(),
        Cause::TooLarge => format!(
            " This call may cost up to {}; a smaller max_tokens lowers that.",
            NanoUsd(refusal.asked)
        ),
    };
    let resets = resets(refusal);
    let subject = &refusal.allowance.subject;
    let named = match (compat, subject) {
        (Compat::V1_109, Subject::Key(hash)) => format!("Key={hash} "),
        _ => String::new(),
    };
    let whose = whose(subject);
    Failure::bad_request(format!(
        "Budget has been exceeded! {named}Current cost: {spent}, Max budget: {limit}. This budget \
         is {whose} {resets}.{detail}"
    ))
    .kind("budget_exceeded")
    .status(status)
}

/// Nothing is spent yet that stands in the way: those calls end, and most cost
/// less than they may. Clients try again after a 429, never after a 400.
fn held_budget(refusal: &Refusal) -> Failure {
    let subject = &refusal.allowance.subject;
    Failure::new(
        ErrorClass::RateLimit,
        Fault::Client,
        format!(
            "What is left of the budget is held by calls that are still running; try again when \
             they have ended. Current cost: {}, held: {}, Max budget: {}; this call may cost up \
             to {}. This budget is {} {}.",
            NanoUsd(refusal.spent),
            NanoUsd(refusal.held),
            NanoUsd(refusal.allowance.limit),
            NanoUsd(refusal.asked),
            whose(subject),
            resets(refusal),
        ),
    )
    .kind("budget_held")
    .retry_after_ms(Some(1000))
}

fn resets(refusal: &Refusal) -> String {
    match refusal.resets_at_ms {
        Some(at) => format!("and resets at {}", base::clock::rfc3339(at)),
        None => "and does not reset".to_owned(),
    }
}

/// LiteLLM's words for whom a rate binds.
fn descriptor(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Key(hash) => ("api_key", hash.to_string()),
        Subject::User(id) => ("user", id.to_string()),
        Subject::Team(id) => ("team", id.to_string()),
        Subject::Organization(id) => ("organization", id.to_string()),
        Subject::EndUser(id) => ("end_user", id.to_string()),
        Subject::Tag(name) => ("tag", name.to_string()),
        other => ("the whole proxy", other.to_string()),
    }
}

/// Whose a budget is, for the person whose call was refused.
fn whose(subject: &Subject) -> String {
    match subject {
        Subject::Key(_) => "this key's own".to_owned(),
        Subject::Proxy => {
            "the whole proxy's, shared by all keys (litellm_settings.max_budget),".to_owned()
        }
        other => format!("that of {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::of_allowance;
    use crate::error::Compat;
    use base::{KeyHash, NanoUsd};
    use ledger::{Allowance, Cause, Refusal, Subject};

    fn refusal(allowance: Allowance, cause: Cause) -> Refusal {
        let resets_at_ms = Some(1_774_348_800_000);
        Refusal {
            allowance,
            spent: 1_500_000_000,
            held: 0,
            asked: 250_000_000,
            resets_at_ms,
            retry_after_ms: Some(17_250),
            cause,
        }
    }

    #[test]
    fn a_refused_budget_says_whose_it_is_what_is_spent_and_when_it_resets() {
        let key = Subject::Key(KeyHash([7; 32]));
        let own = refusal(Allowance::money(key, NanoUsd(1_500_000_000), None), Cause::Spent);
        assert_eq!(
            of_allowance(&own, Compat::V1_83).message,
            "Budget has been exceeded! Current cost: 1.5, Max budget: 1.5. This budget is this \
             key's own and resets at 2026-03-24T10:40:00.000Z."
        );
        let shown = of_allowance(&own, Compat::V1_109).message;
        assert!(shown.starts_with("Budget has been exceeded! Key=0707"), "{shown}");
        let proxy = Allowance::money(Subject::Proxy, NanoUsd(1_600_000_000), None);
        let all = Refusal { resets_at_ms: None, ..refusal(proxy, Cause::Spent) };
        let shown = of_allowance(&all, Compat::V1_83).message;
        assert!(shown.contains("the whole proxy's") && shown.contains("does not reset"), "{shown}");
    }

    #[test]
    fn a_refused_rate_says_when_to_come_back_where_coming_back_helps() {
        let allowance = Allowance::tokens_per_minute(Subject::Key(KeyHash([7; 32])), 2000);
        let spent = Refusal {
            resets_at_ms: Some(1_774_348_799_001),
            ..refusal(allowance.clone(), Cause::Spent)
        };
        let held = Refusal { retry_after_ms: None, resets_at_ms: None, ..spent.clone() };
        let spent = of_allowance(&spent, Compat::V1_83);
        assert_eq!(spent.headers["reset_at"], "2026-03-24 10:40:00 UTC");
        assert_eq!(
            (spent.retry_after_ms, spent.headers.get("x-should-retry")),
            (Some(17_250), None)
        );
        assert_eq!(of_allowance(&held, Compat::V1_83).retry_after_ms, Some(60_000));
        let large = Refusal { asked: 4096, ..refusal(allowance, Cause::TooLarge) };
        let large = of_allowance(&large, Compat::V1_83);
        assert_eq!(large.retry_after_ms, None);
        assert_eq!(large.headers["x-should-retry"], "false");
        assert!(large.message.contains("up to 4096 tokens"), "{}", large.message);
    }

    #[test]
    fn a_budget_that_is_only_held_is_worth_another_try() {
        let key = Subject::Key(KeyHash([7; 32]));
        let all = Allowance::money(key, NanoUsd(2_000_000_000), None);
        let held = Refusal { held: 400_000_000, ..refusal(all, Cause::Held) };
        for compat in [Compat::V1_83, Compat::V1_109] {
            let failure = of_allowance(&held, compat);
            assert_eq!((failure.status.as_u16(), failure.retry_after_ms), (429, Some(1000)));
            assert_eq!(
                failure.message,
                "What is left of the budget is held by calls that are still running; try again \
                 when they have ended. Current cost: 1.5, held: 0.4, Max budget: 2; this call may \
                 cost up to 0.25. This budget is this key's own and resets at \
                 2026-03-24T10:40:00.000Z."
            );
        }
    }

    #[test]
    fn a_refused_rate_says_whose_it_is_in_litellms_words() {
        let of = |subject| {
            let allowance = Allowance::in_flight(subject, 3);
            of_allowance(&refusal(allowance, Cause::Held), Compat::V1_83).message
        };
        assert!(of(Subject::Key(KeyHash([7; 32]))).contains("for api_key: 0707"));
        assert!(of(Subject::Team("red".into())).contains("for team: red."));
        assert!(of(Subject::Proxy).contains("for the whole proxy: this gateway."));
    }
}
