//! A request that goes up as its client wrote it, but for the parameters in
//! `generationConfig` that the target is to go without, and for what Claude has
//! sealed.

use super::CONFIG;
use super::defaults::camel;
use crate::head::Head;
use crate::json::read::{Members, Raw, items};
use crate::json::rewrite::{self, Change};
use crate::splice::Edits;
use crate::{Dropped, Target};

/// Adds the edits that `target` needs, and names in `dropped` what is left out.
pub(crate) fn fit(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    target: &Target<'_>,
    dropped: &mut Dropped,
) {
    super::foreign::remove(edits, head, body, target);
    let refused = || target.refused.names(None).filter(|_| target.drop_params);
    let stop_max = target.stop_max.filter(|_| target.drop_params);
    if target.additional_drop_params.is_empty() && stop_max.is_none() && refused().next().is_none()
    {
        return;
    }
    let unwanted = || target.additional_drop_params.iter().map(String::as_str).chain(refused());
    for parent in CONFIG {
        let raw = head.raw(body, parent).and_then(|raw| std::str::from_utf8(raw).ok());
        let Some(members) = raw.and_then(|raw| Members::of(Raw::checked(raw))) else { continue };
        let changed = rewrite::object(&members, |name, value| {
            let name = camel(name);
            let is_unwanted = |param: &str| param == name || members_of(param).contains(&&*name);
            if unwanted().any(is_unwanted) {
                return Change::Gone;
            }
            match (stop_max, items(value)) {
                (Some(most), Some(stops)) if name == STOP && stops.len() > most => {
                    let kept: Vec<&str> = stops.iter().take(most).map(|stop| stop.text()).collect();
                    Change::To(format!("[{}]", kept.join(",")))
                }
                _ => Change::None,
            }
        });
        let Some(changed) = changed else { continue };
        let kept = Members::of(Raw::checked(&changed));
        for (name, value) in &members.0 {
            match kept.as_ref().and_then(|kept| kept.last(name)) {
                None => dropped.add(format!("{parent}.{name}")),
                Some(kept) if kept.text() != value.text() => {
                    dropped.add(format!("{parent}.{name}[{}]", stop_max.unwrap_or_default()));
                }
                Some(_) => {}
            }
        }
        edits.set_text(parent, changed);
    }
}

const STOP: &str = "stopSequences";

/// Members that hold a parameter of OpenAI's. The output limit is not one of
/// them: the gateway sets it.
fn members_of(param: &str) -> &'static [&'static str] {
    match param {
        "temperature" => &["temperature"],
        "top_p" => &["topP"],
        "top_k" => &["topK"],
        "seed" => &["seed"],
        "presence_penalty" => &["presencePenalty"],
        "frequency_penalty" => &["frequencyPenalty"],
        "n" => &["candidateCount"],
        "logprobs" => &["responseLogprobs", "logprobs"],
        "top_logprobs" => &["logprobs"],
        "stop" => &[STOP],
        "response_format" => {
            &["responseMimeType", "responseSchema", "responseJsonSchema", "_responseJsonSchema"]
        }
        "reasoning_effort" | "reasoning" | "thinking" => &["thinkingConfig"],
        "modalities" => &["responseModalities"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Surface;
    use crate::splice::apply;
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn fitted(body: &Value, target: &Target<'_>) -> (Value, String) {
        let body = Bytes::from(body.to_string());
        let head = Head::scan(&body, Surface::GeminiGenerate).unwrap();
        let (mut edits, mut dropped) = (Edits::new(&head, &body), Dropped::default());
        fit(&mut edits, &head, &body, target, &mut dropped);
        (serde_json::from_slice(&apply(&body, &edits)).unwrap(), dropped.text())
    }

    #[test]
    fn parameters_to_leave_out_are_found_in_both_spellings_of_their_object() {
        let names = ["top_k", "reasoning_effort", "responseMimeType"].map(str::to_owned);
        let target = Target { additional_drop_params: &names, ..Target::default() };
        for config in CONFIG {
            let body = json!({config: {"top_k": 1, "topP": 0.5, "thinkingConfig": {}, "seed": 1,
                                       "response_mime_type": "text/plain"}});
            let (sent, dropped) = fitted(&body, &target);
            assert_eq!(sent, json!({config: {"topP": 0.5, "seed": 1}}));
            assert!(dropped.contains(&format!("{config}.top_k")), "{dropped}");
        }
    }

    #[test]
    fn stop_sequences_beyond_the_most_that_are_taken_go_under_drop_params() {
        let body = json!({"generationConfig": {"stopSequences": ["a", "b", "c"]}});
        let target = Target { stop_max: Some(2), drop_params: true, ..Target::default() };
        let (sent, dropped) = fitted(&body, &target);
        assert_eq!(sent["generationConfig"]["stopSequences"], json!(["a", "b"]));
        assert!(dropped.contains("stopSequences"), "{dropped}");
        let strict = Target { drop_params: false, ..target };
        assert_eq!(fitted(&body, &strict), (body, String::new()));
    }
}
