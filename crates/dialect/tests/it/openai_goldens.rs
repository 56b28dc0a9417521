//! Fixtures of our own: `testdata/openai_chat/<case>/`. `request.json` becomes
//! `upstream_request.json`; `upstream_response.json` or `.sse` becomes
//! `response.json` or `.sse`; `upstream_error.<status>` becomes
//! `response.json`. KEYMOAT_UPDATE_GOLDENS=1 writes what comes out.

use crate::wire;
use dialect::{Dropped, Shown, Target, openai_chat};
use std::path::Path;

const SHOWN: Shown<'static> = Shown {
    model: Some("group"),
    fallback_id: "chatcmpl-fallback",
    created_unix_s: 1_700_000_000,
    include_usage: true,
};

/// Compares with the golden, or writes it.
fn check(path: &Path, found: &[u8]) {
    if std::env::var_os("KEYMOAT_UPDATE_GOLDENS").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read(path)
        .unwrap_or_else(|_| panic!("{}: run with KEYMOAT_UPDATE_GOLDENS=1", path.display()));
    let (found, expected) =
        (String::from_utf8_lossy(found), String::from_utf8_lossy(&expected).into_owned());
    assert_eq!(found.trim_end(), expected.trim_end(), "{}", path.display());
}

fn request(case: &Path) {
    let Ok(body) = std::fs::read(case.join("request.json")) else { return };
    let out = match openai_chat::request::decode(&body) {
        Ok(request) => {
            let target = Target { model: "upstream-model", ..Target::default() };
            match openai_chat::request::encode(&request, &target, &mut Dropped::default()) {
                Ok(out) => out,
                Err(error) => format!("error: {error}").into_bytes(),
            }
        }
        Err(error) => format!("error: {error} (param: {:?})", error.param).into_bytes(),
    };
    check(&case.join("upstream_request.json"), &out);
}

fn answer(case: &Path) {
    if let Ok(body) = std::fs::read(case.join("upstream_response.json")) {
        let out = match openai_chat::error::inside(&body) {
            Some(error) => openai_chat::error::encode(&error),
            None => openai_chat::response::encode(
                &openai_chat::response::decode(&body).unwrap(),
                &SHOWN,
            ),
        };
        check(&case.join("response.json"), &out);
    }
    if let Ok(raw) = std::fs::read_to_string(case.join("upstream_response.sse")) {
        let mut decoder = openai_chat::stream::Decoder::new();
        let mut events = Vec::new();
        wire::events(&raw, |event| decoder.push(event, &mut events).unwrap());
        decoder.finish(&mut events);
        let mut encoder = openai_chat::stream::Encoder::new(&SHOWN);
        let mut out = Vec::new();
        for event in &events {
            encoder.push(event, &mut out);
        }
        check(&case.join("response.sse"), &out);
    }
}

fn failure(case: &Path) {
    for file in std::fs::read_dir(case).unwrap() {
        let path = file.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "upstream_error") {
            let status: u16 = path.extension().unwrap().to_str().unwrap().parse().unwrap();
            let error = openai_chat::error::decode(status, &std::fs::read(&path).unwrap());
            let mut out = format!("{} {:?}\n", error.status, error.class).into_bytes();
            out.extend(openai_chat::error::encode(&error));
            check(&case.join("response.txt"), &out);
        }
    }
}

#[test]
fn every_golden_case_comes_out_as_it_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/openai_chat");
    let mut cases = 0;
    for case in std::fs::read_dir(root).unwrap() {
        let case = case.unwrap().path();
        request(&case);
        answer(&case);
        failure(&case);
        cases += 1;
    }
    assert!(cases > 20, "only {cases} cases");
}
