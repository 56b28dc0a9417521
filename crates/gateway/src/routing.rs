//! From the model that a client names to the deployments that may serve it.
//!
//! LiteLLM's order: alias, exact name, wildcard (longest pattern first). Among
//! the deployments of a group: lowest `order` first, cooled ones left out,
//! then a shuffle by weight (`simple-shuffle`).

use crate::deployment::{Candidate, Deployment};
pub use config::LeftOut;
use std::collections::HashMap;
use std::sync::Arc;

/// The deployments that answer to one name.
pub struct Group {
    /// As configured; may hold one `*`.
    pub name: Arc<str>,
    /// In the order of the file; none if all are left out, or if nobody
    /// configured the name.
    pub deployments: Vec<Arc<Deployment>>,
    /// Those that are configured and cannot be served.
    pub left_out: Vec<LeftOut>,
}

impl Group {
    /// Returns true if a deployment can be called.
    pub fn is_served(&self) -> bool {
        !self.deployments.is_empty()
    }
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
    /// In the order of the configuration.
    groups: Vec<Arc<Group>>,
    exact: HashMap<Arc<str>, Arc<Group>>,
    /// The longest first.
    wildcards: Vec<Arc<Group>>,
    /// In the order of the configuration.
    alias_names: Vec<String>,
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

impl Found {
    /// A group without deployments, for a name that nobody configured.
    pub fn unknown(model: &str) -> Self {
        let name = model.into();
        let group = Group { name, deployments: Vec::new(), left_out: Vec::new() };
        Self { group: Arc::new(group), captured: None }
    }
}

impl Routes {
    /// Groups deployments by name. Both lists and the aliases are in the order
    /// of the configuration.
    pub fn new(
        deployments: Vec<Deployment>,
        left_out: &[LeftOut],
        aliases: impl IntoIterator<Item = (String, Alias)>,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        let mut at = |groups: &mut Vec<Group>, name: &Arc<str>| {
            *places.entry(Arc::clone(name)).or_insert_with(|| {
                let (name, deployments, left_out) = (Arc::clone(name), Vec::new(), Vec::new());
                groups.push(Group { name, deployments, left_out });
                groups.len() - 1
            })
        };
        for deployment in deployments {
            let at = at(&mut groups, &deployment.model_group);
            if let Some(group) = groups.get_mut(at) {
                group.deployments.push(Arc::new(deployment));
            }
        }
        for each in left_out.iter().filter(|each| !each.model_group.is_empty()) {
            let at = at(&mut groups, &each.model_group);
            if let Some(group) = groups.get_mut(at) {
                group.left_out.push(each.clone());
            }
        }
        let mut routes = Self::default();
        for group in groups {
            let group = Arc::new(group);
            routes.groups.push(Arc::clone(&group));
            if group.name.contains('*') {
                routes.wildcards.push(group);
            } else {
                routes.exact.insert(Arc::clone(&group.name), group);
            }
        }
        routes.wildcards.sort_by_key(|group| std::cmp::Reverse(group.name.len()));
        for (name, alias) in aliases {
            if routes.aliases.insert(name.clone(), alias).is_none() {
                routes.alias_names.push(name);
            }
        }
        routes
    }

    /// The group that serves `model`; none if it is unknown or none of its
    /// deployments can be called.
    pub fn served(&self, model: &str) -> Option<Found> {
        self.find(model).filter(|found| found.group.is_served())
    }

    /// The group that `model` is configured in, whether it can be called or not.
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

    /// All groups, in the order of the configuration.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.iter()
    }

    /// All aliases with what they stand for, in the order of the configuration.
    pub fn aliases(&self) -> impl Iterator<Item = (&String, &Alias)> {
        self.alias_names.iter().filter_map(|name| self.aliases.get_key_value(name))
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
