//! The smaller routes of LiteLLM's, and the list of all.

use crate::house::{House, MASTER};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

#[tokio::test]
async fn every_route_that_is_listed_is_there_and_described() {
    let house = House::new().await;
    let listed = house.get_as("", "/routes").await.ok();
    let document = house.get_as("", "/openapi.json").await.ok();
    let routes = listed["routes"].as_array().unwrap();
    assert!(routes.len() > 40, "{}", routes.len());
    let described: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(described, routes.len());
    for route in routes {
        let (path, method) =
            (route["path"].as_str().unwrap(), route["methods"][0].as_str().unwrap());
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation["operationId"].as_str().is_some_and(|id| !id.contains("__")), "{path}");
        let names: Vec<&str> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(
            parameters.iter().map(|p| p["name"].as_str().unwrap()).collect::<Vec<_>>(),
            names
        );
        if gateway::paths::surface(&path.replace("{model}", "m")).is_some() {
            continue;
        }
        let here = path.replace("{key}", "sk-nobody").replace("{id}", "chat");
        let request = Request::builder().method(method).uri(&here).body(Full::default()).unwrap();
        let answer = house.send(request).await;
        let is_missing = answer.status == 405
            || (answer.status == 404 && answer.text.contains("There is nothing at"));
        assert!(!is_missing, "{method} {here}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_answer_carries_an_id_where_its_client_reads_it() {
    let house = House::new().await;
    for path in ["/v1/models", "/health/liveliness", "/nothing", "/key/info"] {
        for (version, header) in [(None, "x-request-id"), (Some("2023-06-01"), "request-id")] {
            let mut request = Request::get(path);
            if let Some(version) = version {
                request = request.header("anthropic-version", version);
            }
            let answer = house.send(request.body(Full::default()).unwrap()).await;
            assert!(answer.headers[header].len() > 10, "{path}");
            assert_eq!(answer.headers[header], answer.headers["x-litellm-call-id"], "{path}");
        }
    }
}

#[tokio::test]
async fn telemetry_is_thrown_away_within_bounds_and_without_a_key() {
    let house = House::new().await;
    let path = "/api/event_logging/batch";
    let batch = r#"{"events":[{"event_type":"x"}]}"#;
    assert_eq!(house.post_as("", path, batch).await.ok(), json!({"status": "ok"}));
    let large = vec![b'x'; (4 << 20) + 1];
    assert_eq!(house.post_as("", path, large).await.status, 413);
}

#[tokio::test]
async fn a_prompts_tokens_are_estimated_for_the_models_that_a_key_may_use() {
    let house = House::new().await;
    let path = "/utils/token_counter";
    let chat = r#"{"model":"chat","messages":[{"role":"user","content":"Hello, how are you?"}]}"#;
    let counted = house.post(path, chat).await.ok();
    assert_eq!(
        (&counted["request_model"], &counted["model_used"]),
        (&json!("chat"), &json!("openai/gpt-4o"))
    );
    assert_eq!(counted["tokenizer_type"], "estimate");
    let total = counted["total_tokens"].as_u64().unwrap();
    assert!((6..60).contains(&total), "{total}");
    let prompt = house.post(path, r#"{"model":"chat","prompt":"Hello, how are you?"}"#).await.ok();
    assert_eq!(prompt["total_tokens"], total);
    let long = chat.replace("Hello", &"Hello ".repeat(1000));
    assert!(house.post(path, long).await.ok()["total_tokens"].as_u64().unwrap() > 1000);

    let key = house.new_key(r#"{"models": ["embed"]}"#).await;
    assert_eq!(house.post_as(&key, path, chat).await.status, 403);
    assert_eq!(house.post_as("sk-nobody", path, chat).await.status, 401);
    for wrong in ["{}", r#"{"model":"chat"}"#, r#"{"model":"chat","messages":7}"#] {
        assert_eq!(house.post(path, wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn the_cost_of_a_call_follows_from_its_usage_and_the_prices() {
    let house = House::new().await;
    let path = "/spend/calculate";
    let cost =
        async |body: Value| house.post(path, body.to_string()).await.ok()["cost"].to_string();
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100});
    let answer = json!({"id": "x", "object": "chat.completion", "model": "chat", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ], "usage": usage});
    // The group's first deployment, gpt-4o: 2.5 and 10 dollars a million.
    assert_eq!(cost(json!({"completion_response": answer})).await, "0.0035");
    assert_eq!(
        cost(json!({"model": "openai/gpt-4o", "completion_response": answer})).await,
        "0.0035"
    );
    let claude = json!({"type": "message", "model": "anthropic/claude-sonnet-4-5", "role": "assistant",
        "content": [], "usage": {"input_tokens": 1000, "output_tokens": 100}});
    assert_eq!(cost(json!({"completion_response": claude})).await, "0.0045");
    let prompt = json!({"model": "chat", "messages": [{"role": "user", "content": "Hi"}]});
    assert!(cost(prompt).await.parse::<f64>().unwrap() > 0.0);
    for (body, status) in [
        (json!({}), 400),
        (json!({"model": "nobody/nothing", "prompt": "Hi"}), 404),
        (json!({"completion_response": {"model": "chat"}}), 400),
        (json!({"completion_response": 7}), 400),
    ] {
        assert_eq!(house.post(path, body.to_string()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn aliases_are_listed_by_page() {
    let house = House::new().await;
    for body in
        [r#"{"key_alias":"b-two"}"#, r#"{"key_alias":"a-one"}"#, "{}", r#"{"key_alias":"c"}"#]
    {
        house.new_key(body).await;
    }
    let all = house.get("/key/aliases?size=2").await.ok();
    assert_eq!(
        all,
        json!({"aliases": ["a-one", "b-two"], "total_count": 3, "current_page": 1, "total_pages": 2, "size": 2})
    );
    assert_eq!(house.get("/key/aliases?size=2&page=2").await.ok()["aliases"], json!(["c"]));
    assert_eq!(house.get("/key/aliases?search=two").await.ok()["aliases"], json!(["b-two"]));
    let key = house.new_key("{}").await;
    assert_eq!(house.get_as(&key, "/key/aliases").await.status, 401);
}

#[tokio::test]
async fn a_key_that_may_call_is_healthy() {
    let house = House::new().await;
    let key = house.new_key("{}").await;
    let healthy = json!({"key": "healthy", "logging_callbacks": null});
    assert_eq!(house.post_as(&key, "/key/health", "").await.ok(), healthy);
    house.post("/key/block", format!(r#"{{"key":"{key}"}}"#)).await.ok();
    assert_eq!(house.post_as(&key, "/key/health", "").await.status, 401);
}

#[tokio::test]
async fn what_a_key_has_spent_is_lowered_and_its_calls_go_on_from_there() {
    let house = House::new().await;
    let key = house.new_key(r#"{"max_budget": 2, "spend": 1.5}"#).await;
    let hash = house.hash(&key).to_string();
    for named in [&key, &hash] {
        let path = format!("/key/{named}/reset_spend");
        let before = house.get(&format!("/key/info?key={key}")).await.ok()["info"]["spend"].clone();
        let reset = house.post(&path, r#"{"reset_to": 0.5}"#).await.ok();
        assert_eq!(reset["spend"].to_string(), "0.5");
        assert_eq!((&reset["previous_spend"], &reset["key_hash"]), (&before, &json!(hash)));
    }
    let tally = house.principal(&key).await.money.as_ref().unwrap().usage();
    assert_eq!(tally.spent, 500_000_000);
    let path = format!("/key/{key}/reset_spend");
    for (body, status) in [
        (r#"{"reset_to": 0.75}"#, 400),
        (r#"{"reset_to": -1}"#, 400),
        ("{}", 400),
        (r#"{"reset_to": 0, "x": 1}"#, 400),
    ] {
        assert_eq!(house.post(&path, body).await.status, status, "{body}");
    }
    assert_eq!(house.post("/key/sk-nobody/reset_spend", r#"{"reset_to": 0}"#).await.status, 404);
    assert_eq!(house.post_as(&key, &path, r#"{"reset_to": 0}"#).await.status, 401);
}

#[tokio::test]
async fn keys_are_changed_together_and_one_that_fails_stops_no_other() {
    let house = House::new().await;
    let (first, second) = (house.new_key("{}").await, house.new_key("{}").await);
    let body = json!({"keys": [
        {"key": first, "max_budget": 5, "tags": ["red"]},
        {"key": "sk-nobody", "max_budget": 5},
        {"key": second, "max_budgett": 5},
        {"max_budget": 5},
        {"key": second, "team_id": "t"},
    ]});
    let answer = house.post("/key/bulk_update", body.to_string()).await.ok();
    assert_eq!(answer["total_requested"], 5);
    let changed = answer["successful_updates"].as_array().unwrap();
    assert_eq!((changed.len(), &changed[0]["key"]), (2, &json!(first)));
    assert_eq!(changed[0]["key_info"]["max_budget"].to_string(), "5.0");
    assert_eq!(changed[1]["key_info"]["team_id"], "t");
    let failed = answer["failed_updates"].as_array().unwrap();
    assert_eq!(failed.len(), 3);
    assert!(failed[1]["failed_reason"].as_str().unwrap().contains("max_budgett"), "{failed:?}");
    let info = house.get(&format!("/key/info?key={first}")).await.ok();
    assert_eq!(info["info"]["tags"], json!(["red"]));
    for (key, body, status) in [
        (MASTER, "{}", 400),
        (MASTER, r#"{"keys": []}"#, 400),
        (MASTER, r#"{"keys": 7}"#, 400),
        (&*first, r#"{"keys": [{}]}"#, 401),
    ] {
        assert_eq!(house.post_as(key, "/key/bulk_update", body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn deployments_are_listed_by_page() {
    let house = House::new().await;
    let all = house.get("/v2/model/info").await.ok();
    let rows = |answer: &Value| answer["data"].as_array().unwrap().len();
    assert_eq!((rows(&all), &all["total_count"]), (4, &json!(4)));
    let first = house.get("/model/info").await.ok();
    assert_eq!(all["data"], first["data"]);
    let page = house.get("/v2/model/info?size=3&page=2").await.ok();
    assert_eq!((rows(&page), &page["total_pages"]), (1, &json!(2)));
    assert_eq!(rows(&house.get("/v2/model/info?model=chat").await.ok()), 2);
    assert_eq!(rows(&house.get("/v2/model/info?search=EMB").await.ok()), 1);
    assert_eq!(rows(&house.get("/v2/model/info?modelId=pretend").await.ok()), 1);
    let key = house.new_key(r#"{"models": ["embed"]}"#).await;
    assert_eq!(rows(&house.get_as(&key, "/v2/model/info").await.ok()), 1);
}
