//! Cross-origin requests (<https://fetch.spec.whatwg.org/#http-cors-protocol>),
//! for the origins that `keymoat.listen.cors_origins` names; off without it.
//!
//! A preflight is answered without a key, since browsers send none with it. No
//! answer allows credentials: keys come in headers that a page sets itself.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

/// Methods of all routes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");

/// Seconds for which a browser remembers a preflight.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Pages on public sites ask with this for a gateway on a private address.
const REQUEST_PRIVATE: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Response headers that a page may read, by how their names begin.
const EXPOSED: [&str; 9] = [
    "x-litellm-",
    "x-keymoat-",
    "x-ratelimit-",
    "x-request-id",
    "request-id",
    "llm_provider-",
    "retry-after",
    "x-should-retry",
    "anthropic-",
];

/// The origins whose pages may call the gateway.
pub(crate) struct Cors {
    /// `*`: every origin.
    any: bool,
    origins: Vec<String>,
}

/// The part of a request that decides about its answer.
pub(crate) struct Asked {
    origin: HeaderValue,
    is_allowed: bool,
}

impl Cors {
    /// `None` if no origin is named.
    pub(crate) fn new(origins: &[String]) -> Option<Self> {
        let any = origins.iter().any(|origin| origin == "*");
        (!origins.is_empty()).then(|| Self { any, origins: origins.to_vec() })
    }

    /// Judges a request; `None` if it comes from no page.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Option<Asked> {
        let origin = headers.get(ORIGIN)?.clone();
        let is_named = || {
            let origin = origin.to_str().unwrap_or_default();
            self.origins.iter().any(|named| named.eq_ignore_ascii_case(origin))
        };
        let is_allowed = self.any || is_named();
        Some(Asked { origin, is_allowed })
    }

    /// Answers a preflight; `None` if the request is none.
    pub(crate) fn preflight<B: From<Bytes>>(
        &self,
        asked: &Asked,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<B>> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let body = match asked.is_allowed {
            true => Bytes::new(),
            false => Bytes::from_static(
                b"keymoat.listen.cors_origins does not name this page's origin\n",
            ),
        };
        let mut response = Response::new(body.into());
        let answer = response.headers_mut();
        self.allow(asked, answer);
        if asked.is_allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
            if let Some(names) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            if headers.contains_key(REQUEST_PRIVATE) {
                answer.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
            }
            let names = "access-control-request-method, access-control-request-headers";
            answer.append(VARY, HeaderValue::from_static(names));
        }
        *response.status_mut() =
            if asked.is_allowed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
        Some(response)
    }

    /// Lets an allowed page read an answer, errors included.
    pub(crate) fn share(&self, asked: &Asked, answer: &mut HeaderMap) {
        self.allow(asked, answer);
        if !asked.is_allowed {
            return;
        }
        let mut names = String::new();
        for name in answer.keys().map(HeaderName::as_str) {
            if EXPOSED.iter().any(|prefix| name.starts_with(prefix)) {
                if !names.is_empty() {
                    names.push_str(", ");
                }
                names.push_str(name);
            }
        }
        if let Ok(names) = HeaderValue::try_from(names) {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }

    fn allow(&self, asked: &Asked, answer: &mut HeaderMap) {
        if self.any {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        if asked.is_allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, asked.origin.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cors;
    use bytes::Bytes;
    use http::header::{self, HeaderMap, HeaderName, HeaderValue};
    use http::{Method, Response};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&origins.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn preflight(cors: &Cors, origin: &'static str) -> Response<Bytes> {
        let asked = headers(&[
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,x-stainless-lang"),
        ]);
        cors.preflight(&cors.judge(&asked).unwrap(), &Method::OPTIONS, &asked).unwrap()
    }

    #[test]
    fn without_origins_there_is_no_cors() {
        assert!(Cors::new(&[]).is_none());
        assert!(cors(&["*"]).judge(&headers(&[("host", "x")])).is_none(), "no page asks");
    }

    #[test]
    fn a_preflight_of_a_named_origin_gets_what_it_asks_for_and_no_other_does() {
        let cors = cors(&["https://app.example", "app://obsidian.md"]);
        let answer = preflight(&cors, "app://obsidian.md");
        assert_eq!(answer.status(), 204);
        let answer = answer.headers();
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], "app://obsidian.md");
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS], "authorization,x-stainless-lang");
        assert!(answer.get_all(header::VARY).iter().any(|vary| vary == "origin"));
        for origin in ["https://evil.example", "https://app.example.evil.example", "null"] {
            let answer = preflight(&cors, origin);
            assert_eq!(answer.status(), 403);
            assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }

    #[test]
    fn options_of_no_page_is_no_preflight() {
        let cors = cors(&["*"]);
        let asked = headers(&[("origin", "https://app.example")]);
        let judged = cors.judge(&asked).unwrap();
        assert!(cors.preflight::<Bytes>(&judged, &Method::OPTIONS, &asked).is_none());
    }

    #[test]
    fn a_page_may_read_the_headers_that_are_ours_and_no_others() {
        let cors = cors(&["*"]);
        let judged = cors.judge(&headers(&[("origin", "https://app.example")])).unwrap();
        let mut answer = headers(&[
            ("x-litellm-call-id", "1"),
            ("retry-after", "1"),
            ("content-type", "application/json"),
            ("set-cookie", "a=b"),
        ]);
        cors.share(&judged, &mut answer);
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let exposed = answer[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        let mut exposed: Vec<&str> = exposed.split(", ").collect();
        exposed.sort_unstable();
        assert_eq!(exposed, ["retry-after", "x-litellm-call-id"]);
    }
}
