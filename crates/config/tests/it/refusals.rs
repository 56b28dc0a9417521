//! What nobody should write, and what must come of it.

use crate::{env, load_bytes, problems};
use config::{Env, Verdict};
use proptest::prelude::*;
use std::fmt::Write;
use std::time::Instant;

fn first_error(content: &[u8]) -> String {
    let loaded = load_bytes(content, &env(&[]));
    assert!(loaded.config.is_none());
    let mut entries = loaded.report.entries.iter();
    let first = entries.find(|entry| entry.verdict == Verdict::Error).expect("an error");
    format!("{}:{} {}", first.line, first.column, first.message)
}

#[test]
fn files_that_are_no_configuration_are_refused_with_their_place() {
    for (content, expected) in [
        (&b""[..], "0:0 the file is empty"),
        (b"# only a comment\n", "0:0 the file is empty"),
        (b"~\n", "0:0 the file is empty"),
        (b"- a\n", "1:1 expected a mapping at the top, found a list"),
        (b"hello\n", "1:1 expected a mapping at the top, found a single value"),
        (b"a: \xff\xfe\n", "1:4 this byte is not UTF-8"),
        (b"\xff\xfea\0:\0", "1:1 this byte is not UTF-8"),
        (b"a: [1, 2\n", "1:4 not valid YAML: unclosed bracket"),
        (b"a: 'x", "1:4 not valid YAML: unclosed quote"),
        (b"a:\n\tb: 1\n", "2:2 not valid YAML: tab"),
    ] {
        let error = first_error(content);
        assert!(error.starts_with(expected), "{}: {error}", content.escape_ascii());
    }
}

#[test]
fn a_missing_file_and_a_directory_are_named() {
    let missing = config::load("/nowhere/at/all.yaml".as_ref(), &env(&[]));
    let text = missing.report.render_text(false);
    assert!(text.contains("/nowhere/at/all.yaml\n  there is no such file"), "{text}");
    let directory = config::load(&crate::testdata(), &env(&[]));
    assert!(directory.report.render_text(false).contains("it is a directory"));
}

#[test]
fn large_and_unfolding_files_are_refused_in_no_time() {
    let started = Instant::now();
    let ten_megabytes = format!("a: {}\n", "x".repeat(10 << 20));
    assert!(first_error(ten_megabytes.as_bytes()).contains("a configuration has at most"));
    let mut bomb = String::from("a0: &a0 {k: v}\n");
    for level in 1..20 {
        let below = level - 1;
        writeln!(bomb, "a{level}: &a{level} {{x: *a{below}, y: *a{below}, z: *a{below}}}").unwrap();
    }
    assert!(first_error(bomb.as_bytes()).contains("unfolds into more"));
    let deep = "a: ".to_owned() + &"[".repeat(1 << 20);
    assert!(first_error(deep.as_bytes()).contains("recursion limit"));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn thousands_of_deployments_are_read_in_good_time() {
    let mut yaml = String::from("model_list:\n");
    let mut env = env(&[]);
    for count in 0..5000 {
        writeln!(
            yaml,
            "  - {{model_name: m{count}, litellm_params: {{model: openai/m, api_key: os.environ/KEY_{count}, rpm: {count}}}}}"
        )
        .unwrap();
        env.insert(format!("KEY_{count}"), format!("secret-number-{count}"));
    }
    let started = Instant::now();
    let loaded = load_bytes(yaml.as_bytes(), &env);
    assert_eq!(loaded.config.unwrap().deployments.len(), 5000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn all_problems_are_found_in_one_run() {
    let yaml = "\
model_list:
  - model_name: a
    litellm_params: {model: openai/x, api_key: os.environ/MISSING, rpm: many}
router_settings: {num_retries: -1}
general_settings: {master_key: wrong-prefix-here}
keymoat: {compat: 2}
unknown: 1
";
    assert_eq!(
        problems(yaml, &[]),
        [
            "1:1 error : no deployment in model_list is left that can be served",
            "3:48 error model_list[0].litellm_params.api_key: the deployment `a` is left out: the environment variable MISSING is not set",
            "3:73 error model_list[0].litellm_params.rpm: the deployment `a` is left out: expected a whole number",
            "4:32 error router_settings.num_retries: expected a whole number up to 4294967295",
            "5:32 error general_settings.master_key: a master key begins with sk-",
            "6:19 error keymoat.compat: expected 1.83 or 1.109",
            "7:1 unsupported unknown: no such key is known: it has no effect",
        ]
    );
}

#[test]
fn a_variable_is_needed_only_where_something_reads_it() {
    let unread = "model_list: []\ngeneral_settings: {alerting_args: {x: os.environ/NOT_SET}}\n";
    assert!(!problems(unread, &[]).iter().any(|problem| problem.contains("error")));
    let deep = "model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: k, extra_body: {a: {b: [os.environ/NOT_SET]}}}}]";
    assert_eq!(
        problems(deep, &[]),
        [
            "1:1 error : no deployment in model_list is left that can be served",
            "1:97 error model_list[0].litellm_params.extra_body.a: the deployment `a` is left out: the environment variable NOT_SET is not set"
        ]
    );
}

/// Answers every variable, so that random files reach further.
struct Anything;

impl Env for Anything {
    fn var(&self, name: &str) -> Option<String> {
        Some(format!("value of {name}"))
    }
}

/// YAML-shaped text from the words that the readers know.
fn yamlish() -> impl Strategy<Value = String> {
    let words = "model_list litellm_params model_name model api_key router_settings \
        general_settings keymoat listen fallbacks include << environment_variables \
        credential_list model_info openai/* os.environ/X &a *a { } [ ] 1e-7 \" ' ~ | !!str # é";
    let spaces = ["- ", ": ", "\n", "\n  ", "\n    ", ", ", "---\n", "\t"];
    let all: Vec<String> = words.split_whitespace().chain(spaces).map(str::to_owned).collect();
    proptest::collection::vec(proptest::sample::select(all), 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let loaded = load_bytes(&bytes, &Anything);
        prop_assert_eq!(loaded.config.is_none(), loaded.report.has_errors());
    }

    #[test]
    fn no_text_panics(text in yamlish()) {
        let loaded = load_bytes(text.as_bytes(), &Anything);
        prop_assert!(!loaded.report.render_text(true).is_empty());
    }

    #[test]
    fn no_value_under_any_key_panics(
        key in "[a-z_]{3,20}",
        value in proptest::sample::select(vec!["[]", "{}", "~", "-1", "x", "[[1]]", "{a: {b: ~}}", "1e999", "'*'"]),
        section in proptest::sample::select(vec!["litellm_settings", "router_settings",
            "general_settings", "keymoat", "environment_variables", "credential_list", "include",
            "model_list"]),
    ) {
        load_bytes(format!("{section}: {{{key}: {value}}}\n").as_bytes(), &Anything);
        load_bytes(format!("{section}: {value}\n").as_bytes(), &Anything);
        let yaml = format!("model_list: [{{model_name: a, litellm_params: {{model: openai/x, \
            {key}: {value}}}, model_info: {{{key}: {value}}}}}]");
        load_bytes(yaml.as_bytes(), &Anything);
    }
}
