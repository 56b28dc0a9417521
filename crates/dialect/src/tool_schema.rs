//! Schemas of tools, as providers demand them: an object, without alternatives
//! at its top.
//!
//! Anthropic and OpenAI refuse `anyOf`, `oneOf` and `allOf` there, and a `type`
//! that is not `object`; one such tool makes every request fail
//! (<https://platform.claude.com/docs/en/agents-and-tools/tool-use>;
//! <https://platform.openai.com/docs/guides/function-calling>). Alternatives
//! are folded into `properties`: all properties of all of them, and as required
//! only what every alternative requires. The model may then write arguments
//! that no single alternative allows; the tool's own check finds those.

use crate::Dialect;
use crate::Json;
use crate::json::read::{Members, Object, Raw, items, string};
use crate::json::rewrite::{Change, list, object};
use crate::json::skim::Skim;
use crate::json::write::{self, ObjectWriter};

/// The schema of a tool that takes nothing.
pub(crate) const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// Keywords that hold alternatives.
const ANY: [&str; 2] = ["anyOf", "oneOf"];

/// Keywords that go from the top of a schema, with what they say folded in
/// where it can be.
const REFUSED: [&str; 9] =
    ["anyOf", "oneOf", "allOf", "$ref", "not", "enum", "const", "if", "then"];

/// Schemas inside schemas that are followed.
const DEPTH_MAX: usize = 8;

/// Schemas that are looked at, all in all: references can go in circles.
const LOOKED_AT_MAX: usize = 1_000;

/// The schema in the form that both dialects take; `None` if it has it already.
/// `needs_properties`: OpenAI refuses an object without `properties`.
pub(crate) fn flat(schema: &Json, needs_properties: bool) -> Option<Json> {
    let no_parameters = || Json::parse(NO_PARAMETERS.to_owned()).ok();
    if !schema.text().starts_with('{') {
        return no_parameters();
    }
    // Nested beyond reading: the provider shall judge it.
    let root = Object::of(schema.into()).ok()?;
    let is_object = root.text("type").as_deref() == Some("object");
    let has = |name: &str| root.get(name).is_some();
    let alternatives = REFUSED.into_iter().any(has);
    if is_object && !alternatives && (has("properties") || !needs_properties) {
        return None;
    }
    let mut shape = Shape::default();
    let mut left = LOOKED_AT_MAX;
    shape.add(&root, &root, 0, &mut left);
    let mut out = Vec::with_capacity(schema.text().len());
    write::object(&mut out, |object| {
        object.member("type", "object");
        let mut wrote = (false, false);
        for (name, value) in root.members() {
            match name {
                "type" | "else" => {}
                "properties" => {
                    shape.write_properties(object);
                    wrote.0 = true;
                }
                "required" => {
                    shape.write_required(object);
                    wrote.1 = true;
                }
                name if REFUSED.contains(&name) => {}
                name => object.member(name, &value),
            }
        }
        if !wrote.0 && (alternatives || needs_properties) {
            shape.write_properties(object);
        }
        if !wrote.1 {
            shape.write_required(object);
        }
    });
    Json::parse(String::from_utf8(out).ok()?).ok()
}

/// What the alternatives of a schema have in common, and what they have at all.
#[derive(Default)]
struct Shape<'a> {
    properties: Vec<(String, Vec<Raw<'a>>)>,
    required: Vec<String>,
}

impl<'a> Shape<'a> {
    /// Adds what `schema` says, and what it refers to.
    fn add(&mut self, schema: &Object<'a>, root: &Object<'a>, depth: usize, left: &mut usize) {
        if depth > DEPTH_MAX || *left == 0 {
            return;
        }
        *left -= 1;
        let own = schema.object("properties").unwrap_or_default();
        for (name, value) in own.members() {
            self.property(name, value);
        }
        for name in schema.get("required").and_then(items).into_iter().flatten().filter_map(string)
        {
            self.require(name);
        }
        if let Some(target) = schema.text("$ref").and_then(|path| referred(root, &path)) {
            self.add(&target, root, depth + 1, left);
        }
        for part in schema.get("allOf").and_then(items).into_iter().flatten() {
            if let Ok(part) = Object::of(part) {
                self.add(&part, root, depth + 1, left);
            }
        }
        for keyword in ANY {
            let Some(all) = schema.get(keyword).and_then(items) else { continue };
            let shapes: Vec<Self> = all
                .into_iter()
                .filter_map(|one| Object::of(one).ok())
                .map(|one| {
                    let mut shape = Self::default();
                    shape.add(&one, root, depth + 1, left);
                    shape
                })
                .collect();
            self.any(shapes);
        }
    }

    /// One of `shapes` holds.
    fn any(&mut self, shapes: Vec<Self>) {
        let Some(first) = shapes.first() else { return };
        let by_all = |name: &&String| shapes.iter().all(|shape| shape.required.contains(name));
        let common: Vec<String> = first.required.iter().filter(by_all).cloned().collect();
        for name in common {
            self.require(name);
        }
        for (name, values) in shapes.into_iter().flat_map(|shape| shape.properties) {
            for value in values {
                self.property(&name, value);
            }
        }
    }

    fn property(&mut self, name: &str, value: Raw<'a>) {
        match self.properties.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if values.iter().any(|known| known.text() == value.text()) => {}
            // `{}` is what `required` alone says of a property: no more.
            Some((_, values)) if value.text() == "{}" && !values.is_empty() => {}
            Some((_, values)) => values.push(value),
            None => self.properties.push((name.to_owned(), vec![value])),
        }
    }

    fn require(&mut self, name: String) {
        if !self.required.contains(&name) {
            self.required.push(name);
        }
    }

    fn write_properties(&self, object: &mut ObjectWriter<'_>) {
        object.object("properties", |object| {
            for (name, values) in &self.properties {
                match values.as_slice() {
                    [value] => object.member(name, value),
                    values => object.object(name, |object| object.member("anyOf", values)),
                }
            }
        });
    }

    fn write_required(&self, object: &mut ObjectWriter<'_>) {
        if !self.required.is_empty() {
            object.member("required", &self.required);
        }
    }
}

/// The schema that `#/$defs/NAME` or `#/definitions/NAME` refers to.
fn referred<'a>(root: &Object<'a>, path: &str) -> Option<Object<'a>> {
    let (place, name) = path.strip_prefix("#/")?.split_once('/')?;
    if !matches!(place, "$defs" | "definitions") {
        return None;
    }
    root.object(place)?.object(name)
}

/// The value of `tools` with every schema in the form that the dialect's
/// providers take; `None` if it needs no change. What cannot be read stays.
pub fn flat_tools(raw: &[u8], dialect: Dialect) -> Option<String> {
    if !any_unfit(raw, dialect).unwrap_or(false) {
        return None;
    }
    let tools = items(Raw::check(raw).ok()?)?;
    list(&tools, |tool| flat_tool(tool, dialect))
}

fn flat_tool(raw: Raw<'_>, dialect: Dialect) -> Option<String> {
    let members = Members::of(raw)?;
    let schema = |value: Raw<'_>, needs_properties: bool| {
        flat(&Json::from(value), needs_properties)
            .map_or(Change::None, |flat| Change::To(flat.text().to_owned()))
    };
    match dialect {
        Dialect::AnthropicMessages => object(&members, |name, value| match name {
            "input_schema" => schema(value, false),
            _ => Change::None,
        }),
        Dialect::OpenAiChat => object(&members, |name, value| {
            if name != "function" {
                return Change::None;
            }
            let Some(function) = Members::of(value) else {
                return Change::None;
            };
            let changed = object(&function, |name, value| match name {
                "parameters" if value.text() != "null" => schema(value, true),
                _ => Change::None,
            });
            changed.map_or(Change::None, Change::To)
        }),
        Dialect::Gemini => None,
    }
}

/// Returns true if a schema at the places where the dialect has them may be
/// unfit. Looks at top-level keys alone; `None` if the text is not JSON.
fn any_unfit(raw: &[u8], dialect: Dialect) -> Option<bool> {
    let mut skim = Skim::new(raw);
    let mut more = skim.enter(b'[')?;
    while more {
        if skim.peek()? != b'{' {
            return Some(false);
        }
        let unfit = match dialect {
            Dialect::AnthropicMessages => {
                member(&mut skim, b"input_schema", |skim| unfit(skim, false))
            }
            Dialect::OpenAiChat => member(&mut skim, b"function", |skim| {
                if skim.peek()? != b'{' {
                    skim.skip()?;
                    return Some(false);
                }
                member(skim, b"parameters", |skim| unfit(skim, true))
            }),
            // Gemini takes schemas of every form.
            Dialect::Gemini => return Some(false),
        };
        if unfit? {
            return Some(true);
        }
        more = skim.more(b']')?;
    }
    Some(false)
}

/// Reads one object; returns what `look` says of the value of `wanted`.
fn member(
    skim: &mut Skim<'_>,
    wanted: &[u8],
    look: impl Fn(&mut Skim<'_>) -> Option<bool>,
) -> Option<bool> {
    let mut found = false;
    let mut more = skim.enter(b'{')?;
    while more {
        if skim.key()? == wanted {
            found |= look(skim)?;
        } else {
            skim.skip()?;
        }
        more = skim.more(b'}')?;
    }
    Some(found)
}

fn unfit(skim: &mut Skim<'_>, needs_properties: bool) -> Option<bool> {
    match skim.peek()? {
        b'{' => {}
        // `null` is no schema.
        b'n' => return skim.skip().map(|()| false),
        _ => return skim.skip().map(|()| true),
    }
    let (mut is_object, mut has_properties, mut refused) = (false, !needs_properties, false);
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"type" => is_object = skim.raw()? == b"\"object\"",
            b"properties" => {
                has_properties = true;
                skim.skip()?;
            }
            key => {
                refused |= REFUSED.iter().any(|name| name.as_bytes() == key);
                skim.skip()?;
            }
        }
        more = skim.more(b'}')?;
    }
    Some(!is_object || !has_properties || refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(schema: &str) -> Option<String> {
        let json = Json::parse(schema.to_owned()).unwrap();
        flat(&json, false).map(|json| json.text().to_owned())
    }

    #[test]
    fn alternatives_at_the_top_become_properties_and_what_all_require() {
        for (schema, expected) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}"#,
            ),
            (
                r#"{"oneOf":[{"type":"object","properties":{"k":{"const":1},"x":{}},"required":["k","x"]},{"type":"object","properties":{"k":{"const":2}},"required":["k"]}],"description":"d"}"#,
                r#"{"type":"object","description":"d","properties":{"k":{"anyOf":[{"const":1},{"const":2}]},"x":{}},"required":["k"]}"#,
            ),
            (
                r##"{"type":"object","required":["z"],"allOf":[{"properties":{"a":{}},"required":["a"]},{"$ref":"#/$defs/B"}],"$defs":{"B":{"properties":{"b":{}},"required":["b"]}}}"##,
                r#"{"type":"object","required":["z","a","b"],"$defs":{"B":{"properties":{"b":{}},"required":["b"]}},"properties":{"a":{},"b":{}}}"#,
            ),
        ] {
            assert_eq!(made(schema).as_deref(), Some(expected), "{schema}");
            assert_eq!(made(expected), None, "{expected}");
        }
    }

    #[test]
    fn a_tools_schema_is_an_object() {
        for (schema, expected) in [
            ("{}", r#"{"type":"object"}"#),
            ("true", NO_PARAMETERS),
            (
                r#"{"type":null,"properties":{"a":{}}}"#,
                r#"{"type":"object","properties":{"a":{}}}"#,
            ),
            (r#"{"type":["object","null"],"properties":{}}"#, NO_PARAMETERS),
            (r#"{"type":"string"}"#, r#"{"type":"object"}"#),
        ] {
            assert_eq!(made(schema).as_deref(), Some(expected), "{schema}");
        }
        let bare = Json::parse(r#"{"type":"object"}"#.to_owned()).unwrap();
        assert_eq!(flat(&bare, true).unwrap().text(), NO_PARAMETERS);
        assert_eq!(flat(&bare, false), None);
    }

    #[test]
    fn references_that_go_in_circles_end() {
        let circle = r##"{"$ref":"#/$defs/A","$defs":{"A":{"anyOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"}]}}}"##;
        assert!(made(circle).is_some());
    }

    #[test]
    fn only_tools_with_an_unfit_schema_change() {
        let fit = r#"{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"anyOf":{"anyOf":[{},{}]}}}}}"#;
        let unfit = r#"{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{},"anyOf":[]}}}"#;
        let tools = format!("[{fit}, {unfit}]");
        let changed = flat_tools(tools.as_bytes(), Dialect::OpenAiChat).unwrap();
        assert_eq!(changed, format!("[{fit},{}]", unfit.replace(r#","anyOf":[]"#, "")));
        assert_eq!(flat_tools(format!("[{fit}]").as_bytes(), Dialect::OpenAiChat), None);
        let claude = br#"[{"name":"f","input_schema":{"anyOf":[{"properties":{"a":{}}}]}},{"type":"web_search_20250305","name":"w"}]"#;
        let expected = r#"[{"name":"f","input_schema":{"type":"object","properties":{"a":{}}}},{"type":"web_search_20250305","name":"w"}]"#;
        assert_eq!(flat_tools(claude, Dialect::AnthropicMessages).as_deref(), Some(expected));
        for odd in ["", "7", "[7]", "[null,{}]", "[{\"function\":null}]"] {
            assert_eq!(flat_tools(odd.as_bytes(), Dialect::OpenAiChat), None, "{odd}");
        }
    }
}
