//! Fields that only this dialect has, on their way through the model.

use super::HERE;
use crate::Json;
use crate::json::read::Object;
use crate::json::write::ObjectWriter;
use crate::model::Extension;

/// A field of this dialect.
pub(crate) fn extension(name: impl Into<String>, value: impl Into<Json>) -> Extension {
    Extension::new(HERE, name, value)
}

/// What is left of an object of this dialect, named `prefix` + key.
pub(crate) fn rest(prefix: &str, object: &Object<'_>) -> Vec<Extension> {
    Extension::of_rest(HERE, prefix, object)
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
