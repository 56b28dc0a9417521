//! Which surface a path is. Only these cost something; the rest is the
//! console's.

use dialect::Surface;
use dialect::surfaces::SURFACES;
use http::HeaderValue;
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

/// What a path's query says to the gateway. Nothing of it goes upstream or into a
/// log.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The client's key (`key=`), as Google's clients may send it.
    pub key: Option<HeaderValue>,
    /// A stream is asked for as server-sent events (`alt=sse`).
    pub is_sse: bool,
}

impl Query {
    /// Reads the part of a URL after `?`.
    pub fn read(query: Option<&str>) -> Self {
        let mut read = Self::default();
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|p| p.split_once('='))
        {
            match name {
                "key" | "api_key" => {
                    let key = decoded(value).and_then(|key| HeaderValue::from_str(&key).ok());
                    read.key = key.map(|mut key| {
                        key.set_sensitive(true);
                        key
                    });
                }
                "alt" => read.is_sse = value.eq_ignore_ascii_case("sse"),
                _ => {}
            }
        }
        read
    }
}

/// Prefixes of paths that name a model: legacy engines and Azure's deployments.
const MODEL_PREFIXES: [&str; 2] = ["/engines/", "/openai/deployments/"];

/// Templates of all paths that [`surface`] knows, each with `/v1` if it exists with
/// and without.
pub fn all() -> impl Iterator<Item = String> {
    let versioned = SURFACES.iter().flat_map(|row| {
        row.paths.versions.iter().map(|version| [*version, row.paths.path].concat())
    });
    let variants = SURFACES.iter().map(|row| &row.paths).filter(|paths| paths.has_variants);
    let of_azure = variants.clone().map(|paths| format!("/openai/v1{}", paths.path));
    let with_model = MODEL_PREFIXES.into_iter().flat_map(move |prefix| {
        variants.clone().map(move |paths| format!("{prefix}{{model}}{}", paths.path))
    });
    versioned.chain(with_model).chain(of_azure)
}

/// Returns the surface of a path, if it is one.
pub fn surface(path: &str) -> Option<Matched> {
    // Google's paths have a verb after a colon, and no others do.
    if path.contains(':')
        && let Some(matched) = with_model(path)
    {
        return Some(matched);
    }
    // Azure's own prefix, with or without a version; its clients speak OpenAI's.
    let azure = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/"));
    let path = azure.unwrap_or(path);
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    if let Some(row) = SURFACES.iter().find(|row| row.paths.path == bare) {
        let is_versioned = bare.len() != path.len();
        let is_served = row.paths.has_variants || is_versioned && azure.is_none();
        let route = row.paths.route;
        return is_served.then_some(Matched { surface: row.surface, route, model: None });
    }
    MODEL_PREFIXES.iter().zip(MODEL_ROUTES).find_map(|(prefix, route)| {
        let rest = bare.strip_prefix(prefix)?;
        let row = SURFACES
            .iter()
            .filter(|row| row.paths.has_variants && rest.ends_with(row.paths.path))
            .max_by_key(|row| row.paths.path.len())?;
        let model = rest.strip_suffix(row.paths.path).filter(|model| !model.is_empty())?;
        Some(Matched { surface: row.surface, route, model: Some(decoded(model)?.into_owned()) })
    })
}

/// Returns the surface of a path that names the model by its template.
fn with_model(path: &str) -> Option<Matched> {
    SURFACES.iter().map(|row| (row, &row.paths)).find_map(|(row, paths)| {
        let (before, after) = paths.path.split_once("{model}")?;
        let rest = path.strip_suffix(after)?;
        let model = paths.versions.iter().find_map(|version| {
            rest.strip_prefix(version)?.strip_prefix(before).filter(|model| !model.is_empty())
        })?;
        let model = Some(decoded(model)?.into_owned());
        Some(Matched { surface: row.surface, route: paths.route, model })
    })
}

/// Templates of [`MODEL_PREFIXES`], for records and metrics.
const MODEL_ROUTES: [&str; 2] = ["/engines/{model}", "/openai/deployments/{model}"];

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
    use dialect::Surface;

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
        for version in ["/v1beta", "/v1", ""] {
            assert_eq!(
                found(&format!("{version}/models/gemini/gemini-3-flash:streamGenerateContent")),
                Some((Surface::GeminiStream, named("gemini/gemini-3-flash")))
            );
        }
        assert_eq!(found("/v1/messages"), Some((Surface::AnthropicMessages, None)));
        assert_eq!(found("/v1/messages/count_tokens"), Some((Surface::AnthropicCountTokens, None)));
    }

    #[test]
    fn a_query_holds_googles_key_and_the_form_of_a_stream() {
        let query = super::Query::read(Some("alt=sse&key=sk%2D1&x"));
        assert_eq!(query.key.unwrap(), "sk-1");
        assert!(query.is_sse);
        let query = super::Query::read(Some("alt=json&key=%0a"));
        assert!(query.key.is_none() && !query.is_sse);
    }

    #[test]
    fn every_path_that_is_listed_is_served() {
        for path in super::all() {
            assert!(found(&path.replace("{model}", "m")).is_some(), "{path}");
        }
        // Five, OpenAI's three with a model in the path or under Azure's version, and
        // Google's three under four versions.
        assert_eq!(super::all().count(), 5 + 3 * 3 + 3 * 4);
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
            "/v1beta/models/:generateContent",
            "/v1beta/models/m:embedContent",
            "/engines/%zz/chat/completions",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
