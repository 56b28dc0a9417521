//! `keymoat keys` and `keymoat models`: asks a running gateway, as its
//! administrator.

use crate::cli::{Keys, Limits, Remote};
use crate::say;
use base::{Origin, Secret};
use bytes::Bytes;
use config::Env as _;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use vault::{AuthScheme, Credential, Outgoing};

/// What is said where none answers.
const NO_GATEWAY: &str = "hint: is `keymoat serve` running";
const NO_KEY: &str = "no master key";
/// The largest answer that is read.
const ANSWER_MAX_BYTES: usize = 16 << 20;

/// `keymoat keys …`
pub(crate) fn keys(keys: Keys) -> ExitCode {
    let done = match keys {
        Keys::Generate { limits, remote } => body(&limits).and_then(|body| {
            let made = ask(&remote, Method::POST, "/key/generate", Some(body))?;
            print(&remote, &made, once)
        }),
        Keys::Regenerate { key, remote } => {
            let body = Some(json!({"key": key}));
            ask(&remote, Method::POST, "/key/regenerate", body)
                .and_then(|made| print(&remote, &made, once))
        }
        Keys::List { page, size, remote } => {
            let path = format!("/key/list?page={page}&size={size}&return_full_object=true");
            ask(&remote, Method::GET, &path, None).and_then(|listed| print(&remote, &listed, list))
        }
        Keys::Info { key, remote } => {
            ask(&remote, Method::GET, &format!("/key/info?key={}", in_query(&key)), None).and_then(
                |info| print(&remote, &info, |info| details(info.get("info").unwrap_or(info))),
            )
        }
        Keys::Update { key, limits, remote } => body(&limits).and_then(|mut body| {
            if let Some(fields) = body.as_object_mut() {
                fields.insert("key".into(), key.into());
            }
            let updated = ask(&remote, Method::POST, "/key/update", Some(body))?;
            print(&remote, &updated, details)
        }),
        Keys::Block { key, remote } => post(&remote, "/key/block", json!({"key": key})),
        Keys::Unblock { key, remote } => post(&remote, "/key/unblock", json!({"key": key})),
        Keys::Delete { keys, remote } => post(&remote, "/key/delete", json!({"keys": keys})),
    };
    exit(done)
}

/// `keymoat models`
pub(crate) fn models(remote: &Remote) -> ExitCode {
    let listed = ask(remote, Method::GET, "/model_group/info", None);
    exit(listed.and_then(|listed| {
        print(remote, &listed, |listed| {
            let heading = ["MODEL GROUP", "PROVIDERS", "MODE", "INPUT TOKENS", "$/M IN", "$/M OUT"];
            let mut rows = vec![heading.map(str::to_owned).to_vec()];
            let groups = listed.get("data").and_then(Value::as_array);
            rows.extend(groups.into_iter().flatten().map(|group| {
                vec![
                    text(group, "model_group"),
                    text(group, "providers"),
                    text(group, "mode"),
                    text(group, "max_input_tokens"),
                    per_million(group, "input_cost_per_token"),
                    per_million(group, "output_cost_per_token"),
                ]
            }));
            say::table(&rows)
        })
    }))
}

fn exit(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn post(remote: &Remote, path: &str, body: Value) -> Result<(), String> {
    let done = ask(remote, Method::POST, path, Some(body))?;
    print(remote, &done, details)
}

fn print(
    remote: &Remote,
    answer: &Value,
    people: impl FnOnce(&Value) -> String,
) -> Result<(), String> {
    let shown = if remote.json {
        serde_json::to_string_pretty(answer).map_err(|error| error.to_string())? + "\n"
    } else {
        people(answer)
    };
    say::out(&shown);
    Ok(())
}

fn once(made: &Value) -> String {
    format!("{}\n\nThis key is shown once; only its hash is kept.\n", text(made, "key"))
}

fn list(listed: &Value) -> String {
    let heading = ["KEY", "ALIAS", "SPEND $", "BUDGET $", "RPM", "TPM", "STATE", "HASH"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let keys = listed.get("keys").and_then(Value::as_array);
    rows.extend(keys.into_iter().flatten().map(|key| {
        let blocked = key.get("blocked").and_then(Value::as_bool).unwrap_or(false);
        let hash: String = text(key, "token").chars().take(16).collect();
        vec![
            text(key, "key_name"),
            text(key, "key_alias"),
            text(key, "spend"),
            text(key, "max_budget"),
            text(key, "rpm_limit"),
            text(key, "tpm_limit"),
            if blocked { "blocked" } else { "active" }.to_owned(),
            format!("{hash}…"),
        ]
    }));
    format!("{}{} in all\n", say::table(&rows), text(listed, "total_count"))
}

/// The fields that say something, one a line.
fn details(object: &Value) -> String {
    let rows: Vec<Vec<String>> = object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !(value.is_null() || is_empty(value)))
        .map(|(name, _)| vec![name.clone(), text(object, name)])
        .collect();
    say::table(&rows)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn text(object: &Value, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items =
                items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
            items.collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

/// A price for a token, by the million; exact.
fn per_million(group: &Value, name: &str) -> String {
    let price = text(group, name).parse::<base::Decimal>();
    price.map_or_else(
        |_| String::new(),
        |price| match price.scale().checked_sub(6) {
            Some(scale) => base::Decimal::new(price.mantissa(), scale).to_string(),
            None => price.at_scale(6).map_or_else(String::new, |millionths| millionths.to_string()),
        },
    )
}

/// The limits that were given, as LiteLLM's body.
pub(crate) fn body(limits: &Limits) -> Result<Value, String> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("key_alias", limits.alias.clone().map(Value::from));
    put("models", (!limits.models.is_empty()).then(|| limits.models.clone().into()));
    put("budget_duration", limits.budget_duration.clone().map(Value::from));
    put("rpm_limit", limits.rpm_limit.map(Value::from));
    put("tpm_limit", limits.tpm_limit.map(Value::from));
    put("max_parallel_requests", limits.max_parallel_requests.map(Value::from));
    put("duration", limits.duration.clone().map(Value::from));
    if let Some(budget) = &limits.max_budget {
        let number = budget.parse().map_err(|_| format!("--max-budget {budget}: not a number"))?;
        put("max_budget", Some(Value::Number(number)));
    }
    Ok(Value::Object(fields))
}

fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push('%');
            quoted.push_str(&base::id::hex(&[byte]).to_ascii_uppercase());
        }
    }
    quoted
}

/// Why no gateway can be asked there; nothing if one answers, whatever it says.
pub(crate) fn unreachable(remote: &Remote) -> Option<String> {
    let problem = ask(remote, Method::GET, "/health/liveliness", None).err()?;
    [NO_GATEWAY, NO_KEY].iter().any(|known| problem.contains(known)).then_some(problem)
}

/// One request to the gateway.
pub(crate) fn ask(
    remote: &Remote,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, String> {
    let (origin, base) = Origin::parse_base(&remote.url)
        .map_err(|error| format!("--url {}: {error}", remote.url))?;
    let key = master_key(remote)?;
    let credential =
        Credential::new("master".into(), AuthScheme::Bearer, &key, vec![origin.clone()])
            .map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let outgoing = Outgoing::new(origin.clone(), method, format!("{base}{path}"), headers);
    let authorized = credential.attach(outgoing).map_err(|error| error.to_string())?;
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut settings = egress::Settings::default();
        if let Some(file) = &remote.ca {
            let pem = config::read_file(file, config::PEM_MAX_BYTES);
            let pem = pem.map_err(|problem| format!("{}: {problem}", file.display()))?;
            settings.roots = egress::Roots::Pem(vec![(file.clone(), pem)]);
        }
        let egress = egress::Egress::new(settings).map_err(|error| error.to_string())?;
        let mut policy = egress::Policy::default();
        policy.allow(origin, egress::Reach::Named);
        let egress = egress.allowing(&policy);
        let limits = egress::Limits { head_ms: 60_000, idle_ms: 60_000, total_ms: 120_000 };
        let answer = egress
            .send(authorized, body, limits)
            .await
            .map_err(|error| format!("{error}\n{NO_GATEWAY}? --url says where"))?;
        let status = answer.status();
        let bytes = gateway::body::read_capped(answer.into_body(), ANSWER_MAX_BYTES).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|_| format!("{} answered {status} without JSON", remote.url))?;
        if status.is_success() {
            return Ok(value);
        }
        let message = value.pointer("/error/message").or(value.get("detail")).unwrap_or(&value);
        Err(format!(
            "{status}: {}",
            message.as_str().map_or_else(|| message.to_string(), str::to_owned)
        ))
    })
}

fn master_key(remote: &Remote) -> Result<Secret, String> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map(|text| Secret::new(text.trim().to_owned()))
    };
    if let Some(file) = &remote.key_file {
        return read(file).map_err(|error| format!("--key-file {}: {error}", file.display()));
    }
    if let Some(key) = config::ProcessEnv.var("LITELLM_MASTER_KEY") {
        return Ok(Secret::new(key));
    }
    let config = config::defaults(&config::ProcessEnv).config;
    let file = config.map(|config| config.settings.data_dir.join("master_key"));
    file.and_then(|file| read(&file).ok())
        .ok_or_else(|| format!("{NO_KEY}: set LITELLM_MASTER_KEY, or give --key-file FILE"))
}

#[cfg(test)]
mod tests {
    use super::{in_query, per_million};
    use serde_json::json;

    #[test]
    fn prices_by_the_million_are_exact() {
        let price = |text: &str| {
            let group = json!({"p": text});
            per_million(&group, "p")
        };
        assert_eq!(price("0.0000025"), "2.5");
        assert_eq!(price("0.00000015"), "0.15");
        assert_eq!(price("0.001"), "1000");
        assert_eq!(price(""), "");
    }

    #[test]
    fn what_goes_into_a_query_is_quoted() {
        assert_eq!(in_query("sk-a&b=c/é"), "sk-a%26b%3Dc%2F%C3%A9");
    }
}
