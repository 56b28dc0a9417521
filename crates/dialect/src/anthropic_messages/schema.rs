//! JSON schemas as Claude's structured output takes them.
//!
//! It refuses bounds on numbers, lengths and sizes, patterns, and objects that
//! are open. Bounds move into the description, where the model reads them;
//! objects are closed. One whose keys are the model's to choose cannot be
//! closed: only `{}` would be left of it, so [`free_keys`] finds it first. A schema that needs no change keeps its own text, and
//! one that changes keeps its order: both decide cache hits.

use crate::Json;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// The path to an object whose keys are the model's to choose (a map, or any
/// object at all), which structured output cannot say; empty for the schema
/// itself.
pub(super) fn free_keys(schema: &Json) -> Option<String> {
    schema.read::<Node>().ok()?.free_keys()
}

/// The schema as structured output takes it.
pub(super) fn closed(schema: &Json) -> Option<Json> {
    let mut node = schema.read::<Node>().ok()?;
    if !node.close() {
        return None;
    }
    Json::of(&node).ok()
}

/// A JSON value whose objects keep their order.
#[derive(Debug)]
enum Node {
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
    Null,
}

/// Keywords that are refused and whose meaning fits in words.
const BOUNDS: [&str; 16] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
];

/// Keywords whose value is a map from names to schemas.
const MAPS: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords whose value is a schema or a list of schemas.
const NESTED: [&str; 5] = ["items", "anyOf", "allOf", "oneOf", "prefixItems"];

/// What says more of an object than its keys would.
const ELSEWHERE: [&str; 6] = ["$ref", "anyOf", "allOf", "oneOf", "enum", "const"];

impl Node {
    fn free_keys(&self) -> Option<String> {
        let members = match self {
            Self::Object(members) => members,
            Self::List(nodes) => {
                return nodes
                    .iter()
                    .enumerate()
                    .find_map(|(at, node)| node.free_keys().map(|path| format!("[{at}]{path}")));
            }
            _ => return None,
        };
        let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, node)| node);
        let is_object = match member("type") {
            Some(Self::Text(kind)) => kind == "object",
            Some(Self::List(kinds)) => {
                kinds.iter().any(|kind| matches!(kind, Self::Text(kind) if kind == "object"))
            }
            _ => false,
        };
        let listed = member("properties").map(|node| match node {
            Self::Object(properties) => properties.len(),
            _ => 0,
        });
        let maps = |node: &Self| matches!(node, Self::Object(patterns) if !patterns.is_empty());
        let free = match member("additionalProperties") {
            // Any value under any key, beside or instead of those listed.
            Some(Self::Bool(true)) => is_object && listed.unwrap_or(0) == 0,
            Some(Self::Object(schema)) if schema.is_empty() => {
                is_object && listed.unwrap_or(0) == 0
            }
            Some(Self::Object(_)) => true,
            Some(_) => false,
            None => {
                let told = ELSEWHERE.iter().any(|name| member(name).is_some());
                is_object && listed.is_none() && !told
            }
        };
        if free || member("patternProperties").is_some_and(maps) {
            return Some(String::new());
        }
        members.iter().find_map(|(name, node)| {
            if !MAPS.contains(&name.as_str()) {
                let nested = NESTED.contains(&name.as_str());
                return nested
                    .then(|| node.free_keys())
                    .flatten()
                    .map(|path| format!(".{name}{path}"));
            }
            let Self::Object(schemas) = node else { return None };
            schemas.iter().find_map(|(key, schema)| {
                schema.free_keys().map(|path| format!(".{name}.{key}{path}"))
            })
        })
    }

    /// Makes a schema acceptable; says whether anything changed.
    fn close(&mut self) -> bool {
        let members = match self {
            Self::Object(members) => members,
            Self::List(nodes) => {
                return nodes.iter_mut().fold(false, |changed, node| node.close() | changed);
            }
            _ => return false,
        };
        let mut changed = false;
        let mut moved = Vec::new();
        let mut is_object = false;
        let mut kept = Vec::with_capacity(members.len());
        for (name, mut node) in std::mem::take(members) {
            let small = matches!(&node, Self::Number(n) if n.as_u64().is_some_and(|n| n <= 1));
            if BOUNDS.contains(&name.as_str()) || (name == "minItems" && !small) {
                moved.push(format!(
                    "{name}: {}",
                    Json::of(&node).map_or_else(|_| String::new(), |j| j.text().to_owned())
                ));
                changed = true;
                continue;
            }
            if name == "$schema"
                || name == "additionalProperties" && !matches!(node, Self::Bool(false))
            {
                changed = true;
                continue;
            }
            if MAPS.contains(&name.as_str()) {
                is_object |= name == "properties";
                if let Self::Object(schemas) = &mut node {
                    for (_, schema) in schemas {
                        changed |= schema.close();
                    }
                }
            } else if NESTED.contains(&name.as_str()) {
                changed |= node.close();
            }
            is_object |= name == "type" && matches!(&node, Self::Text(kind) if kind == "object");
            kept.push((name, node));
        }
        if is_object && !kept.iter().any(|(name, _)| name == "additionalProperties") {
            kept.push(("additionalProperties".to_owned(), Self::Bool(false)));
            changed = true;
        }
        if !moved.is_empty() {
            describe(&mut kept, &format!("({})", moved.join(", ")));
        }
        *members = kept;
        changed
    }
}

fn describe(members: &mut Vec<(String, Node)>, note: &str) {
    for (name, node) in members.iter_mut() {
        if let (true, Node::Text(text)) = (name == "description", node) {
            text.push(' ');
            text.push_str(note);
            return;
        }
    }
    members.push(("description".to_owned(), Node::Text(note.to_owned())));
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, node) in members {
                    map.serialize_entry(name, node)?;
                }
                map.end()
            }
            Self::List(nodes) => nodes.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Number(number) => number.serialize(serializer),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNode;
        impl<'de> Visitor<'de> for AnyNode {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
            }
            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = seq.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Object(members))
            }
        }
        deserializer.deserialize_any(AnyNode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(schema: &str) -> Option<String> {
        closed(&Json::parse(schema.to_owned()).unwrap()).map(|json| json.text().to_owned())
    }

    #[test]
    fn bounds_move_into_the_description_and_objects_are_closed() {
        let schema = r#"{"$schema":"x","type":"object","properties":{"z":{"type":"integer","minimum":1,"maximum":9,"description":"How many"},"a":{"type":"array","items":{"type":"string","maxLength":3},"minItems":1}},"required":["z"]}"#;
        let expected = r#"{"type":"object","properties":{"z":{"type":"integer","description":"How many (minimum: 1, maximum: 9)"},"a":{"type":"array","items":{"type":"string","description":"(maxLength: 3)"},"minItems":1}},"required":["z"],"additionalProperties":false}"#;
        assert_eq!(close(schema).unwrap(), expected);
        assert_eq!(close(expected), None, "a second pass changes nothing");
    }

    #[test]
    fn an_object_whose_keys_are_free_is_found_by_its_path() {
        let path = |schema: &str| free_keys(&Json::parse(schema.to_owned()).unwrap());
        for (schema, expected) in [
            (r#"{"type":"object"}"#, Some("")),
            (r#"{"type":"object","properties":{}}"#, None),
            (
                r#"{"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"string"}}}}"#,
                Some(".properties.a"),
            ),
            (r#"{"type":"object","properties":{"a":{}},"additionalProperties":true}"#, None),
            (
                r#"{"type":"object","properties":{"a":{}},"additionalProperties":{"type":"string"}}"#,
                Some(""),
            ),
            (r#"{"type":["object","null"],"additionalProperties":{}}"#, Some("")),
            (
                r##"{"$defs":{"M":{"type":"object","patternProperties":{"^a":{}}}},"$ref":"#/$defs/M"}"##,
                Some(".$defs.M"),
            ),
            (
                r#"{"type":"array","items":{"anyOf":[{"type":"null"},{"type":"object"}]}}"#,
                Some(".items.anyOf[1]"),
            ),
            (r#"{"type":"object","anyOf":[{"type":"object","properties":{"a":{}}}]}"#, None),
            (
                r#"{"type":"object","properties":{"additionalProperties":{"type":"object","properties":{"b":{}}}}}"#,
                None,
            ),
        ] {
            assert_eq!(path(schema).as_deref(), expected, "{schema}");
        }
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        let schema = r#"{"type":"object","properties":{"minimum":{"type":"string"}},"additionalProperties":false}"#;
        assert_eq!(close(schema), None);
    }
}
