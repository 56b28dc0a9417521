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
use dialect::embeddings::entries_max;
use dialect::head::cost::ROUNDS_MAX;
use dialect::head::{Head, ServerTools, Surface};

/// What providers put around tool definitions (Anthropic states 313 to 804
/// tokens by model and tool choice, July 2026).
const TOOL_PROMPT_TOKENS: u64 = 1024;

/// The window to assume where the catalogue knows none, and for those who ask
/// for a longer one than it knows.
const UNKNOWN_WINDOW_TOKENS: u64 = 1_048_576;

/// The output limit to assume where the catalogue knows none.
const UNKNOWN_OUTPUT_TOKENS: u64 = 131_072;

/// A clamped output limit is never below this, nor leaves less than this
/// after thinking.
const OUTPUT_FLOOR_TOKENS: u64 = 256;

/// A caller without an output limit gets at most this share of what is left.
const FAIR_SHARE: u64 = 4;

/// What an attempt may consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens at most, over all turns.
    pub input_tokens: u64,
    /// Output tokens at most, over all choices.
    pub output_tokens: u64,
    /// Output tokens to hold under a rate of tokens, which is counted when
    /// they are known: no answer is cut short for it.
    pub rate_output_tokens: u64,
    /// Web searches at most.
    pub searches: u64,
    /// The key that asks for them.
    pub search_key: Option<&'static str>,
    /// The output limit to send upstream, where the client's will not do.
    pub clamp: Option<u64>,
    /// The input is not text alone.
    pub media: bool,
    /// The provider may read the input more than once.
    pub rereads: bool,
    /// The key whose cost nobody can bound: refused under a cap on money.
    pub refused: Option<&'static str>,
}

/// What is left under a caller's caps; none where there is no cap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    /// Of money.
    pub money: Option<NanoUsd>,
    /// Of tokens a minute.
    pub tokens: Option<u64>,
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
/// A limit that the client or the deployment gave stands. Without one, the
/// model's limit, or a fair share of the money that is left where that is less;
/// then `clamp` says so.
pub fn bound(sent: &Sent<'_>, facts: &Facts, left: Left) -> Bound {
    let bound = worst(sent, facts, left.money);
    Bound { rate_output_tokens: rate_output(sent, bound.output_tokens, left.tokens), ..bound }
}

/// What is held of a rate where nobody gave a limit: a fair share.
fn rate_output(sent: &Sent<'_>, output_tokens: u64, left: Option<u64>) -> u64 {
    let limited = sent.head.max_output_tokens().is_some();
    let limited = limited && !sent.limit_is_ours && !says_nought(sent);
    let guess = estimated_tokens(sent.body.len() as u64);
    match left {
        Some(left) if !limited => output_tokens.min(left.saturating_sub(guess) / FAIR_SHARE),
        _ => output_tokens,
    }
}

fn worst(sent: &Sent<'_>, facts: &Facts, left: Option<NanoUsd>) -> Bound {
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
    if let Some(stated) = stated.filter(|_| !sent.limit_is_ours) {
        return Bound { output_tokens: over_choices(stated.max(thinking)), ..input };
    }
    let model_limit = stated.unwrap_or(model_limit).max(thinking);
    // Less than the budget to think would be refused by the provider.
    let floor = OUTPUT_FLOOR_TOKENS.max(match thinking {
        0 => 0,
        budget => budget.saturating_add(OUTPUT_FLOOR_TOKENS),
    });
    let affordable = left
        .zip(facts.prices.as_ref())
        .map(|(left, prices)| affordable_output(prices, &input, left))
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
    let input_tokens = if by_bytes && added.rounds == 0 {
        let formed = ["response_format", "output_format", "output_config"]
            .into_iter()
            .any(|name| sent.head.raw(sent.body, name).is_some());
        let prompts = u64::from(signals.tools) + u64::from(formed);
        bytes.saturating_add(prompts * TOOL_PROMPT_TOKENS)
    } else {
        let known = facts.max_input_tokens.unwrap_or(UNKNOWN_WINDOW_TOKENS);
        let window = if sent.long_context { known.max(UNKNOWN_WINDOW_TOKENS) } else { known };
        let once = window.saturating_mul(items(sent)).max(bytes);
        once.saturating_mul(added.rounds.min(ROUNDS_MAX) + 1)
    };
    Bound {
        input_tokens,
        searches: added.searches,
        search_key: added.search_key,
        media: !signals.bytes_bound_input,
        rereads: added.rounds > 0,
        refused: added.refused,
        ..Bound::default()
    }
}

/// Texts of a batch: each has a window and an answer of its own.
fn items(sent: &Sent<'_>) -> u64 {
    let name = match sent.head.surface() {
        Surface::OpenAiCompletions => "prompt",
        Surface::OpenAiEmbeddings => "input",
        _ => return 1,
    };
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
    !matches!(surface, Surface::OpenAiEmbeddings | Surface::AnthropicCountTokens)
}

/// Whether providers take nothing for it.
pub fn is_free(surface: Surface) -> bool {
    surface == Surface::AnthropicCountTokens
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
        let left = Left { money: Some(NanoUsd(1_000_000)), tokens: None };
        let body = format!(r#"{{{TEXT},"max_tokens":0}}"#);
        let bound = of(Surface::OpenAiChat, &body, &facts(), left);
        assert_eq!((bound.output_tokens, bound.clamp), (16_384, None));
    }

    #[test]
    fn the_fair_share_leaves_room_to_think() {
        let facts = Facts::of(provider("anthropic").unwrap(), "claude-sonnet-4-5", None);
        let left = Left { money: Some(NanoUsd(50_000_000)), tokens: None };
        let body = format!(r#"{{{TEXT},"thinking":{{"type":"enabled","budget_tokens":9000}}}}"#);
        let bound = of(Surface::AnthropicMessages, &body, &facts, left);
        assert_eq!(bound.clamp, Some(9256));
        assert!(worst_case(&facts.prices.unwrap(), &bound) > NanoUsd(50_000_000));
    }

    #[test]
    fn a_rate_of_tokens_holds_a_share_and_cuts_nothing_short() {
        let left = Left { money: None, tokens: Some(2000) };
        let open = format!("{{{TEXT}}}");
        let bound = of(Surface::OpenAiChat, &open, &facts(), left);
        let share = (2000 - estimated_tokens(open.len() as u64)) / FAIR_SHARE;
        assert_eq!((bound.clamp, bound.output_tokens), (None, 16_384));
        assert_eq!(bound.rate_output_tokens, share);
        let stated = format!(r#"{{{TEXT},"max_tokens":1900}}"#);
        let bound = of(Surface::OpenAiChat, &stated, &facts(), left);
        assert_eq!(bound.rate_output_tokens, 1900);
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
