//! A provider: where it is, how a key goes on a request, and how it differs
//! from its dialect.
//!
//! All of it is data, from one row of `data/providers.tsv` (see
//! `provider_rows.rs`), so that one generic piece of code can honour it and no
//! provider needs code of its own.

use crate::billing::Billing;
use base::{Decimal, Origin};
use dialect::{Dialect, Endpoint, OutputLimitField};
use std::borrow::Cow;

/// Who serves models, and how to speak to them.
#[derive(Debug)]
pub struct Provider {
    /// What stands before the first `/` of a model name.
    pub id: &'static str,
    /// Other prefixes that mean the same.
    pub aliases: Box<[&'static str]>,
    /// For people.
    pub name: &'static str,
    /// The wire format of its chat endpoint.
    pub dialect: Dialect,
    /// What stands before [`Provider::path`], without a trailing slash; may
    /// hold `{NAME}` parts, see [`Provider::fill`]. `None`: every deployment
    /// says its own.
    pub base_url: Option<&'static str>,
    /// Environment variables that replace the base URL; the first that is set wins.
    pub base_url_envs: Box<[&'static str]>,
    /// Environment variables that hold the key; the first that is set wins. A
    /// key found there belongs to the provider's own base URL, see
    /// [`Provider::owns`].
    pub key_envs: Box<[&'static str]>,
    /// Answers without a key, as servers on one's own machine do.
    pub key_optional: bool,
    /// Usually runs on loopback or in one's own network; its base URL, where it
    /// has one, is plain HTTP.
    pub local: bool,
    /// Has no key: people sign in with an account, which is not supported yet.
    pub oauth: bool,
    /// Place of the key in a request, unless an endpoint has one of its own.
    pub auth: Auth,
    /// How it differs from its dialect.
    pub quirks: Quirks,
    /// What it charges for besides complete answers.
    pub billing: Billing,
    pub(crate) endpoints: Box<[Served]>,
}

/// An endpoint that a provider serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Path after the base URL; `{model}` is the place of the model's name.
    pub path: &'static str,
    /// Place of the key in a request to it.
    pub auth: Auth,
    /// The provider's row names its path: it may be of another dialect than the
    /// provider's conversations.
    pub is_named: bool,
}

/// How a key goes on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `NAME: KEY`, the name in lower case.
    Header(&'static str),
}

/// When a provider takes a client's `metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// It is left out.
    Never,
    /// `stored`: where `store` is true (OpenAI, "Chat completions", July 2026:
    /// refused otherwise).
    Stored,
    /// `always`: another gateway reads it.
    Always,
}

/// How a provider spells the limit on output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputLimit {
    /// As the client wrote it; `max_tokens` where the gateway writes it.
    AsSent,
    /// Only `max_tokens`.
    MaxTokens,
    /// Only `max_completion_tokens`.
    MaxCompletionTokens,
}

impl OutputLimit {
    /// The only name that the provider knows; `None` if it takes both.
    pub fn only(self) -> Option<OutputLimitField> {
        match self {
            Self::AsSent => None,
            Self::MaxTokens | Self::MaxCompletionTokens => Some(self.field()),
        }
    }

    /// The name under which the gateway itself writes the limit.
    pub fn field(self) -> OutputLimitField {
        match self {
            Self::AsSent | Self::MaxTokens => OutputLimitField::MaxTokens,
            Self::MaxCompletionTokens => OutputLimitField::MaxCompletionTokens,
        }
    }
}

/// Where a provider differs from its dialect, as data that one generic piece of
/// code can honour. Sources: LiteLLM 1.109's own provider table where nothing
/// else is said.
#[derive(Debug)]
pub struct Quirks {
    /// `max_tokens=NAME`: the only spelling of the output limit it takes.
    pub output_limit: OutputLimit,
    /// `openai_models`: names as OpenAI's, so that its reasoning models refuse
    /// `max_tokens` (seen as a 400 `unsupported_parameter` in recordings).
    pub openai_models: bool,
    /// `claude_models`: serves Claude and nothing else.
    pub claude_models: bool,
    /// `developer_role`: knows the role `developer`; others get `system`, as
    /// LiteLLM sends it.
    pub developer_role: bool,
    /// `text_content`: a message's content must be a string, so text parts are joined.
    pub text_content: bool,
    /// `no_stream_options`: refuses the parameter and always sends usage
    /// (Mistral: usage in 10 of 10 recorded streams that did not ask).
    pub no_stream_options: bool,
    /// `no_done`: a stream may end without `[DONE]` after its finish reason
    /// (Cerebras 7 of 7 recordings; Perplexity ends with `chat.completion.done`).
    pub no_done: bool,
    /// `store_false`: `store: false` is always sent.
    pub store_false: bool,
    /// `keeps_cache_control`: understands Anthropic's `cache_control` on parts;
    /// otherwise it is removed.
    pub keeps_cache_control: bool,
    /// `metadata=WHEN`: whether it takes a client's `metadata`, which LiteLLM's
    /// clients mean for the gateway.
    pub metadata: Metadata,
    /// `drop=A,B`: parameters it refuses and that don't change the answer.
    pub drop: Box<[&'static str]>,
    /// `refuses=A,B`: parameters it refuses and that do: left out where the
    /// client or the operator wants that.
    pub refuses: Box<[&'static str]>,
    /// `sampling=A,B`: parameters that its models without sampling refuse;
    /// `temperature`, `top_p` and `top_k` where the row does not say.
    pub sampling: Box<[&'static str]>,
    /// `rename=FROM:TO,…`: parameters it knows by another name.
    pub renames: Box<[(&'static str, &'static str)]>,
    /// `temperature_max=N`: a higher temperature is lowered to this.
    pub temperature_max: Option<Decimal>,
    /// `header.NAME=VALUE`: sent with every request. A value with a `{NAME}`
    /// part is left out unless that environment variable is set.
    pub headers: Box<[(&'static str, &'static str)]>,
    /// `model_prefix=P`: put before a model name without a `/` (Fireworks).
    pub model_prefix: Option<&'static str>,
    /// `server_last`: of a model name in three parts the first says who serves
    /// it, and goes last after a colon (Hugging Face's router).
    pub server_last: bool,
    /// `base_suffix=/PATH`: put after a base URL that does not end with it, as
    /// LiteLLM's users leave it out.
    pub base_suffix: Option<&'static str>,
    /// `base_cut=/PATH,…`: cut off the end of a base URL before that: paths of
    /// the provider's other doors, which LiteLLM calls.
    pub base_cut: Box<[&'static str]>,
    /// `base_at=HOST:/PATH`: on hosts whose name ends so, a base URL without a
    /// path gets this one.
    pub base_at: Option<(&'static str, &'static str)>,
    /// `takes_back=A,B`: members of an assistant's message beyond OpenAI's own
    /// that the provider takes back in a later turn. All others that an
    /// earlier answer may have brought are removed, see `dialect::additions`.
    pub takes_back: Box<[&'static str]>,
    /// `needs_reasoning`: while the model thinks, an assistant's message with
    /// tool calls must have `reasoning_content`, and it must not be empty.
    pub needs_reasoning: bool,
    /// `system_anywhere`: takes system messages at any place. Others get one,
    /// at the beginning: chat templates of served models refuse a second.
    pub system_anywhere: bool,
    /// `alternates`: refuses two user or two assistant messages in a row.
    pub alternates: bool,
    /// `stop_max=N`: maximum number of stop sequences.
    pub stop_max: Option<usize>,
    /// `user_max=N`: maximum length of the end user's id in characters. 64
    /// where the row does not say: OpenAI's limit, the lowest in use.
    pub user_max: usize,
    /// `user_opaque`: refuses an end user's id that looks like an e-mail
    /// address or a telephone number.
    pub user_opaque: bool,
    /// `flat_schemas`: refuses a tool whose schema is not an object or has
    /// alternatives at its top.
    pub flat_schemas: bool,
    /// `claude_elsewhere`: serves Claude in Anthropic's format, at a path that
    /// this row does not speak.
    pub claude_elsewhere: bool,
}

/// Why a base URL template could not be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The variable is not set.
    #[error(
        "the base URL needs the environment variable {0}; set it, or give the deployment an api_base"
    )]
    Missing(&'static str),
    /// The value could change the host or the path.
    #[error(
        "the environment variable {0} must hold only letters, digits, `-`, `_` and `.`, because it becomes a part of the base URL"
    )]
    Unfit(&'static str),
}

impl Provider {
    /// The path of an endpoint after the base URL; `None` if it is not served.
    pub fn path(&self, endpoint: Endpoint) -> Option<&'static str> {
        self.served(endpoint).map(|served| served.path)
    }

    /// Facts of an endpoint; `None` if it is not served.
    pub fn served(&self, endpoint: Endpoint) -> Option<&Served> {
        self.endpoints.iter().find(|served| served.endpoint == endpoint)
    }

    /// All endpoints that are served.
    pub fn endpoints(&self) -> &[Served] {
        &self.endpoints
    }

    /// The environment variables that stand as `{NAME}` in the base URL.
    pub fn template_envs(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.base_url.unwrap_or("").split('{').skip(1);
        parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
    }

    /// The base URL with its `{NAME}` parts filled in by `env`; `None` where the
    /// provider has no base URL. A value can only ever be one label or path
    /// segment, so that no variable moves the provider to another host.
    pub fn fill(&self, env: impl Fn(&str) -> Option<String>) -> Result<Option<String>, FillError> {
        let Some(template) = self.base_url else { return Ok(None) };
        let mut url = template.to_owned();
        for name in self.template_envs() {
            let value = env(name).filter(|value| !value.is_empty());
            let value = value.ok_or(FillError::Missing(name))?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if !value.bytes().all(fits) || value.split('.').any(str::is_empty) {
                return Err(FillError::Unfit(name));
            }
            url = url.replace(&format!("{{{name}}}"), &value);
        }
        Ok(Some(url))
    }

    /// Whether `base_url` is on the provider's own origin, so that a key from
    /// its environment variables may go there. A `{NAME}` part of the
    /// provider's host stands for letters, digits, `-`, `_` and `.`; a provider
    /// without a base URL of its own owns nothing.
    pub fn owns(&self, base_url: &str) -> bool {
        let Some(template) = self.base_url else { return false };
        let Ok((asked, _)) = Origin::parse_base(base_url) else { return false };
        let Some((before, rest)) = authority(template).split_once('{') else {
            return Origin::parse_base(template).is_ok_and(|(own, _)| own == asked);
        };
        let Some((_, after)) = rest.split_once('}') else { return false };
        let asked = asked.to_string();
        let middle = asked.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        middle.is_some_and(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
    }

    /// Whether `model` is one of OpenAI's reasoning models, by its name.
    pub fn is_reasoning_model(&self, model: &str) -> bool {
        // What ChatGPT answers with at once: it takes sampling parameters.
        self.quirks.openai_models && is_openai_reasoning(model) && !model.contains("gpt-5-chat")
    }

    /// The path of a base URL as people give it, made the one that the paths
    /// of endpoints follow: they give the whole URL of one, or leave out what
    /// LiteLLM adds.
    pub fn base_path(&self, host: &str, given: &str) -> String {
        let path =
            [Endpoint::Chat, Endpoint::Messages, Endpoint::Completions, Endpoint::Embeddings]
                .into_iter()
                .filter_map(|endpoint| self.path(endpoint))
                .filter(|endpoint| !endpoint.is_empty())
                .find_map(|endpoint| given.strip_suffix(endpoint))
                .unwrap_or(given);
        let quirks = &self.quirks;
        let path = quirks.base_cut.iter().find_map(|cut| path.strip_suffix(cut)).unwrap_or(path);
        let added = match (quirks.base_at, quirks.base_suffix) {
            (Some((at, added)), _) if path.is_empty() && host.ends_with(at) => added,
            (_, Some(suffix)) if !path.ends_with(suffix) => suffix,
            _ => "",
        };
        [path, added].concat()
    }

    /// The name of a model as the upstream wants it.
    pub fn upstream_name<'a>(&self, model: &'a str) -> Cow<'a, str> {
        let mut parts = model.splitn(3, '/');
        match (self.quirks.model_prefix, parts.next(), parts.next(), parts.next()) {
            (Some(prefix), Some(only), None, _) => [prefix, only].concat().into(),
            (_, Some(server), Some(owner), Some(name)) if self.quirks.server_last => {
                [owner, "/", name, ":", server].concat().into()
            }
            _ => model.into(),
        }
    }

    /// The name under which `model` takes the limit on output tokens.
    pub fn output_limit(&self, model: &str) -> OutputLimit {
        if self.quirks.openai_models && is_openai_reasoning(model) {
            return OutputLimit::MaxCompletionTokens;
        }
        self.quirks.output_limit
    }
}

/// Scheme, host and port of a base URL, as text.
fn authority(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url
        .bytes()
        .enumerate()
        .skip(after_scheme)
        .find_map(|(at, byte)| (byte == b'/').then_some(at));
    url.get(..end.unwrap_or(url.len())).unwrap_or(url)
}

/// `o1`, `o3-mini`, `gpt-5.1`, … : OpenAI's reasoning families by their names.
fn is_openai_reasoning(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    if let Some(rest) = name.strip_prefix("gpt-") {
        return rest.bytes().next().is_some_and(|digit| (b'5'..=b'9').contains(&digit));
    }
    let mut rest = name.strip_prefix('o').unwrap_or("").bytes();
    rest.next().is_some_and(|digit| (b'1'..=b'9').contains(&digit))
        && rest.next().is_none_or(|byte| byte == b'-' || byte.is_ascii_digit())
}

/// A provider that is known by name and can't be spoken to yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The prefix.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// What is missing here, as a noun phrase.
    pub missing: &'static str,
    /// What to use instead; may be empty.
    pub instead: &'static str,
}

#[cfg(test)]
mod tests {
    use super::{FillError, authority, is_openai_reasoning};
    use crate::provider_rows::provider;

    #[test]
    fn reasoning_models_are_known_by_name() {
        for name in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1-mini", "ft:o4-mini"] {
            assert!(is_openai_reasoning(name), "{name}");
        }
        for name in ["gpt-4o", "gpt-4.1", "omni-moderation", "o", "o1x", "gpt-oss-120b", ""] {
            assert!(!is_openai_reasoning(name), "{name}");
        }
    }

    /// What LiteLLM's users write, and what it calls for them.
    #[test]
    fn a_base_url_is_completed_as_litellm_completes_it() {
        for (id, host, given, path) in [
            ("ollama", "localhost", "", "/v1"),
            ("ollama", "localhost", "/v1", "/v1"),
            ("ollama", "localhost", "/v1/chat/completions", "/v1"),
            ("ollama", "localhost", "/api/chat", "/v1"),
            ("ollama", "localhost", "/ollama", "/ollama/v1"),
            ("huggingface", "x.endpoints.huggingface.cloud", "", "/v1"),
            ("huggingface", "router.huggingface.co", "/v1", "/v1"),
            ("azure_ai", "x.services.ai.azure.com", "", "/models"),
            ("azure_ai", "x.services.ai.azure.com", "/models/chat/completions", "/models"),
            ("azure_ai", "x.services.ai.azure.com", "/openai/v1", "/openai/v1"),
            ("azure_ai", "x.eastus2.models.ai.azure.com", "", ""),
            ("hosted_vllm", "localhost", "", ""),
            ("openai", "api.openai.com", "/v1/chat/completions", "/v1"),
        ] {
            assert_eq!(provider(id).unwrap().base_path(host, given), path, "{id} {host} {given}");
        }
    }

    #[test]
    fn a_model_is_named_as_its_upstream_wants_it() {
        for (id, model, name) in [
            ("fireworks_ai", "llama", "accounts/fireworks/models/llama"),
            ("fireworks_ai", "accounts/x/models/llama", "accounts/x/models/llama"),
            ("huggingface", "together/org/model", "org/model:together"),
            ("huggingface", "org/model", "org/model"),
            ("huggingface", "org/model:groq", "org/model:groq"),
            ("openrouter", "a/b/c", "a/b/c"),
        ] {
            assert_eq!(provider(id).unwrap().upstream_name(model), name, "{id}");
        }
    }

    #[test]
    fn the_authority_ends_before_the_path() {
        assert_eq!(authority("https://{A}.b.com/v1/x"), "https://{A}.b.com");
        assert_eq!(authority("http://h:1"), "http://h:1");
    }

    #[test]
    fn a_template_cannot_be_moved_to_another_host() {
        let snowflake = provider("snowflake").unwrap();
        let fill = |value: &str| snowflake.fill(|_| Some(value.to_owned()));
        assert_eq!(
            fill("org-acct"),
            Ok(Some("https://org-acct.snowflakecomputing.com/api/v2".into()))
        );
        for value in ["evil.com/", "evil.com#", "a@b", "evil.com\\", "a b", "a..b", "x:1"] {
            assert_eq!(fill(value), Err(FillError::Unfit("SNOWFLAKE_ACCOUNT_ID")), "{value}");
        }
        assert_eq!(snowflake.fill(|_| None), Err(FillError::Missing("SNOWFLAKE_ACCOUNT_ID")));
    }

    #[test]
    fn a_provider_owns_its_own_origin_only() {
        let openai = provider("openai").unwrap();
        assert!(openai.owns("https://API.openai.com:443/v2"));
        for url in ["http://api.openai.com/v1", "https://api.openai.com.evil.com/v1", "nonsense"] {
            assert!(!openai.owns(url), "{url}");
        }
        let mantle = provider("bedrock_mantle").unwrap();
        assert!(mantle.owns("https://bedrock-mantle.us-east-1.api.aws/openai/v1"));
        assert!(!mantle.owns("https://bedrock-mantle.evil.com/x.api.aws/v1"));
        assert!(!mantle.owns("https://bedrock-mantle..api.aws.evil.com/v1"));
        assert!(!mantle.owns("https://bedrock-mantle.us-east-1.api.aws:8443/v1"));
        assert!(!provider("custom_openai").unwrap().owns("https://api.openai.com/v1"));
    }
}
