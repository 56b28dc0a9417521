//! What a client asks of the gateway itself for one call: retries and times.
//!
//! LiteLLM's clients say it in headers (the only place that an Anthropic SDK
//! has for it) or in the body; the header wins, as it does there.

use crate::error::Failure;
use dialect::head::Head;
use http::{HeaderMap, HeaderName};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Retries.
    pub num_retries: Option<u32>,
    /// For a whole unary answer, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// To the first byte of a stream, in milliseconds.
    pub stream_timeout_ms: Option<u64>,
}

const NUM_RETRIES: HeaderName = HeaderName::from_static("x-litellm-num-retries");
const TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
const STREAM_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-stream-timeout");

impl Wishes {
    /// Reads both places.
    ///
    /// # Errors
    /// A header whose value is no number.
    pub fn read(headers: &HeaderMap, head: &Head) -> Result<Self, Box<Failure>> {
        let num_retries = of_header(headers, &NUM_RETRIES, "a whole number, 0 or more", |text| {
            text.parse::<u64>().ok().map(|n| u32::try_from(n).unwrap_or(u32::MAX))
        })?;
        let seconds = |name| of_header(headers, name, "a number of seconds, more than 0", as_ms);
        Ok(Self {
            num_retries: num_retries.or(head.num_retries()),
            timeout_ms: seconds(&TIMEOUT)?.or(head.timeout_ms()),
            stream_timeout_ms: seconds(&STREAM_TIMEOUT)?.or(head.stream_timeout_ms()),
        })
    }
}

fn of_header<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Box<Failure>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| parse(text.trim()));
    let refused = || {
        let message = format!("The header `{name}` must be {expected}.");
        Box::new(Failure::bad_request(message).param(name.as_str()))
    };
    parsed.ok_or_else(refused).map(Some)
}

/// Seconds, whole or not.
fn as_ms(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds > 0.0).then(|| (seconds * 1000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::{Failure, Wishes};
    use dialect::Surface;
    use dialect::head::Head;
    use http::{HeaderName, HeaderValue};

    fn read(headers: &[(&'static str, &'static str)], body: &str) -> Result<Wishes, Box<Failure>> {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let head = Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap();
        Wishes::read(&pairs.collect(), &head)
    }

    #[test]
    fn a_header_goes_before_the_body() {
        let body = r#"{"num_retries":1,"timeout":2,"stream_timeout":3}"#;
        let all = [
            ("x-litellm-num-retries", "4"),
            ("x-litellm-timeout", "5.5"),
            ("x-litellm-stream-timeout", " 6 "),
        ];
        let wishes = |n, t, s| Wishes {
            num_retries: Some(n),
            timeout_ms: Some(t),
            stream_timeout_ms: Some(s),
        };
        assert_eq!(read(&[], body).unwrap(), wishes(1, 2000, 3000));
        assert_eq!(read(&all, body).unwrap(), wishes(4, 5500, 6000));
        assert_eq!(read(&[], "{}").unwrap(), Wishes::default());
        let many = read(&[("x-litellm-num-retries", "99999999999")], "{}").unwrap();
        assert_eq!(many.num_retries, Some(u32::MAX));
    }

    #[test]
    fn a_header_that_is_no_number_is_refused_by_name() {
        for (name, value) in [
            ("x-litellm-num-retries", "-1"),
            ("x-litellm-num-retries", "two"),
            ("x-litellm-timeout", "0"),
            ("x-litellm-timeout", "inf"),
            ("x-litellm-stream-timeout", ""),
        ] {
            let failure = read(&[(name, value)], "{}").unwrap_err();
            assert_eq!((failure.status.as_u16(), failure.param.as_deref()), (400, Some(name)));
        }
    }
}
