//! The most that an attempt can cost: what a cap must hold before the call.
//!
//! A tokenizer never makes more tokens than there are bytes, so the bytes of
//! the body bound the input, with room for what a provider adds around tools.
//! Where bytes cannot bound it (links, files, images, earlier responses,
//! server tools, keys we do not know) the whole context window does.

use crate::admission::Admission;
use crate::deployment::Facts;
use base::NanoUsd;
use catalog::Tier;
use dialect::head::Surface;

/// What providers put around tool definitions (Anthropic states 313 to 804
/// tokens by model and tool choice, July 2026).
const TOOL_PROMPT_TOKENS: u64 = 1024;

/// The window to assume where the catalogue knows none.
const UNKNOWN_WINDOW_TOKENS: u64 = 1_048_576;

/// The output limit to assume where the catalogue knows none.
const UNKNOWN_OUTPUT_TOKENS: u64 = 131_072;

/// A clamped output limit is never below this.
const OUTPUT_FLOOR_TOKENS: u64 = 256;

/// A caller without an output limit gets at most this share of what is left.
const FAIR_SHARE: u64 = 4;

/// What an attempt may consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens at most.
    pub input_tokens: u64,
    /// Output tokens at most, over all choices.
    pub output_tokens: u64,
    /// The output limit to send upstream, where the client's will not do.
    pub clamp: Option<u64>,
}

/// What is left under a caller's caps; none where there is no cap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    /// Of money.
    pub money: Option<NanoUsd>,
    /// Of tokens a minute.
    pub tokens: Option<u64>,
}

/// Input tokens at most.
fn input_tokens(admission: &Admission, facts: &Facts) -> u64 {
    let body = &admission.body.bytes;
    let window = facts.max_input_tokens.unwrap_or(UNKNOWN_WINDOW_TOKENS);
    let signals = admission.head.cost_signals(body);
    // A key that nobody knows may be a price key that we do not know yet.
    if !signals.bytes_bound_input || signals.unknown_keys {
        return window.max(body.len() as u64);
    }
    let tools = if signals.tools { TOOL_PROMPT_TOKENS } else { 0 };
    (body.len() as u64).saturating_add(tools)
}

/// A cheap guess at the input, for estimates and token rates: JSON text has
/// about four bytes a token.
pub fn estimated_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// What an attempt may consume, given what is left under the caps.
///
/// A client's own limit stands. Without one, the model's limit, or a fair
/// share of what is left where that is less; then `clamp` says so.
pub fn bound(admission: &Admission, facts: &Facts, left: Left) -> Bound {
    let head = &admission.head;
    if is_free(head.surface()) {
        return Bound { input_tokens: 0, output_tokens: 0, clamp: None };
    }
    let input_tokens = input_tokens(admission, facts);
    let choices = head.n();
    if !generates(head.surface()) {
        return Bound { input_tokens, output_tokens: 0, clamp: None };
    }
    let own =
        head.max_output_tokens().map(|own| own.max(head.thinking_budget_tokens().unwrap_or(0)));
    if let Some(own) = own {
        return Bound { input_tokens, output_tokens: own.saturating_mul(choices), clamp: None };
    }
    let model_limit = facts.max_output_tokens.unwrap_or(UNKNOWN_OUTPUT_TOKENS);
    let guess = estimated_tokens(admission.body.bytes.len() as u64);
    let affordable = left
        .money
        .zip(facts.prices.as_ref())
        .map(|(left, prices)| affordable_output(prices, input_tokens, left))
        .into_iter()
        .chain(left.tokens.map(|tokens| tokens.saturating_sub(guess)))
        .min()
        .map(|tokens| (tokens / FAIR_SHARE / choices).max(OUTPUT_FLOOR_TOKENS));
    match affordable {
        Some(tokens) if tokens < model_limit => Bound {
            input_tokens,
            output_tokens: tokens.saturating_mul(choices),
            clamp: Some(tokens),
        },
        _ => {
            Bound { input_tokens, output_tokens: model_limit.saturating_mul(choices), clamp: None }
        }
    }
}

/// Whether no provider charges for a surface (Anthropic, "Token counting", 2026).
pub fn is_free(surface: Surface) -> bool {
    surface == Surface::AnthropicCountTokens
}

/// Whether a surface's answers have output tokens.
fn generates(surface: Surface) -> bool {
    surface != Surface::OpenAiEmbeddings
}

/// How many output tokens `left` pays for once the input is paid.
fn affordable_output(prices: &catalog::Prices, input_tokens: u64, left: NanoUsd) -> u64 {
    const SAMPLE: u64 = 1_000_000;
    let worst = |output| catalog::worst_case(prices, input_tokens, output, Tier::Dearest);
    let input = worst(0);
    let sample = worst(SAMPLE).saturating_sub(input);
    let rest = left.saturating_sub(input).0.max(0);
    if sample.0 <= 0 {
        return u64::MAX;
    }
    u64::try_from(i128::from(rest) * i128::from(SAMPLE) / i128::from(sample.0)).unwrap_or(0)
}
