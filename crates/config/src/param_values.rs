//! Values of `litellm_params` that take more than a look: keys, headers, lists
//! of parameters to drop.

use crate::binding::KeySaid;
use crate::node::Kind;
use crate::reader::{Field, Reader};
use crate::typed;
use base::Secret;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Names of parameters. LiteLLM also takes paths into them: those would be
/// taken for names that nothing has.
pub(crate) fn dropped_params(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<String> {
    let mut names = reader.texts(field);
    let is_path = |name: &String| name.contains(['.', '[', '*']);
    if names.iter().any(is_path) {
        let paths: Vec<&str> = names.iter().filter(|n| is_path(n)).map(String::as_str).collect();
        let why = format!(
            "only whole parameters are dropped: these paths have no effect: {}",
            paths.join(", ")
        );
        reader.unsupported(field, why, "");
    }
    names.retain(|name| !is_path(name));
    names
}

/// `drop_params` of one deployment. LiteLLM takes a list for no answer: neither
/// are the parameters in it dropped, nor is the general setting overruled.
pub(crate) fn drop_params(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<bool> {
    if matches!(field.node.kind, Kind::Seq(_)) {
        let why = "a list has no effect here, as in LiteLLM, where this is true or false";
        let hint = "to drop these parameters, name them in additional_drop_params";
        reader.unsupported(field, why, hint);
        return None;
    }
    reader.bool(field)
}

/// Parameters that are set in each request body. Those that only a client can
/// give are left out of it; those that are known are read by their type.
pub(crate) fn extra_body(
    reader: &mut Reader<'_>,
    section: &Field<'_>,
) -> Vec<(String, Box<RawValue>)> {
    const CLIENTS: &str = "model messages prompt input stream stream_options";
    let mut body = Vec::new();
    for field in reader.fields(section) {
        if crate::known_keys::has(CLIENTS, field.name) {
            let why = "only a client can say this, for one call: it is not sent";
            reader.unsupported(&field, why, "");
            continue;
        }
        let json = match typed::kind(field.name).filter(|_| !field.is_null()) {
            Some(kind) => reader.typed(&field, kind),
            None => reader.json(&field),
        };
        body.extend(json.map(|json| (field.name.to_owned(), json)));
    }
    body
}

/// Returns true if `text` can stand behind `?api-version=`.
pub(crate) fn is_version(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// Takes `?api-version=…` off a base URL: people copy it from Azure's pages.
pub(crate) fn split_version(url: &mut String) -> Option<String> {
    let (before, version) = url.split_once("?api-version=")?;
    if !is_version(version) {
        return None;
    }
    let version = version.to_owned();
    url.truncate(before.len());
    Some(version)
}

/// What is said of the key; an empty text means that none is sent.
pub(crate) fn api_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<KeySaid> {
    let said_none =
        matches!(&field.node.kind, Kind::Scalar { text, quoted: true } if text.is_empty());
    if said_none {
        reader.accept(&field.clone().approximately("no key is sent, not even the provider's own"));
        return Some(KeySaid::None);
    }
    reader.secret(field).map(KeySaid::This)
}

/// Headers that the connection or the key itself owns.
const RESERVED_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Headers to send with each request.
pub(crate) fn extra_headers(
    reader: &mut Reader<'_>,
    section: &Field<'_>,
) -> Vec<(String, Arc<Secret>)> {
    let mut headers = Vec::new();
    for field in reader.fields(section) {
        let name = field.name.to_ascii_lowercase();
        if !crate::general::is_header_name(&name) || RESERVED_HEADERS.contains(&name.as_str()) {
            reader.error(&field, "this header cannot be set", "");
        } else if field.is_null() {
            reader.error(&field, "expected the header's value, found nothing", "");
        } else if let Some(value) = reader.secret(&field) {
            headers.push((name, value));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::split_version;

    #[test]
    fn a_version_at_the_end_of_a_url_is_taken_off_and_nothing_else() {
        let mut url = "https://h/models?api-version=2024-05-01-preview".to_owned();
        assert_eq!(split_version(&mut url).as_deref(), Some("2024-05-01-preview"));
        assert_eq!(url, "https://h/models");
        for kept in
            ["https://h/v1", "https://h?x=1", "https://h?api-version=1&y=2", "h?api-version="]
        {
            let mut url = kept.to_owned();
            assert_eq!((split_version(&mut url), url.as_str()), (None, kept));
        }
    }
}
