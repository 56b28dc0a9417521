//! LiteLLM's rules of access for the whole gateway: which addresses and paths
//! are allowed, and what each call for a model must say.

use crate::error::{Failure, Fault};
use crate::principal::Asker;
use crate::proxy_budget::window;
use base::NanoUsd;
use config::Rules;
use dialect::ErrorClass;
use dialect::head::Head;
use dialect::surfaces::Kind;
use http::HeaderMap;
use ledger::Window;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::net::IpAddr;

/// Limits of virtual keys that the configuration gives or allows.
#[derive(Clone, Debug, Default)]
pub struct KeyLimits {
    /// Model groups; none for all.
    pub models: Vec<String>,
    /// Budget.
    pub max_budget: Option<NanoUsd>,
    /// After which the budget begins again.
    pub budget_duration: Option<Window>,
    /// For which the key is valid.
    pub duration: Option<Window>,
    /// Requests in flight.
    pub max_parallel_requests: Option<u64>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
}

impl KeyLimits {
    /// As configured.
    ///
    /// # Errors
    /// A duration that is too long.
    pub fn new(limits: &config::KeyLimits) -> Result<Self, String> {
        let window = |period: Option<config::Period>| period.map(window).transpose();
        Ok(Self {
            models: limits.models.clone(),
            max_budget: limits.max_budget,
            budget_duration: window(limits.budget_duration)?,
            duration: window(limits.duration)?,
            max_parallel_requests: limits.max_parallel_requests,
            tpm_limit: limits.tpm_limit,
            rpm_limit: limits.rpm_limit,
        })
    }
}

/// Checks the address and the path, before the key is looked at.
///
/// # Errors
/// LiteLLM's 403s. An address that is not known is not allowed.
pub fn check_asker(rules: &Rules, asker: &Asker<'_>) -> Result<(), Failure> {
    if let Some(allowed) = &rules.allowed_ips {
        let ip: Option<IpAddr> = asker.client_ip.and_then(|ip| ip.parse().ok());
        if !ip.is_some_and(|ip| allowed.iter().any(|range| range.contains(ip))) {
            return Err(forbidden("Access forbidden: IP address not allowed."));
        }
    }
    match &rules.allowed_routes {
        Some(allowed) if !is_listed(allowed, asker.path) => {
            Err(forbidden(format!("Route {} not allowed", asker.path)))
        }
        _ => Ok(()),
    }
}

/// Checks the path for the holder of a virtual key.
///
/// # Errors
/// A 403 where only the master key may call it.
pub fn check_key_holder(rules: &Rules, asker: &Asker<'_>) -> Result<(), Failure> {
    if is_listed(&rules.admin_only_routes, asker.path) {
        let message = format!("Route {} is for the master key only", asker.path);
        return Err(forbidden(message));
    }
    Ok(())
}

/// Checks what a call for a model says of itself.
///
/// # Errors
/// LiteLLM's 400s.
pub fn check_body(
    rules: &Rules,
    headers: &HeaderMap,
    head: &Head,
    body: &[u8],
) -> Result<(), Failure> {
    // It generates nothing, and its body has no place for most of them.
    if head.surface().row().kind == Kind::TokenCount {
        return Ok(());
    }
    if rules.enforce_user_param && end_user(rules, headers, head).is_none() {
        let message = "'user' param not passed in. 'enforce_user_param'=True";
        return Err(Failure::bad_request(message).param("user"));
    }
    if rules.reject_client_tags && !head.tags().is_empty() {
        let message = "Client-side 'metadata.tags' not allowed in request. \
                       'reject_clientside_metadata_tags'=True";
        return Err(Failure::bad_request(message).param("metadata.tags"));
    }
    let missing = rules.enforced_params.iter().find(|param| !has_param(head, body, param));
    match missing {
        Some(param) => Err(Failure::bad_request(format!(
            "BadRequest please pass param=[{param}] in request body. This is a required param"
        ))
        .param(param.as_str())),
        None => Ok(()),
    }
}

/// The end user of a call: LiteLLM's own headers, then those that the
/// configuration names, then the body.
pub fn end_user<'a>(rules: &Rules, headers: &'a HeaderMap, head: &'a Head) -> Option<&'a str> {
    let text = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty()).then_some(text)
    };
    let named = rules.end_user_headers.iter().find_map(|name| text(name));
    END_USER_HEADERS.iter().find_map(|name| text(name)).or(named).or_else(|| head.user())
}

/// LiteLLM's own headers that name the end user.
const END_USER_HEADERS: [&str; 2] = ["x-litellm-customer-id", "x-litellm-end-user-id"];

fn forbidden(message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(ErrorClass::Permission, Fault::Client, message).kind("auth_error")
}

/// Returns true if a list of paths, each without `/v1`, holds `path`.
fn is_listed(paths: &[String], path: &str) -> bool {
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    paths.iter().any(|listed| match listed.strip_suffix('*') {
        Some(start) => bare.starts_with(start),
        None => bare == listed,
    })
}

/// Returns true if the body has the parameter, or the member of it that stands
/// behind a dot.
fn has_param(head: &Head, body: &[u8], param: &str) -> bool {
    let (name, member) = match param.split_once('.') {
        Some((name, member)) => (name, Some(member)),
        None => (param, None),
    };
    let Some(raw) = head.raw(body, name) else { return false };
    let Some(member) = member else { return true };
    let members = serde_json::from_slice::<HashMap<String, &RawValue>>(raw);
    members.is_ok_and(|members| members.get(member).is_some_and(|value| value.get() != "null"))
}

#[cfg(test)]
mod tests {
    use super::{check_asker, check_body, check_key_holder, end_user};
    use crate::principal::Asker;
    use config::Rules;
    use dialect::Surface;
    use dialect::head::Head;
    use http::{HeaderMap, HeaderValue};

    fn asker<'a>(headers: &'a HeaderMap, ip: Option<&'a str>, path: &'a str) -> Asker<'a> {
        Asker { headers, client_ip: ip, path }
    }

    #[test]
    fn only_allowed_addresses_and_paths_pass() {
        let headers = HeaderMap::new();
        let rules = Rules {
            allowed_ips: Some(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]),
            allowed_routes: Some(vec!["/chat/completions".to_owned(), "/key/*".to_owned()]),
            admin_only_routes: vec!["/key/*".to_owned()],
            ..Rules::default()
        };
        let status = |ip, path| {
            check_asker(&rules, &asker(&headers, ip, path)).err().map(|f| f.status.as_u16())
        };
        assert_eq!(status(Some("10.1.2.3"), "/chat/completions"), None);
        assert_eq!(status(Some("::1"), "/v1/chat/completions"), None);
        assert_eq!(status(Some("10.1.2.3"), "/key/info"), None);
        for ip in [Some("11.0.0.1"), Some("nonsense"), None] {
            assert_eq!(status(ip, "/chat/completions"), Some(403), "{ip:?}");
        }
        assert_eq!(status(Some("::1"), "/v1/embeddings"), Some(403));
        let path = |path| check_key_holder(&rules, &asker(&headers, None, path)).is_ok();
        assert!(path("/chat/completions") && !path("/key/info"));
        let none = Rules::default();
        assert!(check_asker(&none, &asker(&headers, None, "/anything")).is_ok());
    }

    #[test]
    fn the_end_user_is_whom_the_headers_name_before_the_body() {
        let rules =
            Rules { end_user_headers: vec!["x-a".into(), "x-b".into()], ..Rules::default() };
        let head = Head::scan(br#"{"user":"body"}"#, Surface::OpenAiChat).unwrap();
        for (given, expected) in [
            (&[][..], "body"),
            (&["x-b"], "x-b"),
            (&["x-b", "x-a"], "x-a"),
            (&["x-a", "x-litellm-end-user-id"], "x-litellm-end-user-id"),
            (&["x-other"], "body"),
        ] {
            let header = |name: &&'static str| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(name))
            };
            let headers = given.iter().map(header).collect();
            assert_eq!(end_user(&rules, &headers, &head), Some(expected), "{given:?}");
        }
    }

    #[test]
    fn what_each_call_must_say_is_refused_by_name_where_it_is_missing() {
        let rules = Rules {
            enforce_user_param: true,
            enforced_params: vec!["seed".into(), "metadata.team".into()],
            reject_client_tags: true,
            ..Rules::default()
        };
        let refused = |body: &str, headers: &HeaderMap| {
            let head = Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap();
            check_body(&rules, headers, &head, body.as_bytes()).err().and_then(|f| f.param)
        };
        let (none, mut named) = (HeaderMap::new(), HeaderMap::new());
        named.insert("x-litellm-end-user-id", HeaderValue::from_static("u"));
        let good = r#"{"user":"u","seed":1,"metadata":{"team":"a"}}"#;
        assert_eq!(refused(good, &none), None);
        for (body, param) in [
            (r#"{"seed":1,"metadata":{"team":"a"}}"#, "user"),
            (r#"{"user":"u","metadata":{"team":"a"}}"#, "seed"),
            (r#"{"user":"u","seed":null,"metadata":{"team":"a"}}"#, "seed"),
            (r#"{"user":"u","seed":1,"metadata":{"team":null}}"#, "metadata.team"),
            (r#"{"user":"u","seed":1,"metadata":{"team":"a","tags":["t"]}}"#, "metadata.tags"),
        ] {
            assert_eq!(refused(body, &none).as_deref(), Some(param), "{body}");
        }
        assert_eq!(refused(r#"{"seed":1,"metadata":{"team":"a"}}"#, &named), None);
        let empty = std::iter::once((
            http::header::HeaderName::from_static("x-litellm-end-user-id"),
            HeaderValue::from_static(" "),
        ))
        .collect();
        assert_eq!(
            refused(r#"{"seed":1,"metadata":{"team":"a"}}"#, &empty).as_deref(),
            Some("user")
        );
        let count = Head::scan(b"{}", Surface::AnthropicCountTokens).unwrap();
        assert!(check_body(&rules, &none, &count, b"{}").is_ok());
    }
}
