//! A client's own Anthropic messages without what Claude refuses in them and the
//! gateway put into an earlier answer, for a body that otherwise goes up as it
//! came. The list is in [`additions`](crate::additions).
//!
//! What needs no change keeps its bytes. Text that cannot be read stays as it
//! is: the provider says what is wrong with it.

use super::{conversation, request};
use crate::json::read::{Members, Raw, items};
use crate::json::rewrite::{Change, list, object};
use crate::model::ReasoningMode;
use crate::{Dropped, Target};
use std::borrow::Cow;

/// The value of `messages` without thinking and citations that another
/// provider's model made and the gateway wrote as blocks of Anthropic's; `None`
/// if it holds none.
pub fn without_foreign(raw: &[u8]) -> Option<String> {
    let messages = items(Raw::check(raw).ok()?)?;
    let changes: Vec<Option<String>> = messages.iter().map(|raw| message(*raw)).collect();
    if changes.iter().all(Option::is_none) {
        return None;
    }
    // A message of which nothing is left was all thinking.
    let written: Vec<&str> = messages
        .iter()
        .zip(&changes)
        .map(|(raw, change)| change.as_deref().unwrap_or(raw.text()))
        .filter(|message| !message.is_empty())
        .collect();
    Some(format!("[{}]", written.join(",")))
}

/// Returns true if the body asks for thinking with a budget and its open tool
/// loop does not begin with thinking that Claude signed: Claude refuses the
/// two together.
pub fn forbids_thinking(body: &[u8], target: &Target<'_>) -> bool {
    let Ok(request) = request::decode(body) else { return false };
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| {
        !matches!(reasoning.mode, None | Some(ReasoningMode::Disabled | ReasoningMode::Adaptive))
    });
    thinks
        && conversation::arrange(&request, target, &mut Dropped::default())
            .is_ok_and(|messages| !conversation::has_signed_loop(&messages))
}

/// The message without foreign blocks, empty if nothing is left of it; `None`
/// if it holds none.
fn message(raw: Raw<'_>) -> Option<String> {
    let members = Members::of(raw)?;
    let is_assistant =
        members.0.iter().any(|(name, value)| name == "role" && value.text() == "\"assistant\"");
    if !is_assistant {
        return None;
    }
    let changed = object(&members, |name, value| match name {
        "content" => content(value).map_or(Change::None, Change::To),
        _ => Change::None,
    })?;
    let is_empty = |(name, value): &(Cow<'_, str>, Raw<'_>)| {
        name == "content" && content(*value).is_some_and(|content| content == "[]")
    };
    Some(if members.0.iter().any(is_empty) { String::new() } else { changed })
}

fn content(raw: Raw<'_>) -> Option<String> {
    if !raw.text().starts_with('[') {
        return None;
    }
    let blocks = items(raw)?;
    let kept: Vec<Raw<'_>> = blocks.iter().copied().filter(|raw| !is_unsigned(*raw)).collect();
    let cited = list(&kept, without_citations);
    if kept.len() == blocks.len() {
        return cited;
    }
    let texts: Vec<&str> = kept.iter().map(|raw| raw.text()).collect();
    Some(cited.unwrap_or_else(|| format!("[{}]", texts.join(","))))
}

/// Returns true for thinking that no provider has signed.
fn is_unsigned(raw: Raw<'_>) -> bool {
    let Some(members) = Members::of(raw) else { return false };
    let is = |name: &str, text: &str| {
        members.0.iter().any(|(member, value)| member == name && value.text() == text)
    };
    is("type", "\"thinking\"") && is("signature", "\"\"")
}

/// A text without the citations that another provider made.
fn without_citations(raw: Raw<'_>) -> Option<String> {
    let members = Members::of(raw)?;
    let is_foreign = |raw: &Raw<'_>| {
        Members::of(*raw).is_some_and(|members| {
            members
                .0
                .iter()
                .any(|(name, value)| name == "encrypted_index" && value.text() == "\"\"")
        })
    };
    object(&members, |name, value| {
        let citations = Some(value).filter(|_| name == "citations");
        let citations = citations.and_then(items);
        let Some(all) = citations.filter(|all| all.iter().any(is_foreign)) else {
            return Change::None;
        };
        let own: Vec<&str> =
            all.iter().filter(|raw| !is_foreign(raw)).map(|raw| raw.text()).collect();
        if own.is_empty() { Change::Gone } else { Change::To(format!("[{}]", own.join(","))) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = r#"{"type":"thinking","thinking":"a","signature":"c2ln"}"#;
    const UNSIGNED: &str = r#"{"type":"thinking","thinking":"b","signature": ""}"#;

    fn said(content: &str) -> String {
        format!(
            r#"[{{"role":"user","content":"q"}},{{"role":"assistant","content":{content}}},{{"role":"user","content":"r"}}]"#
        )
    }

    #[test]
    fn thinking_that_nobody_signed_goes_and_claudes_own_stays() {
        let text = r#"{"type":"text","text":"t"}"#;
        let mixed = said(&format!("[{SIGNED},{UNSIGNED}, {text}]"));
        let expected = said(&format!("[{SIGNED},{text}]"));
        assert_eq!(without_foreign(mixed.as_bytes()), Some(expected.clone()));
        assert_eq!(without_foreign(expected.as_bytes()), None);
        let only = said(&format!("[{UNSIGNED}]"));
        let expected = r#"[{"role":"user","content":"q"},{"role":"user","content":"r"}]"#;
        assert_eq!(without_foreign(only.as_bytes()).as_deref(), Some(expected));
    }

    #[test]
    fn citations_that_the_gateway_made_go() {
        let own = r#"{"type":"web_search_result_location","encrypted_index":"x","url":"u"}"#;
        let made = own.replace("\"x\"", "\"\"");
        let text = |citations: &str| said(&format!(r#"[{{"type":"text","text":"t"{citations}}}]"#));
        let both = text(&format!(r#","citations":[{made},{own}]"#));
        let expected = text(&format!(r#","citations":[{own}]"#));
        assert_eq!(without_foreign(both.as_bytes()), Some(expected));
        let alone = text(&format!(r#","citations":[{made}]"#));
        assert_eq!(without_foreign(alone.as_bytes()), Some(text("")));
    }

    #[test]
    fn what_cannot_be_read_stays() {
        for raw in ["", "7", "[7,null]", r#"[{"role":"assistant","content":[7]}]"#, "{"] {
            assert_eq!(without_foreign(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn a_loop_without_signed_thinking_forbids_a_budget() {
        let body = |thinking: &str, block: &str| {
            format!(
                r#"{{"model":"m","max_tokens":4000{thinking},"messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{block}{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t"}}]}}]}}"#
            )
        };
        let budget = r#","thinking":{"type":"enabled","budget_tokens":2000}"#;
        let forbids = |body: String| forbids_thinking(body.as_bytes(), &Target::default());
        assert!(forbids(body(budget, "")));
        assert!(forbids(body(budget, &format!("{UNSIGNED},"))));
        assert!(!forbids(body(budget, &format!("{SIGNED},"))));
        assert!(!forbids(body("", "")));
        assert!(!forbids(body(r#","thinking":{"type":"adaptive"}"#, "")));
    }
}
