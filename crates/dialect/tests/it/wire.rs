//! Streams as tests need them: events out of text, by the plainest reading of
//! the standard, so that it shares nothing with the crate's own framing.

use dialect::sse::Event;

/// Calls `take` with each event of `raw`.
pub(crate) fn events(raw: &str, mut take: impl FnMut(Event<'_>)) {
    let raw = raw.replace("\r\n", "\n");
    for block in raw.split("\n\n") {
        let mut name = None;
        let mut data: Vec<&str> = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = Some(value),
                "data" => data.push(value),
                _ => {}
            }
        }
        if !data.is_empty() {
            take(Event { name, data: &data.join("\n") });
        }
    }
}
