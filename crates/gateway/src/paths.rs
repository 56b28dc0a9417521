//! Which surface a path is. Only these cost something; the rest is the
//! console's.

use dialect::head::Surface;
use std::borrow::Cow;

/// A path that leads into the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// What the client speaks.
    pub surface: Surface,
    /// The path template, for records and metrics.
    pub route: &'static str,
    /// The model that the path names, where it does.
    pub model: Option<String>,
}

/// The plain paths, with and without `/v1`.
const PLAIN: [(&str, Surface, &str); 5] = [
    ("/chat/completions", Surface::OpenAiChat, "/chat/completions"),
    ("/completions", Surface::OpenAiCompletions, "/completions"),
    ("/embeddings", Surface::OpenAiEmbeddings, "/embeddings"),
    ("/messages", Surface::AnthropicMessages, "/v1/messages"),
    ("/messages/count_tokens", Surface::AnthropicCountTokens, "/v1/messages/count_tokens"),
];

/// The paths that name a model: legacy engines and Azure's deployments.
const NAMING: [(&str, &str); 2] =
    [("/engines/", "/engines/{model}"), ("/openai/deployments/", "/openai/deployments/{model}")];

/// The templates of all paths that [`surface`] knows, each with `/v1` where it
/// exists with and without.
pub fn all() -> impl Iterator<Item = &'static str> {
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/engines/{model}/chat/completions",
        "/engines/{model}/completions",
        "/engines/{model}/embeddings",
        "/openai/deployments/{model}/chat/completions",
        "/openai/deployments/{model}/completions",
        "/openai/deployments/{model}/embeddings",
        "/openai/v1/chat/completions",
        "/openai/v1/completions",
        "/openai/v1/embeddings",
    ]
    .into_iter()
}

/// The surface of a path, if it is one.
pub fn surface(path: &str) -> Option<Matched> {
    // Azure's own prefix, with or without a version; its clients speak OpenAI's.
    let azure = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/"));
    let path = azure.unwrap_or(path);
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    if let Some((_, surface, route)) = PLAIN.iter().find(|(plain, ..)| *plain == bare) {
        // Anthropic's paths exist under /v1 only.
        let versioned = bare.len() != path.len();
        let anthropic = bare.starts_with("/messages");
        return (!anthropic || versioned && azure.is_none()).then_some(Matched {
            surface: *surface,
            route,
            model: None,
        });
    }
    NAMING.iter().find_map(|(prefix, route)| {
        let rest = bare.strip_prefix(prefix)?;
        let (plain, surface, _) = PLAIN
            .iter()
            .filter(|(_, surface, _)| surface.dialect() == dialect::Dialect::OpenAiChat)
            .filter(|(plain, ..)| rest.ends_with(plain))
            .max_by_key(|(plain, ..)| plain.len())?;
        let model = rest.strip_suffix(plain).filter(|model| !model.is_empty())?;
        Some(Matched { surface: *surface, route, model: Some(decoded(model)?.into_owned()) })
    })
}

/// Undoes percent-encoding; none where it is broken or not UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::surface;
    use dialect::head::Surface;

    fn found(path: &str) -> Option<(Surface, Option<String>)> {
        surface(path).map(|matched| (matched.surface, matched.model))
    }

    #[test]
    fn every_spelling_of_a_path() {
        for path in ["/v1/chat/completions", "/chat/completions", "/openai/v1/chat/completions"] {
            assert_eq!(found(path), Some((Surface::OpenAiChat, None)), "{path}");
        }
        let named = |model: &str| Some(model.to_owned());
        assert_eq!(
            found("/engines/gpt-4o/chat/completions"),
            Some((Surface::OpenAiChat, named("gpt-4o")))
        );
        assert_eq!(
            found("/openai/deployments/openai%2Fgpt/completions"),
            Some((Surface::OpenAiCompletions, named("openai/gpt")))
        );
        assert_eq!(
            found("/engines/openai/gpt/embeddings"),
            Some((Surface::OpenAiEmbeddings, named("openai/gpt")))
        );
        assert_eq!(found("/v1/messages"), Some((Surface::AnthropicMessages, None)));
        assert_eq!(found("/v1/messages/count_tokens"), Some((Surface::AnthropicCountTokens, None)));
    }

    #[test]
    fn every_path_that_is_listed_is_served() {
        for path in super::all() {
            assert!(found(&path.replace("{model}", "m")).is_some(), "{path}");
        }
        let plain = super::PLAIN.len();
        // OpenAI's three, with a model in the path or under Azure's version.
        let openai = (super::NAMING.len() + 1) * 3;
        assert_eq!(super::all().count(), plain + openai);
    }

    #[test]
    fn what_is_no_surface() {
        for path in [
            "/",
            "/v1",
            "/v1/models",
            "/messages",
            "/openai/v1/messages",
            "/openai/v1",
            "/v1chat/completions",
            "/engines//chat/completions",
            "/engines/%zz/chat/completions",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
