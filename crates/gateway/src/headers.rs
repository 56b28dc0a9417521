//! Headers, both ways: what goes upstream, what comes back, and LiteLLM's.

use crate::admission::Admission;
use crate::call::Call;
use crate::deployment::Candidate;
use crate::header_names::{CALL_ID, RETRY_AFTER_MS, SHOULD_RETRY};
use crate::permit::Settled;
use crate::principal::Identity;
use crate::route::Route;
use crate::{betas, client_headers};
use base::{NanoUsd, Redactor};
use dialect::{Dialect, Dropped};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

/// Client headers that mean something to the provider. No other is forwarded:
/// not cookies, not credentials, not what names the client's network.
/// Beside these `anthropic-beta`, see [`betas`].
const FORWARDED: [HeaderName; 2] = [VERSION_OF_ANTHROPIC, HeaderName::from_static("openai-beta")];

const VERSION_OF_ANTHROPIC: HeaderName = HeaderName::from_static("anthropic-version");

/// Forwarded under another value: see [`idempotency_key`].
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What goes upstream, without the credential; `needed` are betas that the body
/// needs.
pub fn upstream(
    admission: &Admission,
    candidate: &Candidate,
    needed: &[&'static str],
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if admission.call.stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    let same = candidate.dialect() == admission.call.surface.dialect();
    if same {
        for name in FORWARDED {
            for value in admission.client_headers.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        if let Some(value) = idempotency_key(admission) {
            headers.insert(IDEMPOTENCY_KEY, value);
        }
    }
    for (name, value) in candidate.dialect().contract().default_headers {
        let name = HeaderName::from_static(name);
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let runtime = &admission.runtime;
    if runtime.rules.forward_client_headers {
        let key_header = runtime.key_header_name.as_deref();
        client_headers::forward(&admission.client_headers, key_header, &mut headers);
    }
    let own = &candidate.deployment.extra_headers;
    for (name, value) in own {
        headers.insert(name.clone(), value.clone());
    }
    let clients = admission.client_headers.get_all(betas::NAME).iter().filter(|_| same);
    let own = own.iter().filter(|(name, _)| *name == betas::NAME).map(|(_, value)| value);
    if let Some(all) = betas::joined(clients.chain(own), needed) {
        headers.insert(betas::NAME, all);
    }
    // What comes back is read, and an error in it cleaned: nothing compressed.
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers
}

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The client's idempotency key, made its own: behind one provider account
/// stand many keys of ours, and none may be given another's answer.
fn idempotency_key(admission: &Admission) -> Option<HeaderValue> {
    let given = admission.client_headers.get(IDEMPOTENCY_KEY)?.to_str().ok()?;
    let owner = match admission.call.principal.identity {
        Identity::Key(hash) => hash.to_string(),
        Identity::Master => "master".to_owned(),
        Identity::Nobody => return None,
    };
    let own = admission.gateway.hasher.hash(&[&owner, ":", given].concat());
    HeaderValue::from_str(&own.to_string()).ok()
}

/// The provider's headers as clients of LiteLLM know them: rate limits under
/// their own names, all of them with a prefix. A header that echoes a secret in
/// its name or its value, or is named like one, is left out.
pub fn provider(from: &HeaderMap, redactor: &Redactor, into: &mut HeaderMap) {
    for (name, value) in from {
        let text = name.as_str();
        if is_private(text) || redactor.finds(value.as_bytes()) {
            continue;
        }
        let Some(prefixed) = prefixed(name, redactor) else { continue };
        if text.starts_with("x-ratelimit-") || *name == RETRY_AFTER_MS || *name == SHOULD_RETRY {
            into.append(name.clone(), value.clone());
        }
        into.append(prefixed, value.clone());
    }
}

/// The provider's own id of the request, by which its support can find it.
pub fn provider_request_id(from: &HeaderMap, redactor: &Redactor, into: &mut HeaderMap) {
    for name in [REQUEST_ID, ANTHROPIC_REQUEST_ID] {
        let value = from.get(&name).filter(|value| !redactor.finds(value.as_bytes()));
        if let (Some(value), Some(prefixed)) = (value, prefixed(&name, redactor)) {
            into.insert(prefixed, value.clone());
        }
    }
}

/// The name with [`PROVIDER_PREFIX`]; `None` if it holds a secret. Providers send
/// the same names with every answer, so each is looked at once; a few hundred
/// are remembered.
fn prefixed(name: &HeaderName, redactor: &Redactor) -> Option<HeaderName> {
    #[derive(Default)]
    struct Names {
        made: HashMap<HeaderName, HeaderName>,
        /// The set of secrets that none of them holds.
        clean_of: u64,
    }
    thread_local! {
        static NAMES: RefCell<Names> = RefCell::default();
    }
    NAMES.with_borrow_mut(|names| {
        if names.clean_of != redactor.id() {
            *names = Names { made: HashMap::new(), clean_of: redactor.id() };
        }
        if let Some(known) = names.made.get(name) {
            return Some(known.clone());
        }
        if redactor.finds(name.as_str().as_bytes()) {
            return None;
        }
        let new = [PROVIDER_PREFIX, name.as_str()].concat();
        let new = HeaderName::from_bytes(new.as_bytes()).ok()?;
        if names.made.len() < REMEMBERED_MAX {
            names.made.insert(name.clone(), new.clone());
        }
        Some(new)
    })
}

/// So that an upstream which makes names up fills no memory.
const REMEMBERED_MAX: usize = 256;

const PROVIDER_PREFIX: &str = "llm_provider-";

/// Hop-by-hop headers (RFC 9110, section 7.6.1), those that describe a body
/// we may have changed, cookies, and what carries a credential.
fn is_private(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "content-encoding"
            | "set-cookie"
            | "cookie"
            | "www-authenticate"
            | "authorization"
            | "api-key"
            | "x-api-key"
            | "x-goog-api-key"
            | "ocp-apim-subscription-key"
            | "x-amz-security-token"
            | "alt-svc"
            | "strict-transport-security"
    )
}

/// When the provider wants to be asked again (`retry-after-ms`, or
/// `retry-after` in seconds; a date is not understood).
pub fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &HeaderName| -> Option<f64> {
        headers.get(name)?.to_str().ok()?.trim().parse().ok().filter(|n: &f64| *n >= 0.0)
    };
    number(&RETRY_AFTER_MS)
        .or_else(|| number(&RETRY_AFTER).map(|seconds| seconds * 1000.0))
        .map(|ms| ms.min(86_400_000.0) as u64)
}

/// Where OpenAI's clients read an answer's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients do.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const MODEL_NAME: HeaderName = HeaderName::from_static("x-litellm-model-name");
const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
const API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
const VERSION: HeaderName = HeaderName::from_static("x-litellm-version");
const COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
const COST_ORIGINAL: HeaderName = HeaderName::from_static("x-litellm-response-cost-original");
const COST_INPUT: HeaderName = HeaderName::from_static("x-litellm-response-cost-input");
const COST_OUTPUT: HeaderName = HeaderName::from_static("x-litellm-response-cost-output");
const COST_CACHE_READ: HeaderName = HeaderName::from_static("x-litellm-response-cost-cache-read");
const COST_CACHE_WRITE: HeaderName =
    HeaderName::from_static("x-litellm-response-cost-cache-creation");
const COST_REASONING: HeaderName = HeaderName::from_static("x-litellm-response-cost-reasoning");
const COST_TOOLS: HeaderName = HeaderName::from_static("x-litellm-response-cost-tool-usage");
const KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
const RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
const FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
const DURATION: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
const OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");

/// An answer's id, under LiteLLM's name and under the client's own.
pub fn of_id(id: &str, dialect: Dialect, into: &mut HeaderMap) {
    let Ok(value) = HeaderValue::from_str(id) else { return };
    let own = dialect.contract().request_id_header;
    into.insert(HeaderName::from_static(own), value.clone());
    into.insert(CALL_ID, value);
}

/// LiteLLM's headers that are known before any attempt, for failures too.
pub fn of_call(call: &Call, into: &mut HeaderMap) {
    of_id(&call.id, call.surface.dialect(), into);
    insert_text(into, MODEL_GROUP, &call.requested_model);
    into.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    let principal = &call.principal;
    let Some(key) = &principal.key else { return };
    for (name, value) in &principal.limit_headers {
        into.insert(name.clone(), value.clone());
    }
    let spent = match &principal.tally {
        Some(cell) => NanoUsd(cell.usage().spent),
        None => key.spend,
    };
    insert_text(into, KEY_SPEND, &spent.to_string());
}

/// How an answer came about.
pub struct Answered<'a> {
    /// Who gave it.
    pub candidate: &'a Candidate,
    /// Where the call has been.
    pub route: &'a Route,
    /// Time that the call's upstreams took, all attempts together.
    pub upstream_time: Duration,
    /// Its cost, if that is known by now.
    pub settled: Option<&'a Settled>,
}

/// LiteLLM's headers of an answer; the cost only where it is known by now.
pub fn of_answer(admission: &Admission, answered: &Answered<'_>, into: &mut HeaderMap) {
    let Answered { candidate, route, upstream_time, settled } = *answered;
    of_call(&admission.call, into);
    let name = [candidate.deployment.provider.id, "/", &candidate.upstream_model].concat();
    insert_text(into, MODEL_NAME, &name);
    into.insert(MODEL_ID, candidate.deployment.id_header.clone());
    into.insert(API_BASE, candidate.deployment.api_base_header.clone());
    into.insert(RETRIES, HeaderValue::from(route.retries));
    into.insert(FALLBACKS, HeaderValue::from(route.fallbacks));
    let elapsed = admission.gateway.clock.monotonic().saturating_sub(admission.call.received_at);
    insert_text(into, DURATION, &millis(elapsed));
    insert_text(into, OVERHEAD, &millis(elapsed.saturating_sub(upstream_time)));
    if let Some(settled) = settled {
        of_cost(settled, into);
    }
    if admission.call.principal.is_admin() {
        // The master key has no row; LiteLLM counts the call alone.
        let spent = settled.map_or(NanoUsd::ZERO, |settled| settled.cost);
        insert_text(into, KEY_SPEND, &spent.to_string());
    }
}

/// The cost and those of its parts that are not zero.
fn of_cost(settled: &Settled, into: &mut HeaderMap) {
    if let Ok(cost) = HeaderValue::try_from(settled.cost.to_string()) {
        into.insert(COST_ORIGINAL, cost.clone());
        into.insert(COST, cost);
    }
    let Some(parts) = &settled.parts else { return };
    for (name, part) in [
        (COST_INPUT, parts.input),
        (COST_OUTPUT, parts.output),
        (COST_CACHE_READ, parts.cache_read),
        (COST_CACHE_WRITE, parts.cache_write),
        (COST_REASONING, parts.reasoning),
        (COST_TOOLS, parts.searches),
    ] {
        if part > NanoUsd::ZERO {
            insert_text(into, name, &part.to_string());
        }
    }
}

/// Milliseconds with one digit after the point.
fn millis(time: Duration) -> String {
    let tenths = time.as_micros() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Names of what was left out of the request; at most
/// [`TEXT_MAX_BYTES`](dialect::dropped::TEXT_MAX_BYTES).
pub fn of_dropped(dropped: &Dropped, into: &mut HeaderMap) {
    if !dropped.is_empty() {
        insert_text(into, DROPPED, &dropped.text());
    }
}

const DROPPED: HeaderName = HeaderName::from_static("x-keymoat-dropped");

/// Left out where the text cannot stand in a header.
fn insert_text(into: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        into.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{provider, retry_after_ms};
    use base::{Redactor, Secret};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn cookies_and_hop_by_hop_headers_stay_behind() {
        let from = headers(&[
            ("set-cookie", "session"),
            ("transfer-encoding", "chunked"),
            ("x-ratelimit-remaining-requests", "9"),
            ("x-request-id", "req_1"),
        ]);
        let mut into = HeaderMap::new();
        provider(&from, &Redactor::default(), &mut into);
        assert_eq!(into.len(), 3);
        assert_eq!(into["x-ratelimit-remaining-requests"], "9");
        assert_eq!(into["llm_provider-x-request-id"], "req_1");
    }

    #[test]
    fn a_header_that_echoes_a_credential_stays_behind() {
        let from = headers(&[
            ("x-api-key", "anything"),
            ("x-debug", "got Bearer sk-upstream-1234"),
            ("x-ratelimit-reset", "sk-upstream-1234"),
            ("x-request-id", "req_1"),
        ]);
        let secrets = [Secret::new("sk-upstream-1234".into())];
        let mut into = HeaderMap::new();
        provider(&from, &Redactor::new(&secrets), &mut into);
        assert_eq!(into, headers(&[("llm_provider-x-request-id", "req_1")]));
    }

    #[test]
    fn a_name_that_is_made_of_a_credential_stays_behind_also_after_a_reload() {
        let from = headers(&[("x-sk-upstream-1234", "1"), ("x-other", "1")]);
        let before = Redactor::default();
        let mut into = HeaderMap::new();
        provider(&from, &before, &mut into);
        assert_eq!(into.len(), 2);
        let after = before.and(&Redactor::new(&[Secret::new("sk-upstream-1234".into())]));
        for _ in 0..2 {
            let mut into = HeaderMap::new();
            provider(&from, &after, &mut into);
            assert_eq!(into, headers(&[("llm_provider-x-other", "1")]));
        }
    }

    #[test]
    fn retry_after_in_both_units() {
        assert_eq!(retry_after_ms(&headers(&[("retry-after", "2")])), Some(2000));
        let both = headers(&[("retry-after-ms", "150"), ("retry-after", "2")]);
        assert_eq!(retry_after_ms(&both), Some(150));
        let date = headers(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]);
        assert_eq!(retry_after_ms(&date), None);
    }
}
