//! Gemini's `usageMetadata`: read for the bill, the record and translation, and
//! written for clients.
//!
//! Thoughts are counted apart from the answer and what tools brought apart from
//! the prompt; both are billed (<https://ai.google.dev/gemini-api/docs/tokens>).

use crate::Usage;
use crate::json::read::{Object, Raw, items};
use crate::json::write::ObjectWriter;

/// Reads `usageMetadata`; `None` if it counts nothing, as the first pieces of a
/// stream do.
pub(crate) fn read(raw: Raw<'_>) -> Option<Usage> {
    let report = Object::of(raw).ok()?;
    let count = |name: &str| report.whole(name);
    let prompt = count("promptTokenCount");
    let answer = count("candidatesTokenCount").or_else(|| count("responseTokenCount"));
    let thoughts = count("thoughtsTokenCount");
    prompt.or(answer).or(thoughts)?;
    let tools = count("toolUsePromptTokenCount").unwrap_or(0);
    let input = prompt.unwrap_or(0).saturating_add(tools);
    let reasoning = thoughts.unwrap_or(0);
    let output = answer.unwrap_or(0).saturating_add(reasoning);
    // Some answers leave a count out: the total has it.
    let by_total = count("totalTokenCount").unwrap_or(0).saturating_sub(input);
    Some(Usage {
        input,
        cache_read: count("cachedContentTokenCount").unwrap_or(0).min(input),
        input_audio: audio(&report, "promptTokensDetails"),
        output: output.max(by_total),
        reasoning,
        output_audio: audio(&report, "candidatesTokensDetails"),
        ..Usage::default()
    })
}

fn audio(report: &Object<'_>, details: &str) -> u64 {
    let all = report.get(details).and_then(items).unwrap_or_default();
    let sound = all.into_iter().filter_map(|one| Object::of(one).ok());
    let sound = sound.filter(|one| one.text("modality").as_deref() == Some("AUDIO"));
    sound.filter_map(|one| one.whole("tokenCount")).sum()
}

/// Writes the value of `usageMetadata`.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.member("promptTokenCount", &usage.input);
    object.member("candidatesTokenCount", &usage.output.saturating_sub(usage.reasoning));
    object.member("totalTokenCount", &usage.total());
    for (name, count) in
        [("thoughtsTokenCount", usage.reasoning), ("cachedContentTokenCount", usage.cache_read)]
    {
        if count > 0 {
            object.member(name, &count);
        }
    }
    for (name, count, audio) in [
        ("promptTokensDetails", usage.input, usage.input_audio),
        (
            "candidatesTokensDetails",
            usage.output.saturating_sub(usage.reasoning),
            usage.output_audio,
        ),
    ] {
        if audio > 0 {
            let kinds = [("TEXT", count.saturating_sub(audio)), ("AUDIO", audio)];
            object.array(name, kinds, |out, (modality, count)| {
                let mut one = ObjectWriter::new(out);
                one.member("modality", modality);
                one.member("tokenCount", &count);
                one.end();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write::json;

    fn of(text: &str) -> Option<Usage> {
        read(Raw::check_text(text).unwrap())
    }

    #[test]
    fn thoughts_and_what_tools_brought_are_billed() {
        let usage = of(r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"candidatesTokenCount":3,"thoughtsTokenCount":4,"totalTokenCount":22,"cachedContentTokenCount":8,"promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":6}]}"#).unwrap();
        assert_eq!((usage.input, usage.output, usage.reasoning), (15, 7, 4));
        assert_eq!((usage.cache_read, usage.input_audio), (8, 6));
    }

    #[test]
    fn a_count_that_is_left_out_is_in_the_total() {
        assert_eq!(of(r#"{"promptTokenCount":10,"totalTokenCount":15}"#).unwrap().output, 5);
        assert_eq!(of(r#"{"trafficType":"ON_DEMAND"}"#), None);
        assert_eq!(of(r#"{"promptTokenCount":-1}"#), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let usage = Usage {
            input: 9,
            cache_read: 2,
            input_audio: 3,
            output: 7,
            reasoning: 4,
            ..Usage::default()
        };
        let written = json(|object| write(object, &usage)).unwrap();
        assert_eq!(of(written.text()), Some(usage));
    }
}
