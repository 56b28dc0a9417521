//! What people get wrong, and what they are told.

use crate::house::{House, MASTER};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_made() {
    let house = House::new().await;
    for (param, body) in [
        ("max_budget", r#"{"max_budget": "much"}"#),
        ("max_budget", r#"{"max_budget": -1}"#),
        ("max_budget", r#"{"max_budget": 1e308}"#),
        ("max_budget", r#"{"max_budget": true}"#),
        ("max_budget", r#"{"max_budget": "NaN"}"#),
        ("spend", r#"{"spend": -0.01}"#),
        ("rpm_limit", r#"{"rpm_limit": -1}"#),
        ("rpm_limit", r#"{"rpm_limit": 1.5}"#),
        ("tpm_limit", r#"{"tpm_limit": 99999999999999999999}"#),
        ("max_parallel_requests", r#"{"max_parallel_requests": []}"#),
        ("budget_duration", r#"{"budget_duration": "soon"}"#),
        ("budget_duration", r#"{"budget_duration": 30}"#),
        ("duration", r#"{"duration": "x"}"#),
        ("duration", r#"{"duration": "0s"}"#),
        ("models", r#"{"models": "chat"}"#),
        ("models", r#"{"models": [1]}"#),
        ("models", r#"{"models": [""]}"#),
        ("tags", r#"{"tags": {"a": 1}}"#),
        ("metadata", r#"{"metadata": "text"}"#),
        ("metadata", r#"{"metadata": []}"#),
        ("metadata.tags", r#"{"metadata": {"tags": "red"}}"#),
        ("key_alias", r#"{"key_alias": 5}"#),
        ("key_alias", "{\"key_alias\": \"a\\u0000b\"}"),
        ("blocked", r#"{"blocked": "yes"}"#),
        ("aliases", r#"{"aliases": []}"#),
        ("allowed_cache_controls", r#"{"allowed_cache_controls": {}}"#),
        ("key_type", r#"{"key_type": "management"}"#),
        ("key", r#"{"key": "not-a-key-of-ours"}"#),
        ("key", r#"{"key": "sk-1"}"#),
        ("key", r#"{"key": "sk-with space-in-it"}"#),
        ("key", r#"{"key": "sk-schlüssel-0001"}"#),
        ("key", r#"{"key": "sk-master-of-the-house"}"#),
        ("max_budgets", r#"{"max_budgets": 1}"#),
        ("token", r#"{"token": "x"}"#),
        ("soft_budget", r#"{"soft_budget": 0}"#),
        ("model_max_budget", r#"{"model_max_budget": {"chat": 1}}"#),
        ("guardrails", r#"{"guardrails": ["pii"]}"#),
        ("budget_limits", r#"{"budget_limits": [{"max_budget": 1}]}"#),
        ("allowed_routes", r#"{"allowed_routes": ["/v1/models"]}"#),
        ("metadata.model_rpm_limit", r#"{"metadata": {"model_rpm_limit": {"chat": 1}}}"#),
    ] {
        let answer = house.post("/key/generate", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        let error = answer.error();
        assert_eq!(error["param"], param, "{body}");
        assert!(error["message"].as_str().unwrap().contains(param), "{error}");
        assert_eq!(error["code"], "400");
    }
    assert_eq!(house.get("/key/list").await.ok()["total_count"], 0);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let house = House::new().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 7] = [
        b"[]",
        b"{",
        b"\"text\"",
        b"{\"a\":1}{}",
        b"{\"models\":[],\"models\":[]}",
        b"{\"key_alias\":\"\xff\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = house.post("/key/generate", Bytes::copy_from_slice(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    let nested = format!(r#"{{"metadata": {}1{}}}"#, "{\"a\":".repeat(90_000), "}".repeat(90_000));
    assert_eq!(house.post("/key/generate", nested).await.status, 400);
    let large = format!(r#"{{"key_alias": "{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(house.post("/key/generate", large).await.status, 413);
}

#[tokio::test]
async fn names_are_unique_and_the_message_says_so() {
    let house = House::new().await;
    house.post("/key/generate", r#"{"key": "sk-chosen-01", "key_alias": "ä 日本"}"#).await.ok();
    let twice = house.post("/key/generate", r#"{"key_alias": "ä 日本"}"#).await;
    assert_eq!((twice.status.as_u16(), twice.error()["param"].as_str()), (400, Some("key_alias")));
    assert!(twice.text.contains("ä 日本") && twice.text.contains("Unique"), "{}", twice.text);
    let taken = house.post("/key/generate", r#"{"key": "sk-chosen-01"}"#).await;
    assert_eq!(taken.status, 409);
    assert!(!taken.text.contains("sk-chosen-01"), "{}", taken.text);

    let other = house.new_key(r#"{"key_alias": "other"}"#).await;
    let body = format!(r#"{{"key": "{other}", "key_alias": "ä 日本"}}"#);
    assert_eq!(house.post("/key/update", body).await.status, 400);
    let same = format!(r#"{{"key": "{other}", "key_alias": "other"}}"#);
    assert_eq!(house.post("/key/update", same).await.status, 200);
}

#[tokio::test]
async fn a_change_must_name_a_key_that_is_there() {
    let house = House::new().await;
    for path in ["/key/update", "/key/block", "/key/unblock"] {
        let unnamed = house.post(path, "{}").await;
        assert_eq!(
            (unnamed.status.as_u16(), unnamed.error()["param"].as_str()),
            (400, Some("key"))
        );
        let unknown = house.post(path, r#"{"key": "sk-nobody-has-this"}"#).await;
        assert_eq!(unknown.status, 404);
        assert!(!unknown.text.contains("sk-nobody"), "{}", unknown.text);
    }
    for body in ["{}", r#"{"keys": []}"#, r#"{"keys": "sk-1"}"#, r#"{"key": "sk-1"}"#] {
        assert_eq!(house.post("/key/delete", body).await.status, 400, "{body}");
    }
    let many = serde_json::json!({"keys": vec!["sk-x"; 1001]}).to_string();
    assert_eq!(house.post("/key/delete", many).await.status, 400);
    let extra = house.post("/key/block", r#"{"key": "sk-1", "reason": "x"}"#).await;
    assert_eq!(extra.error()["param"], "reason");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_say_so_in_the_clients_words() {
    let house = House::new().await;
    let unknown = house.get("/v1/no-such-thing").await;
    assert_eq!((unknown.status.as_u16(), unknown.error()["code"].as_str()), (404, Some("404")));
    assert!(unknown.text.contains("nothing at /v1/no-such-thing"), "{}", unknown.text);
    let anthropic = Request::get("/v1/no-such-thing").header("anthropic-version", "2023-06-01");
    house.send(anthropic.body(Full::default()).unwrap()).await.is_golden("unknown_path_anthropic");
    let wrong = house.get("/key/generate").await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.headers["allow"], "POST");
    let surface = house.get("/v1/chat/completions").await;
    assert_eq!((surface.status.as_u16(), surface.headers["allow"].as_bytes()), (405, &b"POST"[..]));
    let odd = Request::builder().method(Method::DELETE).uri("/key/info");
    assert_eq!(house.send(odd.body(Full::default()).unwrap()).await.status, 405);
    let long = format!("/{}", "x".repeat(5000));
    assert!(house.get(&long).await.text.len() < 500);
}

#[tokio::test]
async fn without_a_key_nothing_is_open() {
    let house = House::new().await;
    for path in
        ["/v1/models", "/model/info", "/model_group/info", "/key/info", "/key/list", "/metrics"]
    {
        let answer = house.send(Request::get(path).body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.text.contains("No api key passed in"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_503_and_not_a_crash() {
    let mut house = House::new().await;
    house.lose_the_store();
    let answer = house.post_as(MASTER, "/key/generate", "{}").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.text.contains("database does not answer"), "{}", answer.text);
    assert_eq!(house.get("/key/list").await.status, 503);
    assert_eq!(house.get("/v1/models").await.status, 200, "needs no database");
}
