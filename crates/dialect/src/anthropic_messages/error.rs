//! Errors as Anthropic says them: `{"type":"error","error":{type, message}}`,
//! alone or as an event of a stream.
//!
//! What stands before Anthropic may answer too: Google's and Amazon's error
//! bodies and proxies' pages are understood as far as they go, and a page's
//! text is never shown.

use crate::json::read::{Object, Raw, Wrong, list};
use crate::json::write::ObjectWriter;
use crate::{ApiError, ErrorClass};

/// Most characters of a provider's message that are kept.
const MESSAGE_MAX_CHARS: usize = 4_000;

/// Reads an error body that came with `status`; never fails.
pub fn decode(status: u16, body: &[u8]) -> ApiError {
    let said = Object::of_body(body).or_else(|_| first_of_list(body)).map(Said::of);
    said.unwrap_or_default().classified(Some(status))
}

/// Reads the data of an `error` event, which has no status of its own.
pub(super) fn decode_event(data: &str) -> ApiError {
    Object::of_body(data.as_bytes()).map(Said::of).unwrap_or_default().classified(None)
}

/// Google's gateways put an error into a list when a stream was asked for.
fn first_of_list(body: &[u8]) -> Result<Object<'_>, Wrong> {
    let body = Raw::check(body).map_err(|e| Wrong::new("", e.to_string()))?;
    Object::of(list(body)?.into_iter().next().ok_or_else(|| Wrong::new("", "empty"))?)
}

#[derive(Default)]
struct Said {
    kind: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

impl Said {
    fn of(mut fields: Object<'_>) -> Self {
        let text = |fields: &mut Object<'_>, name| fields.string(name).ok().flatten();
        if let Some(Ok(mut error)) = fields.take("error").map(Object::of) {
            return Self {
                kind: text(&mut error, "type"),
                code: text(&mut error, "status").or_else(|| text(&mut error, "code")),
                message: text(&mut error, "message"),
            };
        }
        Self {
            kind: text(&mut fields, "__type"),
            code: None,
            message: text(&mut fields, "message").or_else(|| text(&mut fields, "Message")),
        }
    }

    fn classified(self, status: Option<u16>) -> ApiError {
        let message = self.message.filter(|m| !m.trim().is_empty());
        let words = message.as_deref().unwrap_or_default().to_lowercase();
        let class = by_words(&words)
            .filter(|_| status.is_none_or(|s| (400..500).contains(&s)))
            .or_else(|| by_kind(self.kind.as_deref()?))
            .or_else(|| status.map(by_status))
            .unwrap_or(ErrorClass::Server);
        let status = status.unwrap_or_else(|| status_of(class));
        let message = message.map_or_else(
            || format!("the provider answered with status {status} and no readable error"),
            |m| m.chars().take(MESSAGE_MAX_CHARS).collect(),
        );
        ApiError { class, status, message, kind: self.kind, code: self.code, param: None }
    }
}

/// What a message says more exactly than its type.
fn by_words(words: &str) -> Option<ErrorClass> {
    const WORDS: [(&str, ErrorClass); 9] = [
        ("prompt is too long", ErrorClass::ContextLength),
        ("exceed context limit", ErrorClass::ContextLength),
        ("exceeds the context window", ErrorClass::ContextLength),
        ("maximum context length", ErrorClass::ContextLength),
        ("input is too long", ErrorClass::ContextLength),
        ("credit balance is too low", ErrorClass::Billing),
        ("reached your specified api usage limits", ErrorClass::Billing),
        ("content filtering policy", ErrorClass::ContentPolicy),
        ("blocked under anthropic's usage policy", ErrorClass::ContentPolicy),
    ];
    WORDS.iter().find(|(part, _)| words.contains(part)).map(|(_, class)| *class)
}

fn by_kind(kind: &str) -> Option<ErrorClass> {
    Some(match kind {
        "authentication_error" => ErrorClass::Authentication,
        "billing_error" => ErrorClass::Billing,
        "permission_error" => ErrorClass::Permission,
        "not_found_error" => ErrorClass::NotFound,
        "request_too_large" => ErrorClass::TooLarge,
        "rate_limit_error" => ErrorClass::RateLimit,
        "timeout_error" => ErrorClass::Timeout,
        "overloaded_error" => ErrorClass::Overloaded,
        "api_error" => ErrorClass::Server,
        "invalid_request_error" => ErrorClass::BadRequest,
        _ => return None,
    })
}

fn by_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Authentication,
        402 => ErrorClass::Billing,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        413 => ErrorClass::TooLarge,
        429 => ErrorClass::RateLimit,
        503 | 529 => ErrorClass::Overloaded,
        400..=499 => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}

/// The error that an answer with status 200 holds, if it holds one.
pub fn inside(body: &[u8]) -> Option<ApiError> {
    let kind = Object::of_body(body).ok()?.text("type")?;
    if kind != "error" {
        return None;
    }
    let error = decode(200, body);
    Some(ApiError { status: status_of(error.class), ..error })
}

/// The status that Anthropic gives this class of error.
pub fn status_of(class: ErrorClass) -> u16 {
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextLength | ErrorClass::ContentPolicy => 400,
        ErrorClass::Authentication => 401,
        ErrorClass::Billing => 402,
        ErrorClass::Permission => 403,
        ErrorClass::NotFound => 404,
        ErrorClass::TooLarge => 413,
        ErrorClass::RateLimit => 429,
        ErrorClass::Server => 500,
        ErrorClass::Timeout => 504,
        ErrorClass::Overloaded => 529,
    }
}

fn kind_of(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextLength | ErrorClass::ContentPolicy => {
            "invalid_request_error"
        }
        ErrorClass::Authentication => "authentication_error",
        ErrorClass::Billing => "billing_error",
        ErrorClass::Permission => "permission_error",
        ErrorClass::NotFound => "not_found_error",
        ErrorClass::TooLarge => "request_too_large",
        ErrorClass::RateLimit => "rate_limit_error",
        ErrorClass::Server => "api_error",
        ErrorClass::Timeout => "timeout_error",
        ErrorClass::Overloaded => "overloaded_error",
    }
}

/// Writes the body of an error answer.
pub fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(128 + error.message.len());
    let mut outer = ObjectWriter::new(&mut body);
    outer.member("type", "error");
    let mut inner = ObjectWriter::new(outer.key("error"));
    inner.member("type", kind_of(error.class));
    // Coding assistants shorten their history when they read these words.
    let said = error.message.contains("prompt is too long");
    if error.class == ErrorClass::ContextLength && !said {
        inner.member("message", &format!("prompt is too long: {}", error.message));
    } else {
        inner.member("message", &error.message);
    }
    inner.end();
    outer.end();
    body
}

/// Writes the event that ends a stream in an error.
pub fn encode_event(error: &ApiError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\ndata: ");
    out.extend_from_slice(&encode(error));
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> ErrorClass {
        decode(status, body.as_bytes()).class
    }

    fn anthropic(kind: &str, message: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"r"}}"#
        )
    }

    #[test]
    fn every_type_of_error_has_its_class() {
        for (status, kind, expected) in [
            (400, "invalid_request_error", ErrorClass::BadRequest),
            (401, "authentication_error", ErrorClass::Authentication),
            (402, "billing_error", ErrorClass::Billing),
            (403, "permission_error", ErrorClass::Permission),
            (404, "not_found_error", ErrorClass::NotFound),
            (409, "conflict_error", ErrorClass::BadRequest),
            (413, "request_too_large", ErrorClass::TooLarge),
            (429, "rate_limit_error", ErrorClass::RateLimit),
            (500, "api_error", ErrorClass::Server),
            (504, "timeout_error", ErrorClass::Timeout),
            (529, "overloaded_error", ErrorClass::Overloaded),
        ] {
            assert_eq!(class(status, &anthropic(kind, "m")), expected, "{kind}");
        }
    }

    #[test]
    fn words_say_more_than_the_type() {
        let kind = "invalid_request_error";
        let long = anthropic(kind, "prompt is too long: 200001 tokens > 200000 maximum");
        assert_eq!(class(400, &long), ErrorClass::ContextLength);
        let poor = anthropic(kind, "Your credit balance is too low to access the API");
        assert_eq!(class(400, &poor), ErrorClass::Billing);
    }

    #[test]
    fn a_proxys_page_is_not_shown() {
        for body in ["<html>secret gateway 10.0.0.1</html>", "", "\u{0}", "[]", "{}", "null"] {
            let error = decode(502, body.as_bytes());
            assert_eq!(error.class, ErrorClass::Server);
            assert_eq!(
                error.message,
                "the provider answered with status 502 and no readable error"
            );
        }
    }

    #[test]
    fn googles_and_amazons_bodies_are_understood() {
        let google = r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#;
        let error = decode(429, google.as_bytes());
        assert_eq!((error.class, error.message.as_str()), (ErrorClass::RateLimit, "quota"));
        assert_eq!(error.code.as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(decode(503, br#"{"message":"busy"}"#).message, "busy");
    }

    #[test]
    fn a_full_window_is_said_in_the_words_that_clients_look_for() {
        let mut error = decode(400, b"{}");
        error.class = ErrorClass::ContextLength;
        error.message = "maximum context length is 8192".to_owned();
        let body = String::from_utf8(encode(&error)).unwrap();
        assert!(body.contains("prompt is too long: maximum context length is 8192"), "{body}");
    }

    #[test]
    fn an_error_in_a_stream_has_its_event_line() {
        let mut out = Vec::new();
        encode_event(
            &decode(529, anthropic("overloaded_error", "Overloaded").as_bytes()),
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
        );
        let event = decode_event(&anthropic("overloaded_error", "Overloaded"));
        assert_eq!((event.class, event.status), (ErrorClass::Overloaded, 529));
    }
}
