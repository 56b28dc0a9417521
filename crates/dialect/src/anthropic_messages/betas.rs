//! The betas that a body needs which the gateway wrote (Anthropic's beta reference,
//! 2026). A client of this dialect names its own.

use crate::head::Head;

/// The names, for the header `anthropic-beta`.
pub(super) fn needed(head: &Head, body: &[u8]) -> Vec<&'static str> {
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
    .filter_map(|(is_needed, name)| is_needed.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::needed;
    use crate::Surface;
    use crate::head::Head;

    #[test]
    fn a_body_says_which_betas_it_needs() {
        let of = |body: &str| {
            let head = Head::scan(body.as_bytes(), Surface::AnthropicMessages).unwrap();
            needed(&head, body.as_bytes())
        };
        assert!(of(r#"{"messages":[],"speed":null}"#).is_empty());
        let file = r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"f"}}]}]}"#;
        assert_eq!(of(file), ["files-api-2025-04-14"]);
        assert_eq!(of(r#"{"mcp_servers":[{}]}"#), ["mcp-client-2025-04-04"]);
        let later = r#"{"mcp_servers":[{}],"tools":[{"type":"mcp_toolset"}]}"#;
        assert_eq!(of(later), ["mcp-client-2025-11-20"]);
    }
}
