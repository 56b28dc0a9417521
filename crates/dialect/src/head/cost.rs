//! Whether a request's bytes bound what it costs.
//!
//! Conservative: a message part of a kind that is not listed here, a server
//! tool, a key that changes the price or that nobody knows, and the bytes do
//! not bound the cost. Reads structure, not text: what a prompt says about
//! images is not an image.

use super::{Head, Role, Surface};
use crate::skim::Skim;

/// What about a request keeps its bytes from bounding its cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostSignals {
    /// Every token of the input comes from bytes of the body, hidden tool
    /// prompts aside: no pictures, files, links, sounds, server tools, earlier
    /// answers.
    pub bytes_bound_input: bool,
    /// Keys stand in the body that no table knows.
    pub unknown_keys: bool,
    /// Tools are offered: a provider adds a prompt of its own.
    pub tools: bool,
    /// Tools are offered that the provider runs, or that bring prompts of
    /// unknown length.
    pub server_tools: bool,
    /// A key stands in the body that may change what a token costs or what
    /// else is charged for (tier, audio, web search, …).
    pub price_keys: bool,
}

/// Kinds of message parts whose tokens come from their bytes.
const PLAIN_KINDS: &[&[u8]] = &[
    b"custom",
    b"function",
    b"redacted_thinking",
    b"refusal",
    b"text",
    b"thinking",
    b"tool_result",
    b"tool_use",
];

/// Keys of OpenAI's messages and parts that hold text, or lists of the kinds
/// above. Compatible servers take pictures under keys of their own.
const PLAIN_KEYS: &[&[u8]] = &[
    b"cache_control",
    b"content",
    b"function_call",
    b"name",
    b"prefix",
    b"reasoning",
    b"reasoning_content",
    b"reasoning_details",
    b"refusal",
    b"role",
    b"signature",
    b"text",
    b"thinking",
    b"tool_call_id",
    b"tool_calls",
    b"type",
    b"annotations",
];

/// Anthropic's, where a part's kind says what it is. A citation repeats text
/// of the conversation.
const ANTHROPIC_KEYS: &[&[u8]] = &[
    b"cache_control",
    b"caller",
    b"citations",
    b"content",
    b"data",
    b"id",
    b"input",
    b"is_error",
    b"name",
    b"role",
    b"signature",
    b"text",
    b"thinking",
    b"tool_use_id",
    b"type",
];

/// Price keys that say nothing about the input's length and are judged apart.
const JUDGED_APART: &[&str] = &["tools", "thinking", "cache_control"];

impl Head {
    /// What must be reserved for beside the bytes. Walks the messages once,
    /// only when asked.
    pub fn cost_signals(&self, body: &[u8]) -> CostSignals {
        let tools = self.raw(body, "tools").map(Tools::of);
        let functions = self.raw(body, "functions").is_some();
        let server_tools = tools == Some(Tools::Server);
        let price_keys = self
            .members
            .iter()
            .filter(|member| body.get(member.value_span()) != Some(b"null"))
            .filter_map(|member| member.key)
            .any(|key| key.role == Role::Price && !JUDGED_APART.contains(&key.name));
        let brings_input = ["previous_response_id", "cached_content", "container", "mcp_servers"]
            .iter()
            .chain(&["plugins", "extra_body", "search_parameters", "web_search_options"])
            .chain(&["enable_search", "search_settings", "prompt_id"])
            .any(|name| self.raw(body, name).is_some());
        let plain = match self.surface {
            Surface::OpenAiChat => self.plain(body, "messages", PLAIN_KEYS),
            Surface::OpenAiCompletions => self.raw(body, "prompt").is_none_or(is_plain_input),
            Surface::OpenAiEmbeddings => self.raw(body, "input").is_none_or(is_plain_input),
            Surface::AnthropicMessages | Surface::AnthropicCountTokens => {
                self.plain(body, "messages", ANTHROPIC_KEYS)
                    && self.raw(body, "system").is_none_or(|raw| {
                        is_plain_content(&mut Skim::new(raw), ANTHROPIC_KEYS) == Some(true)
                    })
            }
        };
        CostSignals {
            bytes_bound_input: plain && !server_tools && !brings_input,
            unknown_keys: self.has_unknown(),
            tools: functions || tools.is_some_and(|tools| tools != Tools::None),
            server_tools,
            price_keys,
        }
    }

    fn plain(&self, body: &[u8], name: &str, keys: &[&[u8]]) -> bool {
        self.raw(body, name).is_none_or(|raw| are_plain_messages(raw, keys) == Some(true))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tools {
    None,
    Client,
    Server,
}

impl Tools {
    fn of(raw: &[u8]) -> Self {
        Self::walk(raw).unwrap_or(Self::Server)
    }

    fn walk(raw: &[u8]) -> Option<Self> {
        let mut skim = Skim::new(raw);
        let mut found = Self::None;
        let mut more = skim.enter(b'[')?;
        while more {
            found = Self::Client;
            let mut inner = skim.enter(b'{')?;
            while inner {
                if skim.key()? == b"type" {
                    let kind = skim.raw()?;
                    if !matches!(kind, b"\"function\"" | b"\"custom\"" | b"null") {
                        return Some(Self::Server);
                    }
                } else {
                    skim.skip()?;
                }
                inner = skim.more(b'}')?;
            }
            more = skim.more(b']')?;
        }
        Some(found)
    }
}

fn are_plain_messages(raw: &[u8], keys: &[&[u8]]) -> Option<bool> {
    let mut skim = Skim::new(raw);
    let mut more = skim.enter(b'[')?;
    while more {
        if !is_plain_object(&mut skim, keys)? {
            return Some(false);
        }
        more = skim.more(b']')?;
    }
    Some(true)
}

/// A message or a part. The content of tool results is looked into two levels
/// deep, which is as deep as they go.
fn is_plain_object(skim: &mut Skim<'_>, keys: &[&[u8]]) -> Option<bool> {
    object_at(skim, keys, 0)
}

fn object_at(skim: &mut Skim<'_>, keys: &[&[u8]], depth: u8) -> Option<bool> {
    let mut more = skim.enter(b'{')?;
    while more {
        let key = skim.key()?;
        if key == b"type" {
            let kind = skim.string()?;
            if !PLAIN_KINDS.contains(&kind) {
                return Some(false);
            }
        } else if key == b"content" {
            if !content_at(skim, keys, depth + 1)? {
                return Some(false);
            }
        } else if keys.contains(&key) {
            skim.skip()?;
        } else if skim.raw()? != b"null" {
            return Some(false);
        }
        more = skim.more(b'}')?;
    }
    Some(true)
}

fn is_plain_content(skim: &mut Skim<'_>, keys: &[&[u8]]) -> Option<bool> {
    content_at(skim, keys, 1)
}

fn content_at(skim: &mut Skim<'_>, keys: &[&[u8]], depth: u8) -> Option<bool> {
    match skim.peek()? {
        b'[' if depth > 3 => Some(false),
        b'[' => {
            let mut more = skim.enter(b'[')?;
            while more {
                let plain = match skim.peek()? {
                    b'"' => skim.skip().map(|()| true)?,
                    _ => object_at(skim, keys, depth)?,
                };
                if !plain {
                    return Some(false);
                }
                more = skim.more(b']')?;
            }
            Some(true)
        }
        b'"' => skim.skip().map(|()| true),
        b'{' => Some(false),
        _ => skim.skip().map(|()| true),
    }
}

/// A prompt or an embedding's input: strings and token numbers, in lists.
fn is_plain_input(raw: &[u8]) -> bool {
    crate::embeddings::Input::of(raw).is_some()
}
