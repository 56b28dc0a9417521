//! The keys of a request that change what it costs, and what each means for a
//! cap on money: one closed table.
//!
//! A key is bounded by what is reserved anyway, or adds to what is reserved,
//! or is refused under a cap, by name. What no table knows is taken for the
//! most that the model can do. Sources: the providers' references, July 2026.

use catalog::{Region, SearchContext, Terms, Tier};
use dialect::head::cost::ROUNDS_MAX;
use dialect::head::{Head, keys::Role};

/// What a key means for a cap on money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The dearest tier and place, over the bounds on tokens, hold it.
    Bounded,
    /// The same, unless its value holds this word.
    BoundedWithout(&'static str),
    /// It brings input that is not in the body: the window is the bound.
    Window,
    /// The provider takes turns by itself, each of which reads the input again.
    Rounds,
    /// One web search, at a price of its own.
    Search,
    /// Paid as output beside the limit, a token a byte at most.
    Beside,
    /// It chooses among places with other prices. A client may not; where the
    /// deployment says it, its prices are taken to be those of the place.
    Place,
    /// A bag of any keys: as a key that nobody knows.
    Unknown,
    /// Billed by what no answer reports, or without a limit.
    Refused,
}

/// By name. A test holds it against the surfaces' tables.
const RULES: [(&str, Rule); 31] = [
    ("anthropic_beta", Rule::Bounded),
    ("audio", Rule::Bounded),
    // The answer comes later, and its usage with it.
    ("background", Rule::Refused),
    ("cache_control", Rule::Bounded),
    ("cached_content", Rule::Window),
    // Billed by the hour.
    ("container", Rule::Refused),
    // Compaction is a generation of its own.
    ("context_management", Rule::BoundedWithout("compact")),
    ("deferred", Rule::Refused),
    // A fee for each search, in no answer.
    ("enable_search", Rule::Refused),
    ("extra_body", Rule::Unknown),
    ("inference_geo", Rule::Bounded),
    ("mcp_servers", Rule::Rounds),
    ("modalities", Rule::BoundedWithout("image")),
    // Other models, at other prices.
    ("models", Rule::Refused),
    ("plugins", Rule::Refused),
    // Rejected predictions are paid as output.
    ("prediction", Rule::Beside),
    ("previous_response_id", Rule::Window),
    ("prompt_cache_options", Rule::Bounded),
    ("prompt_cache_retention", Rule::Bounded),
    ("provider", Rule::Place),
    ("route", Rule::Place),
    ("search_domain_filter", Rule::Search),
    ("search_mode", Rule::Search),
    // A fee for each source.
    ("search_parameters", Rule::Refused),
    ("search_recency_filter", Rule::Search),
    ("search_settings", Rule::Refused),
    ("service_tier", Rule::Bounded),
    ("speed", Rule::Bounded),
    ("thinking", Rule::Bounded),
    // Judged by its entries: `CostSignals::server_tools`.
    ("tools", Rule::Bounded),
    ("web_search_options", Rule::Search),
];

fn rule(name: &str) -> Rule {
    RULES.iter().find(|(known, _)| *known == name).map_or(Rule::Unknown, |(_, rule)| *rule)
}

/// What the price keys of one request add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Bytes do not bound the input.
    pub window: bool,
    /// Nobody can say what it does: the model's limits are the bound.
    pub unknown: bool,
    /// Turns that the provider takes by itself.
    pub rounds: u64,
    /// Web searches.
    pub searches: u64,
    /// Output tokens beside the limit, for each choice.
    pub beside_tokens: u64,
    /// The key that asks for them.
    pub search_key: Option<&'static str>,
    /// The key that no cap can hold.
    pub refused: Option<&'static str>,
}

/// Reads the price keys of what is sent; `client` is what the client sent.
pub fn added(sent: &Head, body: &[u8], client: &Head) -> Added {
    let mut added = Added { unknown: sent.has_unknown(), ..Added::default() };
    for name in sent.keys(Role::Price) {
        let Some(raw) = sent.raw(body, name).filter(|raw| *raw != b"false") else { continue };
        match rule(name) {
            Rule::Bounded => {}
            Rule::BoundedWithout(word) => {
                if holds(raw, word) {
                    added.refused = Some(name);
                }
            }
            Rule::Window => added.window = true,
            Rule::Rounds => added.rounds = ROUNDS_MAX,
            Rule::Search => {
                (added.window, added.searches, added.search_key) = (true, 1, Some(name));
            }
            Rule::Beside => added.beside_tokens += raw.len() as u64,
            Rule::Place if client.has(name) => added.refused = Some(name),
            Rule::Place | Rule::Unknown => added.unknown = true,
            Rule::Refused => added.refused = Some(name),
        }
    }
    // Qwen thinks beside the limit, as long as it likes where it has no budget.
    match sent.raw(body, "thinking_budget").map(number) {
        Some(Some(budget)) => added.beside_tokens = added.beside_tokens.saturating_add(budget),
        Some(None) => added.unknown = true,
        None => added.unknown |= sent.raw(body, "enable_thinking") == Some(b"true"),
    }
    added
}

/// Whether JSON text may hold a word: also where escapes may hide it.
fn holds(raw: &[u8], word: &str) -> bool {
    raw.contains(&b'\\') || memchr::memmem::find(raw, word.as_bytes()).is_some()
}

fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

/// The models that the provider may choose from instead of `model`; `None`
/// where that cannot be read.
pub fn other_models(head: &Head, body: &[u8]) -> Option<Vec<String>> {
    match head.raw(body, "models") {
        Some(raw) => serde_json::from_slice(raw).ok(),
        None => Some(Vec::new()),
    }
}

/// What was asked for, as far as it changes the price of what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    tier: Tier,
    /// `Fast`, or `Dearest` for what nobody knows.
    speed: Option<Tier>,
    region: Option<Region>,
    search_context: SearchContext,
}

impl Asked {
    /// Reads what is sent.
    pub fn of(sent: &Head, body: &[u8]) -> Self {
        let text = |name| sent.raw(body, name);
        Self {
            tier: sent.service_tier().map_or(Tier::Standard, tier),
            speed: match text("speed") {
                None | Some(b"\"standard\"") => None,
                Some(b"\"fast\"") => Some(Tier::Fast),
                Some(_) => Some(Tier::Dearest),
            },
            region: match text("inference_geo") {
                None | Some(b"\"global\"") => Some(Region::Global),
                Some(b"\"us\"") => Some(Region::Us),
                Some(_) => None,
            },
            search_context: text("web_search_options")
                .map_or(SearchContext::Medium, search_context),
        }
    }

    /// Whether a tier was asked for and nobody says that it was served. It may
    /// make a call dearer, and never cheaper: a provider that does not know the
    /// word charges as ever.
    pub fn is_unconfirmed(self, served: Option<Tier>) -> bool {
        served.is_none() && self.tier != Tier::Standard
    }

    /// With the tier that the provider says it served.
    pub fn terms(self, served: Option<Tier>) -> Terms {
        let tier = match (self.speed, served.unwrap_or(self.tier)) {
            (None, tier) => tier,
            (Some(Tier::Fast), Tier::Standard) => Tier::Fast,
            (Some(_), _) => Tier::Dearest,
        };
        match self.region {
            Some(region) => Terms { region, search_context: self.search_context, ..tier.into() },
            None => Tier::Dearest.into(),
        }
    }
}

/// How much is searched. What cannot be read is what is dearest.
fn search_context(raw: &[u8]) -> SearchContext {
    #[derive(serde::Deserialize)]
    struct Options {
        search_context_size: Option<String>,
    }
    match serde_json::from_slice::<Options>(raw).map(|options| options.search_context_size) {
        Ok(size) => match size.as_deref() {
            Some("low") => SearchContext::Low,
            None | Some("medium") => SearchContext::Medium,
            Some(_) => SearchContext::High,
        },
        Err(_) => SearchContext::High,
    }
}

/// A tier by the name that requests and answers have for it; the dearest for
/// a name that nobody knows.
pub fn tier(name: &str) -> Tier {
    match name {
        "auto" | "default" | "standard" | "standard_only" | "on_demand" | "scale" => Tier::Standard,
        "batch" => Tier::Batch,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        "balanced" => Tier::Balanced,
        "ultrafast" => Tier::Ultrafast,
        "decisions" => Tier::Decisions,
        "fast" => Tier::Fast,
        _ => Tier::Dearest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialect::Surface;
    use dialect::head::keys;

    const SURFACES: [Surface; 4] = [
        Surface::OpenAiChat,
        Surface::OpenAiCompletions,
        Surface::OpenAiEmbeddings,
        Surface::AnthropicMessages,
    ];

    #[test]
    fn every_price_key_has_a_rule() {
        for surface in SURFACES {
            for key in keys::table(surface).iter().filter(|key| key.role == Role::Price) {
                assert!(RULES.iter().any(|(name, _)| *name == key.name), "{}", key.name);
            }
        }
        for (name, _) in RULES {
            let known = |surface| keys::table(surface).iter().any(|key| key.name == name);
            assert!(SURFACES.into_iter().any(known), "{name}");
        }
    }

    fn of(surface: Surface, body: &str) -> Added {
        let head = Head::scan(body.as_bytes(), surface).unwrap();
        added(&head, body.as_bytes(), &head)
    }

    #[test]
    fn what_no_cap_can_hold_is_named() {
        for (body, key) in [
            (r#"{"models":["a/b"]}"#, "models"),
            (r#"{"plugins":[{"id":"web"}]}"#, "plugins"),
            (r#"{"search_parameters":{"mode":"on"}}"#, "search_parameters"),
            (r#"{"deferred":true}"#, "deferred"),
            (r#"{"background":true}"#, "background"),
            (r#"{"provider":{"order":["dear"]}}"#, "provider"),
            (r#"{"modalities":["text","image"]}"#, "modalities"),
            (r#"{"modalities":["text","\u0069mage"]}"#, "modalities"),
        ] {
            assert_eq!(of(Surface::OpenAiChat, body).refused, Some(key), "{body}");
        }
        let body = r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#;
        assert_eq!(of(Surface::AnthropicMessages, body).refused, Some("context_management"));
        for body in [r#"{"deferred":false,"plugins":null}"#, r#"{"modalities":["audio"]}"#] {
            assert_eq!(of(Surface::OpenAiChat, body), Added::default(), "{body}");
        }
    }

    #[test]
    fn a_place_that_the_deployment_chose_is_not_refused() {
        let client = Head::scan(b"{}", Surface::OpenAiChat).unwrap();
        let sent = br#"{"provider":{"order":["x"]}}"#;
        let head = Head::scan(sent, Surface::OpenAiChat).unwrap();
        let added = added(&head, sent, &client);
        assert_eq!((added.refused, added.unknown), (None, true));
    }

    #[test]
    fn what_can_be_held_is_added() {
        let search = of(Surface::OpenAiChat, r#"{"web_search_options":{}}"#);
        assert_eq!((search.window, search.searches), (true, 1));
        let prediction = of(Surface::OpenAiChat, r#"{"prediction":"12345678"}"#);
        assert_eq!(prediction.beside_tokens, 10);
        assert_eq!(of(Surface::OpenAiChat, r#"{"thinking_budget":99}"#).beside_tokens, 99);
        assert!(of(Surface::OpenAiChat, r#"{"enable_thinking":true}"#).unknown);
        assert!(of(Surface::OpenAiChat, r#"{"max_new_tokens":9}"#).unknown);
        assert_eq!(of(Surface::AnthropicMessages, r#"{"mcp_servers":[]}"#).rounds, ROUNDS_MAX);
    }

    #[test]
    fn terms_come_from_the_answer_first_then_from_what_was_sent() {
        let asked = |surface, body: &str| {
            Asked::of(&Head::scan(body.as_bytes(), surface).unwrap(), body.as_bytes())
        };
        let chat = |body| asked(Surface::OpenAiChat, body);
        assert_eq!(chat("{}").terms(None).tier, Tier::Standard);
        assert_eq!(chat(r#"{"service_tier":"flex"}"#).terms(None).tier, Tier::Flex);
        assert_eq!(chat(r#"{"service_tier":"ultrafast"}"#).terms(None).tier, Tier::Ultrafast);
        assert_eq!(chat(r#"{"service_tier":"new"}"#).terms(None).tier, Tier::Dearest);
        assert_eq!(chat("{}").terms(Some(tier("priority"))).tier, Tier::Priority);
        let messages = |body| asked(Surface::AnthropicMessages, body);
        let fast = messages(r#"{"speed":"fast"}"#);
        assert_eq!(fast.terms(None).tier, Tier::Fast);
        assert_eq!(fast.terms(Some(tier("standard"))).tier, Tier::Fast);
        assert_eq!(fast.terms(Some(tier("priority"))).tier, Tier::Dearest);
        assert_eq!(messages(r#"{"inference_geo":"us"}"#).terms(None).region, Region::Us);
        assert_eq!(messages(r#"{"inference_geo":"moon"}"#).terms(None).tier, Tier::Dearest);
    }

    #[test]
    fn other_models_are_read_or_refused() {
        let of = |body: &str| {
            let head = Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap();
            other_models(&head, body.as_bytes())
        };
        assert_eq!(of("{}"), Some(Vec::new()));
        assert_eq!(of(r#"{"models":["a"]}"#), Some(vec!["a".to_owned()]));
        assert_eq!(of(r#"{"models":[{"model":"a"}]}"#), None);
    }
}
