//! Provider credentials: bound to their origins, attached as the last step,
//! never read.
//!
//! A request that leaves is built in two steps. [`Outgoing`] says where it
//! goes: origin, method, path and headers, all final. [`Credential::attach`]
//! turns it into an [`Authorized`], or refuses because the origin is not one
//! of the credential's own. Only an `Authorized` can be sent, and it cannot be
//! changed, so no header, body field, redirect or `api_base` moves a key to
//! another host. Nothing here gives the secret back.

use base::{Origin, Secret};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::sync::Arc;

/// How a provider wants to see the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone in a header of this name: `x-api-key`, `api-key`.
    Header(HeaderName),
}

/// Why a credential was not attached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request goes to a host that the credential does not belong to.
    #[error("credential `{credential}` may not be sent to {origin}; it belongs to {allowed}")]
    NotItsHost {
        /// The credential's id.
        credential: Arc<str>,
        /// Where the request goes.
        origin: Origin,
        /// Where the credential may go.
        allowed: String,
    },
    /// The secret holds bytes that a header cannot.
    #[error("credential `{0}` holds characters that cannot stand in a header (a line break?)")]
    NotAHeader(Arc<str>),
}

/// A provider credential. Sealed: no `Debug`, no accessor for the secret.
pub struct Credential {
    id: Arc<str>,
    origins: Vec<Origin>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Credential {
    /// Binds `secret` to `origins`, for good.
    ///
    /// # Errors
    /// [`Error::NotAHeader`] where the secret cannot be sent as it is.
    pub fn new(
        id: Arc<str>,
        scheme: AuthScheme,
        secret: &Secret,
        origins: Vec<Origin>,
    ) -> Result<Self, Error> {
        let credential = Self::without_key(id, origins);
        match scheme {
            AuthScheme::Bearer => {
                let bearer = Secret::new(format!("Bearer {}", secret.expose().trim()));
                credential.and_header(header::AUTHORIZATION, &bearer)
            }
            AuthScheme::Header(name) => credential.and_header(name, secret),
        }
    }

    /// Bound to `origins`, and nothing in it yet.
    pub fn without_key(id: Arc<str>, origins: Vec<Origin>) -> Self {
        Self { id, origins, headers: Vec::new() }
    }

    /// With another header, in place of one of that name: what the operator
    /// writes out wins over what is made of a key.
    ///
    /// # Errors
    /// [`Error::NotAHeader`] where the secret cannot be sent as it is.
    pub fn and_header(mut self, name: HeaderName, secret: &Secret) -> Result<Self, Error> {
        let Ok(mut value) = HeaderValue::from_str(secret.expose().trim()) else {
            return Err(Error::NotAHeader(self.id));
        };
        value.set_sensitive(true);
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        Ok(self)
    }

    /// The credential's public name, for records and messages.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Attaches itself to a request whose destination is final.
    ///
    /// # Errors
    /// [`Error::NotItsHost`], always, where the origin is not one of its own.
    pub fn attach(&self, mut outgoing: Outgoing) -> Result<Authorized, Error> {
        if !self.origins.contains(&outgoing.origin) {
            let allowed: Vec<String> = self.origins.iter().map(ToString::to_string).collect();
            return Err(Error::NotItsHost {
                credential: Arc::clone(&self.id),
                origin: outgoing.origin,
                allowed: allowed.join(", "),
            });
        }
        for (name, value) in &self.headers {
            outgoing.headers.insert(name.clone(), value.clone());
        }
        Ok(Authorized(outgoing))
    }
}

/// The head of a request whose destination is final and that holds no
/// credential yet.
pub struct Outgoing {
    origin: Origin,
    method: Method,
    path_and_query: String,
    headers: HeaderMap,
}

impl Outgoing {
    /// `path_and_query` begins with `/`. Credentials that a caller put into
    /// `headers` are taken out: only a [`Credential`] may add one.
    pub fn new(
        origin: Origin,
        method: Method,
        path_and_query: String,
        mut headers: HeaderMap,
    ) -> Self {
        if headers.keys().any(|name| carries_credential(name.as_str())) {
            for name in CREDENTIAL_HEADERS {
                headers.remove(*name);
            }
        }
        Self { origin, method, path_and_query, headers }
    }

    /// For upstreams that need no key (a local model server).
    pub fn without_credential(self) -> Authorized {
        Authorized(self)
    }
}

/// Headers that carry a credential in any provider's or our own scheme.
pub const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
    "ocp-apim-subscription-key",
];

/// Whether a header of this name, in lower case, is for a [`Credential`] alone.
pub fn carries_credential(name: &str) -> bool {
    CREDENTIAL_HEADERS.contains(&name)
}

/// The head of a request that may leave. Cannot be changed.
pub struct Authorized(Outgoing);

impl Authorized {
    /// Where it goes.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Its parts, for the one crate that puts them on a wire.
    pub fn into_parts(self) -> (Origin, Method, String, HeaderMap) {
        (self.0.origin, self.0.method, self.0.path_and_query, self.0.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthScheme, Credential, Error, Outgoing};
    use base::{Origin, Secret};
    use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

    fn origin(url: &str) -> Origin {
        Origin::parse_base(url).unwrap().0
    }

    fn credential() -> Credential {
        let secret = Secret::new("sk-upstream\n".into());
        let origins = vec![origin("https://api.openai.com")];
        Credential::new("openai".into(), AuthScheme::Bearer, &secret, origins).unwrap()
    }

    fn outgoing(url: &str, headers: HeaderMap) -> Outgoing {
        Outgoing::new(origin(url), Method::POST, "/v1/chat/completions".into(), headers)
    }

    #[test]
    fn a_key_goes_to_its_own_origin_and_its_header_is_sensitive() {
        let sent =
            credential().attach(outgoing("https://API.openai.com.", HeaderMap::new())).unwrap();
        let (.., headers) = sent.into_parts();
        assert_eq!(headers["authorization"], "Bearer sk-upstream");
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_key_never_goes_elsewhere() {
        for url in ["https://evil.example", "http://api.openai.com", "https://api.openai.com:8443"]
        {
            let refused = credential().attach(outgoing(url, HeaderMap::new()));
            assert!(matches!(refused, Err(Error::NotItsHost { .. })), "{url}");
        }
    }

    #[test]
    fn what_the_operator_writes_out_is_bound_too_and_wins() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let name = HeaderName::from_static("ocp-apim-subscription-key");
        let both = credential().and_header(name.clone(), &secret("apim")).unwrap();
        let both = both.and_header(header::AUTHORIZATION, &secret("Basic x")).unwrap();
        let sent = both.attach(outgoing("https://api.openai.com", HeaderMap::new())).unwrap();
        let (.., headers) = sent.into_parts();
        assert_eq!(
            (&headers[name], &headers["authorization"]),
            (&"apim".parse().unwrap(), &"Basic x".parse().unwrap())
        );
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(both.attach(outgoing("https://evil.example", HeaderMap::new())).is_err());
    }

    #[test]
    fn a_callers_own_credentials_are_taken_out() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("client"));
        headers.insert("cookie", HeaderValue::from_static("session"));
        let (.., headers) =
            outgoing("http://127.0.0.1:1", headers).without_credential().into_parts();
        assert!(headers.is_empty());
    }

    #[test]
    fn a_key_that_is_not_a_header_is_named_not_shown() {
        let secret = Secret::new("sk-a\nb".into());
        let refused = Credential::new("mine".into(), AuthScheme::Bearer, &secret, vec![]);
        let message = refused.err().unwrap().to_string();
        assert!(message.contains("`mine`") && !message.contains("sk-a"));
    }
}
