//! What `serve` says when it is ready: where it listens, and the first request.

use std::fmt::Write as _;

/// What a first-time user needs.
pub(crate) struct Ready<'a> {
    /// `http://127.0.0.1:4000`.
    pub(crate) url: &'a str,
    /// A model group to try, where there is one.
    pub(crate) model: Option<&'a str>,
    /// The master key, only when it was made just now.
    pub(crate) new_master_key: Option<&'a str>,
    /// Where a generated master key is kept.
    pub(crate) master_key_file: Option<&'a str>,
    /// Whether the demo model is served.
    pub(crate) demo: bool,
}

/// The text.
pub(crate) fn ready(ready: &Ready<'_>) -> String {
    let mut text = format!("listening on {}\n", ready.url);
    let key = match (ready.new_master_key, ready.master_key_file) {
        (Some(key), Some(file)) => {
            line(
                &mut text,
                format_args!("\nmaster key (shown this once, kept in {file}):\n\n    {key}\n"),
            );
            key.to_owned()
        }
        (None, Some(file)) => {
            line(&mut text, format_args!("master key: in {file}"));
            format!("$(cat {file})")
        }
        _ => "$LITELLM_MASTER_KEY".to_owned(),
    };
    if let (true, Some(model)) = (ready.demo, ready.model) {
        let (url, python_key) = (ready.url, python_key(&key));
        line(
            &mut text,
            format_args!(
                r#"
A first answer (from a built-in simulated provider, no account needed):

    curl {url}/v1/chat/completions \
      -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \
      -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello?"}}]}}'

The same in Python, streamed (pip install openai):

    from openai import OpenAI
    client = OpenAI(base_url="{url}/v1", api_key={python_key})
    for chunk in client.chat.completions.create(model="{model}", stream=True,
            messages=[{{"role": "user", "content": "Hello?"}}]):
        print(chunk.choices[0].delta.content or "", end="", flush=True)

Applications should get a virtual key with a cap: keymoat keys generate --max-budget 5
For real models: keymoat serve --config config.yaml"#
            ),
        );
    }
    text
}

fn python_key(key: &str) -> String {
    match key.strip_prefix("$(cat ").and_then(|rest| rest.strip_suffix(')')) {
        Some(file) => format!("open({file:?}).read().strip()"),
        None => format!("{key:?}"),
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string has no way to fail.
    writeln!(text, "{what}").unwrap_or_default();
}
