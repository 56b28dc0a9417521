//! Cost against hand-made figures and a slow, exact reference.

use base::{Decimal, NanoUsd};
use catalog::{
    Prices, Region, SearchContext, Terms, Tier, cost, model, models, stated, worst_case,
    worst_case_searches,
};
use dialect::Usage;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn prices(fields: &[(&str, &str)]) -> Prices {
    let fields = fields.iter().map(|(name, text)| (*name, text.parse().unwrap()));
    Prices::from_overrides(fields).unwrap()
}

fn total(prices: &Prices, usage: Usage, terms: impl Into<Terms>) -> i64 {
    cost(prices, &usage, terms).total.0
}

const NONE: Usage = Usage {
    input: 0,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    input_audio: 0,
    output: 0,
    reasoning: 0,
    output_audio: 0,
    searches: 0,
    stated_cost: None,
};

#[test]
fn each_part_has_its_own_price() {
    let prices = prices(&[
        ("input_cost_per_token", "3e-06"),
        ("cache_read_input_token_cost", "3e-07"),
        ("cache_creation_input_token_cost", "3.75e-06"),
        ("cache_creation_input_token_cost_above_1hr", "6e-06"),
        ("input_cost_per_audio_token", "4e-05"),
        ("output_cost_per_token", "1.5e-05"),
        ("output_cost_per_reasoning_token", "2e-05"),
        ("output_cost_per_audio_token", "8e-05"),
        ("input_cost_per_request", "0.005"),
        ("search_context_medium", "0.01"),
    ]);
    let usage = Usage {
        input: 1000,
        cache_read: 100,
        cache_write_5m: 200,
        cache_write_1h: 300,
        input_audio: 50,
        output: 500,
        reasoning: 100,
        output_audio: 10,
        searches: 2,
        ..NONE
    };
    let cost = cost(&prices, &usage, Tier::Standard);
    // 350 × 3 µ$ + 50 × 40 µ$
    assert_eq!(cost.input, NanoUsd(3_050_000));
    assert_eq!(cost.cache_read, NanoUsd(30_000));
    assert_eq!(cost.cache_write, NanoUsd(750_000 + 1_800_000));
    // 390 × 15 µ$ + 10 × 80 µ$
    assert_eq!(cost.output, NanoUsd(5_850_000 + 800_000));
    assert_eq!(cost.reasoning, NanoUsd(2_000_000));
    assert_eq!(cost.searches, NanoUsd(20_000_000));
    assert_eq!(cost.request, NanoUsd(5_000_000));
    assert_eq!(cost.total, NanoUsd(39_280_000));
    assert!(!cost.unpriced);
}

#[test]
fn a_missing_special_price_is_the_ordinary_one() {
    let prices = prices(&[("input_cost_per_token", "1e-06"), ("output_cost_per_token", "2e-06")]);
    let usage = Usage {
        input: 100,
        cache_read: 10,
        cache_write_5m: 10,
        cache_write_1h: 10,
        input_audio: 10,
        output: 50,
        reasoning: 20,
        output_audio: 10,
        ..NONE
    };
    assert_eq!(total(&prices, usage, Tier::Standard), 200_000);
    let five_minutes = self::prices(&[
        ("input_cost_per_token", "1e-06"),
        ("cache_creation_input_token_cost", "5e-06"),
    ]);
    let hour = Usage { input: 10, cache_write_1h: 10, ..NONE };
    assert_eq!(total(&five_minutes, hour, Tier::Standard), 50_000);
}

#[test]
fn contradictory_counts_are_cut_to_the_totals() {
    // Recorded: 161 cached of 7 input tokens.
    let prices = prices(&[
        ("input_cost_per_token", "1e-06"),
        ("cache_read_input_token_cost", "1e-07"),
        ("output_cost_per_token", "1e-06"),
    ]);
    let usage = Usage { input: 7, cache_read: 161, output: 3, reasoning: u64::MAX, ..NONE };
    assert_eq!(total(&prices, usage, Tier::Standard), 700 + 3_000);
}

#[test]
fn the_size_of_the_input_chooses_the_price_of_the_whole_call() {
    let prices = prices(&[
        ("input_cost_per_token", "1e-06"),
        ("input_cost_per_token_above_200k_tokens", "2e-06"),
        ("output_cost_per_token", "1e-05"),
        ("output_cost_per_token_above_200k_tokens", "3e-05"),
        ("cache_read_input_token_cost", "1e-07"),
    ]);
    let at = |input| total(&prices, Usage { input, output: 1, ..NONE }, Tier::Standard);
    assert_eq!(at(200_000), 200_000_000 + 10_000);
    assert_eq!(at(200_001), 400_002_000 + 30_000);
    // No price of its own above: the ordinary one of this unit.
    let cached = Usage { input: 300_000, cache_read: 300_000, ..NONE };
    assert_eq!(total(&prices, cached, Tier::Standard), 30_000_000);
}

#[test]
fn ranges_of_a_tiered_list_are_sizes_too() {
    let qwen = model("dashscope", "qwen3-coder-plus").unwrap().prices();
    assert!(qwen.is_priced() && qwen.prices_output());
    let at = |input| total(&qwen, Usage { input, ..NONE }, Tier::Standard);
    assert_eq!(at(32_000), 32_000_000);
    assert_eq!(at(32_001), 32_001 * 1_800);
    assert_eq!(at(2_000_000), 2_000_000 * 6_000);
}

#[test]
fn a_tier_without_a_price_is_charged_as_standard() {
    let prices = prices(&[
        ("input_cost_per_token", "4e-06"),
        ("input_cost_per_token_flex", "2e-06"),
        ("input_cost_per_token_above_100k_tokens", "8e-06"),
        ("input_cost_per_token_above_100k_tokens_priority", "1.6e-05"),
    ]);
    let at = |input, tier| total(&prices, Usage { input, ..NONE }, tier);
    assert_eq!(at(1000, Tier::Flex), 2_000_000);
    assert_eq!(at(1000, Tier::Priority), 4_000_000);
    assert_eq!(at(1000, Tier::Batch), 4_000_000);
    assert_eq!(at(200_000, Tier::Priority), 3_200_000_000);
    // The size weighs more than the tier: the long call has no flex price.
    assert_eq!(at(200_000, Tier::Flex), 1_600_000_000);
    assert_eq!(at(1000, Tier::Dearest), 4_000_000);
    assert_eq!(at(200_000, Tier::Dearest), 3_200_000_000);
}

#[test]
fn regions_and_fast_mode_multiply_tokens_only() {
    let opus = model("anthropic", "claude-opus-4-8").unwrap().prices();
    let usage = Usage { input: 1000, output: 100, searches: 1, ..NONE };
    let tokens = 1000 * 5_000 + 100 * 25_000;
    let us = Terms { region: Region::Us, ..Tier::Standard.into() };
    assert_eq!(total(&opus, usage, Tier::Standard), tokens + 10_000_000);
    assert_eq!(total(&opus, usage, us), tokens / 10 * 11 + 10_000_000);
    assert_eq!(total(&opus, usage, Tier::Fast), tokens * 2 + 10_000_000);
    assert_eq!(total(&opus, usage, Tier::Dearest), tokens * 2 / 10 * 11 + 10_000_000);
}

#[test]
fn a_search_costs_by_its_context() {
    let sonar = model("perplexity", "sonar").unwrap().prices();
    let searches = Usage { searches: 1, ..NONE };
    let at =
        |search_context| total(&sonar, searches, Terms { search_context, ..Tier::Standard.into() });
    assert_eq!(at(SearchContext::Low), 5_000_000);
    assert_eq!(at(SearchContext::Medium), 8_000_000);
    assert_eq!(at(SearchContext::High), 12_000_000);
    assert_eq!(worst_case_searches(&sonar, 3), NanoUsd(36_000_000));
    let none = prices(&[("input_cost_per_token", "1")]);
    assert!(cost(&none, &searches, Tier::Standard).unpriced);
}

#[test]
fn off_peak_hours_are_cheaper_and_end_in_time() {
    let deepseek = model("deepseek", "deepseek-flash").unwrap().prices();
    let usage = Usage { input: 1000, cache_read: 100, output: 10, ..NONE };
    let at = |unix_ms| {
        let off_peak = deepseek.is_off_peak(unix_ms);
        total(&deepseek, usage, Terms { off_peak, ..Tier::Standard.into() })
    };
    let peak = 900 * 300 + 100 * 6 + 10 * 1200;
    // Monday 2026-11-23: 01:00, 06:00 UTC; 00:30, 04:00, 10:00; a Saturday night.
    for unix_ms in [1_795_395_600_000, 1_795_413_600_000] {
        assert_eq!(at(unix_ms), peak);
    }
    for unix_ms in [1_795_393_800_000, 1_795_406_400_000, 1_795_428_000_000, 1_795_226_400_000] {
        assert_eq!(at(unix_ms), peak / 2);
    }
    let priority = Terms { off_peak: true, ..Tier::Priority.into() };
    assert_eq!(total(&deepseek, usage, priority), peak);
    assert!(!model("openai", "gpt-4o").unwrap().prices().is_off_peak(1_795_226_400_000));
}

#[test]
fn every_off_peak_price_is_read() {
    // 2026-11-21, a Saturday: every listed provider is cheaper all day.
    let mut seen = 0;
    for model in models().filter(|model| model.price("off_peak.windows").is_some()) {
        let prices = model.prices();
        assert!(prices.is_off_peak(1_795_226_400_000), "{}", model.key());
        let off_peak = Terms { off_peak: true, ..Tier::Standard.into() };
        for usage in [
            Usage { input: 1000, ..NONE },
            Usage { input: 1000, cache_read: 1000, ..NONE },
            Usage { output: 1000, ..NONE },
        ] {
            let ordinary = total(&prices, usage, Tier::Standard);
            assert_eq!(total(&prices, usage, off_peak), ordinary / 2, "{}", model.key());
        }
        seen += 1;
    }
    assert_eq!(seen, 10);
}

#[test]
fn a_stated_cost_is_read_and_nonsense_is_not() {
    let with = |text: &str| stated(&Usage { stated_cost: text.parse().ok(), ..NONE });
    assert_eq!(with("0.00014"), Some(NanoUsd(140_000)));
    assert_eq!(with("-1"), None);
    assert_eq!(stated(&NONE), None);
}

#[test]
fn what_overflows_is_the_most_there_is_and_never_less() {
    let prices = prices(&[
        ("input_cost_per_token", "9000000000000000000"),
        ("output_cost_per_token", "1e-24"),
        ("uplift_us", "1000"),
    ]);
    for tier in [Tier::Standard, Tier::Dearest] {
        let usage = Usage { input: u64::MAX, output: u64::MAX, ..NONE };
        assert_eq!(total(&prices, usage, tier), i64::MAX);
        assert_eq!(worst_case(&prices, u64::MAX, u64::MAX, tier), NanoUsd::MAX);
    }
}

#[test]
fn no_listed_price_makes_a_longer_call_cheaper_or_breaks_the_bound() {
    for listed in models().map(|model| (model.key(), model.prices())) {
        let (key, prices) = listed;
        let mut last = NanoUsd::ZERO;
        for input in [0, 1, 31_999, 32_001, 128_001, 200_001, 256_001, 272_001, 600_000] {
            let usage = Usage { input, cache_write_1h: input / 3, output: 1000, ..NONE };
            let cost = cost(&prices, &usage, Tier::Standard).total;
            assert!(cost >= last, "{key} at {input}");
            assert!(worst_case(&prices, input, 1000, Tier::Standard) >= cost, "{key} at {input}");
            last = cost;
        }
    }
}

// ---- properties ----

const TOKEN_FIELDS: [&str; 8] = [
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "input_cost_per_audio_token",
    "output_cost_per_token",
    "output_cost_per_reasoning_token",
    "output_cost_per_audio_token",
];
const SIZES: [(&str, u64); 3] =
    [("_above_200k_tokens", 200_000), ("_above_100k_tokens", 100_000), ("", 0)];
const TIERS: [(&str, Tier); 4] = [
    ("", Tier::Standard),
    ("_flex", Tier::Flex),
    ("_priority", Tier::Priority),
    ("_batches", Tier::Batch),
];

type Fields = BTreeMap<String, (u64, u8)>;

fn fields() -> impl Strategy<Value = Fields> {
    let name = (0..TOKEN_FIELDS.len(), 0..SIZES.len(), 0..TIERS.len())
        .prop_map(|(f, s, t)| format!("{}{}{}", TOKEN_FIELDS[f], SIZES[s].0, TIERS[t].0));
    let price = (0_u64..1_000_000_000_000, 9_u8..=24);
    (proptest::collection::btree_map(name, price.clone(), 0..24), price.clone(), price).prop_map(
        |(mut fields, input, output)| {
            fields.insert("input_cost_per_token".into(), input);
            fields.insert("output_cost_per_token".into(), output);
            fields
        },
    )
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![0_u64..50, 90_000_u64..110_000, 0_u64..400_000];
    (count(), count(), count(), count(), count(), count(), count(), count()).prop_map(
        |(input, read, five, hour, audio, output, reasoning, output_audio)| Usage {
            input,
            cache_read: read / 4,
            cache_write_5m: five / 4,
            cache_write_1h: hour / 4,
            input_audio: audio / 4,
            output,
            reasoning: reasoning / 2,
            output_audio: output_audio / 2,
            ..NONE
        },
    )
}

fn made(fields: &Fields) -> Prices {
    let fields = fields.iter().map(|(name, (mantissa, scale))| {
        (name.as_str(), Decimal::new(i64::try_from(*mantissa).unwrap(), *scale))
    });
    Prices::from_overrides(fields).unwrap()
}

/// A natural number of any size, least decimal digit first.
#[derive(Default)]
struct Natural(Vec<u8>);

impl Natural {
    fn add_product(&mut self, mantissa: u64, count: u64, shift: usize) {
        let mut product = u128::from(mantissa) * u128::from(count);
        let (mut at, mut carry) = (shift, 0);
        while product > 0 || carry > 0 {
            if self.0.len() <= at {
                self.0.resize(at + 1, 0);
            }
            let digit = u8::try_from(product % 10).unwrap() + carry + self.0[at];
            (self.0[at], carry) = (digit % 10, digit / 10);
            product /= 10;
            at += 1;
        }
    }

    /// Half up after dropping `digits` digits.
    fn rounded(&self, digits: usize) -> i64 {
        let up = self.0.get(digits - 1).is_some_and(|digit| *digit >= 5);
        let kept = self.0.iter().skip(digits).rev();
        kept.fold(0_i64, |value, digit| value * 10 + i64::from(*digit)) + i64::from(up)
    }
}

/// The price by name, as the rule says it in words.
fn picked<'a>(fields: &'a Fields, chain: &[&str], tier: &str, input: u64) -> &'a (u64, u8) {
    for field in chain {
        for (size, above) in SIZES {
            if above == 0 || input > above {
                for suffix in [tier, ""] {
                    if let Some(price) = fields.get(&format!("{field}{size}{suffix}")) {
                        return price;
                    }
                }
            }
        }
    }
    panic!("no price for {chain:?}")
}

fn reference(fields: &Fields, usage: &Usage, tier: &str) -> i64 {
    let [input, read, write, hour, audio, output, reasoning, output_audio] = TOKEN_FIELDS;
    let mut sum = Natural::default();
    let mut split = |total: u64, parts: &[(u64, &[&str])], rest: &str| {
        let mut left = total;
        for (count, chain) in parts {
            let count = (*count).min(left);
            left -= count;
            let (mantissa, scale) = picked(fields, chain, tier, usage.input);
            sum.add_product(*mantissa, count, usize::from(24 - scale));
        }
        let (mantissa, scale) = picked(fields, &[rest], tier, usage.input);
        sum.add_product(*mantissa, left, usize::from(24 - scale));
    };
    split(
        usage.input,
        &[
            (usage.cache_read, &[read, input]),
            (usage.cache_write_5m, &[write, input]),
            (usage.cache_write_1h, &[hour, write, input]),
            (usage.input_audio, &[audio, input]),
        ],
        input,
    );
    split(
        usage.output,
        &[(usage.reasoning, &[reasoning, output]), (usage.output_audio, &[output_audio, output])],
        output,
    );
    sum.rounded(15)
}

proptest! {
    #[test]
    fn cost_equals_the_exact_reference(fields in fields(), usage in usage(), tier in 0..TIERS.len()) {
        let (suffix, tier) = TIERS[tier];
        let found = cost(&made(&fields), &usage, tier);
        prop_assert_eq!(found.total.0, reference(&fields, &usage, suffix));
        prop_assert!(!found.unpriced);
        let parts = [found.input, found.cache_read, found.cache_write, found.output, found.reasoning];
        let sum: i64 = parts.iter().map(|part| part.0).sum();
        prop_assert!((sum - found.total.0).abs() <= 5);
    }

    #[test]
    fn the_worst_case_is_never_less_than_a_cost_within_it(
        fields in fields(),
        usage in usage(),
        more_input in 0_u64..200_000,
        more_output in 0_u64..1000,
    ) {
        let prices = made(&fields);
        let (input, output) = (usage.input + more_input, usage.output + more_output);
        let dearest = worst_case(&prices, input, output, Tier::Dearest);
        for (_, tier) in TIERS.into_iter().chain([("", Tier::Fast), ("", Tier::Dearest)]) {
            for region in [Region::Global, Region::Us, Region::Eu, Region::Regional] {
                let cost = cost(&prices, &usage, Terms { region, ..tier.into() }).total;
                prop_assert!(worst_case(&prices, input, output, tier) >= cost);
                prop_assert!(dearest >= cost);
            }
        }
    }

    #[test]
    fn more_tokens_never_cost_less(
        fields in fields(),
        usage in usage(),
        more in 0_u64..1000,
        searches in 0_u64..10,
    ) {
        // One size, so that no cheaper price can begin above a threshold.
        let fields: Fields =
            fields.into_iter().filter(|(name, _)| !name.contains("k_tokens")).collect();
        let prices = made(&fields);
        let now = cost(&prices, &usage, Tier::Flex).total;
        for longer in [
            Usage { input: usage.input + more, ..usage },
            Usage { output: usage.output + more, ..usage },
            Usage { searches: usage.searches + searches, ..usage },
        ] {
            prop_assert!(cost(&prices, &longer, Tier::Flex).total >= now);
        }
    }

    #[test]
    fn no_usage_panics(counts in any::<[u64; 9]>(), tier in 0..TIERS.len()) {
        let [input, cache_read, cache_write_5m, cache_write_1h, input_audio, output, reasoning,
            output_audio, searches] = counts;
        let usage = Usage { input, cache_read, cache_write_5m, cache_write_1h, input_audio, output,
            reasoning, output_audio, searches, ..NONE };
        let opus = model("anthropic", "claude-opus-4-8").unwrap().prices();
        let cost = cost(&opus, &usage, TIERS[tier].1).total;
        let bound = worst_case(&opus, input, output, Tier::Dearest)
            .saturating_add(worst_case_searches(&opus, searches));
        prop_assert!(NanoUsd::ZERO <= cost && cost <= bound);
    }
}
