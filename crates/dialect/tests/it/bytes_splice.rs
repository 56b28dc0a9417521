//! Edits change what they name and no other byte.
#![allow(clippy::unwrap_used, clippy::string_slice, reason = "a test that panics has failed")]

use bytes::Bytes;
use dialect::{
    Json, Surface,
    head::{Head, keys::Field},
    splice::{Edits, apply},
};
use proptest::prelude::*;
use serde_json::Value;

fn edited(body: &str, edit: impl FnOnce(&mut Edits<'_>)) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::scan(&body, Surface::OpenAiChat).unwrap();
    let mut edits = Edits::new(&head, &body);
    edit(&mut edits);
    let out = apply(&body, &edits);
    let (same, made) = edits.applied(&body).unwrap();
    assert_eq!(same, out);
    assert_eq!(made, Head::scan(&out, Surface::OpenAiChat).unwrap(), "the head is that of a scan");
    String::from_utf8(out.to_vec()).unwrap()
}

fn json(text: &str) -> &'static Json {
    Box::leak(Box::new(Json::parse(text.to_owned()).unwrap()))
}

#[test]
fn without_edits_the_body_itself_goes_on() {
    let body = Bytes::from_static(br#"{"model":"a"}"#);
    let head = Head::scan(&body, Surface::OpenAiChat).unwrap();
    let mut edits = Edits::new(&head, &body);
    edits.set_model("a").clamp_output_limit("max_tokens", 5).remove("max_tokens").remove("n");
    let same = apply(&body, Edits::new(&head, &body).set_model("a"));
    assert_eq!(same.as_ptr(), body.as_ptr());
    assert_eq!(apply(&body, &edits).as_ptr(), body.as_ptr());
}

#[test]
fn the_model_is_named_in_place_and_the_rest_stays() {
    let body = "{ \"x\" : 1.0e3,\n\"model\" : \"a\" , \"seed\":12345678901234567890123 }";
    assert_eq!(
        edited(body, |edits| {
            edits.set_model("b \"c\"");
        }),
        "{ \"x\" : 1.0e3,\n\"model\" : \"b \\\"c\\\"\" , \"seed\":12345678901234567890123 }"
    );
    assert_eq!(
        edited("{}", |edits| {
            edits.set_model("b");
        }),
        r#"{"model":"b"}"#
    );
}

#[test]
fn usage_is_asked_for_whatever_the_client_said() {
    for (body, expected) in [
        (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":null}"#, r#"{"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":{ }}"#, r#"{"stream_options":{"include_usage":true }}"#),
        (
            r#"{"stream_options":{"include_obfuscation":false}}"#,
            r#"{"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
        ),
        (
            r#"{"stream_options": {"a":1, "include_usage" : false} ,"b":2}"#,
            r#"{"stream_options": {"a":1, "include_usage" : true} ,"b":2}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(
            edited(body, |edits| {
                edits.include_usage();
            }),
            expected
        );
    }
}

#[test]
fn the_output_limit_is_lowered_never_raised() {
    for (body, expected) in [
        (r#"{"max_tokens":10}"#, r#"{"max_tokens":5}"#),
        (r#"{"max_tokens":3}"#, r#"{"max_tokens":3}"#),
        (
            r#"{"max_tokens":10,"max_completion_tokens":4}"#,
            r#"{"max_tokens":5,"max_completion_tokens":4}"#,
        ),
        (r#"{"max_completion_tokens":null}"#, r#"{"max_completion_tokens":5}"#),
        (r#"{"a":1}"#, r#"{"a":1,"max_completion_tokens":5}"#),
    ] {
        assert_eq!(
            edited(body, |edits| {
                edits.clamp_output_limit("max_completion_tokens", 5);
            }),
            expected
        );
    }
    assert_eq!(
        edited(r#"{"max_tokens":3}"#, |edits| {
            edits.set_output_limit("max_completion_tokens", 5);
        }),
        r#"{"max_tokens":5}"#
    );
}

#[test]
fn a_field_inside_an_object_is_set_in_place_and_its_object_made_where_there_is_none() {
    let limit = Field::inner("generationConfig.maxOutputTokens");
    for (body, expected) in [
        (r#"{"a":1}"#, r#"{"a":1,"generationConfig":{"maxOutputTokens":5}}"#),
        (
            r#"{"generationConfig":{"maxOutputTokens" : 10 ,"topK":1}}"#,
            r#"{"generationConfig":{"maxOutputTokens" : 5 ,"topK":1}}"#,
        ),
        (
            r#"{"generationConfig": { "topK":1.0} }"#,
            r#"{"generationConfig": {"maxOutputTokens":5, "topK":1.0} }"#,
        ),
        (r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":5}}"#),
        (r#"{"generationConfig":{}}"#, r#"{"generationConfig":{"maxOutputTokens":5}}"#),
    ] {
        assert_eq!(edited(body, |edits| _ = edits.set_output_limit(limit, 5)), expected);
    }
    let config = json(r#"{"maxOutputTokens":9,"topK":1}"#);
    for body in ["{}", r#"{"generationConfig":{"topP":1}}"#] {
        let both = edited(body, |edits| {
            edits.set("generationConfig", config).set_output_limit(limit, 5);
        });
        assert_eq!(both, r#"{"generationConfig":{"maxOutputTokens":5,"topK":1}}"#);
    }
}

#[test]
fn text_that_is_no_value_does_not_get_into_a_body() {
    let body = Bytes::from_static(br#"{"model":"a","n":1}"#);
    let head = Head::scan(&body, Surface::OpenAiChat).unwrap();
    for text in ["1,\"model\":\"b\"", "", "{", "1}", "nan"] {
        for name in ["n", "seed"] {
            let mut edits = Edits::new(&head, &body);
            edits.set_text(name, text.to_owned());
            assert!(edits.applied(&body).is_err(), "{name} {text}");
        }
    }
}

#[test]
fn gateway_keys_go_and_commas_stay_right() {
    for (body, expected) in [
        (r#"{"tags":["a"],"model":"m"}"#, r#"{"model":"m"}"#),
        (r#"{"model":"m","tags":["a"]}"#, r#"{"model":"m"}"#),
        (r#"{"model":"m", "tags":["a"], "api_key":"k" }"#, r#"{"model":"m" }"#),
        (r#"{"model":"m","ttl":1,"tags":["a"],"n":1}"#, r#"{"model":"m","n":1}"#),
        (r#"{"ttl":1,"tags":["a"]}"#, "{}"),
        (r#"{ "ttl":1 }"#, "{  }"),
        (r#"{"\u0074tl":1,"n":1}"#, r#"{"n":1}"#),
        (r#"{"metadata":{"tags":[]},"n":1}"#, r#"{"n":1}"#),
        (r#"{"metadata":{"team":"a"},"n":1}"#, r#"{"metadata":{"team":"a"},"n":1}"#),
    ] {
        assert_eq!(
            edited(body, |edits| {
                edits.remove_gateway_keys();
            }),
            expected
        );
    }
}

#[test]
fn keys_are_inserted_where_all_others_went() {
    let (half, low) = (json("0.50"), json("\"low\""));
    let fill = |body: &str| {
        edited(body, |edits| {
            edits.remove_gateway_keys();
            edits.default_value("temperature", half);
            edits.default_value("reasoning_effort", low);
        })
    };
    assert_eq!(fill(r#"{ "ttl":1 }"#), r#"{ "temperature":0.50,"reasoning_effort":"low" }"#);
    assert_eq!(fill(r#"{"temperature":1}"#), r#"{"temperature":1,"reasoning_effort":"low"}"#);
    assert_eq!(
        fill(r#"{"temperature":null,"ttl":1}"#),
        r#"{"temperature":0.50,"reasoning_effort":"low"}"#
    );
}

#[test]
fn the_last_change_to_a_key_counts() {
    let one = json("1");
    assert_eq!(
        edited(r#"{"n":5}"#, |edits| {
            edits.remove("n").set("n", one).set("seed", one).remove("seed");
        }),
        r#"{"n":1}"#
    );
}

/// Two members of one name are read in two ways.
#[test]
fn a_key_that_no_table_knows_is_changed_in_place_however_it_is_spelled() {
    let one = json("1");
    for (body, expected) in [
        (r#"{"x":5,"n":1}"#, r#"{"x":1,"n":1}"#),
        (r#"{"\u0078":5}"#, r#"{"\u0078":1}"#),
        (r#"{"x":4,"n":1,"x":5}"#, r#"{"n":1,"x":1}"#),
    ] {
        assert_eq!(edited(body, |edits| _ = edits.set("x", one)), expected, "{body}");
    }
    for body in [r#"{"x":5,"n":1}"#, r#"{"n":1,"\u0078":5}"#, r#"{"x":4,"n":1,"x":5}"#] {
        assert_eq!(edited(body, |edits| _ = edits.remove("x")), r#"{"n":1}"#, "{body}");
        let kept = edited(body, |edits| _ = edits.default_value("x", one));
        assert_eq!(kept, body);
    }
    let given = edited(r#"{"x":null}"#, |edits| _ = edits.default_value("x", one));
    assert_eq!(given, r#"{"x":1}"#);
}

/// A body with members in any order, white space, and odd spellings.
fn body() -> impl Strategy<Value = (String, Vec<String>)> {
    let member = prop::sample::subsequence(
        vec![
            r#""model":"m""#,
            r#""stream" : true"#,
            r#""stream_options":{"a":[1.50]}"#,
            r#""max_tokens":100"#,
            r#""tags":["x, y"]"#,
            r#""api_key" :"k\"}""#,
            r#""unknown":{"a":1e5,"b":"\u00e9"}"#,
            r#""odd":"{\"model\":1}""#,
            r#""ttl":null"#,
            r#""messages":[{"role":"user","content":"hi"}]"#,
            r#""tools":[{"function":{"name":"f","description":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]"#,
        ],
        0..=11,
    )
    .prop_shuffle();
    (member, "[ \n]{0,2}").prop_map(|(members, space)| {
        let text = format!(
            "{space}{{{space}{}{space}}}{space}",
            members.join(&format!("{space},{space}"))
        );
        (text, members.into_iter().map(str::to_owned).collect())
    })
}

proptest! {
    #[test]
    fn edits_give_the_value_meant_and_keep_what_they_do_not_name(
        (text, members) in body(),
        model in "[a-z\"é]{1,8}",
        limit in 1_u64..200,
        ask in any::<bool>(),
        strip in any::<bool>(),
    ) {
        let out = edited(&text, |edits| {
            edits.set_model(&model).clamp_output_limit("max_tokens", limit);
            if ask {
                edits.include_usage();
            }
            if strip {
                edits.remove_gateway_keys();
            }
        });
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        let map = expected.as_object_mut().unwrap();
        map.insert("model".into(), model.as_str().into());
        let said = map.get("max_tokens").and_then(Value::as_u64).unwrap_or(limit);
        map.insert("max_tokens".into(), said.min(limit).into());
        if ask {
            let options = map.entry("stream_options").or_insert_with(|| serde_json::json!({}));
            options.as_object_mut().unwrap().insert("include_usage".into(), true.into());
        }
        if strip {
            for key in ["tags", "api_key", "ttl"] {
                map.remove(key);
            }
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected, "{}", out);
        // Members that no edit names survive to the letter, in their order.
        let named = ["\"model\"", "\"max_tokens\"", "\"stream_options\"", "\"tags\"", "\"api_key\"", "\"ttl\""];
        let mut rest = out.as_str();
        for member in members.iter().filter(|m| !named.iter().any(|name| m.starts_with(name))) {
            let at = rest.find(member.as_str());
            prop_assert!(at.is_some(), "{} lacks {}", out, member);
            rest = &rest[at.unwrap() + member.len()..];
        }
    }

    #[test]
    fn undoing_the_edits_gives_the_same_bytes((text, members) in body(), model in "[a-z]{1,8}") {
        let has_model = members.iter().any(|member| member.starts_with("\"model\""));
        let out = edited(&text, |edits| {
            edits.set_model(&model);
        });
        let back = edited(&out, |edits| {
            if has_model {
                edits.set_model("m");
            } else {
                edits.remove("model");
            }
        });
        prop_assert_eq!(back, text);
    }
}
