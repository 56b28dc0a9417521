//! Probes, cooldowns, metrics, and the page at `/`.

use crate::house::{Answer, CONFIG, House};
use gateway::health::{CooldownRules, Outcome};
use http::{Method, Request, StatusCode};
use http_body_util::Full;

async fn open(house: &House, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    house.send(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn probes_need_no_key() {
    let mut house = House::new().await;
    for path in ["/health/liveliness", "/health/liveness"] {
        assert_eq!(open(&house, Method::GET, path).await.text, "\"I'm alive!\"");
    }
    let ready = open(&house, Method::GET, "/health/readiness").await.ok();
    assert_eq!(
        (ready["status"].as_str(), ready["db"].as_str()),
        (Some("healthy"), Some("connected"))
    );
    assert_eq!(ready["success_callbacks"], serde_json::json!([]));
    assert!(ready["litellm_version"].is_string() && ready["cache"].is_null());

    house.lose_the_store();
    let ready = open(&house, Method::GET, "/health/readiness").await;
    assert_eq!((ready.status.as_u16(), ready.json()["db"].as_str()), (503, Some("disconnected")));
    assert_eq!(open(&house, Method::GET, "/health/liveness").await.status, 200);

    house.console.drain();
    let stopping = open(&house, Method::GET, "/health/liveness").await;
    assert_eq!(stopping.status, 503);
    assert_eq!(stopping.text, r#"{"status":"shutting_down"}"#);
}

#[tokio::test]
async fn the_newer_line_says_less_to_strangers() {
    let house = House::with(&format!("{CONFIG}keymoat:\n  compat: '1.109'\n")).await;
    let ready = open(&house, Method::GET, "/health/readiness").await;
    assert_eq!(ready.text, r#"{"status":"healthy","db":"connected"}"#);
}

#[tokio::test]
async fn a_deployment_that_cools_down_is_unhealthy_and_says_for_how_long() {
    let house = House::new().await;
    let all = house.get("/health").await.ok();
    assert_eq!(
        (all["healthy_count"].as_u64(), all["unhealthy_count"].as_u64()),
        (Some(4), Some(0))
    );
    let runtime = house.gateway.runtime();
    let group = runtime.routes.find("chat").unwrap().group;
    let pretend = group.deployments.iter().find(|d| &*d.id == "pretend").unwrap();
    let rules = CooldownRules { disabled: false, cooldown_ms: 5000, allowed_fails: None };
    let failed = Outcome::Failure(Some(StatusCode::TOO_MANY_REQUESTS));
    assert!(pretend.health.observe(failed, house.gateway.clock().unix_ms(), false, None, &rules));
    let chat = house.get("/health?model=chat").await;
    assert!(!chat.text.contains("secret"), "{}", chat.text);
    let chat = chat.ok();
    assert_eq!(
        (chat["healthy_count"].as_u64(), chat["unhealthy_count"].as_u64()),
        (Some(1), Some(1))
    );
    let ill = &chat["unhealthy_endpoints"][0];
    assert_eq!(ill["model_id"], "pretend");
    assert!(ill["error"].as_str().unwrap().contains("5 s"), "{ill}");
    house.advance(5000);
    assert_eq!(house.get("/health").await.ok()["unhealthy_count"], 0);
}

#[tokio::test]
async fn metrics_want_the_master_key_unless_the_configuration_opens_them() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let refused = house.get_as(&key, "/metrics").await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text.contains("litellm_spend_metric"), "{}", refused.text);
    assert_eq!(open(&house, Method::GET, "/metrics").await.status, 401);
    let answer = house.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.text.contains("litellm_spend_metric"));

    let house = House::with(&format!("{CONFIG}keymoat: {{metrics_key: any}}\n")).await;
    let key = house.new_key("{}").await;
    assert_eq!(house.get_as(&key, "/metrics").await.status, 200);
    assert_eq!(open(&house, Method::GET, "/metrics").await.status, 401);
    let opened = "  require_auth_for_metrics_endpoint: false\n";
    let house = House::with(&format!("{CONFIG}{opened}")).await;
    assert_eq!(open(&house, Method::GET, "/metrics").await.status, 200);
}

#[tokio::test]
async fn the_root_says_what_this_is() {
    let house = House::new().await;
    let root = open(&house, Method::GET, "/").await.ok();
    assert_eq!(root["name"], "Keymoat");
    let head = open(&house, Method::HEAD, "/").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}
