//! The pricing policy: one decision table for the cost of an attempt.
//!
//! [`Evidence::row`] picks the first row that applies and [`charge`] prices it.
//! Pure: no clock, no state. Under a money cap the amount that is held is
//! released only on evidence: usage that is final by the dialect's definition,
//! or a billing rule of the provider's row ([`catalog::Billing`]). Missing
//! output, a missing status and an unfamiliar error are not evidence that
//! nothing was generated.

use crate::bound::{Bound, estimated_tokens};
use base::NanoUsd;
use catalog::{Billing, Prices};
use dialect::Usage;
use ledger::CostSource;

/// Bytes of text that one token can stand for on average in any real answer. A
/// report of fewer output tokens than the text needs is a partial one.
const TOKEN_MAX_BYTES: u64 = 64;

/// The same of a request's body, whose keys and schemas a model may not read.
const INPUT_TOKEN_MAX_BYTES: u64 = 512;

/// All that is known of an attempt when it is settled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// Providers take nothing for this surface.
    pub is_free_surface: bool,
    /// The request may have reached the provider.
    pub has_left: bool,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Status that belongs to an error which the provider reported under 200.
    pub failed: Option<u16>,
    /// The error is a refusal of the content or of the length of the input.
    pub is_refusal: bool,
    /// Usage as far as it was reported.
    pub usage: Option<Usage>,
    /// The usage is final by the dialect's definition.
    pub is_final: bool,
    /// Bytes of text that came back.
    pub output_bytes: u64,
    /// Output came back that `output_bytes` does not measure.
    pub has_unmeasured_output: bool,
    /// Money is reserved for the attempt: the amount.
    pub held: Option<NanoUsd>,
}

/// What else the price depends on.
#[derive(Clone, Copy)]
pub struct Conditions<'a> {
    /// The provider's billing rules.
    pub billing: &'a Billing,
    /// The provider is called at its own base URL.
    pub is_own: bool,
    /// The body, apart from media, is text that the model reads whole.
    pub is_text: bool,
    /// The model's prices, where known.
    pub prices: Option<&'a Prices>,
    /// The prices are the operator's own.
    pub prices_are_configured: bool,
    /// Everything that the attempt may use has a price.
    pub is_covered: bool,
    /// Limits of the attempt.
    pub bound: &'a Bound,
    /// Size of the request body.
    pub body_bytes: u64,
    /// Web searches that are made unasked or are not reported.
    pub own_searches: u64,
    /// Prices usage at the tier and hour of the attempt.
    pub cost: &'a dyn Fn(&Prices, &Usage) -> catalog::Cost,
}

/// Row of the decision table. The first that applies, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Counting tokens and the like: free.
    FreeSurface,
    /// The request did not leave the gateway: free.
    NotSent,
    /// An error status that the provider does not charge for: free.
    FreeStatus,
    /// Another error status: it may have been charged. Held, or the input estimated.
    UnknownStatus,
    /// An error under 200 before any output, of a kind that is not charged: usage
    /// as reported, else free.
    FreeError,
    /// Final usage, and the provider states the cost: that cost.
    Stated,
    /// Final usage: priced.
    Final,
    /// The provider reported the input: that, and all the output that was allowed.
    InputReported,
    /// Nothing is known: the amount held.
    Held,
    /// Nothing is known and nothing is held: an estimate from the bytes.
    Guessed,
}

/// Cost of an attempt, and where the figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What the attempt cost.
    pub cost: NanoUsd,
    /// Where the cost comes from.
    pub source: CostSource,
    /// Usage as priced; `None` where nothing was used.
    pub usage: Option<Usage>,
    /// The parts of a cost that was computed from final usage.
    pub parts: Option<catalog::Cost>,
    /// The row that decided.
    pub row: Row,
}

impl Evidence {
    /// The first row that applies.
    pub fn row(&self, conditions: &Conditions<'_>) -> Row {
        let billing = conditions.billing;
        let is_capped = self.held.is_some();
        let is_free = |status| {
            let is_billed_refusal = self.is_refusal && billing.bills_refusals.is_some();
            billing.is_free(status, conditions.is_own) && !is_billed_refusal
        };
        let has_no_output = self.output_bytes == 0 && !self.has_unmeasured_output;
        if self.is_free_surface {
            Row::FreeSurface
        } else if !self.has_left {
            Row::NotSent
        } else if let Some(status) = self.status.filter(|status| !(200..300).contains(status)) {
            if is_free(status) { Row::FreeStatus } else { Row::UnknownStatus }
        } else if self.failed.is_some_and(is_free) && has_no_output {
            Row::FreeError
        } else if let Some(usage) = self.usage.filter(|usage| self.is_whole(usage, conditions)) {
            let believes = billing.states_cost.is_some() && !conditions.prices_are_configured;
            if believes && catalog::stated(&usage).is_some() { Row::Stated } else { Row::Final }
        } else if is_capped && self.usage.is_some_and(|usage| usage.input > 0) {
            // Turns that the provider takes by itself read the input again.
            if conditions.bound.rereads { Row::Held } else { Row::InputReported }
        } else if is_capped {
            Row::Held
        } else {
            Row::Guessed
        }
    }

    /// Returns true if the usage is final and not less than the text needs, on
    /// both sides.
    fn is_whole(&self, usage: &Usage, conditions: &Conditions<'_>) -> bool {
        let shown = self.output_bytes.div_ceil(TOKEN_MAX_BYTES);
        let output = shown.max(u64::from(self.has_unmeasured_output));
        let input = match conditions.is_text {
            true => conditions.body_bytes / INPUT_TOKEN_MAX_BYTES,
            false => 0,
        };
        self.is_final && usage.output >= output && usage.input >= input
    }

    /// The usage that a row prices.
    fn usage_of(&self, row: Row, conditions: &Conditions<'_>) -> Option<Usage> {
        let Conditions { bound, body_bytes, .. } = *conditions;
        let reported = self.usage.unwrap_or_default();
        Some(match row {
            Row::FreeSurface
            | Row::NotSent
            | Row::FreeStatus
            | Row::FreeError
            | Row::Stated
            | Row::Final => return self.usage,
            Row::InputReported => {
                Usage { output: reported.output.max(bound.output_tokens), ..reported }
            }
            Row::UnknownStatus | Row::Held | Row::Guessed => {
                let input = match reported.input {
                    0 => estimated_tokens(body_bytes),
                    reported => reported,
                };
                let output = reported.output.max(estimated_tokens(self.output_bytes));
                Usage { input, output, ..reported }
            }
        })
    }
}

/// The cost of an attempt by the decision table.
pub fn charge(evidence: &Evidence, conditions: &Conditions<'_>) -> Charge {
    let row = evidence.row(conditions);
    let reported = evidence.usage_of(row, conditions);
    let usage = reported.map(|usage| within_bounds(&usage, conditions.bound));
    let is_possible = usage == reported;
    let charge = |cost, source| {
        let source = if is_possible { source } else { CostSource::OutOfBounds };
        Charge { cost, source, usage, parts: None, row }
    };
    match (row, usage, evidence.held) {
        (Row::FreeSurface | Row::NotSent | Row::FreeStatus, ..) | (_, None, _) => {
            Charge { cost: NanoUsd::ZERO, source: CostSource::None, usage, parts: None, row }
        }
        (Row::UnknownStatus | Row::Held, Some(usage), Some(held)) => {
            // What was seen may already have cost more than was held.
            let seen = conditions.prices.map(|prices| (conditions.cost)(prices, &usage).total);
            charge(held.max(seen.unwrap_or(NanoUsd::ZERO)), CostSource::Estimated)
        }
        (Row::Stated, Some(usage), _) => {
            let stated = catalog::stated(&usage).unwrap_or_default();
            match conditions.prices.map(|prices| most(prices, conditions)) {
                Some(most) if stated > most => Charge {
                    cost: most,
                    source: CostSource::OutOfBounds,
                    usage: Some(usage),
                    parts: None,
                    row,
                },
                _ => charge(stated, CostSource::Provider),
            }
        }
        (_, Some(usage), held) => {
            let Some(prices) = conditions.prices else {
                // The configured ceiling for models without a price.
                let ceiling = held.unwrap_or(NanoUsd::ZERO);
                let is_charged = ceiling > NanoUsd::ZERO;
                let source = if is_charged { CostSource::Estimated } else { CostSource::None };
                return charge(ceiling, source);
            };
            let searches = usage.searches.max(conditions.own_searches);
            let cost = (conditions.cost)(prices, &Usage { searches, ..usage });
            let is_complete = !cost.unpriced && conditions.is_covered;
            let source = match row {
                Row::Final if is_complete || held.is_none() => CostSource::Computed,
                _ => CostSource::Estimated,
            };
            // What has no price may cost all that was held.
            let least = held.filter(|_| !is_complete).unwrap_or(NanoUsd::ZERO);
            let parts = (source == CostSource::Computed && is_possible).then_some(cost);
            Charge { parts, ..charge(cost.total.max(least), source) }
        }
    }
}

/// The dearest that the model's own limits allow.
fn most(prices: &Prices, conditions: &Conditions<'_>) -> NanoUsd {
    let Bound { most_input_tokens, most_output_tokens, .. } = *conditions.bound;
    catalog::worst_case(prices, most_input_tokens, most_output_tokens, catalog::Tier::Dearest)
        .saturating_add(catalog::worst_case_searches(prices, SEARCHES_MAX))
}

/// Web searches in one attempt that are still believed.
const SEARCHES_MAX: u64 = 1_000;

/// Usage cut to what the model can do: its window, and its output limit for
/// each choice.
fn within_bounds(usage: &Usage, bound: &Bound) -> Usage {
    Usage {
        input: usage.input.min(bound.most_input_tokens),
        output: usage.output.min(bound.most_output_tokens),
        searches: usage.searches.min(SEARCHES_MAX),
        ..*usage
    }
}

#[cfg(test)]
mod tests {
    use super::{Charge, Conditions, Evidence, Row, SEARCHES_MAX, charge};
    use crate::bound::Bound;
    use base::{Decimal, NanoUsd};
    use catalog::{Prices, Tier, provider};
    use dialect::Usage;
    use ledger::CostSource::{self, Computed, Estimated, OutOfBounds};
    use std::sync::LazyLock;

    static REREADS: LazyLock<Bound> = LazyLock::new(|| Bound {
        rereads: true,
        most_input_tokens: 10_000,
        most_output_tokens: 1_000,
        ..Bound::default()
    });

    const HELD: NanoUsd = NanoUsd(1_000_000);

    /// $1 and $2 a million tokens.
    fn prices() -> Prices {
        let price = |text: &str| text.parse::<Decimal>().unwrap();
        Prices::from_overrides([
            ("input_cost_per_token", price("0.000001")),
            ("output_cost_per_token", price("0.000002")),
        ])
        .unwrap()
    }

    /// An attempt that was sent under a cap and answered with 200.
    fn answered() -> Evidence {
        Evidence { has_left: true, status: Some(200), held: Some(HELD), ..Evidence::default() }
    }

    fn used(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    fn charged_by(
        id: &str,
        evidence: Evidence,
        change: impl FnOnce(&mut Conditions<'_>),
    ) -> Charge {
        let prices = prices();
        let bound = Bound {
            input_tokens: 200,
            output_tokens: 50,
            most_input_tokens: 10_000,
            most_output_tokens: 1_000,
            ..Bound::default()
        };
        let mut conditions = Conditions {
            billing: &provider(id).unwrap().billing,
            prices: Some(&prices),
            prices_are_configured: false,
            is_covered: true,
            bound: &bound,
            body_bytes: 200,
            is_own: true,
            is_text: true,
            own_searches: 0,
            cost: &|prices, usage| catalog::cost(prices, usage, Tier::Standard),
        };
        change(&mut conditions);
        charge(&evidence, &conditions)
    }

    fn charged(id: &str, evidence: Evidence) -> Charge {
        charged_by(id, evidence, |_| {})
    }

    fn is(charge: Charge, row: Row, nanousd: i64, source: CostSource) {
        assert_eq!((charge.row, charge.cost, charge.source), (row, NanoUsd(nanousd), source));
    }

    #[test]
    fn row_free_surface() {
        let evidence = Evidence { is_free_surface: true, usage: Some(used(5, 5)), ..answered() };
        is(charged("anthropic", evidence), Row::FreeSurface, 0, CostSource::None);
    }

    #[test]
    fn row_not_sent() {
        let evidence = Evidence { has_left: false, status: None, ..answered() };
        is(charged("openai", evidence), Row::NotSent, 0, CostSource::None);
    }

    #[test]
    fn row_free_status() {
        for status in [307, 400, 401, 403, 404, 413, 422, 429, 500, 503] {
            let evidence = Evidence { status: Some(status), ..answered() };
            is(charged("openai", evidence), Row::FreeStatus, 0, CostSource::None);
        }
        let overloaded = Evidence { status: Some(529), ..answered() };
        is(charged("anthropic", overloaded), Row::FreeStatus, 0, CostSource::None);
    }

    #[test]
    fn row_unknown_status() {
        for status in [408, 424, 499, 500, 502, 503, 504, 520, 524] {
            let evidence = Evidence { status: Some(status), ..answered() };
            is(charged("together_ai", evidence), Row::UnknownStatus, HELD.0, Estimated);
        }
        for status in [408, 502, 504, 520, 524] {
            let evidence = Evidence { status: Some(status), ..answered() };
            is(charged("openai", evidence), Row::UnknownStatus, HELD.0, Estimated);
        }
        // OpenAI's word says nothing of another server behind its prefix.
        let other = Evidence { status: Some(503), ..answered() };
        let other = charged_by("openai", other, |it| it.is_own = false);
        is(other, Row::UnknownStatus, HELD.0, Estimated);
        let uncapped = Evidence { status: Some(502), held: None, ..answered() };
        is(charged("openai", uncapped), Row::UnknownStatus, 50_000, Estimated);
    }

    /// Azure charges "for both the prompt and completion tokens".
    #[test]
    fn row_unknown_status_of_a_refusal_that_is_billed() {
        let refusal = Evidence { status: Some(400), is_refusal: true, ..answered() };
        is(charged("azure_ai", refusal), Row::UnknownStatus, HELD.0, Estimated);
        is(charged("openai", refusal), Row::FreeStatus, 0, CostSource::None);
        let other = Evidence { is_refusal: false, ..refusal };
        is(charged("azure_ai", other), Row::FreeStatus, 0, CostSource::None);
    }

    #[test]
    fn row_free_error() {
        let failed = Evidence { failed: Some(529), ..answered() };
        is(charged("anthropic", failed), Row::FreeError, 0, CostSource::None);
        let read = Evidence { usage: Some(used(100, 0)), ..failed };
        is(charged("anthropic", read), Row::FreeError, 100_000, Estimated);
        // Something was generated, seen or not, or nobody says that it is free.
        let shown = Evidence { output_bytes: 3, ..failed };
        is(charged("anthropic", shown), Row::Held, HELD.0, Estimated);
        let unseen = Evidence { has_unmeasured_output: true, ..failed };
        is(charged("anthropic", unseen), Row::Held, HELD.0, Estimated);
        is(charged("together_ai", failed), Row::Held, HELD.0, Estimated);
    }

    #[test]
    fn row_stated() {
        let usage = Some(used(100, 10))
            .map(|usage| Usage { stated_cost: Some("0.0001".parse().unwrap()), ..usage });
        let evidence = Evidence { usage, is_final: true, ..answered() };
        is(charged("openrouter", evidence), Row::Stated, 100_000, CostSource::Provider);
        // Nobody said that this provider states dollars; the operator's prices win.
        is(charged("openai", evidence), Row::Final, 120_000, Computed);
        let own = charged_by("openrouter", evidence, |it| it.prices_are_configured = true);
        is(own, Row::Final, 120_000, Computed);
        // A running sum is no final statement.
        let running = Evidence { is_final: false, ..evidence };
        is(charged("openrouter", running), Row::InputReported, 200_000, Estimated);
    }

    #[test]
    fn row_stated_is_bounded_by_what_the_model_can_cost() {
        let usage = Some(used(100, 10))
            .map(|usage| Usage { stated_cost: Some("900000".parse().unwrap()), ..usage });
        let evidence = Evidence { usage, is_final: true, ..answered() };
        is(charged("openrouter", evidence), Row::Stated, 12_000_000, OutOfBounds);
    }

    #[test]
    fn row_final() {
        let evidence = Evidence { usage: Some(used(100, 10)), is_final: true, ..answered() };
        is(charged("openai", evidence), Row::Final, 120_000, Computed);
        // More than was held is the truth all the same.
        let more = Evidence { usage: Some(used(1_000, 1_000)), ..evidence };
        is(charged("openai", more), Row::Final, 3_000_000, Computed);
    }

    /// One reported token cannot be the whole of a long text.
    #[test]
    fn row_final_needs_as_many_tokens_as_the_text_has() {
        let evidence = Evidence {
            usage: Some(used(100, 1)),
            is_final: true,
            output_bytes: 4_000,
            ..answered()
        };
        is(charged("openai", evidence), Row::InputReported, 200_000, Estimated);
    }

    #[test]
    fn row_final_with_something_that_has_no_price() {
        let evidence = Evidence { usage: Some(used(100, 10)), is_final: true, ..answered() };
        let partly = charged_by("openai", evidence, |it| it.is_covered = false);
        is(partly, Row::Final, HELD.0, Estimated);
        let unpriced = charged_by("openai", evidence, |it| it.prices = None);
        is(unpriced, Row::Final, HELD.0, Estimated);
        let uncapped = Evidence { held: None, ..evidence };
        let unknown = charged_by("openai", uncapped, |it| it.prices = None);
        is(unknown, Row::Final, 0, CostSource::None);
    }

    #[test]
    fn row_final_beyond_what_the_model_can_do() {
        let evidence =
            Evidence { usage: Some(used(u64::MAX, u64::MAX)), is_final: true, ..answered() };
        let charge = charged("openai", evidence);
        is(charge, Row::Final, 10_000_000 + 2_000_000, OutOfBounds);
        assert_eq!(charge.usage, Some(used(10_000, 1_000)));
        let searches = Some(Usage { searches: u64::MAX, ..used(1, 1) });
        let charge = charged("openai", Evidence { usage: searches, ..evidence });
        assert_eq!((charge.usage.unwrap().searches, charge.source), (SEARCHES_MAX, OutOfBounds));
    }

    #[test]
    fn row_input_reported() {
        let evidence = Evidence { usage: Some(used(100, 1)), output_bytes: 3, ..answered() };
        is(charged("anthropic", evidence), Row::InputReported, 200_000, Estimated);
        let again = charged_by("anthropic", evidence, |it| it.bound = &REREADS);
        is(again, Row::Held, HELD.0, Estimated);
    }

    #[test]
    fn row_held() {
        is(charged("openai", answered()), Row::Held, HELD.0, Estimated);
        let no_answer = Evidence { status: None, ..answered() };
        let charge = charged("openai", no_answer);
        is(charge, Row::Held, HELD.0, Estimated);
        assert_eq!(charge.usage, Some(used(50, 0)), "a record shows what is charged for");
    }

    #[test]
    fn row_held_is_no_less_than_what_was_seen() {
        let long = Evidence { output_bytes: 2_800, ..answered() };
        is(charged("openai", long), Row::Held, 50_000 + 1_400_000, Estimated);
    }

    #[test]
    fn row_guessed() {
        let evidence = Evidence { held: None, output_bytes: 8, ..answered() };
        is(charged("openai", evidence), Row::Guessed, 50_000 + 4_000, Estimated);
        let reported = Evidence { usage: Some(used(100, 1)), ..evidence };
        is(charged("openai", reported), Row::Guessed, 100_000 + 4_000, Estimated);
    }
}
