#!/usr/bin/env python3
"""Makes models.tsv from a price file in LiteLLM's shape.

    python3 generate.py model_prices.json VERSION DATE > models.tsv

Numbers keep the spelling of their source: no price passes through a float.
A field that this script does not know ends it with an error, so that a new
kind of price can't be lost in silence. Standard library only.
"""

import json
import sys

# One letter a flag; the legend goes into the file's header. Append only.
FLAGS = {
    "f": "supports_function_calling",
    "t": "supports_tool_choice",
    "v": "supports_vision",
    "r": "supports_reasoning",
    "s": "supports_response_schema",
    "c": "supports_prompt_caching",
    "d": "supports_pdf_input",
    "m": "supports_system_messages",
    "p": "supports_parallel_function_calling",
    "w": "supports_web_search",
    "a": "supports_assistant_prefill",
    "n": "supports_native_streaming",
    "i": "supports_audio_input",
    "o": "supports_audio_output",
    "x": "supports_xhigh_reasoning_effort",
    "u": "supports_computer_use",
    "M": "supports_max_reasoning_effort",
    "S": "supports_native_structured_output",
    "A": "supports_adaptive_thinking",
    "P": "supports_sampling_params",
    "l": "supports_minimal_reasoning_effort",
    "O": "supports_output_config",
    "N": "supports_none_reasoning_effort",
    "T": "supports_tool_search",
    "y": "supports_mid_conversation_system",
    "q": "supports_parallel_tool_use_config",
    "V": "supports_video_input",
    "h": "thinking_always_on",
    "b": "bedrock_converse_supports_strict_tools",
    "F": "supports_forced_tool_use",
    "U": "supports_url_context",
    "B": "supports_bedrock_native_structured_output",
    "e": "supports_embedding_image_input",
    "L": "supports_legacy_thinking",
    "k": "supports_prompt_cache_breakpoint",
    "C": "supports_anthropic_compaction",
    "R": "use_openai_responses_path",
    "I": "supports_bedrock_converse_tool_result_images",
    "j": "supports_bedrock_runtime_chat_completions_response_format",
    "H": "supports_anthropic_thinking_payload",
    "g": "supports_image_input",
    "K": "supports_thinking_cache_preservation",
    "z": "supports_image_size",
    "J": "supports_bedrock_runtime_chat_completions_tools_with_reasoning",
    "G": "supports_bedrock_runtime_chat_completions_inline_reasoning",
    "Q": "gemini_native_audio",
    "X": "supports_regex_lookaround",
    "E": "supports_speed",
    "Z": "gemini_audio_only_live",
    "D": "uses_embed_content",
    "W": "supports_multimodal",
    "0": "supports_low_reasoning_effort",
    "1": "supports_fast_mode",
    "2": "supports_nova_canvas_image_edit",
    "3": "supports_box_questions",
}
LETTERS = {name: letter for letter, name in FLAGS.items()}

COLUMNS = ["key", "provider", "mode", "max_input_tokens", "max_output_tokens", "input",
           "output", "cache_read", "cache_write", "flags", "deprecated", "prices", "facts"]
PLAIN = {
    "litellm_provider": "provider",
    "mode": "mode",
    "max_input_tokens": "max_input_tokens",
    "max_output_tokens": "max_output_tokens",
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "deprecation_date": "deprecated",
}
NUMBER_FACTS = {"rpm", "tpm", "output_vector_size", "prompt_cache_min_tokens",
                "token_count_framing"}
TEXT_FACTS = {"supported_endpoints", "supported_modalities", "supported_output_modalities",
              "supported_regions", "supported_audio_formats", "reasoning_effort_levels",
              "reasoning_contexts", "reasoning_modes", "default_reasoning_effort",
              "web_search_billing_unit", "bedrock_output_config_effort_ceiling",
              "token_count_tokenizer", "audio_transcription_config", "vertex_ai_audio_api"}
# Prose, provenance, and set-up of one provider's own code.
DROPPED = {"source", "comment", "metadata", "token_count_model"}
# Not models: a template, and rules for names that are not listed.
NOT_MODELS = {"sample_spec", "fallback_generalizations"}


class Number(str):
    """A JSON number in its own spelling."""


def whole(number):
    """`256000.0` -> `256000`; anything with a fraction is an error."""
    text = number[:-2] if number.endswith(".0") else number
    return str(int(text))


def nested_prices(name, value):
    """The flat `name=value` spellings of a price field that is an object or a list."""
    if name == "search_context_cost_per_query":
        for size, price in value.items():
            yield "search_context_" + size.removeprefix("search_context_size_"), price
    elif name == "tiered_pricing":
        for tier in value:
            prices = dict(tier)
            mark, (low, high) = ("@", prices.pop("range")) if "range" in prices else (
                "#", prices.pop("max_results_range"))
            for field, price in prices.items():
                yield f"{field}{mark}{whole(low)}-{whole(high)}", price
    elif name == "guardrail_cost_per_unit":
        for unit, price in value.items():
            yield f"{name}.{unit}", price
    elif name == "off_peak_pricing":
        windows = []
        for window in value["windows"]:
            hours = window["hours_utc"]
            hours = [hours] if isinstance(hours, str) else hours
            windows.append("".join(window["weekdays"]) + "@" + ",".join(hours))
        yield "off_peak.windows", ";".join(windows)
        if "weekday_timezone" in value:
            yield "off_peak.weekday_timezone", value["weekday_timezone"]
        for field, price in value.items():
            if field not in ("windows", "weekday_timezone"):
                yield "off_peak." + field, price
    else:
        raise SystemExit(f"unknown price field: {name}")


def row(key, entry):
    cells = dict.fromkeys(COLUMNS, "")
    cells["key"] = key
    flags, prices, facts = [], [], []
    for name, value in entry.items():
        if name in DROPPED:
            continue
        if name in PLAIN:
            cells[PLAIN[name]] = value
        elif isinstance(value, bool):
            flags.append(("" if value else "!") + LETTERS[name])
        elif name in NUMBER_FACTS:
            facts.append(f"{name}={whole(value)}")
        elif isinstance(value, Number):
            prices.append(f"{name}={value}")
        elif name in TEXT_FACTS:
            facts.append(f"{name}={value if isinstance(value, str) else ','.join(value)}")
        elif name == "search_free_requests":
            facts.append("search_free_requests="
                         + f"{value['count']}/{value['period']}/{value['shared_group']}")
        elif name == "provider_specific_entry":
            # Numbers are multipliers of the whole price; the rest is set-up.
            for what, factor in value.items():
                if what in ("us", "fast"):
                    prices.append(f"uplift_{what}={factor}")
        else:
            prices.extend(f"{flat}={price}" for flat, price in nested_prices(name, value))
    order = list(FLAGS)
    cells["flags"] = "".join(sorted(flags, key=lambda flag: order.index(flag[-1])))
    cells["prices"] = " ".join(sorted(prices))
    cells["facts"] = " ".join(sorted(facts))
    for name, cell in cells.items():
        spaced = name in ("prices", "facts")
        if any(c in cell for c in ("\t\n" if spaced else "\t\n ")):
            raise SystemExit(f"{key}: white space in {name}")
    return "\t".join(cells[name] for name in COLUMNS).rstrip("\t")


def main():
    path, version, date = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        entries = json.load(file, parse_float=Number, parse_int=Number)
    models = {k: v for k, v in entries.items() if k not in NOT_MODELS}
    # Sorted and looked up without regard to ASCII case, so no two may share one.
    if len({key.lower() for key in models}) != len(models):
        raise SystemExit("two keys differ only in case")
    lines = [
        f"# version={version} date={date} models={len(models)} licence=MIT source=LiteLLM's model price file",
        "# flags (a ! before a letter: known not to): "
        + " ".join(f"{letter}={name}" for letter, name in FLAGS.items()),
        "# " + "\t".join(COLUMNS),
    ]
    lines += [row(key, models[key]) for key in sorted(models, key=lambda key: key.lower().encode())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
