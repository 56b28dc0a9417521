//! A deployment's own parameters, given where the client gave none.
//!
//! They are in OpenAI's words, as LiteLLM's configuration has them. Towards
//! another dialect they are part of the request that is translated, so that the
//! encoder weighs them as it weighs the client's; a client and an upstream that
//! both speak another dialect get those that this one has words for. A word of
//! the upstream's own, or of nobody's, goes as it is written.

use crate::head::{Head, keys::knows};
use crate::json::write::quoted;
use crate::model::{Reasoning, Request};
use crate::splice::Edits;
use crate::{Dialect, Json, Surface, Target};

/// The names of a wish to think: one of them is enough.
pub(crate) const WISHES: [&str; 3] = ["reasoning_effort", "thinking", "reasoning"];

/// The names of an output limit: one of them is enough.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Parameters that only a client may set: its question, and the form of the
/// answer. LiteLLM's configurations have some of them without effect.
const CLIENTS_OWN: [&str; 7] =
    ["stream", "stream_options", "messages", "prompt", "input", "model", "system"];

/// The parameters of one deployment.
pub struct Defaults<'d> {
    fields: &'d [(String, Json)],
    /// The target of the request.
    pub target: Target<'d>,
}

impl<'d> Defaults<'d> {
    /// Parameters with their values, for requests to `target`.
    pub fn new(fields: &'d [(String, Json)], target: Target<'d>) -> Self {
        Self { fields, target }
    }

    /// The parameters that a deployment may set.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'d str, &'d Json)> {
        let all = self.fields.iter().map(|(name, value)| (name.as_str(), value));
        all.filter(|(name, _)| !CLIENTS_OWN.contains(name))
    }

    /// Adds those that a body has room for which goes to an upstream of its own
    /// dialect.
    pub fn same(&self, edits: &mut Edits<'d>, head: &Head, body: &[u8]) {
        (head.surface().dialect().contract().add_defaults)(edits, head, body, self);
    }

    /// Adds to a client's request those that are translated with it for an
    /// upstream of the dialect `theirs`.
    pub fn before(&self, edits: &mut Edits<'d>, head: &Head, body: &[u8], theirs: Dialect) {
        let surface = head.surface();
        let fields = self.fields();
        add(edits, head, body, fields.filter(|field| goes_before(surface, theirs, *field)));
    }

    /// Adds the others to the translation of a request of the client's `surface`.
    pub fn after(&self, edits: &mut Edits<'d>, head: &Head, body: &[u8], surface: Surface) {
        let theirs = head.surface().dialect();
        let others = self
            .fields()
            .filter(|field| !goes_before(surface, theirs, *field))
            .filter(|(name, value)| theirs == WORDS || is_native(name, value));
        add(edits, head, body, others);
    }

    /// The parameters as a request that asks nothing else; `None` if they cannot
    /// be read as OpenAI's.
    pub(crate) fn request(&self) -> Option<Request> {
        let mut asked = br#"{"messages":[{"role":"user","content":"x"}]"#.to_vec();
        for (name, value) in self.fields().filter(|(name, value)| !is_native(name, value)) {
            asked.extend_from_slice(format!(",{}:{}", quoted(name), value.text()).as_bytes());
        }
        asked.push(b'}');
        WORDS.decode_request(&asked).ok()
    }

    /// The deployment's wish to think, and its output limit.
    pub(crate) fn wish(&self) -> Option<(Reasoning, Option<u64>)> {
        let mut asked = br#"{"messages":[{"role":"user","content":""}]"#.to_vec();
        let mut limit = None;
        let mut wished = false;
        for (name, value) in self.fields() {
            if WISHES.contains(&name) {
                wished = true;
                asked.extend_from_slice(format!(",\"{name}\":{}", value.text()).as_bytes());
            } else if LIMITS.contains(&name) {
                limit = value.text().parse().ok();
            }
        }
        asked.push(b'}');
        let request = wished.then(|| WORDS.decode_request(&asked).ok())??;
        Some((request.reasoning?, limit))
    }
}

/// The dialect whose words the parameters are in.
const WORDS: Dialect = Dialect::OpenAiChat;

/// Lets a wish to think that is the deployment's give way to the client's limit.
pub fn give_way(request: &mut Request, head: &Head, body: &[u8]) {
    if WISHES.iter().all(|name| head.raw(body, name).is_none())
        && let Some(wish) = request.reasoning.take()
    {
        request.reasoning = wish.within(request.max_output_tokens);
    }
}

/// Returns true if the client's request can say it.
fn goes_before(surface: Surface, theirs: Dialect, (name, value): (&str, &Json)) -> bool {
    let sayable = knows(surface, name) || name == "reasoning_effort";
    let native = theirs != WORDS && is_native(name, value);
    surface.dialect() == WORDS && sayable && !native
}

/// Returns true for a word that is not OpenAI's: the upstream's own, or nobody's.
pub(crate) fn is_native(name: &str, value: &Json) -> bool {
    match name {
        "tools" | "tool_choice" => !value.text().contains("function"),
        name => !knows(Surface::OpenAiChat, name),
    }
}

/// Adds those of which a body says nothing, in the words that they are in.
pub(crate) fn add<'d>(
    edits: &mut Edits<'d>,
    head: &Head,
    body: &[u8],
    fields: impl Iterator<Item = (&'d str, &'d Json)>,
) {
    let has = |names: &[&str]| names.iter().any(|name| head.raw(body, name).is_some());
    let mut limited = has(&LIMITS);
    let wished = has(&WISHES);
    for (name, value) in fields {
        if LIMITS.contains(&name) {
            if limited {
                continue;
            }
            limited = true;
        }
        if !(wished && WISHES.contains(&name)) && belongs(head.surface(), name) {
            edits.default_value(name, value);
        }
    }
}

/// Returns true if a field that is configured for all calls belongs into a
/// request of this surface: providers take more than chat's tables know, and
/// refuse chat's elsewhere.
pub fn belongs(surface: Surface, name: &str) -> bool {
    match surface {
        Surface::OpenAiChat
        | Surface::AnthropicMessages
        | Surface::GeminiGenerate
        | Surface::GeminiStream => true,
        Surface::AnthropicCountTokens | Surface::GeminiCountTokens => knows(surface, name),
        Surface::OpenAiCompletions | Surface::OpenAiEmbeddings => {
            let others = [Surface::OpenAiChat, Surface::AnthropicMessages];
            knows(surface, name) || !others.into_iter().any(|other| knows(other, name))
        }
    }
}
