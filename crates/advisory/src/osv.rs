//! An OSV record, as far as it matters here; unknown fields are ignored.
//!
//! Format: OSV schema 1.7. Only `affected` says what is affected: other fields
//! of real records have been seen to name versions of other packages.

use crate::Severity;
use serde::{Deserialize, Deserializer, Serialize};

/// One advisory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, never empty in a record that was accepted.
    pub id: String,
    /// When it was last changed, RFC 3339.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub modified: String,
    /// When it was taken back, if it was: then it speaks of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Other ids of the same thing.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it is, in a line.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// What it is, at length; read only where there is no summary.
    #[serde(default, deserialize_with = "nullable", skip_serializing)]
    pub details: String,
    /// How bad, as vectors.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Score>,
    /// What is affected.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
    /// What only its own database knows how to say.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Specific::is_empty")]
    pub database_specific: Specific,
}

/// A severity vector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// `CVSS_V3`, …
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub kind: String,
    /// The vector.
    #[serde(default, deserialize_with = "nullable")]
    pub score: String,
}

/// A package and which of its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Which package; records about repositories have none.
    #[serde(default, deserialize_with = "nullable")]
    pub package: Name,
    /// From where to where.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Versions one by one.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// A package's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// OSV's name for the ecosystem.
    #[serde(default, deserialize_with = "nullable")]
    pub ecosystem: String,
    /// As the record spells it.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// A range of versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// `ECOSYSTEM`, `SEMVER` or `GIT`; commits are not compared.
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub kind: String,
    /// Where it begins and ends, in any order.
    #[serde(default, deserialize_with = "nullable")]
    pub events: Vec<Event>,
}

/// One end of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// From this version on; `"0"` is before every version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// Up to, without, this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// Up to and with this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<String>,
}

/// The parts of `database_specific` that we read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specific {
    /// `LOW` … `CRITICAL`, GitHub's word for how bad.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Weaknesses; CWE-506 is embedded malicious code.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cwe_ids: Option<Vec<String>>,
    /// What to look for in logs and on disks.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub iocs: Option<Indicators>,
}

impl Specific {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Traces that malicious code leaves. Data to compare with, never to contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicators {
    /// Host names.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Addresses.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// Full URLs.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl Record {
    /// Returns true if the release was made to do harm, not merely has a hole.
    pub fn is_malicious(&self) -> bool {
        let ids = std::iter::once(&self.id).chain(&self.aliases);
        let weaknesses = self.database_specific.cwe_ids.iter().flatten();
        ids.into_iter().any(|id| id.starts_with("MAL-"))
            || weaknesses.into_iter().any(|cwe| cwe == "CWE-506")
    }

    /// How bad its authors say it is; `None` if they do not say.
    pub fn severity(&self) -> Option<Severity> {
        let scored = self.severity.iter().filter_map(|s| super::cvss::severity(&s.score)).max();
        scored.or_else(|| {
            let word = self.database_specific.severity.as_deref()?.to_ascii_uppercase();
            match word.as_str() {
                "CRITICAL" => Some(Severity::Critical),
                "HIGH" => Some(Severity::High),
                "MODERATE" | "MEDIUM" => Some(Severity::Medium),
                "LOW" => Some(Severity::Low),
                _ => None,
            }
        })
    }
}

/// `null` means the same as nothing.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value of another shape means the same as nothing: what a database says
/// in its own field is no reason to lose the record.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_foreign_shapes_lose_no_record() {
        let text = r#"{"id":"X-1","aliases":null,"summary":null,"withdrawn":null,"affected":[{"package":
            {"ecosystem":"PyPI","name":"a"},"ranges":null,"versions":["1"]}],"severity":null,
            "database_specific":{"severity":7.5,"cwe_ids":"CWE-506","iocs":["x"],"more":{}}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(record.affected[0].versions, ["1"]);
        assert_eq!(record.severity(), None);
        assert!(!record.is_malicious());
    }

    #[test]
    fn an_alias_is_enough_to_be_malicious() {
        let record = Record { aliases: vec!["MAL-2026-1".into()], ..Record::default() };
        assert!(record.is_malicious());
    }
}
