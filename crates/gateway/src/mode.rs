//! What becomes of an upstream's events on their way to a client: the same
//! bytes but for a closed list of changes, or the client's dialect. An error
//! goes on without any secret in it.

use crate::error::is_about_credential;
use crate::gateway::Gateway;
use bytes::Bytes;
use dialect::Surface;
use dialect::contract::{StreamDecoder, StreamEncoder};
use dialect::model::Event;
use dialect::retouch::{self, ModelName};
use dialect::sse;
use dialect::tap::Class;
use dialect::{ApiError, Dialect, ToolNames, Usage};
use std::borrow::Cow;
use std::sync::Arc;

/// What the provider reports inside a 200; a server error where it does not
/// say what kind.
pub(crate) fn error_inside(theirs: Dialect, data: &[u8]) -> ApiError {
    theirs.error_inside(data).unwrap_or_else(|| theirs.decode_error(500, data))
}

/// How events are changed on their way.
pub(crate) enum Mode {
    /// Not at all, but for these.
    Same { strip_usage: bool, model: Option<ModelName> },
    /// From the upstream's dialect to the client's.
    Translated(Box<Translator>),
}

/// Both ends of a translated stream.
pub(crate) struct Translator {
    pub(crate) decoder: Box<dyn StreamDecoder>,
    pub(crate) encoder: Box<dyn StreamEncoder>,
    pub(crate) events: Vec<Event>,
    /// Names of tools to put back.
    pub(crate) names: Option<Arc<ToolNames>>,
    /// Input tokens to show at the start where the upstream says nothing yet.
    pub(crate) input_guess: u64,
}

/// What became of the events of one piece.
#[derive(Default)]
pub(crate) struct Frames(pub(crate) Vec<Bytes>);

impl Frames {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.0.push(frame);
    }
}

/// The provider's error, without secrets.
pub(crate) fn error_in(theirs: Dialect, frame: &[u8], gateway: &Gateway) -> ApiError {
    let mut scratch = String::new();
    let event = sse::parse(frame, &mut scratch);
    let mut error = error_inside(theirs, event.map_or("", |event| event.data).as_bytes());
    gateway.clean_error(&mut error);
    error
}

impl Mode {
    /// Ends a stream that the upstream has ended.
    pub(crate) fn finish(&mut self) -> Bytes {
        let Self::Translated(translator) = self else { return Bytes::new() };
        let Translator { decoder, encoder, events, names, input_guess } = &mut **translator;
        events.clear();
        decoder.finish(events);
        let mut text = Vec::new();
        for event in events.iter_mut() {
            guess_input(event, *input_guess);
            restore(event, names.as_deref());
            encoder.push(event, &mut text);
        }
        text.into()
    }

    /// What the client gets in place of an error of the provider's; none where
    /// the event may go on as it is: the same dialect, not about our
    /// credential, and no secret in it.
    pub(crate) fn error_event(
        &self,
        frame: &[u8],
        error: &ApiError,
        surface: Surface,
        gateway: &Gateway,
    ) -> Option<Bytes> {
        let same = matches!(self, Self::Same { .. });
        if same && !is_about_credential(error) && !gateway.redactor.load().finds(frame) {
            return None;
        }
        let mut text = Vec::new();
        surface.dialect().encode_error_event(error, &mut text);
        Some(text.into())
    }

    /// Passes one event on; true where its bytes are unchanged.
    pub(crate) fn pass(&mut self, frame: Bytes, class: Class, out: &mut Frames) -> bool {
        match self {
            Self::Same { strip_usage, model } => {
                if *strip_usage && class == Class::UsageOnly {
                    return false;
                }
                let stripped = match strip_usage {
                    true => owned(retouch::strip_usage(&frame)),
                    false => None,
                };
                let shown = model
                    .as_mut()
                    .and_then(|model| owned(model.put(stripped.as_ref().unwrap_or(&frame))));
                let unchanged = stripped.is_none() && shown.is_none();
                out.push(shown.or(stripped).unwrap_or(frame));
                unchanged
            }
            Self::Translated(translator) => {
                let Translator { decoder, encoder, events, names, input_guess } = &mut **translator;
                events.clear();
                let mut scratch = String::new();
                let Ok(event) = sse::parse(&frame, &mut scratch) else { return false };
                if let Err(error) = decoder.push(event, events) {
                    tracing::debug!(%error, "an event of the provider's stream was not understood");
                }
                let mut text = Vec::with_capacity(256);
                for event in events.iter_mut() {
                    guess_input(event, *input_guess);
                    restore(event, names.as_deref());
                    encoder.push(event, &mut text);
                }
                out.push(text.into());
                false
            }
        }
    }
}

/// Agents read the input's size from the first event; OpenAI's upstreams say it
/// in the last.
fn guess_input(event: &mut Event, input: u64) {
    if let Event::Start { usage: usage @ None, .. } = event {
        *usage = Some(Usage { input, ..Usage::default() });
    }
}

fn restore(event: &mut Event, names: Option<&ToolNames>) {
    if let Some(names) = names {
        names.restore_event(event);
    }
}

fn owned(text: Cow<'_, [u8]>) -> Option<Bytes> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text.into()),
    }
}
