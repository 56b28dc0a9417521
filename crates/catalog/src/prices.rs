//! What one call's units cost: exact decimals by unit, input size and tier.
//!
//! The names of price fields are those that people write in a deployment's
//! configuration and that the price data uses. A name is read as
//! `UNIT[_above_Nk_tokens][_TIER]`: `input_cost_per_token`,
//! `cache_read_input_token_cost_above_272k_tokens_priority`. Prices that no
//! token count can be multiplied with (per image, second, character, …) are
//! kept apart by name; see [`Prices::uncounted`]. Nothing here is a float, and
//! an absent price is never nought.

use crate::off_peak::OffPeak;
use base::Decimal;

/// The service tier that a call was served at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The ordinary one. A tier without a price of its own falls back to it.
    Standard,
    /// Batch API.
    Batch,
    /// `service_tier: flex`.
    Flex,
    /// `service_tier: priority`.
    Priority,
    /// Sail's `balanced`.
    Balanced,
    /// OpenAI's `ultrafast`.
    Ultrafast,
    /// OpenAI's `decisions`.
    Decisions,
    /// Anthropic's `speed: fast`: the standard prices times a factor.
    Fast,
    /// Whatever is dearest, unit by unit: for what can't be known beforehand.
    Dearest,
}

const SUFFIXES: [(&str, Tier); 6] = [
    ("_batches", Tier::Batch),
    ("_flex", Tier::Flex),
    ("_priority", Tier::Priority),
    ("_balanced", Tier::Balanced),
    ("_ultrafast", Tier::Ultrafast),
    ("_decisions", Tier::Decisions),
];

/// The tiers that prices are listed by.
const LISTED: [Tier; 7] = [
    Tier::Standard,
    Tier::Batch,
    Tier::Flex,
    Tier::Priority,
    Tier::Balanced,
    Tier::Ultrafast,
    Tier::Decisions,
];

/// Where a provider processed a call, as far as it changes the price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    /// No region asked for.
    #[default]
    Global,
    /// `us` (OpenAI data residency, Anthropic `inference_geo`).
    Us,
    /// `eu` (OpenAI data residency).
    Eu,
    /// A regional endpoint of Vertex AI.
    Regional,
}

/// How much context a web search was asked to bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchContext {
    /// `search_context_size: low`.
    Low,
    /// The default of those who have the setting.
    #[default]
    Medium,
    /// `search_context_size: high`.
    High,
}

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// One input token.
    Input,
    /// One input token read from the cache.
    CacheRead,
    /// One input token written to the cache, for five minutes or the only lifetime.
    CacheWrite5m,
    /// One input token written to the cache for an hour.
    CacheWrite1h,
    /// One input token written to the cache for twelve hours.
    CacheWrite12h,
    /// One input token of audio.
    InputAudio,
    /// One output token.
    Output,
    /// One output token of reasoning.
    Reasoning,
    /// One output token of audio.
    OutputAudio,
    /// The call as such.
    Request,
    /// One search or query.
    Query,
    /// One web search with little context.
    SearchLow,
    /// One web search with the usual context.
    SearchMedium,
    /// One web search with much context.
    SearchHigh,
}

const UNITS: [(&str, Unit); 18] = [
    ("input_cost_per_token", Unit::Input),
    ("output_cost_per_token", Unit::Output),
    ("cache_read_input_token_cost", Unit::CacheRead),
    ("cache_creation_input_token_cost", Unit::CacheWrite5m),
    ("cache_creation_input_token_cost_above_1hr", Unit::CacheWrite1h),
    ("cache_creation_input_token_cost_above_12hr", Unit::CacheWrite12h),
    ("input_cost_per_audio_token", Unit::InputAudio),
    ("output_cost_per_audio_token", Unit::OutputAudio),
    ("output_cost_per_reasoning_token", Unit::Reasoning),
    ("input_cost_per_request", Unit::Request),
    ("input_cost_per_query", Unit::Query),
    ("search_context_low", Unit::SearchLow),
    ("search_context_medium", Unit::SearchMedium),
    ("search_context_high", Unit::SearchHigh),
    ("search_context_cost_per_query.search_context_size_low", Unit::SearchLow),
    ("search_context_cost_per_query.search_context_size_medium", Unit::SearchMedium),
    ("search_context_cost_per_query.search_context_size_high", Unit::SearchHigh),
    // DeepSeek's name for a cache read; it always stands beside the usual one.
    ("input_cost_per_token_cache_hit", Unit::CacheRead),
];

/// The unit of a price name without size and tier.
pub(crate) fn unit_of(name: &str) -> Option<Unit> {
    UNITS.into_iter().find(|(unit, _)| *unit == name).map(|(_, unit)| unit)
}

/// Prices of what the neutral usage does not count.
const UNCOUNTED: [&str; 38] = [
    "annotation_cost_per_page",
    "cache_creation_input_audio_token_cost",
    "cache_read_input_audio_token_cost",
    "cache_read_input_image_token_cost",
    "citation_cost_per_token",
    "code_interpreter_cost_per_session",
    "computer_use_input_cost_per_1k_tokens",
    "computer_use_output_cost_per_1k_tokens",
    "cost_per_second",
    "explicit_cache_read_input_token_cost",
    "file_search_cost_per_1k_calls",
    "file_search_cost_per_gb_per_day",
    "google_maps_grounding_cost_per_query",
    "guardrail_cost_per_unit",
    "input_cost_per_audio_per_second",
    "input_cost_per_character",
    "input_cost_per_image",
    "input_cost_per_image_token",
    "input_cost_per_pixel",
    "input_cost_per_second",
    "input_cost_per_text_message",
    "input_cost_per_video_per_second",
    "input_cost_per_video_token",
    "input_dbu_cost_per_token",
    "ocr_cost_per_credit",
    "ocr_cost_per_page",
    "off_peak",
    "output_cost_per_character",
    "output_cost_per_image",
    "output_cost_per_image_token",
    "output_cost_per_pixel",
    "output_cost_per_second",
    "output_cost_per_video_per_second",
    "output_cost_per_video_token",
    "output_dbu_cost_per_token",
    "vector_store_cost_per_gb_per_day",
    // Here a length of video is a part of the name.
    "input_cost_per_video_per_second_above_15s_interval",
    "input_cost_per_video_per_second_above_8s_interval",
];

/// Why prices can't be taken from a deployment's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// No price has this name.
    #[error("`{0}` is not the name of a price")]
    Unknown(String),
    /// A price below nought.
    #[error("`{0}` must not be negative")]
    Negative(String),
    /// A factor that is no sensible one.
    #[error("`{0}` must be a factor from 0 to 1000 with at most 6 digits after the point")]
    Factor(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    unit: Unit,
    /// Holds for calls with more input tokens than this; 0 for all.
    above_tokens: u64,
    tier: Tier,
    price: Decimal,
}

/// The prices of one model or deployment, in US dollars a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// By unit, then the largest size first.
    entries: Vec<Entry>,
    factors: Factors,
    off_peak: OffPeak,
    uncounted: Vec<String>,
}

/// What token prices are multiplied with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Factors {
    us: Option<Decimal>,
    eu: Option<Decimal>,
    regional: Option<Decimal>,
    fast: Option<Decimal>,
}

impl Prices {
    /// Prices from a deployment's own settings, any of the fields of the price
    /// data by its name. Nested fields are written flat:
    /// `search_context_cost_per_query.search_context_size_low`, and
    /// `input_cost_per_token@32000-128000` for one range of a `tiered_pricing`
    /// list. The result holds these prices only, nothing of the catalogue's.
    pub fn from_overrides<'a>(
        fields: impl IntoIterator<Item = (&'a str, Decimal)>,
    ) -> Result<Self, PriceError> {
        let mut prices = Self::default();
        for (name, price) in fields {
            prices.set(name, price)?;
        }
        prices.sort();
        Ok(prices)
    }

    /// Prices from the catalogue's own spelling; what does not parse is left
    /// out, and a test over the whole catalogue says that there is none such.
    pub(crate) fn from_catalog<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut prices = Self::default();
        for (name, text) in fields {
            if let Some(name) = name.strip_prefix("off_peak.") {
                // What it can't read charges the ordinary price; see the test.
                prices.off_peak.set(name, text).unwrap_or_default();
            } else if let Ok(price) = text.parse::<Decimal>() {
                // An unknown name can't come from our own data: see the test.
                prices.set(name, price).unwrap_or_default();
            }
        }
        prices.sort();
        prices
    }

    /// These prices before `listed`: a unit that has a price here has no other,
    /// and what is not said here is as listed, so that one price of one's own
    /// leaves none of the others free.
    #[must_use]
    pub fn over(&self, listed: &Self) -> Self {
        let own = |unit| self.entries.iter().any(|entry| entry.unit == unit);
        let mut prices = self.clone();
        prices.entries.extend(listed.entries.iter().filter(|entry| !own(entry.unit)));
        prices.sort();
        prices.factors = self.factors.or(listed.factors);
        for name in &listed.uncounted {
            prices.note_uncounted(name);
        }
        prices
    }

    fn set(&mut self, name: &str, price: Decimal) -> Result<(), PriceError> {
        if price.mantissa() < 0 {
            return Err(PriceError::Negative(name.to_owned()));
        }
        if let Some(slot) = self.factors.slot(name) {
            let sensible =
                price.scale() <= 6 && price.at_scale(6).is_some_and(|m| m <= 1_000_000_000);
            if !sensible {
                return Err(PriceError::Factor(name.to_owned()));
            }
            *slot = Some(price);
            return Ok(());
        }
        match Field::parse(name).ok_or_else(|| PriceError::Unknown(name.to_owned()))? {
            Field::Counted { unit, above_tokens, tier } => {
                let same =
                    |e: &&mut Entry| (e.unit, e.above_tokens, e.tier) == (unit, above_tokens, tier);
                match self.entries.iter_mut().find(same) {
                    // The alias never overwrites the usual name.
                    Some(_) if name.ends_with("_cache_hit") => {}
                    Some(entry) => entry.price = price,
                    None => self.entries.push(Entry { unit, above_tokens, tier, price }),
                }
            }
            Field::Uncounted => self.note_uncounted(name),
        }
        Ok(())
    }

    fn note_uncounted(&mut self, name: &str) {
        if !self.uncounted.iter().any(|noted| noted == name) {
            self.uncounted.push(name.to_owned());
        }
    }

    fn sort(&mut self) {
        self.entries.sort_by(|a, b| {
            (a.unit, b.above_tokens, a.tier).cmp(&(b.unit, a.above_tokens, b.tier))
        });
    }

    /// Whether input tokens, calls or queries have a price. An absent price is
    /// not nought: what is not priced is refused or charged by a stated ceiling.
    pub fn is_priced(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.unit, Unit::Input | Unit::Request | Unit::Query))
    }

    /// Whether output tokens have a price; embeddings and rerank models have none.
    pub fn prices_output(&self) -> bool {
        self.entries.iter().any(|entry| entry.unit == Unit::Output)
    }

    /// The names of prices that [`cost`](crate::cost) can't count, because usage
    /// holds no such unit: per image, second, character, …
    pub fn uncounted(&self) -> &[String] {
        &self.uncounted
    }

    /// The name of a price that such a call has to pay and that nothing counts:
    /// by the second, by citation, for pictures and videos that come back, and
    /// with `media` in its input for those too. Other uncounted prices are
    /// other ways to state a price that is counted, or of tools that are
    /// judged by themselves.
    pub fn missed(&self, media: bool) -> Option<&str> {
        const ALWAYS: [&str; 6] = [
            "citation_cost_per_token",
            "cost_per_second",
            "input_cost_per_second",
            "output_cost_per_second",
            "output_cost_per_image",
            "output_cost_per_video",
        ];
        const MEDIA: [&str; 4] = [
            "input_cost_per_audio_per_second",
            "input_cost_per_image",
            "input_cost_per_pixel",
            "input_cost_per_video",
        ];
        let of_media: &[&str] = if media { &MEDIA } else { &[] };
        let missed =
            |name: &&String| ALWAYS.iter().chain(of_media).any(|missed| name.starts_with(missed));
        self.uncounted.iter().find(missed).map(String::as_str)
    }

    /// The listed price of a unit for a call with `input_tokens`, US dollars.
    /// The largest size that the call exceeds comes first, then the tier's own
    /// price before the standard one, then the next smaller size. No unit falls
    /// back to another here. Under [`Tier::Dearest`] the greatest of all tiers.
    pub fn price(&self, unit: Unit, tier: Tier, input_tokens: u64) -> Option<Decimal> {
        match tier {
            Tier::Dearest => LISTED
                .into_iter()
                .filter_map(|tier| self.listed(unit, tier, input_tokens))
                .max_by_key(|price| scaled(*price)),
            Tier::Fast => self.listed(unit, Tier::Standard, input_tokens),
            tier => self.listed(unit, tier, input_tokens),
        }
    }

    /// The greatest of these units' prices in any call of up to `input_tokens`, at 24
    /// digits after the point; 0 if none has a price. Under [`Tier::Dearest`] this is
    /// one pass over the entries: each of them is the price of some such call.
    pub(crate) fn dearest(&self, units: &[Unit], tier: Tier, input_tokens: u64) -> i128 {
        let price = if tier == Tier::Dearest {
            let holds = |entry: &&Entry| {
                units.contains(&entry.unit)
                    && (entry.above_tokens == 0 || input_tokens > entry.above_tokens)
            };
            self.entries.iter().filter(holds).map(|entry| scaled(entry.price)).max()
        } else {
            let at = |size| units.iter().filter_map(move |unit| self.price(*unit, tier, size));
            self.sizes(input_tokens).flat_map(at).map(scaled).max()
        };
        price.unwrap_or(0)
    }

    fn listed(&self, unit: Unit, tier: Tier, input_tokens: u64) -> Option<Decimal> {
        let mut standard: Option<&Entry> = None;
        for entry in self.entries.iter().filter(|entry| {
            entry.unit == unit && (entry.above_tokens == 0 || input_tokens > entry.above_tokens)
        }) {
            if standard.is_some_and(|found| entry.above_tokens < found.above_tokens) {
                break;
            }
            if entry.tier == tier {
                return Some(entry.price);
            }
            if entry.tier == Tier::Standard {
                standard = Some(entry);
            }
        }
        standard.map(|entry| entry.price)
    }

    /// Whether the provider charges less at `unix_ms` (milliseconds since 1970).
    pub fn is_off_peak(&self, unix_ms: i64) -> bool {
        self.off_peak.holds_at(unix_ms)
    }

    /// The off-peak price of a unit, never above the ordinary one.
    pub(crate) fn off_peak_price(&self, unit: Unit, ordinary: Decimal) -> Decimal {
        let lower = self.off_peak.price(unit).filter(|price| scaled(*price) < scaled(ordinary));
        lower.unwrap_or(ordinary)
    }

    /// The input sizes from which another price may hold, up to `input_tokens`,
    /// as the largest call that each price is for.
    fn sizes(&self, input_tokens: u64) -> impl Iterator<Item = u64> {
        let exceeded = self.entries.iter().map(|entry| entry.above_tokens);
        let below = exceeded.filter(move |above| *above > 0 && *above < input_tokens);
        below.chain([input_tokens])
    }

    /// What the token prices are multiplied with.
    pub(crate) fn factor(&self, tier: Tier, region: Region) -> Decimal {
        let one = Decimal::new(1, 0);
        let fast = self.factors.fast.unwrap_or(one);
        let speed = match tier {
            Tier::Fast => fast,
            Tier::Dearest => dearer(fast, one),
            _ => one,
        };
        let place = match (tier, region) {
            (Tier::Dearest, _) => [self.factors.us, self.factors.eu, self.factors.regional]
                .into_iter()
                .flatten()
                .fold(one, dearer),
            (_, Region::Global) => one,
            (_, Region::Us) => self.factors.us.unwrap_or(one),
            (_, Region::Eu) => self.factors.eu.unwrap_or(one),
            (_, Region::Regional) => self.factors.regional.unwrap_or(one),
        };
        // Both have at most 6 digits after the point and are at most 1000.
        let product = speed.mantissa().saturating_mul(place.mantissa());
        Decimal::new(product, speed.scale() + place.scale())
    }
}

fn dearer(a: Decimal, b: Decimal) -> Decimal {
    if scaled(a) >= scaled(b) { a } else { b }
}

/// A price at 24 digits after the point, the finest there is; saturates.
pub(crate) fn scaled(price: Decimal) -> i128 {
    price.at_scale(base::decimal::MAX_SCALE).unwrap_or(i128::MAX)
}

impl Factors {
    fn or(self, other: Self) -> Self {
        Self {
            us: self.us.or(other.us),
            eu: self.eu.or(other.eu),
            regional: self.regional.or(other.regional),
            fast: self.fast.or(other.fast),
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Decimal>> {
        match name {
            "uplift_us" | "regional_processing_uplift_multiplier_us" => Some(&mut self.us),
            "regional_processing_uplift_multiplier_eu" => Some(&mut self.eu),
            "regional_endpoint_uplift_multiplier" => Some(&mut self.regional),
            "uplift_fast" => Some(&mut self.fast),
            _ => None,
        }
    }
}

enum Field {
    Counted { unit: Unit, above_tokens: u64, tier: Tier },
    Uncounted,
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        // A range of a `tiered_pricing` list: by input size, or by results (`#`).
        if let Some((name, range)) = name.split_once('@') {
            let (from, to) = range.split_once('-')?;
            let (above_tokens, _): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
            return match Self::parse(name)? {
                Self::Counted { unit, above_tokens: 0, tier } => {
                    Some(Self::Counted { unit, above_tokens, tier })
                }
                _ => None,
            };
        }
        if let Some((name, _)) = name.split_once('#') {
            return Self::parse(name).map(|_| Self::Uncounted);
        }
        if let Some((group, _)) = name.split_once('.')
            && UNCOUNTED.contains(&group)
        {
            return Some(Self::Uncounted);
        }
        let (rest, tier) = SUFFIXES
            .into_iter()
            .find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, tier)))
            .unwrap_or((name, Tier::Standard));
        let (rest, above_tokens) = match rest.strip_suffix("k_tokens") {
            Some(rest) => {
                let (rest, thousands) = rest.rsplit_once("_above_")?;
                (rest, thousands.parse::<u64>().ok()?.checked_mul(1000)?)
            }
            None => (rest, 0),
        };
        if let Some(unit) = unit_of(rest) {
            return Some(Self::Counted { unit, above_tokens, tier });
        }
        // `output_cost_per_image_2K`, `output_cost_per_second_768p`: a size follows.
        let sizeless = rest.rsplit_once('_').filter(|(_, size)| {
            size.starts_with(|first: char| first.is_ascii_digit()) && size.len() <= 5
        });
        let known = UNCOUNTED.contains(&rest)
            || sizeless.is_some_and(|(rest, _)| UNCOUNTED.contains(&rest));
        known.then_some(Self::Uncounted)
    }
}
