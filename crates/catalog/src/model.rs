//! Models: one row of `data/models.tsv` each, read where it lies.
//!
//! The file is made by `data/generate.py` from LiteLLM's model price file (MIT,
//! `data/LICENSE.model-prices`); its first line says of which version and month.
//! Every number keeps the spelling of its source. Columns: key, provider label,
//! mode, input and output limits, the four commonest prices, flags, date of
//! deprecation, all other prices as `NAME=VALUE`, other facts as `NAME=VALUE`.
//! A flag is a letter of the legend in the second line, after a `!` where the
//! model is known *not* to have it.

use crate::prices::Prices;
use crate::provider_rows::provider;
use crate::table::{cell, find, rows};

const TABLE: &str = include_str!("../data/models.tsv");

/// The names of the price columns, from column 5.
const PRICE_COLUMNS: [&str; 4] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
];
const MODE: usize = 2;
const MAX_INPUT: usize = 3;
const MAX_OUTPUT: usize = 4;
const FIRST_PRICE: usize = 5;
const FLAGS: usize = 9;
const DEPRECATED: usize = 10;
const PRICES: usize = 11;
const FACTS: usize = 12;

/// A model of the catalogue: as cheap to copy as a string slice. Each accessor
/// reads the row anew, so keep what you need often, above all [`Model::prices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    row: &'static str,
}

impl Model {
    /// The name in the price data, mostly `PROVIDER/MODEL`.
    pub fn key(self) -> &'static str {
        cell(self.row, 0)
    }

    /// The provider label in the price data; finer than a provider's id for
    /// some (`vertex_ai-anthropic_models`).
    pub fn provider(self) -> &'static str {
        cell(self.row, 1)
    }

    /// The id of the provider that the label means.
    pub fn provider_id(self) -> &'static str {
        family(self.provider())
    }

    /// The name as the provider knows it: the key without the provider before it.
    pub fn upstream_model(self) -> &'static str {
        let key = self.key();
        match key.split_once('/') {
            Some((before, rest)) if belongs(self.provider(), before) => rest,
            _ => key,
        }
    }

    /// `chat`, `embedding`, `image_generation`, …; empty where it is not said.
    pub fn mode(self) -> &'static str {
        cell(self.row, MODE)
    }

    /// The context window, in tokens.
    pub fn max_input_tokens(self) -> Option<u64> {
        cell(self.row, MAX_INPUT).parse().ok()
    }

    /// The most output tokens of one answer.
    pub fn max_output_tokens(self) -> Option<u64> {
        cell(self.row, MAX_OUTPUT).parse().ok()
    }

    /// Whether the model can do something, by the name of its flag with or
    /// without `supports_`: `vision`, `prompt_caching`; `None` where it is not known.
    pub fn supports(self, flag: &str) -> Option<bool> {
        let flag = flag.strip_prefix("supports_").unwrap_or(flag);
        self.flags()
            .find(|(name, _)| name.strip_prefix("supports_").unwrap_or(name) == flag)
            .map(|(_, holds)| holds)
    }

    /// All flags that are known, by their full names.
    pub fn flags(self) -> impl Iterator<Item = (&'static str, bool)> {
        let mut holds = true;
        cell(self.row, FLAGS).chars().filter_map(move |letter| {
            if letter == '!' {
                holds = false;
                return None;
            }
            Some((flag_name(letter)?, std::mem::replace(&mut holds, true)))
        })
    }

    /// The day on which the provider stops serving it, `YYYY-MM-DD`.
    pub fn deprecation_date(self) -> Option<&'static str> {
        Some(cell(self.row, DEPRECATED)).filter(|date| !date.is_empty())
    }

    /// Every price by its name in the price data, as its source spells it (a JSON
    /// number). Fields that are lists or objects there are flat here:
    /// `search_context_low`, `NAME@FROM-TO` for a range of input tokens and
    /// `NAME#FROM-TO` for a range of results of `tiered_pricing`,
    /// `off_peak.NAME`, `guardrail_cost_per_unit.NAME`, `uplift_us`.
    pub fn price_fields(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let columns = PRICE_COLUMNS.into_iter().zip(self.row.split('\t').skip(FIRST_PRICE));
        columns.filter(|(_, text)| !text.is_empty()).chain(pairs(cell(self.row, PRICES)))
    }

    /// One price by its name, as its source spells it.
    pub fn price(self, name: &str) -> Option<&'static str> {
        self.price_fields().find(|(field, _)| *field == name).map(|(_, text)| text)
    }

    /// What a call to it costs.
    pub fn prices(self) -> Prices {
        Prices::from_catalog(self.price_fields())
    }

    /// What else is known, by its name in the price data; lists are parted by
    /// commas: `supported_endpoints`, `reasoning_effort_levels`, `rpm`, …
    pub fn facts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        pairs(cell(self.row, FACTS))
    }

    /// One of the [`Model::facts`].
    pub fn fact(self, name: &str) -> Option<&'static str> {
        self.facts().find(|(field, _)| *field == name).map(|(_, text)| text)
    }
}

fn pairs(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.split(' ').filter_map(|pair| pair.split_once('='))
}

fn flag_name(letter: char) -> Option<&'static str> {
    let legend = TABLE.lines().nth(1)?;
    legend.split(' ').find_map(|word| word.strip_prefix(letter)?.strip_prefix('='))
}

/// A field of the data's first line: `version` and `date` (`YYYY-MM`) of the
/// price file it was made from; every spend record should keep them.
pub fn data_version() -> (&'static str, &'static str) {
    let first = TABLE.lines().next().unwrap_or("");
    let field = |name| pairs(first).find(|(field, _)| *field == name).map_or("", |(_, text)| text);
    (field("version"), field("date"))
}

/// All models, sorted by key.
pub fn models() -> impl Iterator<Item = Model> {
    rows(TABLE).lines().map(|row| Model { row })
}

/// All models of a provider, sorted by key; its finer labels are providers here
/// too. A scan of the whole table: some hundred microseconds.
pub fn models_of(provider_id: &str) -> impl Iterator<Item = Model> {
    let id = provider(provider_id).map_or(provider_id, |provider| provider.id).to_owned();
    models().filter(move |model| model.provider() == id || model.provider_id() == id)
}

/// The model of exactly this key, whoever serves it.
pub(crate) fn by_key(key: &str) -> Option<Model> {
    find(rows(TABLE), key).filter(|row| cell(row, 0) == key).map(|row| Model { row })
}

/// What the catalogue knows about a provider's model: under `PROVIDER/MODEL`, or
/// under the bare name where that is this provider's; then without what names
/// are decorated with: a fine-tune's owner, a release number, a Bedrock region,
/// a date. ASCII case does not matter. Never another provider's model, so a
/// price is this provider's or `None`.
pub fn model(provider_id: &str, upstream_model: &str) -> Option<Model> {
    let known = provider(provider_id);
    let id = known.map_or(provider_id, |provider| provider.id);
    if let Some(found) = named(id, upstream_model) {
        return Some(found);
    }
    if let Some(prefix) = known.and_then(|provider| provider.quirks.model_prefix)
        && let Some(found) = named(id, &format!("{prefix}{upstream_model}"))
    {
        return Some(found);
    }
    let plain = undecorated(id, upstream_model)?;
    named(id, plain).or_else(|| named(id, undecorated(id, plain)?))
}

fn named(id: &str, name: &str) -> Option<Model> {
    let table = rows(TABLE);
    let ours = |row: &'static str| {
        let model = Model { row };
        belongs(model.provider(), id).then_some(model)
    };
    find(table, &format!("{id}/{name}"))
        .and_then(ours)
        .or_else(|| find(table, name).and_then(ours))
        // Azure sells OpenAI's models through both of its doors at one price.
        .or_else(|| if id == "azure_ai" { named("azure", name) } else { None })
}

/// The name without one decoration; `None` if it has none.
fn undecorated<'a>(id: &str, name: &'a str) -> Option<&'a str> {
    const BEDROCK_REGIONS: [&str; 8] = ["us", "eu", "apac", "au", "jp", "ca", "global", "us-gov"];
    if let Some(base) = name.strip_prefix("ft:") {
        // `ft:BASE:ORGANISATION:NAME:ID` is priced as `ft:BASE`.
        let (base, _) = base.split_once(':')?;
        return name.get(..base.len() + 3);
    }
    if let Some(rest) = name.strip_prefix("models/") {
        return Some(rest);
    }
    if id.starts_with("bedrock")
        && let Some((region, rest)) = name.split_once('.')
        && BEDROCK_REGIONS.contains(&region)
    {
        return Some(rest);
    }
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (before, last) = name.rsplit_once('-')?;
    if digits(last, 8) || (digits(last, 3) && (id == "gemini" || id == "vertex_ai")) {
        return Some(before);
    }
    let (before, month) = before.rsplit_once('-')?;
    let (before, year) = before.rsplit_once('-')?;
    (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(before)
}

/// Whether a model of this label may be asked for as one of the provider `id`:
/// chat and text completions of one maker share their names.
fn belongs(label: &'static str, id: &str) -> bool {
    label == id || completionless(family(label)) == completionless(id)
}

fn completionless(name: &str) -> &str {
    name.strip_prefix("text-completion-").unwrap_or(name)
}

/// The provider, by its id, that a label of the price data means.
fn family(label: &'static str) -> &'static str {
    match label {
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        _ => match label.split_once('-') {
            Some((before, _)) if before == "vertex_ai" || before == "fireworks_ai" => before,
            _ => label,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, TABLE, cell, flag_name, pairs, rows};

    #[test]
    fn the_header_counts_the_rows_and_all_is_ascii() {
        assert!(TABLE.is_ascii());
        let count = rows(TABLE).lines().count().to_string();
        let first = TABLE.lines().next().unwrap();
        assert!(pairs(first).any(|pair| pair == ("models", count.as_str())), "{count}: {first}");
    }

    #[test]
    fn every_letter_of_every_row_is_in_the_legend() {
        for row in rows(TABLE).lines() {
            let letters = cell(row, FLAGS).chars().filter(|letter| *letter != '!');
            for letter in letters {
                assert!(flag_name(letter).is_some(), "{letter} in {row}");
            }
        }
    }
}
