//! Server-sent events (WHATWG HTML, section 9.2), pushed in as bytes.

/// One complete event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field, where there is one.
    pub name: Option<&'a str>,
    /// The `data:` lines, joined by line feeds.
    pub data: &'a str,
}
