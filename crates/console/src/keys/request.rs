//! What `/key/generate` and `/key/update` ask for, checked.

use super::refused;
use crate::fields::{Fields, says_nothing, strings};
use crate::money;
use crate::params::invalid;
use crate::shown::Settings;
use base::NanoUsd;
use gateway::Failure;
use ledger::{KeyPatch, VirtualKey, Window};

/// Further settings of LiteLLM that are kept and given back as they came.
const KEPT: [&str; 3] = ["aliases", "allowed_cache_controls", "key_type"];

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Never.
    Endless,
    /// After this long, from now.
    For(Window),
}

impl Lifetime {
    fn expires_at_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Self::Endless => None,
            Self::For(window) => Some(window.after(now_ms)),
        }
    }
}

/// The fields that both have. Absent is `None`, null is `Some(None)`.
#[derive(Default)]
#[expect(clippy::option_option, reason = "absent, null and given are three things")]
pub(crate) struct KeyFields {
    pub(crate) alias: Option<Option<String>>,
    pub(crate) models: Option<Vec<String>>,
    pub(crate) max_budget: Option<Option<NanoUsd>>,
    pub(crate) budget_duration: Option<Option<Window>>,
    pub(crate) spend: Option<NanoUsd>,
    pub(crate) rpm_limit: Option<Option<u64>>,
    pub(crate) tpm_limit: Option<Option<u64>>,
    pub(crate) max_parallel_requests: Option<Option<u64>>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) blocked: Option<bool>,
    pub(crate) user_id: Option<Option<String>>,
    pub(crate) team_id: Option<Option<String>>,
    pub(crate) organization_id: Option<Option<String>>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) metadata: Option<String>,
    pub(crate) settings: Settings,
}

impl KeyFields {
    /// Takes every field; what is left is refused by name.
    pub(crate) fn take(mut fields: Fields<'_>, path: &str) -> Result<Self, Failure> {
        let metadata = fields.object("metadata")?;
        let tags = match fields.texts("tags")? {
            Some(tags) => Some(tags),
            None => metadata.as_deref().map(tags_in).transpose()?.flatten(),
        };
        if let Some(metadata) = &metadata {
            refuse_in_metadata(metadata)?;
        }
        let lifetime = match fields.text("duration")? {
            None => None,
            Some(None) => Some(Lifetime::Endless),
            Some(Some(text)) => Some(lifetime(&text)?),
        };
        Ok(Self {
            alias: fields.text("key_alias")?,
            models: models(&mut fields)?,
            max_budget: fields.dollars("max_budget")?,
            budget_duration: fields.window("budget_duration")?,
            spend: fields.dollars("spend")?.flatten(),
            rpm_limit: fields.count("rpm_limit")?,
            tpm_limit: fields.count("tpm_limit")?,
            max_parallel_requests: fields.count("max_parallel_requests")?,
            lifetime,
            blocked: fields.flag("blocked")?.flatten(),
            user_id: fields.text("user_id")?,
            team_id: fields.text("team_id")?,
            organization_id: fields.text("organization_id")?,
            tags,
            metadata,
            settings: settings(fields, path)?,
        })
    }

    /// The change that they ask for.
    pub(crate) fn into_patch(self, before: &VirtualKey, author: String, now_ms: i64) -> KeyPatch {
        let settings = (!self.settings.is_empty())
            .then(|| Settings::parse(&before.settings).with(self.settings).to_json());
        KeyPatch {
            alias: self.alias,
            models: self.models,
            max_budget: self.max_budget,
            budget_duration: self.budget_duration,
            spend: self.spend,
            rpm_limit: self.rpm_limit,
            tpm_limit: self.tpm_limit,
            max_parallel_requests: self.max_parallel_requests,
            expires_at_ms: self.lifetime.map(|lifetime| lifetime.expires_at_ms(now_ms)),
            blocked: self.blocked,
            user_id: self.user_id,
            team_id: self.team_id,
            organization_id: self.organization_id,
            tags: self.tags,
            metadata: self.metadata,
            settings,
            updated_by: Some(author),
            expected_updated_at_ms: Some(before.updated_at_ms),
            updated_at_ms: now_ms,
        }
    }
}

/// The models that the key may use.
fn models(fields: &mut Fields<'_>) -> Result<Option<Vec<String>>, Failure> {
    let models = fields.texts("models")?;
    if models.iter().flatten().any(|model| model == "all-team-models") {
        let why = "cannot hold all-team-models: teams, and with them their models, do not exist \
                   yet. Name the models, or all-proxy-models for every one";
        return Err(invalid("models", why));
    }
    Ok(models)
}

fn lifetime(text: &str) -> Result<Lifetime, Failure> {
    if text == "-1" {
        return Ok(Lifetime::Endless);
    }
    money::parse_window(text).map(Lifetime::For).map_err(|why| invalid("duration", why))
}

/// What is left of the fields: kept, refused, or unknown.
fn settings(fields: Fields<'_>, path: &str) -> Result<Settings, Failure> {
    let mut kept = Settings::default();
    for (name, text) in fields.rest() {
        if KEPT.contains(&name.as_str()) {
            check_kept(&name, text)?;
            kept.set(name, text);
        } else if let Some(reason) = refused::reason(&name) {
            if !says_nothing(text) {
                return Err(unsupported(&name, reason));
            }
        } else {
            let shown: String = name.chars().take(80).collect();
            let why = format!("is not a field of {path}; check its spelling, or leave it out");
            return Err(invalid(&shown, why));
        }
    }
    Ok(kept)
}

fn check_kept(name: &str, text: &str) -> Result<(), Failure> {
    let fits = match name {
        "key_type" => {
            if !matches!(text, "null" | "\"default\"" | "\"llm_api\"") {
                let why = "must be default or llm_api: other types of keys do not exist yet";
                return Err(invalid(name, why));
            }
            true
        }
        "allowed_cache_controls" => text == "null" || strings(text).is_ok(),
        _ => text == "null" || is_map_of_names(text),
    };
    let kind = match name {
        "allowed_cache_controls" => "a list of strings",
        _ => "an object of model names, {\"what the key asks for\": \"a model group\"}",
    };
    if fits { Ok(()) } else { Err(invalid(name, format!("must be {kind} or null"))) }
}

fn is_map_of_names(text: &str) -> bool {
    let names = serde_json::from_str::<std::collections::HashMap<String, String>>(text);
    names.is_ok_and(|names| !names.iter().any(|(name, meant)| name.is_empty() || meant.is_empty()))
}

fn unsupported(name: &str, reason: &str) -> Failure {
    invalid(name, format!("is not supported: {reason}. Leave it out"))
}

/// LiteLLM reads limits from `metadata` too.
fn refuse_in_metadata(metadata: &str) -> Result<(), Failure> {
    let members = Fields::parse(metadata.as_bytes())?;
    for (name, text) in members.rest() {
        if let Some(reason) = refused::reason(&name)
            && !says_nothing(text)
        {
            return Err(unsupported(&format!("metadata.{name}"), reason));
        }
    }
    Ok(())
}

/// `metadata.tags`, which LiteLLM takes for the key's tags.
fn tags_in(metadata: &str) -> Result<Option<Vec<String>>, Failure> {
    let members = Fields::parse(metadata.as_bytes())?;
    let mut rest = members.rest();
    let Some((_, text)) = rest.find(|(name, text)| name == "tags" && *text != "null") else {
        return Ok(None);
    };
    strings(text).map(Some).map_err(|why| invalid("metadata.tags", why))
}

#[cfg(test)]
mod tests {
    use super::{KeyFields, Lifetime};
    use crate::fields::Fields;
    use proptest::prelude::*;

    fn take(body: &str) -> Result<KeyFields, gateway::Failure> {
        KeyFields::take(Fields::parse(body.as_bytes())?, "/key/generate")
    }

    #[test]
    fn tags_may_stand_in_metadata_as_litellm_reads_them() {
        let asked = take(r#"{"metadata": {"tags": ["a"], "x": 1}}"#).ok().unwrap();
        assert_eq!(asked.tags, Some(vec!["a".to_owned()]));
        let both = take(r#"{"metadata": {"tags": ["a"]}, "tags": []}"#).ok().unwrap();
        assert_eq!(both.tags, Some(Vec::new()));
        assert_eq!(take(r#"{"metadata": {}}"#).ok().unwrap().tags, None);
    }

    #[test]
    fn a_lifetime_is_a_length_or_none() {
        for (body, expected) in [
            ("{}", None),
            (r#"{"duration": null}"#, Some(Lifetime::Endless)),
            (r#"{"duration": "-1"}"#, Some(Lifetime::Endless)),
            (r#"{"duration": "monthly"}"#, Some(Lifetime::For("30d".parse().unwrap()))),
        ] {
            assert_eq!(take(body).ok().unwrap().lifetime, expected, "{body}");
        }
    }

    #[test]
    fn the_models_of_a_team_are_not_all_models() {
        let refused = take(r#"{"models": ["chat", "all-team-models"]}"#).err().unwrap();
        assert_eq!((refused.param.as_deref(), refused.status.as_u16()), (Some("models"), 400));
        assert!(take(r#"{"models": ["chat", "all-proxy-models"]}"#).is_ok());
    }

    #[test]
    fn what_is_refused_may_still_say_nothing() {
        let nothing = r#"{"guardrails": [], "soft_budget": null, "model_max_budget": { },
            "auto_rotate": false, "allowed_routes": [], "metadata": {"guardrails": []}}"#;
        assert!(take(nothing).is_ok());
    }

    proptest! {
        #[test]
        fn no_body_panics_and_a_refusal_is_short(body in "\\PC{0,60}|\\{\"(key_alias|models|max_budget|metadata|duration|aliases|x)\": ?[\\[\\]{}a-z0-9.\",:-]{0,30}\\}") {
            if let Err(failure) = take(&body) {
                prop_assert_eq!(failure.status.as_u16(), 400);
                prop_assert!(failure.message.len() < 600);
            }
        }
    }
}
