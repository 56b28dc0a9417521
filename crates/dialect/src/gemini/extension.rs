//! Fields that only this dialect has, on their way through the model. A name
//! with a dot is that of a field inside another: `generationConfig.speechConfig`.

use super::HERE;
use crate::Json;
use crate::json::read::{Object, Raw};
use crate::json::write::ObjectWriter;
use crate::model::{Extension, Weight};

/// A field of this dialect.
pub(super) fn extension(name: impl Into<String>, value: impl Into<Json>) -> Extension {
    Extension::new(HERE, name, value)
}

/// Members that are left of an object of this dialect, named `prefix` + key.
pub(super) fn rest(prefix: &str, object: &Object<'_>) -> Vec<Extension> {
    Extension::of_rest(HERE, prefix, object)
}

/// The weight of a field of a request. Filters, labels and the wish for a
/// resolution are hints; cached content, speech and other modalities are meant.
pub(super) fn weight(field: &Extension) -> Weight {
    match &*field.name {
        _ if field.says_nothing() => Weight::Nothing,
        "cachedContent"
        | "generationConfig.speechConfig"
        | "generationConfig.responseModalities"
        | "generationConfig.imageConfig" => meant(field),
        _ => Weight::Hint,
    }
}

/// Text is what every model answers with.
fn meant(field: &Extension) -> Weight {
    let said: String = field.value.text().split_ascii_whitespace().collect();
    if said.eq_ignore_ascii_case("[\"text\"]") { Weight::Nothing } else { Weight::Meaning }
}

/// Writes this dialect's extensions under `prefix` (`generationConfig.`), their
/// names without it; with an empty prefix, those that are members of the object.
pub(super) fn write_under(object: &mut ObjectWriter<'_>, prefix: &str, extensions: &[Extension]) {
    for e in extensions {
        let Some(name) = e.name.strip_prefix(prefix) else { continue };
        if e.source == HERE && !name.is_empty() && !name.contains('.') {
            object.raw(name, e.value.text());
        }
    }
}

/// Takes the member of this name, in either of its spellings, out of an object.
pub(super) fn take<'a>(object: &mut Object<'a>, name: &str) -> Option<Raw<'a>> {
    object.take(name).or_else(|| object.take(&snake(name)))
}

/// `inlineData` as `inline_data`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
