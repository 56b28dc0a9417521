//! What keys look like: the public beginning that their issuer gives them,
//! which letters follow, and how many.
//!
//! Pure. From the issuers' own documentation and secret-scanning lists as of
//! 2026-10; a key without a public beginning is found by the name of its
//! variable instead ([`super::scan`]).

use super::random;

/// Whose account a key spends from, or rules over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// A virtual key of a gateway.
    Virtual,
    /// Something else that opens doors: code hosts, registries, chats.
    Other,
    /// A cloud, of which models may be a part.
    Cloud,
    /// A provider of models.
    Provider,
    /// The master key of a gateway.
    Master,
}

/// What the letters after the beginning may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letters {
    /// `a-z A-Z 0-9`
    Alnum,
    /// `A-Z 0-9`
    Upper,
    /// `0-9 a-f`
    Hex,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
}

impl Letters {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
        }
    }
}

/// One kind of key.
#[derive(Debug)]
pub(super) struct Shape {
    /// Whose, with an article: `an OpenAI`.
    pub(super) whose: &'static str,
    /// What every key of the kind begins with; public.
    pub(super) prefix: &'static str,
    /// What it opens.
    pub(super) sort: Sort,
    letters: Letters,
    min: usize,
    max: usize,
}

const fn shape(
    whose: &'static str,
    prefix: &'static str,
    sort: Sort,
    letters: Letters,
    min: usize,
    max: usize,
) -> Shape {
    Shape { whose, prefix, sort, letters, min, max }
}

use Letters::{Alnum, Base64, Hex, Upper, Url};
use Sort::{Cloud, Other, Provider, Virtual};

/// Longer beginnings before those that they begin with; the first that fits
/// counts.
const SHAPES: [Shape; 52] = [
    shape("an Anthropic", "sk-ant-api03-", Provider, Url, 60, 140),
    shape("an Anthropic administrator's", "sk-ant-admin01-", Provider, Url, 60, 140),
    shape("an Anthropic sign-in", "sk-ant-oat01-", Provider, Url, 60, 140),
    shape("an Anthropic", "sk-ant-", Provider, Url, 32, 200),
    shape("an OpenRouter", "sk-or-v1-", Provider, Hex, 64, 64),
    shape("an OpenAI", "sk-proj-", Provider, Url, 40, 200),
    shape("an OpenAI", "sk-svcacct-", Provider, Url, 40, 200),
    shape("an OpenAI administrator's", "sk-admin-", Provider, Url, 40, 200),
    shape("a Stripe", "sk_live_", Other, Alnum, 24, 128),
    shape("a virtual", "sk-", Virtual, Alnum, 43, 43),
    shape("an OpenAI-style provider", "sk-", Provider, Alnum, 32, 64),
    shape("a LiteLLM virtual", "sk-", Virtual, Url, 22, 22),
    shape("a Groq", "gsk_", Provider, Alnum, 48, 60),
    shape("a Google", "AIza", Provider, Url, 35, 35),
    shape("a Google sign-in", "ya29.", Cloud, Url, 60, 1200),
    shape("a Google OAuth client's", "GOCSPX-", Cloud, Url, 28, 28),
    shape("a Hugging Face", "hf_", Provider, Alnum, 30, 40),
    shape("a Hugging Face organisation's", "api_org_", Provider, Alnum, 30, 40),
    shape("an xAI", "xai-", Provider, Alnum, 60, 100),
    shape("a Perplexity", "pplx-", Provider, Alnum, 40, 64),
    shape("a Replicate", "r8_", Provider, Alnum, 36, 42),
    shape("a Fireworks", "fw_", Provider, Alnum, 20, 40),
    shape("a Cerebras", "csk-", Provider, Alnum, 40, 64),
    shape("an NVIDIA", "nvapi-", Provider, Url, 56, 80),
    shape("a Together", "tgp_v1_", Provider, Url, 40, 50),
    shape("a Databricks", "dapi", Provider, Hex, 32, 32),
    shape("a Voyage", "pa-", Provider, Url, 40, 48),
    shape("a Jina", "jina_", Provider, Url, 50, 70),
    shape("a Vercel AI Gateway", "vck_", Provider, Alnum, 40, 64),
    shape("an Amazon Bedrock", "ABSK", Provider, Base64, 80, 180),
    shape("a LangSmith", "lsv2_pt_", Other, Url, 40, 60),
    shape("a LangSmith", "lsv2_sk_", Other, Url, 40, 60),
    shape("a Tavily", "tvly-", Other, Url, 24, 60),
    shape("an AWS", "AKIA", Cloud, Upper, 16, 16),
    shape("a temporary AWS", "ASIA", Cloud, Upper, 16, 16),
    shape("an Alibaba Cloud", "LTAI", Cloud, Alnum, 16, 26),
    shape("a DigitalOcean", "dop_v1_", Cloud, Hex, 64, 64),
    shape("an Azure storage", "AccountKey=", Cloud, Base64, 86, 90),
    shape("a GitHub", "github_pat_", Other, Url, 60, 100),
    shape("a GitHub", "ghp_", Other, Alnum, 36, 40),
    shape("a GitHub", "gho_", Other, Alnum, 36, 40),
    shape("a GitHub", "ghu_", Other, Alnum, 36, 40),
    shape("a GitHub", "ghs_", Other, Alnum, 36, 40),
    shape("a GitHub", "ghr_", Other, Alnum, 36, 80),
    shape("a GitLab", "glpat-", Other, Url, 20, 60),
    shape("an npm", "npm_", Other, Alnum, 36, 36),
    shape("a Python index", "pypi-", Other, Url, 100, 300),
    shape("a Docker Hub", "dckr_pat_", Other, Url, 24, 40),
    shape("a Slack", "xoxb-", Other, Url, 40, 80),
    shape("a Slack", "xoxp-", Other, Url, 40, 90),
    shape("a HashiCorp Vault", "hvs.", Other, Url, 24, 200),
    shape("a SendGrid", "SG.", Other, Url, 22, 22),
];

/// The key that `text` begins with, and its length in bytes.
pub(super) fn at_start(text: &str) -> Option<(&'static Shape, usize)> {
    let first = text.as_bytes().first()?;
    SHAPES.iter().filter(|shape| shape.prefix.as_bytes().first() == Some(first)).find_map(|shape| {
        let rest = text.strip_prefix(shape.prefix)?;
        let length = rest.bytes().take_while(|byte| shape.letters.has(*byte)).count();
        let body = rest.get(..length)?;
        // A word that goes on with other letters is another word.
        let goes_on = rest.as_bytes().get(length).is_some_and(|byte| Letters::Url.has(*byte));
        let fits = (shape.min..=shape.max).contains(&length) && !goes_on;
        (fits && random::is_random(body)).then_some((shape, shape.prefix.len() + length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const BODY: &str = "7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy";

    fn first(letters: usize) -> &'static str {
        BODY.get(..letters).unwrap()
    }

    fn whose(text: &str) -> Option<&'static str> {
        at_start(text).map(|(shape, _)| shape.whose)
    }

    #[test]
    fn keys_of_one_beginning_are_told_apart_by_their_length() {
        assert_eq!(whose(&format!("sk-{}", first(43))), Some("a virtual"));
        assert_eq!(whose(&format!("sk-{}", first(40))), Some("an OpenAI-style provider"));
        assert_eq!(whose(&format!("sk-{}", first(22))), Some("a LiteLLM virtual"));
        assert_eq!(whose(&format!("sk-ant-api03-{BODY}{BODY}")), Some("an Anthropic"));
        assert_eq!(whose(&format!("sk-{}", first(30))), None);
    }

    #[test]
    fn a_shape_is_hidden_by_no_shape_before_it() {
        for (at, shape) in SHAPES.iter().enumerate() {
            let hidden = SHAPES[..at].iter().any(|before| {
                shape.prefix.starts_with(before.prefix) && shape.prefix != before.prefix
            });
            assert!(!hidden, "{}", shape.prefix);
            assert!(shape.min <= shape.max && shape.min >= 16);
        }
        let distinct: HashSet<_> = SHAPES.iter().map(|s| (s.prefix, s.min, s.max)).collect();
        assert_eq!(distinct.len(), SHAPES.len());
    }

    #[test]
    fn a_word_that_goes_on_is_no_key() {
        assert_eq!(whose(&format!("AIza{}", first(35))), Some("a Google"));
        assert_eq!(whose(&format!("AIza{}", first(36))), None);
        assert_eq!(whose("AKIAIOSFODNN7EXAMPLE"), None);
        assert_eq!(whose("AKIA2QX7LMZ4WP9TRB6N"), Some("an AWS"));
    }
}
