//! From a client's headers to a principal: the key in its many headers, and
//! what the store says of it. Does not decide what the principal may call, see
//! [`crate::principal`].

use crate::canary;
use crate::error::{Compat, Failure, Fault};
use crate::gateway::Gateway;
use crate::idle::ROW_AGE_MAX;
use crate::key_cache::READS_MAX;
use crate::principal::{Asker, Principal};
use crate::rules;
use crate::runtime::Runtime;
use base::KeyHash;
use dialect::ErrorClass;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ledger::{Unit, VirtualKey};
use std::sync::Arc;

/// The headers that may carry the key, first present wins (LiteLLM's order).
const KEY_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("x-litellm-api-key"),
    header::AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// The key that the client sent, without its scheme.
pub fn presented_key<'a>(headers: &'a HeaderMap, own_header: Option<&str>) -> Option<&'a str> {
    let key = |value: &'a HeaderValue| {
        let text = value.to_str().ok()?.trim();
        (!text.is_empty()).then(|| without_scheme(text))
    };
    match own_header {
        Some(name) => headers.get(name).and_then(key),
        None => KEY_HEADERS.iter().find_map(|name| headers.get(name).and_then(key)),
    }
}

fn without_scheme(text: &str) -> &str {
    // Signed as AWS's clients sign: the key stands before the scope.
    if let Some(credential) = text.strip_prefix("AWS4-HMAC-SHA256 Credential=Bearer ") {
        return credential.split(['/', ',']).next().unwrap_or(credential).trim();
    }
    let key = ["Bearer ", "bearer ", "BEARER ", "Basic "].iter().find_map(|s| text.strip_prefix(s));
    key.unwrap_or(text).trim()
}

/// Finds the caller of a request by its key.
///
/// # Errors
/// LiteLLM's 401s and 400s, in the words of `compat`.
pub async fn authenticate(
    gateway: &Gateway,
    runtime: &Runtime,
    asker: &Asker<'_>,
) -> Result<Arc<Principal>, Failure> {
    let compat = runtime.compat;
    rules::check_asker(&runtime.rules, asker)?;
    let own_header = runtime.key_header_name.as_deref();
    let Some(presented) = presented_key(asker.headers, own_header) else {
        return Err(denied("Authentication Error, No api key passed in."));
    };
    let hash = gateway.hasher.hash(presented);
    if hash == runtime.master {
        return Ok(Arc::clone(&gateway.admin));
    }
    if !presented.starts_with("sk-") {
        return Err(denied(format!(
            "Authentication Error, LiteLLM Virtual Key expected. Received={}, expected to start \
             with 'sk-'.",
            masked(presented)
        )));
    }
    let fresh = |known: &Arc<Principal>| {
        let age = || gateway.clock.monotonic().saturating_sub(known.read_at);
        runtime.key_cache_ttl.is_none_or(|ttl| age() <= ttl)
    };
    let principal = match gateway.keys.get(&hash).filter(fresh) {
        Some(principal) => principal,
        None => load(gateway, &hash, compat).await?,
    };
    let Some(key) = &principal.key else { return Err(not_found(&hash, compat)) };
    if principal.is_canary {
        canary::alarm(gateway, key, asker);
        return Err(not_found(&hash, compat));
    }
    check(key, gateway.clock.unix_ms(), compat)?;
    rules::check_key_holder(&runtime.rules, asker)?;
    Ok(principal)
}

async fn load(
    gateway: &Gateway,
    hash: &KeyHash,
    compat: Compat,
) -> Result<Arc<Principal>, Failure> {
    // A key that is blocked or changed while it is read must not come to life
    // again as it was.
    for _ in 0..READS_MAX {
        let read = gateway.keys.begin_read(*hash);
        let began_at = gateway.clock.monotonic();
        let found = gateway.store.key_by_hash(*hash).await.map_err(|error| {
            Failure::new(ErrorClass::Overloaded, Fault::Gateway, "The key store does not answer.")
                .kind("no_db_connection")
                .cause(&error)
        })?;
        let found = match gateway.keys.stopped(hash) {
            Some(stopped) => found.and_then(|key| stopped.apply(key)),
            None => found,
        };
        let Some(key) = found else { return Err(not_found(hash, compat)) };
        // Its cells may have been dropped since: the row must know what they knew.
        if gateway.clock.monotonic().saturating_sub(began_at) >= ROW_AGE_MAX {
            continue;
        }
        if let Some(opened) = read.keep(|| open(gateway, key)) {
            return Ok(opened);
        }
    }
    Err(Failure::new(
        ErrorClass::Overloaded,
        Fault::Gateway,
        "The key is being changed too fast to be read; try again.",
    )
    .retry_after_ms(Some(1000)))
}

fn not_found(hash: &KeyHash, compat: Compat) -> Failure {
    let message = match compat {
        Compat::V1_83 => format!(
            "Authentication Error, Invalid proxy server token passed. key={hash}, not found in \
             db. Create key via `/key/generate` call."
        ),
        Compat::V1_109 => "Authentication Error, Invalid API key provided.".to_owned(),
    };
    denied(message).kind("token_not_found_in_db").param("key")
}

/// Builds the holder of `key`, with its allowances as living cells.
fn open(gateway: &Gateway, key: VirtualKey) -> Principal {
    let (allowance, opening) = key.tally();
    let tally = Some(gateway.book.open(allowance, opening));
    let cells = key.allowances().into_iter();
    let cells = cells.map(|(allowance, opening)| gateway.book.open(allowance, opening));
    let (permit, admission): (Vec<_>, Vec<_>) =
        cells.partition(|cell| matches!(cell.unit(), Unit::Money | Unit::Tokens));
    let money = permit.iter().find(|cell| cell.unit() == Unit::Money).cloned();
    Principal {
        admission,
        permit,
        money,
        tally,
        limit_headers: limit_headers(&key),
        read_at: gateway.clock.monotonic(),
        ..Principal::of_key(key)
    }
}

const KEY_MAX_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
const KEY_RPM: HeaderName = HeaderName::from_static("x-litellm-key-rpm-limit");
const KEY_TPM: HeaderName = HeaderName::from_static("x-litellm-key-tpm-limit");

/// Returns LiteLLM's headers about a key's limits, which change only with the key.
fn limit_headers(key: &VirtualKey) -> Vec<(HeaderName, HeaderValue)> {
    let budget = key.max_budget.and_then(|max| HeaderValue::try_from(max.to_string()).ok());
    [
        (KEY_RPM, key.rpm_limit.map(HeaderValue::from)),
        (KEY_TPM, key.tpm_limit.map(HeaderValue::from)),
        (KEY_MAX_BUDGET, budget),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn check(key: &VirtualKey, now_ms: i64, compat: Compat) -> Result<(), Failure> {
    if key.blocked {
        return Err(denied(
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
        ));
    }
    if let Some(expires_at_ms) = key.expires_at_ms.filter(|at| *at <= now_ms) {
        let status = match compat {
            Compat::V1_83 => StatusCode::BAD_REQUEST,
            Compat::V1_109 => StatusCode::UNAUTHORIZED,
        };
        return Err(denied(format!(
            "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
            base::clock::rfc3339(expires_at_ms),
            base::clock::rfc3339(now_ms)
        ))
        .kind("expired_key")
        .param(key.name.clone())
        .status(status));
    }
    Ok(())
}

fn denied(message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(ErrorClass::Authentication, Fault::Client, message).kind("auth_error")
}

/// The first and last four characters; nothing of a short text.
fn masked(text: &str) -> String {
    let length = text.chars().count();
    if length <= 12 {
        return "****".to_owned();
    }
    let first: String = text.chars().take(4).collect();
    let last: String = text.chars().skip(length - 4).collect();
    format!("{first}****{last}")
}

#[cfg(test)]
mod tests {
    use super::{masked, presented_key};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn every_header_form_gives_the_key() {
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bearer sk-1"),
            ("authorization", "Basic sk-1"),
            ("authorization", "AWS4-HMAC-SHA256 Credential=Bearer sk-1/20260101/x, Signed=y"),
            ("x-litellm-api-key", "sk-1"),
            ("x-litellm-api-key", "Bearer sk-1"),
            ("api-key", "sk-1"),
            ("x-api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
            ("ocp-apim-subscription-key", "sk-1"),
        ] {
            assert_eq!(presented_key(&headers(&[(name, value)]), None), Some("sk-1"), "{name}");
        }
    }

    #[test]
    fn the_first_present_wins_and_a_configured_header_replaces_all() {
        let both = headers(&[("x-litellm-api-key", "sk-1"), ("authorization", "Bearer oauth")]);
        assert_eq!(presented_key(&both, None), Some("sk-1"));
        assert_eq!(presented_key(&both, Some("x-company-key")), None);
        assert_eq!(presented_key(&headers(&[("authorization", "")]), None), None);
    }

    #[test]
    fn a_key_may_hold_what_separates_elsewhere() {
        let slashed = headers(&[("authorization", "Bearer sk-a/b,c")]);
        assert_eq!(presented_key(&slashed, None), Some("sk-a/b,c"));
    }

    #[test]
    fn a_refused_key_is_not_shown() {
        assert_eq!(masked("hunter2"), "****");
        assert_eq!(masked("abcdefghijklmnopq"), "abcd****nopq");
    }
}
