//! Spend records as rows and by day.

use crate::house::House;
use ledger::Ending;
use serde_json::json;

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn a_record_that_was_acknowledged_is_there_at_once() {
    let house = House::new().await;
    house.post("/key/generate", r#"{"key": "sk-golden-key-0002", "max_budget": 1}"#).await.ok();
    house.spend(Some("sk-golden-key-0002"), 1, 25_000, |record| {
        record.user_id = Some("ann".into());
        record.tags = vec!["red".into()];
        record.requester_ip = Some("127.0.0.1".into());
    });
    house.spend(None, 2, 0, |record| {
        record.ending = Ending::UpstreamErrorBefore;
        record.status = 500;
        record.error_class = Some("server".into());
        record.first_byte_ms = None;
    });
    let all = house.get("/spend/logs").await;
    assert_eq!(all.json().as_array().unwrap().len(), 2);
    let own = house.get("/spend/logs?api_key=sk-golden-key-0002").await;
    own.is_golden("spend_logs");
    assert!(!own.text.contains("sk-golden"), "{}", own.text);
    let failed = house.get("/spend/logs?request_id=call-2").await.ok();
    assert_eq!(failed[0]["status"], "failure");
    assert_eq!(failed[0]["api_key"], "litellm_proxy_master_key");
    assert_eq!(failed[0]["metadata"]["ending"], "upstream_error_before");
    assert_eq!(house.get("/spend/logs?user_id=ann").await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn days_sum_up_unless_rows_are_asked_for() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    house.spend(Some(&key), 1, 1_000_000_001, |record| record.user_id = Some("ann".into()));
    house.spend(None, 2, 2, |_| {});
    house.advance(DAY_MS);
    house.spend(None, 3, 3, |_| {});
    let both = "/spend/logs?start_date=2026-03-24&end_date=2026-03-25";
    let days = house.get(both).await.ok();
    assert_eq!(days[0]["startTime"], "2026-03-24");
    assert_eq!(days[0]["spend"], json!(1.000_000_003));
    assert_eq!(days[0]["users"]["ann"], json!(1.000_000_001));
    assert_eq!(days[0]["models"]["chat"], json!(1.000_000_003));
    assert_eq!(days[0]["api_keys"][house.hash(&key).to_string()], json!(1.000_000_001));
    assert_eq!(days[1]["spend"], json!(3e-9));
    let rows = house.get(&format!("{both}&summarize=false")).await.ok();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let one_day = "/spend/logs?start_date=2026-03-24&end_date=2026-03-24&summarize=false";
    assert_eq!(house.get(one_day).await.ok().as_array().unwrap().len(), 2);
    let since = "/spend/logs?start_date=2026-03-25 00:00:00".replace(' ', "%20");
    assert_eq!(house.get(&since).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_come_in_pages_and_say_when_there_are_more() {
    let house = House::new().await;
    for call in 0..5 {
        house.spend(None, call, 1, |_| {});
        house.advance(1);
    }
    let page = house.get("/spend/logs?limit=2&offset=1").await;
    assert_eq!(page.headers["x-keymoat-more"], "true");
    let rows = page.ok();
    assert_eq!(
        (&rows[0]["request_id"], &rows[1]["request_id"]),
        (&json!("call-3"), &json!("call-2"))
    );
    let last = house.get("/spend/logs?limit=2&offset=3").await;
    assert!(!last.headers.contains_key("x-keymoat-more"));
    for query in ["limit=0", "limit=1001", "offset=-1", "start_date=soon", "summarize=maybe"] {
        let refused = house.get(&format!("/spend/logs?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(refused.error()["param"], query.split('=').next().unwrap());
    }
    let backwards = house.get("/spend/logs?start_date=2026-03-25&end_date=2026-03-24").await;
    assert_eq!(backwards.status, 400);
}
