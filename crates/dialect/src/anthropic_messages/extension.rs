//! Fields that only this dialect has, on their way through the model. A name
//! with a dot is that of a field inside another: `thinking.display`.

use super::HERE;
use crate::Json;
use crate::Surface;
use crate::head::keys;
use crate::json::read::Object;
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

/// The weight of a field of a request. One that no table knows is a hint: new
/// releases of coding agents bring such fields, and none of them was meant for
/// another target.
pub(super) fn weight(field: &Extension) -> Weight {
    match &*field.name {
        _ if field.says_nothing() => Weight::Nothing,
        // The model has it as the wish to think.
        "output_config.effort" => Weight::Nothing,
        "cache_control" | "context_management" | "anthropic_version" | "anthropic_beta"
        | "inference_geo" | "speed" | "metadata" => Weight::Hint,
        name if name.contains('.') => Weight::Hint,
        name if !keys::knows(Surface::AnthropicMessages, name) => Weight::Hint,
        _ => Weight::Meaning,
    }
}

/// The value of this dialect's extension of that name.
pub(super) fn find<'e>(extensions: &'e [Extension], name: &str) -> Option<&'e Json> {
    extensions.iter().find(|e| e.source == HERE && e.name == name).map(|e| &e.value)
}

/// Writes this dialect's extensions that are members of `object` itself.
pub(super) fn write(object: &mut ObjectWriter<'_>, extensions: &[Extension]) {
    write_under(object, "", extensions);
}

/// Writes this dialect's extensions under `prefix` (`thinking.`), their names
/// without it.
pub(super) fn write_under(object: &mut ObjectWriter<'_>, prefix: &str, extensions: &[Extension]) {
    for e in extensions {
        let Some(name) = e.name.strip_prefix(prefix) else { continue };
        if e.source == HERE && !name.is_empty() && !name.contains('.') {
            object.raw(name, e.value.text());
        }
    }
}
