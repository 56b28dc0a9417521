//! `GET /routes` and `GET /openapi.json`: what can be asked for here.

use crate::reply::{self, Answer};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One path with one method.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// As the router writes it: `/key/{key}/regenerate`.
    pub(crate) path: Cow<'static, str>,
    /// In upper case.
    pub(crate) method: &'static str,
    /// What it does, in a sentence.
    pub(crate) what: &'static str,
}

#[derive(Serialize)]
struct Routes {
    routes: Vec<Route>,
}

#[derive(Serialize)]
struct Route {
    path: String,
    methods: [&'static str; 1],
    name: &'static str,
    endpoint: (),
}

/// LiteLLM's list of routes.
pub(crate) fn list(all: &[Listed]) -> Answer {
    let route = |listed: &Listed| Route {
        path: template(&listed.path),
        methods: [listed.method],
        name: listed.what,
        endpoint: (),
    };
    reply::json(&Routes { routes: all.iter().map(route).collect() })
}

/// A path as OpenAPI writes it.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Info,
    security: [Security; 1],
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Components,
}

/// A bearer key, without scopes.
#[derive(Serialize)]
struct Security {
    key: [(); 0],
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Operation {
    summary: &'static str,
    #[serde(rename = "operationId")]
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    responses: BTreeMap<&'static str, Response>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: &'static str,
    required: bool,
    schema: Schema,
}

#[derive(Serialize)]
struct Schema {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Response {
    description: &'static str,
}

#[derive(Serialize)]
struct Components {
    #[serde(rename = "securitySchemes")]
    schemes: BTreeMap<&'static str, Scheme>,
}

#[derive(Serialize)]
struct Scheme {
    #[serde(rename = "type")]
    kind: &'static str,
    scheme: &'static str,
}

/// An OpenAPI document of paths and methods. Bodies are LiteLLM's, and are not
/// described.
pub(crate) fn document(all: &[Listed]) -> Answer {
    let mut paths: BTreeMap<String, BTreeMap<String, Operation>> = BTreeMap::new();
    for listed in all {
        let path = template(&listed.path);
        let operation = operation(listed, &path);
        let methods = paths.entry(path).or_default();
        methods.insert(listed.method.to_ascii_lowercase(), operation);
    }
    reply::json(&Document {
        openapi: "3.1.0",
        info: Info { title: "Keymoat", version: env!("CARGO_PKG_VERSION") },
        security: [Security { key: [] }],
        paths,
        components: Components {
            schemes: BTreeMap::from([("key", Scheme { kind: "http", scheme: "bearer" })]),
        },
    })
}

fn operation(listed: &Listed, path: &str) -> Operation {
    let words = path.split(|sign: char| !sign.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str| Parameter {
        name: name.to_owned(),
        place: "path",
        required: true,
        schema: Schema { kind: "string" },
    };
    let method = listed.method.to_ascii_lowercase();
    Operation {
        summary: listed.what,
        id: [method.as_str()].into_iter().chain(words).collect::<Vec<_>>().join("_"),
        parameters: names.map(parameter).collect(),
        responses: BTreeMap::from([
            ("200", Response { description: "Done." }),
            ("default", Response { description: "Refused, with the reason." }),
        ]),
    }
}
