//! The recorded exchanges, where they are present.

use serde_json::Value;
use std::path::PathBuf;

/// One recorded exchange.
pub(crate) struct Recording {
    pub(crate) file: String,
    pub(crate) request: Option<Value>,
    pub(crate) status: u64,
    pub(crate) body: Option<Value>,
    /// A stream's text, framed.
    pub(crate) raw: Option<String>,
}

/// Every recording that `wanted(provider, api)` picks; none, loudly, where the
/// recordings are absent.
pub(crate) fn pick(wanted: impl Fn(&str, &str) -> bool) -> Vec<Recording> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings");
    let root =
        [root, PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings")]
            .into_iter()
            .find(|root| root.join("INDEX.tsv").exists());
    let Some(root) = root else {
        println!("SKIPPED: no recordings beside the repository");
        return Vec::new();
    };
    let index = std::fs::read_to_string(root.join("INDEX.tsv")).unwrap();
    let mut found = Vec::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if !wanted(columns[1], columns[2]) {
            continue;
        }
        let text = std::fs::read_to_string(root.join(columns[0])).unwrap();
        let mut all: Value = serde_json::from_str(&text).unwrap();
        let request = Some(all["request"]["body"].take()).filter(Value::is_object);
        let mut response = all["response"].take();
        let raw = match response["body_kind"].as_str().unwrap() {
            "sse" => response["raw"].as_str().map(str::to_owned),
            "chunks" => response["raw"].as_str().map(framed),
            _ => None,
        };
        found.push(Recording {
            file: columns[0].to_owned(),
            request,
            status: response["status"].as_u64().unwrap_or(200),
            body: Some(response["body"].take()).filter(|body| !body.is_null()),
            raw,
        });
    }
    assert!(!found.is_empty(), "the index names no such recording");
    found
}

/// Lines whose framing was lost.
fn framed(raw: &str) -> String {
    let mut text = String::new();
    for line in raw.lines().filter(|line| !line.trim().is_empty()) {
        text.push_str("data: ");
        text.push_str(line);
        text.push_str("\n\n");
    }
    text.push_str("data: [DONE]\n\n");
    text
}
