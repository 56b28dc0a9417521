//! Google's errors: `{"error": {"code", "message", "status", "details"}}`
//! (<https://ai.google.dev/gemini-api/docs/troubleshooting>, and the codes of
//! `google.rpc`).

use crate::json::read::{Object, Raw, items};
use crate::json::write::ObjectWriter;
use crate::{ApiError, ErrorClass};

/// Reads an error answer; never fails. A stream that was asked for as a list
/// has its error in one.
pub fn decode(status: u16, body: &[u8]) -> ApiError {
    let raw = Raw::check(body).ok();
    let first = raw.and_then(items).and_then(|list| list.first().copied()).or(raw);
    let outer = first.and_then(|raw| Object::of(raw).ok());
    match outer.as_ref().and_then(|outer| outer.object("error")) {
        Some(error) => read(status, &error),
        None => ApiError {
            class: by_status(status),
            status,
            message: format!("the provider answered with status {status} and no readable error"),
            kind: None,
            code: None,
            param: None,
        },
    }
}

fn read(status: u16, error: &Object<'_>) -> ApiError {
    let code = error.whole("code").and_then(|code| u16::try_from(code).ok());
    let status = if (400..600).contains(&status) { status } else { code.unwrap_or(500) };
    let word = error.text("status");
    let message = error.filled("message").unwrap_or_else(|| format!("status {status}"));
    let reasons = error.get("details").and_then(items).unwrap_or_default();
    let reason = reasons.into_iter().find_map(|raw| Object::of(raw).ok()?.filled("reason"));
    let class = class(status, word.as_deref(), reason.as_deref(), &message);
    ApiError { class, status, message, kind: word, code: reason, param: None }
}

/// A wrong key is an `INVALID_ARGUMENT` with its reason in the details.
fn class(status: u16, word: Option<&str>, reason: Option<&str>, message: &str) -> ErrorClass {
    if matches!(reason, Some("API_KEY_INVALID" | "API_KEY_EXPIRED")) {
        return ErrorClass::Authentication;
    }
    let says = |words: &str| message.contains(words);
    match word {
        Some("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE") => {
            if says("exceeds the maximum number of tokens") || says("input token count") {
                ErrorClass::ContextLength
            } else if says("billing") {
                ErrorClass::Billing
            } else {
                by_status(status)
            }
        }
        Some("UNAUTHENTICATED") => ErrorClass::Authentication,
        Some("PERMISSION_DENIED") => ErrorClass::Permission,
        Some("NOT_FOUND") => ErrorClass::NotFound,
        Some("RESOURCE_EXHAUSTED") => ErrorClass::RateLimit,
        Some("UNAVAILABLE") => ErrorClass::Overloaded,
        Some("DEADLINE_EXCEEDED") => ErrorClass::Timeout,
        Some("INTERNAL" | "UNKNOWN") => ErrorClass::Server,
        _ => by_status(status),
    }
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
        503 => ErrorClass::Overloaded,
        400..=499 => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}

/// The error that an answer with status 200 holds, if it holds one.
pub fn inside(body: &[u8]) -> Option<ApiError> {
    let error = Object::of_body(body).ok()?.object("error")?;
    Some(read(200, &error))
}

/// The error of a stream's event, if it is one.
pub(super) fn of_event(event: &Object<'_>) -> Option<ApiError> {
    event.object("error").map(|error| read(200, &error))
}

/// The status that Google gives this class of error.
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
        ErrorClass::Overloaded => 503,
        ErrorClass::Timeout => 504,
    }
}

fn word_of(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::BadRequest
        | ErrorClass::ContextLength
        | ErrorClass::ContentPolicy
        | ErrorClass::TooLarge => "INVALID_ARGUMENT",
        ErrorClass::Authentication => "UNAUTHENTICATED",
        ErrorClass::Billing | ErrorClass::Permission => "PERMISSION_DENIED",
        ErrorClass::NotFound => "NOT_FOUND",
        ErrorClass::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorClass::Overloaded => "UNAVAILABLE",
        ErrorClass::Timeout => "DEADLINE_EXCEEDED",
        ErrorClass::Server => "INTERNAL",
    }
}

/// Writes the body of an error answer.
pub fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(128 + error.message.len());
    let mut outer = ObjectWriter::new(&mut body);
    outer.object("error", |inner| {
        inner.member("code", &u32::from(error.status));
        inner.member("message", &error.message);
        inner.member("status", word_of(error.class));
    });
    outer.end();
    body
}

/// Writes the event that ends a stream in an error.
pub fn encode_event(error: &ApiError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&encode(error));
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_say_what_went_wrong() {
        let class = |status: u16, word: &str, message: &str, details: &str| {
            let body = format!(
                r#"{{"error":{{"code":{status},"message":"{message}","status":"{word}","details":{details}}}}}"#
            );
            decode(status, body.as_bytes()).class
        };
        let reason =
            r#"[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]"#;
        assert_eq!(
            class(400, "INVALID_ARGUMENT", "API key not valid.", reason),
            ErrorClass::Authentication
        );
        assert_eq!(class(400, "INVALID_ARGUMENT", "m", "[]"), ErrorClass::BadRequest);
        let long = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).";
        assert_eq!(class(400, "INVALID_ARGUMENT", long, "[]"), ErrorClass::ContextLength);
        assert_eq!(class(429, "RESOURCE_EXHAUSTED", "quota", "[]"), ErrorClass::RateLimit);
        assert_eq!(
            class(503, "UNAVAILABLE", "The model is overloaded.", "[]"),
            ErrorClass::Overloaded
        );
    }

    #[test]
    fn an_error_may_stand_in_a_list_or_under_status_200() {
        let list = br#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#;
        assert_eq!(decode(503, list).message, "busy");
        let inner = br#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
        assert_eq!(inside(inner).map(|error| error.status), Some(503));
        assert_eq!(inside(br#"{"candidates":[]}"#), None);
    }

    #[test]
    fn a_proxys_page_is_not_shown() {
        for body in ["<html>10.0.0.1</html>", "", "[]", "null", "7"] {
            let error = decode(502, body.as_bytes());
            assert_eq!(error.class, ErrorClass::Server);
            assert_eq!(
                error.message,
                "the provider answered with status 502 and no readable error"
            );
        }
    }

    #[test]
    fn what_is_written_is_what_googles_clients_read() {
        let error = decode(
            429,
            br#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#,
        );
        let body = String::from_utf8(encode(&error)).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#
        );
    }
}
