//! The policy: applications, their tokens, and the hosts that each may reach.
//!
//! From a TOML file for a proxy of its own; made in code for `run`. Some refusals are
//! no matter of policy and hold in every mode: addresses in the place of names, hosts
//! of model providers, names that resolve to addresses that no rule names.

use crate::host::HostName;
use crate::rule::{Rule, Rules, is_providers};
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Treatment of a host that no rule allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Connected and logged.
    Observe,
    /// Connected, logged, and an alert.
    Report,
    /// Refused, logged, and an alert.
    #[default]
    Enforce,
}

/// One application.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// Name; `None` for the only one.
    pub(crate) name: Option<String>,
    /// SHA-256 of its token, in hexadecimal; `None` takes everyone.
    pub(crate) token: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) rules: Rules,
    /// Bytes that it may send to one host on one day.
    pub(crate) upload_max_bytes: Option<u64>,
}

/// Applications of a proxy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub(crate) apps: Vec<App>,
}

/// Leave to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Rule that gives it; `None` where the mode does.
    pub(crate) rule: Option<Rule>,
    /// True if people have to hear of it.
    pub(crate) is_alert: bool,
}

/// Settings of a proxy that runs on its own.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Directory of decision logs.
    pub log: PathBuf,
    /// Applications.
    pub policy: Policy,
}

/// Text that is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, or with unknown or missing settings.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// An application that cannot be taken.
    #[error("app `{0}`: {1}")]
    App(String, String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    log: PathBuf,
    #[serde(default)]
    app: Vec<AppOfFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppOfFile {
    name: String,
    token_sha256: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    allow: Vec<String>,
    upload_max_bytes: Option<u64>,
}

/// Port that proxies usually have.
const PORT: u16 = 3128;

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// The first thing in `text` that cannot be taken.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text)?;
        let mut names = HashSet::new();
        let mut apps = Vec::new();
        for app in file.app {
            let bad = |why: String| PolicyError::App(app.name.clone(), why);
            let is_name = |l: char| l.is_ascii_alphanumeric() || "-_.".contains(l);
            if app.name.is_empty() || !app.name.chars().all(is_name) {
                return Err(bad("a name has letters, digits, `-`, `_` and `.`".to_owned()));
            }
            if !names.insert(app.name.clone()) {
                return Err(bad("there are two".to_owned()));
            }
            let token = app.token_sha256.to_ascii_lowercase();
            if token.len() != 64 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad("token_sha256 is not a SHA-256 in hexadecimal".to_owned()));
            }
            let rules: Result<Vec<Rule>, _> = app.allow.iter().map(|rule| rule.parse()).collect();
            apps.push(App {
                rules: Rules(rules.map_err(|error| bad(error.to_string()))?),
                name: Some(app.name),
                token: Some(token),
                mode: app.mode,
                upload_max_bytes: app.upload_max_bytes,
            });
        }
        let listen = file.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], PORT)));
        Ok(Self { listen, log: file.log, policy: Policy { apps } })
    }
}

/// Hash of a token, as a policy has it.
pub fn token_hash(token: &str) -> String {
    base::id::hex(digest(&SHA256, token.as_bytes()).as_ref())
}

impl Policy {
    /// Makes the policy of a proxy with one application, which everyone is who can
    /// reach it.
    pub fn of_one(rules: Rules) -> Self {
        let mode = Mode::Enforce;
        Self { apps: vec![App { name: None, token: None, mode, rules, upload_max_bytes: None }] }
    }

    /// Returns the application that a name and a token belong to.
    pub(crate) fn identify(&self, credentials: Option<&(String, String)>) -> Option<&App> {
        self.apps.iter().find(|app| match (&app.token, credentials) {
            (None, _) => true,
            (Some(_), None) => false,
            // The digests are compared: their bytes say nothing about the token's.
            (Some(known), Some((name, token))) => {
                app.name.as_ref() == Some(name) && token_hash(token) == *known
            }
        })
    }

    /// Returns the application with `name`.
    pub(crate) fn named(&self, name: Option<&str>) -> Option<&App> {
        self.apps.iter().find(|app| app.name.as_deref() == name)
    }
}

impl App {
    /// Decides about a host. Nothing is resolved here.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub(crate) fn decide(&self, host: &HostName, port: u16) -> Result<Grant, &'static str> {
        if is_providers(host) {
            return Err("model provider: its calls go through the gateway");
        }
        match (self.rules.find(host, port), self.mode) {
            (Some(rule), _) => Ok(Grant { rule: Some(rule.clone()), is_alert: false }),
            (None, Mode::Observe) => Ok(Grant { rule: None, is_alert: false }),
            (None, Mode::Report) => Ok(Grant { rule: None, is_alert: true }),
            (None, Mode::Enforce) => Err("not allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Settings};
    use crate::host::HostName;

    // SHA-256 of `t`.
    const TOKEN: &str = "e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8";

    fn parse(app: &str) -> Result<Settings, String> {
        let text =
            format!("log = \"/x\"\n[[app]]\nname = \"shop\"\ntoken_sha256 = \"{TOKEN}\"\n{app}");
        Settings::parse(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn applications_are_known_by_name_and_token() {
        let policy = parse("").unwrap().policy;
        let known = |name: &str, token: &str| {
            policy.identify(Some(&(name.to_owned(), token.to_owned()))).is_some()
        };
        assert!(known("shop", "t"));
        assert!(!known("shop", "u") && !known("other", "t") && !known("shop", TOKEN));
        assert!(policy.identify(None).is_none());
    }

    #[test]
    fn modes_differ_for_hosts_that_no_rule_names() {
        let host = HostName::parse("other.example").unwrap();
        let decided = |mode: &str| {
            let settings = parse(&format!("mode = \"{mode}\"\nallow = [\"a.example\"]")).unwrap();
            let grant = settings.policy.apps[0].decide(&host, 443);
            grant.map(|grant| (grant.rule.is_some(), grant.is_alert))
        };
        assert_eq!(decided("observe"), Ok((false, false)));
        assert_eq!(decided("report"), Ok((false, true)));
        assert_eq!(decided("enforce"), Err("not allowed"));
        assert_eq!(parse("").unwrap().policy.apps[0].mode, Mode::Enforce);
        let provider = HostName::parse("api.openai.com").unwrap();
        let observing = parse("mode = \"observe\"").unwrap();
        assert!(observing.policy.apps[0].decide(&provider, 443).is_err());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for app in ["alow = []", "mode = \"off\"", "allow = [\"*.com\"]", "allow = [\"1.2.3.4\"]"] {
            assert!(parse(app).is_err(), "{app}");
        }
        let twice = format!("[[app]]\nname = \"shop\"\ntoken_sha256 = \"{TOKEN}\"");
        assert!(parse(&twice).unwrap_err().contains("there are two"));
        assert!(Settings::parse("").is_err());
        assert!(
            Settings::parse("log = \"/x\"\n[[app]]\nname = \"a b\"\ntoken_sha256 = \"\"").is_err()
        );
    }
}
