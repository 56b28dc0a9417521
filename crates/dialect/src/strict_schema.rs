//! Which JSON schemas OpenAI follows exactly.
//!
//! It refuses `strict` for a schema with optional or unlisted properties, and
//! for keywords beyond its subset (OpenAI's guide, "Structured outputs").
//! Anthropic takes optional properties: such a schema goes without the promise,
//! and none is rewritten, because what came back would have another form. What
//! OpenAI's own clients ask for is passed on: others of this dialect take more.

use crate::Json;
use crate::json::read::{Object, Raw, items, string};

/// Deeper than OpenAI takes; what is deeper is not looked at.
const DEPTH_MAX: usize = 32;

/// Keywords that say something of a value and hold no schema.
const KNOWN: [&str; 19] = [
    "$ref",
    "$schema",
    "additionalProperties",
    "const",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "title",
];

/// Whether OpenAI follows the schema exactly where it is asked to.
pub(crate) fn fits(schema: &Json) -> bool {
    let root = Object::of(schema.into());
    let is_object = |root: &Object<'_>| root.text("type").as_deref() == Some("object");
    root.is_ok_and(|root| is_object(&root) && root.get("anyOf").is_none() && object(&root, 0))
}

fn any(raw: Raw<'_>, depth: usize) -> bool {
    depth < DEPTH_MAX && Object::of(raw).is_ok_and(|schema| object(&schema, depth))
}

fn object(schema: &Object<'_>, depth: usize) -> bool {
    let mut is_object = false;
    for (name, value) in schema.members() {
        let fits = match name {
            "properties" | "$defs" | "definitions" => {
                is_object |= name == "properties";
                Object::of(value)
                    .is_ok_and(|all| all.members().all(|(_, schema)| any(schema, depth + 1)))
            }
            "items" => any(value, depth + 1),
            "anyOf" => {
                items(value).is_some_and(|all| all.into_iter().all(|one| any(one, depth + 1)))
            }
            "type" => {
                is_object |= value.text().contains("\"object\"");
                true
            }
            known => KNOWN.contains(&known),
        };
        if !fits {
            return false;
        }
    }
    !is_object || is_closed(schema)
}

/// Whether an object has the properties that it lists, all of them, and no others.
fn is_closed(schema: &Object<'_>) -> bool {
    let closed = schema.get("additionalProperties").is_some_and(|raw| raw.text() == "false");
    let required = schema.get("required").and_then(items).unwrap_or_default();
    let required: Vec<String> = required.into_iter().filter_map(string).collect();
    let listed = schema.object("properties").unwrap_or_default();
    closed && listed.members().all(|(name, _)| required.iter().any(|wanted| wanted == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_made_where_openai_would_keep_it() {
        let fits = |schema: &str| fits(&Json::parse(schema.to_owned()).unwrap());
        let inner = r#"{"type":"object","properties":{"b":{"type":"array","items":{"anyOf":[{"type":"string","pattern":"x"},{"type":"null"}]}}},"required":["b"],"additionalProperties":false}"#;
        let whole = format!(
            r#"{{"type":"object","properties":{{"a":{inner}}},"required":["a"],"additionalProperties":false}}"#
        );
        assert!(fits(&whole));
        for broken in [
            whole.replace(r#","required":["b"]"#, ""),
            whole.replace(r#","required":["a"]"#, ""),
            whole.replace(r#","additionalProperties":false"#, ""),
            whole.replace("\"pattern\":\"x\"", "\"default\":\"x\""),
            whole.replace("anyOf", "oneOf"),
            format!(r#"{{"anyOf":[{whole}]}}"#),
            format!(r#"{{"type":"array","items":{whole}}}"#),
            "true".to_owned(),
        ] {
            assert!(!fits(&broken), "{broken}");
        }
    }
}
