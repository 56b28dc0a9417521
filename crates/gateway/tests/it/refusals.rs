//! Every refusal as each dialect's clients get it: status, type, and whether
//! to ask again.

use crate::harness::{Answer, Bench, MASTER, NOW_MS, config, deployment};
use base::NanoUsd;
use ledger::VirtualKey;
use testkit::{Script, Upstream, canned};

const BODY: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const SECTIONS: &str = "router_settings: {num_retries: 0, disable_cooldowns: true}\n";

/// What a client is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: no other try changes it.
    Stop,
    /// What its own rules say of the status.
    Own,
    /// To wait so many seconds.
    Wait(u64),
}

fn next(answer: &Answer) -> Next {
    let stop = answer.header("x-should-retry") == Some("false");
    match answer.header("retry-after") {
        Some(seconds) => {
            assert!(!stop, "both refused and invited: {:?}", answer.headers);
            Next::Wait(seconds.parse().unwrap())
        }
        None if stop => Next::Stop,
        None => Next::Own,
    }
}

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

/// The statuses at the two paths, their types, and what comes next.
type Expected = ([u16; 2], [&'static str; 2], Next);

fn assert_refused(answer: &Answer, at: usize, expected: Expected, what: &str) {
    let (statuses, types, then) = expected;
    let what = format!("{what} at {}: {}", PATHS[at], answer.text());
    assert_eq!(answer.status.as_u16(), statuses[at], "{what}");
    assert_eq!(answer.json()["error"]["type"], types[at], "{what}");
    assert_eq!(next(answer), then, "{what}");
    let shape = answer.json()["type"] == "error";
    assert_eq!(shape, at == 1, "{what}");
    let id = if at == 0 { "x-request-id" } else { "request-id" };
    assert!(answer.header(id).is_some_and(|id| !id.is_empty()), "{what}");
    assert_eq!(answer.header(id), answer.header("x-litellm-call-id"), "{what}");
}

const AUTH: [&str; 2] = ["auth_error", "authentication_error"];
const INVALID: [&str; 2] = ["invalid_request_error", "invalid_request_error"];
const RATE: [&str; 2] = ["rate_limit_exceeded", "rate_limit_error"];

async fn bench(compat: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let sections = format!("{SECTIONS}keymoat: {{compat: \"{compat}\"}}\n");
    (upstream, Bench::new(&config(&list, &sections)).await)
}

#[tokio::test]
async fn what_the_gateway_refuses_says_so_in_each_dialect_and_ends_every_useless_retry() {
    type Limit = fn(&mut VirtualKey);
    for compat in ["1.83", "1.109"] {
        let (expired, spent) = if compat == "1.83" { (400, 400) } else { (401, 422) };
        let keys: [(&str, Limit, Expected); 7] = [
            ("a blocked key", |key| key.blocked = true, ([401; 2], AUTH, Next::Stop)),
            (
                "an expired key",
                |key| key.expires_at_ms = Some(NOW_MS),
                ([expired; 2], ["expired_key", AUTH[1]], Next::Stop),
            ),
            (
                "a model that the key may not use",
                |key| key.models = vec!["other".into()],
                ([403; 2], ["key_model_access_denied", "permission_error"], Next::Stop),
            ),
            (
                "a spent budget",
                |key| {
                    key.max_budget = Some(NanoUsd(1000));
                    key.spend = NanoUsd(1000);
                },
                ([spent; 2], ["budget_exceeded", INVALID[1]], Next::Stop),
            ),
            (
                "a call larger than the budget",
                |key| key.max_budget = Some(NanoUsd(1000)),
                ([spent; 2], ["budget_exceeded", INVALID[1]], Next::Stop),
            ),
            ("a rate of none", |key| key.rpm_limit = Some(0), ([429; 2], RATE, Next::Stop)),
            (
                "a call larger than the rate",
                |key| key.tpm_limit = Some(5),
                ([429; 2], RATE, Next::Stop),
            ),
        ];
        let (upstream, bench) = bench(compat).await;
        for (what, limit, expected) in keys {
            let key = bench.key(limit).await;
            for (at, path) in PATHS.into_iter().enumerate() {
                let answer = bench.post(path, &key, BODY).answer().await;
                assert_refused(&answer, at, expected, what);
            }
        }
        let unknown = ["token_not_found_in_db", AUTH[1]];
        for (key, types) in [("", AUTH), ("hunter2-hunter2", AUTH), ("sk-nobody-has-this", unknown)]
        {
            for (at, path) in PATHS.into_iter().enumerate() {
                let answer = bench.post(path, key, BODY).answer().await;
                assert_refused(&answer, at, ([401; 2], types, Next::Stop), key);
            }
        }
        for (what, body, statuses, types) in [
            (
                "an unknown model",
                BODY.replace("\"m\"", "\"nobody\""),
                [400, 404],
                [INVALID[0], "not_found_error"],
            ),
            ("no model", BODY.replace("\"model\":\"m\",", ""), [400; 2], INVALID),
            ("no JSON", "{\"model\":".to_owned(), [400; 2], INVALID),
            (
                "a field that would choose the host",
                BODY.replace('{', "{\"api_base\":\"x\",").replacen(
                    "{\"api_base\":\"x\",\"role",
                    "{\"role",
                    1,
                ),
                [400; 2],
                INVALID,
            ),
        ] {
            for (at, path) in PATHS.into_iter().enumerate() {
                let answer = bench.post(path, MASTER, body.clone()).answer().await;
                assert_refused(&answer, at, (statuses, types, Next::Stop), what);
            }
        }
        assert!(upstream.received().is_empty(), "none of them was a call");
    }
}

#[tokio::test]
async fn a_limit_that_time_lifts_invites_another_try() {
    let (upstream, bench) = bench("1.83").await;
    for (at, path) in PATHS.into_iter().enumerate() {
        upstream.script(canned::openai_chat("Hello"));
        let key = bench.key(|key| key.rpm_limit = Some(1)).await;
        assert_eq!(bench.post(path, &key, BODY).answer().await.status, 200);
        let answer = bench.post(path, &key, BODY).answer().await;
        assert_refused(&answer, at, ([429; 2], RATE, Next::Wait(60)), "a spent rate");
    }
}

#[tokio::test]
async fn a_providers_refusal_keeps_its_status_and_ends_every_useless_retry() {
    let (upstream, bench) = bench("1.83").await;
    for status in [400, 401, 402, 403, 404, 413, 422, 408, 409, 429, 500, 502, 503] {
        let retry = [("content-type", "application/json"), ("retry-after", "7")];
        for (at, path) in PATHS.into_iter().enumerate() {
            let (kind, code) = canned::openai_error_names(status);
            let body = canned::openai_error_body(kind, code, "no");
            upstream.script(Script::on("").answer(status, &retry, body));
            let answer = bench.post(path, MASTER, BODY).answer().await;
            let what = format!("{status} at {path}: {} {:?}", answer.text(), answer.headers);
            if at == 0 {
                assert_eq!(answer.status.as_u16(), status, "{what}");
            }
            let retried = matches!(answer.status.as_u16(), 408 | 409 | 429 | 500..);
            let expected = if retried { Next::Wait(7) } else { Next::Stop };
            assert_eq!(next(&answer), expected, "{what}");
        }
    }
}
