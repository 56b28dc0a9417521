//! Golden cases: `testdata/anthropic_messages/<case>/` holds what an
//! Anthropic client sent (`request.json`), what goes upstream
//! (`upstream_request.json`), what came back (`upstream_response.json` or
//! `.sse`, `upstream_response.<status>.json` for errors) and what the client
//! gets (`response.json` or `.sse`), all by way of the neutral model. A file
//! `target` names the target's abilities. `KEYMOAT_UPDATE_GOLDENS=1` rewrites
//! what we make.

use crate::anthropic_recordings::SHOWN;
use crate::anthropic_stream::{decode_all, encode_all};
use dialect::anthropic_messages::{error, request, response};
use dialect::{Dropped, Target};
use std::fs;
use std::path::Path;

#[test]
fn every_case_is_written_as_its_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/anthropic_messages");
    let mut cases = 0;
    for entry in fs::read_dir(root).unwrap() {
        case(&entry.unwrap().path());
        cases += 1;
    }
    assert!(cases >= 20, "only {cases} cases");
}

fn case(folder: &Path) {
    let name = folder.display();
    let abilities = fs::read_to_string(folder.join("target")).unwrap_or_default();
    let target = Target {
        model: "upstream-model",
        adaptive_thinking: abilities.contains("adaptive_thinking"),
        native_json_schema: abilities.contains("native_json_schema"),
        ..Target::default()
    };
    if let Ok(body) = fs::read(folder.join("request.json")) {
        let decoded = request::decode(&body).unwrap_or_else(|e| panic!("{name}: {e}"));
        let written = request::encode(&decoded, &target, &mut Dropped::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        compare(&folder.join("upstream_request.json"), &pretty(&written));
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(kind) = file.strip_prefix("upstream_response.") else { continue };
        let bytes = fs::read(&path).unwrap();
        match kind {
            "json" => {
                let decoded = response::decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
                compare(
                    &folder.join("response.json"),
                    &pretty(&response::encode(&decoded, &SHOWN)),
                );
            }
            "sse" => {
                let text = String::from_utf8(bytes).unwrap();
                let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
                compare(&folder.join("response.sse"), &encode_all(&decode_all(data), &SHOWN));
            }
            _ => {
                let status = kind.split('.').next().unwrap().parse().unwrap();
                let decoded = error::decode(status, &bytes);
                let written = pretty(&error::encode(&decoded));
                compare(
                    &folder.join("response.json"),
                    &format!("{:?} {}\n{written}", decoded.class, decoded.status),
                );
            }
        }
    }
}

/// One member a line, so that a difference can be read; order as written.
fn pretty(json: &[u8]) -> String {
    let ordered = Ordered::of(std::str::from_utf8(json).unwrap());
    serde_json::to_string_pretty(&ordered).unwrap() + "\n"
}

/// JSON that keeps the order of its members.
enum Ordered {
    Map(Vec<(String, Ordered)>),
    List(Vec<Ordered>),
    Leaf(serde_json::Value),
}

impl serde::Serialize for Ordered {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Map(members) => serializer.collect_map(members.iter().map(|(k, v)| (k, v))),
            Self::List(items) => serializer.collect_seq(items),
            Self::Leaf(leaf) => leaf.serialize(serializer),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self::of(raw.get()))
    }
}

impl Ordered {
    fn of(text: &str) -> Self {
        if text.starts_with('[') {
            let items: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(text).unwrap();
            return Self::List(items.iter().map(|item| Self::of(item.get())).collect());
        }
        if !text.starts_with('{') {
            return Self::Leaf(serde_json::from_str(text).unwrap());
        }
        Self::Map(serde_json::from_str::<Members>(text).unwrap().0)
    }
}

struct Members(Vec<(String, Ordered)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn compare(file: &Path, written: &str) {
    if std::env::var_os("KEYMOAT_UPDATE_GOLDENS").is_some() {
        fs::write(file, written).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(expected, written, "{}", file.display());
}
