//! No secret in any report, whatever is wrong with the file around it.

use crate::{env, load_bytes};
use proptest::prelude::*;

const MARK: &str = "Zq7MARKEDsecret9";

/// `MARK` stands, itself or in a variable, wherever a secret may stand.
const TEMPLATE: &str = "\
environment_variables: {SOME_KEY: Zq7MARKEDsecret9}
credential_list:
  - credential_name: c
    credential_values: {api_key: Zq7MARKEDsecret9, api_base: https://x.example}
model_list:
  - model_name: a
    litellm_params:
      model: openai/gpt-4o
      api_key: Zq7MARKEDsecret9
      aws_secret_access_key: Zq7MARKEDsecret9
      extra_headers: {authorization: Bearer Zq7MARKEDsecret9}
      vendor_api_key: Zq7MARKEDsecret9
  - model_name: b
    litellm_params: {model: os.environ/MARKED, api_key: os.environ/MARKED, api_base: os.environ/MARKED, rpm: os.environ/MARKED}
    model_info: {id: os.environ/MARKED, mode: os.environ/MARKED}
  - model_name: c
    litellm_params: {model: os.environ/MARKED, custom_llm_provider: os.environ/MARKED}
  - model_name: d
    litellm_params: {model: os.environ/MARKED}
  - {model_name: Zq7MARKEDsecret9, litellm_params: {model: openai/x, Zq7MARKEDsecret9: 1}}
general_settings:
  master_key: Zq7MARKEDsecret9
  database_url: postgresql://u:Zq7MARKEDsecret9@h/d
router_settings:
  routing_strategy: os.environ/MARKED
  redis_password: Zq7MARKEDsecret9
  default_fallbacks: [os.environ/MARKED]
litellm_settings:
  callbacks: [os.environ/MARKED]
  budget_duration: os.environ/MARKED
keymoat:
  compat: os.environ/MARKED
  data_dir: os.environ/MARKED
  listen: {host: os.environ/MARKED, port: os.environ/MARKED, trusted_proxies: [os.environ/MARKED]}
  egress: {roots: [os.environ/MARKED]}
include: [os.environ/MARKED]
";

fn show_all(yaml: &str) -> String {
    let variables = env(&[
        ("MARKED", MARK),
        ("LITELLM_MASTER_KEY", MARK),
        ("DATABASE_URL", "postgresql://u:Zq7MARKEDsecret9@h/d"),
        ("PORT", MARK),
        ("HOST", MARK),
        ("OPENAI_API_KEY", MARK),
    ]);
    let report = load_bytes(yaml.as_bytes(), &variables).report;
    format!("{}{}{report:?}", report.render_text(true), report.render_json())
}

#[test]
fn the_template_is_full_of_problems_and_shows_nothing() {
    let shown = show_all(TEMPLATE);
    assert!(shown.matches("error").count() > 10, "{shown}");
    assert!(!shown.contains(MARK), "{shown}");
}

#[test]
fn keys_in_the_wrong_place_are_masked() {
    let shown = show_all("model_list:\n  - sk-abcdefghijklmnop: 1\nsk-qrstuvwxyz: 2\n");
    assert!(!shown.contains("abcdefgh") && !shown.contains("qrstuv"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Lines lost, doubled, moved in or out, cut, or with a stray character.
    #[test]
    fn no_secret_shows_however_the_file_is_damaged(
        damage in proptest::collection::vec((0_usize..40, 0_usize..6, 0_usize..60), 0..6)
    ) {
        let mut lines: Vec<String> = TEMPLATE.lines().map(str::to_owned).collect();
        for (line, kind, at) in damage {
            let line = line % lines.len();
            let text = lines[line].clone();
            let at = at.min(text.len());
            match kind {
                0 => drop(lines.remove(line)),
                1 => lines.insert(line, text),
                2 => lines[line] = format!("  {text}"),
                3 => text.trim_start().clone_into(&mut lines[line]),
                4 => lines[line].truncate(at),
                _ => lines[line].insert_str(at, ["{", ":", "\"", "\t", "&", "*"][at % 6]),
            }
        }
        let yaml = lines.join("\n");
        // What is cut in the middle of the mark is another text, not the secret.
        let shown = show_all(&yaml);
        prop_assert!(!shown.contains(MARK), "{}\n{}", yaml, shown);
    }
}
