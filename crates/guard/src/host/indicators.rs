//! What attacks leave behind and whom they talk to: from a list of our own,
//! and from the indicators of every advisory at hand.

use crate::advisory::Advisories;
use std::collections::BTreeSet;

const LIST: &str = include_str!("../../data/host-indicators.txt");

/// What kind of trace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trace {
    /// A file below a home.
    Home,
    /// A file.
    File,
    /// A file of this name where temporary files lie.
    Name,
    /// A unit of the user's service manager.
    UserUnit,
    /// A unit of any service manager.
    Unit,
    /// A host and all below it.
    Domain,
    /// An address.
    Ip,
}

/// One trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Indicator {
    /// What kind.
    pub(crate) trace: Trace,
    /// What to look for.
    pub(crate) value: String,
    /// The advisory it is from.
    pub(crate) advisory: String,
    /// What it is.
    pub(crate) what: String,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Indicators(Vec<Indicator>);

impl Indicators {
    /// Those of the list and of `advisories`.
    pub(crate) fn of(advisories: &Advisories) -> Self {
        let mut all: BTreeSet<Indicator> = LIST.lines().filter_map(listed).collect();
        for record in advisories.with_indicators() {
            let Some(iocs) = &record.database_specific.iocs else { continue };
            let package = record.affected.first().map(|a| a.package.name.as_str());
            let what = format!("whom malicious {} talks to", package.unwrap_or("code"));
            let new = |trace, value: &str| Indicator {
                trace,
                value: value.to_ascii_lowercase(),
                advisory: record.id.clone(),
                what: what.clone(),
            };
            let hosts = iocs.urls.iter().filter_map(|url| host_of(url));
            let named = iocs.domains.iter().map(String::as_str).chain(hosts);
            all.extend(named.filter(|host| host.contains('.')).map(|host| {
                let is_ip = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                new(if is_ip { Trace::Ip } else { Trace::Domain }, host)
            }));
            all.extend(iocs.ips.iter().map(|ip| new(Trace::Ip, ip)));
        }
        Self(all.into_iter().collect())
    }

    /// Those of one kind.
    pub(crate) fn each(&self, trace: Trace) -> impl Iterator<Item = &Indicator> {
        self.0.iter().filter(move |indicator| indicator.trace == trace)
    }

    /// The host or address of a bad party that `text` names.
    pub(crate) fn named_in(&self, text: &str) -> Option<&Indicator> {
        let lower = text.to_ascii_lowercase();
        self.0.iter().find(|indicator| match indicator.trace {
            Trace::Domain => stands_in(&lower, &indicator.value, true),
            Trace::Ip => stands_in(&lower, &indicator.value, false),
            Trace::Home | Trace::File => lower.contains(&indicator.value),
            Trace::Name | Trace::UserUnit | Trace::Unit => false,
        })
    }

    /// The bad party that this address belongs to.
    pub(crate) fn at_address(&self, ip: &str) -> Option<&Indicator> {
        self.each(Trace::Ip).find(|indicator| indicator.value == ip)
    }
}

/// Hosts and addresses of our list that belong to an advisory which `is_meant`
/// means.
pub fn hosts_of(is_meant: &dyn Fn(&str) -> bool) -> Vec<String> {
    let listed = LIST.lines().filter_map(listed);
    let hosts = listed
        .filter(|one| matches!(one.trace, Trace::Domain | Trace::Ip) && is_meant(&one.advisory));
    hosts.map(|one| one.value).collect()
}

/// Returns true if `word` stands in `text` as a host of its own; `below` also as the
/// end of a longer one.
fn stands_in(text: &str, word: &str, below: bool) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|part| part.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|part| part.chars().next());
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !before.is_some_and(|c| is_part(c) || c == '.' && !below) && !after.is_some_and(is_part)
    })
}

fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.split(':').next().filter(|host| !host.is_empty())
}

fn listed(line: &str) -> Option<Indicator> {
    let mut parts = line.split('\t');
    let advisory = parts.next().filter(|first| !first.starts_with('#'))?;
    let trace = match parts.next()? {
        "home" => Trace::Home,
        "file" => Trace::File,
        "name" => Trace::Name,
        "user-unit" => Trace::UserUnit,
        "unit" => Trace::Unit,
        "domain" => Trace::Domain,
        "ip" => Trace::Ip,
        _ => return None,
    };
    let (value, what) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(Indicator { trace, value, advisory: advisory.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let lines: Vec<&str> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 15);
        for line in lines {
            assert!(listed(line).is_some_and(|i| i.advisory.contains("-2026-")), "{line}");
        }
    }

    #[test]
    fn advisories_add_their_hosts_and_hosts_are_found_as_hosts() {
        let all = Indicators::of(&Advisories::built_in());
        assert!(all.at_address("142.11.206.73").is_some_and(|i| i.advisory.starts_with("MAL-")));
        for found in ["curl https://models.litellm.cloud/x", "LITELLM.CLOUD", "a 83.142.209.11:80"]
        {
            assert!(all.named_in(found).is_some(), "{found}");
        }
        for quiet in
            ["notlitellm.cloud", "litellm.cloudy.example", "183.142.209.11", "1.83.142.209.110"]
        {
            assert!(all.named_in(quiet).is_none(), "{quiet}");
        }
    }
}
