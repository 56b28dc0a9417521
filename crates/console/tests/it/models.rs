//! What may be asked for, and what it costs.

use crate::house::{CONFIG, House};
use http::Request;
use http_body_util::Full;
use serde_json::Value;

fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_has_groups_aliases_and_what_a_wildcard_serves() {
    let house = House::new().await;
    let names = ids(&house.get("/v1/models").await.ok());
    assert_eq!(names[..3], ["chat", "embed", "fast"]);
    assert!(names[3..].iter().all(|name| name.starts_with("anthropic/claude")), "{names:?}");
    assert!(names.len() > 5);
    assert!(!names.contains(&"ghost".to_owned()));
    assert_eq!(ids(&house.get("/models").await.ok()), names);
    let with_patterns = ids(&house.get("/v1/models?return_wildcard_routes=true").await.ok());
    assert_eq!(with_patterns.len(), names.len() + 1);
    assert!(with_patterns.contains(&"anthropic/*".to_owned()));
}

#[tokio::test]
async fn a_key_sees_its_own_models_only() {
    let house = House::new().await;
    let key = house.new_key(r#"{"models": ["chat", "anthropic/claude-of-next-year"]}"#).await;
    house.get_as(&key, "/v1/models").await.is_golden("models_of_a_key");
    assert_eq!(house.get_as(&key, "/v1/models/chat").await.status, 200);
    assert_eq!(house.get_as(&key, "/v1/models/anthropic/claude-of-next-year").await.status, 200);
    assert_eq!(house.get_as(&key, "/models/anthropic%2Fclaude-of-next-year").await.status, 200);
    for hidden in ["embed", "fast", "no-such-model", "%ff", "a%00b"] {
        let answer = house.get_as(&key, &format!("/v1/models/{hidden}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{hidden}: {}", answer.status);
    }
    let infos = house.get_as(&key, "/model/info").await.ok();
    assert!(infos["data"].as_array().unwrap().iter().all(|row| row["model_name"] == "chat"));
    let groups = house.get_as(&key, "/model_group/info").await.ok();
    assert_eq!(groups["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn anthropics_clients_get_anthropics_shape_in_pages() {
    let house = House::new().await;
    let key = house.new_key(r#"{"models": ["chat", "embed", "fast"]}"#).await;
    let get = async |query: &str| {
        let request = Request::get(format!("/v1/models{query}"))
            .header("x-api-key", &key)
            .header("anthropic-version", "2023-06-01");
        house.send(request.body(Full::default()).unwrap()).await
    };
    get("?limit=2").await.is_golden("models_anthropic");
    let rest = get("?limit=2&after_id=embed").await.ok();
    assert_eq!((ids(&rest), &rest["has_more"]), (vec!["fast".to_owned()], &Value::Bool(false)));
    let before = get("?limit=1&before_id=fast").await.ok();
    assert_eq!((ids(&before), &before["has_more"]), (vec!["embed".to_owned()], &Value::Bool(true)));
    assert_eq!(get("?after_id=nobody").await.status, 400);
    assert_eq!(get("/chat").await.ok()["type"], "model");
    get("/ghosts").await.is_golden("unknown_model_anthropic");
}

#[tokio::test]
async fn metadata_names_the_fallbacks() {
    let house = House::new().await;
    let list = house.get("/v1/models?include_metadata=true").await.ok();
    assert_eq!(list["data"][0]["metadata"]["fallbacks"], serde_json::json!(["embed"]));
    let path = "/v1/models?include_metadata=true&fallback_type=context_window";
    let list = house.get(path).await.ok();
    assert_eq!(list["data"][0]["metadata"]["fallbacks"], serde_json::json!([]));
    assert_eq!(house.get("/v1/models?fallback_type=any").await.status, 400);
}

#[tokio::test]
async fn info_spells_prices_as_their_source_does_and_shows_no_secret() {
    let house = House::new().await;
    let one = house.get("/model/info?litellm_model_id=pretend").await;
    one.is_golden("model_info");
    let all = house.get("/v1/model/info").await;
    assert!(!all.text.contains("secret"), "{}", all.text);
    let listed = catalog::model("openai", "gpt-4o").unwrap();
    let price = listed.price("input_cost_per_token").unwrap();
    assert!(all.text.contains(&format!("\"input_cost_per_token\":{price},")), "{}", all.text);
    let rows = all.json()["data"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0]["model_info"]["max_input_tokens"], 128_000);
    assert_eq!(rows[0]["model_info"]["supports_vision"], true);
    assert_eq!(house.get("/model/info?litellm_model_id=none").await.status, 400);
}

#[tokio::test]
async fn a_group_is_as_able_and_as_dear_as_any_of_its_deployments() {
    let house = House::new().await;
    let group = house.get("/model_group/info?model_group=chat").await;
    assert!(group.text.contains("\"input_cost_per_token\":0.0000026,"), "{}", group.text);
    let row = group.ok()["data"][0].clone();
    assert_eq!(row["providers"], serde_json::json!(["openai"]));
    assert_eq!(row["supports_function_calling"], true);
    let names = house.get("/model_group/info").await.ok();
    let names: Vec<_> =
        names["data"].as_array().unwrap().iter().map(|r| r["model_group"].clone()).collect();
    assert_eq!(names, ["chat", "embed", "anthropic/*", "fast"]);
    let captured =
        house.get("/model_group/info?model_group=anthropic/claude-sonnet-4-5").await.ok();
    assert_eq!(captured["data"][0]["mode"], "chat");
    assert_eq!(house.get("/model_group/info?model_group=none").await.status, 404);
}

#[tokio::test]
async fn the_newer_line_says_more_of_a_model() {
    let house = House::with(&format!("{CONFIG}keymoat:\n  compat: '1.109'\n")).await;
    let list = house.get("/v1/models").await.ok();
    assert_eq!(list["data"][0]["mode"], "chat");
    assert_eq!(list["data"][0]["max_input_tokens"], 128_000);
}

/// Names whose order is not that of the alphabet, some of which cannot be served.
const MIXED: &str = r#"
model_list:
  - model_name: zebra
    litellm_params: {model: openai/gpt-4o, api_key: sk-secret-of-the-provider}
  - model_name: out
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/UNSET_KEY}
  - model_name: "wild/*"
    litellm_params: {model: "anthropic/*", api_key: sk-secret-of-the-provider}
  - model_name: apple
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-secret-of-the-provider}
  - model_name: zebra
    litellm_params: {model: bedrock/anything}
router_settings:
  model_group_alias: {yak: zebra, ant: apple, gone: out}
"#;

#[tokio::test]
async fn the_list_is_in_the_order_of_the_configuration() {
    let house = House::with(MIXED).await;
    let names = ids(&house.get("/v1/models").await.ok());
    assert_eq!(names[..4], ["zebra", "apple", "yak", "ant"]);
    assert!(names[4..].iter().all(|name| name.starts_with("wild/")), "{names:?}");
    let groups = house.get("/model_group/info").await.ok();
    let groups: Vec<_> = groups["data"].as_array().unwrap().iter().collect();
    let groups: Vec<_> = groups.iter().map(|row| row["model_group"].as_str().unwrap()).collect();
    assert_eq!(groups, ["zebra", "wild/*", "apple", "yak", "ant"]);
}

#[tokio::test]
async fn info_names_what_cannot_be_served_and_the_list_does_not() {
    let house = House::with(MIXED).await;
    assert_eq!(house.get("/v1/models/out").await.status, 404);
    assert_eq!(house.get("/v1/models/gone").await.status, 404);
    assert_eq!(house.get("/model_group/info?model_group=out").await.status, 404);
    let rows = house.get("/v1/model/info").await.ok();
    let rows = rows["data"].as_array().unwrap();
    let out: Vec<_> = rows.iter().filter(|row| row["model_info"]["left_out"].is_string()).collect();
    assert_eq!(out.len(), 2);
    assert_eq!(
        (&out[0]["model_name"], &out[0]["litellm_params"]["model"]),
        (&Value::from("zebra"), &Value::from("bedrock/anything"))
    );
    assert_eq!(out[1]["model_info"]["left_out"], "the environment variable UNSET_KEY is not set");
    let id = out[1]["model_info"]["id"].as_str().unwrap();
    let one = house.get(&format!("/model/info?litellm_model_id={id}")).await.ok();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
}
