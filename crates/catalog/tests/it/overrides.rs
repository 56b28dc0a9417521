//! Prices from a deployment's own settings.

use base::{Decimal, NanoUsd};
use catalog::{PriceError, Prices, Tier, Unit, cost, model};
use dialect::Usage;

fn prices(fields: &[(&str, &str)]) -> Result<Prices, PriceError> {
    Prices::from_overrides(fields.iter().map(|(name, text)| (*name, text.parse().unwrap())))
}

#[test]
fn a_field_that_is_no_price_is_named() {
    for name in [
        "input_cost_per_tokn",
        "",
        "input_cost_per_token_above_xk_tokens",
        "input_cost_per_token_above_99999999999999999999k_tokens",
        "input_cost_per_token@",
        "input_cost_per_token@1",
        "input_cost_per_token@1-2@3-4",
        "_flex",
        "max_tokens",
    ] {
        let error = prices(&[(name, "1")]).unwrap_err();
        assert_eq!(error, PriceError::Unknown(name.into()));
        assert!(error.to_string().contains(&format!("`{name}`")));
    }
}

#[test]
fn prices_below_nought_and_senseless_factors_are_refused() {
    let negative = prices(&[("input_cost_per_token", "-1e-6")]).unwrap_err();
    assert_eq!(negative, PriceError::Negative("input_cost_per_token".into()));
    for factor in ["1001", "1.1234567"] {
        let error = prices(&[("uplift_us", factor)]).unwrap_err();
        assert_eq!(error, PriceError::Factor("uplift_us".into()));
    }
    assert!(prices(&[("uplift_us", "1.1")]).is_ok());
}

#[test]
fn absent_is_not_nought() {
    let none = prices(&[]).unwrap();
    assert!(!none.is_priced() && !none.prices_output());
    let free = prices(&[("input_cost_per_token", "0"), ("output_cost_per_token", "0.0")]).unwrap();
    assert!(free.is_priced() && free.prices_output());
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    assert!(cost(&none, &usage, Tier::Standard).unpriced);
    let of_free = cost(&free, &usage, Tier::Standard);
    assert_eq!((of_free.total, of_free.unpriced), (NanoUsd::ZERO, false));
    let half = prices(&[("input_cost_per_token", "1")]).unwrap();
    assert!(half.is_priced() && !half.prices_output());
    assert!(cost(&half, &usage, Tier::Standard).unpriced);
    assert!(!cost(&half, &Usage { input: 1, ..Usage::default() }, Tier::Standard).unpriced);
}

#[test]
fn prices_that_tokens_do_not_pay_are_kept_apart() {
    let image =
        prices(&[("output_cost_per_image", "0.04"), ("input_cost_per_second", "1")]).unwrap();
    assert_eq!(image.uncounted(), ["output_cost_per_image", "input_cost_per_second"]);
    assert!(!image.is_priced());
    let pages = model("mistral", "mistral-ocr-latest").unwrap().prices();
    assert!(pages.uncounted().contains(&"ocr_cost_per_page".to_owned()));
}

#[test]
fn a_later_field_replaces_an_earlier_one_but_an_alias_does_not() {
    let price = |prices: &Prices| prices.price(Unit::CacheRead, Tier::Standard, 1);
    let usual_first =
        prices(&[("cache_read_input_token_cost", "1"), ("input_cost_per_token_cache_hit", "2")]);
    assert_eq!(price(&usual_first.unwrap()), Some(Decimal::new(1, 0)));
    let alias_first =
        prices(&[("input_cost_per_token_cache_hit", "2"), ("cache_read_input_token_cost", "1")]);
    assert_eq!(price(&alias_first.unwrap()), Some(Decimal::new(1, 0)));
    let alone = prices(&[("input_cost_per_token_cache_hit", "2")]);
    assert_eq!(price(&alone.unwrap()), Some(Decimal::new(2, 0)));
}

#[test]
fn the_catalogue_and_the_same_fields_as_overrides_agree() {
    for found in catalog::models() {
        let fields: Vec<_> = found
            .price_fields()
            .filter(|(name, _)| !name.starts_with("off_peak."))
            .map(|(name, text)| (name, text.parse::<Decimal>().unwrap()))
            .collect();
        let (ours, theirs) = (found.prices(), Prices::from_overrides(fields).unwrap());
        for unit in [Unit::Input, Unit::Output, Unit::CacheRead, Unit::CacheWrite1h] {
            for tokens in [0, 1_000_000] {
                let at = |prices: &Prices| prices.price(unit, Tier::Priority, tokens);
                assert_eq!(at(&ours), at(&theirs), "{}", found.key());
            }
        }
        assert_eq!(ours.is_priced(), theirs.is_priced());
    }
}

/// One price of one's own made the others free.
#[test]
fn what_a_deployment_does_not_say_is_as_listed() {
    let listed = model("openai", "gpt-4o").unwrap().prices();
    let own = prices(&[("input_cost_per_token", "0.5")]).unwrap();
    let both = own.over(&listed);
    for tier in [Tier::Standard, Tier::Priority, Tier::Dearest] {
        assert_eq!(both.price(Unit::Input, tier, 9), Some("0.5".parse().unwrap()));
        assert_eq!(both.price(Unit::Output, tier, 9), listed.price(Unit::Output, tier, 9));
    }
    assert!(both.prices_output());
    assert!(!own.prices_output());
}

#[test]
fn a_price_that_nothing_counts_is_missed_where_the_call_pays_it() {
    let of = |name| prices(&[("input_cost_per_token", "1"), (name, "1")]).unwrap();
    assert_eq!(of("citation_cost_per_token").missed(false), Some("citation_cost_per_token"));
    assert_eq!(of("output_cost_per_image").missed(false), Some("output_cost_per_image"));
    assert_eq!(of("input_cost_per_image").missed(false), None);
    assert_eq!(of("input_cost_per_image").missed(true), Some("input_cost_per_image"));
    assert_eq!(of("input_dbu_cost_per_token").missed(true), None);
}
