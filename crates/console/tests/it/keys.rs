//! Virtual keys from birth to deletion.

use crate::house::{House, MASTER, NOW_MS};
use base::NanoUsd;
use ledger::{Ask, reserve};
use serde_json::json;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

const WHOLE: &str = r#"{
    "key": "sk-golden-key-0001", "key_alias": "golden", "models": ["chat", "anthropic/*"],
    "max_budget": 1.50, "budget_duration": "30d", "duration": "1mo", "rpm_limit": 10,
    "tpm_limit": "1000", "max_parallel_requests": 3.0, "user_id": "ann", "team_id": "red",
    "organization_id": "acme", "tags": ["a", "ü"], "metadata": {"big": 12345678901234567890.10},
    "aliases": {"gpt": "chat"}, "permissions": {}, "config": {}, "guardrails": [],
    "model_max_budget": {}, "soft_budget": null, "spend": 0.25
}"#;

#[tokio::test]
async fn a_new_key_echoes_what_was_asked_and_its_rows_never_hold_it() {
    let house = House::new().await;
    let made = house.post("/key/generate", WHOLE).await;
    made.is_golden("key_generate");
    assert_eq!(made.headers["cache-control"], "no-store");
    let row = house.get("/key/info?key=sk-golden-key-0001").await;
    row.is_golden("key_info");
    assert!(!row.json()["info"].to_string().contains("sk-golden-key"));
    let listed = house.get("/key/list?return_full_object=true").await;
    listed.is_golden("key_list");
    assert!(!listed.text.contains("sk-golden-key"));
}

#[tokio::test]
async fn a_made_key_opens_the_door_and_reads_its_own_row_only() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let other = house.new_key("").await;
    assert!(key.starts_with("sk-") && key != other);
    let own = house.get_as(&key, "/key/info").await.ok();
    assert_eq!(own["key"], house.hash(&key).to_string());
    assert_eq!(house.get_as(&key, &format!("/key/info?key={key}")).await.status, 200);
    for asked in [other.as_str(), MASTER, "sk-nobody-has-this"] {
        let answer = house.get_as(&key, &format!("/key/info?key={asked}")).await;
        assert_eq!(answer.status, 403, "{asked}");
        assert!(!answer.text.contains(asked));
    }
    assert_eq!(house.get("/key/info?key=sk-nobody-has-this").await.status, 404);
    assert_eq!(house.get("/key/info").await.status, 404);
}

#[tokio::test]
async fn only_the_master_key_manages() {
    let house = House::new().await;
    let key = house.new_key(r#"{"user_id": "ann"}"#).await;
    for path in ["/key/generate", "/key/update", "/key/delete", "/key/block", "/key/unblock"] {
        let answer = house.post_as(&key, path, "{}").await;
        assert_eq!(answer.status, 401, "{path}");
        let message = answer.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("Only proxy admin") && message.contains("user_id=ann"));
        assert_eq!(house.post_as("sk-nobody", path, "{}").await.status, 401);
    }
    for path in ["/key/list", "/spend/logs", "/health"] {
        assert_eq!(house.get_as(&key, path).await.status, 401, "{path}");
    }
    let error = house.post_as(&key, "/key/generate", "{}").await.error();
    assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some("401"), Some("None")));
    let message = "Authentication Error, Only proxy admin can be used to generate, delete, update \
                   info for new keys/users/teams. Route=/key/generate. Your role=unknown. Your \
                   user_id=ann";
    assert_eq!(error["message"], message);
}

#[tokio::test]
async fn update_changes_what_it_names_and_nothing_else() {
    let house = House::new().await;
    house.post("/key/generate", WHOLE).await.ok();
    let body = r#"{"key": "sk-golden-key-0001", "max_budget": 5, "aliases": {"gpt": "other"}}"#;
    let updated = house.post("/key/update", body).await.ok();
    assert_eq!(updated["key"], "sk-golden-key-0001");
    assert_eq!(updated["max_budget"], json!(5.0));
    assert_eq!(updated["aliases"], json!({"gpt": "other"}));
    for (name, kept) in [
        ("models", json!(["chat", "anthropic/*"])),
        ("budget_duration", json!("30d")),
        ("rpm_limit", json!(10)),
        ("key_alias", json!("golden")),
        ("spend", json!(0.25)),
    ] {
        assert_eq!(updated[name], kept, "{name}");
    }
    let cleared = r#"{"key": "sk-golden-key-0001", "max_budget": null, "budget_duration": null,
        "duration": "-1", "rpm_limit": null, "key_alias": null, "models": []}"#;
    let updated = house.post("/key/update", cleared).await.ok();
    for name in
        ["max_budget", "budget_duration", "budget_reset_at", "expires", "rpm_limit", "key_alias"]
    {
        assert!(updated[name].is_null(), "{name}: {}", updated[name]);
    }
    assert_eq!(updated["models"], json!([]));
}

fn money(nano: i64) -> Ask {
    Ask { money: NanoUsd(nano), ..Ask::default() }
}

#[tokio::test]
async fn a_new_limit_binds_the_next_call_and_what_was_spent_stays() {
    let house = House::new().await;
    let key = house.new_key(r#"{"max_budget": 1, "rpm_limit": 1}"#).await;
    let principal = house.principal(&key).await;
    let cell = principal.money.clone().unwrap();
    let reservation = reserve(&principal.permit, money(600_000_000)).unwrap();
    assert_eq!(reservation.settle(money(400_000_000)), None);
    assert_eq!(house.get(&format!("/key/info?key={key}")).await.ok()["info"]["spend"], 0.4);

    let update = async |fields: &str| {
        house.post("/key/update", format!(r#"{{"key": "{key}", {fields}}}"#)).await.ok()
    };
    update(r#""max_budget": 0.5"#).await;
    assert_eq!((cell.usage().limit, cell.usage().spent), (500_000_000, 400_000_000));
    let after = house.principal(&key).await;
    assert!(Arc::ptr_eq(after.money.as_ref().unwrap(), &cell));
    assert!(!Arc::ptr_eq(&after, &principal), "what was known of the key is read anew");

    update(r#""spend": 0.1"#).await;
    assert_eq!(cell.usage().spent, 100_000_000);
}

#[tokio::test]
async fn another_budget_window_counts_from_now_on_and_what_is_held() {
    let house = House::new().await;
    let key = house.new_key(r#"{"max_budget": 1, "budget_duration": "1d"}"#).await;
    let update = async |fields: &str| {
        house.post("/key/update", format!(r#"{{"key": "{key}", {fields}}}"#)).await.ok()
    };
    let principal = house.principal(&key).await;
    let spent = reserve(&principal.permit, money(300_000_000)).unwrap();
    assert_eq!(spent.settle(money(300_000_000)), None);
    let in_flight = reserve(&principal.permit, money(200_000_000)).unwrap();
    update(r#""budget_duration": "7d""#).await;
    let after = house.principal(&key).await;
    assert_eq!(after.money.as_ref().unwrap().available(), 800_000_000);
    drop(in_flight);

    // And back again: the daily cell still lives, but its figure is old.
    update(r#""budget_duration": "1d""#).await;
    let back = house.principal(&key).await;
    assert_eq!(back.money.as_ref().unwrap().usage().spent, 0);
}

#[tokio::test]
async fn a_budget_given_later_counts_what_was_spent_before() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    house.spend(Some(&key), 1, 700_000_000, |_| {});
    let body = format!(r#"{{"key": "{key}", "max_budget": 1}}"#);
    assert_eq!(house.post("/key/update", body).await.ok()["spend"], 0.7);
    let principal = house.principal(&key).await;
    assert_eq!(principal.money.as_ref().unwrap().available(), 300_000_000);
}

#[tokio::test]
async fn a_window_given_later_leaves_out_what_was_spent_before_and_a_lifetime_does_not() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let principal = house.principal(&key).await;
    house.spend(Some(&key), 1, 1_250_000_000, |_| {});
    principal.tally.as_ref().unwrap().charge(NOW_MS, 1_250_000_000);
    let update = async |fields: &str| {
        house.post("/key/update", format!(r#"{{"key": "{key}", {fields}}}"#)).await.ok()
    };
    let windowed = update(r#""max_budget": 1, "budget_duration": "30d""#).await;
    assert_eq!(windowed["spend"], 0.0);
    let available = async || house.principal(&key).await.money.as_ref().unwrap().available();
    assert_eq!(available().await, 1_000_000_000);
    assert_eq!(update(r#""max_budget": 2, "budget_duration": null"#).await["spend"], 1.25);
    assert_eq!(available().await, 750_000_000);
}

#[tokio::test]
async fn a_window_that_has_ended_is_not_carried_into_another() {
    let house = House::new().await;
    let made = r#"{"max_budget": 1, "budget_duration": "1d", "spend": 0.9}"#;
    let key = house.new_key(made).await;
    house.advance(2 * DAY_MS);
    assert_eq!(house.get(&format!("/key/info?key={key}")).await.ok()["info"]["spend"], 0.0);
    let body = format!(r#"{{"key": "{key}", "budget_duration": "7d"}}"#);
    assert_eq!(house.post("/key/update", body).await.ok()["spend"], 0.0);
}

#[tokio::test]
async fn block_unblock_delete() {
    let house = House::new().await;
    let key = house.new_key(r#"{"key_alias": "short-lived"}"#).await;
    let body = format!(r#"{{"key": "{key}"}}"#);
    assert_eq!(house.get_as(&key, "/v1/models").await.status, 200);
    assert_eq!(house.post("/key/block", body.clone()).await.ok()["blocked"], true);
    let blocked = house.get_as(&key, "/v1/models").await;
    assert_eq!(blocked.status, 401);
    assert!(blocked.text.contains("blocked"), "{}", blocked.text);
    assert_eq!(house.post("/key/unblock", body).await.ok()["blocked"], false);
    assert_eq!(house.get_as(&key, "/v1/models").await.status, 200);

    let with_a_stranger = format!(r#"{{"keys": ["{key}", "sk-nobody-has-this"]}}"#);
    let refused = house.post("/key/delete", with_a_stranger).await;
    assert_eq!(refused.status, 404);
    assert!(!refused.text.contains("sk-nobody"), "{}", refused.text);
    assert_eq!(house.get_as(&key, "/v1/models").await.status, 200, "all or none");

    let deleted = house.post("/key/delete", r#"{"key_aliases": ["short-lived"]}"#).await.ok();
    assert_eq!(deleted["deleted_keys"], json!([house.hash(&key).to_string()]));
    assert_eq!(house.get_as(&key, "/v1/models").await.status, 401);
    assert_eq!(house.get(&format!("/key/info?key={key}")).await.status, 404);
    let again = house.new_key("{}").await;
    let deleted = house.post("/key/delete", format!(r#"{{"keys": ["{again}"]}}"#)).await.ok();
    assert_eq!(deleted["deleted_keys"], json!([again]));
}

#[tokio::test]
async fn a_key_is_found_by_itself_its_hash_and_the_hash_that_litellm_knew() {
    let house = House::new().await;
    house.post("/key/generate", r#"{"key": "sk-12345678"}"#).await.ok();
    let hash = house.hash("sk-12345678").to_string();
    for given in ["sk-12345678", &hash, SHA256_OF_SK_12345678] {
        let answer = house.get(&format!("/key/info?key={given}")).await.ok();
        assert_eq!(answer["key"], given);
        assert_eq!(answer["info"]["key_name"], "sk-...");
    }
}

/// From Python's hashlib.
const SHA256_OF_SK_12345678: &str =
    "db722c9c5c5fbe334dd0e95a7406d76fcde6396e9d3495edf174ad689fda5dc2";

#[tokio::test]
async fn of_many_who_want_one_name_at_once_one_gets_it() {
    let house = Arc::new(House::new().await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let house = Arc::clone(&house);
        asking.spawn(async move {
            house.post("/key/generate", r#"{"key_alias": "wanted"}"#).await.status.as_u16()
        });
    }
    let mut statuses = asking.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 400]);
    assert!(statuses[1..].iter().all(|status| *status == 400), "{statuses:?}");
    assert_eq!(house.get("/key/list").await.ok()["total_count"], 1);
}

#[tokio::test]
async fn lists_page_filter_and_sort() {
    let house = House::new().await;
    for body in [
        r#"{"key_alias": "a", "user_id": "ann", "max_budget": 3}"#,
        r#"{"key_alias": "billing", "user_id": "bob", "max_budget": 1}"#,
        r#"{"key_alias": "c", "user_id": "ann", "max_budget": 2, "team_id": "red"}"#,
    ] {
        house.new_key(body).await;
        house.advance(1000);
    }
    let page = house.get("/key/list?page=2&size=2").await.ok();
    assert_eq!((&page["total_count"], &page["total_pages"]), (&json!(3), &json!(2)));
    assert_eq!(page["keys"].as_array().unwrap().len(), 1);
    let aliases = async |query: &str| -> Vec<String> {
        let path = format!("/key/list?return_full_object=true&{query}");
        let page = house.get(&path).await.ok();
        let rows = page["keys"].as_array().unwrap().clone();
        rows.iter().map(|row| row["key_alias"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(aliases("sort_by=max_budget&sort_order=asc").await, ["billing", "c", "a"]);
    assert_eq!(aliases("user_id=ann").await, ["c", "a"]);
    assert_eq!(aliases("team_id=red").await, ["c"]);
    assert_eq!(aliases("key_alias=billing&include_team_keys=true").await, ["billing"]);
    // It searches the ends of keys too, four letters that chance has drawn.
    assert_eq!(aliases("search=BILLING").await, ["billing"]);
    for query in ["size=0", "size=101", "page=x", "sort_by=colour", "status=deleted", "expand=user"]
    {
        let refused = house.get(&format!("/key/list?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        let name = query.split('=').next().unwrap();
        assert_eq!(refused.error()["param"], name);
    }
}

#[tokio::test]
async fn the_configuration_gives_new_keys_defaults_and_ceilings() {
    let yaml = format!(
        "{}  default_key_generate_params: {{rpm_limit: 10}}\n  \
         upperbound_key_generate_params: {{max_budget: 5, rpm_limit: 20}}\n",
        crate::house::CONFIG
    );
    let house = House::with(&yaml).await;
    let made = house.post("/key/generate", "{}").await.ok();
    assert_eq!((&made["rpm_limit"], &made["max_budget"]), (&10.into(), &5.0.into()));
    let key = made["key"].as_str().unwrap();
    for (path, body) in [
        ("/key/generate", r#"{"max_budget": 5.5}"#.to_owned()),
        ("/key/update", format!(r#"{{"key": "{key}", "max_budget": 6}}"#)),
        ("/key/update", format!(r#"{{"key": "{key}", "max_budget": null}}"#)),
        ("/key/regenerate", format!(r#"{{"key": "{key}", "max_budget": 6}}"#)),
    ] {
        let answer = house.post(path, body.clone()).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
        assert_eq!(answer.error()["param"], "max_budget");
    }
    let lower = format!(r#"{{"key": "{key}", "max_budget": 1, "rpm_limit": 20}}"#);
    assert_eq!(house.post("/key/update", lower).await.status, 200);
}
