//! Errors: every shape that OpenAI-compatible providers answer with, and the
//! one that OpenAI's clients read.
//!
//! Reading never fails: what is no JSON (a proxy's HTML page, nothing at all)
//! becomes a sentence about the status, and is not repeated. The class comes
//! from codes first, then from well-known words, then from the status.

use crate::json::read::{Object, Raw, items, string, whole};
use crate::json::write;
use crate::{ApiError, ErrorClass};

/// The longest message that is passed on, in bytes.
const MESSAGE_MAX_BYTES: usize = 4096;

/// Reads an error answer.
pub fn decode(status: u16, body: &[u8]) -> ApiError {
    let found = std::str::from_utf8(body).ok().and_then(|text| {
        let text = text.trim();
        if let Ok(fields) = Object::parse(text) {
            return of_fields(status, &fields);
        }
        // Gemini's compatible path wraps it in a list.
        let list = items(Raw::check_text(text).ok()?)?;
        of_fields(status, &Object::of(*list.first()?).ok()?)
    });
    found.unwrap_or_else(|| unreadable(status))
}

/// Reads the error that a provider put into an answer with status 200: at the
/// top (Azure, OpenRouter) or in a choice (OpenRouter).
pub fn inside(body: &[u8]) -> Option<ApiError> {
    in_fields(&Object::of_body(body).ok()?)
}

/// The error that an answer or a chunk holds, if any.
pub(super) fn in_fields(fields: &Object<'_>) -> Option<ApiError> {
    if let Some(raw) = fields.get("error")
        && !is_nothing(raw)
    {
        return of_fields(200, fields);
    }
    let choices = items(fields.get("choices")?)?;
    choices.into_iter().find_map(|choice| in_choice(&Object::of(choice).ok()?))
}

/// The error in one choice.
pub(super) fn in_choice(choice: &Object<'_>) -> Option<ApiError> {
    choice.get("error").filter(|raw| !is_nothing(*raw)).and_then(|_| of_fields(200, choice))
}

fn is_nothing(raw: Raw<'_>) -> bool {
    matches!(raw.text(), "\"\"" | "{}" | "false")
}

/// Reads an error object wherever it stands: under `error`, `detail`, or bare.
pub(super) fn of_fields(status: u16, fields: &Object<'_>) -> Option<ApiError> {
    let outer_code = fields.get("code").and_then(word).filter(|code| is_code(code));
    if let Some(raw) = fields.get("error") {
        if let Some(message) = string(raw) {
            // xAI, Ollama: a sentence; xAI's `code` beside it is a sentence too.
            let error = Stated { message, code: outer_code, ..Stated::default() };
            return Some(error.classified(status));
        }
        let inner = Object::of(raw).ok()?;
        return Some(Stated::read(&inner)?.classified(status));
    }
    if let Some(raw) = fields.get("detail") {
        return Some(of_detail(raw).classified(status));
    }
    Some(Stated::read(fields)?.classified(status))
}

/// FastAPI's `detail`: a sentence, an error, or a list of what failed where.
fn of_detail(raw: Raw<'_>) -> Stated {
    if let Some(message) = string(raw) {
        return Stated { message, ..Stated::default() };
    }
    if let Ok(inner) = Object::of(raw) {
        let nested = inner.object("error").unwrap_or(inner);
        if let Some(error) = Stated::read(&nested) {
            return error;
        }
    }
    let mut error = Stated { kind: Some("invalid_request_error".to_owned()), ..Stated::default() };
    for failure in items(raw).unwrap_or_default() {
        let Ok(failure) = Object::of(failure) else { continue };
        let place: Vec<String> = failure
            .get("loc")
            .and_then(items)
            .unwrap_or_default()
            .into_iter()
            .filter_map(word)
            .filter(|step| step != "body")
            .collect();
        let place = place.join(".");
        if !error.message.is_empty() {
            error.message.push_str("; ");
        }
        if !place.is_empty() {
            error.message.push_str(&place);
            error.message.push_str(": ");
        }
        error.message.push_str(&failure.text("msg").unwrap_or_default());
        error.param.get_or_insert(place);
    }
    error.param = error.param.filter(|place| !place.is_empty());
    error
}

/// A string, or a number as a string.
fn word(raw: Raw<'_>) -> Option<String> {
    string(raw).or_else(|| whole(raw).map(|number| number.to_string()))
}

/// Whether it is a code: not a status again, and not a sentence.
fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.contains(' ') && text.parse::<u16>().is_err()
}

/// What was read, before it is classified.
#[derive(Default)]
struct Stated {
    message: String,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// A status that the body states, against the answer's own.
    status: Option<u16>,
}

impl Stated {
    fn read(fields: &Object<'_>) -> Option<Self> {
        let kind = fields.get("type").and_then(word).or_else(|| fields.filled("status"));
        let code = fields.get("code").and_then(word);
        let message = fields.get("message").map(|raw| {
            // Mistral's validation errors have an object here.
            string(raw).unwrap_or_else(|| match Object::of(raw) {
                Ok(inner) => inner.get("detail").map(of_detail).unwrap_or_default().message,
                Err(_) => String::new(),
            })
        });
        if message.is_none() && kind.is_none() && code.is_none() {
            return None;
        }
        let mut message = message.unwrap_or_default();
        if let Some(metadata) = fields.object("metadata")
            && let Some(raw) = metadata.filled("raw")
        {
            // OpenRouter's own message only says that there was an error.
            message.push_str(": ");
            message.push_str(&raw);
        }
        let stated = fields.whole("status_code").or_else(|| fields.whole("code"));
        let stated = stated.or_else(|| code.as_deref()?.parse().ok());
        let stated = stated.or_else(|| fields.whole("status"));
        let code = code.filter(|code| is_code(code));
        Some(Self {
            message,
            kind,
            code,
            param: fields.filled("param"),
            status: stated.and_then(|s| u16::try_from(s).ok()).filter(|s| (400..600).contains(s)),
        })
    }

    fn classified(self, status: u16) -> ApiError {
        let stated = if status < 400 { self.status } else { None };
        let class = class_of(stated.unwrap_or(status), &self);
        let status = match stated {
            Some(stated) => stated,
            None if status < 400 => status_of(class),
            None => status,
        };
        let message = if self.message.trim().is_empty() {
            unreadable(status).message
        } else {
            cut(self.message)
        };
        ApiError { class, status, message, kind: self.kind, code: self.code, param: self.param }
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_MAX_BYTES {
        let end = message.floor_char_boundary(MESSAGE_MAX_BYTES);
        message.truncate(end);
        message.push('…');
    }
    message
}

fn unreadable(status: u16) -> ApiError {
    let class = class_of_status(status);
    let status = if status < 400 { status_of(class) } else { status };
    ApiError {
        class,
        status,
        message: format!("the provider answered with status {status} and no readable error"),
        kind: None,
        code: None,
        param: None,
    }
}

/// Codes and types that say the class, whatever the status.
fn class_of_word(word: &str) -> Option<ErrorClass> {
    Some(match word {
        "context_length_exceeded"
        | "too_many_prompt_tokens"
        | "string_above_max_length"
        | "context_window_exceeded" => ErrorClass::ContextLength,
        "content_filter"
        | "content_policy_violation"
        | "ResponsibleAIPolicyViolation"
        | "moderation_blocked" => ErrorClass::ContentPolicy,
        "invalid_api_key"
        | "authentication_error"
        | "invalid_authentication"
        | "UNAUTHENTICATED"
        | "incorrect_api_key" => ErrorClass::Authentication,
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_error"
        | "insufficient_balance"
        | "credits_exhausted" => ErrorClass::Billing,
        "permission_error" | "permission_denied" | "PERMISSION_DENIED" => ErrorClass::Permission,
        "model_not_found"
        | "DeploymentNotFound"
        | "not_found_error"
        | "NOT_FOUND"
        | "model_decommissioned" => ErrorClass::NotFound,
        "request_too_large" => ErrorClass::TooLarge,
        "rate_limit_exceeded"
        | "RateLimitReached"
        | "rate_limit_error"
        | "RESOURCE_EXHAUSTED"
        | "rate_limit_reached_error"
        | "too_many_requests" => ErrorClass::RateLimit,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded_error"
        | "capacity_exceeded"
        | "UNAVAILABLE" => ErrorClass::Overloaded,
        "timeout" | "timeout_error" | "DEADLINE_EXCEEDED" => ErrorClass::Timeout,
        _ => return None,
    })
}

/// Words in messages (lower case) that say the class where codes do not; only
/// trusted for statuses that blame the request or the key.
const PHRASES: [(&str, ErrorClass); 18] = [
    ("maximum context length", ErrorClass::ContextLength),
    ("max context length", ErrorClass::ContextLength),
    ("prompt is too long", ErrorClass::ContextLength),
    ("prompt too long", ErrorClass::ContextLength),
    ("input is too long", ErrorClass::ContextLength),
    ("input token count", ErrorClass::ContextLength),
    ("too many tokens", ErrorClass::ContextLength),
    ("context window", ErrorClass::ContextLength),
    ("context_length_exceeded", ErrorClass::ContextLength),
    ("total length of all messages is too long", ErrorClass::ContextLength),
    ("content management policy", ErrorClass::ContentPolicy),
    ("content_filter", ErrorClass::ContentPolicy),
    ("violates usage guidelines", ErrorClass::ContentPolicy),
    ("incorrect api key", ErrorClass::Authentication),
    ("invalid api key", ErrorClass::Authentication),
    ("api key not valid", ErrorClass::Authentication),
    ("insufficient balance", ErrorClass::Billing),
    ("insufficient credits", ErrorClass::Billing),
];

fn class_of(status: u16, error: &Stated) -> ErrorClass {
    let words = [error.code.as_deref(), error.kind.as_deref()];
    if let Some(class) = words.into_iter().flatten().find_map(class_of_word) {
        return class;
    }
    if matches!(status, 200 | 400 | 401 | 402 | 403 | 413 | 422) {
        let message = error.message.to_lowercase();
        if let Some((_, class)) = PHRASES.iter().find(|(phrase, _)| message.contains(phrase)) {
            return *class;
        }
    }
    if status < 400 && error.kind.as_deref() == Some("invalid_request_error") {
        return ErrorClass::BadRequest;
    }
    class_of_status(status)
}

/// The class that a status alone says.
pub(super) fn class_of_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Authentication,
        402 => ErrorClass::Billing,
        403 => ErrorClass::Permission,
        404 | 410 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        413 => ErrorClass::TooLarge,
        429 => ErrorClass::RateLimit,
        // 498 is Groq's flex tier without capacity.
        498 | 503 | 529 => ErrorClass::Overloaded,
        400..=499 => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}

/// The status that goes with a class towards OpenAI's clients.
pub fn status_of(class: ErrorClass) -> u16 {
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextLength | ErrorClass::ContentPolicy => 400,
        ErrorClass::Authentication => 401,
        ErrorClass::Billing => 402,
        ErrorClass::Permission => 403,
        ErrorClass::NotFound => 404,
        ErrorClass::TooLarge => 413,
        ErrorClass::RateLimit => 429,
        ErrorClass::Overloaded => 503,
        ErrorClass::Timeout => 504,
        ErrorClass::Server => 502,
    }
}

/// OpenAI's `type` for a class, and its usual `code` where it has one.
fn words(class: ErrorClass) -> (&'static str, Option<&'static str>) {
    match class {
        ErrorClass::BadRequest | ErrorClass::TooLarge => ("invalid_request_error", None),
        ErrorClass::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
        ErrorClass::ContentPolicy => ("invalid_request_error", Some("content_filter")),
        ErrorClass::Authentication => ("authentication_error", Some("invalid_api_key")),
        ErrorClass::Billing => ("insufficient_quota", Some("insufficient_quota")),
        ErrorClass::Permission => ("permission_error", None),
        ErrorClass::NotFound => ("invalid_request_error", Some("model_not_found")),
        ErrorClass::RateLimit => ("rate_limit_exceeded", Some("rate_limit_exceeded")),
        ErrorClass::Overloaded => ("server_error", Some("overloaded")),
        ErrorClass::Timeout => ("timeout", Some("timeout")),
        ErrorClass::Server => ("server_error", None),
    }
}

/// Writes the error as OpenAI's clients read it.
pub fn encode(error: &ApiError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let (kind, usual) = words(error.class);
    write::object(&mut out, |body| {
        body.object("error", |object| {
            object.member("message", &error.message);
            object.member("type", kind);
            object.member("param", &error.param);
            object.member("code", &error.code.as_deref().or(usual));
        });
    });
    out
}

/// Writes the error as an event of a stream; the stream ends after it.
pub fn encode_event(error: &ApiError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&encode(error));
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> ErrorClass {
        decode(status, body.as_bytes()).class
    }

    #[test]
    fn the_body_decides_the_class_before_the_status() {
        let cases = [
            (
                400,
                r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#,
                ErrorClass::ContextLength,
            ),
            (
                400,
                r#"{"error":"prompt too long; exceeded max context length by 9"}"#,
                ErrorClass::ContextLength,
            ),
            (429, r#"{"error":{"message":"x","code":"insufficient_quota"}}"#, ErrorClass::Billing),
            (
                404,
                r#"{"error":{"code":"404","message":"Resource not found"}}"#,
                ErrorClass::NotFound,
            ),
            (
                400,
                r#"{"code":"invalid-argument","error":"Incorrect API key provided"}"#,
                ErrorClass::Authentication,
            ),
            (401, r#"{"detail":"Unauthorized"}"#, ErrorClass::Authentication),
            (
                200,
                r#"{"error":{"code":502,"message":"Provider returned error"}}"#,
                ErrorClass::Server,
            ),
            (429, r#"{"error":{"code":429,"message":"slow down"}}"#, ErrorClass::RateLimit),
            (503, "<html>busy</html>", ErrorClass::Overloaded),
            (502, "", ErrorClass::Server),
        ];
        for (status, body, expected) in cases {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_page_of_html_is_never_repeated() {
        let error = decode(502, b"<html>secret upstream host</html>");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }

    #[test]
    fn a_list_of_failures_names_the_field() {
        let error = decode(
            422,
            br#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"Field required"}]}"#,
        );
        assert_eq!(error.param.as_deref(), Some("messages.0.role"));
        assert_eq!(error.message, "messages.0.role: Field required");
    }

    #[test]
    fn an_error_inside_an_answer_is_found_wherever_it_stands() {
        assert_eq!(inside(br#"{"error":{"code":502,"message":"x"}}"#).unwrap().status, 502);
        let choice =
            br#"{"choices":[{"finish_reason":"error","error":{"code":429,"message":"x"}}]}"#;
        assert_eq!(inside(choice).unwrap().class, ErrorClass::RateLimit);
        assert!(inside(br#"{"choices":[{"message":{}}],"error":null}"#).is_none());
    }
}
