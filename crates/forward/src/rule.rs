//! Hosts that an application may reach.

use crate::host::{HostError, HostName};
use config::Cidr;
use std::net::IpAddr;
use std::str::FromStr;

/// Port of a rule that names none.
const HTTPS: u16 = 443;

/// Names under which anyone can get a name of their own: a wildcard over them would
/// allow everyone. Not complete; a wildcard over one label is refused anyway.
const SHARED_SUFFIXES: [&str; 34] = [
    "ac.uk",
    "co.uk",
    "gov.uk",
    "org.uk",
    "co.jp",
    "ne.jp",
    "co.kr",
    "com.au",
    "net.au",
    "com.br",
    "com.cn",
    "com.tr",
    "co.in",
    "co.nz",
    "co.za",
    "com.mx",
    "amazonaws.com",
    "s3.amazonaws.com",
    "cloudfront.net",
    "azurewebsites.net",
    "blob.core.windows.net",
    "googleapis.com",
    "storage.googleapis.com",
    "appspot.com",
    "run.app",
    "web.app",
    "firebaseapp.com",
    "github.io",
    "githubusercontent.com",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "vercel.app",
    "workers.dev",
];

/// One host, or all hosts below one, on one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: HostName,
    /// True for `*.host`: names below `host`, and not `host` itself.
    is_wildcard: bool,
    port: u16,
    networks: Vec<Cidr>,
}

/// Text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The host is none.
    #[error("`{0}`: {1}")]
    Host(String, HostError),
    /// Not 1 to 65535.
    #[error("`{0}`: not a port")]
    Port(String),
    /// A `*` that is not the whole first label.
    #[error("`{0}`: a wildcard is `*.` before a name, and nothing else")]
    Wildcard(String),
    /// A wildcard over names that strangers can register.
    #[error("`{0}`: anyone can get a name below it; name the hosts")]
    TooWide(String),
    /// Not an address block.
    #[error("`{0}`: {1}")]
    Network(String, config::CidrError),
    /// The host of a model provider.
    #[error(
        "`{0}` is a model provider's host: with a key of their own, anyone can send data there; \
         hint: let the program call a gateway instead"
    )]
    Provider(String),
}

/// `HOST`, `*.HOST`, with `:PORT`, with `@NETWORK,NETWORK…`.
impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (place, networks) = text.split_once('@').unwrap_or((text, ""));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => {
                let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| *port != 0 && is_number);
                (host, port.ok_or_else(|| RuleError::Port(text.to_owned()))?)
            }
            None => (place, HTTPS),
        };
        let (name, is_wildcard) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        if name.contains('*') {
            return Err(RuleError::Wildcard(text.to_owned()));
        }
        let host =
            HostName::parse(name).map_err(|error| RuleError::Host(text.to_owned(), error))?;
        let is_shared = SHARED_SUFFIXES.contains(&host.as_str()) || !host.as_str().contains('.');
        if is_wildcard && is_shared {
            return Err(RuleError::TooWide(text.to_owned()));
        }
        let networks = networks.split(',').filter(|network| !network.is_empty());
        let networks = networks.map(|network| {
            network.parse().map_err(|error| RuleError::Network(network.to_owned(), error))
        });
        let rule = Self { host, is_wildcard, port, networks: networks.collect::<Result<_, _>>()? };
        if rule.is_providers() {
            return Err(RuleError::Provider(text.to_owned()));
        }
        Ok(rule)
    }
}

impl Rule {
    fn covers(&self, host: &HostName, port: u16) -> bool {
        let names =
            if self.is_wildcard { host.is_below(self.host.as_str()) } else { *host == self.host };
        names && port == self.port
    }

    /// Returns true if the rule lets its host resolve to the private address `ip`.
    pub fn may_reach(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    fn is_providers(&self) -> bool {
        is_providers(&self.host)
            || self.is_wildcard
                && provider_hosts().any(|(_, after)| after.ends_with(&format!(".{}", self.host)))
    }
}

/// Rule as it is typed.
impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let star = if self.is_wildcard { "*." } else { "" };
        write!(f, "{star}{}", self.host)?;
        if self.port == HTTPS { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Rules of one application; the empty list allows nothing.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// The rule that allows `host` and `port`. Asks nobody: the name is not resolved.
    pub fn find(&self, host: &HostName, port: u16) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.covers(host, port))
    }
}

/// Beginning and end of each host at which a provider of the catalogue serves models.
/// What is between them varies by region or account.
fn provider_hosts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let urls = catalog::providers().filter(|provider| !provider.local);
    urls.filter_map(|provider| {
        let rest = provider.base_url?.split_once("://")?.1;
        let host = rest.split('/').next().unwrap_or(rest);
        Some(match (host.find('{'), host.rfind('}')) {
            (Some(from), Some(to)) => {
                (host.get(..from).unwrap_or_default(), host.get(to + 1..).unwrap_or_default())
            }
            _ => ("", host),
        })
    })
    .filter(|(_, after)| after.contains('.'))
}

/// Returns true if a provider of the catalogue serves models at `host`.
pub(crate) fn is_providers(host: &HostName) -> bool {
    provider_hosts().any(|(before, after)| {
        let host = host.as_str();
        host == after || after.starts_with('.') && host.starts_with(before) && host.ends_with(after)
    })
}

#[cfg(test)]
mod tests {
    use super::{HostName, Rule, RuleError, Rules};

    fn allows(rule: &str, host: &str, port: u16) -> bool {
        let rules = Rules(vec![rule.parse().unwrap()]);
        rules.find(&HostName::parse(host).unwrap(), port).is_some()
    }

    #[test]
    fn a_rule_allows_its_host_and_port_only() {
        assert!(allows("index.example", "index.example", 443));
        assert!(allows("Index.Example", "INDEX.example", 443));
        assert!(!allows("index.example", "index.example", 80));
        assert!(!allows("index.example", "a.index.example", 443));
        assert!(!allows("index.example", "index.example.evil.com", 443));
        assert!(!allows("index.example", "evil-index.example", 443));
        assert!(allows("index.example:8443", "index.example", 8443));
        assert!(allows("*.index.example", "a.b.index.example", 443));
        assert!(!allows("*.index.example", "index.example", 443));
        assert!(!allows("*.index.example", "evilindex.example", 443));
    }

    #[test]
    fn rules_that_allow_too_much_are_refused() {
        for text in ["*.com", "*.co.uk", "*.github.io", "*.s3.amazonaws.com", "*.localhost"] {
            assert_eq!(text.parse::<Rule>(), Err(RuleError::TooWide(text.into())), "{text}");
        }
        for text in ["*", "*.*.example.com", "a*.example.com", "a.*.example.com"] {
            let refused = text.parse::<Rule>();
            assert!(matches!(refused, Err(RuleError::Wildcard(_))), "{text}: {refused:?}");
        }
        for text in
            ["127.0.0.1", "[::1]:443", "", ":443", "a.example.", "a.example:0", "a:+1", "a:"]
        {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
        for text in ["api.openai.com", "api.anthropic.com", "*.openai.com", "*.anthropic.com"] {
            assert_eq!(text.parse::<Rule>(), Err(RuleError::Provider(text.into())), "{text}");
        }
        assert!("openai.example".parse::<Rule>().is_ok());
    }

    #[test]
    fn networks_are_what_the_host_may_resolve_to() {
        let rule: Rule = "index.corp.example@10.0.0.0/8,fd00::/8".parse().unwrap();
        assert!(rule.may_reach("10.1.2.3".parse().unwrap()));
        assert!(rule.may_reach("fd00::1".parse().unwrap()));
        assert!(!rule.may_reach("192.168.1.1".parse().unwrap()));
        assert!("index.corp.example@10.0.0.1/8".parse::<Rule>().is_err());
    }
}
