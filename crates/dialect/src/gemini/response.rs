//! Gemini's whole answer.

use super::HERE;
use super::extension::{extension, rest, take};
use super::part::{self, Ids, Names};
use super::{seal, usage};
use crate::json::read::{Body, Object, Raw, Wrong, items, list, string};
use crate::json::write::{ObjectWriter, array};
use crate::model::{Choice, Citation, Content, Finish, Part, Response};
use crate::{DecodeError, Json, Shown};

/// Reads the body of a 200. A prompt that was blocked is an answer of one choice
/// that a filter cut.
///
/// # Errors
/// If it is no answer; usage that makes no sense is no error.
pub fn decode(body: &[u8]) -> Result<Response, DecodeError> {
    let body = Body::check(body)?;
    let mut answer = body.object()?;
    let head = head(&mut answer);
    let mut usage = take(&mut answer, "usageMetadata").and_then(usage::read);
    let mut ids = Ids::default();
    let mut choices = Vec::new();
    if let Some(raw) = answer.take("candidates") {
        let all = list(raw).map_err(|e| e.within("candidates"))?;
        for (at, raw) in all.into_iter().enumerate() {
            let choice = choice(raw, &mut ids).map_err(|e| e.at(at).within("candidates"))?;
            choices.push(choice);
        }
    }
    if let Some(usage) = &mut usage {
        let searched = choices
            .iter()
            .flat_map(|choice| &choice.extensions)
            .any(|e| e.name == "groundingMetadata" && is_searched(Raw::from(&e.value)));
        usage.searches = u64::from(searched);
    }
    if choices.is_empty() && is_blocked(&answer) {
        choices.push(Choice { finish: Some(Finish::ContentFilter), ..Choice::default() });
    }
    let (id, model) = head;
    Ok(Response {
        id,
        model,
        created_unix_s: None,
        choices,
        usage,
        service_tier: None,
        extensions: rest("", &answer),
    })
}

/// The id and the model's name.
pub(super) fn head(answer: &mut Object<'_>) -> (String, String) {
    let mut text = |name| take(answer, name).and_then(string).unwrap_or_default();
    (text("responseId"), text("modelVersion"))
}

/// Returns true if Gemini searched for an answer.
pub(crate) fn is_searched(grounding: Raw<'_>) -> bool {
    let searches = Object::of(grounding).ok().and_then(|all| all.get("webSearchQueries"));
    searches.and_then(items).is_some_and(|all| !all.is_empty())
}

/// Returns true if the prompt was refused.
pub(super) fn is_blocked(answer: &Object<'_>) -> bool {
    answer.object("promptFeedback").is_some_and(|said| said.filled("blockReason").is_some())
}

fn choice(raw: Raw<'_>, ids: &mut Ids) -> Result<Choice, Wrong> {
    let mut candidate = Object::of(raw)?;
    let _number = candidate.take("index");
    let mut parts = Vec::new();
    if let Some(raw) = candidate.take("content") {
        let mut content = Object::of(raw).map_err(|e| e.within("content"))?;
        if let Some(raw) = content.take("parts") {
            for (at, raw) in list(raw).map_err(|e| e.within("content"))?.into_iter().enumerate() {
                let part = part::decode(raw, ids);
                parts.push(part.map_err(|e| e.at(at).within("content.parts"))?);
            }
        }
    }
    if let Some(grounding) = candidate.get("groundingMetadata") {
        ground(&mut parts, grounding);
    }
    let word = take(&mut candidate, "finishReason").map(reason);
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let finish = word.map(|word| finish(&word, calls));
    Ok(Choice { parts, finish, stop_sequence: None, extensions: rest("", &candidate) })
}

/// The word of a reason; old servers of Vertex AI write its number.
pub(super) fn reason(raw: Raw<'_>) -> String {
    let word = string(raw).unwrap_or_else(|| raw.text().to_owned());
    match &*word {
        "1" => "STOP".to_owned(),
        "2" => "MAX_TOKENS".to_owned(),
        "3" => "SAFETY".to_owned(),
        "4" => "RECITATION".to_owned(),
        _ => word,
    }
}

/// The model's word for Gemini's, which says `STOP` for calls too.
pub(super) fn finish(word: &str, calls: bool) -> Finish {
    match word {
        "STOP" if calls => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}

/// Gemini's word for the model's.
pub(super) fn word_of(finish: &Finish) -> String {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::Pause => "STOP".to_owned(),
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS".to_owned(),
        Finish::ContentFilter | Finish::Refusal => "SAFETY".to_owned(),
        Finish::Error => "OTHER".to_owned(),
        Finish::Other(word) => {
            let is_googles = word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            if is_googles && !word.is_empty() { word.clone() } else { "OTHER".to_owned() }
        }
    }
}

/// Adds the sources of a search to the texts that they support. Google counts in
/// bytes, the model in characters.
fn ground(parts: &mut [Part], raw: Raw<'_>) {
    let Ok(metadata) = Object::of(raw) else { return };
    let objects = |name: &str| {
        let all = metadata.get(name).and_then(items).unwrap_or_default();
        all.into_iter().map(|raw| (raw, Object::of(raw).ok())).collect::<Vec<_>>()
    };
    let chunks = objects("groundingChunks");
    for support in objects("groundingSupports").into_iter().filter_map(|(_, support)| support) {
        let segment = support.object("segment").unwrap_or_default();
        let at = segment.whole("partIndex").and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let Some(Content::Text { text, citations }) =
            parts.get_mut(at).map(|part| &mut part.content)
        else {
            continue;
        };
        let characters = |bytes: u64| {
            let bytes = usize::try_from(bytes).ok()?;
            Some(text.get(..bytes)?.chars().count() as u64)
        };
        let start = characters(segment.whole("startIndex").unwrap_or(0));
        let end = segment.whole("endIndex").and_then(characters);
        let cited = support.get("groundingChunkIndices").and_then(items).unwrap_or_default();
        for number in cited.into_iter().filter_map(Raw::read::<usize>) {
            let Some((raw, Some(chunk))) = chunks.get(number) else { continue };
            let web = chunk.object("web").or_else(|| chunk.object("retrievedContext"));
            let Some(web) = web else { continue };
            citations.push(Citation {
                url: web.filled("uri"),
                title: web.filled("title"),
                start,
                end,
                source: (HERE, Json::from(*raw)),
            });
        }
    }
}

/// Writes an answer's body for a client of Gemini's.
pub fn encode(response: &Response, shown: &Shown<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(1_024);
    let mut answer = ObjectWriter::new(&mut body);
    let choices = response.choices.iter().enumerate();
    answer.array("candidates", choices, |out, (number, choice)| {
        let mut candidate = ObjectWriter::new(out);
        candidate.object("content", |content| {
            let parts = choice.parts.iter().filter(|part| shows(part));
            array(content.key("parts"), parts, write_part);
            content.member("role", "model");
        });
        if let Some(finish) = &choice.finish {
            candidate.member("finishReason", &word_of(finish));
        }
        candidate.member("index", &number);
        write_sources(&mut candidate, &choice.parts);
        super::extension::write_under(&mut candidate, "", &choice.extensions);
        candidate.end();
    });
    answer.object("usageMetadata", |object| {
        usage::write(object, &response.usage.unwrap_or_default());
    });
    write_head(&mut answer, &response.id, &response.model, shown);
    super::extension::write_under(&mut answer, "", &response.extensions);
    answer.end();
    body
}

/// Writes the model's name and the answer's id.
pub(super) fn write_head(answer: &mut ObjectWriter<'_>, id: &str, model: &str, shown: &Shown<'_>) {
    answer.member("modelVersion", shown.model.unwrap_or(model));
    answer.member("responseId", if id.is_empty() { shown.fallback_id } else { id });
}

/// Returns true if the client gets to see anything of the part.
pub(super) fn shows(part: &Part) -> bool {
    match &part.content {
        Content::Reasoning(thought) => {
            thought.text.is_some() || thought.signature.is_some() || thought.redacted.is_some()
        }
        _ => part::can_say(part),
    }
}

pub(super) fn write_part(out: &mut Vec<u8>, part: &Part) {
    part::encode(out, &seal::shown(part), &Names::default(), false);
}

/// Writes where a candidate's words come from, where the answer does not have
/// Gemini's own word of it.
fn write_sources(candidate: &mut ObjectWriter<'_>, parts: &[Part]) {
    let mut cited: Vec<&Citation> = Vec::new();
    for part in parts {
        if let Content::Text { citations, .. } = &part.content {
            cited.extend(citations.iter().filter(|one| one.source.0 != HERE && one.url.is_some()));
        }
    }
    if cited.is_empty() {
        return;
    }
    candidate.object("citationMetadata", |metadata| {
        metadata.array("citationSources", cited, |out, citation| {
            let mut source = ObjectWriter::new(out);
            source.maybe("startIndex", citation.start.as_ref());
            source.maybe("endIndex", citation.end.as_ref());
            source.maybe("uri", citation.url.as_ref());
            source.maybe("title", citation.title.as_ref());
            source.end();
        });
    });
}

/// An extension of a candidate's, named so that a stream can say it once.
pub(super) fn of_candidate(name: &str, raw: Raw<'_>) -> crate::model::Extension {
    extension(format!("candidate.{name}"), raw)
}
