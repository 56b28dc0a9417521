//! A whole answer told as a stream: for clients that asked for one where the
//! upstream answered at once. The other way round is [`crate::fold`], and what
//! is unfolded folds up to the same.

use crate::model::{Content, Delta, Event, Extension, Opening, Part, Response};

/// Tells `response` to `push`, event by event, with the dialect's own end.
pub fn unfold(response: Response, mut push: impl FnMut(Event)) {
    let Response { id, model, created_unix_s, choices, usage, service_tier, extensions } = response;
    push(Event::Start { id, model, created_unix_s, usage });
    for extension in extensions {
        push(Event::Extension(extension));
    }
    // A stream has no place for the tier but among the source's own fields.
    drop(service_tier);
    for (choice, said) in (0..).zip(choices) {
        for (part, content) in (0..).zip(said.parts) {
            tell(choice, part, content, &mut push);
            push(Event::Close { choice, part });
        }
        if let Some(finish) = said.finish {
            push(Event::Finish { choice, finish, stop_sequence: said.stop_sequence });
        }
    }
    if let Some(usage) = usage {
        push(Event::Usage(usage));
    }
    push(Event::End);
}

fn tell(choice: u32, part: u32, whole: Part, push: &mut impl FnMut(Event)) {
    let Part { content, signature, cache, extensions } = whole;
    let (opening, deltas) = match content {
        Content::Text { text, citations } => {
            let citations = citations.into_iter().map(Delta::Citation);
            let signature = signature.map(Delta::Signature);
            let said = std::iter::once(Delta::Text(text)).chain(citations).chain(signature);
            (Opening::Text, said.collect())
        }
        Content::Refusal(text) => (Opening::Refusal, vec![Delta::Text(text)]),
        Content::Reasoning(thought) if thought.redacted.is_none() => {
            let text = thought.text.map(Delta::Text);
            let signature = thought.signature.map(Delta::Signature);
            (Opening::Reasoning, text.into_iter().chain(signature).collect())
        }
        Content::ToolCall { id, name, arguments, kind } => {
            let opening = Opening::ToolCall { id, name, kind, signature, extensions };
            push(Event::Open { choice, part, opening });
            return push(Event::Delta { choice, part, delta: Delta::Arguments(arguments) });
        }
        content => {
            let whole = Part { content, signature, cache, extensions };
            return push(Event::Open { choice, part, opening: Opening::Whole(whole) });
        }
    };
    push(Event::Open { choice, part, opening });
    let opaque = extensions.into_iter().map(|extension: Extension| Delta::Opaque(extension));
    for delta in deltas.into_iter().chain(opaque) {
        push(Event::Delta { choice, part, delta });
    }
}

#[cfg(test)]
mod tests {
    use super::unfold;
    use crate::fold::Fold;
    use crate::model::{Choice, Content, Finish, Part, Response, Sealed, Thought, ToolKind};
    use crate::{Dialect, Usage};

    fn answer() -> Response {
        let parts: [Content; 4] = [
            Content::Reasoning(Thought {
                text: Some("hm".into()),
                signature: Some(Sealed::claudes("sig")),
                redacted: None,
            }),
            Content::Reasoning(Thought {
                redacted: Some(Sealed::claudes("x")),
                ..Thought::default()
            }),
            Content::Text { text: "Hello".into(), citations: Vec::new() },
            Content::ToolCall {
                id: "c1".into(),
                name: "f".into(),
                arguments: "{\"a\":1}".into(),
                kind: ToolKind::Function,
            },
        ];
        let choice = Choice {
            parts: parts.into_iter().map(Part::from).collect(),
            finish: Some(Finish::ToolCalls),
            ..Choice::default()
        };
        let usage = Some(Usage { input: 3, output: 4, ..Usage::default() });
        Response {
            id: "r1".into(),
            model: "m".into(),
            choices: vec![choice.clone(), choice],
            usage,
            ..Response::default()
        }
    }

    #[test]
    fn what_is_unfolded_folds_up_to_the_same() {
        let mut fold = Fold::new();
        unfold(answer(), |event| fold.push(&event));
        assert!(fold.is_complete());
        assert_eq!(fold.finish(), answer());
    }

    #[test]
    fn both_dialects_can_tell_it_and_end_it() {
        for (dialect, end) in [
            (Dialect::OpenAiChat, "data: [DONE]\n\n"),
            (Dialect::AnthropicMessages, "data: {\"type\":\"message_stop\"}\n\n"),
        ] {
            let shown = crate::Shown {
                model: None,
                fallback_id: "f",
                created_unix_s: 0,
                include_usage: false,
            };
            let (mut encoder, mut text) = (dialect.stream_encoder(&shown), Vec::new());
            unfold(answer(), |event| encoder.push(&event, &mut text));
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("Hello") && text.ends_with(end), "{text}");
        }
    }
}
