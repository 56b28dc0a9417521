//! How a refused allowance is told to a client, in LiteLLM's words.

use crate::error::{Compat, Failure, Fault};
use crate::permit::Refused;
use base::NanoUsd;
use dialect::ErrorClass;
use http::{HeaderName, HeaderValue, StatusCode};
use ledger::{Cause, Refusal, Unit};

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
    let resets = refusal.resets_at_ms.map_or_else(String::new, |at| {
        let text = base::clock::rfc3339(at);
        let seconds = text.get(..19).unwrap_or_default().replace('T', " ");
        format!(" Limit resets at: {seconds} UTC")
    });
    let mut failure = Failure::new(
        ErrorClass::RateLimit,
        Fault::Client,
        format!(
            "Rate limit exceeded for api_key: {}. Limit type: {limit_type}. Current limit: {}, \
             Remaining: {}.{resets}",
            refusal.allowance.subject,
            refusal.allowance.limit,
            (refusal.allowance.limit - refusal.spent - refusal.held).max(0),
        ),
    )
    .retry_after_ms(Some(60_000));
    let headers = &mut failure.headers;
    headers
        .insert(HeaderName::from_static("rate_limit_type"), HeaderValue::from_static(limit_type));
    failure
}

fn over_budget(refusal: &Refusal, compat: Compat) -> Failure {
    let (spent, limit) = (NanoUsd(refusal.spent), NanoUsd(refusal.allowance.limit));
    let status = match compat {
        Compat::V1_83 => StatusCode::BAD_REQUEST,
        Compat::V1_109 => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let detail = match refusal.cause {
        Cause::Spent => String::new(),
        Cause::Held => format!(
            " {} is held by calls that are still running; this call may need up to {}.",
            NanoUsd(refusal.held),
            NanoUsd(refusal.asked)
        ),
        Cause::TooLarge => format!(
            " This call may cost up to {}; a smaller max_tokens lowers that.",
            NanoUsd(refusal.asked)
        ),
    };
    let resets = refusal.resets_at_ms.map_or_else(String::new, |at| {
        format!(" The budget resets at {}.", base::clock::rfc3339(at))
    });
    Failure::bad_request(format!(
        "Budget has been exceeded! Current cost: {spent}, Max budget: {limit}.{detail}{resets}"
    ))
    .kind("budget_exceeded")
    .status(status)
}
