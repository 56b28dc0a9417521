//! What a body asks of a LiteLLM gateway that this one does not do.
//!
//! Where leaving it out would make another call than the one that was asked
//! for (a paid one instead of a mock, an unguarded one instead of a guarded
//! one, one with the operator's key instead of the client's), it is refused by
//! name. What only tunes a call is left out by `dialect`, and not judged here.

use crate::error::Failure;
use dialect::head::Head;
use dialect::head::keys::Role;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Refuses what is not done here and cannot be left out.
///
/// # Errors
/// A 400 that names the key.
pub fn check(head: &Head, body: &[u8]) -> Result<(), Failure> {
    let asks = |name: &&'static str| head.raw(body, name).is_some_and(asks_for_something);
    if let Some(name) = head.keys(Role::Credential).find(asks) {
        let why = "a client cannot choose where a call goes or with which key; the operator's \
                   configuration does";
        return Err(refused(name, why));
    }
    let control = |name: &&'static str| why_not(name).is_some();
    if let Some(name) = head.keys(Role::Gateway).filter(control).find(asks) {
        return Err(refused(name, why_not(name).unwrap_or_default()));
    }
    for (bag, name) in
        [("metadata", "metadata.guardrails"), ("litellm_metadata", "litellm_metadata.guardrails")]
    {
        if head.raw(body, bag).is_some_and(holds_guardrails) {
            return Err(refused(name, NO_GUARDRAILS));
        }
    }
    Ok(())
}

/// Keys of a body by which another gateway upstream would call another model.
const CHOOSES_MODEL: [&str; 10] = [
    "custom_llm_provider",
    "deployment_id",
    "fallback_models",
    "fallbacks",
    "model",
    "model_list",
    "models",
    "preset",
    "provider",
    "route",
];

/// Bags of further parameters, and how many bags deep those stand that choose.
const BAGS: [(&str, u32); 3] = [("extra_body", 4), ("providerOptions", 2), ("provider_options", 2)];

/// Refuses what could lead another gateway upstream to another model, for a
/// key that may use some models only. `models` and `fallbacks` at the top are
/// checked by name elsewhere; an object under `provider` chooses among the
/// hosts of one model.
///
/// # Errors
/// A 400 that names the key.
pub fn check_model_choice(head: &Head, body: &[u8]) -> Result<(), Failure> {
    for name in ["preset", "route", "fallback_models"] {
        if head.raw(body, name).is_some_and(asks_for_something) {
            return Err(refused(name, NO_CHOICE));
        }
    }
    if head.raw(body, "provider").is_some_and(|raw| !raw.starts_with(b"{")) {
        return Err(refused("provider", NO_CHOICE));
    }
    for (bag, depth) in BAGS {
        if head.raw(body, bag).is_some_and(|raw| chooses(raw, depth)) {
            return Err(refused(bag, NO_CHOICE));
        }
    }
    Ok(())
}

const NO_CHOICE: &str = "it could choose another model than the key may use";

/// Returns true if a bag has a key that chooses a model, itself or in a bag
/// inside it.
fn chooses(raw: &[u8], depth: u32) -> bool {
    // What is no object is no bag.
    let Ok(members) = serde_json::from_slice::<HashMap<String, &RawValue>>(raw) else {
        return false;
    };
    members.iter().any(|(name, value)| {
        CHOOSES_MODEL.iter().any(|choosing| name.eq_ignore_ascii_case(choosing))
            || depth > 1 && chooses(value.get().as_bytes(), depth - 1)
    })
}

const NO_GUARDRAILS: &str = "guardrails do not exist here yet, and the call would go out unguarded";

fn why_not(name: &str) -> Option<&'static str> {
    match name {
        "guardrails" | "guardrail_config" => Some(NO_GUARDRAILS),
        "prompt_id" => Some("prompts are not kept here, and the call would go out without it"),
        mock if mock.starts_with("mock_") => {
            Some("answers are not made up here: the call would be a real one, and be billed")
        }
        _ => None,
    }
}

/// Whether a value is more than a way to say no.
fn asks_for_something(raw: &[u8]) -> bool {
    let text = raw.iter().filter(|byte| !byte.is_ascii_whitespace());
    !["false", "[]", "{}", "\"\""].iter().any(|nothing| text.clone().eq(nothing.as_bytes()))
}

fn holds_guardrails(raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Bag<'a> {
        #[serde(borrow)]
        guardrails: Option<&'a RawValue>,
    }
    // A name may be written with escapes.
    let may = raw.contains(&b'\\') || memchr::memmem::find(raw, b"guardrails").is_some();
    may && serde_json::from_slice::<Bag<'_>>(raw).is_ok_and(|bag| {
        bag.guardrails.is_some_and(|value| asks_for_something(value.get().as_bytes()))
    })
}

fn refused(name: &'static str, why: &str) -> Failure {
    Failure::bad_request(format!("`{name}` is not supported: {why}. Leave it out."))
        .kind("invalid_request_error")
        .param(name)
}

#[cfg(test)]
mod tests {
    use super::check;
    use dialect::Surface;
    use dialect::head::Head;

    fn param(body: &str) -> Option<String> {
        let head = Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap();
        let failure = check(&head, body.as_bytes()).err()?;
        assert_eq!(failure.status.as_u16(), 400);
        failure.param
    }

    #[test]
    fn what_would_make_another_call_is_refused_by_name() {
        for (name, value) in [
            ("mock_response", r#""hi""#),
            ("mock_testing_fallbacks", "true"),
            ("mock_timeout", "1"),
            ("guardrails", r#"["pii-mask"]"#),
            ("prompt_id", r#""p""#),
            ("api_key", r#""sk-mine""#),
            ("api_base", r#""https://example.com""#),
            ("model_list", r#"[{"model_name":"m"}]"#),
        ] {
            let body = format!(r#"{{"model":"m","{name}":{value}}}"#);
            assert_eq!(param(&body).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_key_for_some_models_cannot_choose_another_at_a_gateway_upstream() {
        let refused = |body: &str| {
            let head = Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap();
            super::check_model_choice(&head, body.as_bytes()).err().and_then(|f| f.param)
        };
        for (body, name) in [
            (r#"{"extra_body":{"model":"other"}}"#, "extra_body"),
            (r#"{"extra_body":{"mod\u0065l":"other"}}"#, "extra_body"),
            (r#"{"extra_body":{"Model":"other"}}"#, "extra_body"),
            (r#"{"extra_body":{"models":["other"]}}"#, "extra_body"),
            (r#"{"extra_body":{"provider":{"order":["x"]},"route":"fallback"}}"#, "extra_body"),
            (r#"{"extra_body":{"extra_body":{"model":"other"}}}"#, "extra_body"),
            (r#"{"extra_body":{"fallbacks":["other"]}}"#, "extra_body"),
            (r#"{"providerOptions":{"gateway":{"models":["other"]}}}"#, "providerOptions"),
            (r#"{"preset":"other"}"#, "preset"),
            (r#"{"route":"fallback"}"#, "route"),
            (r#"{"provider":"other"}"#, "provider"),
        ] {
            assert_eq!(refused(body).as_deref(), Some(name), "{body}");
        }
        for body in [
            r#"{"extra_body":{"top_k":5,"chat_template_kwargs":{"enable_thinking":false}}}"#,
            r#"{"provider":{"order":["x"]}}"#,
            r#"{"extra_body":null,"preset":"","provider":null}"#,
            r#"{"model":"m"}"#,
        ] {
            assert_eq!(refused(body), None, "{body}");
        }
    }

    #[test]
    fn guardrails_may_stand_in_metadata_and_be_written_with_escapes() {
        for (body, expected) in [
            (r#"{"metadata":{"guardrails":["a"]}}"#, Some("metadata.guardrails")),
            (r#"{"metadata":{"\u0067uardrails":["a"]}}"#, Some("metadata.guardrails")),
            (r#"{"litellm_metadata":{"guardrails":["a"]}}"#, Some("litellm_metadata.guardrails")),
            (r#"{"metadata":{"guardrails":[ ]}}"#, None),
            (r#"{"metadata":{"about":"guardrails"}}"#, None),
            (r#"{"metadata":"guardrails"}"#, None),
        ] {
            assert_eq!(param(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn who_asks_for_nothing_is_not_refused() {
        let body = r#"{"guardrails":[],"mock_response":null,"mock_testing_fallbacks":false,
            "api_key":"","extra_headers":{ },"metadata":{"a":1},"num_retries":1}"#;
        assert_eq!(param(body), None);
    }
}
