//! What blocks that only Anthropic has say in parts that every dialect has:
//! search results and documents given as content become words and pictures.
//!
//! Blocks that are not listed here cannot be said in another dialect, whose
//! encoder refuses them by their kind.

use super::{cache_control, decode_content};
use crate::json::read::{Object, Raw};
use crate::model::{Content, Media, Part};

/// The block in other dialects' parts; `None` if it has no such form.
pub(super) fn of(block: Raw<'_>) -> Option<Vec<Part>> {
    let mut fields = Object::of(block).ok()?;
    let cache = cache_control(&mut fields).ok()?.0;
    let mut parts = match fields.string("type").ok()??.as_str() {
        "search_result" => {
            let head = [text(&mut fields, "title"), text(&mut fields, "source")];
            told(&head, inner(fields.take("content")?)?)
        }
        "document" => {
            let head = [text(&mut fields, "title"), text(&mut fields, "context")];
            told(&head, document(fields.take("source")?)?)
        }
        "tool_reference" => {
            let name = text(&mut fields, "tool_name")?;
            told(&[], vec![words(format!("The tool `{name}` can be used."))])
        }
        _ => return None,
    };
    if let Some(last) = parts.last_mut() {
        last.cache = cache;
    }
    Some(parts)
}

fn text(fields: &mut Object<'_>, name: &str) -> Option<String> {
    fields.string(name).ok().flatten().filter(|text| !text.trim().is_empty())
}

/// Blocks inside a block: words and pictures, nothing deeper.
fn inner(content: Raw<'_>) -> Option<Vec<Part>> {
    let parts = decode_content(content).ok()?;
    let simple = |part: &Part| match &part.content {
        Content::Text { .. } => true,
        Content::Image { source, .. } => !matches!(source, Media::Text(_)),
        _ => false,
    };
    parts.iter().all(simple).then_some(parts)
}

fn document(source: Raw<'_>) -> Option<Vec<Part>> {
    let mut source = Object::of(source).ok()?;
    match source.string("type").ok()??.as_str() {
        "content" => inner(source.take("content")?),
        // Text of another kind than plain: Markdown, CSV.
        "text" => Some(vec![words(source.string("data").ok()??)]),
        _ => None,
    }
}

fn words(text: String) -> Part {
    Content::Text { text, citations: Vec::new() }.into()
}

/// The heading and the words as one text, pictures behind it.
fn told(head: &[Option<String>], parts: Vec<Part>) -> Vec<Part> {
    let mut lines: Vec<String> = head.iter().flatten().cloned().collect();
    let mut pictures = Vec::new();
    for part in parts {
        match part.content {
            Content::Text { text, .. } => lines.push(text),
            content => pictures.push(Part::from(content)),
        }
    }
    let text = (!lines.is_empty()).then(|| words(lines.join("\n\n")));
    text.into_iter().chain(pictures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(block: &str) -> Option<Vec<Content>> {
        Some(of(Raw::check_text(block).unwrap())?.into_iter().map(|part| part.content).collect())
    }

    #[test]
    fn a_search_result_is_its_title_its_source_and_its_words() {
        let block = r#"{"type":"search_result","source":"https://a.test","title":"T","content":[{"type":"text","text":"One."},{"type":"text","text":"Two."}],"citations":{"enabled":true}}"#;
        let text = "T\n\nhttps://a.test\n\nOne.\n\nTwo.".to_owned();
        assert_eq!(said(block).unwrap(), [Content::Text { text, citations: Vec::new() }]);
    }

    #[test]
    fn a_document_of_blocks_keeps_its_pictures_and_its_hint() {
        let block = r#"{"type":"document","title":"T","source":{"type":"content","content":[{"type":"image","source":{"type":"url","url":"u"}},{"type":"text","text":"w"}]},"cache_control":{"type":"ephemeral"}}"#;
        let parts = of(Raw::check_text(block).unwrap()).unwrap();
        let [text, picture] = parts.as_slice() else { panic!("{parts:?}") };
        assert!(matches!(&text.content, Content::Text { text, .. } if text == "T\n\nw"));
        assert!(matches!(&picture.content, Content::Image { .. }) && picture.cache.is_some());
    }

    #[test]
    fn what_has_no_plain_form_has_none() {
        for block in [
            r#"{"type":"container_upload","file_id":"f"}"#,
            r#"{"type":"document","source":{"type":"content","content":[{"type":"search_result"}]}}"#,
            r#"{"type":"search_result","title":"T"}"#,
        ] {
            assert_eq!(said(block), None, "{block}");
        }
    }
}
