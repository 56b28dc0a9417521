//! Fields that only this dialect has, on their way through the model.

use super::HERE;
use crate::Json;
use crate::Surface;
use crate::head::keys;
use crate::json::read::Object;
use crate::json::write::ObjectWriter;
use crate::model::{Extension, Weight};

/// A field of this dialect.
pub(crate) fn extension(name: impl Into<String>, value: impl Into<Json>) -> Extension {
    Extension::new(HERE, name, value)
}

/// Members that are left of an object of this dialect, named `prefix` + key.
pub(crate) fn rest(prefix: &str, object: &Object<'_>) -> Vec<Extension> {
    Extension::of_rest(HERE, prefix, object)
}

/// Fields that are left of a request, each with its weight. Those for the gateway
/// are not among them, nor is `metadata`, which the scan has judged.
pub(crate) fn fields_of_request(object: &Object<'_>) -> Vec<Extension> {
    let mut fields = rest("", object);
    fields.retain(|e| e.name != "metadata" && !keys::is_for_gateway(Surface::OpenAiChat, &e.name));
    for field in &mut fields {
        field.weight = weight(field);
    }
    fields
}

/// The weight of a field of a request. One that no table knows is a hint: it
/// was meant for another target.
fn weight(field: &Extension) -> Weight {
    match &*field.name {
        _ if field.says_nothing() => Weight::Nothing,
        // The model has them as the wish to think.
        "thinking" | "reasoning" | "stream_options" => Weight::Nothing,
        "modalities" if !field.value.text().contains("audio") => Weight::Nothing,
        "store"
        | "verbosity"
        | "prediction"
        | "safety_identifier"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "prompt_cache_options" => Weight::Hint,
        name if !keys::knows(Surface::OpenAiChat, name) => Weight::Hint,
        _ => Weight::Meaning,
    }
}

/// This dialect's among `extensions`.
pub(super) fn own(extensions: &[Extension]) -> impl Iterator<Item = &Extension> {
    extensions.iter().filter(|e| e.source == HERE)
}

/// Writes extensions as members.
pub(super) fn write<'e>(
    object: &mut ObjectWriter<'_>,
    extensions: impl IntoIterator<Item = &'e Extension>,
) {
    for extension in extensions {
        object.member(&extension.name, &extension.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_the_gateway_is_no_field_and_others_have_a_weight() {
        let body = r#"{"request_timeout":1,"metadata":{},"api_key":"k","store":true,"brand_new":1,
            "web_search_options":{},"modalities":["text"],"stream_options":{},"plugins":[]}"#;
        let fields = fields_of_request(&Object::parse(body).unwrap());
        let found: Vec<_> = fields.iter().map(|field| (&*field.name, field.weight)).collect();
        let expected = [
            ("store", Weight::Hint),
            ("brand_new", Weight::Hint),
            ("web_search_options", Weight::Meaning),
            ("modalities", Weight::Nothing),
            ("stream_options", Weight::Nothing),
            ("plugins", Weight::Nothing),
        ];
        assert_eq!(found, expected);
    }
}
