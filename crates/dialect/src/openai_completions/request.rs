//! Requests: a prompt becomes one user turn.

use crate::json::read::{Object, items, string, whole};
use crate::openai_chat::extension::fields_of_request;
use crate::openai_chat::{part::plain, request::decode_parameters};
use crate::{
    DecodeError,
    model::{Request, Role, Turn},
};

/// Parameters that chat has no counterpart of; kept as extensions they would
/// reach an upstream that refuses them.
const COMPLETIONS_ONLY: [&str; 3] = ["best_of", "echo", "suffix"];

/// Reads a legacy completions request.
///
/// # Errors
/// Where the body is no JSON object, the prompt is not one text, or it asks for
/// what no chat model can do (`echo`, `suffix`, `best_of` above 1).
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Object::of_body(body)?;
    let text = prompt(&mut fields)?;
    for name in COMPLETIONS_ONLY {
        let Some(raw) = fields.take(name) else { continue };
        if !matches!(raw.text(), "false" | "0" | "1" | "\"\"") {
            let message = format!("`{name}` is not supported; this model answers in chat only");
            return Err(DecodeError::invalid(name, message));
        }
    }
    // Here a number says how many, where chat has a flag and a number.
    let logprobs = fields.take("logprobs").filter(|raw| raw.text() != "false");
    let mut request = decode_parameters(&mut fields)?;
    if let Some(raw) = logprobs {
        let count =
            whole(raw).ok_or_else(|| DecodeError::wrong_type("logprobs", "a whole number"))?;
        request.sampling.logprobs = Some(true);
        request.sampling.top_logprobs = Some(count);
    }
    request.turns.push(Turn { role: Role::User, name: None, parts: vec![plain(text)] });
    request.extensions = fields_of_request(&fields);
    Ok(request)
}

fn prompt(fields: &mut Object<'_>) -> Result<String, DecodeError> {
    let raw = fields
        .take("prompt")
        .ok_or_else(|| DecodeError::invalid("prompt", "`prompt` is missing"))?;
    if let Some(text) = string(raw) {
        return Ok(text);
    }
    let list = items(raw).ok_or_else(|| DecodeError::wrong_type("prompt", "a string"))?;
    match list.as_slice() {
        [one] => string(*one).ok_or_else(|| {
            DecodeError::invalid(
                "prompt",
                "`prompt` must be text; token ids mean nothing to other models",
            )
        }),
        _ => Err(DecodeError::invalid(
            "prompt",
            "`prompt` must be one text; send one request for each",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_one_text_however_it_is_wrapped() {
        for body in
            [r#"{"model":"m","prompt":"hi"}"#, r#"{"model":"m","prompt":["hi"],"echo":false}"#]
        {
            let request = decode(body.as_bytes()).unwrap();
            assert_eq!(request.turns[0].parts, [plain("hi".to_owned())]);
            assert!(request.extensions.is_empty());
        }
    }

    #[test]
    fn what_no_chat_model_can_do_is_refused_by_name() {
        for (body, param) in [
            (r#"{"prompt":[1,2]}"#, "prompt"),
            (r#"{"prompt":["a","b"]}"#, "prompt"),
            (r#"{"prompt":"a","echo":true}"#, "echo"),
            (r#"{"prompt":"a","suffix":"x"}"#, "suffix"),
        ] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn a_number_of_logprobs_is_a_flag_and_a_number() {
        let request = decode(br#"{"prompt":"a","logprobs":3,"max_tokens":5}"#).unwrap();
        assert_eq!(request.sampling.logprobs, Some(true));
        assert_eq!(request.sampling.top_logprobs, Some(3));
        assert_eq!(request.max_output_tokens, Some(5));
    }
}
