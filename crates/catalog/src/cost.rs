//! What a call cost, and what it can cost at most.
//!
//! Exact sums in `i128` at 24 digits after the point, rounded once to whole
//! nano-dollars. Input is split into cache reads, cache writes, audio and the
//! rest, output into reasoning, audio and the rest; each part has its own price
//! or the ordinary one. Counts that contradict each other (more cached than
//! there was) are cut to fit. What overflows is charged as the most that money
//! can say, never less.

use crate::prices::{Prices, Region, SearchContext, Tier, Unit, scaled};
use base::decimal::MAX_SCALE;
use base::{Decimal, NanoUsd};
use dialect::Usage;

/// What a call was served at, as far as it changes its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The service tier.
    pub tier: Tier,
    /// Where it was processed.
    pub region: Region,
    /// For the web searches of the call.
    pub search_context: SearchContext,
    /// At the provider's cheaper hours, see [`Prices::is_off_peak`]. Only the
    /// standard tier has such prices.
    pub off_peak: bool,
}

impl From<Tier> for Terms {
    /// That tier, no region, peak hours, the usual search context (the largest one for the
    /// dearest tier).
    fn from(tier: Tier) -> Self {
        let search_context =
            if tier == Tier::Dearest { SearchContext::High } else { SearchContext::default() };
        Self { tier, region: Region::default(), search_context, off_peak: false }
    }
}

/// The cost of a call. The parts are rounded each for itself, so they may
/// differ from `total` by a few nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The whole, rounded once.
    pub total: NanoUsd,
    /// Input tokens at the ordinary price, and audio.
    pub input: NanoUsd,
    /// Input tokens read from the cache.
    pub cache_read: NanoUsd,
    /// Input tokens written to the cache.
    pub cache_write: NanoUsd,
    /// Output tokens at the ordinary price, and audio.
    pub output: NanoUsd,
    /// Output tokens of reasoning.
    pub reasoning: NanoUsd,
    /// Web searches and queries.
    pub searches: NanoUsd,
    /// The call as such.
    pub request: NanoUsd,
    /// Something was used that has no price: `total` is too low.
    pub unpriced: bool,
}

/// The cost of `usage`; `terms` is a [`Tier`] or [`Terms`]. A cost that the
/// provider stated is not looked at, see [`stated`].
pub fn cost(prices: &Prices, usage: &Usage, terms: impl Into<Terms>) -> Cost {
    let terms = terms.into();
    let parts = Parts::of(usage);
    let mut sum = Sum::new(prices, terms, usage.input);
    let input = sum
        .tokens(parts.input, &[Unit::Input])
        .saturating_add(sum.tokens(parts.input_audio, &[Unit::InputAudio, Unit::Input]));
    let cache_read = sum.tokens(parts.cache_read, &[Unit::CacheRead, Unit::Input]);
    let write_1h = [Unit::CacheWrite1h, Unit::CacheWrite5m, Unit::Input];
    let cache_write = sum
        .tokens(parts.cache_write_5m, &[Unit::CacheWrite5m, Unit::Input])
        .saturating_add(sum.tokens(parts.cache_write_1h, &write_1h));
    let output = sum
        .tokens(parts.output, &[Unit::Output])
        .saturating_add(sum.tokens(parts.output_audio, &[Unit::OutputAudio, Unit::Output]));
    let reasoning = sum.tokens(parts.reasoning, &[Unit::Reasoning, Unit::Output]);
    let searches = sum.searches(usage.searches);
    let request = sum.flat(prices.price(Unit::Request, terms.tier, usage.input));
    let all = [input, cache_read, cache_write, output, reasoning, searches, request];
    let scale = sum.scale();
    let total = all.into_iter().fold(0_i128, i128::saturating_add);
    let round = |amount| NanoUsd::round_from(amount, scale);
    Cost {
        total: round(total),
        input: round(input),
        cache_read: round(cache_read),
        cache_write: round(cache_write),
        output: round(output),
        reasoning: round(reasoning),
        searches: round(searches),
        request: round(request),
        unpriced: sum.unpriced || !prices.is_priced(),
    }
}

/// An upper bound of [`cost`] over every usage without searches whose input and
/// output stay within these totals, however they are split into parts, in every
/// region. [`Tier::Dearest`] bounds every tier. Searches are bounded apart, by
/// [`worst_case_searches`]. Means nothing where a price is missing: ask
/// [`Prices::is_priced`] and [`Prices::prices_output`] first.
pub fn worst_case(prices: &Prices, input_tokens: u64, output_tokens: u64, tier: Tier) -> NanoUsd {
    const INPUT: [Unit; 6] = [
        Unit::Input,
        Unit::CacheRead,
        Unit::CacheWrite5m,
        Unit::CacheWrite1h,
        Unit::CacheWrite12h,
        Unit::InputAudio,
    ];
    const OUTPUT: [Unit; 3] = [Unit::Output, Unit::Reasoning, Unit::OutputAudio];
    let dearest = |units| prices.dearest(units, tier, input_tokens);
    let factor = match tier {
        // It is the same in every region.
        Tier::Dearest => prices.factor(tier, Region::Global),
        _ => [Region::Global, Region::Us, Region::Eu, Region::Regional]
            .into_iter()
            .map(|region| prices.factor(tier, region))
            .max_by_key(|factor| scaled(*factor))
            .unwrap_or(Decimal::new(1, 0)),
    };
    let tokens = times(dearest(&INPUT), input_tokens)
        .saturating_add(times(dearest(&OUTPUT), output_tokens))
        .saturating_mul(i128::from(factor.mantissa()));
    let request = rescaled(dearest(&[Unit::Request]), factor.scale());
    NanoUsd::round_from(tokens.saturating_add(request), MAX_SCALE + factor.scale())
}

/// An upper bound of what `searches` web searches or queries cost at any tier
/// and context size, rounded up.
pub fn worst_case_searches(prices: &Prices, searches: u64) -> NanoUsd {
    if searches == 0 {
        return NanoUsd::ZERO;
    }
    let units = [Unit::SearchHigh, Unit::SearchMedium, Unit::SearchLow, Unit::Query];
    // Size bands of search prices are not known; the largest size covers them.
    let price = units.into_iter().filter_map(|unit| prices.price(unit, Tier::Dearest, u64::MAX));
    let sum = times(price.map(scaled).max().unwrap_or(0), searches);
    let up = 10_i128.pow(u32::from(MAX_SCALE - 9)) - 1;
    NanoUsd::round_from(sum.saturating_add(up) / (up + 1), 9)
}

/// The cost that the provider itself stated, if it did and if it makes sense.
pub fn stated(usage: &Usage) -> Option<NanoUsd> {
    usage.stated_cost.filter(|cost| cost.mantissa() >= 0).map(NanoUsd::from)
}

/// Usage as disjoint counts that add up to its totals.
struct Parts {
    input: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    input_audio: u64,
    output: u64,
    reasoning: u64,
    output_audio: u64,
}

impl Parts {
    fn of(usage: &Usage) -> Self {
        let mut input = usage.input;
        let cache_read = take(&mut input, usage.cache_read);
        let cache_write_5m = take(&mut input, usage.cache_write_5m);
        let cache_write_1h = take(&mut input, usage.cache_write_1h);
        let input_audio = take(&mut input, usage.input_audio);
        let mut output = usage.output;
        let reasoning = take(&mut output, usage.reasoning);
        let output_audio = take(&mut output, usage.output_audio);
        Self {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            input_audio,
            output,
            reasoning,
            output_audio,
        }
    }
}

fn take(rest: &mut u64, part: u64) -> u64 {
    let taken = part.min(*rest);
    *rest -= taken;
    taken
}

/// One call's amounts at one common scale: that of prices and of the factor.
struct Sum<'a> {
    prices: &'a Prices,
    terms: Terms,
    input_tokens: u64,
    factor: Decimal,
    unpriced: bool,
}

impl<'a> Sum<'a> {
    fn new(prices: &'a Prices, terms: Terms, input_tokens: u64) -> Self {
        let factor = prices.factor(terms.tier, terms.region);
        Self { prices, terms, input_tokens, factor, unpriced: false }
    }

    fn scale(&self) -> u8 {
        MAX_SCALE + self.factor.scale()
    }

    /// `count` tokens at the first price there is of `units`.
    fn tokens(&mut self, count: u64, units: &[Unit]) -> i128 {
        self.counted(count, units).saturating_mul(i128::from(self.factor.mantissa()))
    }

    /// Searches take no factor: it is for tokens.
    fn searches(&mut self, count: u64) -> i128 {
        let asked = match self.terms.search_context {
            SearchContext::Low => Unit::SearchLow,
            SearchContext::Medium => Unit::SearchMedium,
            SearchContext::High => Unit::SearchHigh,
        };
        let amount = self.counted(count, &[asked, Unit::SearchMedium, Unit::Query]);
        rescaled(amount, self.factor.scale())
    }

    fn counted(&mut self, count: u64, units: &[Unit]) -> i128 {
        if count == 0 {
            return 0;
        }
        let Terms { tier, off_peak, .. } = self.terms;
        let price = units.iter().find_map(|unit| {
            let price = self.prices.price(*unit, tier, self.input_tokens)?;
            let cheaper = off_peak && tier == Tier::Standard;
            Some(if cheaper { self.prices.off_peak_price(*unit, price) } else { price })
        });
        self.unpriced |= price.is_none();
        times(price.map_or(0, scaled), count)
    }

    /// An amount that no factor applies to.
    fn flat(&self, price: Option<Decimal>) -> i128 {
        rescaled(price.map_or(0, scaled), self.factor.scale())
    }
}

fn times(price: i128, count: u64) -> i128 {
    price.saturating_mul(i128::from(count))
}

fn rescaled(amount: i128, further_digits: u8) -> i128 {
    amount.saturating_mul(10_i128.saturating_pow(u32::from(further_digits)))
}
