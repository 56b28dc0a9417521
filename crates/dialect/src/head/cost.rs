//! Whether a request's bytes bound what it costs.
//!
//! Conservative: a message part of a kind that is not listed here, a server
//! tool, a key that changes the price or that nobody knows, and the bytes do
//! not bound the cost. Reads structure, not text: what a prompt says about
//! images is not an image.

use super::{Head, Role};
use crate::Surface;
use crate::json::skim::Skim;

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
    /// What the provider does with the tools by itself.
    pub server_tools: ServerTools,
    /// A key stands in the body that may change what a token costs or what
    /// else is charged for (tier, audio, web search, …).
    pub price_keys: bool,
}

/// What offered tools make a provider do by itself, within one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTools {
    /// Nothing: the client runs them all, and their bytes are all there is.
    #[default]
    None,
    /// The client runs them, but they bring prompts of unknown length.
    Prompts,
    /// The provider calls tools and reads its own answer again.
    Loop {
        /// Calls at most, each of which reads the input once more.
        rounds: u64,
        /// Of these, web searches at most: they have a price each.
        searches: u64,
    },
    /// Something is offered that nobody can put a limit on.
    Unbounded,
}

impl ServerTools {
    fn and(self, other: Self) -> Self {
        let both = |a: u64, b: u64| a.saturating_add(b);
        match (self, other) {
            (Self::Unbounded, _) | (_, Self::Unbounded) => Self::Unbounded,
            (Self::Loop { rounds, searches }, Self::Loop { rounds: more, searches: further }) => {
                Self::Loop { rounds: both(rounds, more), searches: both(searches, further) }
            }
            (found @ Self::Loop { .. }, _) | (_, found @ Self::Loop { .. }) => found,
            (Self::Prompts, _) | (_, Self::Prompts) => Self::Prompts,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// Turns that a provider takes by itself before it hands back (Anthropic,
/// "Server tools", July 2026: `pause_turn` after 10).
pub const ROUNDS_MAX: u64 = 10;

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
        let tools =
            self.skim(body, "tools").and_then(|skim| Tools { surface: self.surface }.of(skim));
        let functions = self.raw(body, "functions").is_some();
        let server_tools = tools.unwrap_or_default();
        let price_keys = self
            .members
            .iter()
            .filter(|member| body.get(member.value_span()) != Some(b"null"))
            .filter_map(|member| member.key)
            .any(|key| key.role == Role::Price && !JUDGED_APART.contains(&key.name));
        let brings_input = ["previous_response_id", "cached_content", "container", "mcp_servers"]
            .iter()
            .chain(&["plugins", "extra_body", "search_parameters", "web_search_options"])
            .chain(&["enable_search", "search_settings", "prompt_id", "cachedContent"])
            .any(|name| self.raw(body, name).is_some());
        let plain = match self.surface {
            Surface::OpenAiChat => self.plain(body, "messages", PLAIN_KEYS),
            Surface::OpenAiCompletions => self.skim(body, "prompt").is_none_or(is_plain_input),
            Surface::OpenAiEmbeddings => self.skim(body, "input").is_none_or(is_plain_input),
            Surface::AnthropicMessages | Surface::AnthropicCountTokens => {
                self.plain(body, "messages", ANTHROPIC_KEYS)
                    && self.skim(body, "system").is_none_or(|mut skim| {
                        is_plain_content(&mut skim, ANTHROPIC_KEYS) == Some(true)
                    })
            }
            Surface::GeminiGenerate | Surface::GeminiStream | Surface::GeminiCountTokens => {
                let all = ["contents", "systemInstruction", "system_instruction"];
                all.iter().all(|name| {
                    let skim = self.skim(body, name);
                    skim.is_none_or(|mut skim| are_plain_contents(&mut skim) == Some(true))
                })
            }
        };
        CostSignals {
            bytes_bound_input: plain && server_tools == ServerTools::None && !brings_input,
            unknown_keys: self.has_unknown(),
            tools: functions || tools.is_some(),
            server_tools,
            price_keys,
        }
    }

    fn plain(&self, body: &[u8], name: &str, keys: &[&[u8]]) -> bool {
        self.skim(body, name).is_none_or(|skim| are_plain_messages(skim, keys) == Some(true))
    }
}

/// Keys of tools that the client runs, at OpenAI and at Anthropic. Compatible
/// servers name tools of their own by the key alone (`{"google_search":{}}`).
const CLIENT_TOOL_KEYS: &[&[u8]] = &[
    b"allowed_callers",
    b"cache_control",
    b"custom",
    b"defer_loading",
    b"description",
    b"eager_input_streaming",
    b"function",
    b"functionDeclarations",
    b"function_declarations",
    b"input_examples",
    b"input_schema",
    b"name",
    b"strict",
    b"type",
];

/// Reads `tools`.
struct Tools {
    surface: Surface,
}

impl Tools {
    /// None where the list is empty.
    fn of(&self, skim: Skim<'_>) -> Option<ServerTools> {
        self.walk(skim).unwrap_or(Some(ServerTools::Unbounded))
    }

    #[expect(clippy::option_option, reason = "the outer one is the skimmer's: no JSON")]
    fn walk(&self, mut skim: Skim<'_>) -> Option<Option<ServerTools>> {
        let mut found: Option<ServerTools> = None;
        let mut more = skim.enter(b'[')?;
        while more {
            let tool = self.tool(&mut skim)?;
            found = Some(found.unwrap_or_default().and(tool));
            more = skim.more(b']')?;
        }
        Some(found)
    }

    /// A key or a kind that is written with escapes matches nothing here.
    fn tool(&self, skim: &mut Skim<'_>) -> Option<ServerTools> {
        let (mut kind, mut max_uses): (Option<&[u8]>, _) = (None, None);
        let (mut plain_keys, mut escaped, mut kinds) = (true, false, 0);
        let mut more = skim.enter(b'{')?;
        while more {
            let key = skim.key()?;
            escaped |= key.contains(&b'\\');
            plain_keys &= CLIENT_TOOL_KEYS.contains(&key);
            let value = skim.raw()?;
            match key {
                b"type" if value != b"null" => {
                    kind = Some(value);
                    kinds += 1;
                }
                b"max_uses" => max_uses = std::str::from_utf8(value).ok()?.parse::<u64>().ok(),
                _ => {}
            }
            more = skim.more(b'}')?;
        }
        let client = matches!(kind, None | Some(b"\"function\"" | b"\"custom\""));
        Some(match kind {
            _ if escaped || kinds > 1 => ServerTools::Unbounded,
            _ if client && plain_keys => ServerTools::None,
            Some(kind) if !client && self.surface != Surface::OpenAiChat => {
                anthropic_tool(kind, max_uses)
            }
            _ => ServerTools::Unbounded,
        })
    }
}

/// What a tool of Anthropic's own does, by its kind with its quotes ("Tool
/// reference", July 2026). Code execution is billed by the hour: no limit.
fn anthropic_tool(kind: &[u8], max_uses: Option<u64>) -> ServerTools {
    let is =
        |family: &str| kind.strip_prefix(b"\"").is_some_and(|k| k.starts_with(family.as_bytes()));
    if ["bash_", "computer_", "memory_", "text_editor_"].into_iter().any(is) {
        return ServerTools::Prompts;
    }
    // Later versions filter what they find in turns of their own.
    let rounds = match kind {
        b"\"web_search_20250305\"" | b"\"web_fetch_20250910\"" => max_uses,
        _ => None,
    };
    let rounds = rounds.unwrap_or(ROUNDS_MAX).min(ROUNDS_MAX);
    if is("web_search_") {
        return match max_uses {
            Some(searches) => ServerTools::Loop { rounds, searches },
            None => ServerTools::Unbounded,
        };
    }
    if ["web_fetch_", "tool_search_tool_", "mcp_toolset"].into_iter().any(is) {
        return ServerTools::Loop { rounds, searches: 0 };
    }
    ServerTools::Unbounded
}

/// Keys of Google's parts whose tokens come from their bytes.
const GEMINI_KEYS: &[&[u8]] = &[
    b"text",
    b"thought",
    b"thoughtSignature",
    b"thought_signature",
    b"functionCall",
    b"function_call",
];

/// Google's messages, one or a list: texts, calls, and results without files.
fn are_plain_contents(skim: &mut Skim<'_>) -> Option<bool> {
    if skim.peek()? == b'{' {
        return is_plain_gemini(skim);
    }
    let mut more = skim.enter(b'[')?;
    while more {
        if !is_plain_gemini(skim)? {
            return Some(false);
        }
        more = skim.more(b']')?;
    }
    Some(true)
}

/// A message, or a part of one.
fn is_plain_gemini(skim: &mut Skim<'_>) -> Option<bool> {
    let mut more = skim.enter(b'{')?;
    while more {
        let is_plain = match skim.key()? {
            b"role" => skim.skip().map(|()| true)?,
            b"parts" => are_plain_contents(skim)?,
            b"functionResponse" | b"function_response" => {
                let keys: &[&[u8]] = &[b"id", b"name", b"response", b"willContinue", b"scheduling"];
                has_keys_of(skim, keys)?
            }
            key if GEMINI_KEYS.contains(&key) => skim.skip().map(|()| true)?,
            _ => false,
        };
        if !is_plain {
            return Some(false);
        }
        more = skim.more(b'}')?;
    }
    Some(true)
}

fn has_keys_of(skim: &mut Skim<'_>, keys: &[&[u8]]) -> Option<bool> {
    let mut more = skim.enter(b'{')?;
    while more {
        if !keys.contains(&skim.key()?) {
            return Some(false);
        }
        skim.skip()?;
        more = skim.more(b'}')?;
    }
    Some(true)
}

fn are_plain_messages(mut skim: Skim<'_>, keys: &[&[u8]]) -> Option<bool> {
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
fn is_plain_input(skim: Skim<'_>) -> bool {
    crate::embeddings::Input::read(skim, 0).is_some()
}
