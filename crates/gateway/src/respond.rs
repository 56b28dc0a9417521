//! The body of an answer.

use crate::bytes_queue::PIECE_BYTES;
use crate::late::Late;
use crate::stream::Stream;
use bytes::Bytes;
use dialect::Framing;
use dialect::framing::ArrayWriter;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a client reads. Cannot fail: what goes wrong in the middle is said in
/// the client's dialect.
pub enum Body {
    /// Known whole; taken once.
    Full(Option<Bytes>),
    /// A stream that has begun.
    Stream(Box<Stream>),
    /// A stream whose answer is still to come.
    Late(Box<Late>),
    /// Any of these, as the elements of a JSON array.
    Array(Box<Array>),
}

/// The elements of a JSON array.
pub struct Array {
    /// `None` once it has ended.
    inner: Option<Body>,
    writer: ArrayWriter,
}

impl Body {
    /// A body that is known whole.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }

    /// What the client gets next.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Full(bytes) => Poll::Ready(next_piece(bytes)),
            Self::Stream(stream) => stream.poll_next(context),
            Self::Late(late) => late.poll_next(context),
            Self::Array(array) => array.poll_next(context),
        }
    }
}

impl Array {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let mut text = Vec::new();
        while text.is_empty() {
            let Some(bytes) = std::task::ready!(inner.poll_next(context)) else {
                self.inner = None;
                self.writer.finish(&mut text);
                break;
            };
            self.writer.push(&bytes, &mut text);
        }
        Poll::Ready(Some(text.into()))
    }
}

/// Gives an answer the form in which its client reads streams. An error that is
/// no stream has that form too.
pub fn framed(mut response: Response<Body>, framing: Framing) -> Response<Body> {
    if framing == Framing::Sse {
        return response;
    }
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == Framing::Sse.content_type().as_bytes());
    response.headers_mut().remove(CONTENT_LENGTH);
    let kind = HeaderValue::from_static(framing.content_type());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.map(|body| match body {
        Body::Full(whole) if !is_stream => {
            Body::full([b"[", &*whole.unwrap_or_default(), b"]\n"].concat())
        }
        body => Body::Array(Box::new(Array { inner: Some(body), writer: ArrayWriter::default() })),
    })
}

fn next_piece(whole: &mut Option<Bytes>) -> Option<Bytes> {
    let rest = whole.as_mut()?;
    if rest.len() > PIECE_BYTES {
        return Some(rest.split_to(PIECE_BYTES));
    }
    whole.take()
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = std::task::ready!(self.get_mut().poll_next(context));
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) | Self::Late(_) | Self::Array(_) => SizeHint::default(),
        }
    }
}
