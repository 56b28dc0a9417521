//! Messages and tools without what one compatible server refuses in them, for
//! a body that otherwise goes up as it came.
//!
//! What needs no change keeps its bytes. Text that cannot be read stays as it
//! is: the server says what is wrong with it.

use crate::head::Members;
use crate::openai_chat::object::string;
use crate::splice::quoted;
use serde_json::value::RawValue;

/// What a server refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// The role `developer`: it becomes `system`.
    pub no_developer: bool,
    /// `cache_control` on messages, parts and tools: it is taken out.
    pub no_cache_control: bool,
    /// Content in parts: texts are joined, where all parts are texts.
    pub text_content: bool,
}

impl Fit {
    /// The value of `messages` as the server takes it; none where it need not
    /// change.
    pub fn messages(self, raw: &[u8]) -> Option<String> {
        let messages: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
        list(&messages, |message| self.message(message))
    }

    /// The value of `tools` as the server takes it; none where it need not
    /// change.
    pub fn tools(self, raw: &[u8]) -> Option<String> {
        let tools: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
        if self.no_cache_control { list(&tools, without_hint) } else { None }
    }

    fn message(self, raw: &RawValue) -> Option<String> {
        let members: Members<'_> = serde_json::from_str(raw.get()).ok()?;
        let spoken = |role: &str| {
            members.0.iter().any(|(name, value)| name == "role" && value.get() == role)
        };
        // As the encoder joins them: a model's own parts are one text.
        let glue = if spoken("\"assistant\"") { "" } else { "\n" };
        object(&members, |name, value| match name {
            "role" if self.no_developer && value.get() == "\"developer\"" => {
                Change::To("\"system\"".to_owned())
            }
            "cache_control" if self.no_cache_control => Change::Gone,
            "content" => self.content(value, glue).map_or(Change::None, Change::To),
            _ => Change::None,
        })
    }

    fn content(self, raw: &RawValue, glue: &str) -> Option<String> {
        if !raw.get().starts_with('[') {
            return None;
        }
        let parts: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        if self.text_content
            && let Some(texts) = parts.iter().map(|part| text(part)).collect::<Option<Vec<_>>>()
        {
            return Some(quoted(&texts.join(glue)));
        }
        if self.no_cache_control { list(&parts, without_hint) } else { None }
    }
}

/// A part's text, where it is nothing else.
fn text(part: &RawValue) -> Option<String> {
    if let Some(text) = string(part) {
        return Some(text);
    }
    let members: Members<'_> = serde_json::from_str(part.get()).ok()?;
    let find = |wanted: &str| members.0.iter().find(|(name, _)| name == wanted);
    if find("type").is_some_and(|(_, kind)| kind.get() != "\"text\"") {
        return None;
    }
    find("text").and_then(|(_, value)| string(value))
}

fn without_hint(raw: &RawValue) -> Option<String> {
    let members: Members<'_> = serde_json::from_str(raw.get()).ok()?;
    object(&members, |name, _| if name == "cache_control" { Change::Gone } else { Change::None })
}

/// What becomes of a member.
enum Change {
    None,
    Gone,
    To(String),
}

/// The object with its changes; none where there are none.
fn object(members: &Members<'_>, change: impl Fn(&str, &RawValue) -> Change) -> Option<String> {
    let mut changed = false;
    let mut written = Vec::with_capacity(members.0.len());
    for (name, value) in &members.0 {
        match change(name, value) {
            Change::None => written.push(format!("{}:{}", quoted(name), value.get())),
            Change::Gone => changed = true,
            Change::To(value) => {
                changed = true;
                written.push(format!("{}:{value}", quoted(name)));
            }
        }
    }
    changed.then(|| format!("{{{}}}", written.join(",")))
}

/// The list with its changes; none where there are none.
fn list(items: &[&RawValue], change: impl Fn(&RawValue) -> Option<String>) -> Option<String> {
    let changes: Vec<Option<String>> = items.iter().map(|item| change(item)).collect();
    if changes.iter().all(Option::is_none) {
        return None;
    }
    let written: Vec<&str> = items
        .iter()
        .zip(&changes)
        .map(|(item, change)| change.as_deref().unwrap_or(item.get()))
        .collect();
    Some(format!("[{}]", written.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"[{"role":"developer", "content":"a"},{"content":[{"type":"text","text":"b\n","cache_control":{"type":"ephemeral"}},{"text":"c"}],"role":"user"},{"role":"assistant","content":null,"tool_calls":[]}]"#;

    #[test]
    fn only_what_is_refused_changes() {
        let fit = Fit { no_developer: true, no_cache_control: true, text_content: false };
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
    fn hints_on_tools_go() {
        let fit = Fit { no_cache_control: true, ..Fit::default() };
        let tools = br#"[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]"#;
        assert_eq!(fit.tools(tools).unwrap(), r#"[{"type":"function","function":{"name":"f"}}]"#);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let fit = Fit { no_developer: true, no_cache_control: true, text_content: true };
        for raw in ["", "7", "[7,null,\"x\"]", "[{\"content\":[7]}]", "{\"a\":1}"] {
            assert_eq!(fit.messages(raw.as_bytes()), None, "{raw}");
            assert_eq!(fit.tools(raw.as_bytes()), None, "{raw}");
        }
    }
}
