//! Which provider serves a deployment, where, and with which key.
//!
//! The promise that is kept here: a key from a provider's own variable goes to
//! that provider's own origin (or the one that its base URL variable names)
//! and nowhere else. A deployment that names another host names its key too.

use crate::env::Env;
use crate::reader::{Field, NOT_A_KEY, NOT_A_KEY_HINT, Reader, is_key};
use crate::report::Verdict;
use base::address::Kind;
use base::{Origin, Scheme, Secret};
use catalog::{Provider, Unresolved};
use std::net::IpAddr;
use std::sync::Arc;

/// What the deployment says about its key.
#[derive(Clone)]
pub(crate) enum KeySaid {
    /// Nothing: the provider's variable is asked.
    Nothing,
    /// An empty text: no key is sent.
    None,
    /// This one.
    This(Arc<Secret>),
}

/// What a deployment says about where it is.
pub(crate) struct Wanted<'w, 'n> {
    pub(crate) model_at: &'w Field<'n>,
    pub(crate) model: &'w str,
    pub(crate) custom_llm_provider: Option<&'w str>,
    pub(crate) api_base: Option<&'w (Field<'n>, String)>,
    pub(crate) key: KeySaid,
}

/// Where a deployment is and what it is reached with.
pub(crate) struct Bound {
    pub(crate) provider: &'static Provider,
    pub(crate) upstream_model: String,
    pub(crate) origin: Origin,
    pub(crate) base_path: String,
    pub(crate) is_default_origin: bool,
    pub(crate) api_key: Option<Arc<Secret>>,
}

struct Base {
    origin: Origin,
    path: String,
    /// On the provider's built-in origin.
    is_default: bool,
    /// The provider's own variable may be used for it.
    takes_env_key: bool,
    /// Variable that leads to it instead of the provider's own host.
    moved_by: Option<&'static str>,
}

/// Resolves and binds; records why not.
pub(crate) fn bind(reader: &mut Reader<'_>, wanted: Wanted<'_, '_>) -> Option<Bound> {
    let (provider, upstream) = resolve(reader, &wanted)?;
    let base = base(reader, provider, &wanted)?;
    let api_key = match wanted.key {
        KeySaid::This(key) => Some(key),
        KeySaid::None => None,
        KeySaid::Nothing => env_key(reader, provider, &base, &wanted)?,
    };
    let at = wanted.api_base.map_or(wanted.model_at, |(field, _)| field);
    if let Some(why) = unreachable(&base.origin) {
        reader.leave_out(at, why, "name the host that serves the model");
        return None;
    }
    if let Some(variable) = base.moved_by.filter(|_| api_key.is_some()) {
        let message = format!(
            "the key for {} goes to {}, as this variable says, and not to {}'s own host",
            provider.name, base.origin, provider.name
        );
        let hint = "unset it, or give the deployment an api_base, to send the key elsewhere";
        reader.push_variable(variable, Verdict::Warning, &message, hint);
    }
    if api_key.is_some() && base.origin.scheme() == Scheme::Http && !is_near(base.origin.host()) {
        let message = "the key travels unencrypted to another machine";
        reader.warning(at, message, "use https://");
    }
    Some(Bound {
        provider,
        upstream_model: upstream.to_owned(),
        origin: base.origin,
        base_path: base.path,
        is_default_origin: base.is_default,
        api_key,
    })
}

fn resolve<'w>(
    reader: &mut Reader<'_>,
    wanted: &Wanted<'w, '_>,
) -> Option<(&'static Provider, &'w str)> {
    let api_base = wanted.api_base.map(|(_, url)| url.as_str());
    match catalog::resolve(wanted.model, wanted.custom_llm_provider, api_base) {
        Ok((provider, _)) if provider.oauth => {
            let why = format!(
                "{} is reached by signing in with an account, which is not supported yet",
                provider.name
            );
            reader.leave_out(wanted.model_at, why, "");
            None
        }
        Ok((provider, upstream)) if provider.quirks.claude_elsewhere && is_claude(upstream) => {
            let why =
                format!("{} serves Claude in Anthropic's format, at another path", provider.name);
            let hint =
                format!("use anthropic/{upstream} with the api_base that ends in /anthropic");
            reader.leave_out(wanted.model_at, why, &hint);
            None
        }
        Ok(resolved) => Some(resolved),
        // A name that LiteLLM may know and we do not.
        Err(error @ Unresolved::UnknownModel { .. }) if !wanted.model.contains('/') => {
            reader.leave_out(wanted.model_at, error.to_string(), "");
            None
        }
        Err(Unresolved::NotSupported(missing)) => {
            let why = format!(
                "{} needs {}, which does not exist here yet",
                missing.name, missing.missing
            );
            let hint = match missing.instead {
                "" => String::new(),
                instead => format!("use {instead}"),
            };
            reader.leave_out(wanted.model_at, why, &hint);
            None
        }
        Err(error) => {
            reader.error(wanted.model_at, error.to_string(), "");
            None
        }
    }
}

fn is_claude(model: &str) -> bool {
    model.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("claude-"))
}

fn base(
    reader: &mut Reader<'_>,
    provider: &'static Provider,
    wanted: &Wanted<'_, '_>,
) -> Option<Base> {
    let from_variable = provider
        .base_url_envs
        .iter()
        .find_map(|name| Some((*name, reader.env.var(name).filter(|url| !url.is_empty())?)));
    if let Some((field, url)) = wanted.api_base {
        let (origin, path) = match Origin::parse_base(url) {
            Ok(parsed) => parsed,
            Err(error) => {
                reader.error(field, error.to_string(), "as in https://host.example/v1");
                return None;
            }
        };
        let is_default = provider.owns(url);
        let is_variable = from_variable
            .and_then(|(_, url)| Origin::parse_base(&url).ok())
            .is_some_and(|(named, _)| named == origin);
        let path = provider.base_path(origin.host(), &path);
        let takes_env_key = is_default || is_variable;
        return Some(Base { origin, path, is_default, takes_env_key, moved_by: None });
    }
    let (source, url) = match from_variable {
        Some((name, url)) => (name, url),
        None => match provider.fill(|name| reader.env.var(name)) {
            Ok(Some(url)) => ("", url),
            Ok(None) => {
                let hint = match provider.base_url_envs.first() {
                    Some(name) => format!("add api_base, or set {name}"),
                    None => "add api_base".to_owned(),
                };
                let message = format!("{} has no address of its own", provider.name);
                reader.error(wanted.model_at, message, &hint);
                return None;
            }
            Err(error) => {
                reader.error(wanted.model_at, error.to_string(), "");
                return None;
            }
        },
    };
    match Origin::parse_base(&url) {
        Ok((origin, path)) => {
            let is_default = source.is_empty() || provider.owns(&url);
            let path = provider.base_path(origin.host(), &path);
            let has_own = provider.base_url.is_some() && !provider.local;
            let moved_by = Some(source).filter(|_| has_own && !is_default);
            Some(Base { origin, path, is_default, takes_env_key: true, moved_by })
        }
        Err(error) => {
            let message = format!("the environment variable {source}: {error}");
            reader.error(wanted.model_at, message, "as in https://host.example/v1");
            None
        }
    }
}

/// The key in the provider's variable, where it may be used; `None` if there
/// must be one and is none.
#[expect(clippy::option_option, reason = "no key is an answer, no deployment is another")]
fn env_key(
    reader: &mut Reader<'_>,
    provider: &'static Provider,
    base: &Base,
    wanted: &Wanted<'_, '_>,
) -> Option<Option<Arc<Secret>>> {
    let names = provider.key_envs.join(" or ");
    let found = provider
        .key_envs
        .iter()
        .find_map(|name| reader.env.var(name).filter(|key| !key.trim().is_empty()));
    match found {
        Some(key) if base.takes_env_key => {
            let key = key.trim().to_owned();
            reader.hidden.push(Secret::new(key.clone()));
            if !is_key(&key) {
                let message = format!("the environment variable {names}: {NOT_A_KEY}");
                reader.error(wanted.model_at, message, NOT_A_KEY_HINT);
                return None;
            }
            Some(Some(Arc::new(Secret::new(key))))
        }
        _ if provider.key_optional => Some(None),
        _ if base.takes_env_key => {
            let hint = if names.is_empty() {
                "add api_key: os.environ/NAME".to_owned()
            } else {
                format!("set {names}, or add api_key: os.environ/NAME")
            };
            let message = format!("{} needs a key, and there is none", provider.name);
            reader.error(wanted.model_at, message, &hint);
            None
        }
        _ => {
            let at = wanted.api_base.map_or(wanted.model_at, |(field, _)| field);
            let message = format!(
                "this host is not {}'s own, so the key from its environment variable is not sent there",
                provider.name
            );
            let hint = "name the key that this host may see, as api_key: os.environ/NAME; if it wants none: api_key: \"\"";
            reader.error(at, message, hint);
            None
        }
    }
}

/// Names under which clouds give credentials to any local process.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data"];

/// Returns the reason for which no connection to `origin` is ever made.
fn unreachable(origin: &Origin) -> Option<String> {
    let host = origin.host();
    let kind = match host.parse::<IpAddr>() {
        Ok(ip) => base::address::judge(ip)?,
        Err(_) if METADATA_NAMES.contains(&host) => Kind::Metadata,
        Err(_) => return None,
    };
    match kind {
        Kind::Loopback | Kind::Private => None,
        _ => Some(format!("{host} is {kind}, and no connection to it is ever made")),
    }
}

/// Names that mean one's own network.
const NEAR: [&str; 5] = [".localhost", ".local", ".internal", ".svc", ".lan"];

/// Whether plain HTTP to a host stays on this machine or a private network.
fn is_near(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address.to_canonical() {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    !host.contains('.') || NEAR.iter().any(|suffix| host.ends_with(suffix))
}

/// What the provider's entry says to send with each request. A value with a
/// variable that is not set is left out.
pub(crate) fn provider_headers(
    reader: &Reader<'_>,
    provider: &'static Provider,
) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    for (name, template) in &provider.quirks.headers {
        let mut value = String::new();
        let mut rest = *template;
        let mut complete = true;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((variable, after)) = after.split_once('}') else { break };
            value.push_str(before);
            match reader.env.var(variable).filter(|text| !text.is_empty()) {
                Some(text) if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
                    value.push_str(&text);
                }
                _ => complete = false,
            }
            rest = after;
        }
        value.push_str(rest);
        if complete {
            headers.push((*name, value));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn plain_http_is_fine_near_by_only() {
        for host in ["127.0.0.1", "::1", "10.0.0.5", "192.168.1.1", "ollama", "a.svc", "fd00::1"] {
            assert!(is_near(host), "{host}");
        }
        for host in ["8.8.8.8", "example.com", "2001:db8::1", "local.example.com"] {
            assert!(!is_near(host), "{host}");
        }
    }
}
