//! Messages and tools without what one compatible server refuses in them, for
//! a body that otherwise goes up as it came.
//!
//! What needs no change keeps its bytes. Text that cannot be read stays as it
//! is: the server says what is wrong with it.

use crate::additions;
use crate::json::read::{Members, Raw, items, string};
use crate::json::rewrite::{Change, list, object};
use crate::json::skim::Skim;
use crate::json::write::quoted;
use std::borrow::Cow;

/// What a server refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit<'a> {
    /// The role `developer`: it becomes `system`.
    pub no_developer: bool,
    /// `cache_control` on messages, parts and tools: it is taken out.
    pub no_cache_control: bool,
    /// Content in parts: texts are joined, where all parts are texts.
    pub text_content: bool,
    /// Members that an earlier answer brought, all but these; see
    /// [`additions`](crate::additions). `None` leaves them all.
    pub takes_back: Option<&'a [&'a str]>,
    /// A message with tool calls and without `reasoning_content`: it gets one.
    pub needs_reasoning: bool,
}

impl Fit<'_> {
    /// The value of `messages` as the server takes it; none where it need not
    /// change.
    pub fn messages(self, raw: &[u8]) -> Option<String> {
        let messages = items(Raw::check(raw).ok()?)?;
        list(&messages, |message| self.message(message))
    }

    /// The value of `tools` as the server takes it; none where it need not
    /// change.
    pub fn tools(self, raw: &[u8]) -> Option<String> {
        let tools = items(Raw::check(raw).ok()?)?;
        if self.no_cache_control { list(&tools, without_hint) } else { None }
    }

    fn message(self, raw: Raw<'_>) -> Option<String> {
        let members = Members::of(raw)?;
        let spoken = |role: &str| {
            members.0.iter().any(|(name, value)| name == "role" && value.text() == role)
        };
        // As the encoder joins them: a model's own parts are one text.
        let is_assistant = spoken("\"assistant\"");
        let needs_reasoning = self.needs_reasoning && is_assistant && calls(&members);
        let glue = if is_assistant { "" } else { "\n" };
        // Beside blocks that the gateway wrote stands thinking of another model.
        let is_foreign = |(name, value): &(Cow<'_, str>, Raw<'_>)| {
            name == "thinking_blocks" && self.refuses(name, *value)
        };
        let drops_thinking =
            is_assistant && !self.needs_reasoning && members.0.iter().any(is_foreign);
        let changed = object(&members, |name, value| match name {
            name if is_assistant && self.refuses(name, value) => Change::Gone,
            additions::REASONING_CONTENT if drops_thinking => Change::Gone,
            additions::REASONING_CONTENT if needs_reasoning && says_nothing(value) => {
                Change::To(quoted(additions::NO_REASONING))
            }
            "role" if self.no_developer && value.text() == "\"developer\"" => {
                Change::To("\"system\"".to_owned())
            }
            "cache_control" if self.no_cache_control => Change::Gone,
            "content" => self.content(value, glue).map_or(Change::None, Change::To),
            _ => Change::None,
        });
        let has_reasoning = members.0.iter().any(|(name, _)| name == additions::REASONING_CONTENT);
        if !needs_reasoning || has_reasoning {
            return changed;
        }
        let text = changed.as_deref().unwrap_or(raw.text()).trim_end();
        let open = text.strip_suffix('}').unwrap_or(text);
        let reasoning = quoted(additions::NO_REASONING);
        Some(format!("{open},{}:{reasoning}}}", quoted(additions::REASONING_CONTENT)))
    }

    /// Returns true if an earlier answer brought this member and the server
    /// does not take it back.
    fn refuses(self, name: &str, value: Raw<'_>) -> bool {
        let Some(taken) = self.takes_back else { return false };
        let added = additions::CHAT_MEMBERS.contains(&name)
            || (name == "refusal" && value.text() == "null");
        added && !taken.contains(&name)
    }

    fn content(self, raw: Raw<'_>, glue: &str) -> Option<String> {
        if !raw.text().starts_with('[') {
            return None;
        }
        let parts = items(raw)?;
        if self.text_content
            && let Some(texts) = parts.iter().map(|part| text(*part)).collect::<Option<Vec<_>>>()
        {
            return Some(quoted(&texts.join(glue)));
        }
        if self.no_cache_control { list(&parts, without_hint) } else { None }
    }
}

/// Returns true if a message calls tools.
fn calls(members: &Members<'_>) -> bool {
    let says =
        |(name, value): &(Cow<'_, str>, Raw<'_>)| name == "tool_calls" && !says_nothing(*value);
    members.0.iter().any(says)
}

fn says_nothing(value: Raw<'_>) -> bool {
    matches!(value.text(), "null" | "[]" | "\"\"")
}

/// Returns true if `messages` has a system or developer message that is not its
/// first, or, where `alternates`, two messages of one role in a row.
pub fn is_disordered(raw: &[u8], system_first: bool, alternates: bool) -> bool {
    let Some(roles) = roles(raw) else { return false };
    let late = roles.iter().skip(1).any(|role| *role == Role::System);
    let repeated = roles.windows(2).any(|pair| match pair {
        [one, other] => one == other && matches!(one, Role::User | Role::Assistant),
        _ => false,
    });
    (system_first && late) || (alternates && repeated)
}

/// The speaker of a message, as far as order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Other,
}

/// The roles of all messages; `None` if the text is not JSON.
fn roles(raw: &[u8]) -> Option<Vec<Role>> {
    let mut skim = Skim::new(raw);
    let mut roles = Vec::new();
    let mut more_messages = skim.enter(b'[')?;
    while more_messages {
        let mut role = Role::Other;
        let mut more = skim.enter(b'{')?;
        while more {
            if skim.key()? == b"role" {
                role = match skim.string_or_skip()? {
                    b"system" | b"developer" => Role::System,
                    b"user" => Role::User,
                    b"assistant" => Role::Assistant,
                    _ => Role::Other,
                };
            } else {
                skim.skip()?;
            }
            more = skim.more(b'}')?;
        }
        roles.push(role);
        more_messages = skim.more(b']')?;
    }
    Some(roles)
}

/// A part's text, where it is nothing else.
fn text(part: Raw<'_>) -> Option<String> {
    if let Some(text) = string(part) {
        return Some(text);
    }
    let members = Members::of(part)?;
    let find = |wanted: &str| members.0.iter().find(|(name, _)| name == wanted);
    if find("type").is_some_and(|(_, kind)| kind.text() != "\"text\"") {
        return None;
    }
    find("text").and_then(|(_, value)| string(*value))
}

fn without_hint(raw: Raw<'_>) -> Option<String> {
    let members = Members::of(raw)?;
    object(&members, |name, _| if name == "cache_control" { Change::Gone } else { Change::None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"[{"role":"developer", "content":"a"},{"content":[{"type":"text","text":"b\n","cache_control":{"type":"ephemeral"}},{"text":"c"}],"role":"user"},{"role":"assistant","content":null,"tool_calls":[]}]"#;

    #[test]
    fn only_what_is_refused_changes() {
        let fit = Fit { no_developer: true, no_cache_control: true, ..Fit::default() };
        assert_eq!(
            fit.messages(MESSAGES.as_bytes()).unwrap(),
            r#"[{"role":"system","content":"a"},{"content":[{"type":"text","text":"b\n"},{"text":"c"}],"role":"user"},{"role":"assistant","content":null,"tool_calls":[]}]"#
        );
        assert_eq!(Fit::default().messages(MESSAGES.as_bytes()), None);
        assert_eq!(fit.messages(br#"[{"role":"user","content":"developer"}]"#), None);
    }

    #[test]
    fn texts_are_joined_and_other_parts_stay() {
        let fit = Fit { text_content: true, ..Fit::default() };
        let joined = fit.messages(MESSAGES.as_bytes()).unwrap();
        assert!(joined.contains(r#""content":"b\n\nc""#), "{joined}");
        let picture = br#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]}]"#;
        assert_eq!(fit.messages(picture), None);
        let spoken = br#"[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#;
        assert_eq!(fit.messages(spoken).unwrap(), r#"[{"role":"assistant","content":"ab"}]"#);
    }

    #[test]
    fn what_an_earlier_answer_brought_goes_unless_it_is_taken_back() {
        let answer = r#"[{"role":"assistant","content":"a","refusal":null,"reasoning_content":"r","thinking_blocks":[{"type":"thinking"}],"provider_specific_fields":{}},{"role":"user","content":"reasoning_content"}]"#;
        let strict = Fit { takes_back: Some(&[]), ..Fit::default() };
        assert_eq!(
            strict.messages(answer.as_bytes()).unwrap(),
            r#"[{"role":"assistant","content":"a"},{"role":"user","content":"reasoning_content"}]"#
        );
        let takes_back: Option<&[&str]> = Some(&["reasoning_content"]);
        for (needs_reasoning, kept) in [(true, true), (false, false)] {
            let fit = Fit { takes_back, needs_reasoning, ..Fit::default() };
            let sent = fit.messages(answer.as_bytes()).unwrap();
            assert_eq!(sent.contains("reasoning_content\":\"r\""), kept, "{sent}");
            assert!(!sent.contains("thinking_blocks"), "{sent}");
        }
        let own = br#"[{"role":"assistant","content":"a","reasoning_content":"r"}]"#;
        assert_eq!(Fit { takes_back, ..Fit::default() }.messages(own), None);
        assert_eq!(Fit::default().messages(answer.as_bytes()), None);
        let declined = br#"[{"role":"assistant","refusal":"no"}]"#;
        assert_eq!(strict.messages(declined), None, "a refusal is what the model said");
    }

    #[test]
    fn a_message_with_calls_gets_the_reasoning_that_its_provider_insists_on() {
        let fit = Fit { needs_reasoning: true, ..Fit::default() };
        let calls = r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"c"}] }]"#;
        assert_eq!(
            fit.messages(calls.as_bytes()).unwrap(),
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"c"}] ,"reasoning_content":" "}]"#
        );
        for fine in [
            r#"[{"role":"assistant","reasoning_content":"r","tool_calls":[{"id":"c"}]}]"#,
            r#"[{"role":"assistant","content":"a","tool_calls":[]}]"#,
            r#"[{"role":"user","tool_calls":[{"id":"c"}]}]"#,
        ] {
            assert_eq!(fit.messages(fine.as_bytes()), None, "{fine}");
        }
    }

    #[test]
    fn disorder_is_seen_where_it_is() {
        let messages = |roles: &[&str]| {
            let all: Vec<String> = roles
                .iter()
                .map(|role| format!(r#"{{"content":"the \"system\"", "role": "{role}"}}"#))
                .collect();
            format!("[{}]", all.join(", "))
        };
        for (roles, late, repeated) in [
            (&["user", "assistant", "user"][..], false, false),
            (&["system", "user"], false, false),
            (&["developer", "system", "user"], true, false),
            (&["user", "system"], true, false),
            (&["system", "user", "user"], false, true),
            (&["user", "assistant", "tool", "tool", "user"], false, false),
        ] {
            let raw = messages(roles);
            assert_eq!(is_disordered(raw.as_bytes(), true, false), late, "{roles:?}");
            assert_eq!(is_disordered(raw.as_bytes(), false, true), repeated, "{roles:?}");
        }
        assert!(!is_disordered(b"[\"system\",\"system\"", true, true));
    }

    #[test]
    fn hints_on_tools_go() {
        let fit = Fit { no_cache_control: true, ..Fit::default() };
        let tools = br#"[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]"#;
        assert_eq!(fit.tools(tools).unwrap(), r#"[{"type":"function","function":{"name":"f"}}]"#);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let fit = Fit {
            no_developer: true,
            no_cache_control: true,
            text_content: true,
            takes_back: Some(&[]),
            needs_reasoning: true,
        };
        for raw in ["", "7", "[7,null,\"x\"]", "[{\"content\":[7]}]", "{\"a\":1}"] {
            assert_eq!(fit.messages(raw.as_bytes()), None, "{raw}");
            assert_eq!(fit.tools(raw.as_bytes()), None, "{raw}");
        }
    }
}
