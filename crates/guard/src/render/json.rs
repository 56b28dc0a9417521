//! A report as JSON; the field names are those of [`Report`].

use crate::audit::Report;
use serde::Serialize;

#[derive(Serialize)]
struct Versioned<'r> {
    format: u32,
    exit_code: u8,
    #[serde(flatten)]
    report: &'r Report,
}

/// The report in `format` 1, with its exit code, on several lines.
pub fn json(report: &Report) -> String {
    let versioned = Versioned { format: 1, exit_code: report.outcome.exit_code(), report };
    serde_json::to_string_pretty(&versioned).unwrap_or_default() + "\n"
}
