//! What a key's name says about its value.

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

#[cfg(test)]
mod tests {
    use super::{is_price_name, is_secret_name};

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
