//! What a key's name says about its value, and which names can be served.

/// Whether a value under such a name must not be seen.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "api_key",
        "apikey",
        "secret",
        "password",
        "passwd",
        "credential",
        "private_key",
        "authorization",
        "master_key",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    let ends = ["_key", "_token", "_key_id", "database_url", "_url_with_password"];
    (WORDS.iter().any(|word| name.contains(word)) || ends.iter().any(|end| name.ends_with(end)))
        && !matches!(
            name.as_str(),
            "litellm_credential_name" | "credential_name" | "prompt_cache_key"
        )
        && !is_price_name(&name)
}

/// Whether the name is shaped like a price in the price map.
pub(crate) fn is_price_name(name: &str) -> bool {
    name.contains("_cost_per_") || name.ends_with("_token_cost") || name.contains("_token_cost_")
}

/// Longest name of a model that a request can carry, in bytes: as
/// `dialect::head::MODEL_MAX_BYTES`.
pub(crate) const MODEL_MAX_BYTES: usize = 1024;

/// Longer names are cut in messages.
const SHOWN_MAX_CHARS: usize = 80;

/// A model's name for a message.
pub(crate) fn shown(name: &str) -> String {
    if name.chars().count() <= SHOWN_MAX_CHARS {
        return name.to_owned();
    }
    name.chars().take(SHOWN_MAX_CHARS).chain(['…']).collect()
}

/// Returns the reason for which no request can carry `name` as a model's name.
pub(crate) fn unusable(name: &str) -> Option<String> {
    if name.chars().any(char::is_control) {
        Some("a model's name cannot hold line breaks and other control characters".to_owned())
    } else if name.len() > MODEL_MAX_BYTES {
        Some(format!(
            "a model's name has at most {MODEL_MAX_BYTES} bytes, and this has {}",
            name.len()
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{is_price_name, is_secret_name};

    #[test]
    fn the_longest_name_is_the_one_that_a_request_can_carry() {
        assert_eq!(super::MODEL_MAX_BYTES, dialect::head::MODEL_MAX_BYTES);
    }

    #[test]
    fn names_tell_secrets_from_prices_and_ordinary_values() {
        for name in
            ["api_key", "aws_secret_access_key", "azure_ad_token", "Authorization", "x-api-key"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["max_tokens", "output_cost_per_token", "model", "keys", "prompt_cache_key"] {
            assert!(!is_secret_name(name), "{name}");
        }
        for name in ["input_cost_per_token", "cache_read_input_token_cost"] {
            assert!(is_price_name(name), "{name}");
        }
        assert!(!is_price_name("cost") && !is_price_name("max_tokens"));
    }
}
