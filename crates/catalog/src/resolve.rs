//! Which provider a model name means.
//!
//! The order is LiteLLM's, so that a configuration written for it means the
//! same here: an explicit provider; a known prefix before the first `/`; the
//! host of `api_base` among the providers' own; the exact name in the price
//! data, or a name that is plainly OpenAI's or Anthropic's; any other server at
//! an `api_base`, as OpenAI-compatible; else an error that says what is near.

use crate::model::by_key;
use crate::provider::{Provider, Unsupported};
use crate::provider_rows::{provider, providers, unsupported};
use dialect::Dialect;

/// Who serves OpenAI's format at an `api_base` of one's own.
const ANY_SERVER: &str = "custom_openai";

/// Longer names are cut in messages.
const SHOWN_MAX_CHARS: usize = 120;

/// Why a model name means no provider that can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The provider needs something that is not built yet.
    #[error("{} (`{}`) is not supported yet: it needs {}{}", .0.name, .0.id, .0.missing, instead(.0))]
    NotSupported(Unsupported),
    /// The explicit provider is none that is known.
    #[error("no provider is called `{given}`{}", hint(near))]
    UnknownProvider {
        /// What was given, cut to a sane length.
        given: String,
        /// Providers with a similar name.
        near: Vec<&'static str>,
    },
    /// Neither the name nor an `api_base` says who serves the model.
    #[error(
        "no provider is known for the model `{model}`; write PROVIDER/MODEL, or give the deployment an api_base{}",
        hint(near)
    )]
    UnknownModel {
        /// What was given, cut to a sane length.
        model: String,
        /// Providers with a name like the prefix.
        near: Vec<&'static str>,
    },
    /// Nothing stands after the provider.
    #[error("the model name is empty; write PROVIDER/MODEL")]
    Empty,
}

fn instead(unsupported: &Unsupported) -> String {
    if unsupported.instead.is_empty() {
        String::new()
    } else {
        format!("; use {}", unsupported.instead)
    }
}

fn hint(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) }
}

/// The provider of `model` and the name that goes upstream.
pub fn resolve<'a>(
    model: &'a str,
    custom_llm_provider: Option<&str>,
    api_base: Option<&str>,
) -> Result<(&'static Provider, &'a str), Unresolved> {
    let (provider, upstream) = find(model, custom_llm_provider, api_base)?;
    if upstream.is_empty() { Err(Unresolved::Empty) } else { Ok((provider, upstream)) }
}

fn find<'a>(
    model: &'a str,
    custom_llm_provider: Option<&str>,
    api_base: Option<&str>,
) -> Result<(&'static Provider, &'a str), Unresolved> {
    let api_base = api_base.filter(|url| !url.is_empty());
    if let Some(given) = custom_llm_provider.filter(|given| !given.is_empty()) {
        let provider = supported(given)?.ok_or_else(|| Unresolved::UnknownProvider {
            given: shown(given),
            near: near(given),
        })?;
        let prefixed = model.split_once('/').filter(|(prefix, _)| {
            *prefix == given || *prefix == provider.id || provider.aliases.contains(prefix)
        });
        return Ok((provider, prefixed.map_or(model, |(_, rest)| rest)));
    }
    if let Some((prefix, rest)) = model.split_once('/')
        && let Some(provider) = supported(prefix)?
    {
        return Ok((provider, rest));
    }
    if let Some(provider) = api_base.and_then(at_base) {
        return Ok((provider, model));
    }
    if let Some(listed) = by_key(model)
        && let Some(provider) = supported(listed.provider_id())?
    {
        return Ok((provider, model));
    }
    if let Some(provider) = maker(model).and_then(provider) {
        return Ok((provider, model));
    }
    if api_base.is_some()
        && let Some(provider) = provider(ANY_SERVER)
    {
        return Ok((provider, model));
    }
    let prefix = model.split_once('/').map_or(model, |(prefix, _)| prefix);
    Err(Unresolved::UnknownModel { model: shown(model), near: near(prefix) })
}

/// The provider of that id, `None` if no such name is known at all.
fn supported(id: &str) -> Result<Option<&'static Provider>, Unresolved> {
    match (provider(id), unsupported(id)) {
        (Some(provider), _) => Ok(Some(provider)),
        (None, Some(unsupported)) => Err(Unresolved::NotSupported(unsupported)),
        (None, None) => Ok(None),
    }
}

/// The provider whose own host `api_base` is on. Servers on loopback are anyone's.
fn at_base(api_base: &str) -> Option<&'static Provider> {
    // Several providers serve another dialect under a path of its name.
    let named = api_base.split('/').skip(3).find_map(Dialect::by_name);
    let path_fits = |provider: &Provider| {
        provider.base_url.is_some_and(|own| api_base.trim_end_matches('/').starts_with(own))
    };
    providers()
        .filter(|provider| !provider.local && provider.owns(api_base))
        .filter(|provider| named.is_none_or(|dialect| dialect == provider.dialect))
        .min_by_key(|provider| {
            let chats = provider.dialect.conversation(false).row().endpoint;
            (provider.path(chats).is_none(), !path_fits(provider))
        })
}

/// Who makes a model that the price data does not list yet, by its name.
fn maker(model: &str) -> Option<&'static str> {
    let digit = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let base = model.strip_prefix("ft:").unwrap_or(model);
    if model.contains('/') {
        return None;
    }
    if base.strip_prefix("claude-").is_some_and(|rest| !rest.is_empty()) {
        return Some("anthropic");
    }
    let openai = base.strip_prefix("gpt-").is_some_and(digit)
        || base.starts_with("chatgpt-")
        || base.strip_prefix('o').is_some_and(|rest| {
            digit(rest) && rest.as_bytes().get(1).is_none_or(|byte| *byte == b'-')
        });
    openai.then_some("openai")
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(SHOWN_MAX_CHARS).collect()
}

/// Up to three provider ids that a slip of the fingers away.
fn near(given: &str) -> Vec<&'static str> {
    if given.len() > 40 {
        return Vec::new();
    }
    let given = given.to_ascii_lowercase();
    let most = if given.len() <= 4 { 1 } else { 2 };
    let mut found: Vec<(usize, &'static str)> = providers()
        .map(|provider| (distance(&given, provider.id), provider.id))
        .filter(|(distance, id)| {
            *distance <= most || (given.len() >= 4 && id.starts_with(given.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, id)| id).collect()
}

/// Insertions, deletions and replacements between two short names.
fn distance(a: &str, b: &str) -> usize {
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, left) in a.bytes().enumerate() {
        let mut this = vec![row + 1];
        for (pair, right) in last.windows(2).zip(b.bytes()) {
            let [diagonal, above] = pair else { continue };
            let before = this.last().copied().unwrap_or(row + 1);
            let replaced = diagonal + usize::from(left != right);
            this.push(replaced.min(above + 1).min(before + 1));
        }
        last = this;
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, near};

    #[test]
    fn distance_counts_slips() {
        for (a, b, slips) in [("", "", 0), ("a", "", 1), ("opneai", "openai", 2), ("x", "xai", 2)] {
            assert_eq!((distance(a, b), distance(b, a)), (slips, slips), "{a} {b}");
        }
    }

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        assert_eq!(near("opneai").first(), Some(&"openai"));
        assert_eq!(near("OpenAI").first(), Some(&"openai"));
        assert!(near("anthropc").contains(&"anthropic"));
        assert!(near("fireworks").contains(&"fireworks_ai"));
        assert!(near("my-company-models").is_empty());
    }
}
