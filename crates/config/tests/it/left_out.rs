//! A deployment that cannot be served does not keep the others from it.

use crate::{env, load_bytes, load_good, problems};
use config::Verdict;

const GOOD: &str = "  - {model_name: good, litellm_params: {model: openai/gpt-4o, api_key: k}}\n";

fn beside_a_good_one(item: &str) -> config::Loaded {
    load_bytes(format!("model_list:\n{GOOD}  - {item}\n").as_bytes(), &env(&[]))
}

#[test]
fn each_cause_leaves_one_deployment_out_with_its_reason_and_line() {
    for (item, reason) in [
        (
            "{model_name: a, litellm_params: {model: openai/x, api_key: os.environ/UNSET}}",
            "the environment variable UNSET is not set",
        ),
        (
            "{model_name: a, litellm_params: {model: mistral/x}}",
            "Mistral AI API needs a key, and there is none",
        ),
        (
            "{model_name: a, litellm_params: {model: nobodys/x, api_key: k}}",
            "no provider is known for the model `nobodys/x`; write PROVIDER/MODEL, or give the \
             deployment an api_base",
        ),
        (
            "{model_name: a, litellm_params: {model: bedrock/x}}",
            "Amazon Bedrock needs the Converse dialect and SigV4, which does not exist here yet",
        ),
        (
            "{model_name: a, litellm_params: {model: openai/x, api_key: k}, model_info: {mode: rerank}}",
            "only chat, completions and embeddings are served here yet, not rerank",
        ),
        (
            "{model_name: a, litellm_params: {model: openai/x, api_key: k, max_tokens: many}}",
            "expected a whole number of at least 1",
        ),
        (
            "{model_name: a, litellm_params: {model: hosted_vllm/x}}",
            "Hosted VLLM has no address of its own",
        ),
        (
            "{model_name: a, litellm_params: {model: openai/x, api_base: nowhere, api_key: k}}",
            "a base URL begins with http:// or https://",
        ),
        ("{model_name: a}", "this model has no litellm_params"),
        (
            "{model_name: a, litellm_params: text}",
            "expected a mapping (key: value), found a single value",
        ),
    ] {
        let loaded = beside_a_good_one(item);
        let report = &loaded.report;
        assert!(report.render_text(false).ends_with("\ncan be served: 1 of 2 models\n"), "{item}");
        let config = loaded.config.unwrap_or_else(|| panic!("{item}"));
        assert_eq!(config.deployments.len(), 1, "{item}");
        let [left_out] = &config.left_out[..] else { panic!("{item}") };
        assert_eq!((&*left_out.model_group, &*left_out.reason), ("a", reason), "{item}");
        assert!(left_out.place.contains(".yaml:3:") && !left_out.is_withheld, "{}", left_out.place);
        let named = report.entries.iter().any(|entry| {
            entry.leaves_out && entry.message == format!("the deployment `a` is left out: {reason}")
        });
        assert!(named, "{item}");
    }
}

#[test]
fn an_item_without_a_name_is_left_out_too() {
    for item in ["just text", "{litellm_params: {model: openai/x, api_key: k}}", "[]"] {
        let config = beside_a_good_one(item).config.unwrap();
        assert_eq!((config.deployments.len(), config.left_out.len()), (1, 1), "{item}");
        assert!(config.left_out[0].model_group.is_empty());
    }
}

#[test]
fn a_file_of_which_nothing_is_left_is_refused() {
    let yaml = "model_list: [{model_name: a, litellm_params: {model: no_such/x}}]\n";
    let loaded = load_bytes(yaml.as_bytes(), &env(&[]));
    assert!(loaded.config.is_none());
    let text = loaded.report.render_text(false);
    assert!(text.contains("no deployment in model_list is left that can be served"), "{text}");
    assert!(text.ends_with("keymoat refuses to serve this\n"), "{text}");
    load_good("model_list: []\n", &[]);
}

#[test]
fn under_strict_one_deployment_refuses_the_file() {
    let loaded = beside_a_good_one("{model_name: a, litellm_params: {model: bedrock/x}}").strict();
    assert!(loaded.config.is_none() && loaded.report.count(Verdict::Error) == 1);
    let yaml = format!("guardrails: [{{guardrail_name: g}}]\nmodel_list:\n{GOOD}");
    let withheld = load_bytes(yaml.as_bytes(), &env(&[]));
    assert!(withheld.config.is_some());
    let withheld = load_bytes(yaml.as_bytes(), &env(&[])).strict();
    assert!(withheld.config.is_none() && withheld.report.has_errors());
    let good = load_bytes(format!("model_list:\n{GOOD}").as_bytes(), &env(&[])).strict();
    assert!(good.config.is_some());
}

/// Cooldowns and spend stay with the deployment when its twin comes back.
#[test]
fn a_deployment_keeps_its_id_when_its_twin_is_served_again() {
    let twin = |temperature: &str, key: &str| {
        format!(
            "  - {{model_name: a, litellm_params: {{model: openai/x, api_key: {key}, \
             temperature: {temperature}}}}}\n"
        )
    };
    let both = format!("model_list:\n{}{}", twin("1", "first"), twin("1", "second"));
    let ids = |yaml: &str| {
        let config = load_good(yaml, &[("BAD", "one\ntwo")]);
        config.deployments.iter().map(|each| each.id.to_string()).collect::<Vec<_>>()
    };
    let served = ids(&both);
    let one_out = both.replacen("first", "\"a\\nb\"", 1);
    assert_eq!(ids(&one_out), served[1..]);
}

#[test]
fn what_protects_is_still_refused_where_its_variable_is_not_set() {
    for setting in [
        "general_settings: {master_key: os.environ/UNSET}",
        "general_settings: {database_url: os.environ/UNSET}",
        "general_settings: {allowed_ips: [os.environ/UNSET]}",
        "general_settings: {global_max_parallel_requests: os.environ/UNSET}",
        "general_settings: {enforce_user_param: os.environ/UNSET}",
        "litellm_settings: {max_budget: os.environ/UNSET}",
        "litellm_settings: {upperbound_key_generate_params: {max_budget: os.environ/UNSET}}",
        "litellm_settings: {require_auth_for_metrics_endpoint: os.environ/UNSET}",
        "keymoat: {listen: {tls: {cert: os.environ/UNSET, key: os.environ/UNSET}}}",
    ] {
        let yaml = format!("model_list:\n{GOOD}{setting}\n");
        assert!(load_bytes(yaml.as_bytes(), &env(&[])).config.is_none(), "{setting}");
    }
    for setting in [
        "router_settings: {num_retries: os.environ/UNSET, cooldown_time: os.environ/UNSET}",
        "router_settings: {routing_strategy: os.environ/UNSET, retry_after: os.environ/UNSET}",
        "litellm_settings: {request_timeout: os.environ/UNSET, drop_params: os.environ/UNSET}",
        "environment_variables: {SOME: os.environ/UNSET}",
    ] {
        let yaml = format!("model_list:\n{GOOD}{setting}\n");
        let loaded = load_bytes(yaml.as_bytes(), &env(&[]));
        assert!(loaded.config.is_some(), "{setting}");
        assert!(loaded.report.count(Verdict::Warning) > 0, "{setting}");
    }
}

#[test]
fn a_master_key_whose_variable_is_not_set_may_come_from_litellms_own() {
    let yaml = format!("model_list:\n{GOOD}general_settings: {{master_key: os.environ/UNSET}}\n");
    let key = "sk-6fa1c2d3e4b5968778695a4b3c2d1e0f";
    let config = load_good(&yaml, &[("LITELLM_MASTER_KEY", key)]);
    assert_eq!(config.access.master_key.unwrap().expose(), key);
}

#[test]
fn values_arrive_by_their_type_and_not_as_text() {
    let yaml = "\
model_list:
  - model_name: a
    litellm_params:
      model: openai/gpt-4o
      api_key: k
      max_tokens: os.environ/MAX_OUT
      n: \"2\"
      temperature: \"0.5\"
      top_p: os.environ/TOP_P
      seed: \"-3\"
      parallel_tool_calls: os.environ/PARALLEL
      stop: 7
      response_format: os.environ/FORMAT
      logprobs: ~
      vendor_words: \"99\"
      extra_body: {max_completion_tokens: \"9\", raw: \"9\", top_k: ~}
";
    let variables = [
        ("MAX_OUT", "99"),
        ("TOP_P", "1"),
        ("PARALLEL", "false"),
        ("FORMAT", r#"{"type":"json_object"}"#),
    ];
    let config = load_good(yaml, &variables);
    let deployment = &config.deployments[0];
    let shown = |fields: &[(String, Box<serde_json::value::RawValue>)]| {
        fields.iter().map(|(name, value)| format!("{name}={}", value.get())).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(&deployment.body_defaults),
        [
            "max_tokens=99",
            "n=2",
            "temperature=0.5",
            "top_p=1",
            "seed=-3",
            "parallel_tool_calls=false",
            "stop=\"7\"",
            "response_format={\"type\":\"json_object\"}",
            "vendor_words=\"99\"",
        ]
    );
    assert_eq!(
        shown(&deployment.extra_body),
        ["max_completion_tokens=9", "raw=\"9\"", "top_k=null"]
    );
}

#[test]
fn what_only_a_client_may_say_is_named_and_not_sent() {
    let yaml = "\
model_list:
  - model_name: a
    litellm_params:
      {model: openai/gpt-4o, api_key: k, stream: true, stream_options: {include_usage: true},
       messages: [], prompt: x, extra_body: {stream: \"yes\", messages: [], model: other}}
";
    let config = load_good(yaml, &[]);
    assert!(config.deployments[0].body_defaults.is_empty());
    assert!(config.deployments[0].extra_body.is_empty());
    let named = problems(yaml, &[]);
    assert_eq!(named.len(), 6, "{named:?}");
    assert!(named.iter().all(|problem| problem.contains("only a client can say this")));
    let off = "model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: k, stream: false}}]";
    assert!(problems(off, &[]).is_empty());
}

#[test]
fn a_key_that_no_header_can_carry_leaves_its_deployment_out() {
    let by_variable = "{model_name: a, litellm_params: {model: mistral/x}}";
    let yaml = format!("model_list:\n{GOOD}  - {by_variable}\n");
    for key in ["one\ntwo", "caf\u{e9}"] {
        let loaded = load_bytes(yaml.as_bytes(), &env(&[("MISTRAL_API_KEY", key)]));
        assert!(!loaded.report.render_text(false).contains(key), "{key}");
        let config = loaded.config.unwrap();
        assert!(config.left_out[0].reason.contains("visible ASCII"), "{key}");
    }
    for key in ["\"a\\nb\"", "\"  \"", "caf\u{e9}"] {
        let item =
            format!("{{model_name: a, litellm_params: {{model: openai/x, api_key: {key}}}}}");
        assert_eq!(beside_a_good_one(&item).config.unwrap().left_out.len(), 1, "{key}");
    }
}

#[test]
fn a_list_under_drop_params_is_no_answer_as_in_litellm() {
    let yaml = "\
litellm_settings: {drop_params: true}
model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_key: k, drop_params: [tool_choice]}}
";
    let config = load_good(yaml, &[]);
    assert_eq!(config.deployments[0].drop_params, None);
    assert!(config.routing.drop_params);
    assert!(problems(yaml, &[])[0].contains("a list has no effect here"));
}

#[test]
fn a_name_that_no_request_can_carry_leaves_its_deployment_out() {
    let long = "x".repeat(100_000);
    for name in ["\"a\\tb\"", "\"a\\u0000b\"", &long] {
        let item =
            format!("{{model_name: {name}, litellm_params: {{model: openai/x, api_key: k}}}}");
        let loaded = beside_a_good_one(&item);
        assert!(loaded.report.render_text(false).len() < 2000);
        assert_eq!(loaded.config.unwrap().left_out.len(), 1);
        let item = format!("{{model_name: a, litellm_params: {{model: {name}, api_key: k}}}}");
        assert_eq!(beside_a_good_one(&item).config.unwrap().left_out.len(), 1);
    }
}

#[test]
fn an_address_to_which_no_connection_is_made_leaves_its_deployment_out() {
    for host in [
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "100.100.100.200",
        "metadata.google.internal",
        "0.0.0.0",
        "169.254.1.1",
    ] {
        let item = format!(
            "{{model_name: a, litellm_params: {{model: openai/x, api_base: \"http://{host}/v1\", api_key: k}}}}"
        );
        let config = beside_a_good_one(&item).config.unwrap();
        assert!(config.left_out[0].reason.contains("no connection to it"), "{host}");
    }
    for host in ["127.0.0.1", "10.0.0.5", "[::1]", "ollama", "8.8.8.8"] {
        let item = format!(
            "{{model_name: a, litellm_params: {{model: openai/x, api_base: \"http://{host}/v1\", api_key: \"\"}}}}"
        );
        assert!(beside_a_good_one(&item).config.unwrap().left_out.is_empty(), "{host}");
    }
}

#[test]
fn a_variable_that_moves_where_a_key_goes_is_named() {
    let yaml = "model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o}}]\n";
    let key = ("OPENAI_API_KEY", "sk-some-key-or-other");
    let moved = problems(yaml, &[key, ("OPENAI_BASE_URL", "https://proxy.example/v1")]);
    assert_eq!(
        moved,
        ["0:0 warning OPENAI_BASE_URL: the key for OpenAI goes to https://proxy.example, as \
             this variable says, and not to OpenAI's own host"]
    );
    assert!(problems(yaml, &[key, ("OPENAI_BASE_URL", "https://api.openai.com/v1")]).is_empty());
    let local = "model_list: [{model_name: a, litellm_params: {model: ollama_chat/x}}]\n";
    assert!(problems(local, &[("OLLAMA_API_BASE", "http://gpu:11434")]).is_empty());
}
