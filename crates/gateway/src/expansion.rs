//! How much a body grows when it is read into the neutral model.
//!
//! Text stays as long as it is; what multiplies is the number of values. They
//! are counted on the bytes, before anything is made of them. Pure; judges no
//! syntax: the bytes are JSON already.

use dialect::DecodeError;

/// Bodies up to this are small whatever is made of them.
const NEGLIGIBLE_BYTES: usize = 256 << 10;

/// In the neutral model a value takes many times its bytes: some hundreds of
/// MiB for a 45 MiB body of the smallest messages.
const VALUES_MAX: usize = 500_000;

/// Whether `json` may be read into the neutral model.
///
/// # Errors
/// Where it would grow too much.
pub(crate) fn check(json: &[u8]) -> Result<(), DecodeError> {
    if !has_more_values_than(json, VALUES_MAX) {
        return Ok(());
    }
    let message = format!(
        "The body holds more than {VALUES_MAX} JSON values; so many cannot be translated for a \
         provider of another format."
    );
    Err(DecodeError { message, param: None })
}

/// Whether `json` holds more than `max` values, those in objects and lists
/// counted by what stands before them.
fn has_more_values_than(json: &[u8], max: usize) -> bool {
    if json.len() <= NEGLIGIBLE_BYTES {
        return false;
    }
    let mut values = 0_usize;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => rest = after_string(rest.as_slice()).iter(),
            b',' | b'[' | b'{' => {
                values += 1;
                if values > max {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// What follows the end of a string whose first byte is next.
fn after_string(mut inside: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', inside) {
        let skipped = if inside.get(at) == Some(&b'"') { 1 } else { 2 };
        inside = inside.get(at + skipped..).unwrap_or_default();
        if skipped == 1 {
            return inside;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::{NEGLIGIBLE_BYTES, has_more_values_than};

    #[test]
    fn values_are_counted_and_text_is_not() {
        let text = format!(r#"{{"a":["{}"]}}"#, r#",[{\"\\"#.repeat(NEGLIGIBLE_BYTES / 4));
        assert!(!has_more_values_than(text.as_bytes(), 2));
        assert!(has_more_values_than(text.as_bytes(), 1));
        let messages = vec![r#"{"role":"user","content":"a"}"#; 20_000].join(",");
        let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
        // Two members and a place in the list for each; the object, a list, a comma.
        assert!(has_more_values_than(body.as_bytes(), 60_000));
        assert!(!has_more_values_than(body.as_bytes(), 60_002));
        assert!(!has_more_values_than(b"[1,2,3]", 0), "too short to matter");
    }
}
