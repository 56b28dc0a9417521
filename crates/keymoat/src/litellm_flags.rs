//! LiteLLM's own command line, so that its start command works as it is:
//! `keymoat --config FILE --port N --num_workers N …`.
//!
//! Every option of LiteLLM 1.83 and 1.109 is a row of [`OPTIONS`]: honoured,
//! accepted with a note that says why it has no effect here, or refused with
//! what to do instead. What is not in the table is left to `keymoat serve`.

use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;

/// What becomes of an option.
#[derive(Clone, Copy)]
enum Does {
    /// Threads that serve.
    Workers,
    /// The log says why, too.
    Debug,
    /// Connections at a time.
    Connections,
    /// Prints the version.
    Version,
    /// Describes the one model that is served without a configuration.
    Model(&'static str),
    /// Nothing; the note says why.
    Nothing(&'static str),
    /// Is refused; the text says what to do instead.
    Refused(&'static str),
}

/// An option: its name, whether a value follows it, what it does.
type Row = (&'static str, bool, Does);

const NO_DATABASE: &str = "there are no migrations to run; the database is SQLite";
const ONE_SERVER: &str = "there is one server, built in";
const NO_RESTARTS: &str = "threads serve, and none is restarted";
const DOCTOR: &str = "run `keymoat doctor --config FILE`, or ask the running gateway's /health";
const CHECK: &str = "run `keymoat check-config FILE`";
const TLS: &str = "write keymoat: {listen: {tls: {cert: FILE, key: FILE}}} into the configuration";
const CLIENT: &str = "send a request to the running gateway; `keymoat serve` prints an example";

const OPTIONS: [Row; 51] = [
    ("--num_workers", true, Does::Workers),
    ("--debug", false, Does::Debug),
    ("--detailed_debug", false, Does::Debug),
    ("--limit_concurrency", true, Does::Connections),
    ("--version", false, Does::Version),
    ("-v", false, Does::Version),
    ("--model", true, Does::Model("model")),
    ("-m", true, Does::Model("model")),
    ("--alias", true, Does::Model("alias")),
    ("--api_base", true, Does::Model("api_base")),
    // Not LiteLLM's: a key goes to another host than its provider's only if it
    // is named.
    ("--api_key", true, Does::Model("api_key")),
    ("--api_version", true, Does::Model("api_version")),
    ("--headers", true, Does::Model("extra_headers")),
    ("--temperature", true, Does::Model("temperature")),
    ("--max_tokens", true, Does::Model("max_tokens")),
    ("--request_timeout", true, Does::Model("request_timeout")),
    ("--max_budget", true, Does::Model("max_budget")),
    ("--drop_params", false, Does::Model("drop_params")),
    ("--telemetry", true, Does::Nothing("nothing is ever reported to anybody")),
    ("--log_config", true, Does::Nothing("keymoat.log in the configuration says how to log")),
    ("--add_function_to_prompt", false, Does::Nothing("tools are sent as tools")),
    ("--use_queue", false, Does::Nothing("there is no queue of requests")),
    ("--num_requests", true, Does::Nothing("it belongs to --test_async")),
    ("--iam_token_db_auth", false, Does::Nothing("the database is SQLite")),
    ("--azure_postgresql_auth", false, Does::Nothing("the database is SQLite")),
    ("--use_prisma_db_push", false, Does::Nothing(NO_DATABASE)),
    ("--enforce_prisma_migration_check", false, Does::Nothing(NO_DATABASE)),
    ("--use_v2_migration_resolver", false, Does::Nothing(NO_DATABASE)),
    ("--use_legacy_migration_resolver", false, Does::Nothing(NO_DATABASE)),
    ("--check_migrations_against_existing_data", false, Does::Nothing(NO_DATABASE)),
    ("--run_gunicorn", false, Does::Nothing(ONE_SERVER)),
    ("--run_hypercorn", false, Does::Nothing(ONE_SERVER)),
    ("--run_granian", false, Does::Nothing(ONE_SERVER)),
    ("--granian_threads", true, Does::Nothing(ONE_SERVER)),
    ("--local", false, Does::Nothing("it is for LiteLLM's own development")),
    ("--reload", false, Does::Nothing("a changed configuration is always taken over")),
    ("--keepalive_timeout", true, Does::Nothing("keymoat.listen.header_timeout_ms is the time")),
    ("--timeout_worker_healthcheck", true, Does::Nothing(NO_RESTARTS)),
    ("--max_requests_before_restart", true, Does::Nothing(NO_RESTARTS)),
    ("--max_requests_before_restart_jitter", true, Does::Nothing(NO_RESTARTS)),
    ("--prometheus_metrics_port", true, Does::Nothing("metrics are at /metrics of the port")),
    ("--ciphers", true, Does::Nothing("TLS 1.2 and 1.3 with safe ciphers are what there is")),
    ("--ssl_keyfile_path", true, Does::Refused(TLS)),
    ("--ssl_certfile_path", true, Does::Refused(TLS)),
    ("--health", false, Does::Refused(DOCTOR)),
    ("--test", false, Does::Refused(CLIENT)),
    ("--test_async", false, Does::Refused(CLIENT)),
    ("--skip_server_startup", false, Does::Refused(CHECK)),
    ("--validate_config", false, Does::Refused(CHECK)),
    ("--setup", false, Does::Refused("`keymoat serve` needs no setup")),
    (
        "--save",
        false,
        Does::Refused("write model_list: [{model_name: …, litellm_params: {…}}] into a file"),
    ),
];

/// Takes a key as an argument, which other users of the machine can read.
const ADD_KEY: Row =
    ("--add_key", true, Does::Refused("put the key into the environment, as in OPENAI_API_KEY=…"));

/// What LiteLLM's options ask of a start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Start {
    /// Threads that serve.
    pub(crate) workers: Option<NonZeroUsize>,
    /// Log at `debug`.
    pub(crate) debug: bool,
    /// Connections at a time.
    pub(crate) connections_max: Option<u32>,
    /// Configuration that the options describe, where they name a model.
    pub(crate) text: Option<String>,
    /// Lines for whoever starts the gateway.
    pub(crate) notes: Vec<String>,
}

/// Reads a command line: what is left for `keymoat` and what LiteLLM's options
/// ask for. A line that begins with an option starts the gateway.
///
/// # Errors
/// An option is refused; the text says what to do instead.
pub(crate) fn read(line: Vec<String>) -> Result<(Vec<String>, Start), String> {
    let mut words = line.into_iter();
    let mut left: Vec<String> = words.next().into_iter().collect();
    let mut words = words.peekable();
    match words.peek().map(String::as_str) {
        Some("-v") => return Ok((vec![left.concat(), "--version".to_owned()], Start::default())),
        Some("serve") => left.extend(words.next()),
        Some("--help" | "-h" | "--version" | "-V") | None => {
            left.extend(words);
            return Ok((left, Start::default()));
        }
        Some(word) if word.starts_with('-') => left.push("serve".to_owned()),
        Some(_) => {
            left.extend(words);
            return Ok((left, Start::default()));
        }
    }
    let (mut start, mut model) = (Start::default(), Map::new());
    while let Some(word) = words.next() {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let row = OPTIONS.iter().chain([&ADD_KEY]).find(|(known, ..)| *known == name);
        let Some((name, has_value, does)) = row else {
            left.push(word);
            continue;
        };
        if *has_value && value.is_none() {
            value = Some(words.next().ok_or_else(|| format!("{name} wants a value"))?);
        }
        let number = || {
            let number = value.as_deref().and_then(|value| value.parse().ok());
            number.ok_or_else(|| format!("{name} wants a number above 0"))
        };
        match does {
            Does::Workers => start.workers = Some(number()?),
            Does::Connections => {
                let most: NonZeroUsize = number()?;
                start.connections_max = Some(u32::try_from(most.get()).unwrap_or(u32::MAX));
            }
            Does::Debug => start.debug = true,
            Does::Version => left = vec![left.swap_remove(0), "--version".to_owned()],
            Does::Model("api_key")
                if value
                    .as_ref()
                    .is_some_and(|v| !v.is_empty() && !v.starts_with("os.environ/")) =>
            {
                return Err(
                    "--api_key takes os.environ/NAME, or \"\" for none: other users of this \
                            machine can read arguments"
                        .to_owned(),
                );
            }
            Does::Model(field) => {
                let value = value.map_or(Value::Bool(true), |value| typed(field, value));
                model.insert((*field).to_owned(), value);
            }
            Does::Nothing(why) => start.notes.push(format!("note: {name} has no effect: {why}")),
            Does::Refused(instead) => return Err(format!("{name} is not known here: {instead}")),
        }
    }
    let has_file = left
        .iter()
        .any(|word| *word == "-c" || *word == "--config" || word.starts_with("--config="));
    match (model.is_empty(), has_file) {
        (true, _) => {}
        (false, true) if model.contains_key("max_budget") => {
            return Err("--max_budget is not read beside a configuration: write \
                        litellm_settings: {max_budget: …} into it"
                .to_owned());
        }
        (false, true) => {
            let names: Vec<&str> = model.keys().map(String::as_str).collect();
            start.notes.push(format!(
                "note: what describes a model on the command line ({}) has no effect beside a \
                 configuration: its model_list counts",
                names.join(", ")
            ));
        }
        (false, false) => start.text = Some(configuration(model)?),
    }
    Ok((left, start))
}

/// Numbers and JSON as such; names stay text.
fn typed(field: &str, value: String) -> Value {
    if matches!(field, "model" | "alias" | "api_base" | "api_version" | "api_key") {
        return Value::String(value);
    }
    serde_json::from_str(&value).unwrap_or(Value::String(value))
}

/// The configuration for one model, which answers to every name as LiteLLM's
/// does. JSON is YAML.
fn configuration(mut params: Map<String, Value>) -> Result<String, String> {
    let Some(model) = params.get("model").cloned() else {
        return Err("name the model too: --model PROVIDER/MODEL".to_owned());
    };
    let name = params.remove("alias").unwrap_or(model);
    let mut settings = Map::new();
    for field in ["request_timeout", "max_budget", "drop_params"] {
        settings.extend(params.remove(field).map(|value| (field.to_owned(), value)));
    }
    let list = [name, json!("*")].map(|name| json!({"model_name": name, "litellm_params": params}));
    Ok(json!({"model_list": list, "litellm_settings": settings}).to_string())
}

#[cfg(test)]
mod tests {
    use super::{ADD_KEY, Does, OPTIONS, Start, read};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn read_good(line: &str) -> (String, Start) {
        let (left, start) = read(words(line)).unwrap_or_else(|problem| panic!("{line}: {problem}"));
        (left.join(" "), start)
    }

    #[test]
    fn the_start_command_of_litellm_is_understood() {
        let line = "keymoat --config f.yaml --port 8000 --num_workers 8 --detailed_debug \
                    --host 0.0.0.0 --telemetry False --run_gunicorn --limit_concurrency=50";
        let (left, start) = read_good(line);
        assert_eq!(left, "keymoat serve --config f.yaml --port 8000 --host 0.0.0.0");
        assert_eq!(start.workers.unwrap().get(), 8);
        assert_eq!((start.debug, start.connections_max), (true, Some(50)));
        assert_eq!(start.notes.len(), 2, "{:?}", start.notes);
    }

    #[test]
    fn other_commands_and_our_own_options_are_left_alone() {
        for line in [
            "keymoat",
            "keymoat --help",
            "keymoat -V",
            "keymoat audit --quiet",
            "keymoat serve --strict -c f.yaml -p 1",
            "keymoat models --url x",
        ] {
            assert_eq!(read_good(line), (line.to_owned(), Start::default()));
        }
        for line in ["keymoat -v", "keymoat --port 1 --version", "keymoat serve -v"] {
            assert_eq!(read_good(line).0, "keymoat --version");
        }
    }

    #[test]
    fn every_option_is_honoured_or_explained() {
        for (name, has_value, does) in OPTIONS.iter().chain([&ADD_KEY]) {
            let value = if *has_value { " 1" } else { "" };
            let line = format!("keymoat --port 0 {name}{value}");
            let read = read(words(&line));
            match does {
                Does::Refused(instead) => assert!(read.unwrap_err().contains(instead), "{name}"),
                Does::Nothing(why) => assert!(read.unwrap().1.notes[0].contains(why), "{name}"),
                Does::Model("api_key") => assert!(read.unwrap_err().contains("os.environ")),
                Does::Model("model") => assert!(read.unwrap().1.text.is_some(), "{name}"),
                Does::Model(_) => assert!(read.unwrap_err().contains("--model"), "{name}"),
                _ => assert_eq!(read.unwrap().1.notes, [""; 0], "{name}"),
            }
        }
    }

    #[test]
    fn one_model_becomes_a_configuration() {
        let line = "keymoat --model openai/gpt --alias g --api_base http://x/v1 --temperature 0.5 \
                    --drop_params --max_budget 3";
        let (left, start) = read_good(line);
        assert_eq!(left, "keymoat serve");
        let text: serde_json::Value = serde_json::from_str(&start.text.unwrap()).unwrap();
        let first = &text["model_list"][0];
        assert_eq!(first["model_name"], "g");
        assert_eq!(first["litellm_params"]["model"], "openai/gpt");
        assert_eq!(first["litellm_params"]["temperature"], 0.5);
        assert_eq!(text["model_list"][1]["model_name"], "*");
        assert_eq!(text["litellm_settings"]["max_budget"], 3);
        assert_eq!(text["litellm_settings"]["drop_params"], true);
    }

    #[test]
    fn a_budget_beside_a_configuration_is_not_passed_over() {
        let problem = read(words("keymoat --config f --max_budget 3")).unwrap_err();
        assert!(problem.contains("litellm_settings"), "{problem}");
        assert_eq!(read_good("keymoat --config f --model x").1.notes.len(), 1);
        assert!(read(words("keymoat --num_workers")).unwrap_err().contains("a value"));
        assert!(read(words("keymoat --num_workers 0")).unwrap_err().contains("a number"));
    }
}
