//! `anthropic-beta`: what the client, the deployment and a translated body
//! need, in one list.
//!
//! Anthropic reads one list of names parted by commas. A deployment's own
//! adds to the client's: it never takes one away.

use dialect::Dialect;
use dialect::head::Head;
use http::{HeaderName, HeaderValue};

/// The header.
pub const NAME: HeaderName = HeaderName::from_static("anthropic-beta");

/// What a body that we wrote for Anthropic needs (Anthropic's beta reference,
/// 2026; a client of its own dialect says so itself).
pub fn of_body(theirs: Dialect, head: &Head, body: &[u8]) -> Vec<&'static str> {
    if theirs != Dialect::AnthropicMessages {
        return Vec::new();
    }
    let has = |name: &str| head.raw(body, name).is_some_and(|value| value != b"null");
    let holds = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    let mcp = has("mcp_servers");
    // The connector's later version knows its servers' tools by this type.
    let later = mcp && holds(br#""mcp_toolset""#);
    [
        (holds(br#""type":"file""#), "files-api-2025-04-14"),
        (mcp && !later, "mcp-client-2025-04-04"),
        (later, "mcp-client-2025-11-20"),
        (has("context_management"), "context-management-2025-06-27"),
        (has("speed"), "fast-mode-2026-02-01"),
    ]
    .into_iter()
    .filter_map(|(needed, name)| needed.then_some(name))
    .collect()
}

/// All that is asked for, each name once; none where nothing is.
pub fn joined<'a>(
    asked: impl Iterator<Item = &'a HeaderValue>,
    needed: &[&'static str],
) -> Option<HeaderValue> {
    let asked: Vec<&HeaderValue> = asked.collect();
    if let ([only], []) = (asked.as_slice(), needed) {
        return Some((*only).clone());
    }
    let mut names: Vec<&str> = Vec::new();
    let said = asked.iter().filter_map(|value| value.to_str().ok());
    for name in said.flat_map(|text| text.split(',')).map(str::trim).chain(needed.iter().copied()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { None } else { HeaderValue::try_from(names.join(",")).ok() }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Head, HeaderValue, joined, of_body};
    use dialect::head::Surface;

    #[test]
    fn every_name_stands_once_and_in_order() {
        let [a, b] = ["one, two", "two,three,"].map(HeaderValue::from_static);
        let all = joined([&a, &b].into_iter(), &["three", "four"]).unwrap();
        assert_eq!(all, "one,two,three,four");
        assert_eq!(joined([&a].into_iter(), &[]).unwrap(), "one, two", "the client's own bytes");
        assert_eq!(joined([].into_iter(), &[]), None);
        assert_eq!(joined([&HeaderValue::from_static(" ,")].into_iter(), &["x"]).unwrap(), "x");
    }

    #[test]
    fn a_translated_body_says_what_it_needs() {
        let of = |body: &str| {
            let head = Head::scan(body.as_bytes(), Surface::AnthropicMessages).unwrap();
            of_body(Dialect::AnthropicMessages, &head, body.as_bytes())
        };
        assert!(of(r#"{"messages":[],"speed":null}"#).is_empty());
        let file = r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"f"}}]}]}"#;
        assert_eq!(of(file), ["files-api-2025-04-14"]);
        assert_eq!(of(r#"{"mcp_servers":[{}]}"#), ["mcp-client-2025-04-04"]);
        let later = r#"{"mcp_servers":[{}],"tools":[{"type":"mcp_toolset"}]}"#;
        assert_eq!(of(later), ["mcp-client-2025-11-20"]);
    }
}
