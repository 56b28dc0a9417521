//! Keys that are regenerated, and money that is spent while a key changes.

use crate::house::{House, MASTER, NOW_MS};
use base::NanoUsd;
use ledger::{Ask, reserve};
use serde_json::json;

fn money(nano: i64) -> Ask {
    Ask { money: NanoUsd(nano), ..Ask::default() }
}

#[tokio::test]
async fn a_regenerated_key_keeps_all_but_its_text() {
    let house = House::new().await;
    let made = r#"{"key_alias": "prod", "models": ["chat"], "max_budget": 2, "budget_duration": "30d",
        "rpm_limit": 7, "metadata": {"a": 1}, "aliases": {"gpt": "chat"}, "spend": 0.5}"#;
    let old = house.new_key(made).await;
    let before = house.get(&format!("/key/info?key={old}")).await.ok()["info"].clone();
    let answer = house.post("/key/regenerate", format!(r#"{{"key": "{old}"}}"#)).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let answer = answer.ok();
    let new = answer["key"].as_str().unwrap().to_owned();
    assert!(new.starts_with("sk-") && new != old);
    assert_eq!(answer["token"], house.hash(&new).to_string());
    let after = house.get(&format!("/key/info?key={new}")).await.ok()["info"].clone();
    for (name, value) in before.as_object().unwrap() {
        if !matches!(name.as_str(), "key_name" | "updated_at" | "updated_by") {
            assert_eq!(after[name], *value, "{name}");
        }
    }
    assert_eq!(house.get_as(&new, "/v1/models").await.status, 200);
    assert_eq!(house.get_as(&old, "/v1/models").await.status, 401);
    assert_eq!(house.get(&format!("/key/info?key={old}")).await.status, 404);
    assert_eq!(house.get("/key/list").await.ok()["total_count"], 1);
}

#[tokio::test]
async fn a_key_is_regenerated_by_path_with_new_limits_and_a_text_of_ones_own() {
    let house = House::new().await;
    let old = house.new_key(r#"{"max_budget": 2, "spend": 0.5}"#).await;
    let hash = house.hash(&old);
    let body = r#"{"new_key": "sk-a-key-of-my-own", "max_budget": 3, "grace_period": "0s"}"#;
    let answer = house.post(&format!("/key/{hash}/regenerate"), body).await.ok();
    assert_eq!(answer["key"], "sk-a-key-of-my-own");
    assert_eq!((&answer["max_budget"], &answer["spend"]), (&json!(3.0), &json!(0.5)));
    assert_eq!(answer["key_name"], "sk-...-own");
    assert_eq!(house.get_as("sk-a-key-of-my-own", "/v1/models").await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_regenerated_is_refused_and_changes_nothing() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let other = house.new_key(r#"{"key": "sk-taken-already", "key_alias": "taken"}"#).await;
    for (fields, status, param) in [
        (format!(r#""new_key": "{other}""#), 409, "new_key"),
        (format!(r#""new_key": "{MASTER}""#), 400, "new_key"),
        (r#""new_key": "short""#.to_owned(), 400, "new_key"),
        (r#""grace_period": "24h""#.to_owned(), 400, "grace_period"),
        (r#""new_master_key": "sk-another-master""#.to_owned(), 400, "new_master_key"),
        (r#""key_alias": "taken""#.to_owned(), 400, "key_alias"),
        (r#""nonsense": 1"#.to_owned(), 400, "nonsense"),
    ] {
        let body = format!(r#"{{"key": "{key}", {fields}}}"#);
        let refused = house.post("/key/regenerate", body).await;
        assert_eq!(refused.status, status, "{fields}: {}", refused.text);
        assert_eq!(refused.error()["param"], param, "{fields}");
    }
    assert_eq!(house.post("/key/regenerate", "{}").await.status, 400);
    let nobody = house.post("/key/regenerate", r#"{"key": "sk-nobody-has-this"}"#).await;
    assert_eq!(nobody.status, 404);
    assert!(!nobody.text.contains("sk-nobody"));
    let own = house.post_as(&key, "/key/regenerate", format!(r#"{{"key": "{key}"}}"#)).await;
    assert_eq!(own.status, 401);
    assert_eq!(house.get_as(&key, "/v1/models").await.status, 200);
}

#[tokio::test]
async fn calls_of_the_old_key_are_charged_to_the_new_one() {
    let house = House::new().await;
    let old = house.new_key(r#"{"max_budget": 1}"#).await;
    let before = house.principal(&old).await;
    let spent = reserve(&before.permit, money(300_000_000)).unwrap();
    assert_eq!(spent.settle(money(300_000_000)), None);
    let in_flight = reserve(&before.permit, money(200_000_000)).unwrap();
    let body = format!(r#"{{"key": "{old}", "new_key": "sk-the-new-one"}}"#);
    house.post("/key/regenerate", body).await.ok();
    let after = house.principal("sk-the-new-one").await;
    assert_eq!(after.money.as_ref().unwrap().available(), 500_000_000);
    drop(in_flight);
    assert_eq!(after.money.as_ref().unwrap().available(), 500_000_000, "held counted as spent");
}

#[tokio::test]
async fn a_budget_given_later_counts_calls_that_are_still_running() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let running = house.principal(&key).await;
    let charge = |nano| running.tally.as_ref().unwrap().charge(NOW_MS, nano);
    charge(100_000_000);
    let update = async |fields: &str| {
        house.post("/key/update", format!(r#"{{"key": "{key}", {fields}}}"#)).await.ok()
    };
    assert_eq!(update(r#""max_budget": 1"#).await["spend"], 0.1);
    charge(200_000_000);
    let available = async || house.principal(&key).await.money.as_ref().unwrap().available();
    assert_eq!(available().await, 700_000_000);
    // Another window is another cell: it begins at zero, and still no later
    // charge is missed.
    update(r#""budget_duration": "1d""#).await;
    charge(50_000_000);
    assert_eq!(available().await, 950_000_000);
    update(r#""budget_duration": "7d", "spend": 0"#).await;
    charge(10_000_000);
    assert_eq!(available().await, 990_000_000);
    // Nor where another key has taken its place.
    let body = format!(r#"{{"key": "{key}", "new_key": "sk-the-new-one"}}"#);
    house.post("/key/regenerate", body).await.ok();
    charge(40_000_000);
    let after = house.principal("sk-the-new-one").await;
    assert_eq!(after.money.as_ref().unwrap().available(), 950_000_000);
    let shown = house.get("/key/info?key=sk-the-new-one").await.ok();
    assert_eq!(shown["info"]["spend"], 0.05);
}

#[tokio::test]
async fn a_call_of_a_window_that_has_ended_is_not_charged_to_the_next() {
    let house = House::new().await;
    let key = house.new_key(r#"{"budget_duration": "1h"}"#).await;
    let principal = house.principal(&key).await;
    let tally = principal.tally.as_ref().unwrap();
    tally.charge(NOW_MS, 5);
    assert_eq!(tally.usage().spent, 5);
    house.advance(3_600_000);
    tally.charge(NOW_MS, 7);
    assert_eq!(tally.usage().spent, 0);
    tally.charge(NOW_MS + 3_600_000, 9);
    assert_eq!(tally.usage().spent, 9);
}

#[tokio::test]
async fn what_a_key_cannot_be_given_is_refused_by_name() {
    let house = House::new().await;
    for (fields, param) in [
        (r#""permissions": {"get_spend_routes": true}"#, "permissions"),
        (r#""config": {"model_list": []}"#, "config"),
        (r#""aliases": {"gpt": 4}"#, "aliases"),
        (r#""aliases": {"gpt": ""}"#, "aliases"),
        (r#""aliases": ["gpt"]"#, "aliases"),
    ] {
        let refused = house.post("/key/generate", format!("{{{fields}}}")).await;
        assert_eq!(refused.status, 400, "{fields}");
        assert_eq!(refused.error()["param"], param, "{}", refused.text);
    }
}
