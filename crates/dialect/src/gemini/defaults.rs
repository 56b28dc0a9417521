//! A deployment's own parameters in Gemini's words, for a client's request of
//! this dialect that otherwise goes up as it came.

use super::CONFIG;
use super::encode::encode;
use crate::Dropped;
use crate::defaults::{Defaults, WISHES, is_native};
use crate::head::Head;
use crate::json::read::{Object, Raw};
use crate::json::write::quoted;
use crate::splice::Edits;

/// Adds those of which the client says nothing, in either of the spellings that
/// Gemini reads.
pub(super) fn add<'d>(edits: &mut Edits<'d>, head: &Head, body: &[u8], defaults: &Defaults<'d>) {
    if !head.surface().row().generates() {
        return;
    }
    let raw = |name: &str| std::str::from_utf8(head.raw(body, name)?).ok();
    let said = CONFIG.into_iter().find_map(|name| Some((name, raw(name)?)));
    let (name, text) = said.unwrap_or((CONFIG[0], "{}"));
    if let Some(text) = with_config(text, defaults) {
        edits.set_text(name, text);
    }
    let has = |name: &str| head.raw(body, name).is_some();
    for (name, value) in defaults.fields().filter(|(name, value)| is_native(name, value)) {
        let is_said = has(&snake(name)) || has(&camel(name));
        // A wish to think has words of its own, and is in the other object.
        if !is_said && !WISHES.contains(&name) {
            edits.set_text(name, value.text().to_owned());
        }
    }
}

/// The client's object with the parameters that it lacks; `None` if it lacks none.
fn with_config(client: &str, defaults: &Defaults<'_>) -> Option<String> {
    let said = Object::of(Raw::check_text(client).ok()?).ok()?;
    let value = |name: &str| said.get(name).or_else(|| said.get(&snake(name)));
    let mut request = defaults.request()?;
    let limit = value("maxOutputTokens").and_then(|raw| raw.text().parse().ok());
    let limit = limit.or(request.max_output_tokens);
    request.reasoning = request.reasoning.and_then(|wish| wish.within(limit));
    let written = encode(&request, &defaults.target, &mut Dropped::default()).ok()?;
    let written = Object::of_body(&written).ok()?.object(CONFIG[0])?;
    let added: Vec<String> = written
        .members()
        .filter(|(name, _)| value(name).is_none())
        .map(|(name, value)| format!("{}:{}", quoted(name), value.text()))
        .collect();
    let inside = client.trim().strip_prefix('{')?;
    let comma = if said.is_empty() { "" } else { "," };
    (!added.is_empty()).then(|| format!("{{{}{comma}{inside}", added.join(",")))
}

/// `safetySettings` → `safety_settings`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `safety_settings` → `safetySettings`.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::apply;
    use crate::{Json, Surface, Target};
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn sent(client: &Value, fields: &Value) -> Value {
        let body = Bytes::from(client.to_string());
        let head = Head::scan(&body, Surface::GeminiGenerate).unwrap();
        let fields: Vec<(String, Json)> = fields
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), Json::parse(value.to_string()).unwrap()))
            .collect();
        let target = Target { drop_params: true, ..Target::default() };
        let mut edits = Edits::new(&head, &body);
        Defaults::new(&fields, target).same(&mut edits, &head, &body);
        serde_json::from_slice(&apply(&body, &edits)).unwrap()
    }

    #[test]
    fn parameters_are_given_in_geminis_words_where_the_client_gave_none() {
        let ask = json!([{"parts": [{"text": "Hi"}]}]);
        let fields = json!({"temperature": 0.2, "max_tokens": 100, "stop": "END", "top_k": 5,
                            "safety_settings": [], "stream": true});
        assert_eq!(
            sent(&json!({"contents": ask}), &fields),
            json!({"contents": ask, "safety_settings": [], "generationConfig": {
                "maxOutputTokens": 100, "temperature": 0.2, "topK": 5, "stopSequences": ["END"]}})
        );
        let own = json!({"contents": ask, "safetySettings": [1], "generation_config": {
            "temperature": 1, "max_output_tokens": 7, "topK": 1, "stop_sequences": []}});
        assert_eq!(sent(&own, &fields), own);
        let some = sent(&json!({"contents": ask, "generationConfig": {"topP": 0.5}}), &fields);
        assert_eq!(some["generationConfig"]["topP"], 0.5);
        assert_eq!(some["generationConfig"]["maxOutputTokens"], 100);
    }

    #[test]
    fn a_wish_to_think_gives_way_to_the_clients() {
        let fields = json!({"thinking": {"type": "enabled", "budget_tokens": 4096}});
        let with =
            |config: Value| sent(&json!({"contents": [], "generationConfig": config}), &fields);
        assert_eq!(
            with(json!({}))["generationConfig"],
            json!({"thinkingConfig": {"thinkingBudget": 4096, "includeThoughts": true}})
        );
        let own = json!({"thinkingConfig": {"thinkingBudget": 1}});
        assert_eq!(with(own.clone())["generationConfig"], own);
        let limited = json!({"maxOutputTokens": 100});
        assert_eq!(with(limited.clone())["generationConfig"], limited);
    }
}
