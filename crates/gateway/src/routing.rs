//! From the model that a client names to the deployments that may serve it.
//!
//! LiteLLM's order: alias, exact name, wildcard (longest pattern first). Among
//! the deployments of a group: lowest `order` first, cooled ones left out,
//! then a shuffle by weight (`simple-shuffle`).

use crate::deployment::{Candidate, Deployment};
use std::collections::HashMap;
use std::sync::Arc;

/// The deployments that answer to one name.
pub struct Group {
    /// As configured; may hold one `*`.
    pub name: Arc<str>,
    /// In the order of the file.
    pub deployments: Vec<Arc<Deployment>>,
}

/// Another name for a group.
#[derive(Clone, Debug)]
pub struct Alias {
    /// The group.
    pub group: String,
    /// Not listed by `/v1/models`.
    pub hidden: bool,
}

/// All names that clients may ask for.
#[derive(Default)]
pub struct Routes {
    exact: HashMap<Arc<str>, Arc<Group>>,
    wildcards: Vec<Arc<Group>>,
    aliases: HashMap<String, Alias>,
}

/// A group, and what its wildcard matched.
#[derive(Clone)]
pub struct Found {
    /// The group.
    pub group: Arc<Group>,
    /// What `*` stood for.
    pub captured: Option<String>,
}

impl Routes {
    /// Groups `deployments` by name.
    pub fn new(deployments: Vec<Deployment>, aliases: HashMap<String, Alias>) -> Self {
        let mut order: Vec<Arc<str>> = Vec::new();
        let mut by_name: HashMap<Arc<str>, Vec<Arc<Deployment>>> = HashMap::new();
        for deployment in deployments {
            let name = Arc::clone(&deployment.model_group);
            let group = by_name.entry(Arc::clone(&name)).or_insert_with(|| {
                order.push(name);
                Vec::new()
            });
            group.push(Arc::new(deployment));
        }
        let mut routes = Self { aliases, ..Self::default() };
        for name in order {
            let deployments = by_name.remove(&name).unwrap_or_default();
            let group = Arc::new(Group { name: Arc::clone(&name), deployments });
            if name.contains('*') {
                routes.wildcards.push(group);
            } else {
                routes.exact.insert(name, group);
            }
        }
        routes.wildcards.sort_by_key(|group| std::cmp::Reverse(group.name.len()));
        routes
    }

    /// The group that serves `model`.
    pub fn find(&self, model: &str) -> Option<Found> {
        let model = self.aliases.get(model).map_or(model, |alias| &alias.group);
        if let Some(group) = self.exact.get(model) {
            return Some(Found { group: Arc::clone(group), captured: None });
        }
        self.wildcards.iter().find_map(|group| {
            let captured = wildcard(&group.name, model)?.to_owned();
            Some(Found { group: Arc::clone(group), captured: Some(captured) })
        })
    }

    /// All groups, wildcards last.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        let mut exact: Vec<&Arc<Group>> = self.exact.values().collect();
        exact.sort_by(|a, b| a.name.cmp(&b.name));
        exact.into_iter().chain(&self.wildcards)
    }

    /// All aliases, with what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&String, &Alias)> {
        self.aliases.iter()
    }
}

/// What `*` in `pattern` stands for in `text`.
pub fn wildcard<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once('*')?;
    text.strip_prefix(before)?.strip_suffix(after)
}

/// Why no deployment could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonePicked {
    /// All that could serve the call cool down; the first is back in so many
    /// milliseconds.
    Cooling(i64),
    /// None could serve it.
    NoneFits,
}

/// Where a call was already, within a group; by deployment ids.
#[derive(Debug, Default)]
pub struct Been {
    /// These were asked.
    pub tried: Vec<Arc<str>>,
    /// These can't be told what the client asks for.
    pub unfit: Vec<Arc<str>>,
}

/// Picks a deployment of `found` that fits and is not cooling down, one that
/// was not tried before one that was, at random by weight.
///
/// # Errors
/// [`NonePicked`] says why none.
pub fn pick(
    found: &Found,
    been: &Been,
    now_ms: i64,
    mut random: impl FnMut(u64) -> u64,
) -> Result<Candidate, NonePicked> {
    let all = &found.group.deployments;
    let alone = all.len() == 1;
    let fits = |d: &&Arc<Deployment>| !been.unfit.contains(&d.id);
    let healthy = |d: &&Arc<Deployment>| fits(d) && d.health.cooling_ms(now_ms) == 0;
    let chosen = if let [only] = all.as_slice() {
        Some(only).filter(healthy)
    } else {
        let fresh = |d: &&Arc<Deployment>| healthy(d) && !been.tried.contains(&d.id);
        by_weight(all.iter().filter(fresh), &mut random)
            .or_else(|| by_weight(all.iter().filter(healthy), &mut random))
    };
    match chosen {
        Some(chosen) => Ok(Candidate::new(chosen, found.captured.as_deref(), alone)),
        None => Err(all
            .iter()
            .filter(fits)
            .map(|d| d.health.cooling_ms(now_ms))
            .min()
            .map_or(NonePicked::NoneFits, NonePicked::Cooling)),
    }
}

/// A random one of those with the lowest `order`. `random(n)` is below `n`.
fn by_weight<'a>(
    candidates: impl Iterator<Item = &'a Arc<Deployment>> + Clone,
    random: &mut impl FnMut(u64) -> u64,
) -> Option<&'a Arc<Deployment>> {
    let order = candidates.clone().map(|d| d.order).min()?;
    let first = candidates.filter(|d| d.order == order);
    let total: u64 = first.clone().map(|d| u64::from(d.weight)).sum();
    let mut ticket = random(total.max(1));
    // All weights nought: the first is as good as any.
    first
        .clone()
        .find(|d| {
            let won = ticket < u64::from(d.weight);
            ticket = ticket.saturating_sub(u64::from(d.weight));
            won
        })
        .or_else(|| first.clone().next())
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn a_wildcard_captures_what_stands_between() {
        assert_eq!(wildcard("openai/*", "openai/gpt-4o"), Some("gpt-4o"));
        assert_eq!(wildcard("*", "anything"), Some("anything"));
        assert_eq!(wildcard("team-*-prod", "team-a-prod"), Some("a"));
        assert_eq!(wildcard("team-*-prod", "team-prod"), None);
        assert_eq!(wildcard("gpt-4o", "gpt-4o"), None);
    }
}
