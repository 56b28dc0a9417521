//! `litellm_settings`: what LiteLLM sets for the library as a whole.

use crate::known_keys::LITELLM;
use crate::reader::{Field, Reader};
use crate::router::Draft;
use crate::settings::LogFormat;
use crate::types::{Access, KeyLimits, Period};
use base::NanoUsd;

/// Reads the section: routing into the draft that it gives, the rest where it
/// belongs.
pub(crate) fn read<'n>(
    reader: &mut Reader<'_>,
    section: &Field<'n>,
    access: &mut Access,
    log_format: &mut LogFormat,
) -> Draft<'n> {
    let mut draft = Draft::default();
    let mut duration_at = None;
    for field in reader.fields(section) {
        if draft.take(reader, &field) {
            continue;
        }
        match field.name {
            "drop_params" | "json_logs" if reader.says_nothing(&field) => {}
            "drop_params" => draft.drop_params = crate::param_values::drop_params(reader, &field),
            "default_key_generate_params" => {
                access.key_defaults = key_defaults(reader, &field);
            }
            "upperbound_key_generate_params" => {
                access.key_ceilings = key_ceilings(reader, &field);
            }
            "max_budget" => {
                // LiteLLM's default of 0 means no cap.
                let amount = reader.amount(&field).filter(|amount| !amount.is_zero());
                access.max_budget = amount.map(NanoUsd::from);
            }
            "budget_duration" => {
                access.budget_duration = period(reader, &field);
                duration_at = Some(field);
            }
            "json_logs" => {
                if reader.bool(&field) == Some(true) {
                    *log_format = LogFormat::Json;
                }
            }
            "require_auth_for_metrics_endpoint" => {
                let note = "it wants the master key; keymoat.metrics_key: any takes every key";
                let field = if field.is_off() { field } else { field.approximately(note) };
                if let Some(flag) = reader.bool(&field) {
                    access.metrics_need_key = flag;
                }
            }
            "model_alias_map" => draft.read_aliases(reader, &field),
            "callbacks"
            | "success_callback"
            | "failure_callback"
            | "service_callback"
            | "service_callbacks"
            | "audit_log_callbacks" => callbacks(reader, &field),
            "turn_off_message_logging" | "redact_messages_in_exceptions" => {
                let note = "prompts and answers are never logged here, whatever this says";
                reader.bool(&field.approximately(note));
            }
            "redact_user_api_key_info" => {
                let note = "the log names keys by id and alias only, whatever this says";
                reader.bool(&field.approximately(note));
            }
            _ => reader.leftover(&field, &LITELLM),
        }
    }
    if let (None, Some(at)) = (access.max_budget, duration_at) {
        reader.warning(&at, "there is no max_budget that this would renew", "");
    }
    draft
}

/// A duration in LiteLLM's spelling.
fn period(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Period> {
    if field.is_null() {
        reader.accept(field);
        return None;
    }
    let text = reader.resolve(field)?;
    let period = Period::parse(text.value.trim());
    if period.is_some() {
        reader.accept(field);
    } else {
        let hint = "as in 30s, 15m, 1h, 7d, 1w, 1mo";
        reader.error(field, "this is not a duration", hint);
    }
    period
}

/// Limits that keys are given where nothing is said.
fn key_defaults(reader: &mut Reader<'_>, section: &Field<'_>) -> KeyLimits {
    let mut limits = KeyLimits::default();
    for field in reader.fields(section) {
        if field.name == "models" {
            limits.models = reader.texts(&field);
        } else if !key_limit(reader, &field, &mut limits) {
            reader.unsupported(&field, "keys get no default for this", "");
        }
    }
    limits
}

/// Highest limits that keys may be given.
fn key_ceilings(reader: &mut Reader<'_>, section: &Field<'_>) -> KeyLimits {
    let mut limits = KeyLimits::default();
    for field in reader.fields(section) {
        if !key_limit(reader, &field, &mut limits) {
            reader.unsupported(&field, "keys have no ceiling for this", "");
        }
    }
    limits
}

/// Reads one limit; false if it is none.
fn key_limit(reader: &mut Reader<'_>, field: &Field<'_>, limits: &mut KeyLimits) -> bool {
    match field.name {
        "max_budget" => limits.max_budget = reader.amount(field).map(NanoUsd::from),
        "budget_duration" => limits.budget_duration = period(reader, field),
        "duration" => limits.duration = period(reader, field),
        "max_parallel_requests" => limits.max_parallel_requests = reader.whole(field),
        "tpm_limit" => limits.tpm_limit = reader.whole(field),
        "rpm_limit" => limits.rpm_limit = reader.whole(field),
        _ => return false,
    }
    true
}

/// One verdict for each callback in the list.
fn callbacks(reader: &mut Reader<'_>, field: &Field<'_>) {
    if field.is_null() {
        return reader.accept(field);
    }
    let items = match field.node.kind {
        crate::node::Kind::Scalar { .. } => vec![field.clone()],
        _ => reader.items(field),
    };
    if items.is_empty() {
        reader.accept(field);
    }
    for item in items {
        let Some(text) = reader.resolve(&item) else { continue };
        match text.value.as_str() {
            "prometheus" => reader.accept(&item),
            name if reader.is_check(&item, name) => {}
            name if name.contains('.') => {
                reader.unsupported(&item, "Python callbacks cannot run here", "");
            }
            _ => {
                let why = "logs and metrics are not sent to this service";
                reader.unsupported(&item, why, "scrape /metrics and ship the log instead");
            }
        }
    }
}
