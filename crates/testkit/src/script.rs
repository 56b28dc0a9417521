//! What an upstream answers: a predicate on the request and a list of steps.
//!
//! Steps carry the exact bytes of the answer, head included; the constructors
//! only save typing. Whether the answer makes sense is the test's business.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::Request;
use crate::random::Random;

/// One thing to do to the connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Write these bytes in one go.
    Send(Bytes),
    /// Write each piece by itself; the kernel may still join what it holds.
    SendPieces(Vec<Bytes>),
    /// Wait until the gate opens, or until the client goes away.
    Stall(Gate),
    /// Wait this many milliseconds: for soak runs, never for unit tests.
    PauseMs(u64),
    /// Reset the connection (RST), dropping what is unsent.
    Reset,
    /// Close the connection in order (FIN), finished or not.
    Close,
}

/// A door that a test opens, and that says when the upstream stands before it.
#[derive(Clone)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    reached: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    #[expect(clippy::new_without_default, reason = "a gate has no neutral state")]
    pub fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(false)),
            reached: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Resolves once some exchange waits at this gate.
    pub async fn reached(&self) {
        wait_true(&self.reached).await;
    }

    pub(crate) async fn pass(&self) {
        self.reached.send_replace(true);
        wait_true(&self.open).await;
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &*self.open.borrow()).finish_non_exhaustive()
    }
}

async fn wait_true(flag: &watch::Sender<bool>) {
    // The sender is held by `self`, so the channel cannot close under us.
    let closed = flag.subscribe().wait_for(|set| *set).await.is_err();
    assert!(!closed, "a gate outlives whoever waits at it");
}

type Predicate = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// An answer for requests that match, used once unless told otherwise.
#[derive(Clone)]
pub struct Script {
    path: String,
    predicates: Vec<Predicate>,
    steps: Vec<Step>,
    pub(crate) uses_left: usize,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, steps, uses_left, predicates: _ } = self;
        f.debug_struct("Script")
            .field("path", path)
            .field("steps", &steps.len())
            .field("uses_left", uses_left)
            .finish_non_exhaustive()
    }
}

impl Script {
    /// A script for requests whose path (query apart) ends with `path`; `""` is any.
    pub fn on(path: &str) -> Self {
        Self { path: path.to_owned(), predicates: Vec::new(), steps: Vec::new(), uses_left: 1 }
    }

    /// Only requests for which `predicate` holds.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Arc::new(predicate));
        self
    }

    /// Only requests that carry the header `name: value`.
    #[must_use]
    pub fn when_header(self, name: &'static str, value: &'static str) -> Self {
        self.when(move |request| request.header(name) == Some(value))
    }

    /// Only requests whose body contains `text`.
    #[must_use]
    pub fn when_body_has(self, text: &'static str) -> Self {
        self.when(move |request| String::from_utf8_lossy(&request.body).contains(text))
    }

    /// Answers `uses` requests instead of one.
    #[must_use]
    pub fn times(mut self, uses: usize) -> Self {
        self.uses_left = uses;
        self
    }

    /// Answers every matching request.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Appends one step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Appends several steps.
    #[must_use]
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// Sends exactly these bytes: a head, a body, a part of either, or nonsense.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Sends these bytes cut at the given offsets.
    #[must_use]
    pub fn send_split(self, bytes: impl Into<Bytes>, offsets: &[usize]) -> Self {
        self.step(Step::SendPieces(split_at(&bytes.into(), offsets)))
    }

    /// Sends a head for a body that ends when the connection does.
    #[must_use]
    pub fn head(self, status: u16, headers: &[(&str, &str)]) -> Self {
        self.send(head(status, headers))
    }

    /// Sends a whole answer with a truthful `content-length`.
    #[must_use]
    pub fn answer(self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.answer_claiming(status, headers, body.len(), body)
    }

    /// Sends an answer whose `content-length` says `claimed_bytes`, true or not.
    #[must_use]
    pub fn answer_claiming(
        self,
        status: u16,
        headers: &[(&str, &str)],
        claimed_bytes: usize,
        body: impl Into<Bytes>,
    ) -> Self {
        let claimed = claimed_bytes.to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &claimed));
        self.send(head(status, &headers)).send(body)
    }

    /// Sends a JSON answer.
    #[must_use]
    pub fn json(self, status: u16, body: impl Into<Bytes>) -> Self {
        self.answer(status, &[("content-type", "application/json")], body)
    }

    /// Sends a 200 event stream: each item one chunk of a chunked body.
    #[must_use]
    pub fn sse<B: AsRef<[u8]>>(self, events: impl IntoIterator<Item = B>) -> Self {
        self.sse_head().sse_events(events).sse_end()
    }

    /// Sends the head of a chunked event stream and nothing else.
    #[must_use]
    pub fn sse_head(self) -> Self {
        self.send(head(
            200,
            &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")],
        ))
    }

    /// Sends each item as one chunk.
    #[must_use]
    pub fn sse_events<B: AsRef<[u8]>>(self, events: impl IntoIterator<Item = B>) -> Self {
        let steps: Vec<_> = events.into_iter().map(|e| Step::Send(chunk(e.as_ref()))).collect();
        self.steps(steps)
    }

    /// Sends the last, empty chunk.
    #[must_use]
    pub fn sse_end(self) -> Self {
        self.send(&b"0\r\n\r\n"[..])
    }

    /// Waits at `gate`.
    #[must_use]
    pub fn stall(self, gate: &Gate) -> Self {
        self.step(Step::Stall(gate.clone()))
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Closes the connection here: after a claimed length or an open chunked body, a truncation.
    #[must_use]
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Sends `len` arbitrary bytes that follow from `seed`.
    #[must_use]
    pub fn garbage(self, len: usize, seed: u64) -> Self {
        self.send(Random::new(seed).bytes(len))
    }

    /// The steps that this script would perform.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.uses_left > 0
            && request.route().ends_with(&self.path)
            && self.predicates.iter().all(|holds| holds(request))
    }

    pub(crate) fn peek_steps(&self) -> Vec<Step> {
        self.steps.clone()
    }
}

/// The bytes of a response head with these headers and no others.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Bytes {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into()
}

/// One chunk of a chunked body; nothing for nothing, since an empty chunk is the end.
pub(crate) fn chunk(data: &[u8]) -> Bytes {
    if data.is_empty() {
        return Bytes::new();
    }
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out.into()
}

/// Cuts `bytes` at ascending offsets; an offset at or past the end is ignored.
pub fn split_at(bytes: &Bytes, offsets: &[usize]) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(offsets.len() + 1);
    let mut from = 0;
    for &offset in offsets.iter().filter(|&&o| o > 0 && o < bytes.len()) {
        if offset > from {
            pieces.push(bytes.slice(from..offset));
            from = offset;
        }
    }
    pieces.push(bytes.slice(from..));
    pieces
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_whole_and_cut_where_asked() {
        let whole = Bytes::from_static(b"abcdef");
        let pieces = split_at(&whole, &[0, 1, 4, 4, 99]);
        assert_eq!(pieces, [&b"a"[..], b"bcd", b"ef"]);
        assert_eq!(pieces.concat(), &whole[..]);
    }

    #[test]
    fn empty_data_is_no_chunk_because_that_would_end_the_body() {
        assert_eq!(chunk(b""), "");
        assert_eq!(chunk(b"0123456789abcdef"), "10\r\n0123456789abcdef\r\n");
    }
}
