//! Headers of the client that go to the provider where the operator says so
//! (`general_settings.forward_client_headers_to_llm_api`), as in LiteLLM: those that
//! begin with `x-`. None that may carry a credential, names the client's network,
//! or is addressed to a gateway.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Beginnings of names that stay here.
const PRIVATE_PREFIXES: [&str; 13] = [
    "x-litellm-",
    "x-keymoat-",
    "x-stainless-",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-",
    "x-envoy-",
    "x-amz",
    "x-goog-",
    "x-ms-",
    "x-http-method",
];

/// Parts of names that carry credentials.
const CREDENTIAL_PARTS: [&str; 9] =
    ["key", "token", "secret", "auth", "cookie", "session", "password", "credential", "signature"];

/// Adds the client's `x-` headers to `into`, except those that are there already.
/// `key_header` is the header in which virtual keys come, if it has a name of its own.
pub(crate) fn forward(client: &HeaderMap, key_header: Option<&str>, into: &mut HeaderMap) {
    for name in client.keys() {
        if !is_forwarded(name, key_header) || into.contains_key(name) {
            continue;
        }
        let values = client.get_all(name);
        if values.iter().any(looks_secret) {
            continue;
        }
        for value in values {
            into.append(name.clone(), value.clone());
        }
    }
}

fn is_forwarded(name: &HeaderName, key_header: Option<&str>) -> bool {
    let name = name.as_str();
    name.starts_with("x-")
        && !PRIVATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !CREDENTIAL_PARTS.iter().any(|part| name.contains(part))
        && key_header.is_none_or(|key_header| !key_header.eq_ignore_ascii_case(name))
}

/// Returns true if a value has the form of a key or a bearer token.
fn looks_secret(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let begins = value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "));
    begins || memchr::memmem::find(value, b"sk-").is_some()
}

#[cfg(test)]
mod tests {
    use super::forward;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn forwarded(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let client: HeaderMap = pairs.iter().map(pair).collect();
        let mut into = HeaderMap::new();
        into.insert("x-ours", HeaderValue::from_static("ours"));
        forward(&client, Some("X-Gateway-Pass"), &mut into);
        let mut names: Vec<String> = into
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_clients_own_headers_go_on_and_those_of_the_operator_stay() {
        let client = [("x-trace-id", "1"), ("x-ours", "theirs"), ("user-agent", "a")];
        assert_eq!(forwarded(&client), ["x-ours=ours", "x-trace-id=1"]);
    }

    #[test]
    fn nothing_that_may_be_a_credential_or_tells_of_the_clients_network_goes_on() {
        for name in [
            "x-api-key",
            "x-goog-api-key",
            "x-gateway-pass",
            "x-session-id",
            "x-csrf-token",
            "x-amz-security-token",
            "x-forwarded-for",
            "x-real-ip",
            "x-litellm-tags",
            "x-stainless-os",
            "authorization",
            "cookie",
        ] {
            assert_eq!(forwarded(&[(name, "1")]), ["x-ours=ours"], "{name}");
        }
        for value in ["Bearer abc", "bearer abc", "my sk-1234"] {
            let header = HeaderValue::from_static(value);
            let client = HeaderMap::from_iter([(HeaderName::from_static("x-note"), header)]);
            let mut into = HeaderMap::new();
            forward(&client, None, &mut into);
            assert!(into.is_empty(), "{value}");
        }
    }
}
