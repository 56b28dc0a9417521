//! The most that an attempt can cost: what a cap must hold before the call.
//!
//! Pure: from what will be sent, and what is known of the model. A tokenizer
//! never makes more tokens than there are bytes, so the bytes of the body
//! bound the input, with room for what a provider adds around tools. Where
//! bytes cannot bound it (links, files, images, earlier responses, server
//! tools, keys we do not know) the whole context window does, once for each
//! item of a batch and for each turn that the provider takes by itself.

use crate::deployment::Facts;
use crate::price_keys::{self, Added};
use base::NanoUsd;
use catalog::Tier;
use dialect::Surface;
use dialect::embeddings::entries_max;
use dialect::head::cost::ROUNDS_MAX;
use dialect::head::{Head, ServerTools};

/// What providers put around tool definitions (Anthropic states 313 to 804
/// tokens by model and tool choice, July 2026).
const TOOL_PROMPT_TOKENS: u64 = 1024;

/// The window to assume where the catalogue knows none, and for those who ask
/// for a longer one than it knows.
const UNKNOWN_WINDOW_TOKENS: u64 = 1_048_576;

/// The output limit to assume where the catalogue knows none.
const UNKNOWN_OUTPUT_TOKENS: u64 = 131_072;

/// An output limit that nobody asked for is never below this, nor leaves less
/// than this after thinking.
const OUTPUT_FLOOR_TOKENS: u64 = 256;

/// A client's own limit is not lowered below this, unless the operator says
/// otherwise (`keymoat.output_floor_tokens`).
pub const CLIENT_FLOOR_TOKENS: u64 = 4_096;

/// A client's own limit that is lowered leaves at least this after thinking.
const AFTER_THINKING_TOKENS: u64 = 1_024;

/// A caller without an output limit gets at most this share of what is left.
const FAIR_SHARE: u64 = 4;

/// What an attempt may consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens at most, over all turns.
    pub input_tokens: u64,
    /// Output tokens at most, over all choices.
    pub output_tokens: u64,
    /// Tokens to hold under a rate of tokens, which is counted when they are
    /// known: no answer is cut short for it.
    pub rate_tokens: u64,
    /// The most input that the model can read, over all turns and entries: more
    /// in a report of usage is not believed.
    pub most_input_tokens: u64,
    /// The most output that the model can generate, over all choices.
    pub most_output_tokens: u64,
    /// Web searches at most.
    pub searches: u64,
    /// The key that asks for them.
    pub search_key: Option<&'static str>,
    /// The output limit to send upstream, where the client's will not do.
    pub clamp: Option<u64>,
    /// The input is not text alone.
    pub media: bool,
    /// Part of the input is not in the body: links, files, earlier responses.
    pub has_unseen_input: bool,
    /// The provider may read the input more than once.
    pub rereads: bool,
    /// The key whose cost nobody can bound: refused under a cap on money.
    pub refused: Option<&'static str>,
}

/// What is left under a caller's caps; none where there is no cap.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Of money.
    pub money: Option<NanoUsd>,
    /// Of tokens a minute.
    pub tokens: Option<u64>,
    /// A client's own output limit is not lowered below this.
    pub output_floor_tokens: u64,
}

impl Default for Left {
    fn default() -> Self {
        Self { money: None, tokens: None, output_floor_tokens: CLIENT_FLOOR_TOKENS }
    }
}

/// What will be sent.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Of the body.
    pub head: &'a Head,
    /// The body, but for what the clamp changes.
    pub body: &'a [u8],
    /// Of what the client sent.
    pub client: &'a Head,
    /// The output limit in it was invented by us: nobody asked for it.
    pub limit_is_ours: bool,
    /// The deployment wants no output limit sent.
    pub takes_no_limit: bool,
    /// A header asks for a longer window than the model's own.
    pub long_context: bool,
}

/// A cheap guess at the input, for estimates and token rates: JSON text has
/// about four bytes a token.
pub fn estimated_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// What an attempt may consume, given what is left under the caps.
///
/// A limit that the client or the deployment gave is kept if the money that is
/// left pays for it, and else lowered to what that buys, down to a floor.
/// Without one, the limit is the model's, or a fair share of the money where
/// that is less. `clamp` is the limit to send where it is not the client's.
pub fn bound(sent: &Sent<'_>, facts: &Facts, left: Left) -> Bound {
    let mut bound = worst(sent, facts, left);
    let choices = sent.head.n().max(1).saturating_mul(items(sent));
    let limit = facts.max_output_tokens.unwrap_or(UNKNOWN_OUTPUT_TOKENS);
    bound.most_output_tokens = bound.output_tokens.max(limit.saturating_mul(choices));
    let output = rate_output(sent, bound.output_tokens, left.tokens);
    bound.rate_tokens = rate_input(sent, &bound, left.tokens, output).saturating_add(output);
    bound
}

/// Input to hold of a rate: a quarter of the bytes, or, where the bytes do not
/// show it all, everything that is left, so that such calls go one by one.
fn rate_input(sent: &Sent<'_>, bound: &Bound, left: Option<u64>, output: u64) -> u64 {
    let guess = estimated_tokens(sent.body.len() as u64).min(bound.input_tokens);
    match left {
        Some(left) if bound.has_unseen_input => {
            bound.input_tokens.min(left.saturating_sub(output).max(guess))
        }
        _ => guess,
    }
}

/// Output to hold of a rate. Where nobody gave a limit, all that is left, up to
/// the model's own: such calls go one by one near the limit, and only the last
/// of them can exceed it.
fn rate_output(sent: &Sent<'_>, output_tokens: u64, left: Option<u64>) -> u64 {
    let limited = sent.head.max_output_tokens().is_some();
    let limited = limited && !sent.limit_is_ours && !says_nought(sent);
    let guess = estimated_tokens(sent.body.len() as u64);
    match left {
        Some(left) if !limited => output_tokens.min(left.saturating_sub(guess)),
        _ => output_tokens,
    }
}

fn worst(sent: &Sent<'_>, facts: &Facts, left: Left) -> Bound {
    let head = sent.head;
    let mut added = price_keys::added(head, sent.body, sent.client);
    added.searches = added.searches.max(facts.own_searches);
    let input = input(sent, facts, &mut added);
    if !generates(head.surface()) {
        return input;
    }
    let choices = head.n().saturating_mul(items(sent));
    let over_choices =
        |tokens: u64| tokens.saturating_add(added.beside_tokens).saturating_mul(choices);
    let model_limit = facts.max_output_tokens.unwrap_or(UNKNOWN_OUTPUT_TOKENS);
    let stated = head.max_output_tokens();
    let unlimited = stated.is_none() || says_nought(sent);
    let thinking = head.thinking_budget_tokens().unwrap_or(0);
    if added.unknown || sent.takes_no_limit || (unlimited && stated.is_some()) {
        let most = model_limit.max(stated.unwrap_or(0)).max(thinking);
        return Bound { output_tokens: over_choices(most), ..input };
    }
    let affordable = || {
        let (left, prices) = left.money.zip(facts.prices.as_ref())?;
        Some(affordable_output(prices, &input, left))
    };
    if let Some(stated) = stated.filter(|_| !sent.limit_is_ours) {
        let asked = stated.max(thinking);
        let paid_for = affordable().filter(|paid_for| over_choices(asked) > *paid_for);
        let lowered = paid_for.map(|paid_for| {
            let each = (paid_for / 4 * 3 / choices).saturating_sub(added.beside_tokens);
            let after_thinking = match thinking {
                0 => 0,
                budget => budget.saturating_add(AFTER_THINKING_TOKENS),
            };
            each.max(left.output_floor_tokens).max(after_thinking)
        });
        let clamp = lowered.filter(|lowered| *lowered < asked);
        return Bound { output_tokens: over_choices(clamp.unwrap_or(asked)), clamp, ..input };
    }
    let model_limit = stated.unwrap_or(model_limit).max(thinking);
    // Less than the budget to think would be refused by the provider.
    let floor = OUTPUT_FLOOR_TOKENS.max(match thinking {
        0 => 0,
        budget => budget.saturating_add(OUTPUT_FLOOR_TOKENS),
    });
    let affordable = affordable()
        .map(|tokens| (tokens / FAIR_SHARE / choices).saturating_sub(added.beside_tokens))
        .map(|tokens| tokens.max(floor));
    match affordable {
        Some(tokens) if tokens < model_limit => {
            Bound { output_tokens: over_choices(tokens), clamp: Some(tokens), ..input }
        }
        _ => Bound { output_tokens: over_choices(model_limit), ..input },
    }
}

/// Everything but the output.
fn input(sent: &Sent<'_>, facts: &Facts, added: &mut Added) -> Bound {
    let bytes = sent.body.len() as u64;
    let signals = sent.head.cost_signals(sent.body);
    match signals.server_tools {
        ServerTools::None | ServerTools::Prompts => {}
        ServerTools::Loop { rounds, searches } => {
            added.rounds = added.rounds.saturating_add(rounds);
            if searches > 0 {
                added.searches = added.searches.saturating_add(searches);
                added.search_key = Some("tools");
            }
        }
        ServerTools::Unbounded => added.refused = Some("tools"),
    }
    // A key that nobody knows may be a price key that we do not know yet.
    let by_bytes = signals.bytes_bound_input && !added.unknown && !added.window;
    let known = facts.max_input_tokens.unwrap_or(UNKNOWN_WINDOW_TOKENS);
    let window = if sent.long_context { known.max(UNKNOWN_WINDOW_TOKENS) } else { known };
    let once = window.saturating_mul(items(sent)).max(bytes);
    let all_turns = once.saturating_mul(added.rounds.min(ROUNDS_MAX) + 1);
    let input_tokens = if by_bytes && added.rounds == 0 {
        let formed = ["response_format", "output_format", "output_config"]
            .into_iter()
            .any(|name| sent.head.raw(sent.body, name).is_some());
        let prompts = u64::from(signals.tools) + u64::from(formed);
        bytes.saturating_add(prompts * TOOL_PROMPT_TOKENS)
    } else {
        all_turns
    };
    Bound {
        input_tokens,
        most_input_tokens: all_turns.max(input_tokens),
        searches: added.searches,
        search_key: added.search_key,
        media: !signals.bytes_bound_input,
        has_unseen_input: !signals.bytes_bound_input || added.window,
        rereads: added.rounds > 0,
        refused: added.refused,
        ..Bound::default()
    }
}

/// Texts of a batch: each has a window and an answer of its own.
fn items(sent: &Sent<'_>) -> u64 {
    let Some(name) = sent.head.surface().row().batch else { return 1 };
    sent.head.raw(sent.body, name).map_or(1, entries_max)
}

/// A limit of nought stands for none at some servers, and for no answer at
/// others.
fn says_nought(sent: &Sent<'_>) -> bool {
    ["max_tokens", "max_completion_tokens"]
        .into_iter()
        .any(|name| sent.head.raw(sent.body, name) == Some(b"0"))
}

/// Whether a surface's answers have output tokens.
pub fn generates(surface: Surface) -> bool {
    surface.row().generates()
}

/// Whether providers take nothing for it.
pub fn is_free(surface: Surface) -> bool {
    surface.row().is_free
}

/// The most that it costs.
pub fn worst_case(prices: &catalog::Prices, bound: &Bound) -> NanoUsd {
    let Bound { input_tokens, output_tokens, searches, .. } = *bound;
    catalog::worst_case(prices, input_tokens, output_tokens, Tier::Dearest)
        .saturating_add(catalog::worst_case_searches(prices, searches))
}

/// How many output tokens `left` pays for once the rest of it is paid.
fn affordable_output(prices: &catalog::Prices, input: &Bound, left: NanoUsd) -> u64 {
    const SAMPLE: u64 = 1_000_000;
    let first = worst_case(prices, input);
    let sample = worst_case(prices, &Bound { output_tokens: SAMPLE, ..*input });
    let sample = sample.saturating_sub(first);
    let rest = left.saturating_sub(first).0.max(0);
    if sample.0 <= 0 {
        return u64::MAX;
    }
    u64::try_from(i128::from(rest) * i128::from(SAMPLE) / i128::from(sample.0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::provider;

    fn of(surface: Surface, body: &str, facts: &Facts, left: Left) -> Bound {
        let head = Head::scan(body.as_bytes(), surface).unwrap();
        let sent = Sent {
            head: &head,
            body: body.as_bytes(),
            client: &head,
            limit_is_ours: false,
            takes_no_limit: false,
            long_context: false,
        };
        bound(&sent, facts, left)
    }

    fn facts() -> Facts {
        Facts::of(provider("openai").unwrap(), "gpt-4o", None)
    }

    fn chat(body: &str) -> Bound {
        of(Surface::OpenAiChat, body, &facts(), Left::default())
    }

    const TEXT: &str = r#""messages":[{"role":"user","content":"hello"}]"#;

    #[test]
    fn text_is_bounded_by_its_bytes_and_output_by_its_limit() {
        let body = format!(r#"{{{TEXT},"max_tokens":7,"n":3}}"#);
        let bound = chat(&body);
        assert_eq!(bound.input_tokens, body.len() as u64);
        assert_eq!((bound.output_tokens, bound.clamp), (21, None));
    }

    /// One prompt was counted where many were sent.
    #[test]
    fn each_prompt_of_a_batch_has_an_answer() {
        for (prompt, answers) in [
            (r#""a""#, 1),
            (r#"["a","b","c"]"#, 3),
            ("[1,2,3]", 1),
            ("[[1],[2]]", 2),
            (r#"["a",[1],2]"#, 3),
        ] {
            let body = format!(r#"{{"prompt":{prompt},"max_tokens":10,"n":2}}"#);
            let bound = of(Surface::OpenAiCompletions, &body, &facts(), Left::default());
            assert_eq!(bound.output_tokens, 20 * answers, "{prompt}");
        }
    }

    #[test]
    fn each_input_of_a_batch_has_a_window() {
        let body = r#"{"input":[{"image":"a"},{"image":"b"}]}"#;
        let bound = of(Surface::OpenAiEmbeddings, body, &facts(), Left::default());
        assert_eq!((bound.input_tokens, bound.output_tokens), (256_000, 0));
    }

    #[test]
    fn unknown_keys_widen_input_and_output() {
        let bound = chat(&format!(r#"{{{TEXT},"max_tokens":7,"num_predict":9}}"#));
        assert_eq!((bound.input_tokens, bound.output_tokens), (128_000, 16_384));
        let bound = chat(&format!(r#"{{{TEXT},"max_tokens":7,"thinking_budget":900}}"#));
        assert_eq!(bound.output_tokens, 907);
    }

    #[test]
    fn a_limit_of_nought_is_no_limit() {
        let left = Left { money: Some(NanoUsd(1_000_000)), ..Left::default() };
        let body = format!(r#"{{{TEXT},"max_tokens":0}}"#);
        let bound = of(Surface::OpenAiChat, &body, &facts(), left);
        assert_eq!((bound.output_tokens, bound.clamp), (16_384, None));
    }

    #[test]
    fn the_fair_share_leaves_room_to_think() {
        let facts = Facts::of(provider("anthropic").unwrap(), "claude-sonnet-4-5", None);
        let left = Left { money: Some(NanoUsd(50_000_000)), ..Left::default() };
        let body = format!(r#"{{{TEXT},"thinking":{{"type":"enabled","budget_tokens":9000}}}}"#);
        let bound = of(Surface::AnthropicMessages, &body, &facts, left);
        assert_eq!(bound.clamp, Some(9256));
        assert!(worst_case(&facts.prices.unwrap(), &bound) > NanoUsd(50_000_000));
    }

    #[test]
    fn a_rate_of_tokens_holds_what_the_answer_may_use_and_cuts_nothing_short() {
        let left = Left { tokens: Some(2000), ..Left::default() };
        let open = format!("{{{TEXT}}}");
        let bound = of(Surface::OpenAiChat, &open, &facts(), left);
        let input = estimated_tokens(open.len() as u64);
        assert_eq!((bound.clamp, bound.output_tokens), (None, 16_384));
        assert_eq!(bound.rate_tokens, 2000);
        let much = of(Surface::OpenAiChat, &open, &facts(), Left { tokens: Some(1 << 20), ..left });
        assert_eq!(much.rate_tokens, input + 16_384);
        let stated = format!(r#"{{{TEXT},"max_tokens":1900}}"#);
        let bound = of(Surface::OpenAiChat, &stated, &facts(), left);
        assert_eq!(bound.rate_tokens, estimated_tokens(stated.len() as u64) + 1900);
    }

    #[test]
    fn input_that_the_bytes_do_not_show_holds_all_that_is_left_of_a_rate() {
        let left = Left { tokens: Some(10_000), ..Left::default() };
        let linked = r#"{"max_tokens":10,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.test/b.png"}}]}]}"#;
        let bound = of(Surface::OpenAiChat, linked, &facts(), left);
        assert_eq!(bound.rate_tokens, 10_000);
        let few = Left { tokens: Some(20), ..Left::default() };
        let bound = of(Surface::OpenAiChat, linked, &facts(), few);
        assert_eq!(bound.rate_tokens, estimated_tokens(linked.len() as u64) + 10);
    }

    /// Claude Code asks for 32,000 tokens and uses few of them.
    #[test]
    fn a_clients_limit_is_lowered_to_what_the_money_buys_but_not_below_the_floor() {
        let facts = Facts::of(provider("anthropic").unwrap(), "claude-sonnet-4-5", None);
        let body = |more: &str| format!(r#"{{{TEXT},"max_tokens":32000{more}}}"#);
        let bound = |more: &str, nanousd| {
            let left = Left { money: Some(NanoUsd(nanousd)), ..Left::default() };
            of(Surface::AnthropicMessages, &body(more), &facts, left)
        };
        let enough = bound("", 10_000_000_000);
        assert_eq!((enough.clamp, enough.output_tokens), (None, 32_000));
        let dollar = bound("", 400_000_000);
        let lowered = dollar.clamp.unwrap();
        assert!((4_096..32_000).contains(&lowered), "{lowered}");
        let cost = worst_case(facts.prices.as_ref().unwrap(), &dollar);
        assert!(cost <= NanoUsd(400_000_000) && cost >= NanoUsd(250_000_000), "{cost}");
        assert_eq!(bound("", 1_000).clamp, Some(4_096), "which the reservation refuses");
        let thinking = r#","thinking":{"type":"enabled","budget_tokens":9000}"#;
        assert_eq!(bound(thinking, 1_000).clamp, Some(9_000 + 1_024));
        let small = format!(r#"{{{TEXT},"max_tokens":3000}}"#);
        let left = Left { money: Some(NanoUsd(1_000)), ..Left::default() };
        let small = of(Surface::AnthropicMessages, &small, &facts, left);
        assert_eq!(small.clamp, None, "below the floor already");
    }

    #[test]
    fn the_models_own_limits_bound_what_is_believed() {
        let body = format!(r#"{{{TEXT},"max_tokens":7,"n":3}}"#);
        let bound = chat(&body);
        assert_eq!((bound.most_input_tokens, bound.most_output_tokens), (128_000, 3 * 16_384));
    }

    #[test]
    fn turns_that_the_provider_takes_read_the_input_again() {
        let facts = Facts::of(provider("anthropic").unwrap(), "claude-sonnet-4-5", None);
        let window = facts.max_input_tokens.unwrap();
        let body = format!(
            r#"{{{TEXT},"max_tokens":9,"tools":[{{"type":"web_search_20250305","name":"web_search","max_uses":2}}]}}"#
        );
        let bound = of(Surface::AnthropicMessages, &body, &facts, Left::default());
        assert_eq!((bound.input_tokens, bound.searches), (3 * window, 2));
        assert!(bound.rereads);
        let prices = facts.prices.unwrap();
        let searches = catalog::worst_case_searches(&prices, 2);
        assert!(searches > NanoUsd::ZERO);
        let without = worst_case(&prices, &Bound { searches: 0, ..bound });
        assert_eq!(worst_case(&prices, &bound), without.saturating_add(searches));
    }

    #[test]
    fn a_tool_without_a_limit_is_refused_by_name() {
        let bound = chat(&format!(r#"{{{TEXT},"tools":[{{"google_search":{{}}}}]}}"#));
        assert_eq!(bound.refused, Some("tools"));
    }

    #[test]
    fn a_schema_may_become_a_tool() {
        let plain = format!(r"{{{TEXT}}}");
        let formed = format!(r#"{{{TEXT},"response_format":{{"type":"json_schema"}}}}"#);
        let more = (formed.len() - plain.len()) as u64;
        assert_eq!(
            chat(&formed).input_tokens,
            chat(&plain).input_tokens + more + TOOL_PROMPT_TOKENS
        );
    }
}
