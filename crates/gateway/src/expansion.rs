//! How much a body grows when it is read into the neutral model.
//!
//! Text stays as long as it is; what multiplies is the number of values, which
//! the scan has counted.

use dialect::DecodeError;
use dialect::head::Head;

/// In the neutral model a value takes many times its bytes: some hundreds of
/// MiB for a 45 MiB body of the smallest messages.
const VALUES_MAX: usize = 500_000;

/// Checks that a body may be read into the neutral model.
///
/// # Errors
/// Where it would grow too much.
pub(crate) fn check(head: &Head) -> Result<(), DecodeError> {
    if head.values() <= VALUES_MAX {
        return Ok(());
    }
    let message = format!(
        "The body holds more than {VALUES_MAX} JSON values; so many cannot be translated for a \
         provider of another format."
    );
    Err(DecodeError { message, param: None })
}

#[cfg(test)]
mod tests {
    use super::check;
    use dialect::Surface;
    use dialect::head::Head;

    #[test]
    fn values_are_counted_and_text_is_not() {
        let head = |messages: &str| {
            let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
            Head::scan(body.as_bytes(), Surface::OpenAiChat).unwrap()
        };
        let text = format!(r#""{}""#, r#",[{\"\\"#.repeat(100_000));
        assert_eq!(head(&text).values(), 3);
        let message = r#"{"role":"user","content":"a"}"#;
        let many = |count: usize| head(&vec![message; count].join(","));
        assert!(check(&many(160_000)).is_ok());
        assert!(check(&many(170_000)).is_err());
    }
}
