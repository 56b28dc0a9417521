//! Request parameters as a deployment's defaults: each is read by its type when
//! the configuration is loaded.
//!
//! `max_tokens: "99"` and `max_tokens: os.environ/MAX` are the number 99;
//! `temperature: hot` is an error with its place. A parameter that is not here
//! is nobody's, and goes to the provider as it is written.

use crate::node::Kind as NodeKind;
use crate::reader::{Field, Reader};
use crate::scalar;
use serde_json::value::RawValue;

/// Type of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number of at least this.
    Whole(u64),
    /// A whole number that may be negative.
    Integer,
    Number,
    /// A number of at least 0.
    Positive,
    /// A number from 0 to 1.
    Fraction,
    Flag,
    /// True, false, or a number of log probabilities.
    FlagOrWhole,
    Text,
    /// A text or a list.
    TextOrList,
    /// A text or a mapping.
    TextOrMapping,
    List,
    Mapping,
    /// A flag or a mapping: providers differ.
    FlagOrMapping,
}

use Kind::{
    Flag, FlagOrMapping, FlagOrWhole, Fraction, Integer, List, Mapping, Number, Positive, Text,
    TextOrList, TextOrMapping, Whole,
};

/// Names, which spaces separate, and the type of their values.
const PARAMS: [(&str, Kind); 14] = [
    ("max_tokens max_completion_tokens max_output_tokens n best_of dimensions", Whole(1)),
    ("top_logprobs min_tokens thinking_budget", Whole(0)),
    ("seed random_seed top_k", Integer),
    ("frequency_penalty presence_penalty", Number),
    ("temperature repetition_penalty", Positive),
    ("top_p min_p top_a", Fraction),
    (
        "parallel_tool_calls store enable_thinking echo ignore_eos include_reasoning safe_prompt \
        skip_special_tokens separate_reasoning",
        Flag,
    ),
    ("logprobs", FlagOrWhole),
    (
        "user service_tier verbosity encoding_format input_type prompt_cache_key prompt_mode \
        safety_identifier reasoning_format",
        Text,
    ),
    ("stop system", TextOrList),
    ("reasoning_effort function_call tool_choice voice", TextOrMapping),
    ("stop_sequences modalities transforms tools functions", List),
    (
        "response_format logit_bias reasoning audio prediction provider web_search_options \
        chat_template_kwargs",
        Mapping,
    ),
    ("thinking", FlagOrMapping),
];

/// Those that only some providers know.
const OF_SOME: &str = "best_of min_tokens thinking_budget random_seed top_a echo ignore_eos \
    include_reasoning safe_prompt skip_special_tokens separate_reasoning prompt_mode \
    reasoning_format chat_template_kwargs";

/// Returns true if only some providers know the parameter.
pub(crate) fn is_of_some(name: &str) -> bool {
    crate::known_keys::has(OF_SOME, name)
}

/// Type of the parameter `name`; `None` if it is not known.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    PARAMS.iter().find(|(names, _)| crate::known_keys::has(names, name)).map(|(_, kind)| *kind)
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PARAMS.iter().flat_map(|(names, _)| names.split_whitespace())
}

impl Kind {
    fn wanted(self) -> String {
        match self {
            Whole(least) => format!("a whole number of at least {least}"),
            Integer => "a whole number".to_owned(),
            Number => "a number".to_owned(),
            Positive => "a number of at least 0".to_owned(),
            Fraction => "a number from 0 to 1".to_owned(),
            Flag => "true or false".to_owned(),
            FlagOrWhole => "true, false or a whole number".to_owned(),
            Text => "text".to_owned(),
            TextOrList => "text or a list".to_owned(),
            TextOrMapping => "text or a mapping".to_owned(),
            List => "a list (lines that begin with '-')".to_owned(),
            Mapping | FlagOrMapping => "a mapping (key: value)".to_owned(),
        }
    }

    /// The JSON of a single value of this type; `None` if it is of another.
    fn of_text(self, text: &str) -> Option<String> {
        let whole = |least: u64| scalar::whole_of(text).filter(|number| *number >= least);
        let number = |fits: fn(i128, i128) -> bool| {
            let decimal = scalar::decimal_of(text)?;
            let one = 10_i128.checked_pow(u32::from(decimal.scale()))?;
            let json = || match scalar::is_json_number(text) {
                true => text.to_owned(),
                false => decimal.to_string(),
            };
            fits(i128::from(decimal.mantissa()), one).then(json)
        };
        let flag = || scalar::bool_of(text).map(|flag| flag.to_string());
        let quoted = || {
            let mut json = String::new();
            scalar::quote(text, &mut json);
            Some(json)
        };
        match self {
            Whole(least) => whole(least).map(|number| number.to_string()),
            Integer => {
                let (sign, digits) = match text.strip_prefix('-') {
                    Some(digits) => ("-", digits),
                    None => ("", text),
                };
                let number = scalar::whole_of(digits)?;
                i64::try_from(number).ok().map(|number| format!("{sign}{number}"))
            }
            Number => number(|_, _| true),
            Positive => number(|mantissa, _| mantissa >= 0),
            Fraction => number(|mantissa, one| (0..=one).contains(&mantissa)),
            Flag | FlagOrMapping => flag(),
            FlagOrWhole => flag().or_else(|| whole(0).map(|number| number.to_string())),
            Text | TextOrList | TextOrMapping => quoted(),
            List | Mapping => None,
        }
    }

    fn takes_list(self) -> bool {
        matches!(self, List | TextOrList)
    }

    fn takes_mapping(self) -> bool {
        matches!(self, Mapping | TextOrMapping | FlagOrMapping)
    }
}

impl Reader<'_> {
    /// The JSON of a value of this type; nothing for null, an error for
    /// anything else.
    pub(crate) fn typed(&mut self, field: &Field<'_>, kind: Kind) -> Option<Box<RawValue>> {
        let fits = match field.node.kind {
            NodeKind::Seq(_) => kind.takes_list(),
            NodeKind::Map(_) => kind.takes_mapping(),
            NodeKind::Scalar { .. } => {
                return self.check(field, |text| {
                    let json = kind.of_text(text).or_else(|| from_json(text, kind));
                    let raw = json.and_then(|json| RawValue::from_string(json).ok());
                    raw.ok_or_else(|| (format!("expected {}", kind.wanted()), ""))
                });
            }
        };
        if fits {
            return self.json(field);
        }
        let found = field.node.describe();
        self.error(field, format!("expected {}, found {found}", kind.wanted()), "");
        None
    }
}

/// A list or a mapping that a variable holds as JSON.
fn from_json(text: &str, kind: Kind) -> Option<String> {
    let fits =
        text.starts_with('[') && kind.takes_list() || text.starts_with('{') && kind.takes_mapping();
    let parses = || serde_json::from_str::<&RawValue>(text).is_ok();
    (fits && parses()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind, names};

    #[test]
    fn values_are_read_by_their_type() {
        for (name, text, json) in [
            ("max_tokens", "99", Some("99")),
            ("max_tokens", "100.0", Some("100")),
            ("max_tokens", "1_000", Some("1000")),
            ("max_tokens", "9.5", None),
            ("max_tokens", "0", None),
            ("max_tokens", "-1", None),
            ("max_tokens", "many", None),
            ("n", "true", None),
            ("seed", "-7", Some("-7")),
            ("seed", "--7", None),
            ("top_k", "-1", Some("-1")),
            ("temperature", "hot", None),
            ("temperature", "0.20", Some("0.20")),
            ("temperature", "-0.1", None),
            ("top_p", "1.0", Some("1.0")),
            ("top_p", "1.01", None),
            ("presence_penalty", "-1.5", Some("-1.5")),
            ("parallel_tool_calls", "False", Some("false")),
            ("parallel_tool_calls", "0", None),
            ("logprobs", "yes", Some("true")),
            ("logprobs", "5", Some("5")),
            ("user", "1234", Some("\"1234\"")),
            ("reasoning_effort", "off", Some("\"off\"")),
            ("stop", "\n", Some("\"\\n\"")),
            ("response_format", "json", None),
        ] {
            let read = kind(name).unwrap().of_text(text);
            assert_eq!(read.as_deref(), json, "{name}: {text}");
        }
        assert_eq!(kind("min_pixels"), None);
    }

    #[test]
    fn no_name_has_two_types() {
        let mut seen = std::collections::BTreeSet::new();
        for name in names() {
            assert!(seen.insert(name), "{name}");
            assert!(kind(name).is_some_and(|kind: Kind| !kind.wanted().is_empty()));
        }
    }
}
